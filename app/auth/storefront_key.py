"""Storefront keys: the header X-STOREFRONT-KEY names the shop, and with it the channel, that a request comes from."""

from collections.abc import Mapping

import asyncpg

from app.auth import api_key
from app.errors import NotAuthenticated, StorefrontKeyInvalid, StorefrontKeyRequired
from app.postgres.database import Database
from app.postgres.events import Tables
from sql import Scope, load

HEADER = "x-storefront-key"

# What sql/storefront_key.sql reads, by the digest of the key.
STOREFRONTS = Tables[bytes, asyncpg.Record]("storefront_keys", "channels")


async def find_storefront_key(headers: Mapping[str, str], db: Database) -> asyncpg.Record:
    """The request's key: `id`, `requests_per_minute`, and of its channel `channel_id`, `code`, `name`, `currency`.

    Read anew as soon as a key changes (see `app.postgres.events`), so one that is switched off ends when
    the database has told of it. Raises `StorefrontKeyRequired` or `StorefrontKeyInvalid`.
    """
    values = [value for name, value in headers.items() if name.lower() == HEADER]
    if not any(values):
        raise StorefrontKeyRequired
    if len(values) > 1:  # whoever stands before us may have checked the other one
        raise StorefrontKeyInvalid
    try:
        key_hash = api_key.digest(values[0])
    except NotAuthenticated:
        raise StorefrontKeyInvalid from None

    async def look_up() -> asyncpg.Record:
        rows = await db.fetch(load("storefront_key").by_key_hash, Scope.everything(), key_hash=key_hash)
        if not rows:
            raise StorefrontKeyInvalid
        return rows[0]

    return await db.watched(STOREFRONTS).get(key_hash, look_up)
