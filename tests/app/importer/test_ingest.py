"""An import into a real store: what it loads, what it leaves alone, what it refuses, and what a second one changes."""

import asyncio
import gzip
import io
import json
import os
import signal
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from asyncpg import Connection

import sql
from app.importer import staging
from app.importer.ingest import ingest
from app.importer.lines import MAX_LINE
from app.importer.reader import read
from tests import consistency
from tests.conftest import ConnectionTo, until_blocked, until_gone
from tests.pooler import needs_pgbouncer, pooler

BROKEN = Path(__file__).parents[2] / "data" / "broken.ndjson"
NORTHWIND = Path(__file__).parents[4] / "shared" / "data" / "northwind.ndjson"

SHOP = {"kind": "channel", "code": "shop", "name": "Shop", "currency": "EUR", "language": "NL"}
SWIFT = {"kind": "carrier", "name": "Swift", "trackAndTraceURL": "https://swift.example/{code}"}


def order(n: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "kind": "order",
        "externalId": f"O-{n}",
        "channel": "shop",
        "status": "CONFIRMED",
        "currency": "EUR",
        "createdAt": f"2024-03-01T09:00:{n:02}.000Z",
        "company": {"externalId": "ACME", "name": "Acme"},
        "customer": {"email": "ann@acme.example", "firstName": "Ann", "lastName": "Lee"},
        "addresses": [address("delivery"), address("invoice")],
        "items": [line(1), line(2)],
        "shipments": [shipment(n)],
        **fields,
    }


# Somebody else than who makes the orders above.
BEN = {
    "company": {"externalId": "BEN", "name": "Ben"},
    "customer": {"email": "ben@ben.example", "firstName": "Ben", "lastName": "Fox"},
    "addresses": [],
}


def address(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "street": "Main St", "postalCode": "1011", "city": "Amsterdam", "country": "NL", **fields}


def line(number: int, **fields: Any) -> dict[str, Any]:
    return {"line": number, "sku": f"A-{number}", "name": "Anvil", "quantity": 3, "price": "10.00", **fields}


def shipment(n: int, **fields: Any) -> dict[str, Any]:
    return {
        "externalId": f"S-{n}",
        "items": [{"line": 1, "quantity": 2}],
        "trackAndTraces": [{"carrier": "Swift", "code": f"T-{n}"}],
        **fields,
    }


class Store:
    """Imports records into the database of a test, and reads it over one connection."""

    def __init__(self, dsn: str, folder: Path, connection_to: ConnectionTo) -> None:
        self.dsn = dsn
        self._connecting = partial(connection_to, dsn)
        self._connection: asyncpg.Connection | None = None
        self.file = folder / "records.ndjson"
        self.status: int | None = None

    async def take(self, *records: object, strict: bool = False, dry_run: bool = False) -> list[str]:
        """The lines of the report, each without the name of the file."""
        self.file.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
        return await self.take_file(self.file, strict=strict, dry_run=dry_run)

    async def take_file(self, *files: Path | str, strict: bool = False, dry_run: bool = False) -> list[str]:
        report = io.StringIO()
        self.status = await ingest(
            self.dsn, [str(file) for file in files], strict=strict, dry_run=dry_run, report=report
        )
        said = report.getvalue()
        for file in files:
            said = said.replace(f"{file}:", "")
        return said.splitlines()

    async def fetch(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = await self._connecting()
        return [tuple(row) for row in await self._connection.fetch(statement, *arguments)]

    async def told(self, type: str, actor: str) -> list[tuple[str, int]]:
        """How many changes of a type the feed has of an actor, by action."""
        return await self.fetch(
            """
            SELECT action, count(*) FROM changes JOIN transactions t ON t.id = transaction_id
            WHERE type = $1 AND actor = $2 GROUP BY action ORDER BY action
            """,
            type,
            actor,
        )

    async def rows(self) -> dict[str, Any]:
        """Every table's rows with their physical versions: equal only where nothing was written in between."""
        tables = await self.fetch("SELECT relname FROM pg_stat_user_tables ORDER BY 1")
        hashes = [
            f"SELECT '{table}', md5(string_agg(t::text || xmin || ctid, ' ' ORDER BY ctid)) FROM {table} t"
            for (table,) in tables
        ]
        return dict(await self.fetch(" UNION ALL ".join(hashes)))


@pytest.fixture
def store(fresh_dsn: str, tmp_path: Path, connection_to: ConnectionTo) -> Store:
    return Store(fresh_dsn, tmp_path, connection_to)


async def test_northwind_comes_in_whole_and_twice_is_once(store: Store) -> None:
    if not NORTHWIND.exists():
        pytest.skip("the Northwind order book is not beside this checkout")
    assert await store.take_file(NORTHWIND) == ["834 read, 834 created, 0 updated, 0 unchanged, 0 refused"]
    assert await store.fetch("""
        SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_items), (SELECT count(*) FROM shipments),
          (SELECT count(DISTINCT company_id) FROM orders), (SELECT count(*) FROM track_and_traces)
    """) == [(830, 2155, 809, 89, 809)]
    assert await store.told("SHIPMENT", "import") == [("CREATED", 809)]
    assert await consistency.breaches(store.dsn) == {}

    before = await store.rows()
    assert await store.take_file(NORTHWIND) == ["834 read, 0 created, 0 updated, 834 unchanged, 0 refused"]
    assert await store.rows() == before


async def test_steps_that_are_left_out_would_have_done_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    has_work, run = staging.has_work, Connection.execute
    is_idle = False
    idle: set[str] = set()

    def always(about: str, facts: set[str]) -> bool:
        nonlocal is_idle
        is_idle = not has_work(about, facts)
        return True

    async def execute(self: Connection, text: str, *arguments: Any) -> str:
        nonlocal is_idle
        done = await run(self, text, *arguments)
        if is_idle:
            assert done == "ANALYZE" or done.endswith(" 0"), text
            idle.add(text)
        is_idle = False
        return str(done)

    monkeypatch.setattr(staging, "has_work", always)
    monkeypatch.setattr(Connection, "execute", execute)
    bare = {"company": None, "customer": None, "addresses": [], "shipments": []}
    refund = {"externalId": "R-1", "items": [{"line": 1, "quantity": 1}]}
    bundle = [line(1), line(2, parentLine=1), line(3, parentLine=1)]
    assert await store.take(SHOP, SWIFT, order(1), order(2, **bare)) == [
        "4 read, 4 created, 0 updated, 0 unchanged, 0 refused"
    ]
    for record, said in (
        (order(1), "unchanged"),
        (order(2, **bare), "unchanged"),
        (order(2, reference="x"), "updated"),
        (order(1, **bare), "updated"),
        (order(3, **bare, refunds=[refund]), "created"),
        (order(3, **bare), "unchanged"),
        (order(4, shipments=[], items=bundle, currencyRatio=1, totals={"gross": "90.00"}), "created"),
        (order(4, shipments=[], items=bundle[:1]), "updated"),
    ):
        assert f"1 {said}" in (await store.take(record))[-1], record
    assert len(idle) > 40


async def test_broken_lines_are_named_and_the_good_ones_load(store: Store) -> None:
    assert await store.take_file(BROKEN) == [
        "4: $: not JSON: Input data was truncated",
        "5: $.kind: invalid value 'invoice'",
        '6: $.status: unknown order status "LOST"',
        "7: $.shipments[0].items[0].line: 9 is no line of the order",
        "8: $.shipments[0].items[0].quantity: more of line 1 is shipped than ordered",
        *(
            f'{n}: $.items[0].price: expected a decimal such as "12.50" or "-12.50", at most 12 digits before the '
            "point and 6 after it"
            for n in (9, 10)
        ),
        "11: $.items[0].quantity: expected `int` <= 2147483647",
        "12: $.items[0].name: holds a NUL character",
        "13: $: not UTF-8 (byte 442)",
        "14: $.items[0].name: holds half of a surrogate pair",
        *(f"{n}: $.createdAt: expected a date-time with an offset such as 2024-01-15T10:30:00Z" for n in (15, 16)),
        "17: $.currency: expected an ISO 4217 currency code of three capitals",
        '18: $.addresses[0].country: unknown ISO 3166-1 alpha-2 country "XX"',
        "19: $.customer.email: expected an e-mail address",
        "20: $.items[0].name: expected `str` of length <= 255",
        '21: $.channel: unknown channel "nowhere"',
        '22: $.shipments[0].trackAndTraces[0].carrier: unknown carrier "Slow"',
        "23: $.items[1].line: 1 is a duplicate",
        "24: $: object missing required field `items`",
        "25: $: object contains unknown field `colour`",
        '26: $.shipments[0].trackAndTraces[1].code: "T-26" is a duplicate',
        "28: $.shipments[1].items[0].quantity: more of line 1 is shipped than ordered",
        "29: $.items[0].price: expected `str`, got `float`",
        "30: $.company.parentExternalId: a company is not its own parent",
        "31: $.items[0]: the line's total has more than 12 digits",
        "32: $.items[0].taxPercentage: expected `float` <= 100.0",
        "33: $.name: expected `str` of length <= 64",
        "34: $.trackAndTraceURL: must be an https URL with a host of its own",
        "35: $: expected `object`, got `array`",
        '36: $.items[0].discount: expected a fraction from "0" to "1" such as "0.15", with at most 6 decimals',
        '27: $.shipments[0].trackAndTraces[0].code: "T-1" is a code of another shipment',
        "37 read, 4 created, 0 updated, 0 unchanged, 33 refused",
    ]
    assert store.status == 1
    assert await store.fetch("SELECT external_id FROM orders ORDER BY id") == [("O-1",), ("O-37",)]


async def test_order_is_stored_with_its_prices_and_parties(store: Store) -> None:
    items = [line(1, price="19.99", discount="0.15", taxPercentage=21), line(2, productId=7, additional={"size": "L"})]
    await store.take(SHOP, SWIFT, order(items=items, shippingAmount="4.95", shippingMethod="Swift"))
    assert await store.fetch("""
        SELECT o.sub_total::text, o.postage_net::text, o.total_gross::text, o.total_tax::text, o.total_net::text,
          o.language, o.increment_id, c.name, u.email, o.contact_id
        FROM orders o JOIN companies c ON c.id = o.company_id JOIN customers u ON u.id = o.customer_id
    """) == [("80.97", "4.95", "85.92", "10.70", "96.62", "NL", "O-1", "Acme", "ann@acme.example", None)]
    assert await store.fetch("""
        SELECT original_price::text, discount::text, price::text, price_net::text, price_total_net::text, tax::text,
          tax_code, product_id, additional->>'size' FROM order_items ORDER BY line
    """) == [
        ("19.99", "2.9985", "16.9915", "20.5597", "61.67", "10.70", "H", None, None),
        ("10", "0", "10", "10.00", "30.00", "0.00", "N", 7, "L"),
    ]


async def test_changed_record_changes_its_rows_and_keeps_their_ids(store: Store) -> None:
    await store.take(SHOP, SWIFT, order())
    ids = "SELECT o.id, o.uuid, l.uuid, s.id FROM orders o, order_items l, shipments s WHERE l.line = 1"
    before = await store.fetch(ids)
    said = await store.take(
        order(
            status="COMPLETED",
            items=[line(1, quantity=5), line(3)],
            addresses=[address("delivery", city="Utrecht")],
            shipments=[
                shipment(1, status="DELIVERED", items=[{"line": 1, "quantity": 5}, {"line": 3, "quantity": 1}]),
                shipment(2, items=[], trackAndTraces=[{"code": "PLAIN"}]),
            ],
        )
    )
    assert said == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    assert await store.fetch(f"{ids} AND s.external_id = 'S-1'") == before
    assert await store.fetch("SELECT status, status_date IS NOT NULL FROM orders") == [("COMPLETED", True)]
    assert await store.fetch("SELECT line, quantity FROM order_items ORDER BY line") == [(1, 5), (3, 3)]
    assert await store.fetch("SELECT type, city FROM order_addresses") == [("delivery", "Utrecht")]
    assert await store.fetch("SELECT sku, quantity FROM shipment_items ORDER BY sku") == [("A-1", 5), ("A-3", 1)]
    assert await store.fetch("SELECT code FROM track_and_traces ORDER BY code") == [("PLAIN",), ("T-1",)]
    assert await store.fetch("SELECT version FROM orders UNION ALL SELECT version FROM shipments ORDER BY 1") == [
        (1,),
        (2,),
        (2,),
    ]
    assert await store.told("SHIPMENT_ITEM", "import") == [("CREATED", 2), ("UPDATED", 1)]
    assert await consistency.breaches(store.dsn) == {}


async def test_list_that_is_left_out_is_left_alone_and_an_empty_one_empties(store: Store) -> None:
    await store.take(SHOP, SWIFT, order())
    short = order(status="COMPLETED")
    del short["shipments"], short["addresses"]
    await store.take(short)
    counts = "SELECT (SELECT count(*) FROM order_addresses), (SELECT count(*) FROM shipments)"
    assert await store.fetch(counts) == [(2, 1)]
    await store.take(order(shipments=[], addresses=[]))
    assert await store.fetch(counts) == [(0, 0)]


async def test_dates_of_modification_move_with_what_changed_only(store: Store) -> None:
    dated = order(lastModifiedAt="2024-03-02T00:00:00Z")
    await store.take(SHOP, SWIFT, dated)
    dates = "SELECT o.last_modified_at, s.last_modified_at FROM orders o, shipments s"
    [(ordered, shipped)] = await store.fetch(dates)
    dated["shipments"][0]["trackAndTraces"] = []
    await store.take(dated)
    [(ordered_then, shipped_then)] = await store.fetch(dates)
    assert (ordered_then == ordered, shipped_then > shipped) == (True, True)
    dated["items"][0]["name"] = "Big anvil"
    await store.take(dated)
    [(ordered_at_last, shipped_at_last)] = await store.fetch(dates)
    assert (ordered_at_last > ordered, shipped_at_last == shipped_then) == (True, True)
    assert await store.take(dated) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]


