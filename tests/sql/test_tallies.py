"""Tallies say at every moment how many rows a reader sees, whoever writes meanwhile: by company, status and day."""

import asyncio
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

import sql
from app.postgres.migrate import migrate, migrations
from sql import Reach
from tests.conftest import Databases, until_blocked
from tests.sql.before import migrate_before

# What the tallies hold against what there is: for a channel as a whole (company 0) and for each of its companies.
DIFFERENCE = """
WITH counted AS (
  SELECT channel_id, coalesce(company_id, 0) AS company_id, coalesce(status, '') AS status, count(*) AS n
  FROM {0}s
  GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
  HAVING grouping(company_id) = 1 OR company_id IS NOT NULL
), tallied AS (
  SELECT channel_id, company_id, status, sum(n) AS n
  FROM {0}_tallies
  GROUP BY channel_id, company_id, status
  HAVING sum(n) <> 0
)
SELECT *
FROM counted c
FULL JOIN tallied t USING (channel_id, company_id, status)
WHERE c.n IS DISTINCT FROM t.n
"""
# The same of a table of days: `{0}` is the table that is counted, `{2}` are the columns of the days that `{1}` names.
DIFFERENCE_OF_DAYS = """
WITH counted AS (
  SELECT k::text AS cell, count(*) AS n FROM (SELECT {2} FROM {0}) AS k GROUP BY k
), tallied AS (
  SELECT k.cell::text AS cell, sum(k.n) AS n
  FROM (SELECT ({1}) AS cell, n FROM {3}) AS k
  GROUP BY k.cell
  HAVING sum(k.n) <> 0
)
SELECT *
FROM counted c
FULL JOIN tallied t USING (cell)
WHERE c.n IS DISTINCT FROM t.n
"""
DAYS = {
    "orders": ("order_days", "status, type, export_status"),
    "shipments": ("shipment_days", "utc_day(expected_delivery_at) AS expected_on, status"),
    "shipment_items": ("shipment_item_days", "quantity"),
    "track_and_traces": ("track_and_trace_days", "carrier_id"),
}
# What hangs on an order without its company.
STRAYS = """
SELECT h.id
FROM (
  SELECT id, order_id, channel_id, company_id FROM shipments
  UNION ALL SELECT id, order_id, channel_id, company_id FROM shipment_items
  UNION ALL SELECT id, order_id, channel_id, company_id FROM track_and_traces
) AS h
JOIN orders o ON o.id = h.order_id AND o.channel_id = h.channel_id
WHERE h.company_id IS DISTINCT FROM o.company_id
"""
FEW = """
INSERT INTO channels (id, code, name, currency) VALUES (1, 'one', 'One', 'EUR');
INSERT INTO companies (id, channel_id, name) VALUES (1, 1, 'Company');
INSERT INTO orders (id, channel_id, status, company_id, email, currency, total_gross, total_net, total_tax, sub_total)
SELECT i, 1, 'NEW', nullif(i % 2, 0), '', 'EUR', 0, 0, 0, 0 FROM generate_series(1, 9) AS i;
INSERT INTO shipments (order_id, channel_id, status) SELECT id, 1, nullif('CREATED', status) FROM orders;
"""
WRITES = [
    "UPDATE orders SET status = 'CANCELED' WHERE id % 3 = 0",
    "UPDATE orders SET company_id = 4 WHERE channel_id = 1 AND id % 4 = 0",
    "UPDATE orders SET company_id = NULL, contact_id = NULL WHERE id % 5 = 0",
    "UPDATE orders SET remarks = 'the same as to the tallies'",
    "UPDATE shipments SET status = NULL WHERE number % 3 = 0",
    "UPDATE shipments SET company_id = 999",
    "UPDATE shipment_items SET company_id = 999",
    "UPDATE track_and_traces SET company_id = 999",
    "UPDATE orders SET created_at = created_at - interval '30 hours', export_status = 'FAILED' WHERE id % 2 = 0",
    "UPDATE shipments SET expected_delivery_at = NULL, last_modified_at = now() WHERE number % 4 = 0",
    "UPDATE shipment_items SET last_modified_at = last_modified_at + interval '30 hours'",
    "UPDATE track_and_traces SET carrier_id = NULL, last_modified_at = now()",
    "INSERT INTO shipments (order_id, channel_id, status) SELECT id, channel_id, 'EXCEPTION' FROM orders",
    "INSERT INTO shipments (number, order_id, channel_id) SELECT number, order_id, channel_id FROM shipments s"
    " ON CONFLICT (number, channel_id) DO UPDATE SET status = 'FAILED_DELIVERY'",
    "DELETE FROM shipments WHERE number % 2 = 0",
    "DELETE FROM orders o WHERE NOT EXISTS (SELECT FROM shipments s WHERE s.order_id = o.id)",
    "TRUNCATE orders CASCADE",
]


