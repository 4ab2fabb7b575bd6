"""What a column may hold: what the rules say of a text, the database says too (decision 29)."""

import unicodedata
from datetime import date, datetime

import asyncpg
import pytest

from app.resolvers.tracking import template_fault
from app.rules import (
    code_fault,
    key_fault,
    line_fault,
    normalized_code,
    promise_fault,
    server_urls,
    slug,
    url_fault,
    year_fault,
)
from tests.conftest import ConnectionTo

LINES = ["A-1", " a ", "é", "日本", "Big anvil", "a\u00a0b", "👩\u200d🚒"]
FAULTY_LINES = [
    "",
    "  ",
    "\u00a0",
    "\u200b\ufeff",
    "\u3000",
    "\t",
    "a\tb",
    "a\nb",
    "a\x07",
    "a\x7f",
    "a\x85",
    "a\u2028b",
]
# What says something else than it seems to.
TURNED = ["a\u202eb", "\u202aa\u202c", "\u202d", "a\u2066b\u2069", "\u2067a"]
LINES += ["\u200f\u05d0", "a\u200eb"]

TEMPLATES = [
    "https://swift.example/{code}",
    "https://swift.example:65535/{code}",
    "https://swift.example:8443/t?c={code}&p={postalCode}&d={country}-{language}",
    "https://swift.example/?order={orderNumber}",
    "https://swift.example?c={code}",
    "https://swift.example/#{code}",
    "https://swift.example/@shop/{code}",
    "https://swift.example/%C3%A9/{code}?f[a]=1",
    "https://swift.example/%DA%d0/a:b/$1/{code}?p=a:b",
]
FAULTY_TEMPLATES = [
    "",
    "swift",
    "http://swift.example/{code}",
    "https://{code}.example/",
    "https://postnl.nl@swift.example/{code}",
    "https://swift.example\\@evil.example/{code}",
    "https:///{code}",
    "https://[swift/{code}",
    "HTTPS://swift.example/{code}",
    "https://swift.example:/{code}",
    "https://swift.example:0/{code}",
    "https://swift.example:65536/{code}",
    "https://swift.example:99999/{code}",
    "https://swift.example:80:80/{code}",
    "https://swift.example:http/{code}",
    "https://swift.example/a b/{code}",
    "https://swift.example/{code}\n",
    "https://swift.example/",
    "https://swift.example/{code}/{1}",
    "https://swift.example/{code}}",
    "https://swift.example/{{code}}",
    "https://swift.example/?c={code}&p=%2$s",
    "https://swift.example/?c=%s",
    "https://swift.example/?c=@",
    "https://swift.example/?c=${code}",
    "https://swift.example/{code}?p=:zip",
    "https://swift.example/{code}/$zip",
    "https://swift.example/?c={code}&p=[zip]",
    "https://swift.example/?c={code}&p=%zip%",
    "https://swift.example/?c={code}&p=__zip__",
    "https://swift.example/?c={code}&p=##zip##",
    "https://swift.example/?c={code}&p=%d",
    "https://swift.example/{code}/%barcode%",
    "https://swift.example/?c=%{code}",
    "https://swift.example/{code}%",
    "https://swift.example/%zz/{code}",
    'https://swift.example/{code}"onclick=',
    "https://swift.example/{code}|x",
]


@pytest.fixture
async def store(fresh_dsn: str, connection_to: ConnectionTo) -> asyncpg.Connection:
    return await connection_to(fresh_dsn)


async def test_a_line_says_something_on_one_line(store: asyncpg.Connection) -> None:
    for texts, is_sound in ((LINES, True), (FAULTY_LINES, False)):
        for text in texts:
            assert (text, line_fault(text) is None) == (text, is_sound)
            assert (text, await store.fetchval("SELECT is_line($1)", text)) == (text, is_sound)


async def test_a_template_is_an_https_url_with_our_placeholders(store: asyncpg.Connection) -> None:
    for templates, is_sound in ((TEMPLATES, True), (FAULTY_TEMPLATES, False)):
        for template in templates:
            assert (template, template_fault(template) is None) == (template, is_sound)
            said = await store.fetchval("SELECT is_tracking_template($1)", template)
            assert (template, said) == (template, is_sound)


