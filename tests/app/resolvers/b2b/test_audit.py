"""The audit trail of a shipment: all that was written, by whom, and nothing that is nobody's business."""

from typing import Any

import asyncpg
import pytest

from app.resolvers.place import Place, cursor_of
from tests.conftest import STAFF_SCOPES, GraphQL

MISSING = "00000000-0000-4000-8000-000000000000"
TRAIL = """
query Trail($shipmentId: String!, $first: Int, $after: String) {
  auditTrail(shipmentId: $shipmentId, first: $first, after: $after) {
    occurredAt actor requestId type action id version cursor fields { name old new }
  }
}
"""
CREATE = """
mutation Create($input: ShipmentCreateInput!) {
  shipmentCreate(input: $input) { id items { id } trackAndTraces { id } }
}
"""
NEW_SHIPMENT = "INSERT INTO shipments (order_id, channel_id) VALUES (2075, 1) RETURNING id::text"

# All that may ever be told of a row, and so all that may ever be recorded.
TELLABLE = {
    "ORDER": {
        *("status", "type", "externalId", "companyId", "contactId", "customerId", "currency"),
        *("totalGross", "totalNet", "totalTax", "refundedTotal", "paymentStatus"),
    },
    "SHIPMENT": {"status", "subStatus", "expectedDeliveryAt", "externalId"},
    "SHIPMENT_ITEM": {"orderItemId", "name", "sku", "quantity", "shipmentId", "externalId"},
    "TRACK_AND_TRACE": {"carrierId", "code", "shipmentId", "status", "subStatus", "externalId", "expectedDeliveryAt"},
    "CARRIER": {"key", "name", "type", "trackAndTraceURL", "logo"},
}

UNTELLABLE = {
    "orders": [
        *("email", "first_name", "last_name", "remarks", "reference", "extra3", "extra4", "coupon_code", "cart_id"),
        *("debtor_id", "source", "export_message", "payment_accounting_id", "payment_method", "postage_carrier"),
        *("shipping_method", "shipping_title"),
    ],
    "order_addresses": [
        *("code", "name", "first_name", "middle_name", "last_name", "company", "street", "number", "number_extension"),
        *("postal_code", "city", "region", "phone", "mobile", "fax", "email", "url", "notes", "vat_id"),
    ],
    "shipments": ["shipping_number"],
    "customers": ["first_name", "last_name", "phone", "password_hash"],
}


async def trail(post: GraphQL, shipment_id: str, **variables: Any) -> list[dict[str, Any]]:
    answer = await post(TRAIL, {"shipmentId": shipment_id, **variables}, viewer="staff")
    assert "errors" not in answer, answer["errors"]
    entries: list[dict[str, Any]] = answer["data"]["auditTrail"]
    return entries


