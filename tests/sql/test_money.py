"""What the store itself holds amounts, currencies, rates and refunds to (0013_money.sql, decision 23)."""

import asyncio
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from app.postgres.migrate import migrate, migrations
from app.postgres.steps import StepKind, steps
from tests.app.postgres.test_locks import FILLED
from tests.conftest import Databases
from tests.consistency import breaches
from tests.sql.test_write_rules import refused

MIGRATION = "0013_money.sql"
D = Decimal


@pytest.fixture
def store(copy_connection: asyncpg.Connection) -> asyncpg.Connection:
    return copy_connection


async def new_order(store: asyncpg.Connection, currency: str = "EUR", **columns: Any) -> int:
    """Of channel 1, whose currency is USD."""
    given: dict[str, Any] = {
        "channel_id": 1,
        "status": "NEW",
        "email": "",
        "currency": currency,
        **dict.fromkeys(("total_gross", "total_net", "total_tax", "sub_total"), D(0)),
        **columns,
    }
    places = ", ".join(f"${n}" for n in range(1, len(given) + 1))
    statement = f"INSERT INTO orders ({', '.join(given)}) VALUES ({places}) RETURNING id"
    key: int = await store.fetchval(statement, *given.values())
    return key


async def new_line(store: asyncpg.Connection, order: int, **columns: Any) -> int:
    given: dict[str, Any] = {
        "order_id": order,
        "channel_id": 1,
        "sku": "a",
        "name": "A",
        "quantity": 3,
        **dict.fromkeys(("price", "price_net", "price_total", "price_total_net", "tax"), D(0)),
        **columns,
    }
    places = ", ".join(f"${n}" for n in range(1, len(given) + 1))
    statement = f"INSERT INTO order_items ({', '.join(given)}) VALUES ({places}) RETURNING id"
    key: int = await store.fetchval(statement, *given.values())
    return key


async def ratio(store: asyncpg.Connection, order: int) -> Decimal | None:
    found: Decimal | None = await store.fetchval("SELECT currency_ratio FROM orders WHERE id = $1", order)
    return found


async def paid_back(store: asyncpg.Connection, order: int) -> tuple[str, int]:
    """As much, and the version of the order."""
    row = await store.fetchrow("SELECT refunded_total, version FROM orders WHERE id = $1", order)
    return f"{row['refunded_total']:.2f}", row["version"]


@pytest.mark.parametrize("code", ["ABC", "XXX", "XAU", "XDR"])
async def test_what_is_no_currency_is_refused_everywhere(store: asyncpg.Connection, code: str) -> None:
    assert await refused(new_order(store, code)) == "orders_currency_new"
    order = await new_order(store)
    change = store.execute("UPDATE orders SET currency = $1 WHERE id = $2", code, order)
    assert await refused(change) == "orders_currency_other"
    channel = "INSERT INTO channels (code, name, currency) VALUES ('x', 'X', $1)"
    assert await refused(store.execute(channel, code)) == "channels_currency_new"
    rate = "INSERT INTO channel_rates (channel_id, currency, rate) VALUES (1, $1, 1)"
    assert await refused(store.execute(rate, code)) == "channel_rates_currency_known"


@pytest.mark.parametrize(
    ("currency", "amount"),
    [
        ("JPY", "340.2"),
        ("EUR", "0.001"),
        ("KWD", "0.0001"),
        ("EUR", "1000000000000"),
        ("EUR", "NaN"),
        ("EUR", "Infinity"),
    ],
)
async def test_amount_is_in_whole_smallest_units_of_its_currency(
    store: asyncpg.Connection, currency: str, amount: str
) -> None:
    assert await refused(new_order(store, currency, sub_total=D(amount))) == "orders_amounts_new"
    order = await new_order(store, currency)
    change = store.execute("UPDATE orders SET discount_amount = $1 WHERE id = $2", D(amount), order)
    assert await refused(change) == "orders_amounts_other"
    assert await refused(new_line(store, order, price_total=D(amount))) == "order_items_amounts_new"
    line = await new_line(store, order)
    change = store.execute("UPDATE order_items SET tax = $1 WHERE id = $2", D(amount), line)
    assert await refused(change) == "order_items_amounts_other"
    refund = "INSERT INTO refunds (order_id, channel_id, amount) VALUES ($1, 1, $2)"
    assert await refused(store.execute(refund, order, D(amount))) == "refunds_amount"


