"""Connections as the schema has them: pages of pages, cursors of other lists, and the tier that answers."""

from collections import Counter
from typing import Any

import httpx
import pytest

from tests.app.resolvers.test_field_plan import executions
from tests.conftest import GraphQL

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
