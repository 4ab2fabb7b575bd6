"""Storefront keys: the header X-STOREFRONT-KEY names the shop, and with it the channel, that a request comes from."""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from app.auth import api_key
from app.auth.network import is_within
from app.errors import NotAuthenticated, ServiceUnavailable, StorefrontKeyInvalid, StorefrontKeyRequired
from app.postgres.database import Database
from app.postgres.events import Tables
from sql import Visibility, load

HEADER = "x-storefront-key"
# What refusals tell of it, in whatever protocol.
DESCRIBED = {"header_name": "X-STOREFRONT-KEY", "key_type": "shop"}

# What sql/storefront_key.sql reads, by the digest of the key.
STOREFRONTS = Tables[bytes, asyncpg.Record]("storefront_keys", "channels")


class Storefront(NamedTuple):
    """The shop that a request comes from, as far as its key tells.

    `key` is the row of a good key: `id`, `requests_per_minute`, and of its channel `channel_id`, `code`, `name` and
    `currency`; of a page of the shop's, which needs no key, `id` is None and `channel_id` is all else. `refusal` says
    what is wrong with another one; without any, both are None.
    """

    key: asyncpg.Record | None = None
    refusal: NotAuthenticated | ServiceUnavailable | None = None

    def require(self) -> asyncpg.Record:
        """The row. Raises `StorefrontKeyRequired`, `StorefrontKeyInvalid`, or why the key could not be looked up."""
        if self.key is None:
            raise self.refusal or StorefrontKeyRequired()
        return self.key


async def find_storefront(keys: Sequence[str], db: Database, address: str = "") -> Storefront:
    """`keys` are the values of the header, `address` is the client's. Not every request needs a key, so what is wrong
    is told, not raised.

    Read anew as soon as a key changes (see `app.postgres.events`), so one that is switched off ends when the database
    has told of it. What expires is compared with the clock.
    """
    try:
        return Storefront(await _row(keys, db, address))
    except (NotAuthenticated, ServiceUnavailable) as refusal:
        return Storefront(refusal=refusal.with_traceback(None))  # whose frames would hold the request in a circle


async def _row(keys: Sequence[str], db: Database, address: str) -> asyncpg.Record:
    if not any(keys):
        raise StorefrontKeyRequired
    if len(keys) > 1:  # whoever stands before us may have checked the other one
        raise StorefrontKeyInvalid
    try:
        key_hash = api_key.digest(keys[0])
    except NotAuthenticated:
        raise StorefrontKeyInvalid from None

    async def look_up() -> asyncpg.Record:
        rows = await db.fetch(load("storefront_key").by_key_hash, Visibility.everything(), key_hash=key_hash)
        if not rows:
            raise StorefrontKeyInvalid
        return rows[0]

    row = await db.table_cache(STOREFRONTS).get(key_hash, look_up)
    if (row["expires_at"] or math.inf) <= time.time() or not is_within(address, row["networks"]):
        raise StorefrontKeyInvalid
    return row
