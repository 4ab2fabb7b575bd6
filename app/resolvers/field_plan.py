"""What fields of objects are: columns, rows of a loader, or computed; and what a root field can learn of them first."""

from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from inspect import isawaitable
from typing import Any

from ariadne import ObjectType
from graphql import GraphQLObjectType, GraphQLSchema

from app.context import Context, Info
from app.execution.field_plan import (
    Available,
    Cached,
    ColumnPlan,
    ComputedPlan,
    FieldPlan,
    Related,
    RelationPlan,
    SameRowPlan,
    declare,
    everybody,
)
from app.execution.plan import BailOut, Field
from app.execution.run import PlannedInfo
from loaders.batch import Batch, Relation
from loaders.rows import Row, column_of
from loaders.selection import RowSelection

Resolver = Callable[..., Any]

# Of each field: for so many choices of pages below it are selections kept. Another one is made anew.
_MOST_SELECTIONS = 16


class PlannedType(ObjectType):
    """An object type of which fields may be declared by a plan in place of a resolver."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._plans: dict[str, FieldPlan] = {}

    def set_plan(self, name: str, plan: FieldPlan) -> None:
        self.set_field(name, plan.resolve)
        self._plans[name] = plan

    def bind_to_schema(self, schema: GraphQLSchema) -> None:
        super().bind_to_schema(schema)
        type_ = schema.type_map[self.name]
        assert isinstance(type_, GraphQLObjectType)  # noqa: S101  what is bound above
        for name, plan in self._plans.items():
            declare(type_.fields[name], plan)


@dataclass(frozen=True)
class Access:
    """Who may have the rows of a relation, of those who see their parent: all, or those who hold `permission`.

    To others they are an empty list if `or_empty`, and else the error `Forbidden`. This is the only place that says so:
    resolvers and plans alike ask here.
    """

    permission: str | None
    or_empty: bool = False

    def is_granted(self, context: Context) -> bool:
        return self.permission is None or context.may(self.permission)

    def withholds(self, context: Context) -> bool:
        """Whether an empty list takes the place of the rows. Raises `NotAuthenticated` or `Forbidden`."""
        if self.is_granted(context):
            return False
        if not self.or_empty:
            context.require(self.permission)
        return True


WITH_PARENT = Access(None)


def relation(batch: Batch, key: str, access: Access) -> RelationPlan:
    """The value of `batch` (see `Batch`) for the parent's column `key`; null for a null key."""

    def resolve(row: Row, info: Info) -> Awaitable[Any] | list[Any] | None:
        if access.withholds(info.context):
            return []
        value = row[key]
        return None if value is None else info.context.load(batch, value)

    def bulk(rows: Sequence[Row], info: PlannedInfo) -> Any:
        if access.withholds(info.context):
            return [[] for _ in rows]
        return info.context.load_all(batch, column_of(rows, key), columns_below(info.lookahead))

    def available(rows: Sequence[Row], context: Context, field: Field) -> Any:
        return context.available(batch, column_of(rows, key), columns_below(field))

    return RelationPlan(
        resolve=resolve,
        bulk=bulk,
        available=available,
        is_open=everybody if access.permission is None else access.is_granted,
        related=Related(Relation(batch, key), key, _cached(batch)),
    )


def _cached(batch: Batch) -> Cached | None:
    if not batch.tables:
        return None
    return lambda context: context.cached(batch)


@dataclass(frozen=True)
class Beside:
    """The row of `batch`, of at most one a key, for the parent's column `key`; its `columns` are read."""

    batch: Batch
    key: str
    columns: tuple[str, ...]


class MoreNeeded(BailOut):
    """What a field is computed of does not suffice: see `Further`."""


@dataclass(frozen=True)
class Further:
    """What a computed field needs now and then, beside what its function takes.

    Where the function raises `MoreNeeded`, the value is `function` here of the same columns and of the row of `batch`
    for the parent's column `key`, or None. Generated code gives up then; the rows are read for all parents that need
    one at once.
    """

    function: Callable[..., Any]
    batch: Batch
    key: str


def computed(
    function: Callable[..., Any], *columns: str, beside: Beside | None = None, further: Further | None = None
) -> ComputedPlan:
    """`function` of these columns of the row and of those of the row `beside` it, which are None without such a row.

    Who has the row may have what is computed of it, and of what is `further` away.
    """
    plan = _computed(function, columns, beside)
    return plan if further is None else _with_further(plan, further, beside)