@pytest.fixture
async def writer(copy_connection: asyncpg.Connection) -> asyncpg.Connection:
    # Any status may follow any other here, also that of canceled shipments, whose goods are on their way again.
    await copy_connection.execute(
        "ALTER TABLE shipments DISABLE TRIGGER shipments_status_follows, DISABLE TRIGGER shipments_closed_stay,"
        "  DISABLE TRIGGER shipments_allowed_created;"
        "ALTER TABLE order_items DROP CONSTRAINT order_items_never_overshipped"
    )
    return copy_connection


async def differences(connection: asyncpg.Connection, *, of_days: bool = True) -> list[Any]:
    return [
        *await connection.fetch(DIFFERENCE.format("order")),
        *await connection.fetch(DIFFERENCE.format("shipment")),
        *await connection.fetch(STRAYS),
        *[row for query in _of_days() if of_days for row in await connection.fetch(query)],
    ]


def _of_days() -> Iterator[str]:
    dates = "channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on"
    for table, (days, more) in DAYS.items():
        columns = f"{dates}, {more}"
        yield DIFFERENCE_OF_DAYS.format(table, _names(columns), columns, days)
    columns = "channel_id, utc_day(created_at) AS created_on, status"
    yield DIFFERENCE_OF_DAYS.format("order_fulfillments", _names(columns), columns, "order_fulfillment_days")


def _names(columns: str) -> str:
    return ", ".join(column.rpartition(" ")[2] for column in columns.split(", "))


async def test_tallies_follow_every_kind_of_write(writer: asyncpg.Connection) -> None:
    assert await differences(writer) == []
    for write in WRITES:
        done = await writer.execute(write)
        assert not done.endswith(" 0"), write
        assert await differences(writer) == [], write
    assert await writer.fetchval("SELECT count(*) FROM order_tallies") == 0
    assert await writer.fetchval("SELECT count(*) FROM shipment_item_days") == 0


# Moments of three days, by the half hour: midnight of UTC is one of them, and a day of a channel goes over two of UTC.
SPREAD = """
UPDATE channels SET time_zone = CASE WHEN id = 1 THEN 'Etc/GMT+12' ELSE 'Pacific/Kiritimati' END;
UPDATE orders SET created_at = {moment}, last_modified_at = {moment} + '5 hours';
UPDATE shipments SET expected_delivery_at = NULL, created_at = {moment}, last_modified_at = {moment} + '20 hours';
UPDATE shipments SET expected_delivery_at = created_at + number % 40 * interval '1 hour' WHERE number % 4 > 0;
UPDATE shipment_items SET created_at = {moment}, last_modified_at = {moment} - interval '1 microsecond';
UPDATE track_and_traces SET created_at = {moment}, last_modified_at = {moment} + '14 hours';
""".replace("{moment}", "timestamptz '2026-01-01Z' + abs(hashtext(id::text)) % 144 * interval '30 minutes'")