@pytest.mark.parametrize(
    ("currency", "amount"), [("JPY", "340"), ("JPY", "340.00"), ("KWD", "12.550"), ("CLF", "0.0001")]
)
async def test_amounts_of_every_currency_are_taken(store: asyncpg.Connection, currency: str, amount: str) -> None:
    order = await new_order(store, currency, total_gross=D(amount), total_net=D(amount))
    await new_line(store, order, price=D("-0.894041"), price_total=-D(amount), price_total_net=-D(amount))


async def test_price_of_one_has_six_decimals(store: asyncpg.Connection) -> None:
    order = await new_order(store)
    assert await refused(new_line(store, order, price=D("0.0000001"))) == "order_items_prices_new"
    assert await refused(new_line(store, order, discount=D("0.0000001"))) == "order_items_prices_new"
    line = await new_line(store, order, price=D("0.000001"))
    change = store.execute("UPDATE order_items SET price = 0.0000001 WHERE id = $1", line)
    assert await refused(change) == "order_items_prices_other"


@pytest.mark.parametrize("percentage", ["-1", "100.1", "8.8750001", "NaN"])
async def test_percentage_of_tax_is_one(store: asyncpg.Connection, percentage: str) -> None:
    order = await new_order(store)
    line = new_line(store, order, exact_tax_percentage=D(percentage))
    assert await refused(line) == "order_items_exact_tax_percentage_sane"
    await new_line(store, order, exact_tax_percentage=D("8.875"))


async def test_what_broke_the_rule_before_stays_and_the_next_value_is_held_to_it(store: asyncpg.Connection) -> None:
    await store.execute("ALTER TABLE orders DISABLE TRIGGER orders_amounts_new")
    order = await new_order(store, "JPY", sub_total=D("340.2"))
    await store.execute("UPDATE orders SET discount_amount = 1, sub_total = sub_total WHERE id = $1", order)
    change = store.execute("UPDATE orders SET sub_total = 340.3 WHERE id = $1", order)
    assert await refused(change) == "orders_amounts_other"
    await store.execute("UPDATE orders SET sub_total = 340 WHERE id = $1", order)


async def test_order_has_the_rate_of_its_currency(store: asyncpg.Connection) -> None:
    await store.execute("INSERT INTO channel_rates (channel_id, currency, rate) VALUES (1, 'JPY', 150)")
    assert await ratio(store, await new_order(store, "USD")) == 1
    assert await ratio(store, await new_order(store, "JPY")) == 150
    assert await ratio(store, await new_order(store, "EUR")) is None
    order = await new_order(store, "EUR", currency_ratio=D("0.92"))
    assert await ratio(store, order) == D("0.92")
    await store.execute("UPDATE orders SET currency = 'JPY' WHERE id = $1", order)
    assert await ratio(store, order) == 150
    await store.execute("UPDATE orders SET currency = 'GBP' WHERE id = $1", order)
    assert await ratio(store, order) is None
    await store.execute("UPDATE orders SET currency = 'USD' WHERE id = $1", order)
    assert await ratio(store, order) == 1


async def test_rate_of_the_channels_own_currency_is_one(store: asyncpg.Connection) -> None:
    assert await refused(new_order(store, "USD", currency_ratio=D(2))) == "orders_ratio_new"
    order = await new_order(store, "USD")
    change = store.execute("UPDATE orders SET currency_ratio = 2 WHERE id = $1", order)
    assert await refused(change) == "orders_ratio_other"
    await store.execute("UPDATE orders SET currency_ratio = NULL WHERE id = $1", order)
    assert await ratio(store, order) == 1


@pytest.mark.parametrize("rate", ["0", "-1", "NaN", "Infinity", "10000000000"])
async def test_rate_is_above_zero(store: asyncpg.Connection, rate: str) -> None:
    assert await refused(new_order(store, "EUR", currency_ratio=D(rate))) == "orders_currency_ratio_positive"
    table = store.execute("INSERT INTO channel_rates (channel_id, currency, rate) VALUES (1, 'JPY', $1)", D(rate))
    assert await refused(table) == "channel_rates_rate_positive"


async def test_channel_with_orders_keeps_its_currency(store: asyncpg.Connection) -> None:
    change = "UPDATE channels SET currency = 'EUR' WHERE id = $1"
    assert await refused(store.execute(change, 1)) == "channels_currency_stays"
    empty = await store.fetchval("INSERT INTO channels (code, name, currency) VALUES ('x', 'X', 'USD') RETURNING id")
    await store.execute(change, empty)


