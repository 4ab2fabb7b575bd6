"""How values are written on the wire."""

from datetime import UTC, datetime

from ariadne import ScalarType

date_time = ScalarType("DateTime")


@date_time.serializer
def serialize_date_time(value: datetime | str) -> str:
    """UTC with milliseconds: `2025-11-03T14:34:48.828Z` (B-38). Text is in the customers' form already (C-30)."""
    if isinstance(value, str):
        return value
    return value.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
