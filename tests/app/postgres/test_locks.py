"""What is said of a statement is what PostgreSQL does, and no step of a migration blocks readers or writers."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import asyncpg
import pytest

from app.postgres.locks import Mode, effect, judge
from app.postgres.migrate import migrations
from app.postgres.steps import Step, StepKind, statements, steps
from tests.conftest import FAR_TOO_LONG, Databases

# The oldest migration that is held to this; those before it run as they always did.
FIRST = "0007"

# A store as it was then, with rows in every table that orders, shipments and codes are made of.
FILLED = """
INSERT INTO channels (id, code, name, currency) VALUES (1, 'one', 'One', 'EUR'), (2, 'two', 'Two', 'EUR');
INSERT INTO companies (id, channel_id, name) VALUES (1, 1, 'Company'), (2, 2, 'Other');
INSERT INTO carriers (id, name, track_and_trace_url) VALUES
  (1, 'Of one', 'https://a.example/{code}'), (2, 'Of two', NULL), (3, 'Of both', NULL), (4, 'Of nobody', NULL);
INSERT INTO orders (id, channel_id, company_id, status, email, currency, total_gross, total_net, total_tax, sub_total)
SELECT i, 1 + i % 2, 1 + i % 2, 'NEW', '', 'EUR', 0, 0, 0, 0 FROM generate_series(1, 40) AS i;
INSERT INTO order_items (
  id, order_id, channel_id, sku, name, quantity, price, price_net, price_total, price_total_net, tax)
SELECT id, id, channel_id, 'a', 'A', 2, 0, 0, 0, 0, 0 FROM orders;
INSERT INTO shipments (order_id, channel_id) SELECT id, channel_id FROM orders;
INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, quantity)
SELECT id, order_id, order_id, channel_id, 1 FROM shipments;
INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code)
SELECT s.id, s.order_id, s.channel_id, c.id, s.order_id || '-' || c.id
FROM shipments s
JOIN carriers c ON c.id IN (s.channel_id, 3);
"""

HELD = """
SELECT c.relname, array_agg(l.mode) AS modes
FROM pg_locks l
JOIN pg_class c ON c.oid = l.relation AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
WHERE l.pid = $1 AND l.granted AND l.relation = ANY ($2)
GROUP BY c.relname
"""
PRESENT = """
SELECT oid, relname, relfilenode FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
# A scan that is none of a query's, such as that of a new index, is not counted; the rows that it reads are.
READ = "SELECT relname, seq_tup_read FROM pg_stat_xact_user_tables WHERE relid = ANY ($1)"

BRIEF = [
    "ALTER TABLE orders ADD COLUMN a int",
    "ALTER TABLE orders ADD COLUMN a text NOT NULL DEFAULT 'x', ADD COLUMN b int[] DEFAULT '{1,2}'",
    "ALTER TABLE orders ADD COLUMN a timestamptz NOT NULL DEFAULT now()",
    "ALTER TABLE orders ADD COLUMN a numeric(12, 2) DEFAULT 0, ADD COLUMN b boolean DEFAULT false NOT NULL",
    "ALTER TABLE orders ADD CONSTRAINT a CHECK (id > 0) NOT VALID",
    "ALTER TABLE order_addresses ADD CONSTRAINT a FOREIGN KEY (channel_id) REFERENCES channels NOT VALID",
    "ALTER TABLE orders DROP CONSTRAINT orders_company_fk",
    "ALTER TABLE orders DROP COLUMN extra3",
    "ALTER TABLE orders ALTER COLUMN extra3 SET DEFAULT 'x', ALTER extra4 DROP DEFAULT",
    "ALTER TABLE orders ALTER COLUMN email DROP NOT NULL",
    "ALTER TABLE orders ALTER COLUMN email SET STATISTICS 500",
    "ALTER TABLE carriers ALTER COLUMN shipping_cost TYPE numeric",
    "ALTER TABLE orders SET (autovacuum_vacuum_scale_factor = 0.01)",
    "ALTER TABLE orders RENAME COLUMN extra3 TO extra5",
    "ALTER TABLE orders DISABLE TRIGGER orders_version",
    "CREATE TABLE a (id int PRIMARY KEY, channel_id int CONSTRAINT b REFERENCES channels, c int CHECK (c > 0))",
    "CREATE TRIGGER a AFTER INSERT OR UPDATE OF id ON orders FOR EACH STATEMENT EXECUTE FUNCTION tell_change()",
    "DROP TRIGGER orders_version ON orders",
    "DROP TABLE order_sources",
    "COMMENT ON TABLE orders IS 'x'",
    "COMMENT ON COLUMN orders.email IS 'x'",
    "COMMENT ON FUNCTION tell_change IS 'x'",
    "CREATE OR REPLACE FUNCTION tell_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    "CREATE SEQUENCE a",
    "SET LOCAL work_mem = '4MB'",
    "LOCK TABLE orders, shipments IN SHARE ROW EXCLUSIVE MODE",
    "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE",
]
LONG = [
    "ALTER TABLE orders ADD COLUMN a uuid DEFAULT gen_random_uuid()",
    "ALTER TABLE orders ADD COLUMN a int GENERATED ALWAYS AS (id + 1) STORED",
    "ALTER TABLE orders ADD COLUMN a int DEFAULT 1 CHECK (a > 0)",
    "ALTER TABLE orders ADD CONSTRAINT a CHECK (id > 0)",
    "ALTER TABLE order_addresses ADD CONSTRAINT a FOREIGN KEY (channel_id) REFERENCES channels",
    "ALTER TABLE orders ALTER COLUMN source SET DATA TYPE varchar(9)",
    "ALTER TABLE orders ALTER remarks SET NOT NULL",
    "ALTER TABLE order_addresses ADD CONSTRAINT a UNIQUE (id)",
    "CREATE INDEX a ON orders (email)",
    "CREATE UNIQUE INDEX ON orders (uuid)",
]


