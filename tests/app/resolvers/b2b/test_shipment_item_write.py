"""Adding, changing, moving and removing shipment items."""

import asyncio
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from tests.app.resolvers.b2b.conftest import Refused
from tests.conftest import GraphQL, until_blocked

# Order 2075: its shipment holds all 4 of line 20151 and all 2 of line 20152; 4 of line 20155 are left.
SHIPMENT, ITEM = "65ad4404-88a6-4f97-9325-34a3a35f1dfc", "bda8e812-4238-49b4-aafc-6a153e265d59"
# Order 2076: two shipments hold 6 and 2 of the 10 of line 20161; the first holds the only one of line 20162.
FIRST, SECOND = "5c6e4337-15ba-4bdd-9772-19d30e7a269f", "cf1822ff-bc68-4778-ab49-1044d5e34124"
FIRST_ITEM, SECOND_ITEM = "74667bff-e202-449d-a964-3a295a9ac6de", "8ebdbfe3-eb9a-4688-b9d3-9cca91551e82"
SINGLE_ITEM = "59cc60b1-7604-44b4-a736-95c3e652c71a"
MISSING = "00000000-0000-4000-8000-000000000000"

FIELDS = """
  id shipmentId orderItemId name sku quantity createdAt lastModifiedAt version orderItem { id quantityRemaining }
"""
CREATE = f"mutation($input: ShipmentItemCreateInput!) {{ shipmentItemCreate(input: $input) {{ {FIELDS} }} }}"
UPDATE = f"""mutation($id: String!, $input: ShipmentItemUpdateInput!, $ifVersion: Int) {{
  shipmentItemUpdate(id: $id, input: $input, ifVersion: $ifVersion) {{ {FIELDS} }}
}}"""
DELETE = "mutation($id: String!, $ifVersion: Int) { shipmentItemDelete(id: $id, ifVersion: $ifVersion) }"
READ = f"query($id: String!) {{ shipmentItem(id: $id) {{ {FIELDS} }} }}"


@pytest.fixture
async def first_is_open(copy_connection: asyncpg.Connection) -> None:
    """The first shipment of order 2076 is on its way again: a delivered one is closed for items (decision 22)."""
    await copy_connection.execute(
        "ALTER TABLE shipments DISABLE TRIGGER shipments_status_follows;"
        f"UPDATE shipments SET status = 'IN_TRANSIT' WHERE id = '{FIRST}';"
        "ALTER TABLE shipments ENABLE TRIGGER shipments_status_follows"
    )


async def read(write: GraphQL, id: str) -> Any:
    return (await write(READ, {"id": id}))["data"]["shipmentItem"]


async def shipment(write: GraphQL, id: str) -> Any:
    document = "query($id: String!) { shipment(id: $id) { version lastModifiedAt } }"
    return (await write(document, {"id": id}))["data"]["shipment"]


async def test_shipment_item_create_answers_as_a_query_would(written: GraphQL, write: GraphQL) -> None:
    item = await written(
        CREATE, input={"shipmentId": SHIPMENT, "orderItemId": 20155, "quantity": 3, "name": "Saw", "sku": "S-1"}
    )
    assert item == await read(write, item["id"])
    assert (item["shipmentId"], item["quantity"], item["name"], item["sku"]) == (SHIPMENT, 3, "Saw", "S-1")
    assert item["orderItem"] == {"id": 20155, "quantityRemaining": 1}


@pytest.mark.parametrize("input", [{}, {"quantity": None, "name": None, "sku": None}], ids=["left out", "null"])
async def test_shipment_item_create_takes_what_is_left_out_from_the_order_line(
    written: GraphQL, input: dict[str, Any]
) -> None:
    item = await written(CREATE, input={"shipmentId": SECOND, "orderItemId": 20161, **input})
    name = "2,1X19,5X300cm Douglas / Lariks fijn bezaagd ZWART (Op=Op)"
    assert (item["quantity"], item["name"], item["sku"]) == (2, name, "157957")


