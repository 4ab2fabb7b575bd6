"""The page of an order, and what is written from it."""

import re

import httpx
import pytest
from starlette.applications import Starlette

from app.pages.session import FIELD, proof_of
from tests.app.pages.portal.conftest import AtPortal
from tests.conftest import calling

ORDER = "/portal/orders/2075"


@pytest.mark.parametrize("number", ["0", "999999999", "9999999999", "x", "2075x", "٣", "-1", "2075 "])
async def test_an_order_that_there_is_not_is_not_found(at_portal: AtPortal, number: str) -> None:
    assert (await at_portal("staff").get(f"/portal/orders/{number}")).status_code == 404


async def test_an_order_of_others_answers_like_a_missing_one(at_portal: AtPortal) -> None:
    client = at_portal("outsider")
    client.headers["x-request-id"] = "same"
    foreign, missing = await client.get(ORDER), await client.get("/portal/orders/999999999")
    assert (foreign.status_code, foreign.text) == (missing.status_code, missing.text)


async def test_an_order_shows_its_lines_and_shipments_and_readers_no_forms(at_portal: AtPortal) -> None:
    page = (await at_portal("contact").get(ORDER)).text
    assert "Order 2075" in page
    assert "Accu Cirkelzaag 18V Compact" in page
    assert "Shipment 1 of" in page
    assert "Create the shipment" not in page
    assert "Set the status" not in page


class Writer:
    """A writer before the page of an order."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._token = proof_of(client.headers["cookie"].partition("=")[2])

    async def page(self) -> str:
        response = await self._client.get(ORDER)
        assert response.status_code == 200
        return response.text

    async def send(self, **fields: str) -> httpx.Response:
        return await self._client.post(ORDER, data={FIELD: self._token, **fields})


def remaining(page: str) -> dict[str, str]:
    """What the form of a new shipment offers."""
    return dict(re.findall(r'name="(quantity\.\d+)" type="number" min="0" max="\d+" value="(\d+)"', page))


def versions(page: str) -> dict[str, str]:
    """The version of each shipment."""
    return dict(
        re.findall(r'name="shipment" value="([^"]+)">\s*<input type="hidden" name="version" value="(\d+)"', page)
    )


@pytest.fixture
def writer(copy: Starlette, at_portal: AtPortal) -> Writer:
    return Writer(at_portal("editor", calling(copy)))


async def test_a_shipment_is_made_of_what_remains_once_however_often_it_is_sent(writer: Writer) -> None:
    before = await writer.page()
    (line, left), *_others = remaining(before).items()
    fields = {"do": "ship", "key": "one", line: "1", "code": "3SWBIL000000017", "carrierId": ""}
    for _ in range(2):
        response = await writer.send(**fields)
        assert (response.status_code, response.headers["location"]) == (303, ORDER)
    after = await writer.page()
    assert int(remaining(after)[line]) == int(left) - 1
    assert len(versions(after)) == len(versions(before)) + 1
    assert "3SWBIL000000017" in after


@pytest.mark.parametrize(
    ("quantity", "words"), [("99", "must be at most"), ("-1", "no whole number"), ("one", "no whole number")]
)
async def test_a_refusal_is_said_where_it_was_sent(writer: Writer, quantity: str, words: str) -> None:
    before = await writer.page()
    line = next(iter(remaining(before)))
    response = await writer.send(do="ship", key="two", **{line: quantity})
    assert response.status_code == 422
    [said] = re.findall(r'role="alert">It was refused: <span lang="en">([^<]+)', response.text)
    assert words in said
    assert versions(await writer.page()) == versions(before)


async def test_a_status_is_set_and_a_code_added_to_the_shipment_that_was_seen(writer: Writer) -> None:
    before = await writer.page()
    await writer.send(do="ship", key="s", **{next(iter(remaining(before))): "1"})
    [(shipment, version)] = versions(await writer.page()).items() - versions(before).items()
    fields = {"shipment": shipment, "version": version}
    added = await writer.send(do="code", key="a", code="3SWBIL000000018", **fields)
    assert added.headers["location"] == f"{ORDER}#{shipment}"
    stale = await writer.send(do="status", key="b", status="IN_TRANSIT", **fields)
    assert stale.status_code == 422
    assert "Somebody changed this meanwhile" in stale.text
    now = versions(stale.text)[shipment]
    taken = await writer.send(do="status", key="c", status="IN_TRANSIT", shipment=shipment, version=now)
    assert taken.status_code == 303
    assert '<span class="tag ">On the way' in await writer.page()


@pytest.mark.parametrize("fields", [{}, {"do": "erase"}, {"do": "status", "shipment": "x", "version": ""}])
async def test_a_form_of_no_page_of_ours_is_refused(writer: Writer, fields: dict[str, str]) -> None:
    assert (await writer.send(**fields)).status_code == 422


async def test_nothing_is_written_for_a_form_of_another_session(at_portal: AtPortal, copy: Starlette) -> None:
    client = at_portal("editor", calling(copy))
    response = await client.post(ORDER, data={FIELD: proof_of("another"), "do": "ship"})
    assert response.status_code == 403


async def test_a_reader_who_sends_a_writers_form_is_refused(copy: Starlette, at_portal: AtPortal) -> None:
    reader = Writer(at_portal("contact", calling(copy)))
    response = await reader.send(do="ship", key="r")
    assert response.status_code == 422
    assert 'role="alert"' in response.text
