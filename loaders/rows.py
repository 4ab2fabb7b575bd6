"""Rows by column: what a statement that answers several others at once gives, and what plans read fastest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any, overload

Row = Any  # an asyncpg.Record or a dict: read by column name


class Rows(Sequence[Row]):
    """A sequence of rows, each a dict by column name. `column` and `columns` read columns of all of them.

    `chosen` are the places of these rows among those that `columns` hold, all of them where it is None.
    """

    __slots__ = ("_chosen", "_columns", "_length", "_rows")

    def __init__(self, columns: Mapping[str, Sequence[Any]], length: int, chosen: Sequence[int] | None = None) -> None:
        self._columns = columns
        self._length = length
        self._chosen = chosen
        self._rows: list[Row] | None = None

    def column(self, name: str) -> Sequence[Any]:
        """Raises KeyError for a column that the statement did not give."""
        return self.columns((name,))[0]

    def columns(self, names: Sequence[str]) -> list[Sequence[Any]]:
        """Raises KeyError for a column that the statement did not give."""
        own = self._by_name()
        known = [own[name] for name in names]
        if self._chosen is None:
            return known
        if self._length > 1:
            return list(map(itemgetter(*self._chosen), known))
        return [[values[place] for place in self._chosen] for values in known]

    def take(self, places: Sequence[int]) -> "Rows":
        """The rows at these places, in this order."""
        if self._chosen is not None:
            places = [self._chosen[place] for place in places]
        return Rows(self._by_name(), len(places), places)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Row]: ...
    def __getitem__(self, place: int | slice) -> Any:
        return self.take(range(self._length)[place]) if isinstance(place, slice) else self._made()[place]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._made())

    @property
    def chosen_of(self) -> Mapping[str, Sequence[Any]]:
        """The columns, by name, that these rows were chosen of."""
        return self._by_name()

    @property
    def places(self) -> Sequence[int]:
        """Where these rows stand in the columns that they were chosen of."""
        return range(self._length) if self._chosen is None else self._chosen

    def _made(self) -> list[Row]:
        if self._rows is None:
            names = tuple(self._by_name())
            self._rows = [dict(zip(names, values, strict=True)) for values in zip(*self.columns(names), strict=True)]
        return self._rows

    def _by_name(self) -> Mapping[str, Sequence[Any]]:
        return self._columns


class Joined:
    """A value that came with all that hangs on it, which `result` has: its row at `place`, or all of its rows."""

    __slots__ = ()

    result: Any
    place: int


@dataclass(frozen=True, slots=True)
class Lists:
    """One list of rows for each of several parents, end to end: the first `lengths[0]` rows are the first parent's."""

    rows: Sequence[Row]
    lengths: Sequence[int]

    def __iter__(self) -> Iterator[list[Row]]:
        rows = iter(self.rows)
        return (list(islice(rows, length)) for length in self.lengths)


def column_of(rows: Sequence[Row], name: str) -> Sequence[Any]:
    """One column of rows of any kind."""
    return rows.column(name) if isinstance(rows, Rows) else [row[name] for row in rows]


def end_to_end(parts: Sequence[Sequence[Row]]) -> Rows | None:
    """Several `Rows` that were taken of the same ones, one after the other; None where they are of any other kind."""
    if len(parts) == 1 and isinstance(parts[0], Rows):
        return parts[0]
    places: list[int] = []
    columns: Mapping[str, Sequence[Any]] | None = None
    for part in parts:
        if not isinstance(part, Rows) or part.chosen_of is not (part.chosen_of if columns is None else columns):
            return None
        columns = part.chosen_of
        places += part.places
    return None if columns is None else Rows(columns, len(places), places)
