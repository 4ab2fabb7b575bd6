"""Rows and what hangs on them, fetched by one statement: what loaders would be asked for next, they have by then.

A statement of a document that comes often has the columns that it selects. But a statement costs some milliseconds to
prepare, on each connection, and 300 kB of the server's memory. So a tree that is new takes the statement with all
columns, which is the same for all trees with the same relations, and its own from the second time on.
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
from sql.fuse import Fused, Part, fuse

# PostgreSQL plans a statement whole; beyond so many parts loaders fetch the rest level by level.
_MOST_PARTS = 16
# What a composition takes beside its text, as measured: tests/loaders/test_tree.py holds the estimates to the truth.
_BYTES_PER_COMPOSITION = 3_000
_BYTES_PER_COLUMN = 300

# The names of a statement's columns and of what type their values are; see `Column`. `Prepared` is one of its texts.
ColumnsOf = Callable[[Statement, Prepared], Awaitable[Mapping[str, type]]]


class Cache(Protocol):
    """Holds values by key, as far as their weights in bytes allow."""

    def get(self, key: Any, /) -> Any | None: ...
    def put(self, key: Any, value: Any, weight: int, /) -> None: ...


@dataclass(frozen=True)
class Compositions:
    """What was composed for trees and the choices of their callers, and what knows the columns of a statement."""

    columns_of: ColumnsOf
    cache: Cache


@dataclass(frozen=True)
class Relation:
    """Rows of `batch` that hang on the rows whose column `key` holds the batch's key. A null key has none."""

    batch: Batch
    key: str


@dataclass(frozen=True, eq=False)
class Tree:
    """Rows, and the relations to fetch along with them. `columns` are those needed, None where any may be.

    Equal trees share what is composed for them. One that `is_shared` stands for all trees with its relations, and gives
    all columns that are no arrays.
    """

    columns: frozenset[str] | None
    branches: "tuple[tuple[Relation, Tree], ...]" = ()
    is_shared: bool = False
    _layouts: "dict[Statement, Layout]" = field(default_factory=dict, repr=False)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Tree)
            and self._hash == other._hash
            and (self.columns, self.branches, self.is_shared) == (other.columns, other.branches, other.is_shared)
        )

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.columns, self.branches, self.is_shared))

    @cached_property
    def _shared(self) -> "Tree | None":
        """The tree of all that have the same relations; None for one that may need any column itself."""
        below = tuple((relation, tree._shared) for relation, tree in self.branches)
        if self.columns is None or any(tree is None for _, tree in below):
            return None
        return Tree(None, tuple((relation, tree) for relation, tree in below if tree is not None), is_shared=True)

    @cached_property
    def wanted(self) -> frozenset[str] | None:
        """The columns of the rows, with those that the branches hang on; None where any may be needed."""
        keys = {relation.key for relation, _below in self.branches}
        return None if self.columns is None else self.columns | keys

    async def compose(
        self,
        statement: Statement,
        reach: Reach,
        compositions: Compositions,
        filters: frozenset[str],
        order: tuple[str, ...],
        count: Statement | None,
        values: Mapping[str, Any],
        *further: str,
        counted: frozenset[str] | None = None,
    ) -> "Composition | None":
        """The statement whose rows this tree describes, with all that hangs on them. `count` has filters of its own if
        `counted` are given, and else the same.

        `values` are the parameters of `statement`, which `Statement.prepare` makes its text for. `further` columns of
        its rows are always wanted.

        None where the rows hold an array, which no array of columns can hold.
        """
        root = statement.prepare(reach, filters, order, values)
        choice = (statement, root, reach, filters if counted is None else counted, count)
        composition: Composition | None = compositions.cache.get((self, *choice))
        if composition is not None:
            return composition
        if self.is_first_use() and (shared := self._shared) is not None:
            composition = await shared._composed(compositions, choice, *further)
            if composition is not None and self._fits(composition.layout):
                return composition
        return await self._composed(compositions, choice, *further)

    def is_first_use(self) -> bool:
        """Whether this is asked for the first time."""
        is_new = "_was_new" not in vars(self)
        vars(self)["_was_new"] = True
        return is_new

    def _fits(self, layout: "Layout") -> bool:
        """Whether the parts of the shared tree's layout are all of this tree's, and have the columns that it wants."""
        trees = list(self._each())
        return len(trees) == len(layout.parts) and all(
            tree.wanted is not None and tree.wanted <= part.keys()
            for tree, part in zip(trees, layout.parts, strict=True)
        )

    def _each(self) -> "Iterator[Tree]":
        """In the order of the parts that a layout has of them."""
        yield self
        for _, below in self.branches:
            yield from below._each()

    async def _composed(
        self,
        compositions: Compositions,
        choice: tuple[Statement, Prepared, Reach, frozenset[str], Statement | None],
        *further: str,
    ) -> "Composition | None":
        statement, root, reach, filters, count = choice
        cache, key = compositions.cache, (self, *choice)
        composition: Composition | None = cache.get(key)
        if composition is not None:
            return composition
        composer = _Composer(reach, compositions.columns_of)
        if not await composer.add_root(statement, root, self, *further):
            return None
        if count is not None:
            await composer.add_count(count, filters)
        # Requests that came at the same time have been composing it, too; what they share begins with one composition.
        composition = cache.get(key)
        if composition is None:
            # It is the same for all viewers, filters and sorts: what is concluded from it holds for all of them.
            layout = self._layouts.setdefault(statement, composer.layout)
            composition = Composition(fuse(composer.parts), layout, count is not None)
            cache.put(key, composition, composition.weight)
        return composition


