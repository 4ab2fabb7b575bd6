"""Shipments on the customer surface."""

from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from app.postgres.database import Database
from sql import Visibility, load
from tests.conftest import GraphQL, calling, credentials, running, settings_for

SHIPMENT = "query($id: ID!) { customerOrderShipment(id: $id) { id _id } }"
OF_ORDER = """
query($order: Int!, $status: String) {
  customerOrderShipments(orderId: $order, status: $status) { edges { node { _id status } } totalCount }
}
"""


async def refusal(graphql: GraphQL, document: str, **variables: Any) -> dict[str, Any]:
    answer = await graphql(document, variables, viewer="john")
    assert set(answer["data"].values()) == {None}
    [error] = answer["errors"]
    return error


@pytest.mark.parametrize("id", ["1", "/api/shop/shipments/1", "/api/shop/customer-order-shipments/1"])
async def test_shipment_is_found_by_both_iris_and_by_number(graphql: GraphQL, id: str) -> None:
    answer = await graphql(SHIPMENT, {"id": id}, viewer="john")
    assert answer["data"]["customerOrderShipment"] == {"id": "/api/shop/shipments/1", "_id": 1}


@pytest.mark.parametrize("number", ["999", "2", "2147483648", "9" * 40])
async def test_shipment_that_is_not_the_customers_is_not_found(graphql: GraphQL, number: str) -> None:
    for key in (number, f"/api/shop/shipments/{number}"):
        error = await refusal(graphql, SHIPMENT, id=key)
        assert error["message"] == f'Customer shipment with ID "{number}" not found.'
        assert error["extensions"] == {"code": "NOT_FOUND"}


@pytest.mark.parametrize("id", ["0", "-1", "x", "/api/shop/customer-orders/1", "65ad4404-88a6-4f97-9325-34a3a35f1dfc"])
async def test_shipment_of_what_is_no_id_is_refused(graphql: GraphQL, id: str) -> None:
    error = await refusal(graphql, SHIPMENT, id=id)
    assert error["message"] == "Invalid shipment ID provided."
    assert error["extensions"] == {"code": "INVALID_SHIPMENT_ID"}


async def test_shipment_of_an_empty_id_is_refused(graphql: GraphQL) -> None:
    assert (await refusal(graphql, SHIPMENT, id=""))["extensions"] == {"code": "MISSING_ID"}


async def test_shipment_tells_all_that_the_store_knows(graphql: GraphQL) -> None:
    document = """
      { customerOrderShipment(id: "1") {
        status trackNumber carrierCode carrierTitle totalQty totalWeight emailSent shippingNumber createdAt updatedAt
        items { edges { node { id _id name sku qty weight } } totalCount }
        shippingAddress { addressType orderId } billingAddress { addressType orderId }
      } }
    """
    answer = await graphql(document, viewer="john")
    assert answer["data"]["customerOrderShipment"] == {
        "status": "shipped",
        "trackNumber": "794698949845",
        "carrierCode": "fedex",
        "carrierTitle": "FedEx",
        "totalQty": 2,
        "totalWeight": 1.0,
        "emailSent": True,
        "shippingNumber": "SH-001",
        "createdAt": "2025-01-20T14:30:00+00:00",
        "updatedAt": "2025-01-20T14:30:00+00:00",
        "items": {
            "edges": [
                {
                    "node": {
                        "id": "/api/shop/shipment-items/1",
                        "_id": 1,
                        "name": "Sample Product",
                        "sku": "PROD-001",
                        "qty": 2,
                        "weight": 1.0,
                    }
                }
            ],
            "totalCount": 1,
        },
        "shippingAddress": {"addressType": "shipping", "orderId": "3"},
        "billingAddress": {"addressType": "billing", "orderId": "3"},
    }


@pytest.mark.parametrize(
    ("order", "message"), [(0, None), (-1, None), (999, "999"), (5, "5"), (2**31 - 1, "2147483647")]
)
async def test_shipments_of_no_order_of_the_customers(graphql: GraphQL, order: int, message: str | None) -> None:
    error = await refusal(graphql, OF_ORDER, order=order)
    if message is None:
        assert error["message"] == "Invalid order ID provided."
        assert error["extensions"] == {"code": "INVALID_ORDER_ID"}
    else:
        assert error["message"] == f'Customer order with ID "{message}" not found.'
        assert error["extensions"] == {"code": "NOT_FOUND"}


