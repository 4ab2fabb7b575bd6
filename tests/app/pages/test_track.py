"""The page of an order by its link: who sees what of it, what it says, and that it goes on by itself."""

import json
import random
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from graphql import GraphQLNonNull, Undefined
from starlette.applications import Starlette

from app.asgi import executable_schema
from app.auth.linked_order import LinkedOrder, LinkSigner
from app.auth.token import Tokens
from app.errors import NotAuthenticated
from app.pages.language import LANGUAGES
from app.postgres.database import Database
from app.settings import Settings
from tests.app.live.test_stream import Events
from tests.app.pages.conftest import WIDTHS, Open, at_a_port, site_of
from tests.conftest import GraphQL, calling, connecting, credentials, running, settings_for, until

ORDER = LinkedOrder(1, 2075, 1)
SETTINGS = settings_for("postgresql://", public_url="https://track.example.org")
ENGLISH = {"accept-language": "en-GB"}  # who wants nothing reads the language of the order, which is Dutch
NEWS = """
INSERT INTO tracking_events (track_and_trace_id, channel_id, status, sub_status, occurred_at, location, description)
SELECT t.id, t.channel_id, $1, $2, $3, $4, 'taken by J. Jansen of number 14'
FROM track_and_traces t WHERE t.code = '3STEST1234567890'
"""
ON_WORKERS_LOOP = pytest.mark.asyncio(loop_scope="session")


def token(order: LinkedOrder = ORDER, settings: Settings = SETTINGS, **options: Any) -> str:
    return LinkSigner(Tokens(settings), settings).token(order, **options)


def path(order: LinkedOrder = ORDER, **options: Any) -> str:
    return f"/track/{token(order, **options)}"


async def tell(connection: asyncpg.Connection, status: str, sub_status: str | None = None, location: str = "") -> None:
    await connection.execute(NEWS, status, sub_status, datetime.now(UTC), location or None)


# ------------------------------------------------------------------------------------------------ who sees what


async def test_a_link_shows_where_the_parcels_are(client: httpx.AsyncClient) -> None:
    response = await client.get(path(), headers=ENGLISH)
    assert response.status_code == 200
    for words in ("Order 2075", "3STEST1234567890", "PostNL", "Still to be shipped", "Douglas Lariks fijn bezaagd"):
        assert words in response.text
    assert "https://postnl.nl/tracktrace/?B=3STEST1234567890" in response.text
    assert response.headers["x-robots-tag"] == "noindex, nofollow"
    assert response.headers["referrer-policy"] == "no-referrer"


async def test_a_link_tells_nothing_of_who_ordered_or_what_they_paid(
    client: httpx.AsyncClient, graphql: GraphQL, connection: asyncpg.Connection
) -> None:
    addresses = await connection.fetch("SELECT * FROM order_addresses WHERE order_id = 2075 AND channel_id = 1")
    order = await connection.fetchrow("SELECT * FROM orders WHERE id = 2075 AND channel_id = 1")
    lines = await connection.fetch("SELECT * FROM order_items WHERE order_id = 2075 AND channel_id = 1")
    assert order is not None
    names = ("first_name", "last_name", "company", "street", "postal_code", "city", "phone", "email")
    secrets = {str(row[name]) for row in addresses for name in names if row[name]} | {order["email"]}
    secrets |= {f"{line['price_total']:.2f}" for line in lines if line["price_total"]}
    assert len(secrets) > 8
    page = (await client.get(path())).text
    everything = await client.post(
        "/graphql",
        json={"query": WHOLE},
        headers={"Authorization": f"Bearer {token()}"},
    )
    assert everything.json()["data"]["trackedOrder"]["number"] == "2075"
    for text in (page, everything.text):
        assert [secret for secret in secrets if re.search(rf"\b{re.escape(secret)}\b", text)] == []


WHOLE = """
{ trackedOrder { number orderedAt language timeZone fulfillmentStatus
    shop { code name logoPath accent helpUrl languages }
    items { name quantity quantityShipped quantityRemaining quantityCanceled pictureUrl }
    shipments { status subStatus createdAt expectedDeliveryAt expectedDeliveryDate formerlyExpectedAt
      items { name quantity pictureUrl }
      parcels { code carrierName trackingUrl status subStatus expectedDeliveryAt expectedDeliveryDate formerlyExpectedAt
        items { name quantity pictureUrl } events { status subStatus occurredAt location } } } } }
"""


