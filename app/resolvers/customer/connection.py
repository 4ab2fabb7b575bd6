"""Connections: one way to read a page of rows with all that hangs on them, for every list of the customer surface.

A list that is a root field reads its page by one statement with all that hangs on the rows, their own connections
included: of these it brings the first rows of each list, or the last, as many as the page has and one more, so an order
of a thousand lines costs no more than its page. What a list holds in all comes as a count beside them. A nested page
that begins at a cursor is read by a batch of its own: a cursor belongs to one parent, and few documents have one.
"""

from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

from app.context import Context, Info
from app.execution.field_plan import everybody
from app.execution.plan import Field
from app.execution.run import PlannedInfo
from app.resolvers.customer.listing import Connection, Listing, Window
from app.resolvers.field_plan import Needed, PagePlan, below_path, columns_below, lookahead
from loaders.batch import Batch
from loaders.result import ResultSet
from loaders.rows import Lists, Row, column_of
from sql import File

_KEY = frozenset({"key"})
_TOTAL = frozenset({"total"})
_NODES = ("edges", "node")

# ------------------------------------------------------------------------------------------------ lists of root fields


async def listed(
    info: Info,
    file: File,
    name: str,
    bound: tuple[int | str | None, ...],
    filters: frozenset[str],
    values: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> Connection:
    """The page of `file`'s rows, newest first, with all that is selected below it.

    Raises `InvalidPagination` and `InvalidCursor`.
    """
    context = info.context

    window = Window.of(context.largest_page, **arguments)
    page = Connection(_Whole(context, file, name, bound, filters, values), window)
    selection = lookahead(info, *_NODES, columns=_KEY)
    if selection is None or not isinstance(info, PlannedInfo):
        return page
    needs = _needs_of(info.lookahead)
    counted: Mapping[str, Any] | None = None
    if needs.rows(window):
        found, _ = await context.fetch_joined(
            file.page,
            selection,
            filters=page.filters,
            order=page.order,
            count=file.count if needs.count(window) else None,
            counted=filters,
            limit=window.limit,
            skip=0,
            **page.values,
        )
        page.take(found)
        counted = found.counted if isinstance(found, ResultSet) else None
    elif needs.count(window):
        [counted] = await context.fetch(file.count, filters=filters, **values)
    if counted is not None:
        page.total, page.ends = counted["items_found"], counted
    return page


class _Whole(Listing):
    """The rows of a file, newest first."""

    descending = True

    def __init__(
        self,
        context: Context,
        file: File,
        name: str,
        bound: tuple[int | str | None, ...],
        filters: frozenset[str],
        values: Mapping[str, Any],
    ) -> None:
        self.name = name
        self.bound = bound
        self.filters = filters
        self.values = values
        self._context = context
        self._file = file

    async def rows(self, *, filters: frozenset[str], **values: Any) -> Sequence[Row]:
        return await self._context.fetch(self._file.page, filters=filters, skip=0, **values)

    async def count(self, *, filters: frozenset[str], **values: Any) -> Row:
        [row] = await self._context.fetch(self._file.count, filters=filters, **values)
        return {**row, "total": row["items_found"]}

    async def ends(self, *, filters: frozenset[str], **values: Any) -> Row:
        return await self.count(filters=filters, **values)


@dataclass(frozen=True)
class _Needs:
    """What is selected of a page: `more` are the directions, forwards or not, in which more rows are asked for."""

    of_rows: bool
    total: bool
    more: tuple[bool, ...]

    def rows(self, window: Window) -> bool:
        """Whether the rows have to be read."""
        return self.of_rows or any(forwards != window.backwards for forwards in self.more)

    def count(self, window: Window) -> bool:
        """Whether it has to be read how many rows there are, or where they end: whether there are some at a cursor."""
        cursors = {True: window.before, False: window.after}
        return self.total or any(cursors[forwards] is not None for forwards in self.more)


_MORE = {"hasNextPage": True, "hasPreviousPage": False}


def _needs_of(field: Field) -> _Needs:
    needs: _Needs | None = field.memory.get(_Needs)
    if needs is None:
        names = {below.name for below in field.below}
        about = {below.name for below in below_path(field, ("pageInfo",))}
        of_rows = "edges" in names or not about.isdisjoint({"startCursor", "endCursor"})
        more = tuple(forwards for name, forwards in _MORE.items() if name in about)
        needs = field.memory[_Needs] = _Needs(of_rows, "totalCount" in names, more)
    return needs


# ------------------------------------------------------------------------------------------------ lists of rows' fields


def nested(name: str, loader: Any, key: str) -> PagePlan:
    """The connection of what hangs on the column `key` of its parent.

    `loader` is a module of `loaders` with `rows`, `count` and `ends`, each of which makes a batch.
    """
    made = _Nested(name, loader, key)
    return PagePlan(
        resolve=made.resolve,
        available=made.available,
        is_open=everybody,
        key=key,
        page=made.page,
        needed=made.needed,
    )


class _Nested:
    """What `nested` declares."""

    def __init__(self, name: str, loader: Any, key: str) -> None:
        self._name = name
        self._loader = loader
        self._key = key
        self._count_batch: Batch = loader.count(filters=frozenset())
        self._rows_batch = lru_cache(maxsize=256)(self._new_rows_batch)

    def page(self, context: Context, **arguments: Any) -> Window | None:
        window = Window.of(context.largest_page, **arguments)
        return None if window.has_cursor else window

    def needed(self, field: Field, window: Window) -> Iterator[Needed]:
        needs = _needs_of(field)
        if needs.rows(window):
            yield Needed(self._batch_of(window), tuple(below_path(field, _NODES)), _KEY)
        if needs.total:
            yield Needed(self._count_batch, columns=_TOTAL)

    def resolve(self, row: Row, info: Info, **arguments: Any) -> Connection:
        context = info.context
        if isinstance(info, PlannedInfo):
            pages = self.available([row], context, info.lookahead, **arguments)
            if pages is not None:
                return pages[0]
        return Connection(self._listing(context, row[self._key]), Window.of(context.largest_page, **arguments))

    def available(
        self, rows: Sequence[Row], context: Context, field: Field, **arguments: Any
    ) -> list[Connection] | None:
        window = self.page(context, **arguments)
        if window is None:
            return None
        values = column_of(rows, self._key)
        pages = [Connection(self._listing(context, value), window) for value in values]
        needs = _needs_of(field)
        if needs.rows(window):
            columns = columns_below(field, *_NODES)
            found = context.available(self._batch_of(window), values, None if columns is None else columns | _KEY)
            if not isinstance(found, Lists):
                return None
            for each, its_rows in zip(pages, _split(found), strict=True):
                each.take(its_rows)
        if needs.total:
            counts = context.available(self._count_batch, values, _TOTAL)
            if counts is None:
                return None
            for each, count in zip(pages, counts, strict=True):
                each.total = 0 if count is None else count["total"]
        return pages

    def _listing(self, context: Context, value: int | str) -> Listing:
        return _Below(self._name, value, self._loader, context)

    def _batch_of(self, window: Window) -> Batch:
        return self._rows_batch(window.limit, window.order(descending=False))

    def _new_rows_batch(self, limit: int, order: tuple[str, ...]) -> Batch:
        batch: Batch = self._loader.rows(filters=frozenset(), order=order, limit=limit)
        return batch


class _Below(Listing):
    """The list of one parent. Most are read ahead, so what would read them is not made for each."""

    def __init__(self, name: str, value: int | str, loader: Any, context: Context) -> None:
        self.name = name
        self.bound = (value,)
        self._loader = loader
        self._context = context

    def rows(self, *, filters: frozenset[str], **values: Any) -> Awaitable[Any]:
        return self._context.load(self._loader.rows(filters=filters, **values), self.bound[0])

    def count(self, *, filters: frozenset[str], **values: Any) -> Awaitable[Any]:
        return self._context.load(self._loader.count(filters=filters, **values), self.bound[0])

    def ends(self, *, filters: frozenset[str], **values: Any) -> Awaitable[Any]:
        return self._context.load(self._loader.ends(filters=filters, **values), self.bound[0])


def _split(lists: Lists) -> Iterable[Sequence[Row]]:
    ends = accumulate(lists.lengths)
    return (lists.rows[end - length : end] for end, length in zip(ends, lists.lengths, strict=True))
