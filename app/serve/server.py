"""uvicorn's server, which leaves without losing a request.

A proxy sends requests on connections that it has open, and to a socket that listens. So when the service is told to
stop, it says so to whoever asks whether it is ready, and ends every connection with the next answer on it, while it
accepts and answers as before. Only when nobody is left, or after `drain_seconds`, it closes the socket: whatever the
system has accepted by then is answered, too.
"""

import asyncio
import errno
import logging
import resource
import signal
import socket
import sys
from collections.abc import Callable, Container
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from app.settings import Settings, SettingsError

# Whose insides `app.http.protocol` is made of; PROTOCOL=stock does with any.
UVICORN = "0.54"

_LOOK_SECONDS = 0.05
# Files that a process opens beside its connections: its log, its pool, what it reads.
_OTHER_FILES = 1_100
_FEWEST_CONNECTIONS = 100

# Accepted at a time: by one process, and by one of several for each so many connections that it has.
_MOST_ACCEPTED, _SHARE = 100, 8
# The system has no room for another connection, which comes back when others end.
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_EXHAUSTED_SECONDS = 1.0

logger = logging.getLogger("waybill.serve")


def protocol_of(settings: Settings, trusted: str = "127.0.0.1") -> Any:
    """What `uvicorn.Config` takes as `http`: a name, or a maker of protocols, though its types ask for a class.

    `trusted` are the proxies, as uvicorn's `forwarded_allow_ips` names them. Raises `SettingsError` where another
    uvicorn is installed than the one that our protocol is made for.
    """
    if settings.protocol == "stock":
        return "httptools"
    if uvicorn.__version__.rpartition(".")[0] != UVICORN:
        raise SettingsError(f"PROTOCOL must be stock with uvicorn {uvicorn.__version__}: ours is made for {UVICORN}")
    from uvicorn.middleware.proxy_headers import _TrustedHosts

    from app.http.protocol import Bounds, Protocol

    limits = settings.limits
    bounds = Bounds(
        limits.head_bytes,
        limits.headers,
        settings.head_seconds,
        min(limits.connections, _most_files()),
        limits.address_connections,
        cast("Container[str]", _TrustedHosts(trusted)),
    )
    return partial(Protocol, bounds=bounds)


def socket_protocol_of(settings: Settings) -> Any:
    """What `uvicorn.Config` takes as `ws`."""
    if settings.protocol == "stock":
        return "websockets-sansio"
    from app.http.socket_protocol import SocketProtocol

    return SocketProtocol


def _most_files() -> int:
    """How many connections the system lets the process open, once it may open all that it can be allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    return max(_FEWEST_CONNECTIONS, most - _OTHER_FILES)


class ServingState(ServerState):
    """What the connections of a process share. `is_draining` tells those that come that they end with their answer;
    `addresses` is how many there are from each.
    """

    is_draining = False

    def __init__(self) -> None:
        super().__init__()
        self.addresses: dict[str, int] = {}


class Server(uvicorn.Server):
    """`on_start` is called when it listens, and `on_stop` when it is told to stop, before anything else.

    `has_siblings` tells that other processes accept on the same sockets; SIGTERM is then for this one alone.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        drain_seconds: float,
        on_start: Callable[["Server"], None] = lambda _server: None,
        on_stop: Callable[["Server"], None] = lambda _server: None,
        has_siblings: bool = False,
    ) -> None:
        super().__init__(config)
        self.server_state = self._state = ServingState()
        self.is_retiring = False
        self._drain_seconds = drain_seconds
        self._on_start = on_start
        self._on_stop = on_stop
        self._has_siblings = has_siblings
        self._is_interrupted = False
        self._listeners: list[socket.socket] = []
        self._accepting: set[asyncio.Task[None]] = set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._is_interrupted |= sig == signal.SIGINT
        self.is_retiring = sig == signal.SIGTERM and self._has_siblings
        super().handle_exit(sig, frame)

    def retire(self) -> None:
        """Accepts nobody any more, since others do, and ends when all who are connected have had an answer."""
        self.is_retiring = self.should_exit = True

    def stop(self) -> None:
        """As its siblings do: who is connected or still comes has an answer, and who asks learns that they end."""
        self.is_retiring, self.should_exit = False, True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Raises OSError where another process has begun to listen since the sockets were bound."""
        await super().startup([])
        loop = asyncio.get_running_loop()
        try:
            for listener in sockets or []:
                listener.setblocking(False)
                listener.listen(self.config.backlog)
        except OSError:
            await self.lifespan.shutdown()
            raise
        self._listeners = list(sockets or [])
        for listener in self._listeners:
            loop.add_reader(listener, self._accept, listener)
        self._on_start(self)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop(self)
        if self.is_retiring:
            self._pause()
        if not self._is_interrupted:  # by somebody who waits at a terminal
            await self._drain()
        self._pause()
        if not (self._is_interrupted or self.is_retiring):
            # Those whom the system has accepted by the moment in which a socket is closed: they would be reset. So
            # nothing may be awaited between.
            for listener in self._listeners:
                while self._accept_one(listener):
                    pass
                listener.close()
        while self._accepting:
            await asyncio.wait(self._accepting)
        self._listeners = []
        await super().shutdown(sockets)

    def _accept(self, listener: socket.socket) -> None:
        """Some of those who wait to be accepted.

        Where processes share a socket, whichever comes first takes a connection, and connections last. One that took
        all there are would have all the work, so each takes few at a time, as measured by how many it has.
        """
        most = 1 + len(self._state.connections) // _SHARE if self._has_siblings else _MOST_ACCEPTED
        try:
            for _ in range(most):
                if not self._accept_one(listener):
                    break
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            logger.error("no connection can be accepted: %s", error)
            self._pause()
            asyncio.get_running_loop().call_later(_EXHAUSTED_SECONDS, self._resume)

    def _accept_one(self, listener: socket.socket) -> bool:
        """Whether there was one. Raises OSError where there is no room for any."""
        try:
            accepted, _ = listener.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionAbortedError:
            return True
        accepted.setblocking(False)
        if accepted.family != socket.AF_UNIX:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.get_running_loop().create_task(self._connect(accepted))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        return True

    async def _connect(self, accepted: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, accepted)
        except OSError:  # it has gone already
            accepted.close()

    def _pause(self) -> None:
        for listener in self._listeners:
            if listener.fileno() >= 0:
                asyncio.get_running_loop().remove_reader(listener)

    def _resume(self) -> None:
        if not self.should_exit:
            for listener in self._listeners:
                asyncio.get_running_loop().add_reader(listener, self._accept, listener)

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

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config,
            server_state=self._state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )
        return protocol
