"""Real sockets and a real uvicorn: what it says with its own protocol is what it has to say with ours.

All of it runs on a `QuietLoop`: a sleep lasts until everybody has come to rest, and seconds cost nothing.
"""

import asyncio
import gc
import logging
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http.protocol import Bounds, Cycle, Protocol
from app.http.reply import Answering, Reply, reply_bytes
from app.http.state import BODY, TASK

FAR_TOO_LONG = 10
LARGE = bytes(range(256)) * 20_000
SOCKET_BYTES = 1 << 16  # or the system lets its buffers grow, on some machines until they hold a large answer

# What PROTOCOL=stock does just as well.
both = pytest.mark.parametrize("protocol", [Protocol, HttpToolsProtocol], ids=["waybill", "stock"])

Headers = list[tuple[bytes, bytes]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self, request: bytes) -> bytes:
        """Head and body of one answer with a length."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        return head + await self.reader.readexactly(int(length[1]))

    async def all(self, *chunks: bytes) -> bytes:
        """What comes until the server closes the connection."""
        for number, chunk in enumerate(chunks):
            if number:
                await asyncio.sleep(0.02)
            self.writer.write(chunk)
        return await self.reader.read()


@dataclass
class Served:
    server: uvicorn.Server
    family: int
    address: Any
    running: asyncio.Task[None]

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Client]:
        own = socket.socket(self.family)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
        own.setblocking(False)
        await asyncio.get_running_loop().sock_connect(own, self.address)
        reader, writer = await asyncio.open_connection(sock=own)
        try:
            async with asyncio.timeout(FAR_TOO_LONG):
                yield Client(reader, writer)
        finally:
            writer.close()


@asynccontextmanager
async def serve(
    app: ASGI, protocol: type[HttpToolsProtocol] = Protocol, *, by_tcp: bool = False, **settings: Any
) -> AsyncIterator[Served]:
    """By TCP only on a loop whose clock is the machine's."""
    family = socket.AF_INET if by_tcp else socket.AF_UNIX
    with socket.socket(family) as listener, TemporaryDirectory() as folder:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        listener.bind(("127.0.0.1", 0) if by_tcp else f"{folder}/socket")
        config = uvicorn.Config(
            app, http=protocol, **{"lifespan": "off", "log_config": None, "access_log": False, **settings}
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([listener]))
        while not server.server_state.default_headers:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        try:
            yield Served(server, family, listener.getsockname(), running)
        finally:
            server.should_exit = True
            await running


def answers(*bodies: bytes, status: int = 200, headers: Headers | None = None, length: int | None = None) -> ASGI:
    """An application that tells the length of its answer, or `length`, and sends it in as many chunks as there are."""
    told = sum(map(len, bodies)) if length is None else length
    start = {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-length", b"%d" % told)] if headers is None else headers,
    }

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start)
        for number, body in enumerate(bodies, 1):
            await send({"type": "http.response.body", "body": body, "more_body": number < len(bodies)})

    return app


