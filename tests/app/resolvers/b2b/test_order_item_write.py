"""Canceling units of order lines, and what cannot be shipped: decisions 21 and 22."""

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.app.resolvers.b2b.conftest import Refused
from tests.conftest import GraphQL, until_blocked

# Of order 2075 lines 20153, 20154 and 20155 have 3, 3 and 4 units, of which nothing is shipped; all of 20151 is.
ORDER, LINE = 2075, 20155
SHIPMENT, DELIVERED = "65ad4404-88a6-4f97-9325-34a3a35f1dfc", "5c6e4337-15ba-4bdd-9772-19d30e7a269f"
ITEM_OF_DELIVERED = "74667bff-e202-449d-a964-3a295a9ac6de"
FIELDS = """
  id class quantity quantityCanceled quantityShipped quantityDelivered quantityRemaining isShippable version
"""
CANCEL = f"""mutation($input: OrderItemCancelInput!, $ifVersion: Int) {{
  orderItemCancel(input: $input, ifVersion: $ifVersion) {{ {FIELDS} }}
}}"""
READ = f"query($id: Int!) {{ order(orderId: $id) {{ status fulfillmentStatus version items {{ {FIELDS} }} }} }}"
SHIP = """mutation($input: ShipmentCreateInput!) {
  shipmentCreate(input: $input) { id items { id quantity orderItem { quantityRemaining } } }
}"""
ADD = "mutation($input: ShipmentItemCreateInput!) { shipmentItemCreate(input: $input) { id } }"
RESIZE = """mutation($id: String!, $input: ShipmentItemUpdateInput!) {
  shipmentItemUpdate(id: $id, input: $input) { id name quantity }
}"""
REMOVE = "mutation($id: String!) { shipmentItemDelete(id: $id) }"
MOVE = """mutation($id: String!, $input: ShipmentUpdateInput!) {
  shipmentUpdate(id: $id, input: $input) { status }
}"""
DELETE = "mutation($id: String!) { shipmentDelete(id: $id) }"
# A pack of 2 made of 2 of line 20153 and 4 of line 20155.
PACK = """
UPDATE order_items SET quantity = 2 WHERE id IN (20153, 20154);
UPDATE order_items SET parent_order_item_id = 20154 WHERE id IN (20153, 20155);
"""


async def line(write: GraphQL, id: int = LINE) -> Any:
    order = (await write(READ, {"id": ORDER}))["data"]["order"]
    return next(item for item in order["items"] if item["id"] == id)


async def ship(written: GraphQL, *items: tuple[int, int], status: str = "CREATED") -> Any:
    goods = [{"orderItemId": line_id, "quantity": quantity} for line_id, quantity in items]
    return (await written(SHIP, input={"orderId": ORDER, "status": status, "items": goods}))["id"]


# ------------------------------------------------------------------------------------------------------------- cancel


async def test_order_item_cancel_takes_units_off_what_is_left(written: GraphQL, write: GraphQL) -> None:
    before = await line(write)
    after = await written(CANCEL, input={"orderItemId": LINE, "quantity": 1})
    assert after == before | {"quantityCanceled": 1, "quantityRemaining": 3, "version": before["version"] + 1}
    assert after == await line(write)
    [item] = (await written(SHIP, input={"orderId": ORDER, "items": [{"orderItemId": LINE}]}))["items"]
    assert (item["quantity"], item["orderItem"]["quantityRemaining"]) == (3, 0)


async def test_order_item_cancel_takes_all_that_is_left_where_nothing_is_said(written: GraphQL) -> None:
    await ship(written, (LINE, 1))
    after = await written(CANCEL, input={"orderItemId": LINE})
    assert (after["quantityCanceled"], after["quantityShipped"], after["quantityRemaining"]) == (3, 1, 0)


