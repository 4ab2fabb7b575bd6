"""The public examples of the contract, each answer compared exactly as `examples/index.json` says."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import GraphQL

EXAMPLES = Path(__file__).parent / "examples"
INDEX = json.loads((EXAMPLES / "index.json").read_text("utf-8"))


def _named(surface: str) -> list[Any]:
    return [
        pytest.param(entry, id=entry["name"]) for entry in INDEX if entry["surface"] == surface and entry["response"]
    ]


def _read(name: str, part: str) -> Any:
    return json.loads((EXAMPLES / f"{name}.{part}.json").read_text("utf-8"))


def _without(value: Any, path: str) -> None:
    """Takes the member at `path`, such as `data.order.items[0].name`, out of `value`."""
    *parents, last = path.replace("[", ".").replace("]", "").split(".")
    for step in parents:
        value = value[int(step)] if step.isdigit() else value[step]
    del value[last]


@pytest.mark.parametrize("entry", _named("b2b"))
@pytest.mark.parametrize("viewer", ["staff", "partner", "contact", "apikey"])
async def test_b2b_example_is_answered_exactly(entry: dict[str, Any], viewer: str, graphql: GraphQL) -> None:
    request, expected = _read(entry["name"], "request"), _read(entry["name"], "response")

    answer = await graphql(viewer=viewer, path="/v2/graphql", **request)

    for path in entry.get("ignore", []):
        _without(answer, path)
        _without(expected, path)
    assert answer == expected


@pytest.mark.parametrize("entry", _named("customer"))
@pytest.mark.parametrize("path", ["/graphql", "/api/graphql"])
async def test_customer_example_is_answered_exactly(entry: dict[str, Any], path: str, graphql: GraphQL) -> None:
    request, expected = _read(entry["name"], "request"), _read(entry["name"], "response")
    viewer = "john" if "token of John Doe" in entry["auth"] else "stranger"

    answer = await graphql(viewer=viewer, path=path, **request)

    if "compare" in entry:
        # The seed shows the error alone, and of it what it fixes.
        assert set(answer["data"].values()) == {None}
        answer = {
            "errors": [{key: error[key] for key in ("message", "locations", "path")} for error in answer["errors"]]
        }
    assert answer == expected


@pytest.mark.parametrize("kind", json.loads((EXAMPLES / "013-order-item-additional.values.json").read_text("utf-8")))
async def test_additional_of_a_line_holds_what_was_chosen(kind: str, graphql: GraphQL) -> None:
    value = _read("013-order-item-additional", "values")[kind]
    document = "{ customerOrders { edges { node { _id items { edges { node { additional } } } } } } }"

    orders = (await graphql(document, viewer="john"))["data"]["customerOrders"]["edges"]

    found = [
        order["node"]["_id"]
        for order in orders
        for item in order["node"]["items"]["edges"]
        if json.loads(item["node"]["additional"] or "null") == value
    ]
    assert len(found) == 1
    assert found[0] not in (1, 3)


async def test_in_transit_shipments_are_all_and_only_those_under_way(graphql: GraphQL) -> None:
    request = _read("004-in-transit-shipments", "request")

    answer = await graphql(viewer="staff", **request)

    shipments = answer["data"]["shipments"]
    assert {shipment["status"] for shipment in shipments["items"]} == {"IN_TRANSIT", "OUT_FOR_DELIVERY"}
    assert len(shipments["items"]) == min(20, shipments["itemsFound"])
    assert 3 in [shipment["orderId"] for shipment in await _all_items(graphql, request, shipments["pages"])]


async def _all_items(graphql: GraphQL, request: dict[str, Any], pages: int) -> list[dict[str, Any]]:
    items = []
    for page in range(1, pages + 1):
        variables = {"input": {**request["variables"]["input"], "page": page}}
        answer = await graphql(viewer="staff", **{**request, "variables": variables})
        items += answer["data"]["shipments"]["items"]
    return items
