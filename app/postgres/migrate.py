"""Brings a database to the newest schema: forward only, under one lock, each file once and never edited."""

import hashlib
from importlib.resources import files

import asyncpg

from app.postgres.connect import CONNECT_SECONDS
from sql.advisory_lock import AdvisoryLock

_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
  name       text CONSTRAINT schema_migrations_pk PRIMARY KEY,
  checksum   text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)"""


class MigrationError(Exception):
    """An applied migration was edited or removed, or the database is newer than this program."""


def migrations() -> dict[str, str]:
    """The text of every migration by file name, in the order of application."""
    folder = files("sql").joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {name: folder.joinpath(name).read_text("utf-8") for name in names}


async def migrate(dsn: str) -> list[str]:
    """Applies what is missing, all in one transaction, and returns the names of the files it applied.

    Raises `MigrationError` where the database holds a migration that this program does not have in the same words.
    """
    # Nothing is prepared by name: a pooler may give each transaction another session.
    connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, statement_cache_size=0)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", AdvisoryLock.MIGRATION)
            await connection.execute(_LEDGER)
            return await _apply_missing(connection)
    finally:
        await connection.close()


async def _apply_missing(connection: asyncpg.Connection) -> list[str]:
    known = migrations()
    applied = {row["name"]: row["checksum"] for row in await connection.fetch("SELECT * FROM schema_migrations")}
    for name, checksum in sorted(applied.items()):
        if name not in known:
            raise MigrationError(f"the database has the migration {name}, which this version does not know")
        if checksum != _checksum(known[name]):
            raise MigrationError(f"the migration {name} was edited after it had been applied")
    missing = [name for name in known if name not in applied]
    for name in missing:
        await connection.execute(known[name])
        await connection.execute(
            "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)", name, _checksum(known[name])
        )
    return missing


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
