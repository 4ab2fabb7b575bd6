"""Fields that are rows of a loader, fetched ahead by the root: the answer is the one without looking ahead."""

import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.errors import Forbidden
from app.postgres.database import Database
from app.resolvers.field_plan import WITH_PARENT, Access, relation
from loaders.order_item import order_item_by_id
from tests.conftest import GraphQL, calling, credentials, running, settings_for

DOCUMENTS = [
    # The same rows with other columns, by another root field, by an alias, and further down.
    "{ a: order(orderId: 2075) { shipments { id } } b: order(orderId: 2075) { shipments { id status } } }",
    "{ order(orderId: 2075) { a: shipments { status } b: shipments { id items { sku } } } orders { items { id } } }",
    "{ orders { items { id shipments { id } } } order(orderId: 2075) { id shipments { status items { name } } } }",
    "{ carriers { items { id trackAndTraces { id carrier { trackAndTraces { code carrier { name } } } } } } }",
    # Lists of one name with other pages, filters and sorts.
    """{ a: shipments(input: {page: 1, offset: 2}) { itemsFound items { id } }
         b: shipments(input: {page: 2, offset: 3, statuses: [DELIVERED]}) { pages items { status items { name } } }
         c: shipments(input: {sortInputs: [{field: STATUS, order: ASC}]}) { start end } }""",
    "{ shipments { a: items { id } b: items { status trackAndTraces { code } } itemsFound } }",
    "{ shipments { start end page offset } orders { itemsFound } }",
    "{ orders(input: {page: 1000}) { itemsFound items { id items { id } } } }",
    # Parts of the own row, and what is read off it by a resolver of its own.
    "{ orders { items { total { gross taxPercentages { percentage } } postageData { gross } fulfillmentStatus } } }",
    "{ orders { items { total { __typename taxPercentages { total } } } } }",
    "{ shipments { items { trackAndTraces { trackingUrl } } } }",
    "{ shipments { items { items { orderItem { quantityRemaining product { names { value } } } } } } }",
    # What the viewer may not ask for is an error beside what it may.
    "{ orders { items { id shipments { id } orderStatus { code } } } }",
]


README_QUERY = """{ order(orderId: 2075) {
  status fulfillmentStatus
  shipments {
    status expectedDeliveryAt
    items { name quantity orderItem { quantity quantityRemaining } }
    trackAndTraces { code trackingUrl carrier { name } }
  }
} }"""


@pytest.fixture
async def plain(demo_dsn: str) -> AsyncIterator[httpx.AsyncClient]:
    """A service that never looks ahead."""
    async with (
        running(settings_for(demo_dsn, executor="reference")) as app,
        calling(app) as client,
    ):
        yield client


@pytest.mark.parametrize("viewer", ["staff", "contact", "northwind", "read-only"])
async def test_looking_ahead_changes_no_answer(
    demo_dsn: str, graphql: GraphQL, plain: httpx.AsyncClient, viewer: str
) -> None:
    headers = credentials(viewer, settings_for(demo_dsn))
    for document in DOCUMENTS:
        answer = await graphql(document, viewer=viewer)
        other = (await plain.post("/graphql", json={"query": document}, headers=headers)).json()
        if answer.get("data", True) is None:  # which of two root fields fails first, the database's answers decide
            for each in (answer, other):
                for error in each["errors"]:
                    del error["path"], error["locations"]
        assert answer == other, document
        codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
        assert "INTERNAL_SERVER_ERROR" not in codes, document


async def test_an_error_costs_no_further_statement(graphql: GraphQL, db: Database) -> None:
    document = """{ orders { items { id items { sku } shipments { items { name orderItem { sku } } } } }
                    customerOrder(id: "1") { id } }"""
    await graphql(document)
    before = db.statements
    answer = await graphql(document)
    assert [error["path"] for error in answer["errors"]] == [["customerOrder"]]
    assert answer["data"]["orders"]["items"][0]["items"]
    assert db.statements - before == 1


@pytest.mark.parametrize(
    ("document", "statements"),
    [
        ("{ shipments { itemsFound items { id items { name orderItem { sku } } trackAndTraces { code } } } }", 1),
        ("{ order(orderId: 2075) { shipments { items { name } sources { id } } items { sku } } }", 1),
        ("{ shipments { itemsFound } }", 1),
        ("{ orders { items { fulfillmentStatus shipments { id } } } }", 1),
        ("{ orders { items { items { quantityShipped quantityDelivered quantityRemaining } } } }", 1),
        ("{ shipments { itemsFound items { id } } orders { items { id items { id } } } }", 2),
        # The second asks for more columns of rows that came with the first: each fetches its own.
        ("{ a: order(orderId: 2075) { items { id } } b: order(orderId: 2075) { items { id sku } } }", 2),
    ],
)
async def test_what_hangs_on_the_rows_comes_with_them(
    graphql: GraphQL, db: Database, document: str, statements: int
) -> None:
    for _ in range(2):  # from then on the document is remembered, and has statements of its own
        await graphql(document)
    before = db.statements
    answer: dict[str, Any] = await graphql(document)
    assert "errors" not in answer
    assert db.statements - before == statements


@pytest.mark.parametrize(
    ("document", "tier"),
    [
        (README_QUERY, "generated"),
        ("{ shipments { itemsFound page items { id items { name } trackAndTraces { trackingUrl } } } }", "generated"),
        ("{ shipments { page start } }", "synchronous"),
        ("{ order(orderId: 2075) { addresses { city } } }", "layered"),
        ("{ order(orderId: 2075) { id } orderAddress(id: 0, orderId: 1) { city } }", "replay"),
        ("{ __schema { description } }", "graphql-core"),
    ],
)
async def test_each_document_runs_by_the_fastest_tier_that_can(
    client: httpx.AsyncClient, graphql: GraphQL, document: str, tier: str
) -> None:
    await graphql(document)  # what is cached is read
    before = await executions(client)
    await graphql(document)
    assert await executions(client) - before == Counter({tier: 1})


async def executions(client: httpx.AsyncClient) -> Counter[str]:
    text = (await client.get("/metrics")).text
    found = re.findall(r'^waybill_executions_total\{by="([^"]+)"\} (\d+)', text, re.MULTILINE)
    return Counter({by: int(count) for by, count in found})


async def test_who_sees_a_relation_has_to_be_said() -> None:
    with pytest.raises(TypeError, match="access"):
        relation(order_item_by_id, "order_item_id")


class Viewer:
    """The part of a context that is asked who may have a relation."""

    def __init__(self, *permissions: str) -> None:
        self.permissions = permissions

    def may(self, permission: str) -> bool:
        return permission in self.permissions

    def require(self, permission: str) -> None:
        raise Forbidden(permission)


@pytest.mark.parametrize("or_empty", [True, False])
def test_resolvers_and_plans_ask_the_same(or_empty: bool) -> None:
    access: Any = Access("orders:read", or_empty)
    plan = relation(order_item_by_id, "order_item_id", access)
    assert plan.is_open(Viewer("orders:read"))
    assert not access.withholds(Viewer("orders:read"))
    assert not plan.is_open(Viewer())
    if or_empty:
        assert access.withholds(Viewer())
    else:
        with pytest.raises(Forbidden):
            access.withholds(Viewer())
    assert relation(order_item_by_id, "order_item_id", WITH_PARENT).is_open(Viewer())
