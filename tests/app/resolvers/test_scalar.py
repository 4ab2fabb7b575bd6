"""A date-time is written the same way by itself, among others, and where it is known to be in UTC."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis.strategies import datetimes, just, lists, none, one_of

from app.resolvers.scalar import serialize_all, serialize_date_time, serialize_utc

INSTANTS = datetimes(timezones=just(UTC))


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2025, 11, 3, 14, 34, 48, 828_999, UTC), "2025-11-03T14:34:48.828Z"),
        (datetime(2025, 11, 3, 10, tzinfo=UTC), "2025-11-03T10:00:00.000Z"),
        (datetime(2025, 11, 3, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2025-11-02T23:30:00.000Z"),
        ("2025-01-15T10:30:00+00:00", "2025-01-15T10:30:00+00:00"),
    ],
)
def test_date_time_is_utc_with_milliseconds_and_text_stays_as_it_is(instant: datetime | str, text: str) -> None:
    assert serialize_date_time(instant) == text


@given(lists(one_of(none(), INSTANTS), max_size=5))
def test_many_date_times_are_written_as_each_is(instants: list[datetime | None]) -> None:
    each = [None if instant is None else serialize_date_time(instant) for instant in instants]
    assert serialize_all(instants) == each
    assert list(map(serialize_utc, instants)) == each


def test_what_is_not_in_utc_is_not_written_as_if_it_were() -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whoever catches it, looks at each value
        serialize_all([datetime(2025, 11, 3, tzinfo=timezone(timedelta(hours=1)))])
