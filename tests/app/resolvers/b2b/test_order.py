from typing import Any

import asyncpg
import pytest

from app.postgres.database import Database
from tests.conftest import GraphQL

LIST = "query Orders($input: OrderSearchArguments) { orders(input: $input) { items { id } itemsFound } }"


async def ids(graphql: GraphQL, viewer: str = "staff", **input: Any) -> list[int]:
    answer = await graphql(LIST, {"input": {"offset": 100, **input}}, viewer=viewer)
    assert "errors" not in answer, answer["errors"]
    orders = answer["data"]["orders"]
    found = [order["id"] for order in orders["items"]]
    assert len(found) == min(100, orders["itemsFound"])
    return found


async def code(graphql: GraphQL, document: str, viewer: str = "staff", **variables: Any) -> str:
    answer = await graphql(document, variables, viewer=viewer)
    assert answer["data"] is None
    [error] = answer["errors"]
    found: str = error["extensions"]["code"]
    return found


@pytest.mark.parametrize("arguments", ["", '(orderId: 1, orderUUID: "829a48d4-22fe-49a2-ac70-501e533c9135")'])
async def test_order_takes_exactly_one_key(graphql: GraphQL, arguments: str) -> None:
    assert await code(graphql, f"{{ order{arguments} {{ id }} }}") == "VALIDATION_ERROR"


async def test_order_is_found_by_its_uuid(graphql: GraphQL) -> None:
    document = "query($key: String!) { order(orderUUID: $key) { id uuid } }"
    key = (await graphql("{ order(orderId: 2075) { uuid } }"))["data"]["order"]["uuid"]
    assert (await graphql(document, {"key": key}))["data"]["order"] == {"id": 2075, "uuid": key}


@pytest.mark.parametrize("arguments", ["orderId: 999", "orderId: -1", 'orderUUID: "no uuid"'])
async def test_order_of_no_such_key_is_not_found(graphql: GraphQL, arguments: str) -> None:
    assert await code(graphql, f"{{ order({arguments}) {{ id }} }}") == "ORDER_NOT_FOUND"


async def test_order_parts_hold_the_columns_of_the_order(graphql: GraphQL) -> None:
    answer = await graphql(
        """{ order(orderId: 1) {
          total { gross net tax discountType discountValue taxPercentages { percentage total } }
          postageData { method gross net tax taxPercentage partialDeliveryAllowed overruled warehouse { id } }
          paymentData { method gross net tax status overruled }
          orderStatus { code isPublic } items { quantity } addresses(type: delivery) { type isDefault active fax }
          orderAddresses { type icp gender }
        } }"""
    )
    order = answer["data"]["order"]
    assert order["total"] == {
        "gross": 150,
        "net": 150,
        "tax": 0,
        "discountType": "N",
        "discountValue": 0,
        "taxPercentages": order["total"]["taxPercentages"],
    }
    assert sum(entry["total"] for entry in order["total"]["taxPercentages"]) == 0
    assert order["postageData"]["method"] == "flatrate_flatrate"
    assert (order["postageData"]["gross"], order["postageData"]["warehouse"]) == (10, None)
    assert order["items"] == [{"quantity": 2}]
    assert [address["type"] for address in order["addresses"]] == ["delivery"]
    assert {address["type"] for address in order["orderAddresses"]} == {"delivery", "invoice"}


async def test_order_tax_percentages_add_up_to_the_tax(graphql: GraphQL) -> None:
    answer = await graphql(
        "{ orders(input: {offset: 100}) { items { id total { tax discountValue taxPercentages { total } } } } }"
    )
    for order in answer["data"]["orders"]["items"]:
        total = order["total"]
        assert sum(entry["total"] for entry in total["taxPercentages"]) == pytest.approx(total["tax"], abs=0.02), order


@pytest.mark.parametrize(
    ("input", "where"),
    [
        ({"status": ["CONFIRMED", "ARCHIVED"]}, "status IN ('CONFIRMED', 'ARCHIVED')"),
        ({"type": ["purchase"]}, "type = 'purchase'"),
        ({"companyIds": [2, 3]}, "company_id IN (2, 3)"),
        ({"userId": [4]}, "contact_id = 4 OR customer_id = 4"),
        ({"channelIds": [1]}, "channel_id = 1"),
        ({"price": {"equal": 150}}, "total_gross = 150"),
        ({"price": {"greaterThan": 99.99, "lessThan": 250.5}}, "total_gross BETWEEN 99.99 AND 250.5"),
        ({"createdAt": {"lessThan": "2025-11-03T13:20:00Z"}}, "created_at <= '2025-11-03T13:20:00Z'"),
        ({"exportStatuses": ["EMPTY"]}, "export_status = 'EMPTY'"),
        ({"term": "2075", "termFields": ["ID"]}, "id::text LIKE '%2075%'"),
        (
            {"term": "acz-18V", "termFields": ["ITEM_SKU"]},
            "id IN (SELECT order_id FROM order_items WHERE sku ILIKE 'acz-18v')",
        ),
        (
            {"term": "100%", "termFields": ["ITEM_NAME"]},
            "id IN (SELECT order_id FROM order_items WHERE name ~ '(^|[^0-9A-Za-z])100')",
        ),
        ({"term": "acz-18V", "termFields": ["REFERENCE"]}, "false"),
        ({"term": "ACZ-18V"}, "id IN (SELECT order_id FROM order_items WHERE sku = 'ACZ-18V')"),
    ],
    ids=str,
)
async def test_orders_filter_finds_exactly_its_rows(
    graphql: GraphQL, connection: asyncpg.Connection, input: dict[str, Any], where: str
) -> None:
    expected = await connection.fetch(f"SELECT id FROM orders WHERE {where} ORDER BY created_at DESC, id LIMIT 100")
    assert await ids(graphql, **input) == [row["id"] for row in expected]


