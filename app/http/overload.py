"""How many requests are answered at a time, which wait for a moment, and which are told at once to come back later.

What a process can do is limited by its processor, by its connections and by the database, and none of them says where
its limit is. So it is felt for, as Netflix' concurrency-limits do: as long as answers take what they take when few are
under way, more may be; as soon as they take longer, they only wait for each other, and fewer will do as much. The least
that is ever admitted is enough to keep everything busy.

Who finds no room waits, the most urgent first (`Kind`), but not for longer than it is worth: where the answer would be
later than the patience of its kind, a request is refused before anything is done for it. Work that nobody waits for
any more is what makes an overloaded service answer nobody.
"""

import asyncio
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from math import inf, sqrt
from time import perf_counter

from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth import storefront_key
from app.errors import Shed
from app.http import health
from app.http.deadline import Work
from app.http.reply import Answering, Reply, unavailable
from app.http.state import state_of
from app.telemetry import Telemetry

# Under way at a time: at least, as long as nothing is known, and at most.
LEAST, _INITIAL, _MOST = 10, 128, 1_000
# How often it is looked how long answers take, and of how many.
_WINDOW_SECONDS, _WINDOW_ANSWERS = 0.1, 20
# So much longer than with few under way may answers take.
_TOLERANCE = 1.25
# A limit that is above the least for so long, and reached, is lowered for a moment, to see what answers take then.
_PROBE_SECONDS = 15.0
# How much each look at few that are under way counts.
_BASELINE_WEIGHT = 0.2
_MOST_WAITING = 1_000
_SWEEP_SECONDS, _RATE_WEIGHT = 0.1, 0.3

_STOREFRONT_KEY = storefront_key.HEADER.encode()
# The shop's surface, and the pages of customers with what these are made with.
_OF_CUSTOMERS = ("/api/", "/track", "/account", "/assets/", "/shops/")
# RFC 9218: the urgency of what nobody waits for.
_BACKGROUND = re.compile(rb"(?:^|[,\s])u=7(?:$|[,;\s])")


class Kind(IntEnum):
    """Whose request it is, as far as its head tells before anybody knows who is asking; the most urgent first."""

    CUSTOMER = 0
    PORTAL = 1
    PARTNER = 2
    EXPORT = 3
    BACKGROUND = 4


@dataclass(frozen=True)
class Share:
    """Of the limit, how much a kind may use; and after how many seconds it has to be answered to be worth the while."""

    part: float
    patience: float


SHARES = (
    Share(1.0, 0.15),
    Share(0.9, 0.25),
    Share(0.8, 0.5),
    Share(0.5, 1.0),
    Share(0.5, 1.0),
)


def kind_of(path: str, fields: Mapping[bytes, bytes]) -> Kind | None:
    """`fields` are the headers. None for what is never refused: whoever runs the service has to see how it is."""
    if path in health.PATHS:
        return None
    if b"priority" in fields and _BACKGROUND.search(fields[b"priority"]):
        return Kind.BACKGROUND
    if _STOREFRONT_KEY in fields or path.startswith(_OF_CUSTOMERS):
        return Kind.CUSTOMER
    if path.startswith("/export/"):
        return Kind.EXPORT
    return Kind.PARTNER if b"apikey" in fields else Kind.PORTAL


