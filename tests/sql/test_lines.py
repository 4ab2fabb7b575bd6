"""What the store holds lines to, whoever writes: sql/migrations/0014_lines.sql, decisions 21 and 22."""

import asyncio
import random

import asyncpg
import pytest

from app.postgres.migrate import migrate
from tests.app.postgres.test_locks import FILLED
from tests.conftest import ConnectionTo, Databases
from tests.consistency import breaches
from tests.sql.before import migrate_before
from tests.sql.test_write_rules import refused

MIGRATION = "0014_lines.sql"
# Of order 2075: lines of 3, 3 and 4 units, of which nothing is shipped, and its shipment, which is CREATED.
ORDER, SHIPMENT = 2075, "65ad4404-88a6-4f97-9325-34a3a35f1dfc"
DELIVERED, ITEM_OF_DELIVERED = "5c6e4337-15ba-4bdd-9772-19d30e7a269f", "74667bff-e202-449d-a964-3a295a9ac6de"
# A pack of 2 of line 20154, made of 2 of line 20153 and 4 of line 20155.
PACK = """
UPDATE order_items SET quantity = 2 WHERE id IN (20153, 20154);
UPDATE order_items SET parent_order_item_id = 20154 WHERE id IN (20153, 20155);
"""
INTO_ITEMS = "INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, quantity) VALUES"

Store = asyncpg.Connection


@pytest.fixture
def store(copy_connection: Store) -> Store:
    return copy_connection


async def counts(store: Store, line: int = 20154) -> tuple[int, int]:
    row = await store.fetchrow("SELECT quantity_shipped, quantity_delivered FROM order_items WHERE id = $1", line)
    return tuple(row)


