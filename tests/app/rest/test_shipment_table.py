"""Shipments as a table: those of the list, and nothing that a spreadsheet runs."""

import csv
import io

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from tests.conftest import GraphQL, calling, credentials, settings_for

LIST = """query ($input: ShipmentSearchInput) { shipments(input: $input) { itemsFound items {
  id status createdAt late items { quantity } trackAndTraces { code carrier { name } } } } }"""


def table(response: httpx.Response) -> list[dict[str, str]]:
    assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


@pytest.mark.parametrize("viewer", ["staff", "northwind", "contact", "outsider"])
async def test_table_has_a_row_for_each_shipment_of_the_list(
    client: httpx.AsyncClient, graphql: GraphQL, demo_dsn: str, viewer: str
) -> None:
    filters = {"statuses": ["IN_TRANSIT", "EXCEPTION"], "offset": 100}
    expected = (await graphql(LIST, {"input": filters}, viewer=viewer))["data"]["shipments"]
    headers = credentials(viewer, settings_for(demo_dsn))
    rows = table(await client.get("/export/shipments.csv?statuses=IN_TRANSIT&statuses=EXCEPTION", headers=headers))
    assert len(rows) == expected["itemsFound"]
    for row, shipment in zip(rows, expected["items"], strict=False):
        codes = shipment["trackAndTraces"] or []
        assert (row["id"], row["status"], row["createdAt"]) == (
            shipment["id"],
            shipment["status"],
            shipment["createdAt"],
        )
        assert row["late"] == ("true" if shipment["late"] else "false")
        assert int(row["pieces"]) == sum(item["quantity"] or 0 for item in shipment["items"] or [])
        assert sorted(row["codes"].split()) == sorted(code["code"] for code in codes)
        assert all(code["carrier"] is None or code["carrier"]["name"] in row["carriers"] for code in codes)


async def test_table_of_shipments_holds_nothing_that_a_spreadsheet_runs(
    copy: Starlette, demo_copy_dsn: str, copy_connection: asyncpg.Connection
) -> None:
    text = '=HYPERLINK("https://evil.example","x")'
    await copy_connection.execute("UPDATE shipments SET external_id = $1 || id WHERE order_id = 2075", text)
    await copy_connection.execute("UPDATE carriers SET name = '@' || name")
    headers = credentials("staff", settings_for(demo_copy_dsn))
    async with calling(copy) as client:
        rows = table(await client.get("/export/shipments.csv?codes=3STEST1234567890", headers=headers))
    assert rows
    for row in rows:
        assert row["externalId"] == f"'{text}{row['id']}"
        assert row["carriers"].startswith("'@")


async def test_table_of_shipments_is_for_who_may_read_them(client: httpx.AsyncClient) -> None:
    assert (await client.get("/export/shipments.csv")).status_code == 401