MONDAY, TUESDAY, WEDNESDAY = (f"2024-03-0{day}T12:00:00.000Z" for day in (4, 5, 6))


def exported(moment: str | None, quantity: int, *shipments: dict[str, Any], **fields: Any) -> dict[str, Any]:
    dated = {} if moment is None else {"sourceModifiedAt": moment}
    return order(items=[line(1, quantity=quantity)], shipments=list(shipments), **dated, **fields)


async def test_order_that_its_source_dates_last_week_is_modified_now(store: Store) -> None:
    [(begun,)] = await store.fetch("SELECT clock_timestamp()")
    dated = order(createdAt=MONDAY, lastModifiedAt=TUESDAY)
    await store.take(SHOP, SWIFT, dated)
    since = "SELECT count(*) FROM orders WHERE last_modified_at >= $1 AND created_at < $1"
    assert await store.fetch(since, begun) == [(1,)]
    await store.fetch("UPDATE orders SET last_modified_at = '2999-01-01'")
    await store.take({**dated, "lastModifiedAt": WEDNESDAY, "status": "COMPLETED"})
    assert await store.fetch("SELECT last_modified_at >= '2999-01-01' FROM orders") == [(True,)]


@pytest.mark.parametrize("field", ["sourceModifiedAt", "lastModifiedAt"])
async def test_record_that_is_older_than_what_is_there_changes_nothing(store: Store, field: str) -> None:
    delivered = [shipment(n, status="DELIVERED") for n in (1, 2)]
    tuesday = {**exported(None, 5, *delivered, status="COMPLETED"), field: TUESDAY}
    monday = {
        **exported(None, 3, shipment(1, status="CREATED"), company={"externalId": "OLD", "name": "Old"}),
        field: MONDAY,
    }
    assert await store.take(SHOP, SWIFT, tuesday) == ["3 read, 3 created, 0 updated, 0 unchanged, 0 refused"]
    before = await store.rows()
    said = [
        f"1: $.sourceModifiedAt: older than what is there, of {TUESDAY}: nothing is changed",
        "2 read, 0 created, 0 updated, 1 unchanged, 0 refused, 1 outdated",
    ]
    assert await store.take(monday, SHOP) == said
    assert (await store.rows(), store.status) == (before, 0)
    assert await store.take(monday, SHOP, strict=True) == said
    assert (await store.rows(), store.status) == (before, 0)
    assert await store.take(tuesday) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]
    assert await store.rows() == before


async def test_moment_of_the_future_that_was_stored_outdates_nothing(store: Store) -> None:
    """From before such moments were refused."""
    await store.take(SHOP, SWIFT, order(sourceModifiedAt="2024-03-05T12:00:00Z"))
    await store.fetch("ALTER TABLE orders DISABLE TRIGGER orders_past_other")
    await store.fetch("UPDATE orders SET source_modified_at = '2099-01-01' RETURNING 1")
    record = order(sourceModifiedAt="2024-03-06T12:00:00Z", reference="R-1")
    assert await store.take(record) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]


async def test_newer_record_wins_in_any_order_of_one_file(store: Store) -> None:
    tuesday, monday = exported(TUESDAY, 5, shipment(1), shipment(2)), exported(MONDAY, 3, shipment(1))
    now = "SELECT l.quantity, count(s) FROM order_items l JOIN shipments s USING (order_id) GROUP BY 1"
    assert await store.take(SHOP, SWIFT, tuesday, monday) == [
        f"4: $.sourceModifiedAt: older than what is there, of {TUESDAY}: nothing is changed",
        "4 read, 3 created, 0 updated, 0 unchanged, 0 refused, 1 outdated",
    ]
    assert await store.fetch(now) == [(5, 2)]
    wednesday = {**exported(WEDNESDAY, 4, shipment(1)), "sourceModifiedAt": WEDNESDAY}
    assert await store.take(wednesday, tuesday, exported(None, 4, shipment(1))) == [
        f"2: $.sourceModifiedAt: older than what is there, of {WEDNESDAY}: nothing is changed",
        "3 read, 0 created, 1 updated, 1 unchanged, 0 refused, 1 outdated",
    ]
    assert await store.fetch(now) == [(4, 1)]
    assert await store.fetch("SELECT source_modified_at = $1::text::timestamptz FROM orders", WEDNESDAY) == [(True,)]


async def test_status_that_was_set_here_is_not_set_back_by_an_older_record(store: Store) -> None:
    await store.take(SHOP, SWIFT, exported(MONDAY, 3, shipment(1, status="IN_TRANSIT")))
    await store.fetch("UPDATE orders SET status = 'COMPLETED'")
    await store.fetch("UPDATE shipments SET status = 'DELIVERED'")
    statuses = "SELECT o.status, s.status, l.quantity FROM orders o, shipments s, order_items l"
    older = exported(TUESDAY, 4, shipment(1, status="IN_TRANSIT"))
    assert await store.take(older) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    assert await store.fetch(statuses) == [("COMPLETED", "DELIVERED", 4)]
    newer = exported(datetime.now(UTC).isoformat(), 4, shipment(1), status="ARCHIVED")
    assert await store.take(newer) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    assert await store.fetch(statuses) == [("ARCHIVED", "DELIVERED", 4)]


async def test_what_is_delivered_stays_where_a_record_lists_it_no_more(store: Store) -> None:
    both = [{"line": 1, "quantity": 1}, {"line": 2, "quantity": 1}]
    codes = [{"carrier": "Swift", "code": code} for code in ("A", "B")]
    shipments = [
        shipment(1, status="DELIVERED", items=both, trackAndTraces=codes),
        shipment(2, status="DELIVERED"),
        shipment(3, status="IN_TRANSIT", items=[], trackAndTraces=[{"code": "C"}]),
    ]
    await store.take(SHOP, SWIFT, order(shipments=shipments))
    told = """
        INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at)
        SELECT t.id, t.channel_id, told.status, told.occurred_at FROM track_and_traces t
        CROSS JOIN (VALUES ('DELIVERED', now() - interval '1 day'), ('EXCEPTION', now())) told (status, occurred_at)
        WHERE t.code = 'C'
    """
    await store.fetch(told)  # it came back
    before = await store.rows()
    short = order(shipments=[shipment(1, items=both[:1], trackAndTraces=codes[:1])])
    assert await store.take(short) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]
    assert await store.rows() == before
    assert (await store.take(order(items=[line(1)], shipments=[])))[0] == (
        "1: $.items: line 2 is gone, but a shipment of the store holds it"
    )
    more = order(shipments=[shipment(1, items=both[:1], trackAndTraces=[{"code": "D"}]), shipment(4)])
    assert (await store.take(more))[0] == "1: $.items: line 1: 5 shipped in the store, but 3 ordered"
    assert await store.rows() == before
    assert await consistency.breaches(store.dsn) == {}