async def test_orders_are_found_by_the_keys_of_other_systems(graphql: GraphQL, connection: asyncpg.Connection) -> None:
    row = await connection.fetchrow("SELECT order_id, id, name FROM order_sources LIMIT 1")
    company = await connection.fetchrow("SELECT company_id, id, name FROM company_sources LIMIT 1")
    assert row
    assert company
    assert row["order_id"] in await ids(graphql, sources=[{"id": row["id"]}])
    assert row["order_id"] in await ids(graphql, sources=[{"name": row["name"], "id": row["id"]}])
    assert await ids(graphql, sources=[{"name": row["name"], "id": "nobody's"}]) == []
    of_company = await connection.fetch("SELECT id FROM orders WHERE company_id = $1", company["company_id"])
    found = await ids(graphql, companySources=[{"id": company["id"], "name": company["name"]}])
    assert sorted(found) == sorted(order["id"] for order in of_company)


@pytest.mark.parametrize("field", ["ID", "LAST_MODIFIED_AT", "CREATED_AT", "STATUS", "TOTAL_GROSS", "VALID_UNTIL"])
async def test_orders_are_sorted_as_asked(graphql: GraphQL, connection: asyncpg.Connection, field: str) -> None:
    expected = await connection.fetch(f"SELECT id FROM orders ORDER BY {field.lower()} DESC, id LIMIT 100")
    assert await ids(graphql, sortInputs=[{"field": field, "order": "DESC"}]) == [row["id"] for row in expected]


async def test_orders_of_a_contact_are_those_of_its_company_and_the_daughters(graphql: GraphQL) -> None:
    assert set(await ids(graphql, "contact")) == {2075, 2076}
    assert set(await ids(graphql, "daughter")) == {2076}
    assert set(await ids(graphql, "outsider")) == {2077}


async def test_orders_of_a_status_that_is_not_public_are_hidden_from_contacts(
    graphql: GraphQL, connection: asyncpg.Connection
) -> None:
    hidden = await connection.fetchval("SELECT count(*) FROM orders WHERE status IN ('REQUEST', 'QUOTATION')")
    assert hidden == len(await ids(graphql, status=["REQUEST", "QUOTATION"]))


@pytest.mark.parametrize("input", [{"userId": [1]}, {"userId": [4, 5]}, {"companyIds": [4]}, {"companyIds": [2, 99]}])
async def test_orders_of_others_are_refused_to_a_contact(graphql: GraphQL, input: dict[str, Any]) -> None:
    assert await code(graphql, LIST, "contact", input=input) == "FORBIDDEN"


async def test_orders_of_its_own_keys_are_a_contacts_to_ask_for(graphql: GraphQL) -> None:
    assert await ids(graphql, "contact", companyIds=[3]) == [2076]
    assert 2075 in await ids(graphql, "contact", userId=[4])


@pytest.mark.parametrize(
    ("order_id", "expected"),
    [(2075, "PARTIALLY_SHIPPED"), (1, "UNFULFILLED")],
)
async def test_order_fulfillment_status_of_the_fixtures(graphql: GraphQL, order_id: int, expected: str) -> None:
    answer = await graphql("query($id: Int!) { order(orderId: $id) { fulfillmentStatus } }", {"id": order_id})
    assert answer["data"]["order"]["fulfillmentStatus"] == expected


async def test_order_item_quantities_count_what_is_shipped(graphql: GraphQL) -> None:
    answer = await graphql(
        "{ order(orderId: 2075) { items { id quantityShipped quantityDelivered quantityRemaining } } }"
    )
    assert answer["data"]["order"]["items"] == [
        {"id": 20151, "quantityShipped": 4, "quantityDelivered": 0, "quantityRemaining": 0},
        {"id": 20152, "quantityShipped": 2, "quantityDelivered": 0, "quantityRemaining": 0},
        {"id": 20153, "quantityShipped": 0, "quantityDelivered": 0, "quantityRemaining": 3},
        {"id": 20154, "quantityShipped": 0, "quantityDelivered": 0, "quantityRemaining": 3},
        {"id": 20155, "quantityShipped": 0, "quantityDelivered": 0, "quantityRemaining": 4},
    ]


