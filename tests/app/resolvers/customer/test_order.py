"""Orders on the customer surface, with their lines and addresses."""

import json
from typing import Any

import asyncpg
import pytest

from app.postgres.database import Database
from tests.conftest import GraphQL, calling, credentials, running, settings_for

ORDER = "query($id: ID!) { customerOrder(id: $id) { id _id } }"


async def customer_order(graphql: GraphQL, selection: str, id: str = "1", viewer: str = "john") -> Any:
    answer = await graphql(f"query($id: ID!) {{ customerOrder(id: $id) {{ {selection} }} }}", {"id": id}, viewer=viewer)
    assert "errors" not in answer, answer["errors"]
    return answer["data"]["customerOrder"]


async def refusal(graphql: GraphQL, document: str, viewer: str | None = "john", **variables: Any) -> dict[str, Any]:
    answer = await graphql(document, variables, viewer=viewer)
    assert set(answer["data"].values()) == {None}
    [error] = answer["errors"]
    return error


@pytest.mark.parametrize("id", ["1", "/api/shop/customer-orders/1"])
async def test_order_is_found_by_iri_and_by_number(graphql: GraphQL, id: str) -> None:
    assert await customer_order(graphql, "id _id", id) == {"id": "/api/shop/customer-orders/1", "_id": 1}


@pytest.mark.parametrize("number", ["0", "999", "5", "2075", "2147483648", "9" * 40])
async def test_order_that_is_not_the_customers_is_not_found(graphql: GraphQL, number: str) -> None:
    for key in (number, f"/api/shop/customer-orders/{number}"):
        error = await refusal(graphql, ORDER, id=key)
        assert error["message"] == f'Customer order with ID "{number}" not found.'
        assert error["path"] == ["customerOrder"]
        assert error["extensions"] == {"code": "NOT_FOUND"}


@pytest.mark.parametrize(
    "id",
    [
        "-1",
        "x",
        "1.5",
        "1 ",
        "1\n",
        "٣",
        "/api/shop/shipments/1",
        "/api/shop/customer-orders/",
        "1/api/shop/1",
        "9" * 101,
    ],
)
async def test_order_of_what_is_no_id_is_refused(graphql: GraphQL, id: str) -> None:
    error = await refusal(graphql, ORDER, id=id)
    assert error["message"] == (
        'Invalid ID format. Expected IRI format like "/api/shop/customer-orders/1" or numeric ID'
    )
    assert error["extensions"] == {"code": "INVALID_ORDER_ID"}


@pytest.mark.parametrize("id", ["", " "])
async def test_order_of_an_empty_id_is_refused(graphql: GraphQL, id: str) -> None:
    error = await refusal(graphql, ORDER, id=id)
    assert error["message"] == "Customer order ID is required"
    assert error["extensions"] == {"code": "MISSING_ID"}


@pytest.mark.parametrize(
    "document", ['{ customerOrder(id: "1") { id } }', "{ customerOrders(first: 0) { totalCount } }"]
)
async def test_orders_are_for_customers_who_are_logged_in(graphql: GraphQL, document: str) -> None:
    error = await refusal(graphql, document, "stranger")
    assert error["message"] == "Customer is not logged in."
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_orders_are_the_customers_own_newest_first(graphql: GraphQL) -> None:
    answer = await graphql("{ customerOrders { edges { node { _id } } totalCount } }", viewer="john")
    assert [edge["node"]["_id"] for edge in answer["data"]["customerOrders"]["edges"]] == [4, 3, 2, 1]
    assert answer["data"]["customerOrders"]["totalCount"] == 4


@pytest.mark.parametrize(
    ("status", "numbers"), [("pending", [1]), ("processing", [4, 3, 2]), ("CONFIRMED", []), ("", []), ("canceled", [])]
)
async def test_orders_are_filtered_by_the_customers_word(graphql: GraphQL, status: str, numbers: list[int]) -> None:
    document = "query($status: String) { customerOrders(status: $status) { edges { node { _id status } } totalCount } }"
    found = (await graphql(document, {"status": status}, viewer="john"))["data"]["customerOrders"]
    assert [edge["node"] for edge in found["edges"]] == [{"_id": number, "status": status} for number in numbers]
    assert found["totalCount"] == len(numbers)