@pytest.mark.parametrize("status", ["DELIVERED", "PARTIALLY_DELIVERED"])
async def test_what_is_delivered_becomes_no_less(store: Store, status: str) -> None:
    delivered = shipment(1, status=status, items=[{"line": 1, "quantity": 3}])
    await store.take(SHOP, SWIFT, order(shipments=[delivered]))
    before = await store.rows()
    for quantity in (2, 1):
        less = {**delivered, "items": [{"line": 1, "quantity": quantity}]}
        assert await store.take(order(shipments=[less])) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]
    assert await store.rows() == before
    lowered = order(items=[line(1, quantity=2), line(2)], shipments=[less])
    assert (await store.take(lowered))[0] == "1: $.items: line 1: 3 shipped in the store, but 2 ordered"


async def test_what_a_record_does_not_mention_stays_and_null_takes_it_away(store: Store) -> None:
    full = order(
        type="dropshipment",
        requestedDeliveryAt=TUESDAY,
        shippingMethod="Swift",
        shippingAmount="4.95",
        items=[line(1, productId=7, additional={"size": "L"}), line(2)],
        shipments=[shipment(1, expectedDeliveryAt=TUESDAY)],
    )
    await store.take(SHOP, SWIFT, full)
    before = await store.rows()
    short = order()
    del short["company"], short["customer"]
    assert await store.take(short) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]
    assert await store.rows() == before
    short["items"][0]["quantity"] = 4
    assert await store.take(short) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    totals = "SELECT sub_total::text, total_gross::text, total_net::text, type, company_id IS NULL, email FROM orders"
    assert await store.fetch(totals) == [("70.00", "74.95", "74.95", "dropshipment", False, "ann@acme.example")]
    names = ("company", "customer", "requestedDeliveryAt", "shippingMethod", "shippingAmount")
    await store.take({**short, **dict.fromkeys(names), "shipments": [shipment(1, expectedDeliveryAt=None)]})
    assert await store.fetch(totals) == [("70.00", "70.00", "70.00", "dropshipment", True, "")]
    assert await store.fetch(
        "SELECT postage_request_date, shipping_method, expected_delivery_at FROM orders, shipments"
    ) == [(None, None, None)]


def listed(*lines: tuple[str | None, str], shipped: int | None = None) -> dict[str, Any]:
    """An order whose lines have these keys and skus, in this order; two of the line `shipped` are on their way."""
    items = [line(n, sku=sku, **({} if key is None else {"lineId": key})) for n, (key, sku) in enumerate(lines, 1)]
    record = order(items=items, shipments=[shipment(1, items=[{"line": shipped, "quantity": 2}])])
    if shipped is None:
        del record["shipments"]
    return record


SHIPPED_LINES = "SELECT line, line_id, sku, quantity_shipped FROM order_items ORDER BY line"


async def test_line_that_has_been_shipped_does_not_become_another_sku(store: Store) -> None:
    await store.take(SHOP, SWIFT, listed((None, "A"), (None, "B"), shipped=1))
    before = await store.rows()
    for others in (listed((None, "X"), (None, "A"), (None, "B")), listed((None, "X"), (None, "A"), shipped=2)):
        assert (await store.take(others))[0] == "1: $.items: line 1 has been shipped as A and cannot become X"
        assert await store.rows() == before
    await store.take(listed((None, "a"), (None, "X")))
    assert await store.fetch(SHIPPED_LINES) == [(1, None, "a", 2), (2, None, "X", 0)]


async def test_line_keeps_what_is_shipped_of_it_under_another_number(store: Store) -> None:
    await store.take(SHOP, SWIFT, listed(("L1", "A"), ("L2", "B"), ("L3", "C"), shipped=1))
    ids = dict(await store.fetch("SELECT line_id, id FROM order_items"))
    turned = listed(("L9", "X"), ("L1", "A"), ("L2", "B"), shipped=2)
    assert await store.take(turned) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    assert await store.fetch(SHIPPED_LINES) == [(1, "L9", "X", 0), (2, "L1", "A", 2), (3, "L2", "B", 0)]
    kept = dict(await store.fetch("SELECT line_id, id FROM order_items"))
    assert (kept["L1"], kept["L2"]) == (ids["L1"], ids["L2"])
    before = await store.rows()
    assert await store.take(turned) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]
    assert await store.rows() == before
    swapped = listed(("L1", "A"), ("L9", "X"), shipped=1)
    assert await store.take(swapped) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    assert await store.fetch(SHIPPED_LINES) == [(1, "L1", "A", 2), (2, "L9", "X", 0)]
    assert (await store.take(listed(("L1", "Z"), ("L9", "X"))))[0] == (
        "1: $.items: line 1 has been shipped as A and cannot become Z"
    )
    assert await consistency.breaches(store.dsn) == {}


async def test_line_takes_its_key_from_the_next_record_and_keeps_it(store: Store) -> None:
    await store.take(SHOP, SWIFT, listed((None, "A"), (None, "B"), shipped=1))
    await store.take(listed(("L1", "A"), ("L2", "B")))
    await store.take(listed((None, "A"), (None, "B")))
    assert await store.fetch(SHIPPED_LINES) == [(1, "L1", "A", 2), (2, "L2", "B", 0)]
    gone = await store.take(listed(("L2", "B")))
    assert gone[0] == "1: $.items: line 1 is gone, but a shipment of the store holds it"
    assert await store.fetch(SHIPPED_LINES) == [(1, "L1", "A", 2), (2, "L2", "B", 0)]


async def test_newest_order_names_company_and_customer_in_any_order(store: Store) -> None:
    newer = order(
        2,
        company={"externalId": "ACME", "name": "Acme International", "parentExternalId": "HOLDING"},
        customer={"email": "ANN@acme.example", "firstName": "Anna", "lastName": "Lee"},
    )
    parent = order(3, company={"externalId": "HOLDING", "name": "The Holding"}, customer=None)
    names = """SELECT c.name, p.name, u.first_name FROM companies c
        LEFT JOIN companies p ON p.id = c.parent_id, customers u WHERE c.external_id = 'ACME'"""
    await store.take(SHOP, SWIFT, newer)
    assert await store.fetch(names) == [("Acme International", "HOLDING", "Anna")]
    await store.take(order(1), parent)
    assert await store.fetch(names) == [("Acme International", "The Holding", "Anna")]

    before = await store.rows()
    await store.take(order(1), newer, parent)
    assert await store.rows() == before


async def test_companies_cannot_form_a_circle(store: Store) -> None:
    upper = order(1, company={"externalId": "A", "name": "A", "parentExternalId": "B"})
    lower = order(2, company={"externalId": "B", "name": "B", "parentExternalId": "A"})
    await store.take(SHOP, SWIFT, upper)
    assert "1: $.company.parentExternalId: the company would be above itself" in await store.take(lower)
    assert await store.fetch("SELECT external_id FROM orders") == [("O-1",)]


async def test_code_moves_to_another_shipment_but_is_not_shared_with_strangers(store: Store) -> None:
    await store.take(SHOP, SWIFT, order(1), order(2, **BEN))
    taken = shipment(2, trackAndTraces=[{"carrier": "Swift", "code": "T-1"}])
    assert (await store.take(order(2, **BEN, shipments=[taken])))[0] == (
        '1: $.shipments[0].trackAndTraces[0].code: "T-1" is a code of another shipment'
    )
    assert await store.fetch("SELECT code FROM track_and_traces ORDER BY code") == [("T-1",), ("T-2",)]
    await store.take(order(1, shipments=[shipment(1, trackAndTraces=[])]), order(2, **BEN, shipments=[taken]))
    assert await store.fetch(
        "SELECT t.code, s.external_id FROM track_and_traces t JOIN shipments s ON s.id = t.shipment_id"
    ) == [("T-1", "S-2")]


async def test_status_of_a_record_stays_until_there_is_news_of_a_later_moment(store: Store) -> None:
    """Decision 15: the moment is the record's own."""
    news = """INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at)
        SELECT id, channel_id, $1, $2::text::timestamptz FROM track_and_traces"""
    await store.take(SHOP, SWIFT, order(shipments=[shipment(1, status="IN_TRANSIT")]))
    await store.take(order(shipments=[shipment(1, status="EXCEPTION")], lastModifiedAt="2024-03-02T12:00:00Z"))
    for status, moment, shown in (
        ("OUT_FOR_DELIVERY", "2024-03-02T11:00:00Z", "EXCEPTION"),
        ("OUT_FOR_DELIVERY", "2024-03-02T13:00:00Z", "OUT_FOR_DELIVERY"),
    ):
        await store.fetch(news, status, moment)
        assert await store.fetch("SELECT status FROM shipments") == [(shown,)]


async def test_codes_of_a_shipment_keep_the_order_of_the_record(store: Store) -> None:
    codes = [{"carrier": "Swift", "code": f"{n:x}{n}"} for n in (9, 3, 7, 1, 5)]
    await store.take(SHOP, SWIFT, order(shipments=[shipment(1, trackAndTraces=codes)]))
    stored = await store.fetch("SELECT code FROM track_and_traces ORDER BY created_at, id")
    assert [code for (code,) in stored] == [code["code"] for code in codes]