async def test_order_and_lines_say_what_is_paid_back(store: asyncpg.Connection) -> None:
    order = await new_order(store)
    line = await new_line(store, order)
    assert await paid_back(store, order) == ("0.00", 1)
    refund = await store.fetchval(
        "INSERT INTO refunds (order_id, channel_id, amount) VALUES ($1, 1, 5), ($1, 1, 2.50) RETURNING id", order
    )
    assert await paid_back(store, order) == ("7.50", 2)
    item = "INSERT INTO refund_items (refund_id, order_item_id, order_id, channel_id, quantity, amount)"
    await store.execute(f"{item} VALUES ($1, $2, $3, 1, 2, 1)", refund, line, order)
    counted = "SELECT quantity_refunded FROM order_items WHERE id = $1"
    assert await store.fetchval(counted, line) == 2
    await store.execute("UPDATE refund_items SET quantity = 1 WHERE refund_id = $1", refund)
    assert await store.fetchval(counted, line) == 1
    await store.execute("UPDATE refunds SET amount = 6 WHERE id = $1", refund)
    assert await paid_back(store, order) == ("8.50", 3)
    await store.execute("UPDATE refunds SET reason = 'x' WHERE id = $1", refund)
    assert await paid_back(store, order) == ("8.50", 4)  # which tells of it
    await store.execute("DELETE FROM refunds WHERE id = $1", refund)
    assert await paid_back(store, order) == ("2.50", 5)
    assert await store.fetchval(counted, line) == 0
    await store.execute("DELETE FROM orders WHERE id = $1", order)
    assert await store.fetchval("SELECT count(*) FROM refunds WHERE order_id = $1", order) == 0


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("340.00", "JPY", "340"),
        ("12.55", "KWD", "12.550"),
        ("5", "EUR", "5.00"),
        ("0.004", "EUR", "0.004"),
        ("-1", "USD", "-1.00"),
    ],
)
async def test_amount_is_written_with_the_decimals_of_its_currency(
    store: asyncpg.Connection, amount: str, currency: str, text: str
) -> None:
    assert await store.fetchval("SELECT money_text($1, $2)", D(amount), currency) == text


async def test_store_of_the_version_before_is_migrated_without_losing_a_row(databases: Databases) -> None:
    dsn = await asyncio.to_thread(databases.create)
    store = await asyncpg.connect(dsn)
    for name in migrations():
        if name < MIGRATION:
            for text in _texts(name):
                await store.execute(text)
    await store.execute(FILLED)
    await store.execute("""
        UPDATE orders SET currency = 'JPY', total_gross = 340.2, total_net = 340.2, refunded_total = 40.2 WHERE id = 1;
        UPDATE orders SET currency = 'CHF', currency_ratio = 0.94, refunded_total = 5 WHERE id = 2;
        UPDATE orders SET currency = 'QQQ' WHERE id = 3;
        UPDATE order_items SET quantity_refunded = 1 WHERE order_id IN (1, 4);
    """)
    known = "SELECT id, total_net, currency, refunded_total FROM orders ORDER BY id"
    of_lines = "SELECT id, price, price_total, tax_percentage, quantity_refunded FROM order_items ORDER BY id"
    before = [await store.fetch(known), await store.fetch(of_lines)]
    for text in _texts(MIGRATION):
        await store.execute(text)
    assert [await store.fetch(known), await store.fetch(of_lines)] == before
    assert [
        tuple(row)
        for row in await store.fetch("SELECT id, currency_ratio FROM orders WHERE currency <> 'EUR' ORDER BY id")
    ] == [(1, None), (2, D("0.94")), (3, None)]
    assert [
        tuple(row)
        for row in await store.fetch("""
        SELECT r.order_id, r.amount, i.quantity, i.amount FROM refunds r LEFT JOIN refund_items i ON i.refund_id = r.id
        ORDER BY r.order_id
    """)
    ] == [(1, D("40.20"), 1, 0), (2, D("5.00"), None, None), (4, D("0.00"), 1, 0)]
    await store.close()


def _texts(name: str) -> list[str]:
    """Of a migration's steps, those in batches twice: they leave nothing for a second one."""
    return [step.text for step in steps(migrations()[name]) for _ in range(2 if step.kind is StepKind.BATCHES else 1)]


async def test_migration_leaves_sums_that_add_up(databases: Databases) -> None:
    dsn = await asyncio.to_thread(databases.create)
    await migrate(dsn)
    store = await asyncpg.connect(dsn)
    await store.execute(FILLED)
    await store.execute("INSERT INTO refunds (order_id, channel_id, amount) SELECT id, channel_id, 1 FROM orders")
    await store.close()
    assert await breaches(dsn) == {}
