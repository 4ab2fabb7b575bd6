"""Shipments, and what the offset lists of the B2B surface have in common."""

from typing import Any

import asyncpg
import pytest

from app.postgres.database import Database
from tests.conftest import GraphQL

SHIPMENT = "65ad4404-88a6-4f97-9325-34a3a35f1dfc"
MISSING = "00000000-0000-4000-8000-000000000000"
LIST = """
query Shipments($input: ShipmentSearchInput) {
  shipments(input: $input) {
    items { id orderId status createdAt expectedDeliveryAt lastModifiedAt }
    itemsFound page pages offset start end
  }
}
"""


async def search(graphql: GraphQL, viewer: str = "staff", **input: Any) -> dict[str, Any]:
    answer = await graphql(LIST, {"input": input}, viewer=viewer)
    assert "errors" not in answer, answer["errors"]
    shipments: dict[str, Any] = answer["data"]["shipments"]
    return shipments


async def refusal(graphql: GraphQL, document: str, viewer: str | None = "staff", **variables: Any) -> dict[str, Any]:
    answer = await graphql(document, variables, viewer=viewer)
    assert answer["data"] is None
    [error] = answer["errors"]
    return error


@pytest.mark.parametrize("viewer", ["staff", "contact"])
async def test_shipment_of_unknown_id_is_not_found(graphql: GraphQL, viewer: str) -> None:
    error = await refusal(graphql, "query($id: String!) { shipment(id: $id) { id } }", viewer, id=MISSING)
    assert error["message"] == f'Shipment "{MISSING}" not found.'
    assert error["path"] == ["shipment"]
    assert error["extensions"] == {"code": "SHIPMENT_NOT_FOUND_ERROR"}


async def test_shipment_of_another_company_answers_like_a_missing_one(graphql: GraphQL) -> None:
    document = "query($id: String!) { shipment(id: $id) { id } }"
    foreign = await refusal(graphql, document, "outsider", id=SHIPMENT)
    missing = await refusal(graphql, document, "outsider", id=MISSING)
    assert foreign == {**missing, "message": missing["message"].replace(MISSING, SHIPMENT)}


async def test_shipment_id_that_is_no_uuid_is_a_validation_error(graphql: GraphQL) -> None:
    error = await refusal(graphql, '{ shipment(id: "17") { id } }')
    extensions = {"code": "VALIDATION_ERROR", "argument": "id", "path": "id", "rule": "must be a UUID"}
    assert error["extensions"] == extensions


@pytest.mark.parametrize(
    "document", ['{ shipment(id: "17") { id } }', "{ shipments { page } }", "{ carriers { page } }"]
)
async def test_without_a_credential_every_field_is_unauthenticated(graphql: GraphQL, document: str) -> None:
    error = await refusal(graphql, document, viewer=None)
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


async def test_shipments_without_input_are_the_first_twelve_newest_first(
    graphql: GraphQL, connection: asyncpg.Connection
) -> None:
    expected = await connection.fetch("SELECT id::text FROM shipments ORDER BY created_at DESC, id LIMIT 12")
    answer = (await graphql("{ shipments { items { id } page offset start end } }"))["data"]["shipments"]
    assert answer["items"] == [dict(row) for row in expected]
    assert (answer["page"], answer["offset"], answer["start"], answer["end"]) == (1, 12, 1, 12)