async def _write(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


async def _own_database(dsn: str, statement: str, document: str) -> Any:
    """The answer to John from a database that `statement` changed."""
    await _write(dsn, statement)
    settings = settings_for(dsn)
    async with (
        running(settings) as app,
        calling(app) as client,
    ):
        answer = await client.post("/graphql", json={"query": document}, headers=credentials("john", settings))
    return answer.json()


async def test_order_whose_status_is_not_public_does_not_exist(demo_copy_dsn: str) -> None:
    answer = await _own_database(
        demo_copy_dsn,
        "UPDATE orders SET status = 'QUOTATION' WHERE id = 3",
        '{ customerOrder(id: "3") { id } customerOrderShipment(id: "1") { id } customerOrders { totalCount } }',
    )
    assert answer["data"] == {"customerOrder": None, "customerOrderShipment": None, "customerOrders": {"totalCount": 3}}


async def test_base_amounts_are_in_the_channels_currency_rounded_half_up(demo_copy_dsn: str) -> None:
    answer = await _own_database(
        demo_copy_dsn,
        "UPDATE orders SET currency = 'EUR', currency_ratio = 0.8, discount_amount = 0.02 WHERE id = 1",
        '{ customerOrder(id: "1") { grandTotal baseGrandTotal baseDiscountAmount orderCurrencyCode baseCurrencyCode'
        " items { edges { node { price basePrice baseTotal } } } } }",
    )
    [edge] = answer["data"]["customerOrder"].pop("items")["edges"]
    assert answer["data"]["customerOrder"] == {
        "grandTotal": 150.0,
        "baseGrandTotal": 187.5,
        # 0.02 / 0.8 = 0.025
        "baseDiscountAmount": 0.03,
        "orderCurrencyCode": "EUR",
        "baseCurrencyCode": "USD",
    }
    assert edge["node"] == {"price": 70.0, "basePrice": 87.5, "baseTotal": 175.0}


async def test_order_without_an_increment_id_bears_its_number(demo_copy_dsn: str) -> None:
    answer = await _own_database(
        demo_copy_dsn,
        "UPDATE orders SET increment_id = NULL WHERE id = 1",
        '{ customerOrder(id: "1") { incrementId } }',
    )
    assert answer["data"]["customerOrder"]["incrementId"] == "1"


async def test_parts_of_a_bundle_are_no_lines(demo_copy_dsn: str) -> None:
    answer = await _own_database(
        demo_copy_dsn,
        "UPDATE order_items SET parent_order_item_id = 4 WHERE id = 5",
        '{ customerOrder(id: "4") { totalItemCount totalQtyOrdered items { edges { node { _id } } totalCount } } }',
    )
    assert answer["data"]["customerOrder"] == {
        "totalItemCount": 1,
        "totalQtyOrdered": 1,
        "items": {"edges": [{"node": {"_id": 4}}], "totalCount": 1},
    }


# Order 3 gets a pack of 2 that costs nothing itself: its parts do. A service and a deposit hang on it.
PRICED_PACK = """
INSERT INTO order_items (
  id, order_id, channel_id, sku, name, quantity, class, parent_order_item_id, price, price_net, price_total,
  price_total_net, tax, tax_percentage, quantity_canceled, quantity_refunded)
SELECT w.id, 3, o.channel_id, w.name, w.name, w.quantity, w.class, w.parent, w.price, w.net / w.quantity,
  w.price * w.quantity, w.net, w.net - w.price * w.quantity, w.percentage, w.canceled, w.refunded
FROM orders o, (VALUES
  (901, 'Pack', 2, 'product', NULL, 0, 0, 0, 0, 0), (902, 'Bed', 2, 'product', 901, 30, 72.60, 21, 1, 2),
  (903, 'Box', 2, 'product', 901, 0, 0, 0, 0, 0), (904, 'Screw', 4, 'product', 903, 0.50, 2.18, 9, 3, 2),
  (905, 'Gift', 1, 'incentive', 901, 0, 0, 0, 0, 0), (906, 'Assembly', 1, 'service', 901, 7, 8.47, 21, 0, 0),
  (907, 'Crate', 2, 'deposit', 901, 1, 2.00, 0, 0, 0)
) AS w (id, name, quantity, class, parent, price, net, percentage, canceled, refunded)
WHERE o.id = 3
ORDER BY w.id;
"""


async def test_bundle_costs_what_its_parts_cost_and_charges_are_lines(
    demo_copy_dsn: str, copy_connection: asyncpg.Connection
) -> None:
    """What is canceled and paid back is in whole packs: one of the two, as far as the screws go."""
    before = await copy_connection.fetchval("SELECT sum(price_total_net) FROM order_items WHERE order_id = 3")
    await copy_connection.execute(PRICED_PACK)
    settings = settings_for(demo_copy_dsn)
    document = """
      { customerOrder(id: "3") {
          totalItemCount
          items { totalCount edges { node {
            name qtyOrdered qtyCanceled qtyRefunded price total priceExact totalExact taxPercentExact taxAmountExact
            totalMoney { amount }
          } } }
      } }
    """
    async with running(settings) as app, calling(app) as client:
        headers = credentials("john", settings)
        answer = (await client.post("/graphql", json={"query": document}, headers=headers)).json()
        order = (await client.get("/api/shop/customer-orders/3", headers=headers)).json()
    told = answer["data"]["customerOrder"]
    lines = {edge["node"]["name"]: edge["node"] for edge in told["items"]["edges"]}
    assert set(lines) > {"Pack", "Assembly", "Crate"}
    assert not lines.keys() & {"Bed", "Box", "Screw", "Gift"}
    assert told["totalItemCount"] == told["items"]["totalCount"] == len(lines)
    assert lines["Pack"] == {
        "name": "Pack",
        "qtyOrdered": 2,
        "qtyCanceled": 1,
        "qtyRefunded": 1,
        "price": 31.0,
        "total": 62.0,
        "priceExact": "31.00",
        "totalExact": "62.00",
        "taxPercentExact": "20.61",
        "taxAmountExact": "12.78",
        "totalMoney": {"amount": "62.00"},
    }
    assert (lines["Assembly"]["total"], lines["Crate"]["total"]) == (7.0, 2.0)
    items = {item["name"]: item for item in order["items"]}
    assert set(items) == set(lines)
    pack = items["Pack"]
    assert (pack["total"], pack["totalInclTax"], pack["priceInclTax"], pack["taxAmount"]) == (62.0, 74.78, 37.39, 12.78)
    assert (pack["qtyCanceled"], pack["qtyRefunded"]) == (1, 1)
    assert order["subTotalInclTax"] == float(before) + 72.60 + 2.18 + 8.47 + 2.00
    assert sum(item["totalInclTax"] for item in order["items"]) == pytest.approx(order["subTotalInclTax"])


@pytest.mark.parametrize(("status", "shipped"), [("IN_TRANSIT", 2), ("CREATED", 2), ("CANCELED", 0)])
async def test_cancelled_shipments_do_not_count_as_shipped(demo_copy_dsn: str, status: str, shipped: int) -> None:
    answer = await _own_database(
        demo_copy_dsn,
        "ALTER TABLE shipments DISABLE TRIGGER shipments_status_follows;"  # no step leads to all of them
        f"UPDATE shipments SET status = '{status}' WHERE number = 1",
        '{ customerOrder(id: "3") { items { edges { node { qtyOrdered qtyShipped } } } } }',
    )
    [edge] = answer["data"]["customerOrder"]["items"]["edges"]
    assert edge["node"] == {"qtyOrdered": 2, "qtyShipped": shipped}


async def test_addresses_are_told_in_the_customers_words(graphql: GraphQL) -> None:
    order = await customer_order(
        graphql,
        "addresses { totalCount edges { node { id _id addressType customerId orderId name address city state postcode"
        " country gender parentAddressId useForShipping defaultAddress createdAt } } }",
    )
    assert order["addresses"]["totalCount"] == 2
    billing, shipping = (edge["node"] for edge in order["addresses"]["edges"])
    assert [billing["addressType"], shipping["addressType"]] == ["billing", "shipping"]
    assert billing["id"] == f"/api/shop/customer-order-addresses/{billing['_id']}"
    assert isinstance(billing["_id"], str)
    assert {key: value for key, value in billing.items() if key not in ("id", "_id", "addressType")} == {
        "customerId": "1",
        "orderId": "1",
        "name": "John Doe",
        "address": "Maple Street 12",
        "city": "Springfield",
        "state": "IL",
        "postcode": "62704",
        "country": "US",
        "gender": "M",
        "parentAddressId": None,
        "useForShipping": False,
        "defaultAddress": False,
        "createdAt": "2025-01-15T10:30:00+00:00",
    }


async def test_addresses_of_other_kinds_are_left_out(demo_copy_dsn: str) -> None:
    answer = await _own_database(
        demo_copy_dsn,
        "UPDATE order_addresses SET type = 'home' WHERE type = 'delivery'",
        '{ customerOrder(id: "1") { addresses { totalCount edges { node { addressType useForShipping } } } } }',
    )
    assert answer["data"]["customerOrder"]["addresses"] == {
        "totalCount": 1,
        "edges": [{"node": {"addressType": "billing", "useForShipping": True}}],
    }


async def test_additional_is_a_text_of_json(graphql: GraphQL) -> None:
    order = await customer_order(graphql, "items { edges { node { additional } } }", "2")
    [edge] = order["items"]["edges"]
    assert json.loads(edge["node"]["additional"])["product_id"] == "22"


@pytest.mark.parametrize("first", [2, 4])
async def test_a_page_with_all_that_hangs_on_it_costs_the_same_whatever_its_size(
    graphql: GraphQL, db: Database, first: int
) -> None:
    document = """
      query($first: Int) {
        customerOrders(first: $first) {
          totalCount
          pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
          edges { cursor node {
            _id
            items { totalCount pageInfo { hasNextPage hasPreviousPage } edges { node { _id } } }
            addresses { totalCount edges { node { _id } } }
            shipments { totalCount edges { node {
              _id
              items { totalCount edges { node { _id } } }
              shippingAddress { _id }
              billingAddress { _id }
            } } }
          } }
        }
      }
    """
    nothing = await _cost_of(graphql, db, "{ customerOrders { __typename } }")
    assert await _cost_of(graphql, db, document, first=first) - nothing == 1


EVERYTHING_OF_SHIPMENT = """
  _id
  items { totalCount pageInfo { hasPreviousPage } edges { node { _id } } }
  shippingAddress { _id }
  billingAddress { _id }
"""
EVERYTHING = f"""
  _id
  items {{ totalCount pageInfo {{ hasNextPage endCursor }} edges {{ cursor node {{ _id qtyShipped }} }} }}
  addresses {{ totalCount edges {{ node {{ _id city }} }} }}
  shipments {{ totalCount edges {{ cursor node {{ {EVERYTHING_OF_SHIPMENT} }} }} }}
"""


@pytest.mark.parametrize(
    ("document", "statements"),
    [
        (f'{{ customerOrder(id: "3") {{ {EVERYTHING} }} }}', 1),
        (
            '{ customerOrder(id: "4") { items(last: 1) { totalCount edges { node { _id } } } } }',
            1,
        ),
        # Pages of one list with other sizes come side by side.
        ('{ customerOrder(id: "4") { a: items(first: 1) { edges { cursor } } items { edges { cursor } } } }', 1),
        (
            f"{{ customerOrderShipments(orderId: 3) {{ edges {{ node {{ {EVERYTHING_OF_SHIPMENT} }} }} }} }}",
            1,
        ),
        # Where there is none, the order has to be found.
        ("{ customerOrderShipments(orderId: 4) { totalCount edges { cursor } } }", 2),
        (f'{{ customerOrderShipment(id: "1") {{ {EVERYTHING_OF_SHIPMENT} }} }}', 1),
    ],
)
async def test_what_hangs_on_a_row_comes_with_it(
    graphql: GraphQL, db: Database, document: str, statements: int
) -> None:
    nothing = await _cost_of(graphql, db, "{ customerOrders { __typename } }")
    assert await _cost_of(graphql, db, document) - nothing == statements


async def test_pages_of_all_sizes_and_pairs_of_them_come_with_their_orders(graphql: GraphQL, db: Database) -> None:
    """More of them than a plan keeps trees for; one that cannot be is refused, and its neighbour comes all the same."""
    document = """
      query($items: Int, $addresses: Int) {
        customerOrders {
          edges { node { items(first: $items) { edges { node { _id } } } addresses(last: $addresses) { totalCount } } }
        }
      }
    """
    nothing = await _cost_of(graphql, db, "{ customerOrders { __typename } }")
    for size in range(1, 20):
        assert await _cost_of(graphql, db, document, items=size, addresses=101 - size) - nothing == 1

    before = db.statements
    answer = await graphql(document, {"items": 0, "addresses": 1}, viewer="john")
    assert db.statements - before - nothing == 1
    nodes = [edge["node"] for edge in answer["data"]["customerOrders"]["edges"]]
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"invalid-pagination"}
    assert len(answer["errors"]) == len(nodes) == 4
    assert all(node["items"] is None and node["addresses"]["totalCount"] for node in nodes)


