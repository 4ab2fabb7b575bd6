"""Worker or database is killed in the middle of a write load: what was answered holds, the rest is asked again."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from app import embedded
from app.data import fixtures
from app.migrate import migrate
from tests import write_load
from tests.conftest import TOKEN_SECRET
from tests.write_load import Load

ROOT = Path(embedded.__file__).parents[1]
FAR_TOO_LONG = 60
ANSWERS = 40  # before the kill, and again after it


class Worker:
    """`python -m app serve`, to be killed and started again on its port."""

    def __init__(self, dsn: str, log: Path) -> None:
        port = free_port()
        self.site = f"http://127.0.0.1:{port}"
        address = {"HOST": "127.0.0.1", "PORT": str(port)}
        self._environment = {**os.environ, "DATABASE_URL": dsn, "TOKEN_SECRET": TOKEN_SECRET, **address}
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "app", "serve"), cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )
        await self.become_ready()

    async def become_ready(self) -> None:
        async with asyncio.timeout(FAR_TOO_LONG), httpx.AsyncClient() as client:
            while True:
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.site}/readyz")).status_code == 200:
                        return
                assert self._process
                assert self._process.returncode is None, self._log.read_text()
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()


@asynccontextmanager
async def serving(dsn: str, log: Path) -> AsyncIterator[Worker]:
    worker = Worker(dsn, log)
    try:
        await worker.start()
        yield worker
    finally:
        await worker.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_killed_worker_leaves_each_key_applied_once_or_not_at_all(demo_copy_dsn: str, tmp_path: Path) -> None:
    await write_load.prepare(demo_copy_dsn)
    async with serving(demo_copy_dsn, tmp_path / "worker.log") as worker:
        load = Load(f"{worker.site}/graphql")
        async with load.running():
            await load.reach(ANSWERS)
            await worker.kill()
        assert load.unanswered
        await worker.start()
        await load.repeat()
        async with load.running():
            await load.reach(2 * ANSWERS)
    assert load.refused
    await load.check(demo_copy_dsn)


async def test_killed_database_keeps_what_was_answered_and_the_worker_finds_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setattr(embedded, "_free_port", lambda: port)
    # What a killed process has handed to the operating system is not lost, so nothing depends on fsync here.
    with embedded.temporary() as first:
        await migrate(first.dsn)
        await fixtures.load(first.dsn)
        await write_load.prepare(first.dsn)
        async with serving(first.dsn, tmp_path / "worker.log") as worker:
            load = Load(f"{worker.site}/graphql")
            async with load.running():
                await load.reach(ANSWERS)
                kill_server(first.data_dir)
            assert load.unanswered
            first.stop()
            with await asyncio.to_thread(embedded.start, first.data_dir, {"fsync": "off"}) as second:
                await worker.become_ready()
                await load.repeat()
                async with load.running():
                    await load.reach(2 * ANSWERS)
                await load.check(second.dsn)


def kill_server(data_dir: Path) -> None:
    """All its processes at once, so that none can end its work or clear up."""
    postmaster = int((data_dir / "postgres" / "postmaster.pid").read_text().split("\n")[0])
    children = [int(path.name) for path in Path("/proc").glob("[0-9]*") if parent(path) == postmaster]
    for pid in (postmaster, *children):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def parent(process: Path) -> int | None:
    with suppress(OSError):
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    return None
