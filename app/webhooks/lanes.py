"""What an endpoint has waiting, in memory: lanes in which one delivery is made after the other."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heappush
from itertools import count
from uuid import UUID

from app.resolvers.webhook import Event


@dataclass(slots=True, eq=False)
class Delivery:
    """`is_frozen` tells that its body is stored; `tried_at` is when it was first tried."""

    id: UUID
    place: int
    lane: str
    event: Event
    next_attempt_at: datetime
    attempts: int = 0
    tried_at: datetime | None = None
    is_frozen: bool = False


class Lanes:
    """Deliveries by their lanes. The first of a lane is taken, and comes back before the next one can be."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[Delivery]] = {}
        self._known: set[UUID] = set()
        # Those that are first in their lanes, and not taken. What has been put off meanwhile is passed over.
        self._heads: list[tuple[datetime, int, int, Delivery]] = []
        self._serial = count()
        self._taken: set[UUID] = set()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Behind what waits already, each only once."""
        for delivery in deliveries:
            if delivery.id in self._known:
                continue
            self._known.add(delivery.id)
            lane = self._lanes.setdefault(delivery.lane, deque())
            lane.append(delivery)
            if len(lane) == 1:
                self._offer(delivery)

    def take(self, now: datetime) -> Iterator[Delivery]:
        """Those that are due, the longest due first, for as long as somebody asks for more."""
        while self._heads and self._heads[0][0] <= now:
            due, *_, delivery = heappop(self._heads)
            if self._is_offered(due, delivery):
                self._taken.add(delivery.id)
                yield delivery

    def probe(self, now: datetime) -> Iterator[Delivery]:
        """One of those that are due, by which to see whether the receiver is there: one that it has not failed for yet,
        if there is any.
        """
        self._heads = [each for each in self._heads if self._is_offered(each[0], each[-1])]
        due = [each for each in self._heads if each[0] <= now]
        chosen = min(due, key=lambda each: (each[-1].attempts > 0, *each[:3]), default=None)
        if chosen is not None:
            self._heads.remove(chosen)
        heapify(self._heads)
        if chosen is not None:
            self._taken.add(chosen[-1].id)
            yield chosen[-1]

    def end(self, delivery: Delivery) -> None:
        """It is over, and the next one of its lane can be taken."""
        self._taken.discard(delivery.id)
        self._known.discard(delivery.id)
        lane = self._lanes[delivery.lane]
        lane.popleft()
        if lane:
            self._offer(lane[0])
        else:
            del self._lanes[delivery.lane]

    def put_off(self, delivery: Delivery) -> None:
        """It waits until its `next_attempt_at`, and what comes behind it in its lane."""
        self._taken.discard(delivery.id)
        self._offer(delivery)

    def make_due(self, ids: Collection[UUID], now: datetime) -> None:
        """Those of them are due that were put off."""
        for lane in self._lanes.values():
            if lane[0].id in ids and lane[0].next_attempt_at > now and lane[0].id not in self._taken:
                lane[0].next_attempt_at = now
                self._offer(lane[0])

    @property
    def next_due(self) -> datetime | None:
        """When there is something to take at the earliest, or a little before; None where nothing waits."""
        return self._heads[0][0] if self._heads else None

    def _offer(self, delivery: Delivery) -> None:
        heappush(self._heads, (delivery.next_attempt_at, delivery.place, next(self._serial), delivery))

    def _is_offered(self, due: datetime, delivery: Delivery) -> bool:
        if delivery.id in self._taken or due != delivery.next_attempt_at:
            return False
        lane = self._lanes.get(delivery.lane)
        return lane is not None and lane[0] is delivery