@pytest.mark.parametrize(
    ("status", "count"),
    [("shipped", 1), ("pending", 0), ("cancelled", 0), ("canceled", 0), ("IN_TRANSIT", 0), ("", 0), (None, 1)],
)
async def test_shipments_are_filtered_by_the_customers_word(graphql: GraphQL, status: str | None, count: int) -> None:
    answer = await graphql(OF_ORDER, {"order": 3, "status": status}, viewer="john")
    found = answer["data"]["customerOrderShipments"]
    assert (len(found["edges"]), found["totalCount"]) == (count, count)


@pytest.mark.parametrize(
    ("stored", "word"),
    [
        *((None, "pending"), ("CREATED", "pending"), ("PROCESSING", "pending"), ("IN_TRANSIT", "shipped")),
        *(("OUT_FOR_DELIVERY", "shipped"), ("PARTIALLY_DELIVERED", "shipped"), ("FAILED_DELIVERY", "shipped")),
        *(("EXCEPTION", "shipped"), ("DELIVERED", "delivered"), ("CANCELED", "cancelled")),
    ],
)
async def test_every_stored_status_has_its_word(
    demo_copy_dsn: str, stored: str | None, word: str, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute(
        "ALTER TABLE shipments DISABLE TRIGGER shipments_status_follows"
    )  # no step leads there
    await copy_connection.execute("UPDATE shipments SET status = $1 WHERE number = 1", stored)
    db = await Database.connect(settings_for(demo_copy_dsn))
    shipments, customer = load("customer_shipment"), Visibility.of_customer(1, 1)

    [row] = await db.fetch(shipments.by_number, customer, number=1)
    [found] = await db.fetch(shipments.count, customer, filters=frozenset({"status"}), status=word)

    assert (row["status"], found["items_found"]) == (word, 1)
    await db.close()


async def test_first_code_stands_for_the_shipment(demo_copy_dsn: str, copy_connection: asyncpg.Connection) -> None:
    await copy_connection.execute(
        "INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code, created_at)"
        " SELECT id, order_id, channel_id, NULL, 'EARLIER', '2025-01-01' FROM shipments WHERE number = 1"
    )
    db = await Database.connect(settings_for(demo_copy_dsn))
    shipments, customer = load("customer_shipment"), Visibility.of_customer(1, 1)

    [row] = await db.fetch(shipments.by_number, customer, number=1)
    await copy_connection.execute("DELETE FROM track_and_traces")
    [without] = await db.fetch(shipments.by_number, customer, number=1)

    assert (row["track_number"], row["carrier_title"], row["carrier_code"]) == ("EARLIER", None, None)
    assert (without["track_number"], without["carrier_title"]) == (None, None)
    await db.close()


# Order 3 has a pack of 2, made of 2 beds and a box of 2, itself of 4 screws, and a gift that hangs on it.
PACK = """
INSERT INTO order_items (
  id, order_id, channel_id, sku, name, quantity, class, parent_order_item_id, weight, price, price_net, price_total,
  price_total_net, tax)
SELECT w.id, 3, o.channel_id, w.name, w.name, w.quantity, w.class, w.parent, 0.5, 0, 0, 0, 0, 0
FROM orders o, (VALUES
  (901, 'Pack', 2, 'product', NULL), (902, 'Bed', 2, 'product', 901), (903, 'Box', 2, 'product', 901),
  (904, 'Screw', 4, 'product', 903), (905, 'Gift', 1, 'incentive', 901)
) AS w (id, name, quantity, class, parent)
WHERE o.id = 3
ORDER BY w.id;
"""
SHIPPED = """
INSERT INTO shipments (id, order_id, channel_id) SELECT $1, id, channel_id FROM orders WHERE id = 3
"""
ITEM = """
INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, quantity)
SELECT id, $2, order_id, channel_id, $3 FROM shipments WHERE id = $1
"""


@pytest.mark.parametrize(
    ("held", "items"),
    [
        ({902: 2, 904: 4}, [("Pack", 2, 901, 3.0)]),
        ({902: 1, 904: 2}, [("Pack", 1, 901, 1.5)]),
        ({902: 2, 904: 3}, [("Pack", 1, 901, 2.5)]),
        ({902: 2}, [("Bed", 2, 901, 1.0)]),
        ({904: 4, 905: 1}, [("Screw", 4, 901, 2.0), ("Gift", 1, 901, 0.5)]),
        ({905: 1, 904: 2, 902: 1}, [("Gift", 1, 901, 0.5), ("Pack", 1, 901, 1.5)]),
    ],
)
async def test_parts_in_a_shipment_are_packs_as_far_as_they_make_them_up(
    demo_copy_dsn: str,
    copy_connection: asyncpg.Connection,
    held: dict[int, int],
    items: list[tuple[str, int, int, float]],
) -> None:
    """Their numbers are those by which they are counted, paged and summed up."""
    key = uuid4()
    await copy_connection.execute(PACK)
    await copy_connection.execute(SHIPPED, key)
    for line, quantity in held.items():
        await copy_connection.execute(ITEM, key, line, quantity)
    number = await copy_connection.fetchval("SELECT number FROM shipments WHERE id = $1", key)
    customer, goods = Visibility.of_customer(1, 1), load("customer_shipment_item")
    db = await Database.connect(settings_for(demo_copy_dsn))

    async def fetch(statement: Any, **values: Any) -> Any:
        return await db.fetch(statement, customer, shipment_ids=[key], **values)

    rows = await fetch(goods.by_shipment_ids, order=("ID ASC",), limit=10)
    assert [(row["name"], row["qty"], row["order_item_id"], row["weight"]) for row in rows] == items
    [shipment] = await db.fetch(load("customer_shipment").by_number, customer, number=number)
    assert (shipment["total_qty"], shipment["total_weight"]) == (sum(i[1] for i in items), sum(i[3] for i in items))
    [count] = await fetch(goods.count_by_shipment_ids)
    [ends] = await fetch(goods.ends_by_shipment_ids)
    assert count["total"] == len(items)
    assert (ends["lowest"], ends["highest"]) == (rows[0]["key"], rows[-1]["key"])
    after = await fetch(
        goods.by_shipment_ids, filters=frozenset({"above"}), order=("ID ASC",), limit=10, above=rows[0]["key"]
    )
    assert after == rows[1:]
    await db.close()


async def test_order_and_its_shipments_name_the_same_lines(
    demo_copy_dsn: str, copy_connection: asyncpg.Connection
) -> None:
    """As objects of REST and GraphQL; what is shipped of a line is what its shipments hold of it."""
    await copy_connection.execute(PACK)
    key = uuid4()
    await copy_connection.execute(SHIPPED, key)
    for line, quantity in ((902, 1), (904, 2)):
        await copy_connection.execute(ITEM, key, line, quantity)
    settings = settings_for(demo_copy_dsn)
    document = """
      { customerOrder(id: "3") {
          items { edges { node { name qtyShipped } } }
          shipments { edges { node { totalQty items { edges { node { name qty } } } } } }
      } }
    """
    async with running(settings) as app, calling(app) as client:
        headers = credentials("john", settings)
        answer = (await client.post("/graphql", json={"query": document}, headers=headers)).json()
        order = (await client.get("/api/shop/customer-orders/3", headers=headers)).json()
        number = order["shipments"][-1]["id"]
        shipment = (await client.get(f"/api/shop/customer-order-shipments/{number}", headers=headers)).json()
    told = answer["data"]["customerOrder"]
    lines = {edge["node"]["name"]: edge["node"]["qtyShipped"] for edge in told["items"]["edges"]}
    last = told["shipments"]["edges"][-1]["node"]
    assert lines["Pack"] == 1
    assert last == {"totalQty": 1, "items": {"edges": [{"node": {"name": "Pack", "qty": 1}}]}}
    assert {item["orderItemId"] for each in order["shipments"] for item in each["items"]} <= {
        item["id"] for item in order["items"]
    }
    [item] = shipment["items"]
    assert (item["name"], item["sku"], item["qty"], item["orderItemId"]) == ("Pack", "Pack", 1, 901)
    assert shipment["totalQty"] == 1