@pytest.mark.parametrize("noun", [days.removesuffix("_days") for days, _ in DAYS.values()])
async def test_lists_between_any_bounds_are_those_of_a_naive_query(writer: asyncpg.Connection, noun: str) -> None:
    await writer.execute(SPREAD)
    file, dice, found = sql.load(noun), random.Random(7), set[int]()
    plain = {name: replace(file.statements[name], variants=[]) for name in ("count", "page")}
    # Those that the days know.
    known = re.compile(r"(created|last_modified|expected_delivery)_at\.(greater|less)_than(_day)?")
    bounds = sorted(filter(known.fullmatch, file.parts.filters))
    assert any(name.endswith("_day") for name in bounds)
    for _ in range(80):
        chosen = dice.sample(bounds, dice.randint(1, 3))
        # A bound is a moment or a day.
        filters = frozenset(name for name in chosen if name.removesuffix("_day") not in {*chosen} - {name})
        reach = dice.choice((Reach.EVERYTHING, Reach.CHANNELS))
        moment = datetime(2025, 12, 31, 12, tzinfo=UTC)
        values: dict[str, Any] = {"visible_channel_ids": dice.choice(([1], [2], [1, 2])), "limit": 7, "skip": 3}
        for name in filters:
            at = moment + timedelta(minutes=30 * dice.randint(0, 200), microseconds=dice.randint(-1, 1))
            values[name.replace(".", "_")] = at.date() if name.endswith("_day") else at
        order = (f"{dice.choice(('CREATED_AT', 'LAST_MODIFIED_AT'))} {dice.choice(('ASC', 'DESC'))}", "ID ASC")
        sorts: dict[str, tuple[str, ...]] = {"count": (), "page": order}
        for statement, sorted_by in sorts.items():
            both = (file.statements[statement], plain[statement])
            texts = [one.prepare(reach, filters, sorted_by, values) for one in both]
            assert texts[0].text != texts[1].text
            tallied, counted = [await writer.fetch(text.text, *text.arguments(values)) for text in texts]
            assert tallied == counted, (reach, sorted_by, values)
            if not sorted_by:
                found.add(counted[0]["items_found"])
    assert len(found) > 15


async def test_total_of_a_contact_is_without_what_its_orders_hide(writer: asyncpg.Connection) -> None:
    """Shipments of orders whose status is not public: the tallies count them."""
    statement, found = sql.load("shipment").count, set[int]()
    company = await writer.fetchval(
        "SELECT company_id FROM shipments WHERE channel_id = 1 AND company_id > 0 GROUP BY 1 ORDER BY count(*) DESC"
    )
    values = {"visible_channel_ids": [1], "visible_company_ids": [company], "statuses": ["DELIVERED", "IN_TRANSIT"]}
    values["company_ids"] = [company, company + 1]
    codes = await writer.fetch("SELECT status FROM orders WHERE company_id = $1 GROUP BY 1 ORDER BY 1", company)
    for (code,) in codes:
        await writer.execute("UPDATE order_statuses SET is_public = code <> $1 WHERE customer_status IS NOT NULL", code)
        for filters in map(frozenset[str], ((), ("statuses",), ("company_ids",), ("company_ids", "statuses"))):
            texts = [
                one.prepare(Reach.CONTACT, filters, (), values) for one in (statement, replace(statement, variants=[]))
            ]
            shown, counted = [await writer.fetchval(text.text, *text.arguments(values)) for text in texts]
            assert shown == counted, (code, filters)
            found.add(counted)
    assert len(found) > 2


async def test_tallies_follow_a_copy(writer: asyncpg.Connection) -> None:
    [order_id, channel_id] = await writer.fetchrow("SELECT id, channel_id FROM orders WHERE company_id IS NOT NULL")
    await writer.copy_records_to_table(
        "shipments",
        records=[(order_id, channel_id, status) for status in ("CREATED", "DELIVERED", None) * 5],
        columns=["order_id", "channel_id", "status"],
    )
    assert await differences(writer) == []


