"""Where a read goes: to a standby that is near enough, or to the primary.

What is asked by queries, exports and pages of the feed is read by a `Reading`, one for each request. It chooses a
server when the first statement comes, and stays with it, so that a request meets one history. A standby is chosen that

- shows all that the caller has seen: what it wrote itself (`LastWrites`), and the state that it brings along in the
  header `Waybill-Consistency` or in a cursor. One that is a moment behind is waited for;
- lags no further behind than `READ_LAG_SECONDS`, follows the primary's present timeline, and answers.

Of several, each viewer has one of its own as long as that is fit, so that what it reads does not go back. Where there
is none, and where one fails under way, the primary answers. All else goes to the primary anyway: what is written and
what is read for it, credentials, subscriptions, webhooks.

What is known of a standby's place was true some time ago, and it only goes on; so it is enough that the place was
reached before a statement is sent. Of a server that was started anew, which may have gone back, nothing is known.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar
from zlib import crc32

import asyncpg

from app.errors import ReadOnly, RequestRefused, Unavailable
from app.postgres.connect import Connector
from app.postgres.consistency import HEADER, Consistency, LastWrites
from app.postgres.database import Database, Server
from app.postgres.events import Caches, TableCache, Tables
from app.postgres.pool import Pool
from app.postgres.replica import ANSWER_SECONDS, SQL, WAIT_SECONDS, History, Replica
from app.rules import server_urls
from app.settings import Settings, Worker
from loaders.batch import Batch
from loaders.result import CombinedQuery, RowView
from sql import Statement, Visibility
from sql.combine import CombinedStatement

T = TypeVar("T")

# How often it is looked where servers are.
LOOK_SECONDS = 0.1

_OURS = Visibility.everything()


class Replicas:
    """All standbys of one process. `primary_reads` counts the statements of requests that the primary answered."""

    def __init__(self, db: Database, settings: Settings, worker: Worker | None = None) -> None:
        self.primary = db
        self.primary_reads = 0
        self.writes = LastWrites(worker.folder / "last-writes" if worker else None)
        self._bound = settings.read_lag_seconds
        urls = server_urls(settings.read_database_url or "")
        self.all = [
            Replica(place, _connector(settings, place - 1, url), settings, db.events)
            for place, url in enumerate(urls, start=1)
        ]
        connect = Connector(settings.database_url, statement_cache=1, current=settings.current_if_file("DATABASE_URL"))
        self._watch = Server(Pool(connect, 1, has_stand_in=True), Caches())
        self._history: History | None = None
        # How far the primary was at a moment (of time.monotonic), for as long as that tells of a lag within the bound.
        self._places: deque[tuple[float, int]] = deque(maxlen=round((self._bound + 5) / LOOK_SECONDS))
        # What is there when this process begins, such as the schema that its statements are for, none may lack.
        self._least: int | None = None
        self._owing: set[str] = set()  # viewers who wrote, nobody knows up to where
        self._changes = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.primary.events.watch(None, self._change)
        await self._look()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await asyncio.gather(*(replica.close() for replica in self.all), self._watch.pool.close())
        self.writes.close()

    def reading(self, subject: str, text: bytes | None) -> "Reading":
        """Of a request by that viewer, which brings `text` in the header. Raises `RequestRefused`."""
        return Reading(self, subject, None if text is None else _asked(text))

    async def choose(self, subject: str, asked: Consistency | None) -> Replica | None:
        """One that shows all that the viewer has seen; None is the primary."""
        history, needed = self._history, self.writes.of(subject)
        if history is None or subject in self._owing or self.writes.timeline > history[1]:
            return None
        if asked is not None:
            if asked.timeline > history[1]:
                return None
            needed = max(needed, asked.lsn)
        near = [replica for replica in self.all if replica.is_near]
        if not near:
            return None
        replica = max(near, key=partial(_weight, subject))
        if replica.lsn >= needed:
            return replica
        if replica.lag is None or replica.lag > WAIT_SECONDS:  # it will not be there in time
            return None
        return replica if await replica.catch_up(needed, history) else None

    async def wrote(self, subject: str) -> Consistency | None:
        """What a viewer who has just written has seen; None where nobody can tell: it reads from the primary then."""
        self._owing.add(subject)
        state = await self.present()
        if state is not None:
            self.writes.note(subject, state)
            self._owing.discard(subject)
        return state

    async def present(self) -> Consistency | None:
        """A state no earlier than what the primary has told this process; None where nobody can tell."""
        try:
            [row] = await self.primary.fetch(SQL.primary, _OURS)
        except Exception:  # it was told all the same
            return None
        self._know(row)
        return Consistency(row["timeline"], row["lsn"])

    def state_at(self, lsn: int) -> Consistency | None:
        """Of a server that the primary's history is known to be that of; None where that is not known."""
        return None if self._history is None else Consistency(self._history[1], lsn)

    # -------------------------------------------------------------------------------------------- where they are

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        owing, changes = set(self._owing), self._changes
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                asked_at = time.monotonic()
                [row] = await self._watch.fetch(SQL.primary, _OURS)
                if self._know(row):
                    self._places.append((asked_at, row["lsn"]))
                    self._least = row["begun"] if self._least is None else self._least
                    for subject in owing:
                        self.writes.note(subject, Consistency(row["timeline"], row["begun"]))
                    self._owing -= owing
                    for replica in self.all if changes == self._changes else ():
                        replica.caches.needed = min(replica.caches.needed, row["begun"])
                if not row["is_noted"]:
                    noted = {name: row[name] for name in ("system_identifier", "timeline")}
                    await self._watch.fetch(SQL.note, _OURS, **noted)
        except Exception:  # it is gone, or no primary any more; who else needs it says so
            self._watch.pool.abandon()
        if self._history is not None:
            await asyncio.gather(*(self._look_at(replica, self._history) for replica in self.all))

    async def _look_at(self, replica: Replica, history: History) -> None:
        if not await replica.look(history) or history != self._history:
            return
        if self._least is None or replica.lsn < self._least:
            replica.leave_out("it lacks what was there when this process began")
        else:
            replica.judge(self._lag(replica.lsn, time.monotonic()), self._bound)

    def _lag(self, lsn: int, now: float) -> float:
        """For how many seconds the primary has been further than `lsn`: at least that, where it was all the time."""
        if not self._places:
            return math.inf
        newest_at, newest = self._places[-1]
        # Of a primary that is away nobody knows what it does meanwhile.
        since = now - newest_at if now - newest_at > ANSWER_SECONDS else 0.0
        if lsn >= newest:
            return since
        for then, place in reversed(self._places):
            if place <= lsn:
                return now - then
        return math.inf

    def _know(self, row: asyncpg.Record) -> bool:
        """Takes note of where a primary is; False where it is one of before."""
        history = row["system_identifier"], row["timeline"]
        if history == self._history:
            return True
        if self._history is not None and history[0] == self._history[0] and history[1] < self._history[1]:
            return False
        if self._history is not None:
            for replica in self.all:
                replica.leave_out("the primary has begun another timeline")
        self._history = history
        self._places.clear()
        self.writes.note_timeline(history[1])
        return True

    def _change(self) -> None:
        """Rows have changed of which values are kept."""
        self._changes += 1
        for replica in self.all:
            replica.caches.change()


