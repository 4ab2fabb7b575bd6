"""What is kept no longer than so many days: changes with their transactions, idempotency keys, sessions and logins.

The log of webhooks has days of its own, and whoever delivers sees to it.

`python -m app prune` takes it away once; with `RETENTION_DAYS` a service does so every hour, one process at a time for
the feed. Both go in batches that are committed one by one, with as long a rest between as the last one took: nobody
waits for them, and one that is stopped has done what it has done.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

import asyncpg

from app.postgres.direct import fetch
from app.postgres.pool import Pool
from sql import Reach, Statement, load

SQL = load("retention")

logger = logging.getLogger("waybill.retention")

# Rows of a batch, and the longest rest between two of them.
_BATCH = 1_000
_LONGEST_REST_SECONDS = 1.0
_EVERY_SECONDS = 3_600.0

# What is taken away, by the words of who is told.
_STATEMENTS = {
    "changes and transactions": SQL.feed,
    "idempotency keys": SQL.idempotency_keys,
    "sessions": SQL.sessions,
    "logins": SQL.attempts,
}
WEBHOOKS = {
    "attempts of webhooks": SQL.webhook_attempts,
    "deliveries of webhooks": SQL.webhook_deliveries,
}

Take = Callable[[Statement, datetime], Awaitable[int]]


async def prune(dsn: str, days: int) -> str:
    """Takes away what is older, and tells what. Raises what asyncpg raises."""
    connection = await asyncpg.connect(dsn)
    try:

        async def take(statement: Statement, before: datetime) -> int:
            [row] = await fetch(connection, statement, before=before, most=_BATCH)
            gone: int = row["gone"]
            return gone

        gone = await _prune(take, days, _STATEMENTS)
    finally:
        await connection.close()
    return ", ".join(f"{number:,} {what}" for what, number in gone.items()) + " removed"


async def _prune(take: Take, days: int, statements: Mapping[str, Statement]) -> dict[str, int]:
    before = datetime.now(UTC) - timedelta(days=days)
    gone = dict.fromkeys(statements, 0)
    for what, statement in statements.items():
        while True:
            begun = time.monotonic()
            number = await take(statement, before)
            gone[what] += number
            if not number:
                break
            await asyncio.sleep(min(time.monotonic() - begun, _LONGEST_REST_SECONDS))
    return gone


class Retention:
    """Prunes in the background of a service, from its start on. `statements` are by the words of who is told."""

    def __init__(self, pool: Pool, days: int, statements: Mapping[str, Statement] = _STATEMENTS) -> None:
        self._pool = pool
        self._days = days
        self._statements = statements
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _take(self, statement: Statement, before: datetime) -> int:
        prepared = statement.prepare(Reach.EVERYTHING)
        rows = await self._pool.fetch_once(prepared.text, *prepared.arguments({"before": before, "most": _BATCH}))
        gone: int = rows[0]["gone"]
        return gone

    async def _run(self) -> None:
        while True:
            try:
                gone = await _prune(self._take, self._days, self._statements)
                if any(gone.values()):
                    logger.info("what is kept no longer was removed", extra={"facts": dict(gone)})
            except Exception as error:  # the next hour is the remedy
                logger.warning("nothing was removed", extra={"facts": {"reason": type(error).__name__}})
            await asyncio.sleep(_EVERY_SECONDS)
