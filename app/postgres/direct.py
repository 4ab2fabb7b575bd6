"""Statements of what runs for the operator, on a connection of its own: by command, import and migration."""

from typing import Any

import asyncpg

from sql import Reach, Statement


async def fetch(connection: asyncpg.Connection, statement: Statement, **values: Any) -> list[asyncpg.Record]:
    """The rows of a statement for who sees everything. Raises what asyncpg raises."""
    prepared = statement.prepare(Reach.EVERYTHING)
    rows: list[asyncpg.Record] = await connection.fetch(prepared.text, *prepared.arguments(values))
    return rows