async def test_what_was_shipped_from_here_binds_the_record(store: Store) -> None:
    await store.take(SHOP, SWIFT, order())
    await store.fetch("""
        WITH own AS (INSERT INTO shipments (order_id, channel_id) SELECT id, channel_id FROM orders RETURNING *)
        INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, quantity)
        SELECT own.id, l.id, l.order_id, l.channel_id, 1 FROM own, order_items l
    """)
    gone = await store.take(order(items=[line(1)]))
    assert gone[0] == "1: $.items: line 2 is gone, but a shipment of the store holds it"
    more = await store.take(order(shipments=[shipment(1, items=[{"line": 1, "quantity": 3}])]))
    assert more[0] == "1: $.items: line 1: 4 shipped in the store, but 3 ordered"
    assert await store.take(order(shipments=[])) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    assert await store.fetch("SELECT external_id FROM shipments") == [(None,)]


async def test_shipment_gets_from_the_stores_status_to_the_records_or_the_record_is_refused(store: Store) -> None:
    statuses = ("CREATED", "IN_TRANSIT", "CANCELED", "DELIVERED", "FAILED_DELIVERY")

    def orders(*statuses: str | None) -> list[dict[str, Any]]:
        return [order(n, shipments=[shipment(n, status=status)]) for n, status in enumerate(statuses, 1)]

    await store.take(SHOP, SWIFT, *orders(*statuses))
    assert await store.take(*orders("DELIVERED", "CREATED", "PROCESSING", None, "CANCELED")) == [
        "2: $.shipments[0].status: a shipment does not get from IN_TRANSIT to CREATED",
        "3: $.shipments[0].status: a shipment does not get from CANCELED to PROCESSING",
        "5 read, 0 created, 2 updated, 1 unchanged, 2 refused",
    ]
    assert await store.fetch("SELECT status FROM shipments ORDER BY external_id") == [
        (status,) for status in ("DELIVERED", "IN_TRANSIT", "CANCELED", "DELIVERED", "CANCELED")
    ]
    assert await store.told("SHIPMENT", "import") == [("CREATED", 5), ("UPDATED", 2)]
    assert await consistency.breaches(store.dsn) == {}


@pytest.mark.parametrize("status", ["DELIVERED", "CANCELED"])
async def test_record_with_the_status_of_before_somebody_set_another_is_applied_but_for_it(
    store: Store, status: str
) -> None:
    """However often it says the former one."""
    await store.take(SHOP, SWIFT, order(shipments=[shipment(1, status="FAILED_DELIVERY")]))
    await store.fetch("SELECT set_config('waybill.skipped_steps', 'allowed', false)")
    await store.fetch("UPDATE shipments SET status = $1 RETURNING 1", status)
    statuses = "SELECT s.status, l.quantity FROM shipments s JOIN order_items l USING (order_id) WHERE l.line = 2"
    for quantity in (5, 7):
        later = order(items=[line(1), line(2, quantity=quantity)], shipments=[shipment(1, status="IN_TRANSIT")])
        assert await store.take(later) == [
            f"1: warning: $.shipments[0].status: the shipment was set to {status} here, and stays so: "
            "it does not get to IN_TRANSIT",
            "1 read, 0 created, 1 updated, 0 unchanged, 0 refused, 1 with a warning",
        ]
        assert await store.fetch(statuses) == [(status, quantity)]


async def test_record_that_repeats_what_it_said_of_an_order_takes_back_nothing_that_was_set_here(store: Store) -> None:
    """However often, dated or not. Another word of it is news."""
    record = {**order(), "payment": {"method": "card", "status": "open"}}
    await store.take(SHOP, SWIFT, record)
    await store.fetch("UPDATE orders SET status = 'CANCELED', payment_status = 'PAID', payment_status_date = now()")
    statuses = "SELECT status, payment_status, version FROM orders"
    warnings = [
        '1: warning: $.payment.status: the payment is "PAID" here, and stays so: the record says "open" again',
        "1: warning: $.status: the order is CANCELED here, and stays so: the record says CONFIRMED again",
    ]
    for _ in range(2):
        told = await store.take(record)
        assert told == [*warnings, "1 read, 0 created, 0 updated, 1 unchanged, 0 refused, 1 with a warning"]
        assert await store.fetch(statuses) == [("CANCELED", "PAID", 2)]
    later = {**record, "sourceModifiedAt": datetime.now(UTC).isoformat()}
    assert await store.take(later) == [
        *warnings,
        "1 read, 0 created, 1 updated, 0 unchanged, 0 refused, 1 with a warning",
    ]
    other = {**record, "status": "VALIDATED", "payment": {"method": "card", "status": "refunded"}}
    assert await store.take(other) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    assert await store.fetch("SELECT status, payment_status FROM orders") == [("VALIDATED", "refunded")]


async def test_order_from_before_records_were_noted_keeps_what_is_set_here(store: Store) -> None:
    record = {**order(), "payment": {"method": "card", "status": "open"}}
    await store.take(SHOP, SWIFT, record)
    await store.fetch("UPDATE orders SET source_status = NULL, source_payment_status = NULL")
    await store.fetch("UPDATE orders SET status = 'CANCELED', payment_status = 'PAID', payment_status_date = now()")
    assert (await store.take(record))[-1] == "1 read, 0 created, 0 updated, 1 unchanged, 0 refused, 1 with a warning"
    assert await store.fetch("SELECT status, payment_status FROM orders") == [("CANCELED", "PAID")]


async def test_records_that_break_rules_are_refused_one_by_one_and_the_others_of_their_batch_load(store: Store) -> None:
    await store.take(SHOP, SWIFT, *(order(n) for n in (1, 2, 4)), order(5, **BEN))
    await store.take(order(3, shipments=[shipment(3, status="IN_TRANSIT")]))
    await store.fetch("""
        WITH own AS (
          INSERT INTO shipments (order_id, channel_id)
          SELECT id, channel_id FROM orders WHERE external_id IN ('O-2', 'O-4') RETURNING *)
        INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, quantity)
        SELECT own.id, l.id, l.order_id, l.channel_id, 1 FROM own JOIN order_items l USING (order_id) WHERE l.line = 1
    """)
    assert await store.take(
        order(1, shipments=[shipment(1, items=[{"line": 1, "quantity": 3}])]),
        order(2, shipments=[shipment(2, items=[{"line": 1, "quantity": 3}])]),
        order(3, shipments=[shipment(3, status="CREATED")]),
        order(4, items=[line(1, quantity=2)]),
        order(5, **BEN, shipments=[shipment(5, trackAndTraces=[{"carrier": "Swift", "code": "t 1"}])]),
        order(6),
    ) == [
        "3: $.shipments[0].status: a shipment does not get from IN_TRANSIT to CREATED",
        "2: $.items: line 1: 4 shipped in the store, but 3 ordered",
        "4: $.items: line 1: 3 shipped in the store, but 2 ordered",
        '5: $.shipments[0].trackAndTraces[0].code: "t 1" is a code of another shipment',
        "6 read, 1 created, 1 updated, 0 unchanged, 4 refused",
    ]
    assert await store.told("ORDER", "import") == [("CREATED", 6)]
    assert await store.told("SHIPMENT", "import") == [("CREATED", 6), ("UPDATED", 1)]
    assert await consistency.breaches(store.dsn) == {}


async def test_what_is_shipped_moves_between_shipments_of_a_full_line(store: Store) -> None:
    def shipped(*quantities: int | None, statuses: tuple[str, ...] = ("CREATED",) * 3) -> list[dict[str, Any]]:
        return [
            shipment(n, status=status, items=[{"line": 1, "quantity": quantity}] if quantity else [])
            for n, (quantity, status) in enumerate(zip(quantities, statuses, strict=False), 1)
        ]

    await store.take(SHOP, SWIFT, order(shipments=shipped(3, None)))
    for shipments, quantity, ordered in (
        (shipped(1, 2), 3, 3),
        (shipped(2, 1), 3, 3),
        (shipped(2, 4), 6, 6),
        (shipped(2, 4, 4, statuses=("CREATED", "CANCELED", "CREATED")), 6, 6),
        (shipped(None, 4, 1, statuses=("CREATED", "CANCELED", "CREATED")), 1, 1),
        (shipped(1), 1, 1),
    ):
        said = await store.take(order(items=[line(1, quantity=ordered), line(2)], shipments=shipments))
        assert said == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
        assert await store.fetch("SELECT quantity, quantity_shipped FROM order_items WHERE line = 1") == [
            (ordered, quantity)
        ]
        assert await consistency.breaches(store.dsn) == {}


async def test_line_that_is_new_and_one_that_is_lowered_are_shipped_by_their_new_names(store: Store) -> None:
    await store.take(SHOP, SWIFT, order())
    items = [line(1, quantity=2, name="Small anvil"), line(3, name="Hammer")]
    lines = [{"line": 1, "quantity": 1}, {"line": 3, "quantity": 3}]
    said = await store.take(order(items=items, shipments=[shipment(2, items=lines)]))
    assert said == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    assert await store.fetch("SELECT name, quantity FROM shipment_items ORDER BY quantity") == [
        ("Small anvil", 1),
        ("Hammer", 3),
    ]
    assert await consistency.breaches(store.dsn) == {}


async def test_import_waits_for_a_writer_and_counts_what_it_ships(store: Store, connection_to: ConnectionTo) -> None:
    await store.take(SHOP, SWIFT, order())
    writer = await connection_to(store.dsn)
    async with writer.transaction():
        await writer.execute("""
            INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, quantity)
            SELECT s.id, l.id, s.order_id, s.channel_id, 3 FROM shipments s JOIN order_items l USING (order_id)
            WHERE l.line = 2
        """)
        lowered = order(items=[line(1), line(2, quantity=1)])
        del lowered["shipments"]
        taking = asyncio.create_task(store.take(lowered))
        await until_blocked(writer)
    assert (await taking)[0] == "1: $.items: line 2: 3 shipped in the store, but 1 ordered"


