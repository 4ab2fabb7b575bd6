"""What 0015_keys.sql makes of a store that was filled before, and who may use a code at the same moment."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from app.postgres.migrate import migrate
from tests.app.postgres.test_locks import FILLED
from tests.conftest import ConnectionTo, Databases, until_blocked
from tests.sql.before import migrate_before

MIGRATION = "0015_keys.sql"

# Codes that were told apart by their spelling, and carriers by their case.
BEFORE = """
INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code, created_at)
SELECT s.id, s.order_id, s.channel_id, 3, c, timestamptz '2020-01-01' + n * interval '1 day'
FROM (SELECT * FROM shipments WHERE channel_id = 1 ORDER BY order_id LIMIT 1) s,
  unnest('{AB-1,ab1,A B 1,CD}'::text[]) WITH ORDINALITY AS w (c, n);
INSERT INTO carriers (id, name) VALUES (11, 'Swift'), (12, 'SWIFT'), (13, 'swift!'), (14, '日本');
INSERT INTO shipments (id, order_id, channel_id, external_id)
SELECT '00000000-0000-4000-8000-000000000001', id, channel_id, 'S' FROM orders ORDER BY id LIMIT 1;
"""
COUNTED = """
SELECT count(*) FROM carriers UNION ALL SELECT count(*) FROM shipments UNION ALL SELECT count(*) FROM track_and_traces
"""
ADD = """
INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code)
SELECT id, order_id, channel_id, 3, $2 FROM shipments WHERE order_id = $1 AND external_id IS NULL RETURNING use_number
"""


@pytest.fixture(scope="session")
def migrated_template(databases: Databases) -> str:
    return databases.shared("keys", "template1", fill)


async def fill(dsn: str) -> None:
    await migrate_before(dsn, MIGRATION)
    store = await asyncpg.connect(dsn)
    await store.execute(FILLED)
    await store.execute(BEFORE)
    before = await store.fetch(COUNTED)
    await migrate(dsn)
    assert await store.fetch(COUNTED) == before
    await store.close()


@pytest.fixture
def dsn(databases: Databases, migrated_template: str) -> Iterator[str]:
    dsn = databases.create(migrated_template)
    yield dsn
    databases.drop(dsn)


@pytest.fixture
async def migrated(dsn: str, connection_to: ConnectionTo) -> asyncpg.Connection:
    return await connection_to(dsn)


async def test_migration_numbers_codes_that_were_told_apart_by_their_spelling(migrated: asyncpg.Connection) -> None:
    found = await migrated.fetch(
        "SELECT code, use_number, version FROM track_and_traces WHERE created_at < '2021-01-01' ORDER BY created_at"
    )
    assert [tuple(row) for row in found] == [("AB-1", 0, 1), ("ab1", 1, 2), ("A B 1", 2, 2), ("CD", 0, 1)]
    assert await migrated.fetchval("SELECT max(use_number) FROM track_and_traces WHERE carrier_id <> 3") == 0


async def test_migration_gives_carriers_keys_of_their_names(migrated: asyncpg.Connection) -> None:
    keys = dict(await migrated.fetch("SELECT id, key FROM carriers WHERE id > 10"))
    assert keys == {11: "swift", 12: "swift-2", 13: "swift-3", 14: "carrier"}
    assert await migrated.fetchval("SELECT is_made_here FROM shipments WHERE external_id = 'S'") is False


async def test_the_version_before_still_adds_codes(migrated: asyncpg.Connection) -> None:
    """It says what to do where the code is there by the name of the constraint."""
    told = " ON CONFLICT ON CONSTRAINT track_and_traces_code_unique DO NOTHING"
    added = await migrated.fetch(ADD.replace(" RETURNING use_number", told), 1, "N")
    assert added == []
    assert await migrated.fetchval("SELECT count(*) FROM track_and_traces WHERE code = 'N'") == 1


async def test_code_that_two_want_at_once_is_ones(
    migrated: asyncpg.Connection, dsn: str, connection_to: ConnectionTo
) -> None:
    await migrated.execute("UPDATE orders SET email = id || '@a.example', company_id = NULL")
    other = await connection_to(dsn)
    async with migrated.transaction():
        assert await migrated.fetchval(ADD, 1, "RACE-1") == 0
        waiting = asyncio.create_task(other.fetchval(ADD, 3, "race 1"))
        await until_blocked(migrated)
    with pytest.raises(asyncpg.UniqueViolationError) as refused:
        await waiting
    assert refused.value.constraint_name == "track_and_traces_code_use"
    with pytest.raises(asyncpg.UniqueViolationError) as refused:
        await other.fetchval(ADD, 3, "race 1")
    assert refused.value.constraint_name == "track_and_traces_code_unique"
    await migrated.execute("UPDATE orders SET email = 'b@a.example' WHERE id IN (1, 3)")
    assert await other.fetchval(ADD, 3, "race 1") == 1


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE track_and_traces SET external_id = ' '", "track_and_traces_external_id_line"),
        ("UPDATE shipment_items SET external_id = repeat('x', 256)", "shipment_items_external_id_line"),
        ("UPDATE shipments SET external_id = E'a\\tb'", "shipments_external_id_other"),
        ("UPDATE shipments SET external_id = repeat('x', 256)", "shipments_external_id_other"),
        ("UPDATE carriers SET key = 'a b'", "carriers_key_slug"),
    ],
)
async def test_keys_are_held_to_the_rules(migrated: asyncpg.Connection, statement: str, constraint: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await migrated.execute(statement)
    assert refused.value.constraint_name == constraint
