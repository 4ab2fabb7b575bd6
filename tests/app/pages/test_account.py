"""Customers who have logged in see their own orders whole, and nobody else's; nobody else sees theirs."""

import re
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from app.demo import fixtures
from tests.app.pages.conftest import WIDTHS, Open
from tests.conftest import OTHER_CUSTOMER_EMAIL, OTHER_CUSTOMER_PASSWORD, calling, credentials, settings_for

ACCOUNT = "/account/default"
JOHN = {"email": fixtures.CUSTOMER_EMAIL, "password": fixtures.CUSTOMER_PASSWORD}
JANE = {"email": OTHER_CUSTOMER_EMAIL, "password": OTHER_CUSTOMER_PASSWORD}


@pytest.fixture
async def client(copy: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(copy) as client:
        client.headers["accept-language"] = "en"
        yield client


async def log_in(client: httpx.AsyncClient, who: dict[str, str] = JOHN) -> dict[str, str]:
    """The header with the cookie; httpx keeps none that is for safe transport alone."""
    response = await client.post(ACCOUNT, data=who)
    assert (response.status_code, response.headers["location"]) == (303, ACCOUNT)
    return {"cookie": response.headers["set-cookie"].partition(";")[0]}


async def test_the_cookie_is_for_this_host_and_no_script(client: httpx.AsyncClient) -> None:
    response = await client.post(ACCOUNT, data=JOHN)
    name, *attributes = response.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-account=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(attributes)
    assert not any(attribute.startswith("Domain") for attribute in attributes)


async def test_a_customer_sees_its_own_orders_whole(client: httpx.AsyncClient) -> None:
    cookie = await log_in(client)
    orders = await client.get(ACCOUNT, headers=cookie)
    assert re.findall(r"/orders/(\d+)", orders.text) == ["4", "3", "2", "1"]
    order = await client.get(f"{ACCOUNT}/orders/1", headers=cookie)
    for words in ("Order 1", "$150.00", "John Doe", "Delivery address", "Invoice address", "United States"):
        assert words in order.text
    assert order.headers["cache-control"] == "no-store"


async def test_nobody_sees_what_is_not_theirs(client: httpx.AsyncClient, copy_connection: asyncpg.Connection) -> None:
    john, jane = await log_in(client), await log_in(client, JANE)
    [own] = re.findall(r"/orders/(\d+)", (await client.get(ACCOUNT, headers=jane)).text)[:1]
    for number in ("1", "2075", "99999999", "0", "x", "1%2Fx", "9" * 30):
        assert (await client.get(f"{ACCOUNT}/orders/{number}", headers=jane)).status_code == 404, number
        assert (await client.get(f"{ACCOUNT}/orders/{number}")).status_code in (303, 404)
    assert (await client.get(f"{ACCOUNT}/orders/{own}", headers=jane)).status_code == 200
    assert (await client.get(f"{ACCOUNT}/orders/{own}", headers=john)).status_code == 404
    # The session of one shop is none of another, and other credentials are none of a page's.
    assert "Log in" in (await client.get("/account/northwind", headers=john)).text
    bearer = credentials("john", settings_for("postgresql://"))
    assert (await client.get(f"{ACCOUNT}/orders/1", headers=bearer)).status_code == 303


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "1|x.y.z", "__Host-account", "a" * 5_000, "\x01", '"', "1|eyJhbGciOiJub25lIn0.e30.", "../..", "é"],
)
async def test_what_is_no_session_is_asked_to_log_in(client: httpx.AsyncClient, cookie: str) -> None:
    headers = {"cookie": f"__Host-account={cookie}".encode("latin-1")}
    assert "Log in" in (await client.get(ACCOUNT, headers=headers)).text
    assert (await client.get(f"{ACCOUNT}/orders/1", headers=headers)).status_code == 303


