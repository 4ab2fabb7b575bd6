"""Worker or database is killed in the middle of a write load: what was answered holds, the rest is asked again."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from app.demo import embedded, fixtures
from app.demo.embedded import Server
from app.postgres.migrate import migrate
from tests import server, write_load
from tests.conftest import reserved_port, until, until_blocked, until_gone
from tests.service import serving
from tests.write_load import Load

ROOT = Path(embedded.__file__).parents[2]
ANSWERS = 40  # before the kill, and again after it
LOCK = 42

# A mutation waits for the lock when it has written, or while it commits.
HOLD = """
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared({lock}); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER transactions_zz_hold AFTER INSERT ON transactions {when} FOR EACH ROW EXECUTE FUNCTION hold()
"""
IN_A_STATEMENT, IN_THE_COMMIT = "", "DEFERRABLE INITIALLY DEFERRED"
APPLIED = "SELECT count(*) FROM transactions WHERE request_id = ANY ($1)"


@asynccontextmanager
async def holding(dsn: str, when: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that has the lock for which all mutations wait; the lock ends with its session."""
    holder = await asyncpg.connect(dsn)
    try:
        await holder.execute(HOLD.format(lock=LOCK, when=when))
        await holder.execute("SELECT pg_advisory_lock($1)", LOCK)
        yield holder
    finally:
        holder.terminate()


@pytest.mark.parametrize("when", [IN_A_STATEMENT, IN_THE_COMMIT], ids=["in a statement", "in the commit"])
async def test_killed_worker_leaves_each_key_applied_once_or_not_at_all(
    demo_copy_dsn: str, tmp_path: Path, when: str
) -> None:
    await write_load.prepare(demo_copy_dsn)
    # Or the server may notice in the middle of a commit that it has lost the worker, and not do it.
    unwatched = f"{demo_copy_dsn}?client_connection_check_interval=0"
    async with serving(unwatched, tmp_path / "worker.log") as worker:
        load = Load(f"{worker.site}/graphql")
        async with AsyncExitStack() as until_killed:
            async with load.running():
                await load.reach(ANSWERS)
                holder = await until_killed.enter_async_context(holding(demo_copy_dsn, when))
                waiting = await until_blocked(holder)
                await worker.kill()
            unanswered = [mutation.key for mutation in load.unanswered]
            await holder.execute("SELECT pg_advisory_unlock_all()")
            await until_gone(holder, waiting)
            applied = await holder.fetchval(APPLIED, unanswered)
        # A commit that was asked for is done whether or not anybody hears of it; without one, nothing is.
        assert applied > 0 if when == IN_THE_COMMIT else applied < len(unanswered)
        await worker.start()
        await load.repeat()
        async with load.running():
            await load.reach(2 * ANSWERS)
            await until(lambda: load.refused > 0)
    await load.check(demo_copy_dsn)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of this test's own, whose port stays the same when it is started anew."""
    with reserved_port() as port:
        monkeypatch.setattr(embedded, "_free_port", lambda: port)
        with server.temporary() as database:
            yield database


async def test_killed_database_keeps_what_was_answered_and_the_worker_finds_it_again(
    database: Server, tmp_path: Path
) -> None:
    # What a killed process has handed to the operating system is not lost, so nothing depends on fsync here.
    await migrate(database.dsn)
    await fixtures.load(database.dsn)
    await write_load.prepare(database.dsn)
    async with serving(database.dsn, tmp_path / "worker.log") as worker:
        load = Load(f"{worker.site}/graphql")
        async with load.running():
            await load.reach(ANSWERS)
            async with holding(database.dsn, IN_A_STATEMENT) as holder:
                await until_blocked(holder)
                kill_server(database.data_dir)
        assert load.unanswered
        database.stop()
        with await asyncio.to_thread(embedded.start, database.data_dir, {"fsync": "off"}) as again:
            await worker.become_ready()
            await load.repeat()
            async with load.running():
                await load.reach(2 * ANSWERS)
            await load.check(again.dsn)


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
