"""How the pages of a channel's customers look: `channels page`."""

import argparse
import re
from pathlib import Path
from typing import Any

import asyncpg

import sql
from app.admin.command import Answer, Noun, Options, Refused, note, person_name, quoted
from app.postgres.direct import fetch

_SQL = sql.load("channel_page")
_COLOUR = re.compile(r"#?([0-9a-fA-F]{6})")
_ORIGIN = re.compile(r"https://[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::[0-9]{1,5})?")
_HELP = re.compile(r"(?:https?://|mailto:|tel:)\S{1,1990}")
_LANGUAGE = re.compile(r"[a-z]{2}")
LARGEST_LOGO = 65_536
_LONGEST_NAME = 100
_KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"RIFF": "image/webp"}
_COLUMNS = ("name", "accent", "help_url", "languages", "picture_origin", "logo")


def add_page(noun: Noun) -> None:
    """The task that shows how a channel's pages look, and sets what is given."""
    page = noun.task("page", _page, "set how the pages of a channel's customers look, or tell it", writes=True)
    page.add_argument("code", metavar="CODE", help="of the channel")
    page.add_argument(
        "--name", type=_name, metavar="NAME", help="what customers call the shop; '' for the channel's name"
    )
    page.add_argument("--accent", type=_colour, metavar="#RRGGBB", help="colour of links and buttons; '' for none")
    page.add_argument("--help-url", type=_help, metavar="URL", help="a page, mailto: or tel:; '' for none")
    page.add_argument(
        "--languages", type=_languages, metavar="xx,yy", help="the first is for who reads none; '' for all"
    )
    page.add_argument(
        "--picture-origin", type=_origin, metavar="URL", help="from where pictures of goods come; '' for none"
    )
    page.add_argument("--logo", type=_logo, metavar="FILE", help="SVG, PNG or WebP of 64 kB at most; '' for none")


async def _page(connection: asyncpg.Connection, options: Options) -> Answer:
    rows = await fetch(connection, _SQL.by_code, code=options.code)
    if not rows:
        raise Refused(f"there is no channel {quoted(options.code)}: `channels list` names them")
    channel = rows[0]
    given = {name: value for name in _COLUMNS if (value := getattr(options, name)) is not None}
    values = {name: given[name] or None if name in given else channel[name] for name in _COLUMNS}
    logo_type = _type_of(values["logo"]) if values["logo"] else None
    await fetch(connection, _SQL.set, channel_id=channel["channel_id"], logo_type=logo_type, **values)
    if given or not channel["has_page"]:
        told = {name: bool(value) if name == "logo" else value or None for name, value in given.items()}
        await note(connection, "channels page", f"channel:{channel['channel_id']}", **told)
    shown: dict[str, Any] = {"code": options.code, **values, "logo": len(values["logo"]) if values["logo"] else None}
    return Answer(
        shown, notes=[f"Orders are found at /shops/{options.code}/track, accounts at /account/{options.code}."]
    )


def _name(text: str) -> str:
    if len(text) > _LONGEST_NAME:
        raise argparse.ArgumentTypeError(f"must be at most {_LONGEST_NAME} characters")
    return person_name(text)


def _colour(text: str) -> str:
    found = _COLOUR.fullmatch(text)
    if text and not found:
        raise argparse.ArgumentTypeError("must be a colour such as #1d4f7c")
    return f"#{found[1].lower()}" if found else ""


def _help(text: str) -> str:
    if text and not (_HELP.fullmatch(text) and text.isprintable()):
        raise argparse.ArgumentTypeError("must be an address of http, https, mailto: or tel:")
    return text


def _origin(text: str) -> str:
    if text and not _ORIGIN.fullmatch(text):
        raise argparse.ArgumentTypeError(
            "must be where pictures come from, such as https://media.example.com, and no more"
        )
    return text


def _languages(text: str) -> list[str]:
    languages = text.split(",") if text else []
    if not all(map(_LANGUAGE.fullmatch, languages)):
        raise argparse.ArgumentTypeError("must be codes of ISO 639-1 in small letters, with commas between: nl,en")
    return languages


def _logo(text: str) -> bytes:
    if not text:
        return b""
    try:
        content = Path(text).read_bytes()
    except OSError as fault:
        raise argparse.ArgumentTypeError(f"cannot be read: {fault.strerror}") from None
    if not 0 < len(content) <= LARGEST_LOGO:
        raise argparse.ArgumentTypeError(f"must have 1 to {LARGEST_LOGO} bytes")
    if _type_of(content) is None:
        raise argparse.ArgumentTypeError("must be SVG, PNG or WebP")
    return content


def _type_of(content: bytes) -> str | None:
    for head, media_type in _KINDS.items():
        if content.startswith(head):
            return media_type
    return "image/svg+xml" if b"<svg" in content[:1_000] else None
