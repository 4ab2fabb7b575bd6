"""Rows and what hangs on them, fetched by one statement: what loaders would be asked for next, they have by then.

A statement of a document that comes often has the columns that it selects. But a statement costs some milliseconds to
prepare, on each connection, and 300 kB of the server's memory. So a selection that is new takes the statement with all
columns, which is the same for all selections with the same relations, and its own from the second time on.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count as counting
from itertools import islice
from typing import Any, Protocol

from loaders.batch import Batch
from loaders.rows import Joined, Rows
from sql import Prepared, Reach, Statement
from sql.combine import CombinedStatement, Part, combine

# PostgreSQL plans a statement whole; beyond so many parts loaders fetch the rest level by level.
_MOST_PARTS = 16
# What a query takes beside its text, as measured: tests/loaders/test_selection.py holds the estimates to the truth.
_BYTES_PER_QUERY = 3_000
_BYTES_PER_COLUMN = 300

# The names of a statement's columns and of what type their values are; see `Column`. `Prepared` is one of its texts.
ColumnsOf = Callable[[Statement, Prepared], Awaitable[Mapping[str, type]]]


class Cache(Protocol):
    """Holds values by key, as far as their weights in bytes allow."""

    def get(self, key: Any, /) -> Any | None: ...
    def put(self, key: Any, value: Any, weight: int, /) -> None: ...


@dataclass(frozen=True)
class CombinedQueries:
    """What was combined for selections and the choices of their callers, and what knows the columns of a statement."""

    columns_of: ColumnsOf
    cache: Cache


@dataclass(frozen=True)
class Relation:
    """Rows of `batch` that hang on the rows whose column `key` holds the batch's key. A null key has none."""

    batch: Batch
    key: str


@dataclass(frozen=True, eq=False)
class RowSelection:
    """Rows, and the relations to fetch along with them. `columns` are those needed, None where any may be.

    Equal selections share what is combined for them. One that `is_shared` stands for all selections with its relations,
    and gives all columns that are no arrays.
    """

    columns: frozenset[str] | None
    branches: "tuple[tuple[Relation, RowSelection], ...]" = ()
    is_shared: bool = False
    _shapes: "dict[Statement, RowShape]" = field(default_factory=dict, repr=False)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, RowSelection)
            and self._hash == other._hash
            and (self.columns, self.branches, self.is_shared) == (other.columns, other.branches, other.is_shared)
        )

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.columns, self.branches, self.is_shared))

    @cached_property
    def _shared(self) -> "RowSelection | None":
        """The selection of all that have the same relations; None for one that may need any column itself."""
        below = tuple((relation, selection._shared) for relation, selection in self.branches)
        if self.columns is None or any(selection is None for _, selection in below):
            return None
        return RowSelection(
            None, tuple((relation, selection) for relation, selection in below if selection is not None), is_shared=True
        )

    @cached_property
    def projection(self) -> frozenset[str] | None:
        """The columns of the rows, with those that the branches hang on; None where any may be needed."""
        keys = {relation.key for relation, _below in self.branches}
        return None if self.columns is None else self.columns | keys

    async def combine(
        self,
        statement: Statement,
        reach: Reach,
        queries: CombinedQueries,
        filters: frozenset[str],
        order: tuple[str, ...],
        count: Statement | None,
        values: Mapping[str, Any],
        *further: str,
        counted: frozenset[str] | None = None,
    ) -> "CombinedQuery | None":
        """The statement whose rows are selected, with all that hangs on them. `count` has the same filters, or
        those of `counted`.

        `values` are the parameters of `statement`, which `Statement.prepare` makes its text for. `further` columns of
        its rows are always fetched.

        None where the rows hold an array, which no array of columns can hold.
        """
        root = statement.prepare(reach, filters, order, values)
        choice = (statement, root, reach, filters if counted is None else counted, count)
        query: CombinedQuery | None = queries.cache.get((self, *choice))
        if query is not None:
            return query
        if self.is_first_use() and (shared := self._shared) is not None:
            query = await shared._combined(queries, choice, *further)
            if query is not None and self._fits(query.shape):
                return query
        return await self._combined(queries, choice, *further)

    def is_first_use(self) -> bool:
        """Whether this is asked for the first time."""
        is_new = "_was_new" not in vars(self)
        vars(self)["_was_new"] = True
        return is_new

    def _fits(self, shape: "RowShape") -> bool:
        """Whether the parts of a shared selection's shape are all of this one's, and have the columns that it wants."""
        selections = list(self._each())
        return len(selections) == len(shape.parts) and all(
            selection.projection is not None and selection.projection <= part.keys()
            for selection, part in zip(selections, shape.parts, strict=True)
        )

    def _each(self) -> "Iterator[RowSelection]":
        """In the order of the parts that a shape has of them."""
        yield self
        for _, below in self.branches:
            yield from below._each()

    async def _combined(
        self,
        queries: CombinedQueries,
        choice: tuple[Statement, Prepared, Reach, frozenset[str], Statement | None],
        *further: str,
    ) -> "CombinedQuery | None":
        statement, root, reach, filters, count = choice
        cache, key = queries.cache, (self, *choice)
        query: CombinedQuery | None = cache.get(key)
        if query is not None:
            return query
        combiner = _Combiner(reach, queries.columns_of)
        if not await combiner.add_root(statement, root, self, *further):
            return None
        if count is not None:
            await combiner.add_count(count, filters)
        # Requests that came at the same time have been combining it, too; what they share begins with one query.
        query = cache.get(key)
        if query is None:
            # It is the same for all viewers, filters and sorts: what is concluded from it holds for all of them.
            shape = self._shapes.setdefault(statement, combiner.shape)
            query = CombinedQuery(combine(combiner.parts), shape, count is not None)
            cache.put(key, query, query.weight)
        return query


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

    __slots__ = ("_outcome", "_query", "row", "shape")

    def __init__(self, query: CombinedQuery, row: Sequence[Any]) -> None:
        super().__init__({}, 0 if row[0] is None else len(row[0]))
        self.row = row
        self.shape = query.shape
        self._query = query
        self._outcome: tuple[Any, Any] = (None, None)

    def made(self, make: Callable[[Sequence[Any], Any], Any], run: Any) -> Any:
        """What `make` makes of `row` and a run, once for all who share the result set: their callers see the same."""
        if self._outcome[0] is not make:
            self._outcome = make, make(self.row, run)
        return self._outcome[1]

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

    def joined(self) -> Iterator[tuple[Batch, Sequence[Any], Rows, frozenset[str] | None]]:
        """What came by each relation: its batch, the keys of all parents, all their rows, and the columns of these."""
        parts = self._query.rows(self.row)
        for branch, rows in zip(self.shape.branches, parts[1:], strict=False):
            yield branch.relation.batch, parts[branch.parent].column(branch.relation.key), rows, branch.projection

    def __getitem__(self, place: Any) -> Any:
        return RowView(self, 0) if place == 0 and self._length == 1 else super().__getitem__(place)


