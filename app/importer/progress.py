"""What an import shows on a terminal while it runs: lines, rate, time left."""

import time
from collections.abc import Sequence
from typing import TextIO

from app.importer import lines

_EVERY = 0.2  # seconds
_CLEAR = "\r\x1b[K"


class Progress:
    """One line that overwrites itself, on a terminal only; what is said in between goes above it."""

    def __init__(self, files: Sequence[str], report: TextIO, on: bool) -> None:
        self._report = report
        self._on = on
        self._sizes = [lines.size(file) for file in files] if on else []
        self._begun = time.monotonic()
        self._drawn = 0.0

    def say(self, sentence: str) -> None:
        self._report.write(f"{_CLEAR if self._drawn else ''}{sentence}\n")
        self._report.flush()
        self._drawn = 0.0

    def draw(self, read: int, file: int, position: int) -> None:
        """`read` lines are done, of which the last ends at byte `position` of the file of that index."""
        if not self._on or (now := time.monotonic()) - self._drawn < _EVERY:
            return
        self._drawn = now
        seconds = max(now - self._begun, 0.001)
        shown = f"{read:,} lines, {read / seconds:,.0f} a second"
        sizes = [size for size in self._sizes if size is not None]
        done = sum(sizes[:file]) + position
        if done and len(sizes) == len(self._sizes):
            left = round(seconds * max(sum(sizes) / done - 1, 0))
            shown += f", {left // 60}:{left % 60:02} left"
        self._report.write(_CLEAR + shown)
        self._report.flush()