async def test_a_page_that_begins_at_a_cursor_costs_what_the_first_does(graphql: GraphQL, db: Database) -> None:
    document = f"""
      query($after: String, $before: String) {{
        customerOrders(first: 2, after: $after, before: $before) {{
          totalCount
          pageInfo {{ hasNextPage hasPreviousPage endCursor }}
          edges {{ node {{ {EVERYTHING} }} }}
        }}
      }}
    """
    nothing = await _cost_of(graphql, db, "{ customerOrders { __typename } }")
    first = (await graphql(document, viewer="john"))["data"]["customerOrders"]
    cursor = first["pageInfo"]["endCursor"]
    for cursors in ({}, {"after": cursor}, {"before": cursor}):
        assert await _cost_of(graphql, db, document, **cursors) - nothing == 1


MONEY = """
  currency: orderCurrencyCode grandTotal baseGrandTotal baseSubTotal baseTaxAmount baseGrandTotalExact
  grandTotalExact subTotalExact shippingAmountExact baseShippingAmountExact
  grandTotalMoney { amount currency minorUnits } baseGrandTotalMoney { amount currency minorUnits }
  items { edges { node { price basePrice baseTotal priceExact totalExact baseTotalExact taxPercentExact
    totalMoney { amount currency } } } }
"""


