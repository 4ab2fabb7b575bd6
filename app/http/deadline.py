"""How long a request may take, and what becomes of it when its caller has gone.

One timer looks after all requests that are being answered, so that none of them has to start one, but those whose
callers will not wait for so long (`Prefer: wait=5`, RFC 7240). A request that is
over its time, or whose caller hung up, is cancelled wherever it waits; what it waits for (a statement, a connection of
the pool) is cancelled with it.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Protocol

from starlette.types import Receive, Scope

DEADLINE_SECONDS = 15.0
# So much of the time, and no more than so many seconds, is left for taking back what was begun, and for saying so.
_REMAINDER, _MOST_REMAINDER_SECONDS = 0.1, 1.0

# A server whose scopes have this extension calls `Work.leave` when it loses the connection of a request.
EXTENSION = "waybill.disconnect"


class Ending(Enum):
    """Why a request was cancelled."""

    LATE = auto()
    LEFT = auto()


class Cancellable(Protocol):
    def cancel(self) -> None: ...


class Shedder(Protocol):
    """Who counts what is under way (`app.http.overload`)."""

    def enter(self, work: "Work") -> None: ...
    def leave(self, work: "Work", *, is_answered: bool = True) -> None: ...


class Work:
    """The answering of one request by a task that began at `since`, by `time.perf_counter`.

    What `goes_on` is not cancelled when its caller leaves: a write ends as it would have, whoever hears of it.
    `context` is what goes on fetching for the request beside its task, and is cancelled with it. `shedder` counts it
    among what is under way since `admitted_at`; None where it is not.
    """

    # Every request has one of these, so nothing is set that is seldom needed.
    goes_on = False
    context: Cancellable | None = None
    shedder: Shedder | None = None
    admitted_at = 0.0
    seconds: float | None = None
    _timer: asyncio.TimerHandle | None = None
    _ending: Ending | None = None
    _was_cancelled = False
    _watcher: asyncio.Task[None] | None = None

    def __init__(self, deadlines: "Deadlines", task: asyncio.Task[object] | None, since: float) -> None:
        self._deadlines = deadlines
        self._task = task
        self.since = since
        deadlines.running[self] = None
        if deadlines.timer is None:
            deadlines.start()

    def end(self) -> None:
        """It is answered."""
        self._deadlines.running.pop(self, None)
        if self.shedder is not None:
            self.shedder.leave(self, is_answered=not self._was_cancelled)
        self._task = self.context = self.shedder = None  # which hold what holds this
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def shorten(self, seconds: float) -> bool:
        """Its caller waits no longer than so many `seconds`. Whether that is less than it would have had."""
        if seconds >= self._deadlines.seconds:
            return False
        self.seconds = seconds
        self._deadlines.running.pop(self, None)
        left = self.since + within(seconds) - time.perf_counter()
        self._timer = asyncio.get_running_loop().call_later(left, self.cancel, Ending.LATE)
        return True

    def watch(self, scope: Scope, receive: Receive) -> None:
        """Sees to it that `leave` is called where the server does not do so by itself; the body has been read."""
        if EXTENSION not in scope.get("extensions", ()):
            self._watcher = asyncio.get_running_loop().create_task(self._watch(receive))

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.leave()

    def leave(self) -> None:
        """Its caller has gone."""
        if not self.goes_on:
            self.cancel(Ending.LEFT)

    def cancel(self, ending: Ending) -> None:
        if self._task is None or self._ending is not None:
            return
        self._ending = ending
        self._was_cancelled = True
        self._task.cancel()
        if self.context is not None:
            self.context.cancel()

    def take_back_if(self, ending: Ending) -> bool:
        """Takes the cancellation of the task back, for whoever answers in spite of it, if `ending` is why it came.

        Whether it was.
        """
        if self._ending is not ending or self._task is None:
            return False
        self._ending = None
        self._task.uncancel()
        return True

    def lift(self) -> None:
        """From here on it has limits of its own."""
        self._deadlines.running.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
        if self.shedder is not None:
            self.shedder.leave(self, is_answered=False)
            self.shedder = None

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """The deadline begins anew after the block, which has limits of its own."""
        shedder = self.shedder
        self.lift()
        yield
        if shedder is not None:
            shedder.enter(self)
        self.since = time.perf_counter()
        if self.seconds is not None:
            self.shorten(self.seconds)
        else:
            self._deadlines.running[self] = None
            self._deadlines.start()


def within(seconds: float) -> float:
    """When to cancel what has to be answered in so many seconds."""
    return seconds - min(seconds * _REMAINDER, _MOST_REMAINDER_SECONDS)


class Deadlines:
    """The requests of one process that are being answered, oldest first. Each is told after `seconds` at the latest."""

    def __init__(self, seconds: float = DEADLINE_SECONDS) -> None:
        self.seconds = seconds
        self._seconds = within(seconds)
        self.running: dict[Work, None] = {}
        self.timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Starts the timer, where it does not run."""
        if self.timer is None:
            self._look_in(self._seconds)

    def _look_in(self, seconds: float) -> None:
        self.timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Cancels what is late, and looks again when the next one will be. Nothing runs, no timer."""
        self.timer = None
        while self.running:
            work = next(iter(self.running))
            left = work.since + self._seconds - time.perf_counter()
            if left > 0:
                self._look_in(left)
                return
            del self.running[work]
            work.cancel(Ending.LATE)