CHANGES = {
    "a class that there is not": ("UPDATE order_items SET class = 'gift' WHERE id = 20153", "order_items_class_known"),
    "less than nothing": ("UPDATE order_items SET quantity = -1 WHERE id = 20153", "order_items_quantity_not_negative"),
    "more canceled than ordered": (
        "UPDATE order_items SET quantity_canceled = 4 WHERE id = 20153",
        "order_items_canceled_other",
    ),
    "canceled what is shipped": (
        "UPDATE order_items SET quantity_canceled = 1 WHERE id = 20151",
        "order_items_never_overshipped",
    ),
    "a part of itself": (
        "UPDATE order_items SET parent_order_item_id = 20154 WHERE id = 20154",
        "order_items_parent_other",
    ),
    "a part of its part": (
        "UPDATE order_items SET parent_order_item_id = 20153 WHERE id = 20154",
        "order_items_parent_other",
    ),
    "a bundle of what has been shipped": (
        "UPDATE order_items SET parent_order_item_id = 20151 WHERE id = 20154",
        "order_items_bundle_other",
    ),
    "a new part of what has been shipped": (
        "INSERT INTO order_items (order_id, channel_id, parent_order_item_id, sku, name, quantity, price, price_net,"
        " price_total, price_total_net, tax) VALUES (2075, 1, 20151, 'a', 'A', 1, 0, 0, 0, 0, 0)",
        "order_items_bundle_new",
    ),
    "a part of a charge that becomes goods": (
        "UPDATE order_items SET class = 'service', parent_order_item_id = 20151 WHERE id = 20154;"
        " UPDATE order_items SET class = 'product' WHERE id = 20154",
        "order_items_bundle_other",
    ),
    "other goods that have been shipped": (
        "UPDATE order_items SET sku = 'other' WHERE id = 20151",
        "order_items_sku_stays",
    ),
    "a charge that has been shipped": (
        "UPDATE order_items SET class = 'postage' WHERE id = 20151",
        "order_items_class_stays",
    ),
    "a charge in a shipment": (
        f"UPDATE order_items SET class = 'postage' WHERE id = 20155; {INTO_ITEMS} ('{SHIPMENT}', 20155, 2075, 1, 1)",
        "shipment_items_line_shippable",
    ),
    "a bundle in a shipment": (f"{INTO_ITEMS} ('{SHIPMENT}', 20154, 2075, 1, 1)", "shipment_items_line_shippable"),
    "more in a delivered shipment": (
        f"{INTO_ITEMS} ('{DELIVERED}', 20161, 2076, 1, 1)",
        "shipment_items_shipment_open",
    ),
    "less in a delivered shipment": (
        f"UPDATE shipment_items SET quantity = 1 WHERE id = '{ITEM_OF_DELIVERED}'",
        "shipment_items_shipment_open",
    ),
    "an item out of a delivered shipment": (
        f"DELETE FROM shipment_items WHERE id = '{ITEM_OF_DELIVERED}'",
        "shipment_items_shipment_open",
    ),
    "a delivered shipment deleted": (f"DELETE FROM shipments WHERE id = '{DELIVERED}'", "shipments_closed_stay"),
    "a shipment of a canceled order": (
        "UPDATE orders SET status = 'CANCELED' WHERE id = 2075;"
        "INSERT INTO shipments (order_id, channel_id) VALUES (2075, 1)",
        "shipments_order_shippable",
    ),
    "more in a shipment of a canceled order": (
        f"UPDATE orders SET status = 'FRAUD' WHERE id = 2075; {INTO_ITEMS} ('{SHIPMENT}', 20155, 2075, 1, 1)",
        "shipments_order_shippable",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_store_refuses(store: Store, change: str) -> None:
    await store.execute(PACK)
    statement, constraint = CHANGES[change]
    assert await refused(store.execute(statement)) == constraint


async def test_goods_that_have_been_shipped_may_be_spelled_otherwise_and_become_a_gift(store: Store) -> None:
    await store.execute("UPDATE order_items SET sku = lower(sku), class = 'incentive' WHERE id = 20151")
    await store.execute("UPDATE order_items SET sku = 'other', class = 'postage' WHERE id = 20153")


async def test_past_is_recorded_by_who_says_so(store: Store) -> None:
    await store.execute("SELECT set_config('waybill.skipped_steps', 'allowed', false)")
    for change in (
        f"{INTO_ITEMS} ('{DELIVERED}', 20161, 2076, 1, 1)",
        f"DELETE FROM shipment_items WHERE id = '{ITEM_OF_DELIVERED}'",
        CHANGES["a shipment of a canceled order"][0],
        f"DELETE FROM shipments WHERE id = '{DELIVERED}'",
    ):
        assert await refused(store.execute(change)) is None


async def test_shipment_may_be_closed_from_its_beginning(store: Store) -> None:
    """One statement makes it with its items; so does one transaction, whatever savepoints it has."""
    made = f"""
    WITH s AS (INSERT INTO shipments (order_id, channel_id, status) VALUES (2075, 1, 'DELIVERED') RETURNING id)
    {INTO_ITEMS.replace("VALUES", "SELECT id, 20155, 2075, 1, 1 FROM s")}
    """
    await store.execute(made)
    async with store.transaction():
        async with store.transaction():
            shipment = await store.fetchval(
                "INSERT INTO shipments (order_id, channel_id, status) VALUES (2075, 1, 'DELIVERED') RETURNING id"
            )
        async with store.transaction():
            await store.execute(f"{INTO_ITEMS} ('{shipment}', 20155, 2075, 1, 2)")
    assert await counts(store, 20155) == (3, 3)


async def test_bundle_follows_its_parts_whatever_becomes_of_them(store: Store) -> None:
    await store.execute(PACK)
    told = []
    for change in (
        f"{INTO_ITEMS} ('{SHIPMENT}', 20153, 2075, 1, 2), ('{SHIPMENT}', 20155, 2075, 1, 3)",
        "UPDATE order_items SET quantity_canceled = 1 WHERE id = 20155",
        "UPDATE order_items SET quantity_canceled = 0 WHERE id = 20155",
        "UPDATE order_items SET class = 'incentive' WHERE id = 20155",
        "UPDATE order_items SET class = 'product' WHERE id = 20155",
        "UPDATE order_items SET parent_order_item_id = NULL WHERE id = 20155",
        "UPDATE order_items SET parent_order_item_id = 20154 WHERE id = 20155",
        f"UPDATE shipments SET status = 'DELIVERED' WHERE id = '{SHIPMENT}'",
        "UPDATE order_items SET quantity = 1 WHERE id = 20154",
    ):
        await store.execute(change)
        told.append(await counts(store))
    assert told == [(1, 0), (2, 0), (1, 0), (2, 0), (1, 0), (2, 0), (1, 0), (1, 1), (0, 0)]
    assert await store.fetch("SELECT * FROM order_progress(2075, 1)") == [(5, 0, 12, 11, 11)]


async def test_line_may_become_a_bundle_by_what_takes_it_out_of_its_shipments(store: Store) -> None:
    async with store.transaction():
        await store.execute("UPDATE order_items SET parent_order_item_id = 20151 WHERE id = 20154")
        await store.execute("DELETE FROM shipment_items WHERE order_item_id = 20151")
    assert await counts(store, 20151) == (0, 0)


async def test_writers_of_bundles_and_cancellations_leave_a_store_without_contradictions(
    demo_copy_dsn: str, connection_to: ConnectionTo
) -> None:
    """Each does what it likes with the lines and shipments of an order; who meets a rule or a deadlock, goes on."""
    first = await connection_to(demo_copy_dsn)
    await first.execute(PACK)

    async def write(writer: Store, seed: int) -> int:
        dice, done = random.Random(seed), 0
        for _ in range(20):
            line, quantity = dice.choice([20153, 20154, 20155]), dice.randint(0, 4)
            shipment = dice.choice(await writer.fetch("SELECT id FROM shipments WHERE order_id = 2075"))["id"]
            change = dice.choice(
                [
                    f"{INTO_ITEMS} ('{shipment}', {line}, 2075, 1, {quantity})",
                    f"UPDATE order_items SET quantity_canceled = {quantity} WHERE id = {line}",
                    f"UPDATE order_items SET quantity = {quantity} WHERE id = {line}",
                    f"UPDATE shipments SET status = '{dice.choice(['CANCELED', 'DELIVERED'])}' WHERE id = '{shipment}'",
                    "INSERT INTO shipments (order_id, channel_id) VALUES (2075, 1)",
                    f"DELETE FROM shipment_items WHERE shipment_id = '{shipment}'",
                ]
            )
            try:
                await writer.execute(change)
                done += 1
            except (asyncpg.IntegrityConstraintViolationError, asyncpg.DeadlockDetectedError):
                continue
        return done

    writers = [await connection_to(demo_copy_dsn) for _ in range(4)]
    done = await asyncio.gather(*(write(writer, seed) for seed, writer in enumerate(writers)))
    assert min(done) > 0
    assert await breaches(demo_copy_dsn) == {}


async def test_migration_counts_what_is_there_and_loses_nothing(
    databases: Databases, connection_to: ConnectionTo
) -> None:
    """A store of the schema before, with a line that was canceled after it had been shipped, and with a bundle."""
    dsn = await asyncio.to_thread(databases.create)
    store = await connection_to(dsn)
    await migrate_before(dsn, MIGRATION)
    await store.execute(FILLED)
    await store.execute(
        """
        UPDATE order_items SET quantity_canceled = 2 WHERE id = 1;
        UPDATE shipments SET status = 'IN_TRANSIT'; UPDATE shipments SET status = 'DELIVERED' WHERE order_id <= 20;
        INSERT INTO order_items (
          id, order_id, channel_id, sku, name, quantity, price, price_net, price_total, price_total_net, tax)
        VALUES (1001, 2, 1, 'pack', 'Pack', 2, 0, 0, 0, 0, 0);
        UPDATE order_items SET parent_order_item_id = 1001 WHERE id = 2;
        INSERT INTO order_statuses (code, name, type, order_type, customer_status)
        VALUES ('REFUSED', 'Refused', 'CUSTOM', 'ORDER', 'canceled'),
          ('PICKED', 'Picked', 'CUSTOM', 'ORDER', 'processing');
        """
    )
    before = [await store.fetchval(f"SELECT count(*) FROM {table}") for table in ("order_items", "shipment_items")]
    assert MIGRATION in await migrate(dsn)
    assert before == [
        await store.fetchval(f"SELECT count(*) FROM {table}") for table in ("order_items", "shipment_items")
    ]
    lines = await store.fetch(
        "SELECT id, quantity_shipped, quantity_delivered, quantity_overshipped FROM order_items"
        " WHERE id IN (1, 2, 21, 1001) ORDER BY id"
    )
    assert [tuple(row) for row in lines] == [(1, 1, 1, 1), (2, 1, 1, 0), (21, 1, 0, 0), (1001, 1, 1, 0)]
    shippable = await store.fetch("SELECT code FROM order_statuses WHERE is_shippable ORDER BY code")
    assert [row["code"] for row in shippable] == ["COMPLETED", "CONFIRMED", "NEW", "PICKED", "VALIDATED"]
    await store.execute("UPDATE order_items SET name = 'Anvil' WHERE id = 1")
    assert await refused(store.execute("UPDATE shipment_items SET quantity = 2 WHERE order_item_id = 21")) is None
