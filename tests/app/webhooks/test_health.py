"""A receiver is away where nobody is reached, or one order after the other fails; not because some orders do."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.webhooks.health import AWAY_FAILURES, Health
from app.webhooks.lanes import Delivery
from app.webhooks.sender import Outcome

NOW = datetime(2026, 12, 1, tzinfo=UTC)
FRESH: Any = {"failures": 0, "failing_since": None, "asked_until": None}


def delivery(lane: str, attempts: int = 1) -> Delivery:
    return Delivery(uuid4(), 1, lane, {}, NOW, attempts)


def outcome(error: str | None = "the answer was 500", **more: Any) -> Outcome:
    return Outcome(NOW, 1, None if error is None else 500, error, b"", **more)


def test_orders_that_fail_again_are_no_receiver_that_is_away() -> None:
    health = Health(FRESH)
    for _ in range(3):
        for number in range(AWAY_FAILURES - 1):
            health.failed(delivery(str(number)), outcome(), NOW)
        for number in range(100, 150):
            health.failed(delivery(str(number), attempts=2), outcome(), NOW)
    assert not health.is_away
    assert health.paused_until is None
    assert health.failing_since == NOW


def test_so_many_orders_in_a_row_are() -> None:
    health = Health(FRESH)
    for number in range(AWAY_FAILURES - 1):
        health.failed(delivery(str(number)), outcome(), NOW)
    assert not health.is_away
    noted = health.failed(delivery("another"), outcome(), NOW)
    assert health.is_away
    assert noted.paused_until == health.paused_until == NOW + timedelta(minutes=1)
    assert noted.asked_until is None
    stored: Any = {"failures": noted.failures, "failing_since": NOW, "asked_until": None}
    assert Health(stored).is_away
    assert Health(stored).paused_until is None  # who takes over tries at once
    back = health.succeeded(outcome(None), NOW)
    assert back is not None
    assert (back.failures, back.failing_since, back.paused_until, health.is_away) == (0, None, None, False)


def test_connections_that_do_not_come_count_each() -> None:
    health = Health(FRESH)
    for attempts in range(1, AWAY_FAILURES + 1):
        assert not health.is_away
        health.failed(delivery("1", attempts), outcome(is_unreached=True), NOW)
    assert health.is_away


@pytest.mark.parametrize("is_away", [False, True])
def test_pause_that_was_asked_for_outlives_everything(is_away: bool) -> None:
    health = Health({**FRESH, "failures": AWAY_FAILURES if is_away else 0})
    asked = NOW + timedelta(minutes=10)
    noted = health.failed(delivery("1"), outcome(pause=600.0), NOW)
    assert (noted.asked_until, noted.paused_until) == (asked, asked)
    health.failed(delivery("2"), outcome(pause=1.0), NOW)
    stored: Any = {"failures": AWAY_FAILURES, "failing_since": NOW, "asked_until": noted.asked_until}
    for each in (health, Health(stored)):
        each.succeeded(outcome(None), NOW)
        assert each.paused_until == asked
        each.succeeded(outcome(None), asked)
        assert each.paused_until is None


def test_success_is_noted_now_and_then() -> None:
    health = Health(FRESH)
    moments = [NOW + timedelta(seconds=seconds) for seconds in (0, 1, 4, 6)]
    noted = [health.succeeded(outcome(None), moment) is not None for moment in moments]
    assert noted == [True, False, False, True]
