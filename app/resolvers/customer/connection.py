"""Connections: one way to page, forwards and backwards, for every list of the customer surface (C-20 to C-25).

Every list is in the order of one integer, the `key` of its rows, so a cursor is the key of its row, bound to the list
and the filter it was given out by. Rows that arrive or go meanwhile shift nobody's page.

A list that is a root field reads its page by one statement with all that hangs on the rows, their own connections
included: of these it brings the first rows of each list, or the last, as many as the page has and one more, so an order
of a thousand lines costs no more than its page. What a list holds in all comes as a count beside them. A nested page
that begins at a cursor is read by a batch of its own: a cursor belongs to one parent, and few documents have one.
"""

import base64
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import accumulate, chain
from typing import Any, Protocol

from app.context import Context, Info
from app.errors import InvalidCursor, InvalidPagination
from app.execution.field_plan import FieldPlan, everybody
from app.execution.plan import Field
from app.execution.run import PlannedInfo
from app.resolvers.customer.identifier import LARGEST
from app.resolvers.field_plan import (
    SAME_ROW,
    Needed,
    PagePlan,
    PlannedType,
    below_path,
    columns_below,
    lookahead,
    picked,
)
from app.resolvers.once import once
from loaders.batch import Batch
from loaders.result import ResultSet
from loaders.rows import Lists, Row, Rows, column_of, end_to_end
from sql import File

DEFAULT_SIZE = 10

_KEY = frozenset({"key"})
_TOTAL = frozenset({"total"})
_NODES = ("edges", "node")


class Read(Protocol):
    """Reads of one list, given filters of its file and their values."""

    def __call__(self, *, filters: frozenset[str], **values: Any) -> Awaitable[Any]: ...


@dataclass(frozen=True, slots=True)
class Window:
    """The page that arguments ask for, in any list: `size` rows after `after`, or, `backwards`, before `before`."""

    size: int = DEFAULT_SIZE
    backwards: bool = False
    after: str | None = None
    before: str | None = None

    @classmethod
    def of(
        cls,
        largest: int,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> "Window":
        """The `first` rows after `after`, or the `last` ones before `before`; `before` alone means those just before.

        Raises `InvalidPagination`.
        """
        if first is not None and last is not None:
            raise InvalidPagination("first and last exclude each other.")
        for name, size in (("first", first), ("last", last)):
            if size is not None and not 1 <= size <= largest:
                raise InvalidPagination(f"{name} must be between 1 and {largest}.")
        backwards = last is not None or (first is None and after is None and before is not None)
        return cls(first or last or DEFAULT_SIZE, backwards, after, before)

    @property
    def has_cursor(self) -> bool:
        return self.after is not None or self.before is not None

    @property
    def limit(self) -> int:
        """One more tells whether there is a next page."""
        return self.size + 1

    def order(self, *, descending: bool) -> tuple[str, ...]:
        return ("ID DESC" if descending != self.backwards else "ID ASC",)


class Listing:
    """A list that can be paged.

    `name` and `bound`, the values that choose its rows, tell its cursors from those of other lists. `rows` reads rows
    in an `order` up to a `limit`; `count` and `ends` read a row with `total`, or with `lowest` and `highest` key, or
    None where the list is empty. `filters` and `values` apply to all three.
    """

    def __init__(
        self,
        name: str,
        bound: tuple[int | str | None, ...],
        rows: Read,
        count: Read,
        ends: Read,
        descending: bool = False,
        filters: frozenset[str] = frozenset(),
        values: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.bound = bound
        self.rows = rows
        self.count = count
        self.ends = ends
        self.descending = descending
        self.filters = filters
        self.values = values or {}

    @cached_property
    def _head(self) -> str:
        return json.dumps([self.name, *self.bound], separators=(",", ":"))[:-1]

    def cursor(self, key: int) -> str:
        """base64url of compact JSON; opaque to clients."""
        return base64.urlsafe_b64encode(f"{self._head},{key}]".encode()).decode().rstrip("=")

    def key_of(self, cursor: str) -> int:
        """Raises `InvalidCursor` for all that this list has not given out."""
        try:
            key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))[-1]
        except (ValueError, TypeError, LookupError, RecursionError):
            raise InvalidCursor from None
        # Written anew it must be the same text: that proves the list, the filter and the form in one.
        if type(key) is not int or not 0 < key <= LARGEST or self.cursor(key) != cursor:
            raise InvalidCursor
        return key


