from typing import Any

import asyncpg
import pytest

from tests.conftest import GraphQL

LIST = "query Items($input: ShipmentItemSearchInput) { shipmentItems(input: $input) { items { id } itemsFound } }"
ITEM = "bda8e812-4238-49b4-aafc-6a153e265d59"
SHIPMENT = "65ad4404-88a6-4f97-9325-34a3a35f1dfc"


@pytest.mark.parametrize("key", ["no uuid", "00000000-0000-4000-8000-000000000000", ""])
async def test_shipment_item_of_no_such_key_is_not_found(graphql: GraphQL, key: str) -> None:
    answer = await graphql("query($id: String!) { shipmentItem(id: $id) { id } }", {"id": key})
    assert answer["errors"][0]["extensions"]["code"] == "SHIPMENT_ITEM_NOT_FOUND_ERROR"


@pytest.mark.parametrize(
    ("input", "where"),
    [
        ({"ids": [ITEM, "no uuid"]}, f"id = '{ITEM}'"),
        ({"shipmentIds": [SHIPMENT]}, f"shipment_id = '{SHIPMENT}'"),
        ({"orderItemIds": [20151, 20152]}, "order_item_id IN (20151, 20152)"),
        ({"names": ["Sample Product"]}, "name = 'Sample Product'"),
        ({"names": ["sample product"]}, "false"),
        ({"skus": ["VFS-200", "157957"]}, "sku IN ('VFS-200', '157957')"),
        ({"quantity": {"greaterThan": 2, "lessThan": 4}}, "quantity BETWEEN 2 AND 4"),
        ({"quantity": {"equal": 2}}, "quantity = 2"),
        ({"createdAt": {"greaterThan": "2025-11-03T14:34:48.828Z"}}, "created_at >= '2025-11-03T14:34:48.828Z'"),
        ({"skus": ["VFS-200"], "quantity": {"equal": 1}}, "sku = 'VFS-200' AND quantity = 1"),
    ],
    ids=str,
)
async def test_shipment_items_filter_finds_exactly_its_rows(
    graphql: GraphQL, connection: asyncpg.Connection, input: dict[str, Any], where: str
) -> None:
    rows = await connection.fetch(
        f"SELECT id::text FROM shipment_items WHERE {where} ORDER BY created_at DESC, id LIMIT 100"
    )
    found = (await graphql(LIST, {"input": {"offset": 100, **input}}))["data"]["shipmentItems"]
    assert found["items"] == [dict(row) for row in rows]


@pytest.mark.parametrize("field", ["SHIPMENT_ID", "ORDER_ITEM_ID", "SKU", "QUANTITY", "NAME", "LAST_MODIFIED_AT"])
async def test_shipment_items_are_sorted_as_asked(graphql: GraphQL, connection: asyncpg.Connection, field: str) -> None:
    rows = await connection.fetch(f"SELECT id::text FROM shipment_items ORDER BY {field.lower()}, id LIMIT 100")
    found = (await graphql(LIST, {"input": {"offset": 100, "sortInputs": [{"field": field}]}}))["data"]["shipmentItems"]
    assert found["items"] == [dict(row) for row in rows]
