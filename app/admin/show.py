"""The one way in which commands print: a table or a few lines for people, JSON for programs."""

import json
import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

_WIDEST = 60
_GAP = "  "
# Of names as the API has them.
_WITHIN = re.compile(r"(?<=[a-z])(?=[A-Z])")


def show(value: Sequence[dict[str, Any]] | dict[str, Any], columns: Sequence[str] = (), *, as_json: bool) -> str:
    """The text of rows, or of one. What is not there is null in JSON, and a dash for people, who see `columns`."""
    if as_json:
        return json.dumps(value, default=_plain, ensure_ascii=False, indent=None if isinstance(value, dict) else 1)
    if isinstance(value, dict):
        width = max((len(_heading(name)) for name in value), default=0)
        return "\n".join(f"{_heading(name):{width}}{_GAP}{_cell(cell)}" for name, cell in value.items())
    return _table([{name: row[name] for name in columns} for row in value] if columns else value)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "none"
    lines = [[_heading(name) for name in rows[0]], *([_cell(cell) for cell in row.values()] for row in rows)]
    widths = [min(max(map(len, column)), _WIDEST) for column in zip(*lines, strict=True)]
    return "\n".join(
        _GAP.join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _heading(name: str) -> str:
    return _WITHIN.sub(" ", name.replace("_", " ")).upper()


def _cell(value: object) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, dict):
        return " ".join(f"{name}={_cell(cell)}" for name, cell in value.items())
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    # One line each, whatever somebody has put into a name.
    return "".join(character if character.isprintable() else " " for character in str(value))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