class Connection:
    """One page of a listing. Rows, count and ends are read only when a selected field asks for them, and once at most.

    What was read ahead is there already: the page's rows and whether there are `more` of them in the direction of
    paging, `total` and `ends`; see `Listing`. Raises `InvalidCursor`.
    """

    def __init__(self, listing: Listing, window: Window) -> None:
        self.listing = listing
        self.window = window
        self._after = None if window.after is None else listing.key_of(window.after)
        self._before = None if window.before is None else listing.key_of(window.before)
        self.rows: Sequence[Row] | None = None
        self.more = False
        self.total: int | None = None
        self.ends: Row | None = None

    @property
    def filters(self) -> frozenset[str]:
        """Of the page's rows: those of the list, and what the cursors are."""
        return self.listing.filters | frozenset(self._bounds)

    @property
    def values(self) -> dict[str, Any]:
        return {**self.listing.values, **self._bounds}

    @property
    def order(self) -> tuple[str, ...]:
        return self.window.order(descending=self.listing.descending)

    @cached_property
    def _bounds(self) -> dict[str, int]:
        above, below = self._after, self._before
        if self.listing.descending:
            above, below = below, above
        return {name: key for name, key in (("above", above), ("below", below)) if key is not None}

    def hold(self, found: Sequence[Row]) -> None:
        """`found` are the page's rows in the order of reading, and one more if there are more."""
        window = self.window
        self.more = len(found) > window.size
        rows = found[: window.size] if self.more else found
        self.rows = rows[::-1] if window.backwards else rows

    def more_known(self, *, forwards: bool) -> bool | None:
        """Whether the list has rows after the page, or before it; None where something has to be read first."""
        if self.window.backwards != forwards:
            if self.rows is None:
                return None
            if self.more:
                return True
        cursor = self._before if forwards else self._after
        if cursor is None:
            return False
        if self.ends is None:
            return None
        # Whether there is a row at the cursor or beyond it. An empty list has no ends.
        if self.ends["lowest"] is None:
            return False
        reaches: bool = (
            self.ends["lowest"] <= cursor if forwards == self.listing.descending else self.ends["highest"] >= cursor
        )
        return reaches

    @cached_property
    def rows_once(self) -> Callable[[], Awaitable[Sequence[Row]]]:
        return once(self._read_rows)

    @cached_property
    def total_once(self) -> Callable[[], Awaitable[int]]:
        return once(self._read_total)

    @cached_property
    def _ends_once(self) -> Callable[[], Awaitable[None]]:
        return once(self._read_ends)

    async def has_more(self, *, forwards: bool) -> bool:
        if self.rows is None and self.window.backwards != forwards:
            await self.rows_once()
        known = self.more_known(forwards=forwards)
        if known is None:
            await self._ends_once()
            known = self.more_known(forwards=forwards)
        return bool(known)

    async def _read_rows(self) -> Sequence[Row]:
        listing = self.listing
        self.hold(await listing.rows(filters=self.filters, order=self.order, limit=self.window.limit, **self.values))
        assert self.rows is not None  # noqa: S101  they are held
        return self.rows

    async def _read_total(self) -> int:
        row = await self.listing.count(filters=self.listing.filters, **self.listing.values)
        self.total = row["total"] if row else 0
        return self.total

    async def _read_ends(self) -> None:
        row = await self.listing.ends(filters=self.listing.filters, **self.listing.values)
        self.ends = row or {"lowest": None, "highest": None}


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

    async def rows(**parameters: Any) -> Sequence[Row]:
        return await context.fetch(file.page, skip=0, **parameters)

    async def count(**parameters: Any) -> Row:
        [row] = await context.fetch(file.count, **parameters)
        return {**row, "total": row["items_found"]}

    window = Window.of(context.largest_page, **arguments)
    page = Connection(Listing(name, bound, rows, count, count, True, filters, values), window)
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
        page.hold(found)
        counted = found.counted if isinstance(found, ResultSet) else None
    elif needs.count(window):
        [counted] = await context.fetch(file.count, filters=filters, **values)
    if counted is not None:
        page.total, page.ends = counted["items_found"], counted
    return page


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
    count_batch: Batch = loader.count(filters=frozenset())

    @lru_cache(maxsize=256)
    def rows_batch(limit: int, order: tuple[str, ...]) -> Batch:
        batch: Batch = loader.rows(filters=frozenset(), order=order, limit=limit)
        return batch

    def batch_of(window: Window) -> Batch:
        return rows_batch(window.limit, window.order(descending=False))

    def listing(context: Context, value: int | str) -> Listing:
        def read(make: Callable[..., Batch], **parameters: Any) -> Awaitable[Any]:
            return context.load(make(**parameters), value)

        return Listing(
            name, (value,), partial(read, loader.rows), partial(read, loader.count), partial(read, loader.ends)
        )

    def page(context: Context, **arguments: Any) -> Window | None:
        window = Window.of(context.largest_page, **arguments)
        return None if window.has_cursor else window

    def needed(field: Field, window: Window) -> Iterator[Needed]:
        needs = _needs_of(field)
        if needs.rows(window):
            yield Needed(batch_of(window), tuple(below_path(field, _NODES)), _KEY)
        if needs.total:
            yield Needed(count_batch, columns=_TOTAL)

    def available(rows: Sequence[Row], context: Context, field: Field, **arguments: Any) -> list[Connection] | None:
        window = page(context, **arguments)
        if window is None:
            return None
        values = column_of(rows, key)
        pages = [Connection(listing(context, value), window) for value in values]
        needs = _needs_of(field)
        if needs.rows(window):
            columns = columns_below(field, *_NODES)
            found = context.available(batch_of(window), values, None if columns is None else columns | _KEY)
            if not isinstance(found, Lists):
                return None
            for each, its_rows in zip(pages, _split(found), strict=True):
                each.hold(its_rows)
        if needs.total:
            counts = context.available(count_batch, values, _TOTAL)
            if counts is None:
                return None
            for each, count in zip(pages, counts, strict=True):
                each.total = 0 if count is None else count["total"]
        return pages

    def resolve(row: Row, info: Info, **arguments: Any) -> Connection:
        context = info.context
        if isinstance(info, PlannedInfo):
            pages = available([row], context, info.lookahead, **arguments)
            if pages is not None:
                return pages[0]
        return Connection(listing(context, row[key]), Window.of(context.largest_page, **arguments))

    return PagePlan(
        resolve=resolve,
        available=available,
        is_open=everybody,
        key=key,
        page=page,
        needed=needed,
    )


