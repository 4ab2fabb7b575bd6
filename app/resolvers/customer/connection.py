"""Connections: one way to page, forwards and backwards, for every list of the customer surface (C-20 to C-25).

Every list is in the order of one integer, the `key` of its rows, so a cursor is the key of its row, bound to the list
and the filter it was given out by. Rows that arrive or go meanwhile shift nobody's page.
"""

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from ariadne import ObjectType

from app.context import Context, Info
from app.errors import InvalidCursor, InvalidPagination
from app.resolvers.customer.identifier import LARGEST
from app.resolvers.once import once
from loaders.batch import Batch, Row

DEFAULT_SIZE = 10


class Read(Protocol):
    """Reads of one list, given filters of its file and their values."""

    def __call__(self, *, filters: frozenset[str], **values: Any) -> Awaitable[Any]: ...


@dataclass(frozen=True)
class Listing:
    """A list that can be paged.

    `name` and `bound`, the values that choose its rows, tell its cursors from those of other lists. `rows` reads rows
    in an `order` up to a `limit`; `count` and `ends` read a row with `total`, or with `lowest` and `highest` key, or
    None where the list is empty. `filters` and `values` apply to all three.
    """

    name: str
    bound: tuple[int | str | None, ...]
    rows: Read
    count: Read
    ends: Read
    descending: bool = False
    filters: frozenset[str] = frozenset()
    values: tuple[tuple[str, Any], ...] = ()

    def cursor(self, key: int) -> str:
        """base64url of compact JSON; opaque to clients."""
        text = json.dumps([self.name, *self.bound, key], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

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

    The page is the `first` rows after `after`, or the `last` ones before `before`; `before` alone means the rows just
    before it. Raises `InvalidPagination` and `InvalidCursor`.
    """

    def __init__(
        self,
        listing: Listing,
        largest: int,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> None:
        if first is not None and last is not None:
            raise InvalidPagination("first and last exclude each other.")
        for name, size in (("first", first), ("last", last)):
            if size is not None and not 1 <= size <= largest:
                raise InvalidPagination(f"{name} must be between 1 and {largest}.")
        self.listing = listing
        self._after = None if after is None else listing.key_of(after)
        self._before = None if before is None else listing.key_of(before)
        self._backwards = last is not None or (first is None and after is None and before is not None)
        self._size = first or last or DEFAULT_SIZE
        self._window = once(self._read_window)
        self._ends = once(self._read_ends)

    async def rows(self) -> list[Row]:
        rows, _more = await self._window()
        return rows

    async def count(self) -> int:
        row = await self.listing.count(filters=self.listing.filters, **dict(self.listing.values))
        total: int = row["total"] if row else 0
        return total

    async def has_next(self) -> bool:
        if not self._backwards and (await self._window())[1]:
            return True
        return self._before is not None and await self._reaches(self._before, forwards=True)

    async def has_previous(self) -> bool:
        if self._backwards and (await self._window())[1]:
            return True
        return self._after is not None and await self._reaches(self._after, forwards=False)

    async def _read_window(self) -> tuple[list[Row], bool]:
        """The page's rows, and whether there are more of them in the direction of paging."""
        listing = self.listing
        descending = listing.descending
        below, above = (self._after, self._before) if descending else (self._before, self._after)
        bounds = {name: key for name, key in (("above", above), ("below", below)) if key is not None}
        found = await listing.rows(
            filters=listing.filters | frozenset(bounds),
            order=("ID DESC" if descending != self._backwards else "ID ASC",),
            # One more tells whether there is a next page.
            limit=self._size + 1,
            **dict(listing.values),
            **bounds,
        )
        rows = list(found[: self._size])
        return rows[::-1] if self._backwards else rows, len(found) > self._size

    async def _read_ends(self) -> Row | None:
        row: Row | None = await self.listing.ends(filters=self.listing.filters, **dict(self.listing.values))
        return row

    async def _reaches(self, key: int, *, forwards: bool) -> bool:
        """Whether the list has a row at `key` or beyond it, in its direction or against it."""
        ends = await self._ends()
        if ends is None or ends["lowest"] is None:
            return False
        reaches: bool = ends["lowest"] <= key if forwards == self.listing.descending else ends["highest"] >= key
        return reaches


Rows = Callable[..., Batch]


def nested(
    context: Context,
    name: str,
    key: int | str,
    loader: Any,
    *,
    descending: bool = False,
    filters: frozenset[str] = frozenset(),
    **values: Any,
) -> Listing:
    """The listing of what hangs on `key`, gathered with those of its siblings that ask for the same page.

    `loader` is a module of `loaders` with `rows`, `count` and `ends`, each of which makes a batch.
    """

    def read(batch: Rows, **parameters: Any) -> Awaitable[Any]:
        return context.load(batch(**parameters), key)

    return Listing(
        name,
        (key, *values.values()),
        partial(read, loader.rows),
        partial(read, loader.count),
        partial(read, loader.ends),
        descending,
        filters,
        tuple(values.items()),
    )


def connection_types(name: str) -> tuple[ObjectType, ObjectType]:
    """The resolvers of `<name>Connection`, whose parent is a `Connection`, and of `<name>Edge`."""
    connection, edge = ObjectType(f"{name}Connection"), ObjectType(f"{name}Edge")

    @connection.field("edges")
    async def resolve_edges(page: Connection, _info: Info) -> list[tuple[Listing, Row]]:
        return [(page.listing, row) for row in await page.rows()]

    @connection.field("pageInfo")
    def resolve_page_info(page: Connection, _info: Info) -> Connection:
        return page

    @connection.field("totalCount")
    async def resolve_total_count(page: Connection, _info: Info) -> int:
        return await page.count()

    @edge.field("node")
    def resolve_node(edge: tuple[Listing, Row], _info: Info) -> Row:
        return edge[1]

    @edge.field("cursor")
    def resolve_cursor(edge: tuple[Listing, Row], _info: Info) -> str:
        listing, row = edge
        return listing.cursor(row["key"])

    return connection, edge


page_info = ObjectType("PageInfo")


@page_info.field("hasNextPage")
async def resolve_page_info_has_next_page(page: Connection, _info: Info) -> bool:
    return await page.has_next()


@page_info.field("hasPreviousPage")
async def resolve_page_info_has_previous_page(page: Connection, _info: Info) -> bool:
    return await page.has_previous()


@page_info.field("startCursor")
async def resolve_page_info_start_cursor(page: Connection, _info: Info) -> str | None:
    rows = await page.rows()
    return page.listing.cursor(rows[0]["key"]) if rows else None


@page_info.field("endCursor")
async def resolve_page_info_end_cursor(page: Connection, _info: Info) -> str | None:
    rows = await page.rows()
    return page.listing.cursor(rows[-1]["key"]) if rows else None


bindables = [page_info]
