"""Has the feed of changes go on: gives positions to what has been committed (`sql/migrations/0020_group_commit.sql`).

Every process does so in the background, after each commit of its own, and looks twice a second for those of others:
of imports, of an operator's hand, and of a process that was killed between a commit and its position. The database sees
to it that one gives at a time; where one is gone, the next goes on at its next look. Whoever reads the end of the feed
does the same before (`Feed.go_on`), so what was committed before a question is in its answer, whether or not any
service runs.
"""

import asyncio
import logging
from contextlib import suppress

from app.errors import WaybillError
from app.postgres.pool import Pool
from sql import Reach, Statement, load

SQL = load("change")

logger = logging.getLogger("waybill.feed")

LOOK_SECONDS = 0.5
# Commits that come so soon after others share a batch with those that follow: a batch is a flush of its own.
_PAUSE_SECONDS = 0.02
_RETRY_SECONDS = 1.0
# Transactions of a batch. A flush takes as long as the rows of some hundred.
_BATCH = 1_000


class Feed:
    """The end of the feed, as one process moves it. `woken` is set by commits."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        give: Statement = SQL.give_positions
        prepared = give.prepare(Reach.EVERYTHING, values={"most": _BATCH})
        self._text, self._arguments = prepared.text, prepared.arguments({"most": _BATCH})

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Something has been committed."""
        self._woken.set()

    async def go_on(self) -> int:
        """Gives positions to all that has been committed by now, and returns the last. Raises `ServiceUnavailable`."""
        while True:
            given, reached = await self._give()
            if given < _BATCH:
                return reached

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _give(self) -> tuple[int, int]:
        """To how many of a batch, and the end of the feed."""
        [row] = await self._pool.fetch(self._text, *self._arguments)
        return row["given"], row["reached"]

    async def _run(self) -> None:
        is_told = False
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self.go_on()
                is_told = False
            except Exception as error:  # whatever it was, the next try is the remedy
                if not is_told:
                    reason = error.code if isinstance(error, WaybillError) else type(error).__name__
                    logger.warning("the feed of changes does not go on", extra={"facts": {"reason": reason}})
                is_told = True
                await asyncio.sleep(_RETRY_SECONDS)
            await asyncio.sleep(_PAUSE_SECONDS)