class ConcurrencyLimit:
    """How many requests may be under way, as `value`, found by how long they take.

    `seconds` is what one took lately. The gradient is that of Netflix' limits: what answers take with few under way
    (no more than `LEAST`), by what they take now. Below 1 it lowers the limit in proportion; the square root is the
    room for a queue that lets the limit grow where nothing gets slower.
    """

    def __init__(self) -> None:
        self.value = float(_INITIAL)
        self.seconds = 0.0
        self._baseline: float | None = None
        self._known_at = 0.0  # when the baseline was last looked at
        self._before_probe: float | None = None
        self._taken: list[float] = []
        self._most_under_way = 0
        self._since = 0.0

    def observe(self, seconds: float, under_way: int, now: float) -> None:
        """An answer took `seconds`, while so many were under way, itself among them."""
        self._taken.append(seconds)
        self._most_under_way = max(self._most_under_way, under_way)
        if len(self._taken) >= _WINDOW_ANSWERS and now - self._since >= _WINDOW_SECONDS:
            self._adapt(now)
            self._taken, self._most_under_way, self._since = [], 0, now

    def _adapt(self, now: float) -> None:
        taken = sorted(self._taken)
        median = taken[len(taken) // 2]
        self.seconds = sum(taken) / len(taken)
        if self._most_under_way <= LEAST:
            self._look_at_few(median, now)
        elif self._baseline is None:
            # There were never few: the quickest are those that waited for the fewest.
            self._baseline, self._known_at = taken[len(taken) // 20], now
        if self._most_under_way > self.value / 2:
            self._follow(median, now)

    def _look_at_few(self, median: float, now: float) -> None:
        baseline = median if self._baseline is None else self._baseline
        self._baseline, self._known_at = baseline + _BASELINE_WEIGHT * (median - baseline), now
        if self._before_probe is not None:
            self.value, self._before_probe = self._before_probe, None

    def _follow(self, median: float, now: float) -> None:
        if self._before_probe is not None:
            return  # those of before are still under way
        assert self._baseline is not None  # noqa: S101  or it was set by now
        gradient = max(0.5, min(1.0, _TOLERANCE * self._baseline / max(median, 1e-6)))
        self.value = max(LEAST, min(_MOST, self.value * gradient + sqrt(self.value) / 2))
        if now - self._known_at > _PROBE_SECONDS and self.value > LEAST:
            self.value, self._before_probe = LEAST, self.value


class LoadShedder:
    """The requests of one process that are under way, and those that wait. `refused` counts by kind."""

    def __init__(self) -> None:
        self.limit = ConcurrencyLimit()
        self.under_way = 0
        self.waiting = 0
        self.refused = dict.fromkeys(Kind, 0)
        self._queues: tuple[deque[tuple[asyncio.Future[None], float]], ...] = tuple(deque() for _ in Kind)
        self._sweeper: asyncio.TimerHandle | None = None
        self._swept_at = 0.0
        self._admitted = [0] * len(Kind)
        self._rates = [inf] * len(Kind)  # of those that were let in lately, a second; unknown where nobody waited

    def admit(self, work: Work, kind: Kind) -> bool:
        """Whether a request may begin at once; it is under way then until `leave`."""
        if self.under_way >= self.limit.value * SHARES[kind].part:
            return False
        if self.waiting and any(self._queues[: kind + 1]):
            return False
        self._enter(work)
        return True

    def refuses(self, kind: Kind) -> bool:
        """Whether a request that cannot begin at once would wait for too long."""
        if self.waiting >= _MOST_WAITING:
            return True
        ahead = sum(len(queue) for queue in self._queues[: kind + 1])
        if ahead < self.limit.value:
            return False  # no longer than an answer takes: a few callers who wait for each answer are no overload
        patience, own = SHARES[kind].patience, len(self._queues[kind])
        if ((ahead + 1) / self.limit.value + 1) * self.limit.seconds > patience:
            return True
        # By how many were let in lately: more urgent ones may go on coming. One waits all the same, or nobody would
        # learn that there is room again.
        return own > 0 and (own + 1) / max(self._rates[kind], 1e-6) + self.limit.seconds > patience

    async def wait(self, work: Work, kind: Kind) -> None:
        """Until there is room; it is under way then. Raises `Shed`."""
        if self.refuses(kind):
            raise self.refuse(kind)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        entry = waiter, perf_counter()
        self._queues[kind].append(entry)
        self.waiting += 1
        if self._sweeper is None:
            self._swept_at, self._admitted = entry[1], [0] * len(Kind)
            self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and not waiter.exception():
                self.under_way -= 1  # it was let in just before
                self._let_in()
            elif entry in self._queues[kind]:
                self._queues[kind].remove(entry)
                self.waiting -= 1
            raise
        self.under_way -= 1  # counted for it by who let it in
        self._enter(work)

    def refuse(self, kind: Kind) -> Shed:
        self.refused[kind] += 1
        return Shed()

    def leave(self, work: Work, *, is_answered: bool = True) -> None:
        """It is answered, or from here on limited by something else."""
        now = perf_counter()
        if is_answered:
            self.limit.observe(now - work.admitted_at, self.under_way, now)
        self.under_way -= 1
        if self.waiting:
            self._let_in()

    def enter(self, work: Work) -> None:
        """Goes on with a request that had left to wait for its caller, whether there is room or not."""
        self._enter(work)

    def _enter(self, work: Work) -> None:
        self.under_way += 1
        work.shedder, work.admitted_at = self, perf_counter()

    def _let_in(self) -> None:
        for kind, queue in enumerate(self._queues):
            most = self.limit.value * SHARES[kind].part
            while queue and self.under_way < most:
                waiter, _ = queue.popleft()
                self.waiting -= 1
                if not waiter.done():
                    self.under_way += 1
                    self._admitted[kind] += 1
                    waiter.set_result(None)

    def _sweep(self) -> None:
        """Refuses those who have waited for longer than was expected of them, which a stall may bring about."""
        self._sweeper = None
        now = perf_counter()
        passed, self._swept_at = now - self._swept_at, now
        for kind in Kind:
            queue = self._queues[kind]
            rate, before = self._admitted[kind] / passed, self._rates[kind]
            self._rates[kind] = rate if before == inf else before + _RATE_WEIGHT * (rate - before)
            self._admitted[kind] = 0
            while queue and now - queue[0][1] > SHARES[kind].patience:
                waiter, _ = queue.popleft()
                self.waiting -= 1
                if not waiter.done():
                    waiter.set_exception(self.refuse(kind))
        if self.waiting:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)
        else:
            self._rates = [inf] * len(Kind)


class Shedding:
    """An ASGI application whose requests wait for room. It stands behind `Exchange`."""

    def __init__(self, app: ASGIApp, shedder: LoadShedder) -> None:
        self._app = app
        self._shedder = shedder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            state = state_of(scope)
            kind = kind_of(scope["path"], state.fields)
            if kind is not None and not self._shedder.admit(state.work, kind):
                await self._shedder.wait(state.work, kind)
        await self._app(scope, receive, send)


class WholeShedding(Answering):
    """The same for what has its answer whole. It stands behind `WholeExchange`."""

    def __init__(self, app: Answering, shedder: LoadShedder) -> None:
        self.app = app
        self._shedder = shedder

    async def answer(self, scope: Scope, receive: Receive) -> Reply:
        state = state_of(scope)
        kind = kind_of(scope["path"], state.fields)
        if kind is not None and not self._shedder.admit(state.work, kind):
            await self._shedder.wait(state.work, kind)
        return await self.app.answer(scope, receive)

    def at_once(self, scope: Scope) -> Reply | None:
        if not self._shedder.waiting:
            return None
        kind = kind_of(scope["path"], dict(scope["headers"]))
        if kind is None or not self._shedder.refuses(kind):
            return None
        return unavailable(self._shedder.refuse(kind))


def watch(telemetry: Telemetry, shedder: LoadShedder) -> None:
    """Has the metrics tell how full it is, and who was refused."""
    telemetry.follow_gauge("waybill_concurrency_limit", "Requests that may be under way.", lambda: shedder.limit.value)
    telemetry.follow_gauge("waybill_requests_under_way", "Requests that are.", lambda: shedder.under_way)
    telemetry.follow_gauge("waybill_requests_waiting", "Requests that wait for room.", lambda: shedder.waiting)
    telemetry.follow_counts(
        "waybill_requests_shed",
        "Requests that were refused because there are too many, by kind.",
        "kind",
        {kind.name.lower(): partial(shedder.refused.__getitem__, kind) for kind in Kind},
    )