async def test_tallies_are_those_of_the_readers_transaction(
    writer: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    before = await other.fetchval("SELECT sum(n) FROM shipment_tallies")
    transaction = writer.transaction()
    await transaction.start()
    await writer.execute("INSERT INTO shipments (order_id, channel_id) SELECT id, channel_id FROM orders")
    assert await differences(writer) == []
    assert await differences(other) == []
    assert await other.fetchval("SELECT sum(n) FROM shipment_tallies") == before
    await transaction.rollback()
    assert await writer.fetchval("SELECT sum(n) FROM shipment_tallies") == before


async def test_tallies_are_exact_while_many_write(writer: asyncpg.Connection, demo_copy_dsn: str) -> None:
    """A reader's one statement counts and sums in one snapshot, so any difference is one of the store."""
    pool = await asyncpg.create_pool(demo_copy_dsn, min_size=6, max_size=6)
    numbers = [row["number"] for row in await writer.fetch("SELECT number FROM shipments")]
    rounds, moments, has_looked = 60, 0, asyncio.Event()

    async def write(seed: int) -> None:
        dice = random.Random(seed)
        async with pool.acquire() as connection:
            # Writers fold by chance; here it is the same each time.
            await connection.execute("SELECT setseed($1)", seed / 10)
            for done in range(rounds):
                if done == rounds // 2:
                    await has_looked.wait()
                transaction = connection.transaction()
                await transaction.start()
                for number in sorted(dice.sample(numbers, 2)):
                    status = dice.choice(["IN_TRANSIT", "DELIVERED", None])
                    await connection.execute("UPDATE shipments SET status = $2 WHERE number = $1", number, status)
                await connection.execute(
                    "INSERT INTO shipments (order_id, channel_id) SELECT order_id, channel_id FROM shipments LIMIT 1"
                )
                await (transaction.commit if dice.random() < 0.7 else transaction.rollback)()

    async def read(writers: asyncio.Future[Any]) -> None:
        nonlocal moments
        async with pool.acquire() as connection:
            while not writers.done():
                assert await differences(connection) == []
                moments += 1
                if moments > 2:
                    has_looked.set()

    writers = asyncio.gather(*(write(seed) for seed in range(4)))
    await asyncio.gather(writers, read(writers))
    await pool.close()
    assert moments > 2
    assert await differences(writer) == []
    # Each round adds some four rows or more. They were folded, or there would be a thousand.
    assert await writer.fetchval("SELECT count(*) FROM shipment_tallies") < 600


async def test_tallies_are_folded_by_nobody_who_would_fail(writer: asyncpg.Connection) -> None:
    for isolation in ("repeatable_read", "serializable"):
        async with writer.transaction(isolation=isolation):
            rows = await writer.fetchval("SELECT count(*) FROM shipment_tallies")
            for _ in range(60):
                await writer.execute(
                    "INSERT INTO shipments (order_id, channel_id) SELECT order_id, channel_id FROM shipments LIMIT 1"
                )
            assert await writer.fetchval("SELECT count(*) FROM shipment_tallies") >= rows + 60
    assert await differences(writer) == []


@pytest.mark.parametrize("moved_first", [True, False])
async def test_shipment_made_while_its_order_moves_has_the_new_company(
    writer: asyncpg.Connection, other: asyncpg.Connection, moved_first: bool
) -> None:
    order_id = await writer.fetchval("SELECT id FROM orders WHERE channel_id = 1 AND company_id IS NULL LIMIT 1")
    move = "UPDATE orders SET company_id = 4, customer_id = NULL WHERE id = $1 AND channel_id = 1"
    ship = "INSERT INTO shipments (order_id, channel_id, external_id) VALUES ($1, 1, 'raced')"

    async with writer.transaction():
        await writer.execute(move if moved_first else ship, order_id)
        second = asyncio.create_task(other.execute(ship if moved_first else move, order_id))
        await until_blocked(writer)
    await second

    assert await writer.fetchval("SELECT company_id FROM shipments WHERE external_id = 'raced'") == 4
    assert await differences(writer) == []


async def test_migration_tallies_what_is_there(databases: Databases) -> None:
    """The rows of a store that was filled before there were tallies."""
    dsn = await asyncio.to_thread(databases.create)
    connection = await asyncpg.connect(dsn)
    for name in ("0001_store.sql", "0002_sessions.sql"):
        await connection.execute(migrations()[name])
    await connection.execute(FEW)
    await connection.execute(migrations()["0003_flat_reads.sql"])
    assert await differences(connection, of_days=False) == []
    assert await connection.fetchval("SELECT sum(n) FROM shipment_tallies WHERE company_id = 1") == 5
    await connection.close()
    await asyncio.to_thread(databases.drop, dsn)


async def test_migration_counts_the_days_of_what_is_there(databases: Databases) -> None:
    dsn = await asyncio.to_thread(databases.create)
    await migrate_before(dsn, "0019_lists.sql")
    connection = await asyncpg.connect(dsn)
    await connection.execute(FEW)
    await migrate(dsn)
    assert await differences(connection) == []
    assert await connection.fetchval("SELECT sum(n) FROM shipment_days WHERE status = 'CREATED'") == 9
    await connection.execute("DELETE FROM shipments WHERE number = 1")
    assert await differences(connection) == []
    await connection.close()
    await asyncio.to_thread(databases.drop, dsn)
