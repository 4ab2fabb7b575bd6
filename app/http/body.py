"""A request's body, read to its end or refused for its size or its slowness."""

import asyncio
from collections.abc import Generator
from functools import partial
from types import coroutine
from typing import Any

from starlette.types import Receive

from app.errors import RequestRefused

_BODY_SECONDS = 15


async def read_body(length: bytes, receive: Receive, limit: int) -> bytes:
    """Raises `RequestRefused`: 413 for over `limit` bytes, 408 for a body that does not arrive in time.

    `length` is the header Content-Length, empty where there is none.
    """
    if length.isdigit() and int(length[:20]) > limit:
        raise _too_large(limit)
    # Nearly every body is there before it is asked for: a timer is started only where the first step has to wait.
    reading = _read(receive, limit).__await__()
    try:
        awaited = next(reading)
    except StopIteration as end:
        body: bytes = end.value
        return body
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await _rest(reading, awaited)
    except TimeoutError:
        raise RequestRefused("The body did not arrive in time.", status=408, code="REQUEST_TIMEOUT") from None


@coroutine
def _rest(steps: Generator[Any, Any, bytes], awaited: Any) -> Generator[Any, Any, bytes]:
    """What `await` does, for a coroutine whose first step was taken and waits for `awaited`."""
    while True:
        try:
            step = partial(steps.send, (yield awaited))
        except BaseException as error:
            step = partial(steps.throw, error)
        try:
            awaited = step()
        except StopIteration as end:
            body: bytes = end.value
            return body


async def _read(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestRefused("The caller hung up.")
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(limit: int) -> RequestRefused:
    return RequestRefused(f"The body has over {limit} bytes, which is the limit.", status=413, code="BODY_TOO_LARGE")
