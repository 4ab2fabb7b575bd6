"""Work that only its caller wants: it ends where the caller hangs up."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from starlette.types import Receive, Scope

from app.http.deadline import EXTENSION, WORK, Ending

T = TypeVar("T")


class CallerLeft(Exception):
    """The work was cancelled, because its caller had gone."""


def while_wanted(scope: Scope, receive: Receive, work: Coroutine[Any, Any, T]) -> Awaitable[T]:
    """The result of `work`, which is all that is left to do for a request, its body having been read.

    Nothing has to be done where the server tells by itself that the caller has gone (see `EXTENSION`). Elsewhere a
    message of ASGI tells, for which somebody has to wait.
    """
    return work if EXTENSION in scope.get("extensions", ()) else _while_wanted(scope, receive, work)


async def _while_wanted(scope: Scope, receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    try:
        return await while_connected(receive, work)
    except CallerLeft:
        scope["state"][WORK].cancel(Ending.LEFT)
        await asyncio.sleep(0)  # which is cancelled
        raise


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. Raises `CallerLeft`, and what `work` raises."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        leaving.cancel()
        # Not left before both have given back what they hold.
        await asyncio.wait((working, leaving))
    if working.cancelled():
        raise CallerLeft
    return working.result()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
