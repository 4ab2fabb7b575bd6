"""How values are written on the wire."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ariadne import ScalarType

date_time = ScalarType("DateTime")


@date_time.serializer
def serialize_date_time(value: datetime | str) -> str:
    """UTC with milliseconds: `2025-11-03T14:34:48.828Z` (B-38). Text is in the customers' form already (C-30)."""
    if isinstance(value, str):
        return value
    return value.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _serialize_utc(value: datetime | None) -> str | None:
    """`serialize_date_time` of what is in UTC already: so it comes from the database."""
    return None if value is None else value.isoformat("T", "milliseconds")[:-6] + "Z"


def _serialize_all(values: Sequence[Any]) -> list[str | None]:
    """`serialize_date_time` of many values, all in UTC already. Raises for others."""
    if any(value is not None and value.tzinfo is not UTC for value in values):
        raise ValueError
    return list(map(_serialize_utc, values))


serialize_date_time.bulk = _serialize_all  # type: ignore[attr-defined]  # see app/execution/plan.py
serialize_date_time.of = {datetime: _serialize_utc}  # type: ignore[attr-defined]
