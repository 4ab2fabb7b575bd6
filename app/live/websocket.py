"""GraphQL over a WebSocket: https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md

The close codes are those of the protocol. Clients of `graphql-ws` come back after 4403, with a fresh credential, and
after 1012 and 1013; after the others they give up.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import aclosing, suppress
from types import NoneType
from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.utils import ClientDisconnected

from app.auth import storefront_key
from app.documents.refusal import PersistedQueryNotSupported
from app.errors import Overloaded, RequestRefused, ServiceUnavailable, quotable
from app.execution.errors import log_defect
from app.execution.execute import refuse
from app.http.address import peer_address
from app.http.graphql import GraphQLEndpoint, GraphQLRequest
from app.http.reply import dump
from app.http.state import new_id
from app.live.operation import Operations
from app.live.session import Ending, Headers, Session
from app.live.subscription import Refused
from app.telemetry import log_facts

logger = logging.getLogger("waybill.live")

PROTOCOL = "graphql-transport-ws"

INIT_SECONDS = 5.0
_LONGEST_ID = 200
_LONGEST_REASON = 100
_TOO_MANY = {"code": Overloaded.code}
# What a client may tell of itself when it begins, by the names of headers; a browser can give no headers.
_CREDENTIALS = ("authorization", "apikey", storefront_key.HEADER)

BAD_REQUEST = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
NOT_ACCEPTABLE = 4406
INIT_TIMEOUT = 4408
ALREADY_EXISTS = 4409
TOO_MANY_INITS = 4429
INTERNAL_ERROR = 4500
RESTART = 1012
TRY_AGAIN_LATER = 1013

OTHER = "other"
# The codes that the metrics know. 1000 and 1001 are clients that left, 1005 and 1006 those that said nothing.
CODES = (
    *("1000", "1001", "1005", "1006", "1007", "1008", "1009", "1012", "1013"),
    *("4400", "4401", "4403", "4406", "4408", "4409", "4429", "4500", OTHER),
)


class Closed(Exception):
    """The connection ends with a code and a reason of at most 123 bytes."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class WebSocketEndpoint:
    """An ASGI application: one path. `origins` are those whose pages may connect, beside the service's own."""

    def __init__(
        self, endpoint: GraphQLEndpoint, operations: Operations, *, origins: frozenset[bytes], most_operations: int
    ) -> None:
        self.endpoint = endpoint
        self.operations = operations
        self.most_operations = most_operations
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # that it wants to connect
        fields = dict(scope["headers"])
        origin = fields.get(b"origin")
        if origin is not None and origin not in self._origins and not _is_own(origin, fields.get(b"host", b"")):
            await send({"type": "websocket.close"})  # which is answered with 403
            return
        await Connection(self, scope, receive, send).serve()


def _is_own(origin: bytes, host: bytes) -> bool:
    """Whether a page comes from this very host."""
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


