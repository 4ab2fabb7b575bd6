"""Listings: what a page holds, and which cursors it takes, held against the plain meaning on a list in memory."""

import base64
import itertools
import json
from typing import Any

import pytest

from app.errors import InvalidCursor, InvalidPagination
from app.resolvers.customer.listing import Connection, Listing, Window

LARGEST = 100


class Keys(Listing):
    """A list of the rows of `keys`, read as the statements read theirs."""

    def __init__(self, keys: list[int], name: str, status: str | None, descending: bool) -> None:
        self.name = name
        self.bound = (status,)
        self.descending = descending
        self._keys = keys

    async def rows(self, *, filters: frozenset[str], **values: Any) -> list[Any]:
        above, below = values.get("above", 0), values.get("below", 2**31)
        assert filters == {name for name in ("above", "below") if name in values}
        found = sorted((key for key in self._keys if above < key < below), reverse=values["order"] == ("ID DESC",))
        return [{"key": key} for key in found[: values["limit"]]]

    async def count(self, *, filters: frozenset[str], **_values: Any) -> Any:
        assert not filters
        return {"total": len(self._keys)} if self._keys else None

    async def ends(self, *, filters: frozenset[str], **_values: Any) -> Any:
        assert not filters
        return {"lowest": min(self._keys), "highest": max(self._keys)} if self._keys else None


def listing(keys: list[int], *, descending: bool = False, name: str = "numbers", status: str | None = None) -> Listing:
    return Keys(keys, name, status, descending)


def connection(listing: Listing, **arguments: Any) -> Connection:
    return Connection(listing, Window.of(LARGEST, **arguments))


async def page(listing: Listing, **arguments: Any) -> tuple[list[int], bool, bool]:
    page = connection(listing, **arguments)
    keys = [row["key"] for row in await page.rows_once()]
    return keys, await page.has_more(forwards=False), await page.has_more(forwards=True)


@pytest.mark.parametrize("descending", [False, True])
async def test_page_is_what_its_arguments_mean(descending: bool) -> None:
    keys = [2, 3, 5, 7]
    numbers = listing(keys, descending=descending)
    ordered = sorted(keys, reverse=descending)
    # 4 is the key of a row that is gone.
    cursors = [None, *range(2, 9)]
    sizes = [{}, *({name: size} for name in ("first", "last") for size in (1, 2, 9))]
    for after, before, size in itertools.product(cursors, cursors, sizes):
        given = {name: numbers.cursor(key) for name, key in (("after", after), ("before", before)) if key is not None}
        beyond = [key for key in ordered if after is not None and (key >= after if descending else key <= after)]
        short = [key for key in ordered if before is not None and (key <= before if descending else key >= before)]
        window = [key for key in ordered if key not in beyond and key not in short]
        backwards = "last" in size or (not size and after is None and before is not None)
        count = next(iter(size.values()), 10)
        expected = window[-count:] if backwards else window[:count]
        more = len(window) > count

        found = await page(numbers, **given, **size)

        assert found == (
            expected,
            bool(beyond) or (more and backwards),
            bool(short) or (more and not backwards),
        ), (after, before, size)


async def test_empty_list_has_no_rows_and_no_other_pages() -> None:
    assert await page(listing([])) == ([], False, False)
    assert await connection(listing([])).total_once() == 0


async def test_page_is_ten_rows_without_arguments() -> None:
    keys, _previous, more = await page(listing(list(range(1, 30))))
    assert (keys, more) == (list(range(1, 11)), True)


async def test_rows_that_arrive_shift_nobodys_page() -> None:
    before = listing([10, 20, 30, 40], descending=True)
    after = listing([10, 20, 30, 40, 50, 60], descending=True)
    first, _previous, _more = await page(before, first=2)
    assert first == [40, 30]
    assert await page(after, first=2, after=before.cursor(30)) == ([20, 10], True, False)


@pytest.mark.parametrize("size", [0, -1, 101, 2**31 - 1])
@pytest.mark.parametrize("name", ["first", "last"])
def test_size_out_of_bounds_is_refused(name: str, size: int) -> None:
    with pytest.raises(InvalidPagination, match=f"{name} must be between 1 and 100"):
        Window.of(LARGEST, **{name: size})


def test_first_with_last_is_refused() -> None:
    with pytest.raises(InvalidPagination):
        Window.of(LARGEST, first=1, last=1)


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        *("", " ", "1", "?", "é", "x" * 10_000, "\ud800", encoded([]), encoded({}), encoded(7), encoded(None)),
        base64.b64encode(b"[" * 300).decode(),
        base64.b64encode(b"\xff\xff").decode(),
        *(encoded(["numbers", None, key]) for key in ("1", 1.0, True, None, 0, -1, 2**31, 10**40, [1])),
        encoded(["numbers", 1]),
        encoded(["numbers", None, None, 1]),
        base64.urlsafe_b64encode(b'["numbers", null, 1]').decode(),
        listing([1]).cursor(1) + "=",
        listing([1], name="others").cursor(1),
        listing([1], status="pending").cursor(1),
    ],
)
def test_cursor_that_the_list_has_not_given_out_is_refused(cursor: str) -> None:
    for name in ("after", "before"):
        with pytest.raises(InvalidCursor):
            connection(listing([1]), **{name: cursor})
