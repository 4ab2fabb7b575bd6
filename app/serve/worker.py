"""A process that answers beside others, started by a supervisor on its sockets."""

import argparse
import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.asgi import create_app
from app.live import relay
from app.postgres.migrate import migration_names
from app.postgres.startup import check, explain
from app.serve.channel import ALIVE, BEAT_SECONDS, FAILED, READY, RETIRE, STOP
from app.serve.hangup import on_hangup
from app.serve.process import serve
from app.serve.server import Server
from app.settings import Settings, SettingsError, Worker


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__name__}", description="One process of `serve`.")
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--socket", type=int, action="append", required=True)
    options = parser.parse_args(arguments)
    worker = Worker(options.number, options.folder)
    sockets = [socket.socket(fileno=descriptor) for descriptor in options.socket]
    with socket.socket(fileno=options.channel) as channel:
        for each in (channel, *sockets):
            each.set_inheritable(False)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            _work(worker, os.environ, sockets, channel)
        except KeyboardInterrupt:
            return 0
        except Exception as error:
            reason = _reason(error, os.environ)
            if reason is None:
                raise
            channel.sendall(b"%b %b\n" % (FAILED, " ".join(reason.split()).encode()))
            return 1
    return 0


def _work(worker: Worker, environ: Mapping[str, str], sockets: list[socket.socket], channel: socket.socket) -> None:
    settings = Settings.from_env(environ)
    asyncio.run(check(settings.database_url, migration_names()))
    service = create_app(settings, worker)
    sockets = [*sockets, _open_to_siblings(worker)]
    attending: set[asyncio.Task[None]] = set()
    on_hangup(service.reload)
    serve(
        service,
        settings,
        sockets,
        on_start=lambda server: attending.add(
            asyncio.get_running_loop().create_task(_attend(channel, server, worker.folder))
        ),
        on_stop=lambda server: service.leave() if server.is_retiring else service.stop(),
        has_siblings=True,
    )


def _open_to_siblings(worker: Worker) -> socket.socket:
    path = relay.address(worker)
    path.unlink(missing_ok=True)  # of who had the number before
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    return listener


async def _attend(channel: socket.socket, server: Server, folder: Path) -> None:
    """Tells the supervisor of us, and does what it says."""
    reader, writer = await asyncio.open_connection(sock=channel)
    writer.write(b"%b\n" % READY)
    beating = asyncio.create_task(_beat(writer))
    try:
        while line := await reader.readline():
            if line == b"%b\n" % RETIRE:
                server.retire()
            elif line == b"%b\n" % STOP:
                server.stop()
    except ConnectionError:
        pass  # it was killed with words of ours that it had not heard
    finally:
        beating.cancel()
    # The supervisor is gone, and cleans up nothing.
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


async def _beat(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        writer.write(b"%b\n" % ALIVE)


def _reason(error: Exception, environ: Mapping[str, str]) -> str | None:
    """One line about what keeps a worker from starting; None where that is a defect."""
    line = explain(error, environ.get("DATABASE_URL", ""))
    return str(error) if line is None and isinstance(error, SettingsError | OSError) else line


if __name__ == "__main__":
    sys.exit(main())
