"""A process that delivers: it has some of the endpoints for as long as it is alive, and serves each by itself.

Any number of processes share the endpoints. Each says every second that it is alive; what one has that does not any
more is anybody's. Whatever a process knows is stored: one that is killed loses nothing, and what it had sent without
hearing the answer is sent again, with the same id and the same body.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from uuid import UUID, uuid4

import sql
from app.auth.viewer import Viewer
from app.context import Context
from app.errors import ServiceUnavailable
from app.postgres.database import Database
from app.settings import Settings
from app.webhooks.endpoint import Endpoint, Tools
from app.webhooks.log import Log
from app.webhooks.message import Messages
from app.webhooks.reader import Reader
from app.webhooks.sender import Sender, utc_now
from app.webhooks.target import Resolve
from sql import Visibility

logger = logging.getLogger("waybill.webhooks")

SQL = sql.load("webhook_endpoint")

_BEAT_SECONDS = 1.0
# How long a process may be silent before others take over what it has.
LEASE_SECONDS = 5.0
# Before that, it stops by itself.
_MARGIN_SECONDS = 1.0
_LOOK_SECONDS = 0.1
_RETRY_SECONDS = 0.5
# What is under way when a process is told to stop may take so long.
_GRACE_SECONDS = 5.0
_MOST_CLAIMED = 100
_OURS = Visibility.everything()


class Deliverer:
    """`now` is the clock by which attempts are made; `resolve` finds the addresses of names, the system's if None."""

    def __init__(
        self,
        db: Database,
        messages: Messages,
        context_of: Callable[[Viewer], Context],
        settings: Settings,
        *,
        now: Callable[[], datetime] = utc_now,
        resolve: Resolve | None = None,
    ) -> None:
        self.id = uuid4()
        self._db = db
        self._alive_until = 0.0
        self._endpoints: dict[UUID, Endpoint] = {}
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._tools = Tools(
            id=self.id,
            db=db,
            messages=messages,
            context_of=context_of,
            settings=settings,
            sender=Sender(messages.targets, settings.webhook_timeout, resolve, now),
            log=Log(db, self.id),
            is_alive=lambda: time.monotonic() < self._alive_until,
            now=now,
        )
        self._reader = Reader(self._tools)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Delivers within the block; at its end, what is under way is waited for a while."""
        async with self._tools.sender:
            self._tools.log.start()
            work = [asyncio.create_task(self._beat()), asyncio.create_task(self._read())]
            try:
                yield
            finally:
                for task in work:
                    task.cancel()
                await asyncio.wait(work)
                await self._stop(list(self._endpoints))
                await self._tools.log.close()
                with suppress(ServiceUnavailable):
                    await self._db.fetch(SQL.leave, _OURS, deliverer=self.id)

    @property
    def counts(self) -> Mapping[str, int]:
        """Attempts since the start, those that were a `success` and those that were a `failure`."""
        return self._tools.log.counts

    @property
    def endpoints(self) -> int:
        """How many this process has."""
        return len(self._endpoints)

    @property
    def waiting(self) -> int:
        """How many deliveries of its endpoints wait, as far as they have been read."""
        return sum(len(each.lanes) for each in self._endpoints.values())

    def wake(self) -> None:
        """The clock has been set, or something has been written that should be seen at once."""
        for endpoint in self._endpoints.values():
            endpoint.wake()

    async def _stop(self, ids: list[UUID]) -> None:
        tasks = [self._tasks[id_] for id_ in ids if id_ in self._tasks]
        for id_ in ids:
            self._endpoints[id_].stop()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        for id_ in ids:
            self._endpoints.pop(id_, None)
            self._tasks.pop(id_, None)

    async def _beat(self) -> None:
        while True:
            try:
                await self._share()
            except ServiceUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            except Exception:
                logger.exception("the endpoints could not be shared")
            await asyncio.sleep(_BEAT_SECONDS)

    async def _share(self) -> None:
        """Says that this process is alive, and has as many endpoints as each of those that are."""
        begun = time.monotonic()
        [row] = await self._db.fetch(SQL.stay_alive, _OURS, deliverer=self.id, lease=LEASE_SECONDS)
        has_lapsed = begun >= self._alive_until
        rows = await self._db.fetch(SQL.revisions, _OURS, deliverer=self.id)
        revisions = {UUID(each["id"]): each["revision"] for each in rows}
        for id_, endpoint in list(self._endpoints.items()):
            if endpoint.has_ended:
                self._endpoints.pop(id_), self._tasks.pop(id_)
            elif id_ not in revisions:
                endpoint.stop()
            elif has_lapsed or (revisions[id_] != endpoint.revision and not endpoint.needs_reload):
                endpoint.reload()  # in a time that it was not alive, others may have delivered
        # Not before: what somebody else has taken over is not sent any more.
        self._alive_until = begun + LEASE_SECONDS - _MARGIN_SECONDS
        share = math.ceil(row["endpoints"] / (row["others"] + 1))
        for endpoint in [each for each in self._endpoints.values() if not each.is_stopping][share:]:
            endpoint.stop()  # it is given up when what is under way has ended, which nobody waits for here
        # What has ended is anybody's, as is what was stopped and is enabled again.
        forgotten = [id_ for id_ in revisions if id_ not in self._endpoints]
        if forgotten:
            await self._db.fetch(SQL.release, _OURS, deliverer=self.id, ids=forgotten)
        room = min(share - len(self._endpoints), _MOST_CLAIMED)
        if room > 0:
            for each in await self._db.fetch(SQL.claim, _OURS, deliverer=self.id, limit=room):
                await self._serve(Endpoint(each, self._tools))

    async def _serve(self, endpoint: Endpoint) -> None:
        if endpoint.id in self._endpoints:
            return
        self._endpoints[endpoint.id] = endpoint
        document = endpoint.row["document"]
        if document is not None and self._tools.messages.document_fault(document) is not None:
            await endpoint.disable("DOCUMENT_INVALID")
        self._tasks[endpoint.id] = asyncio.create_task(endpoint.run())

    async def _read(self) -> None:
        while True:
            has_more = False
            try:
                if self._tools.is_alive():
                    has_more = await self._reader.go_on(list(self._endpoints.values()))
            except ServiceUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            except Exception:
                logger.exception("the feed could not be read for endpoints")
                await asyncio.sleep(_RETRY_SECONDS)
            await asyncio.sleep(0 if has_more else _LOOK_SECONDS)
