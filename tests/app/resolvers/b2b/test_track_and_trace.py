from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from tests.conftest import GraphQL

LIST = "query Codes($input: TrackAndTraceSearchInput) { trackAndTraces(input: $input) { items { id } itemsFound } }"
CODE = "2d1860e6-e58c-41b8-b9d7-689b355b0c52"
SHIPMENT = "65ad4404-88a6-4f97-9325-34a3a35f1dfc"


async def test_track_and_trace_has_the_link_of_its_carrier(graphql: GraphQL) -> None:
    answer = await graphql(f'{{ trackAndTrace(id: "{CODE}") {{ code trackingUrl carrier {{ name }} }} }}')
    assert answer["data"]["trackAndTrace"] == {
        "code": "3STEST1234567890",
        "trackingUrl": "https://postnl.nl/tracktrace/?B=3STEST1234567890",
        "carrier": {"name": "PostNL"},
    }


@pytest.mark.parametrize("key", ["no uuid", "00000000-0000-4000-8000-000000000000"])
async def test_track_and_trace_of_no_such_key_is_not_found(graphql: GraphQL, key: str) -> None:
    answer = await graphql("query($id: String!) { trackAndTrace(id: $id) { id } }", {"id": key})
    assert answer["errors"][0]["extensions"]["code"] == "TRACK_AND_TRACE_NOT_FOUND_ERROR"


@pytest.mark.parametrize(
    ("input", "where"),
    [
        ({"ids": [CODE]}, f"id = '{CODE}'"),
        ({"shipmentIds": [SHIPMENT]}, f"shipment_id = '{SHIPMENT}'"),
        ({"codes": ["3stest-1234 567890"]}, "code = '3STEST1234567890'"),
        ({"carrierIds": [1]}, "carrier_id = 1"),
        (
            {"lastModifiedAt": {"lessThan": "2025-11-03T14:34:48.828Z"}},
            "last_modified_at <= '2025-11-03T14:34:48.828Z'",
        ),
    ],
    ids=str,
)
async def test_track_and_traces_filter_finds_exactly_its_rows(
    graphql: GraphQL, connection: asyncpg.Connection, input: dict[str, Any], where: str
) -> None:
    rows = await connection.fetch(
        f"SELECT id::text FROM track_and_traces WHERE {where} ORDER BY created_at DESC, id LIMIT 100"
    )
    found = (await graphql(LIST, {"input": {"offset": 100, **input}}))["data"]["trackAndTraces"]
    assert found["items"] == [dict(row) for row in rows]


@pytest.mark.parametrize("field", ["SHIPMENT_ID", "CARRIER_ID", "CODE", "CREATED_AT"])
async def test_track_and_traces_are_sorted_as_asked(
    graphql: GraphQL, connection: asyncpg.Connection, field: str
) -> None:
    rows = await connection.fetch(f"SELECT id::text FROM track_and_traces ORDER BY {field.lower()} DESC, id LIMIT 100")
    sorts = [{"field": field, "order": "DESC"}]
    found = (await graphql(LIST, {"input": {"offset": 100, "sortInputs": sorts}}))["data"]["trackAndTraces"]
    assert found["items"] == [dict(row) for row in rows]


TEMPLATE = "https://post.example/{code}?p={postalCode}&c={country}&l={language}&o={orderNumber}"
LINKS = "{ shipments(input: {orderIds: [2075, 2076]}) { items { orderId trackAndTraces { code trackingUrl } } } }"


async def test_track_and_trace_tracking_url_is_filled_from_the_delivery_address(
    write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("UPDATE carriers SET track_and_trace_url = $1", TEMPLATE)
    await copy_connection.execute(
        "UPDATE order_addresses SET postal_code = CASE type WHEN 'delivery' THEN '1234 ab' ELSE '9' END, country = 'NL'"
    )
    await copy_connection.execute("UPDATE orders SET external_id = 'SO/' || id")
    rest = "?p=1234ab&c=NL&l=nl&o=SO%2F"
    shipments = (await write(LINKS))["data"]["shipments"]["items"]
    links = {code["trackingUrl"]: shipment["orderId"] for shipment in shipments for code in shipment["trackAndTraces"]}
    assert None not in links
    assert {url.partition(rest)[2]: order for url, order in links.items()} == {"2075": 2075, "2076": 2076}
    alone = await write(f'{{ trackAndTrace(id: "{CODE}") {{ trackingUrl }} }}')
    assert alone["data"]["trackAndTrace"]["trackingUrl"] in links
    # What is not known makes no link; carriers whose templates ask for the code alone have theirs.
    await copy_connection.execute("UPDATE order_addresses SET postal_code = '' WHERE order_id = 2076")
    await copy_connection.execute("UPDATE carriers SET track_and_trace_url = 'https://one.example/{code}' WHERE id = 1")
    links = (await write(LINKS))["data"]["shipments"]["items"]
    urls = {shipment["orderId"]: shipment["trackAndTraces"][0]["trackingUrl"] for shipment in links}
    assert urls == {2075: "https://one.example/3STEST1234567890", 2076: None}


async def test_track_and_trace_tracking_url_costs_a_statement_for_all_addresses_and_none_without(
    copy: Starlette, write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    async def cost() -> int:
        await write(LINKS)
        before = copy.state.db.statements
        await write(LINKS)
        return int(copy.state.db.statements - before)

    plain = await cost()
    await copy_connection.execute("UPDATE carriers SET track_and_trace_url = $1", TEMPLATE)
    copy.state.db.events.forget("carriers")
    assert await cost() == plain + 1
