import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

import app.postgres.migrate
from app.postgres.migrate import MigrationError, check, migrate, migrations
from tests.app.postgres.test_locks import FILLED, FIRST
from tests.conftest import FAR_TOO_LONG, ConnectionTo, Databases, until_blocked, until_gone
from tests.pooler import needs_pgbouncer, pooler

NEXT = "9001_numbers.sql"
TEXT = """\
-- step: add the column
ALTER TABLE channels ADD COLUMN number int;

-- step (in batches): number the channels
UPDATE channels SET number = id WHERE id IN (SELECT id FROM channels WHERE number IS NULL ORDER BY id LIMIT 2);

-- step (outside a transaction): index the number
CREATE UNIQUE INDEX CONCURRENTLY channels_number ON channels (number);
"""
CHANNELS = """
INSERT INTO channels (id, code, name, currency) SELECT i, i, i, 'EUR' FROM generate_series(1, 5) AS i
"""

WithNext = Callable[[str], None]


@pytest.fixture
def with_next(monkeypatch: pytest.MonkeyPatch) -> WithNext:
    """Adds a migration, or puts another text in its place."""
    known = migrations()

    def add(text: str) -> None:
        monkeypatch.setattr(app.postgres.migrate, "migrations", lambda: known | {NEXT: text})

    return add


@pytest.fixture
def is_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps give up waiting for their locks at once, and try again at once, as often as it takes."""
    monkeypatch.setattr(app.postgres.migrate, "LOCK_SECONDS", 0.05)
    monkeypatch.setattr(app.postgres.migrate, "PAUSES", (0.01,) * 10_000)


async def test_migrations_are_applied_once_also_by_processes_that_start_together(databases: Databases) -> None:
    dsn = await asyncio.to_thread(databases.create)
    applied = await asyncio.gather(*(migrate(dsn) for _ in range(4)))
    assert sorted(applied) == [[], [], [], list(migrations())]
    assert await migrate(dsn) == []
    await asyncio.to_thread(databases.drop, dsn)


async def test_the_planner_knows_how_few_ways_a_shipment_goes(fresh_dsn: str, connection_to: ConnectionTo) -> None:
    connection = await connection_to(fresh_dsn)
    expected, found = await connection.fetchrow(
        """
        SELECT c.reltuples::int, (SELECT count(*) FROM shipment_status_successors)
        FROM pg_class c WHERE c.oid = 'shipment_status_successors'::regclass
        """
    )
    assert expected == found > 0
    statistics = "SELECT attname::text FROM pg_stats WHERE tablename = 'shipment_status_successors'"
    assert {name for (name,) in await connection.fetch(statistics)} >= {"status", "next_status"}


@needs_pgbouncer
async def test_migrations_need_a_session_where_any_is_missing(databases: Databases) -> None:
    dsn = await asyncio.to_thread(databases.create)
    with pooler(dsn, "transaction", size=3) as pooled:
        with pytest.raises(MigrationError, match="give `migrate` the server's own address"):
            await migrate(pooled)
        with pooler(dsn, "session") as kept:
            assert await migrate(kept) == list(migrations())
        assert await migrate(pooled) == []
    await asyncio.to_thread(databases.drop, dsn)


async def test_steps_are_done_once_also_by_processes_that_start_together(
    fresh_dsn: str, connection_to: ConnectionTo, with_next: WithNext
) -> None:
    store = await connection_to(fresh_dsn)
    await store.execute(CHANNELS)
    with_next(TEXT)
    applied = await asyncio.gather(*(migrate(fresh_dsn) for _ in range(3)))
    assert sorted(applied) == [[], [], [NEXT]]
    assert await store.fetchval("SELECT bool_and(number = id) FROM channels")
    assert await store.fetchval("SELECT count(*) FROM schema_migration_steps") == 0


@pytest.mark.usefixtures("is_patient")
async def test_step_that_waits_for_a_reader_lets_others_pass(
    fresh_dsn: str, connection_to: ConnectionTo, with_next: WithNext
) -> None:
    with_next(TEXT)
    reader, others = await connection_to(fresh_dsn), await connection_to(fresh_dsn)
    told: list[str] = []
    transaction = reader.transaction()
    await transaction.start()
    await reader.execute("SELECT FROM channels")
    migrating = asyncio.create_task(migrate(fresh_dsn, told.append))
    for times in range(1, 4):
        async with asyncio.timeout(FAR_TOO_LONG):
            while len(told) < 1 + times:  # noqa: ASYNC110  nobody tells the test
                await asyncio.sleep(0.002)
        await others.execute(f"INSERT INTO channels (code, name, currency) VALUES ('{times}', '', 'EUR')")
    await transaction.rollback()
    assert await migrating == [NEXT]
    assert told[0] == f"{NEXT}: add the column"
    assert "somebody holds its lock, again in 0.01 s" in told[1]
    assert await others.fetchval("SELECT array_agg(number ORDER BY number) FROM channels") == [1, 2, 3]


async def test_step_that_never_gets_its_locks_names_who_may_hold_them(
    fresh_dsn: str, connection_to: ConnectionTo, with_next: WithNext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.postgres.migrate, "LOCK_SECONDS", 0.01)
    monkeypatch.setattr(app.postgres.migrate, "PAUSES", (0.01,))
    with_next(TEXT)
    reader = await connection_to(fresh_dsn)
    async with reader.transaction():
        await reader.execute("SELECT FROM channels")
        with pytest.raises(MigrationError, match=rf"does not get its locks.*process {reader.get_server_pid()} \("):
            await migrate(fresh_dsn)
    assert await migrate(fresh_dsn) == [NEXT]


FAILING = f"""{TEXT.partition("-- step (in")[0]}
-- step: number the channels
UPDATE channels SET number = 1 / 0
"""


async def test_migration_that_failed_or_was_interrupted_goes_on_where_it_was(
    fresh_dsn: str, connection_to: ConnectionTo, with_next: WithNext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.postgres.migrate, "LOCK_SECONDS", FAR_TOO_LONG)
    writer, observer = await connection_to(fresh_dsn), await connection_to(fresh_dsn)
    await writer.execute(CHANNELS)
    with_next(FAILING)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(fresh_dsn)
    with_next(TEXT)  # what has failed may be edited, what was done may not
    async with writer.transaction():
        await writer.execute("UPDATE channels SET name = 'held' WHERE id = 3")
        migrating = asyncio.create_task(migrate(fresh_dsn))
        [pid] = await until_blocked(writer)
        await observer.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
            await migrating
    await until_gone(observer, [pid])
    assert await observer.fetchval("SELECT array_agg(number ORDER BY id) FROM channels") == [1, 2, None, None, None]
    assert await observer.fetchval("SELECT array_agg(step) FROM schema_migration_steps") == ["add the column"]
    assert [step for _, step, _ in await check(fresh_dsn)] == ["number the channels", "index the number"]

    told: list[str] = []
    assert await migrate(fresh_dsn, told.append) == [NEXT]
    assert told == [f"{NEXT}: number the channels", f"{NEXT}: index the number"]
    assert await observer.fetchval("SELECT array_agg(number ORDER BY id) FROM channels") == [1, 2, 3, 4, 5]


CARRIED = """\
-- step: add the column
ALTER TABLE channels ADD COLUMN carrier_id int CONSTRAINT channels_carrier_fk REFERENCES carriers;