async def test_batch_that_had_to_give_way_is_written_again(store: Store) -> None:
    await store.take(SHOP, SWIFT)
    await store.fetch("CREATE SEQUENCE tries")
    await store.fetch("""
        CREATE FUNCTION give_way() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF nextval('tries') <= 2 THEN
            RAISE EXCEPTION 'deadlock detected' USING ERRCODE = 'deadlock_detected';
          END IF;
          RETURN NULL;
        END $$
    """)
    await store.fetch("CREATE TRIGGER give_way AFTER INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION give_way()")
    assert await store.take(order(1), order(2)) == ["2 read, 2 created, 0 updated, 0 unchanged, 0 refused"]
    assert await store.fetch("SELECT last_value FROM tries") == [(3,)]


async def test_conflict_that_no_check_foresees_costs_its_own_record_only(store: Store) -> None:
    await store.take(SHOP, SWIFT)
    await store.fetch("ALTER TABLE order_items ADD CONSTRAINT order_items_sku_lucky CHECK (sku <> 'A-13')")
    said = await store.take(order(1), order(2, items=[line(13), line(1)]), order(3))
    assert said == [
        "2: $: the store refuses the record (order_items_sku_lucky)",
        "3 read, 2 created, 0 updated, 0 unchanged, 1 refused",
    ]
    assert await store.fetch("SELECT count(*) FROM orders") == [(2,)]


async def test_carriers_and_channels_are_updated_by_name_and_code(store: Store) -> None:
    described = {**SWIFT, "descriptions": [{"language": "EN", "value": "Quick"}, {"language": "NL", "value": "Snel"}]}
    assert await store.take(SHOP, described) == ["2 read, 2 created, 0 updated, 0 unchanged, 0 refused"]
    before = await store.rows()
    assert await store.take(SHOP, described, SWIFT) == ["3 read, 0 created, 0 updated, 3 unchanged, 0 refused"]
    assert await store.rows() == before
    described["descriptions"] = [{"language": "EN", "value": "Quicker"}]
    renamed = {**SHOP, "name": "The shop"}
    assert await store.take(renamed, described) == ["2 read, 0 created, 2 updated, 0 unchanged, 0 refused"]
    assert await store.fetch("SELECT language, value FROM carrier_descriptions") == [("EN", "Quicker")]
    assert await store.fetch("SELECT name FROM channels") == [("The shop",)]


async def test_channel_has_a_time_zone_and_keeps_it(store: Store) -> None:
    zone = "SELECT time_zone, channel_time_zone(id) FROM channels"
    assert await store.take(SHOP) == ["1 read, 1 created, 0 updated, 0 unchanged, 0 refused"]
    assert await store.fetch(zone) == [("UTC", "UTC")]
    assert await store.take({**SHOP, "timeZone": "Europe/Amsterdam"}) == [
        "1 read, 0 created, 1 updated, 0 unchanged, 0 refused"
    ]
    assert await store.take({**SHOP, "timeZone": None}, SHOP) == [
        "2 read, 0 created, 0 updated, 2 unchanged, 0 refused"
    ]
    assert await store.fetch(zone) == [("Europe/Amsterdam", "Europe/Amsterdam")]


async def test_carrier_has_a_time_zone_and_keeps_it(store: Store) -> None:
    zone = "SELECT time_zone FROM carriers"
    await store.take(SWIFT)
    assert await store.fetch(zone) == [(None,)]
    refused, _ = await store.take({**SWIFT, "timeZone": "Europe/Atlantis"})
    assert refused == "1: $.timeZone: expected a name of the IANA time zone database such as Europe/Amsterdam"
    assert await store.take({**SWIFT, "timeZone": "Asia/Tokyo"}) == [
        "1 read, 0 created, 1 updated, 0 unchanged, 0 refused"
    ]
    assert await store.take({**SWIFT, "timeZone": None}, SWIFT) == [
        "2 read, 0 created, 0 updated, 2 unchanged, 0 refused"
    ]
    assert await store.fetch(zone) == [("Asia/Tokyo",)]
    await store.take({**SWIFT, "name": "Slow", "timeZone": "Europe/Paris"})
    assert await store.fetch(zone + " WHERE name = 'Slow'") == [("Europe/Paris",)]


@pytest.mark.parametrize("name", ["Europe/Atlantis", "europe/amsterdam", "posix/Europe/Paris", "x+3", "+02:00", "CEST"])
async def test_channel_of_an_unknown_time_zone_is_refused(store: Store, name: str) -> None:
    report = await store.take({**SHOP, "timeZone": name}, order(1))
    assert report[0] == "1: $.timeZone: expected a name of the IANA time zone database such as Europe/Amsterdam"
    assert report[1] == '2: $.channel: unknown channel "shop"'
    assert await store.fetch("SELECT code FROM channels") == []


@pytest.mark.parametrize(("zone", "is_before"), [("America/New_York", False), ("Europe/Amsterdam", True)])
async def test_day_is_a_promise_from_the_day_of_creation_where_the_channel_is(
    store: Store, zone: str, is_before: bool
) -> None:
    made = shipment(1, createdAt="2024-03-02T03:00:00Z", expectedDeliveryAt="2024-03-01")
    given = order(1, createdAt="2024-02-01T00:00:00Z", shipments=[made], requestedDeliveryAt="2024-02-20")
    report = await store.take({**SHOP, "timeZone": zone}, SWIFT, given)
    refusal = "3: $.shipments[0].expectedDeliveryAt: must not lie before the shipment's creation"
    assert report[:-1] == ([refusal] if is_before else [])
    if not is_before:
        midnight = datetime(2024, 3, 1, tzinfo=UTC)
        assert await store.fetch("SELECT expected_delivery_at FROM shipments") == [(midnight,)]
        asked = "SELECT postage_request_date FROM orders"
        assert await store.fetch(asked) == [(datetime(2024, 2, 20, tzinfo=UTC),)]


async def test_carrier_of_a_channel_is_a_record_of_its_own_and_known_there_alone(store: Store) -> None:
    own = {**SWIFT, "channel": "shop", "trackAndTraceURL": "https://shop.example/{code}"}
    records = [SHOP, {**SHOP, "code": "other"}, SWIFT, own, {**own, "name": "Only"}]
    records += [order(1), order(2, channel="other", shipments=[shipment(2)])]
    assert await store.take(*records) == ["7 read, 7 created, 0 updated, 0 unchanged, 0 refused"]
    used = await store.fetch(
        "SELECT h.code, c.track_and_trace_url FROM track_and_traces t JOIN carriers c ON c.id = t.carrier_id"
        " JOIN channels h ON h.id = t.channel_id ORDER BY h.id"
    )
    assert used == [("shop", own["trackAndTraceURL"]), ("other", SWIFT["trackAndTraceURL"])]
    assert await store.take(*records) == ["7 read, 0 created, 0 updated, 7 unchanged, 0 refused"]
    only = shipment(3, trackAndTraces=[{"carrier": "Only", "code": "T-3"}])
    assert await store.take(order(3, channel="other", shipments=[only]), {**SWIFT, "channel": "nowhere"}) == [
        '1: $.shipments[0].trackAndTraces[0].carrier: unknown carrier "Only"',
        '2: $.channel: unknown channel "nowhere"',
        "2 read, 0 created, 0 updated, 0 unchanged, 2 refused",
    ]


async def test_code_keeps_its_carrier_when_its_channel_gets_one_of_the_same_name(store: Store) -> None:
    await store.take(SHOP, SWIFT, order(1))
    await store.take({**SWIFT, "channel": "shop"})
    before = await store.fetch("SELECT id, carrier_id FROM track_and_traces")
    assert await store.take(SHOP, SWIFT, order(1)) == ["3 read, 0 created, 0 updated, 3 unchanged, 0 refused"]
    assert await store.fetch("SELECT id, carrier_id FROM track_and_traces") == before
    await store.take(order(2))
    assert await store.fetch(
        "SELECT t.code, h.code FROM track_and_traces t JOIN carriers c ON c.id = t.carrier_id"
        " LEFT JOIN channels h ON h.id = c.channel_id ORDER BY t.code"
    ) == [("T-1", None), ("T-2", "shop")]


async def test_carrier_that_has_gone_since_the_import_began_is_refused(
    store: Store, connection_to: ConnectionTo
) -> None:
    await store.take(SHOP, {**SHOP, "code": "other"}, SWIFT)
    connection = await connection_to(store.dsn)
    known = await staging.known(connection)
    record = read(json.dumps(order(1)).encode())
    record.check(known)
    await connection.execute("UPDATE carriers SET channel_id = (SELECT id FROM channels WHERE code = 'other')")
    _, [(place, refusal)] = await staging.write(connection, [staging.stage("1", record)])
    assert (place, str(refusal)) == ("1", '$.shipments[0].trackAndTraces[0].carrier: unknown carrier "Swift"')


async def test_same_order_twice_in_a_file_leaves_the_later_one(store: Store) -> None:
    said = await store.take(SHOP, SWIFT, order(), order(status="COMPLETED"))
    assert said == ["4 read, 3 created, 1 updated, 0 unchanged, 0 refused"]
    assert await store.fetch("SELECT status FROM orders") == [("COMPLETED",)]


async def test_strict_applies_all_or_nothing(store: Store) -> None:
    said = await store.take(SHOP, SWIFT, order(1), order(2, status="LOST"), order(3), strict=True)
    assert said == ['4: $.status: unknown order status "LOST"', "4 read, 1 refused: nothing was applied"]
    assert store.status == 1
    assert await store.fetch("SELECT code FROM channels") == []
    await store.take(SHOP, SWIFT, order(1), strict=True)
    assert store.status == 0
    assert await store.fetch("SELECT external_id FROM orders") == [("O-1",)]


async def test_strict_takes_back_what_the_store_refuses(store: Store) -> None:
    twin = order(2, **BEN, shipments=[shipment(1)])
    said = await store.take(SHOP, SWIFT, order(1), twin, strict=True)
    assert said[-1] == "4 read, 1 refused: nothing was applied"
    assert await store.fetch("SELECT code FROM channels") == []


