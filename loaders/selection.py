"""Rows and what hangs on them, fetched by one statement: what loaders would be asked for next, they have by then.

A statement of a document that comes often has the columns that it selects. But a statement costs some milliseconds to
prepare, on each connection, and 300 kB of the server's memory. So a selection that is new takes the statement with all
columns, which is the same for all selections with the same relations, and its own from the second time on.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count as counting
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from loaders.result import Branch, Column, CombinedQuery, RowShape
from sql import Prepared, Reach, Statement
from sql.combine import CombinedPart, combine

if TYPE_CHECKING:
    from loaders.batch import Relation

# PostgreSQL plans a statement whole; beyond so many parts loaders fetch the rest level by level.
_MOST_PARTS = 16
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

        `values` are the parameters of both, which `Statement.prepare` makes their texts for. `further` columns of
        its rows are always fetched.

        None where the rows hold an array, which no array of columns can hold.
        """
        root = statement.prepare(reach, filters, order, values)
        of_count = None if count is None else count.prepare(reach, filters if counted is None else counted, (), values)
        choice = (statement, root, reach, count, of_count)
        query: CombinedQuery | None = queries.cache.get((self, *choice))
        if query is not None:
            return query
        if self.mark_used() and (shared := self._shared) is not None:
            query = await shared._combined(queries, choice, *further)
            if query is not None and self._fits(query.shape):
                return query
        return await self._combined(queries, choice, *further)

    def mark_used(self) -> bool:
        """From here on it has a statement of its own. Whether it had none before."""
        is_new = "_is_used" not in vars(self)
        vars(self)["_is_used"] = True  # beside the fields, which are what it is compared by and never change
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
        choice: tuple[Statement, Prepared, Reach, Statement | None, Prepared | None],
        *further: str,
    ) -> "CombinedQuery | None":
        statement, root, reach, count, of_count = choice
        cache, key = queries.cache, (self, *choice)
        query: CombinedQuery | None = cache.get(key)
        if query is not None:
            return query
        combiner = _Combiner(reach, queries.columns_of)
        if not await combiner.add_root(statement, root, self, *further):
            return None
        if count is not None and of_count is not None:
            await combiner.add_count(count, of_count)
        # Requests that came at the same time have been combining it, too; what they share begins with one query.
        query = cache.get(key)
        if query is None:
            # It is the same for all viewers, filters and sorts: what is concluded from it holds for all of them.
            shape = self._shapes.setdefault(statement, combiner.shape)
            query = CombinedQuery(combine(combiner.parts), shape, count is not None)
            cache.put(key, query, query.weight)
        return query


class _Combiner:
    def __init__(self, reach: Reach, columns_of: ColumnsOf) -> None:
        self.parts: list[CombinedPart] = []
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
        self._add(CombinedPart(prepared, tuple(types), is_keyed=statement.is_keyed), types)
        await self._add_branches(selection, 0)
        return True

    async def add_count(self, count: Statement, prepared: Prepared) -> None:
        self.parts.append(CombinedPart(prepared, tuple(await self._columns_of(count, prepared))))

    async def _add_branches(self, selection: RowSelection, parent: int) -> None:
        for relation, below in selection.branches:
            batch = relation.batch
            prepared = batch.statement.prepare(
                self._reach, batch.filters, batch.order, stays_in_order=relation.stays_in_order
            )
            types = await self._types(batch.statement, prepared, below, batch.column)
            if types is None or len(self.parts) >= _MOST_PARTS:
                continue
            self._add(CombinedPart(prepared, tuple(types), parent, relation.key, batch.parameter), types)
            self.branches.append(Branch(relation, parent, frozenset(types) if below.is_shared else below.projection))
            await self._add_branches(below, len(self.parts) - 1)

    def _add(self, part: CombinedPart, types: Mapping[str, type]) -> None:
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
