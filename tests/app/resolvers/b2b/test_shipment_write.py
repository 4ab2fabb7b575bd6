"""Recording, changing and deleting shipments: rows B-50 to B-53 and B-57 of the contract."""

from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from tests.app.resolvers.b2b.conftest import Refused
from tests.conftest import GraphQL

# Of order 2075 all of lines 20151 and 20152 is shipped; 3, 3 and 4 of lines 20153 to 20155 are not.
SHIPMENT = "65ad4404-88a6-4f97-9325-34a3a35f1dfc"
MISSING = "00000000-0000-4000-8000-000000000000"
# The shipments of order 2076, the first of them delivered; 2 of line 20161 are left.
DELIVERED, IN_TRANSIT = "5c6e4337-15ba-4bdd-9772-19d30e7a269f", "cf1822ff-bc68-4778-ab49-1044d5e34124"

SHIPMENT_FIELDS = """
  id orderId status expectedDeliveryAt createdAt lastModifiedAt version
  items { id orderItemId quantity name sku shipmentId version orderItem { id name quantityShipped } }
  trackAndTraces { id code carrierId carrier { name } trackingUrl shipmentId version }
  sources { id name }
"""
CREATE = f"mutation($input: ShipmentCreateInput!) {{ shipmentCreate(input: $input) {{ {SHIPMENT_FIELDS} }} }}"
UPDATE = f"""mutation($id: String!, $input: ShipmentUpdateInput!, $ifVersion: Int) {{
  shipmentUpdate(id: $id, input: $input, ifVersion: $ifVersion) {{ {SHIPMENT_FIELDS} }}
}}"""
DELETE = "mutation($id: String!, $ifVersion: Int) { shipmentDelete(id: $id, ifVersion: $ifVersion) }"
READ = f"query($id: String!) {{ shipment(id: $id) {{ {SHIPMENT_FIELDS} }} }}"


async def read(write: GraphQL, id: str) -> Any:
    return (await write(READ, {"id": id}))["data"]["shipment"]


async def create(written: GraphQL, **input: Any) -> Any:
    return await written(CREATE, input={"orderId": 2075, **input})


# ------------------------------------------------------------------------------------------------------------- create


async def test_shipment_create_records_all_of_it_and_answers_as_a_query_would(written: GraphQL, write: GraphQL) -> None:
    shipment = await create(
        written,
        status="PROCESSING",
        expectedDeliveryAt="2999-01-01T12:00:00+02:00",
        items=[
            {"orderItemId": 20155, "quantity": 3, "name": "Saw", "sku": "S-1"},
            {"orderItemId": 20153, "quantity": 1},
        ],
        trackAndTraces=[{"carrierId": 1, "code": "W-1"}, {"code": "W-2"}],
        sources=[{"name": "wms", "id": "P-2"}, {"name": "wms", "id": "P-1"}],
    )

    assert shipment == await read(write, shipment["id"])
    assert (shipment["orderId"], shipment["status"], shipment["version"]) == (2075, "PROCESSING", 1)
    assert shipment["expectedDeliveryAt"] == "2999-01-01T10:00:00.000Z"
    assert shipment["createdAt"] == shipment["lastModifiedAt"]
    assert [(item["orderItemId"], item["quantity"], item["name"], item["sku"]) for item in shipment["items"]] == [
        (20153, 1, "Power cord 2x1.50 4.0mtr", "695123-3"),
        (20155, 3, "Saw", "S-1"),
    ]
    assert {item["shipmentId"] for item in shipment["items"]} == {shipment["id"]}
    assert [item["orderItem"]["quantityShipped"] for item in shipment["items"]] == [1, 3]
    codes = {(code["code"], code["carrierId"], code["trackingUrl"]) for code in shipment["trackAndTraces"]}
    assert codes == {("W-1", 1, "https://postnl.nl/tracktrace/?B=W-1"), ("W-2", None, None)}
    assert shipment["sources"] == [{"id": "P-1", "name": "wms"}, {"id": "P-2", "name": "wms"}]