@dataclass(frozen=True)
class Branch:
    """What came of a relation: the place of its parent among the parts, and the columns that its own tree wanted."""

    relation: Relation
    parent: int
    wanted: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Column:
    """`place` is where its values stand in the row that holds all parts. They are of `type`, or null.

    An `int` fits into 32 bits, a datetime is in UTC, `list` is an array, and `object` is anything else.
    """

    place: int
    type: type


@dataclass(frozen=True, slots=True)
class Hanging:
    """The part of a branch, and by which of its columns its rows hang on which column of their parents'."""

    part: int
    column: str
    parent_column: str
    many: bool


@dataclass(frozen=True, eq=False)
class Layout:
    """How the row that holds all parts is to be read: each part's columns by name. All but the first are `branches`."""

    parts: tuple[Mapping[str, Column], ...]
    branches: tuple[Branch, ...]

    def join(self, parent: int, relation: Relation) -> Hanging | None:
        """What hangs on a part by a relation; None where it did not come along."""
        for part, branch in enumerate(self.branches, start=1):
            if (branch.parent, branch.relation) == (parent, relation):
                return Hanging(part, relation.batch.column, relation.key, relation.batch.many)
        return None


@dataclass(frozen=True, eq=False)
class Composition:
    """What a tree came to be. `counts` says that the last part of `fused` is the count, which no layout shows."""

    fused: Fused
    layout: Layout
    counts: bool

    @property
    def weight(self) -> int:
        """What it takes, in bytes."""
        columns = sum(len(part.columns) for part in self.fused.parts)
        return _BYTES_PER_COMPOSITION + len(self.fused.text) + columns * _BYTES_PER_COLUMN

    def values(self, root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The parameters of each part; those of the count are the root's."""
        return [root, *self._own_values, root] if self.counts else [root, *self._own_values]

    @cached_property
    def _own_values(self) -> list[Mapping[str, Any]]:
        return [branch.relation.batch.values for branch in self.layout.branches]

    def rows(self, row: Sequence[Any]) -> list[Rows]:
        """The rows of each part."""
        return [
            Rows(dict(zip(part.columns, columns, strict=True)), len(columns[0]))
            for part, columns in zip(self.fused.parts, self.fused.split(row), strict=True)
        ]


class Bundle(Rows, Joined):
    """The rows of a composition's statement, with all that hangs on them.

    `row` is the answer as it came, one array a column: whoever knows its `shape` reads all parts of it at once.
    """

    __slots__ = ("_composition", "_outcome", "row", "shape")

    def __init__(self, composition: Composition, row: Sequence[Any]) -> None:
        super().__init__({}, 0 if row[0] is None else len(row[0]))
        self.row = row
        self.shape = composition.layout
        self._composition = composition
        self._outcome: tuple[Any, Any] = (None, None)

    def made(self, make: Callable[[Sequence[Any], Any], Any], run: Any) -> Any:
        """What `make` makes of `row` and a run, once for all who share the bundle: their callers see the same."""
        if self._outcome[0] is not make:
            self._outcome = make, make(self.row, run)
        return self._outcome[1]

    def _held(self) -> Mapping[str, Sequence[Any]]:
        if not self._columns:
            names = self._composition.fused.parts[0].columns
            self._columns = dict(zip(names, self.row if self else [()] * len(names), strict=False))
        return self._columns

    @property
    def bundle(self) -> "Bundle":
        return self

    @property
    def counted(self) -> Mapping[str, Any] | None:
        """The row of the count; None where there is none."""
        if not self._composition.counts:
            return None
        columns = self._composition.fused.parts[-1].columns
        return {name: values[0] for name, values in zip(columns, self.row[-len(columns) :], strict=True)}

    @property
    def items_found(self) -> int | None:
        """How many rows there are in all; None where they were not counted."""
        counted = self.counted
        return None if counted is None else counted["items_found"]

    def hanging(self) -> Iterator[tuple[Batch, Sequence[Any], Rows, frozenset[str] | None]]:
        """What came by each relation: its batch, the keys of all parents, all their rows, and the columns of these."""
        parts = self._composition.rows(self.row)
        for branch, rows in zip(self.shape.branches, parts[1:], strict=False):
            yield branch.relation.batch, parts[branch.parent].column(branch.relation.key), rows, branch.wanted

    def __getitem__(self, place: Any) -> Any:
        return Member(self, 0) if place == 0 and self._length == 1 else super().__getitem__(place)


class Member(Joined):
    """One row of a bundle, by column name."""

    __slots__ = ("bundle", "place")

    def __init__(self, bundle: Bundle, place: int) -> None:
        self.bundle = bundle
        self.place = place

    def __getitem__(self, name: str) -> Any:
        return self.bundle.column(name)[self.place]

    def __contains__(self, name: object) -> bool:
        return name in self.bundle.held


class _Composer:
    def __init__(self, reach: Reach, columns_of: ColumnsOf) -> None:
        self.parts: list[Part] = []
        self.branches: list[Branch] = []
        self._reach = reach
        self._columns_of = columns_of
        self._columns: list[dict[str, Column]] = []
        self._places = counting()

    @property
    def layout(self) -> Layout:
        return Layout(tuple(self._columns), tuple(self.branches))

    async def add_root(self, statement: Statement, prepared: Prepared, tree: Tree, *further: str) -> bool:
        types = await self._types(statement, prepared, tree, *further)
        if types is None:
            return False
        self._add(Part(prepared, tuple(types)), types)
        await self._add_branches(tree, 0)
        return True

    async def add_count(self, count: Statement, filters: frozenset[str]) -> None:
        prepared = count.prepare(self._reach, filters)
        self.parts.append(Part(prepared, tuple(await self._columns_of(count, prepared))))

    async def _add_branches(self, tree: Tree, parent: int) -> None:
        for relation, below in tree.branches:
            batch = relation.batch
            prepared = batch.statement.prepare(self._reach, batch.filters, batch.order)
            types = await self._types(batch.statement, prepared, below, batch.column)
            if types is None or len(self.parts) >= _MOST_PARTS:
                continue
            self._add(Part(prepared, tuple(types), parent, relation.key, batch.parameter), types)
            self.branches.append(Branch(relation, parent, frozenset(types) if below.is_shared else below.wanted))
            await self._add_branches(below, len(self.parts) - 1)

    def _add(self, part: Part, types: Mapping[str, type]) -> None:
        self.parts.append(part)
        self._columns.append({name: Column(next(self._places), type_) for name, type_ in types.items()})

    async def _types(
        self, statement: Statement, prepared: Prepared, tree: Tree, *further: str
    ) -> Mapping[str, type] | None:
        """Of the columns that the tree wants, and of those that the rows are told apart by; None with an array."""
        known = await self._columns_of(statement, prepared)
        if tree.is_shared:
            known = {name: type_ for name, type_ in known.items() if type_ is not list}
        wanted = {*known} if tree.wanted is None else {*tree.wanted, *further}
        types = {name: known[name] for name in known if name in wanted} or dict(islice(known.items(), 1))
        return types if types and list not in types.values() else None
