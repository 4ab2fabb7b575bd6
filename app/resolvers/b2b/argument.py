"""Arguments of the B2B surface as PostgreSQL takes them. Every refusal names the argument's path and its rule."""

import re
from collections.abc import Hashable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.errors import ValidationError, VersionConflict
from app.rules import code_fault, line_fault, moment_of, normalized_code, year_fault

_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def as_uuid_text(text: str) -> str | None:
    """A UUID as columns of rows have it; None where `text` is none, and so the key of no row."""
    if _UUID.fullmatch(text):
        return text
    key = as_uuid(text)
    return None if key is None else str(key)


def as_uuid(text: str) -> UUID | None:
    """None where `text` is no UUID, and so the key of no row."""
    try:
        return UUID(text)
    except ValueError:
        return None


def as_uuids(texts: Iterable[str]) -> list[UUID]:
    """The UUIDs among `texts`: in a filter, what is no UUID matches nothing."""
    return [key for text in texts if (key := as_uuid(text))]


def as_codes(texts: Iterable[str]) -> list[str]:
    """What codes are found by in a filter, however they are written (decision 25)."""
    return [normalized_code(text) for text in texts]


def as_instant(text: str, argument: str) -> datetime:
    """An ISO 8601 date or date-time; UTC where it names no offset. Raises `ValidationError`."""
    moment = as_moment(text, argument)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def as_moment(text: str, argument: str) -> datetime:
    """An ISO 8601 date or date-time: in UTC, or without a time zone where it names no offset.

    Raises `ValidationError`.
    """
    try:
        return moment_of(text)
    except ValueError:
        rule = "must be an ISO 8601 date-time such as 2024-01-15T10:30:00.000Z, or a date"
        raise ValidationError(argument, rule) from None


def as_written_moment(text: str, argument: str) -> datetime:
    """As `as_moment`, of what is stored. Raises `ValidationError`."""
    moment = as_moment(text, argument)
    if fault := year_fault(moment):
        raise ValidationError(argument, fault)
    return moment


def as_day(text: str) -> date | None:
    """An ISO 8601 date without a time; None for any other text."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def as_value(value: Any) -> Any:
    """Decimals in place of floats, which numeric columns would compare digit by digit."""
    return Decimal(str(value)) if isinstance(value, float) else value


def as_text(text: str, argument: str) -> str:
    """One line that says something. Raises `ValidationError`. How long it may be, the SDL says (`@constraint`)."""
    if fault := line_fault(text):
        raise ValidationError(argument, fault)
    return text


def as_code_text(text: str, argument: str) -> str:
    """A carrier's code, or the address of its page, as it was given. Raises `ValidationError`."""
    if fault := code_fault(text):
        raise ValidationError(argument, fault)
    return text


def as_external_id(input: Mapping[str, Any], path: str) -> str | None:
    """The key that another system has for what is written; None without one. Raises `ValidationError`."""
    text = input.get("externalId")
    return None if text is None else as_text(text, f"{path}.externalId")


def refuse_nulls(input: Mapping[str, Any], *fields: str) -> None:
    """Raises `ValidationError` where one of `fields`, which no row is without, is null in the input of an update."""
    for field in fields:
        if field in input and input[field] is None:
            raise ValidationError(f"input.{field}", "must not be null; left out, it stays as it is")


def refuse_repeated(values: Iterable[Hashable], argument: str) -> None:
    """`argument` has a place for the number of a value: `input.items.{}.code`. Raises `ValidationError`."""
    seen = set()
    for place, value in enumerate(values):
        if value in seen:
            raise ValidationError(argument.format(place), "must not be repeated")
        seen.add(value)


def require_version(row: Any, version: int | None) -> None:
    """`version` is the argument `ifVersion`, `row` is locked. Raises `VersionConflict`."""
    if version is not None and version != row["version"]:
        raise VersionConflict(row["version"])