async def test_shipment_create_keeps_codes_in_the_order_given(written: GraphQL, write: GraphQL) -> None:
    codes = [f"K-{place}" for place in (5, 2, 9, 1, 7, 3)]
    shipment = await create(written, trackAndTraces=[{"code": code} for code in codes])
    assert [code["code"] for code in shipment["trackAndTraces"]] == codes
    assert [code["code"] for code in (await read(write, shipment["id"]))["trackAndTraces"]] == codes


@pytest.mark.parametrize(
    "input", [{}, {"status": None, "expectedDeliveryAt": None, "items": None, "trackAndTraces": None, "sources": None}]
)
async def test_shipment_create_takes_all_that_is_left_of_its_order(written: GraphQL, input: dict[str, Any]) -> None:
    shipment = await create(written, **input)
    assert (shipment["status"], shipment["expectedDeliveryAt"]) == ("CREATED", None)
    assert (shipment["trackAndTraces"], shipment["sources"]) == ([], [])
    # Lines 20151 and 20152 are in another shipment.
    quantities = {item["orderItemId"]: item["quantity"] for item in shipment["items"]}
    assert quantities == {20153: 3, 20154: 3, 20155: 4}


async def test_shipment_create_may_begin_without_items(written: GraphQL) -> None:
    assert (await create(written, items=[]))["items"] == []


async def test_shipment_create_refuses_an_order_of_which_nothing_is_left(
    written: GraphQL, refused_after: Refused
) -> None:
    await create(written)
    extensions = await refused_after(CREATE, input={"orderId": 2075})
    assert (extensions["path"], extensions["code"]) == ("input.items", "VALIDATION_ERROR")


async def test_shipment_create_fills_in_what_is_left_of_a_line(written: GraphQL) -> None:
    """B-51, also where items before it take of the same line."""
    items = [{"orderItemId": 20155, "quantity": 1}, {"orderItemId": 20155}, {"orderItemId": 20153, "quantity": None}]
    shipment = await create(written, items=items)
    quantities = [(item["orderItemId"], item["quantity"]) for item in shipment["items"]]
    assert sorted(quantities) == [(20153, 3), (20155, 1), (20155, 3)]


async def test_shipment_create_may_ship_what_a_canceled_shipment_held(written: GraphQL) -> None:
    await written(UPDATE, id=SHIPMENT, input={"status": "CANCELED"})
    shipment = await create(written, items=[{"orderItemId": 20151}])
    assert shipment["items"][0]["quantity"] == 4


async def test_shipment_create_of_a_canceled_shipment_may_hold_what_was_ordered(written: GraphQL) -> None:
    """What it holds does not count: all of line 20151 is shipped by another."""
    shipment = await create(written, status="CANCELED", items=[{"orderItemId": 20151, "quantity": 4}])
    assert shipment["items"][0]["orderItem"]["quantityShipped"] == 4


