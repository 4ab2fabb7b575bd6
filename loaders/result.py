"""What came of a combined query: the rows of all its parts in one row, and how that row is to be read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from loaders.batch import Batch, Relation
from loaders.rows import Joined, Rows
from sql.combine import CombinedStatement

# What a query takes beside its text, as measured: tests/loaders/test_selection.py holds the estimates to the truth.
_BYTES_PER_QUERY = 3_000
_BYTES_PER_COLUMN = 300

# The column by which the root's rows tell whose their order is.
COMPANY = "company_id"


@dataclass(frozen=True)
class Branch:
    """What came of a relation: the place of its parent among the parts, and the columns that were selected of it."""

    relation: Relation
    parent: int
    projection: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Column:
    """`place` is where its values stand in the row that holds all parts. They are of `type`, or null.

    An `int` fits into 32 bits, a datetime is in UTC, `list` is an array, and `object` is anything else.
    """

    place: int
    type: type


@dataclass(frozen=True, slots=True)
class Join:
    """The part of a branch, and by which of its columns its rows hang on which column of their parents'."""

    part: int
    column: str
    parent_column: str
    many: bool


@dataclass(frozen=True, eq=False)
class RowShape:
    """How the row that holds all parts is to be read: each part's columns by name. All but the first are `branches`."""

    parts: tuple[Mapping[str, Column], ...]
    branches: tuple[Branch, ...]

    def join(self, parent: int, relation: Relation) -> Join | None:
        """What hangs on a part by a relation; None where it did not come along."""
        for part, branch in enumerate(self.branches, start=1):
            if (branch.parent, branch.relation) == (parent, relation):
                return Join(part, relation.batch.column, relation.key, relation.batch.many)
        return None


@dataclass(frozen=True, eq=False)
class CombinedQuery:
    """What fetches a selection. `counts` says that the last part of `combined` is the count, which no shape shows."""

    combined: CombinedStatement
    shape: RowShape
    counts: bool

    @cached_property
    def is_of_one_order(self) -> bool:
        """Whether a row and all that hangs on it belong to one order, of which `COMPANY` is known."""
        stay = all(branch.relation.stays_in_order for branch in self.shape.branches)
        return stay and COMPANY in self.shape.parts[0]

    @property
    def weight(self) -> int:
        """What it takes, in bytes."""
        columns = sum(len(part.columns) for part in self.combined.parts)
        return _BYTES_PER_QUERY + len(self.combined.text) + columns * _BYTES_PER_COLUMN

    def values(self, root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The parameters of each part; those of the count are the root's."""
        return [root, *self._own_values, root] if self.counts else [root, *self._own_values]

    @cached_property
    def _own_values(self) -> list[Mapping[str, Any]]:
        return [branch.relation.batch.values for branch in self.shape.branches]

    def rows(self, row: Sequence[Any]) -> list[Rows]:
        """The rows of each part."""
        return [
            Rows(dict(zip(part.columns, columns, strict=True)), len(columns[0]))
            for part, columns in zip(self.combined.parts, self.combined.split(row), strict=True)
        ]


class ResultSet(Rows, Joined):
    """The rows of a combined query, with all that hangs on them.

    `row` is the answer as it came, one array a column: whoever knows its `shape` reads all parts of it at once.
    """

    __slots__ = ("_product", "_query", "row", "shape")

    def __init__(self, query: CombinedQuery, row: Sequence[Any]) -> None:
        super().__init__({}, 0 if row[0] is None else len(row[0]))
        self.row = row
        self.shape = query.shape
        self._query = query
        self._product: tuple[Any, Any] = (None, None)

    def made(self, make: Callable[[Sequence[Any], Any], Any], run: Any) -> Any:
        """What `make` makes of `row` and a run, once for all who share the result set: their callers see the same."""
        if self._product[0] is not make:
            self._product = make, make(self.row, run)
        return self._product[1]

    def _by_name(self) -> Mapping[str, Sequence[Any]]:
        if not self._columns:
            names = self._query.combined.parts[0].columns
            self._columns = dict(zip(names, self.row if self else [()] * len(names), strict=False))
        return self._columns

    @property
    def result(self) -> "ResultSet":
        return self

    @property
    def counted(self) -> Mapping[str, Any] | None:
        """The row of the count; None where there is none."""
        if not self._query.counts:
            return None
        columns = self._query.combined.parts[-1].columns
        return {name: values[0] for name, values in zip(columns, self.row[-len(columns) :], strict=True)}

    @property
    def items_found(self) -> int | None:
        """How many rows there are in all; None where they were not counted."""
        counted = self.counted
        return None if counted is None else counted["items_found"]

    def joined(self, place: int | None = None) -> Iterator[tuple[Batch, Sequence[Any], Rows, frozenset[str] | None]]:
        """What came by each relation: its batch, the keys of all parents, all their rows, and the columns of these.

        With a `place`, of what hangs on the row there.
        """
        parts = self._query.rows(self.row)
        if place is not None:
            parts[0] = parts[0].take([place])
        for part, branch in enumerate(self.shape.branches, start=1):
            batch, keys = branch.relation.batch, parts[branch.parent].column(branch.relation.key)
            if place is not None:
                wanted = set(keys)
                places = [at for at, key in enumerate(parts[part].column(batch.column)) if key in wanted]
                parts[part] = parts[part].take(places)
            yield batch, keys, parts[part], branch.projection

    def __getitem__(self, place: Any) -> Any:
        return RowView(self, 0) if place == 0 and self._length == 1 else super().__getitem__(place)


class RowView(Joined):
    """One row of a result set, by column name."""

    __slots__ = ("place", "result")

    def __init__(self, result: ResultSet, place: int) -> None:
        self.result = result
        self.place = place

    def joined(self) -> Iterator[tuple[Batch, Sequence[Any], Rows, frozenset[str] | None]]:
        """What came with this row; see `ResultSet.joined`. Rows of others, who see other orders, are left out."""
        result: ResultSet = self.result
        return result.joined(self.place if len(result) > 1 else None)

    def __getitem__(self, name: str) -> Any:
        return self.result.column(name)[self.place]

    def __contains__(self, name: object) -> bool:
        return name in self.result.chosen_of