class Reading:
    """What one request reads, and from where."""

    __slots__ = ("_asked", "_is_chosen", "_replica", "_replicas", "_subject")

    def __init__(self, replicas: Replicas, subject: str, asked: Consistency | None) -> None:
        self._replicas = replicas
        self._subject = subject
        self._asked = asked
        self._replica: Replica | None = None
        self._is_chosen = False

    def stay_at_primary(self) -> None:
        """From here on."""
        self._replica, self._is_chosen = None, True

    async def show(self, state: Consistency | None) -> None:
        """From here on reads no earlier state than that; None is the present one."""
        if state is None:
            self.stay_at_primary()
        elif not self._is_chosen:
            self._asked = state if self._asked is None else max(self._asked, state)
        elif self._replica is not None and self._replica is not await self._replicas.choose(self._subject, state):
            self.stay_at_primary()

    async def seen(self) -> Consistency | None:
        """A state no earlier than what was read so far; None where nobody can tell. Raises `ServiceUnavailable`."""
        [row] = await self._on(lambda server: server.fetch(SQL.place, _OURS))
        return self.state_at(row["lsn"])

    def state_at(self, lsn: int) -> Consistency | None:
        return self._replicas.state_at(lsn)

    async def wrote(self) -> Consistency | None:
        """That something was committed; see `Replicas.wrote`."""
        return await self._replicas.wrote(self._subject)

    async def fetch(self, statement: Statement, visibility: Visibility, **values: Any) -> list[asyncpg.Record]:
        """See `Server.fetch`."""
        if not statement.is_read:
            self.stay_at_primary()
        return await self._on(lambda server: server.fetch(statement, visibility, **values))

    async def fetch_combined(self, combined: CombinedStatement, values: Sequence[Mapping[str, Any]]) -> asyncpg.Record:
        return await self._on(lambda server: server.fetch_combined(combined, values))

    async def look_up(
        self, query: CombinedQuery, batch: Batch, key: Any, visibility: Visibility, permissions: frozenset[str]
    ) -> RowView | None:
        return await self._on(lambda server: server.look_up(query, batch, key, visibility, permissions))

    async def begin(
        self, text: str, first: Statement, **values: Any
    ) -> tuple[Server, asyncpg.Connection, asyncpg.Record]:
        """See `Server.begin`; with the server that has begun."""

        async def begin(server: Server) -> tuple[Server, asyncpg.Connection, asyncpg.Record]:
            return server, *await server.begin(text, first, **values)

        return await self._on(begin)

    def table_cache(self, tables: Tables[Any, Any], part: Any = None) -> TableCache[Any, Any] | None:
        """See `Caches.table_cache`; None as long as it is not known what is read from."""
        return (self._replica or self._replicas.primary).table_cache(tables, part) if self._is_chosen else None

    async def _on(self, send: Callable[[Server], Awaitable[T]]) -> T:
        if not self._is_chosen:
            replica = await self._replicas.choose(self._subject, self._asked)
            if not self._is_chosen:  # by another statement of the request
                self._replica, self._is_chosen = replica, True
        replica = self._replica
        if replica is not None:
            try:
                answer = await send(replica)
            except (Unavailable, ReadOnly):
                self.stay_at_primary()
            else:
                replica.reads += 1
                return answer
        self._replicas.primary_reads += 1
        return await send(self._replicas.primary)


def _asked(text: bytes) -> Consistency:
    try:
        return Consistency.of(text.decode("latin-1"))
    except ValueError as error:
        raise RequestRefused(f"{HEADER} {error}", code="VALIDATION_ERROR", path=HEADER, rule=str(error)) from None


def _weight(subject: str, replica: Replica) -> int:
    """The same in all processes, and spread evenly: https://en.wikipedia.org/wiki/Rendezvous_hashing"""
    return crc32(f"{replica.place} {subject}".encode())


def _connector(settings: Settings, index: int, url: str) -> Connector:
    current = settings.current_if_file("READ_DATABASE_URL")

    def current_url() -> str | None:
        urls = server_urls((current() if current else None) or settings.read_database_url or "")
        return urls[index] if index < len(urls) else None

    return Connector(
        url,
        statement_cache=settings.statement_cache,
        statement_bytes=settings.cache_bytes // 4,
        seconds=settings.deadline,
        current=current_url if current else None,
    )
