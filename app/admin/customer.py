"""`python -m app customer`: accounts that turn out to be one person's, and passwords.

Customers are named by their id, or by their e-mail together with the code of their channel.
"""

import asyncpg

import sql
from app.auth.password import Passwords
from app.postgres.connect import CONNECT_SECONDS
from app.postgres.direct import fetch
from app.resolvers.customer.login import faults_of_password

_SQL = sql.load("customer_account")
_LARGEST_ID = 2**31 - 1
_QUOTED = 100


class CustomerError(Exception):
    """What an operator asked for cannot be done; the words say why."""


async def merge(dsn: str, source: str, target: str, channel: str | None) -> str:
    """Has `target` have the orders of `source`, for good: what is found by the keys of the one is the other's.

    All tokens of `source` end, and its password, unless the target takes over its e-mail. Raises `CustomerError`.
    """
    connection = await _connect(dsn)
    try:
        async with connection.transaction():
            one, other = [await _find(connection, who, channel) for who in (source, target)]
            if one["id"] == other["id"]:
                raise CustomerError("the two are one customer")
            if one["channel_id"] != other["channel_id"]:
                raise CustomerError("the two are customers of different channels")
            values = {"source": one["id"], "target": other["id"], "channel_id": one["channel_id"]}
            (row,) = await fetch(connection, _SQL.merge, **values)
            await fetch(connection, _SQL.release_keys, **values)
            keys = {name: one[name] for name in ("email", "external_id", "phone", "password_hash")}
            await fetch(connection, _SQL.take_keys, **values, **keys)
    finally:
        await connection.close()
    return f"customer {one['id']} is customer {other['id']} now, with {row['orders']} orders more"


async def set_password(dsn: str, who: str, password: str, channel: str | None) -> str:
    """Ends all tokens and links of the customer. Raises `CustomerError`."""
    if faults := faults_of_password(password):
        raise CustomerError(" ".join(faults))
    passwords = Passwords()
    connection = await _connect(dsn)
    try:
        async with connection.transaction():
            customer = await _find(connection, who, channel)
            if customer["email"] is None:
                raise CustomerError("the customer has no e-mail to log in with")
            password_hash = await passwords.hash(password)
            values = {"id": customer["id"], "channel_id": customer["channel_id"]}
            await fetch(connection, _SQL.set_password, **values, password_hash=password_hash)
    finally:
        await connection.close()
        passwords.close()
    return f"customer {customer['id']} has a password, and has to log in anew"


async def _connect(dsn: str) -> asyncpg.Connection:
    return await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, statement_cache_size=0)


def _id_of(who: str) -> int | None:
    """None of an e-mail. Raises `CustomerError` for what is neither that nor an id."""
    if "@" in who:
        return None
    # More digits than an id has, and those of other scripts, are none of ours to read.
    digits = who.lstrip("0")
    if not who.isascii() or not who.isdecimal() or not 0 < len(digits) <= len(str(_LARGEST_ID)):
        raise CustomerError(f"{who[:_QUOTED]!r} is neither an e-mail nor an id, which is 1 to {_LARGEST_ID}")
    if int(digits) > _LARGEST_ID:
        raise CustomerError(f"there is no customer {who}: an id is 1 to {_LARGEST_ID}")
    return int(digits)


async def _find(connection: asyncpg.Connection, who: str, channel: str | None) -> asyncpg.Record:
    """The customer, locked. Raises `CustomerError`."""
    key = {"id": _id_of(who), "email": who if "@" in who else None, "channel": channel}
    if key["email"] is not None and channel is None:
        raise CustomerError("an e-mail needs --channel: each channel has customers of its own")
    rows = await fetch(connection, _SQL.find, **key)
    if not rows:
        raise CustomerError(f"there is no customer {who[:_QUOTED]}")
    if len(rows) > 1:
        raise CustomerError(f"several channels have a customer {who}: name one by --channel")
    if rows[0]["merged_into_id"] is not None:
        raise CustomerError(f"customer {who} was merged into customer {rows[0]['merged_into_id']}")
    return rows[0]
