"""`customers`: accounts of shops, their passwords, and accounts that turn out to be one person's.

Customers are named by their id, or by their e-mail together with the code of their channel.
"""

import argparse
from typing import Any

import asyncpg

import sql
from app.admin.command import (
    LARGEST_ID,
    Answer,
    Commands,
    Noun,
    Options,
    Refused,
    add_person,
    channel_id,
    hash_password,
    note,
    quoted,
    read_secret,
)
from app.postgres.direct import fetch

_SQL = sql.load("customer_account")


def add_commands(commands: Commands) -> None:
    noun = Noun(commands, "customers", "customer", help="make accounts of shops, set passwords, suspend, merge")
    create = noun.task("create", _create, "make an account", writes=True)
    add_person(create, "of whose shop it is")
    create.add_argument(
        "--password", action="store_true", help="with a password, read from the terminal or from standard input"
    )
    _name_one(noun.task("show", _show, "tell one account"))
    _name_one(
        noun.task("password", _password, "set a password, read from standard input, and end all tokens", writes=True)
    )
    _name_one(noun.task("disable", _disable, "let a customer log in no more, and end all tokens at once", writes=True))
    _name_one(noun.task("enable", _enable, "let a customer log in again", writes=True))
    task = noun.task("merge", _merge, "have one customer have the orders of another, for good", writes=True)
    task.add_argument("source", metavar="FROM", help="id, or e-mail with --channel, of who is the other one")
    task.add_argument("target", metavar="INTO")
    _name_channel(task)


def _name_one(task: argparse.ArgumentParser) -> None:
    task.add_argument("customer", metavar="CUSTOMER", help="id, or e-mail with --channel")
    _name_channel(task)


def _name_channel(task: argparse.ArgumentParser) -> None:
    task.add_argument("--channel", metavar="CODE", help="of the channel whose customers are meant")


async def _create(connection: asyncpg.Connection, options: Options) -> Answer:
    password = read_secret("Password") if options.password else None
    of_channel = await channel_id(connection, options.channel)
    try:
        [row] = await fetch(
            connection,
            _SQL.add,
            channel_id=of_channel,
            email=options.email,
            first_name=options.first_name,
            last_name=options.last_name,
            password_hash=None if password is None else await hash_password(password),
        )
    except asyncpg.UniqueViolationError:
        raise Refused(f"the channel has a customer {quoted(options.email)} already") from None
    has_password = password is not None
    subject = f"customer:{row['id']}"
    await note(connection, "customers create", subject, channel=options.channel, has_password=has_password)
    return Answer({"id": row["id"], "channel": options.channel, "email": options.email, "has_password": has_password})


async def _show(connection: asyncpg.Connection, options: Options) -> Answer:
    return Answer(_told(await find(connection, options.customer, options.channel, merged=True, lock=False)))


async def _password(connection: asyncpg.Connection, options: Options) -> Answer:
    return await set_password(connection, options.customer, read_secret("Password"), options.channel)


async def set_password(connection: asyncpg.Connection, who: str, password: str, channel: str | None) -> Answer:
    """Ends all tokens and links of the customer. Raises `Refused`."""
    customer = await find(connection, who, channel)
    if customer["email"] is None:
        raise Refused("the customer has no e-mail to log in with")
    values = {"id": customer["id"], "channel_id": customer["channel_id"]}
    await fetch(connection, _SQL.set_password, **values, password_hash=await hash_password(password))
    await note(connection, "customers password", f"customer:{customer['id']}")
    return Answer(
        {"id": customer["id"], "has_password": True},
        notes=[f"Customer {customer['id']} has a password, and has to log in anew."],
    )


async def _disable(connection: asyncpg.Connection, options: Options) -> Answer:
    return await _suspend(connection, options, is_suspended=True)


async def _enable(connection: asyncpg.Connection, options: Options) -> Answer:
    return await _suspend(connection, options, is_suspended=False)


async def _suspend(connection: asyncpg.Connection, options: Options, *, is_suspended: bool) -> Answer:
    customer = await find(connection, options.customer, options.channel)
    values = {"id": customer["id"], "channel_id": customer["channel_id"]}
    await fetch(connection, _SQL.suspend, **values, is_suspended=is_suspended)
    await note(connection, f"customers {'disable' if is_suspended else 'enable'}", f"customer:{customer['id']}")
    return Answer({"id": customer["id"], "is_suspended": is_suspended})


async def _merge(connection: asyncpg.Connection, options: Options) -> Answer:
    return await merge(connection, options.source, options.target, options.channel)


async def merge(connection: asyncpg.Connection, source: str, target: str, channel: str | None) -> Answer:
    """Has `target` have the orders of `source`, for good: what is found by the keys of the one is the other's.

    All tokens of `source` end, and its password, unless the target takes over its e-mail. Raises `Refused`.
    """
    one, other = [await find(connection, who, channel) for who in (source, target)]
    if one["id"] == other["id"]:
        raise Refused("the two are one customer")
    if one["channel_id"] != other["channel_id"]:
        raise Refused("the two are customers of different channels")
    values = {"source": one["id"], "target": other["id"], "channel_id": one["channel_id"]}
    (row,) = await fetch(connection, _SQL.merge, **values)
    await fetch(connection, _SQL.release_keys, **values)
    keys = {name: one[name] for name in ("email", "external_id", "phone", "password_hash")}
    await fetch(connection, _SQL.take_keys, **values, **keys)
    await note(connection, "customers merge", f"customer:{one['id']}", into=other["id"], orders=row["orders"])
    return Answer(
        {"id": one["id"], "merged_into_id": other["id"], "orders": row["orders"]},
        notes=[f"Customer {one['id']} is customer {other['id']} now, with {row['orders']} orders more."],
    )


def _id_of(who: str) -> int | None:
    """None of an e-mail. Raises `Refused` for what is neither that nor an id."""
    if "@" in who:
        return None
    # More digits than an id has, and those of other scripts, are none of ours to read.
    digits = who.lstrip("0")
    if not who.isascii() or not who.isdecimal() or not 0 < len(digits) <= len(str(LARGEST_ID)):
        raise Refused(f"{quoted(who)} is neither an e-mail nor an id, which is 1 to {LARGEST_ID}")
    if int(digits) > LARGEST_ID:
        raise Refused(f"there is no customer {who}: an id is 1 to {LARGEST_ID}")
    return int(digits)


async def find(
    connection: asyncpg.Connection, who: str, channel: str | None, *, merged: bool = False, lock: bool = True
) -> asyncpg.Record:
    """The customer, locked unless told otherwise. Raises `Refused`, for one that was merged unless `merged`."""
    key = {"id": _id_of(who), "email": who if "@" in who else None, "channel": channel}
    if key["email"] is not None and channel is None:
        raise Refused("an e-mail needs --channel: each channel has customers of its own")
    rows = await fetch(connection, _SQL.find if lock else _SQL.look_up, **key)
    if not rows:
        raise Refused(f"there is no customer {quoted(who)}")
    if len(rows) > 1:
        raise Refused(f"several channels have a customer {who}: name one by --channel")
    if rows[0]["merged_into_id"] is not None and not merged:
        raise Refused(f"customer {who} was merged into customer {rows[0]['merged_into_id']}")
    return rows[0]


def _told(row: asyncpg.Record) -> dict[str, Any]:
    told = {name: value for name, value in row.items() if name not in ("channel_id", "password_hash")}
    return told | {"has_password": row["password_hash"] is not None}