CODES = {
    "3STEST1234567890": "3STEST1234567890",
    "1z 999-aa1 01.2345_6784": "1Z999AA10123456784",
    "(00) 3 4012345 123456789 5": "00340123451234567895",
    "JJD\u00a000\u200b01/02": "JJD000102",
    "\uff11\uff3a\uff0d\uff41": "1ZA",  # full width
    "LX\u2010012\u2014345\u30fc6": "LX0123456",
    "*3SABCD*": "3SABCD",
    "\ufb01\u00b2": "FI2",
    "\u00e9": "\u00e9",
    "e\u0301": "\u00e9",
    "--": "--",
    "a" * 255: "A" * 255,
    "\ufdfa" * 255: "\u0635\u0644\u0649\u0627\u0644\u0644\u0647\u0639\u0644\u064a\u0647\u0648\u0633\u0644\u0645" * 17,
    "\u0130\u0131i": "\u0130\u0131I",
}


async def test_text_that_turns_is_no_line_for_the_store_and_us(store: asyncpg.Connection) -> None:
    for texts, is_sound in ((LINES, True), (FAULTY_LINES, False), (TURNED, False)):
        for text in texts:
            assert (text, line_fault(text) is None) == (text, is_sound)
            assert (text, await store.fetchval("SELECT is_plain_line($1)", text)) == (text, is_sound)
    assert "turn the direction" in (line_fault("a\u202eb") or "")


async def test_code_holds_a_letter_or_a_digit(store: asyncpg.Connection) -> None:
    for code in ("---", "...", "#", "*/\\|", "\u2014", "\uff0d", "\u30fc \u00b7", "`~", "a\u202eb"):
        assert code_fault(code)
        assert (code, await store.fetchval("SELECT is_code($1)", code)) == (code, False)
    for code in ("a", "-1-", "\u00e9", "\u65e5", "\u0660", "\uff11", "https://swift.example/1"):
        assert code_fault(code) is None
        assert (code, await store.fetchval("SELECT is_code($1)", code)) == (code, True)


async def test_every_character_is_in_a_code_for_the_store_and_us_alike(store: asyncpg.Connection) -> None:
    texts = [chr(point) for point in range(1, 0x3100) if unicodedata.category(chr(point)) != "Cn"]
    said = await store.fetchval(
        "SELECT array_agg(is_code(t) ORDER BY n) FROM unnest($1::text[]) WITH ORDINALITY AS w (t, n)", texts
    )
    assert [text for text, is_code in zip(texts, said, strict=True) if is_code != (code_fault(text) is None)] == []


async def test_codes_are_compared_without_blanks_separators_and_case(store: asyncpg.Connection) -> None:
    for code, normalized in CODES.items():
        assert (code, normalized_code(code)) == (code, normalized)
        assert (code, await store.fetchval("SELECT normalized_code($1)", code)) == (code, normalized)


async def test_every_character_of_a_code_is_the_same_to_the_store_and_to_us(store: asyncpg.Connection) -> None:
    texts = [f"a{chr(point)}b" for point in range(1, 0x3100) if unicodedata.category(chr(point)) != "Cn"]
    said = await store.fetchval(
        "SELECT array_agg(normalized_code(t) ORDER BY n) FROM unnest($1::text[]) WITH ORDINALITY AS w (t, n)", texts
    )
    assert said == [normalized_code(text) for text in texts]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://", "https://a b.example", "https://a.example/\x01", ""]
)
def test_a_url_has_a_scheme_and_a_host_and_no_blanks(url: str) -> None:
    assert url_fault(url)
    assert url_fault("http://cdn.example/logo.svg") is None


@pytest.mark.parametrize(
    ("expected", "created", "is_before"),
    [
        ("2024-03-02T10:00:00+00:00", "2024-03-02T09:00:00+00:00", False),
        ("2024-03-02T09:00:00+00:00", "2024-03-02T10:00:00+00:00", True),
        ("2024-03-02T00:00:00+00:00", "2024-03-02T10:00:00+00:00", False),
        ("2024-03-02T00:00:00+13:00", "2024-03-02T23:00:00+13:00", False),
        ("2024-03-02T00:00:00+13:00", "2024-03-01T10:00:00+00:00", False),
        ("2024-03-01T00:00:00+00:00", "2024-03-02T10:00:00+00:00", False),  # where clocks are twelve hours behind
        ("2024-03-01T00:00:00+00:00", "2024-03-02T12:00:00+00:00", True),
    ],
)
def test_a_promise_of_midnight_is_one_of_the_day(expected: str, created: str, is_before: bool) -> None:
    fault = promise_fault(datetime.fromisoformat(expected), datetime.fromisoformat(created))
    assert (fault is not None) == is_before


