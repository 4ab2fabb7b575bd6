"""A request's body, read to its end or refused for its size, its slowness or its encoding."""

import asyncio
import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from starlette.types import Receive, Scope

from app.errors import RequestRefused
from app.http.state import state_of

_BODY_SECONDS = 10
_DISCARD_SECONDS = 2.0
_DISCARDED_BYTES = 4 << 20

# Large bodies are of long texts, as a thousand reports of carriers are. Many small values would take many times their
# size in memory. A document, which is a text, has a bound of its own.
_SMALL_BODY = 256_000
MOST_MARKS = 50_000
# Up to the end where one does not end: no value comes after it. Nothing is looked at twice.
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)

_GZIP_NAMES = frozenset({"gzip", "x-gzip"})  # RFC 9110, 8.4.1.3
_GZIP = 16 + zlib.MAX_WBITS


class UnsupportedEncoding(RequestRefused):
    """Answered with the header that tells which encodings are taken (RFC 9110, 15.5.16)."""

    accepted = "gzip, identity"

    def __init__(self) -> None:
        message = "The body's Content-Encoding must be gzip or identity, and only one."
        super().__init__(message, status=415, code="UNSUPPORTED_MEDIA_TYPE")


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The body, unpacked where it is gzip.

    Raises `RequestRefused`: 413 for over `limit` bytes, as they come or unpacked, and for a large body of too many
    values, 408 for a body that does not arrive in time, 415 for another encoding, 400 for what is not gzip to its last
    byte. A server that has the whole body has put it into the state of the request.
    """
    state = state_of(scope)
    is_packed = b"content-encoding" in state.fields and _is_packed(scope["headers"])
    length = state.fields.get(b"content-length", b"")
    if length.isdigit() and int(length[:20]) > limit:
        if state.body is None and b"expect" not in state.fields:
            await _discard(receive)
        raise _too_large(limit)
    body = state.body
    if body is None:
        try:
            with state.work.suspended():
                async with asyncio.timeout(_BODY_SECONDS):
                    body = await _read(receive, limit)
        except TimeoutError:
            raise RequestRefused("The body did not arrive in time.", status=408, code="REQUEST_TIMEOUT") from None
    if len(body) > limit:
        raise _too_large(limit)
    text = _unpack(body, limit) if is_packed else body
    if len(text) > _SMALL_BODY and _has_many_values(text):
        message = f"The body has over {MOST_MARKS} commas and brackets outside of texts, the limit for one of its size."
        raise RequestRefused(message, status=413, code="BODY_TOO_LARGE")
    return text


def _has_many_values(text: bytes) -> bool:
    """A comma or bracket outside of texts brings two texts at most, a name and a value: no more are looked at."""
    if _marks(text) <= MOST_MARKS:
        return False
    rest, texts = _TEXT.subn(b"", text, 2 * MOST_MARKS + 1)
    return texts > 2 * MOST_MARKS or _marks(rest) > MOST_MARKS


def _marks(text: bytes) -> int:
    return sum(map(text.count, (b",", b"[", b"{")))


def refusal_headers(error: RequestRefused) -> Mapping[str, str]:
    """The headers of an answer to a body that `read_body` refuses."""
    if isinstance(error, UnsupportedEncoding):
        return {"accept-encoding": error.accepted}
    # The rest of the body is not worth reading.
    return {"connection": "close"} if error.http_status in (408, 413) else {}


async def _read(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestRefused("The caller hung up.")
        body += message.get("body", b"")
        if len(body) > limit:
            if message.get("more_body", False):
                await _discard(receive)
            raise _too_large(limit)
        if not message.get("more_body", False):
            return bytes(body)


async def _discard(receive: Receive) -> None:
    """Reads on for a while: a connection that is closed over unread bytes is reset, and its client learns nothing."""
    left = _DISCARDED_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def _too_large(limit: int) -> RequestRefused:
    return RequestRefused(f"The body has over {limit} bytes, which is the limit.", status=413, code="BODY_TOO_LARGE")


def _is_packed(headers: list[tuple[bytes, bytes]]) -> bool:
    """Raises `UnsupportedEncoding`. A header without a value says nothing, and neither does `identity`."""
    values = b",".join([value for name, value in headers if name == b"content-encoding"]).decode("latin-1")
    codings = [coding for text in values.split(",") if (coding := text.strip().lower()) not in ("", "identity")]
    if len(codings) > 1 or not _GZIP_NAMES.issuperset(codings):
        raise UnsupportedEncoding
    return bool(codings)


def _unpack(body: bytes, limit: int) -> bytes:
    """Unpacks one byte over `limit` at most, however small the body is that would come to gigabytes.

    One member is all there may be: each costs the same to begin, and thousands of empty ones fit into a small body.
    """
    unpacking: Any = zlib.decompressobj(_GZIP)
    try:
        text: bytes = unpacking.decompress(body, limit + 1)
    except zlib.error:
        raise RequestRefused("The body is not gzip, as its Content-Encoding says.") from None
    if len(text) > limit:
        raise _too_large(limit)
    if not unpacking.eof:
        raise RequestRefused("The body ends before its gzip data do.")
    if unpacking.unused_data:
        raise RequestRefused("The body goes on after the end of its gzip data.")
    return text