async def test_order_item_cancel_is_told_in_feed_and_audit_trail(written: GraphQL, write: GraphQL) -> None:
    await written(CANCEL, input={"orderItemId": LINE, "quantity": 2})
    trail = f"""{{ auditTrail(orderId: {ORDER}, first: 2) {{
      type action id version actor fields {{ name old new }} cursor }} }}"""
    entries = (await write(trail, viewer="staff"))["data"]["auditTrail"]
    [told] = [entry for entry in entries if entry["type"] == "ORDER_ITEM"]
    assert (told["action"], told["id"], told["version"], told["actor"]) == ("UPDATED", str(LINE), 2, "partner:1")
    assert told["fields"] == [{"name": "quantityCanceled", "old": "0", "new": "2"}]
    assert {entry["type"] for entry in entries} == {"ORDER", "ORDER_ITEM"}
    older = f'{{ auditTrail(orderId: {ORDER}, after: "{entries[0]["cursor"]}") {{ type }} }}'
    assert (await write(older, viewer="staff"))["data"]["auditTrail"][0]["type"] == entries[1]["type"]

    feed = "{ changes(types: [ORDER_ITEM]) { changes { type id orderId orderItem { id quantityCanceled } } } }"
    [change] = (await write(feed))["data"]["changes"]["changes"]
    assert change == {
        "type": "ORDER_ITEM",
        "id": str(LINE),
        "orderId": ORDER,
        "orderItem": {"id": LINE, "quantityCanceled": 2},
    }


@pytest.mark.parametrize(
    ("input", "path", "code"),
    [
        ({"orderItemId": 1999999999}, "orderItemId", "ORDER_ITEM_NOT_FOUND"),
        ({"quantity": 0}, "quantity", "VALIDATION_ERROR"),
        ({"quantity": 5}, "quantity", "VALIDATION_ERROR"),
        ({"orderItemId": 20151}, "quantity", "VALIDATION_ERROR"),
        ({"orderItemId": 20151, "quantity": 1}, "quantity", "VALIDATION_ERROR"),
    ],
    ids=str,
)
async def test_order_item_cancel_refuses_what_breaks_a_rule(
    refused: Refused, input: dict[str, Any], path: str, code: str
) -> None:
    extensions = await refused(CANCEL, input={"orderItemId": LINE, **input})
    assert (extensions["path"], extensions["code"]) == (f"input.{path}", code)


async def test_order_item_of_another_version_is_a_conflict(refused: Refused) -> None:
    extensions = await refused(CANCEL, input={"orderItemId": LINE}, ifVersion=7)
    assert (extensions["code"], extensions["path"], extensions["version"]) == ("CONFLICT", "ifVersion", 1)


@pytest.mark.parametrize("asked", ["", f'(orderId: {ORDER}, shipmentId: "{SHIPMENT}")'])
async def test_audit_trail_is_of_a_shipment_or_an_order(write: GraphQL, asked: str) -> None:
    [error] = (await write(f"{{ auditTrail{asked} {{ id }} }}", viewer="staff"))["errors"]
    assert error["extensions"]["code"] == "VALIDATION_ERROR"


async def test_audit_trail_of_no_order_is_not_found(write: GraphQL) -> None:
    [error] = (await write("{ auditTrail(orderId: 1999999999) { id } }", viewer="staff"))["errors"]
    assert error["extensions"]["code"] == "ORDER_NOT_FOUND"


# ------------------------------------------------------------------------------------------------------------ bundles