async def test_gzip_and_standard_input_are_read(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = tmp_path / "shop.ndjson.gz"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + json.dumps(SHOP).encode() + b"\r\n\r\n"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(SWIFT).encode())))
    assert await store.take_file(packed, "-") == ["2 read, 2 created, 0 updated, 0 unchanged, 0 refused"]


async def test_damaged_and_missing_files_do_not_stop_the_others(store: Store, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.ndjson.gz"
    damaged.write_bytes(gzip.compress(json.dumps(SHOP).encode() * 500)[:-20])
    plain = tmp_path / "plain.ndjson"
    plain.write_text(json.dumps(SWIFT))
    said = await store.take_file(tmp_path / "missing.ndjson", damaged, plain)
    assert said == [
        "1: $: No such file or directory",
        "1: $: the gzip file ends too early",
        "1 read, 1 created, 0 updated, 0 unchanged, 2 refused",
    ]
    assert store.status == 1


async def test_line_that_is_too_long_is_refused_and_passed_over(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "long.ndjson"
    file.write_bytes(b"x" * (2 * MAX_LINE + 5) + b"\n" + json.dumps(SHOP).encode() + b"\n" + b"y" * (MAX_LINE + 1))
    assert await store.take_file(file) == [
        "1: $: longer than 4 MB",
        "3: $: longer than 4 MB",
        "3 read, 1 created, 0 updated, 0 unchanged, 2 refused",
    ]


async def test_killed_import_leaves_whole_records(store: Store, connection_to: ConnectionTo) -> None:
    records = [SHOP, SWIFT, *(order(n, createdAt="2024-03-01T09:00:00Z") for n in range(1050))]
    store.file.write_text("".join(json.dumps(record) + "\n" for record in records))
    holder = await connection_to(store.dsn)
    # It waits in the middle of its second batch.
    await holder.execute("""
        CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$;
        CREATE TRIGGER hold BEFORE INSERT ON orders FOR EACH ROW WHEN (NEW.external_id = 'O-1020')
        EXECUTE FUNCTION hold();
        SELECT pg_advisory_lock(42)
    """)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "import", str(store.file)),
        cwd=Path(__file__).parents[3],
        env={**os.environ, "DATABASE_URL": store.dsn},
    )
    waiting = await until_blocked(holder)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await holder.execute("SELECT pg_advisory_unlock(42)")
    await until_gone(holder, waiting)
    (count,) = (await store.fetch("SELECT count(*) FROM orders"))[0]
    assert 0 < count < 1020
    assert await store.fetch(
        """SELECT count(*) FROM orders o
        WHERE (SELECT count(*) FROM order_items l WHERE l.order_id = o.id) = 2
          AND (SELECT count(*) FROM track_and_traces t WHERE t.order_id = o.id) = 1"""
    ) == [(count,)]
    assert await consistency.breaches(store.dsn) == {}
    said = await store.take_file(store.file)
    assert said == [f"1,052 read, {1050 - count:,} created, 0 updated, {count + 2:,} unchanged, 0 refused"]
    assert await store.told("SHIPMENT", "import") == [("CREATED", 1050)]
    assert await consistency.breaches(store.dsn) == {}


async def test_two_imports_of_a_file_at_once_load_it_once(store: Store) -> None:
    records = [SHOP, SWIFT, *(order(n, createdAt="2024-03-01T09:00:00Z") for n in range(1050))]
    store.file.write_text("".join(json.dumps(record) + "\n" for record in records))
    reports = await asyncio.gather(store.take_file(store.file), store.take_file(store.file))
    assert all(said[0].endswith(" 0 refused") for said in reports)
    assert await store.fetch("SELECT count(*) FROM orders") == [(1050,)]


@needs_pgbouncer
@pytest.mark.parametrize("strict", [False, True])
async def test_behind_a_pooler_that_keeps_sessions_it_imports_under_its_name(store: Store, strict: bool) -> None:
    direct = store.dsn
    with pooler(direct, "session") as store.dsn:
        report = await store.take(SHOP, SWIFT, order(1), strict=strict)
    store.dsn = direct
    assert store.status == 0, report
    assert await store.fetch("SELECT DISTINCT actor FROM transactions") == [("import",)]


@needs_pgbouncer
async def test_behind_a_pooler_that_shares_sessions_it_says_what_it_needs(store: Store) -> None:
    direct = store.dsn
    with pooler(direct, "transaction") as store.dsn:
        [line] = await store.take(SHOP, SWIFT, order(1))
    store.dsn = direct
    assert store.status == 1
    assert "needs a session of its own" in line
    assert await store.fetch("SELECT count(*) FROM orders") == [(0,)]


async def test_unreachable_server_is_one_sentence() -> None:
    report = io.StringIO()
    assert await ingest("postgresql://nobody@127.0.0.1:1/none", [str(BROKEN)], report=report) == 1
    assert report.getvalue() == "the import has stopped: the database failed (ConnectionRefusedError)\n"


async def test_progress_shows_lines_rate_and_time_left(fresh_dsn: str) -> None:
    report = io.StringIO()
    await ingest(fresh_dsn, [str(BROKEN)], report=report, progress=True)
    assert "lines, " in report.getvalue()
    assert " a second, 0:00 left" in report.getvalue()


