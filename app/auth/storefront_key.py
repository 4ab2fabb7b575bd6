"""Storefront keys: the header X-STOREFRONT-KEY names the shop, and with it the channel, that a request comes from."""

from collections.abc import Mapping

import asyncpg

from app.auth import api_key
from app.database import Database
from app.errors import NotAuthenticated, StorefrontKeyInvalid, StorefrontKeyRequired
from sql import Scope, load

HEADER = "x-storefront-key"


async def find_storefront_key(headers: Mapping[str, str], db: Database) -> asyncpg.Record:
    """The request's key: `id`, `requests_per_minute`, and of its channel `channel_id`, `code`, `name`, `currency`.

    Read anew each time, so that switching a key off holds at once. Raises `StorefrontKeyRequired` or
    `StorefrontKeyInvalid`.
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
    rows = await db.fetch(load("storefront_key").by_key_hash, Scope.everything(), key_hash=key_hash)
    if not rows:
        raise StorefrontKeyInvalid
    return rows[0]