async def test_the_token_of_a_link_opens_nothing_else(client: httpx.AsyncClient) -> None:
    schema = executable_schema()
    assert schema.query_type is not None
    given = {
        "id": '"00000000-0000-0000-0000-000000000000"',
        "code": '"x"',
        "endpointId": '"x"',
        "cursor": '"x"',
        "orderId": "2075",
        "channel": '"x"',
    }
    numbers = {"carrier", "orderAddress"}
    answered: Counter[str] = Counter()
    for name, field in schema.query_type.fields.items():
        arguments = []
        for argument, one in field.args.items():
            if isinstance(one.type, GraphQLNonNull) and one.default_value is Undefined:
                value = "1" if argument == "id" and name in numbers else given.get(argument, "{id: 1}")
                arguments.append(f"{argument}: {value}")
        called = f"({', '.join(arguments)})" if arguments else ""
        response = await client.post(
            "/graphql",
            json={"query": f"{{ {name}{called} {{ __typename }} }}"},
            headers={"Authorization": f"Bearer {token()}"},
        )
        [error] = response.json().get("errors", [{"extensions": {"code": f"answered {name}"}}])
        answered[error["extensions"]["code"]] += 1
    # A shop that is none is anybody's to ask for; what a customer asks for needs the key of a shop.
    assert set(answered) == {"FORBIDDEN", "UNAUTHENTICATED", "SHOP_NOT_FOUND", "answered trackedOrder"}
    assert answered["UNAUTHENTICATED"] == 4
    assert answered["SHOP_NOT_FOUND"] == answered["answered trackedOrder"] == 1


async def test_the_token_of_a_link_names_one_order(graphql: GraphQL, client: httpx.AsyncClient) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    for order_id, code in ((2075, None), (1, "ORDER_NOT_FOUND"), (2**31 - 1, "ORDER_NOT_FOUND")):
        query = f"{{ trackedOrder(orderId: {order_id}) {{ number }} }}"
        answer = (await client.post("/graphql", json={"query": query}, headers=headers)).json()
        assert (answer["errors"][0]["extensions"]["code"] if "errors" in answer else None) == code
    for viewer, code in (
        ("staff", None),
        ("contact", None),
        ("outsider", "ORDER_NOT_FOUND"),
        (None, "UNAUTHENTICATED"),
    ):
        answer = await graphql("{ trackedOrder(orderId: 2075) { number } }", viewer=viewer)
        assert (answer["errors"][0]["extensions"]["code"] if "errors" in answer else None) == code, viewer
    answer = await graphql("{ trackedOrder { number } }")
    assert answer["errors"][0]["extensions"]["code"] == "VALIDATION_ERROR"


async def test_partners_and_staff_have_the_address_of_the_page(demo_dsn: str) -> None:
    query = {"query": "{ order(orderId: 2075) { trackingPageUrl } }"}
    settings = settings_for(demo_dsn, public_url="https://track.example.org")
    async with running(settings) as app, calling(app) as client:
        for viewer, has_it in (("staff", True), ("apikey", True), ("contact", False)):
            answer = await client.post("/graphql", json=query, headers=credentials(viewer, settings))
            url = answer.json()["data"]["order"]["trackingPageUrl"]
            assert url == (f"https://track.example.org{path()}" if has_it else None)


async def test_what_is_no_good_link_looks_like_one_that_never_was(
    copy: Starlette, copy_connection: asyncpg.Connection
) -> None:
    async with calling(copy) as client:
        first = await client.get(path())
        assert first.status_code == 200
        others = [
            path(LinkedOrder(2, 2075, 1)),
            path(LinkedOrder(1, 2**31 - 1, 1)),
            path(LinkedOrder(1, 2075, 2)),
            path(lifetime=timedelta(days=-2)),
            f"/track/{Tokens(SETTINGS).issue('staff:1', scope='orders:read')}",
            f"/track/{Tokens(SETTINGS).issue('link:1.2075')}",
            f"/track/{Tokens(SETTINGS).issue('link:1.99999999999', jti='1')}",
            "/track/x",
            "/track/%F0%9F%93%A6",
            "/track/" + "a" * 5000,
        ]
        answers = {((answer := await client.get(other)).status_code, answer.text) for other in others}
        await copy_connection.execute("UPDATE order_statuses SET is_public = false WHERE code = 'CONFIRMED'")
        answers.add(((hidden := await client.get(path())).status_code, hidden.text))
        await copy_connection.execute("UPDATE order_statuses SET is_public = true WHERE code = 'CONFIRMED'")
        assert (await client.get(path())).status_code == 200
        await copy_connection.execute("INSERT INTO order_links VALUES (2075, 1, 2)")
        answers.add(((revoked := await client.get(path())).status_code, revoked.text))
        assert (await client.get(path(LinkedOrder(1, 2075, 2)))).status_code == 200
    [(status, text)] = answers
    assert status == 404
    assert "There is nothing here" in text


