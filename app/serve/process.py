"""A process that answers: the application in uvicorn's server, on sockets that somebody has opened."""

import asyncio
import errno
import gc
import os
import socket
from collections.abc import Callable

import uvicorn

from app.asgi import Service, create_app
from app.http.address import Forwarded
from app.serve import notify
from app.serve.hangup import on_hangup
from app.serve.listen import unusable
from app.serve.server import Server, protocol_of, socket_protocol_of
from app.settings import Settings

# Open requests may take this long after Ctrl-C or SIGTERM.
GRACE_SECONDS = 10

GC_THRESHOLDS = (50_000, 10, 10)


def answer_alone(settings: Settings, sockets: list[socket.socket]) -> None:
    """Serves alone until SIGINT or SIGTERM; KeyboardInterrupt then, after the open requests are answered.

    SIGHUP has it read anew what may change while it runs. Raises OSError that names the address where another process
    listens there by now.
    """
    service = create_app(settings)
    watching: set[asyncio.Task[None]] = set()

    def start(_server: Server) -> None:
        notify.ready("answering")
        watching.add(asyncio.get_running_loop().create_task(notify.keep_alive(lambda: True)))

    def stop(_server: Server) -> None:
        notify.stopping()
        service.stop()

    def reload() -> None:
        notify.reloading()
        service.reload()
        notify.ready("answering")

    on_hangup(reload)
    try:
        serve(service, settings, sockets, on_start=start, on_stop=stop)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise unusable(settings, error) from error


def serve(
    service: Service,
    settings: Settings,
    sockets: list[socket.socket],
    *,
    on_start: Callable[[Server], None],
    on_stop: Callable[[Server], None],
    has_siblings: bool = False,
) -> None:
    proxies = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")
    config = uvicorn.Config(
        Forwarded(service, proxies),
        interface="asgi3",  # it would ask for a coroutine function, and take another callable for an old interface
        proxy_headers=False,
        lifespan="on",
        http=protocol_of(settings, proxies),
        ws=socket_protocol_of(settings),
        ws_max_size=settings.limits.frame_bytes,
        ws_per_message_deflate=False,  # 64 KiB a socket, and frames are small
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
        log_config=None,
        access_log=False,  # the application writes its own, with request ids
    )
    _spare_the_garbage_collector()
    server = Server(
        config,
        drain_seconds=settings.drain_seconds,
        on_start=on_start,
        on_stop=on_stop,
        has_siblings=has_siblings,
    )
    server.run(sockets)


def _spare_the_garbage_collector() -> None:
    """Half the time of an answer of a hundred shipments went to looking for garbage where there was none.

    What the application is made of (modules, schema) lives as long as the process, and is taken out of every search;
    while it is made there is none, which would take a sixth of the start. From then on a search begins after 50,000 new
    objects, not 700: an answer's rows are then mostly gone by themselves. What is left for it are circles, such as an
    error with the traceback that led to it. Measured with graphql-core's executor and eight such answers at a time, its
    share fell from 53 % to 20 %.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()