async def test_shipments_page_tells_its_place_in_the_whole(graphql: GraphQL) -> None:
    found = await search(graphql, page=2, offset=5)
    assert (found["page"], found["offset"], found["start"], found["end"]) == (2, 5, 6, 10)
    assert found["pages"] == -(-found["itemsFound"] // 5)


async def test_shipments_page_beyond_the_last_is_empty_and_still_counts(graphql: GraphQL) -> None:
    found = await search(graphql, page=2_000_000_000, offset=100)
    assert found["items"] == []
    assert found["itemsFound"] > 0
    assert (found["start"], found["end"]) == (0, 0)


@pytest.mark.parametrize("viewer", ["staff", "apikey", "contact"])
async def test_shipments_far_back_are_counted_from_the_other_end(
    graphql: GraphQL, db: Database, viewer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row after the other, nearer and farther than what counts as far back, past the end too."""
    for sort in ([], [{"field": "LAST_MODIFIED_AT", "order": "ASC"}], [{"field": "STATUS", "order": "DESC"}]):
        whole = (await search(graphql, viewer, offset=100, sortInputs=sort))["items"]
        monkeypatch.setattr("app.resolvers.b2b.page._DEEP", 6)
        size = 3
        pages = [await search(graphql, viewer, page=page, offset=size, sortInputs=sort) for page in range(1, 36)]
        monkeypatch.undo()
        found = pages[0]["itemsFound"]
        assert [row for page in pages for row in page["items"]][:100] == whole
        assert [len(page["items"]) for page in pages] == [
            min(size, max(0, found - start)) for start in range(0, 105, size)
        ]


@pytest.mark.parametrize(
    "input",
    [{"orderIds": []}, {"statuses": []}, {"ids": ["no uuid"]}, {"orderIds": [999]}, {"codes": ["nobody's"]}],
    ids=str,
)
async def test_shipments_filter_that_nothing_meets_finds_nothing(graphql: GraphQL, input: dict[str, Any]) -> None:
    found = await search(graphql, **input)
    assert (found["items"], found["itemsFound"], found["pages"], found["start"], found["end"]) == ([], 0, 0, 0, 0)


async def test_shipments_null_filter_is_ignored(graphql: GraphQL) -> None:
    assert await search(graphql, statuses=None, createdAt=None) == await search(graphql)


@pytest.mark.parametrize(
    ("input", "where"),
    [
        ({"ids": [SHIPMENT, MISSING]}, f"id = '{SHIPMENT}'"),
        ({"orderIds": [2075, 3]}, "order_id IN (2075, 3)"),
        ({"statuses": ["DELIVERED"]}, "status = 'DELIVERED'"),
        ({"createdAt": {"greaterThan": "2025-11-03T14:34:48.828Z"}}, "created_at >= '2025-11-03T14:34:48.828Z'"),
        ({"createdAt": {"lessThan": "2025-11-03T15:34:48.828+01:00"}}, "created_at <= '2025-11-03T14:34:48.828Z'"),
        ({"expectedDeliveryAt": {"lessThan": "2025-12-05"}}, "expected_delivery_at < '2025-12-06T00:00:00Z'"),
        ({"codes": ["3STEST1234567890"]}, f"id = '{SHIPMENT}'"),
        ({"carrierIds": [1]}, "id IN (SELECT shipment_id FROM track_and_traces WHERE carrier_id = 1)"),
        ({"skus": ["VFS-200"]}, "id IN (SELECT shipment_id FROM shipment_items WHERE sku = 'VFS-200')"),
        ({"companyIds": [2]}, "order_id IN (SELECT id FROM orders WHERE company_id = 2)"),
        ({"late": True}, "expected_delivery_at < now() AND coalesce(status, '') NOT IN ('DELIVERED', 'CANCELED')"),
        (
            {"late": False},
            "expected_delivery_at IS NULL OR expected_delivery_at >= now() OR status IN ('DELIVERED', 'CANCELED')",
        ),
    ],
    ids=str,
)
async def test_shipments_filter_finds_exactly_its_rows(
    graphql: GraphQL, connection: asyncpg.Connection, input: dict[str, Any], where: str
) -> None:
    expected = await connection.fetch(
        f"SELECT id::text FROM shipments WHERE {where} ORDER BY created_at DESC, id LIMIT 100"
    )
    count = await connection.fetchval(f"SELECT count(*) FROM shipments WHERE {where}")
    found = await search(graphql, offset=100, **input)
    assert [item["id"] for item in found["items"]] == [row["id"] for row in expected]
    assert found["itemsFound"] == count


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("ID", "id"),
        ("CREATED_AT", "created_at"),
        ("LAST_MODIFIED_AT", "last_modified_at"),
        ("EXPECTED_DELIVERY_AT", "expected_delivery_at"),
        ("STATUS", "status"),
        ("ORDER_ID", "order_id"),
    ],
)
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_shipments_are_sorted_as_asked(
    graphql: GraphQL, connection: asyncpg.Connection, field: str, column: str, direction: str
) -> None:
    expected = await connection.fetch(
        f"SELECT id::text FROM shipments ORDER BY {column} {direction} NULLS LAST, id LIMIT 50"
    )
    found = await search(graphql, offset=50, sortInputs=[{"field": field, "order": direction}])
    assert [item["id"] for item in found["items"]] == [row["id"] for row in expected]


async def test_shipments_sorts_apply_in_the_order_given(graphql: GraphQL, connection: asyncpg.Connection) -> None:
    expected = await connection.fetch("SELECT id::text FROM shipments ORDER BY status, order_id DESC, id LIMIT 50")
    sorts = [{"field": "STATUS"}, {"field": "ORDER_ID", "order": "DESC"}, {"field": "STATUS", "order": "DESC"}]
    found = await search(graphql, offset=50, sortInputs=sorts)
    assert [item["id"] for item in found["items"]] == [row["id"] for row in expected]


@pytest.mark.parametrize(
    ("input", "argument"),
    [
        ({"page": 0}, "input.page"),
        ({"page": -1}, "input.page"),
        ({"offset": 0}, "input.offset"),
        ({"offset": 101}, "input.offset"),
        ({"createdAt": {"lessThan": "yesterday"}}, "input.createdAt.lessThan"),
        ({"createdAt": {"greaterThan": "9" * 10_000}}, "input.createdAt.greaterThan"),
        ({"createdAt": {"greaterThan": "0001-01-01T00:00:00+14:00"}}, "input.createdAt.greaterThan"),
    ],
    ids=str,
)
async def test_shipments_refusal_names_the_argument(graphql: GraphQL, input: dict[str, Any], argument: str) -> None:
    error = await refusal(graphql, LIST, input=input)
    rule = error["message"].removeprefix(f"{argument} ")
    assert error["extensions"] == {"code": "VALIDATION_ERROR", "argument": argument, "path": argument, "rule": rule}


@pytest.mark.parametrize("fields", ["page offset", "items { id } start end", "itemsFound pages"])
async def test_shipments_read_only_what_is_selected(graphql: GraphQL, db: Database, fields: str) -> None:
    before = db.statements
    await graphql(f"{{ shipments {{ {fields} }} }}")
    assert db.statements - before == (0 if fields == "page offset" else 1)


NESTED = """
query Nested($size: Int!) {
  shipments(input: {offset: $size}) {
    itemsFound
    items {
      sources { name }
      items { id orderItem { name quantityShipped quantityRemaining product { sku } sources { name } } }
      trackAndTraces { code trackingUrl carrier { name descriptions { value } trackAndTraces { id } } }
    }
  }
}
"""


async def test_shipments_nested_document_costs_the_same_statements_whatever_the_page(
    graphql: GraphQL, db: Database
) -> None:
    costs = []
    for size in (1, 12, 100):
        before = db.statements
        answer = await graphql(NESTED, {"size": size})
        assert "errors" not in answer
        costs.append(db.statements - before)
    assert costs == [5, 5, 5]


async def test_shipment_order_is_the_order_itself(graphql: GraphQL) -> None:
    document = "query($id: String!) { shipment(id: $id) { orderId order { id externalId shipments { id } } } }"
    answer = await graphql(document, {"id": SHIPMENT}, viewer="contact")
    order = answer["data"]["shipment"]["order"]
    assert order["id"] == answer["data"]["shipment"]["orderId"]
    assert {"id": SHIPMENT} in order["shipments"]
