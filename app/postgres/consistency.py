"""States of the store, as callers carry them about: who has seen one is shown no earlier one.

A state is a timeline and a place in its log (LSN), written `1:0/3000148`. Places only ever grow, over a promotion, too,
which begins the next timeline.
"""

import fcntl
import mmap
import re
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

HEADER = "Waybill-Consistency"

_TEXT = re.compile(r"([1-9][0-9]{0,9}):([0-9A-F]{1,8})/([0-9A-F]{1,8})")
_LARGEST_TIMELINE = 2**31 - 1
_LOW_BITS = 32

# How many viewers have a place of their own. Those who share one are shown what any of them wrote.
_VIEWERS = 1 << 16
_TIMELINE = _VIEWERS


class Consistency(NamedTuple):
    """Later ones are greater. `lsn` is in bytes of the log."""

    timeline: int
    lsn: int

    @classmethod
    def of(cls, text: str) -> "Consistency":
        """Raises ValueError for what `str` of none is."""
        match = _TEXT.fullmatch(text)
        if match is None or int(match[1]) > _LARGEST_TIMELINE:
            raise ValueError("must be a timeline and an LSN such as 1:0/3000148")
        return cls(int(match[1]), int(match[2], 16) << _LOW_BITS | int(match[3], 16))

    def __str__(self) -> str:
        return f"{self.timeline}:{self.lsn >> _LOW_BITS:X}/{self.lsn & (1 << _LOW_BITS) - 1:X}"


class LastWrites:
    """Up to where viewers wrote, or were told, in memory that the workers of a machine share: `path` is its file.

    Nothing is forgotten: a place that all servers have passed keeps nobody from any. Beside the places it has the
    newest timeline that any worker knows of.
    """

    def __init__(self, path: Path | None = None) -> None:
        size = 8 * (_VIEWERS + 1)
        self._file = None
        if path is not None:
            self._file = path.open("a+b")
            self._file.truncate(size)
        self._memory = mmap.mmap(self._file.fileno() if self._file else -1, size)
        self._places = memoryview(self._memory).cast("Q")

    def of(self, subject: str) -> int:
        """The LSN up to which a viewer has written; 0 for one who has not."""
        return self._places[crc32(subject.encode()) % _VIEWERS]

    @property
    def timeline(self) -> int:
        return self._places[_TIMELINE]

    def note(self, subject: str, state: Consistency) -> None:
        """A viewer has written up to `state`."""
        self.note_timeline(state.timeline)
        self._raise(crc32(subject.encode()) % _VIEWERS, state.lsn)

    def note_timeline(self, timeline: int) -> None:
        self._raise(_TIMELINE, timeline)

    def close(self) -> None:
        self._places.release()
        self._memory.close()
        if self._file is not None:
            self._file.close()

    def _raise(self, place: int, value: int) -> None:
        if self._places[place] >= value:
            return
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            self._places[place] = max(self._places[place], value)
        finally:
            if self._file is not None:
                fcntl.flock(self._file, fcntl.LOCK_UN)
