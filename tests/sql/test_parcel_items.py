"""The migration of parcels' contents, waiting news and customers keeps every row of a store that was there before."""

import asyncio

from app.postgres.migrate import migrate
from tests.app.postgres.test_locks import FILLED
from tests.conftest import ConnectionTo, Databases
from tests.sql.before import migrate_before

MIGRATION = "0016_parcel_items.sql"
TABLES = ("orders", "shipments", "shipment_items", "track_and_traces", "tracking_events", "carriers", "customers")
CUSTOMERS = """
INSERT INTO customers (channel_id, email, password_hash) VALUES (1, 'ann@a.example', 'x'), (2, 'ann@a.example', NULL);
INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at)
SELECT id, channel_id, 'IN_TRANSIT', '2025-11-04' FROM track_and_traces;
"""


async def test_migration_keeps_what_is_there(databases: Databases, connection_to: ConnectionTo) -> None:
    dsn = await asyncio.to_thread(databases.create)
    store = await connection_to(dsn)
    await migrate_before(dsn, MIGRATION)
    await store.execute(FILLED + CUSTOMERS)
    count = " UNION ALL ".join(f"SELECT count(*) FROM {table}" for table in TABLES)
    statuses = " UNION ALL ".join(
        f"SELECT id, status, version FROM {table}" for table in ("shipments", "track_and_traces")
    )
    queries = (count, f"{statuses} ORDER BY 1", "SELECT id, customer_id, email, version FROM orders ORDER BY id")
    before = [await store.fetch(query) for query in queries]
    await migrate(dsn)
    after = [await store.fetch(query) for query in queries]
    assert after == before
    assert await store.fetchval("SELECT count(*) FROM customers WHERE email = 'ann@a.example'") == 2
    assert await store.fetchval("SELECT count(*) FROM customers WHERE external_id IS NOT NULL") == 0