async def _done(connection: asyncpg.Connection, text: str) -> tuple[dict[str, Mode], set[str]]:
    """The locks that statements hold on tables which were there, and which of these they have read or rewritten."""
    transaction = connection.transaction()
    await transaction.start()
    present = {row["oid"]: (row["relname"], row["relfilenode"]) for row in await connection.fetch(PRESENT)}
    # Counted within a transaction is also what statements before it have not told the server yet.
    before = dict(await connection.fetch(READ, list(present)))
    await connection.execute(text)
    held = await connection.fetch(HELD, connection.get_server_pid(), list(present))
    read = {name for name, rows in await connection.fetch(READ, list(present)) if rows > before.get(name, 0)}
    after = {row["oid"]: row["relfilenode"] for row in await connection.fetch(PRESENT)}
    rewritten = {name for oid, (name, node) in present.items() if after.get(oid, node) != node}
    await transaction.rollback()
    return {row["relname"]: max(map(_mode, row["modes"])) for row in held}, read | rewritten


def _mode(name: str) -> Mode:
    """`ShareRowExclusiveLock` is what `pg_locks` says."""
    return next(mode for mode in Mode if f"{mode}".replace(" ", "").lower() == name.removesuffix("Lock").lower())


def _heavy(locks: Mapping[str, Mode]) -> dict[str, Mode]:
    return {table: mode for table, mode in locks.items() if mode >= Mode.SHARE_UPDATE_EXCLUSIVE}


@pytest.mark.parametrize("text", BRIEF)
async def test_statement_takes_the_locks_that_are_said_and_looks_at_no_row(
    text: str, copy_connection: asyncpg.Connection
) -> None:
    [statement] = statements(text)
    said = effect(statement)
    assert (said.unknown, said.length) == (False, "")
    locks, looked_at = await _done(copy_connection, text)
    claimed = dict(said.locks)
    if claimed.pop("what orders_company_fk refers to", None):
        claimed["companies"] = Mode.ACCESS_EXCLUSIVE
    if statement.startswith("drop table"):
        claimed |= {"orders": Mode.ACCESS_EXCLUSIVE}  # whose rows it refers to
        locks |= claimed  # it is gone
    assert _heavy(locks) == _heavy(claimed)
    assert looked_at == set()


@pytest.mark.parametrize("text", LONG)
async def test_statement_that_looks_at_every_row_is_said_to(text: str, copy_connection: asyncpg.Connection) -> None:
    await copy_connection.execute("UPDATE orders SET source = left(source, 9), remarks = ''")
    [statement] = statements(text)
    said = effect(statement)
    locks, looked_at = await _done(copy_connection, text)
    if not said.unknown:
        assert said.length
        assert _heavy(locks) == _heavy(said.locks)
    assert looked_at
    assert judge(Step("", StepKind.TRANSACTION, text, (statement,)), set(locks)).blocks


async def test_constraint_is_validated_beside_readers_and_writers(copy_connection: asyncpg.Connection) -> None:
    text = "ALTER TABLE orders VALIDATE CONSTRAINT a"
    await copy_connection.execute("ALTER TABLE orders ADD CONSTRAINT a CHECK (id > 0) NOT VALID")
    locks, looked_at = await _done(copy_connection, text)
    assert (locks, looked_at) == ({"orders": Mode.SHARE_UPDATE_EXCLUSIVE}, {"orders"})
    [step] = steps(f"-- step: look\n{text}")
    verdict = judge(step, {"orders"})
    assert (verdict.blocks, verdict.locks, verdict.words) == (False, locks, "nobody waits")