async def test_base_amounts_are_null_where_nobody_knows_the_rate(demo_copy_dsn: str) -> None:
    answer = await _own_database(
        demo_copy_dsn,
        "UPDATE orders SET currency = 'JPY' WHERE id = 1",
        f'{{ customerOrder(id: "1") {{ {MONEY} }} }}',
    )
    [edge] = answer["data"]["customerOrder"].pop("items")["edges"]
    assert answer["data"]["customerOrder"] == {
        "currency": "JPY",
        "grandTotal": 150,
        "grandTotalExact": "150",
        "subTotalExact": "140",
        "shippingAmountExact": "10",
        **dict.fromkeys(("baseGrandTotal", "baseSubTotal", "baseTaxAmount", "baseGrandTotalExact")),
        "baseShippingAmountExact": None,
        "grandTotalMoney": {"amount": "150", "currency": "JPY", "minorUnits": 0},
        "baseGrandTotalMoney": None,
    }
    assert edge["node"] == {
        "price": 70,
        "basePrice": None,
        "baseTotal": None,
        "priceExact": "70",
        "totalExact": "140",
        "baseTotalExact": None,
        "taxPercentExact": "0",
        "totalMoney": {"amount": "140", "currency": "JPY"},
    }


async def test_base_amounts_are_by_the_rate_of_the_channels_table(demo_copy_dsn: str) -> None:
    answer = await _own_database(
        demo_copy_dsn,
        "INSERT INTO channel_rates VALUES (1, 'JPY', 150); UPDATE orders SET currency = 'JPY' WHERE id = 1",
        f'{{ customerOrder(id: "1") {{ {MONEY} }} }}',
    )
    order = answer["data"]["customerOrder"]
    assert (order["baseGrandTotal"], order["baseGrandTotalExact"], order["baseSubTotal"]) == (1, "1.00", 0.93)
    assert order["baseGrandTotalMoney"] == {"amount": "1.00", "currency": "USD", "minorUnits": 2}
    assert order["items"]["edges"][0]["node"]["baseTotalExact"] == "0.93"