async def test_audit_trail_tells_who_did_what_newest_first(
    write: GraphQL, written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    line = await copy_connection.fetchval(
        "SELECT min(id) FROM order_items WHERE order_id = 3 AND quantity_shipped < quantity"
    )
    wanted = {"orderId": 3, "trackAndTraces": [{"carrierId": 1, "code": "AUDIT-1"}]}
    wanted |= {"items": [{"orderItemId": line, "quantity": 1}] if line else []}
    shipment = await written(CREATE, input=wanted)
    update = "mutation($id: String!) { shipmentUpdate(id: $id, input: {status: IN_TRANSIT}) { id } }"
    await written(update, id=shipment["id"], viewer="editor")
    rename = 'mutation($id: String!) { trackAndTraceUpdate(id: $id, input: {code: "AUDIT-2"}) { id } }'
    await written(rename, id=shipment["trackAndTraces"][0]["id"])
    entries = [entry for entry in await trail(write, shipment["id"]) if entry["fields"]]

    renamed, moved, *created = entries
    assert (renamed["actor"], renamed["type"], renamed["action"]) == ("partner:1", "TRACK_AND_TRACE", "UPDATED")
    assert renamed["fields"] == [{"name": "code", "old": "AUDIT-1", "new": "AUDIT-2"}]
    assert (moved["actor"], moved["id"], moved["version"]) == ("staff:2", shipment["id"], 2)
    assert moved["fields"] == [{"name": "status", "old": "CREATED", "new": "IN_TRANSIT"}]
    assert {entry["type"] for entry in created} >= {"SHIPMENT", "TRACK_AND_TRACE"}
    assert {entry["action"] for entry in created} == {"CREATED"}
    assert {entry["actor"] for entry in created} == {"partner:1"}
    [code] = [entry for entry in created if entry["type"] == "TRACK_AND_TRACE"]
    assert code["fields"] == [
        {"name": "carrierId", "old": None, "new": "1"},
        {"name": "code", "old": None, "new": "AUDIT-1"},
        {"name": "shipmentId", "old": None, "new": shipment["id"]},
    ]
    # The ids that the requests' own lines in the log have.
    assert len({entry["requestId"] for entry in entries}) == 3
    assert None not in {entry["requestId"] for entry in entries}


async def test_audit_trail_tells_keys_and_promises(write: GraphQL, written: GraphQL) -> None:
    code = {"code": "AUDIT-3", "externalId": "C-1", "expectedDeliveryAt": "2030-01-02"}
    line = {"orderItemId": 20153, "quantity": 1, "externalId": "I-1"}
    shipment = await written(CREATE, input={"orderId": 2075, "items": [line], "trackAndTraces": [code]})
    update = """mutation($id: String!, $input: TrackAndTraceUpdateInput!) {
      trackAndTraceUpdate(id: $id, input: $input) { id }
    }"""
    changed = {"externalId": "C-2", "expectedDeliveryAt": "2030-01-03"}
    await written(update, id=shipment["trackAndTraces"][0]["id"], input=changed)
    entries = [entry for entry in await trail(write, shipment["id"]) if entry["fields"]]
    assert entries[0]["fields"] == [
        {"name": "expectedDeliveryAt", "old": "2030-01-02T00:00:00.000Z", "new": "2030-01-03T00:00:00.000Z"},
        {"name": "externalId", "old": "C-1", "new": "C-2"},
    ]
    [item] = [entry for entry in entries if entry["type"] == "SHIPMENT_ITEM"]
    assert {"name": "externalId", "old": None, "new": "I-1"} in item["fields"]


async def test_audit_trail_of_what_moves_is_told_of_both_shipments(
    write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    left, entered = [await copy_connection.fetchval(NEW_SHIPMENT) for _ in range(2)]
    code = await copy_connection.fetchval(
        "INSERT INTO track_and_traces (shipment_id, order_id, channel_id, code) VALUES ($1, 2075, 1, 'moves')"
        " RETURNING id::text",
        left,
    )
    await copy_connection.execute("UPDATE track_and_traces SET shipment_id = $2 WHERE id = $1", code, entered)
    await copy_connection.execute("UPDATE track_and_traces SET code = 'moved' WHERE id = $1", code)
    renamed, moved, created = await trail(write, entered)
    assert moved["fields"] == [{"name": "shipmentId", "old": left, "new": entered}]
    assert (renamed["id"], created["id"]) == (code, entered)
    # What happens to it afterwards is the other shipment's.
    assert [(entry["id"], entry["action"]) for entry in await trail(write, left)] == [
        (code, "UPDATED"),
        (code, "CREATED"),
        (left, "CREATED"),
    ]


async def test_audit_trail_of_a_deleted_shipment_stays(write: GraphQL, copy_connection: asyncpg.Connection) -> None:
    shipment_id = await copy_connection.fetchval(NEW_SHIPMENT)
    await copy_connection.execute(
        "INSERT INTO track_and_traces (shipment_id, order_id, channel_id, code) VALUES ($1, 2075, 1, 'gone')",
        shipment_id,
    )
    await copy_connection.execute("DELETE FROM shipments WHERE id = $1", shipment_id)
    entries = await trail(write, shipment_id)
    assert [entry["action"] for entry in entries] == ["DELETED", "DELETED", "CREATED", "CREATED"]
    assert {entry["actor"] for entry in entries} == {"system"}
    assert {"name": "code", "old": "gone", "new": None} in [field for entry in entries for field in entry["fields"]]


async def test_audit_trail_is_paged(write: GraphQL, copy_connection: asyncpg.Connection) -> None:
    shipment_id = await copy_connection.fetchval(NEW_SHIPMENT)
    for day in range(1, 8):
        await copy_connection.execute(
            "UPDATE shipments SET expected_delivery_at = make_timestamptz(2030, 1, $2, 0, 0, 0, 'UTC') WHERE id = $1",
            shipment_id,
            day,
        )
    whole = await trail(write, shipment_id)
    assert [entry["version"] for entry in whole] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert whole[0]["fields"] == [
        {"name": "expectedDeliveryAt", "old": "2030-01-06T00:00:00.000Z", "new": "2030-01-07T00:00:00.000Z"}
    ]
    paged: list[dict[str, Any]] = []
    while page := await trail(write, shipment_id, first=3, after=paged[-1]["cursor"] if paged else None):
        assert len(page) <= 3
        paged += page
    assert paged == whole


async def test_audit_trail_is_in_the_order_of_commits(
    write: GraphQL, copy_connection: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    """As the feed is; the transaction that begins first here is the later one."""
    shipment_id = await copy_connection.fetchval(NEW_SHIPMENT)
    code = "INSERT INTO track_and_traces (shipment_id, order_id, channel_id, code) VALUES ($1, 2075, 1, $2)"
    transaction = other.transaction()
    await transaction.start()
    await other.execute(code, shipment_id, "begun first")
    await copy_connection.execute(code, shipment_id, "committed first")
    await transaction.commit()
    codes = [entry["fields"][0]["new"] for entry in await trail(write, shipment_id) if entry["type"] != "SHIPMENT"]
    assert codes == ["begun first", "committed first"]


@pytest.mark.parametrize("viewer", ["apikey", "contact", "john"])
async def test_audit_trail_is_for_staff_alone(graphql: GraphQL, viewer: str) -> None:
    answer = await graphql(TRAIL, {"shipmentId": MISSING}, viewer=viewer)
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"] == {"code": "FORBIDDEN"}


async def test_audit_trail_needs_the_scope(graphql: GraphQL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STAFF_SCOPES, "staff", "orders:read")
    answer = await graphql(TRAIL, {"shipmentId": MISSING})
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_audit_trail_of_an_unknown_shipment_is_not_found(graphql: GraphQL) -> None:
    answer = await graphql(TRAIL, {"shipmentId": MISSING})
    assert answer["errors"][0]["extensions"]["code"] == "SHIPMENT_NOT_FOUND_ERROR"


async def test_audit_trail_of_what_was_there_before_is_empty(
    write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    shipment_id = await copy_connection.fetchval(NEW_SHIPMENT)
    await copy_connection.execute("DELETE FROM changes")
    assert await trail(write, shipment_id) == []


@pytest.mark.parametrize(
    ("variables", "code", "path"),
    [
        ({"shipmentId": "17"}, "VALIDATION_ERROR", "shipmentId"),
        ({"first": 0}, "VALIDATION_ERROR", "first"),
        ({"first": 101}, "VALIDATION_ERROR", "first"),
        ({"after": "garbage"}, "INVALID_CURSOR", "after"),
        ({"after": cursor_of(Place(1, 1), "changes")}, "INVALID_CURSOR", "after"),
        ({"after": cursor_of(Place(1, 1), "auditTrail", "another shipment")}, "INVALID_CURSOR", "after"),
    ],
    ids=str,
)
async def test_audit_trail_refusal_names_the_argument(
    graphql: GraphQL, variables: dict[str, Any], code: str, path: str
) -> None:
    answer = await graphql(TRAIL, {"shipmentId": MISSING, **variables})
    assert answer["data"] is None
    extensions = answer["errors"][0]["extensions"]
    assert (extensions["code"], extensions["path"]) == (code, path)


async def test_audit_trail_holds_no_secrets_no_addresses_and_no_free_text(
    copy_connection: asyncpg.Connection,
) -> None:
    """Every text that is nobody's business is written full of a word: nothing of what is recorded has it."""
    begin = await copy_connection.fetchval("SELECT max(id) FROM changes")
    for table, columns in UNTELLABLE.items():
        canaries = ", ".join(f"{column} = 'canary'" for column in columns)
        await copy_connection.execute(f"UPDATE {table} SET {canaries}")
    await copy_connection.execute("SELECT set_config('waybill.overridden_steps', 'allowed', false)")
    await copy_connection.execute("DELETE FROM shipments")
    told = await copy_connection.fetch("SELECT concat(old, new) AS text FROM changes WHERE id > $1", begin)
    assert len(told) > 100
    assert not [row["text"] for row in told if "canary" in row["text"]]
    names = await copy_connection.fetch(
        "SELECT DISTINCT type, key FROM changes, jsonb_object_keys(coalesce(old, '{}') || coalesce(new, '{}')) key"
    )
    assert {(row["type"], row["key"]) for row in names} <= {
        (type_, name) for type_, tellable in TELLABLE.items() for name in tellable
    }
