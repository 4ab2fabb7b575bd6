"""The bodies that HTTP itself answers with: JSON, and errors in the shape of GraphQL's."""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.errors import RequestRefused, ServiceUnavailable, WaybillError

# Weak or not: who compares for a GET does not tell them apart (RFC 9110, 13.1.2).
_TAG = re.compile(r'"[^"]*"')


class Reply(Response):
    """An answer whose headers are known: Starlette would look for each of them among those it is given."""

    def __init__(self, body: bytes, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.body = body
        self.status_code = status
        self.raw_headers = headers
        self.background = None

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """All there is to do for an answer that is whole, without tasks behind it, and to no socket."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


class Answering(ABC):
    """An ASGI application that has its answer whole before it sends it.

    A server that can write it at once asks for the answer, and spares itself and the application the messages of ASGI.
    """

    @abstractmethod
    async def answer(self, scope: Scope, receive: Receive) -> Reply: ...

    def at_once(self, _scope: Scope) -> Reply | None:
        """The answer to a request for which nothing is to be done, None for all others."""
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (await self.answer(scope, receive))(scope, receive, send)


def dump(body: Any) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # a whole number over 64 bits, which only a free-form scalar can hold
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()


def reply(
    body: Any, status: int = 200, media_type: str = "application/json", headers: Mapping[str, str] | None = None
) -> Reply:
    return reply_bytes(dump(body), status, media_type, headers)


def reply_bytes(
    body: bytes, status: int = 200, media_type: str = "application/json", headers: Mapping[str, str] | None = None
) -> Reply:
    """`body` is JSON already."""
    raw = [_content_type(media_type), (b"content-length", b"%d" % len(body))]
    if headers:
        raw += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return Reply(body, status, raw)


@cache
def _content_type(media_type: str) -> tuple[bytes, bytes]:
    return b"content-type", f"{media_type}; charset=utf-8".encode("latin-1")


def tagged(body: bytes, media_type: str, known: bytes | None, headers: Mapping[str, str]) -> Reply:
    """JSON with an entity tag, or nothing but the tag where the caller has it: `known` is its If-None-Match."""
    tag = f'"{hashlib.blake2b(body, digest_size=16, key=media_type.encode()).hexdigest()}"'
    if known is not None and tag in _TAG.findall(known.decode("latin-1")):
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        return Reply(b"", 304, [*raw, (b"etag", tag.encode())])
    return reply_bytes(body, 200, media_type, {**headers, "etag": tag})


def unavailable(error: ServiceUnavailable, body: Mapping[str, Any] | None = None) -> Reply:
    """The answer to a request that failed whole; `body` says it in the words of its protocol, GraphQL's if left out."""
    if body is None:
        body = {"errors": [{"message": error.message, "extensions": error.extensions}]}
    return reply(body, error.status, headers=retry_after(error))


def retry_after(error: WaybillError) -> dict[str, str]:
    """The header that says when to send again what failed for lack of the database or of time."""
    if not isinstance(error, ServiceUnavailable) or error.retry_after is None:
        return {}
    return {"retry-after": str(error.retry_after)}


def refusal(error: RequestRefused, headers: Mapping[str, str] | None = None) -> Reply:
    """The answer to a request that HTTP refuses, before GraphQL has seen it."""
    errors = [{"message": error.message, "extensions": error.extensions}]
    return reply({"errors": errors}, error.http_status, headers=headers)
