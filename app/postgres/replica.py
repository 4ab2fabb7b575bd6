"""One standby: how far it has come, and whether it may be read from."""

import asyncio
import logging
import math
from contextlib import suppress
from datetime import datetime

from app.errors import Unavailable
from app.postgres.connect import Connection, Connector
from app.postgres.database import Server
from app.postgres.events import Caches
from app.postgres.pool import Pool
from app.settings import Settings
from sql import Visibility, load

SQL = load("replica")

logger = logging.getLogger("waybill.replicas")

# How long a server may take to tell where it is.
ANSWER_SECONDS = 1.0
# How long a read waits for a standby that has not come as far as its caller, and how often it looks meanwhile.
WAIT_SECONDS = 0.05
_ASK_AGAIN_SECONDS = 0.005

_OURS = Visibility.everything()

# The server that a timeline is of, and its number.
History = tuple[int, int]


class _FollowingCaches(Caches):
    """Values made of a standby's rows.

    The primary tells of changes before the standby has them: nothing is kept until it has come as far as the primary
    was when it told.
    """

    def __init__(self, of_primary: Caches) -> None:
        super().__init__()
        self._of_primary = of_primary
        self.needed = math.inf  # the LSN from which on values are kept; infinite as long as it is not known
        self.lsn = 0

    @property
    def is_caching(self) -> bool:  # type: ignore[override]
        return self.lsn >= self.needed and self._of_primary.is_caching

    def change(self) -> None:
        self.needed = math.inf
        self.drop_all()


class Replica(Server):
    """A standby. `place` is its place in `READ_DATABASE_URL`, from 1 on; `lsn` is how far it had come when last asked.

    `lag` is by how many seconds it was behind, None where that is not known. It `is_near` while it may be read from.
    `reads` counts the statements that requests sent to it.
    """

    def __init__(self, place: int, connect: Connector, settings: Settings, of_primary: Caches) -> None:
        self.caches = _FollowingCaches(of_primary)
        pool = Pool(
            self._connect,
            settings.pool_size,
            wait_seconds=settings.pool_wait_seconds,
            queue=settings.pool_queue,
            on_vanished=connect.lose_statements,
            has_stand_in=True,
        )
        super().__init__(pool, self.caches)
        self.place = place
        self.lsn = 0
        self.lag: float | None = None
        self.is_near = False
        self.reads = 0
        self._connector = connect
        self._started_at: datetime | None = None
        # A connection of its own, so that it is known how it is while all others are in use.
        self._watch = Server(Pool(connect, 1, has_stand_in=True), Caches())
        self._looking: asyncio.Task[bool] | None = None
        self._looked_for: History | None = None
        self._told = ""

    async def _connect(self) -> Connection:
        """To the server of which the place is known: behind one name there may be several."""
        async with asyncio.timeout(ANSWER_SECONDS):
            connection: Connection = await self._connector()
            started_at = await connection.fetchval("SELECT pg_postmaster_start_time()")
        if started_at != self._started_at:
            connection.terminate()
            raise Unavailable(reason="another server than a moment ago")
        return connection

    async def look(self, history: History) -> bool:
        """Whether it is a standby that follows a primary of that history; `lsn` is how far it has come.

        Who asks while others do has their answer.
        """
        if self._looking is None or self._looking.done() or self._looked_for != history:
            self._looked_for = history
            self._looking = asyncio.create_task(self._look(history))
        return await asyncio.shield(self._looking)

    async def _look(self, history: History) -> bool:
        system, timeline = history
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                [row] = await self._watch.fetch(SQL.standby, _OURS, system_identifier=system, timeline=timeline)
        except Exception as error:  # whatever it was, it cannot be read from
            self.leave_out(getattr(error, "reason", None) or type(error).__name__)
            self._watch.pool.abandon()
            self._begin_anew(None)
            return False
        if row["started_at"] != self._started_at:
            self._begin_anew(row["started_at"])
        if not row["is_standby"]:
            self.leave_out("it takes writes: it was promoted, or is the primary")
        elif not row["follows"]:
            self.leave_out("it does not follow the primary's timeline, or not yet")
        else:
            self.lsn = self.caches.lsn = max(self.lsn, row["lsn"] or 0)
            return True
        return False

    def _begin_anew(self, started_at: datetime | None) -> None:
        self._started_at = started_at
        self.lsn = self.caches.lsn = 0
        self.caches.drop_all()
        self.pool.abandon()

    def judge(self, lag: float, bound: float) -> None:
        """After a look that was good: it lags so many seconds, and may as many as `bound`."""
        self.lag = lag
        if lag > bound:
            self.leave_out("it lags too far behind")
            self.lag = lag
        else:
            self.is_near = True
            self._say("a replica is read from", "")

    def leave_out(self, reason: str) -> None:
        self.is_near, self.lag = False, None
        self._say("a replica is left out", reason)

    def _say(self, event: str, reason: str) -> None:
        if (now := f"{event} ({reason})") != self._told:
            self._told = now
            facts = {"replica": self.place, **({"reason": reason} if reason else {})}
            logger.log(logging.WARNING if reason else logging.INFO, event, extra={"facts": facts})

    async def catch_up(self, lsn: int, history: History) -> bool:
        """Whether it comes as far as `lsn` in a moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                while await self.look(history) and self.lsn < lsn:  # noqa: ASYNC110  nobody tells
                    await asyncio.sleep(_ASK_AGAIN_SECONDS)
        return self.is_near and self.lsn >= lsn

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        await self._watch.pool.close()
        await self.pool.close()
