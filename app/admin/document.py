"""`documents`: what applications may ask. Applications register their documents, and callers are held to them."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import orjson

import sql
from app.admin.command import Answer, Commands, Noun, Options, Refused, confirm, duration, note, quoted
from app.cache import Cache
from app.documents.application import (
    add_application,
    callers_of,
    is_name,
    is_version,
    lock,
    refuse_unknown,
    retire,
    set_callers,
)
from app.documents.fields import coordinates_of
from app.documents.manifest import Given, ManifestRefused, read_folder, read_manifest
from app.documents.upload import check, register
from app.execution.document import Documents
from app.postgres.direct import fetch
from app.settings import DOCUMENT_MODES

_SQL = sql.load("trusted_document")
_DEFAULT = "default"
_MOST_MANIFEST_BYTES = 100_000_000
_COLUMNS = ("application", "operations", "document_id", "versions", "last_used_at", "registered_at", "retired_at")


def add_commands(commands: Commands) -> None:
    noun = Noun(commands, "documents", help="register what applications ask, and hold callers to it")
    create = noun.task("create", _create, "make an application, whose documents can be registered then", writes=True)
    create.add_argument("application", type=_name, metavar="APPLICATION", help="such as webshop")
    _add_callers(create, "--caller", "who calls by it: api_key:ID, storefront_key:ID or a kind; again for each")
    noun.task("applications", _applications, "list the applications")
    callers = noun.task("callers", _callers, "change who calls by an application", writes=True)
    callers.add_argument("application", type=_name, metavar="APPLICATION")
    _add_callers(callers, "--add", "one more, again for each")
    _add_callers(callers, "--remove", "one less, again for each")
    upload = noun.task("upload", _upload, "register what a manifest or a folder holds, all or nothing", writes=True)
    upload.add_argument("application", type=_name, metavar="APPLICATION")
    upload.add_argument("path", metavar="PATH", help="Apollo's or Relay's manifest, - for standard input, or a folder")
    upload.add_argument("--version", type=_version, help="of the application, by which documents are retired later")
    listing = noun.task("list", _list, "list the documents of an application")
    listing.add_argument("application", type=_name, metavar="APPLICATION")
    _add_unused(listing)
    using = noun.task("using", _using, "tell which documents of which applications use a field")
    using.add_argument("field", metavar="FIELD", help="Type.field, or a type for any of its fields")
    using.add_argument("--application", type=_name, metavar="APPLICATION")
    for task in (listing, using):
        task.add_argument("--all", action="store_true", help="those that have retired, too")
    checking = noun.task("check", _check, "hold what is registered to the schema of this version")
    checking.add_argument("application", type=_name, nargs="?", metavar="APPLICATION")
    retiring = noun.task("retire", _retire, "have documents mean nothing any more", writes=True)
    retiring.add_argument("application", type=_name, metavar="APPLICATION")
    retiring.add_argument("--id", action="append", metavar="ID", dest="ids", help="of a document, again for each")
    retiring.add_argument("--version", type=_version, help="those that no other version has")
    _add_unused(retiring)
    remove = noun.task("remove", _remove, "take an application away with all of its documents", writes=True)
    remove.add_argument("application", type=_name, metavar="APPLICATION")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    mode = noun.task("mode", _mode, "say what a caller may ask, or list who has a mode of its own", writes=True)
    mode.add_argument(
        "caller", type=_caller, nargs="?", metavar="CALLER", help="api_key:ID, storefront_key:ID or a kind"
    )
    words = f"{', '.join(DOCUMENT_MODES)}, or {_DEFAULT} for that of its kind or of DOCUMENT_MODE"
    mode.add_argument("mode", nargs="?", choices=(*DOCUMENT_MODES, _DEFAULT), metavar="MODE", help=words)


def _add_callers(parser: argparse.ArgumentParser, name: str, help_: str) -> None:
    parser.add_argument(name, type=_caller, action="append", default=[], metavar="CALLER", help=help_)


def _add_unused(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--unused", type=duration, metavar="TIME", help="for which nobody has asked for them: 90d")


def _name(text: str) -> str:
    if not is_name(text):
        raise argparse.ArgumentTypeError("must be small letters and digits with . _ - between, at most 64")
    return text


def _version(text: str) -> str:
    if not is_version(text):
        raise argparse.ArgumentTypeError("must be 1 to 64 visible characters of ASCII")
    return text


def _caller(text: str) -> str:
    try:
        [caller] = callers_of([text])
    except ValueError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from None
    return caller


# ------------------------------------------------------------------------------------------------ applications


async def _create(connection: asyncpg.Connection, options: Options) -> Answer:
    await _refusing(add_application(partial(fetch, connection), options.application, options.caller))
    told = await _told(connection, options.application)
    kept = {name: told[name] for name in ("name", "callers")}
    await note(connection, "documents create", f"application:{told['id']}", **kept)
    return Answer(told)


async def _applications(connection: asyncpg.Connection, _options: Options) -> Answer:
    return Answer([dict(row) for row in await fetch(connection, _SQL.applications, name=None)])


async def _callers(connection: asyncpg.Connection, options: Options) -> Answer:
    row = await _lock(connection, options)
    if not options.add and not options.remove:
        raise Refused("say whom to --add or to --remove")
    await _refusing(set_callers(partial(fetch, connection), row, options.add, options.remove))
    told = await _told(connection, options.application)
    await note(connection, "documents callers", f"application:{row['id']}", callers=told["callers"])
    return Answer(told)


async def _remove(connection: asyncpg.Connection, options: Options) -> Answer:
    row = await _lock(connection, options)
    told = await _told(connection, options.application)
    confirm(options, f"Remove {options.application} and its {told['documents'] + told['retired']} documents?")
    await fetch(connection, _SQL.remove_application, application_id=row["id"])
    await note(
        connection, "documents remove", f"application:{row['id']}", name=row["name"], documents=told["documents"]
    )
    return Answer(told)


async def _mode(connection: asyncpg.Connection, options: Options) -> Answer:
    if options.caller is None:
        return Answer([dict(row) for row in await fetch(connection, _SQL.modes)])
    if options.mode is None:
        raise Refused(f"say which mode {options.caller} shall have: one of {', '.join(DOCUMENT_MODES)}, or {_DEFAULT}")
    if options.mode == _DEFAULT:
        await fetch(connection, _SQL.drop_mode, caller=options.caller)
    else:
        await _refusing(refuse_unknown(partial(fetch, connection), [options.caller]))
        await fetch(connection, _SQL.set_mode, caller=options.caller, mode=options.mode)
    await note(connection, "documents mode", options.caller, mode=options.mode)
    return Answer([dict(row) for row in await fetch(connection, _SQL.modes)])


# ------------------------------------------------------------------------------------------------ documents


async def _upload(connection: asyncpg.Connection, options: Options) -> Answer:
    limits = options.settings().limits
    given = _given(options.path, limits.document)
    await _told(connection, options.application)  # before the documents are read, which may last
    try:
        checked = await check(Documents(options.schema(), limits, Cache()), given)
        row = await _lock(connection, options)
        numbers = await register(partial(fetch, connection), row["id"], checked, options.version)
    except ManifestRefused as refused:
        raise Refused(f"nothing was registered:\n{refused}") from None
    await note(connection, "documents upload", f"application:{row['id']}", version=options.version, **numbers)
    return Answer({"application": options.application, "version": options.version, **numbers})


def _given(path: str, longest: int) -> Sequence[Given]:
    """What is to be registered. Raises `Refused`."""
    try:
        if path != "-" and Path(path).is_dir():
            return read_folder(Path(path), longest)
        content = sys.stdin.read(_MOST_MANIFEST_BYTES + 1) if path == "-" else _content(Path(path))
        if len(content) > _MOST_MANIFEST_BYTES:
            raise Refused(f"the manifest has over {_MOST_MANIFEST_BYTES:,} bytes")
        return read_manifest(content)
    except OSError as error:
        raise Refused(f"{quoted(path)} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Refused(f"{quoted(path)} is not JSON in UTF-8") from None
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise Refused(f"{quoted(path)} is not JSON in UTF-8: {error.msg} ({place})") from None
    except ManifestRefused as refused:
        raise Refused(f"nothing was registered:\n{refused}") from None


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_MANIFEST_BYTES + 1)


async def _list(connection: asyncpg.Connection, options: Options) -> Answer:
    told = await _told(connection, options.application)
    rows = await fetch(
        connection, _SQL.of_application, application_id=told["id"], all=options.all, unused_since=_since(options)
    )
    return Answer([dict(row) for row in rows], columns=_COLUMNS[1:])


async def _using(connection: asyncpg.Connection, options: Options) -> Answer:
    try:
        coordinates = coordinates_of(options.schema(), options.field)
    except LookupError as error:
        raise Refused(str(error.args[0])) from None
    if options.application is not None:
        await _told(connection, options.application)
    rows = await fetch(
        connection, _SQL.using, coordinates=coordinates, all=options.all, application=options.application
    )
    return Answer([dict(row) for row in rows], columns=_COLUMNS)


async def _check(connection: asyncpg.Connection, options: Options) -> Answer:
    if options.application is not None:
        await _told(connection, options.application)
    documents = Documents(options.schema(), options.settings().limits, Cache())
    faults: list[dict[str, Any]] = []
    rows = await fetch(connection, _SQL.texts, application=options.application)
    for row in rows:
        given = Given(row["document_id"], row["text"], row["document_id"])
        try:
            await check(documents, [given])
        except ManifestRefused as refused:
            faults += [{"application": row["application"], "fault": fault} for fault in refused.faults]
    notes = [f"{len(rows)} documents were looked at."]
    return Answer(faults, notes=notes, failed=bool(faults))


async def _retire(connection: asyncpg.Connection, options: Options) -> Answer:
    if not options.ids and options.version is None and options.unused is None:
        raise Refused("say which: by --id, --version or --unused; `documents remove` takes the whole application away")
    row = await _lock(connection, options)
    rows = await retire(
        partial(fetch, connection), row["id"], ids=options.ids, version=options.version, unused_since=_since(options)
    )
    missing = set(options.ids or ()) - {each["document_id"] for each in rows}
    if missing and options.version is None and options.unused is None:
        raise Refused(f"{options.application} has no document {', '.join(map(quoted, sorted(missing)))}")
    retired = [each["document_id"] for each in rows if each["retired_at"] is not None]
    unused = None if options.unused is None else str(options.unused)
    which = {"ids": options.ids, "version": options.version, "unused": unused}
    await note(connection, "documents retire", f"application:{row['id']}", retired=len(retired), **which)
    return Answer({"application": options.application, "retired": len(retired), "document_ids": retired})


def _since(options: Options) -> datetime | None:
    return None if options.unused is None else datetime.now(UTC) - options.unused


async def _lock(connection: asyncpg.Connection, options: Options) -> asyncpg.Record:
    row = await lock(partial(fetch, connection), options.application)
    return row or _none(options.application)


async def _told(connection: asyncpg.Connection, name: str) -> dict[str, Any]:
    rows = await fetch(connection, _SQL.applications, name=name)
    return dict(rows[0]) if rows else _none(name)


def _none(name: str) -> Any:
    raise Refused(f"there is no application {quoted(name)}: `documents applications` names them")


async def _refusing(work: Any) -> None:
    try:
        await work
    except ValueError as fault:
        raise Refused(str(fault)) from None
