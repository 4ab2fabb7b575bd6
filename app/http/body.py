"""A request's body, read to its end or refused for its size or its slowness."""

import asyncio

from starlette.types import Receive, Scope

from app.errors import RequestRefused
from app.http.deadline import WORK

_BODY_SECONDS = 15


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Raises `RequestRefused`: 413 for over `limit` bytes, 408 for a body that does not arrive in time.

    A server that has the whole body has put it into the scope's state; see `app.http.protocol`.
    """
    state = scope["state"]
    length: bytes = state["fields"].get(b"content-length", b"")
    if length.isdigit() and int(length[:20]) > limit:
        raise _too_large(limit)
    body: bytes | None = state.get("body")
    if body is None:
        try:
            with state[WORK].suspended():
                async with asyncio.timeout(_BODY_SECONDS):
                    return await _read(receive, limit)
        except TimeoutError:
            raise RequestRefused("The body did not arrive in time.", status=408, code="REQUEST_TIMEOUT") from None
    if len(body) > limit:
        raise _too_large(limit)
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
