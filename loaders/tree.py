"""Rows and what hangs on them, fetched by one statement: what loaders would be asked for next, they have by then."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loaders.batch import Batch
from loaders.rows import Rows
from sql import Prepared, Reach, Statement
from sql.fuse import Fused, Part, fuse

# PostgreSQL plans a statement whole; beyond so many parts loaders fetch the rest level by level.
_MOST_PARTS = 16
# Callers choose among many filters; what is composed beyond this many choices is composed anew.
_MOST_COMPOSITIONS = 64

# The names of a statement's columns, and whether each is an array.
ColumnsOf = Callable[[Prepared], Awaitable[Mapping[str, bool]]]


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
    _compositions: "dict[Any, Composition]" = field(default_factory=dict, repr=False)

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
        choice = (statement, reach, filters, order, count)
        composition = self._compositions.get(choice)
        if composition is None:
            composer = _Composer(reach, columns_of)
            if not await composer.add_root(statement.prepare(reach, filters, order), self):
                return None
            if count is not None:
                composer.parts.append(Part(count.prepare(reach, filters), ("items_found",)))
            composition = Composition(fuse(composer.parts), tuple(composer.relations), count is not None)
            if len(self._compositions) < _MOST_COMPOSITIONS:
                self._compositions[choice] = composition
        return composition


@dataclass(frozen=True)
class Composition:
    """`relations` belong to the parts of `fused` behind the first, each with the place of its parent."""

    fused: Fused
    relations: tuple[tuple[Relation, int], ...]
    counts: bool

    def values(self, root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The parameters of each part; those of the count are the root's."""
        return [
            root,
            *(relation.batch.values for relation, _parent in self.relations),
            *([root] if self.counts else []),
        ]

    def rows(self, row: Sequence[Any]) -> list[Rows]:
        """The rows of each part."""
        return [
            Rows(dict(zip(part.columns, columns, strict=True)), len(columns[0]))
            for part, columns in zip(self.fused.parts, self.fused.split(row), strict=True)
        ]


class _Composer:
    def __init__(self, reach: Reach, columns_of: ColumnsOf) -> None:
        self.parts: list[Part] = []
        self.relations: list[tuple[Relation, int]] = []
        self._reach = reach
        self._columns_of = columns_of

    async def add_root(self, prepared: Prepared, tree: Tree) -> bool:
        columns = await self._columns(prepared, tree)
        if columns is None:
            return False
        self.parts.append(Part(prepared, columns))
        await self._add_branches(tree, 0)
        return True

    async def _add_branches(self, tree: Tree, parent: int) -> None:
        for relation, below in tree.branches:
            batch = relation.batch
            prepared = batch.statement.prepare(self._reach)
            columns = await self._columns(prepared, below, batch.column)
            if columns is None or len(self.parts) >= _MOST_PARTS:
                continue
            self.parts.append(Part(prepared, columns, parent, relation.key, batch.parameter))
            self.relations.append((relation, parent))
            await self._add_branches(below, len(self.parts) - 1)

    async def _columns(self, prepared: Prepared, tree: Tree, *further: str) -> tuple[str, ...] | None:
        """Those that the tree wants, its relations hang on, or the rows are told apart by; None with an array."""
        known = await self._columns_of(prepared)
        wanted = {*known} if tree.columns is None else {*tree.columns, *further}
        wanted.update(relation.key for relation, _below in tree.branches)
        columns = tuple(name for name in known if name in wanted) or tuple(known)[:1]
        return None if any(known[name] for name in columns) else columns
