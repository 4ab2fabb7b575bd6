"""Requests about a stream that another worker holds: passed on to it, over a socket of its own in their folder."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import httptools
from starlette.types import Receive, Scope, Send

from app.errors import RequestRefused
from app.http.reply import Reply
from app.http.state import ID_HEADER, State
from app.live.stream import left
from app.settings import Worker

_READ_BYTES = 65_536
_CONNECT_SECONDS = 1.0
# What is of one connection; what was looked at before the request came here, and would be counted, or answered, twice.
_NOT_PASSED_ON = frozenset(
    (
        *(b"connection", b"content-length", b"transfer-encoding", b"expect", b"content-encoding", b"origin"),
        *(b"x-storefront-key", b"x-forwarded-for", b"x-forwarded-proto", ID_HEADER),
    )
)
_NOT_PASSED_BACK = frozenset((b"connection", b"date", b"transfer-encoding", ID_HEADER))


def address(worker: Worker) -> Path:
    """Where a worker answers its siblings."""
    return worker.folder / f"worker-{worker.number}"


async def pass_on(worker: Worker, scope: Scope, state: State, body: bytes) -> Reply:
    """The answer of `worker`. Raises `RequestRefused` where it is gone, and with it what it held."""
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_unix_connection(address(worker))
    except (OSError, TimeoutError):
        raise no_such_stream() from None
    try:
        writer.write(_request(scope, state, body))
        answer = _Answer(reader)
        await answer.read_head()
        if b"content-length" not in dict(answer.headers):
            return _StreamReply(answer, writer)
        content = b"".join([part async for part in answer.parts()])
    except BaseException as error:
        writer.close()
        if isinstance(error, OSError | EOFError | httptools.HttpParserError):
            raise no_such_stream() from None
        raise
    writer.close()
    return Reply(content, answer.status, answer.headers)


def no_such_stream() -> RequestRefused:
    return RequestRefused("There is no such stream, or not any more.", status=404, code="NOT_FOUND")


def _request(scope: Scope, state: State, body: bytes) -> bytes:
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    headers = [header for header in scope["headers"] if header[0] not in _NOT_PASSED_ON]
    headers += [
        (ID_HEADER, state.request_id.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    head = [b"%b %b HTTP/1.1\r\n" % (scope["method"].encode(), target), *(b"%b: %b\r\n" % header for header in headers)]
    return b"".join([*head, b"\r\n", body])


class _Answer:
    """What another worker answers, as it comes. The methods with `on_` are called by the parser."""

    status: int

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self._reader = reader
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._has_head = self._is_whole = False

    async def read_head(self) -> None:
        """Raises EOFError, OSError or `httptools.HttpParserError`, as `parts` does."""
        while not self._has_head:
            await self._read()

    async def parts(self) -> AsyncGenerator[bytes]:
        while self._parts or not self._is_whole:
            parts, self._parts = self._parts, []
            for part in parts:
                yield part
            if not (self._parts or self._is_whole):
                await self._read()

    async def _read(self) -> None:
        data = await self._reader.read(_READ_BYTES)
        if not data:
            raise EOFError
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() not in _NOT_PASSED_BACK:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._has_head = True

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self._is_whole = True


class _StreamReply(Reply):
    """An answer that goes on until either side leaves."""

    def __init__(self, answer: _Answer, writer: asyncio.StreamWriter) -> None:
        super().__init__(b"", answer.status, answer.headers)
        self._answer = answer
        self._writer = writer

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        tasks = [asyncio.ensure_future(work) for work in (self._send(send), left(receive))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._writer.close()
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        if outcomes[0] is None:
            await send({"type": "http.response.body", "body": b""})

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._answer.parts()) as parts:
            async for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
