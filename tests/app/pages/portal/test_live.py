"""Pages of the portal that follow what happens, and leave alone what is read."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import httpx
import pytest
from playwright.async_api import expect
from starlette.applications import Starlette

from tests.app.pages.conftest import Open, Tab, at_a_port, site_of
from tests.app.pages.portal.conftest import credential_of
from tests.conftest import FAR_TOO_LONG, connecting, settings_for

Cookies = Callable[[str], dict[str, str]]

ORDER = "/portal/orders/2075"
LIVE = re.compile(r'data-live="([^"]+)"')
NEW_SHIPMENT = """INSERT INTO shipments (order_id, channel_id)
SELECT id, channel_id FROM orders WHERE channel_id = 1 AND (company_id IS NOT DISTINCT FROM
  (SELECT company_id FROM orders WHERE id = 2075)) = $1 ORDER BY id DESC LIMIT 1 RETURNING id::text"""
SET_STATUS = "UPDATE shipments SET status = $2 WHERE id = $1"


async def news(response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """The cursors and the data of events."""
    cursor = ""
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            cursor = value
        elif name == "data" and value:
            yield cursor, json.loads(value)


@pytest.fixture
async def site(copy: Starlette) -> AsyncIterator[str]:
    async with at_a_port(copy) as address:
        yield address


@pytest.fixture
def cookie(demo_dsn: str) -> Callable[[str], dict[str, str]]:
    return lambda viewer: {"cookie": f"__Host-portal={credential_of(viewer, demo_dsn)}"}


async def test_a_list_is_told_what_its_viewer_sees_and_goes_on_from_there(
    site: str, cookie: Cookies, copy_connection: asyncpg.Connection
) -> None:
    async with connecting(base_url=site) as client, asyncio.timeout(FAR_TOO_LONG):
        page = await client.get("/portal/shipments", headers=cookie("contact"))
        [address] = LIVE.findall(page.text)
        # What happens between the page and its stream is not lost.
        await copy_connection.execute(NEW_SHIPMENT, False)
        made = await copy_connection.fetchval(NEW_SHIPMENT, True)
        async with client.stream("GET", address, headers=cookie("contact")) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            told = news(response)
            cursor, first = await anext(told)
            assert first["data"]["shipmentChanges"] == {
                "action": "CREATED",
                "shipmentId": made,
                "change": {"type": "SHIPMENT"},
            }
        await copy_connection.execute(SET_STATUS, made, "PROCESSING")
        again = {**cookie("contact"), "last-event-id": cursor}
        async with client.stream("GET", address, headers=again) as response:
            _cursor, second = await anext(news(response))
            assert second["data"]["shipmentChanges"]["action"] == "UPDATED"


async def test_news_is_for_who_may_read_orders_and_shipments(site: str, cookie: Cookies) -> None:
    async with connecting(base_url=site) as client:
        assert (await client.get("/portal/shipments/live")).status_code == 303
        assert (await client.get("/portal/orders/x/live", headers=cookie("contact"))).status_code == 404
        refused = await client.get("/portal/shipments/live", headers=cookie("logistics"))
        assert "FORBIDDEN" in refused.text
        assert "SHIPMENT" not in refused.text.replace("shipmentChanges", "")


async def enter(tab: Tab, site: str, address: str, credential: str) -> None:
    """By the login that stands before the page."""
    await tab.page.fill("#credential", credential)
    await tab.page.keyboard.press("Enter")
    await tab.page.wait_for_url(f"{site}{address}")


@pytest.mark.asyncio(loop_scope="session")
async def test_rows_change_where_they_stand_and_new_ones_wait(
    demo_copy_dsn: str, open_page: Open, demo_dsn: str
) -> None:
    connection = await asyncpg.connect(demo_copy_dsn)
    address = "/portal/shipments?statuses=CREATED&statuses=PROCESSING&sort=-CREATED_AT&columns=order&columns=status"
    async with site_of(settings_for(demo_copy_dsn)) as site, open_page(f"{site}{address}") as tab:
        known = await connection.fetchval(NEW_SHIPMENT, True)
        await enter(tab, site, address, credential_of("editor", demo_dsn))
        await tab.page.evaluate("window.stays = true")
        rows = await tab.page.locator("tbody tr").count()
        row = tab.page.locator(f"[id='{known}']")
        await row.locator("a").focus()
        await connection.execute(SET_STATUS, known, "IN_TRANSIT")
        # It does not match the filters any more, and stays where it is read.
        await expect(row).to_contain_text("On the way")
        await expect(row).to_have_class("fresh")
        await expect(row.locator("a")).to_be_focused()
        for _ in range(2):
            made = await connection.fetchval(NEW_SHIPMENT, True)
        await expect(tab.page.locator("#news")).to_contain_text("New: 2")
        assert await tab.page.locator("tbody tr").count() == rows
        assert await tab.violations() == []
        await connection.execute("DELETE FROM shipments WHERE id = $1", known)
        await expect(row).to_have_class("fresh gone")
        assert await tab.page.evaluate("window.stays")
        await tab.page.locator("#news a").click()
        await expect(tab.page.locator(f"[id='{made}']")).to_contain_text("Created")
        assert tab.complaints == []
    await connection.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_an_order_changes_around_a_form_that_is_filled_in(
    demo_copy_dsn: str, open_page: Open, demo_dsn: str
) -> None:
    connection = await asyncpg.connect(demo_copy_dsn)
    async with site_of(settings_for(demo_copy_dsn)) as site, open_page(f"{site}{ORDER}") as tab:
        await enter(tab, site, ORDER, credential_of("editor", demo_dsn))
        shipment = tab.page.locator("section[data-part]:has(summary:text('Change this shipment'))").first
        id_ = await shipment.get_attribute("id")
        await shipment.locator("summary").click()
        await shipment.get_by_label("Tracking code or link").fill("3SWBIL0000")
        await connection.execute(SET_STATUS, id_, "PROCESSING")
        await expect(shipment.locator("p .tag")).to_have_text("In preparation")
        field = shipment.get_by_label("Tracking code or link")
        await expect(field).to_be_focused()
        await expect(field).to_have_value("3SWBIL0000")
        await shipment.get_by_label("Status").select_option("IN_TRANSIT")
        await shipment.get_by_role("button", name="Set the status").click()
        await expect(tab.page.get_by_role("alert")).to_contain_text("Somebody changed this meanwhile")
        assert all("422" in complaint for complaint in tab.complaints)
    await connection.close()