-- step (in batches): give channels a carrier
UPDATE channels SET carrier_id = (SELECT min(id) FROM carriers)
WHERE id IN (SELECT id FROM channels WHERE carrier_id IS NULL LIMIT 2);
"""


async def test_batch_that_a_writer_overtakes_is_begun_anew(
    fresh_dsn: str, connection_to: ConnectionTo, with_next: WithNext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.postgres.migrate, "LOCK_SECONDS", FAR_TOO_LONG)
    writer = await connection_to(fresh_dsn)
    await writer.execute(CHANNELS)
    await writer.execute("INSERT INTO carriers (id, name) VALUES (1, 'Old'), (2, 'New')")
    with_next(CARRIED.replace("SET carrier_id", "SET number"))
    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrate(fresh_dsn)
    with_next(CARRIED)
    told: list[str] = []
    async with writer.transaction():
        await writer.execute("DELETE FROM carriers WHERE id = 1")
        migrating = asyncio.create_task(migrate(fresh_dsn, told.append))
        await until_blocked(writer)
    assert await migrating == [NEXT]
    assert len(told) == 2
    assert "somebody wrote meanwhile, again: " in told[1]
    assert await writer.fetchval("SELECT array_agg(carrier_id) FROM channels") == [2, 2, 2, 2, 2]


async def test_batch_that_breaks_a_rule_by_itself_fails(
    fresh_dsn: str, connection_to: ConnectionTo, with_next: WithNext
) -> None:
    await (await connection_to(fresh_dsn)).execute(CHANNELS)
    with_next(CARRIED.replace("(SELECT min(id) FROM carriers)", "0"))
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="channels_carrier_fk"):
        await migrate(fresh_dsn)


async def test_index_whose_build_was_interrupted_is_built_anew(
    fresh_dsn: str, connection_to: ConnectionTo, with_next: WithNext
) -> None:
    writer, observer = await connection_to(fresh_dsn), await connection_to(fresh_dsn)
    with_next("-- step (outside a transaction): index\nCREATE INDEX CONCURRENTLY channels_name ON channels (name)")
    async with writer.transaction():
        await writer.execute(CHANNELS)
        migrating = asyncio.create_task(migrate(fresh_dsn))
        [pid] = await until_blocked(writer)
        await observer.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
            await migrating
    await until_gone(observer, [pid])
    is_valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('channels_name')"
    assert await observer.fetchval(is_valid) is False
    assert await migrate(fresh_dsn) == [NEXT]
    assert await observer.fetchval(is_valid) is True


async def test_index_that_was_built_and_not_noted_is_left_as_it_is(
    fresh_dsn: str, connection_to: ConnectionTo, with_next: WithNext
) -> None:
    store = await connection_to(fresh_dsn)
    await store.execute("CREATE INDEX channels_name ON channels (name)")
    before = await store.fetchval("SELECT 'channels_name'::regclass::oid")
    with_next("-- step (outside a transaction): index\nCREATE INDEX CONCURRENTLY channels_name ON channels (name)")
    assert await migrate(fresh_dsn) == [NEXT]
    assert await store.fetchval("SELECT 'channels_name'::regclass::oid") == before


async def test_index_that_cannot_be_built_is_taken_away(
    fresh_dsn: str, connection_to: ConnectionTo, with_next: WithNext
) -> None:
    store = await connection_to(fresh_dsn)
    await store.execute(CHANNELS)
    with_next(
        "-- step (outside a transaction): index\n"
        "CREATE UNIQUE INDEX CONCURRENTLY channels_currency ON channels (currency)"
    )
    with pytest.raises(asyncpg.UniqueViolationError):
        await migrate(fresh_dsn)
    assert await store.fetchval("SELECT to_regclass('channels_currency')") is None


async def test_step_that_was_done_is_never_edited(
    fresh_dsn: str, connection_to: ConnectionTo, with_next: WithNext
) -> None:
    await (await connection_to(fresh_dsn)).execute(CHANNELS)
    with_next(FAILING)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(fresh_dsn)
    for edited in (TEXT.replace("number int", "number bigint"), TEXT.replace("add the", "add a")):
        with_next(edited)
        with pytest.raises(MigrationError, match=r"the step “add the column” of .* was edited"):
            await migrate(fresh_dsn)


async def test_migration_that_is_not_divided_well_is_named(fresh_dsn: str, with_next: WithNext) -> None:
    with_next("-- step: nothing")
    with pytest.raises(MigrationError, match=r"the migration 9001_numbers\.sql: the step “nothing” has no statement"):
        await migrate(fresh_dsn)


async def test_check_tells_of_each_missing_step_and_changes_nothing(
    databases: Databases, fresh_dsn: str, with_next: WithNext
) -> None:
    assert await check(fresh_dsn) == []
    with_next(TEXT + "\n-- step: forbid none\nALTER TABLE channels ALTER number SET NOT NULL")
    for _ in range(2):
        assert [(step, verdict.blocks, verdict.words) for _, step, verdict in await check(fresh_dsn)] == [
            ("add the column", False, "readers and writers of channels wait for a moment"),
            ("number the channels", False, "who writes the same rows waits for a batch"),
            ("index the number", False, "nobody waits"),
            ("forbid none", True, "readers and writers of channels wait while it scans channels"),
        ]
    nobody = await asyncio.to_thread(databases.create)
    assert {verdict.words for _, _, verdict in await check(nobody)} == {"nobody uses the database yet"}


async def _filled(databases: Databases, connection_to: ConnectionTo) -> str:
    """A store of before there were steps, with rows."""
    dsn = await asyncio.to_thread(databases.create)
    known = {name: text for name, text in migrations().items() if name < FIRST}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.postgres.migrate, "migrations", lambda: known)
        await migrate(dsn)
    await (await connection_to(dsn)).execute(FILLED)
    return dsn


async def test_migrations_pass_a_reader_and_a_writer_in_the_midst_of_their_work(
    databases: Databases, connection_to: ConnectionTo
) -> None:
    """They have read shipments and written an order, and hold what they have until a step asks for it."""
    dsn = await _filled(databases, connection_to)
    reader, writer = await connection_to(dsn), await connection_to(dsn)
    waited_for, is_waited_for = set(), asyncio.Event()

    def tell(line: str) -> None:
        step, says_so, _ = line.partition(": somebody holds its lock")
        if says_so:
            waited_for.add(step)
            is_waited_for.set()

    async with asyncio.timeout(FAR_TOO_LONG):
        async with reader.transaction(), writer.transaction():
            await reader.execute("SELECT FROM shipments s JOIN shipment_items x ON x.shipment_id = s.id")
            await writer.execute("UPDATE orders SET email = 'held' WHERE id = 1")
            migrating = asyncio.create_task(migrate(dsn, tell))
            await is_waited_for.wait()
        applied = await migrating
    assert applied == [name for name in migrations() if name >= FIRST]
    assert waited_for == {"0010_parcels.sql: let shipments say when their status was set"}


async def test_migrations_run_beside_readers_and_writers(databases: Databases, connection_to: ConnectionTo) -> None:
    """All that are held to it, while others go on reading and writing what the migrations change."""
    dsn = await _filled(databases, connection_to)
    is_over = asyncio.Event()

    async def work(statements: list[str]) -> int:
        connection, rounds = await connection_to(dsn), 0
        await connection.execute("SET lock_timeout = '10s'")
        while not is_over.is_set():
            async with connection.transaction():
                for statement in statements:
                    await connection.execute(statement)
                await asyncio.sleep(0.002)
            rounds += 1
        return rounds

    reading = [
        "SELECT FROM shipments s JOIN track_and_traces t ON t.shipment_id = s.id JOIN carriers c ON c.id = carrier_id"
    ]
    writing = [
        "UPDATE orders SET email = 'x' || random() WHERE id = 1",
        "UPDATE track_and_traces SET last_modified_at = clock_timestamp() WHERE order_id = 1",
        "UPDATE carriers SET logo = 'x' || random() WHERE id = 3",
    ]
    workers = [asyncio.create_task(work(statements)) for statements in (reading, writing)]
    applied = await migrate(dsn)
    is_over.set()
    assert min(await asyncio.gather(*workers)) > 0
    assert applied == [name for name in migrations() if name >= FIRST]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ("UPDATE schema_migrations SET checksum = 'other'", "was edited after it had been applied"),
        ("INSERT INTO schema_migrations (name, checksum) VALUES ('9999_later.sql', '')", "does not know"),
    ],
)
async def test_migration_that_is_not_ours_is_refused(fresh_dsn: str, edit: str, reason: str) -> None:
    connection = await asyncpg.connect(fresh_dsn)
    await connection.execute(edit)
    await connection.close()
    with pytest.raises(MigrationError, match=reason):
        await migrate(fresh_dsn)


async def test_store_indexes_every_foreign_key(connection: asyncpg.Connection) -> None:
    """An index serves a foreign key when its first columns are the key's columns, in any order."""
    bare = await connection.fetch(
        """
        SELECT k.conname
        FROM pg_constraint k
        WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace AND NOT EXISTS (
          SELECT FROM pg_index i
          WHERE i.indrelid = k.conrelid
            AND k.conkey[1] = ANY ((i.indkey::smallint[])[0:cardinality(k.conkey) - 1])
            AND (i.indkey::smallint[])[0] = ANY (k.conkey)
            AND i.indkey[0] = k.conkey[1])
        """
    )
    assert [row["conname"] for row in bare] == []


