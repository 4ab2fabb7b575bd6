"""`keys`: API keys of partners. A key is shown once, when it is made; the store has its digest and its first
characters.
"""

import argparse
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg

import sql
from app.admin.command import (
    Answer,
    Commands,
    Noun,
    Options,
    Refused,
    duration,
    identifier,
    moment,
    network,
    note,
    quoted,
    read_secret,
)
from app.auth.api_key import API_KEY, PREFIX_LENGTH, digest, is_made_here, new_key
from app.auth.network import Network
from app.auth.viewer import PERMISSIONS
from app.errors import NotAuthenticated
from app.postgres.direct import fetch
from sql import Statement

OVERLAP = timedelta(days=7)

_SQL = sql.load("api_key")
_LONGEST_NAME = 200
_COLUMNS = ("id", "name", "prefix", "state", "expires_at", "channels", "companies", "networks", "permissions")


def add_commands(commands: Commands) -> None:
    noun = Noun(commands, "keys", help="make, rotate and revoke API keys of partners")
    create = noun.task("create", _create, "make a key, and print it once", writes=True)
    create.add_argument("name", type=name, metavar="NAME", help="what people know it by; one key has it")
    _add_rights(create, required=True)
    add_bounds(create)
    change = noun.task("change", _change, "change what a key may do; what is left out stays", writes=True)
    change.add_argument("id", type=identifier, metavar="ID")
    _add_rights(change, required=False)
    add_bounds(change)
    listing = noun.task("list", _list, "list the keys that are good")
    listing.add_argument("--all", action="store_true", help="those that were revoked or have expired, too")
    noun.task("show", _show, "tell one key").add_argument("id", type=identifier, metavar="ID")
    add_rotation(noun, _rotate, _revoke)
    noun.task("find", _find, "tell which key it is that is read from standard input: one that leaked, say")


def add_bounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--network", type=network, action="append", metavar="CIDR", dest="networks",
        help="a network, or an address, that it may come from; again for each; any is anywhere, as without",
    )  # fmt: skip
    parser.add_argument(
        "--expires", type=moment, default=argparse.SUPPRESS, metavar="WHEN",
        help="when it ends: 90d from now, a date (in UTC), or never",
    )  # fmt: skip


def add_rotation(noun: Noun, rotate: Any, revoke: Any) -> None:
    task = noun.task("rotate", rotate, "make another key for the same rights, and print it once", writes=True)
    task.add_argument("id", type=identifier, metavar="ID")
    task.add_argument(
        "--overlap", type=duration, default=OVERLAP, metavar="TIME", help="for which the former key stays good; 7d"
    )
    task = noun.task("revoke", revoke, "end a key at once, for good", writes=True)
    task.add_argument("id", type=identifier, metavar="ID")
    task.add_argument("--former", action="store_true", help="only the key that the last rotation replaced")


def name(text: str) -> str:
    """The type of an argument that names a key."""
    if not text.strip() or not text.isprintable() or len(text) > _LONGEST_NAME:
        raise argparse.ArgumentTypeError(f"must be 1 to {_LONGEST_NAME} printable characters")
    return text


def made(row: asyncpg.Record | None, key: str, **more: Any) -> Answer:
    """What is told of a new key, the only time that it is told."""
    return Answer(
        {"id": row["id"] if row else None, **more, "key": key}, notes=["Keep the key now: nobody can show it again."]
    )


def networks_of(options: Options) -> Sequence[Network] | None:
    """Those that were given; None for anywhere. Raises `Refused` for both."""
    given = options.networks or [None]
    if None in given and len(set(given)) > 1:
        raise Refused("--network any is anywhere: leave it out, or the others")
    return None if None in given else list(dict.fromkeys(given))


def _add_rights(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--permission", choices=PERMISSIONS, action="append", required=required, metavar="PERMISSION",
        dest="permissions", help="one of " + "; ".join(f"{key} ({what})" for key, what in PERMISSIONS.items()),
    )  # fmt: skip
    parser.add_argument(
        "--channel",
        action="append",
        required=required,
        metavar="CODE",
        dest="channels",
        help="that it sees; again for each",
    )
    parser.add_argument(
        "--company", type=identifier, action="append", metavar="ID", dest="companies",
        help="of the channels, whose orders alone it sees; again for each; all without",
    )  # fmt: skip


def _permissions(options: Options) -> list[str]:
    """Raises `Refused` for a permission that allows nothing without another one."""
    named = set(options.permissions)
    if "shipments:override" in named and "shipments:write" not in named:
        raise Refused("shipments:override allows nothing without shipments:write: name both, or neither")
    return sorted(named)


async def _create(connection: asyncpg.Connection, options: Options) -> Answer:
    key = new_key(API_KEY)
    try:
        [row] = await fetch(
            connection,
            _SQL.add,
            name=options.name,
            key_hash=digest(key),
            prefix=key[:PREFIX_LENGTH],
            permissions=_permissions(options),
            networks=networks_of(options),
            expires_at=getattr(options, "expires", None),
        )
    except asyncpg.UniqueViolationError:
        raise Refused(f"there is a key of the name {quoted(options.name)} already") from None
    await _set_channels(connection, row["id"], options)
    told = await _row(connection, row["id"])
    await note(connection, "keys create", f"api_key:{row['id']}", **_details(told))
    return made(row, key, name=options.name)


