"""The store at one moment, over a network that fails, and behind poolers."""

import asyncio

import asyncpg
import pytest

import sql
from app.errors import TimedOut, Unavailable
from app.postgres.database import Database
from app.postgres.snapshot import Snapshot
from sql import Visibility
from tests.conftest import settings_for, until
from tests.pooler import needs_pgbouncer, pooler
from tests.proxy import proxied
from tests.through_pool import row

COUNT = sql.load("shipment").count
ALL = sql.load("shipment").all


async def count(snapshot: Snapshot) -> int:
    [row] = await snapshot.fetch(COUNT)
    found: int = row["items_found"]
    return found


async def test_it_shows_the_moment_of_its_beginning(demo_copy_dsn: str) -> None:
    db = await Database.connect(settings_for(demo_copy_dsn))
    async with Snapshot.open(db, Visibility.everything()) as snapshot:
        other = await asyncpg.connect(demo_copy_dsn)
        await other.execute("DELETE FROM track_and_traces; DELETE FROM shipments WHERE order_id = 2075")
        await other.close()
        before = await count(snapshot)
    async with Snapshot.open(db, Visibility.everything()) as snapshot:
        assert await count(snapshot) < before
    assert db.pool.lent == 0
    await db.close()


async def test_it_has_bounds_of_its_own_on_the_server(demo_dsn: str) -> None:
    db = await Database.connect(settings_for(demo_dsn, deadline=1, pool_size=1))
    bounds = "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"
    async with Snapshot.open(db, Visibility.everything()) as snapshot:
        assert tuple(await snapshot._connection.fetchrow(bounds)) == ("5min", "2min")
    assert tuple(await row(db.pool, bounds) or ()) == ("1s", "1s")
    await db.close()


@needs_pgbouncer
async def test_a_pooler_that_shares_sessions_keeps_it_together(demo_dsn: str) -> None:
    with pooler(demo_dsn, "transaction") as dsn:
        db = await Database.connect(settings_for(dsn))

        async def read() -> int:
            async with Snapshot.open(db, Visibility.everything()) as snapshot:
                found = await count(snapshot)
                batches = [len(rows) async for rows in snapshot.batches(ALL, 50)]
                assert sum(batches) == found
                assert set(batches[:-1]) == {50}
                return found

        assert len(set(await asyncio.gather(*(read() for _ in range(5))))) == 1
        await db.close()


async def test_a_lost_connection_is_told(demo_dsn: str) -> None:
    async with proxied(demo_dsn) as proxy:
        db = await Database.connect(settings_for(proxy.dsn))
        async with Snapshot.open(db, Visibility.everything()) as snapshot:
            batches = snapshot.batches(ALL, 10)
            assert len(await anext(batches)) == 10
            proxy.reset()
            with pytest.raises(Unavailable):
                await anext(batches)
            with pytest.raises(Unavailable):
                await snapshot.fetch(COUNT)
        assert db.pool.lent == 0
        await db.close()


async def test_a_frozen_network_keeps_no_connection(demo_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("snapshot._STATEMENT_SECONDS", 0.2), ("snapshot._END_SECONDS", 0.05)):
        monkeypatch.setattr(f"app.postgres.{name}", seconds)
    monkeypatch.setattr("app.postgres.pool._SETTLE_SECONDS", 0.2)
    async with proxied(demo_dsn) as proxy:
        db = await Database.connect(settings_for(proxy.dsn))
        async with Snapshot.open(db, Visibility.everything()) as snapshot:
            proxy.freeze()
            with pytest.raises(TimedOut):
                await snapshot.fetch(COUNT)
        await until(lambda: db.pool.lent == 0)
        proxy.thaw()
        async with Snapshot.open(db, Visibility.everything()) as snapshot:
            assert await count(snapshot) > 0
        await db.close()
