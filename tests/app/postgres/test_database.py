"""What each visibility makes of the same statement, compared with SQL of its own."""

import asyncpg
import pytest

import sql
from app.postgres.database import Database
from sql import Visibility

PUBLIC = "status NOT IN ('REQUEST', 'QUOTATION')"
VISIBILITIES = [
    (Visibility.everything(), "true"),
    (Visibility.of_channels((1,)), "channel_id = 1"),
    (Visibility.of_channels(()), "false"),
    (Visibility.of_companies((1,), (2, 4)), "channel_id = 1 AND company_id IN (2, 4)"),
    (Visibility.of_companies((2,), (2, 4)), "false"),
    (Visibility.of_contact(1, (2, 3)), f"channel_id = 1 AND company_id IN (2, 3) AND {PUBLIC}"),
    (Visibility.of_customer(1, 1), f"channel_id = 1 AND customer_id = 1 AND {PUBLIC}"),
    (Visibility.of_customer(2, 1), "false"),
]


@pytest.mark.parametrize(("visibility", "where"), VISIBILITIES)
async def test_visibility_is_the_same_for_orders_and_for_what_hangs_on_them(
    db: Database, connection: asyncpg.Connection, visibility: Visibility, where: str
) -> None:
    for noun, table, key in (
        ("order", "orders", "id"),
        ("shipment", "shipments", "order_id"),
        ("shipment_item", "shipment_items", "order_id"),
        ("track_and_trace", "track_and_traces", "order_id"),
    ):
        [found] = await db.fetch(sql.load(noun).count, visibility)
        expected = await connection.fetchval(
            f"SELECT count(*) FROM {table} WHERE {key} IN (SELECT id FROM orders WHERE {where})"
        )
        assert found["items_found"] == expected, table


async def test_statements_are_counted(db: Database) -> None:
    before = db.statements
    await db.fetch(sql.load("order").count, Visibility.everything())
    assert db.statements == before + 1
