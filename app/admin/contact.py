"""`contacts`: who reads the orders of companies in a portal, logged in by a password or named by its tokens."""

from collections.abc import Sequence
from typing import Any

import asyncpg

import sql
from app.admin.command import (
    Answer,
    Commands,
    Noun,
    Options,
    Refused,
    add_person,
    channel_id,
    count,
    hash_password,
    identifier,
    note,
    quoted,
    read_secret,
)
from app.postgres.direct import fetch

_SQL = sql.load("contact")


def add_commands(commands: Commands) -> None:
    noun = Noun(commands, "contacts", help="make contacts of companies, and disable them")
    create = noun.task("create", _create, "make a contact", writes=True)
    add_person(create, "of whose companies it is")
    create.add_argument(
        "--password", action="store_true", help="with a password, read from the terminal or from standard input"
    )
    listing = noun.task("list", _list, "list contacts, the newest first")
    listing.add_argument("--channel", metavar="CODE", help="of one channel alone")
    listing.add_argument("--company", type=identifier, metavar="ID", help="of one company alone")
    listing.add_argument(
        "--limit", type=count(10_000), default=50, metavar="N", help="at most so many, 50 unless you say"
    )
    companies = noun.task("companies", _companies, "say of which companies a contact is, and of no others", writes=True)
    tasks = [
        noun.task("show", _show, "tell one contact"),
        companies,
        noun.task("password", _password, "set a password, read from standard input, and end all sessions", writes=True),
        noun.task("disable", _disable, "accept no token of a contact any more, at once", writes=True),
        noun.task("enable", _enable, "accept tokens of a contact again", writes=True),
    ]
    for task in tasks:
        task.add_argument("id", type=identifier, metavar="ID")
        task.add_argument("--channel", metavar="CODE", help="where several channels have a contact of that id")
    which = companies.add_mutually_exclusive_group(required=True)
    for arguments in (create, which):
        arguments.add_argument(
            "--company", type=identifier, action="append", default=[], metavar="ID", dest="companies",
            help="whose orders, and whose daughters' orders, it reads; again for each",
        )  # fmt: skip
    which.add_argument("--none", action="store_true", help="of no company: it reads nothing")


async def _create(connection: asyncpg.Connection, options: Options) -> Answer:
    password = read_secret("Password") if options.password else None
    of_channel = await channel_id(connection, options.channel)
    values = {"email": options.email, "first_name": options.first_name, "last_name": options.last_name}
    try:
        password_hash = None if password is None else await hash_password(password)
        [row] = await fetch(connection, _SQL.add, channel_id=of_channel, password_hash=password_hash, **values)
    except asyncpg.UniqueViolationError:
        raise Refused(f"the channel has a contact {quoted(options.email)} already") from None
    await _add_companies(connection, row["id"], of_channel, options.companies)
    subject = f"contact:{row['id']}"
    details = {"channel": options.channel, "companies": options.companies, "has_password": password is not None}
    await note(connection, "contacts create", subject, **details)
    return Answer(
        _told(await find(connection, row["id"], options.channel)), notes=[f"Its tokens have the subject {subject}."]
    )


async def _list(connection: asyncpg.Connection, options: Options) -> Answer:
    rows = await fetch(
        connection, _SQL.newest, channel=options.channel, company_id=options.company, limit=options.limit
    )
    return Answer([_told(row) for row in rows])


async def _show(connection: asyncpg.Connection, options: Options) -> Answer:
    return Answer(_told(await find(connection, options.id, options.channel, lock=False)))


async def _companies(connection: asyncpg.Connection, options: Options) -> Answer:
    contact = await find(connection, options.id, options.channel)
    await fetch(connection, _SQL.drop_companies, id=contact["id"], channel_id=contact["channel_id"])
    await _add_companies(connection, contact["id"], contact["channel_id"], options.companies)
    await note(connection, "contacts companies", f"contact:{contact['id']}", companies=options.companies)
    return Answer(_told(await find(connection, options.id, options.channel)))


async def _password(connection: asyncpg.Connection, options: Options) -> Answer:
    """The database ends the sessions of before."""
    password_hash = await hash_password(read_secret("Password"))
    contact = await find(connection, options.id, options.channel)
    values = {"id": contact["id"], "channel_id": contact["channel_id"], "password_hash": password_hash}
    await fetch(connection, _SQL.set_password, **values)
    await note(connection, "contacts password", f"contact:{contact['id']}")
    return Answer(
        {"id": contact["id"], "has_password": True},
        notes=[f"Contact {contact['id']} has a password, and has to log in anew."],
    )


async def _disable(connection: asyncpg.Connection, options: Options) -> Answer:
    return await _activate(connection, options, is_active=False)


async def _enable(connection: asyncpg.Connection, options: Options) -> Answer:
    return await _activate(connection, options, is_active=True)


async def _activate(connection: asyncpg.Connection, options: Options, *, is_active: bool) -> Answer:
    contact = await find(connection, options.id, options.channel)
    await fetch(connection, _SQL.activate, id=contact["id"], channel_id=contact["channel_id"], is_active=is_active)
    await note(connection, f"contacts {'enable' if is_active else 'disable'}", f"contact:{contact['id']}")
    return Answer({"id": contact["id"], "is_active": is_active})


async def _add_companies(
    connection: asyncpg.Connection, contact_id: int, of_channel: int, companies: Sequence[int]
) -> None:
    values = {"channel_id": of_channel, "company_ids": companies}
    known = {row["id"] for row in await fetch(connection, _SQL.known_companies, **values)}
    if missing := set(companies) - known:
        raise Refused(f"the channel has no company {', '.join(map(str, sorted(missing)))}")
    await fetch(connection, _SQL.add_companies, id=contact_id, **values)


async def find(
    connection: asyncpg.Connection, contact_id: int, channel: str | None, *, lock: bool = True
) -> asyncpg.Record:
    """The contact, locked unless told otherwise. Raises `Refused`."""
    rows = await fetch(connection, _SQL.find if lock else _SQL.look_up, id=contact_id, channel=channel)
    if not rows:
        raise Refused(f"there is no contact {contact_id}")
    if len(rows) > 1:
        raise Refused(f"several channels have a contact {contact_id}: name one by --channel")
    return rows[0]


def _told(row: asyncpg.Record) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "channel_id"}
