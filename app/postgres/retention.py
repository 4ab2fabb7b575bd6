"""What is kept no longer than so many days, table by table: changes with their transactions, idempotency keys, and so
on.

`python -m app prune` takes it away once; with `RETENTION_DAYS` and its kin a service does so every hour, one process at
a time for the feed. Both go in batches that are committed one by one, with as long a rest between as the last one took:
nobody waits for them, and one that is stopped has done what it has done.
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

# By what `Settings.retention` calls it.
_STATEMENTS = {
    "changes": SQL.feed,
    "idempotency_keys": SQL.idempotency_keys,
    "sessions": SQL.sessions,
    "logins": SQL.attempts,
    "waiting_reports": SQL.waiting_reports,
    "audit_entries": SQL.audit_entries,
    "webhook_attempts": SQL.webhook_attempts,
    "webhook_deliveries": SQL.webhook_deliveries,
}
# The log of webhooks, which has days of its own: whoever delivers sees to it.
WEBHOOKS = ("webhook_attempts", "webhook_deliveries")

Days = Mapping[str, int]
Take = Callable[[Statement, datetime], Awaitable[int]]


async def prune(connection: asyncpg.Connection, days: Days) -> dict[str, int]:
    """Takes away what is older, and tells how many rows. Raises what asyncpg raises."""

    async def take(statement: Statement, before: datetime) -> int:
        [row] = await fetch(connection, statement, before=before, most=_BATCH)
        gone: int = row["gone"]
        return gone

    return await _prune(take, days)


async def _prune(take: Take, days: Days) -> dict[str, int]:
    gone = dict.fromkeys(days, 0)
    for what, kept in days.items():
        before = datetime.now(UTC) - timedelta(days=kept)
        while True:
            begun = time.monotonic()
            number = await take(_STATEMENTS[what], before)
            gone[what] += number
            if not number:
                break
            await asyncio.sleep(min(time.monotonic() - begun, _LONGEST_REST_SECONDS))
    return gone


class Retention:
    """Prunes in the background of a service, from its start on."""

    def __init__(self, pool: Pool, days: Days) -> None:
        self._pool = pool
        self._days = days
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
                gone = await _prune(self._take, self._days)
                if any(gone.values()):
                    logger.info("what is kept no longer was removed", extra={"facts": dict(gone)})
            except Exception as error:  # the next hour is the remedy
                logger.warning("nothing was removed", extra={"facts": {"reason": type(error).__name__}})
            await asyncio.sleep(_EVERY_SECONDS)
