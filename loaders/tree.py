"""Rows and what hangs on them, fetched by one statement: what loaders would be asked for next, they have by then."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from loaders.batch import Batch
from loaders.rows import Rows
from sql import Prepared, Reach, Statement
from sql.fuse import Fused, Part, fuse

# PostgreSQL plans a statement whole; beyond so many parts loaders fetch the rest level by level.
_MOST_PARTS = 16
# Of all trees together, each some 10 kB of text: callers choose among many documents and filters.
_MOST_COMPOSITIONS = 1_000

# The names of a statement's columns, and whether each is an array; `Prepared` is one of its texts.
ColumnsOf = Callable[[Statement, Prepared], Awaitable[Mapping[str, bool]]]


@dataclass(frozen=True)
class Relation:
    """Rows of `batch` that hang on the rows whose column `key` holds the batch's key. A null key has none."""

    batch: Batch
    key: str


@dataclass(frozen=True, eq=False)
class Tree:
    """Rows, and the relations to fetch along with them. `columns` are those needed, None where any may be."""

    columns: frozenset[str] | None
    branches: "tuple[tuple[Relation, Tree], ...]" = ()

    @cached_property
    def wanted(self) -> frozenset[str] | None:
        """The columns of the rows, with those that the branches hang on; None where any may be needed."""
        keys = {relation.key for relation, _below in self.branches}
        return None if self.columns is None else self.columns | keys

    async def compose(
        self,
        statement: Statement,
        reach: Reach,
        columns_of: ColumnsOf,
        filters: frozenset[str],
        order: tuple[str, ...],
        count: Statement | None,
    ) -> "Composition | None":
        """The statement whose rows this tree describes, with all that hangs on them. `count` has the same filters.

        None where the rows hold an array, which no array of columns can hold.
        """
        choice = (self, statement, reach, filters, order, count)
        composition = _compositions.get(choice)
        if composition is not None:
            _compositions.move_to_end(choice)
            return composition
        composer = _Composer(reach, columns_of)
        if not await composer.add_root(statement, statement.prepare(reach, filters, order), self):
            return None
        if count is not None:
            composer.parts.append(Part(count.prepare(reach, filters), ("items_found",)))
        composition = Composition(fuse(composer.parts), tuple(composer.branches), count is not None)
        _compositions[choice] = composition
        if len(_compositions) > _MOST_COMPOSITIONS:
            _compositions.popitem(last=False)
        return composition


@dataclass(frozen=True)
class Branch:
    """What came of a relation: the place of its parent among the parts, and the columns that its own tree wanted."""

    relation: Relation
    parent: int
    wanted: frozenset[str] | None


@dataclass(frozen=True)
class Composition:
    """`branches` are the parts of `fused` behind the first."""

    fused: Fused
    branches: tuple[Branch, ...]
    counts: bool

    def values(self, root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The parameters of each part; those of the count are the root's."""
        return [
            root,
            *(branch.relation.batch.values for branch in self.branches),
            *([root] if self.counts else []),
        ]

    def rows(self, row: Sequence[Any]) -> list[Rows]:
        """The rows of each part."""
        return [
            Rows(dict(zip(part.columns, columns, strict=True)), len(columns[0]))
            for part, columns in zip(self.fused.parts, self.fused.split(row), strict=True)
        ]


# What was composed for a tree and a choice of its caller, the least recently used first.
_compositions: OrderedDict[Any, Composition] = OrderedDict()


class _Composer:
    def __init__(self, reach: Reach, columns_of: ColumnsOf) -> None:
        self.parts: list[Part] = []
        self.branches: list[Branch] = []
        self._reach = reach
        self._columns_of = columns_of

    async def add_root(self, statement: Statement, prepared: Prepared, tree: Tree) -> bool:
        columns = await self._columns(statement, prepared, tree)
        if columns is None:
            return False
        self.parts.append(Part(prepared, columns))
        await self._add_branches(tree, 0)
        return True

    async def _add_branches(self, tree: Tree, parent: int) -> None:
        for relation, below in tree.branches:
            batch = relation.batch
            prepared = batch.statement.prepare(self._reach)
            columns = await self._columns(batch.statement, prepared, below, batch.column)
            if columns is None or len(self.parts) >= _MOST_PARTS:
                continue
            self.parts.append(Part(prepared, columns, parent, relation.key, batch.parameter))
            self.branches.append(Branch(relation, parent, below.wanted))
            await self._add_branches(below, len(self.parts) - 1)

    async def _columns(
        self, statement: Statement, prepared: Prepared, tree: Tree, *further: str
    ) -> tuple[str, ...] | None:
        """Those that the tree wants and those that the rows are told apart by; None with an array among them."""
        known = await self._columns_of(statement, prepared)
        wanted = {*known} if tree.wanted is None else {*tree.wanted, *further}
        columns = tuple(name for name in known if name in wanted) or tuple(known)[:1]
        return None if any(known[name] for name in columns) else columns
