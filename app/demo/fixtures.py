"""The demo's fixed rows: those the contract's examples show. The rows themselves are in fixtures.sql, beside this file.

They come with credentials that everybody can read here, so the command line loads them into nothing but a development
server (`Settings.development`); whoever calls `load` from elsewhere keeps to that.
"""

from importlib.resources import files

import asyncpg

from sql.advisory_lock import AdvisoryLock

STOREFRONT_KEY = "pk_storefront_demo_default"
PARTNER_KEY = "pk_partner_demo_full"

CUSTOMER_CHANNEL_ID = 1
CUSTOMER_EMAIL, CUSTOMER_PASSWORD = "customer@example.com", "waybill-demo-john"
CONTACT_EMAIL, CONTACT_PASSWORD = "contact@example.com", "waybill-demo-pieter"


async def load(dsn: str) -> bool:
    """Adds the fixtures in one transaction; False where they are already there, edited since or not.

    They are there exactly when the partner's key is: no part of them is ever committed alone. The database must be
    migrated, and hold no rows of others under the fixtures' small ids (asyncpg.UniqueViolationError, nothing loaded).
    """
    connection = await asyncpg.connect(dsn, statement_cache_size=0)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL waybill.actor = 'fixtures'")
            await connection.execute("SET LOCAL waybill.skipped_steps = 'allowed'")
            await connection.execute("SELECT pg_advisory_xact_lock($1)", AdvisoryLock.FIXTURES)
            known = await connection.fetchval(
                "SELECT EXISTS (SELECT FROM api_keys WHERE key_hash = sha256(convert_to($1, 'UTF8')))", PARTNER_KEY
            )
            if not known:
                await connection.execute(files("app.demo").joinpath("fixtures.sql").read_text("utf-8"))
            return not known
    finally:
        await connection.close()