def _split(lists: Lists) -> Iterable[Sequence[Row]]:
    ends = accumulate(lists.lengths)
    return (lists.rows[end - length : end] for end, length in zip(ends, lists.lengths, strict=True))


# ------------------------------------------------------------------------------------------------ what is in a page


Edge = tuple[Listing, Row]


class Edges(Rows):
    """The rows of pages, end to end, each as an `Edge`."""

    __slots__ = ("_pages", "nodes")

    def __init__(self, pages: Sequence[Connection], nodes: Rows) -> None:
        super().__init__({}, len(nodes))
        self._pages = pages
        self.nodes = nodes

    def cursors(self) -> list[str]:
        return list(map(Listing.cursor, self._listings(), self.nodes.column("key")))

    def _listings(self) -> Iterator[Listing]:
        return chain.from_iterable([page.listing] * len(page.rows or ()) for page in self._pages)

    def _made(self) -> list[Edge]:
        if self._rows is None:
            self._rows = list(zip(self._listings(), self.nodes, strict=True))
        return self._rows


def connection_types(name: str) -> tuple[PlannedType, PlannedType]:
    """The resolvers of `<name>Connection`, whose parent is a `Connection`, and of `<name>Edge`."""
    connection, edge = PlannedType(f"{name}Connection"), PlannedType(f"{name}Edge")
    connection.set_plan("edges", picked(_resolve_edges, _available_edges))
    connection.set_plan("pageInfo", SAME_ROW)
    connection.set_plan("totalCount", picked(_resolve_total, _available_totals))
    edge.set_plan("node", _of_edges(lambda edge: edge[1], lambda edges: edges.nodes))
    edge.set_plan("cursor", _of_edges(lambda edge: edge[0].cursor(edge[1]["key"]), Edges.cursors))
    return connection, edge


