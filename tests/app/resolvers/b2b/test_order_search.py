"""What orders are found by: words and numbers (decision 28), how far they are fulfilled, whether they are overdue."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.app.resolvers.b2b.conftest import posting
from tests.conftest import ConnectionTo, GraphQL, running, settings_for
from tests.server import Databases, administer

ORDERS = "query ($input: OrderSearchArguments!) { orders(input: $input) { itemsFound items { id } } }"

FILL = """
UPDATE channels SET time_zone = 'Europe/Amsterdam';
UPDATE orders SET reference = 'PO-77/2031', remarks = 'Bitte an der Straße läuten', external_id = 'SHOP-000991',
  postage_request_date = '2025-01-01' WHERE id = 2075;
UPDATE order_addresses SET last_name = E'Stro\u0308hm', city = 'Łódź',
  postal_code = '1011 AB', phone = '+31 (0)20 123-4567'
  WHERE order_id = 2075 AND type = 'delivery';
"""


@pytest.fixture(scope="session")
def demo_template(databases: Databases, demo_template: str) -> str:
    """The demo with what is looked for."""

    async def fill(dsn: str) -> None:
        await administer(dsn, FILL)

    return databases.shared("searched", demo_template, fill)


@pytest.fixture(scope="session")
def searched_dsn(databases: Databases, demo_template: str) -> str:
    """A copy that the tests of a worker share: for reading only."""
    return databases.create(demo_template)


@pytest.fixture
async def read(searched_dsn: str) -> AsyncIterator[GraphQL]:
    """Posts a document that reads."""
    async with running(settings_for(searched_dsn)) as app, posting(app, searched_dsn) as post:
        yield post


@pytest.fixture
def store(copy_connection: asyncpg.Connection) -> asyncpg.Connection:
    return copy_connection


async def found(post: GraphQL, viewer: str = "staff", **input: Any) -> list[int]:
    answer = await post(ORDERS, {"input": {"offset": 100, **input}}, viewer=viewer)
    assert "errors" not in answer, answer["errors"]
    page = answer["data"]["orders"]
    ids = [order["id"] for order in page["items"]]
    assert page["itemsFound"] == len(ids) or len(ids) == 100
    return ids


@pytest.mark.parametrize(
    "term",
    [
        *("2075", "PO-77/2031", "po 77 2031", "po772031", "PO77", "SHOP-000991", "shop000991", "3STEST1234567890"),
        *(
            "3stest-123 4567 890",
            "3STEST",
            "ströhm",
            "STROHM",
            "Stro\u0308hm",
            "Str\u00f6hm",
            "Strasse",
            "STRAẞE",
            "straße",
        ),
        *("lodz", "ŁÓDŹ", "bitte läuten", "läuten  bitte", "1011AB", "1011 ab", "+31 20 123 4567", "31201234567"),
        *("020-1234567", "0201234567", "1234567", "ｓｔｒｏｈｍ", "!ströhm:*", " ströhm\t1011 "),
    ],
)
async def test_order_is_found_by_words_and_numbers(read: GraphQL, term: str) -> None:
    assert 2075 in await found(read, term=term)


@pytest.mark.parametrize(
    "term",
    ["ströhm nobody", "ohm", "??", "2031 78", "%", "_", "'", "':*", "ströhm | x", "\\", "1' & '2"],
)
async def test_order_without_one_of_the_words_is_not_found(read: GraphQL, term: str) -> None:
    assert 2075 not in await found(read, term=term)


async def test_search_for_blanks_is_none(read: GraphQL) -> None:
    assert await found(read, term=" \t", termFields=["ID"]) == await found(read)


async def test_search_is_within_the_fields_that_are_named(read: GraphQL) -> None:
    assert await found(read, term="ströhm 1011") == [2075]
    assert await found(read, term="ströhm", termFields=["RECIPIENT_LAST_NAME"]) == [2075]
    assert await found(read, term="ströhm", termFields=["REFERENCE", "CITY"]) == []
    assert await found(read, term="1011 lodz", termFields=["POSTAL_CODE", "CITY"]) == [2075]
    assert await found(read, term="3STEST1234567890", termFields=["CODE"]) == [2075]
    assert await found(read, term="0201234567", termFields=["PHONE"]) == [2075]


async def test_search_has_a_bound_for_words(read: GraphQL) -> None:
    answer = await read(ORDERS, {"input": {"term": "a-" * 17}}, viewer="staff")
    assert answer["errors"][0]["extensions"]["path"] == "input.term"
    assert await found(read, term=" ".join("abcdefghijklmnop")) == []


@pytest.mark.parametrize(
    ("input", "is_found"),
    [
        ({"phones": ["020 1234567"]}, True),
        ({"phones": ["0031201234567", "1"]}, True),
        ({"phones": ["1234567"]}, True),
        ({"phones": ["PO-77/2031", ""]}, False),
        ({"phones": []}, False),
        ({"postalCodes": ["1011ab"]}, True),
        ({"postalCodes": ["1011"]}, False),
        ({"codes": ["3stest 1234567890"]}, True),
        ({"codes": ["3STEST123"]}, False),
        ({"customerEmails": ["nobody@nowhere.example"]}, False),
    ],
    ids=str,
)
async def test_order_is_found_by_what_its_customer_has(read: GraphQL, input: dict[str, Any], is_found: bool) -> None:
    assert (2075 in await found(read, **input)) == is_found


async def test_order_is_found_by_the_email_of_its_customer(write: GraphQL, store: asyncpg.Connection) -> None:
    emails = await store.fetch("SELECT DISTINCT email FROM orders WHERE email <> '' LIMIT 5")
    for [email] in emails:
        expected = await store.fetch(
            """
            SELECT o.id FROM orders o LEFT JOIN customers c ON c.id = o.customer_id
            WHERE lower(o.email) = lower($1) OR lower(c.email) = lower($1) OR EXISTS (
              SELECT FROM order_addresses a WHERE a.order_id = o.id AND lower(a.email) = lower($1))
            ORDER BY o.created_at DESC, o.id LIMIT 100
            """,
            email,
        )
        assert await found(write, customerEmails=[email.upper()]) == [row["id"] for row in expected]
    [customer, orders] = await store.fetchrow(
        "SELECT customer_id, count(*) FROM orders WHERE customer_id IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
    )
    await store.execute(
        "UPDATE customers SET email = 'new.one@shop.example', phone = '0611223344' WHERE id = $1", customer
    )
    assert len(await found(write, customerEmails=["New.One@shop.example"])) == orders
    assert len(await found(write, term="+31 6 11223344")) == orders
    assert len(await found(write, phones=["+31 6 11223344"])) == orders


async def test_words_follow_what_is_written(write: GraphQL, store: asyncpg.Connection) -> None:
    await store.execute("UPDATE track_and_traces SET code = 'ZZ-9 9' WHERE order_id = 2075")
    assert await found(write, codes=["zz99"]) == [2075]
    assert 2075 not in await found(write, term="3STEST1234567890")
    async with store.transaction():
        await store.execute("UPDATE order_items SET name = 'Quokka' WHERE order_id = 2075")
        await store.execute("UPDATE orders SET reference = 'QX-1' WHERE id = 2075")
    assert await found(write, term="quokka qx1") == [2075]
    await store.execute("DELETE FROM shipments WHERE order_id = 2075")
    assert await found(write, codes=["zz99"]) == []
    assert await store.fetchval("SELECT count(*) FROM orders_due") == 0


@pytest.mark.parametrize("name", ["O'Brien", "O\u2019Brien", "O\u02bcBrien", "OBrien", "o`brien"])
async def test_name_is_found_with_and_without_its_apostrophe(
    write: GraphQL, store: asyncpg.Connection, name: str
) -> None:
    await store.execute("UPDATE orders SET last_name = $1 WHERE id = 2075", f"{name} d'Arcy")
    terms = ["obrien", "OBRI", "o'brien", "O\u2019Brien", "o\u00b4brien darcy", "obrien d'arcy", "d'arcy o'brien"]
    for term in terms if name != "OBrien" else terms[:4]:
        assert (term, await found(write, term=term)) == (term, [2075])
        assert await found(write, term=term, termFields=["CUSTOMER_NAME"]) == [2075]
        assert await found(write, term=term, termFields=["CITY"]) == []
    if name not in ("OBrien", "O\u02bcBrien"):
        assert await found(write, term="brien") == [2075]


async def test_words_are_of_their_fields(write: GraphQL, store: asyncpg.Connection) -> None:
    await store.execute("UPDATE orders SET reference = 'Quagga 77', extra3 = 'Okapi' WHERE id = 2075")
    for fields in (None, ["REFERENCE", "EXTRA3"]):
        assert await found(write, term="quag okapi", termFields=fields) == [2075]
    assert await found(write, term="quagga77", termFields=["REFERENCE"]) == [2075]
    for fields in (["REFERENCE"], ["EXTRA3"], ["REMARKS"], []):
        assert await found(write, term="quag okapi", termFields=fields) == []
    assert await found(write, term="customer") == await found(write, term=":customer:")


async def test_order_is_found_by_who_has_it_now(write: GraphQL, store: asyncpg.Connection) -> None:
    channel_id, owner = await store.fetchrow("SELECT channel_id, company_id FROM orders WHERE id = 2075") or (0, None)
    insert = "INSERT INTO companies (channel_id, name) VALUES ($1, 'Other') RETURNING id"
    other = await store.fetchval(insert, channel_id)
    await store.execute("UPDATE orders SET company_id = $1 WHERE id = 2075", other)
    words = "SELECT words @@ owned_by('company', ARRAY[$1::int]) FROM order_words WHERE order_id = 2075"
    assert await store.fetchval(words, other)
    assert not await store.fetchval(words, owner)


async def test_words_of_an_order_that_is_gone_are_gone(store: asyncpg.Connection) -> None:
    async with store.transaction():
        await store.execute("DELETE FROM shipments WHERE order_id = 2075")
        await store.execute("DELETE FROM orders WHERE id = 2075")
    for table in ("order_words", "order_fulfillments"):
        assert await store.fetchval(f"SELECT count(*) FROM {table} WHERE order_id = 2075") == 0


async def test_write_that_is_taken_back_in_part_is_counted_as_it_stays(
    write: GraphQL, store: asyncpg.Connection
) -> None:
    async with store.transaction():
        try:
            async with store.transaction():
                await store.execute("UPDATE orders SET reference = 'LOST-1' WHERE id = 2075")
                raise ArithmeticError
        except ArithmeticError:
            pass
        await store.execute("UPDATE orders SET reference = 'KEPT-1' WHERE id = 2075")
    assert await found(write, term="kept-1") == [2075]
    assert await found(write, term="lost-1") == []


async def test_two_who_write_the_same_order_are_both_found(
    write: GraphQL, store: asyncpg.Connection, demo_copy_dsn: str, connection_to: ConnectionTo
) -> None:
    other = await connection_to(demo_copy_dsn)
    async with store.transaction():
        await store.execute("UPDATE order_items SET notes = 'first' WHERE order_id = 2075")
        await other.execute("UPDATE order_addresses SET company = 'second' WHERE order_id = 2075")
    assert await found(write, term="first second") == [2075]


async def test_search_shows_nothing_that_may_not_be_seen(read: GraphQL) -> None:
    for viewer in ("staff", "apikey", "northwind", "contact", "outsider", "john"):
        seen = await found(read, viewer)
        asked: list[dict[str, Any]] = [{"term": "strohm"}, {"codes": ["3STEST1234567890"]}, {"phones": ["0201234567"]}]
        for one in asked:
            assert set(await found(read, viewer, **one)) == {2075} & {*seen}, viewer


@pytest.mark.parametrize(
    "status", ["UNFULFILLED", "PARTIALLY_SHIPPED", "SHIPPED", "PARTIALLY_DELIVERED", "DELIVERED", "CANCELED"]
)
async def test_order_is_found_by_how_far_it_is_fulfilled(read: GraphQL, status: str) -> None:
    query = "query ($page: Int!) { orders(input: {page: $page, offset: 100}) { pages items { id fulfillmentStatus } } }"
    expected: list[int] = []
    page = pages = 1
    while page <= pages:
        orders = (await read(query, {"page": page}, viewer="staff"))["data"]["orders"]
        pages, page = orders["pages"], page + 1
        expected += [order["id"] for order in orders["items"] if order["fulfillmentStatus"] == status]
    assert await found(read, fulfillmentStatuses=[status]) == expected[:100]


async def test_fulfillment_follows_what_is_written(write: GraphQL, store: asyncpg.Connection) -> None:
    async def status() -> str:
        said: str = await store.fetchval("SELECT status FROM order_fulfillments WHERE order_id = 2075")
        query = "{ order(orderId: 2075) { fulfillmentStatus } }"
        assert (await write(query, viewer="staff"))["data"]["order"]["fulfillmentStatus"] == said
        return said

    await store.execute("DELETE FROM shipments WHERE order_id = 2075")
    assert await status() == "UNFULFILLED"
    await store.execute("""
        WITH made AS (INSERT INTO shipments (order_id, channel_id, status) SELECT id, channel_id, 'CREATED' FROM orders
          WHERE id = 2075 RETURNING *)
        INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, quantity)
        SELECT m.id, i.id, i.order_id, i.channel_id, i.quantity FROM made m JOIN order_items i USING (order_id)""")
    assert await status() == "SHIPPED"
    await store.execute("UPDATE shipments SET status = 'DELIVERED' WHERE order_id = 2075")
    assert await status() == "DELIVERED"
    await store.execute("UPDATE orders SET status = 'CANCELED' WHERE id = 2075")
    assert await status() == "CANCELED"


async def test_order_is_overdue_when_its_day_is_over_and_some_is_still_to_be_shipped(
    write: GraphQL, store: asyncpg.Connection
) -> None:
    query = "{ order(orderId: 2075) { overdue } }"

    async def overdue() -> bool:
        said: bool = (await write(query, viewer="staff"))["data"]["order"]["overdue"]
        assert (2075 in await found(write, overdue=True)) == said
        assert (2075 in await found(write, overdue=False)) != said
        return said

    await store.execute("DELETE FROM shipments WHERE order_id = 2075")
    assert await overdue()
    for day, is_over in (("now() - interval '2 days'", True), ("now() + interval '1 day'", False), ("NULL", False)):
        await store.execute(f"UPDATE orders SET postage_request_date = date_trunc('day', {day}, 'UTC') WHERE id = 2075")
        assert await overdue() == is_over
    await store.execute("UPDATE orders SET postage_request_date = '2025-01-01', status = 'CANCELED' WHERE id = 2075")
    assert not await overdue()
