"""Generated orders: the same from the same seed, plausible, and in nobody's way."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.demo import fixtures
from app.demo.generate import UNTIL, generate
from app.demo.parcels import ROUTES
from tests import consistency
from tests.conftest import Databases
from tests.pooler import needs_pgbouncer, pooler


@pytest.fixture(scope="module")
def generated_dsn(databases: Databases, empty_template: str) -> str:
    """The fixtures and 800 generated orders, for reading."""

    async def fill(dsn: str) -> None:
        await fixtures.load(dsn)
        await generate(dsn, orders=800, seed=5)

    return databases.shared("generated", empty_template, fill)


@pytest.fixture
def three_dsns(databases: Databases, empty_template: str) -> Iterator[list[str]]:
    dsns = [databases.create(empty_template) for _ in range(3)]
    yield dsns
    for dsn in dsns:
        databases.drop(dsn)


async def fetch(dsn: str, query: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(query, *arguments)
    finally:
        await connection.close()


async def contents(dsn: str) -> dict[str, str]:
    """A digest of every table's rows, whatever order they lie in; not of when they were written."""
    tables = await fetch(
        dsn,
        """
        SELECT tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename !~ '^(schema_|order_status|transactions)'
        """,
    )
    return {
        name: (await fetch(dsn, f"SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM {name} AS t"))[0][0]
        for (name,) in tables
    }


async def test_same_seed_gives_the_same_rows(three_dsns: list[str]) -> None:
    one, two, other = three_dsns
    await generate(one, orders=40, seed=3)
    await generate(two, orders=40, seed=3)
    await generate(other, orders=40, seed=4)
    assert await contents(one) == await contents(two)
    assert (await contents(one))["orders"] != (await contents(other))["orders"]


async def test_a_second_run_adds_to_the_first(fresh_dsn: str, rules: dict[str, str]) -> None:
    await generate(fresh_dsn, orders=30, seed=3)
    before = await fetch(fresh_dsn, "SELECT * FROM orders ORDER BY id")
    await generate(fresh_dsn, orders=30, seed=3)
    after = await fetch(fresh_dsn, "SELECT * FROM orders ORDER BY id")
    assert after[:30] == before
    assert len(after) == 60
    for rule, breaches in rules.items():
        assert await fetch(fresh_dsn, breaches) == [], rule


