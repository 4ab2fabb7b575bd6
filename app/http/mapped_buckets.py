"""Buckets of points that the workers of one machine share, in a file that each has in its memory."""

import time
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING

from app.http.mapped_file import MappedFile

if TYPE_CHECKING:
    from app.http.budget import Rate

# The digest of a name, what was left, and when. A row of zeros is free.
_ROW = Struct("=qdd")
_WAYS = 8
_SETS = 1 << 13


class MappedBuckets:
    """As `app.http.budget.Buckets`, by the lock of the file.

    A name has its row in one of a few places; where others have all of them, the one that was used longest ago is full
    again.
    """

    def __init__(self, path: Path, rate: "Rate") -> None:
        self._capacity, self._restored = rate
        self._file = MappedFile(path, _ROW.size * _WAYS * _SETS)
        self.close = self._file.close

    def take(self, name: str, points: int, now: float) -> tuple[bool, float]:
        with self._file:
            place, left, since = self._find(name, now)
            left = min(self._capacity, left + max(0.0, now - since) * self._restored)
            is_enough = points <= max(0.0, left)
            if is_enough:
                left -= points
            _ROW.pack_into(self._file.rows, place, _digest(name), left, now)
        return is_enough, left

    def give(self, name: str, points: int) -> float:
        with self._file:
            place, left, since = self._find(name, time.time())
            left = max(-self._capacity, min(self._capacity, left + points))
            _ROW.pack_into(self._file.rows, place, _digest(name), left, since)
        return left

    def _find(self, name: str, now: float) -> tuple[int, float, float]:
        """Where the row of a name is, or will be, what was left to it, and when."""
        digest = _digest(name)
        start = digest % _SETS * _WAYS * _ROW.size
        oldest, oldest_at = start, now
        for place in range(start, start + _WAYS * _ROW.size, _ROW.size):
            found, left, since = _ROW.unpack_from(self._file.rows, place)
            if found == digest:
                return place, left, since
            if since < oldest_at:
                oldest, oldest_at = place, since
        return oldest, self._capacity, now


@lru_cache(10_000)
def _digest(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little", signed=True) or 1
