"""Lists that are paged forwards and backwards, and one page of such a list (C-20 to C-25).

Every list is in the order of one integer, the `key` of its rows, so a cursor is the key of its row, bound to the list
and the filter it was given out by. Rows that arrive or go meanwhile shift nobody's page.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from app.errors import InvalidCursor, InvalidPagination
from app.resolvers.cursor import compact, decode, encode
from app.resolvers.customer.identifier import LARGEST
from app.resolvers.once import once
from loaders.rows import Row

DEFAULT_SIZE = 10


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


class Listing(ABC):
    """A list that can be paged.

    `name` and `bound`, the values that choose its rows, tell its cursors from those of other lists. `rows` reads rows
    in an `order` up to a `limit`; `count` and `ends` read a row with `total`, or with `lowest` and `highest` key, or
    None where the list is empty. `filters` and `values` apply to all three.
    """

    name: str
    bound: tuple[int | str | None, ...]
    descending = False
    filters: frozenset[str] = frozenset()
    values: Mapping[str, Any] = MappingProxyType({})

    @abstractmethod
    def rows(self, *, filters: frozenset[str], **values: Any) -> Awaitable[Any]: ...

    @abstractmethod
    def count(self, *, filters: frozenset[str], **values: Any) -> Awaitable[Any]: ...

    @abstractmethod
    def ends(self, *, filters: frozenset[str], **values: Any) -> Awaitable[Any]: ...

    @cached_property
    def _head(self) -> str:
        return compact([self.name, *self.bound])[:-1]

    def cursor(self, key: int) -> str:
        return encode(f"{self._head},{key}]")

    def key_of(self, cursor: str) -> int:
        """Raises `InvalidCursor` for all that this list has not given out."""
        try:
            key = decode(cursor)[-1]
        except (ValueError, IndexError):
            raise InvalidCursor from None
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

    def take(self, found: Sequence[Row]) -> None:
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
        self.take(await listing.rows(filters=self.filters, order=self.order, limit=self.window.limit, **self.values))
        assert self.rows is not None  # noqa: S101  they are taken
        return self.rows

    async def _read_total(self) -> int:
        row = await self.listing.count(filters=self.listing.filters, **self.listing.values)
        self.total = row["total"] if row else 0
        return self.total

    async def _read_ends(self) -> None:
        row = await self.listing.ends(filters=self.listing.filters, **self.listing.values)
        self.ends = row or {"lowest": None, "highest": None}
