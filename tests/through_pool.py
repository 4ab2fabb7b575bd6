"""What tests send through a pool, and the service does not."""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from app.postgres.pool import Pool


async def execute(pool: Pool, text: str, *arguments: Any) -> str:
    """The status of the last of several statements, or of one with arguments."""

    async def run(connection: asyncpg.Connection) -> str:
        return str(await connection.execute(text, *arguments))

    return await pool.run(run, is_read=False)


async def execute_many(pool: Pool, text: str, rows: Iterable[Sequence[Any]]) -> None:
    async with pool.connection() as connection:
        await connection.executemany(text, rows)


async def row(pool: Pool, text: str, *arguments: Any) -> asyncpg.Record:
    [row] = await pool.fetch_once(text, *arguments)
    return row


async def value(pool: Pool, text: str, *arguments: Any) -> Any:
    """Of a statement that has one."""
    [value] = await row(pool, text, *arguments)
    return value