@pytest.mark.parametrize(
    ("input", "path", "code"),
    [
        ({"shipmentId": "17"}, "shipmentId", "VALIDATION_ERROR"),
        ({"shipmentId": MISSING}, "shipmentId", "SHIPMENT_NOT_FOUND_ERROR"),
        ({"orderItemId": 20161}, "orderItemId", "ORDER_ITEM_NOT_FOUND"),
        ({"orderItemId": 20151}, "quantity", "VALIDATION_ERROR"),
        ({"quantity": 5}, "quantity", "VALIDATION_ERROR"),
        ({"quantity": 0}, "quantity", "VALIDATION_ERROR"),
        ({"quantity": 2**31 - 1}, "quantity", "VALIDATION_ERROR"),
        ({"name": " "}, "name", "VALIDATION_ERROR"),
        ({"sku": "x" * 256}, "sku", "VALIDATION_ERROR"),
    ],
    ids=str,
)
async def test_shipment_item_create_refuses_what_breaks_a_rule(
    refused: Refused, input: dict[str, Any], path: str, code: str
) -> None:
    extensions = await refused(CREATE, input={"shipmentId": SHIPMENT, "orderItemId": 20155, **input})
    assert (extensions["path"], extensions["code"]) == (f"input.{path}", code)
    assert extensions["rule"]


async def test_shipment_item_update_changes_only_what_is_given(written: GraphQL, write: GraphQL) -> None:
    before = await read(write, ITEM)
    after = await written(UPDATE, id=ITEM, input={"quantity": 1})
    assert after == await read(write, ITEM)
    assert {field for field in before if before[field] != after[field]} == {
        *("quantity", "lastModifiedAt", "version", "orderItem")
    }
    assert (after["quantity"], after["orderItem"]["quantityRemaining"]) == (1, 3)


async def test_shipment_item_update_empties_what_is_null(written: GraphQL) -> None:
    item = await written(UPDATE, id=ITEM, input={"quantity": None, "name": None, "sku": None})
    assert (item["quantity"], item["name"], item["sku"]) == (None, None, None)
    assert item["orderItem"]["quantityRemaining"] == 4
    assert (await written(UPDATE, id=ITEM, input={"quantity": 4}))["orderItem"]["quantityRemaining"] == 0


async def test_shipment_item_update_with_what_is_there_already_writes_nothing(written: GraphQL, write: GraphQL) -> None:
    before = await read(write, ITEM)
    given = {field: before[field] for field in ("quantity", "name", "sku", "shipmentId", "orderItemId")}
    assert await written(UPDATE, id=ITEM, input=given) == before
    assert await written(UPDATE, id=ITEM, input={}) == before


@pytest.mark.usefixtures("first_is_open")
async def test_shipment_item_update_may_take_all_that_is_left_besides_its_own(
    written: GraphQL, refused_after: Refused
) -> None:
    extensions = await refused_after(UPDATE, id=FIRST_ITEM, input={"quantity": 9})
    assert extensions["rule"] == "must be at most 8, which is what is left of order line 20161"
    assert (await written(UPDATE, id=FIRST_ITEM, input={"quantity": 8}))["orderItem"]["quantityRemaining"] == 0


async def test_shipment_item_update_moves_it_to_another_line(written: GraphQL) -> None:
    item = await written(UPDATE, id=ITEM, input={"orderItemId": 20155})
    assert item["orderItem"] == {"id": 20155, "quantityRemaining": 0}
    again = await written(CREATE, input={"shipmentId": SHIPMENT, "orderItemId": 20151})
    assert again["quantity"] == 4


