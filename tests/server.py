"""The PostgreSQL of the tests, and the databases on it.

What a database costs decides how long a run takes: there is one for every test that writes.
"""

import asyncio
import base64
import hashlib
import hmac
import itertools
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from app.demo import embedded

T = TypeVar("T")

# Of any server that nothing but tests is kept on; .ci/run starts another PostgreSQL with them.
SETTINGS = {
    "autovacuum": "off",  # or statistics, and plans with them, would depend on when it came by
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    "max_connections": "500",  # some twenty for each of as many workers as a large machine has processors
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
}
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2 * 1024**3

# Databases of a run have its name, which the workers find in their environment.
_RUN = "WAYBILL_TEST_RUN"
_serial = itertools.count()


@contextmanager
def throwaway(settings: Mapping[str, str] | None = None, parent: Path | None = None) -> Iterator[embedded.Server]:
    """An embedded server that leaves nothing behind and so writes at ease.

    It lies in a directory of its own below `parent`, or where the system keeps temporary files.
    """
    data_dir = Path(tempfile.mkdtemp(prefix="waybill-", dir=parent))
    data_dir.chmod(0o711)
    try:
        with embedded.start(data_dir, {"fsync": "off", **(settings or {})}) as server:
            yield server
    finally:
        embedded.remove(data_dir)


@contextmanager
def temporary(**settings: str) -> Iterator[embedded.Server]:
    """The same, and connections to it cost little."""
    with throwaway(SETTINGS | settings, parent=roomy_memory()) as server:
        asyncio.run(ease(server.dsn))
        yield server


def roomy_memory() -> Path | None:
    """A directory in memory with room for a server; None where there is none.

    On a disk, a run creates and deletes hundreds of thousands of files: with some file systems ten times as slowly.
    """
    try:
        status = os.statvfs(MEMORY)
    except OSError:
        return None
    has_room = status.f_bavail * status.f_frsize >= MEMORY_BYTES
    return MEMORY if has_room and os.access(MEMORY, os.W_OK) and not status.f_flag & os.ST_NOEXEC else None


async def ease(dsn: str) -> None:
    """Has connections of the DSN's role cost little."""
    await administer(dsn, f"ALTER ROLE {urlsplit(dsn).username} PASSWORD '{_verifier(dsn)}'")


def _verifier(dsn: str) -> str:
    """What PostgreSQL keeps of the DSN's password (RFC 5802), after one iteration instead of 4,096.

    The iterations protect passwords that can be guessed, and cost both sides a millisecond for every connection.
    """
    password, salt = urlsplit(dsn).password or "", secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt_, stored_key_, server_key_ = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256$1:{salt_}${stored_key_}:{server_key_}"


async def administer(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def compact(dsn: str) -> None:
    """Has a template take as few files and bytes as it can: 20 ms for a copy and its end, in place of 24."""
    await administer(dsn, "VACUUM FULL")
    await administer(dsn, "SELECT")  # by which the server notes what each connection to a copy has to know


def begin_run() -> None:
    """Names the run, in the process that starts the workers."""
    os.environ[_RUN] = f"waybill_test_{os.getpid()}_{secrets.token_hex(4)}"


def end_run(dsn: str) -> None:
    """Drops the databases of the run, in the process that started the workers. A server that is not there has none."""

    async def drop_all() -> None:
        connection = await asyncpg.connect(dsn)
        for row in await connection.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", _run()):
            await connection.execute(f'DROP DATABASE "{row["datname"]}" WITH (FORCE)')
        await connection.close()

    with suppress(OSError):
        asyncio.run(drop_all())


def _run() -> str:
    return os.environ[_RUN]


class Databases:
    """Makes and drops databases over one connection. May be called from any thread, but not from within a loop."""

    def __init__(self, server_dsn: str) -> None:
        self.server_dsn = server_dsn
        self._lock = threading.Lock()
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._connection: asyncpg.Connection = self._runner.run(asyncpg.connect(server_dsn))
        self._strategy = self._runner.run(self._cheapest_strategy())

    def close(self) -> None:
        self._await(self._connection.close())
        self._runner.close()

    def create(self, template: str = "template1") -> str:
        """The DSN of a new database, a copy of `template`: a name or a DSN."""
        return self._create(f"{_run()}_{os.getpid()}_{next(_serial)}", template)

    def drop(self, dsn: str) -> None:
        self._await(self._connection.execute(f'DROP DATABASE "{_name(dsn)}" WITH (FORCE)'))

    def shared(self, name: str, template: str, fill: Callable[[str], Coroutine[Any, Any, Any]]) -> str:
        """The DSN of the run's database of that name, made and filled by the first worker that asks for it."""
        name = f"{_run()}_{name}"
        exists = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
        self._await(self._connection.execute("SELECT pg_advisory_lock(hashtext($1))", name))
        try:
            if self._await(self._connection.fetchval(exists, name)):
                return self._dsn(name)
            self._await(self._connection.execute(f'DROP DATABASE IF EXISTS "{name}_unfinished"'))
            dsn = self._create(f"{name}_unfinished", template)
            asyncio.run(fill(dsn))
            self._await(self._connection.execute(f'ALTER DATABASE "{_name(dsn)}" RENAME TO "{name}"'))
            return self._dsn(name)
        finally:
            self._await(self._connection.execute("SELECT pg_advisory_unlock(hashtext($1))", name))

    def _create(self, name: str, template: str) -> str:
        source = _name(template) if "://" in template else template
        self._await(self._connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}" {self._strategy}'))
        return self._dsn(name)

    def _dsn(self, name: str) -> str:
        return urlunsplit(urlsplit(self.server_dsn)._replace(path=f"/{name}"))

    async def _cheapest_strategy(self) -> str:
        """Copying files needs no log of each page, but a checkpoint, which costs little where nothing is synced."""
        is_synced = await self._connection.fetchval("SHOW fsync") == "on"
        return "" if is_synced else "STRATEGY file_copy"

    def _await(self, awaitable: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            return self._runner.run(awaitable)


def _name(dsn: str) -> str:
    return urlsplit(dsn).path.lstrip("/")
