"""The feed of changes against its tables, while whoever writes, gives positions or serves the database is killed."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import asyncpg
import pytest

import sql
from app.demo.embedded import Server
from app.postgres.migrate import migrate
from sql import Reach
from tests import server
from tests.conftest import FAR_TOO_LONG
from tests.fuzz import MINUTES, SEED

KILLS = 1_000 if MINUTES else 15
WRITERS, GIVERS = 5, 3
# What whoever waits for it writes after whom it waited for.
HOT = "hot"
PAGE = sql.load("change").page.prepare(Reach.EVERYTHING)
WHOLE = """
SELECT x.position, c.id AS number, c.type, c.action, c.entity_id AS id, c.version
FROM transactions x JOIN changes c ON c.transaction_id = x.id
ORDER BY x.position, c.id
"""
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
# What a kill is told as, and a deadlock.
KILLED = {"57P01", "57P02", "57P03", "08006", "08003", "40P01"}

Change = tuple[Any, ...]


class Run:
    """Writers, givers and a reader on one database, each of which connects anew when it was killed."""

    def __init__(self, dsn: str, seed: int) -> None:
        self.dsn = dsn
        self.dice = random.Random(seed)
        self.is_over = False
        self.pids: dict[str, int] = {}
        self.answered: list[str] = []  # names of carriers whose commit was answered, and flushed before
        self.read: list[Change] = []

    async def act(self, name: str, step: Callable[[asyncpg.Connection], Awaitable[object]], setting: str = "") -> None:
        while not self.is_over:
            try:
                connection = await asyncpg.connect(self.dsn, timeout=5)
            except LOST:
                await asyncio.sleep(0.02)
                continue
            try:
                if setting:
                    await connection.execute(setting)
                self.pids[name] = connection.get_server_pid()
                while not self.is_over:
                    await step(connection)
            except LOST as error:
                if isinstance(error, asyncpg.PostgresError) and error.sqlstate not in KILLED:
                    raise
            finally:
                self.pids.pop(name, None)
                connection.terminate()

    def writer(self, number: int) -> Callable[[asyncpg.Connection], Awaitable[None]]:
        """Numbers its carriers, in transactions of one or several changes; many of them write the hot one, too."""
        dice, serial = random.Random(self.dice.random()), 0

        async def write(connection: asyncpg.Connection) -> None:
            nonlocal serial
            names = [f"{number}-{serial + n}" for n in range(dice.choice((1, 1, 3)))]
            serial += len(names)
            async with connection.transaction():
                for name in names:
                    await connection.execute("INSERT INTO carriers (name) VALUES ($1)", name)
                if dice.random() < 0.5:
                    await connection.execute("UPDATE carriers SET logo = $2 WHERE name = $1", HOT, names[0])
                if dice.random() < 0.1:
                    await connection.execute("DELETE FROM carriers WHERE name = $1", names[0])
                if dice.random() < 0.1:
                    await asyncio.sleep(0.05)
                if dice.random() < 0.1:
                    raise asyncpg.InterfaceError("given up")
            self.answered += names

        return write

    async def give(self, connection: asyncpg.Connection) -> None:
        await connection.execute("SELECT give_positions($1)", self.dice.choice((3, 1000)))
        await asyncio.sleep(0.003)

    async def follow(self, connection: asyncpg.Connection) -> None:
        """Reads the next page; what it has read is never read again."""
        position, number = self.read[-1][:2] if self.read else (0, 0)
        values = {"position": position, "number": number, "scan": 50, "held": []}
        rows = await connection.fetch(PAGE.text, *PAGE.arguments(values))
        self.read += [
            (row["position"], row["number"], row["type"], row["action"], row["id"], row["version"]) for row in rows
        ]
        await asyncio.sleep(0.003)

    async def kill(self) -> None:
        """A session politely; or a process, upon which PostgreSQL ends all others and recovers. After some progress."""
        wanted = len(self.read) + self.dice.randint(1, 20)
        async with asyncio.timeout(FAR_TOO_LONG):
            while len(self.read) < wanted or not self.pids.keys() - {"reader"}:  # noqa: ASYNC110  nothing sets an event
                await asyncio.sleep(0.001)
        await asyncio.sleep(self.dice.random() * 0.01)
        pid = self.dice.choice([pid for name, pid in self.pids.items() if name != "reader"] or [0])
        if not pid:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL if self.dice.random() < 0.1 else signal.SIGTERM)

    async def run(self, kills: int) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(WRITERS):
                # One does not wait for the flush: what a crash takes back of it, no reader may have seen.
                setting = "SET synchronous_commit = off" if number == 0 else ""
                group.create_task(self.act(f"writer {number}", self.writer(number), setting))
            for number in range(GIVERS):
                group.create_task(self.act(f"giver {number}", self.give))
            group.create_task(self.act("reader", self.follow))
            for _ in range(kills):
                await self.kill()
            self.is_over = True

    async def check(self) -> None:
        connection = await connected(self.dsn)
        # The last of the killed may still be on their way.
        while (await connection.fetchrow("SELECT * FROM give_positions(1000)"))["given"] or await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ):
            pass
        known = -1
        while known != len(self.read):
            known = len(self.read)
            await self.follow(connection)
        whole = [tuple(row) for row in await connection.fetch(WHOLE)]
        present = {str(row["id"]): row["version"] for row in await connection.fetch("SELECT id, version FROM carriers")}
        names = {str(row["id"]): row["name"] for row in await connection.fetch("SELECT id, name FROM carriers")}
        hot = await connection.fetchval("SELECT id::text FROM carriers WHERE name = $1", HOT)
        assert await connection.fetchval("SELECT count(*) FROM transactions WHERE position IS NULL") == 0
        assert await connection.fetchval("SELECT count(*) FROM commits") == 0
        created = await connection.fetch("SELECT new ->> 'name' AS name FROM changes WHERE action = 'CREATED'")
        await connection.close()

        assert self.read == whole, "the reader has seen what is there, each change once, in its order"
        copy: dict[str, int] = {}
        for _, _, _, action, key, version in whole:
            if action == "DELETED":
                del copy[key]
            else:
                assert version == (copy.get(key, 0) + 1), "a row's changes are in their order"
                copy[key] = version
        assert copy == present
        assert [each[5] for each in whole if each[4] == hot] == list(range(1, present[hot] + 1))
        told = {row["name"] for row in created}
        unflushed = {name for name in self.answered if name.startswith("0-")}
        assert set(self.answered) - told <= unflushed, "what was answered is told"
        # What a writer wrote after its own commit comes after it.
        for number in range(WRITERS):
            own = [
                int(names[each[4]].partition("-")[2])
                for each in whole
                if each[3] == "CREATED" and names.get(each[4], "").startswith(f"{number}-")
            ]
            assert own == sorted(own)


async def connected(dsn: str) -> asyncpg.Connection:
    async with asyncio.timeout(FAR_TOO_LONG):
        while True:
            with suppress(*LOST):
                return await asyncpg.connect(dsn)
            await asyncio.sleep(0.05)


@pytest.fixture
def database() -> Iterator[Server]:
    """A server of this test's own, which recovers by itself."""
    with server.temporary(restart_after_crash="on") as database:
        yield database


async def test_feed_is_what_its_tables_are_whoever_is_killed(database: Server) -> None:
    seed = SEED if MINUTES else 1
    await migrate(database.dsn)
    connection = await asyncpg.connect(database.dsn)
    await connection.execute("INSERT INTO carriers (name) VALUES ($1)", HOT)
    await connection.close()
    run = Run(database.dsn, seed)
    await run.run(KILLS)
    await run.check()
    changes = len(run.read)
    assert changes > KILLS
    if MINUTES:
        print(f"feed: seed {seed}, {KILLS:,} kills, {changes:,} changes", flush=True)
