import asyncio
from pathlib import Path

import asyncpg
import pytest

from app.postgres.migrate import MigrationError, migrate, migrations
from tests.conftest import Databases
from tests.pooler import needs_pgbouncer, pooler


async def test_migrations_are_applied_once_also_by_processes_that_start_together(databases: Databases) -> None:
    dsn = await asyncio.to_thread(databases.create)
    applied = await asyncio.gather(*(migrate(dsn) for _ in range(4)))
    assert sorted(applied) == [[], [], [], list(migrations())]
    assert await migrate(dsn) == []
    await asyncio.to_thread(databases.drop, dsn)


@needs_pgbouncer
async def test_migrations_pass_a_pooler_that_shares_sessions(databases: Databases) -> None:
    dsn = await asyncio.to_thread(databases.create)
    with pooler(dsn, "transaction", size=3) as pooled:
        applied = await asyncio.gather(*(migrate(pooled) for _ in range(3)))
    assert sorted(applied) == [[], [], list(migrations())]
    await asyncio.to_thread(databases.drop, dsn)


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
    """So that the data can be distributed by channel: see the head of the first migration."""
    loose = await connection.fetch(
        """
        SELECT k.conrelid::regclass::text AS tenant_table, k.conname
        FROM pg_constraint k
        JOIN pg_attribute c ON c.attrelid = k.conrelid AND c.attname = 'channel_id'
        LEFT JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attname = 'channel_id'
        WHERE k.connamespace = 'public'::regnamespace
          AND k.conrelid NOT IN ('storefront_keys'::regclass)
          AND (k.contype IN ('p', 'u') OR (k.contype = 'f' AND f.attname IS NOT NULL))
          AND NOT c.attnum = ANY (k.conkey)
        """
    )
    assert [tuple(row) for row in loose] == []


def test_migrations_are_numbered_without_a_gap() -> None:
    numbers = [int(Path(name).name[:4]) for name in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))
