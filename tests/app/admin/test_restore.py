"""Archives of the real pg_dump: whole, rows alone, and of one channel, with all that is kept twice right afterwards."""

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from app.__main__ import _parser
from app.admin.command import Answer, Refused, perform
from app.postgres.migrate import migrate
from tests.app.admin.conftest import run
from tests.conftest import ConnectionTo, Databases, settings_for
from tests.consistency import breaches


@pytest.fixture
async def archive(demo_copy_dsn: str, copy_connection: asyncpg.Connection, bin_folder: Path, tmp_path: Path) -> Path:
    """Of a store with a commit that has no position yet, and one whose number went with a rollback."""
    await copy_connection.execute("DELETE FROM customer_sessions")  # with ids that no sequence gives
    await copy_connection.execute("SELECT give_positions(1000000)")
    async with copy_connection.transaction():
        await copy_connection.execute("UPDATE orders SET remarks = 'late' WHERE id = 1")
    file = tmp_path / "archive"
    run(bin_folder / "pg_dump", "--format=custom", f"--file={file}", demo_copy_dsn)
    return file


@pytest.fixture
def target(databases: Databases) -> Iterator[str]:
    dsn = databases.create()
    yield dsn
    databases.drop(dsn)


async def operate(dsn: str, *arguments: object) -> Answer:
    options = _parser(str(arguments[0])).parse_args(list(map(str, arguments)))
    options.settings = lambda: settings_for(dsn)
    return await perform(dsn, options)


async def well(dsn: str) -> None:
    """The doctor finds nothing, and neither do the rules of the tests."""
    answer = await operate(dsn, "doctor", "--deep")
    assert {row["check"]: row["says"] for row in answer.value if row["state"] != "ok"} == {}
    assert await breaches(dsn) == {}


# One statement for each table: how many rows it has, and a digest of them all.
ROWS = """
SELECT format(
  'SELECT %L AS name, count(*) AS n, md5(string_agg(t::text, '' '' ORDER BY t::text)) AS md5 FROM %I t',
  c.relname, c.relname)
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
  AND c.relname NOT IN ('schema_migrations', 'schema_migration_steps', 'audit_entries') ORDER BY 1
"""


async def rows(connection: asyncpg.Connection) -> dict[str, tuple[int, str]]:
    queries = " UNION ALL ".join(row[0] for row in await connection.fetch(ROWS))
    return {row["name"]: (row["n"], row["md5"]) for row in await connection.fetch(queries)}


async def goes_on(connection: asyncpg.Connection) -> None:
    """What is written after the restore has new numbers, is tallied, and comes last in the feed."""
    before = await connection.fetchrow(
        "SELECT (SELECT max(position) FROM transactions) AS position, (SELECT sum(n) FROM order_tallies"
        " WHERE company_id = 0) AS orders, (SELECT count(*) FROM commits) AS waiting"
    )
    made = await connection.fetchval(
        "INSERT INTO orders (channel_id, status, email, currency, total_gross, total_net, total_tax, sub_total)"
        " SELECT id, 'NEW', 'after@example.com', currency, 0, 0, 0, 0 FROM channels ORDER BY id LIMIT 1 RETURNING id"
    )
    await connection.execute("SELECT give_positions(1000000)")
    assert await connection.fetchval("SELECT sum(n) FROM order_tallies WHERE company_id = 0") == before["orders"] + 1
    last = await connection.fetchrow(
        "SELECT c.entity_id, x.position FROM changes c JOIN transactions x ON x.id = c.transaction_id"
        " WHERE c.type = 'ORDER' ORDER BY x.position DESC LIMIT 1"
    )
    assert last["entity_id"] == str(made)
    assert last["position"] == before["position"] + before["waiting"] + 1
    assert await connection.fetchval("SELECT count(*) FROM order_words WHERE order_id = $1", made) == 1


async def test_whole_archive_needs_no_command(
    archive: Path,
    target: str,
    bin_folder: Path,
    copy_connection: asyncpg.Connection,
    connection_to: ConnectionTo,
) -> None:
    run(bin_folder / "pg_restore", "--no-owner", f"--dbname={target}", str(archive))
    restored = await connection_to(target)
    assert await rows(restored) == await rows(copy_connection)
    await well(target)
    await goes_on(restored)
    await well(target)