async def test_customer_sees_what_was_paid_back_and_how_it_was_paid(demo_copy_dsn: str) -> None:
    answer = await _own_database(
        demo_copy_dsn,
        "INSERT INTO refunds (order_id, channel_id, amount, created_at) VALUES (1, 1, 12.5, '2025-02-01T10:00:00Z')",
        """{ customerOrder(id: "1") {
          grandTotalRefunded grandTotalRefundedExact grandTotalRefundedMoney { amount }
          baseGrandTotalRefundedMoney { amount }
          paymentMethod paymentStatus refunds { amount amountExact currency createdAt }
        } }""",
    )
    assert answer["data"]["customerOrder"] == {
        "grandTotalRefunded": 12.5,
        "grandTotalRefundedExact": "12.50",
        "grandTotalRefundedMoney": {"amount": "12.50"},
        "baseGrandTotalRefundedMoney": {"amount": "12.50"},
        "paymentMethod": "moneytransfer",
        "paymentStatus": "PAID",
        "refunds": [
            {"amount": 12.5, "amountExact": "12.50", "currency": "USD", "createdAt": "2025-02-01T10:00:00+00:00"}
        ],
    }


LINES = """
INSERT INTO order_items
SELECT (jsonb_populate_record(i, jsonb_build_object('id', 900000 + n, 'uuid', gen_random_uuid()))).*
FROM order_items i, generate_series(1, 130) AS n
WHERE i.id = (SELECT min(id) FROM order_items WHERE order_id = 3 AND channel_id = 1) AND i.channel_id = 1
"""