async def test_index_is_built_beside_readers_and_writers(
    copy_connection: asyncpg.Connection, other: asyncpg.Connection, demo_copy_dsn: str
) -> None:
    """The build waits for a writer that was there before it, so it can be looked at."""
    [step] = steps("-- step (outside a transaction): build\nCREATE INDEX CONCURRENTLY a ON orders (email)")
    builder = await asyncpg.connect(demo_copy_dsn)
    async with copy_connection.transaction():
        await copy_connection.execute("UPDATE orders SET email = '' WHERE id = 1")
        built = asyncio.create_task(builder.execute(step.text))
        present = [row["oid"] for row in await other.fetch(PRESENT)]
        waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)"
        async with asyncio.timeout(FAR_TOO_LONG):
            while not await other.fetchval(waits, builder.get_server_pid()):  # noqa: ASYNC110
                await asyncio.sleep(0.002)
        held = await other.fetch(HELD, builder.get_server_pid(), present)
        await other.execute("SET lock_timeout = '1ms'")
        await other.execute("UPDATE orders SET email = '' WHERE id = 3")  # nobody waits for the build
    await built
    await builder.close()
    assert {row["relname"]: max(map(_mode, row["modes"])) for row in held} == {"orders": Mode.SHARE_UPDATE_EXCLUSIVE}
    assert judge(step, {"orders"}).locks == {"orders": Mode.SHARE_UPDATE_EXCLUSIVE}


@pytest.mark.parametrize(
    ("text", "blocks", "words"),
    [
        (
            "-- step: a\nUPDATE orders SET email = ''",
            True,
            "who writes the same rows waits while it changes rows of orders",
        ),
        (
            "-- step (in batches): a\nUPDATE orders SET email = '' WHERE id IN (SELECT id FROM orders LIMIT 9)",
            False,
            "who writes the same rows waits for a batch",
        ),
        ("-- step: a\nDO $$ BEGIN END $$", True, "nobody knows what waits for “do $$”"),
        ("-- step: a\nSELECT setval('user_ids', 9)", True, "nobody knows"),
        ("-- step: a\nALTER TABLE orders REPLICA IDENTITY FULL", True, "nobody knows"),
        (
            "-- step: a\nALTER TABLE orders ADD COLUMN a int; UPDATE shipments SET status = NULL",
            True,
            "readers and writers of orders wait while it changes rows of shipments",
        ),
        (
            "-- step: a\nCREATE TRIGGER a AFTER INSERT ON orders EXECUTE FUNCTION f(); INSERT INTO shipments SELECT 1",
            True,
            "writers of orders wait while it reads what it inserts into shipments",
        ),
        (
            "-- step: a\nCREATE TABLE b (id int); CREATE INDEX c ON b (id); INSERT INTO b SELECT 1",
            False,
            "nobody waits",
        ),
        (
            "ALTER TABLE orders ADD COLUMN a int",
            True,
            "readers and writers of orders wait while it does all that is in the file",
        ),
        ("-- step: a\nALTER TABLE orders ADD COLUMN a int", False, "readers and writers of orders wait for a moment"),
        ("-- step: a\nDROP INDEX orders_status", True, "nobody knows"),  # CONCURRENTLY is there for it
    ],
)
def test_step_is_judged_by_all_that_it_does(text: str, blocks: bool, words: str) -> None:
    [step] = steps(text)
    verdict = judge(step, {"orders", "shipments"})
    assert verdict.blocks is blocks
    assert words in verdict.words


def test_no_step_of_a_migration_blocks() -> None:
    every_table = {"orders"}
    for name, text in migrations().items():
        for step in steps(text):
            verdict = judge(step, every_table)
            every_table |= verdict.creates
            if name >= FIRST:
                assert not verdict.blocks, f"{name}, {step.name}: {verdict.words}"


async def test_no_step_of_a_migration_scans_or_rewrites_what_it_locks(databases: Databases) -> None:
    """On a store that was filled before it: what each step holds at its end, and what it has looked at."""
    dsn = await asyncio.to_thread(databases.create)
    connection = await asyncpg.connect(dsn)
    for name, text in migrations().items():
        if name < FIRST:
            await connection.execute(text)
    await connection.execute(FILLED)
    for name, text in migrations().items():
        if name < FIRST:
            continue
        for step in steps(text):
            if step.kind is StepKind.OUTSIDE:
                assert judge(step, {"orders"}).words == "nobody waits"
            else:
                tables = {row["relname"] for row in await connection.fetch(PRESENT)}
                claimed = judge(step, tables).locks
                locks, looked_at = await _done(connection, step.text)
                strong = {table for table, mode in locks.items() if mode >= Mode.SHARE}
                assert strong <= claimed.keys() or any(" " in table for table in claimed), step.name
                assert not strong or not looked_at, f"{name}, {step.name}: holds {strong}, looks at {looked_at}"
            await connection.execute(step.text)
    await connection.close()
    with suppress(asyncpg.PostgresError):
        await asyncio.to_thread(databases.drop, dsn)
