"""`tokens`: access tokens of staff, contacts and partners, signed by the service's own secret. They are not stored."""

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

import sql
from app.admin.command import LARGEST_ID, Answer, Commands, Noun, Options, Refused, duration, note, quoted, read_secret
from app.auth.token import Tokens
from app.auth.viewer import PERMISSIONS
from app.errors import NotAuthenticated
from app.postgres.direct import fetch

_LONGEST = timedelta(days=366)
_KINDS = ("staff", "contact", "partner")


def add_commands(commands: Commands) -> None:
    noun = Noun(commands, "tokens", help="sign access tokens of staff, contacts and partners, and read them")
    create = noun.task("create", _create, "sign a token with TOKEN_SECRET, and print it", writes=True)
    create.add_argument(
        "subject", type=_subject, metavar="SUBJECT", help="staff:1, of whoever is your number 1; contact:4; partner:2"
    )
    create.add_argument(
        "--permission", choices=PERMISSIONS, action="append", metavar="PERMISSION", dest="permissions",
        help="what it may do, again for each; staff may do nothing without, the others all that their rows say",
    )  # fmt: skip
    create.add_argument(
        "--lifetime", type=_lifetime, default=timedelta(hours=8), metavar="TIME", help="8h unless you say, 366d at most"
    )
    noun.task("show", _show, "read a token from standard input, and tell whether it is good and what it says")


async def _create(connection: asyncpg.Connection, options: Options) -> Answer:
    kind, _, number = options.subject.partition(":")
    if kind == "staff" and not options.permissions:
        raise Refused("staff may do what their token says: name it by --permission")
    if kind == "contact":
        rows = await fetch(connection, sql.load("viewer").contacts_by_ids, contact_ids=[int(number)])
    elif kind == "partner":
        rows = await fetch(connection, sql.load("viewer").partner_by_id, partner_id=int(number))
    else:
        rows = [None]
    if len(rows) != 1:
        raise Refused(f"there is no {kind} {number} that is good")
    scope: dict[str, Any] = {"scope": " ".join(sorted(set(options.permissions)))} if options.permissions else {}
    token = Tokens(options.settings()).issue(options.subject, options.lifetime, **scope)
    expires_at = datetime.now(UTC).replace(microsecond=0) + options.lifetime
    details = {"permissions": sorted(set(options.permissions or [])), "expires_at": expires_at.isoformat()}
    await note(connection, "tokens create", options.subject, **details)
    return Answer(
        {"subject": options.subject, "expires_at": expires_at, "token": token},
        notes=["Nothing but its end, or another TOKEN_SECRET, ends it."] if kind == "staff" else [],
    )


async def _show(_connection: asyncpg.Connection, options: Options) -> Answer:
    text = read_secret("Token").removeprefix("Bearer ").rpartition("|")[2]
    try:
        claims = Tokens(options.settings()).verify(text)
    except NotAuthenticated as refused:
        raise Refused(f"the token is not good: {_reason(refused)}") from None
    return Answer(
        {
            "subject": claims.subject,
            "expires_at": datetime.fromtimestamp(claims.expires_at, UTC),
            "permissions": None if claims.scope is None else sorted(claims.scope),
            "roles": sorted(claims.roles),
            "id": claims.jti,
        }
    )


# What `app.auth.token` names the fault by.
_REASONS = {
    "exp": "it has expired",
    "iss": "its issuer is none that is accepted for its key",
    "aud": "its audience is none that is accepted for its key",
    "iat": "it was issued in the future",
    "nbf": "it is not good yet",
    "shape": "it is no JWT",
    "kid": "it names no key",
    "alg": "its algorithm is not that of its key",
}


def _reason(refused: NotAuthenticated) -> str:
    fault: Any = refused.__cause__
    if isinstance(fault, KeyError):
        return f"it lacks {fault}, or nobody knows it"
    # Whatever else it is, is said in the words of a library.
    return _REASONS.get(str(fault), "its form or its signature is wrong")


def _subject(text: str) -> str:
    kind, colon, number = text.partition(":")
    known = (
        number.isascii() and number.isdecimal() and number == str(int(number[:12])) and 1 <= int(number) <= LARGEST_ID
    )
    if kind not in _KINDS or not colon or not known:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is none of staff:ID, contact:ID and partner:ID")
    return text


def _lifetime(text: str) -> timedelta:
    length = duration(text)
    if not timedelta(seconds=1) <= length <= _LONGEST:
        raise argparse.ArgumentTypeError("must be from 1s to 366d")
    return length