async def _change(connection: asyncpg.Connection, options: Options) -> Answer:
    row = await _lock(connection, options.id)
    if row["revoked_at"] is not None:
        raise Refused(f"key {options.id} is revoked, for good: make another one")
    await fetch(
        connection,
        _SQL.change,
        id=options.id,
        permissions=_permissions(options) if options.permissions else None,
        networks=networks_of(options),
        sets_networks=options.networks is not None,
        expires_at=getattr(options, "expires", None),
        sets_expiry=hasattr(options, "expires"),
    )
    if options.channels or options.companies:
        before = await _row(connection, options.id)
        options.channels = options.channels or before["channels"]
        options.companies = options.companies or before["companies"]
        await fetch(connection, _SQL.drop_companies, id=options.id)
        await fetch(connection, _SQL.drop_channels, id=options.id)
        await _set_channels(connection, options.id, options)
    told = await _row(connection, options.id)
    await note(connection, "keys change", f"api_key:{options.id}", **_details(told))
    return Answer(told)


async def _list(connection: asyncpg.Connection, options: Options) -> Answer:
    rows = await fetch(connection, _SQL.newest, all=options.all)
    return Answer([told_key(row) for row in rows], columns=_COLUMNS)


async def _show(connection: asyncpg.Connection, options: Options) -> Answer:
    return Answer(await _row(connection, options.id))


async def _rotate(connection: asyncpg.Connection, options: Options) -> Answer:
    row = await _lock(connection, options.id)
    refuse_rotation(row, f"key {options.id}", "keys")
    key = new_key(API_KEY)
    [rotated] = await fetch(
        connection,
        _SQL.rotate,
        id=options.id,
        key_hash=digest(key),
        prefix=key[:PREFIX_LENGTH],
        overlap=options.overlap,
    )
    until = rotated["former_expires_at"]
    await note(connection, "keys rotate", f"api_key:{options.id}", former_expires_at=until.isoformat())
    return made(row, key, former_key_expires_at=until)


def refuse_rotation(row: asyncpg.Record, what: str, command: str) -> None:
    """Raises `Refused` for a key that has ended, or is replacing another one."""
    if row["is_rotating"]:
        raise Refused(
            f"{what} was rotated, and the former key is good until {row['former_expires_at']:%Y-%m-%d %H:%M}Z: two"
            f" are all that it may have. `{command} revoke {row['id']} --former` ends that one"
        )
    if row["revoked_at"] is not None:
        raise Refused(f"{what} is revoked, for good: make another one")


async def _revoke(connection: asyncpg.Connection, options: Options) -> Answer:
    row = await _lock(connection, options.id)
    if options.former:
        if not row["is_rotating"]:
            raise Refused(f"key {options.id} replaces none that is still good")
        await fetch(connection, _SQL.end_former, id=options.id)
        await note(connection, "keys revoke", f"api_key:{options.id}", former=True)
    else:
        await fetch(connection, _SQL.revoke, id=options.id)
        await note(connection, "keys revoke", f"api_key:{options.id}")
    return Answer(await _row(connection, options.id))


async def _find(connection: asyncpg.Connection, _options: Options) -> Answer:
    text = read_secret("Key")
    try:
        rows = await fetch(connection, _SQL.by_digest, key_hash=digest(text))
        shops = await fetch(connection, sql.load("storefront_key").by_digest, key_hash=digest(text))
    except NotAuthenticated:
        raise Refused("that is no key: its form, or its checksum, is that of none") from None
    found = [{"kind": "api key", **told_key(row)} for row in rows]
    found += [{"kind": "storefront key", **told_key(row)} for row in shops]
    if not found:
        made_here = " was made by Waybill, but it" if is_made_here(text) else ""
        raise Refused(f"the key{made_here} is none of this database")
    command = "keys" if rows else "storefront-keys"
    return Answer(found[0], notes=[f"To end it at once: {command} revoke {found[0]['id']}"])


async def _set_channels(connection: asyncpg.Connection, key_id: int, options: Options) -> None:
    codes = list(dict.fromkeys(options.channels))
    rows = await fetch(connection, sql.load("channel_setting").by_codes, codes=codes)
    if missing := set(codes) - {row["code"] for row in rows}:
        raise Refused(f"there is no channel {', '.join(map(quoted, sorted(missing)))}: `channels list` names them")
    await fetch(connection, _SQL.add_channels, id=key_id, codes=codes)
    if options.companies:
        wanted = set(options.companies)
        rows = await fetch(connection, _SQL.add_companies, id=key_id, company_ids=sorted(wanted))
        if missing_ids := wanted - {row["company_id"] for row in rows}:
            raise Refused(f"none of the channels has a company {', '.join(map(str, sorted(missing_ids)))}")


async def find_key(connection: asyncpg.Connection, statement: Statement, key_id: int, what: str) -> asyncpg.Record:
    """Raises `Refused`."""
    rows = await fetch(connection, statement, id=key_id)
    if not rows:
        raise Refused(f"there is no {what} {key_id}")
    return rows[0]


async def _lock(connection: asyncpg.Connection, key_id: int) -> asyncpg.Record:
    return await find_key(connection, _SQL.lock, key_id, "key")


async def _row(connection: asyncpg.Connection, key_id: int) -> dict[str, Any]:
    return told_key(await find_key(connection, _SQL.by_id, key_id, "key"))


def told_key(row: asyncpg.Record) -> dict[str, Any]:
    """As it is printed."""
    return {**row, "networks": None if row["networks"] is None else [str(each) for each in row["networks"]]}


def _details(told: dict[str, Any]) -> dict[str, Any]:
    """What the audit trail keeps: what the key may do, and by whom it is known."""
    expires_at = told["expires_at"]
    kept = {name: told[name] for name in ("prefix", "permissions", "channels", "companies", "networks")}
    return {**kept, "expires_at": expires_at and expires_at.isoformat()}
