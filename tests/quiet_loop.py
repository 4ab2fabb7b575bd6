"""A loop for tests of what takes time: its clock moves only when nothing is under way, and then to the next timer."""

import asyncio
import selectors


class _Selector(selectors.DefaultSelector):  # which one depends on the system
    """Never waits: time that would be waited for counts as passed."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # no timer either, so only a signal or a thread can end this
            return super().select(None)
        ready = super().select(0)
        if not ready:
            self.passed += max(timeout, 0)
        return ready


class QuietLoop(asyncio.SelectorEventLoop):
    """All that talk must live on this loop, and talk by AF_UNIX: there, what one has sent is there for the other.

    So a loop that finds nothing to read has nothing under way: `sleep` returns when all others have come to rest, what
    takes minutes takes no time, and no timer is up because the machine is busy. A test that hangs fails at once, where
    it has a timeout.
    """

    def __init__(self) -> None:
        self._quiet = _Selector()
        super().__init__(self._quiet)

    def time(self) -> float:
        return self._quiet.passed
