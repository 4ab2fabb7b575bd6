"""Whoever comes back with the last cursor has had every change once, in order, whatever happened meanwhile."""

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import websockets

from tests.app.live.conftest import connected
from tests.conftest import credentials, settings_for, until
from tests.service import Service, serving

FEED = """
SELECT h.id FROM changes h JOIN transactions x ON x.id = h.transaction_id
WHERE h.shipment_id IS NOT NULL AND h.channel_id IN (1, 2) ORDER BY x.position, h.id
"""
SUBSCRIPTION = "subscription S($after: String) { shipmentChanges(after: $after) { cursor action change { cursor } } }"


class Follower:
    """Comes back with its last cursor whenever it is cut off, and keeps the cursors of all changes."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.after: str | None = None
        self.cursors: list[str] = []
        self.connections = 0
        self.current: Any = None

    async def follow(self) -> None:
        headers = credentials("apikey", settings_for("postgresql://"))
        while True:
            with contextlib.suppress(OSError, websockets.WebSocketException, EOFError):
                async with connected(self.site) as socket:
                    self.current = socket.connection
                    self.connections += 1
                    await socket.begin(headers)
                    await socket.subscribe("1", SUBSCRIPTION, after=self.after)
                    while True:
                        event = await socket.event()
                        self.after = event["cursor"]
                        if event["action"] != "UP_TO_DATE":
                            self.cursors.append(event["cursor"])
            await asyncio.sleep(0.05)


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
    known = len(await connection.fetch(FEED))
    async with serving(demo_copy_dsn, tmp_path / "log") as service:
        followers = [Follower(service.site) for _ in range(3)]
        tasks = [asyncio.create_task(follower.follow()) for follower in followers]
        await until(lambda: all(follower.after for follower in followers))
        writing = asyncio.gather(*(write(demo_copy_dsn, seed, 30) for seed in range(4)))
        for _ in range(2):
            await asyncio.sleep(0.3)
            for follower in followers[1:]:
                follower.current.transport.abort()
            await _restart(service, kill)
        await writing
        expected = len(await connection.fetch(FEED)) - known
        await until(lambda: all(len(follower.cursors) >= expected for follower in followers))
        await asyncio.sleep(0.2)  # for what would be told twice
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert {len(set(follower.cursors)) for follower in followers} == {expected}
        assert all(follower.cursors == followers[0].cursors for follower in followers)
        assert all(follower.connections > 2 for follower in followers)
    await connection.close()


async def _restart(service: Service, kill: bool) -> None:
    if kill:
        await service.kill()
    else:
        service.process.terminate()
        await service.end()
    await service.start()
