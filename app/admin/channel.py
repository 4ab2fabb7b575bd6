"""`channels`: the shops and markets that everything belongs to; their time zones and the rates of their currencies."""

import argparse
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import asyncpg

import sql
from app.admin import channel_page
from app.admin.command import Answer, Commands, Noun, Options, Refused, note, person_name, quoted
from app.postgres.direct import fetch

_SQL = sql.load("channel_setting")
_CODE = re.compile(r"[!-~]{1,64}")


def add_commands(commands: Commands) -> None:
    noun = Noun(
        commands,
        "channels",
        help="look at channels, make them, set time zones, rates of currencies and how their pages look",
    )
    noun.task("list", _list, "list the channels")
    _name_one(noun.task("show", _show, "tell one channel: its settings, rates, keys and numbers"))
    create = noun.task("create", _create, "make a channel", writes=True)
    create.add_argument("code", type=_code, metavar="CODE", help="by which callers and commands name it")
    create.add_argument("--name", required=True, type=_name, metavar="NAME")
    create.add_argument("--currency", required=True, type=_currency, metavar="ISO", help="EUR; it stays")
    create.add_argument("--language", default="EN", type=_language, metavar="ISO", help="EN unless you say")
    create.add_argument(
        "--time-zone", default="UTC", type=_time_zone, metavar="ZONE", help="Europe/Amsterdam; UTC unless you say"
    )
    zone = noun.task("zone", _zone, "set the time zone in which the days of a channel begin and end", writes=True)
    _name_one(zone)
    zone.add_argument("zone", type=_time_zone, metavar="ZONE", help="Europe/Amsterdam")
    rate = noun.task("rate", _rate, "set what one of a foreign currency is in the channel's own", writes=True)
    _name_one(rate)
    rate.add_argument("currency", type=_currency, metavar="ISO")
    rate.add_argument("rate", type=_positive, nargs="?", metavar="RATE", help="0.92; without it the rate is taken away")
    channel_page.add_page(noun)


def _name_one(task: argparse.ArgumentParser) -> None:
    task.add_argument("code", metavar="CODE", help="of the channel")


async def _list(connection: asyncpg.Connection, _options: Options) -> Answer:
    columns = ("id", "code", "name", "currency", "language", "time_zone")
    return Answer([dict(row) for row in await fetch(connection, _SQL.newest)], columns=columns)


async def _show(connection: asyncpg.Connection, options: Options) -> Answer:
    return Answer(await _told(connection, options.code))


async def _create(connection: asyncpg.Connection, options: Options) -> Answer:
    values = {name: getattr(options, name) for name in ("code", "name", "currency", "language", "time_zone")}
    try:
        [row] = await fetch(connection, _SQL.add, **values)
    except asyncpg.UniqueViolationError:
        raise Refused(f"there is a channel {quoted(options.code)} already") from None
    except asyncpg.IntegrityConstraintViolationError as error:
        raise _refused(error) from None
    await note(connection, "channels create", f"channel:{row['id']}", **values)
    return Answer(await _told(connection, options.code))


async def _zone(connection: asyncpg.Connection, options: Options) -> Answer:
    channel = await _row(connection, options.code)
    try:
        await fetch(connection, _SQL.set_time_zone, id=channel["id"], time_zone=options.zone)
    except asyncpg.IntegrityConstraintViolationError as error:
        raise _refused(error) from None
    await note(connection, "channels zone", f"channel:{channel['id']}", before=channel["time_zone"], now=options.zone)
    return Answer(await _told(connection, options.code))


async def _rate(connection: asyncpg.Connection, options: Options) -> Answer:
    channel = await _row(connection, options.code)
    values = {"channel_id": channel["id"], "currency": options.currency}
    if options.currency == channel["currency"]:
        raise Refused(f"{options.currency} is the channel's own currency: its rate is 1")
    if options.rate is None:
        if not await fetch(connection, _SQL.drop_rate, **values):
            raise Refused(f"the channel has no rate of {quoted(options.currency)}")
    else:
        try:
            await fetch(connection, _SQL.set_rate, **values, rate=options.rate)
        except asyncpg.IntegrityConstraintViolationError as error:
            raise _refused(error) from None
    rate = None if options.rate is None else str(options.rate)
    await note(connection, "channels rate", f"channel:{channel['id']}", currency=options.currency, rate=rate)
    return Answer(
        await _told(connection, options.code), notes=["Orders that are written from now on are reckoned by it."]
    )


async def _row(connection: asyncpg.Connection, code: str) -> asyncpg.Record:
    rows = await fetch(connection, _SQL.by_codes, codes=[code])
    if not rows:
        raise Refused(f"there is no channel {quoted(code)}: `channels list` names them")
    return rows[0]


async def _told(connection: asyncpg.Connection, code: str) -> dict[str, Any]:
    channel = await _row(connection, code)
    rates = await fetch(connection, _SQL.rates, channel_id=channel["id"])
    [counts] = await fetch(connection, _SQL.counts, channel_id=channel["id"])
    return {**channel, "rates": {row["currency"]: row["rate"] for row in rates}, **counts}


def _code(text: str) -> str:
    if not _CODE.fullmatch(text):
        raise argparse.ArgumentTypeError("must be 1 to 64 visible characters of ASCII")
    return text


def _currency(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{3}", text):
        raise argparse.ArgumentTypeError("must be three letters of ISO 4217, such as EUR")
    return text.upper()


def _language(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2}", text):
        raise argparse.ArgumentTypeError("must be two letters of ISO 639, such as EN")
    return text.upper()


def _time_zone(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}", text):
        raise argparse.ArgumentTypeError("must be a name such as Europe/Amsterdam")
    return text


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return person_name(text)


def _positive(text: str) -> Decimal:
    try:
        rate = Decimal(text)
    except InvalidOperation:
        rate = Decimal(0)
    if not rate.is_finite() or not 0 < rate < 10**10 or len(text) > 30:
        raise argparse.ArgumentTypeError("must be a number such as 0.92, above 0")
    return rate


# By the constraint, or by the column that a trigger refuses.
_FAULTS = {
    "channels_currency_iso": "the currency is none of ISO 4217, such as EUR",
    "currency": "the currency is none of ISO 4217, such as EUR",
    "channel_rates_currency_known": "the currency is none of ISO 4217, such as EUR",
    "channels_language_iso": "the language is none of ISO 639, such as EN",
    "channels_code_length": "the code must have 1 to 64 characters",
    "time_zone": "the time zone is none that PostgreSQL knows, such as Europe/Amsterdam",
}


def _refused(error: asyncpg.IntegrityConstraintViolationError) -> Refused:
    return Refused(_FAULTS.get(error.column_name or error.constraint_name or "", str(error)))
