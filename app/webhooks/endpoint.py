"""An endpoint as the process serves it that has it: what waits is prepared, sent, and put off where it fails."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

import orjson

import sql
from app.auth.viewer import Viewer, owner_of
from app.context import Context
from app.errors import NotAuthenticated, ServiceUnavailable
from app.postgres.database import Database
from app.resolvers.place import Place
from app.resolvers.webhook import Wanted, message_id
from app.settings import Settings
from app.webhooks.health import Health
from app.webhooks.lanes import Delivery, Lanes
from app.webhooks.log import Entry, Log
from app.webhooks.message import NEEDED, Messages, is_seen, seen_orders
from app.webhooks.sender import Outcome, Sender, host_of
from app.webhooks.signature import Signer
from loaders.rows import Row
from sql import Visibility

logger = logging.getLogger("waybill.webhooks")

SQL = sql.load("webhook_delivery")
ENDPOINT = sql.load("webhook_endpoint")

# Deliveries of an endpoint that may wait: where there are so many, its cursor stands still.
MOST_WAITING = 5_000
# Messages that are made at a time.
_AT_ONCE = 32
_RETRY_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 60.0
_OURS = Visibility.everything()
_HIDDEN = "…"
_GONE = 410
_USER_AGENT = "Waybill-Webhooks/1"


@dataclass
class Tools:
    """What the endpoints of one process share. `is_alive` tells whether what it serves is its own still."""

    id: UUID
    db: Database
    messages: Messages
    context_of: Callable[[Viewer], Context]
    settings: Settings
    sender: Sender
    log: Log
    is_alive: Callable[[], bool]
    now: Callable[[], datetime]


class Ready(NamedTuple):
    """A delivery whose body is frozen."""

    delivery: Delivery
    body: bytes
    media_type: str


class Endpoint:
    """`place` is how far the feed was read for it, which may be stored a little later, and `stored` what is stored."""

    def __init__(self, row: Row, tools: Tools) -> None:
        self.id = UUID(row["id"])
        self.lanes = Lanes()
        self.has_more = False
        self.is_behind = True
        self._tools = tools
        self._woken = asyncio.Event()
        self._ready: deque[Ready] = deque()
        self._preparing: asyncio.Task[None] | None = None
        self._sending = 0
        self._held = 0
        self._is_reloading = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_send = 0.0
        self.is_stopping = False
        self.has_ended = False
        self.needs_reload = True
        self._take_row(row)

    def _take_row(self, row: Row) -> None:
        self.row = row
        self.revision: int = row["revision"]
        self.wanted = Wanted.of(row)
        self.place = self.stored = Place.of(row)
        self.stored_at = 0.0
        self.held = frozenset(row["held"])
        self.late_until: datetime = row["late_until"]
        self.replay = None if row["replay_position"] is None else Place(row["replay_position"], row["replay_number"])
        self._health = Health(row)
        now = datetime.now(UTC)
        former = row["previous_secret"] if (row["previous_secret_until"] or now) > now else None
        signature, secret = row["signature"], row["secret"]
        self._signer = Signer(signature, secret)
        self._rotating_signer = self._signer if former is None else Signer(signature, secret, former)
        self._rotating_until: datetime | None = row["previous_secret_until"]

    @property
    def room(self) -> int:
        """How many deliveries more may wait."""
        return 0 if self.has_more or self.needs_reload or self.is_stopping else MOST_WAITING - len(self.lanes)

    @property
    def may_advance(self) -> bool:
        """Whether what is known of its place is what is stored. Whoever stores another one calls `hold` first."""
        return not (self.needs_reload or self._is_reloading or self.is_stopping)

    def hold(self) -> None:
        """Nothing is read anew until `let_go`: it would be of before what is being stored."""
        self._held += 1

    def let_go(self) -> None:
        self._held -= 1
        self.wake()

    async def owner(self) -> Viewer:
        """Raises `NotAuthenticated` where nobody may be told any more, and `ServiceUnavailable`."""
        viewer = await owner_of(self.row["owner"], self._tools.db)
        if not viewer.permissions >= NEEDED:
            raise NotAuthenticated
        return viewer

    def wake(self) -> None:
        self._woken.set()

    def reload(self) -> None:
        """Reads what is stored as soon as what is under way has ended."""
        self.needs_reload = True
        self.wake()

    def stop(self) -> None:
        """It ends as soon as what is under way has ended."""
        self.is_stopping = True
        self.wake()

    async def disable(self, reason: str) -> None:
        """Raises `ServiceUnavailable`."""
        tools = self._tools
        await tools.db.fetch(ENDPOINT.disable, _OURS, id=self.id, deliverer=tools.id, reason=reason)
        facts = {"endpoint": str(self.id), "owner": self.row["owner"], "host": host_of(self.row["url"])}
        logger.warning("an endpoint was disabled", extra={"facts": {**facts, "reason": reason}})
        self.stop()

    async def run(self) -> None:
        """Serves until it is stopped, or cancelled: then what is under way is given up."""
        try:
            while not (self.is_stopping and not self._tasks):
                self._woken.clear()
                try:
                    await self._go_on()
                except ServiceUnavailable:
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                except NotAuthenticated:
                    with suppress(ServiceUnavailable):
                        await self.disable("OWNER_ENDED")
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._seconds_to_wait()):
                        await self._woken.wait()
        finally:
            self.has_ended = True
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    async def _go_on(self) -> None:
        """Begins what can begin."""
        if self.is_stopping:
            return
        if self.needs_reload or (self.has_more and len(self.lanes) < MOST_WAITING // 2):
            self._take_back()
            if self._tasks or self._held:
                return  # the last one that ends comes back here
            self._is_reloading = True
            try:
                await self._reload()
            finally:
                self._is_reloading = False
        tools, now = self._tools, self._tools.now()
        paused_until = self._health.paused_until
        if not tools.is_alive() or (paused_until is not None and now < paused_until):
            self._take_back()
            return
        take = self.lanes.probe if self._health.is_away else self.lanes.take
        if batch := list(islice(take(now), self._room)):
            self._preparing = self._begin(self._prepare(batch))
        while self._ready and self._sending < self._most and self._may_send():
            self._sending += 1
            self._begin(self._send(self._ready.popleft()))

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task is self._preparing:
            self._preparing = None
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a delivery broke off", exc_info=error, extra={"facts": {"endpoint": str(self.id)}})
            self.needs_reload = True
        self.wake()

    @property
    def _most(self) -> int:
        """How many requests may be under way."""
        return 1 if self._health.is_away else int(self.row["concurrency"])

    @property
    def _room(self) -> int:
        """How many more may be prepared."""
        if self._preparing is not None or len(self._ready) >= self._most:
            return 0
        return 1 if self._health.is_away else max(0, min(_AT_ONCE, 2 * self._most) - len(self._ready))

    def _may_send(self) -> bool:
        """Whether the endpoint's rate lets another request begin, which is counted then."""
        rate = self.row["rate"]
        if rate is None:
            return True
        moment = asyncio.get_running_loop().time()
        if moment < self._next_send:
            return False
        self._next_send = max(self._next_send, moment - 1 / rate) + 1 / rate
        return True

    def _seconds_to_wait(self) -> float:
        if self.is_stopping or self.needs_reload:
            return _LONGEST_WAIT_SECONDS
        if not self._tools.is_alive():
            return _RETRY_SECONDS
        if self._ready and self._sending < self._most:
            return max(0.001, self._next_send - asyncio.get_running_loop().time())
        now = self._tools.now()
        until = self._health.paused_until
        if until is None or until <= now:
            until = self.lanes.next_due
        if until is None:
            return _LONGEST_WAIT_SECONDS
        if until <= now:  # since we looked; or there is no room, and whoever gives some back wakes us
            return 0.0 if self._room else _LONGEST_WAIT_SECONDS
        return min((until - now).total_seconds(), _LONGEST_WAIT_SECONDS)

    def _take_back(self) -> None:
        """What was prepared waits again."""
        while self._ready:
            self.lanes.put_off(self._ready.pop().delivery)

    async def _reload(self) -> None:
        """Reads anew what is stored: it may have been changed, or there is more of it than was read."""
        tools = self._tools
        rows = await tools.db.fetch(ENDPOINT.served, _OURS, id=self.id, deliverer=tools.id)
        if not rows:
            self.stop()
            return
        waiting = await tools.db.fetch(SQL.waiting, _OURS, endpoint_id=self.id, limit=MOST_WAITING)
        self._take_row(rows[0])
        self.lanes = Lanes()
        self.lanes.add(
            Delivery(
                row["id"],
                row["place"],
                row["lane"],
                orjson.loads(row["event"]),
                row["next_attempt_at"],
                row["attempts"],
                row["tried_at"],
                row["is_frozen"],
            )
            for row in waiting
        )
        self.has_more = len(waiting) == MOST_WAITING
        self.is_behind = True
        self.needs_reload = False

    # ------------------------------------------------------------------------------------------------ before it is sent

    async def _prepare(self, batch: Sequence[Delivery]) -> None:
        """Has the bodies of deliveries frozen, those that have none yet by what the owner sees at this moment."""
        try:
            ready = await self._frozen(batch)
        except ServiceUnavailable:
            await asyncio.sleep(_RETRY_SECONDS)
            ready = None
        except NotAuthenticated:
            ready = None
            with suppress(ServiceUnavailable):
                await self.disable("OWNER_ENDED")
        if ready is None:
            for delivery in batch:
                self.lanes.put_off(delivery)
            return
        for delivery in batch:
            found = ready.get(delivery.id)
            if found is None:
                self.lanes.end(delivery)
            else:
                self._ready.append(found)

    async def _frozen(self, batch: Sequence[Delivery]) -> dict[UUID, Ready]:
        """By their ids, without those that are withheld.

        Raises `NotAuthenticated` and `ServiceUnavailable`.
        """
        tools, by_id = self._tools, {delivery.id: delivery for delivery in batch}
        viewer = await self.owner()
        frozen = [delivery for delivery in batch if delivery.is_frozen]
        new = [delivery for delivery in batch if not delivery.is_frozen]
        withheld: list[UUID] = []
        rows: list[Row] = []
        if frozen:
            seen = await seen_orders(tools.context_of(viewer), [delivery.event for delivery in frozen])
            unseen = [delivery for delivery in frozen if not is_seen(delivery.event, seen)]
            # Of what is gone a body has ids alone, or was frozen when its order was still seen: then it is another.
            remade = await tools.messages.of(self.row, viewer, [delivery.event for delivery in unseen])
            rows += await tools.db.fetch(SQL.bodies, _OURS, ids=[delivery.id for delivery in frozen])
            kept = {row["id"]: row["body"] for row in rows}
            withheld += [
                delivery.id
                for delivery, message in zip(unseen, remade, strict=True)
                if message is None or message.body != kept.get(delivery.id)
            ]
        if new:
            made = await tools.messages.of(self.row, viewer, [delivery.event for delivery in new])
            withheld += [delivery.id for delivery, message in zip(new, made, strict=True) if message is None]
            bodies = [(d.id, m.body, m.media_type) for d, m in zip(new, made, strict=True) if m is not None]
            if bodies:
                ids, texts, media_types = map(list, zip(*bodies, strict=True))
                rows += await tools.db.fetch(
                    SQL.freeze, _OURS, deliverer=tools.id, ids=ids, bodies=texts, media_types=media_types
                )
        if withheld:
            await tools.db.fetch(SQL.withhold, _OURS, ids=withheld, now=tools.now())
        for row in rows:
            by_id[row["id"]].is_frozen = True
        return {
            row["id"]: Ready(by_id[row["id"]], row["body"], row["media_type"])
            for row in rows
            if row["id"] not in withheld
        }

    # ------------------------------------------------------------------------------------------------ when it is sent

    async def _send(self, ready: Ready) -> None:
        tools, delivery = self._tools, ready.delivery
        try:
            headers = self._headers(ready)
            outcome = await tools.sender.post(self.row["url"], headers, ready.body)
        finally:
            self._sending -= 1
            self.wake()
        health, now = self._health, tools.now()
        away_since = health.failing_since if outcome.is_success and health.is_away else None
        entry = self._judge(delivery, outcome, self._redacted(headers))
        noted = health.succeeded(outcome, now) if outcome.is_success else health.failed(delivery, outcome, now)
        written = tools.log.note(entry, self.id, noted)
        # A failure has no part in the order: nothing is told of it twice.
        await asyncio.shield(written)
        if entry.ended_at is not None:
            self.lanes.end(delivery)
        else:
            self.lanes.put_off(delivery)
        if away_since is not None:
            await self._hasten(away_since, now)
        await self._conclude(outcome)

    async def _hasten(self, since: datetime, until: datetime) -> None:
        """Has what failed while the receiver was away tried at once."""
        now = self._tools.now()
        with suppress(ServiceUnavailable):
            rows = await self._tools.db.fetch(SQL.hasten, _OURS, endpoint_id=self.id, now=now, since=since, until=until)
            self.lanes.make_due({row["id"] for row in rows}, now)
            self.wake()

    def _headers(self, ready: Ready) -> dict[str, str]:
        now = datetime.now(UTC)
        is_rotating = self._rotating_until is not None and now < self._rotating_until
        signer = self._rotating_signer if is_rotating else self._signer
        own = dict(zip(self.row["header_names"], self.row["header_values"], strict=True))
        return {
            "Content-Type": ready.media_type,
            "User-Agent": _USER_AGENT,
            **own,
            **signer.headers(message_id(ready.delivery.id), now, ready.body),
        }

    def _redacted(self, headers: dict[str, str]) -> dict[str, str]:
        hidden = {"webhook-signature", *self.row["header_names"]}
        return {name: _HIDDEN if name in hidden else value for name, value in headers.items()}

    def _judge(self, delivery: Delivery, outcome: Outcome, headers: dict[str, str]) -> Entry:
        """What becomes of a delivery after an attempt."""
        settings, now = self._tools.settings, self._tools.now()
        delivery.attempts += 1
        delivery.tried_at = delivery.tried_at or now
        state, ended_at = "WAITING", None
        if outcome.is_success:
            state, ended_at = "DELIVERED", now
        elif now - delivery.tried_at >= timedelta(days=settings.webhook_disable_days) and not self._has_failed_alone():
            state, ended_at = "FAILED", now
        else:
            pauses = settings.webhook_retry_seconds
            seconds = pauses[min(delivery.attempts, len(pauses)) - 1] * random.uniform(0.9, 1.1)  # noqa: S311  no secret
            delivery.next_attempt_at = now + timedelta(seconds=max(seconds, outcome.pause or 0.0))
        return Entry(delivery.id, state, delivery.attempts, delivery.next_attempt_at, ended_at, headers, outcome)

    def _has_failed_alone(self) -> bool:
        """Whether nothing at all was delivered for so long that the endpoint is disabled: then nothing is given up."""
        days = timedelta(days=self._tools.settings.webhook_disable_days)
        since = self._health.failing_since
        return since is not None and self._tools.now() - since >= days

    async def _conclude(self, outcome: Outcome) -> None:
        """Disables the endpoint where its receiver wants no more, or has not been there for days."""
        reason = None
        if outcome.status == _GONE:
            reason = "GONE"
        elif not outcome.is_success and self._has_failed_alone():
            reason = "FAILING"
        if reason is not None and not self.is_stopping:
            with suppress(ServiceUnavailable):
                await self.disable(reason)
