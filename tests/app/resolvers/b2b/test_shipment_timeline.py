"""What happened to shipments, and how the promise of their arrival moved."""

from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from loaders.shipment_timeline import NEWEST_BY_SHIPMENT
from tests.conftest import GraphQL

# The shipment of order 2075: CREATED, promised for 2025-12-05T10:00:00Z.
SHIPMENT = "65ad4404-88a6-4f97-9325-34a3a35f1dfc"
CODE_ID = "2d1860e6-e58c-41b8-b9d7-689b355b0c52"

TIMELINE = """
query Timeline($id: String!) {
  shipment(id: $id) {
    timeline { kind status previousStatus occurredAt trackingEvent { externalId status occurredAt location } }
  }
}
"""
PROMISES = """
query Promises($id: String!) {
  shipment(id: $id) { estimatedDeliveryHistory { expectedDeliveryAt previousExpectedDeliveryAt promisedAt } }
}
"""


async def read(post: GraphQL, document: str, field: str, shipment: str = SHIPMENT) -> list[dict[str, Any]]:
    answer = await post(document, {"id": shipment})
    assert "errors" not in answer, answer["errors"]
    entries: list[dict[str, Any]] = answer["data"]["shipment"][field]
    return entries


async def tell(connection: asyncpg.Connection, status: str, occurred_at: str, external_id: str) -> None:
    await connection.execute(
        "INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at, external_id, location)"
        " VALUES ($1, 1, $2, $3::text::timestamptz, $4, 'Utrecht')",
        CODE_ID,
        status,
        occurred_at,
        external_id,
    )


async def test_shipment_timeline_tells_changes_and_events_newest_first(
    write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await tell(copy_connection, "IN_TRANSIT", "2025-11-04T08:00:00Z", "e-1")
    await tell(copy_connection, "OUT_FOR_DELIVERY", "2025-11-05T08:00:00Z", "e-2")

    entries = await read(write, TIMELINE, "timeline")

    moments = [entry["occurredAt"] for entry in entries]
    assert moments == sorted(moments, reverse=True)
    told = [(entry["kind"], entry["previousStatus"], entry["status"]) for entry in entries]
    assert told == [
        ("STATUS_CHANGE", "IN_TRANSIT", "OUT_FOR_DELIVERY"),
        ("STATUS_CHANGE", "CREATED", "IN_TRANSIT"),
        ("STATUS_CHANGE", None, "CREATED"),
        ("TRACKING_EVENT", None, "OUT_FOR_DELIVERY"),
        ("TRACKING_EVENT", None, "IN_TRANSIT"),
    ]
    assert [entry["trackingEvent"] for entry in entries[2:4]] == [
        None,
        {
            "externalId": "e-2",
            "status": "OUT_FOR_DELIVERY",
            "occurredAt": "2025-11-05T08:00:00.000Z",
            "location": "Utrecht",
        },
    ]


async def test_shipment_timeline_keeps_the_steps_of_one_transaction_in_order(
    write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    steps = ["IN_TRANSIT", "EXCEPTION", "IN_TRANSIT", "DELIVERED"]
    async with copy_connection.transaction():
        for status in steps:
            await copy_connection.execute("UPDATE shipments SET status = $1 WHERE id = $2", status, SHIPMENT)
    entries = await read(write, TIMELINE, "timeline")
    assert [entry["status"] for entry in entries] == [*reversed(steps), "CREATED"]


async def test_shipment_timeline_says_nothing_of_writes_that_leave_the_status(
    write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("UPDATE shipments SET expected_delivery_at = now() WHERE id = $1", SHIPMENT)
    await copy_connection.execute("DELETE FROM shipment_items WHERE shipment_id = $1", SHIPMENT)
    assert len(await read(write, TIMELINE, "timeline")) == 1


async def test_shipment_timeline_is_capped_at_the_newest(write: GraphQL, copy_connection: asyncpg.Connection) -> None:
    await copy_connection.execute(
        "INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at, external_id)"
        " SELECT $1, 1, 'IN_TRANSIT', timestamptz '2025-11-04' + n * interval '1 second', n"
        " FROM generate_series(1, $2) n",
        CODE_ID,
        NEWEST_BY_SHIPMENT + 5,
    )
    entries = await read(write, TIMELINE, "timeline")
    assert len(entries) == NEWEST_BY_SHIPMENT
    kinds = [entry["kind"] for entry in entries[:3]]
    assert kinds == ["STATUS_CHANGE", "STATUS_CHANGE", "TRACKING_EVENT"]
    assert entries[2]["trackingEvent"]["externalId"] == str(NEWEST_BY_SHIPMENT + 5)


async def test_shipment_estimated_delivery_history_tells_how_the_promise_moved(
    write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    for promise in ("2025-12-08 10:00+00", None, "2025-12-09 10:00+01"):
        await copy_connection.execute(
            "UPDATE shipments SET expected_delivery_at = $1::text::timestamptz WHERE id = $2", promise, SHIPMENT
        )
    promises = await read(write, PROMISES, "estimatedDeliveryHistory")
    assert [(entry["previousExpectedDeliveryAt"], entry["expectedDeliveryAt"]) for entry in promises] == [
        (None, "2025-12-09T09:00:00.000Z"),
        ("2025-12-08T10:00:00.000Z", None),
        ("2025-12-05T10:00:00.000Z", "2025-12-08T10:00:00.000Z"),
        (None, "2025-12-05T10:00:00.000Z"),
    ]


async def test_shipment_without_a_promise_has_no_history_of_one(
    write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    shipment = await copy_connection.fetchval(
        "INSERT INTO shipments (order_id, channel_id) VALUES (2075, 1) RETURNING id::text"
    )
    assert await read(write, PROMISES, "estimatedDeliveryHistory", shipment) == []


@pytest.mark.parametrize("field", ["timeline { kind trackingEvent { id } }", "estimatedDeliveryHistory { promisedAt }"])
async def test_shipment_histories_cost_one_statement_whatever_the_page(
    copy: Starlette, write: GraphQL, field: str
) -> None:
    costs = []
    for size in (1, 50):
        before = copy.state.db.statements
        answer = await write(f"{{ shipments(input: {{offset: {size}}}) {{ items {{ {field} }} }} }}")
        assert "errors" not in answer
        costs.append(copy.state.db.statements - before)
    assert costs[0] == costs[1]
