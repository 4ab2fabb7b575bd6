"""What is older than a number of days is removed, and whoever reads the feed is told."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.postgres.retention import prune
from app.settings import Settings
from tests.app.resolvers.b2b.conftest import posting
from tests.app.resolvers.b2b.test_change import NEW_ORDER, PAGE, Consumer
from tests.conftest import FAR_TOO_LONG, TOKEN_SECRET, ConnectionTo, GraphQL, running, settings_for

ALL = dict.fromkeys(("changes", "idempotency_keys", "sessions", "logins"), 30)
GIVE = "SELECT give_positions(1000000)"
OLD = "UPDATE transactions SET occurred_at = occurred_at - interval '40 days'"
COUNTED = "SELECT (SELECT count(*) FROM transactions) AS transactions, (SELECT count(*) FROM changes) AS changes"
GIVEN = """
INSERT INTO idempotency_keys (actor, key, request_hash, response, created_at)
SELECT 'staff:1', age::text, sha256(''), '', now() - age * interval '1 day' FROM generate_series(29, 31) age;
INSERT INTO login_attempts (key_hash, attempted_at, latest_at)
SELECT sha256(age::text::bytea), '{}', now() - age * interval '1 day' FROM generate_series(29, 32) age;
INSERT INTO customer_sessions (channel_id, customer_id, created_at, expires_at)
SELECT 1, 1, now() - interval '99 days', now() - age * interval '1 day' FROM generate_series(29, 33) age;
INSERT INTO contact_sessions (id, channel_id, contact_id, refresh_hash, created_at, expires_at)
SELECT gen_random_uuid(), 1, 4, sha256(''), now() - interval '99 days', now() - age * interval '1 day'
FROM generate_series(29, 31) age;
"""


@pytest.fixture
async def store(demo_copy_dsn: str, connection_to: ConnectionTo) -> asyncpg.Connection:
    store = await connection_to(demo_copy_dsn)
    await store.execute(GIVE)
    return store


@pytest.fixture
async def post(demo_copy_dsn: str) -> AsyncIterator[GraphQL]:
    async with running(settings_for(demo_copy_dsn)) as app, posting(app, demo_copy_dsn) as post:
        yield post


async def test_prune_removes_what_is_older_and_no_more(store: asyncpg.Connection, demo_copy_dsn: str) -> None:
    await store.execute(GIVEN)
    # More than a batch takes, in one transaction.
    await store.execute("INSERT INTO carriers (name) SELECT 'C' || n FROM generate_series(1, 2500) n")
    await store.execute(GIVE)
    await store.execute(OLD)
    young = [await store.fetchval(NEW_ORDER, 1, None) for _ in range(3)]
    await store.execute(GIVE)
    before = await store.fetchrow(COUNTED)
    told = await prune(store, ALL)
    assert dict(await store.fetchrow(COUNTED)) == {"transactions": 3, "changes": 3}
    assert [row[0] for row in await store.fetch("SELECT entity_id FROM changes ORDER BY id")] == list(map(str, young))
    removed = before["transactions"] + before["changes"] - 6
    assert told == {"changes": removed, "idempotency_keys": 2, "sessions": 6, "logins": 3}
    assert await prune(store, ALL) == {"changes": 0, "idempotency_keys": 0, "sessions": 0, "logins": 0}


async def test_each_table_has_days_of_its_own(store: asyncpg.Connection) -> None:
    await store.execute(GIVEN)
    await store.execute(
        """
        INSERT INTO waiting_reports (code, status, occurred_at, told_at)
        SELECT 'code' || age, 'IN_TRANSIT', now(), now() - age * interval '1 day' FROM generate_series(29, 31) age;
        INSERT INTO audit_entries (actor, action, subject, occurred_at)
        SELECT 'operator:ann', 'keys create', 'api_key:1', now() - age * interval '1 day' FROM generate_series(29, 31)
        age;
        """
    )
    environ = {"DATABASE_URL": "postgresql://", "TOKEN_SECRET": TOKEN_SECRET, "RETENTION_DAYS": "32"}
    days = Settings.from_env(environ).retention
    assert days == dict.fromkeys(("changes", "idempotency_keys", "sessions", "logins"), 32)
    environ |= {
        "RETENTION_DAYS_SESSIONS": "30",
        "RETENTION_DAYS_WAITING_REPORTS": "30",
        "RETENTION_DAYS_AUDIT_ENTRIES": "31",
    }
    gone = await prune(store, Settings.from_env(environ).retention)
    assert gone == {
        "changes": 0,
        "idempotency_keys": 0,
        "sessions": 6,
        "logins": 1,
        "waiting_reports": 2,
        "audit_entries": 1,
    }


async def test_prune_keeps_the_newest_and_what_is_behind_something_younger(
    store: asyncpg.Connection, demo_copy_dsn: str
) -> None:
    """The feed loses its beginning, and never a piece of it."""
    position = await store.fetchval("SELECT max(position) FROM transactions")
    await store.execute(OLD)
    await store.execute("UPDATE transactions SET occurred_at = now() WHERE position = $1", position // 2)
    await prune(store, ALL)
    assert await store.fetchval("SELECT min(position) FROM transactions") == position // 2
    await store.execute(OLD)
    await prune(store, ALL)
    assert await store.fetchval("SELECT array_agg(position) FROM transactions") == [position]


async def test_cursor_of_what_was_removed_is_expired_and_names_the_export(
    store: asyncpg.Connection, demo_copy_dsn: str, post: GraphQL
) -> None:
    reader = Consumer(post, first=50)
    cursors = [page["nextCursor"] async for page in reader.pages()]
    await store.execute(OLD)
    kept = str(await store.fetchval(NEW_ORDER, 1, None))
    await store.execute(GIVE)
    await prune(store, ALL)
    for cursor in cursors[:-1]:
        [error] = (await post(PAGE, {"after": cursor}, viewer="staff"))["errors"]
        assert error["extensions"] == {
            "code": "CURSOR_EXPIRED",
            "path": "after",
            "rule": "must be a cursor of changes that are kept",
            "export": "/export/shipments.ndjson",
        }
    # Whoever begins, begins with what is there; and an export goes on.
    anew = Consumer(post)
    assert [told["id"] for told in (await anew.poll())["changes"]] == [kept]
    made = str(await store.fetchval(NEW_ORDER, 1, None))
    assert [told["id"] for told in (await anew.poll())["changes"]] == [made]


async def test_prune_of_a_feed_without_changes_does_nothing(fresh_dsn: str, connection_to: ConnectionTo) -> None:
    assert (await prune(await connection_to(fresh_dsn), ALL))["changes"] == 0


async def test_a_service_with_retention_prunes_by_itself(store: asyncpg.Connection, demo_copy_dsn: str) -> None:
    await store.execute(OLD)
    async with (
        running(settings_for(demo_copy_dsn, retention_days=30)) as app,
        posting(app, demo_copy_dsn),
        asyncio.timeout(FAR_TOO_LONG),
    ):
        while (await store.fetchrow(COUNTED))["transactions"] > 1:
            pass
