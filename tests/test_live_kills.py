"""Sockets beside writers, while what they are connected to is killed: the service, its database, or they themselves."""

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from app.demo import fixtures
from app.demo.embedded import Server
from app.postgres.migrate import migrate
from tests import server
from tests.app.live.conftest import Follower, changes_of_shipments
from tests.conftest import until
from tests.fuzz import MINUTES, SEED
from tests.service import Service, serving

KILLS = 1_000 if MINUTES else 12
WRITERS, FOLLOWERS = 4, 3
BACKEND = """
SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
ORDER BY random() LIMIT 1
"""
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


async def write(dsn: str, dice: random.Random) -> None:
    """Transactions of one or several changes, of which some are taken back, until it is cancelled."""
    while True:
        with suppress(*LOST):
            connection = await asyncpg.connect(dsn, timeout=5)
            try:
                while True:
                    transaction = connection.transaction()
                    await transaction.start()
                    for _ in range(dice.randint(1, 3)):
                        await connection.execute("INSERT INTO shipments (order_id, channel_id) VALUES (2075, 1)")
                        await asyncio.sleep(dice.random() / 50)
                    await (transaction.rollback() if dice.random() < 0.2 else transaction.commit())
                    await asyncio.sleep(dice.random() / 10)
            finally:
                connection.terminate()
        await asyncio.sleep(0.05)


async def kill(dsn: str, services: list[Service], followers: list[Follower], dice: random.Random) -> None:
    """A socket; or a session politely; or a process of the database, upon which all of it recovers; or a service."""
    fate = dice.random()
    if fate < 0.4:
        dice.choice(followers).current.transport.abort()
    elif fate < 0.9:
        with suppress(*LOST):
            connection = await asyncpg.connect(dsn, timeout=5)
            pid = await connection.fetchval(BACKEND)
            connection.terminate()
            os.kill(pid, signal.SIGKILL if fate > 0.8 else signal.SIGTERM)
    else:
        service = dice.choice(services)
        await service.kill()
        await service.start()


def _has_told(follower: Follower, number: int) -> bool:
    return len(follower.told) >= number


@pytest.fixture
def database() -> Iterator[Server]:
    """A server of this test's own, which recovers by itself."""
    with server.temporary(restart_after_crash="on") as database:
        yield database


async def test_sockets_are_told_each_change_once_whoever_is_killed(database: Server, tmp_path: Path) -> None:
    dsn, dice = database.dsn, random.Random(SEED if MINUTES else 1)
    await migrate(dsn)
    await fixtures.load(dsn)
    connection = await asyncpg.connect(dsn)
    known = len(await changes_of_shipments(connection))
    await connection.close()
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(serving(dsn, tmp_path / f"{number}.log")) for number in range(2)]
        followers = [Follower([service.site for service in services]) for _ in range(FOLLOWERS)]
        following = [asyncio.create_task(follower.follow()) for follower in followers]
        await until(lambda: all(follower.after for follower in followers))
        writing = [asyncio.create_task(write(dsn, random.Random(dice.random()))) for _ in range(WRITERS)]
        for _ in range(KILLS):
            await until(partial(_has_told, followers[0], len(followers[0].told) + dice.randint(1, 20)))
            await kill(dsn, services, followers, dice)
        for task in writing:
            task.cancel()
        await asyncio.wait(writing)
        # A transaction of a session that was lost may still be on its way.
        expected: list[tuple[str, str, int]] = []
        for _ in range(2):
            await asyncio.sleep(1)
            connection = await asyncpg.connect(dsn)
            await connection.fetch("SELECT give_positions(1000)")
            expected = (await changes_of_shipments(connection))[known:]
            await connection.close()
        await until(lambda: all(len(follower.told) >= len(expected) for follower in followers))
        await asyncio.sleep(0.2)  # for what would be told twice
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    assert all(follower.told == expected for follower in followers)
    assert len(expected) > KILLS
    if MINUTES:
        connections = sum(follower.connections for follower in followers)
        print(f"sockets: {KILLS:,} kills, {len(expected):,} changes, {connections:,} connections", flush=True)
