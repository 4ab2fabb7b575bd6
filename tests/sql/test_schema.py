"""sql/schema.sql is the schema that the migrations make: read into an empty database it gives the same catalog."""

import asyncio

import asyncpg

from tests.conftest import Databases
from tests.sql.schema import SCHEMA

# What there is, each with its definition as the server writes it.
CATALOG = """
SELECT 'column' AS kind, format('%s.%s', c.relname, a.attname) AS name,
  format('%s %s %s %s %s', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
    pg_get_expr(d.adbin, d.adrelid)) AS definition
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'p')
UNION ALL
SELECT 'relation', c.relname, format('%s %s', c.relkind, c.reloptions)
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'p', 'S')
UNION ALL
SELECT 'index', c.relname, format('%s %s', pg_get_indexdef(c.oid), i.indisvalid)
FROM pg_class c
JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'constraint', format('%s.%s', k.conrelid::regclass, k.conname),
  format('%s %s', pg_get_constraintdef(k.oid), k.convalidated)
FROM pg_constraint k
WHERE k.connamespace = 'public'::regnamespace AND k.contype <> 'n'
UNION ALL
SELECT 'trigger', format('%s.%s', t.tgrelid::regclass, t.tgname), format('%s %s', pg_get_triggerdef(t.oid), t.tgenabled)
FROM pg_trigger t
WHERE NOT t.tgisinternal
UNION ALL
SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid)
FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace
UNION ALL
SELECT 'view', c.relname, pg_get_viewdef(c.oid)
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'v'
UNION ALL
SELECT 'comment', format('%s.%s', c.relname, coalesce(a.attname, '')), d.description
FROM pg_description d
JOIN pg_class c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid
WHERE c.relnamespace = 'public'::regnamespace
"""


async def _catalog(dsn: str, first: str | None = None) -> dict[tuple[str, str], str]:
    connection = await asyncpg.connect(dsn)
    try:
        if first is not None:
            await connection.execute(first)
        return {(row["kind"], row["name"]): row["definition"] for row in await connection.fetch(CATALOG)}
    finally:
        await connection.close()


def test_schema_is_what_the_migrations_make(databases: Databases, empty_template: str) -> None:
    read = databases.create()
    written = asyncio.run(_catalog(read, SCHEMA.read_text("utf-8")))
    migrated = asyncio.run(_catalog(databases.create(empty_template)))
    assert len(migrated) > 500
    assert {
        name: written.get(name) for name in written.keys() | migrated.keys() if written.get(name) != migrated.get(name)
    } == {}
