"""Which goods are in which parcel: said with the codes, held to the shipment, and forgotten when they move."""

from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from tests.app.resolvers.b2b.conftest import Refused
from tests.conftest import GraphQL

FIELDS = "id version expectedDeliveryAt items { shipmentItemId orderItemId name sku quantity }"
CREATE = f"""mutation($input: ShipmentCreateInput!) {{
  shipmentCreate(input: $input) {{ id items {{ id orderItemId quantity }} trackAndTraces {{ code {FIELDS} }} }}
}}"""
ADD = f"mutation($input: TrackAndTraceCreateInput!) {{ trackAndTraceCreate(input: $input) {{ {FIELDS} }} }}"
UPDATE = f"""mutation($id: String!, $input: TrackAndTraceUpdateInput!) {{
  trackAndTraceUpdate(id: $id, input: $input) {{ {FIELDS} }}
}}"""
READ = f"query($id: String!) {{ trackAndTrace(id: $id) {{ {FIELDS} }} }}"
MISSING = "00000000-0000-4000-8000-000000000000"
# Lines of order 2075, and one of another order.
LINES, FOREIGN = (20151, 20152), 20154


async def shipment(written: GraphQL, connection: asyncpg.Connection, *codes: dict[str, Any]) -> Any:
    """A shipment of order 2075 with three of each of its lines."""
    await connection.execute("UPDATE order_items SET quantity = 12 WHERE id = ANY($1)", LINES)
    items = [{"orderItemId": line, "quantity": 3} for line in LINES]
    return await written(CREATE, input={"orderId": 2075, "items": items, "trackAndTraces": list(codes)})


def held(code: dict[str, Any]) -> dict[int, int]:
    """How many of each line are in the parcel."""
    return {item["orderItemId"]: item["quantity"] for item in code["items"]}


