"""HTTP/1.1 as uvicorn speaks it, with less work for an ordinary request.

Ordinary is nearly every one: HTTP/1.1, kept alive, alone on its connection, answered by one body whose length was told.
Whatever else a request or its answer is, the code that sees to it is uvicorn's own.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple
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

from app.http.deadline import EXTENSION, WORK
from app.http.reply import Answering

Find = Callable[[HTTPScope], Answering | None]

# Callers choose their URLs: a long one is not worth the memory.
_REMEMBERED_URL_BYTES = 256

# Headers by which uvicorn frames an answer in other ways than by its length.
_FRAMING = frozenset((b"connection", b"transfer-encoding"))
_VALUE_BYTES = bytes(byte for byte in range(256) if not HEADER_VALUE_RE.match(bytes([byte])))


class Protocol(HttpToolsProtocol):
    """What `uvicorn.Config` takes as `http`. See `Cycle` for the one difference that an application may notice.

    An application may have a method `find` that gives, for an ASGI scope, an `Answering` or None. It is asked for those
    requests whose body came with their head: then what answers needs no messages, and has the body in
    `scope["state"]["body"]`.
    """

    # None from the first byte of a request to the last of its answer, and before the first request.
    _idle_since: float | None = None
    # A request whose head has come; how much of its body came with it is seen at the end of what came.
    _arriving: "Cycle | None" = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {}}
        self._connection_scope = self.scope
        has_extras = self.access_log or self.root_path or self.config.reset_contextvars
        self._is_plain = not has_extras and self.limit_concurrency is None
        self._find: Find | None = getattr(self.app, "find", None)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if work := self.scope["state"].get(WORK):
            work.leave()
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self.scope = self._connection_scope.copy()
        self.scope["headers"] = self.headers
        self.scope["state"] = self.app_state.copy()

    def on_headers_complete(self) -> None:
        parser, previous = self.parser, self.cycle
        method = parser.get_method()
        if (
            not self._is_plain
            or self.expect_100_continue
            or method == b"HEAD"
            or not (previous is None or previous.response_complete)
            or not parser.should_keep_alive()
            or parser.should_upgrade()
            or parser.get_http_version() != "1.1"
        ):
            super().on_headers_complete()
            return
        scope = self.scope
        scope["method"] = method.decode("ascii")
        read_target = _read_target if len(self.url) <= _REMEMBERED_URL_BYTES else _read_target.__wrapped__
        scope["path"], scope["raw_path"], scope["query_string"] = read_target(self.url)
        self.cycle = self._arriving = Cycle(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle, self._arriving = self._arriving, None
        if cycle is None or self.transport.is_closing():
            return
        answering = self._find(cycle.scope) if self._find and not cycle.more_body else None
        running = cycle.run_asgi(self.app) if answering is None else cycle.answer(answering)
        cycle.task = self.loop.create_task(running)
        self.tasks.add(cycle.task)

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if isinstance(cycle, Cycle) and cycle.event is None and not cycle.body and len(body) <= HIGH_WATER_LIMIT:
            cycle.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        cycle = self.cycle
        if isinstance(cycle, Cycle) and cycle.event is None:
            cycle.more_body = False
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_after(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        """uvicorn says so of everything that arrives, and would start a timer for every request. Ours runs on."""
        self._idle_since = None

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        remaining = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if remaining > 0:
            self._look_after(remaining)
        else:
            super().timeout_keep_alive_handler()

    def _look_after(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)


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

    async def answer(self, answering: Answering) -> None:
        self._is_received = True
        self.scope["state"].update(body=bytes(self.body), task=self.task)
        self.body = bytearray()
        try:
            reply = await answering.answer(self.scope, self.receive)  # type: ignore[arg-type]  # uvicorn has own types
            if not self._send_whole(reply.status_code, reply.raw_headers, bytes(reply.body)):
                await super().run_asgi(reply)  # type: ignore[arg-type]
        finally:
            self._tasks.discard(self.task)
            if not self.response_complete:
                self.transport.close()

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
        layout = _lay_out(status, names)
        if (
            layout is None
            or values[layout.length] != b"%d" % len(body)
            or b"".join(values).translate(None, _VALUE_BYTES)
        ):
            return False
        self.transport.write(layout.text % (*values, body))
        self.response_started = self.response_complete = True
        if self.event is not None:
            self.event.set()
        self.on_response()
        return True


class _Layout(NamedTuple):
    text: bytes
    length: int


@lru_cache(maxsize=1024)
def _read_target(url: bytes) -> tuple[str, bytes, bytes]:
    """Path, raw path and query string. Raises `httptools.HttpParserInvalidURLError`."""
    parsed = httptools.parse_url(url)
    return unquote(parsed.path.decode("ascii")), parsed.path, parsed.query or b""


@lru_cache(maxsize=256)
def _lay_out(status: int, names: tuple[bytes, ...]) -> _Layout | None:
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
    return _Layout(STATUS_LINE[status] + lines + b"\r\n%b", names.index(b"content-length"))