@pytest.mark.parametrize(
    ("items", "path", "code"),
    [
        ([{"orderItemId": 20161, "quantity": 1}], "items.0.orderItemId", "ORDER_ITEM_NOT_FOUND"),
        ([{"orderItemId": 20155}, {"orderItemId": 1}], "items.1.orderItemId", "ORDER_ITEM_NOT_FOUND"),
        ([{"orderItemId": 20155, "quantity": 0}], "items.0.quantity", "VALIDATION_ERROR"),
        ([{"orderItemId": 20155, "quantity": -1}], "items.0.quantity", "VALIDATION_ERROR"),
        ([{"orderItemId": 20155, "quantity": 5}], "items.0.quantity", "VALIDATION_ERROR"),
        ([{"orderItemId": 20151, "quantity": 1}], "items.0.quantity", "VALIDATION_ERROR"),
        ([{"orderItemId": 20151}], "items.0.quantity", "VALIDATION_ERROR"),
        ([{"orderItemId": 20155, "quantity": 3}, {"orderItemId": 20155, "quantity": 2}], "items.1.quantity", None),
        ([{"orderItemId": 20155}, {"orderItemId": 20155}], "items.1.quantity", "VALIDATION_ERROR"),
        ([{"orderItemId": 20155, "name": ""}], "items.0.name", "VALIDATION_ERROR"),
        ([{"orderItemId": 20155, "name": "x" * 256}], "items.0.name", "VALIDATION_ERROR"),
        ([{"orderItemId": 20155, "sku": " "}], "items.0.sku", "VALIDATION_ERROR"),
    ],
    ids=str,
)
async def test_shipment_create_refuses_items_that_break_a_rule(
    refused: Refused, items: list[dict[str, Any]], path: str, code: str | None
) -> None:
    extensions = await refused(CREATE, input={"orderId": 2075, "items": items})
    assert (extensions["path"], extensions["code"]) == (f"input.{path}", code or "VALIDATION_ERROR")
    assert extensions["rule"]


async def test_shipment_create_says_how_many_are_left(refused: Refused) -> None:
    extensions = await refused(CREATE, input={"orderId": 2076, "items": [{"orderItemId": 20161, "quantity": 3}]})
    assert extensions["rule"] == "must be at most 2, which is what is left of order line 20161"


@pytest.mark.parametrize(
    ("input", "path", "code"),
    [
        ({"orderId": 999}, "orderId", "ORDER_NOT_FOUND"),
        ({"expectedDeliveryAt": "2020-01-01T00:00:00Z"}, "expectedDeliveryAt", "VALIDATION_ERROR"),
        ({"expectedDeliveryAt": "soon"}, "expectedDeliveryAt", "VALIDATION_ERROR"),
        ({"trackAndTraces": [{"code": "A"}, {"code": ""}]}, "trackAndTraces.1.code", "VALIDATION_ERROR"),
        ({"trackAndTraces": [{"code": "\u00a0", "carrierId": 1}]}, "trackAndTraces.0.code", "VALIDATION_ERROR"),
        ({"trackAndTraces": [{"code": "x" * 256}]}, "trackAndTraces.0.code", "VALIDATION_ERROR"),
        ({"trackAndTraces": [{"code": "A", "carrierId": 4711}]}, "trackAndTraces.0.carrierId", "VALIDATION_ERROR"),
        (
            {"trackAndTraces": [{"code": "A", "carrierId": 1}, {"code": "B", "carrierId": 0}]},
            "trackAndTraces.1.carrierId",
            "VALIDATION_ERROR",
        ),
        # The code of the contract's example exists for carrier 1, and goes to somebody else.
        (
            {
                "orderId": 2077,
                "items": [],
                "trackAndTraces": [{"code": "A", "carrierId": 1}, {"code": "3s-test 1234567890", "carrierId": 1}],
            },
            "trackAndTraces.1.code",
            "VALIDATION_ERROR",
        ),
        (
            {"trackAndTraces": [{"code": "A1", "carrierId": 1}, {"code": "a-1", "carrierId": 1}]},
            "trackAndTraces.1.code",
            "VALIDATION_ERROR",
        ),
        ({"trackAndTraces": [{"code": "A"}, {"code": "A"}]}, "trackAndTraces.1.code", "VALIDATION_ERROR"),
        ({"sources": [{"id": "", "name": "wms"}]}, "sources.0.id", "VALIDATION_ERROR"),
        ({"sources": [{"id": "1", "name": "x" * 256}]}, "sources.0.name", "VALIDATION_ERROR"),
        ({"sources": [{"id": "1", "name": "w"}, {"id": "1", "name": "w"}]}, "sources.1", "VALIDATION_ERROR"),
    ],
    ids=str,
)
async def test_shipment_create_refuses_what_breaks_a_rule(
    refused: Refused, input: dict[str, Any], path: str, code: str
) -> None:
    items = [{"orderItemId": 20155, "quantity": 1}]
    extensions = await refused(CREATE, input={"orderId": 2075, "items": items, **input})
    assert (extensions["path"], extensions["code"]) == (f"input.{path}", code)
    assert extensions["rule"]