def test_a_promised_day_is_compared_with_that_of_the_creation_where_somebody_told_it() -> None:
    promise, created = (datetime.fromisoformat(text) for text in ("2024-03-01T00:00Z", "2024-03-02T03:00Z"))
    assert promise_fault(promise, created, created_on=date(2024, 3, 1)) is None
    assert promise_fault(promise, created, created_on=date(2024, 3, 2))


@pytest.mark.parametrize(
    ("moment", "is_right"),
    [("1899-12-31T23:59:59Z", False), ("1900-01-01", True), ("9998-12-31T23:59:59-12:00", True), ("9999-01-01", False)],
)
def test_years_are_those_that_any_zone_can_tell(moment: str, is_right: bool) -> None:
    assert (year_fault(datetime.fromisoformat(moment)) is None) == is_right


def test_a_day_that_the_order_asked_for_may_have_passed() -> None:
    asked, created = (datetime.fromisoformat(f"2024-03-0{day}T09:00:00+00:00") for day in (1, 5))
    assert promise_fault(asked, created)
    assert promise_fault(asked, created, asked) is None


ORDER = """
INSERT INTO channels (id, code, name, currency) VALUES (1, 'one', 'One', 'EUR');
INSERT INTO orders (id, channel_id, status, email, currency, total_gross, total_net, total_tax, sub_total)
VALUES (1, 1, 'NEW', '', 'EUR', 0, 0, 0, 0);
INSERT INTO order_items (
  id, order_id, channel_id, sku, name, quantity, price, price_net, price_total, price_total_net, tax)
VALUES (1, 1, 1, 'a', 'A', 2, 0, 0, 0, 0, 0);
INSERT INTO shipments (order_id, channel_id) VALUES (1, 1);
INSERT INTO track_and_traces (shipment_id, order_id, channel_id, code) SELECT id, 1, 1, 'T-1' FROM shipments;
INSERT INTO carriers (id, name, track_and_trace_url) VALUES (99, 'Swift', 'https://swift.example/{code}');
"""


async def test_sql_lets_a_shipment_be_late_from_the_start(store: asyncpg.Connection) -> None:
    await store.execute(ORDER)
    await store.execute("UPDATE orders SET postage_request_date = '2024-03-01'")
    await store.execute("UPDATE shipments SET expected_delivery_at = '2024-03-01'")


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("INSERT INTO carriers (name) VALUES ('  ')", "carriers_name_new"),
        ("UPDATE carriers SET name = E'a\\tb'", "carriers_name_other"),
        ("INSERT INTO carriers (name, track_and_trace_url) VALUES ('a', 'https://a.example/%s')", "carriers_url_new"),
        ("UPDATE carriers SET track_and_trace_url = 'https://a.example/'", "carriers_url_other"),
        (
            "INSERT INTO channels (code, name, currency, time_zone) VALUES ('a', 'A', 'EUR', 'x')",
            "channels_time_zone_new",
        ),
        ("UPDATE channels SET time_zone = 'Europe/Atlantis'", "channels_time_zone_other"),
        ("UPDATE track_and_traces SET code = ' '", "track_and_traces_code_other"),
        (
            "INSERT INTO track_and_traces (shipment_id, order_id, channel_id, code) SELECT id, 1, 1, '' FROM shipments",
            "track_and_traces_code_new",
        ),
        ("UPDATE track_and_traces SET code = '---'", "track_and_traces_code_other"),
        ("UPDATE carriers SET name = U&'a\\202Eb'", "carriers_name_other"),
        ("UPDATE order_items SET name = U&'a\\2066b'", "order_items_name_other"),
        ("INSERT INTO companies (name, external_id) VALUES (U&'a\\202Eb', 'x')", "companies_name_new"),
        (
            "INSERT INTO customers (channel_id, email, first_name, last_name) VALUES (1, 'a@b.example', E'A\\nB', '')",
            "customers_first_name_new",
        ),
        (
            "INSERT INTO order_addresses (order_id, channel_id, type, street, postal_code, city, country)"
            " VALUES (1, 1, 'delivery', E'Main St\\n1', '1', 'Town', 'NL')",
            "order_addresses_street_new",
        ),
        ("UPDATE order_items SET sku = ' '", "order_items_sku_other"),
        ("UPDATE order_items SET name = E'\\n'", "order_items_name_other"),
        ("UPDATE shipments SET expected_delivery_at = now() - interval '2 days'", "shipments_promise_other"),
        (
            "INSERT INTO shipments (order_id, channel_id, expected_delivery_at) VALUES (1, 1, '2020-01-01')",
            "shipments_promise_new",
        ),
    ],
)
async def test_sql_is_refused_what_everybody_is(store: asyncpg.Connection, statement: str, constraint: str) -> None:
    await store.execute(ORDER)
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await store.execute(statement)
    assert refused.value.constraint_name == constraint