async def test_shipment_is_created_with_what_is_in_its_parcels(
    written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    created = await shipment(
        written,
        copy_connection,
        {"code": "P1", "items": [{"orderItemId": LINES[0], "quantity": 2}, {"orderItemId": LINES[1]}]},
        {"code": "P2", "items": [{"orderItemId": LINES[0]}], "expectedDeliveryAt": "2027-01-05"},
        {"code": "P3"},
    )
    assert [code["code"] for code in created["trackAndTraces"]] == ["P1", "P2", "P3"]
    assert [held(code) for code in created["trackAndTraces"]] == [{LINES[0]: 2, LINES[1]: 3}, {LINES[0]: 1}, {}]
    [item, *_] = created["trackAndTraces"][0]["items"]
    assert item["shipmentItemId"] in {each["id"] for each in created["items"]}
    assert [code["expectedDeliveryAt"] for code in created["trackAndTraces"]] == [
        None,
        "2027-01-05T00:00:00.000Z",
        None,
    ]


async def test_line_that_is_listed_several_times_is_the_sum(
    written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    """As of two serial numbers or batches: in the shipment two items, and in parcels what they hold together."""
    await copy_connection.execute("UPDATE order_items SET quantity = 12 WHERE id = ANY($1)", LINES)
    batch = {"orderItemId": LINES[0], "quantity": 2}
    items = [{**batch, "externalId": "batch-1"}, {**batch, "externalId": "batch-2"}]
    codes = [
        {"code": "P1", "items": [{**batch, "quantity": 1}, batch]},
        {"code": "P2", "items": [{"orderItemId": LINES[0]}]},
    ]
    created = await written(CREATE, input={"orderId": 2075, "items": items, "trackAndTraces": codes})
    assert [item["quantity"] for item in created["items"]] == [2, 2]
    assert [sorted(item["quantity"] for item in code["items"]) for code in created["trackAndTraces"]] == [[1, 2], [1]]


async def test_promise_without_a_time_is_the_day_of_the_channel(
    written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("UPDATE channels SET time_zone = 'Europe/Amsterdam'")
    await copy_connection.execute("UPDATE carriers SET time_zone = 'America/New_York'")
    created = await shipment(written, copy_connection)
    for text, moment in (("2027-01-05", "2027-01-05T00:00"), ("2027-01-05T12:00", "2027-01-05T17:00")):
        code = await written(
            ADD, input={"shipmentId": created["id"], "code": text, "carrierId": 1, "expectedDeliveryAt": text}
        )
        assert code["expectedDeliveryAt"] == f"{moment}:00.000Z"
    code = await written(UPDATE, id=code["id"], input={"expectedDeliveryAt": None})
    assert (code["expectedDeliveryAt"], code["version"]) == (None, 2)


async def test_what_is_in_a_parcel_is_replaced_and_is_a_write_to_its_code(
    written: GraphQL, write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    created = await shipment(written, copy_connection, {"code": "P1", "items": [{"orderItemId": LINES[0]}]})
    [code] = created["trackAndTraces"]
    other = next(item["id"] for item in created["items"] if item["orderItemId"] == LINES[1])
    changed = await written(UPDATE, id=code["id"], input={"items": [{"shipmentItemId": other, "quantity": 1}]})
    assert (held(changed), changed["version"]) == ({LINES[1]: 1}, code["version"] + 1)
    assert (await write(READ, {"id": code["id"]}))["data"]["trackAndTrace"] == changed
    assert (await written(UPDATE, id=code["id"], input={"items": []}))["items"] == []


@pytest.mark.parametrize(
    ("items", "path", "code"),
    [
        ([{"orderItemId": FOREIGN}], "items.0.orderItemId", "ORDER_ITEM_NOT_FOUND"),
        ([{"shipmentItemId": MISSING}], "items.0.shipmentItemId", "SHIPMENT_ITEM_NOT_FOUND_ERROR"),
        ([{"shipmentItemId": "x"}], "items.0.shipmentItemId", "SHIPMENT_ITEM_NOT_FOUND_ERROR"),
        ([{}], "items.0", "VALIDATION_ERROR"),
        ([{"orderItemId": LINES[0], "shipmentItemId": MISSING}], "items.0", "VALIDATION_ERROR"),
        ([{"orderItemId": LINES[0], "quantity": 1}] * 3, "items.2.quantity", "VALIDATION_ERROR"),
        ([{"orderItemId": LINES[0], "quantity": 0}], "items.0.quantity", "VALIDATION_ERROR"),
        ([{"orderItemId": LINES[0], "quantity": 3}], "items.0.quantity", "VALIDATION_ERROR"),
    ],
    ids=str,
)
async def test_parcel_holds_no_more_than_its_shipment(
    written: GraphQL,
    refused_after: Refused,
    copy_connection: asyncpg.Connection,
    items: list[dict[str, Any]],
    path: str,
    code: str,
) -> None:
    """Another parcel holds one of the first line already."""
    created = await shipment(
        written, copy_connection, {"code": "P1", "items": [{"orderItemId": LINES[0], "quantity": 1}]}
    )
    extensions = await refused_after(ADD, input={"shipmentId": created["id"], "code": "P2", "items": items})
    assert (extensions["path"], extensions["code"]) == (f"input.{path}", code)


async def test_parcel_forgets_what_nobody_knows_any_more(
    written: GraphQL, write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    """An item that becomes less than its parcels hold, one that goes, and a code that goes to another shipment."""
    everything = [{"orderItemId": line, "quantity": 2} for line in LINES]
    created = await shipment(written, copy_connection, {"code": "P1", "items": everything})
    [code], (first, second) = created["trackAndTraces"], created["items"]

    async def now() -> dict[int, int]:
        return held((await write(READ, {"id": code["id"]}))["data"]["trackAndTrace"])

    set_quantity = (
        "mutation($id: String!, $n: Int!) { shipmentItemUpdate(id: $id, input: {quantity: $n}) { quantity } }"
    )
    await written(set_quantity, id=first["id"], n=2)
    assert await now() == {LINES[0]: 2, LINES[1]: 2}
    await written(set_quantity, id=first["id"], n=1)
    assert await now() == {LINES[1]: 2}
    other = await shipment(written, copy_connection)
    await written(UPDATE, id=code["id"], input={"shipmentId": other["id"]})
    assert await now() == {}
    await written("mutation($id: String!) { shipmentItemDelete(id: $id) }", id=second["id"])
    assert await copy_connection.fetchval("SELECT count(*) FROM parcel_items") == 0


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("UPDATE parcel_items SET quantity = 4", "parcel_items_never_overpacked"),
        (
            "INSERT INTO parcel_items SELECT t.id, i.id, i.order_id, i.channel_id, 1"
            " FROM track_and_traces t, shipment_items i"
            " WHERE t.code = 'P1' AND i.shipment_id <> t.shipment_id AND i.channel_id = t.channel_id LIMIT 1",
            "parcel_items_of_shipment",
        ),
    ],
    ids=["too many", "of another shipment"],
)
async def test_database_refuses_parcels_that_hold_what_they_cannot(
    written: GraphQL, copy_connection: asyncpg.Connection, statement: str, rule: str
) -> None:
    await shipment(written, copy_connection, {"code": "P1", "items": [{"orderItemId": LINES[0]}]})
    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await copy_connection.execute(statement)
    assert caught.value.constraint_name == rule


async def test_parcels_cost_one_statement(copy: Starlette, write: GraphQL) -> None:
    costs = []
    for size in (1, 12):
        before = copy.state.db.statements
        await write(
            f"{{ trackAndTraces(input: {{offset: {size}}}) {{ items {{ items {{ sku }} }} }} }}", viewer="staff"
        )
        costs.append(copy.state.db.statements - before)
    assert costs[0] == costs[1]
