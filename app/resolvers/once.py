"""A value that several fields need and one of them reads."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Result = TypeVar("Result")


def once(read: Callable[[], Awaitable[Result]]) -> Callable[[], Awaitable[Result]]:
    """Sibling fields are resolved side by side; the first one reads and the others wait for its answer."""
    task: asyncio.Future[Result] | None = None

    def shared() -> Awaitable[Result]:
        nonlocal task
        if task is None:
            task = asyncio.ensure_future(read())
        return asyncio.shield(task)

    return shared
