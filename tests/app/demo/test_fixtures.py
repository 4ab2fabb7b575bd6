"""The fixtures against the contract's table of rows, value by value."""

import hashlib
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.demo import fixtures
from app.demo.catalogue import CARRIERS
from tests import consistency
from tests.conftest import NORTHWIND_STOREFRONT_KEY, OTHER_CUSTOMER_EMAIL, PARTNER_READ_KEY, SUSPENDED_EMAIL

EXAMPLES = Path(__file__).parents[2] / "contract" / "examples"


@pytest.fixture
async def database(fresh_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    assert await fixtures.load(fresh_dsn)
    connection = await asyncpg.connect(fresh_dsn)
    yield connection
    await connection.close()


async def rows(database: asyncpg.Connection, query: str, *arguments: object) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in await database.fetch(query, *arguments)]


async def test_load_twice_changes_nothing(fresh_dsn: str) -> None:
    assert await fixtures.load(fresh_dsn) is True
    assert await fixtures.load(fresh_dsn) is False


async def test_load_adds_nothing_where_others_hold_an_id(fresh_dsn: str) -> None:
    connection = await asyncpg.connect(fresh_dsn)
    try:
        await connection.execute("INSERT INTO carriers (name) VALUES ('Somebody')")
        with pytest.raises(asyncpg.UniqueViolationError):
            await fixtures.load(fresh_dsn)
        assert await connection.fetchval("SELECT count(*) FROM channels") == 0
    finally:
        await connection.close()


async def test_orders_belong_as_the_table_says(database: asyncpg.Connection) -> None:
    assert await rows(
        database,
        """
        SELECT o.id, o.status, s.customer_status, coalesce(c.email, k.email)
        FROM orders o
        JOIN order_statuses s ON s.code = o.status
        LEFT JOIN customers c ON c.id = o.customer_id
        LEFT JOIN contacts k ON k.id = o.contact_id
        WHERE o.id IN (1, 3, 5, 999, 2075) ORDER BY o.id
        """,
    ) == [
        (1, "NEW", "pending", fixtures.CUSTOMER_EMAIL),
        (3, "CONFIRMED", "processing", fixtures.CUSTOMER_EMAIL),
        (5, "NEW", "pending", OTHER_CUSTOMER_EMAIL),
        (2075, "CONFIRMED", "processing", "contact@example.com"),
    ]


async def test_order_2075_has_its_five_lines(database: asyncpg.Connection) -> None:
    lines = await rows(
        database,
        """
        SELECT id, name, sku, quantity, price, price_net, product_id FROM order_items WHERE order_id = 2075 ORDER BY id
        """,
    )
    larch, filters = "2,1X19,5X300cm Douglas / Lariks fijn bezaagd ZWART (Op=Op)", "1x ePM10 (M5), 1x Coarse (G4)"
    assert lines[:2] == [
        (20151, larch, "157957", 4, Decimal("23.31"), Decimal("28.21"), 1187),
        (20152, f"Ventilatie Filterset Fresh Air: {filters}", "VFS-200", 2, Decimal("21.80"), Decimal("26.38"), 1139),
    ]
    assert [line[:4] for line in lines[2:]] == [
        (20153, "Power cord 2x1.50 4.0mtr", "695123-3", 3),
        (20154, "Printerstandaard voor ergonomische plaatsing", "STD-01", 3),
        (20155, "Accu Cirkelzaag 18V Compact", "ACZ-18V", 4),
    ]


async def test_shipment_of_order_2075(database: asyncpg.Connection) -> None:
    created = "2025-11-03 14:34:48.828+00"
    assert await rows(
        database,
        """
        SELECT id::text, status, expected_delivery_at = '2025-12-05T10:00:00Z', created_at = $1::text::timestamptz,
               last_modified_at = created_at, number <> 1
        FROM shipments WHERE order_id = 2075
        """,
        created,
    ) == [("65ad4404-88a6-4f97-9325-34a3a35f1dfc", "CREATED", True, True, True, True)]
    assert await rows(
        database,
        """
        SELECT id::text, order_item_id, name, sku, quantity FROM shipment_items
        WHERE order_id = 2075 AND number <> 1 ORDER BY order_item_id
        """,
    ) == [
        ("bda8e812-4238-49b4-aafc-6a153e265d59", 20151, "Douglas Lariks fijn bezaagd ZWART", "157957", 4),
        ("781dd85a-6ba4-4bd0-9399-6d3bb1632b1a", 20152, "Ventilatie Filterset Fresh Air", "VFS-200", 2),
    ]
    assert await rows(
        database,
        """
        SELECT t.id::text, t.code, t.carrier_id, t.created_at = $1::text::timestamptz
        FROM track_and_traces t WHERE t.order_id = 2075
        """,
        created,
    ) == [
        ("2d1860e6-e58c-41b8-b9d7-689b355b0c52", "3STEST1234567890", 1, True),
    ]
    assert await rows(database, "SELECT name, type, track_and_trace_url, logo FROM carriers WHERE id = 1") == [
        ("PostNL", "DELIVERY", "https://postnl.nl/tracktrace/?B={code}", None)
    ]


