"""Whoever comes back with the last cursor has had every change once, in order, whatever happened meanwhile."""

import asyncio
import random
from pathlib import Path

import asyncpg
import pytest

from tests.app.live.conftest import Follower, changes_of_shipments
from tests.conftest import until
from tests.service import Service, serving


async def write(dsn: str, seed: int, number: int) -> None:
    """Some transactions, of which some are taken back."""
    dice = random.Random(seed)
    connection = await asyncpg.connect(dsn)
    try:
        for _ in range(number):
            transaction = connection.transaction()
            await transaction.start()
            for _ in range(dice.randint(1, 3)):
                await connection.execute("INSERT INTO shipments (order_id, channel_id) VALUES (2075, 1)")
                await asyncio.sleep(dice.random() / 100)
            await (transaction.rollback() if dice.random() < 0.2 else transaction.commit())
    finally:
        await connection.close()


@pytest.mark.parametrize("kill", [False, True], ids=["restarts", "kills"])
async def test_nothing_is_lost_or_told_twice(demo_copy_dsn: str, tmp_path: Path, kill: bool) -> None:
    connection = await asyncpg.connect(demo_copy_dsn)
    known = len(await changes_of_shipments(connection))
    async with serving(demo_copy_dsn, tmp_path / "log") as service:
        followers = [Follower([service.site]) for _ in range(3)]
        tasks = [asyncio.create_task(follower.follow()) for follower in followers]
        await until(lambda: all(follower.after for follower in followers))
        writing = asyncio.gather(*(write(demo_copy_dsn, seed, 30) for seed in range(4)))
        for _ in range(2):
            await asyncio.sleep(0.3)
            for follower in followers[1:]:
                follower.current.transport.abort()
            await _restart(service, kill)
        await writing
        expected = (await changes_of_shipments(connection))[known:]
        await until(lambda: all(len(follower.told) >= len(expected) for follower in followers))
        await asyncio.sleep(0.2)  # for what would be told twice
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(follower.told == expected for follower in followers)
        assert all(follower.connections > 2 for follower in followers)
    await connection.close()


async def _restart(service: Service, kill: bool) -> None:
    if kill:
        await service.kill()
    else:
        service.process.terminate()
        await service.end()
    await service.start()