async def test_the_planner_knows_what_was_imported(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next import finds rows by statistics, or it would take several times as long as the first."""
    monkeypatch.setattr("app.importer.ingest._BATCH_RECORDS", 3)
    await store.take(SHOP, SWIFT, *(order(n) for n in range(1, 18)))
    await store.take(*(order(n) for n in range(18, 21)))
    known = await store.fetch("""SELECT relname, reltuples::int FROM pg_class WHERE relname = ANY (
        '{orders,order_items,order_addresses,shipments,shipment_items,track_and_traces,companies,customers}')""")
    assert len(known) == 8
    for table, rows in known:
        [(count,)] = await store.fetch(f"SELECT count(*) FROM {table}")
        assert (table, rows) == (table, count)


@pytest.mark.parametrize("strict", [False, True])
async def test_dry_run_says_what_would_happen_and_writes_nothing(store: Store, strict: bool) -> None:
    await store.take(SHOP, SWIFT, order(1))
    before = await store.rows()
    records = [
        order(1, reference="PO-1"),
        order(2),
        order(3, shipments=[shipment(3, items=[{"line": 1, "quantity": 9}])]),
    ]
    said = await store.take(*records, strict=strict, dry_run=True)
    assert store.status == 1
    assert await store.rows() == before
    refused = "3: $.shipments[0].items[0].quantity: more of line 1 is shipped than ordered"
    summary = (
        "3 read, 1 refused: nothing was applied"
        if strict
        else "3 read, 1 created, 1 updated, 0 unchanged, 1 refused: a dry run, nothing was applied"
    )
    assert said == [refused, summary]
    assert await store.take(*records[:2]) == ["2 read, 1 created, 1 updated, 0 unchanged, 0 refused"]


def test_every_statement_of_the_import_is_sent() -> None:
    named = set(sql.load("ingest").statements)
    frame = {"has_staging", "staging", "is_staged", "empty_staging", "measure_store", "begin", "take_turn"}
    frame |= {"known", "time_zones"}
    outcomes = {"outcome", "outcome_of_events"}
    of_channels = {"channel", "channel_statuses", "refuse_channel_currency", "channel_rates"}
    alone = {"carrier", "refuse_carrier_name", "customer"}
    assert named == {*staging.STEPS, *staging.EVENT_STEPS, *frame, *outcomes, *of_channels, *alone}


# ----------------------------------------------------------------------------------- what can be shipped: docs/lines.md


SMALLER_UNIT = "use a smaller unit, such as grams in place of kilograms"


def pack(**fields: Any) -> list[dict[str, Any]]:
    """Two packs, each of one of line 2 and two of line 3, with their deposit."""
    return [
        line(1, quantity=2, **fields),
        line(2, quantity=2, parentLine=1),
        line(3, quantity=4, parentLine=1),
        line(4, quantity=2, parentLine=1, **{"class": "deposit"}),
    ]


async def progress(store: Store) -> dict[int, tuple[int, int, int]]:
    """Of each line what is canceled, shipped and delivered."""
    rows = await store.fetch(
        "SELECT line, quantity_canceled, quantity_shipped, quantity_delivered FROM order_items ORDER BY line"
    )
    return {number: (canceled, shipped, delivered) for number, canceled, shipped, delivered in rows}


@pytest.mark.parametrize(
    "items",
    [
        [{"line": 2, "quantity": 2}, {"line": 3, "quantity": 4}],
        [{"line": 1, "quantity": 2}],
        [{"line": 1, "quantity": 2}, {"line": 2, "quantity": 2}, {"line": 3, "quantity": 4}],
    ],
    ids=["its parts", "itself", "both"],
)
async def test_bundle_is_shipped_as_far_as_its_parts_are(store: Store, items: list[dict[str, Any]]) -> None:
    record = order(items=pack(), shipments=[shipment(1, items=items, status="DELIVERED")])
    assert await store.take(SHOP, SWIFT, record) == ["3 read, 3 created, 0 updated, 0 unchanged, 0 refused"]
    assert await progress(store) == {1: (0, 2, 2), 2: (0, 2, 2), 3: (0, 4, 4), 4: (0, 0, 0)}
    assert await store.fetch("SELECT ordered, shipped, delivered FROM order_progress(1, 1)") == [(6, 6, 6)]
    assert await consistency.breaches(store.dsn) == {}
    before = await store.rows()
    assert await store.take(SHOP, SWIFT, record) == ["3 read, 0 created, 0 updated, 3 unchanged, 0 refused"]
    assert await store.rows() == before


async def test_bundle_of_which_less_is_ordered_and_shipped_later_stays_what_its_parts_are(store: Store) -> None:
    shipped = [shipment(1, items=[{"line": 1, "quantity": 2}])]
    await store.take(SHOP, SWIFT, order(items=pack(), shipments=shipped))
    less = [line(1, quantity=1), line(2, quantity=1), line(3, quantity=2), line(4, quantity=1)]
    assert (await store.take(order(items=less, shipments=[shipment(1, items=[{"line": 2, "quantity": 1}])])))[-1] == (
        "1 read, 0 created, 1 updated, 0 unchanged, 0 refused"
    )
    assert await progress(store) == {1: (0, 0, 0), 2: (0, 1, 0), 3: (0, 0, 0), 4: (0, 0, 0)}
    parents = (
        "SELECT l.line, p.line FROM order_items l LEFT JOIN order_items p ON p.id = l.parent_order_item_id ORDER BY 1"
    )
    assert await store.fetch(parents) == [(1, None), (2, 1), (3, 1), (4, 1)]
    assert await consistency.breaches(store.dsn) == {}


async def test_line_whose_only_part_is_none_is_shipped_itself(store: Store) -> None:
    items = [line(1, quantity=2), line(2, quantity=0, parentLine=1)]
    await store.take(SHOP, SWIFT, order(items=items, shipments=[]))
    fulfillment = "SELECT status FROM order_fulfillments"
    assert await store.fetch(fulfillment) == [("UNFULFILLED",)]
    shipped = [shipment(1, items=[{"line": 1, "quantity": 2}], status="DELIVERED")]
    assert (await store.take(order(items=items, shipments=shipped)))[-1].endswith("1 updated, 0 unchanged, 0 refused")
    assert await progress(store) == {1: (0, 2, 2), 2: (0, 0, 0)}
    assert await store.fetch(fulfillment) == [("DELIVERED",)]
    assert await consistency.breaches(store.dsn) == {}


async def test_what_is_canceled_is_not_left_to_ship_and_stays_where_a_record_does_not_mention_it(store: Store) -> None:
    await store.take(SHOP, SWIFT, order(items=[line(1, quantity=5, quantityCanceled=2), line(2, quantity=0)]))
    shipped = [shipment(1, items=[{"line": 1, "quantity": 4}])]
    assert await store.take(order(items=[line(1, quantity=5), line(2)], shipments=shipped)) == [
        "1: $.items: line 1: 4 shipped in the store, but 5 ordered and 2 canceled",
        "1 read, 0 created, 0 updated, 0 unchanged, 1 refused",
    ]
    await store.take(order(items=[line(1, quantity=4), line(2)]))  # one of the two is taken off
    assert (await progress(store))[1] == (1, 2, 0)
    await store.take(order(items=[line(1, quantity=4, quantityCanceled=None), line(2)], shipments=shipped))
    assert (await progress(store))[1] == (0, 4, 0)
    assert await consistency.breaches(store.dsn) == {}


async def test_what_is_canceled_of_a_bundle_is_of_its_parts(store: Store) -> None:
    await store.take(SHOP, SWIFT, order(items=pack(quantityCanceled=1), shipments=[]))
    assert await progress(store) == {1: (1, 0, 0), 2: (1, 0, 0), 3: (2, 0, 0), 4: (1, 0, 0)}


async def test_whole_numbers_are_taken_however_they_are_written(store: Store) -> None:
    items = [line(1, quantity="2", unit="kg"), line(2, quantity=3.0, quantityCanceled="1.0")]
    record = order(items=items, shipments=[shipment(1, items=[{"line": "1", "quantity": 2.0}])])
    assert (await store.take(SHOP, SWIFT, record))[-1] == "3 read, 3 created, 0 updated, 0 unchanged, 0 refused"
    assert await store.fetch("SELECT quantity, quantity_canceled, quantity_unit FROM order_items ORDER BY line") == [
        (2, 0, "kg"),
        (3, 1, None),
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"items": [line(1, quantity=1.5)]},
            f"$.items[0].quantity: expected a whole number, got 1.5: {SMALLER_UNIT}",
        ),
        (
            {"items": [line(1, quantity="1.25")]},
            f"$.items[0].quantity: expected a whole number, got 1.25: {SMALLER_UNIT}",
        ),
        ({"items": [line(1, quantity="some")]}, "$.items[0].quantity: expected `int`, got `str`"),
        ({"items": [line(1, quantityCanceled=4)]}, "$.items[0].quantityCanceled: more is canceled than ordered"),
        ({"items": [line(1, parentLine=2)]}, "$.items[0].parentLine: 2 is no line of the order"),
        ({"items": [line(1, parentLine=1)]}, "$.items[0].parentLine: a line is no part of itself"),
        (
            {"items": [line(1, **{"class": "postage"})]},
            "$.shipments[0].items[0].line: line 1 is of class postage, which is not shipped",
        ),
        (
            {"items": [line(1, quantityCanceled=2)]},
            "$.shipments[0].items[0].quantity: more of line 1 is shipped than ordered",
        ),
        ({"status": "CANCELED"}, "$.shipments[0]: an order that is CANCELED cannot be shipped"),
        ({"status": "QUOTATION"}, "$.shipments[0]: an order that is QUOTATION cannot be shipped"),
    ],
    ids=str,
)
async def test_record_that_ships_what_cannot_be_shipped_is_refused(
    store: Store, fields: dict[str, Any], reason: str
) -> None:
    assert await store.take(SHOP, SWIFT, order(**fields)) == [
        f"3: {reason}",
        "3 read, 2 created, 0 updated, 0 unchanged, 1 refused",
    ]


@pytest.mark.parametrize(
    ("status", "shipped"),
    [("CANCELED", "IN_TRANSIT"), ("CANCELED", "DELIVERED"), ("FRAUD", "CANCELED"), ("ARCHIVED", None)],
)
async def test_record_tells_of_the_past_of_an_order_that_cannot_be_shipped(
    store: Store, status: str, shipped: str | None
) -> None:
    record = order(status=status, shipments=[shipment(1, status=shipped)])
    assert (await store.take(SHOP, SWIFT, record))[-1] == "3 read, 3 created, 0 updated, 0 unchanged, 0 refused"


async def test_shipment_that_is_delivered_takes_no_more_from_a_record(store: Store) -> None:
    await store.take(SHOP, SWIFT, order(shipments=[shipment(1, status="DELIVERED")]))
    more = order(
        shipments=[shipment(1, status="DELIVERED", items=[{"line": 1, "quantity": 2}, {"line": 2, "quantity": 1}])]
    )
    assert await store.take(more) == [
        "1: $.shipments[0].items: the shipment is DELIVERED, and closed for items: 1 more of line 2",
        "1 read, 0 created, 0 updated, 0 unchanged, 1 refused",
    ]


async def test_line_that_was_shipped_does_not_become_a_charge(store: Store) -> None:
    await store.take(SHOP, SWIFT, order())
    charge = order(items=[line(1, **{"class": "surcharge"}), line(2)], shipments=None)
    assert (await store.take(charge))[0] == "1: $.items: line 1 has been shipped and cannot become surcharge"


async def test_line_that_was_shipped_does_not_become_a_bundle(store: Store) -> None:
    delivered = [shipment(1, status="DELIVERED", items=[{"line": 1, "quantity": 3}])]
    await store.take(SHOP, SWIFT, order(shipments=delivered))
    spare = line(3, parentLine=1)
    before = await store.rows()
    for shipments in (None, delivered):
        assert (await store.take(order(items=[line(1), line(2), spare], shipments=shipments)))[0] == (
            "1: $.items: line 1 has been shipped and cannot become a bundle, of line 3"
        )
    assert await store.rows() == before
    # What is no goods makes none.
    deposit = {**spare, "class": "deposit"}
    assert await store.take(order(items=[line(1), line(2), deposit], shipments=None)) == [
        "1 read, 0 created, 1 updated, 0 unchanged, 0 refused"
    ]


async def test_orders_of_a_channel_finish(store: Store) -> None:
    finishing = {**SHOP, "shippedStatus": None, "deliveredStatus": "COMPLETED"}
    goods = [{"line": 1, "quantity": 3}, {"line": 2, "quantity": 3}]
    under_way, done = (order(shipments=[shipment(1, items=goods, status=s)]) for s in ("IN_TRANSIT", "DELIVERED"))
    await store.take(finishing, SWIFT, under_way)
    assert await store.fetch("SELECT status FROM orders") == [("CONFIRMED",)]
    await store.take(done)
    assert await store.fetch("SELECT status FROM orders") == [("COMPLETED",)]
    before = await store.rows()
    assert (await store.take(finishing, SWIFT, done))[-1] == "3 read, 0 created, 0 updated, 3 unchanged, 0 refused"
    assert await store.rows() == before
    await store.take(SHOP, order(2, shipments=[shipment(2, items=goods, status="DELIVERED")]))
    assert await store.fetch("SELECT status FROM orders ORDER BY id") == [("COMPLETED",), ("COMPLETED",)]
    assert await store.take({**SHOP, "deliveredStatus": None})
    assert await store.fetch("SELECT shipped_status, delivered_status FROM channels") == [(None, None)]
    assert await store.take({**SHOP, "shippedStatus": "SENT"}) == [
        '1: $.shippedStatus: unknown order status "SENT"',
        "1 read, 0 created, 0 updated, 0 unchanged, 1 refused",
    ]


# -------------------------------------------------------------------------------------------------------------- keys

CODES = (
    "SELECT t.id, t.code, c.name FROM track_and_traces t LEFT JOIN carriers c ON c.id = t.carrier_id ORDER BY t.code"
)
UNCHANGED = "0 created, 0 updated, 3 unchanged, 0 refused"


@pytest.mark.parametrize("key", [None, "swift", "SW-1"])
async def test_carrier_that_is_renamed_here_is_the_same_to_its_records(store: Store, key: str | None) -> None:
    carrier = SWIFT if key is None else {**SWIFT, "key": key}
    await store.take(SHOP, carrier, order(1))
    [(code, _, _)] = await store.fetch(CODES)
    await store.fetch("UPDATE carriers SET name = 'Swift Logistics'")
    assert await store.take(SHOP, carrier, order(1)) == [f"3 read, {UNCHANGED}"]
    assert await store.fetch(CODES) == [(code, "T-1", "Swift Logistics")]
    # Another name of the records is news.
    assert await store.take({**carrier, "name": "Swifter", "key": key or "swift"}) == [
        "1 read, 0 created, 1 updated, 0 unchanged, 0 refused"
    ]
    assert await store.fetch(CODES) == [(code, "T-1", "Swifter")]


@pytest.mark.parametrize("called", ["sw-1", "SW-1", "Swift"])
async def test_codes_name_their_carrier_by_its_key_or_name(store: Store, called: str) -> None:
    parcel = shipment(1, trackAndTraces=[{"carrier": called, "code": "T-1"}])
    await store.take(SHOP, {**SWIFT, "key": "SW-1"}, order(1, shipments=[parcel]))
    assert [(code, name) for _, code, name in await store.fetch(CODES)] == [("T-1", "Swift")]
    assert await store.fetch("SELECT key FROM carriers") == [("sw-1",)]


async def test_carrier_keeps_its_key_where_a_record_of_its_name_has_another(store: Store) -> None:
    await store.take(SHOP, {**SWIFT, "key": "sw"}, {**SWIFT, "name": "Rapid"})
    assert await store.take({**SWIFT, "key": "s1"}, {**SWIFT, "key": "rapid"}, {**SWIFT, "key": "a b"}, SWIFT) == [
        "3: $.key: must be letters and digits of ASCII, with single -, . or _ between them",
        '1: $.name: in use by the carrier with the key "sw"',
        '2: $.name: in use by the carrier with the key "sw"',
        "4 read, 0 created, 0 updated, 1 unchanged, 3 refused",
    ]
    assert await store.fetch("SELECT key, name FROM carriers ORDER BY key") == [("rapid", "Rapid"), ("sw", "Swift")]


async def test_codes_are_the_same_however_records_write_them(store: Store) -> None:
    await store.take(SHOP, SWIFT, order(1))
    before = await store.fetch(CODES)
    for code in ("t 1", "T1", "https://swift.example/T-1"):
        parcel = shipment(1, trackAndTraces=[{"carrier": "Swift", "code": code}])
        assert await store.take(SHOP, SWIFT, order(1, shipments=[parcel])) == [f"3 read, {UNCHANGED}"]
        assert await store.fetch(CODES) == before
    twice = shipment(1, trackAndTraces=[{"carrier": "Swift", "code": code} for code in ("T-1", "t1")])
    assert (await store.take(order(1, shipments=[twice])))[0] == (
        '1: $.shipments[0].trackAndTraces[1].code: "t1" is a duplicate'
    )


async def test_parcel_that_gets_a_carrier_is_the_same(store: Store) -> None:
    await store.take(SHOP, SWIFT, order(1, shipments=[shipment(1, trackAndTraces=[{"code": "T-1"}])]))
    [(code, _, _)] = await store.fetch(CODES)
    await store.take(SHOP, SWIFT, order(1))
    assert await store.fetch(CODES) == [(code, "T-1", "Swift")]
    await store.take(order(1, shipments=[shipment(1, trackAndTraces=[{"code": "T-1"}])]))
    assert await store.fetch(CODES) == [(code, "T-1", "Swift")]


async def test_shipments_of_one_consignee_share_a_code(store: Store) -> None:
    parcels = [shipment(n, items=[{"line": n, "quantity": 1}]) for n in (1, 2)]
    for parcel in parcels:
        parcel["trackAndTraces"] = [{"carrier": "Swift", "code": "T-1"}]
    records = [order(1, shipments=parcels), order(3, shipments=[{**parcels[0], "externalId": "S-3"}])]
    assert await store.take(SHOP, SWIFT, *records) == ["4 read, 4 created, 0 updated, 0 unchanged, 0 refused"]
    assert await store.take(*records) == ["2 read, 0 created, 0 updated, 2 unchanged, 0 refused"]
    assert [code for _, code, _ in await store.fetch(CODES)] == ["T-1"] * 3


MADE = """
WITH own AS (
  INSERT INTO shipments (order_id, channel_id, external_id, status, is_made_here)
  SELECT id, channel_id, $1, 'IN_TRANSIT', true FROM orders WHERE external_id = 'O-1' RETURNING *
), items AS (
  INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, quantity)
  SELECT own.id, l.id, l.order_id, l.channel_id, $4 FROM own JOIN order_items l USING (order_id) WHERE l.line = 1
), sources AS (
  INSERT INTO shipment_sources (shipment_id, order_id, channel_id, name, id)
  SELECT id, order_id, channel_id, 'wms', $3 FROM own WHERE $3::text IS NOT NULL
)
INSERT INTO track_and_traces (shipment_id, order_id, channel_id, code)
SELECT id, order_id, channel_id, unnest($2::text[]) FROM own RETURNING shipment_id
"""
SHIPPED = """
SELECT s.id, s.external_id, s.status,
  (SELECT array_agg(t.code ORDER BY t.code) FROM track_and_traces t WHERE t.shipment_id = s.id),
  (SELECT sum(x.quantity)::int FROM shipment_items x WHERE x.shipment_id = s.id)
