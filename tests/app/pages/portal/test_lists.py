"""Lists of the portal: the whole state is in the address, and what they show is what the schema gives."""

import re
from html import unescape
from typing import Any

import httpx
import pytest

from app.postgres.database import Database
from tests.app.pages.portal.conftest import AtPortal
from tests.conftest import GraphQL


def links(page: str, words: str) -> list[str]:
    """Where the links with these words lead."""
    return [unescape(address) for address in re.findall(rf'href="([^"]+)"[^>]*>\s*{re.escape(words)}', page)]


def orders_of(page: str) -> list[int]:
    """The orders of the rows, in their sequence."""
    return [int(number) for number in re.findall(r'<td><a href="/portal/orders/(\d+)', page)]


async def found(graphql: GraphQL, viewer: str, **input: Any) -> dict[str, Any]:
    document = "query($i: ShipmentSearchInput) { shipments(input: $i) { itemsFound items { orderId } } }"
    answer = await graphql(document, {"i": input}, viewer=viewer)
    shipments: dict[str, Any] = answer["data"]["shipments"]
    return shipments


@pytest.mark.parametrize("viewer", ["staff", "partner", "contact", "outsider", "northwind"])
async def test_shipments_are_those_that_the_schema_gives_the_viewer(
    at_portal: AtPortal, graphql: GraphQL, viewer: str
) -> None:
    expected = await found(graphql, viewer, offset=25)
    page = (await at_portal(viewer).get("/portal/shipments")).text
    assert orders_of(page) == [shipment["orderId"] for shipment in expected["items"]]
    assert f"{expected['itemsFound']:,} shipment" in page or expected["itemsFound"] == 0


async def test_shipments_are_filtered_sorted_and_paged_by_the_address(at_portal: AtPortal, graphql: GraphQL) -> None:
    expected = await found(
        graphql,
        "staff",
        offset=25,
        page=2,
        statuses=["DELIVERED", "IN_TRANSIT"],
        createdAt={"lessThan": "2025-11-20"},
        sortInputs=[{"field": "ORDER_ID", "order": "DESC"}, {"field": "STATUS"}],
    )
    address = "statuses=DELIVERED&statuses=IN_TRANSIT&createdAt.lessThan=2025-11-20&sort=-ORDER_ID&sort=STATUS"
    # Fields that a form sends empty are none.
    page = (await at_portal("staff").get(f"/portal/shipments?{address}&codes=&page=2&rows=25")).text
    assert orders_of(page) == [shipment["orderId"] for shipment in expected["items"]]
    assert 'aria-sort="descending"' in page
    [export] = links(page, "Export as NDJSON")
    assert export == "/portal/export/shipments.ndjson?" + address.partition("&sort")[0]
    [previous] = links(page, "Previous")
    assert previous == f"?{address}&rows=25&page=1"


async def test_a_column_is_sorted_by_first_and_by_what_was_first_next(at_portal: AtPortal) -> None:
    client = at_portal("staff")
    page = (await client.get("/portal/shipments?sort=STATUS&sort=-CREATED_AT&late=true")).text
    assert links(page, "Status") == ["?late=true&sort=-STATUS&sort=-CREATED_AT"]
    assert links(page, "Promised") == ["?late=true&sort=EXPECTED_DELIVERY_AT&sort=STATUS&sort=-CREATED_AT"]


@pytest.mark.parametrize(
    ("query", "name", "rule"),
    [
        ("statuses=GONE", "statuses", "must be one of CREATED"),
        ("createdAt.greaterThan=yesterday", "createdAt.greaterThan", "must be"),
        ("orderIds=ten", "orderIds", "must be a whole number"),
        ("late=perhaps", "late", "must be true or false"),
    ],
)
async def test_a_filter_that_cannot_be_read_is_said_beside_its_field(
    at_portal: AtPortal, query: str, name: str, rule: str
) -> None:
    response = await at_portal("staff").get(f"/portal/shipments?{query}")
    assert response.status_code == 400
    assert re.search(rf'id="{re.escape(name)}-fault">[^<]*<span lang="en">{rule}', response.text)


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "page=٣", "page=99999999999", "rows=10", "sort=NAME", "sort=--ID", "columns=secret"]
)
async def test_what_no_list_has_is_refused(at_portal: AtPortal, query: str) -> None:
    for place in ("shipments", "orders"):
        assert (await at_portal("staff").get(f"/portal/{place}?{query}")).status_code == 400


