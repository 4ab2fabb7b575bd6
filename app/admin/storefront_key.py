"""`storefront-keys`: the keys by which shops are known. Each opens one channel, and is shown once."""

from typing import Any

import asyncpg

import sql
from app.admin.api_key import add_bounds, add_rotation, find_key, made, name, networks_of, refuse_rotation, told_key
from app.admin.command import Answer, Commands, Noun, Options, Refused, channel_id, count, identifier, note
from app.auth.api_key import PREFIX_LENGTH, STOREFRONT_KEY, digest, new_key
from app.postgres.direct import fetch

_SQL = sql.load("storefront_key")
_MOST_REQUESTS = 1_000_000
_COLUMNS = ("id", "name", "prefix", "state", "expires_at", "channel", "requests_per_minute", "networks")


def add_commands(commands: Commands) -> None:
    noun = Noun(commands, "storefront-keys", help="make, rotate and revoke the keys of shops")
    create = noun.task("create", _create, "make a key, and print it once", writes=True)
    create.add_argument("name", type=name, metavar="NAME", help="what people know it by")
    create.add_argument("--channel", required=True, metavar="CODE", help="that it opens")
    change = noun.task("change", _change, "change how a key may be used; what is left out stays", writes=True)
    change.add_argument("id", type=identifier, metavar="ID")
    for task in (create, change):
        task.add_argument(
            "--requests-per-minute",
            type=count(_MOST_REQUESTS),
            metavar="N",
            help="that it may make, 100 unless you say",
        )
        add_bounds(task)
    listing = noun.task("list", _list, "list the keys that are good")
    listing.add_argument("--all", action="store_true", help="those that were revoked or have expired, too")
    noun.task("show", _show, "tell one key").add_argument("id", type=identifier, metavar="ID")
    add_rotation(noun, _rotate, _revoke)


async def _create(connection: asyncpg.Connection, options: Options) -> Answer:
    key = new_key(STOREFRONT_KEY)
    [row] = await fetch(
        connection,
        _SQL.add,
        channel_id=await channel_id(connection, options.channel),
        name=options.name,
        key_hash=digest(key),
        prefix=key[:PREFIX_LENGTH],
        requests_per_minute=options.requests_per_minute or 100,
        networks=networks_of(options),
        expires_at=getattr(options, "expires", None),
    )
    await _note(connection, "storefront-keys create", row["id"])
    return made(row, key, name=options.name, channel=options.channel)


async def _change(connection: asyncpg.Connection, options: Options) -> Answer:
    row = await _lock(connection, options.id)
    if row["revoked_at"] is not None:
        raise Refused(f"storefront key {options.id} is revoked, for good: make another one")
    await fetch(
        connection,
        _SQL.change,
        id=options.id,
        requests_per_minute=options.requests_per_minute,
        networks=networks_of(options),
        sets_networks=options.networks is not None,
        expires_at=getattr(options, "expires", None),
        sets_expiry=hasattr(options, "expires"),
    )
    return Answer(await _note(connection, "storefront-keys change", options.id))


async def _list(connection: asyncpg.Connection, options: Options) -> Answer:
    rows = await fetch(connection, _SQL.newest, all=options.all)
    return Answer([told_key(row) for row in rows], columns=_COLUMNS)


async def _show(connection: asyncpg.Connection, options: Options) -> Answer:
    return Answer(await _row(connection, options.id))


async def _rotate(connection: asyncpg.Connection, options: Options) -> Answer:
    row = await _lock(connection, options.id)
    refuse_rotation(row, f"storefront key {options.id}", "storefront-keys")
    key = new_key(STOREFRONT_KEY)
    values = {"id": options.id, "key_hash": digest(key), "prefix": key[:PREFIX_LENGTH], "overlap": options.overlap}
    [rotated] = await fetch(connection, _SQL.rotate, **values)
    until = rotated["former_expires_at"]
    subject = f"storefront_key:{options.id}"
    await note(connection, "storefront-keys rotate", subject, former_expires_at=until.isoformat())
    return made(row, key, former_key_expires_at=until)


async def _revoke(connection: asyncpg.Connection, options: Options) -> Answer:
    row = await _lock(connection, options.id)
    if options.former and not row["is_rotating"]:
        raise Refused(f"storefront key {options.id} replaces none that is still good")
    await fetch(connection, _SQL.end_former if options.former else _SQL.revoke, id=options.id)
    subject = f"storefront_key:{options.id}"
    await note(connection, "storefront-keys revoke", subject, **({"former": True} if options.former else {}))
    return Answer(await _row(connection, options.id))


async def _lock(connection: asyncpg.Connection, key_id: int) -> asyncpg.Record:
    return await find_key(connection, _SQL.lock, key_id, "storefront key")


async def _note(connection: asyncpg.Connection, action: str, key_id: int) -> dict[str, Any]:
    told = await _row(connection, key_id)
    kept = {name: told[name] for name in ("prefix", "channel", "requests_per_minute", "networks")}
    expires_at = told["expires_at"] and told["expires_at"].isoformat()
    await note(connection, action, f"storefront_key:{key_id}", **kept, expires_at=expires_at)
    return told


async def _row(connection: asyncpg.Connection, key_id: int) -> dict[str, Any]:
    return told_key(await find_key(connection, _SQL.by_id, key_id, "storefront key"))