async def test_nobody_finds_another_page_by_changing_a_link(client: httpx.AsyncClient) -> None:
    dice, good, tokens = random.Random(1), token(), Tokens(SETTINGS)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
    for number in range(1_000):
        place = dice.randrange(len(good))
        changed = good[:place] + dice.choice(alphabet) + good[place + dice.randrange(2) :]
        if changed == good:
            continue
        with pytest.raises(NotAuthenticated):
            tokens.verify(changed)
        if number % 20 == 0:
            assert (await client.get(f"/track/{changed}")).status_code == 404, changed


async def test_a_link_is_not_written_into_the_log(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="waybill.http"):
        await client.get(path())
    [facts] = [record.facts for record in caplog.records if record.message == "request"]  # type: ignore[attr-defined]
    assert facts["path"] == "/track/{token}"


async def test_a_page_is_three_statements_at_most(db: Database, client: httpx.AsyncClient) -> None:
    assert (await client.get(path())).status_code == 200
    before = db.statements
    assert (await client.get(path())).status_code == 200
    assert 1 <= db.statements - before <= 3


# ------------------------------------------------------------------------------------------------ what it says


async def test_what_happens_is_said_in_words(copy: Starlette, copy_connection: asyncpg.Connection) -> None:
    async with calling(copy) as client:

        async def page() -> str:
            return re.sub(r"\s+", " ", (await client.get(path(), headers=ENGLISH)).text)

        assert "Your order is being prepared" in await page()
        await tell(copy_connection, "IN_TRANSIT", location="Depot Amsterdam")
        told = await page()
        assert "Part of your order is on its way" in told
        assert "Depot Amsterdam" in told
        assert "one message" in told
        await copy_connection.execute(
            "UPDATE track_and_traces SET expected_delivery_at = '2030-12-05T13:30Z' WHERE code = '3STEST1234567890'"
        )
        assert "Thursday, 5 December 2030, 14:30" in await page()
        await copy_connection.execute(
            "UPDATE track_and_traces SET expected_delivery_at = '2030-12-09' WHERE code = '3STEST1234567890'"
        )
        told = await page()
        assert "It was expected: Thursday, 5 December 2030, 14:30. Now it is expected: Monday, 9 December 2030." in told
        await tell(copy_connection, "FAILED_DELIVERY", "NOT_HOME", "Kerkstraat 1")
        told = await page()
        assert "Nobody was home" in told
        assert "Kerkstraat" not in told
        await tell(copy_connection, "IN_TRANSIT", "AT_PICKUP_POINT", "Primera, Damrak 3")
        told = await page()
        assert "waits for you at a pick-up point. <strong>Primera, Damrak 3</strong>" in told
        await tell(copy_connection, "DELIVERED", "LEFT_WITH_NEIGHBOR", "Kerkstraat 3")
        told = await page()
        assert "A neighbour has taken the parcel" in told
        assert "Jansen" not in told
        assert "Kerkstraat" not in told
        assert "Now it is expected" not in told
        await tell(copy_connection, "EXCEPTION", "RETURN_TO_SENDER")
        told = await page()
        assert "on its way back to the sender" in told
        assert 'aria-label="Progress"' not in told


