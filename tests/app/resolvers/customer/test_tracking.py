"""The codes of a customer's shipment: all of them, with their links and what was last told."""

from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from tests.conftest import GraphQL, calling, credentials, settings_for

FIELDS = """
  number carrierCode carrierTitle url status carrierStatus subStatus expectedDeliveryAt
  lastEvent { status subStatus occurredAt location description }
"""
SHIPMENT = f"query($id: ID!) {{ customerOrderShipment(id: $id) {{ trackNumber trackings {{ {FIELDS} }} }} }}"
NOTHING_TOLD = {"status": "pending", "carrierStatus": None, "subStatus": None, "lastEvent": None}


@pytest.fixture
async def shipment_id(copy_connection: asyncpg.Connection) -> str:
    """John's first shipment, promised, which has a second code and one without a carrier."""
    key: str = await copy_connection.fetchval(
        "UPDATE shipments SET expected_delivery_at = created_at + interval '2 days' WHERE number = 1 RETURNING id::text"
    )
    await copy_connection.execute(
        """
        INSERT INTO track_and_traces (
          shipment_id, order_id, channel_id, carrier_id, code, expected_delivery_at, created_at)
        SELECT s.id, s.order_id, s.channel_id, w.carrier_id, w.code, w.expected, now() + w.place * interval '1 second'
        FROM shipments s, (VALUES (1, 1, 'B 2', timestamptz '2025-11-06 09:00+00'), (2, NULL, 'C3', NULL))
          AS w (place, carrier_id, code, expected)
        WHERE s.id = $1
        """,
        key,
    )
    await copy_connection.execute(
        """
        INSERT INTO tracking_events (track_and_trace_id, channel_id, status, sub_status, occurred_at, location)
        SELECT id, channel_id, 'FAILED_DELIVERY', 'NOT_HOME', '2025-11-05 10:00+00', 'Utrecht' FROM track_and_traces
        WHERE code = 'B 2'
        """
    )
    return key


@pytest.fixture
async def ask(copy: Starlette, demo_copy_dsn: str) -> Any:
    async with calling(copy) as client:

        async def post(query: str, **variables: Any) -> Any:
            headers = credentials("john", settings_for(demo_copy_dsn))
            answer = await client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
            body = answer.json()
            assert "errors" not in body, body
            [value] = body["data"].values()
            return value

        yield post


@pytest.mark.usefixtures("shipment_id")
async def test_shipment_shows_every_code(ask: Any) -> None:
    shipment = await ask(SHIPMENT, id="1")
    first, second, third = shipment["trackings"]
    assert first["number"] == shipment["trackNumber"]
    assert second == {
        "number": "B 2",
        "carrierCode": "postnl",
        "carrierTitle": "PostNL",
        "url": "https://postnl.nl/tracktrace/?B=B%202",
        "status": "shipped",
        "carrierStatus": "failed_delivery",
        "subStatus": "not_home",
        "expectedDeliveryAt": "2025-11-06T09:00:00+00:00",
        "lastEvent": {
            "status": "failed_delivery",
            "subStatus": "not_home",
            "occurredAt": "2025-11-05T10:00:00+00:00",
            "location": "Utrecht",
            "description": None,
        },
    }
    none = {"carrierCode": None, "carrierTitle": None, "url": None}
    assert third == {"number": "C3", **none, **NOTHING_TOLD, "expectedDeliveryAt": third["expectedDeliveryAt"]}
    assert third["expectedDeliveryAt"] is not None


@pytest.mark.usefixtures("shipment_id")
async def test_rest_shows_the_same_codes(copy: Starlette, demo_copy_dsn: str, ask: Any) -> None:
    shipment = await ask(SHIPMENT, id="1")
    async with calling(copy) as client:
        headers = credentials("john", settings_for(demo_copy_dsn))
        for path in ("customer-order-shipments/1", "customer-order-shipments"):
            body = (await client.get(f"/api/shop/{path}", headers=headers)).json()
            rows = body if isinstance(body, list) else [body]
            [row] = [row for row in rows if row["id"] == 1]
            assert row["trackings"] == shipment["trackings"]


@pytest.mark.usefixtures("shipment_id")
async def test_codes_cost_no_statement_of_their_own(copy: Starlette, ask: Any) -> None:
    await ask('{ customerOrder(id: "1") { _id } }')  # what is kept of the key is read once
    costs = []
    for more in ("", f"trackings {{ {FIELDS} }}"):
        before = copy.state.db.statements
        await ask(f'{{ customerOrder(id: "1") {{ shipments {{ edges {{ node {{ _id {more} }} }} }} }} }}')
        costs.append(copy.state.db.statements - before)
    assert costs[0] == costs[1]


async def test_order_tells_how_far_its_goods_are(ask: Any, copy_connection: asyncpg.Connection) -> None:
    document = '{ customerOrder(id: "1") { progress } }'
    await copy_connection.execute("DELETE FROM shipments WHERE order_id = 1")
    assert await ask(document) == {"progress": "unfulfilled"}
    await copy_connection.execute(
        """
        WITH shipment AS (INSERT INTO shipments (order_id, channel_id, status) VALUES (1, 1, 'IN_TRANSIT') RETURNING id)
        INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, quantity)
        SELECT s.id, l.id, l.order_id, l.channel_id, l.quantity FROM shipment s, order_items l WHERE l.order_id = 1
        """
    )
    assert await ask(document) == {"progress": "shipped"}
    await copy_connection.execute("UPDATE shipments SET status = 'DELIVERED' WHERE order_id = 1")
    assert await ask(document) == {"progress": "delivered"}


async def test_codes_of_others_are_not_shown(graphql: GraphQL) -> None:
    answer = await graphql(SHIPMENT, {"id": "2"}, viewer="john")
    assert answer["data"]["customerOrderShipment"] is None
