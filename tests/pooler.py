"""PgBouncer before the tests' server, as a process of its own, where it is installed."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

import pytest

from tests.conftest import FAR_TOO_LONG, reserved_port

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")

_CONFIGURATION = """\
[databases]
* = host={host} port={port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = {auth_type}
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 200
logfile = {folder}/log
pidfile = {folder}/pid
"""


@contextmanager
def pooler(dsn: str, mode: str, size: int = 20, *, console: bool = True) -> Iterator[str]:
    """The DSN of `dsn` through a PgBouncer that shares connections by `mode`: session or transaction.

    With `console` the role may ask it how it is.
    """
    server = urlsplit(dsn)
    role = unquote(server.username or "")
    with reserved_port() as port:
        text = _CONFIGURATION.format(
            host=server.hostname,
            port=server.port,
            user=role,
            password=unquote(server.password or ""),
            listen_port=port,
            mode=mode,
            size=size,
            auth_type="any" if console else "trust",
            folder="{folder}",
        )
        with bouncing(text, port, f'"{role}" ""\n'):
            yield server._replace(netloc=f"{server.username}@127.0.0.1:{port}").geturl()


@contextmanager
def bouncing(text: str, port: int, users: str) -> Iterator[None]:
    """PgBouncer while it listens at a port, with a configuration in which `{folder}` is where its `users` are."""
    assert PGBOUNCER
    with TemporaryDirectory() as name:
        folder = Path(name)
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(text.replace("{folder}", name))
        (folder / "users").write_text(users)
        # It refuses to be root.
        account = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
        if account:
            for path in (folder, configuration, folder / "users"):
                shutil.chown(path, "nobody")
        # Begun again where it ends, as by whoever runs it for good: 1.18 ends itself at some cancel requests.
        again = ["/bin/sh", "-c", 'while :; do "$@"; sleep 0.05; done', "sh", PGBOUNCER, "-q", str(configuration)]
        process = subprocess.Popen(again, start_new_session=True, **account)
        try:
            _await(port)
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await(port: int) -> None:
    deadline = time.monotonic() + FAR_TOO_LONG
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)
    pytest.fail("pgbouncer does not answer")
