"""Of who was erased nothing is left that tells who they were: not in an archive, not in the logs, not in a search."""

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.admin.command import Refused
from tests.app.admin.conftest import Operate, run
from tests.conftest import API_KEYS, KEY_HEADER, calling, connecting, fixtures, running, settings_for
from tests.consistency import breaches
from tests.service import serving

# In every word that a person left, whatever its case: where it is found afterwards, somebody can be found by it.
CANARY = "zq7canary"

COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = ANY ($1) AND data_type = 'text' AND generation_expression IS NULL
"""
# Columns that name nobody: words of a fixed set, words of a shop for what it sells and how, or keys by which other
# systems name what was sold, paid and sent. What people write by themselves is none of them.
KEPT = {
    "orders": {
        *("external_id", "increment_id", "cart_id", "source", "payment_accounting_id"),  # keys of the order
        *("status", "type", "language", "currency", "discount_type", "payment_status", "export_status"),  # fixed words
        *("source_status", "source_payment_status"),  # the same
        *("coupon_code", "shipping_method", "shipping_title", "postage_carrier", "payment_method"),  # words of the shop
    },
    "shipments": {"external_id", "shipping_number", "status", "sub_status", "source_status", "status_before_codes"},
    "shipment_items": {"external_id", "name", "sku"},
    "track_and_traces": {"external_id", "code", "status", "sub_status"},
    "order_addresses": {"type", "gender", "country"},
    "order_items": {
        *("class", "type", "sku", "name", "supplier", "supplier_code", "manufacturer", "manufacturer_code", "ean_code"),
        *("tax_code", "package", "package_unit", "package_unit_quantity", "line_id", "quantity_unit"),
    },
    "refunds": {"external_id"},
    "tracking_events": {"external_id", "status", "recorded_by", "sub_status"},
    "customers": {"gender", "password_hash"},
    "contacts": set(),
}
# The address of a contact is that of the company, and so is its number in the books.
OF_COMPANY = {
    "order_addresses": {
        *("code", "company", "street", "number", "number_extension", "postal_code", "city", "region", "vat_id")
    },
    "orders": {"debtor_id"},
}
FILTERS = {
    "orders": "id = $1",
    "shipments": "order_id = $1",
    "shipment_items": "order_id = $1",
    "track_and_traces": "order_id = $1",
    "order_addresses": "order_id = $1",
    "order_items": "order_id = $1",
    "refunds": "order_id = $1",
    "tracking_events": "track_and_trace_id IN (SELECT id FROM track_and_traces WHERE order_id = $1)",
    "customers": "id = $1",
    "contacts": "id = $1",
}
ORDER = 1
ACCOUNTS = {"customers": 1, "contacts": 4}


async def haunt(store: asyncpg.Connection, who: str) -> set[tuple[str, str]]:
    """Writes the canary into every text that a person may leave on an order and on their account, and into what else is
    kept of them; tells which columns these are.
    """
    account = {"--customer": "customers", "--contact": "contacts"}.get(who)
    await store.execute("UPDATE orders SET customer_id = NULL, contact_id = NULL WHERE id = $1", ORDER)
    if account:
        await store.execute(f"UPDATE orders SET {account[:-1]}_id = $1 WHERE id = $2", ACCOUNTS[account], ORDER)
    await store.execute("INSERT INTO refunds (order_id, channel_id, amount, reason) VALUES ($1, 1, 0.01, 'x')", ORDER)
    await store.execute(
        """
        INSERT INTO order_addresses (order_id, channel_id, type, street, postal_code, city, country)
        VALUES ($1, 1, 'home', 'x', 'x', 'x', 'NL')
        """,
        ORDER,
    )
    shipment = await store.fetchval("INSERT INTO shipments (order_id, channel_id) VALUES ($1, 1) RETURNING id", ORDER)
    code = await store.fetchval(
        "INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code)"
        " VALUES ($1, $2, 1, 1, '3SCODE') RETURNING id",
        shipment,
        ORDER,
    )
    await store.execute(
        "INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at)"
        " VALUES ($1, 1, 'IN_TRANSIT', now())",
        code,
    )
    tables = [table for table in FILTERS if table not in ACCOUNTS or table == account]
    filled = set()
    for row in await store.fetch(COLUMNS, tables):
        table, column = row["table_name"], row["column_name"]
        if column in KEPT[table] or (who == "--contact" and column in OF_COMPANY.get(table, ())):
            continue
        filled.add((table, column))
        text = f"{CANARY}@example.com" if column == "email" else f"{CANARY} {column}"
        key = ACCOUNTS.get(table, ORDER)
        await store.execute(f"UPDATE {table} SET {column} = $2 WHERE {FILTERS[table]}", key, text)
    engraving = f'{{"engraving": "{CANARY}"}}'
    await store.execute("UPDATE order_items SET additional = $2 WHERE order_id = $1", ORDER, engraving)
    await store.execute(
        "INSERT INTO waiting_reports (code, carrier_id, status, occurred_at, location, description)"
        " VALUES ('3s code', 2, 'IN_TRANSIT', now(), $1, $1)",
        CANARY,
    )
    await store.execute(
        "INSERT INTO idempotency_keys (actor, key, request_hash, response, order_ids, channel_ids)"
        " VALUES ('staff:1', 'k', sha256(''), convert_to($1, 'UTF8'), $2, '{1}')",
        f'{{"email": "{CANARY}@example.com"}}',
        [ORDER],
    )
    await store.execute(
        """
        WITH endpoint AS (
          INSERT INTO webhook_endpoints (owner, url, types, secret, position, number)
          VALUES ('staff:1', 'https://example.com', '{}', 'x', 0, 0) RETURNING id
        ), deliveries AS (
          INSERT INTO webhook_deliveries (id, endpoint_id, lane, type, event, order_id, state, next_attempt_at, body)
          SELECT gen_random_uuid(), endpoint.id, 'x', 'order.updated', '{"channel_id": 1}', $1, state, now(), $2
          FROM endpoint, unnest('{WAITING,DELIVERED,FAILED}'::text[]) AS state RETURNING id
        )
        INSERT INTO webhook_attempts (delivery_id, started_at, milliseconds, headers, answer)
        SELECT id, now(), 1, '{}', $2 FROM deliveries
        """,
        ORDER,
        CANARY.encode(),
    )
    return filled


async def counted(store: asyncpg.Connection) -> dict[str, Any]:
    """What may not change: numbers, totals, tallies, and what the feed told before."""
    row = await store.fetchrow(
        """
        SELECT (SELECT array_agg((channel_id, company_id, status, n)::text ORDER BY 1)
            FROM (SELECT channel_id, company_id, status, sum(n) AS n FROM order_tallies GROUP BY 1, 2, 3) t) AS tallies,
          (SELECT array_agg((channel_id, status, n)::text ORDER BY 1)
            FROM (SELECT channel_id, status, sum(n) AS n FROM shipment_tallies GROUP BY 1, 2) t) AS shipments,
          (SELECT array_agg((id, total_gross, total_net, total_tax, refunded_total, customer_id, status)::text ORDER BY
          id) FROM orders) AS orders, (SELECT array_agg((id, quantity, quantity_shipped, price_total)::text ORDER BY id)
          FROM order_items) AS items
        """
    )
    return dict(row)


TOLD = "SELECT array_agg(c::text ORDER BY c.id) FROM changes c WHERE c.id <= $1"


def canaries(dump: str) -> list[str]:
    return [line for line in dump.splitlines() if CANARY in line.lower()]


@pytest.mark.parametrize("who", ["--customer", "--contact", "--order-person"])
async def test_erased_person_is_in_no_archive_and_in_no_log(
    who: str,
    operate: Operate,
    demo_copy_dsn: str,
    copy_connection: asyncpg.Connection,
    bin_folder: Path,
    tmp_path: Path,
) -> None:
    store = copy_connection
    filled = await haunt(store, who)
    dump = tmp_path / "before.sql"
    async with serving(demo_copy_dsn, tmp_path / "log") as service, connecting(base_url=service.site) as client:
        partner = {"apikey": API_KEYS["apikey"]}
        search = "query ($term: String) { orders(input: {term: $term}) { itemsFound } }"

        async def found() -> int:
            body = {"query": search, "variables": {"term": CANARY}}
            answer = (await client.post("/graphql", json=body, headers=partner)).json()
            number: int = answer["data"]["orders"]["itemsFound"]
            return number

        assert await found() > 0
        shop = {KEY_HEADER: fixtures.STOREFRONT_KEY}
        login = {"email": f"{CANARY}@example.com", "password": f"{CANARY} is wrong"}
        assert not (await client.post("/api/shop/customer/login", json=login, headers=shop)).json()["success"]
        link = f'mutation {{ customerPasswordRequest(input: {{email: "{CANARY}@example.com"}}) {{ success }} }}'
        await client.post("/api/graphql", json={"query": link}, headers=shop)
        await client.get(f"/export/orders.ndjson?term={CANARY}", headers=partner)
        broken = f'{{ orders(input: {{term: "{CANARY}"'
        await client.post("/graphql", json={"query": broken}, headers=partner)

        before, last = await counted(store), await store.fetchval("SELECT max(id) FROM changes")
        told = await store.fetchval(TOLD, last)
        run(bin_folder / "pg_dump", f"--file={dump}", demo_copy_dsn)
        # It is in as many places as the test thinks, and in the words and answers that nobody wrote by hand.
        assert len(canaries(dump.read_text())) > 6
        assert len(filled) > 20
        subject = {"--customer": 1, "--contact": 4, "--order-person": ORDER}[who]
        exported = await operate("person", "export", who, subject)
        assert CANARY in repr(exported)
        [order] = [each for each in exported["orders"] if each["id"] == ORDER]
        assert {each["body"] for each in order["webhooks"]} == {CANARY}
        erased = await operate("erase", who, subject, "--yes")
        assert erased["orders"] >= 1
        assert await found() == 0
        assert await counted(store) == before
        assert await store.fetchval(TOLD, last) == told
        assert CANARY not in repr(await operate("person", "export", who, subject))
        assert CANARY not in service.log.read_text().lower()
    run(bin_folder / "pg_dump", f"--file={dump}", demo_copy_dsn)
    # A dump has bytes as hexadecimal digits.
    assert CANARY.encode().hex() not in dump.read_text()
    assert canaries(dump.read_text()) == []
    assert await store.fetchval("SELECT revision FROM webhook_endpoints") == 2
    await store.execute("DELETE FROM customer_sessions")
    findings = await operate("doctor", "--deep")
    assert {row["check"] for row in findings if row["state"] != "ok"} == set()
    assert await breaches(demo_copy_dsn) == {}


async def test_erased_account_lets_nobody_in_and_keeps_its_orders(
    operate: Operate, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute(
        "INSERT INTO customers (channel_id, email, merged_into_id) VALUES (1, 'former@example.com', 1)"
    )
    await operate("erase", "--customer", "customer@example.com", "--channel", "default", "--yes")
    rows = await copy_connection.fetch("SELECT * FROM customers WHERE id = 1 OR merged_into_id = 1")
    assert len(rows) == 2
    for row in rows:
        assert (row["email"], row["phone"], row["password_hash"], row["is_suspended"]) == (None, None, None, True)
    assert await copy_connection.fetchval("SELECT count(*) FROM customer_sessions WHERE customer_id = 1") == 0
    assert await copy_connection.fetchval("SELECT count(*) FROM orders WHERE customer_id = 1") > 0
    [entry] = await operate("audit", "list", "--subject", "customer:1")
    assert (entry["action"], "example.com" in repr(entry)) == ("erase", False)
    with pytest.raises(Refused, match="no customer"):
        await operate("erase", "--customer", "customer@example.com", "--channel", "default", "--yes")


async def test_addresses_of_an_erased_account_are_forgotten(
    operate: Operate, demo_copy_dsn: str, copy_connection: asyncpg.Connection
) -> None:
    known = "SELECT count(*) FROM login_addresses"
    async with running(settings_for(demo_copy_dsn)) as app, calling(app) as client:
        login = {"email": "customer@example.com", "password": "waybill-demo-john"}
        shop = {KEY_HEADER: fixtures.STOREFRONT_KEY}
        assert (await client.post("/api/shop/customer/login", json=login, headers=shop)).json()["success"]
        assert await copy_connection.fetchval(known) == 1
        await operate("erase", "--customer", 1, "--yes")
        assert await copy_connection.fetchval(known) == 0
        assert not (await client.post("/api/shop/customer/login", json=login, headers=shop)).json()["success"]


async def test_order_of_an_erased_person_is_told_to_those_who_follow_the_feed(
    operate: Operate, copy_connection: asyncpg.Connection
) -> None:
    last = await copy_connection.fetchval("SELECT max(id) FROM changes")
    await operate("erase", "--order-person", ORDER, "--yes")
    rows = await copy_connection.fetch("SELECT type, action, entity_id, old, new FROM changes WHERE id > $1", last)
    assert ("ORDER", "UPDATED", str(ORDER), "{}", "{}") in [tuple(row) for row in rows]


async def test_invoice_is_kept_where_a_law_says_so(operate: Operate, copy_connection: asyncpg.Connection) -> None:
    invoice = "SELECT street, last_name FROM order_addresses WHERE order_id = $1 AND type = 'invoice'"
    before = await copy_connection.fetch(invoice, 2075)
    assert before
    await operate("erase", "--order-person", 2075, "--keep-invoice", "--yes")
    assert await copy_connection.fetch(invoice, 2075) == before
    delivery = "SELECT street FROM order_addresses WHERE order_id = 2075 AND type = 'delivery'"
    assert {row["street"] for row in await copy_connection.fetch(delivery)} <= {""}
    await operate("erase", "--order-person", 2075, "--yes")
    assert {row["street"] for row in await copy_connection.fetch(invoice, 2075)} == {""}


async def test_nobody_is_erased_without_a_yes(operate: Operate, copy_connection: asyncpg.Connection) -> None:
    before = await copy_connection.fetchrow("SELECT email, first_name FROM orders WHERE id = $1", ORDER)
    with pytest.raises(Refused, match="say --yes"):
        await operate("erase", "--order-person", ORDER, stdin="y\n")
    assert await copy_connection.fetchrow("SELECT email, first_name FROM orders WHERE id = $1", ORDER) == before
    with pytest.raises(Refused, match="no order 999999"):
        await operate("erase", "--order-person", 999_999, "--yes")
    for arguments in ((), ("--customer", "1", "--contact", "4")):
        with pytest.raises(SystemExit):
            await operate("erase", *arguments, "--yes")


async def test_export_holds_what_was_sold_and_no_secret(operate: Operate, copy_connection: asyncpg.Connection) -> None:
    exported = await operate("person", "export", "--customer", "customer@example.com", "--channel", "default")
    assert exported["subject"] == "customer:1"
    assert exported["customers"][0]["email"] == "customer@example.com"
    number = await copy_connection.fetchval("SELECT count(*) FROM orders WHERE customer_id = 1 AND channel_id = 1")
    assert len(exported["orders"]) >= number > 0
    assert any(order["addresses"] for order in exported["orders"])
    assert any(order["shipments"] for order in exported["orders"])
    assert "argon2" not in repr(exported)