async def test_a_session_ends_with_its_row(client: httpx.AsyncClient, copy_connection: asyncpg.Connection) -> None:
    for end in ("expires_at = now()", "revoked_at = now()"):
        cookie = await log_in(client)
        assert (await client.get(f"{ACCOUNT}/orders/1", headers=cookie)).status_code == 200
        await copy_connection.execute(f"UPDATE customer_sessions SET {end} WHERE revoked_at IS NULL")
        gone = await client.get(f"{ACCOUNT}/orders/1", headers=cookie)
        assert gone.status_code == 303
        assert "Max-Age=0" in gone.headers["set-cookie"]


async def test_logging_in_makes_a_session_whatever_cookie_came(client: httpx.AsyncClient) -> None:
    fixed = {"cookie": "__Host-account=1|chosen.by.another"}
    response = await client.post(ACCOUNT, data=JOHN, headers=fixed)
    assert "chosen" not in response.headers["set-cookie"]
    first = await log_in(client)
    assert await log_in(client) != first


async def test_logging_out_needs_the_proof_of_the_page(client: httpx.AsyncClient) -> None:
    cookie = await log_in(client)
    other = await log_in(client)
    [proof] = re.findall(r'name="proof" value="(\w+)"', (await client.get(ACCOUNT, headers=cookie)).text)
    [of_other] = re.findall(r'name="proof" value="(\w+)"', (await client.get(ACCOUNT, headers=other)).text)
    for wrong in ({}, {"proof": "x"}, {"proof": of_other}):
        assert (await client.post(f"{ACCOUNT}/logout", data=wrong, headers=cookie)).status_code in (403, 415)
    assert (await client.get(f"{ACCOUNT}/orders/1", headers=cookie)).status_code == 200
    gone = await client.post(f"{ACCOUNT}/logout", data={"proof": proof}, headers=cookie)
    assert (gone.status_code, gone.headers["location"]) == (303, ACCOUNT)
    assert (await client.get(f"{ACCOUNT}/orders/1", headers=cookie)).status_code == 303
    assert (await client.get(f"{ACCOUNT}/orders/1", headers=other)).status_code == 200


async def test_a_wrong_password_is_said_and_counted(client: httpx.AsyncClient) -> None:
    statuses = [
        (await client.post(ACCOUNT, data={"email": fixtures.CUSTOMER_EMAIL, "password": "wrong-password"})).status_code
        for _ in range(6)
    ]
    assert statuses == [422] * 5 + [429]
    assert (await client.post(ACCOUNT, data={"email": "nobody", "password": ""})).status_code in (422, 429)
    assert (await client.post(ACCOUNT, data=JOHN, headers={"origin": "https://evil.example"})).status_code == 403


async def test_pages_are_three_statements_at_most(copy: Starlette, client: httpx.AsyncClient) -> None:
    cookie = await log_in(client)
    for page in (ACCOUNT, f"{ACCOUNT}/orders/1"):
        await client.get(page, headers=cookie)
        before = copy.state.db.statements
        assert (await client.get(page, headers=cookie)).status_code == 200
        assert 1 <= copy.state.db.statements - before <= 3


@pytest.mark.asyncio(loop_scope="session")
async def test_the_account_is_for_everybody(site: str, open_page: Open) -> None:
    async with open_page(f"{site}{ACCOUNT}") as tab:
        assert await tab.violations() == []
        await tab.page.fill("#email", JANE["email"])
        await tab.page.fill("#password", JANE["password"])
        await tab.page.keyboard.press("Enter")
        await tab.page.get_by_role("heading", name="Your orders").wait_for()
        assert await tab.violations() == []
        await tab.page.locator(".entry a").first.click()
        await tab.page.get_by_role("heading", name="What it costs").wait_for()
        assert await tab.violations() == []
        for width in WIDTHS:
            await tab.page.set_viewport_size({"width": width, "height": 900})
            assert not await tab.is_scrolled_sideways()
        await tab.page.get_by_role("button", name="Log out").click()
        await tab.page.get_by_role("heading", name="Your orders").wait_for()
        assert tab.complaints == []
