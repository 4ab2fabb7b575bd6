"""A file that others rewrite while we run: its contents are read anew when they may have changed."""

import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

# The clock of a file system goes by steps of some milliseconds, so a file that was written just now can be written
# again without showing it. Until it has rested for so long it is read whatever its times say.
REST_SECONDS = 2.0


class WatchedFile:
    """Asked by whoever needs the contents; there is nothing running behind it. At most `most` bytes are read."""

    def __init__(self, path: Path, most: int, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._most = most
        self._clock = clock
        self._identity: tuple[int, ...] | None = None

    def changed(self, *, anyway: bool = False) -> bytes | None:
        """The contents, None where they are those of the last time. Raises OSError where there are none to be had.

        It costs one look at the directory where nothing has changed; `anyway` reads even then.
        """
        former, self._identity = self._identity, None
        status = os.stat(self._path)
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if identity == former and not anyway:
            self._identity = former
            return None
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is no file")
        with self._path.open("rb") as file:
            contents = file.read(self._most + 1)
        if len(contents) > self._most:
            raise OSError(errno.EFBIG, f"has more than {self._most} bytes")
        if self._clock() - status.st_ctime > REST_SECONDS:
            self._identity = identity
        return contents
