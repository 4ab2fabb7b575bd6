"""The log of attempts: what came of them is stored together, many at a time, before anything follows from it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

import sql
from app.errors import ServiceUnavailable
from app.postgres.database import Database
from app.webhooks.health import Noted
from app.webhooks.sender import Outcome
from sql import Visibility

logger = logging.getLogger("waybill.webhooks")

SQL = sql.load("webhook_delivery")
ENDPOINT = sql.load("webhook_endpoint")

# So long others are waited for that end at the same time: a transaction costs more than a row.
_PAUSE_SECONDS = 0.01
_RETRY_SECONDS = 0.5
_OURS = Visibility.everything()


@dataclass(frozen=True, slots=True)
class Entry:
    """What an attempt has led to. `headers` are those of the request, without what is secret."""

    id: UUID
    state: str
    attempts: int
    next_attempt_at: datetime
    ended_at: datetime | None
    headers: Mapping[str, str]
    outcome: Outcome


class Log:
    """Writes that of one process, from `start` to `close`."""

    def __init__(self, db: Database, deliverer: UUID) -> None:
        self.counts = {"success": 0, "failure": 0}  # attempts since the start
        self._db = db
        self._deliverer = deliverer
        self._entries: list[Entry] = []
        self._health: dict[UUID, Noted] = {}
        self._written: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """What is noted by now is written first, if the database is there."""
        if self._task is not None:
            if self._written is not None:
                await asyncio.wait([self._written], timeout=2 * _RETRY_SECONDS)
            self._task.cancel()
            await asyncio.wait([self._task])

    def note(self, entry: Entry, endpoint_id: UUID, health: Noted | None) -> asyncio.Future[None]:
        """A future that is done when the entry is stored. `health` is None where nothing need be said of it."""
        self._entries.append(entry)
        self.counts["success" if entry.outcome.is_success else "failure"] += 1
        if health is not None:
            self._health[endpoint_id] = health
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
        return self._written

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            if self._written is None:
                continue
            entries, self._entries = self._entries, []
            health, self._health = self._health, {}
            written, self._written = self._written, None
            while True:
                try:
                    await self._write(entries, health)
                    break
                except ServiceUnavailable as error:
                    facts = {"reason": error.reason, "attempts": len(entries)}
                    logger.warning("attempts could not be logged yet", extra={"facts": facts})
                    await asyncio.sleep(_RETRY_SECONDS)
            if not written.done():
                written.set_result(None)

    async def _write(self, entries: Sequence[Entry], health: Mapping[UUID, Noted]) -> None:
        outcomes = [entry.outcome for entry in entries]
        columns: Any = {
            "ids": [entry.id for entry in entries],
            "states": [entry.state for entry in entries],
            "attempts": [entry.attempts for entry in entries],
            "next_attempt_at": [entry.next_attempt_at for entry in entries],
            "ended_at": [entry.ended_at for entry in entries],
            "headers": [orjson.dumps(entry.headers).decode() for entry in entries],
            "started_at": [outcome.started_at for outcome in outcomes],
            "milliseconds": [outcome.milliseconds for outcome in outcomes],
            "statuses": [outcome.status for outcome in outcomes],
            "errors": [outcome.error for outcome in outcomes],
            "answers": [outcome.answer for outcome in outcomes],
        }
        await self._db.fetch(SQL.note_attempts, _OURS, deliverer=self._deliverer, **columns)
        if health:
            await self._db.fetch(
                ENDPOINT.note_health,
                _OURS,
                deliverer=self._deliverer,
                ids=list(health),
                failures=[each.failures for each in health.values()],
                failing_since=[each.failing_since for each in health.values()],
                paused_until=[each.paused_until for each in health.values()],
                asked_until=[each.asked_until for each in health.values()],
                delivered_at=[each.delivered_at for each in health.values()],
            )