async def test_of_a_long_order_the_page_alone_is_read(demo_copy_dsn: str) -> None:
    """Its rows, one more, and how many there are; and the rest page by page."""
    await _write(demo_copy_dsn, LINES)
    settings = settings_for(demo_copy_dsn)
    document = """
      query($after: String, $last: Int) {
        customerOrder(id: "3") {
          items(after: $after, last: $last) {
            totalCount edges { node { _id } } pageInfo { hasNextPage hasPreviousPage endCursor }
          }
        }
      }
    """
    async with running(settings) as app, calling(app) as client:

        async def page(**variables: Any) -> Any:
            body = {"query": document, "variables": variables}
            answer = await client.post("/graphql", json=body, headers=credentials("john", settings))
            return answer.json()["data"]["customerOrder"]["items"]

        pages = [await page()]
        while pages[-1]["pageInfo"]["hasNextPage"]:
            pages.append(await page(after=pages[-1]["pageInfo"]["endCursor"]))
        last = await page(last=7)

    assert {each["totalCount"] for each in pages} == {131}
    assert [len(each["edges"]) for each in pages] == [10] * 13 + [1]
    keys = [edge["node"]["_id"] for each in pages for edge in each["edges"]]
    assert keys == sorted(set(keys))
    assert [edge["node"]["_id"] for edge in last["edges"]] == keys[-7:]
    assert (last["pageInfo"]["hasPreviousPage"], last["pageInfo"]["hasNextPage"]) == (True, False)


async def _cost_of(graphql: GraphQL, db: Database, document: str, **variables: Any) -> int:
    before = db.statements
    answer = await graphql(document, variables, viewer="john")
    assert "errors" not in answer, answer["errors"]
    return db.statements - before


@pytest.mark.parametrize(
    ("selection", "statements"),
    [
        ("totalCount", 1),
        ("edges { node { _id } }", 1),
        ("edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }", 1),
        ("edges { cursor } totalCount", 1),
        ("pageInfo { hasPreviousPage }", 0),
    ],
)
async def test_only_what_is_selected_is_read(graphql: GraphQL, db: Database, selection: str, statements: int) -> None:
    nothing = await _cost_of(graphql, db, "{ customerOrders { __typename } }")
    assert await _cost_of(graphql, db, f"{{ customerOrders {{ {selection} }} }}") - nothing == statements