async def test_shipment_create_accepts_a_code_that_another_carrier_has(written: GraphQL) -> None:
    shipment = await create(written, trackAndTraces=[{"code": "3STEST1234567890", "carrierId": 2}])
    assert shipment["trackAndTraces"][0]["carrier"] == {"name": "FedEx"}


async def test_shipment_costs_the_same_to_write_whatever_it_holds(copy: Starlette, written: GraphQL) -> None:
    """The answer with all that is nested in it included, and the viewer and the frame of the transaction."""

    async def costs(n: int) -> list[int]:
        sources = [{"id": f"{n}-{k}", "name": "wms"} for k in range(n)]
        counts = [copy.state.db.statements]
        shipment = await create(
            written,
            items=[{"orderItemId": 20153 + k % 3, "quantity": 1} for k in range(n)],
            trackAndTraces=[{"code": f"{n}-{k}", "carrierId": 1 + k % 2} for k in range(n)],
            sources=sources,
        )
        counts.append(copy.state.db.statements)
        await written(UPDATE, id=shipment["id"], input={"status": "CANCELED", "sources": sources[1:]})
        counts.append(copy.state.db.statements)
        await written(DELETE, id=shipment["id"], viewer="overrider")
        counts.append(copy.state.db.statements)
        return [after - before for before, after in pairwise(counts)]

    assert await costs(1) == await costs(6) == [9, 11, 4]


# ------------------------------------------------------------------------------------------------------------- update


async def test_shipment_update_changes_only_what_is_given(written: GraphQL, write: GraphQL) -> None:
    before = await read(write, SHIPMENT)
    after = await written(UPDATE, id=SHIPMENT, input={"status": "IN_TRANSIT"})
    assert after == await read(write, SHIPMENT)
    changed = {field for field in before if before[field] != after[field]}
    assert changed == {"status", "lastModifiedAt", "version"}
    assert (after["status"], after["version"]) == ("IN_TRANSIT", before["version"] + 1)
    assert after["lastModifiedAt"] > before["lastModifiedAt"]


async def test_shipment_update_takes_the_promise_back_where_it_is_null(written: GraphQL) -> None:
    moved = await written(UPDATE, id=SHIPMENT, input={"expectedDeliveryAt": "2999-01-01"})
    assert moved["expectedDeliveryAt"] == "2999-01-01T00:00:00.000Z"
    assert (await written(UPDATE, id=SHIPMENT, input={"expectedDeliveryAt": None}))["expectedDeliveryAt"] is None


@pytest.mark.parametrize(
    "input", [{}, {"status": "CREATED"}, {"orderId": 2075, "expectedDeliveryAt": "2025-12-05T10:00:00.000Z"}], ids=str
)
async def test_shipment_update_with_what_is_there_already_writes_nothing(
    written: GraphQL, write: GraphQL, input: dict[str, Any]
) -> None:
    before = await read(write, SHIPMENT)
    assert await written(UPDATE, id=SHIPMENT, input=input) == before


async def test_shipment_update_replaces_the_sources(written: GraphQL, write: GraphQL) -> None:
    before = await read(write, IN_TRANSIT)
    kept = {"id": "P-88164", "name": "wms"}
    new = {"id": "1", "name": "erp"}
    after = await written(UPDATE, id=IN_TRANSIT, input={"sources": [kept, new]})
    assert (before["sources"], after["sources"]) == ([kept], [new, kept])
    assert after["version"] > before["version"]
    assert (await written(UPDATE, id=IN_TRANSIT, input={"sources": []}))["sources"] == []