def _resolve_edges(page: Connection, _info: Info) -> list[Edge] | Awaitable[list[Edge]]:
    async def later() -> list[Edge]:
        return [(page.listing, row) for row in await page.rows_once()]

    return later() if page.rows is None else [(page.listing, row) for row in page.rows]


def _available_edges(pages: Sequence[Connection], *_: Any) -> Any:
    if any(page.rows is None for page in pages):
        return None
    nodes = end_to_end([page.rows for page in pages if page.rows])
    if nodes is None:
        return [[(page.listing, row) for row in page.rows or ()] for page in pages]
    return Lists(Edges(pages, nodes), [len(page.rows or ()) for page in pages])


def _resolve_total(page: Connection, _info: Info) -> int | Awaitable[int]:
    return page.total_once() if page.total is None else page.total


def _available_totals(pages: Sequence[Connection], *_: Any) -> list[int | None] | None:
    totals = [page.total for page in pages]
    return None if None in totals else totals


def _of_edges(pick: Callable[[Edge], Any], pick_all: Callable[[Edges], Sequence[Any]]) -> FieldPlan:
    def every(edges: Sequence[Edge], *_: Any) -> Sequence[Any]:
        return pick_all(edges) if isinstance(edges, Edges) else list(map(pick, edges))

    return FieldPlan(resolve=lambda edge, _info: pick(edge), bulk=every, available=every, is_open=everybody)


def _more(*, forwards: bool) -> FieldPlan:
    def resolve(page: Connection, _info: Info) -> bool | Awaitable[bool]:
        known = page.more_known(forwards=forwards)
        return page.has_more(forwards=forwards) if known is None else known

    def available(pages: Sequence[Connection], *_: Any) -> list[bool | None] | None:
        known = [page.more_known(forwards=forwards) for page in pages]
        return None if None in known else known

    return picked(resolve, available)


def _cursor_at(place: int) -> FieldPlan:
    def cursor(page: Connection) -> str | None:
        return page.listing.cursor(column_of(page.rows, "key")[place]) if page.rows else None

    async def later(page: Connection) -> str | None:
        await page.rows_once()
        return cursor(page)

    def resolve(page: Connection, _info: Info) -> str | Awaitable[str | None] | None:
        return later(page) if page.rows is None else cursor(page)

    def available(pages: Sequence[Connection], *_: Any) -> list[str | None] | None:
        return None if any(page.rows is None for page in pages) else list(map(cursor, pages))

    return picked(resolve, available)


page_info = PlannedType("PageInfo")
page_info.set_plan("hasNextPage", _more(forwards=True))
page_info.set_plan("hasPreviousPage", _more(forwards=False))
page_info.set_plan("startCursor", _cursor_at(0))
page_info.set_plan("endCursor", _cursor_at(-1))

bindables = [page_info]
