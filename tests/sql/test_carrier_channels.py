"""Where carriers belong: what the store refuses, and where carriers go that were there before they had channels."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import asyncpg
import pytest

from app.postgres.migrate import migrate
from tests.app.postgres.test_locks import FILLED
from tests.conftest import ConnectionTo, Databases, until_blocked
from tests.sql.before import migrate_before

MIGRATION = "0009_carrier_channels.sql"
OF_CODES, OF_CARRIER = "track_and_traces_carrier_of_channel", "carriers_channel_of_codes"
CODE = """
INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code)
SELECT id, order_id, channel_id, $2, $3 FROM shipments WHERE channel_id = $1 ORDER BY order_id LIMIT 1
"""


@pytest.fixture
async def filled_dsn(fresh_dsn: str, connection_to: ConnectionTo) -> str:
    await (await connection_to(fresh_dsn)).execute(FILLED)
    return fresh_dsn


@pytest.fixture
async def store(filled_dsn: str, connection_to: ConnectionTo) -> asyncpg.Connection:
    """Carriers 1 and 2 have codes of that channel, 3 of both, and 4 none; all are of all channels."""
    return await connection_to(filled_dsn)


async def refused(statement: Awaitable[Any]) -> str | None:
    """The name of the constraint."""
    try:
        await statement
    except asyncpg.IntegrityConstraintViolationError as error:
        return str(error.constraint_name)
    return None


async def test_code_has_a_carrier_of_its_channel_or_of_all(store: asyncpg.Connection) -> None:
    await store.execute("UPDATE carriers SET channel_id = 1 WHERE id = 4")
    assert await refused(store.execute(CODE, 1, 4, "new")) is None
    assert await refused(store.execute(CODE, 2, 4, "new")) == OF_CODES
    assert await refused(store.execute(CODE, 2, 3, "new")) is None
    assert await refused(store.execute("UPDATE track_and_traces SET carrier_id = 4 WHERE code = '1-3'")) == OF_CODES
    assert await refused(store.execute("UPDATE track_and_traces SET carrier_id = 4 WHERE code = '2-3'")) is None


async def test_carrier_goes_to_no_channel_that_its_codes_are_not_of(store: asyncpg.Connection) -> None:
    move = "UPDATE carriers SET channel_id = $2 WHERE id = $1"
    assert await refused(store.execute(move, 1, 2)) == OF_CARRIER
    assert await refused(store.execute(move, 3, 1)) == OF_CARRIER
    assert await refused(store.execute(move, 4, 3)) == "carriers_channel_fk"
    for channel_id in (1, None, 1):
        assert await refused(store.execute(move, 1, channel_id)) is None
    for channel_id in (1, 2, None):
        assert await refused(store.execute(move, 4, channel_id)) is None


@pytest.mark.parametrize("is_moved_first", [True, False])
async def test_carrier_that_goes_away_and_a_code_that_comes_see_each_other(
    filled_dsn: str, store: asyncpg.Connection, connection_to: ConnectionTo, is_moved_first: bool
) -> None:
    other = await connection_to(filled_dsn)
    move = (OF_CARRIER, "UPDATE carriers SET channel_id = 2 WHERE id = 4", ())
    use = (OF_CODES, CODE, (1, 4, "raced"))
    (_, first, arguments), (refusal, second, others) = (move, use) if is_moved_first else (use, move)
    async with store.transaction():
        await store.execute(first, *arguments)
        waiting = asyncio.create_task(other.execute(second, *others))
        await until_blocked(store)
    assert await refused(waiting) == refusal


async def test_carrier_names_are_unique_in_a_channel_and_among_those_of_all(store: asyncpg.Connection) -> None:
    add = "INSERT INTO carriers (id, channel_id, name) VALUES ($1 + 10, $2, 'Swift')"
    for place, channel_id in enumerate((1, 2, None)):
        assert await refused(store.execute(add, 2 * place, channel_id)) is None
        assert await refused(store.execute(add, 2 * place + 1, channel_id)) == "carriers_name_unique"


@pytest.fixture
async def migrated(databases: Databases, connection_to: ConnectionTo) -> asyncpg.Connection:
    """A store that was filled before carriers had channels, and migrated then."""
    dsn = await asyncio.to_thread(databases.create)
    connection = await connection_to(dsn)
    await migrate_before(dsn, MIGRATION)
    await connection.execute(FILLED)
    # More than a batch of those that one channel uses.
    await connection.execute("INSERT INTO carriers (id, name) SELECT i, i FROM generate_series(11, 40) AS i")
    for carrier_id in range(11, 41):
        await connection.execute(CODE, 1 + carrier_id % 2, carrier_id, "one")
    await migrate(dsn)
    return connection


async def test_migration_gives_carriers_to_the_one_channel_that_uses_them(migrated: asyncpg.Connection) -> None:
    channels = dict(await migrated.fetch("SELECT id, channel_id FROM carriers"))
    assert channels == {1: 1, 2: 2, 3: None, 4: None} | {key: 1 + key % 2 for key in range(11, 41)}


async def test_migration_tells_everybody_of_it(migrated: asyncpg.Connection) -> None:
    told = await migrated.fetch(
        "SELECT entity_id, channel_id, version, old ->> 'channelId' AS old, new ->> 'channelId' AS new, actor"
        " FROM changes JOIN transactions x ON x.id = transaction_id"
        " WHERE type = 'CARRIER' AND action = 'UPDATED' AND entity_id::int < 10"
        " AND new ? 'channelId' ORDER BY entity_id"
    )
    assert [tuple(row) for row in told] == [("1", 1, 2, None, "1", "system"), ("2", 2, 2, None, "2", "system")]
    # What was written before has the channel of then: everybody was told of it.
    created = "SELECT count(*) FROM changes WHERE type = 'CARRIER' AND action = 'CREATED' AND channel_id IS NULL"
    assert await migrated.fetchval(created) == 34