async def test_rows_that_broke_a_rule_before_stay_and_can_be_written_otherwise(store: asyncpg.Connection) -> None:
    await store.execute("ALTER TABLE carriers DISABLE TRIGGER USER")
    await store.execute(
        "INSERT INTO carriers (id, key, name, track_and_trace_url) VALUES (1, 'a', ' ', 'https://a.example/%s')"
    )
    await store.execute("ALTER TABLE carriers ENABLE TRIGGER USER")
    await store.execute("UPDATE carriers SET type = 'PICKUP', name = name, track_and_trace_url = track_and_trace_url")
    assert await store.fetchval("SELECT type FROM carriers") == "PICKUP"


SLUGS = {
    "PostNL": "postnl",
    " DHL  Express (NL) ": "dhl-express-nl",
    "Łódź Straße Ørsted": "lodz-strasse-orsted",
    "\u00c9clair e\u0301": "eclair-e",
    "日本": "",
    "--": "",
    "a" * 63 + " b": "a" * 63,
    "Æon œuvre Þór": "aeon-oeuvre-thor",
}


async def test_keys_are_made_of_names_by_the_store_and_by_us_alike(store: asyncpg.Connection) -> None:
    for name, key in SLUGS.items():
        assert (name, slug(name)) == (name, key)
        assert (name, await store.fetchval("SELECT slug($1)", name)) == (name, key)


async def test_sql_gives_carriers_keys_and_holds_them_to_the_rules(store: asyncpg.Connection) -> None:
    add = "INSERT INTO carriers (name, key, channel_id) VALUES ($1, $2, $3) RETURNING key"
    await store.execute(ORDER)
    assert await store.fetchval(add, "SWIFT", None, None) == "swift-2"
    assert await store.fetchval(add, "SWIFT", None, 1) == "swift"
    assert await store.fetchval(add, "Other", "A-B", None) == "a-b"
    assert await store.fetchval("UPDATE carriers SET name = 'New', key = NULL WHERE key = 'a-b' RETURNING key") == "new"
    for key in ("", "a b", "-a", "a--b", "x" * 65):
        assert key_fault(key)
        with pytest.raises(asyncpg.CheckViolationError, match="carriers_key_slug"):
            await store.fetchval(add, "More", key, None)
    with pytest.raises(asyncpg.UniqueViolationError, match="carriers_key_unique"):
        await store.fetchval(add, "More", "SWIFT", None)


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("postgresql://r:p@one/db", ["postgresql://r:p@one/db"]),
        ("postgres://one:5433,two/db?a=b", ["postgres://one:5433/db?a=b", "postgres://two/db?a=b"]),
        (
            "postgresql://r:p@[::1]:5432,two/db,postgresql://q@three/other",
            ["postgresql://r:p@[::1]:5432/db", "postgresql://r:p@two/db", "postgresql://q@three/other"],
        ),
    ],
)
def test_servers_are_named_by_urls_of_one_or_of_several(text: str, urls: list[str]) -> None:
    assert server_urls(text) == tuple(urls)


@pytest.mark.parametrize(
    "text", ["", "one,two", "postgresql:///db?host=one", "postgresql://r@one,/db", "mysql://one/db"]
)
def test_what_names_no_servers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must "):
        server_urls(text)
