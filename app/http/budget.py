"""What requests cost is paid from a bucket of points that each viewer has, and which fills again as time goes by.

What a request may cost is taken before it runs; what it did not cost is given back when it has its answer. What it
cost beyond that is owed: a bucket goes below zero, at most by what it holds, and fills from there. The buckets
are kept in Redis where the settings name one, in a file where there are several workers, and in memory otherwise, like
the counts of `app.http.rate_limit`.
"""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, Protocol

from app.errors import PointsSpent
from app.http.mapped_buckets import MappedBuckets
from app.http.rate_limit import LIMIT, POLICY, add_rate_limit
from app.http.state import Header, State
from app.settings import Worker

if TYPE_CHECKING:
    from app.http.shared_buckets import SharedBuckets

logger = logging.getLogger("waybill.budget")

# So many may have a bucket that is not full. Beyond that the oldest are full again.
MOST_BUCKETS = 100_000
_FORGOTTEN = MOST_BUCKETS // 10
# What comes back by itself so soon, to a bucket that is more than half full, is not given back: to count what an answer
# cost is worth it where somebody might miss the points.
_SOON_SECONDS = 0.1
# For how long Redis is not asked after it has failed: every request would wait for it.
_SHUNNED_SECONDS = 5.0


class Rate(NamedTuple):
    """A bucket holds `capacity` points, and gets `restored` of them a second."""

    capacity: int
    restored: int


class OwnBuckets(Protocol):
    """Buckets that are here; `take` and `give` tell what is left then."""

    def take(self, name: str, points: int, now: float) -> tuple[bool, float]:
        """Whether there were so many. A bucket that has fewer keeps them; what costs nothing is always paid."""

    def give(self, name: str, points: int) -> float:
        """Takes so many where they are negative, down to a debt of a whole bucket."""


class Buckets:
    """Those of this process: what was left of each, and when. Whoever has none here has a full one."""

    def __init__(self, rate: Rate) -> None:
        self._capacity, self._restored = rate
        self._buckets: dict[str, list[float]] = {}

    def take(self, name: str, points: int, now: float) -> tuple[bool, float]:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._new(name, now)
        left, since = bucket
        if now > since:  # a clock that was set back takes nothing away
            left = min(self._capacity, left + (now - since) * self._restored)
        is_enough = points <= max(0.0, left)
        if is_enough:
            left -= points
        bucket[0], bucket[1] = left, now
        return is_enough, left

    def give(self, name: str, points: int) -> float:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._new(name, time.time())
        left = bucket[0] = max(-self._capacity, min(self._capacity, bucket[0] + points))
        return left

    def _new(self, name: str, now: float) -> list[float]:
        if len(self._buckets) >= MOST_BUCKETS:
            full = [
                each
                for each, (left, since) in self._buckets.items()
                if left + (now - since) * self._restored >= self._capacity
            ]
            for each in full or list(self._buckets)[:_FORGOTTEN]:
                del self._buckets[each]
        bucket = self._buckets[name] = [self._capacity, now]
        return bucket


class Budgets:
    """The buckets of all viewers, by name (`Context.payer`)."""

    def __init__(
        self,
        rate: Rate,
        redis_url: str | None = None,
        worker: Worker | None = None,
        current: Callable[[], str | None] | None = None,
    ) -> None:
        """`redis_url` and `current` are as for `RateLimits`; `worker` shares with its siblings."""
        self.rate = rate
        self._few, self._plenty = rate.restored * _SOON_SECONDS, rate.capacity / 2
        window = max(1, ceil(rate.capacity / rate.restored))
        self._policy: Header = POLICY, b'"points";q=%d;w=%d;qu="points"' % (rate.capacity, window)
        self._own: OwnBuckets = MappedBuckets(worker.folder / "points", rate) if worker else Buckets(rate)
        self._shared: SharedBuckets | None = None
        self._shunned_until = 0.0
        if redis_url:
            from app.http import redis_pool, shared_buckets  # as for `RateLimits`

            self._shared = shared_buckets.SharedBuckets(redis_pool.redis_pool(redis_url, current), rate)

    async def close(self) -> None:
        if self._shared:
            await self._shared.close()
        if isinstance(self._own, MappedBuckets):
            self._own.close()

    async def take(self, name: str, points: int, state: State, *, exactly: bool = True) -> bool:
        """Takes what a request may cost, and says whether to `settle` it, which is always so if it is to be exact.

        Raises `PointsSpent` where there is not so much.
        """
        if self._shared is None:
            is_paid, left = self._own.take(name, points, time.time())
        else:
            is_paid, left = await self._take(name, points)
        if not is_paid:
            self.tell(state, left)
            seconds = max(1, ceil((points - left) / self.rate.restored))
            raise PointsSpent(seconds, {"requested": points, **self.balance(left)})
        if not exactly and points <= self._few and left > self._plenty:
            self.tell(state, left)
            return False
        state.points = points
        return True

    async def settle(self, name: str, actual: int, state: State) -> float:
        """Gives back what a request did not cost of what was taken for it, and says so; what is left then."""
        rest, state.points = state.points - actual, actual
        left = self._own.give(name, rest) if self._shared is None else await self._give(name, rest)
        self.tell(state, left)
        return left

    async def pay(self, name: str, points: int, state: State) -> None:
        """Takes what a request does cost, and says so. Raises `PointsSpent`."""
        await self.take(name, points, state)
        await self.settle(name, points, state)

    async def left(self, name: str) -> float:
        return (await self._take(name, 0))[1]

    async def spend(self, name: str, points: int) -> None:
        """Takes what is done already, which may be more than is left."""
        await self._give(name, -points)

    def balance(self, left: float) -> dict[str, int]:
        return {"remaining": max(0, int(left)), "capacity": self.rate.capacity, "restoreRate": self.rate.restored}

    def tell(self, state: State, left: float) -> None:
        """In the headers of the answer."""
        add_rate_limit(state.answer_headers, self._policy, _limit(self.rate, int(left)))

    async def _take(self, name: str, points: int) -> tuple[bool, float]:
        now = time.time()
        if self._shared is not None and now >= self._shunned_until:
            try:
                return await self._shared.take(name, points)
            except ConnectionError as error:
                self._shun(error, now)
        return self._own.take(name, points, now)

    async def _give(self, name: str, points: int) -> float:
        now = time.time()
        if self._shared is not None and now >= self._shunned_until:
            try:
                return await self._shared.give(name, points)
            except ConnectionError as error:
                self._shun(error, now)
        return self._own.give(name, points)

    def _shun(self, error: ConnectionError, now: float) -> None:
        logger.warning("points are counted per machine: %s", error)
        self._shunned_until = now + _SHUNNED_SECONDS


# A bucket that fills at once is left with the same by each request of the same cost.
@lru_cache(1_000)
def _limit(rate: Rate, left: int) -> Header:
    return LIMIT, b'"points";r=%d;t=%d' % (max(0, left), ceil((rate.capacity - left) / rate.restored))
