"""`make schema`: writes sql/schema.sql, the database as all migrations leave it, and sql/catalog.json for the `doctor`.

It is for reading, and for `test_schema.py`, which holds it to the migrations; the service itself only ever migrates. It
is always dumped from the embedded server, so that the same migrations give the same text everywhere.
"""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import asyncpg

import sql
from app.demo.embedded import programs
from app.postgres.direct import fetch
from app.postgres.migrate import migrate
from tests.server import throwaway

SCHEMA = Path(__file__).parents[2] / "sql" / "schema.sql"
CATALOG = SCHEMA.with_name("catalog.json")

_HEAD = (
    "-- The database as the migrations leave it, for reading: `make schema` writes this file. See sql/migrations/.\n\n"
)
# What a dump says of its session, and of itself.
_NOISE = re.compile(r"^(?:--.*|SET .*;|SELECT pg_catalog\.set_config.*;|\\(?:un)?restrict .*)\n", re.MULTILINE)


def dump(dsn: str) -> str:
    """The statements that make the schema of the database. Raises CalledProcessError."""
    command = [programs() / "pg_dump", "--schema-only", "--no-owner", "--no-privileges", dsn]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return _HEAD + re.sub(r"\n{3,}", "\n\n", _NOISE.sub("", text)).strip() + "\n"


async def catalog(dsn: str) -> dict[str, dict[str, str]]:
    """The definitions of what there is, by kind and name."""
    connection = await asyncpg.connect(dsn)
    try:
        found: dict[str, dict[str, str]] = {}
        for row in await fetch(connection, sql.load("doctor").schema_objects):
            found.setdefault(row["kind"], {})[row["name"]] = row["definition"]
        return found
    finally:
        await connection.close()


if __name__ == "__main__":
    with throwaway() as server:
        asyncio.run(migrate(server.dsn))
        SCHEMA.write_text(dump(server.dsn), "utf-8")
        text = json.dumps(asyncio.run(catalog(server.dsn)), indent=1, sort_keys=True, ensure_ascii=False)
        CATALOG.write_text(f"{text}\n", "utf-8")