async def test_rows_alone_are_restored_into_a_migrated_database(
    archive: Path,
    target: str,
    bin_folder: Path,
    copy_connection: asyncpg.Connection,
    connection_to: ConnectionTo,
) -> None:
    await migrate(target)
    answer = await operate(target, "restore", archive, "--pg-restore", bin_folder / "pg_restore")
    assert not answer.failed, answer.value
    restored = await connection_to(target)
    assert await rows(restored) == await rows(copy_connection)
    await well(target)
    await goes_on(restored)
    await well(target)
    with pytest.raises(Refused, match="has rows already"):
        await operate(target, "restore", archive, "--pg-restore", bin_folder / "pg_restore")


async def test_one_channel_is_restored_with_what_belongs_to_all(
    archive: Path,
    target: str,
    bin_folder: Path,
    copy_connection: asyncpg.Connection,
    connection_to: ConnectionTo,
) -> None:
    await migrate(target)
    program = bin_folder / "pg_restore"
    with pytest.raises(Refused, match="no channel 'nowhere'"):
        await operate(target, "restore", archive, "--channel", "nowhere", "--pg-restore", program)
    [code, of_channel] = await copy_connection.fetchrow(
        "SELECT h.code, h.id FROM channels h JOIN orders o ON o.channel_id = h.id WHERE h.id <> 1"
        " GROUP BY h.id ORDER BY count(*) DESC LIMIT 1"
    )
    answer = await operate(target, "restore", archive, "--channel", code, "--pg-restore", program)
    assert not answer.failed, answer.value
    restored = await connection_to(target)
    assert await restored.fetchval("SELECT array_agg(code) FROM channels") == [code]
    for table in ("orders", "order_items", "shipments", "track_and_traces", "tracking_events", "customers", "changes"):
        counted = f"SELECT count(*) FROM {table} WHERE channel_id = $1"
        assert await restored.fetchval(counted, of_channel) == await copy_connection.fetchval(counted, of_channel)
        assert await restored.fetchval(f"SELECT count(*) FROM {table} WHERE channel_id <> $1", of_channel) == 0
    assert await restored.fetchval("SELECT count(*) FROM orders") > 0
    assert await restored.fetchval("SELECT count(*) FROM api_keys WHERE name = 'hofstra writer'") == 0
    await well(target)
    await goes_on(restored)
    await well(target)


async def test_one_channel_comes_without_what_others_may_see_or_were_told(
    target: str,
    bin_folder: Path,
    tmp_path: Path,
    demo_copy_dsn: str,
    copy_connection: asyncpg.Connection,
    connection_to: ConnectionTo,
) -> None:
    store, archive = copy_connection, tmp_path / "archive"
    company = await store.fetchrow("SELECT channel_id, id FROM companies WHERE channel_id <> 1 LIMIT 1")
    channel = company["channel_id"]
    for name, channels, is_limited in (
        ("limited", [1, channel], True),
        ("another's", [channel], False),
        ("of both", [1, channel], False),
    ):
        key = await store.fetchval(
            "INSERT INTO api_keys (name, key_hash, prefix) VALUES ($1, sha256($1::text::bytea), 'x') RETURNING id", name
        )
        await store.execute("INSERT INTO api_key_channels SELECT $1, unnest($2::int[])", key, channels)
        if is_limited:
            await store.execute(
                "INSERT INTO api_key_companies (api_key_id, channel_id, company_id) VALUES ($1, $2, $3)", key, *company
            )
        await store.execute(
            """
            WITH endpoint AS (
              INSERT INTO webhook_endpoints (owner, api_key_id, url, types, secret, position, number)
              VALUES ('partner:' || $1::int, $1, $2, '{}', 'x', 0, 0) RETURNING id
            ), deliveries AS (
              INSERT INTO webhook_deliveries (id, endpoint_id, lane, type, event, next_attempt_at, body)
              SELECT gen_random_uuid(), endpoint.id, 'x', 'x', jsonb_build_object('channel_id', c), now(), 'x'
              FROM endpoint, unnest($3::int[]) AS c RETURNING id
            )
            INSERT INTO webhook_attempts (delivery_id, started_at, milliseconds, headers)
            SELECT id, now(), 1, '{}' FROM deliveries
            """,
            key,
            name,
            channels,
        )
    run(bin_folder / "pg_dump", "--format=custom", f"--file={archive}", demo_copy_dsn)
    await migrate(target)
    program = bin_folder / "pg_restore"
    answer = await operate(target, "restore", archive, "--channel", "default", "--pg-restore", program)
    assert not answer.failed, answer.value
    restored = await connection_to(target)
    names = "SELECT array_agg(name) FROM api_keys WHERE prefix = 'x'"
    assert await restored.fetchval(names) == ["of both"]
    assert await restored.fetchval("SELECT array_agg(url) FROM webhook_endpoints") == ["of both"]
    assert await restored.fetchval("SELECT array_agg(event ->> 'channel_id') FROM webhook_deliveries") == ["1"]
    assert await restored.fetchval("SELECT count(*) FROM webhook_attempts") == 1
    assert any("limited" in note for note in answer.notes)