@pytest.mark.usefixtures("first_is_open")
async def test_shipment_item_update_forgets_a_weight_of_another_quantity(
    written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    weight = "SELECT weight FROM shipment_items WHERE id = $1"
    await written(UPDATE, id=SINGLE_ITEM, input={"name": "Saw"})
    assert await copy_connection.fetchval(weight, SINGLE_ITEM) is not None
    await written(UPDATE, id=SINGLE_ITEM, input={"quantity": None})
    assert await copy_connection.fetchval(weight, SINGLE_ITEM) is None


@pytest.mark.usefixtures("first_is_open")
async def test_shipment_item_update_moves_it_to_another_shipment_of_the_order(written: GraphQL, write: GraphQL) -> None:
    former, target = await shipment(write, FIRST), await shipment(write, SECOND)
    item = await written(UPDATE, id=FIRST_ITEM, input={"shipmentId": SECOND})
    assert (item["shipmentId"], item["quantity"], item["orderItem"]["quantityRemaining"]) == (SECOND, 6, 2)
    for key, before in ((FIRST, former), (SECOND, target)):
        after = await shipment(write, key)
        assert after["lastModifiedAt"] > before["lastModifiedAt"]
        assert after["version"] > before["version"]


@pytest.mark.parametrize(
    ("id", "input", "path", "code"),
    [
        ("17", {}, "id", "SHIPMENT_ITEM_NOT_FOUND_ERROR"),
        (MISSING, {}, "id", "SHIPMENT_ITEM_NOT_FOUND_ERROR"),
        (SHIPMENT, {}, "id", "SHIPMENT_ITEM_NOT_FOUND_ERROR"),
        (ITEM, {"quantity": 0}, "input.quantity", "VALIDATION_ERROR"),
        (ITEM, {"quantity": 5}, "input.quantity", "VALIDATION_ERROR"),
        (ITEM, {"name": ""}, "input.name", "VALIDATION_ERROR"),
        (ITEM, {"sku": "x" * 256}, "input.sku", "VALIDATION_ERROR"),
        (ITEM, {"orderItemId": None}, "input.orderItemId", "VALIDATION_ERROR"),
        (ITEM, {"orderItemId": 20161}, "input.orderItemId", "ORDER_ITEM_NOT_FOUND"),
        (ITEM, {"orderItemId": 20152}, "input.orderItemId", "VALIDATION_ERROR"),
        (ITEM, {"shipmentId": None}, "input.shipmentId", "VALIDATION_ERROR"),
        (ITEM, {"shipmentId": "17"}, "input.shipmentId", "VALIDATION_ERROR"),
        (ITEM, {"shipmentId": MISSING}, "input.shipmentId", "SHIPMENT_NOT_FOUND_ERROR"),
        (ITEM, {"shipmentId": FIRST}, "input.shipmentId", "VALIDATION_ERROR"),
    ],
    ids=str,
)
async def test_shipment_item_update_refuses_what_breaks_a_rule(
    refused: Refused, id: str, input: dict[str, Any], path: str, code: str
) -> None:
    extensions = await refused(UPDATE, id=id, input=input)
    assert (extensions["path"], extensions["code"]) == (path, code)
    assert extensions["rule"]


async def test_shipment_item_delete_gives_its_quantity_back(written: GraphQL, refused_after: Refused) -> None:
    assert await written(DELETE, id=ITEM) is True
    assert (await refused_after(DELETE, id=ITEM))["code"] == "SHIPMENT_ITEM_NOT_FOUND_ERROR"
    item = await written(CREATE, input={"shipmentId": SHIPMENT, "orderItemId": 20151})
    assert item["quantity"] == 4


async def test_shipment_is_modified_with_its_items(written: GraphQL, write: GraphQL) -> None:
    """B-57. Its version tells of them too, so that `ifVersion` guards a shipment with all that it holds."""
    seen = [await shipment(write, SHIPMENT)]
    item = await written(CREATE, input={"shipmentId": SHIPMENT, "orderItemId": 20155, "quantity": 1})
    seen.append(await shipment(write, SHIPMENT))
    await written(UPDATE, id=item["id"], input={"quantity": 2})
    seen.append(await shipment(write, SHIPMENT))
    await written(DELETE, id=item["id"])
    seen.append(await shipment(write, SHIPMENT))
    for before, after in pairwise(seen):
        assert after["version"] > before["version"]
        assert after["lastModifiedAt"] > before["lastModifiedAt"]


@pytest.mark.parametrize(("document", "input"), [(UPDATE, {"quantity": 1}), (DELETE, None)], ids=["update", "delete"])
async def test_shipment_item_of_another_version_is_a_conflict(
    written: GraphQL, refused_after: Refused, document: str, input: dict[str, Any] | None
) -> None:
    given = {} if input is None else {"input": input}
    extensions = await refused_after(document, id=ITEM, ifVersion=7, **given)
    assert (extensions["code"], extensions["path"], extensions["version"]) == ("CONFLICT", "ifVersion", 1)
    assert await written(document, id=ITEM, ifVersion=1, **given)


@pytest.mark.usefixtures("first_is_open")
async def test_shipment_items_that_race_for_what_is_left_never_take_more(
    write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    """2 of line 20161 are left, for eight writers of two shipments and as many who enlarge what is there."""
    creates = [
        write(CREATE, {"input": {"shipmentId": shipment_id, "orderItemId": 20161, "quantity": 1}})
        for shipment_id in [FIRST, SECOND] * 4
    ]
    updates = [write(UPDATE, {"id": key, "input": {"quantity": 7}}) for key in [FIRST_ITEM, SECOND_ITEM] * 4]
    answers = await asyncio.gather(*creates, *updates)
    assert {error["extensions"]["code"] for answer in answers for error in answer.get("errors", ())} <= {
        *("VALIDATION_ERROR", "CONFLICT")
    }
    assert await copy_connection.fetchval("SELECT sum(quantity) FROM shipment_items WHERE order_item_id = 20161") == 10
    assert await copy_connection.fetchval("SELECT quantity_shipped FROM order_items WHERE id = 20161") == 10


@pytest.mark.usefixtures("first_is_open")
async def test_shipment_items_that_swap_shipments_do_not_block_each_other(write: GraphQL) -> None:
    moves = [
        write(UPDATE, {"id": FIRST_ITEM, "input": {"shipmentId": SECOND}}),
        write(UPDATE, {"id": SECOND_ITEM, "input": {"shipmentId": FIRST}}),
    ]
    answers = await asyncio.gather(*moves)
    assert [answer["data"]["shipmentItemUpdate"]["shipmentId"] for answer in answers] == [SECOND, FIRST]


@pytest.mark.usefixtures("first_is_open")
@pytest.mark.parametrize(
    ("meanwhile", "code"),
    [
        (f"UPDATE shipment_items SET shipment_id = '{SECOND}' WHERE id = '{FIRST_ITEM}'", "CONFLICT"),
        (f"DELETE FROM shipment_items WHERE id = '{FIRST_ITEM}'", "SHIPMENT_ITEM_NOT_FOUND_ERROR"),
        (f"DELETE FROM shipments WHERE id = '{FIRST}'", "SHIPMENT_ITEM_NOT_FOUND_ERROR"),
    ],
    ids=["moved", "deleted", "deleted with its shipment"],
)
async def test_shipment_item_that_is_gone_when_its_turn_comes_is_not_written(
    write: GraphQL, copy_connection: asyncpg.Connection, meanwhile: str, code: str
) -> None:
    async with copy_connection.transaction():
        await copy_connection.execute(f"SELECT FROM shipments WHERE id = '{FIRST}' FOR UPDATE")
        update = asyncio.create_task(write(UPDATE, {"id": FIRST_ITEM, "input": {"quantity": 1}}))
        await until_blocked(copy_connection)
        await copy_connection.execute(meanwhile)
    [error] = (await update)["errors"]
    assert error["extensions"]["code"] == code