async def read(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    return body


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the scope and the body of the request."""
    body = await read(receive)
    told = {key: repr(value) for key, value in scope.items() if key not in ("client", "server", "extensions")}
    await answers(orjson.dumps({**told, "body": body.decode("latin-1")}))(scope, receive, send)


async def echo_slowly(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0.1 if scope["path"] == "/" else 0)
    await echo(scope, receive, send)


async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RuntimeError("on purpose")


async def says_nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    return


async def says_too_much(scope: Scope, receive: Receive, send: Send) -> None:
    await answers(b"first")(scope, receive, send)
    await answers(b"second")(scope, receive, send)


async def begins_twice(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})


async def begins_at_the_end(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.body", "body": b""})


async def has_an_iterator_of_headers(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": iter([(b"content-length", b"2")])})
    await send({"type": "http.response.body", "body": b"ok"})


class Whole(Answering):
    """Echoes the request, and has its answer whole. `had_body` tells of each body whether it was there already."""

    def __init__(self, headers: dict[str, str] | None = None) -> None:
        self.had_body: list[bool] = []
        self._headers = headers

    def find(self, scope: Scope) -> Answering | None:
        return self if scope["path"] != "/by/asgi" else None

    async def answer(self, scope: Scope, receive: Receive) -> Reply:
        body = scope.pop(BODY, None)
        scope.pop(TASK, None)
        self.had_body.append(body is not None)
        told = {key: repr(value) for key, value in scope.items() if key not in ("client", "server", "extensions")}
        text = (await read(receive) if body is None else body).decode("latin-1")
        return reply_bytes(orjson.dumps({**told, "body": text}), headers=self._headers)


GET = b"GET /a/path?and=query HTTP/1.1\r\nHost: there\r\n\r\n"
POST = b"POST /graphql HTTP/1.1\r\nHost: there\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = b"POST / HTTP/1.1\r\nHost: there\r\nTransfer-Encoding: chunked\r\n\r\n"
BARE = b"GET / HTTP/1.1\r\nHost: there\r\n\r\n"

# What goes over the wire has to be the same, byte for byte, whatever is asked and whatever the application says.
EXCHANGES: dict[str, tuple[ASGI, bytes | list[bytes]]] = {
    "GET": (echo, GET),
    "POST": (echo, POST),
    "HEAD": (echo, GET.replace(b"GET", b"HEAD")),
    "OPTIONS": (echo, GET.replace(b"GET", b"OPTIONS")),
    "OPTIONS *": (echo, b"OPTIONS * HTTP/1.1\r\nHost: there\r\n\r\n"),
    "HTTP/1.0": (echo, GET.replace(b"1.1", b"1.0")),
    "HTTP/1.0 that is kept alive": (echo, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    "close": (echo, b"GET / HTTP/1.1\r\nHost: there\r\nConnection: close\r\n\r\n"),
    "an escaped path": (echo, b"GET /%C3%A9%2Fb?c=%20 HTTP/1.1\r\nHost: there\r\n\r\n"),
    "a long path": (echo, b"GET /" + b"long" * 200 + b"?query HTTP/1.1\r\nHost: there\r\n\r\n"),
    "a fragment": (echo, b"GET /path?query#fragment HTTP/1.1\r\nHost: there\r\n\r\n"),
    "an absolute URL": (echo, b"GET http://there/path?query HTTP/1.1\r\nHost: there\r\n\r\n"),
    "a path that looks like a host": (echo, b"GET //there/path HTTP/1.1\r\nHost: there\r\n\r\n"),
    "chunks": (echo, CHUNKED + b"2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n"),
    "100-continue": (echo, [POST[:-4].replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"), b"body"]),
    "an upgrade": (echo, b"GET / HTTP/1.1\r\nHost: there\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
    "in parts": (echo, [POST[:9], POST[9:40], POST[40:-2], POST[-2:]]),
    "a large body": (echo, b"POST / HTTP/1.1\r\nHost: there\r\nContent-Length: %d\r\n\r\n" % len(LARGE) + LARGE),
    "two requests": (echo, [GET, POST]),
    "a pipeline": (echo, GET + POST + GET),
    "a pipeline whose first is the slowest": (echo_slowly, BARE + GET + BARE + POST),
    "a pipeline that goes on": (echo, [POST + POST[:-2], POST[-2:], GET + GET]),
    "a pipeline that closes": (echo, GET + BARE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET),
    "a body that nobody reads": (answers(b"no"), [POST[:-4], b"body", GET]),
    "nothing": (answers(b""), GET),
    "a large answer": (answers(LARGE), GET),
    "several bodies": (answers(b"one", b"", b"two"), GET),
    "no length": (answers(b"one", b"", b"two", headers=[]), GET),
    "no length, one body": (answers(b"one", headers=[(b"a", b"b")]), GET),
    "chunks by name": (answers(b"one", headers=[(b"Transfer-Encoding", b"Chunked")]), GET),
    "chunks and a length": (
        answers(b"one", headers=[(b"content-length", b"3"), (b"transfer-encoding", b"chunked")]),
        GET,
    ),
    "an answer that closes": (
        answers(b"one", headers=[(b"content-length", b"3"), (b"Connection", b"x, Close")]),
        [GET, GET],
    ),
    "keep-alive": (answers(b"one", headers=[(b"content-length", b"3"), (b"connection", b"keep-alive")]), [GET, GET]),
    "204": (answers(b"", status=204, headers=[]), [GET, GET]),
    "304 with the length of another": (answers(b"", status=304, length=3), GET),
    "a status without a name": (answers(b"one", status=299), GET),
    "a status that is none": (answers(b"one", status=600), GET),
    "too long": (answers(b"three", length=4), GET),
    "too short": (answers(b"three", length=6), GET),
    "too short in the end": (answers(b"one", b"two", length=7), GET),
    "a padded length": (answers(b"one", headers=[(b"content-length", b"03")]), GET),
    "no number": (answers(b"one", headers=[(b"content-length", b"x")]), GET),
    "two lengths": (answers(b"one", headers=[(b"content-length", b"3"), (b"content-length", b"4")]), GET),
    "odd headers": (
        answers(b"one", headers=[(b"X-%d%%", b"%d"), (b"Content-LENGTH", b"3"), (b"a", b""), (b"a", b"\t\xff")]),
        GET,
    ),
    "an iterator": (has_an_iterator_of_headers, GET),
    "failure": (fails, [GET, GET]),
    "silence": (says_nothing, GET),
    "no head": (begins_at_the_end, GET),
    "too many answers": (says_too_much, GET),
}  # fmt: skip


# What is none of HTTP/1.1, or goes beyond a bound, is refused otherwise than uvicorn does: by JSON, with an id.
LONG = b"x" * 70_000
REFUSALS: dict[str, tuple[list[bytes], int, str]] = {
    "no HTTP": ([b"\x16\x03\x01 hello\r\n\r\n"], 400, "BAD_REQUEST"),
    "HTTP/2": ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], 400, "BAD_REQUEST"),
    "CONNECT": ([b"CONNECT there:443 HTTP/1.1\r\nHost: there\r\n\r\n"], 400, "BAD_REQUEST"),
    "a path in UTF-8": ([b"GET /\xc3\xa9 HTTP/1.1\r\nHost: there\r\n\r\n"], 400, "BAD_REQUEST"),
    "an absolute URL without a path": ([b"GET http://there HTTP/1.1\r\nHost: there\r\n\r\n"], 400, "BAD_REQUEST"),
    "bad chunks": ([CHUNKED + b"none\r\n"], 400, "BAD_REQUEST"),
    "bad chunks later": ([CHUNKED, b"2\r\nok\r\n", b"none\r\n"], 400, "BAD_REQUEST"),
    "no Host": ([b"GET / HTTP/1.1\r\n\r\n"], 400, "BAD_REQUEST"),
    "two Hosts": ([b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"], 400, "BAD_REQUEST"),
    "two Hosts in HTTP/1.0": ([b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"], 400, "BAD_REQUEST"),
    "a Host with a space": ([b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"], 400, "BAD_REQUEST"),
    "a list of Hosts": ([b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"], 400, "BAD_REQUEST"),
    "a Host with a path": ([b"GET / HTTP/1.1\r\nHost: a@b/c?\r\n\r\n"], 400, "BAD_REQUEST"),
    "HTTP/0.9": ([b"GET /\r\n\r\n"], 400, "BAD_REQUEST"),
    "HTTP/2.0 in words": ([b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"], 400, "BAD_REQUEST"),
    "two lengths": ([POST.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n")], 400, "BAD_REQUEST"),
    "a length and chunks": ([CHUNKED.replace(b"Host", b"Content-Length: 3\r\nHost")], 400, "BAD_REQUEST"),
    "gzip and chunks": ([CHUNKED.replace(b"chunked", b"gzip, chunked")], 501, "NOT_IMPLEMENTED"),
    "gzip and chunks apart": (
        [CHUNKED.replace(b"Transfer-Encoding", b"Transfer-Encoding: gzip\r\nTransfer-Encoding")],
        501,
        "NOT_IMPLEMENTED",
    ),
    "another encoding": ([CHUNKED.replace(b"chunked", b"identity")], 501, "NOT_IMPLEMENTED"),
    "a long URL": ([b"GET /" + LONG + b" HTTP/1.1\r\nHost: there\r\n\r\n"], 414, "URI_TOO_LONG"),
    "a URL without an end": ([b"GET /", LONG, LONG, LONG, LONG, LONG], 414, "URI_TOO_LONG"),
    "a long header": ([BARE[:-2] + b"X: " + LONG + b"\r\n\r\n"], 431, "HEAD_TOO_LARGE"),
    "a header without an end": ([BARE[:-2] + b"X: ", *[LONG] * 5], 431, "HEAD_TOO_LARGE"),
    "a name without an end": ([BARE[:-2], *[LONG] * 5], 431, "HEAD_TOO_LARGE"),
    "a hundred and one headers": ([BARE[:-2] + b"X: y\r\n" * 100 + b"\r\n"], 431, "HEAD_TOO_LARGE"),
    "an extension without an end": ([CHUNKED + b"2;", *[LONG] * 5], 431, "HEAD_TOO_LARGE"),
    "trailers without an end": ([CHUNKED + b"0\r\n", *[b"X: y\r\n" * 10_000] * 5], 431, "HEAD_TOO_LARGE"),
}


@pytest.mark.parametrize(("chunks", "status", "code"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refusal_is_json_with_an_id(chunks: list[bytes], status: int, code: str) -> None:
    async with serve(echo) as served, served.connect() as client:
        head, _, body = (await client.all(*chunks)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert re.search(rb"\r\nx-request-id: [0-9a-f]{32}\r\n", head)
        assert b"\r\nconnection: close" in head
        assert b"\r\nx-content-type-options: nosniff" in head
        assert [error["extensions"]["code"] for error in orjson.loads(body)["errors"]] == [code]


async def test_a_refusal_waits_for_the_answers_before_it() -> None:
    async with serve(echo_slowly) as served, served.connect() as client:
        answer = await client.all(BARE + GET + b"GET / HTTP/1.1\r\n\r\n" + GET)
        assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"200", b"400"]


@pytest.mark.parametrize(
    "host", [b"", b"a", b"a.example:80", b"a_b.example:", b"127.0.0.1:8000", b"[::1]:8000", b"[::1]"]
)
async def test_a_host_is_a_name_or_an_address(host: bytes) -> None:
    async with serve(echo) as served, served.connect() as client:
        assert (await client.answer(GET.replace(b"there", host))).startswith(b"HTTP/1.1 200")


async def test_an_old_client_is_not_told_to_continue() -> None:
    async with serve(echo) as served, served.connect() as client:
        head = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        assert (await client.all(head, b"body")).startswith(b"HTTP/1.1 200")


async def test_a_hundred_requests_may_wait_on_a_connection() -> None:
    async with serve(echo_slowly) as served, served.connect() as client:
        answer = await client.all(BARE + GET * 150)
        assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200"] * 101 + [b"400"]


async def test_what_waits_on_a_connection_is_bounded_in_bytes() -> None:
    """More than that is not read before it is its turn, and none of it is lost."""
    large = POST.replace(b"Length: 4", b"Length: 60000").replace(b"body", b"x" * 60_000)
    async with serve(echo_slowly) as served, served.connect() as client:
        for _ in range(40):
            client.writer.write(large)
        await asyncio.sleep(0.05)
        for _ in range(40):
            assert (await client.answer(b"")).endswith(b'x"}')
        assert b'"body":""' in await client.answer(GET)


async def test_trailers_are_no_headers() -> None:
    async with serve(echo) as served, served.connect() as client:
        answer = await client.answer(CHUNKED + b"0\r\napikey: stolen\r\n\r\n")
        assert b"stolen" not in answer


UPGRADE = b"POST /graphql HTTP/1.1\r\nHost: there\r\nConnection: %b\r\nUpgrade: %b\r\nContent-Length: 4\r\n\r\n"


@pytest.mark.parametrize("connection", [b"Upgrade, HTTP2-Settings", b"upgrade", b"keep-alive, UPGRADE"])
@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.0"])
@pytest.mark.parametrize("split", [[4], [], [2]], ids=["together", "apart", "in chunks"])
async def test_an_upgrade_that_is_not_taken_is_ignored(connection: bytes, protocol: bytes, split: list[int]) -> None:
    head = UPGRADE % (connection, protocol)
    async with serve(echo, ws="none") as served, served.connect() as client:
        together = split[0] if split else 0
        client.writer.write(head + b"body"[:together])
        await asyncio.sleep(0.02)
        answer = await client.answer(b"body"[together:] + POST)
        assert b'"body":"body"' in answer
        assert b'"body":"body"' in await client.answer(b"")
        assert b'"body":""' in await client.answer(GET)
        assert b'"body":"ab"' in await client.answer(
            CHUNKED.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
            + b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"
        )


@pytest.mark.parametrize(
    ("chunks", "answer"),
    [([], b""), ([b"GET / HT"], b"HTTP/1.1 408"), ([GET, b"GET / HTTP/1.1\r\nHo"], b"HTTP/1.1 408")],
    ids=["nothing", "half a head", "half a second head"],
)
async def test_a_head_has_to_come_in_time(chunks: list[bytes], answer: bytes) -> None:
    async with serve(echo, bounded(head_seconds=0.1), timeout_keep_alive=60) as served, served.connect() as client:
        assert answer in await client.all(*chunks, b"") if chunks else await client.reader.read() == answer


async def test_the_rest_of_a_body_that_nobody_reads_has_to_come_in_time() -> None:
    app = answers(b"no")
    async with serve(app, bounded(head_seconds=0.1), timeout_keep_alive=60) as served, served.connect() as client:
        assert (await client.all(POST[:-4])).endswith(b"no")


async def test_connections_are_bounded() -> None:
    async with (
        serve(echo, bounded(connections=1)) as served,
        served.connect() as first,
        served.connect() as second,
    ):
        assert (await second.reader.read()).startswith(b"HTTP/1.1 503")
        assert b"200 OK" in await first.answer(GET)


async def test_connections_of_an_address_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "uvicorn.protocols.http.httptools_impl.get_remote_addr", lambda _transport: ("2001:db8::1", 50_000)
    )
    for trusted, is_bounded in [((), True), (("2001:db8::1",), False)]:
        protocol = bounded(address_connections=1, trusted=trusted)
        async with serve(echo, protocol) as served:
            addresses = served.server.server_state.addresses = {}  # type: ignore[attr-defined]  # as ServingState has
            async with served.connect() as first:
                async with served.connect() as second:
                    if is_bounded:
                        assert b"from this address" in await second.reader.read()
                    else:
                        assert b"200 OK" in await second.answer(GET)
                assert b"200 OK" in await first.answer(GET)
            await asyncio.sleep(0.1)
            async with served.connect() as third:
                assert b"200 OK" in await third.answer(GET)
        assert addresses == {}


async def test_who_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.http.protocol._STALL_SECONDS", 1.0)
    async with serve(answers(LARGE)) as served, served.connect() as client:
        client.writer.transport.pause_reading()  # it reads by itself
        client.writer.write(GET)
        await asyncio.sleep(0.9)
        assert served.server.server_state.connections
        await asyncio.sleep(1.5)
        assert not served.server.server_state.connections


async def test_who_reads_slowly_gets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.http.protocol._STALL_SECONDS", 0.1)
    async with serve(answers(LARGE)) as served, served.connect() as client:
        client.writer.write(GET)
        await client.reader.readuntil(b"\r\n\r\n")
        received = b""
        while len(received) < len(LARGE):
            await asyncio.sleep(0.09)  # of a quiet loop's clock
            received += await client.reader.read(1 << 18)
        assert received == LARGE


def bounded(**bounds: Any) -> Any:
    return partial(Protocol, bounds=Bounds(**bounds))


async def exchanged(
    app: ASGI, chunks: bytes | list[bytes], protocol: type[HttpToolsProtocol], **settings: Any
) -> bytes:
    async with serve(app, protocol, timeout_keep_alive=0.15, **settings) as served, served.connect() as client:
        answer = await client.all(*([chunks] if isinstance(chunks, bytes) else chunks))
        return re.sub(rb"date: [^\r]+", b"date: now", answer)


@pytest.mark.parametrize(("app", "chunks"), EXCHANGES.values(), ids=EXCHANGES.keys())
async def test_an_exchange_is_uvicorns(app: ASGI, chunks: bytes | list[bytes]) -> None:
    ours, theirs = await asyncio.gather(*(exchanged(app, chunks, each) for each in (Protocol, HttpToolsProtocol)))
    assert ours == theirs


ECHOED = {name: chunks for name, (app, chunks) in EXCHANGES.items() if app in (echo, echo_slowly)}
HEADERS = [{"x-a": "\r"}, {"connection": "close"}, {"transfer-encoding": "chunked"}, {"content-length": "1"}]


@pytest.mark.parametrize(
    ("chunks", "headers"),
    [*((chunks, {}) for chunks in ECHOED.values()), *((POST, headers) for headers in HEADERS)],
    ids=[*ECHOED, *map(str, HEADERS)],
)
async def test_an_answer_that_is_asked_for_is_the_one_that_would_be_sent(
    chunks: bytes | list[bytes], headers: dict[str, str]
) -> None:
    app = Whole(headers)
    asked, sent = await asyncio.gather(
        *(exchanged(app, chunks, each, proxy_headers=False) for each in (Protocol, HttpToolsProtocol))
    )
    assert asked == sent


@pytest.mark.parametrize(
    ("chunks", "had_body"),
    [
        (POST, [True]),
        ([POST, GET], [True, True]),
        ([POST[:-2], POST[-2:]], [False]),
        (POST + POST, [True, False]),
        (POST.replace(b"/graphql", b"/by/asgi"), [False]),
    ],
    ids=["one", "two", "in chunks", "a pipeline", "another path"],
)
async def test_an_answer_is_asked_for_where_the_body_came_with_the_head(chunks: Any, had_body: list[bool]) -> None:
    app = Whole()
    answer = await exchanged(app, chunks, Protocol, proxy_headers=False)
    assert answer.count(b'"body":"body"') + answer.count(b'"body":""') == len(had_body)
    assert app.had_body == had_body


async def test_an_answer_that_fails_closes_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Whole):
        async def answer(self, scope: Scope, receive: Receive) -> Reply:
            raise RuntimeError("on purpose")

    async with serve(Failing(), proxy_headers=False) as served, served.connect() as client:
        client.writer.write(POST)
        assert await client.reader.read() == b""
        assert not served.server.server_state.tasks
    gc.collect()  # nobody asks for the outcome of the task, so it is told when the task is gone
    assert "on purpose" in caplog.text


async def test_who_leaves_before_the_answer_leaves_nothing_behind() -> None:
    has_gone = asyncio.Event()

    class Late(Whole):
        async def answer(self, scope: Scope, receive: Receive) -> Reply:
            assert (await receive())["type"] == "http.disconnect"
            has_gone.set()
            return await super().answer(scope, receive)

    async with serve(Late(), proxy_headers=False) as served:
        async with served.connect() as client:
            client.writer.write(POST)
            await asyncio.sleep(0.05)
        async with asyncio.timeout(FAR_TOO_LONG):
            await has_gone.wait()
            await asyncio.sleep(0.05)
        assert not served.server.server_state.tasks


async def test_who_leaves_leaves_all_that_wait(caplog: pytest.LogCaptureFixture) -> None:
    began: list[str] = []
    left = asyncio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        began.append(scope["path"])
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"
        left.set()
        await answers(b"one")(scope, receive, send)

    async with serve(waits) as served:
        async with served.connect() as client:
            client.writer.write(b"".join(GET.replace(b"GET /", b"GET /%d" % number) for number in range(3)))
            await asyncio.sleep(0.05)
        async with asyncio.timeout(FAR_TOO_LONG):
            await left.wait()
            await asyncio.sleep(0.05)
        assert not served.server.server_state.tasks
    assert len(began) == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    "settings",
    [
        {"root_path": "/root"},
        {"limit_concurrency": 1},
        {"headers": [("X-Ours", "always")], "date_header": False},
        {"reset_contextvars": True},
        {"server_header": False},
    ],
    ids=str,
)
async def test_settings_mean_what_they_mean_to_uvicorn(settings: dict[str, Any]) -> None:
    ours, theirs = await asyncio.gather(
        *(exchanged(echo, [GET, POST], each, **settings) for each in (Protocol, HttpToolsProtocol))
    )
    assert ours == theirs
    assert ours.startswith(b"HTTP/1.1 ")


@both
async def test_an_access_log_is_uvicorns(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, protocol: type[HttpToolsProtocol]
) -> None:
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "propagate", True)
    caplog.set_level(logging.INFO, "uvicorn.access")
    async with serve(echo, protocol, access_log=True) as served, served.connect() as client:
        await client.answer(GET)
    assert '"GET /a/path?and=query HTTP/1.1" 200' in caplog.text


@both
@pytest.mark.parametrize("byte", [b"\r", b"\n", b"\0", b"\r\nset-cookie: evil", b"\x7f", b"\x08"])
async def test_a_header_smuggles_nothing_in(byte: bytes, protocol: type[HttpToolsProtocol]) -> None:
    for header in ((b"x", b"a" + byte + b"b"), (b"x" + byte, b"a"), (b"x" + byte + b"y", b"a")):
        app = answers(b"evil", headers=[(b"content-length", b"4"), header])
        for body in (GET, GET.replace(b"GET", b"HEAD")):
            assert await exchanged(app, body, protocol) == b""


@both
@pytest.mark.parametrize("name", [b"a b", b"a:", b"a\t", b'"a"', b"a(b)", b"{a}", b"a@b"])
async def test_a_header_has_a_name_of_a_header(name: bytes, protocol: type[HttpToolsProtocol]) -> None:
    app = answers(b"evil", headers=[(b"content-length", b"4"), (name, b"a")])
    assert await exchanged(app, GET, protocol) == b""


async def test_an_ordinary_request_goes_the_short_way() -> None:
    cycles = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        cycles.append(type(receive.__self__))
        await echo(scope, receive, send)

    async with serve(app) as served, served.connect() as client:
        for request in (GET, POST, GET):
            await client.answer(request)
        assert cycles == [Cycle, Cycle, Cycle]
        assert served.server.server_state.total_requests == 3


async def test_the_head_waits_for_the_body() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        begun.set()
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"body"})

    async with serve(app) as served, served.connect() as client:
        client.writer.write(GET)
        await begun.wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(1), 0.05)
        go_on.set()
        assert (await client.answer(b"")).endswith(b"\r\n\r\nbody")


async def test_a_failure_after_the_head_is_told() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await fails(scope, receive, send)

    answer = await exchanged(app, GET, Protocol)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.count(b"HTTP/1.1") == 1


@both
async def test_a_second_head_breaks_the_connection(protocol: type[HttpToolsProtocol]) -> None:
    assert b"HTTP/1.1 500 " not in await exchanged(begins_twice, GET, protocol)


@dataclass
class Listener:
    """An application that goes on listening after it has read the request, and answers when it is told to."""

    heard: list[Message] = field(default_factory=list)
    answer_now: asyncio.Event = field(default_factory=asyncio.Event)
    has_read: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            while not self.heard or self.heard[-1]["type"] != "http.disconnect":
                self.heard.append(await receive())
                if not self.heard[-1].get("more_body"):
                    self.has_read.set()

        listening = asyncio.create_task(listen())
        await self.has_read.wait()
        if self.heard[-1]["type"] == "http.request":
            leaving = asyncio.create_task(self.answer_now.wait())
            await asyncio.wait((listening, leaving), return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            await answers(b"done")(scope, receive, send)
        await listening
        self.done.set()


@both
@pytest.mark.parametrize("chunks", [[POST], [POST[:-2], POST[-2:]], [GET]], ids=["whole", "in chunks", "GET"])
async def test_a_disconnect_is_told_once_the_request_is_read(
    chunks: list[bytes], protocol: type[HttpToolsProtocol]
) -> None:
    listener = Listener()
    async with serve(listener, protocol) as served:
        async with served.connect() as client:
            for chunk in chunks:
                client.writer.write(chunk)
                await asyncio.sleep(0.03)
            await listener.has_read.wait()
            assert not any(message["type"] == "http.disconnect" for message in listener.heard)
            await asyncio.sleep(0.03)
            assert len(listener.heard) == len(chunks)
        await asyncio.wait_for(listener.done.wait(), FAR_TOO_LONG)
    assert b"".join(message.get("body", b"") for message in listener.heard) == (b"" if chunks == [GET] else b"body")
    assert listener.heard[-1] == {"type": "http.disconnect"}


@both
async def test_a_disconnect_is_told_in_the_middle_of_the_body(protocol: type[HttpToolsProtocol]) -> None:
    listener = Listener()
    async with serve(listener, protocol) as served:
        async with served.connect() as client:
            client.writer.write(POST[:-2])
            await asyncio.sleep(0.03)
        await asyncio.wait_for(listener.done.wait(), FAR_TOO_LONG)
    assert [message["type"] for message in listener.heard] == ["http.request", "http.disconnect"]


@both
async def test_who_listens_is_told_that_the_answer_is_out(protocol: type[HttpToolsProtocol]) -> None:
    listener = Listener()
    listener.answer_now.set()
    async with serve(listener, protocol, timeout_keep_alive=60) as served, served.connect() as client:
        assert (await client.answer(POST)).endswith(b"done")
        await asyncio.wait_for(listener.done.wait(), FAR_TOO_LONG)


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0.5 if scope["path"] == "/slow" else 0)
    await answers(b"done")(scope, receive, send)


@both
async def test_a_connection_is_closed_when_it_has_been_idle_for_long_enough(protocol: type[HttpToolsProtocol]) -> None:
    async with serve(slow, protocol, timeout_keep_alive=0.3) as served, served.connect() as client:
        await client.answer(GET)
        await asyncio.sleep(0.2)
        await client.answer(GET)
        answered = asyncio.get_running_loop().time()
        assert await client.reader.read() == b""
        assert asyncio.get_running_loop().time() - answered == pytest.approx(0.3)


@both
async def test_a_connection_with_a_request_under_way_is_not_idle(protocol: type[HttpToolsProtocol]) -> None:
    slow_request = GET.replace(b"/a/path", b"/slow")
    async with serve(slow, protocol, timeout_keep_alive=0.2) as served, served.connect() as client:
        for request in (slow_request, GET, slow_request):
            assert (await client.answer(request)).endswith(b"done")
        client.writer.write(POST[:-2])
        await asyncio.sleep(0.5)
        assert (await client.answer(POST[-2:])).endswith(b"done")
        assert await client.reader.read() == b""


@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_connection_that_is_gone_leaves_no_timer(is_reset: bool) -> None:
    async with serve(slow, timeout_keep_alive=60) as served, served.connect() as client:
        await client.answer(GET)
        [connection] = served.server.server_state.connections
        assert isinstance(connection, Protocol)
        timer = connection.timeout_keep_alive_task
        assert timer is not None
        await client.answer(GET)
        assert connection.timeout_keep_alive_task is timer
        if is_reset:  # which is what an answer that nobody has read becomes
            client.writer.transport.pause_reading()  # it reads, too
            client.writer.write(GET)
            await asyncio.sleep(0.01)
        client.writer.close()
        async with asyncio.timeout(FAR_TOO_LONG):
            while served.server.server_state.connections:  # noqa: ASYNC110 - nor for that
                await asyncio.sleep(0.01)
        assert timer.cancelled()


@both
async def test_a_slow_reader_gets_everything_and_holds_the_application_back(protocol: type[HttpToolsProtocol]) -> None:
    sent = 0

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for sent in range(1, 11):
            await send({"type": "http.response.body", "body": LARGE, "more_body": sent < 10})

    async with serve(app, protocol) as served, served.connect() as client:
        client.writer.write(GET)
        await asyncio.sleep(0.2)
        assert sent < 5
        await client.reader.readuntil(b"\r\n\r\n")
        chunks = b"%x\r\n%b\r\n" % (len(LARGE), LARGE) * 10 + b"0\r\n\r\n"
        assert await client.reader.readexactly(len(chunks)) == chunks


@both
async def test_an_answer_waits_until_most_of_the_one_before_is_taken(protocol: type[HttpToolsProtocol]) -> None:
    answered = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal answered
        await answers(LARGE)(scope, receive, send)
        answered += 1

    async with serve(app, protocol) as served, served.connect() as client:
        for _ in range(2):
            client.writer.write(GET)
            await asyncio.sleep(0.1)
        assert answered == 1
        for _ in range(2):
            assert (await client.answer(b"")).endswith(b"\r\n\r\n" + LARGE)
        assert answered == 2


@both
async def test_a_shutdown_waits_for_the_answer(protocol: type[HttpToolsProtocol]) -> None:
    listener = Listener()
    async with serve(listener, protocol) as served, served.connect() as client, served.connect() as idle:
        client.writer.write(POST)
        await listener.has_read.wait()
        served.server.should_exit = True
        assert await idle.reader.read() == b""
        await asyncio.sleep(0.3)
        assert not served.running.done()
        assert len(served.server.server_state.tasks) == 1
        listener.answer_now.set()
        answer = await client.reader.read()
        assert answer.endswith(b"\r\nconnection: close\r\n\r\ndone")
        await served.running
        assert not served.server.server_state.tasks


@both
async def test_a_shutdown_waits_for_what_goes_on_after_the_answer(protocol: type[HttpToolsProtocol]) -> None:
    ended = False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal ended
        await answers(b"done")(scope, receive, send)
        await asyncio.sleep(0.4)
        ended = True

    async with serve(app, protocol) as served, served.connect() as client:
        await client.answer(GET)
        served.server.should_exit = True
        await served.running
        assert ended
