"""Rows of a table as text (RFC 4180), of which a spreadsheet runs nothing."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from app.resolvers.scalar import serialize_date_time

# What spreadsheets take for a formula, in their full width too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def text(rows: Iterable[Sequence[object]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()


def cell(value: Any) -> object:
    """A text that a spreadsheet would take for a formula has an apostrophe before it, which they do not show."""
    if isinstance(value, datetime):
        return serialize_date_time(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.lstrip(" \u00a0").startswith(_FORMULA):
        return f"'{value}"
    return value
