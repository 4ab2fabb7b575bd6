"""uvicorn's server, which leaves without losing a request.

A proxy sends requests on connections that it has open, and to a socket that listens. So when the service is told to
stop, it says so to whoever asks whether it is ready, and ends every connection with the next answer on it, while it
accepts and answers as before. Only when nobody is left, or after `drain_seconds`, it closes the socket: whatever the
system has accepted by then is answered, too.
"""

import asyncio
import errno
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from app.settings import Settings, SettingsError

# Whose insides `app.http.protocol` is made of; PROTOCOL=stock does with any.
UVICORN = "0.54"

_LOOK_SECONDS = 0.05
# Files that a process opens beside its connections: its log, its pool, what it reads.
_OTHER_FILES = 1_100
_FEWEST_CONNECTIONS = 100


def protocol_of(settings: Settings) -> Any:
    """What `uvicorn.Config` takes as `http`: a name, or a maker of protocols, though its types ask for a class.

    Raises `SettingsError` where another uvicorn is installed than the one that our protocol is made for.
    """
    if settings.protocol == "stock":
        return "httptools"
    if uvicorn.__version__.rpartition(".")[0] != UVICORN:
        raise SettingsError(f"PROTOCOL must be stock with uvicorn {uvicorn.__version__}: ours is made for {UVICORN}")
    from app.http.protocol import Bounds, Protocol

    limits = settings.limits
    bounds = Bounds(limits.head_bytes, limits.headers, settings.head_seconds, min(limits.connections, _most_files()))
    return partial(Protocol, bounds=bounds)


def socket_protocol_of(settings: Settings) -> Any:
    """What `uvicorn.Config` takes as `ws`."""
    if settings.protocol == "stock":
        return "websockets-sansio"
    from app.http.socket_protocol import SocketProtocol

    return SocketProtocol


def _most_files() -> int:
    """How many connections the system lets the process open, once it may open all that it can be allowed."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    return max(_FEWEST_CONNECTIONS, most - _OTHER_FILES)


class ServingState(ServerState):
    """What the connections of a process share. `is_draining` tells those that come that they end with their answer."""

    is_draining = False


class Server(uvicorn.Server):
    """`on_stop` is called when the service is told to stop, before anything else."""

    def __init__(self, config: uvicorn.Config, *, drain_seconds: float, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self.server_state = self._state = ServingState()
        self._drain_seconds = drain_seconds
        self._on_stop = on_stop
        self._is_interrupted = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._is_interrupted |= sig == signal.SIGINT
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Raises OSError where another process has begun to listen since the sockets were bound.

        Two processes may bind one address as long as neither listens, and uvloop keeps to itself that it could not.
        """
        doubles = [listener.dup() for listener in sockets or []]  # a loop closes those that it cannot listen on
        try:
            await super().startup(sockets)
            if not all(double.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for double in doubles):
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        except OSError:
            await self.lifespan.shutdown()
            raise
        finally:
            for double in doubles:
                double.close()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop()
        if not self._is_interrupted:  # by somebody who waits at a terminal
            await self._drain()
            for accepted in self._stop_listening(sockets or []):
                await asyncio.get_running_loop().connect_accepted_socket(self._protocol, accepted)
        await super().shutdown(sockets)

    async def _drain(self) -> None:
        self._state.is_draining = True
        for connection in list(self._state.connections):
            drain = getattr(connection, "drain", None)  # uvicorn's own cannot be told
            if drain is not None:
                drain()
        loop = asyncio.get_running_loop()
        end = loop.time() + self._drain_seconds
        # Connections have no event for their end.
        while self._state.connections and loop.time() < end and not self.force_exit:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)

    def _stop_listening(self, sockets: list[socket.socket]) -> list[socket.socket]:
        """Those whom the system has accepted by the moment in which the sockets are closed: they would be reset."""
        doubles = [listener.dup() for listener in sockets]
        for server in self.servers:
            server.close()
        accepted = []
        for double in doubles:
            with double, suppress(BlockingIOError):
                while True:
                    accepted.append(double.accept()[0])
        return accepted

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config,
            server_state=self._state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )
        return protocol
