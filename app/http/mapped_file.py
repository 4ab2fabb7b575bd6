"""A file of rows that the workers of one machine share: each has it in its memory."""

import mmap
from fcntl import LOCK_EX, LOCK_UN, flock
from pathlib import Path


class MappedFile:
    """`rows` are bytes, zeros at first; the file has holes where there are none.

    Whoever reads and writes has its lock, by `with`. The system takes it away from a process that ends; what it was
    writing then is at worst one row.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._file = path.open("a+b")
        self._file.truncate(size)
        self.rows = mmap.mmap(self._file.fileno(), size)

    def close(self) -> None:
        self.rows.close()
        self._file.close()

    def __enter__(self) -> None:
        flock(self._file, LOCK_EX)

    def __exit__(self, *_failure: object) -> None:
        flock(self._file, LOCK_UN)
