"""Streams that a caller reserves: a token stands for the credentials, for clients that can send none with a stream.

`PUT` gives a token. With it, `GET` with a query is a stream of its own, which a browser's EventSource can open; `GET`
without one is a stream of many operations, which are begun by `POST` and ended by `DELETE`: the single connection mode
of https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md.
"""

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import parse_qs

from graphql import OperationType
from starlette.types import Receive, Scope

from app.documents.registry import Identity
from app.errors import Overloaded, RequestRefused
from app.execution.document import RequestErrors
from app.execution.execute import refuse
from app.http.address import peer_address
from app.http.body import read_body
from app.http.graphql import MOST_PARAMETERS, GraphQLEndpoint, GraphQLRequest, Streams, names_document
from app.http.negotiation import accepts_events, accepts_parts
from app.http.reply import Reply, dump, reply
from app.http.state import State
from app.live.operation import Operations
from app.live.relay import no_such_stream, pass_on
from app.live.session import Ending, Session
from app.live.stream import Events, HTTPStream, Parts, StreamReply, Write, over
from app.live.subscription import Refused
from app.settings import Worker

_HEADER = b"x-graphql-event-stream-token"
_TOKEN_BYTES = 24
# How long a token is good while no stream is open, and how many there are.
SECONDS = 60.0
_MOST = 10_000
_LONGEST_ID = 200
# Behind the number of a worker. No sign of a token made here.
_OF_WORKER = "."
_LONGEST_NUMBER = 4


@dataclass
class Reservation:
    """`operations` are those that run on the stream that is open, by the ids that their caller chose."""

    session: Session
    until: float
    write: Write | None = None
    streams: int = 0
    operations: dict[str, asyncio.Task[None]] = field(default_factory=dict)