FROM shipments s ORDER BY s.created_at, s.number
"""


async def made(store: Store, key: str | None, codes: list[str], source: str | None = None, quantity: int = 2) -> Any:
    """A shipment that a mutation has recorded."""
    rows = await store.fetch(MADE, key, codes, source, quantity)
    return rows[0][0]


@pytest.mark.parametrize(
    ("key", "codes", "source", "note"),
    [
        ("DN-1", ["X"], None, {}),
        (None, ["X", "t 1"], None, {}),
        ("WMS-1", ["t 1"], None, {}),
        ("WMS-1", ["X"], "DN-1", {}),
        (None, ["X"], "P-7", {"sources": [{"id": "P-7", "name": "WMS"}]}),
        ("P-7", ["X"], None, {"sources": [{"id": "P-7", "name": "WMS"}]}),
    ],
    ids=["key", "code", "code of another key", "key as a source", "source", "source that is the key"],
)
async def test_export_adopts_the_parcel_that_was_made_here(
    store: Store, key: str | None, codes: list[str], source: str | None, note: dict[str, Any]
) -> None:
    await store.take(SHOP, SWIFT, order(1, shipments=[]))
    own = await made(store, key, codes, source)
    record = order(1, shipments=[{**shipment(1), "externalId": "DN-1", "status": "CREATED", **note}])
    assert await store.take(record) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    [(shipment_id, external_id, status, stored, quantity)] = await store.fetch(SHIPPED)
    assert (shipment_id, external_id, status, quantity) == (own, key or "DN-1", "IN_TRANSIT", 2)
    assert [code.replace(" ", "-").upper() for code in stored] == ["T-1"]
    assert await store.take(record) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]
    # What was made here stays where a record lists it no more.
    await store.take(order(1, shipments=[]))
    assert [row[0] for row in await store.fetch(SHIPPED)] == [own]
    assert await consistency.breaches(store.dsn) == {}


async def test_note_with_a_code_that_was_freed_is_of_the_parcel_under_way(store: Store) -> None:
    await store.take(SHOP, SWIFT, order(1, shipments=[]))
    gone = await made(store, "WMS-1", ["T-1"])
    await store.fetch(
        "UPDATE shipments SET status = 'CANCELED' WHERE set_config('waybill.overridden_steps', 'allowed', true) <> ''"
    )
    again = await made(store, "WMS-2", ["T-1"])
    notes = [
        {**shipment(1), "externalId": "DN-1", "status": "CANCELED", "sources": [{"id": "WMS-1", "name": "wms"}]},
        {**shipment(1), "externalId": "DN-2", "status": "PARTIALLY_DELIVERED"},
    ]
    assert await store.take(order(1, shipments=notes)) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    assert [row[:3] for row in await store.fetch(SHIPPED)] == [
        (gone, "WMS-1", "CANCELED"),
        (again, "WMS-2", "PARTIALLY_DELIVERED"),
    ]
    assert await store.take(order(1, shipments=notes)) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]
    now = datetime.now(UTC).isoformat()
    await store.take({"kind": "event", "code": "T-1", "status": "DELIVERED", "occurredAt": now})
    assert store.status == 0
    assert [row[2] for row in await store.fetch(SHIPPED)] == ["CANCELED", "DELIVERED"]


async def test_export_with_one_note_for_two_parcels_leaves_them_as_they_are(store: Store) -> None:
    await store.take(SHOP, SWIFT, order(1, shipments=[]))
    await made(store, None, ["T-1"], quantity=1)
    await made(store, "WMS-2", ["T-2"], quantity=2)
    before = await store.fetch(SHIPPED)
    codes = [{"carrier": "Swift", "code": f"T-{n}"} for n in (1, 2)]
    note = shipment(9, items=[{"line": 1, "quantity": 3}], trackAndTraces=codes)
    await store.take(order(1, shipments=[note]))
    assert store.status == 0
    assert await store.fetch(SHIPPED) == before
    assert await store.take(order(1, shipments=[note])) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]


async def test_export_with_two_notes_for_one_parcel_leaves_it_as_it_is(store: Store) -> None:
    await store.take(SHOP, SWIFT, order(1, shipments=[]))
    await made(store, "WMS-1", ["T-1", "T-2"], quantity=3)
    before = await store.fetch(SHIPPED)
    notes = [shipment(1, items=[{"line": 1, "quantity": 1}]), shipment(2, items=[{"line": 1, "quantity": 2}])]
    for _ in range(2):
        await store.take(order(1, shipments=notes))
        assert store.status == 0
        assert await store.fetch(SHIPPED) == before


async def test_note_that_is_renumbered_keeps_its_parcels(store: Store) -> None:
    await store.take(SHOP, SWIFT, order(1))
    [(own, *_)] = await store.fetch(SHIPPED)
    await store.take(order(1, shipments=[{**shipment(1), "externalId": "S-1A"}]))
    assert [row[:2] for row in await store.fetch(SHIPPED)] == [(own, "S-1A")]


async def test_order_has_the_reference_that_its_record_mentions(store: Store) -> None:
    reference = "SELECT reference FROM orders"
    for given, expected in (({"reference": "PO 7"}, "PO 7"), ({}, "PO 7"), ({"reference": None}, None)):
        await store.take(SHOP, SWIFT, order(1, **given))
        assert await store.fetch(reference) == [(expected,)]
