"""The doctor finds what is wrong, puts it right, and finds nothing where nothing is."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

import sql
from app.__main__ import _parser, main
from app.admin.command import Answer, Refused, perform
from app.admin.doctor import schema_objects
from app.demo.embedded import Server
from app.postgres.direct import fetch
from app.postgres.migrate import migrate
from sql.advisory_lock import AdvisoryLock
from tests.app.admin.conftest import Operate
from tests.conftest import TOKEN_SECRET, Databases, settings_for
from tests.pooler import needs_pgbouncer, pooler
from tests.server import administer, temporary
from tests.standby import standby_of

# Written as a restore would that goes wrong: no trigger sees it.
UNSEEN = "SET session_replication_role = replica"
# By what the doctor calls it: what breaks it.
WRONG = {
    "tallies of orders": "DELETE FROM order_tallies WHERE status = 'NEW'",
    "tallies of shipments": "INSERT INTO shipment_tallies VALUES (1, 0, 'CREATED', 5)",
    "days of orders": "UPDATE order_days SET n = n + 1 WHERE channel_id = 1",
    "days of their fulfilment": "DELETE FROM order_fulfillment_days",
    "days of shipments": "UPDATE shipment_days SET created_on = created_on + 1 WHERE channel_id = 1",
    "days of items": "DELETE FROM shipment_item_days WHERE quantity > 1",
    "days of codes": "INSERT INTO track_and_trace_days VALUES (1, '2026-01-01', '2026-01-01', 9, 1)",
    "lines: shipped, delivered": "UPDATE order_items SET quantity_delivered = quantity_delivered + 1 WHERE id % 7 = 0",
    "orders: paid back": "UPDATE orders SET refunded_total = refunded_total + 1 WHERE id = 1",
    "lines: paid back": "UPDATE order_items SET quantity_refunded = quantity_refunded + 1 WHERE order_id = 1",
    "orders to be found": "DELETE FROM order_words WHERE order_id % 2 = 0",
    "orders: fulfilment": "UPDATE order_fulfillments SET status = 'DELIVERED' WHERE order_id = 1",
    "orders: words": "UPDATE order_words SET words = 'nothing' WHERE order_id = 1",
    "feed of changes": """
        UPDATE transactions SET position = NULL WHERE position = (SELECT max(position) FROM transactions)
    """,
    "waits of the feed": """
        UPDATE feed_ends SET missing = '{7}', missing_until = ARRAY['999999999999'::xid8]
    """,
    "sequences": "SELECT setval('shipments_number_seq', 1), setval('user_ids', 1)",
    "schema": """
        DROP INDEX order_words_words;
        ALTER TABLE shipments DROP CONSTRAINT shipments_order_fk;
        ALTER TABLE shipments DROP CONSTRAINT shipments_status_known;
        DROP TRIGGER orders_version ON orders;
        ALTER TABLE orders DISABLE TRIGGER orders_tally_insert
    """,
}


@pytest.fixture(autouse=True)
async def no_sessions_of_the_tests(copy_connection: asyncpg.Connection) -> None:
    """Their ids are such as the database never gives by itself."""
    await copy_connection.execute("DELETE FROM customer_sessions")


async def found(operate: Operate, *arguments: str) -> dict[str, str]:
    """The states by what was looked at, of those alone that are not well."""
    rows = await operate("doctor", "--deep", *arguments)
    assert {row["check"] for row in rows} >= {"server", "clock", "migrations", "notifications", *WRONG}
    return {row["check"]: row["state"] for row in rows if row["state"] != "ok"}


@pytest.fixture
async def unseen(copy_connection: asyncpg.Connection) -> asyncpg.Connection:
    await copy_connection.execute(UNSEEN)
    return copy_connection


async def test_store_that_is_well_is_found_so(operate: Operate) -> None:
    answer = await operate("doctor", "--deep", whole=True)
    assert {row["state"] for row in answer.value} == {"ok"}, answer.value
    assert not answer.failed


@pytest.mark.parametrize("check", WRONG)
async def test_what_is_wrong_is_found_and_mended(operate: Operate, unseen: asyncpg.Connection, check: str) -> None:
    await unseen.execute(WRONG[check])
    answer = await operate("doctor", "--deep", whole=True)
    assert answer.failed
    # Days and words follow how far orders are fulfilled, which follows lines.
    assert check in {row["check"] for row in answer.value if row["state"] == "FAULT"}
    mended = await found(operate, "--mend")
    assert mended[check] == "mended"
    assert set(mended.values()) == {"mended"}
    assert await found(operate) == {}
    entries = await operate("audit", "list", "--subject", "database")
    assert check in entries[0]["details"]["mended"]


async def test_feed_goes_on_behind_what_was_mended(operate: Operate, unseen: asyncpg.Connection) -> None:
    await unseen.execute(WRONG["feed of changes"])
    await operate("doctor", "--mend")
    before = await unseen.fetchval("SELECT max(position) FROM feed_ends")
    await unseen.execute("SET session_replication_role = origin")
    await unseen.execute("UPDATE orders SET remarks = 'x' WHERE id = 1")
    await unseen.execute("SELECT give_positions(1000)")
    positions = await unseen.fetch("SELECT position FROM transactions WHERE position > $1 ORDER BY id", before)
    assert [row["position"] for row in positions] == [before + 1, before + 2]


async def test_writers_go_on_while_tallies_are_mended(
    operate: Operate, unseen: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    """Who has written and not committed counts with their commit, and not twice."""
    await unseen.execute(WRONG["tallies of orders"])
    writing = other.transaction()
    await writing.start()
    await other.execute("UPDATE orders SET status = 'CONFIRMED' WHERE status = 'NEW'")
    await operate("doctor", "--mend")
    await writing.commit()
    assert await found(operate) == {}


@pytest.fixture
def empty(databases: Databases) -> Iterator[str]:
    dsn = databases.create()
    yield dsn
    databases.drop(dsn)


async def examined(dsn: str, *arguments: str, **settings: Any) -> Answer:
    options = _parser("doctor").parse_args(["doctor", *arguments])
    options.settings = lambda: settings_for(dsn, **settings)
    return await perform(dsn, options)


async def test_empty_database_lacks_migrations(empty: str) -> None:
    answer = await examined(empty)
    states = {row["check"]: row for row in answer.value}
    assert states["migrations"]["state"] == "FAULT"
    assert states["migrations"]["remedy"] == "run `migrate`"
    assert answer.failed


async def test_one_doctor_mends_at_a_time(operate: Operate, unseen: asyncpg.Connection) -> None:
    """Two that make the same indexes would wait for each other."""
    await unseen.execute("SELECT pg_advisory_lock($1)", AdvisoryLock.MENDING)
    with pytest.raises(Refused, match="another doctor is mending"):
        await operate("doctor", "--mend")
    await operate("doctor")
    await unseen.execute("SELECT pg_advisory_unlock_all()")
    await operate("doctor", "--mend")


async def test_server_that_takes_no_writes_is_told_and_not_mended(demo_copy_dsn: str) -> None:
    dsn = f"{demo_copy_dsn}?default_transaction_read_only=on"
    answer = await examined(dsn)
    states = {row["check"]: row for row in answer.value}
    assert (states["standby"]["state"], states["standby"]["says"]) == ("warning", "takes no writes")
    with pytest.raises(Refused, match="mend at its primary"):
        await examined(dsn, "--mend")


async def test_more_connections_than_the_server_has_are_told(operate: Operate, demo_copy_dsn: str) -> None:
    answer = await examined(demo_copy_dsn, pool_size=1_000)
    assert [row["check"] for row in answer.value if row["state"] == "FAULT"] == ["connections"]


@needs_pgbouncer
@pytest.mark.parametrize("allowed", [True, False])
async def test_pooler_is_recognised_with_what_to_set(demo_copy_dsn: str, allowed: bool) -> None:
    with pooler(demo_copy_dsn, "transaction", 10, console=allowed) as dsn:
        answer = await examined(dsn)
    states = {row["check"]: row for row in answer.value}
    assert states["pooler"]["state"] == "warning"
    assert re.match(r"PgBouncer [0-9]+\.[0-9.]+, which" if allowed else "PgBouncer, which", states["pooler"]["says"])
    for word in ("LISTEN_URL", "STATEMENT_CACHE=0", "max_prepared_statements", "SET statement_timeout"):
        assert word in states["pooler"]["remedy"]
    assert states["notifications"]["state"] == "warning"
    assert not answer.failed


@needs_pgbouncer
async def test_pooler_that_keeps_sessions_is_told_from_none(demo_copy_dsn: str) -> None:
    with pooler(demo_copy_dsn, "session", 10) as dsn:
        answer = await examined(dsn)
    states = {row["check"]: row for row in answer.value}
    assert states["pooler"]["says"].endswith("which keeps sessions")
    assert "ALTER ROLE" in states["pooler"]["remedy"]
    assert states["notifications"]["state"] == "ok"


async def test_replicas_are_looked_at(own: Server, demo_copy_dsn: str) -> None:
    """One that follows, the primary itself, one of another server, and one that is not there."""
    with standby_of(own) as standby:
        gone = "postgresql://127.0.0.1:1/waybill"
        urls = ",".join((standby.dsn, own.dsn, gone))
        states = {row["check"]: row for row in (await examined(own.dsn, read_database_url=urls)).value}
        assert states["replica 1"]["state"] == "ok"
        assert states["replica 1"]["says"].endswith("MB of the log behind")
        assert "hot_standby_feedback" in states["replica 1"]["remedy"]
        assert states["replica 2"]["says"] == "takes writes: it is left out"
        assert states["replica 3"]["says"].startswith("No PostgreSQL answers")
        answer = await examined(demo_copy_dsn, read_database_url=standby.dsn)
        [found] = [row for row in answer.value if row["check"] == "replica 1"]
        assert (found["state"], found["says"]) == ("FAULT", "a standby of another server")


@pytest.fixture
def own() -> Iterator[Server]:
    with temporary() as own:
        asyncio.run(migrate(own.dsn))
        yield own


def test_doctor_ends_with_1_where_something_is_wrong(
    demo_dsn: str, fresh_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", fresh_dsn)
    monkeypatch.setenv("TOKEN_SECRET", TOKEN_SECRET)
    assert main(["doctor", "--json"]) == 0
    assert {row["state"] for row in json.loads(capsys.readouterr().out)} == {"ok"}
    asyncio.run(administer(fresh_dsn, "DROP INDEX order_words_words"))
    assert main(["doctor"]) == 1
    assert "index order_words_words (missing)" in capsys.readouterr().out


async def test_every_object_of_the_schema_is_looked_for(connection: asyncpg.Connection) -> None:
    """What `make schema` has written and what the migrations make is the same, on every version of the server."""
    rows = await fetch(connection, sql.load("doctor").schema_objects)
    assert {(row["kind"], row["name"]): row["definition"] for row in rows} == schema_objects()
    assert all(row["is_good"] for row in rows)
    kinds = {kind for kind, _ in schema_objects()}
    assert kinds == {"table", "column", "index", "constraint", "trigger", "function"}


# By what the doctor says of it: what an operator did to the schema by hand.
CHANGED = {
    "constraint orders.orders_currency_iso (missing)": "ALTER TABLE orders DROP CONSTRAINT orders_currency_iso",
    "column orders.status (another one)": "ALTER TABLE orders ALTER status DROP NOT NULL",
    "column audit_entries.action (another one)": "ALTER TABLE audit_entries ALTER action TYPE varchar(255)",
    "column orders.reference (missing)": "ALTER TABLE orders DROP COLUMN reference CASCADE",
    "function utc_day(moment timestamp with time zone) (another one)": """
        CREATE OR REPLACE FUNCTION utc_day(moment timestamptz) RETURNS date LANGUAGE sql IMMUTABLE
        AS $$ SELECT '2000-01-01'::date $$
    """,
    "trigger orders.orders_version (another one)": """
        DROP TRIGGER orders_version ON orders;
        CREATE TRIGGER orders_version BEFORE UPDATE ON orders FOR EACH STATEMENT
        EXECUTE FUNCTION suppress_redundant_updates_trigger()
    """,
}


@pytest.mark.parametrize("says", CHANGED)
async def test_schema_that_was_changed_by_hand_is_found(
    operate: Operate, copy_connection: asyncpg.Connection, says: str
) -> None:
    await copy_connection.execute(CHANGED[says])
    [finding] = [row for row in await operate("doctor") if row["check"] == "schema"]
    assert finding["state"] == "FAULT"
    assert says in finding["says"]
    [mended] = [row for row in await operate("doctor", "--mend") if row["check"] == "schema"]
    is_made_again = says.startswith(("constraint", "trigger"))
    assert mended["state"] == ("mended" if is_made_again else "FAULT")
    [after] = [row for row in await operate("doctor") if row["check"] == "schema"]
    assert after["state"] == ("ok" if is_made_again else "FAULT")