class Reservations(Streams):
    """The streams of GraphQL over HTTP, and the tokens of one process.

    A token of a `worker` begins with its number, by which its siblings know whom to ask.
    """

    def __init__(
        self, operations: Operations, *, most_operations: int, body_bytes: int, worker: Worker | None = None
    ) -> None:
        self._worker = worker
        self._body_bytes = body_bytes
        self._operations = operations
        self._most_operations = most_operations
        self._events = HTTPStream(Events(), operations.subscriptions)
        self._parts = HTTPStream(Parts(), operations.subscriptions)
        self._reserved: dict[str, Reservation] = {}

    def accepted(self, accept: str) -> HTTPStream | None:
        if accepts_events(accept):
            return self._events
        return self._parts if accepts_parts(accept) else None

    def concerns(self, scope: Scope, state: State) -> bool:
        return scope["method"] == "PUT" or _HEADER in state.fields or b"token=" in scope["query_string"]

    async def attend(self, scope: Scope, state: State, receive: Receive, endpoint: GraphQLEndpoint) -> Reply | None:
        method: str = scope["method"]
        if method == "PUT":
            return await self._reserve(scope)
        token = _token_of(scope, state)
        if token is None:
            return None
        if holder := self._holder_of(token):
            body = await read_body(scope, receive, self._body_bytes) if method == "POST" else b""
            return await pass_on(holder, scope, state, body)
        reservation = self._reserved.get(token)
        if reservation is None or self._is_over(reservation):
            raise no_such_stream()
        if method == "DELETE":
            return _end(reservation, scope)
        if method == "POST":
            return await self._begin(reservation, scope, state, receive, endpoint)
        if method != "GET":
            return None
        if names_document(scope["query_string"]):
            return await self._follow(reservation, scope, state, receive, endpoint)
        return await self._open(reservation, scope)

    async def _reserve(self, scope: Scope) -> Reply:
        session = Session(scope["headers"], Events.transport, peer_address(scope))
        sessions = self._operations.subscriptions.sessions
        await sessions.look_up(session)
        if session.viewer is None:
            error = over()
            return reply({"errors": [error]}, 401)
        for token in [token for token, reservation in self._reserved.items() if self._is_over(reservation)]:
            del self._reserved[token]
        if len(self._reserved) >= _MOST or not sessions.has_room(session):
            raise Overloaded("There are too many streams.")
        prefix = f"{self._worker.number}{_OF_WORKER}" if self._worker else ""
        token = prefix + secrets.token_urlsafe(_TOKEN_BYTES)
        self._reserved[token] = Reservation(session, time.monotonic() + SECONDS)
        body = token.encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        return Reply(body, 201, headers)

    def _holder_of(self, token: str) -> Worker | None:
        """The sibling that may know a token; None where it would be known here."""
        number, is_of_worker, _ = token.partition(_OF_WORKER)
        if self._worker is None or not (is_of_worker and number.isascii() and number.isdecimal()):
            return None
        if len(number) > _LONGEST_NUMBER or int(number) == self._worker.number:
            return None
        return replace(self._worker, number=int(number))

    def _is_over(self, reservation: Reservation) -> bool:
        return reservation.session.ending is not None or (
            not reservation.streams and time.monotonic() > reservation.until
        )

    async def _follow(
        self, reservation: Reservation, scope: Scope, state: State, receive: Receive, endpoint: GraphQLEndpoint
    ) -> Reply:
        """A stream of its own. The token proves as much as a header that no page of another origin may send."""
        request = await endpoint.read(scope, state, receive, is_proven=True)
        session = Session(reservation.session.headers, Events.transport, peer_address(scope))
        await self._operations.subscriptions.sessions.look_up(session)
        state.storefront, state.identity = session.storefront, Identity(session.viewer, session.refused)
        try:
            operation = await endpoint.prepare(request, scope, state, "GET")
            if operation.kind is OperationType.SUBSCRIPTION and endpoint.is_validated(state):
                return self._events.whole(await endpoint.run(request, operation, scope, state))
        except RequestErrors as errors:
            return self._events.whole(refuse(errors, state.request_id))
        if operation.kind is not OperationType.SUBSCRIPTION:
            raise RequestRefused("A token stands for the credentials of subscriptions alone.")
        return await self._events.follow_as(session, request, operation, state, partial(_streaming, reservation))

    async def _open(self, reservation: Reservation, scope: Scope) -> Reply:
        """The one stream of many operations."""
        if reservation.write is not None:
            raise RequestRefused("This stream is open already.", status=409, code="CONFLICT")
        session, sessions = reservation.session, self._operations.subscriptions.sessions
        here = Session(session.headers, Events.transport, peer_address(scope))
        await sessions.look_up(here)
        if here.viewer is None:
            return reply({"errors": [over()]}, 401)

        async def produce(write: Write) -> None:
            is_over = asyncio.Event()
            session.on_end = is_over.set
            reservation.write = write
            try:
                with _streaming(reservation), sessions.kept(session):
                    await is_over.wait()
                    if session.ending is Ending.REVOKED:
                        await write(b"event: next\ndata: %b\n\n" % dump({"id": "", "payload": {"errors": [over()]}}))
            finally:
                reservation.write = None
                for task in list(reservation.operations.values()):
                    task.cancel()

        return StreamReply(self._events.form, produce)

    async def _begin(
        self, reservation: Reservation, scope: Scope, state: State, receive: Receive, endpoint: GraphQLEndpoint
    ) -> Reply:
        request = await endpoint.read(scope, state, receive)
        id_ = request.extensions.get("operationId")
        if not isinstance(id_, str) or not 1 <= len(id_) <= _LONGEST_ID:
            raise RequestRefused(f'"extensions.operationId" must be a text of 1 to {_LONGEST_ID} characters.')
        if reservation.write is None:
            raise RequestRefused("The stream is not open.", status=409, code="CONFLICT")
        if id_ in reservation.operations:
            raise RequestRefused("An operation of this id is running.", status=409, code="CONFLICT")
        if len(reservation.operations) >= self._most_operations:
            raise Overloaded("There are too many operations on this stream.")
        task = asyncio.create_task(self._run(reservation, reservation.write, id_, request, scope, endpoint))
        reservation.operations[id_] = task
        task.add_done_callback(lambda _task: reservation.operations.pop(id_, None))
        return Reply(b"", 202, [(b"content-length", b"0")])

    async def _run(
        self,
        reservation: Reservation,
        write: Write,
        id_: str,
        request: GraphQLRequest,
        scope: Scope,
        endpoint: GraphQLEndpoint,
    ) -> None:
        id_text = dump(id_)
        try:
            async with aclosing(self._operations.answers(endpoint, request, reservation.session, scope)) as answers:
                async for each in answers:
                    await write(_of(id_text, each.text))
        except Refused as refused:
            await write(_of(id_text, dump(refused.answer.body)))
        await write(b'event: complete\ndata: {"id":%b}\n\n' % id_text)


def _of(id_text: bytes, text: bytes) -> bytes:
    return b'event: next\ndata: {"id":%b,"payload":%b}\n\n' % (id_text, text)


@contextmanager
def _streaming(reservation: Reservation) -> Iterator[None]:
    reservation.streams += 1
    try:
        yield
    finally:
        reservation.streams -= 1
        reservation.until = time.monotonic() + SECONDS


def _end(reservation: Reservation, scope: Scope) -> Reply:
    [id_] = parse_qs(scope["query_string"].decode("latin-1")).get("operationId", [""])[:1]
    task = reservation.operations.get(id_)
    if task is None:
        raise RequestRefused("No operation of this id is running.", status=404, code="NOT_FOUND")
    task.cancel()
    return Reply(b"", 200, [(b"content-length", b"0")])


def _token_of(scope: Scope, state: State) -> str | None:
    if _HEADER in state.fields:
        return state.fields[_HEADER].decode("latin-1")
    try:
        parameters = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=MOST_PARAMETERS)
    except ValueError:  # there are more
        return None
    return next(iter(parameters.get("token", ())), None)
