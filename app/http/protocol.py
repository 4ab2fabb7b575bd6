"""HTTP/1.1 as uvicorn speaks it, with bounds for what a stranger may send, and less work for an ordinary request.

Ordinary is nearly every one: HTTP/1.1, kept alive, alone on its connection, answered by one body whose length was told.
Whatever else a request or its answer is, the code that sees to it is uvicorn's own.

A head is counted while it comes, and has to come in time; what frames a body is counted too. What breaks a rule of
HTTP, or a bound, is refused in the shape of every other refusal, after all that was asked before it on the connection
is answered.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent, HTTPResponseStartEvent, HTTPScope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from app.errors import RequestRefused
from app.http.address import network
from app.http.deadline import EXTENSION
from app.http.middleware import refuse_unread
from app.http.reply import Answering, Reply
from app.http.state import BODY, STATE, TASK, State

Find = Callable[[HTTPScope], Answering | None]
AtOnce = Callable[[HTTPScope], Reply | None]

# Callers choose their URLs: a long one is not worth the memory.
_REMEMBERED_URL_BYTES = 256

# Headers by which uvicorn frames an answer in other ways than by its length.
_FRAMING = frozenset((b"connection", b"transfer-encoding"))
# After a refusal what still comes is read and thrown away for a while: a connection that is closed over unread bytes is
# reset, and its client may never read the answer.
_LINGER_SECONDS = 2.0
# Who reads nothing of an answer for so long has gone. It is what one may read slowly that is not bounded.
_STALL_SECONDS = 10.0
_LINGER_BYTES = 4 << 20
# Requests that wait on one connection for the answer of another.
_MOST_PIPELINED = 100
# A body in chunks of one byte has five bytes around each.
_FRAMING_PER_BODY_BYTE = 8

# A name or an address, empty where there is none to tell, and perhaps a port.
_HOST = re.compile(rb"(?:\[[0-9A-Fa-fvV:.%~!$&'()*+,;=_-]+\]|[0-9A-Za-z._~%!$&'()*+,;=-]*)(?::[0-9]*)?")

_VALUE_BYTES = bytes(byte for byte in range(256) if not HEADER_VALUE_RE.match(bytes([byte])))


@dataclass(frozen=True)
class Bounds:
    """What a connection may ask of this process before anybody knows who is asking. Times are in seconds.

    `head_bytes` are those of the request line and all headers, `head_seconds` the time for them to come, from the first
    moment of a connection or the first byte of a later request. `connections` are those of the process, and
    `address_connections` those of one address (of IPv6, one network) that is not `trusted`, as proxies are.
    """

    head_bytes: int = 65_536
    headers: int = 100
    head_seconds: float = 10
    connections: int = 10_000
    address_connections: int = 1_000
    trusted: Container[str] = ()


class _Trailers(list[tuple[bytes, bytes]]):
    """Takes the place of the headers once they have come: what comes as a header then is none, and is not kept."""

    def append(self, _header: tuple[bytes, bytes]) -> None:
        return


class Protocol(HttpToolsProtocol):
    """What `uvicorn.Config` takes as `http`. See `Cycle` for the one difference that an application may notice.

    An application may have a method `find` that gives, for an ASGI scope, an `Answering` or None. It is asked for those
    requests whose body came with their head: then what answers needs no messages, and has the body in the scope
    (`BODY`), and the task that answers (`TASK`). A method `at_once` gives the answer to those that need no task.
    """

    # When the connection is closed, by the clock of the loop; None while a request is being answered.
    _deadline: float | None = None
    # The request that is being answered, or was last; `cycle` is the one that came last, and may still wait.
    _answered: RequestResponseCycle | None = None
    # A request whose head has come; how much of its body came with it is seen at the end of what came.
    _arriving: "Cycle | None" = None
    # Bytes of the head that is coming, those aside that came with its first; None where none is.
    _head_bytes: int | None = None
    # Bytes of the body that is coming, and of what comes around it.
    _body_bytes = 0
    _framing_bytes = 0
    # An upgrade was asked for, and is not taken; see `_Continuation`.
    _is_upgrade_ignored = False
    # What is to be told once all requests before it are answered. Nothing more is read then.
    _refusal: RequestRefused | None = None
    _discarded_bytes = 0
    # Where it comes from, if that is counted.
    _address: str | None = None
    _reader_watch: asyncio.TimerHandle | None = None
    _arrived = 0  # at a time
    _pipelined_bytes = 0  # since requests wait for the answer of another

    def __init__(self, *arguments: Any, bounds: Bounds | None = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._bounds = bounds or Bounds()
        self._trailers = _Trailers()
        self._is_draining = getattr(self.server_state, "is_draining", False)
        self._addresses: dict[str, int] = getattr(self.server_state, "addresses", {})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {}}
        self._connection_scope = self.scope
        self.headers = self._trailers
        has_extras = self.access_log or self.root_path or self.config.reset_contextvars
        self._is_plain = not (has_extras or self._is_draining) and self.limit_concurrency is None
        self._find: Find | None = getattr(self.app, "find", None)
        self._at_once: AtOnce | None = getattr(self.app, "at_once", None)
        self._deadline = self.loop.time() + self._bounds.head_seconds
        self._look_after(self._bounds.head_seconds)
        if len(self.connections) > self._bounds.connections:
            self._refuse(_overloaded())
        elif self.client is not None and self.client[0] not in self._bounds.trusted:
            self._count_address(self.client[0])

    def _count_address(self, host: str) -> None:
        address = self._address = network(host)
        self._addresses[address] = number = self._addresses.get(address, 0) + 1
        if number > self._bounds.address_connections:
            self._refuse(_too_many_of_address())

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_watching_reader()

    def _watch_reader(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._reader_watch = self.loop.call_later(_STALL_SECONDS, self._look_at_reader, unread)

    def _look_at_reader(self, unread: int) -> None:
        """Who has read nothing of what was written holds memory for nothing."""
        if self.transport.get_write_buffer_size() >= unread:
            self.transport.abort()
        else:
            self._watch_reader()

    def _stop_watching_reader(self) -> None:
        if self._reader_watch is not None:
            self._reader_watch.cancel()
            self._reader_watch = None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_timer()
        self._stop_watching_reader()
        if self._address is not None:
            left = self._addresses[self._address] - 1
            if left:
                self._addresses[self._address] = left
            else:
                del self._addresses[self._address]
        for cycle in (self._answered, *(waiting for waiting, _ in self.pipeline)):
            if cycle is None or cycle.response_complete:
                continue
            cycle.disconnected = True
            cycle.message_event.set()
            state = cycle.scope.get(STATE)
            if isinstance(state, State):
                state.work.leave()
        self.pipeline.clear()

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self.scope = self._connection_scope.copy()
        self.scope["headers"] = self.headers
        self.scope["state"] = self.app_state.copy()

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) >= self._bounds.head_bytes:
            raise _uri_too_long()

    def on_headers_complete(self) -> None:
        parser, previous = self.parser, self.cycle
        method = parser.get_method()
        self._check_head(parser.get_http_version())
        self._head_bytes = self._deadline = None
        self._body_bytes = self._framing_bytes = 0
        if (
            not self._is_plain
            or self.expect_100_continue
            or method == b"HEAD"
            or not (previous is None or previous.response_complete)
            or not parser.should_keep_alive()
            or parser.should_upgrade()
            or parser.get_http_version() != "1.1"
        ):
            self._begin_as_uvicorn_does()
            return
        scope = self.scope
        scope["method"] = method.decode("ascii")
        read_target = _read_target if len(self.url) <= _REMEMBERED_URL_BYTES else _read_target.__wrapped__
        scope["path"], scope["raw_path"], scope["query_string"] = read_target(self.url)
        self.cycle = self._answered = self._arriving = Cycle(self)
        self.headers = self._trailers

    def _check_head(self, version: str) -> None:
        """Raises `RequestRefused` for what the parser takes, and is none of HTTP/1.1, or beyond a bound."""
        headers = self.scope["headers"]
        names = [name for name, _ in headers]
        if len(names) > self._bounds.headers:
            raise _too_many_headers(self._bounds.headers)
        if version not in ("1.1", "1.0"):
            raise _malformed()
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 and (hosts or version == "1.1"):
            raise _bad_host()
        if hosts and not _HOST.fullmatch(hosts[0]):
            raise _bad_host()
        if b"transfer-encoding" in names and any(
            name == b"transfer-encoding" and value.lower() != b"chunked" for name, value in headers
        ):
            raise _not_chunked()
        if self._head_bytes is not None or self._arrived > self._bounds.head_bytes:
            size = len(self.url) + sum(len(name) + len(value) + len(b": \r\n") for name, value in headers)
            if size > self._bounds.head_bytes:
                raise _too_large(self._bounds.head_bytes)

    def _begin_as_uvicorn_does(self) -> None:
        if len(self.pipeline) >= _MOST_PIPELINED:
            raise _too_many_pipelined()
        is_upgrade = self.parser.should_upgrade()
        self._is_upgrade_ignored = is_upgrade and not self._should_upgrade()
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False  # nobody there would know what is meant
        super().on_headers_complete()
        if is_upgrade and not self._is_upgrade_ignored:
            return
        self.headers = self._trailers
        if self._is_draining:
            self.cycle.keep_alive = False

    def _should_upgrade(self) -> bool:
        return self.parser.get_method() == b"GET" and super()._should_upgrade()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            self._discard(data)
            return
        self._arrived = len(data)
        self._pipelined_bytes = self._pipelined_bytes + len(data) if self.pipeline else 0
        coming = self.cycle if self.cycle is not None and self.cycle.more_body else None
        body_bytes = self._body_bytes
        try:
            self._feed(data)
            if self.headers is not self._trailers:
                self._await_head(len(data))
            elif coming is not None and coming is self.cycle:
                self._count_framing(len(data) - (self._body_bytes - body_bytes))
        except httptools.HttpParserError as error:
            self._refuse(_refusal_of(error))
        except RequestRefused as refusal:
            self._refuse(refusal)
        if self.pipeline:
            self._read_on()
        cycle, self._arriving = self._arriving, None
        if cycle is None or self.transport.is_closing():
            return
        if self._at_once is not None and not cycle.more_body:
            reply = self._at_once(cycle.scope)
            if reply is not None and cycle.send_at_once(reply):
                return
        answering = self._find(cycle.scope) if self._find and not cycle.more_body else None
        running = cycle.run_asgi(self.app) if answering is None else cycle.answer(answering)
        cycle.task = self.loop.create_task(running)
        self.tasks.add(cycle.task)

    def _read_on(self) -> None:
        """uvicorn stops reading while requests wait, and so does not notice that their caller leaves."""
        is_room = self._pipelined_bytes <= HIGH_WATER_LIMIT and len(self.pipeline) < _MOST_PIPELINED // 2
        if is_room and self._refusal is None:
            self.flow.resume_reading()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self._is_upgrade_ignored:
                self._stop_timer()
                self.headers = self._trailers
                self.handle_websocket_upgrade()
                return
            self._is_upgrade_ignored = False
            self.parser = _Continuation(self).parser
            self._feed(data[upgrade.args[0] :])

    def _await_head(self, size: int) -> None:
        """Bounds a head that has not come whole. Raises `RequestRefused`."""
        if self._head_bytes is None:
            self._head_bytes = 0
            self._deadline = self.loop.time() + self._bounds.head_seconds
            self._look_after(self._bounds.head_seconds)
            return
        self._head_bytes += size
        if self._head_bytes > self._bounds.head_bytes:
            raise _too_large(self._bounds.head_bytes)

    def _count_framing(self, size: int) -> None:
        """Bounds what comes around a body: sizes and extensions of chunks, and trailers. Raises `RequestRefused`."""
        self._framing_bytes += size
        if self._framing_bytes > self._bounds.head_bytes + _FRAMING_PER_BODY_BYTE * self._body_bytes:
            raise _too_large(self._bounds.head_bytes)

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        self._body_bytes += len(body)
        if cycle.response_complete:
            if self._body_bytes > _LINGER_BYTES:
                self.transport.close()  # nobody wants the body of a request that is answered
        elif isinstance(cycle, Cycle) and cycle.event is None and not cycle.body and len(body) <= HIGH_WATER_LIMIT:
            cycle.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        cycle = self.cycle
        if self._is_upgrade_ignored or cycle is None:
            return  # its body, if any, is still to come; or it goes over to another protocol
        if cycle.response_complete:
            cycle.more_body = False
            self._wait_for_request()
        elif isinstance(cycle, Cycle) and cycle.event is None:
            cycle.more_body = False
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        if self._refusal is not None:
            self._tell_refusal()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        if self.headers is self._trailers:  # or the head of the next request has begun to come
            self._wait_for_request()

    def _wait_for_request(self) -> None:
        """As long as connections are kept alive; for the rest of a body that nobody reads, as long as for a head."""
        seconds: float = self._bounds.head_seconds if self.cycle.more_body else self.timeout_keep_alive
        self._deadline = self.loop.time() + seconds
        if self.timeout_keep_alive_task is None or self._looks_at > self._deadline:
            self._look_after(seconds)

    def _unset_keepalive_if_required(self) -> None:
        """uvicorn says so of everything that arrives, and would start a timer for every request. Ours runs on."""

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._deadline is None:
            return
        remaining = self._deadline - self.loop.time()
        if remaining > 0:
            self._look_after(remaining)
        elif self.headers is self._trailers or self._refusal is not None:
            super().timeout_keep_alive_handler()
            if self.transport.get_write_buffer_size():  # nobody reads it
                self.transport.abort()
        else:
            self._refuse(_too_slow())

    def _look_after(self, seconds: float) -> None:
        self._stop_timer()
        self._looks_at = self.loop.time() + seconds
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _stop_timer(self) -> None:
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def drain(self) -> None:
        """From here on every answer ends its connection."""
        self._is_draining, self._is_plain = True, False
        for cycle in [self.cycle, *(waiting for waiting, _ in self.pipeline)]:
            if cycle is not None:
                cycle.keep_alive = False

    def shutdown(self) -> None:
        """uvicorn says so when it accepts nobody any more. Who has just come, or is just asking, is waited for."""
        is_asking = self.cycle is None or self.headers is not self._trailers
        if is_asking and self._refusal is None:
            self.drain()
            self._deadline = self.loop.time() + _LINGER_SECONDS
            self._look_after(_LINGER_SECONDS)
        else:
            super().shutdown()

    def _refuse(self, refusal: RequestRefused) -> None:
        """Reads nothing more, and tells why as soon as what was asked before is answered."""
        if self._refusal is not None or self.transport.is_closing():
            return
        self._refusal = refusal
        is_being_answered = self.cycle is not None and not self.cycle.response_complete
        is_of_body = is_being_answered and self.headers is self._trailers
        if self._arriving is not None and is_of_body and self._arriving is self.cycle:
            self._arriving, is_being_answered = None, False  # nobody has begun to answer it
        if not is_being_answered:
            self._tell_refusal()
        elif is_of_body and not self.pipeline:
            # What has no end cannot be answered: the one who reads it learns that the rest will not come.
            self._break_off()

    def _break_off(self) -> None:
        cycle = self.cycle
        if not cycle.response_started:
            self._tell_refusal()
        else:
            self.transport.close()
        cycle.disconnected = True
        cycle.message_event.set()

    def _tell_refusal(self) -> None:
        assert self._refusal is not None  # noqa: S101  said by the name
        reply = refuse_unread(self._refusal, self.client)
        head = [STATUS_LINE[reply.status_code]]
        head += [b"%b: %b\r\n" % header for header in (*self.server_state.default_headers, *reply.raw_headers)]
        self.transport.write(b"".join([*head, b"connection: close\r\n\r\n", reply.body]))
        self.headers = self._trailers
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._deadline = self.loop.time() + _LINGER_SECONDS
        self._look_after(_LINGER_SECONDS)

    def _discard(self, data: bytes) -> None:
        self._discarded_bytes += len(data)
        if self._discarded_bytes > _LINGER_BYTES:
            self.transport.close()


class _Continuation:
    """The callbacks of a parser that goes on where another has stopped for an upgrade that is not taken.

    A parser of the kind takes the body for the new protocol's. This one is told a head that frames the same body
    and asks for nothing; the connection hears of what comes after it.
    """

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._has_head = False
        self.on_body = protocol.on_body
        self.on_message_complete = protocol.on_message_complete
        self.parser = httptools.HttpRequestParser(self)
        framing = [
            header for header in protocol.scope["headers"] if header[0] in (b"content-length", b"transfer-encoding")
        ]
        lines = b"".join(b"%b: %b\r\n" % header for header in framing)
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % lines)

    def on_message_begin(self) -> None:
        if self._has_head:
            self._protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._has_head:
            self._protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._has_head:
            self._protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._has_head:
            self._protocol.on_headers_complete()
        self._has_head = True


def _refusal_of(error: httptools.HttpParserError) -> RequestRefused:
    """What a callback has raised, or that the parser can make nothing of what came."""
    cause = error.__context__
    return cause if isinstance(cause, RequestRefused) else _malformed()


def _too_large(limit: int) -> RequestRefused:
    message = f"The head of the request has over {limit} bytes, which is the limit."
    return RequestRefused(message, status=431, code="HEAD_TOO_LARGE")


def _too_many_headers(limit: int) -> RequestRefused:
    message = f"The request has over {limit} headers, which is the limit."
    return RequestRefused(message, status=431, code="HEAD_TOO_LARGE")


_malformed = partial(RequestRefused, "The request is not HTTP/1.1.")
_bad_host = partial(RequestRefused, "The request must have one Host header, of a host and perhaps a port.")
_not_chunked = partial(
    RequestRefused, "A Transfer-Encoding other than chunked is not known.", status=501, code="NOT_IMPLEMENTED"
)
_uri_too_long = partial(RequestRefused, "The address is too long.", status=414, code="URI_TOO_LONG")
_too_many_pipelined = partial(
    RequestRefused, f"Over {_MOST_PIPELINED} requests wait on this connection, which is the limit."
)
_too_slow = partial(RequestRefused, "The request did not arrive in time.", status=408, code="REQUEST_TIMEOUT")
_too_many_of_address = partial(
    RequestRefused, "There are too many connections from this address.", status=503, code="OVERLOADED"
)
_overloaded = partial(RequestRefused, "There are too many connections.", status=503, code="OVERLOADED")


class Cycle(RequestResponseCycle):
    """An ordinary request and its answer.

    The head of the answer goes out with its first body, as ASGI has it, where uvicorn sends it ahead. An application
    that fails between the two is therefore answered for with status 500 rather than by a broken connection.
    """

    # What uvicorn sets anew for each request.
    logger = logging.getLogger("uvicorn.error")
    access_log = False
    disconnected = False
    keep_alive = True
    waiting_for_100_continue = False
    more_body = True
    response_started = False
    response_complete = False
    chunked_encoding: bool | None = None
    expected_content_length = 0

    task: asyncio.Task[None]
    event: asyncio.Event | None = None  # where something had to be waited for
    _is_received = False
    _head: HTTPResponseStartEvent | None = None

    def __init__(self, protocol: Protocol) -> None:
        self.scope = protocol.scope
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.default_headers = protocol.server_state.default_headers
        self.on_response = protocol.on_response_complete
        self.body = bytearray()
        self._tasks = protocol.tasks

    @property
    def message_event(self) -> asyncio.Event:  # type: ignore[override]  # an attribute there
        """Made at need, which is rare: a body is nearly always there before the application's first step."""
        if self.event is None:
            self.event = asyncio.Event()
            if self.body or not (self.more_body or self._is_received):
                self.event.set()
        return self.event

    async def run_asgi(self, app: ASGI3Application) -> None:
        try:
            await super().run_asgi(app)
        finally:
            self._tasks.discard(self.task)

    def send_at_once(self, reply: Reply) -> bool:
        """Whether an answer for which nothing was to be done is sent; a task sends it otherwise, or another."""
        return self._send_whole(reply.status_code, reply.raw_headers, bytes(reply.body))

    async def answer(self, answering: Answering) -> None:
        self._is_received = True
        self.scope[BODY] = bytes(self.body)  # type: ignore[literal-required]  # uvicorn knows its own keys alone
        self.scope[TASK] = self.task  # type: ignore[literal-required]
        self.body = bytearray()
        try:
            reply = await answering.answer(self.scope, self.receive)  # type: ignore[arg-type]  # uvicorn has own types
            if not self._send_whole(reply.status_code, reply.raw_headers, bytes(reply.body)):
                await super().run_asgi(partial(self._send_stream, reply))
        finally:
            self._tasks.discard(self.task)
            if not self.response_complete:
                self.transport.close()

    async def _send_stream(self, reply: Reply, scope: Any, receive: Any, send: Any) -> None:
        await reply(scope, receive, send)
        if not self.response_complete and not self.disconnected:  # it is not read: nothing more can be said
            self.disconnected = True
            self.transport.abort()

    async def receive(self) -> ASGIReceiveEvent:
        if self.more_body or self._is_received or self.event or self.disconnected or self.response_complete:
            return await super().receive()
        self._is_received = True
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: ASGISendEvent) -> None:
        head = self._head
        if head is not None:
            self._head = None
            headers = head.get("headers")
            if (
                message["type"] != "http.response.body"
                or message.get("more_body", False)
                or not isinstance(headers, list)
                or not self._send_whole(head["status"], headers, message.get("body", b""))
            ):
                await super().send(head)
                await super().send(message)
        elif message["type"] == "http.response.start" and not self.response_started:
            self._head = message
        else:
            await super().send(message)

    async def send_500_response(self) -> None:
        self._head = None
        await super().send_500_response()

    def _send_whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
        """Whether this was an ordinary answer, which is then sent. Of any other, nothing is done."""
        if not headers or not self.keep_alive or self.disconnected or self.flow.write_paused:
            return False
        names, values = zip(*self.default_headers, *headers, strict=True)
        head = _head_of(status, names)
        if head is None or values[head.length] != b"%d" % len(body) or b"".join(values).translate(None, _VALUE_BYTES):
            return False
        self.transport.write(head.text % (*values, body))
        self.response_started = self.response_complete = True
        if self.event is not None:
            self.event.set()
        self.on_response()
        return True


class _Head(NamedTuple):
    text: bytes
    length: int


@lru_cache(maxsize=1024)
def _read_target(url: bytes) -> tuple[str, bytes, bytes]:
    """Path, raw path and query string. Raises `httptools.HttpParserInvalidURLError`."""
    parsed = httptools.parse_url(url)
    return unquote(parsed.path.decode("ascii")), parsed.path, parsed.query or b""


@lru_cache(maxsize=256)
def _head_of(status: int, names: tuple[bytes, ...]) -> _Head | None:
    """An answer to be filled in with the values of its headers and its body; `length` is the place of Content-Length.

    None for an answer that is not ordinary, or is to be refused. An application has few sets of names.
    """
    names = tuple(name.lower() for name in names)
    if (
        status not in STATUS_LINE
        or names.count(b"content-length") != 1
        or not _FRAMING.isdisjoint(names)
        or any(HEADER_RE.search(name) for name in names)
    ):
        return None
    lines = b"".join(b"%b: %%b\r\n" % name.replace(b"%", b"%%") for name in names)
    return _Head(STATUS_LINE[status] + lines + b"\r\n%b", names.index(b"content-length"))
