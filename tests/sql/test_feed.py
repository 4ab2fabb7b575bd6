"""Positions in the feed are given after the commits: in the order that the commits had, each once."""

import asyncio

import asyncpg
import pytest

from app.postgres.migrate import migrate
from tests.conftest import FAR_TOO_LONG, ConnectionTo, Databases, until_blocked
from tests.sql.before import migrate_before

GIVE = "SELECT given, reached FROM give_positions(100)"
NEW_CARRIER = "INSERT INTO carriers (name) VALUES ($1)"
# Names of carriers in the order of the feed.
FEED = """
SELECT c.new ->> 'name' AS name, x.position
FROM changes c JOIN transactions x ON x.id = c.transaction_id
WHERE c.type = 'CARRIER' AND x.position IS NOT NULL ORDER BY x.position, c.id
"""


async def names(connection: asyncpg.Connection) -> list[str]:
    return [row["name"] for row in await connection.fetch(FEED)]


@pytest.fixture
async def store(fresh_dsn: str, connection_to: ConnectionTo) -> asyncpg.Connection:
    return await connection_to(fresh_dsn)


@pytest.fixture
async def other(fresh_dsn: str, connection_to: ConnectionTo) -> asyncpg.Connection:
    return await connection_to(fresh_dsn)


async def test_feed_of_before_goes_on(databases: Databases, connection_to: ConnectionTo) -> None:
    dsn = await asyncio.to_thread(databases.create)
    await migrate_before(dsn, "0020")
    store = await connection_to(dsn)
    for name in ("a", "b"):
        await store.execute(NEW_CARRIER, name)
    before = [tuple(row) for row in await store.fetch(FEED)]
    await migrate(dsn)
    for name in ("c", "d"):
        await store.execute(NEW_CARRIER, name)
    assert [tuple(row) for row in await store.fetch(FEED)] == before == [("a", 1), ("b", 2)]
    assert tuple(await store.fetchrow(GIVE)) == (2, 4)
    assert [tuple(row) for row in await store.fetch(FEED)] == [*before, ("c", 3), ("d", 4)]


async def test_nothing_is_given_where_nothing_is_due(store: asyncpg.Connection) -> None:
    await store.execute(NEW_CARRIER, "a")
    assert tuple(await store.fetchrow(GIVE)) == (1, 1)
    assert tuple(await store.fetchrow(GIVE)) == (0, 1)
    for mode in ("READ ONLY", "ISOLATION LEVEL REPEATABLE READ"):
        await store.execute(NEW_CARRIER, mode)
        await store.execute(f"BEGIN {mode}")
        assert tuple(await store.fetchrow(GIVE)) == (0, 1)
        await store.execute("ROLLBACK")
    assert tuple(await store.fetchrow(GIVE)) == (2, 3)


# What another has committed meanwhile is met when the transaction has its number already.
# Those who write carriers wait for each other for the sake of news that waits, which is not what is asked here.
CHANGE_LATE = """
ALTER TABLE carriers DISABLE TRIGGER carriers_news_came;
CREATE FUNCTION change_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(42);
  INSERT INTO carriers (name) VALUES ('its last');
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER transactions_zz_change_late AFTER INSERT ON transactions DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.actor = 'early') EXECUTE FUNCTION change_late();
"""


async def test_transaction_that_waits_in_its_commit_comes_after_whom_it_waited_for(
    store: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    await store.execute(CHANGE_LATE)
    await other.execute("SET waybill.actor = 'early'")
    async with store.transaction():
        await store.execute("SELECT pg_advisory_xact_lock(42)")
        early = asyncio.create_task(other.execute(NEW_CARRIER, "early"))
        await until_blocked(store)
        await store.execute(NEW_CARRIER, "late")
    await early
    await store.execute(GIVE)
    assert await names(store) == ["late", "early", "its last"]


REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
CREATE CONSTRAINT TRIGGER transactions_zz_refuse AFTER INSERT ON transactions DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.actor = 'refused') EXECUTE FUNCTION refuse();
"""


async def test_number_of_a_commit_that_failed_is_looked_for_until_all_of_its_time_are_over(
    store: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    await store.execute(REFUSE)
    async with other.transaction():
        await other.execute("SELECT pg_current_xact_id()")
        await store.execute("SET waybill.actor = 'refused'")
        with pytest.raises(asyncpg.RaiseError):
            await store.execute(NEW_CARRIER, "refused")
        await store.execute("RESET waybill.actor")
        for name in ("a", "b"):
            await store.execute(NEW_CARRIER, name)
            assert (await store.fetchrow(GIVE))["given"] == 1
            assert len(await store.fetchval("SELECT missing FROM feed_ends")) == 1
    # Those of other databases count as well: of whoever may have taken the number nobody knows where it writes.
    async with asyncio.timeout(FAR_TOO_LONG):
        while await store.fetchval("SELECT missing FROM feed_ends"):
            await store.execute("INSERT INTO carriers (name) VALUES (gen_random_uuid()::text)")
            await store.execute(GIVE)
    assert (await names(store))[:2] == ["a", "b"]


async def test_batches_are_no_larger_than_asked_for(store: asyncpg.Connection) -> None:
    for number in range(5):
        await store.execute(NEW_CARRIER, f"{number}")
    given = [tuple(await store.fetchrow("SELECT given, reached FROM give_positions(2)")) for _ in range(4)]
    assert given == [(2, 2), (2, 4), (1, 5), (0, 5)]
    assert await names(store) == ["0", "1", "2", "3", "4"]


async def test_positions_are_flushed_where_writers_do_not_wait_for_it(store: asyncpg.Connection) -> None:
    await store.execute("SET synchronous_commit = off")
    await store.execute(NEW_CARRIER, "a")
    async with store.transaction():
        await store.execute(GIVE)
        assert await store.fetchval("SHOW synchronous_commit") == "on"
    assert await store.fetchval("SHOW synchronous_commit") == "off"
