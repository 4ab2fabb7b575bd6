"""Counts of requests that the workers of one machine share, in a file that each has in its memory."""

import time
from pathlib import Path
from struct import Struct

from app.http.mapped_file import MappedFile

# The key's id, the requests of its window, and when that is over. A row of zeros is free.
_ROW = Struct("=qqd")
# More than any installation has keys.
_ROWS = 1 << 16


class MappedWindows:
    """Windows of so many `seconds`, as `app.http.rate_limit.Windows` has them.

    The rows are an open hash table.
    """

    def __init__(self, path: Path, seconds: int) -> None:
        self._seconds = seconds
        self._file = MappedFile(path, _ROW.size * _ROWS)
        self.close = self._file.close

    def count(self, key_id: int) -> tuple[int, float]:
        """The number of this request within its window, and when that is over."""
        now = time.time()
        with self._file:
            place, used, resets_at = self._find(key_id)
            if resets_at <= now:
                used, resets_at = 0, now + self._seconds
            _ROW.pack_into(self._file.rows, place, key_id, used + 1, resets_at)
        return used + 1, resets_at

    def _find(self, key_id: int) -> tuple[int, int, float]:
        """Where the key's row is, or will be, and what stands there. Where all are taken, keys share one."""
        start = key_id % _ROWS
        for step in range(_ROWS):
            place = (start + step) % _ROWS * _ROW.size
            found, used, resets_at = _ROW.unpack_from(self._file.rows, place)
            if found in (key_id, 0):
                return place, used, resets_at
        return start * _ROW.size, used, resets_at
