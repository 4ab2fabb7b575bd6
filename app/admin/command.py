"""The frame of an operator's commands: their arguments, the one transaction that each runs in, and who is told.

A module of a noun says what can be done with it (`Noun.task`); a task gets a connection and the arguments, and returns
an `Answer`. Whatever a task writes is committed together with its entry in the audit trail, or not at all.
"""

import argparse
import getpass
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from ipaddress import ip_network
from typing import Any

import asyncpg

import sql
from app.auth.credentials import faults_of_password
from app.auth.network import Network
from app.auth.password import Passwords
from app.postgres.connect import CONNECT_SECONDS
from app.postgres.direct import fetch

_SQL = sql.load("audit_entry")

_DURATION = re.compile(r"([0-9]{1,5})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=36_500)
LARGEST_ID = 2**31 - 1
_QUOTED = 100
# One sign between something and a domain: what else is an e-mail, its server knows.
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
_LONGEST_NAME = 255
# Who is an operator's word for themselves: it is printed in tables.
_ACTOR = re.compile(r"[!-~]{1,64}")
_LONGEST_SECRET = 4_096


class Refused(Exception):
    """What an operator asked for cannot be done; the words say why."""


@dataclass(frozen=True)
class Answer:
    """What became of a task: rows, or one, and `notes` for people. `failed` has the command end with 1.

    People see those `columns` of rows alone, programs all.
    """

    value: Sequence[dict[str, Any]] | dict[str, Any]
    notes: Sequence[str] = ()
    columns: Sequence[str] = ()
    failed: bool = False


Options = argparse.Namespace
Task = Callable[[asyncpg.Connection, Options], Awaitable[Answer]]
Commands = Any  # argparse keeps the name of what `add_subparsers` returns to itself


class Noun:
    """A command with its tasks: `keys create`. `names` after the first are older ones that go on."""

    def __init__(self, commands: Commands, *names: str, help: str) -> None:  # noqa: A002  argparse's own word
        self._parser = commands.add_parser(names[0], help=help, description=_sentence(help), aliases=names[1:])
        self._tasks = self._parser.add_subparsers(required=True, metavar="TASK")

    def task(self, name: str, task: Task, help: str, **defaults: Any) -> argparse.ArgumentParser:  # noqa: A002
        """Its parser, for the arguments. `defaults` are those of `add_task`."""
        return add_task(self._tasks, name, task, help, **defaults)

    def local(self, name: str, task: Callable[[Options], Answer], help: str) -> argparse.ArgumentParser:  # noqa: A002
        """The same of a task that needs no database."""
        return add_local_task(self._tasks, name, task, help)


def add_task(
    commands: Commands,
    name: str,
    task: Task,
    help: str,  # noqa: A002
    *,
    writes: bool = False,
    is_noted: bool = False,
    any_schema: bool = False,
) -> argparse.ArgumentParser:
    """A task that `writes` runs in a transaction, one that `is_noted` sees to its own; one of `any_schema` does with a
    database that is not migrated.
    """
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=_sentence(help))
    add_json(parser)
    if writes or is_noted:
        parser.add_argument("--by", type=_actor, metavar="NAME", help="who does it, for the audit trail; you")
    parser.set_defaults(task=task, writes=writes, any_schema=any_schema)
    return parser


def add_local_task(
    commands: Commands,
    name: str,
    task: Callable[[Options], Answer],
    help: str,  # noqa: A002
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=_sentence(help))
    add_json(parser)
    parser.set_defaults(local_task=task)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


async def perform(dsn: str, options: Options) -> Answer:
    """Does a task. Raises `Refused`, OSError or what asyncpg raises."""
    connection = await asyncpg.connect(
        dsn, timeout=CONNECT_SECONDS, statement_cache_size=0, server_settings={"application_name": "waybill admin"}
    )
    task: Task = options.task
    options.dsn = dsn
    try:
        if not options.writes:
            return await task(connection, options)
        async with connection.transaction():
            await fetch(connection, _SQL.begin, actor=operator(options))
            return await task(connection, options)
    finally:
        await connection.close()


async def note_alone(
    connection: asyncpg.Connection, options: Options, action: str, subject: str, **details: Any
) -> None:
    """The same in a transaction of its own, for what was done in several."""
    async with connection.transaction():
        await fetch(connection, _SQL.begin, actor=operator(options))
        await note(connection, action, subject, **details)


async def note(connection: asyncpg.Connection, action: str, subject: str, **details: Any) -> None:
    """Adds what was done to the audit trail. No name, e-mail or secret may be among the `details`."""
    await fetch(connection, _SQL.add, action=action, subject=subject, details=json.dumps(details))


