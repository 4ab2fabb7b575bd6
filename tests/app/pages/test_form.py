"""Whoever knows an order's number, and its postal code or e-mail, finds its page; nobody finds out which there are."""

import random
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from app.auth import order_link
from app.postgres.database import Database
from sql import Visibility, load
from tests.app.pages.conftest import WIDTHS, Open
from tests.conftest import calling

FORM = "/shops/default/track"
ENGLISH = {"accept-language": "en"}


@pytest.fixture
async def client(copy: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(copy) as client:
        client.headers.update(ENGLISH)
        yield client


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_link, "ANSWER_SECONDS", 0)


async def test_a_number_and_a_postal_code_or_e_mail_lead_to_the_page(
    client: httpx.AsyncClient, copy_connection: asyncpg.Connection, quick: None
) -> None:
    email = await copy_connection.fetchval("SELECT email FROM orders WHERE id = 2075 AND channel_id = 1")
    postal_code = await copy_connection.fetchval(
        "SELECT postal_code FROM order_addresses WHERE order_id = 2075 AND channel_id = 1 AND type = 'delivery'"
    )
    for secret in (email.upper(), f" {postal_code.lower()} "):
        response = await client.post(FORM, params={"lang": "nl"}, data={"number": " 2075 ", "secret": secret})
        assert response.status_code == 303
        page = await client.get(response.headers["location"])
        assert page.status_code == 200
        assert 'lang="nl"' in page.text
        assert email not in page.text


async def test_wrong_and_unknown_are_answered_alike(
    client: httpx.AsyncClient, copy_connection: asyncpg.Connection, quick: None
) -> None:
    await copy_connection.execute("UPDATE order_statuses SET is_public = false WHERE code = 'NEW'")
    asked = [("2075", "1000 AA"), ("99999999", "1000 AA"), ("nothing", "x@example.com"), ("1", "customer@example.com")]
    answers = set()
    for number, secret in asked:
        await copy_connection.execute("DELETE FROM login_attempts")
        response = await client.post(FORM, data={"number": number, "secret": secret})
        text = response.text.replace(f'"{number}"', "").replace(f'"{secret}"', "")
        answers.add((response.status_code, text, tuple(name for name, _ in response.headers.multi_items())))
    [(status, text, _)] = answers
    assert status == 422
    assert "There is no order of that number" in text


async def test_an_answer_takes_its_time_right_or_wrong(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(order_link, "ANSWER_SECONDS", 3_600)
    monkeypatch.setattr(order_link, "sleep", sleep)
    await client.post(FORM, data={"number": "2075", "secret": "nobody"})
    await client.post(FORM, data={"number": "99999999", "secret": "nobody"})
    assert len(slept) == 2
    assert all(3_000 < seconds <= 3_600 for seconds in slept)


async def test_five_attempts_are_all_there_are(
    client: httpx.AsyncClient, copy_connection: asyncpg.Connection, quick: None
) -> None:
    email = await copy_connection.fetchval("SELECT email FROM orders WHERE id = 2075 AND channel_id = 1")
    good = {"number": "2075", "secret": email}
    statuses = [(await client.post(FORM, data={"number": "2075", "secret": f"{n}"})).status_code for n in range(6)]
    assert statuses == [422] * 5 + [429]
    refused = await client.post(FORM, data=good)
    assert refused.status_code == 429
    assert "Too many attempts" in refused.text
    # Of the order, whatever it is called and whoever asks, and of the address, whatever it asks for.
    assert (await client.post(FORM, data={"number": "2076", "secret": "x"})).status_code == 429
    await copy_connection.execute(
        "UPDATE login_attempts SET attempted_at = ARRAY(SELECT t - $1::interval FROM unnest(attempted_at) t)",
        timedelta(minutes=15),
    )
    assert (await client.post(FORM, data=good)).status_code == 303


async def test_a_thousand_guesses_find_nothing(db: Database, connection: asyncpg.Connection) -> None:
    """Of the statement that decides: what comes before it counts attempts, and there are five."""
    dice = random.Random(1)
    postal_code = await connection.fetchval(
        "SELECT postal_code FROM order_addresses WHERE order_id = 2075 AND channel_id = 1 AND type = 'delivery'"
    )
    right = postal_code.replace(" ", "").upper()

    async def finds(secret: str) -> bool:
        asked = {"channel_code": "default", "number": "2075", "order_id": 2075, "secret": secret}
        return bool(await db.fetch(load("order_link").by_number, Visibility.everything(), **asked))

    assert await finds(postal_code)
    for _ in range(1_000):
        place = dice.randrange(len(postal_code))
        guess = postal_code[:place] + dice.choice("0123456789ABKX%_'\\ ") + postal_code[place + dice.randrange(2) :]
        if guess.replace(" ", "").upper() != right:
            assert not await finds(guess), guess


async def test_a_form_of_another_site_is_refused(client: httpx.AsyncClient, quick: None) -> None:
    for headers in (
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        response = await client.post(FORM, data={"number": "2075", "secret": "x"}, headers=headers)
        assert response.status_code == 403
    for headers in ({"origin": "http://waybill.test"}, {"sec-fetch-site": "same-origin"}):
        assert (await client.post(FORM, data={"number": "1", "secret": "x"}, headers=headers)).status_code == 422


async def test_a_shop_without_pages_has_no_form(client: httpx.AsyncClient, copy_connection: asyncpg.Connection) -> None:
    assert (await client.get("/shops/nowhere/track")).status_code == 404
    assert (await client.get("/shops/northwind/track")).status_code == 200
    await copy_connection.execute("DELETE FROM channel_pages WHERE channel_id = 2")
    assert (await client.get("/shops/northwind/track")).status_code in (200, 404)


@pytest.mark.asyncio(loop_scope="session")
async def test_the_form_is_for_everybody(site: str, open_page: Open) -> None:
    async with open_page(f"{site}{FORM}", locale="ar", java_script_enabled=False) as tab:
        await tab.page.fill("#number", "99999999")
        await tab.page.fill("#secret", "nobody")
        await tab.page.keyboard.press("Enter")
        await tab.page.get_by_role("alert").wait_for()
    async with open_page(f"{site}{FORM}", locale="de", color_scheme="dark") as tab:
        for width in WIDTHS:
            await tab.page.set_viewport_size({"width": width, "height": 900})
            assert not await tab.is_scrolled_sideways()
        assert await tab.violations() == []
        assert tab.complaints == []