async def test_a_filter_that_there_is_not_is_refused_and_nothing_of_it_shown_as_markup(at_portal: AtPortal) -> None:
    response = await at_portal("staff").get("/portal/shipments", params={"<script>": "1", "codes": '"><script>x'})
    assert response.status_code == 400
    assert "<script>" not in response.text


async def test_columns_are_those_that_are_chosen(at_portal: AtPortal) -> None:
    page = (await at_portal("staff").get("/portal/shipments?columns=order&columns=status")).text
    assert re.findall(r'<th scope="col"[^>]*>(?:<a[^>]*>)?([^<]+)', page) == ["Order", "Status"]


async def test_orders_are_found_by_words(at_portal: AtPortal, graphql: GraphQL) -> None:
    document = '{ orders(input: { term: "zwolle", offset: 25 }) { itemsFound items { id } } }'
    expected = (await graphql(document))["data"]["orders"]
    page = (await at_portal("staff").get("/portal/orders?term=zwolle")).text
    assert orders_of(page) == [order["id"] for order in expected["items"]]
    assert len(expected["items"]) > 0


async def test_an_export_is_of_exactly_the_filtered_list(at_portal: AtPortal, graphql: GraphQL) -> None:
    client = at_portal("contact")
    expected = await found(graphql, "contact", statuses=["DELIVERED"])
    response = await client.get("/portal/export/shipments.ndjson?statuses=DELIVERED")
    assert response.status_code == 200
    assert len(response.text.splitlines()) == expected["itemsFound"] > 0
    table = await client.get("/portal/export/shipments.csv?statuses=DELIVERED")
    assert len(table.text.splitlines()) == 1 + expected["itemsFound"]
    assert (await client.get("/portal/export/orders.csv")).headers["content-type"].startswith("text/csv")
    assert (await client.get("/portal/export/carriers.csv")).status_code == 404
    del client.headers["cookie"]
    assert (await client.get("/portal/export/shipments.ndjson")).status_code == 303


async def test_the_overview_counts_what_its_links_lead_to(at_portal: AtPortal) -> None:
    client = at_portal("staff")
    page = (await client.get("/portal")).text
    figures = re.findall(r'<a class="card" href="([^"]+)"><strong[^>]*>([\d,]+)</strong>', page)
    assert len(figures) == 6
    for address, count in figures:
        listed = (await client.get(unescape(address))).text
        assert re.search(rf">{count} (shipment|order)s?</p>", listed), address


async def test_what_a_scope_does_not_permit_is_not_shown(client: httpx.AsyncClient, at_portal: AtPortal) -> None:
    scoped = at_portal("logistics")
    page = (await scoped.get("/portal")).text
    assert "/portal/shipments" not in page
    assert "/portal/orders" not in page
    assert (await scoped.get("/portal/shipments")).status_code == 403
    assert (await scoped.get("/portal/export/shipments.ndjson")).status_code == 403


@pytest.mark.parametrize(("address", "lists"), [("/portal", 6), ("/portal/shipments", 2), ("/portal/orders", 2)])
async def test_a_page_costs_two_statements_a_list_at_most_whatever_its_rows(
    at_portal: AtPortal, db: Database, address: str, lists: int
) -> None:
    client = at_portal("staff")
    costs = []
    for rows in (25, 100):
        before = db.statements
        assert (await client.get(address, params={"rows": rows})).status_code == 200
        costs.append(db.statements - before)
    assert costs[0] == costs[1] <= 2 * lists
