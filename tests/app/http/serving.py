"""The real application behind a real socket, by either of the ways in which a request may reach it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http.protocol import Protocol
from app.http.socket_protocol import SocketProtocol
from app.settings import Limits
from tests.conftest import connecting, until


class Whole(Protocol):
    """Asks GraphQL for whole answers, as the service does."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # as uvicorn has it
        # uvicorn would log requests, because pytest listens; then there are no whole answers.
        self.access_log = False
        super().connection_made(transport)
        assert self._is_plain
        assert self._find


# uvicorn's protocol knows nothing but the messages of ASGI.
WAYS: dict[str, type[HttpToolsProtocol]] = {"whole": Whole, "asgi": HttpToolsProtocol}


@asynccontextmanager
async def served(app: Starlette, way: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, which is running already; `way` is one of `WAYS`."""
    # The loop sends without delay over what is TCP by name: head and body of an answer may come as two.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app,
            http=WAYS[way],
            ws=SocketProtocol,
            ws_max_size=Limits().frame_bytes,
            interface="asgi3",
            proxy_headers=False,  # or uvicorn puts itself before what the protocol asks for whole answers
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        try:
            await until(lambda: server.started)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with connecting(base_url=url) as client:
                yield client
        finally:
            server.should_exit = True
            await serving
