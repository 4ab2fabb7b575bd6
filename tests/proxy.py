"""A TCP proxy before the tests' server that does to connections what networks do: it freezes, resets and cuts them."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what is closed is reset
_CHUNK = 65_536
_READY = b"Z\0\0\0\5"  # ReadyForQuery, but for the state of the transaction


class Proxy:
    """`dsn` leads through it. `seen` is called with all that clients send, before it is forwarded; it may freeze.

    A connection is reset in place of the answer to what holds `unanswered`.
    """

    def __init__(self, dsn: str) -> None:
        self._target = urlsplit(dsn)
        self._flows = asyncio.Event()
        self._flows.set()
        self._links: set[Link] = set()
        self._server: asyncio.Server | None = None
        self.accepted = 0
        self.seen: Callable[[bytes], None] = lambda data: None
        self.unanswered = b""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    @property
    def dsn(self) -> str:
        assert self._server
        port = self._server.sockets[0].getsockname()[1]
        account = self._target.netloc.rpartition("@")[0]
        return self._target._replace(netloc=f"{account}@127.0.0.1:{port}").geturl()

    @property
    def open(self) -> int:
        """How many clients are connected."""
        return len(self._links)

    def freeze(self) -> None:
        """Nothing comes through any more in either direction, and nobody is told; new connections are taken, too."""
        self._flows.clear()

    @property
    def is_frozen(self) -> bool:
        return not self._flows.is_set()

    def thaw(self) -> None:
        self._flows.set()

    def reset(self, *, idle: bool = False) -> int:
        """Resets all connections, or those on which nothing is under way; returns how many."""
        links = [link for link in self._links if not (idle and link.is_busy)]
        for link in links:
            link.reset()
        return len(links)

    def inject(self, statement: str) -> int:
        """Has the server run a statement in all sessions in which nothing is under way; their clients hear nothing.

        Returns in how many.
        """
        text = statement.encode() + b"\0"
        links = [link for link in self._links if link.upstream is not None and not link.is_busy]
        for link in links:
            assert link.upstream
            link.swallowed += 1
            link.upstream.write(b"Q" + struct.pack("!i", len(text) + 4) + text)
        return len(links)

    @property
    def is_injecting(self) -> bool:
        """Whether a server has not answered yet to what was injected."""
        return any(link.swallowed for link in self._links)

    async def close(self) -> None:
        if self._server:
            self._server.close()
        self.thaw()
        links = list(self._links)
        for link in links:
            link.reset()
        await asyncio.gather(*(link.done.wait() for link in links))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = Link(reader, writer)
        self._links.add(link)
        try:
            await self._flows.wait()
            upstream = await asyncio.open_connection(self._target.hostname, self._target.port)
            link.upstream = upstream[1]
            link.pumps = [
                asyncio.create_task(self._send(link, reader, upstream[1])),
                asyncio.create_task(self._answer(link, upstream[0], writer)),
            ]
            await asyncio.wait(link.pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass
        finally:
            self._links.discard(link)
            link.end()

    async def _send(self, link: "Link", reader: asyncio.StreamReader, upstream: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                link.is_busy = True
                link.is_deaf = bool(self.unanswered) and self.unanswered in data
                self.seen(data)
                await self._flows.wait()
                upstream.write(data)
                await upstream.drain()

    async def _answer(self, link: "Link", upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await upstream.read(_CHUNK):
                await self._flows.wait()
                if link.is_deaf:
                    link.reset()
                while link.swallowed and data:
                    # What was injected went to an idle session: its answer is all there is before it is ready again.
                    _, ready, rest = data.partition(_READY)
                    link.swallowed -= bool(ready)
                    data = rest[1:]
                link.is_busy = link.is_busy and _READY not in data
                writer.write(data)
                await writer.drain()


class Link:
    """One client's connection, and the one to the server that belongs to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.upstream: asyncio.StreamWriter | None = None
        self.pumps: list[asyncio.Task[None]] = []
        self.is_busy = True  # until the server is ready for the first time
        self.is_deaf = False
        self.swallowed = 0  # answers that are not for the client
        self.done = asyncio.Event()

    def reset(self) -> None:
        for writer in (self.writer, self.upstream):
            if writer is not None:
                connected: socket.socket = writer.get_extra_info("socket")
                if connected.fileno() >= 0:
                    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()

    def end(self) -> None:
        for task in self.pumps:
            task.cancel()
        for writer in (self.writer, self.upstream):
            if writer is not None:
                writer.close()
        self.done.set()


@asynccontextmanager
async def proxied(dsn: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(dsn)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()
