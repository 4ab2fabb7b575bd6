"""`restore`: the rows of an archive of pg_dump, of all channels or of one, into a database that was just migrated.

A whole archive, schema and rows, needs no command: pg_restore loads rows before it makes triggers and foreign keys.
Rows alone meet them, and would be refused, counted twice and told to the feed again; so they are switched off
meanwhile, as the owner of the tables may without being a superuser, and made again as sql/schema.sql says. `doctor`
proves the rest.
"""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg

import sql
from app.admin.command import Answer, Commands, Options, Refused, add_task, note_alone, quoted
from app.admin.doctor import FAULT, examine, examine_schema
from app.postgres.direct import fetch
from app.postgres.migrate import migration_names

_SQL = sql.load("restore")

_ENTRY = re.compile(r"^\d+; \d+ \d+ (?:TABLE DATA|SEQUENCE SET) \S+ (\S+) ")
# Those of the database itself say what it is; the archive's are compared with them.
_LEDGERS = ("schema_migrations", "schema_migration_steps")
_COPY = re.compile(r"^COPY \S+ \((.*?)\) FROM stdin;\n(.*?)^\\\.$", re.MULTILINE | re.DOTALL)
_SAID = 500


def add_commands(commands: Commands) -> None:
    task = add_task(
        commands,
        "restore",
        _restore,
        "load the rows of an archive of pg_dump (-Fc, -Fd or -Ft) into a database that was just migrated",
        is_noted=True,
    )
    task.add_argument("archive", type=Path, metavar="ARCHIVE")
    task.add_argument("--channel", metavar="CODE", help="of one channel alone, with what belongs to all")
    task.add_argument("--pg-restore", metavar="PROGRAM", help="pg_restore, where it is not found by itself")


async def _restore(connection: asyncpg.Connection, options: Options) -> Answer:
    archive = _Archive(options.archive, options.pg_restore, options.dsn)
    entries = await archive.entries()
    await _refuse_other_schema(archive)
    if options.channel is not None and options.channel not in await archive.values("channels", "code"):
        raise Refused(f"the archive has no channel {quoted(options.channel)}")
    [row] = await fetch(connection, _SQL.is_used)
    if row["is_used"]:
        raise Refused("the database has rows already: rows are restored into one that was just migrated")
    tables = [table for table in await fetch(connection, _SQL.tables) if table["name"] not in _LEDGERS]
    async with connection.transaction():
        await _switch_off(connection, [table["name"] for table in tables])
    await archive.load(entries)
    if options.channel is not None:
        async with connection.transaction():
            await _leave_channel(connection, tables, options.channel)
    await examine_schema(connection, mend=True)
    options.mend, options.deep = True, True
    findings = await examine(connection, options)
    await connection.execute("ANALYZE")
    await note_alone(connection, options, "restore", "database", channel=options.channel)
    return Answer([vars(finding) for finding in findings], failed=any(finding.state == FAULT for finding in findings))


async def _refuse_other_schema(archive: "_Archive") -> None:
    known, dumped = set(migration_names()), await archive.values("schema_migrations", "name")
    if dumped != known:
        newest = max(dumped, default="none")
        raise Refused(
            f"the archive is of another version, whose last migration is {newest}: restore its schema too, by"
            " pg_restore into an empty database, and run `migrate`"
        )


async def _switch_off(connection: asyncpg.Connection, tables: Sequence[str]) -> None:
    for table in tables:
        await connection.execute(f'ALTER TABLE "{table}" DISABLE TRIGGER USER')
    for key in await fetch(connection, _SQL.foreign_keys):
        await connection.execute(f'ALTER TABLE {key["table"]} DROP CONSTRAINT "{key["name"]}"')
    await connection.execute(f"TRUNCATE {', '.join(tables)}")


async def _leave_channel(connection: asyncpg.Connection, tables: Sequence[asyncpg.Record], code: str) -> None:
    [row] = await fetch(connection, _SQL.channel_by_code, code=code)
    of_channel = row["id"]
    for table in tables:
        if table["has_channel"]:
            await connection.execute(f'DELETE FROM "{table["name"]}" WHERE channel_id <> $1', of_channel)  # noqa: S608
    await connection.execute("DELETE FROM channels WHERE id <> $1", of_channel)
    await fetch(connection, _SQL.leave_channel, channel_id=of_channel)


class _Archive:
    """What pg_restore reads. Raises `Refused` with what it says."""

    def __init__(self, path: Path, program: str | None, dsn: str) -> None:
        found = program or shutil.which("pg_restore")
        if found is None:
            raise Refused(
                "there is no pg_restore here: install PostgreSQL's client programs, or name it by --pg-restore"
            )
        self._program = found
        self._path = path
        self._dsn = dsn

    async def entries(self) -> list[str]:
        """The lines of its list that are rows of tables, or states of sequences."""
        lines = (await self._run("--list", str(self._path))).splitlines()
        found = [line for line in lines if (entry := _ENTRY.match(line)) and entry[1] not in _LEDGERS]
        if not found:
            raise Refused("the archive has no rows")
        return found

    async def values(self, table: str, column: str) -> set[str]:
        """The texts of a column, as COPY writes them."""
        text = await self._run("--data-only", f"--table={table}", "--file=-", str(self._path))
        copied = _COPY.search(text)
        if copied is None:
            return set()
        place = copied[1].split(", ").index(column)
        return {line.split("\t")[place] for line in copied[2].splitlines()}

    async def load(self, entries: Sequence[str]) -> None:
        """All of it or nothing. The password goes by the environment: a command line can be read by everybody."""
        parts = urlsplit(self._dsn)
        user, _, host = parts.netloc.rpartition("@")
        name, _, password = user.partition(":")
        url = parts._replace(netloc=f"{name}@{host}" if name else host).geturl()
        environ = {"PGPASSWORD": unquote(password)} if password else {}
        with tempfile.NamedTemporaryFile("w", suffix=".list") as file:
            file.write("\n".join(entries))
            file.flush()
            options = (
                "--data-only",
                "--no-owner",
                "--exit-on-error",
                "--single-transaction",
                f"--use-list={file.name}",
            )
            await self._run(*options, f"--dbname={url}", str(self._path), **environ)

    async def _run(self, *arguments: str, **environ: str) -> str:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            self._program, *arguments, stdout=pipe, stderr=pipe, env=os.environ | environ
        )
        printed, said = await process.communicate()
        if process.returncode:
            words = " ".join(said.decode(errors="replace").split())
            raise Refused(f"pg_restore: {words[:_SAID]}")
        return printed.decode()
