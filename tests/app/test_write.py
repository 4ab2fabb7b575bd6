"""What a kept answer rests on is known of every row that can be in one."""

import asyncpg
import pytest

import sql
from app.write import Shown
from sql import Reach, Statement

# Whoever sees the order, or the shipment, of such a row sees the row.
OF_ORDERS = {"Order", "OrderAddress", "OrderItem", "Shipment", "ShipmentItem", "TrackAndTrace"}
STATEMENTS = [
    statement
    for noun in sql.nouns()
    if not noun.startswith("customer")  # the customer surface writes nothing of theirs
    for statement in sql.load(noun).statements.values()
    if OF_ORDERS.intersection(statement.feeds)
]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: f"{statement.noun}.{statement.name}")
async def test_rows_that_hang_on_orders_name_the_order_or_the_shipment(
    statement: Statement, connection: asyncpg.Connection
) -> None:
    order = ("CREATED_AT DESC",) if "{order}" in statement.template else ()
    prepared = await connection.prepare(statement.prepare(Reach.EVERYTHING, frozenset(), order).text)
    columns = {attribute.name for attribute in prepared.get_attributes()}
    assert columns & {"order_id", "shipment_id"} or (statement.noun == "order" and "id" in columns)


async def test_shown_takes_orders_and_shipments_from_rows(connection: asyncpg.Connection) -> None:
    shown = Shown()
    shown.add("order", await connection.fetch("SELECT 1 AS id, 2 AS channel_id"))
    shown.add("order", await connection.fetch("SELECT 2 AS order_id, 10 AS total"))
    shown.add("order", await connection.fetch("SELECT 7 AS items_found"))
    shown.add("shipment", await connection.fetch("SELECT 'x' AS id, 3 AS order_id"))
    shown.add(
        "shipment_item",
        await connection.fetch("SELECT 4 AS id, gen_random_uuid() AS shipment_id FROM generate_series(1, 2)"),
    )
    shown.add("carrier", await connection.fetch("SELECT 5 AS id"))
    shown.add("order", [])
    assert shown.order_ids == {1, 2, 3}
    assert len(shown.shipment_ids) == 2
    assert all(isinstance(shipment_id, str) for shipment_id in shown.shipment_ids)