NESTED = """
query Nested($size: Int!) {
  orders(input: {offset: $size, sortInputs: [{field: CREATED_AT}]}) {
    itemsFound
    items {
      fulfillmentStatus
      total { taxPercentages { total } }
      orderStatus { nextStatuses { itemsFound items { code } } }
      sources { id } addresses { city } orderAddresses { city }
      items { quantityShipped quantityDelivered product { names { value } } sources { id } }
      shipments { items { orderItem { name } } trackAndTraces { carrier { name } } sources { id } }
    }
  }
}
"""


async def test_orders_nested_document_costs_the_same_statements_whatever_the_page(
    graphql: GraphQL, db: Database
) -> None:
    costs = []
    for size in (12, 50, 100):
        before = db.statements
        answer = await graphql(NESTED, {"size": size})
        assert "errors" not in answer, answer["errors"]
        costs.append(db.statements - before)
    assert costs == [costs[-1]] * 3


async def test_order_has_exact_amounts_beside_the_floats(graphql: GraphQL) -> None:
    document = """{ order(orderId: 2075) {
      currencyRatio currencyRatioExact couponCode refunds { id }
      total {
        gross grossExact net netExact tax taxExact discountExact refundedExact
        grossMoney { amount currency minorUnits } netMoney { amount currency } taxMoney { amount }
        discountMoney { amount } refundedMoney { amount }
        baseGrossMoney { amount currency } baseNetMoney { amount } baseTaxMoney { amount } baseRefundedMoney { amount }
        taxPercentages { percentage percentageExact total totalExact }
      }
      postageData { grossExact netExact taxExact taxPercentageExact }
      paymentData { grossExact netExact taxExact taxPercentageExact }
    } }"""
    order = (await graphql(document))["data"]["order"]
    assert order["total"] == {
        "gross": 825.84,
        "grossExact": "825.84",
        "net": 999.28,
        "netExact": "999.28",
        "tax": 173.44,
        "taxExact": "173.44",
        "discountExact": "0.00",
        "refundedExact": "0.00",
        "grossMoney": {"amount": "825.84", "currency": "EUR", "minorUnits": 2},
        "netMoney": {"amount": "999.28", "currency": "EUR"},
        "taxMoney": {"amount": "173.44"},
        "discountMoney": {"amount": "0.00"},
        "refundedMoney": {"amount": "0.00"},
        "baseGrossMoney": {"amount": "897.65", "currency": "USD"},
        "baseNetMoney": {"amount": "1086.17"},
        "baseTaxMoney": {"amount": "188.52"},
        "baseRefundedMoney": {"amount": "0.00"},
        "taxPercentages": [{"percentage": 21, "percentageExact": "21", "total": 173.44, "totalExact": "173.44"}],
    }
    assert order["postageData"] == {
        "grossExact": "12.50",
        "netExact": "15.13",
        "taxExact": "2.63",
        "taxPercentageExact": "21",
    }
    assert order["paymentData"] == {
        "grossExact": "0.00",
        "netExact": "0.00",
        "taxExact": "0.00",
        "taxPercentageExact": "0",
    }
    assert (order["currencyRatio"], order["currencyRatioExact"], order["couponCode"]) == (0.92, "0.92", None)
    assert order["refunds"] == []


async def test_order_line_has_exact_amounts_beside_the_floats(graphql: GraphQL) -> None:
    document = """{ order(orderId: 2075) { items {
      originalPriceExact priceExact priceTotalExact priceNetExact priceTotalNetExact customerPriceExact costPriceExact
      discountExact taxExact taxPercentageExact refundedExact quantityRefunded
      priceMoney { amount currency minorUnits } priceTotalMoney { amount } priceTotalNetMoney { amount }
      taxMoney { amount }
    } } }"""
    line = (await graphql(document))["data"]["order"]["items"][0]
    assert line == {
        **dict.fromkeys(("originalPriceExact", "customerPriceExact", "costPriceExact", "discountExact")),
        "priceExact": "23.31",
        "priceTotalExact": "93.24",
        "priceNetExact": "28.21",
        "priceTotalNetExact": "112.82",
        "taxExact": "19.58",
        "taxPercentageExact": "21",
        "refundedExact": "0.00",
        "quantityRefunded": 0,
        "priceMoney": {"amount": "23.31", "currency": "EUR", "minorUnits": 2},
        "priceTotalMoney": {"amount": "93.24"},
        "priceTotalNetMoney": {"amount": "112.82"},
        "taxMoney": {"amount": "19.58"},
    }


async def test_exact_amounts_cost_no_statement_of_their_own(graphql: GraphQL, db: Database) -> None:
    """They come with the orders; and where nobody asks for them, nothing is read for them."""
    costs = []
    for fields in (
        "total { net }",
        "total { netExact refundedMoney { amount } baseNetMoney { amount } } items { priceExact priceMoney { amount } }"
        " refunds { amountExact items { amountExact } }",
    ):
        document = f"{{ orders {{ items {{ id {fields} }} }} }}"
        await graphql(document)
        before = db.statements
        await graphql(document)
        costs.append(db.statements - before)
    assert costs[0] == costs[1]
