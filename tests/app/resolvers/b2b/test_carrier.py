from typing import Any

import asyncpg
import pytest

from loaders.track_and_trace import NEWEST_BY_CARRIER
from tests.conftest import GraphQL

LIST = "query Carriers($input: CarriersSearchInput) { carriers(input: $input) { items { id } itemsFound } }"


async def test_carrier_of_unknown_id_is_not_found(graphql: GraphQL) -> None:
    [error] = (await graphql("{ carrier(id: 4711) { id } }"))["errors"]
    assert (error["message"], error["extensions"]) == ('Carrier "4711" not found.', {"code": "CARRIER_NOT_FOUND_ERROR"})


@pytest.mark.parametrize(
    ("input", "where"),
    [
        ({"names": ["PostNL", "fedex"]}, "name = 'PostNL'"),
        ({"types": ["PICKUP"]}, "type = 'PICKUP'"),
        ({"ids": [1, 2]}, "id IN (1, 2)"),
        ({"warehouseIds": [1]}, "false"),
        ({"warehouseIds": []}, "false"),
        ({"createdAt": {"lessThan": "2100-01-01"}}, "true"),
        ({"createdAt": {"greaterThan": "2100-01-01"}}, "false"),
    ],
    ids=str,
)
async def test_carriers_filter_finds_exactly_its_rows(
    graphql: GraphQL, connection: asyncpg.Connection, input: dict[str, Any], where: str
) -> None:
    rows = await connection.fetch(f"SELECT id FROM carriers WHERE {where} ORDER BY created_at DESC, id")
    found = (await graphql(LIST, {"input": {"offset": 100, **input}}))["data"]["carriers"]
    assert found == {"items": [dict(row) for row in rows], "itemsFound": len(rows)}


@pytest.mark.parametrize("field", ["ID", "NAME", "LAST_MODIFIED_AT", "CREATED_AT"])
async def test_carriers_are_sorted_as_asked(graphql: GraphQL, connection: asyncpg.Connection, field: str) -> None:
    rows = await connection.fetch(f"SELECT id FROM carriers ORDER BY {field.lower()} DESC, id")
    sorts = [{"field": field, "order": "DESC"}]
    found = (await graphql(LIST, {"input": {"offset": 100, "sortInputs": sorts}}))["data"]["carriers"]
    assert found["items"] == [dict(row) for row in rows]


async def test_carrier_track_and_traces_are_the_newest_and_capped(
    graphql: GraphQL, connection: asyncpg.Connection
) -> None:
    carriers = (await graphql("{ carriers(input: {offset: 100}) { items { id trackAndTraces { id } } } }"))["data"]
    for carrier in carriers["carriers"]["items"]:
        rows = await connection.fetch(
            "SELECT id::text FROM track_and_traces WHERE carrier_id = $1 ORDER BY created_at DESC, id LIMIT $2",
            carrier["id"],
            NEWEST_BY_CARRIER,
        )
        assert carrier["trackAndTraces"] == [dict(row) for row in rows]


async def test_carrier_track_and_traces_are_those_that_the_viewer_may_see(graphql: GraphQL) -> None:
    document = "{ carrier(id: 1) { name trackAndTraces { code } } }"
    assert (await graphql(document, viewer="contact"))["data"]["carrier"]["trackAndTraces"] == [
        {"code": "3STEST1234567890"}
    ]
    assert (await graphql(document, viewer="outsider"))["data"]["carrier"]["trackAndTraces"] == []
