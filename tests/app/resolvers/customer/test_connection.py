"""Connections: what a page holds, and which cursors it takes, held against the plain meaning on a list in memory."""

import base64
import itertools
import json
from collections import Counter
from typing import Any

import httpx
import pytest

from app.errors import InvalidCursor, InvalidPagination
from app.resolvers.customer.connection import Connection, Listing, Window
from tests.app.resolvers.test_field_plan import executions
from tests.conftest import GraphQL

LARGEST = 100


def listing(keys: list[int], *, descending: bool = False, name: str = "numbers", status: str | None = None) -> Listing:
    """A list of the rows of `keys`, read as the statements read theirs."""

    async def rows(
        *, filters: frozenset[str], order: tuple[str], limit: int, above: int = 0, below: int = 2**31
    ) -> list[Any]:
        assert filters == ({"above"} if above else set()) | ({"below"} if below < 2**31 else set())
        found = sorted((key for key in keys if above < key < below), reverse=order == ("ID DESC",))
        return [{"key": key} for key in found[:limit]]

    async def count(*, filters: frozenset[str]) -> Any:
        return {"total": len(keys)} if keys else None

    async def ends(*, filters: frozenset[str]) -> Any:
        return {"lowest": min(keys), "highest": max(keys)} if keys else None

    return Listing(name, (status,), rows, count, ends, descending)


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


LIST = "edges { cursor node { _id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
ORDERS = f"""
query($first: Int, $after: String, $last: Int, $before: String, $status: String) {{
  customerOrders(first: $first, after: $after, last: $last, before: $before, status: $status) {{ {LIST} totalCount }}
}}
"""


async def orders(graphql: GraphQL, **variables: Any) -> tuple[list[int], dict[str, Any]]:
    answer = await graphql(ORDERS, variables, viewer="john")
    assert "errors" not in answer, answer["errors"]
    found = answer["data"]["customerOrders"]
    assert found["pageInfo"]["startCursor"] == (found["edges"][0]["cursor"] if found["edges"] else None)
    assert found["pageInfo"]["endCursor"] == (found["edges"][-1]["cursor"] if found["edges"] else None)
    return [edge["node"]["_id"] for edge in found["edges"]], found["pageInfo"]


async def test_orders_are_paged_forwards_and_backwards(graphql: GraphQL) -> None:
    first, there = await orders(graphql, first=3)
    rest, end = await orders(graphql, first=3, after=there["endCursor"])
    last, _ = await orders(graphql, last=3)
    back, start = await orders(graphql, last=3, before=end["startCursor"])
    assert (first, rest, last, back) == ([4, 3, 2], [1], [3, 2, 1], [4, 3, 2])
    assert (there["hasPreviousPage"], there["hasNextPage"]) == (False, True)
    assert (end["hasPreviousPage"], end["hasNextPage"]) == (True, False)
    assert (start["hasPreviousPage"], start["hasNextPage"]) == (False, True)


async def test_nested_lists_page_by_their_own_cursors(graphql: GraphQL) -> None:
    for document, path in (
        (
            f'query($after: String) {{ customerOrder(id: "4") {{ items(first: 1, after: $after) {{ {LIST} }} }} }}',
            "items",
        ),
        (
            f'query($after: String) {{ customerOrder(id: "3") {{ addresses(first: 1, after: $after) {{ {LIST} }} }} }}',
            "addresses",
        ),
    ):
        one = (await graphql(document, viewer="john"))["data"]["customerOrder"][path]
        two = (await graphql(document, {"after": one["pageInfo"]["endCursor"]}, viewer="john"))["data"][
            "customerOrder"
        ][path]
        assert int(one["edges"][0]["node"]["_id"]) < int(two["edges"][0]["node"]["_id"])
        assert (one["pageInfo"]["hasNextPage"], one["pageInfo"]["hasPreviousPage"]) == (True, False)
        assert (two["pageInfo"]["hasNextPage"], two["pageInfo"]["hasPreviousPage"]) == (False, True)


async def test_cursor_of_another_list_filter_or_parent_is_refused(graphql: GraphQL) -> None:
    _, all_orders = await orders(graphql, first=1)
    _, pending = await orders(graphql, first=1, status="pending")
    nested = await graphql('{ customerOrder(id: "3") { items { pageInfo { endCursor } } } }', viewer="john")
    item = nested["data"]["customerOrder"]["items"]["pageInfo"]["endCursor"]
    for variables in (
        {"after": all_orders["endCursor"], "status": "pending"},
        {"after": pending["endCursor"]},
        {"before": item},
        {"after": "MTA="},
    ):
        answer = await graphql(ORDERS, variables, viewer="john")
        assert answer["data"] == {"customerOrders": None}
        assert answer["errors"][0]["extensions"] == {"code": "INVALID_CURSOR"}

    document = 'query($after: String) { customerOrder(id: "4") { _id items(after: $after) { totalCount } } }'
    answer = await graphql(document, {"after": item}, viewer="john")
    assert answer["data"] == {"customerOrder": {"_id": 4, "items": None}}
    assert answer["errors"][0]["path"] == ["customerOrder", "items"]


@pytest.mark.parametrize("variables", [{"first": 0}, {"last": 101}, {"first": 1, "last": 1}])
async def test_page_that_cannot_be_is_an_error_of_its_field(graphql: GraphQL, variables: dict[str, int]) -> None:
    answer = await graphql(ORDERS, variables, viewer="john")
    assert answer["data"] == {"customerOrders": None}
    [error] = answer["errors"]
    assert (error["path"], error["extensions"]) == (["customerOrders"], {"code": "invalid-pagination"})


@pytest.mark.parametrize(
    ("selection", "tier"),
    [
        (
            "customerOrders(first: 3) { totalCount pageInfo { hasNextPage hasPreviousPage } edges { cursor node { _id"
            " items { totalCount edges { node { _id } } } shipments { edges { node { items { totalCount } } } } } } }",
            "synchronous",
        ),
        ("customerOrders { totalCount }", "synchronous"),
        ('customerOrder(id: "1") { items(first: 1) { edges { node { _id } } } }', "synchronous"),
        ('customerOrder(id: "1") { _id grandTotal }', "generated"),
        ('customerOrder(id: "1") { items(first: 0) { totalCount } }', "replay"),
    ],
)
async def test_each_page_is_answered_by_the_fastest_tier_that_can(
    client: httpx.AsyncClient, graphql: GraphQL, selection: str, tier: str
) -> None:
    before = await executions(client)
    await graphql(f"{{ {selection} }}", viewer="john")
    assert await executions(client) - before == Counter({tier: 1})