async def test_bundle_is_shipped_as_far_as_its_parts_are(
    written: GraphQL, write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute(PACK)
    assert not (await line(write, 20154))["isShippable"]
    counts = []
    for parts in ((20153, 1), (20155, 3), (20153, 1), (20155, 1)):
        await ship(written, parts)
        pack = await line(write, 20154)
        counts.append((pack["quantityShipped"], pack["quantityRemaining"]))
    assert counts == [(0, 2), (1, 1), (1, 1), (2, 0)]
    assert (await write(READ, {"id": ORDER}))["data"]["order"]["fulfillmentStatus"] == "SHIPPED"


async def test_order_item_cancel_of_a_bundle_cancels_its_parts(
    written: GraphQL, write: GraphQL, refused_after: Refused, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute(PACK)
    assert (await written(CANCEL, input={"orderItemId": 20154, "quantity": 1}))["quantityRemaining"] == 1
    assert [(await line(write, part))["quantityCanceled"] for part in (20153, 20155)] == [1, 2]
    await ship(written, (20155, 1))
    extensions = await refused_after(CANCEL, input={"orderItemId": 20154, "quantity": 1})
    assert extensions["path"] == "input.quantity"
    after = await written(CANCEL, input={"orderItemId": 20154})
    assert (after["quantityCanceled"], (await line(write))["quantityCanceled"]) == (2, 3)


# ------------------------------------------------------------------------------------------------ what is not shipped

CLASSES = ["surcharge", "postage", "payment", "service", "giftcard", "deposit"]


@pytest.mark.parametrize("class_", CLASSES)
async def test_line_that_is_no_goods_is_not_shipped_and_keeps_no_order_open(
    written: GraphQL, write: GraphQL, refused_after: Refused, copy_connection: asyncpg.Connection, class_: str
) -> None:
    await copy_connection.execute("UPDATE order_items SET class = $1 WHERE id = $2", class_, LINE)
    goods = await line(write)
    assert (goods["isShippable"], goods["quantityRemaining"]) == (False, 0)
    extensions = await refused_after(SHIP, input={"orderId": ORDER, "items": [{"orderItemId": LINE}]})
    assert (extensions["path"], class_ in extensions["rule"]) == ("input.items.0.orderItemId", True)
    await ship(written, (20153, 3), (20154, 3))
    assert (await write(READ, {"id": ORDER}))["data"]["order"]["fulfillmentStatus"] == "SHIPPED"


async def test_bundle_is_not_put_into_a_shipment(refused_after: Refused, copy_connection: asyncpg.Connection) -> None:
    await copy_connection.execute(PACK)
    extensions = await refused_after(ADD, input={"shipmentId": SHIPMENT, "orderItemId": 20154})
    assert (extensions["path"], extensions["code"]) == ("input.orderItemId", "VALIDATION_ERROR")


async def test_line_whose_parts_are_none_is_shipped_itself(
    written: GraphQL, write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute(PACK)
    await copy_connection.execute("UPDATE order_items SET quantity = 0 WHERE id IN (20153, 20155)")
    assert (await line(write, 20154))["isShippable"]
    await ship(written, (20154, 2))
    pack = await line(write, 20154)
    assert (pack["quantityShipped"], pack["quantityRemaining"]) == (2, 0)


@pytest.mark.parametrize("status", ["UNFINISHED", "REQUEST", "QUOTATION", "CANCELED", "FRAUD", "ARCHIVED"])
async def test_shipment_of_an_order_that_cannot_be_shipped_is_refused(
    refused_after: Refused, copy_connection: asyncpg.Connection, status: str
) -> None:
    await copy_connection.execute("UPDATE orders SET status = $1 WHERE id = $2", status, ORDER)
    for document, given, path in (
        (SHIP, {"orderId": ORDER}, "input.orderId"),
        (ADD, {"shipmentId": SHIPMENT, "orderItemId": LINE}, "input.shipmentId"),
    ):
        extensions = await refused_after(document, input=given)
        assert (extensions["path"], extensions["code"]) == (path, "VALIDATION_ERROR")
        assert status in extensions["rule"]


async def test_order_status_says_whether_orders_can_be_shipped(write: GraphQL) -> None:
    answer = await write("{ orderStatuses(input: {offset: 100}) { items { code isShippable } } }")
    statuses = answer["data"]["orderStatuses"]["items"]
    assert {row["code"] for row in statuses if row["isShippable"]} == {"NEW", "VALIDATED", "CONFIRMED", "COMPLETED"}


async def test_shipment_that_is_delivered_is_closed_for_items(
    written: GraphQL, write: GraphQL, refused: Refused
) -> None:
    for document, variables, path in (
        (ADD, {"input": {"shipmentId": DELIVERED, "orderItemId": 20161}}, "input.shipmentId"),
        (RESIZE, {"id": ITEM_OF_DELIVERED, "input": {"quantity": 1}}, "input.quantity"),
        (REMOVE, {"id": ITEM_OF_DELIVERED}, "id"),
    ):
        extensions = await refused(document, **variables)
        assert (extensions["path"], extensions["code"]) == (path, "VALIDATION_ERROR")
        assert "DELIVERED" in extensions["rule"]
    assert (await written(RESIZE, id=ITEM_OF_DELIVERED, input={"name": "Saw"}))["name"] == "Saw"


async def test_shipment_that_is_closed_is_deleted_by_who_may_override(written: GraphQL, refused_after: Refused) -> None:
    canceled = await ship(written, (LINE, 1), status="CANCELED")
    for closed in (DELIVERED, canceled):
        assert (await refused_after(DELETE, id=closed, viewer="editor"))["code"] == "FORBIDDEN"
        assert await written(DELETE, id=closed, viewer="overrider")


# ------------------------------------------------------------------------------------------------------------- finish

FINISHING = "UPDATE channels SET shipped_status = $1, delivered_status = $2"


@pytest.mark.parametrize(
    ("shipped", "delivered", "statuses"),
    [
        (None, None, ["CONFIRMED", "CONFIRMED"]),
        ("COMPLETED", None, ["COMPLETED", "COMPLETED"]),
        (None, "COMPLETED", ["CONFIRMED", "COMPLETED"]),
        ("COMPLETED", "ARCHIVED", ["COMPLETED", "ARCHIVED"]),
        ("NEW", "VALIDATED", ["CONFIRMED", "CONFIRMED"]),  # no step leads there
    ],
)
async def test_order_finishes_when_the_last_of_it_is_shipped_and_delivered(
    written: GraphQL,
    write: GraphQL,
    copy_connection: asyncpg.Connection,
    shipped: str | None,
    delivered: str | None,
    statuses: list[str],
) -> None:
    await copy_connection.execute(FINISHING, shipped, delivered)
    rest = await ship(written, (20153, 3), (20154, 3), (LINE, 3))
    assert (await write(READ, {"id": ORDER}))["data"]["order"]["status"] == "CONFIRMED"
    last = await ship(written, (LINE, 1))
    reached = [(await write(READ, {"id": ORDER}))["data"]["order"]["status"]]
    for shipment in (SHIPMENT, rest, last):
        await written(MOVE, id=shipment, input={"status": "DELIVERED"})
    order = (await write(READ, {"id": ORDER}))["data"]["order"]
    assert ([*reached, order["status"]], order["fulfillmentStatus"]) == (statuses, "DELIVERED")


async def test_order_finishes_when_the_rest_of_it_is_canceled(
    written: GraphQL, write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute(FINISHING, "COMPLETED", None)
    await ship(written, (20153, 3), (20154, 3))
    await written(CANCEL, input={"orderItemId": LINE})
    assert (await write(READ, {"id": ORDER}))["data"]["order"]["status"] == "COMPLETED"
    trail = f"{{ auditTrail(orderId: {ORDER}, first: 3) {{ type fields {{ name old new }} }} }}"
    entries = (await write(trail, viewer="staff"))["data"]["auditTrail"]
    assert {"name": "status", "old": "CONFIRMED", "new": "COMPLETED"} in [f for e in entries for f in e["fields"]]


async def test_writers_of_an_order_that_finishes_ship_no_more_than_there_is_and_meet_no_deadlock(
    write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    """Who ships, cancels, delivers and sets the status, all at once, in an order whose last unit finishes it."""
    await copy_connection.execute(FINISHING, "COMPLETED", "ARCHIVED")
    before = await copy_connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    goods = [20153, 20154, LINE]
    units = [{"orderItemId": key, "quantity": 1} for key in goods]
    every = [
        *(
            write(SHIP, {"input": {"orderId": ORDER, "items": [{"orderItemId": key, "quantity": 1}]}})
            for key in goods * 4
        ),
        *(write(CANCEL, {"input": unit}) for unit in units * 2),
        write(MOVE, {"id": SHIPMENT, "input": {"status": "DELIVERED"}}),
        write('mutation { orderSetStatus(input: {orderId: 2075, payStatus: "PAID"}) { id } }'),
    ]
    answers = await asyncio.gather(*every)
    codes = {error["extensions"]["code"] for answer in answers for error in answer.get("errors", ())}
    assert codes <= {"VALIDATION_ERROR"}
    rows = await copy_connection.fetch(
        "SELECT quantity, quantity_canceled, quantity_shipped FROM order_items WHERE id = ANY ($1)",
        [20153, 20154, LINE],
    )
    assert all(row["quantity"] == row["quantity_canceled"] + row["quantity_shipped"] for row in rows)
    assert await copy_connection.fetchval("SELECT status FROM orders WHERE id = $1", ORDER) == "COMPLETED"
    await copy_connection.execute("SELECT pg_stat_clear_snapshot()")
    after = await copy_connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert after == before


async def test_shipment_waits_for_who_cancels_its_order(write: GraphQL, copy_connection: asyncpg.Connection) -> None:
    async with copy_connection.transaction():
        await copy_connection.execute("UPDATE orders SET status = 'CANCELED' WHERE id = $1", ORDER)
        creating = asyncio.create_task(write(SHIP, {"input": {"orderId": ORDER}}))
        await until_blocked(copy_connection)
    [error] = (await creating)["errors"]
    assert error["extensions"]["path"] == "input.orderId"