class RowView(Joined):
    """One row of a result set, by column name."""

    __slots__ = ("place", "result")

    def __init__(self, result: ResultSet, place: int) -> None:
        self.result = result
        self.place = place

    def __getitem__(self, name: str) -> Any:
        return self.result.column(name)[self.place]

    def __contains__(self, name: object) -> bool:
        return name in self.result.chosen_of


class _Combiner:
    def __init__(self, reach: Reach, columns_of: ColumnsOf) -> None:
        self.parts: list[Part] = []
        self.branches: list[Branch] = []
        self._reach = reach
        self._columns_of = columns_of
        self._columns: list[dict[str, Column]] = []
        self._places = counting()

    @property
    def shape(self) -> RowShape:
        return RowShape(tuple(self._columns), tuple(self.branches))

    async def add_root(self, statement: Statement, prepared: Prepared, selection: RowSelection, *further: str) -> bool:
        types = await self._types(statement, prepared, selection, *further)
        if types is None:
            return False
        self._add(Part(prepared, tuple(types)), types)
        await self._add_branches(selection, 0)
        return True

    async def add_count(self, count: Statement, filters: frozenset[str]) -> None:
        prepared = count.prepare(self._reach, filters)
        self.parts.append(Part(prepared, tuple(await self._columns_of(count, prepared))))

    async def _add_branches(self, selection: RowSelection, parent: int) -> None:
        for relation, below in selection.branches:
            batch = relation.batch
            prepared = batch.statement.prepare(self._reach, batch.filters, batch.order)
            types = await self._types(batch.statement, prepared, below, batch.column)
            if types is None or len(self.parts) >= _MOST_PARTS:
                continue
            self._add(Part(prepared, tuple(types), parent, relation.key, batch.parameter), types)
            self.branches.append(Branch(relation, parent, frozenset(types) if below.is_shared else below.projection))
            await self._add_branches(below, len(self.parts) - 1)

    def _add(self, part: Part, types: Mapping[str, type]) -> None:
        self.parts.append(part)
        self._columns.append({name: Column(next(self._places), type_) for name, type_ in types.items()})

    async def _types(
        self, statement: Statement, prepared: Prepared, selection: RowSelection, *further: str
    ) -> Mapping[str, type] | None:
        """Of the columns that the selection wants, and of those that the rows are told apart by; None with an array."""
        known = await self._columns_of(statement, prepared)
        if selection.is_shared:
            known = {name: type_ for name, type_ in known.items() if type_ is not list}
        projection = {*known} if selection.projection is None else {*selection.projection, *further}
        types = {name: known[name] for name in known if name in projection} or dict(islice(known.items(), 1))
        return types if types and list not in types.values() else None
