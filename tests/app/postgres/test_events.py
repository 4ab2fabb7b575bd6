"""What is kept of the database's rows, and when it is dropped."""

import asyncio
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.auth.storefront_key import STOREFRONTS
from app.auth.viewer import CONTACTS, PARTNERS
from app.postgres import events
from app.postgres.database import Database
from app.postgres.events import Events, TableCache, Tables
from sql import Reach, load
from tests.conftest import settings_for, until
from tests.pooler import needs_pgbouncer, pooler
from tests.through_pool import execute

CARRIERS = Tables[str, int]("carriers", limit=3)
CHANNELS = Tables[str, int]("channels")


class Counter:
    """A lookup that tells how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self) -> int:
        self.asked += 1
        return self.asked


@pytest.fixture
async def listening(fresh_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A database that is listened to; what drops a value is no beat."""
    monkeypatch.setattr(events, "BEAT_SECONDS", 3600)
    db = await Database.connect(settings_for(fresh_dsn))
    await db.events.start()
    yield db
    await db.close()


async def until_dropped(table_cache: TableCache[str, int], key: str = "a") -> None:
    await until(lambda: table_cache.cached(key) is None)


async def until_listening(db: Database) -> None:
    await until(lambda: db.events.is_listening)


async def break_the_listening(db: Database) -> None:
    """Returns when it was noticed; by then it may listen again."""
    told_by_nothing_else = db.table_cache(Tables[str, int]("no table"))
    await told_by_nothing_else.get("a", Counter())
    await execute(
        db.pool,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    await until_dropped(told_by_nothing_else)


async def test_a_value_is_looked_up_once(listening: Database) -> None:
    look_up, table_cache = Counter(), listening.table_cache(CARRIERS)
    assert table_cache.cached("a") is None
    assert [await table_cache.get("a", look_up) for _ in range(3)] == [1, 1, 1]
    assert table_cache.cached("a") == 1
    assert await table_cache.get("b", look_up) == 2


async def test_what_a_lookup_raises_is_not_kept(listening: Database) -> None:
    async def fail() -> int:
        raise LookupError

    table_cache = listening.table_cache(CARRIERS)
    for _ in range(2):
        with pytest.raises(LookupError):
            await table_cache.get("a", fail)
    assert await table_cache.get("a", Counter()) == 1


async def test_the_oldest_value_goes_when_there_are_too_many(listening: Database) -> None:
    table_cache = listening.table_cache(CARRIERS)
    for key in "abcd":
        await table_cache.get(key, Counter())
    assert [table_cache.cached(key) for key in "abcd"] == [None, 1, 1, 1]


async def test_parts_share_no_value_and_drop_theirs_together(
    listening: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, one, two = (listening.table_cache(CARRIERS, part) for part in (None, (1,), (1, 2)))
    for value, table_cache in enumerate((whole, one, two)):
        look_up = Counter()
        for _ in range(value):
            await look_up()
        await table_cache.get("a", look_up)
    assert [table_cache.cached("a") for table_cache in (whole, one, two)] == [1, 2, 3]
    assert listening.table_cache(CARRIERS, (1,)) is one
    await execute(listening.pool, "DELETE FROM carriers")
    for table_cache in (whole, one, two):
        await until_dropped(table_cache)

    monkeypatch.setattr(events, "_MOST_PARTS", 1)
    await one.get("a", Counter())
    listening.table_cache(CARRIERS, (3,))  # for which the oldest part goes
    assert listening.table_cache(CARRIERS) is whole
    assert listening.table_cache(CARRIERS, (1,)) is not one


@pytest.mark.parametrize("change", ["DELETE FROM {}", "TRUNCATE {} CASCADE", "UPDATE {} SET {} = {}"])
async def test_every_change_of_a_table_drops_what_was_made_of_it(listening: Database, change: str) -> None:
    rows = await listening.pool.fetch(
        "SELECT DISTINCT ON (c.relname) c.relname AS name, a.attname AS column FROM pg_trigger t"
        " JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_attribute a ON a.attrelid = c.oid AND attnum = 2"
        " WHERE t.tgname = c.relname || '_tell' ORDER BY 1, 2"
    )
    assert len(rows) >= 10
    for row in rows:
        table_cache = listening.table_cache(Tables[str, int](row["name"]))
        await table_cache.get("a", Counter())
        await execute(listening.pool, change.format(row["name"], row["column"], row["column"]))
        await until_dropped(table_cache)


async def test_a_change_of_another_table_drops_nothing(listening: Database) -> None:
    carriers, channels = listening.table_cache(CARRIERS), listening.table_cache(CHANNELS)
    await carriers.get("a", Counter())
    await channels.get("a", Counter())
    await execute(listening.pool, "DELETE FROM carriers")
    await until_dropped(carriers)
    assert channels.cached("a") == 1


async def test_a_change_that_is_rolled_back_drops_nothing(listening: Database) -> None:
    carriers, channels = listening.table_cache(CARRIERS), listening.table_cache(CHANNELS)
    await carriers.get("a", Counter())
    await channels.get("a", Counter())
    async with listening.connection() as connection:
        await connection.execute("BEGIN; DELETE FROM carriers; ROLLBACK")
    await execute(listening.pool, "DELETE FROM channels")
    await until_dropped(channels)
    assert carriers.cached("a") == 1


async def test_a_lookup_that_was_under_way_at_a_change_is_not_kept(listening: Database) -> None:
    other, table_cache = listening.table_cache(CHANNELS), listening.table_cache(CARRIERS)

    async def slow() -> int:
        await other.get("a", Counter())
        await execute(listening.pool, "DELETE FROM carriers; DELETE FROM channels")
        await until_dropped(other)
        return 7

    assert await table_cache.get("a", slow) == 7
    assert table_cache.cached("a") is None


async def test_nothing_is_kept_before_it_listens_nor_after_it_closes(fresh_dsn: str) -> None:
    db, look_up = await Database.connect(settings_for(fresh_dsn)), Counter()
    table_cache = db.table_cache(CARRIERS)
    assert [await table_cache.get("a", look_up) for _ in range(2)] == [1, 2]
    await db.events.start()
    assert [await table_cache.get("a", look_up) for _ in range(2)] == [3, 3]
    await db.events.close()
    assert [await table_cache.get("a", look_up) for _ in range(2)] == [4, 5]
    await db.close()


async def test_a_broken_connection_drops_all_and_is_made_anew(
    listening: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up, table_cache = Counter(), listening.table_cache(CARRIERS)
    monkeypatch.setattr(events, "_RETRY_SECONDS", 0)
    await table_cache.get("a", look_up)
    await break_the_listening(listening)
    assert table_cache.cached("a") is None
    await until_listening(listening)
    assert await table_cache.get("a", look_up) == await table_cache.get("a", look_up)
    await execute(listening.pool, "DELETE FROM carriers")
    await until_dropped(table_cache)


async def test_a_lookup_over_a_break_is_not_kept(listening: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    table_cache = listening.table_cache(CARRIERS)
    monkeypatch.setattr(events, "_RETRY_SECONDS", 0)

    async def slow() -> int:
        await break_the_listening(listening)
        await until_listening(listening)
        return 7

    assert await table_cache.get("a", slow) == 7
    assert table_cache.cached("a") is None


async def test_a_beat_drops_what_no_notification_dropped(fresh_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "BEAT_SECONDS", 0.01)
    db = await Database.connect(settings_for(fresh_dsn))
    await db.events.start()
    table_cache = db.table_cache(CARRIERS)
    await table_cache.get("a", Counter())
    await until_dropped(table_cache)
    assert db.events.is_listening
    await db.close()


async def test_a_connection_that_does_not_answer_a_beat_is_given_up(
    fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[asyncpg.Connection] = []

    async def connect() -> asyncpg.Connection:
        made.append(await asyncpg.connect(fresh_dsn))
        return made[-1]

    monkeypatch.setattr(events, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(events, "_RETRY_SECONDS", 0)
    listener = Events(connect)
    await listener.start()
    silent = asyncio.create_task(made[0].execute("SELECT pg_sleep(1000)"))  # a beat finds it busy
    await until(lambda: len(made) > 1)
    assert made[0].is_closed()
    await listener.close()
    assert isinstance((await asyncio.gather(silent, return_exceptions=True))[0], Exception)


async def test_it_starts_without_a_database_to_listen_to() -> None:
    async def connect() -> asyncpg.Connection:
        raise ConnectionRefusedError

    listener, look_up = Events(connect), Counter()
    await listener.start()
    assert [await listener.table_cache(CARRIERS).get("a", look_up) for _ in range(2)] == [1, 2]
    await listener.close()


@pytest.mark.parametrize(
    ("tables", "noun", "statements"),
    [
        (PARTNERS, "viewer", ("partner_by_key_hash", "partner_by_id")),
        (CONTACTS, "viewer", ("contacts_by_ids",)),
        (STOREFRONTS, "storefront_key", ("by_key_hash",)),
    ],
)
def test_tables_are_all_that_their_statements_read(
    tables: Tables[object, object], noun: str, statements: tuple[str, ...]
) -> None:
    for name in statements:
        text = load(noun).statements[name].prepare(Reach.EVERYTHING).text
        assert set(re.findall(r"(?:FROM|JOIN) (\w+)\b(?![.(])", text)) - {"family"} == set(tables.names)


# ------------------------------------------------------------------------------------------------ poolers


@needs_pgbouncer
async def test_behind_a_pooler_that_keeps_sessions_it_listens(demo_copy_dsn: str) -> None:
    with pooler(demo_copy_dsn, "session") as dsn:
        db = await Database.connect(settings_for(dsn))
        await db.events.start()
        assert db.events.is_listening
        await is_told_of_changes(db, demo_copy_dsn)
        await db.close()


@needs_pgbouncer
async def test_behind_a_pooler_that_shares_sessions_rows_are_dropped_all_the_time(
    demo_copy_dsn: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "_HEARD_SECONDS", 0.5)
    monkeypatch.setattr(events, "POLL_SECONDS", 0.02)
    with pooler(demo_copy_dsn, "transaction") as dsn:
        db = await Database.connect(settings_for(dsn))
        await db.events.start()
        assert not db.events.is_listening
        await until(lambda: db.events.is_caching)
        await is_told_of_changes(db, demo_copy_dsn)
        assert db.events.is_caching
        await db.close()
    assert not db.events.is_caching
    warnings = [record.message for record in caplog.records if record.name == "waybill.events"]
    assert warnings == ["no notifications come: cached rows are dropped every second"]


@needs_pgbouncer
async def test_it_listens_by_an_address_of_its_own(demo_copy_dsn: str) -> None:
    with pooler(demo_copy_dsn, "transaction") as dsn:
        db = await Database.connect(settings_for(dsn, listen_url=demo_copy_dsn))
        await db.events.start()
        assert db.events.is_listening
        await is_told_of_changes(db, demo_copy_dsn)
        await db.close()


async def test_where_notifications_begin_to_come_it_listens(fresh_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(events, "_LISTEN_AGAIN_SECONDS", 0.05)
    tries = 0

    class Standby(asyncpg.Connection):
        async def add_listener(self, channel: str, callback: object) -> None:
            nonlocal tries
            tries += 1
            if tries == 1:  # what a standby says
                raise asyncpg.ReadOnlySQLTransactionError("cannot execute LISTEN during recovery")
            await super().add_listener(channel, callback)

    listener = Events(lambda: asyncpg.connect(fresh_dsn, connection_class=Standby))
    await listener.start()
    assert not listener.is_listening
    await until(lambda: listener.is_listening)
    assert listener.is_caching
    await listener.close()


async def test_an_outage_is_one_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "_RETRY_SECONDS", 0)
    tries = 0

    async def connect() -> asyncpg.Connection:
        nonlocal tries
        tries += 1
        raise ConnectionRefusedError

    listener = Events(connect)
    await listener.start()
    await until(lambda: tries > 10)
    await listener.close()
    [record] = caplog.records
    assert (record.levelname, record.message) == ("WARNING", "no rows are cached: nothing listens")
    assert record.exc_info is None


async def is_told_of_changes(db: Database, dsn: str) -> None:
    """A value is kept, and dropped when somebody else changes its row."""
    table_cache = db.table_cache(CARRIERS)

    async def look_up() -> int:
        return 1

    other = await asyncpg.connect(dsn)
    await table_cache.get("a", look_up)
    await other.execute("UPDATE carriers SET name = name || '!'")
    await until_dropped(table_cache)
    await other.close()
