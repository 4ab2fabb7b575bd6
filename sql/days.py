"""Dates as the tables of days know them, which count rows by days of UTC.

A filter by a date is a condition on whole days, which finds some rows too many: those of its first or last day that lie
outside. They are found in an index of the date, and taken off.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

# What a table of days calls the day of a date.
_COLUMNS = {"created_at": "created_on", "last_modified_at": "modified_on", "expected_delivery_at": "expected_on"}
_DATED = re.compile(rf"({'|'.join(_COLUMNS)})\.(greater|less)_than(_day)?")


@dataclass(frozen=True)
class _Bound:
    """Of a filter: rows from `first` on may be meant, and rows from `certain` on are, or the same up to both."""

    column: str
    is_lower: bool
    certain: str
    last: str

    @classmethod
    def of(cls, name: str) -> Self | None:
        """The bound that a filter is; None of another filter."""
        match = _DATED.fullmatch(name)
        if match is None:
            return None
        is_lower, value = match[2] == "greater", f":{name.replace('.', '_')}"
        if not match[3]:
            return cls(match[1], is_lower, f"{value}::timestamptz", f"{value}::timestamptz")
        # A day begins and ends where a time zone has it first, and last.
        if is_lower:
            return cls(match[1], is_lower, f"last_end({value}::date - 1)", f"first_start({value}::date)")
        return cls(match[1], is_lower, f"first_start({value}::date + 1)", f"last_end({value}::date)")

    def on_days(self, alias: str) -> str:
        return f"{alias}.{_COLUMNS[self.column]} {'>=' if self.is_lower else '<='} utc_day({self.last})"

    def on_rows(self, alias: str) -> str:
        """The same on the rows that are counted."""
        if self.is_lower:
            return f"{alias}.{self.column} >= utc_start(utc_day({self.last}))"
        return f"{alias}.{self.column} < utc_start(utc_day({self.last}) + 1)"

    def uncertain(self, alias: str) -> str:
        """Where rows lie that `on_rows` finds and the filter may not."""
        return f"{self.on_rows(alias)} AND {alias}.{self.column} {'<' if self.is_lower else '>='} {self.certain}"


def on_days(filters: Mapping[str, str], alias: str) -> str:
    """The conditions that `filters`, texts by name, are on a table of days."""
    bounds = {name: _Bound.of(name) for name in sorted(filters)}
    return "".join(f"\n  AND ({bound.on_days(alias) if bound else filters[name]})" for name, bound in bounds.items())


def outside(filters: Mapping[str, str], alias: str) -> list[str]:
    """Conditions on rows that `on_days` counts and `filters` do not mean: each such row meets just one of them.

    A row is told by the first of the bounds that it does not keep.
    """
    bounds = {name: bound for name in sorted(filters) if (bound := _Bound.of(name))}
    others = [text for name, text in sorted(filters.items()) if name not in bounds]
    conditions, kept = [], list[str]()
    for place, (name, bound) in enumerate(bounds.items()):
        further = [later.on_rows(alias) for later in list(bounds.values())[place + 1 :]]
        terms = [*others, *kept, bound.uncertain(alias), f"NOT ({filters[name]})", *further]
        conditions.append("".join(f"\n  AND ({term})" for term in terms))
        kept.append(filters[name])
    return conditions


def day_of(column: str) -> str:
    """What a table of days calls the day of a column with an alias, or the column itself where that is no date."""
    alias, _, name = column.partition(".")
    return f"{alias}.{_COLUMNS.get(name, name)}"


def day_of_row(column: str) -> str:
    """The same of a row that is counted."""
    return f"utc_day({column})" if column.partition(".")[2] in _COLUMNS else column
