"""A value that several fields need and one of them reads."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Result = TypeVar("Result")


def once(read: Callable[[], Awaitable[Result]]) -> Callable[[], Awaitable[Result]]:
    """Sibling fields are resolved side by side; the first one reads and the others wait for its answer.

    One that is cancelled leaves the others their answer; when all of them are, so is what they waited for.
    """
    task: asyncio.Future[Result] | None = None
    waiting = 0

    def shared() -> Awaitable[Result]:
        nonlocal task, waiting
        if task is None:
            task = asyncio.ensure_future(read())
        waiting += 1
        waiter = asyncio.shield(task)
        waiter.add_done_callback(leave)
        return waiter

    def leave(waiter: asyncio.Future[Result]) -> None:
        nonlocal task, waiting
        waiting -= 1
        if waiter.cancelled() and not waiting and task is not None:
            task.cancel()
            task = None

    return shared