async def test_order_1_of_john_doe(database: asyncpg.Connection) -> None:
    order = await database.fetchrow(
        """
        SELECT o.*, c.name AS channel_name, c.currency AS channel_currency FROM orders o
        JOIN channels c ON c.id = o.channel_id WHERE o.id = 1
        """
    )
    assert order is not None
    expected: dict[str, object] = {
        "increment_id": "1",
        "first_name": "John",
        "last_name": "Doe",
        "channel_name": "Default",
        "channel_currency": "USD",
        "currency": "USD",
        "currency_ratio": 1,
        "shipping_method": "flatrate_flatrate",
        "shipping_title": "Flat Rate - Flat Rate",
        "coupon_code": None,
        "is_guest": False,
        "is_gift": False,
        "total_net": Decimal("150.00"),
        "invoiced_total": Decimal("150.00"),
        "refunded_total": Decimal("0.00"),
        "sub_total": Decimal("140.00"),
        "total_tax": Decimal("0.00"),
        "discount_amount": Decimal("0.00"),
        "postage_gross": Decimal("10.00"),
    }
    assert {name: order[name] for name in expected} == expected
    assert order["created_at"].isoformat() == order["last_modified_at"].isoformat() == "2025-01-15T10:30:00+00:00"
    assert await rows(database, "SELECT quantity, price_total FROM order_items WHERE order_id = 1") == [
        (2, Decimal("140.00"))
    ]


async def test_shipment_of_order_3(database: asyncpg.Connection) -> None:
    assert await rows(
        database,
        """
        SELECT s.number, s.status, s.shipping_number, s.created_at = '2025-01-20T14:30:00Z', t.code, c.name,
               i.number, i.name, i.sku, i.quantity
        FROM shipments s
        JOIN shipment_items i ON i.shipment_id = s.id
        JOIN track_and_traces t ON t.shipment_id = s.id
        JOIN carriers c ON c.id = t.carrier_id
        WHERE s.order_id = 3
        """,
    ) == [(1, "IN_TRANSIT", "SH-001", True, "794698949845", "FedEx", 1, "Sample Product", "PROD-001", 2)]


async def test_lines_with_additional_values(database: asyncpg.Connection) -> None:
    found = await rows(
        database,
        """
        SELECT i.additional
        FROM order_items i JOIN orders o ON o.id = i.order_id JOIN customers c ON c.id = o.customer_id
        WHERE c.email = $1 AND i.additional IS NOT NULL AND o.id NOT IN (1, 3) ORDER BY i.id
        """,
        fixtures.CUSTOMER_EMAIL,
    )
    values = json.loads((EXAMPLES / "013-order-item-additional.values.json").read_text("utf-8"))
    assert [json.loads(additional) for (additional,) in found] == list(values.values())


async def test_credentials_are_kept_as_hashes(database: asyncpg.Connection) -> None:
    shop = await rows(
        database,
        """
        SELECT c.code, c.name, c.currency, k.key_hash
        FROM storefront_keys k JOIN channels c ON c.id = k.channel_id ORDER BY k.id
        """,
    )
    assert shop == [
        ("default", "Default", "USD", sha256(fixtures.STOREFRONT_KEY)),
        ("northwind", "Northwind Traders", "USD", sha256(NORTHWIND_STOREFRONT_KEY)),
    ]
    partners = await rows(
        database,
        """
        SELECT k.key_hash, k.scopes, array_agg(c.code ORDER BY c.code) FROM api_keys k
        JOIN api_key_channels kc ON kc.api_key_id = k.id JOIN channels c ON c.id = kc.channel_id
        GROUP BY k.id ORDER BY k.id
        """,
    )
    reads, channels = ["orders:read", "shipments:read"], ["default", "northwind"]
    writes = ["orders:write", "shipments:write", "carriers:write", "webhooks:write"]
    assert partners == [
        (sha256(fixtures.PARTNER_KEY), reads + writes, channels),
        (sha256(PARTNER_READ_KEY), reads, channels),
    ]
    people = await rows(
        database, "SELECT email, is_suspended, password_hash LIKE '$argon2id$v=19$%' FROM customers ORDER BY id"
    )
    assert people == [
        (fixtures.CUSTOMER_EMAIL, False, True),
        (OTHER_CUSTOMER_EMAIL, False, True),
        (SUSPENDED_EMAIL, True, True),
    ]


async def test_the_contacts_company_has_a_daughter_and_a_sister_with_orders(database: asyncpg.Connection) -> None:
    assert await rows(
        database,
        """
        SELECT o.id, own.id = o.company_id, own.id = c.parent_id, own.parent_id = c.parent_id
        FROM contact_companies k JOIN contacts p ON p.id = k.contact_id AND p.email = $1
        JOIN companies own ON own.id = k.company_id, orders o JOIN companies c ON c.id = o.company_id ORDER BY o.id
        """,
        "contact@example.com",
    ) == [(2075, True, False, True), (2076, False, True, False), (2077, False, False, True)]


async def test_fixtures_break_no_rule(database: asyncpg.Connection, rules: dict[str, str]) -> None:
    for rule, breaches in rules.items():
        assert await rows(database, breaches) == [], rule


async def test_fixtures_keep_the_stores_own_rules(fresh_dsn: str) -> None:
    await fixtures.load(fresh_dsn)
    assert await consistency.breaches(fresh_dsn) == {}


async def test_carriers_agree_with_the_generators(database: asyncpg.Connection) -> None:
    stored = dict(await rows(database, "SELECT name, track_and_trace_url FROM carriers WHERE type = 'DELIVERY'"))
    assert stored == {carrier.name: carrier.url for carrier in CARRIERS}


async def test_new_rows_begin_past_the_fixtures(database: asyncpg.Connection) -> None:
    for table, column in await rows(
        database,
        """
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND is_identity = 'YES' AND table_name NOT LIKE 'order_status%'
        """,
    ):
        highest = await database.fetchval(f"SELECT coalesce(max({column}), 0) FROM {table}")
        assert await database.fetchval("SELECT nextval(pg_get_serial_sequence($1, $2))", table, column) > highest
    assert await database.fetchval("SELECT nextval('orders_id_seq')") > 999


def sha256(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
