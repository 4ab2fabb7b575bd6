"""How an endpoint's receiver is: there or away, and until when it is left alone.

That it refuses messages says nothing of the others: an order that fails waits alone. A receiver is away where it
cannot be reached, or fails for one order after the other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.webhooks.lanes import Delivery
from app.webhooks.sender import Outcome
from loaders.rows import Row

# So many failures in a row are a receiver that is away: until one succeeds, there is one attempt a minute.
AWAY_FAILURES = 10
_PROBE = timedelta(seconds=60)
# How often it is noted when something was last delivered.
_NOTED = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Noted:
    """What is stored of it. `paused_until` is for whoever looks, `asked_until` the part that the receiver asked for."""

    failures: int
    failing_since: datetime | None
    paused_until: datetime | None
    asked_until: datetime | None
    delivered_at: datetime | None


class Health:
    """Goes on from what is stored. `failing_since` is when the first attempt failed since one did not.

    A process that takes over a receiver that is away tries it at once.
    """

    def __init__(self, row: Row) -> None:
        self.failing_since: datetime | None = row["failing_since"]
        self._failures: int = row["failures"]
        self._asked_until: datetime | None = row["asked_until"]
        self._probe_at: datetime | None = None
        self._failing_lanes: set[str] = set()
        self._noted_at: datetime | None = None

    @property
    def is_away(self) -> bool:
        return self._failures >= AWAY_FAILURES

    @property
    def paused_until(self) -> datetime | None:
        """Nothing is sent before."""
        return max(filter(None, (self._asked_until, self._probe_at)), default=None)

    def succeeded(self, outcome: Outcome, now: datetime) -> Noted | None:
        """None where that need not be stored."""
        was_failing = self.failing_since is not None or self._failures > 0
        self._failures, self.failing_since, self._probe_at = 0, None, None
        self._failing_lanes.clear()
        # What was under way takes back no pause that its receiver has asked for meanwhile.
        if self._asked_until is not None and self._asked_until <= now:
            self._asked_until = None
        if not was_failing and self._noted_at is not None and self._noted_at <= now < self._noted_at + _NOTED:
            return None
        self._noted_at = now
        return self._noted(outcome.started_at)

    def failed(self, delivery: Delivery, outcome: Outcome, now: datetime) -> Noted:
        """After `delivery` was tried; `attempts` of it count that."""
        self.failing_since = self.failing_since or now
        # An order that failed before, and fails again, says nothing new.
        is_news = delivery.attempts == 1 and delivery.lane not in self._failing_lanes
        if outcome.is_unreached or (outcome.pause is None and is_news):
            self._failures += 1
            if not self.is_away:
                self._failing_lanes.add(delivery.lane)
        if outcome.pause is not None:
            asked = now + timedelta(seconds=outcome.pause)
            self._asked_until = max(asked, self._asked_until or asked)
        if self.is_away:
            self._probe_at = now + _PROBE
        return self._noted(None)

    def _noted(self, delivered_at: datetime | None) -> Noted:
        return Noted(self._failures, self.failing_since, self.paused_until, self._asked_until, delivered_at)