async def test_progress_is_told_by_batch(fresh_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr("app.demo.generate._BATCH", 10)
    await generate(fresh_dsn, orders=25, seed=1, progress=lambda written, wanted: told.append((written, wanted)))
    assert told == [(10, 25), (20, 25), (25, 25)]


async def test_an_interruption_leaves_whole_batches(fresh_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(written: int, wanted: int) -> None:
        raise KeyError

    monkeypatch.setattr("app.demo.generate._BATCH", 10)
    with pytest.raises(KeyError):
        await generate(fresh_dsn, orders=30, seed=1, progress=interrupt)
    count = (await fetch(fresh_dsn, "SELECT count(*) FROM orders"))[0][0]
    assert count in (10, 20)


async def test_generated_orders_break_no_rule(generated_dsn: str, rules: dict[str, str]) -> None:
    for rule, breaches in rules.items():
        assert await fetch(generated_dsn, breaches) == [], rule


async def test_generated_orders_keep_the_stores_own_rules(generated_dsn: str) -> None:
    assert await consistency.breaches(generated_dsn) == {}
    told = await fetch(
        generated_dsn,
        "SELECT DISTINCT actor, action FROM changes JOIN transactions t ON t.id = transaction_id ORDER BY 1",
    )
    assert [tuple(row) for row in told] == [("fixtures", "CREATED"), ("generate", "CREATED")]


async def test_all_nine_shipment_statuses_occur_in_plausible_shares(generated_dsn: str) -> None:
    found = await fetch(generated_dsn, "SELECT status, count(*) FROM shipments WHERE order_id >= 10000 GROUP BY status")
    counts = dict(found)
    assert set(counts) == set(consistency.STEPS)
    assert counts["DELIVERED"] > 0.8 * sum(counts.values())


async def test_old_parcels_have_left_the_warehouse(generated_dsn: str) -> None:
    found = await fetch(
        generated_dsn,
        """
        SELECT DISTINCT status FROM shipments WHERE created_at < $1 AND order_id >= 10000
        AND status IN ('CREATED', 'PROCESSING', 'IN_TRANSIT', 'OUT_FOR_DELIVERY')
        """,
        UNTIL - timedelta(days=14),
    )
    assert found == []


async def test_orders_fill_the_year_before_until(fresh_dsn: str) -> None:
    until = datetime(2024, 3, 1, tzinfo=UTC)
    await generate(fresh_dsn, orders=200, seed=2, until=until)
    ((first, last, latest),) = await fetch(
        fresh_dsn, "SELECT min(created_at), max(created_at), max(last_modified_at) FROM orders"
    )
    assert timedelta(days=340) < until - first <= timedelta(days=365)
    assert until - last < timedelta(days=15)
    assert latest <= until


async def test_orders_are_split_and_partly_shipped(generated_dsn: str) -> None:
    split = await fetch(
        generated_dsn,
        "SELECT order_id FROM shipments WHERE status <> 'CANCELED' GROUP BY order_id HAVING count(*) > 1",
    )
    partly = await fetch(
        generated_dsn,
        """
        SELECT o.id FROM orders o JOIN shipments s ON s.order_id = o.id JOIN shipment_items i ON i.shipment_id = s.id
        WHERE s.status <> 'CANCELED' AND o.id >= 10000
        GROUP BY o.id HAVING sum(i.quantity) < (SELECT sum(quantity) FROM order_items l WHERE l.order_id = o.id)
        """,
    )
    assert len(split) > 50
    assert len(partly) > 1


async def test_the_world_has_several_of_everything(generated_dsn: str) -> None:
    ((channels, daughters, carriers, countries, taxes, guests),) = await fetch(
        generated_dsn,
        """
        SELECT (SELECT count(DISTINCT channel_id) FROM orders),
               (SELECT count(*) FROM companies WHERE parent_id IS NOT NULL AND id >= 100),
               (SELECT count(DISTINCT carrier_id) FROM track_and_traces),
               (SELECT count(DISTINCT country) FROM order_addresses),
               (SELECT array_agg(DISTINCT tax_percentage) FROM order_items),
               (SELECT count(*) FROM orders WHERE is_guest)
        """,
    )
    assert channels == 4
    assert daughters > 3
    assert carriers == 7
    assert countries == 7
    assert {0, 9, 21} <= set(taxes)
    assert guests > 10


async def test_the_fixtures_are_left_alone(generated_dsn: str, fresh_dsn: str) -> None:
    await fixtures.load(fresh_dsn)
    for table in ("orders", "order_items", "order_addresses"):
        query = f"SELECT * FROM {table} WHERE {'id' if table == 'orders' else 'order_id'} < 10000 ORDER BY id"
        assert await fetch(generated_dsn, query) == await fetch(fresh_dsn, query)
    taken = "SELECT id FROM orders WHERE id >= 10000 AND (company_id < 100 OR contact_id < 1000 OR customer_id < 1000)"
    assert await fetch(generated_dsn, taken) == []


def test_routes_keep_to_the_lifecycle() -> None:
    for route in ROUTES:
        assert route[0] == "CREATED"
        assert all(following in consistency.STEPS[status] for status, following in itertools.pairwise(route))


@needs_pgbouncer
@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_the_demo_passes_a_pooler(fresh_dsn: str, mode: str) -> None:
    with pooler(fresh_dsn, mode) as dsn:
        assert await fixtures.load(dsn)
        await generate(dsn, orders=20, seed=1)
    told = await fetch(
        fresh_dsn, "SELECT DISTINCT actor FROM changes JOIN transactions t ON t.id = transaction_id ORDER BY 1"
    )
    assert [tuple(row) for row in told] == [("fixtures",), ("generate",)]