async def test_restore_that_fails_leaves_nothing_of_any_channel(
    archive: Path, target: str, bin_folder: Path, tmp_path: Path, connection_to: ConnectionTo
) -> None:
    """As one whose process is killed does: it commits when all that is of others is gone, and not before."""
    await migrate(target)
    program = tmp_path / "pg_restore"
    program.write_text(f'#!/bin/sh\n"{bin_folder}/pg_restore" "$@" || exit\ncase "$*" in *use-list*) exit 3;; esac\n')
    program.chmod(0o755)
    with pytest.raises(Refused, match="pg_restore: "):
        await operate(target, "restore", archive, "--channel", "default", "--pg-restore", program)
    restored = await connection_to(target)
    assert await restored.fetchval("SELECT count(*) FROM channels") == 0
    assert await restored.fetchval("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") > 0


async def test_archive_of_another_server_does_not_have_the_feed_wait(
    archive: Path, target: str, bin_folder: Path, connection_to: ConnectionTo
) -> None:
    """Numbers of transactions of the server that was dumped may be far ahead of this one's."""
    run(bin_folder / "pg_restore", "--no-owner", f"--dbname={target}", str(archive))
    restored = await connection_to(target)
    await restored.execute("UPDATE feed_ends SET missing = '{1}', missing_until = ARRAY['999999999999'::xid8]")
    answer = await operate(target, "doctor")
    assert [row["check"] for row in answer.value if row["state"] == "FAULT"] == ["waits of the feed"]
    assert not (await operate(target, "doctor", "--mend")).failed
    await goes_on(restored)


async def test_what_is_no_archive_of_ours_is_refused(
    target: str, bin_folder: Path, tmp_path: Path, archive: Path, connection_to: ConnectionTo
) -> None:
    program = bin_folder / "pg_restore"
    await migrate(target)
    text = tmp_path / "dump.sql"
    text.write_text("CREATE TABLE x ();\n")
    with pytest.raises(Refused, match="pg_restore: "):
        await operate(target, "restore", text, "--pg-restore", program)
    with pytest.raises(Refused, match="pg_restore: "):
        await operate(target, "restore", tmp_path / "missing", "--pg-restore", program)
    connection = await connection_to(target)
    other = tmp_path / "other"
    *_, before, last = await connection.fetchval("SELECT array_agg(name ORDER BY name) FROM schema_migrations")
    await connection.execute("DELETE FROM schema_migrations WHERE name = $1", last)
    run(bin_folder / "pg_dump", "--format=custom", f"--file={other}", target)
    await connection.execute("INSERT INTO schema_migrations (name, checksum) VALUES ($1, 'x')", last)
    with pytest.raises(Refused, match=f"whose last migration is {before}"):
        await operate(target, "restore", other, "--pg-restore", program)