async def test_parcels_are_counted_and_the_rest_is_told_apart(
    copy: Starlette, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute(
        """
        WITH box AS (INSERT INTO shipments (order_id, channel_id, status) VALUES (2075, 1, 'PROCESSING') RETURNING id),
        item AS (
          INSERT INTO shipment_items (shipment_id, order_id, channel_id, order_item_id, quantity)
          SELECT box.id, 2075, 1, i.id, i.quantity FROM box, order_items i
          WHERE i.order_id = 2075 AND i.channel_id = 1 AND i.quantity_shipped = 0 AND i.class = 'product'
          ORDER BY i.id LIMIT 1
        )
        INSERT INTO track_and_traces (shipment_id, order_id, channel_id, code)
        SELECT box.id, 2075, 1, code FROM box, unnest(ARRAY['A-1', 'A-2']) AS code
        """
    )
    async with calling(copy) as client:
        told = (await client.get(path(), headers=ENGLISH)).text
    assert [f"Parcel {number} of 3" in told for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert told.count("In these parcels together") == 2
    assert told.count("In this parcel<") == 1
    assert "Still to be shipped" in told


async def test_a_page_that_has_not_changed_is_not_sent_again(client: httpx.AsyncClient) -> None:
    page = await client.get(path(), headers=ENGLISH)
    [version] = re.findall(r'data-version="(\w+)"', page.text)
    again = await client.get(path(), headers=ENGLISH | {"if-none-match": version})
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.get(path(), headers={"if-none-match": version})).status_code == 200


# ------------------------------------------------------------------------------------------------ in a browser


@pytest.mark.parametrize(("language", "scheme"), list(zip(LANGUAGES, ("light", "dark", "light", "dark"), strict=True)))
@ON_WORKERS_LOOP
async def test_the_page_is_for_everybody(site: str, open_page: Open, language: str, scheme: str) -> None:
    async with open_page(f"{site}{path()}", locale=language, color_scheme=scheme) as tab:
        assert await tab.page.get_attribute("html", "lang") == language
        assert await tab.page.get_attribute("html", "dir") == ("rtl" if language == "ar" else "ltr")
        for width in WIDTHS:
            await tab.page.set_viewport_size({"width": width, "height": 900})
            assert not await tab.is_scrolled_sideways()
            if width != 768:
                assert await tab.violations() == []
        assert [request.url for request in tab.requests if not request.url.startswith(site)] == []
        assert tab.complaints == []


@ON_WORKERS_LOOP
async def test_the_page_is_light_and_its_main_content_there_soon(site: str, open_page: Open) -> None:
    async with open_page(f"{site}{path()}") as tab:
        assert 5_000 < await tab.bytes_transferred() <= 60_000


@ON_WORKERS_LOOP
async def test_the_page_is_whole_without_javascript(site: str, open_page: Open) -> None:
    async with open_page(f"{site}{path()}", java_script_enabled=False) as tab:
        text = await tab.page.inner_text("main")
        for words in ("3STEST1234567890", "Follow it at PostNL", "Still to be shipped", "Made on"):
            assert words in text
        assert not await tab.page.get_by_role("button").count()


@ON_WORKERS_LOOP
async def test_the_page_is_walked_by_keyboard(site: str, open_page: Open) -> None:
    async with open_page(f"{site}{path()}", permissions=["clipboard-read", "clipboard-write"]) as tab:
        await tab.page.locator("[data-copy]").first.wait_for(state="visible")
        met = []
        for _ in range(9):
            await tab.page.keyboard.press("Tab")
            met.append(await tab.page.evaluate("document.activeElement.textContent.trim()"))
        assert met[0] == "Skip to the content"
        assert "Follow it at PostNL" in met
        assert {"Nederlands", "Deutsch", "العربية"} <= set(met)
        await tab.page.locator("[data-copy]").first.focus()
        await tab.page.keyboard.press("Enter")
        await tab.page.get_by_role("status").get_by_text("Copied").wait_for()
        assert await tab.page.evaluate("navigator.clipboard.readText()") == "3STEST1234567890"


@ON_WORKERS_LOOP
async def test_news_is_there_without_a_reload_and_said_politely(demo_copy_dsn: str, open_page: Open) -> None:
    connection = await asyncpg.connect(demo_copy_dsn)
    async with site_of(settings_for(demo_copy_dsn)) as site, open_page(f"{site}{path()}") as tab:
        await tab.page.evaluate("window.stays = true")
        await tab.page.locator("#parcel-1 h2").get_by_text("Being prepared").wait_for()
        await until(lambda: any(response.url.endswith("/events") for response in tab.responses))
        await tell(connection, "OUT_FOR_DELIVERY", location="Depot Amsterdam")
        await tab.page.locator("#parcel-1 h2").get_by_text("Out for delivery").wait_for()
        await tab.page.get_by_role("status").get_by_text("brought up to date").wait_for()
        assert await tab.page.get_by_role("status").get_attribute("aria-live") == "polite"
        # What somebody has closed stays so.
        await tab.page.locator("#parcel-1-events summary").click()
        await tell(connection, "DELIVERED")
        await tab.page.locator("#parcel-1 h2").get_by_text("Delivered").wait_for()
        assert not await tab.page.locator("#parcel-1-events").get_attribute("open")
        assert await tab.page.evaluate("window.stays")
        await connection.execute("INSERT INTO order_links VALUES (2075, 1, 2)")
        await tell(connection, "DELIVERED")
        await tab.page.get_by_role("heading", name="There is nothing here").wait_for()
    await connection.close()


async def test_news_goes_on_behind_what_was_told_last(copy: Starlette, copy_connection: asyncpg.Connection) -> None:
    async with at_a_port(copy) as site, connecting() as client:
        async with client.stream("GET", f"{site}{path()}/events") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            first = await Events(response).next()
            assert json.loads(first["data"])["data"]["trackedOrderChanges"]["action"] == "UP_TO_DATE"
        await tell(copy_connection, "IN_TRANSIT")
        async with client.stream("GET", f"{site}{path()}/events", headers={"Last-Event-ID": first["id"]}) as response:
            told = json.loads((await Events(response).next())["data"])["data"]["trackedOrderChanges"]
            assert told["action"] in ("CREATED", "UPDATED")
        for other in (path(LinkedOrder(1, 2075, 2)), path(LinkedOrder(2, 2075, 1))):
            async with client.stream("GET", f"{site}{other}/events") as response:
                assert "errors" in json.loads((await Events(response).next())["data"])