class Connection:
    """One socket. Its operations are told apart by the ids that its client gives them."""

    def __init__(self, endpoint: WebSocketEndpoint, scope: Scope, receive: Receive, send: Send) -> None:
        self._endpoint = endpoint
        self._scope = scope
        self._receive = receive
        self._send_message = send
        self._session: Session | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._code = 0  # by which it was closed

    async def serve(self) -> None:
        started = time.perf_counter()
        try:
            await self._accept()
            await self._talk()
        except Closed as closed:
            await self._close(closed.code, closed.reason)
        except Exception as error:
            request_id = new_id().decode()
            log_defect(error, request_id, path=self._scope["path"])
            await self._close(INTERNAL_ERROR, f"Internal server error, request {request_id}")
        finally:
            for task in self._running.values():
                task.cancel()
            facts = {
                "path": self._scope["path"],
                "code": self._code,
                "ms": round((time.perf_counter() - started) * 1000, 1),
            }
            log_facts(logger, "socket", facts)
            code = str(self._code)
            self._endpoint.operations.subscriptions.sessions.closes[code if code in CODES else OTHER] += 1

    async def _accept(self) -> None:
        if PROTOCOL not in self._scope["subprotocols"]:
            await self._send_message({"type": "websocket.accept"})
            raise Closed(NOT_ACCEPTABLE, "Subprotocol not acceptable")
        await self._send_message({"type": "websocket.accept", "subprotocol": PROTOCOL})

    async def _talk(self) -> None:
        """Until the client leaves. Raises `Closed`."""
        try:
            async with asyncio.timeout(INIT_SECONDS):
                while self._session is None:
                    message = await self._next()
                    if message is None:
                        return
                    await self._handle_before_init(message)
        except TimeoutError:
            raise Closed(INIT_TIMEOUT, "Connection initialisation timeout") from None
        session = self._session
        session.on_end = self._end
        with self._endpoint.operations.subscriptions.sessions.kept(session):
            await self._send(b'{"type":"connection_ack"}')
            while (message := await self._next()) is not None:
                await self._handle(message)

    async def _next(self) -> dict[str, Any] | None:
        """The next message; None where the connection is lost or closed. Raises `Closed`."""
        received = await self._receive()
        if received["type"] == "websocket.disconnect":
            self._code = self._code or received.get("code", 0)
            return None
        try:
            message = orjson.loads(received.get("text") or received.get("bytes") or b"")
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise Closed(BAD_REQUEST, "A message must be a JSON object with a type")
        return message

    async def _handle_before_init(self, message: dict[str, Any]) -> None:
        if message["type"] == "connection_init":
            self._session = await self._begin(message.get("payload"))
        elif message["type"] == "subscribe":
            raise Closed(UNAUTHORIZED, "Unauthorized")
        else:
            await self._handle_any(message)

    async def _handle(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "subscribe":
            await self._subscribe(message)
        elif kind == "complete":
            task = self._running.pop(str(message.get("id")), None)
            if task is not None:
                task.cancel()
        elif kind == "connection_init":
            raise Closed(TOO_MANY_INITS, "Too many initialisation requests")
        else:
            await self._handle_any(message)

    async def _handle_any(self, message: dict[str, Any]) -> None:
        if message["type"] == "ping":
            payload = message.get("payload")
            await self._send(dump({"type": "pong"} if payload is None else {"type": "pong", "payload": payload}))
        elif message["type"] != "pong":
            raise Closed(BAD_REQUEST, f"Unknown message type {quotable(message['type'])[:60]!a}")

    async def _begin(self, payload: Any) -> Session:
        """The session of the credentials of the payload, or of the upgrade's headers. Raises `Closed`."""
        if not isinstance(payload, (dict, NoneType)):
            raise Closed(BAD_REQUEST, "The payload of connection_init must be an object")
        session = Session(
            _with_credentials(self._scope["headers"], payload or {}), "websocket", peer_address(self._scope)
        )
        sessions = self._endpoint.operations.subscriptions.sessions
        try:
            await sessions.look_up(session)
        except ServiceUnavailable as error:
            raise Closed(TRY_AGAIN_LATER, error.message) from None
        if session.refused is not None or session.storefront.refusal is not None:
            raise Closed(FORBIDDEN, "Forbidden")
        if not sessions.has_room(session):
            raise Closed(TRY_AGAIN_LATER, "There are too many connections")
        return session

    async def _subscribe(self, message: dict[str, Any]) -> None:
        id_ = message.get("id")
        if not isinstance(id_, str) or not 1 <= len(id_) <= _LONGEST_ID:
            raise Closed(BAD_REQUEST, f"The id of subscribe must be a text of 1 to {_LONGEST_ID} characters")
        if id_ in self._running:
            raise Closed(ALREADY_EXISTS, f"Subscriber for {quotable(id_)[:60]!a} already exists")
        try:
            request = GraphQLRequest.of(message.get("payload"))
        except RequestRefused as error:
            raise Closed(BAD_REQUEST, error.message[:_LONGEST_REASON]) from None
        except PersistedQueryNotSupported as error:
            answer = refuse(error, new_id().decode())
            await self._send(_message(id_, b"error", dump(answer.body["errors"])))
            return
        if len(self._running) >= self._endpoint.most_operations:
            errors = [{"message": "There are too many operations on this connection.", "extensions": _TOO_MANY}]
            await self._send(_message(id_, b"error", dump(errors)))
            return
        self._running[id_] = asyncio.create_task(self._run(id_, request))

    async def _run(self, id_: str, request: GraphQLRequest) -> None:
        assert self._session is not None  # noqa: S101  it has begun
        answers = self._endpoint.operations.answers(self._endpoint.endpoint, request, self._session, self._scope)
        last: bytes | None = None
        try:
            async with aclosing(answers):
                async for each in answers:
                    await self._send(_message(id_, b"next", each.text))
                    del each  # the next may be long in coming
        except Refused as refused:
            last = _message(id_, b"error", dump(refused.answer.body["errors"]))
        if self._session.ending is None:
            self._running.pop(id_, None)
            await self._send(last or _message(id_, b"complete"))

    def _end(self) -> None:
        """Closes it from outside of its own tasks; these learn it by the next message."""
        assert self._session is not None  # noqa: S101  which ends
        if self._session.ending is Ending.STOPPED:
            closing = self._close(RESTART, "Service restart")
        else:
            closing = self._close(FORBIDDEN, "Forbidden")
        task = asyncio.ensure_future(closing)
        _CLOSING.add(task)
        task.add_done_callback(_CLOSING.discard)

    async def _send(self, text: bytes) -> None:
        if not self._code:
            with suppress(ClientDisconnected):  # which is learned by the next message
                await self._send_message({"type": "websocket.send", "text": text.decode()})

    async def _close(self, code: int, reason: str) -> None:
        if not self._code:
            self._code = code
            with suppress(ClientDisconnected):
                await self._send_message({"type": "websocket.close", "code": code, "reason": reason})


# Tasks that nobody else holds.
_CLOSING: set[asyncio.Future[None]] = set()


def _message(id_: str, kind: bytes, payload: bytes | None = None) -> bytes:
    if payload is None:
        return b'{"id":%b,"type":"%b"}' % (dump(id_), kind)
    return b'{"id":%b,"type":"%b","payload":%b}' % (dump(id_), kind, payload)


def _with_credentials(headers: Headers, payload: Mapping[str, Any]) -> Headers:
    """The headers, with the credentials of a payload in the place of theirs."""
    nested = payload.get("headers")
    given = {**(nested if isinstance(nested, dict) else {}), **payload}
    told = {
        name.lower().encode(): value.encode("latin-1", "replace")
        for name, value in given.items()
        if name.lower() in _CREDENTIALS and isinstance(value, str)
    }
    return [(name, value) for name, value in headers if name not in told] + list(told.items())