@pytest.mark.parametrize(
    ("id", "input", "path", "code"),
    [
        ("17", {}, "id", "VALIDATION_ERROR"),
        (MISSING, {}, "id", "SHIPMENT_NOT_FOUND_ERROR"),
        (SHIPMENT, {"orderId": 2076}, "input.orderId", "VALIDATION_ERROR"),
        (SHIPMENT, {"orderId": 999}, "input.orderId", "VALIDATION_ERROR"),
        (SHIPMENT, {"orderId": None}, "input.orderId", "VALIDATION_ERROR"),
        (SHIPMENT, {"status": None}, "input.status", "VALIDATION_ERROR"),
        (SHIPMENT, {"status": "OUT_FOR_DELIVERY"}, "input.status", "VALIDATION_ERROR"),
        (DELIVERED, {"status": "CREATED"}, "input.status", "VALIDATION_ERROR"),
        (SHIPMENT, {"expectedDeliveryAt": "soon"}, "input.expectedDeliveryAt", "VALIDATION_ERROR"),
        (SHIPMENT, {"expectedDeliveryAt": "2020-01-01"}, "input.expectedDeliveryAt", "VALIDATION_ERROR"),
        (SHIPMENT, {"sources": None}, "input.sources", "VALIDATION_ERROR"),
        (SHIPMENT, {"sources": [{"id": " ", "name": "wms"}]}, "input.sources.0.id", "VALIDATION_ERROR"),
        # Nothing of it is done where a part is refused.
        (SHIPMENT, {"sources": [], "status": "OUT_FOR_DELIVERY"}, "input.status", "VALIDATION_ERROR"),
    ],
    ids=str,
)
async def test_shipment_update_refuses_what_breaks_a_rule(
    refused: Refused, id: str, input: dict[str, Any], path: str, code: str
) -> None:
    extensions = await refused(UPDATE, id=id, input=input)
    assert (extensions["path"], extensions["code"]) == (path, code)
    assert extensions["rule"]


@pytest.mark.parametrize(
    ("id", "rule"),
    [
        (SHIPMENT, "must be one of CANCELED, DELIVERED, IN_TRANSIT, PROCESSING: the shipment is CREATED"),
        (DELIVERED, "cannot change: the shipment is DELIVERED"),
    ],
)
async def test_shipment_update_says_which_statuses_may_follow(refused: Refused, id: str, rule: str) -> None:
    assert (await refused(UPDATE, id=id, input={"status": "OUT_FOR_DELIVERY"}))["rule"] == rule


@pytest.mark.parametrize("status", ["CREATED", "PROCESSING"])
async def test_shipment_that_is_collected_is_delivered_in_one_step(written: GraphQL, status: str) -> None:
    """Decision 16."""
    await written(UPDATE, id=SHIPMENT, input={"status": status})
    assert (await written(UPDATE, id=SHIPMENT, input={"status": "DELIVERED"}))["status"] == "DELIVERED"


async def test_shipment_that_is_lost_is_canceled_by_who_may_override_the_lifecycle(
    written: GraphQL, refused_after: Refused, write: GraphQL
) -> None:
    """Decision 16: the goods are given back, and the audit trail tells who did it."""
    await written(UPDATE, id=SHIPMENT, input={"status": "IN_TRANSIT"})
    assert (await refused_after(UPDATE, id=SHIPMENT, input={"status": "CANCELED"}))["code"] == "FORBIDDEN"
    lost = await written(UPDATE, viewer="overrider", id=SHIPMENT, input={"status": "CANCELED"})
    assert (lost["status"], lost["version"]) == ("CANCELED", 3)
    trail = f'{{ auditTrail(shipmentId: "{SHIPMENT}", first: 1) {{ actor fields {{ name old new }} }} }}'
    [entry] = (await write(trail, viewer="staff"))["data"]["auditTrail"]
    assert entry["fields"] == [{"name": "status", "old": "IN_TRANSIT", "new": "CANCELED"}]
    assert entry["actor"] == "staff:4"


