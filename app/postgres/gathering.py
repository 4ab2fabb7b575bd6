"""What many requests ask for at the same time, and one statement answers. It ends with the last who waits for it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

# PostgreSQL works on one statement at a time, and so many rows are enough for it to be worth its while.
_MOST_ASKED = 50


class Gathering(ABC):
    """What is `asked` in one turn of the event loop: whatever tells what it is, and the future of each that waits."""

    __slots__ = ("asked", "left", "task")

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.left = 0  # how many of them do not wait any more
        self.task: asyncio.Task[None] | None = None

    @abstractmethod
    async def answer(self) -> None:
        """Sets the result of every future that is not done."""

    def leave(self) -> None:
        """One of those that asked does not wait any more."""
        self.left += 1
        if self.task is not None and self.left == len(self.asked):
            self.task.cancel()

    async def run(self) -> None:
        try:
            await self.answer()
        except Exception as error:
            for *_, future in self.asked:
                if not future.done():
                    future.set_exception(error)
        finally:
            for *_, future in self.asked:
                future.cancel()  # who still waits by now would wait for ever: this task was cancelled


Gathered = TypeVar("Gathered", bound=Gathering)


class Gatherings(Generic[Gathered]):
    """Those of one kind that are under way in a process; what is of one group shares a statement."""

    def __init__(self) -> None:
        self._open: dict[Hashable, Gathered] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def ask(self, group: Hashable, make: Callable[[], Gathered], *what: Any) -> Any:
        """The answer to `what` is asked of the gathering of a group, which `make` makes where none is open."""
        loop = asyncio.get_running_loop()
        gathering = self._open.get(group)
        if gathering is None:
            gathering = self._open[group] = make()
            loop.call_soon(self._send, group, gathering)
        future: asyncio.Future[Any] = loop.create_future()
        gathering.asked.append((*what, future))
        if len(gathering.asked) >= _MOST_ASKED:
            self._send(group, gathering)
        try:
            return await future
        except asyncio.CancelledError:
            gathering.leave()
            raise

    def _send(self, group: Hashable, gathering: Gathered) -> None:
        if self._open.get(group) is not gathering:  # it was full, and is under way
            return
        del self._open[group]
        if gathering.left == len(gathering.asked):  # whoever asked has gone
            return
        task = gathering.task = asyncio.get_running_loop().create_task(gathering.run())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
