"""What the store itself holds writers to, whoever they are: sql/migrations/0005_writes.sql."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import pytest

from app.postgres.migrate import migrations
from tests.conftest import FAR_TOO_LONG, Databases
from tests.consistency import STEPS, breaches

# Of order 2075: lines of 3, 3 and 4 units, of which nothing is shipped, and its shipment, which is CREATED.
LINES = {20153: 3, 20154: 3, 20155: 4}
SHIPMENT, OTHER_SHIPMENT = "65ad4404-88a6-4f97-9325-34a3a35f1dfc", "5c6e4337-15ba-4bdd-9772-19d30e7a269f"
NEVER_OVERSHIPPED, FOLLOWS = "order_items_never_overshipped", "shipments_status_follows"
# Any status may follow any other, and shipments that are over take items and may be deleted.
WITHOUT_LIFECYCLE = f"""
ALTER TABLE shipments DISABLE TRIGGER {FOLLOWS}, DISABLE TRIGGER shipments_closed_stay;
ALTER TABLE shipment_items DISABLE TRIGGER shipment_items_allowed_created,
  DISABLE TRIGGER shipment_items_allowed_updated, DISABLE TRIGGER shipment_items_allowed_deleted;
"""

Store = asyncpg.Connection


@pytest.fixture
def store(copy_connection: Store) -> Store:
    return copy_connection


@asynccontextmanager
async def connected(dsn: str, count: int = 1) -> AsyncIterator[list[Store]]:
    async with AsyncExitStack() as stack:
        connections = [await asyncpg.connect(dsn) for _ in range(count)]
        for connection in connections:
            stack.push_async_callback(connection.close)
        yield connections


async def ship(store: Store, line: int, quantity: int | None, shipment: str = SHIPMENT) -> Any:
    """The id of a new item."""
    return await store.fetchval(
        "INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, quantity)"
        " SELECT s.id, $2, s.order_id, s.channel_id, $3 FROM shipments s WHERE s.id = $1 RETURNING id",
        *(shipment, line, quantity),
    )


async def new_shipment(store: Store, order_id: int = 2075, status: str = "CREATED") -> str:
    return str(
        await store.fetchval(
            "INSERT INTO shipments (order_id, channel_id, status) VALUES ($1, 1, $2) RETURNING id", order_id, status
        )
    )


async def shipped(store: Store, line: int) -> int:
    count: int = await store.fetchval("SELECT quantity_shipped FROM order_items WHERE id = $1", line)
    return count


async def refused(change: Awaitable[Any]) -> str | None:
    """The name of the constraint that refuses a change; None where it is done."""
    try:
        await change
    except asyncpg.CheckViolationError as error:
        return error.constraint_name
    return None


async def waits_or_ends(observer: Store, writer: Store, task: asyncio.Task[Any]) -> None:
    """Returns when the statement of `writer` waits for a lock, or is done."""
    waits, pid = "SELECT cardinality(pg_blocking_pids($1)) > 0", writer.get_server_pid()
    async with asyncio.timeout(FAR_TOO_LONG):
        while not (task.done() or await observer.fetchval(waits, pid)):  # noqa: ASYNC110
            await asyncio.sleep(0.002)  # nobody tells that a statement waits


# ------------------------------------------------------------------------------------------------ never over-ship


async def test_line_is_never_overshipped_by_many_who_ship_the_rest_at_once(demo_copy_dsn: str) -> None:
    async with connected(demo_copy_dsn, 12) as writers:

        async def write(writer: Store) -> str | None:
            async with asyncio.timeout(FAR_TOO_LONG):
                shipment = await new_shipment(writer)
                return await refused(ship(writer, 20155, 1, shipment))

        outcomes = await asyncio.gather(*map(write, writers))
        assert sorted(outcomes, key=str) == [None] * 4 + [NEVER_OVERSHIPPED] * 8
        assert await shipped(writers[0], 20155) == 4


INTO_ITEMS = "INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, quantity) VALUES"
WAYS = {
    "a new item": INTO_ITEMS + "('{shipment}', 20153, 2075, 1, 1)",
    "two items at once": INTO_ITEMS + "('{shipment}', 20154, 2075, 1, 2), ('{shipment}', 20154, 2075, 1, 2)",
    "more of an item": "UPDATE shipment_items SET quantity = 4 WHERE id = '{item}'",
    "an item that gets a quantity": "UPDATE shipment_items SET quantity = 1 WHERE id = '{uncounted}'",
    "an item of another line": "UPDATE shipment_items SET order_item_id = 20154, quantity = 4 WHERE id = '{item}'",
    "an item from a canceled shipment": "UPDATE shipment_items SET shipment_id = '{shipment}' WHERE id = '{off}'",
    "a shipment that is no longer canceled": "UPDATE shipments SET status = 'CREATED' WHERE id = '{canceled}'",
    "an order of less": "UPDATE order_items SET quantity = 2 WHERE id = 20153",
}


@pytest.mark.parametrize("way", WAYS)
async def test_line_is_never_overshipped_by(store: Store, way: str) -> None:
    await store.execute(WITHOUT_LIFECYCLE)
    canceled = await new_shipment(store, status="CANCELED")
    places = {
        "shipment": SHIPMENT,
        "canceled": canceled,
        "item": await ship(store, 20153, 3),
        "uncounted": await ship(store, 20153, None),
        "off": await ship(store, 20153, 2, canceled),
    }
    assert await shipped(store, 20153) == 3
    assert await refused(store.execute(WAYS[way].format(**places))) == NEVER_OVERSHIPPED
    assert (await shipped(store, 20153), await shipped(store, 20154)) == (3, 0)


async def test_line_counts_whatever_becomes_of_what_was_shipped(store: Store) -> None:
    await store.execute(WITHOUT_LIFECYCLE)
    second = await new_shipment(store)
    item, other = await ship(store, 20155, 2), await ship(store, 20155, 1, second)
    counts = [await shipped(store, 20155)]
    for change in (
        f"UPDATE shipment_items SET quantity = 3 WHERE id = '{item}'",
        f"UPDATE shipments SET status = 'CANCELED' WHERE id = '{second}'",
        f"UPDATE shipment_items SET quantity = 4 WHERE id = '{other}'",  # of the canceled one
        f"UPDATE shipment_items SET name = 'Saw', quantity = NULL WHERE id = '{item}'",
        f"UPDATE shipment_items SET quantity = 4 WHERE id = '{item}'",
        f"UPDATE shipment_items SET order_item_id = 20154, quantity = 1 WHERE id = '{item}'",
        f"UPDATE shipment_items SET order_item_id = 20155 WHERE id = '{item}'",
        f"DELETE FROM shipment_items WHERE id = '{other}'",
        f"DELETE FROM shipments WHERE id = '{SHIPMENT}'",
    ):
        await store.execute(change)
        counts.append(await shipped(store, 20155))
    assert counts == [3, 4, 3, 3, 0, 4, 0, 1, 1, 0]
    assert await shipped(store, 20154) == 0


async def test_shipment_and_its_items_are_counted_once_when_one_statement_writes_both(store: Store) -> None:
    await store.execute(WITHOUT_LIFECYCLE)
    shipment = await new_shipment(store, status="CANCELED")
    await store.execute(
        """
        WITH again AS (UPDATE shipments SET status = 'CREATED' WHERE id = $1 RETURNING id)
        INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, quantity)
        SELECT id, 20155, 2075, 1, 3 FROM again
        """,
        shipment,
    )
    assert await shipped(store, 20155) == 3


@pytest.mark.parametrize("item_is_first", [True, False])
@pytest.mark.parametrize(("before", "after"), [("CREATED", "CANCELED"), ("CANCELED", "CREATED")])
async def test_item_that_comes_while_its_shipment_is_canceled_or_comes_back_is_counted_right(
    demo_copy_dsn: str, before: str, after: str, item_is_first: bool
) -> None:
    async with connected(demo_copy_dsn, 3) as (observer, first, second):
        await observer.execute(WITHOUT_LIFECYCLE)
        shipment = await new_shipment(observer, status=before)

        async def set_status(store: Store) -> None:
            await store.execute("UPDATE shipments SET status = $2 WHERE id = $1", shipment, after)

        async def add_item(store: Store) -> None:
            await ship(store, 20155, 4, shipment)

        steps: list[Callable[[Store], Awaitable[None]]] = [add_item, set_status]
        one, other = steps if item_is_first else reversed(steps)
        async with first.transaction():
            await one(first)
            task = asyncio.create_task(other(second))
            await waits_or_ends(observer, second, task)
        await task
        assert await shipped(observer, 20155) == (4 if after == "CREATED" else 0)


async def test_writers_of_all_kinds_leave_a_store_without_contradictions(demo_copy_dsn: str) -> None:
    """Each writer does what it likes with the shipments of an order; who meets a rule or a deadlock, goes on."""

    async def write(writer: Store, seed: int) -> int:
        dice, done = random.Random(seed), 0
        for _ in range(25):
            shipments = await writer.fetch("SELECT id FROM shipments WHERE order_id = 2075")
            items = await writer.fetch("SELECT id FROM shipment_items WHERE order_id = 2075")
            shipment, line = dice.choice(shipments)["id"], dice.choice(list(LINES))
            item = dice.choice(items)["id"] if items else None
            status = dice.choice(["CREATED", "CANCELED", "IN_TRANSIT"])
            change: Awaitable[Any] = dice.choice(
                [
                    lambda line=line, shipment=shipment: ship(writer, line, dice.randint(1, 3), shipment),
                    lambda item=item: writer.execute(
                        "UPDATE shipment_items SET quantity = $2 WHERE id = $1", item, dice.randint(1, 4)
                    ),
                    lambda shipment=shipment, status=status: writer.execute(
                        "UPDATE shipments SET status = $2 WHERE id = $1", shipment, status
                    ),
                    lambda item=item: writer.execute("DELETE FROM shipment_items WHERE id = $1", item),
                    lambda: new_shipment(writer, status=dice.choice(["CREATED", "CANCELED"])),
                    lambda shipment=shipment: writer.execute(
                        "DELETE FROM shipments WHERE id = $1 AND id <> $2", shipment, SHIPMENT
                    ),
                ]
            )()
            try:
                await change
                done += 1
            except (asyncpg.IntegrityConstraintViolationError, asyncpg.DeadlockDetectedError):
                continue
        return done

    async with connected(demo_copy_dsn, 5) as writers:
        await writers[0].execute(WITHOUT_LIFECYCLE)
        done = await asyncio.gather(*(write(writer, seed) for seed, writer in enumerate(writers)))
    assert min(done) > 0
    assert await breaches(demo_copy_dsn) == {}


async def test_surplus_from_before_the_rule_is_kept_and_only_shrinks(databases: Databases) -> None:
    dsn = await asyncio.to_thread(databases.create)
    texts = migrations()
    async with connected(dsn) as (store,):
        for name, text in texts.items():
            if name < "0005":
                await store.execute(text)
        await store.execute(
            """
            INSERT INTO channels (id, code, name, currency) VALUES (1, 'default', 'Default', 'EUR');
            INSERT INTO orders (id, channel_id, status, email, currency, total_gross, total_net, total_tax, sub_total)
            VALUES (1, 1, 'NEW', '', 'EUR', 0, 0, 0, 0);
            INSERT INTO order_items (
              id, order_id, channel_id, sku, name, quantity, price, price_net, price_total, price_total_net, tax)
            VALUES (1, 1, 1, 'a', 'A', 2, 0, 0, 0, 0, 0);
            INSERT INTO shipments (id, order_id, channel_id) VALUES (gen_random_uuid(), 1, 1);
            INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, quantity)
            SELECT id, 1, 1, 1, 5 FROM shipments;
            """
        )
        await store.execute(texts["0005_writes.sql"])

        async def line() -> tuple[int, ...]:
            return tuple(
                await store.fetchrow("SELECT quantity_shipped, quantity_overshipped FROM order_items WHERE id = 1")
            )

        assert await line() == (5, 3)
        assert await refused(store.execute("UPDATE shipment_items SET quantity = 6")) == NEVER_OVERSHIPPED
        await store.execute("UPDATE shipment_items SET quantity = 4")
        assert await line() == (4, 2)
        assert await refused(store.execute("UPDATE shipment_items SET quantity = 5")) == NEVER_OVERSHIPPED
        await store.execute("UPDATE shipment_items SET quantity = 1")
        assert await line() == (1, 0)
        assert await refused(store.execute("UPDATE shipment_items SET quantity = 3")) == NEVER_OVERSHIPPED
        assert await store.fetchval("SELECT count(*) FROM changes WHERE action = 'UPDATED'") == 2
    await asyncio.to_thread(databases.drop, dsn)


# ------------------------------------------------------------------------------------------------ lifecycle, versions


def reachable(status: str) -> set[str]:
    found: set[str] = set()
    waiting = [status]
    while waiting:
        for following in STEPS[waiting.pop()] - found:
            found.add(following)
            waiting.append(following)
    return found


@pytest.mark.parametrize("reports_states", [False, True])
async def test_shipment_status_follows_the_lifecycle(store: Store, reports_states: bool) -> None:
    await store.execute("SELECT set_config('waybill.skipped_steps', $1, false)", "allowed" if reports_states else "")
    for status, following in itertools.product(STEPS, [*STEPS, None]):
        shipment = await new_shipment(store, status=status)
        constraint = await refused(store.execute("UPDATE shipments SET status = $2 WHERE id = $1", shipment, following))
        may = {status} | (reachable(status) if reports_states else STEPS[status])
        assert constraint == (None if following in may else FOLLOWS), (status, following)


async def test_shipment_that_is_under_way_is_canceled_by_who_may_override_the_lifecycle(store: Store) -> None:
    """Decision 16."""
    await store.execute("SELECT set_config('waybill.overridden_steps', 'allowed', false)")
    for status, following in itertools.product(STEPS, STEPS):
        shipment = await new_shipment(store, status=status)
        constraint = await refused(store.execute("UPDATE shipments SET status = $2 WHERE id = $1", shipment, following))
        may = {status, *STEPS[status], *(["CANCELED"] if status == "IN_TRANSIT" else [])}
        assert constraint == (None if following in may else FOLLOWS), (status, following)


async def test_shipment_without_a_status_may_take_any(store: Store) -> None:
    for following in (*STEPS, None):
        shipment = await store.fetchval(
            "INSERT INTO shipments (order_id, channel_id, status) VALUES (2075, 1, NULL) RETURNING id"
        )
        await store.execute("UPDATE shipments SET status = $2 WHERE id = $1", shipment, following)


@pytest.mark.parametrize(
    ("table", "key", "column", "value"),
    [
        ("orders", 2075, "status", "ARCHIVED"),
        ("orders", 2075, "remarks", "Ring twice"),
        ("shipments", SHIPMENT, "status", "PROCESSING"),
        ("shipment_items", "bda8e812-4238-49b4-aafc-6a153e265d59", "name", "Larch"),
        ("track_and_traces", "2d1860e6-e58c-41b8-b9d7-689b355b0c52", "code", "3SOTHER"),
        ("carriers", 1, "logo", "https://example.com/logo.svg"),
    ],
)
async def test_version_rises_with_every_change_of_a_row_and_with_nothing_else(
    store: Store, table: str, key: Any, column: str, value: str
) -> None:
    begun = await store.fetchval("SELECT max(id) FROM changes")

    async def write(assignment: str) -> int:
        version: int = await store.fetchval(f"UPDATE {table} SET {assignment} WHERE id = $1 RETURNING version", key)
        return version

    assert await write(f"{column} = '{value}'") == 2
    assert await write(f"{column} = '{value}'") == 2
    assert await write("version = 7, last_modified_at = last_modified_at + interval '1 second'") == 3
    told = await store.fetch("SELECT version, new FROM changes WHERE id > $1 ORDER BY id", begun)
    assert [row["version"] for row in told] == [2, 3]
    assert told[1]["new"] == "{}"


# ------------------------------------------------------------------------------------------------ transactions, changes


GIVE = "SELECT give_positions(7)"
POSITIONS = "SELECT position FROM transactions WHERE position IS NOT NULL"


async def test_positions_are_in_the_order_of_commits(demo_copy_dsn: str) -> None:
    async with connected(demo_copy_dsn, 2) as (early, late):
        beginning = early.transaction()
        await beginning.start()
        slow = await new_shipment(early)
        quick = await new_shipment(late)
        await beginning.commit()
        await late.execute(GIVE)
        rows = await late.fetch(
            "SELECT c.entity_id FROM changes c JOIN transactions t ON t.id = c.transaction_id"
            " WHERE c.entity_id = ANY($1) ORDER BY t.position, c.id",
            [slow, quick],
        )
    assert [row["entity_id"] for row in rows] == [quick, slow]


async def test_who_sees_a_position_sees_all_that_are_lower(demo_copy_dsn: str) -> None:
    async with connected(demo_copy_dsn, 8) as (reader, giver, other_giver, *writers):

        async def write(writer: Store) -> None:
            for _ in range(20):
                await new_shipment(writer)

        async def give(store: Store) -> None:
            while not writing.done():
                await store.execute(GIVE)

        writing = asyncio.gather(*map(write, writers))
        giving = asyncio.gather(give(giver), give(other_giver))
        known: set[int] = set()
        while True:
            is_over = giving.done()
            seen = {row["position"] for row in await reader.fetch(POSITIONS)}
            assert all(position > max(known, default=0) for position in seen - known)
            known = seen
            if is_over:
                break
        await giving
        await reader.execute(GIVE)
        seen = {row["position"] for row in await reader.fetch(POSITIONS)}
        assert seen == set(range(1, await reader.fetchval("SELECT count(*) FROM transactions") + 1))
    assert len(seen) >= 100


async def test_transaction_tells_who_wrote_and_all_that_was_written(store: Store) -> None:
    begun = await store.fetchval("SELECT max(id) FROM changes")
    async with store.transaction():
        await store.execute("SELECT set_config('waybill.actor', 'partner:7', true)")
        await store.execute("SELECT set_config('waybill.request_id', 'abc', true)")
        shipment = await new_shipment(store)
        item = await ship(store, 20155, 1, shipment)
        savepoint = store.transaction()
        await savepoint.start()
        await ship(store, 20154, 1, shipment)
        await savepoint.rollback()
        await store.execute("UPDATE shipment_items SET quantity = 2 WHERE id = $1", item)
        await store.execute("DELETE FROM shipments WHERE id = $1", shipment)
    rows = await store.fetch(
        "SELECT t.actor, t.request_id, c.transaction_id, c.type, c.action, c.entity_id, c.version, c.old, c.new"
        " FROM changes c JOIN transactions t ON t.id = c.transaction_id WHERE c.id > $1 ORDER BY c.id",
        begun,
    )
    assert {(row["actor"], row["request_id"]) for row in rows} == {("partner:7", "abc")}
    assert len({row["transaction_id"] for row in rows}) == 1
    told = [
        (
            row["type"],
            row["action"],
            row["entity_id"],
            row["version"],
            *(json.loads(row[key] or "null") for key in ("old", "new")),
        )
        for row in rows
    ]
    of_item = {"shipmentId": shipment, "orderItemId": 20155, "quantity": 1}
    assert told == [
        ("SHIPMENT", "CREATED", shipment, 1, None, {"status": "CREATED"}),
        ("SHIPMENT_ITEM", "CREATED", str(item), 1, None, of_item),
        ("SHIPMENT_ITEM", "UPDATED", str(item), 2, {"quantity": 1}, {"quantity": 2}),
        ("SHIPMENT", "DELETED", shipment, 1, {"status": "CREATED"}, None),
        ("SHIPMENT_ITEM", "DELETED", str(item), 2, of_item | {"quantity": 2}, None),
    ]


async def test_transaction_that_begins_to_write_in_a_savepoint_that_is_taken_back_is_told_of(store: Store) -> None:
    async with store.transaction():
        savepoint = store.transaction()
        await savepoint.start()
        await new_shipment(store)
        await savepoint.rollback()
        shipment = await new_shipment(store)
    await store.execute(GIVE)
    position = await store.fetchval(
        "SELECT t.position FROM changes c JOIN transactions t ON t.id = c.transaction_id WHERE c.entity_id = $1",
        shipment,
    )
    assert position == await store.fetchval("SELECT max(position) FROM transactions")
    assert await store.fetchval("SELECT actor FROM transactions ORDER BY id DESC LIMIT 1") == "system"


async def test_changes_hold_nothing_of_persons_and_no_free_text(store: Store) -> None:
    secret = "Confidential"
    columns = "email first_name last_name remarks reference extra3 extra4 coupon_code debtor_id cart_id export_message"
    begun = await store.fetchval("SELECT max(id) FROM changes")
    assignments = ", ".join(f"{column} = '{secret}'" for column in columns.split())
    await store.execute(f"UPDATE orders SET {assignments}, status = 'ARCHIVED' WHERE id = 2075")
    [row] = await store.fetch("SELECT c::text AS text, old, new FROM changes c WHERE id > $1", begun)
    assert json.loads(row["new"]) == {"status": "ARCHIVED"}
    assert secret not in row["text"]


async def test_moments_are_told_as_the_api_writes_them(store: Store) -> None:
    await store.execute("SET timezone = 'Asia/Tokyo'")
    await store.execute(
        "UPDATE shipments SET expected_delivery_at = '2030-01-02T03:04:05.678901Z' WHERE id = $1", SHIPMENT
    )
    [row] = await store.fetch("SELECT old, new FROM changes WHERE action = 'UPDATED' AND entity_id = $1", SHIPMENT)
    assert json.loads(row["old"]) == {"expectedDeliveryAt": "2025-12-05T10:00:00.000Z"}
    assert json.loads(row["new"]) == {"expectedDeliveryAt": "2030-01-02T03:04:05.678Z"}


MOMENTS = {
    "orders": ("created_at", "last_modified_at", "postage_request_date", "valid_until"),
    "order_items": ("request_date",),
    "shipments": ("created_at", "expected_delivery_at", "status_set_at"),
    "shipment_items": ("created_at",),
    "track_and_traces": ("created_at", "expected_delivery_at"),
    "tracking_events": ("occurred_at", "expected_delivery_at"),
    "customers": ("created_at",),
    "carriers": ("created_at",),
}


# Moments of what has happened already.
PAST = {
    "orders": ("created_at", "source_modified_at"),
    "shipments": ("created_at", "status_set_at"),
    "tracking_events": ("occurred_at",),
    "refunds": ("created_at",),
}


@pytest.mark.parametrize(("table", "column"), [(t, column) for t, columns in MOMENTS.items() for column in columns])
async def test_moment_of_a_year_that_no_client_knows_is_refused(store: Store, table: str, column: str) -> None:
    """And one that is there does not keep its row from being written."""
    if table == "tracking_events":
        await store.execute(
            "INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at)"
            " SELECT id, channel_id, 'IN_TRANSIT', now() FROM track_and_traces LIMIT 1"
        )
    one = f"ctid = (SELECT ctid FROM {table} LIMIT 1)"
    for moment in ("294276-01-01", "0044-03-15 BC", "infinity", "-infinity", "1899-12-30", "9999-01-03"):
        change = store.execute(f"UPDATE {table} SET {column} = '{moment}'::timestamptz WHERE {one}")
        assert await refused(change) == f"{table}_moments_other", moment
    if column not in PAST.get(table, ()):
        await store.execute(f"UPDATE {table} SET {column} = '9998-12-31' WHERE {one}")
    await store.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_moments_other")
    if column in PAST.get(table, ()):
        await store.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_past_other")
    await store.execute(f"UPDATE {table} SET {column} = '294276-01-01' WHERE {one}")
    await store.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    assert await refused(store.execute(f"UPDATE {table} SET {column} = {column} WHERE {one}")) is None
    with pytest.raises(asyncpg.CheckViolationError, match=f"^{column} of {table} is of no year between 1900 and 9998$"):
        await store.execute(f"UPDATE {table} SET {column} = '294275-01-01' WHERE {one}")


@pytest.mark.parametrize(("table", "column"), [(t, column) for t, columns in PAST.items() for column in columns])
async def test_what_has_happened_lies_not_in_the_future(store: Store, table: str, column: str) -> None:
    await store.execute(
        "INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at)"
        " SELECT id, channel_id, 'IN_TRANSIT', now() FROM track_and_traces LIMIT 1"
    )
    await store.execute("INSERT INTO refunds (order_id, channel_id, amount) VALUES (2075, 1, 0)")
    one = f"(id, channel_id) = (SELECT id, channel_id FROM {table} ORDER BY id LIMIT 1)"
    await store.execute(f"UPDATE {table} SET {column} = now() + interval '23 hours' WHERE {one}")
    with pytest.raises(asyncpg.CheckViolationError, match=f"^{column} of {table} lies more than a day in the future$"):
        await store.execute(f"UPDATE {table} SET {column} = now() + interval '25 hours' WHERE {one}")
    await store.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_past_other")
    await store.execute(f"UPDATE {table} SET {column} = '2099-01-01' WHERE {one}")
    await store.execute(f"ALTER TABLE {table} ENABLE TRIGGER {table}_past_other")
    assert await refused(store.execute(f"UPDATE {table} SET {column} = {column} WHERE {one}")) is None


@pytest.mark.parametrize(
    "insert",
    [
        "INSERT INTO shipments (order_id, channel_id, created_at) VALUES (2075, 1, '2099-01-01')",
        "INSERT INTO refunds (order_id, channel_id, amount, created_at) VALUES (2075, 1, 0, '2099-01-01')",
        "INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at)"
        " SELECT id, channel_id, 'IN_TRANSIT', '2099-01-01' FROM track_and_traces LIMIT 1",
        "INSERT INTO orders (channel_id, status, email, currency, total_gross, total_net, total_tax, sub_total,"
        " source_modified_at) VALUES (1, 'NEW', '', 'EUR', 0, 0, 0, 0, '2099-01-01')",
    ],
)
async def test_new_row_of_what_has_happened_lies_not_in_the_future(store: Store, insert: str) -> None:
    assert await refused(store.execute(insert)) == f"{insert.split()[2]}_past_new"


async def test_new_row_of_a_year_that_no_client_knows_is_refused(store: Store) -> None:
    for insert in (
        "INSERT INTO shipments (order_id, channel_id, created_at) VALUES (2075, 1, '0001-01-01 BC')",
        "INSERT INTO track_and_traces (shipment_id, order_id, channel_id, code, expected_delivery_at)"
        f" VALUES ('{SHIPMENT}', 2075, 1, 'X', '294276-01-01')",
        "INSERT INTO refunds (order_id, channel_id, amount, created_at) VALUES (2075, 1, 0, 'infinity')",
    ):
        table = insert.split()[2]
        assert await refused(store.execute(insert)) == f"{table}_moments_new"
