"""The feed as this process follows it, once for all who listen.

Nothing is kept for a socket but the place that it has been told up to. New changes are read once, judged by whose they
are, and told to audiences: those who ask the same and see the same share one execution and its bytes. Whoever is
further behind than an audience's latest news reads the feed for itself until it is not.
"""

import asyncio
import logging
import time
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import Any
from weakref import WeakValueDictionary

import sql
from app.errors import ServiceUnavailable
from app.live.audience import Audience
from app.postgres.database import Database
from app.postgres.events import Tables
from app.resolvers.feed import Change, end_of
from app.resolvers.place import Place
from sql import Reach, Visibility

logger = logging.getLogger("waybill.live")

FEED, STILL_HELD = sql.load("feed"), sql.load("change").still_held

# Changes that are read at a time, and that are kept for those who have just come back.
_SCAN = 500
_PAST = 100  # of those who are behind
_RECENT = 10_000
# Who catches up holds answers in memory: so many at a time.
_MOST_BEHIND = 64
_MOST_BEHIND_OF_VIEWER = 4
# How long new changes may wait to be looked for.
_LOOK_SECONDS = 0.05
_RETRY_SECONDS = 0.5
# What an audience takes longer for, its members read for themselves: nobody waits for others' documents.
_TELL_SECONDS = 5.0

_STATUSES = Tables[str, frozenset[str]]("order_statuses")
_OURS = Visibility.everything()


class Hub:
    """All audiences of one process, and the changes that were read last. `reached` is the place of the last of these.

    All audiences have been told up to `told`. `sent` counts the events that subscribers were sent, and `lag` is the
    time in seconds from the beginning of the last change to its telling. `db` is there while the application runs.
    """

    db: Database

    def __init__(self) -> None:
        self.reached = self.told = Place(0, 0)
        self.sent = 0
        self.lag = 0.0
        self._recent: deque[Change] = deque(maxlen=_RECENT)
        self._audiences: dict[Hashable, Audience] = {}
        # Those who may be told something of an order, by what has to be its company, customer or id; the rest by None.
        self._by_owner: dict[Hashable, set[Audience]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._behind = asyncio.Semaphore(_MOST_BEHIND)
        self._behind_by_viewer: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def catching_up(self, subject: str) -> AsyncIterator[None]:
        """A turn to read the past, and to send it: few have one at a time, and of one viewer fewer.

        Who does not read what is sent keeps others of its own viewer waiting, until it is let go.
        """
        of_viewer = self._behind_by_viewer.get(subject)
        if of_viewer is None:
            of_viewer = self._behind_by_viewer[subject] = asyncio.Semaphore(_MOST_BEHIND_OF_VIEWER)
        async with of_viewer, self._behind:
            yield

    @property
    def members(self) -> int:
        return sum(len(audience.members) for audience in self._audiences.values())

    async def newest(self) -> Place:
        """The place after all that is committed by now. Raises `ServiceUnavailable`."""
        return end_of(await self.db.feed.go_on())

    async def join(self, key: Hashable, make: Callable[[Place], Audience]) -> Audience:
        """The audience of that key, made where there is none; its members `leave` it. Raises `ServiceUnavailable`."""
        if self._task is None:
            reached = await self.newest()
            if self._task is None:
                self.reached = self.told = reached
                self._recent.clear()
                self._task = asyncio.create_task(self._follow())
        audience = self._audiences.get(key)
        if audience is None:
            audience = self._audiences[key] = make(self.reached)
            for owner in _owners_of(audience.visibility):
                self._by_owner[owner].add(audience)
        return audience

    def leave(self, key: Hashable, audience: Audience) -> None:
        """Takes away an audience that has no members any more; with the last one nobody follows the feed."""
        if audience.members or self._audiences.get(key) is not audience:
            return
        del self._audiences[key]
        for owner in _owners_of(audience.visibility):
            self._by_owner[owner].discard(audience)
            if not self._by_owner[owner]:
                del self._by_owner[owner]
        if not self._audiences and self._task is not None:
            self._task.cancel()
            self._task = None

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def after(self, place: Place) -> Sequence[Change]:
        """Some of the changes after a place; none where there are none. Raises `ServiceUnavailable`."""
        recent = self._recent
        if recent and recent[0].place <= place <= self.reached:
            start = bisect_right(recent, place, key=attrgetter("place"))
            if start < len(recent):
                return [recent[index] for index in range(start, min(start + _PAST, len(recent)))]
        return await self._read(place, _PAST)

    async def still_held(self, held: Sequence[int], place: Place) -> tuple[int, ...]:
        """Those transactions that end behind a place, or at it. Raises `ServiceUnavailable`."""
        rows = await self.db.fetch(STILL_HELD, _OURS, held=held, position=place.position - 1)
        return tuple(row["id"] for row in rows)

    async def _read(self, place: Place, scan: int) -> Sequence[Change]:
        rows = await self.db.fetch(FEED.after, _OURS, position=place.position, number=place.number, scan=scan)
        if not rows:
            return ()
        public = await self.db.table_cache(_STATUSES).get("public", self._public_statuses)
        return [Change(row, public) for row in rows]

    async def _public_statuses(self) -> frozenset[str]:
        rows = await self.db.fetch(FEED.public_statuses, _OURS)
        return frozenset(row["code"] for row in rows)

    async def _follow(self) -> None:
        is_behind = False
        while True:
            try:
                # Not in the background alone, which looks less often for what other processes write.
                is_moved = is_behind or await self.db.feed.go_on() > self.reached.position
                changes = await self._read(self.reached, _SCAN) if is_moved else ()
            except ServiceUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if changes:
                await self._tell(changes)
            is_behind = len(changes) == _SCAN
            if not is_behind:
                await asyncio.sleep(_LOOK_SECONDS)

    async def _tell(self, changes: Sequence[Change]) -> None:
        self._recent.extend(changes)
        told: dict[Audience, list[Change]] = defaultdict(list)
        for change in changes:
            for audience in self._audiences_of(change):
                told[audience].append(change)
        # Who joins from here on is told all up to this place by history.
        self.reached = changes[-1].place
        await asyncio.gather(*(self._tell_audience(audience, some) for audience, some in told.items()))
        self.told = self.reached
        self.lag = max(0.0, time.time() - changes[-1].row["occurred_at"].timestamp())

    def _audiences_of(self, change: Change) -> Iterable[Audience]:
        found = set(self._by_owner.get(None, ()))
        found |= self._by_owner.get((Reach.ORDER, change.row["order_id"]), set())
        for owner in change.owners:
            found |= self._by_owner.get((Reach.COMPANIES, owner.company_id), set())
            found |= self._by_owner.get((Reach.CUSTOMER, owner.customer_id), set())
        return found

    async def _tell_audience(self, audience: Audience, changes: Sequence[Change]) -> None:
        try:
            async with asyncio.timeout(_TELL_SECONDS):
                await audience.tell(changes)
        except Exception as error:
            if not isinstance(error, (ServiceUnavailable, TimeoutError)):
                logger.exception("an audience was not told")
            audience.begin_anew(self.reached)


def _owners_of(visibility: Visibility) -> list[Any]:
    if visibility.reach in (Reach.COMPANIES, Reach.CONTACT):
        return [(Reach.COMPANIES, company_id) for company_id in visibility.company_ids]
    if visibility.reach is Reach.CUSTOMER:
        return [(Reach.CUSTOMER, visibility.customer_id)]
    if visibility.reach is Reach.ORDER:
        return [(Reach.ORDER, visibility.order_id)]
    return [None]