def read_secret(what: str) -> str:
    """From the terminal, unseen, or else the first line of standard input.

    Raises `Refused` where there is none, and for what is no text.
    """
    try:
        # One more than there may be, and its end: what is longer is no secret that was cut.
        line = getpass.getpass(f"{what}: ") if sys.stdin.isatty() else sys.stdin.readline(_LONGEST_SECRET + 3)
        text = line.rstrip("\r\n")
        text.encode()
    except UnicodeError:
        raise Refused(f"the {what.lower()} is not UTF-8") from None
    if not text:
        raise Refused(f"the {what.lower()} is read from standard input, where there is none")
    if len(text) > _LONGEST_SECRET:
        raise Refused(f"the {what.lower()} must not be longer than {_LONGEST_SECRET} characters")
    if "\0" in text:
        raise Refused(f"the {what.lower()} has a NUL character, which nobody can type")
    return text


async def hash_password(password: str) -> str:
    """Raises `Refused` for a password that nobody may have."""
    if faults := faults_of_password(password):
        raise Refused(" ".join(faults))
    passwords = Passwords()
    try:
        return await passwords.hash(password)
    finally:
        passwords.close()


def confirm(options: Options, question: str) -> None:
    """Raises `Refused` unless whoever is at the terminal says yes, or `--yes` was given."""
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise Refused("this cannot be undone: say --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("nothing was done")


def quoted(text: str) -> str:
    return repr(text[:_QUOTED])


async def channel_id(connection: asyncpg.Connection, code: str) -> int:
    """Raises `Refused` for a code that no channel has."""
    rows = await fetch(connection, sql.load("channel_setting").by_codes, codes=[code])
    if not rows:
        raise Refused(f"there is no channel {quoted(code)}: `channels list` names them")
    found: int = rows[0]["id"]
    return found


def email(text: str) -> str:
    """The type of an argument that is an e-mail."""
    if not _EMAIL.fullmatch(text) or not text.isprintable():
        raise argparse.ArgumentTypeError("must be an e-mail")
    return text


def person_name(text: str) -> str:
    """The type of an argument that is a name."""
    if not text.isprintable() or len(text) > _LONGEST_NAME:
        raise argparse.ArgumentTypeError(f"must be at most {_LONGEST_NAME} printable characters")
    return text


def add_person(parser: argparse.ArgumentParser, channel: str) -> None:
    """The arguments by which a person is made; `channel` says what the channel means to it."""
    parser.add_argument("email", type=email, metavar="EMAIL")
    parser.add_argument("--channel", required=True, metavar="CODE", help=channel)
    parser.add_argument("--first-name", type=person_name, default="", metavar="NAME")
    parser.add_argument("--last-name", type=person_name, default="", metavar="NAME")


def count(most: int) -> Callable[[str], int]:
    """The type of an argument that is a number from 1 to `most`."""

    def convert(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:12]) <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {most}")
        return int(text)

    return convert


def identifier(text: str) -> int:
    """The type of an argument that is an id."""
    return count(LARGEST_ID)(text)


def duration(text: str) -> timedelta:
    """The type of an argument such as `7d`."""
    match = _DURATION.fullmatch(text)
    length = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
    if length is None or length > _LONGEST:
        raise argparse.ArgumentTypeError("must be a number with its unit, s, m, h, d or w: 90m, 7d")
    return length


def moment(text: str) -> datetime | None:
    """The type of an argument that is an end: `90d` from now, a date, which is its beginning in UTC, or `never`."""
    if text == "never":
        return None
    try:
        end = datetime.now(UTC) + duration(text)
    except argparse.ArgumentTypeError:
        try:
            end = datetime.combine(date.fromisoformat(text), time(), UTC)
        except ValueError:
            raise argparse.ArgumentTypeError("must be a time from now (90d), a date (2027-01-31) or never") from None
    if end <= datetime.now(UTC):
        raise argparse.ArgumentTypeError("must be in the future")
    return end


def network(text: str) -> Network | None:
    """The type of an argument such as `192.0.2.0/24`, or one address; None is `any`."""
    if text == "any":
        return None
    try:
        return ip_network(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"must be a network such as 192.0.2.0/24, or an address: {fault}") from None


def _actor(text: str) -> str:
    if not _ACTOR.fullmatch(text):
        raise argparse.ArgumentTypeError("must be 1 to 64 visible characters of ASCII")
    return text


def operator(options: Options) -> str:
    """Who does it, as the audit trail names them."""
    name = options.by or os.environ.get("SUDO_USER")
    if not name:
        try:
            name = getpass.getuser()
        except (OSError, KeyError):  # a user without a name, as in a container
            name = str(os.getuid())
    return f"operator:{name}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
