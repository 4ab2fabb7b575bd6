"""Which pages of other origins may call the service from a browser: https://fetch.spec.whatwg.org/#http-cors-protocol

Origins are named in the settings, none by default, and each is compared whole. Their pages may send credentials, so
nothing here is a wildcard. Starlette's middleware tells some of this to origins that it does not allow, and has no part
in an answer that is sent whole.
"""

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth import storefront_key
from app.http.mutation import HEADER as IDEMPOTENCY_HEADER
from app.http.mutation import REPLAYED
from app.http.reply import Answering, Reply
from app.http.state import state_of
from app.postgres.consistency import HEADER as CONSISTENCY_HEADER

METHODS = ("GET", "POST", "PUT", "DELETE")
# What the clients of `README.md` send, beside what a browser permits anyway.
ALLOWED_HEADERS = (
    "accept",
    "apikey",
    "apollo-require-preflight",
    "apollographql-client-name",
    "apollographql-client-version",
    "authorization",
    "baggage",
    "cache-control",
    "content-encoding",
    "content-type",
    "graphql-cost",
    "graphql-require-preflight",
    IDEMPOTENCY_HEADER.lower(),
    "if-none-match",
    "last-event-id",
    "prefer",
    "traceparent",
    "tracestate",
    CONSISTENCY_HEADER.lower(),
    "x-apollo-operation-id",
    "x-apollo-operation-name",
    "x-client-id",
    "x-graphql-event-stream-token",
    "x-request-id",
    "x-requested-with",
    storefront_key.HEADER,
)
# What a page may read of an answer, beside the few headers that it always may.
EXPOSED_HEADERS = (
    "accept-encoding",
    "accept-post",
    "allow",
    "content-disposition",
    "etag",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    *REPLAYED,
    CONSISTENCY_HEADER.lower(),
    "x-changes-cursor",
    "x-page",
    "x-per-page",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
    "x-total-count",
    "x-total-pages",
)
# Chromium keeps an answer to a preflight for two hours and no longer.
MAX_AGE_SECONDS = 7_200

_CREDENTIALS = (b"access-control-allow-credentials", b"true")
_VARY = (b"vary", b"Origin")
_EXPOSED = (b"access-control-expose-headers", ", ".join(EXPOSED_HEADERS).encode())
_PREFLIGHT = [
    (b"access-control-allow-methods", ", ".join(METHODS).encode()),
    (b"access-control-allow-headers", ", ".join(ALLOWED_HEADERS).encode()),
    (b"access-control-max-age", b"%d" % MAX_AGE_SECONDS),
]


class Origins:
    """The origins whose pages may call, as browsers write them: `https://shop.example.org`.

    `closed` are paths that they may not call all the same.
    """

    def __init__(self, allowed: Collection[str], closed: Collection[str] = ()) -> None:
        self._allowed = frozenset(origin.encode() for origin in allowed)
        self._closed = frozenset(closed)

    def admit(self, scope: Scope) -> Reply | None:
        """The answer to a preflight that is granted, None for all else.

        What a browser must find in the answer is in the state of the request then. Nothing of it is there for
        an origin that is not allowed: the browser keeps the answer from its page.
        """
        if scope["path"] in self._closed:
            return None
        state = state_of(scope)
        fields, headers = state.fields, state.answer_headers
        headers.append(_VARY)  # on every answer, or a cache would give one origin's to another
        origin = fields.get(b"origin")
        if origin not in self._allowed:
            return None
        headers += [(b"access-control-allow-origin", origin), _CREDENTIALS]
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in fields:
            return Reply(b"", 204, list(_PREFLIGHT))
        headers.append(_EXPOSED)
        return None


class CrossOrigin:
    """An ASGI application that browsers may call from the pages of `origins`. It stands behind `Exchange`."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self.app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        preflight = self._origins.admit(scope) if scope["type"] == "http" else None
        await (preflight or self.app)(scope, receive, send)


class WholeCrossOrigin(Answering):
    """The same for what has its answer whole. It stands behind `WholeExchange`."""

    def __init__(self, app: Answering, origins: Origins) -> None:
        self.app = app
        self._origins = origins

    async def answer(self, scope: Scope, receive: Receive) -> Reply:
        return self._origins.admit(scope) or await self.app.answer(scope, receive)

    def at_once(self, scope: Scope) -> Reply | None:
        reply = self.app.at_once(scope)
        return None if reply is None else self._origins.admit(scope) or reply