def _with_further(plan: ComputedPlan, further: Further, beside: Beside | None) -> ComputedPlan:
    """`plan` with values of `further` rows in the place of each `MoreNeeded`."""
    again = _computed(lambda *values: values, plan.columns, beside)

    async def resolve(row: Row, info: Info) -> Any:
        try:
            value = plan.resolve(row, info)
            return await value if isawaitable(value) else value
        except MoreNeeded:
            values = again.resolve(row, info)
            values = await values if isawaitable(values) else values
            key = row[further.key]
            return further.function(*values, None if key is None else await info.context.load(further.batch, key))

    def bulk(rows: Sequence[Row], info: PlannedInfo) -> Any:
        assert plan.bulk is not None  # noqa: S101  it is one of `_computed`
        values = plan.bulk(rows, info)
        if isawaitable(values) or any(isinstance(value, MoreNeeded) for value in values):
            return later(rows, values, info)
        return values

    async def later(rows: Sequence[Row], found: Any, info: PlannedInfo) -> list[Any]:
        values: list[Any] = list(await found if isawaitable(found) else found)
        places = [place for place, value in enumerate(values) if isinstance(value, MoreNeeded)]
        if not places:
            return values
        assert again.bulk is not None  # noqa: S101  it is one of `_computed`
        some = [rows[place] for place in places]
        arguments = again.bulk(some, info)
        arguments = await arguments if isawaitable(arguments) else arguments
        others = info.context.load_all(further.batch, column_of(some, further.key), None)
        others = await others if isawaitable(others) else others
        for place, given, other in zip(places, arguments, others, strict=True):
            values[place] = _value_or_error(further.function, *given, other)
        return values

    def available(rows: Sequence[Row], context: Context, field: Field) -> list[Any] | None:
        assert plan.available is not None  # noqa: S101  it is one of `_computed`
        values = plan.available(rows, context, field)
        return None if values is None or any(isinstance(value, MoreNeeded) for value in values) else values

    return replace(plan, resolve=resolve, bulk=bulk, available=available, keys=(further.key,))


def _computed(function: Callable[..., Any], columns: tuple[str, ...], beside: Beside | None) -> ComputedPlan:
    if beside is None:
        return _computed_of_row(function, columns)
    batch, key = beside.batch, beside.key
    projection = frozenset(beside.columns)
    missing = (None,) * len(beside.columns)

    def with_row(row: Row, other: Row | None) -> Any:
        own = [row[name] for name in columns]
        return function(*own, *(missing if other is None else [other[name] for name in beside.columns]))

    async def resolve(row: Row, info: Info) -> Any:
        value = row[key]
        return with_row(row, None if value is None else await info.context.load(batch, value))

    def bulk(rows: Sequence[Row], info: PlannedInfo) -> Any:
        others = info.context.load_all(batch, column_of(rows, key), projection)
        return later(rows, others) if isawaitable(others) else _each(with_row, rows, others)

    async def later(rows: Sequence[Row], others: Awaitable[Any]) -> list[Any]:
        return _each(with_row, rows, await others)

    def available(rows: Sequence[Row], context: Context, _field: Field) -> list[Any] | None:
        others = context.available(batch, column_of(rows, key), projection)
        return None if others is None else list(map(with_row, rows, others))

    return ComputedPlan(
        resolve=resolve,
        bulk=bulk,
        available=available,
        is_open=everybody,
        columns=columns,
        function=function,
        related=Related(Relation(batch, key), key, _cached(batch)),
        related_columns=beside.columns,
    )


def beside(batch: Batch, key: str, column: str) -> ComputedPlan:
    """A column of the row of `batch` for the parent's column `key`, read where it is selected alone."""
    return computed(_itself, beside=Beside(batch, key, (column,)))


def _itself(value: Any) -> Any:
    return value


def _computed_of_row(function: Callable[..., Any], columns: tuple[str, ...]) -> ComputedPlan:
    def of_row(row: Row) -> Any:
        return function(*[row[name] for name in columns])

    def resolve(row: Row, _info: Info) -> Any:
        return of_row(row)

    def bulk(rows: Sequence[Row], _info: PlannedInfo) -> list[Any]:
        return _each(of_row, rows)

    def available(rows: Sequence[Row], *_: Any) -> list[Any]:
        return list(map(of_row, rows))

    return ComputedPlan(
        resolve=resolve, bulk=bulk, available=available, is_open=everybody, columns=columns, function=function
    )


def _each(function: Callable[..., Any], *columns: Iterable[Any]) -> list[Any]:
    """What it returns for each row, or raises: the error of one is none of the others."""
    return [_value_or_error(function, *values) for values in zip(*columns, strict=True)]


def _value_or_error(function: Callable[..., Any], *values: Any) -> Any:
    try:
        return function(*values)
    except Exception as error:
        return error


def picked(resolve: Resolver, available: Available) -> FieldPlan:
    """What is read off the parent. `available` gives the values of many parents where they have them already."""
    return FieldPlan(resolve=resolve, available=available, is_open=everybody)


def same_row(row: Any, *_: Any) -> Any:
    return row


# An object that is made of its parent's own row, or many of many.
SAME_ROW = SameRowPlan(resolve=same_row, bulk=same_row, available=same_row)