async def test_store_names_every_constraint(connection: asyncpg.Connection) -> None:
    """Names that PostgreSQL makes up end in these; ours say what is checked."""
    unnamed = await connection.fetch(
        r"""
        SELECT conname FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND conname ~ '_(pkey|key|fkey|check\d*|excl)$'
        """
    )
    assert [row["conname"] for row in unnamed] == []


async def test_store_tenant_tables_carry_their_channel_in_every_key(connection: asyncpg.Connection) -> None:
    """So that the data can be distributed by channel: see the head of the first migration.

    Carriers are everybody's where they have no channel, so their id is the key, and a copy goes wherever the data goes.
    """
    loose = await connection.fetch(
        """
        SELECT k.conrelid::regclass::text AS tenant_table, k.conname
        FROM pg_constraint k
        JOIN pg_attribute c ON c.attrelid = k.conrelid AND c.attname = 'channel_id'
        LEFT JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attname = 'channel_id'
        WHERE k.connamespace = 'public'::regnamespace
          AND k.conrelid NOT IN ('storefront_keys'::regclass, 'carriers'::regclass)
          AND k.conname <> 'track_and_traces_carrier_fk'
          AND (k.contype IN ('p', 'u') OR (k.contype = 'f' AND f.attname IS NOT NULL))
          AND NOT c.attnum = ANY (k.conkey)
        """
    )
    assert [tuple(row) for row in loose] == []


def test_migrations_are_numbered_without_a_gap() -> None:
    numbers = [int(Path(name).name[:4]) for name in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))