async def test_shipment_update_says_that_a_shipment_under_way_may_be_canceled_to_who_may_do_it(
    written: GraphQL, refused_after: Refused
) -> None:
    await written(UPDATE, id=SHIPMENT, input={"status": "IN_TRANSIT"})
    for viewer, is_told in (("overrider", True), ("editor", False)):
        refusal = await refused_after(UPDATE, viewer=viewer, id=SHIPMENT, input={"status": "CREATED"})
        assert ("CANCELED" in refusal["rule"]) is is_told


async def test_shipment_without_a_status_may_be_given_any(
    written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("ALTER TABLE shipments DISABLE TRIGGER shipments_status_follows")
    await copy_connection.execute("UPDATE shipments SET status = NULL WHERE id = $1", SHIPMENT)
    await copy_connection.execute("ALTER TABLE shipments ENABLE TRIGGER shipments_status_follows")
    assert (await written(UPDATE, id=SHIPMENT, input={"status": None}))["status"] is None
    assert (await written(UPDATE, id=SHIPMENT, input={"status": "DELIVERED"}))["status"] == "DELIVERED"


# ------------------------------------------------------------------------------------------------------------- delete


async def test_shipment_delete_removes_all_of_it(
    written: GraphQL, refused_after: Refused, copy_connection: asyncpg.Connection
) -> None:
    assert await written(DELETE, id=IN_TRANSIT) is True
    for table in ("shipment_items", "track_and_traces", "shipment_sources"):
        assert not await copy_connection.fetch(f"SELECT FROM {table} WHERE shipment_id = $1", IN_TRANSIT)
    extensions = await refused_after(DELETE, id=IN_TRANSIT)
    assert (extensions["path"], extensions["code"]) == ("id", "SHIPMENT_NOT_FOUND_ERROR")


async def test_shipment_delete_gives_its_quantities_back(written: GraphQL) -> None:
    assert await written(DELETE, id=SHIPMENT) is True
    shipment = await create(written, items=[{"orderItemId": 20151}])
    assert shipment["items"][0]["quantity"] == 4


async def test_shipment_delete_refuses_what_is_no_uuid(refused: Refused) -> None:
    assert (await refused(DELETE, id="17"))["code"] == "VALIDATION_ERROR"


# ------------------------------------------------------------------------------------------------------------ version


@pytest.mark.parametrize(("document", "input"), [(UPDATE, {"status": "IN_TRANSIT"}), (DELETE, None)], ids=str)
async def test_shipment_of_another_version_is_a_conflict(
    written: GraphQL, refused_after: Refused, document: str, input: dict[str, Any] | None
) -> None:
    given = {} if input is None else {"input": input}
    extensions = await refused_after(document, id=SHIPMENT, ifVersion=7, **given)
    assert (extensions["code"], extensions["path"], extensions["version"]) == ("CONFLICT", "ifVersion", 1)
    assert await written(document, id=SHIPMENT, ifVersion=1, **given)


# --------------------------------------------------------------------------------------------- keys of other systems

KEYED = """mutation($input: ShipmentCreateInput!) {
  shipmentCreate(input: $input) {
    id orderId externalId items { orderItemId quantity externalId } trackAndTraces { code externalId }
  }
}"""


@pytest.fixture
async def numbered(copy_connection: asyncpg.Connection) -> None:
    """Order 2075 with the keys that an ERP has for it and its lines; an order of another channel has its number."""
    await copy_connection.execute("UPDATE orders SET external_id = 'SO-1', reference = 'PO 7' WHERE id = 2075")
    await copy_connection.execute("UPDATE order_items SET line_id = 'L-' || id WHERE order_id = 2075")


@pytest.mark.usefixtures("numbered")
async def test_shipment_create_knows_orders_and_lines_by_the_keys_of_other_systems(
    written: GraphQL, write: GraphQL, refused_after: Refused
) -> None:
    shipment = {
        "orderExternalId": "SO-1",
        "channelId": 1,
        "externalId": "DN-1",
        "items": [{"lineId": "L-20153", "quantity": 2, "externalId": "a"}, {"sku": "ACZ-18V", "externalId": "b"}],
        "trackAndTraces": [{"code": "K 1", "externalId": "c"}],
    }
    made = await written(KEYED, input=shipment)
    assert (made["orderId"], made["externalId"]) == (2075, "DN-1")
    assert made["items"] == [
        {"orderItemId": 20153, "quantity": 2, "externalId": "a"},
        {"orderItemId": 20155, "quantity": 4, "externalId": "b"},
    ]
    assert made["trackAndTraces"] == [{"code": "K 1", "externalId": "c"}]
    lines = (await write("{ order(orderId: 2075) { items { id lineId } } }"))["data"]["order"]["items"]
    assert {line["lineId"] for line in lines} == {f"L-{line['id']}" for line in lines}
    items = "query($id: String!) { shipment(id: $id) { items { orderItem { lineId } } } }"
    read = (await write(items, {"id": made["id"]}))["data"]["shipment"]["items"]
    assert read == [{"orderItem": {"lineId": "L-20153"}}, {"orderItem": {"lineId": "L-20155"}}]
    small = {"orderId": 2075, "items": []}
    repeated = [
        ({"externalId": "DN-1"}, "externalId"),
        ({"items": [{"orderItemId": 20153, "externalId": "a"}]}, "items.0.externalId"),
        ({"trackAndTraces": [{"code": "x"}, {"code": "K", "externalId": "c"}]}, "trackAndTraces.1.externalId"),
        ({"items": [{"lineId": "L-20153", "externalId": "d", "quantity": 1}] * 2}, "items.1.externalId"),
    ]
    for given, path in repeated:
        refusal = await refused_after(KEYED, input={**small, **given})
        assert (refusal["path"], refusal["code"]) == (f"input.{path}", "VALIDATION_ERROR")


@pytest.mark.usefixtures("numbered")
@pytest.mark.parametrize(
    ("input", "path", "code"),
    [
        ({}, "orderId", "VALIDATION_ERROR"),
        ({"orderId": 2075, "orderExternalId": "SO-1"}, "orderId", "VALIDATION_ERROR"),
        ({"orderExternalId": "so-1"}, "orderExternalId", "ORDER_NOT_FOUND"),
        ({"orderExternalId": "SO-1", "channelId": 2}, "orderExternalId", "ORDER_NOT_FOUND"),
        ({"orderId": 2075, "channelId": 2}, "orderId", "ORDER_NOT_FOUND"),
        ({"orderId": 2075, "items": [{}]}, "items.0.orderItemId", "VALIDATION_ERROR"),
        (
            {"orderId": 2075, "items": [{"orderItemId": 20155, "lineId": "a"}]},
            "items.0.lineId",
            "VALIDATION_ERROR",
        ),
        ({"orderId": 2075, "items": [{"lineId": "L-1"}]}, "items.0.lineId", "ORDER_ITEM_NOT_FOUND"),
        ({"orderId": 2075, "items": [{"sku": "nothing"}]}, "items.0.sku", "ORDER_ITEM_NOT_FOUND"),
        ({"orderId": 2075, "items": [{"sku": "ACZ-18V", "quantity": 5}]}, "items.0.quantity", "VALIDATION_ERROR"),
    ],
    ids=str,
)
async def test_shipment_create_refuses_what_names_nothing(
    refused_after: Refused, input: dict[str, Any], path: str, code: str
) -> None:
    refusal = await refused_after(KEYED, input=input)
    assert (refusal["path"], refusal["code"]) == (f"input.{path}", code)


@pytest.mark.parametrize("named", [{"sku": "ACZ-18V"}, {"lineId": "L-20155"}, {"orderItemId": 20155}], ids=str)
@pytest.mark.usefixtures("numbered")
async def test_shipment_create_refuses_what_is_no_goods_by_the_field_that_names_it(
    refused_after: Refused, copy_connection: asyncpg.Connection, named: dict[str, Any]
) -> None:
    await copy_connection.execute("UPDATE order_items SET class = 'giftcard' WHERE id = 20155")
    refusal = await refused_after(KEYED, input={"orderId": 2075, "items": [named]})
    assert refusal["path"] == f"input.items.0.{next(iter(named))}"


async def test_shipment_create_asks_for_the_channel_where_two_orders_have_the_number(
    refused_after: Refused, written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("UPDATE orders SET external_id = 'SO-1' WHERE id = 2075")
    await copy_connection.execute(
        "INSERT INTO orders"
        " (channel_id, external_id, status, email, currency, total_gross, total_net, total_tax, sub_total)"
        " SELECT id, 'SO-1', 'NEW', '', 'EUR', 0, 0, 0, 0 FROM channels WHERE id <> 1 LIMIT 1"
    )
    refusal = await refused_after(KEYED, input={"orderExternalId": "SO-1", "items": []}, viewer="editor")
    assert (refusal["path"], refusal["code"]) == ("input.channelId", "VALIDATION_ERROR")
    made = await written(KEYED, input={"orderExternalId": "SO-1", "channelId": 1, "items": []}, viewer="editor")
    assert made["orderId"] == 2075


async def test_shipment_create_takes_lines_of_one_sku_one_after_the_other(
    written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("UPDATE order_items SET sku = '157957' WHERE id IN (20153, 20154)")
    made = await written(KEYED, input={"orderId": 2075, "items": [{"sku": "157957", "quantity": 2}] * 2})
    assert [(item["orderItemId"], item["quantity"]) for item in made["items"]] == [(20153, 2), (20154, 2)]


async def test_shipment_create_takes_a_thousand_items_and_codes(
    written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("UPDATE order_items SET quantity = 1000 WHERE id = 20155")
    made = await written(
        KEYED,
        input={
            "orderId": 2075,
            "items": [{"orderItemId": 20155, "quantity": 1}] * 1000,
            "trackAndTraces": [{"code": f"T{n}", "carrierId": 1} for n in range(1000)],
        },
    )
    assert (len(made["items"]), len(made["trackAndTraces"])) == (1000, 1000)


@pytest.mark.usefixtures("numbered")
async def test_orders_are_found_by_the_keys_of_other_systems(write: GraphQL) -> None:
    document = "query($input: OrderSearchArguments) { orders(input: $input) { items { id externalId reference } } }"
    for given in ({"externalIds": ["nobody's", "SO-1"]}, {"references": ["PO 7"]}):
        answer = await write(document, {"input": {"page": 1, "offset": 12, **given}})
        assert answer["data"]["orders"]["items"] == [{"id": 2075, "externalId": "SO-1", "reference": "PO 7"}]


async def test_shipment_update_gives_and_takes_back_a_key(written: GraphQL, refused_after: Refused) -> None:
    document = """mutation($id: String!, $input: ShipmentUpdateInput!) {
      shipmentUpdate(id: $id, input: $input) { externalId status version }
    }"""
    given = await written(document, id=SHIPMENT, input={"externalId": "DN-9"})
    assert given["externalId"] == "DN-9"
    assert await written(document, id=SHIPMENT, input={"externalId": "DN-9"}) == given
    assert (await written(document, id=SHIPMENT, input={"externalId": None}))["externalId"] is None
    refusal = await refused_after(document, id=SHIPMENT, input={"externalId": "\t"})
    assert (refusal["path"], refusal["code"]) == ("input.externalId", "VALIDATION_ERROR")