@dataclass(frozen=True)
class Needed:
    """What a page needs of the rows that hang on its parent: those of `batch`, for `fields` and further `columns`."""

    batch: Batch
    fields: Sequence[Field] = ()
    columns: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class PagePlan(FieldPlan):
    """The value is a page of the rows that hang on the parent's column `key`, as the field's arguments choose them.

    `page(context, **arguments)` says which page it is; None, or anything raised, is for one that is not read ahead.
    `needed(field, page)` is what its field needs to be read for it.
    """

    key: str
    page: Callable[..., Hashable]
    needed: Callable[[Field, Any], Iterable[Needed]]


def lookahead(info: Info, *path: str, columns: frozenset[str] = frozenset()) -> RowSelection | None:
    """The rows that are selected below this field, or below the fields of this path under it, with further `columns`.

    None where graphql-core executes the operation: it does not look ahead.
    """
    return _selection_below(info.lookahead, path, columns, info) if isinstance(info, PlannedInfo) else None


def columns_below(field: Field, *path: str) -> frozenset[str] | None:
    """The columns of rows that are selected below a field, or below the fields of this path under it; None for all."""
    return _selection_below(field, path, frozenset(), None).projection


def _selection_below(
    field: Field, path: tuple[str, ...], columns: frozenset[str], info: PlannedInfo | None
) -> RowSelection:
    """Without `info` no pages are read ahead; the columns of the rows are the same."""
    below: _Below | None = field.memory.get((path, columns))
    if below is None:
        fields = list(below_path(field, path))
        below = field.memory[path, columns] = _Below(path, fields, tuple(_paged(fields)))
    pages = () if info is None else tuple(_page(each, info) for each in below.paged)
    selection = below.selections.get(pages)
    if selection is None:
        if len(below.selections) >= _MOST_SELECTIONS:
            below.selections.clear()
        chosen = dict(zip(below.paged, pages, strict=True)) if pages else {}
        selection = below.selections[pages] = _selection(below.fields, chosen, columns)
    return selection


@dataclass
class _Below:
    """The fields of a path below one; those at any depth that are `paged`; and selections by the pages of these."""

    path: tuple[str, ...]
    fields: Sequence[Field]
    paged: Sequence[Field]
    selections: dict[Hashable, RowSelection] = dataclass_field(default_factory=dict)


def path_of(field: Field, selection: RowSelection) -> tuple[str, ...] | None:
    """The path below the field by which `lookahead` gave the selection."""
    known = (below for below in field.memory.values() if isinstance(below, _Below))
    return next((below.path for below in known if selection in below.selections.values()), None)


def below_path(field: Field, path: Iterable[str]) -> Iterable[Field]:
    """The fields that are selected below the fields of this path under one."""
    fields: Iterable[Field] = field.below
    for name in path:
        fields = [below for each in fields if each.name == name for below in each.below]
    return fields


def _paged(fields: Iterable[Field]) -> Iterator[Field]:
    """Those of which the value is a page, at any depth."""
    for field in fields:
        if isinstance(field.plan, PagePlan):
            yield field
        yield from _paged(field.below)


def _page(field: Field, info: PlannedInfo) -> Hashable:
    assert isinstance(field.plan, PagePlan)  # noqa: S101  it is one of `_paged`
    try:
        return field.plan.page(info.context, **field.arguments(info.variable_values))
    except Exception:  # its resolver will say what is wrong
        return None


def selects(info: Info, *names: str) -> bool:
    """Whether one of these fields is selected below this one, by a plan."""
    return isinstance(info, PlannedInfo) and any(field.name in names for field in info.lookahead.below)


def _selection(fields: Iterable[Field], pages: Mapping[Field, Hashable], further: Iterable[str] = ()) -> RowSelection:
    """What the fields read of rows of which `further` columns are read, too. `pages` are those read ahead."""
    columns = set(further)
    is_known = True
    below: dict[Relation, tuple[list[Field], set[str]]] = {}
    waiting = deque(fields)
    while waiting:
        field = waiting.popleft()
        plan = field.plan
        if field.constant is not None:
            continue
        if isinstance(plan, SameRowPlan):
            waiting.extend(field.below)
        elif isinstance(plan, ColumnPlan):
            columns.add(plan.column)
        elif isinstance(plan, PagePlan):
            columns.add(plan.key)
            page = pages.get(field)
            for needed in () if page is None else plan.needed(field, page):
                selected, read = below.setdefault(Relation(needed.batch, plan.key), ([], set()))
                selected.extend(needed.fields)
                read.update(needed.columns)
        elif isinstance(plan, RelationPlan):
            if plan.related.cached is not None:
                columns.add(plan.related.key)
            else:
                below.setdefault(plan.related.relation, ([], set()))[0].extend(field.below)
        elif isinstance(plan, ComputedPlan):
            columns.update(plan.columns)
            columns.update(plan.keys)
            if plan.related is None:
                continue
            if plan.related.cached is not None:
                columns.add(plan.related.key)
            else:
                below.setdefault(plan.related.relation, ([], set()))[1].update(plan.related_columns)
        else:
            is_known = False
    branches = tuple((related, _selection(selected, pages, read)) for related, (selected, read) in below.items())
    return RowSelection(frozenset(columns) if is_known else None, branches)
