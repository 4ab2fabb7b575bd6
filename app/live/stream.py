"""Answers that go on over HTTP: server-sent events, or the parts of one body.

Events are those of https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md, in both of its modes. The `id` of
an event is the cursor to go on from, so a browser's own EventSource resumes by itself. Parts are Apollo's:
https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, aclosing, nullcontext

from starlette.types import Receive, Scope, Send

from app.errors import NotAuthenticated, Overloaded
from app.execution.document import Operation
from app.execution.execute import Answer
from app.http.address import peer_address
from app.http.graphql import GraphQLRequest, Stream
from app.http.reply import Reply, dump
from app.http.state import State
from app.live.operation import text_of
from app.live.session import Ending, Session
from app.live.subscription import Refused, Subscriptions
from app.resolvers.feed import cursor_at

# Proxies end connections on which nothing comes, most of them after a minute.
_BEAT_SECONDS = 12.0
# Who does not read for so long has gone, or should come back.
_STALL_SECONDS = 30.0

_LAST_EVENT_ID = b"last-event-id"

Write = Callable[[bytes], Awaitable[None]]


class Form(ABC):
    """How answers are written one after the other. `begin` is written first, `beat` where nothing else is for long."""

    transport: str
    media_type: bytes
    begin = b""
    beat: bytes
    end: bytes

    @abstractmethod
    def answer(self, text: bytes, cursor: str = "", /) -> bytes:
        """`text` is JSON without line breaks."""

    @abstractmethod
    def last(self, errors: bytes) -> bytes:
        """The errors, as a JSON array, that a stream ends with."""


class Events(Form):
    transport = "events"
    media_type = b"text/event-stream; charset=utf-8"
    begin = beat = b":\n\n"  # a comment
    end = b"event: complete\ndata:\n\n"

    def answer(self, text: bytes, cursor: str = "", /) -> bytes:
        id_ = b"id: %b\n" % cursor.encode() if cursor else b""
        return b"event: next\n%bdata: %b\n\n" % (id_, text)

    def last(self, errors: bytes) -> bytes:
        return self.answer(b'{"errors":%b}' % errors) + self.end


class Parts(Form):
    """A part is whole for its reader when the boundary behind it has come."""

    transport = "parts"
    media_type = b'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"'
    _part = b"\r\nContent-Type: application/json\r\n\r\n%b\r\n--graphql"
    begin = b"\r\n--graphql"
    beat = _part % b"{}"
    end = b"--\r\n"

    def answer(self, text: bytes, _cursor: str = "", /) -> bytes:
        return self._part % (b'{"payload":%b}' % text)

    def last(self, errors: bytes) -> bytes:
        return self._part % (b'{"payload":null,"errors":%b}' % errors) + self.end


class StreamReply(Reply):
    """An answer that goes on until `produce` returns, its caller leaves, or does not read what was sent."""

    def __init__(self, form: Form, produce: Callable[[Write], Awaitable[None]]) -> None:
        headers = [(b"content-type", form.media_type), (b"vary", b"Accept"), (b"x-accel-buffering", b"no")]
        super().__init__(b"", 200, headers)
        self.form = form
        self._produce = produce

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        loop = asyncio.get_running_loop()
        written = loop.time()

        async def write(text: bytes) -> None:
            nonlocal written
            written = loop.time()
            async with asyncio.timeout(_STALL_SECONDS):
                await send({"type": "http.response.body", "body": text, "more_body": True})

        async def beat() -> None:
            while True:
                await asyncio.sleep(_BEAT_SECONDS)
                if loop.time() - written >= _BEAT_SECONDS:
                    await write(self.form.beat)

        await write(self.form.begin)
        tasks = [asyncio.ensure_future(work) for work in (self._produce(write), beat(), left(receive))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        if outcomes[0] is None:
            await send({"type": "http.response.body", "body": b""})


async def left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class HTTPStream(Stream):
    """Streams of one `form`."""

    def __init__(self, form: Form, subscriptions: Subscriptions) -> None:
        self.form = form
        self._subscriptions = subscriptions

    def whole(self, answer: Answer) -> Reply:
        async def produce(write: Write) -> None:
            await write(self.form.answer(text_of(answer)) + self.form.end)

        return StreamReply(self.form, produce)

    async def follow(self, request: GraphQLRequest, operation: Operation, scope: Scope, state: State) -> Reply:
        session = Session(scope["headers"], self.form.transport, peer_address(scope))
        await self._subscriptions.sessions.look_up(session)
        return await self.follow_as(session, request, operation, state)

    async def now(self) -> str:
        """The cursor of whoever knows all that is committed by now. Raises `ServiceUnavailable`."""
        return cursor_at(await self._subscriptions.hub.newest())

    async def follow_as(
        self,
        session: Session,
        request: GraphQLRequest,
        operation: Operation,
        state: State,
        within: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Reply:
        """The stream of a subscription for the viewer of a session that was looked up, `within` a block."""
        form, sessions = self.form, self._subscriptions.sessions
        if not sessions.has_room(session):
            raise Overloaded("There are too many streams.")
        last_event_id = state.fields.get(_LAST_EVENT_ID, b"").decode("latin-1") or None
        try:
            subscription = await self._subscriptions.open(request, operation, session, state, last_event_id)
        except Refused as refused:
            return self.whole(refused.answer)

        async def produce(write: Write) -> None:
            with within(), sessions.kept(session):
                try:
                    async with aclosing(subscription.news()) as news:
                        async for each in news:
                            await write(form.answer(each.text, each.cursor))
                except Refused as refused:
                    await write(form.last(dump(refused.answer.body["errors"])))
                # A service that stops ends the body alone: whoever reads it will come back.
                if session.ending is Ending.REVOKED:
                    await write(form.last(dump([over()])))

        return StreamReply(form, produce)


def over() -> dict[str, object]:
    """The error of a session that is over."""
    error = NotAuthenticated()
    return {"message": error.message, "extensions": error.extensions}
