"""`restore`: the rows of an archive of pg_dump, of all channels or of one, into a database that was just migrated.

A whole archive, schema and rows, needs no command: pg_restore loads rows before it makes triggers and foreign keys.
Rows alone meet them, and would be refused, counted twice and told to the feed again; so they are switched off
meanwhile, as the owner of the tables may without being a superuser, and made again as sql/schema.sql says. `doctor`
proves the rest.

The rows go through this process, in the one transaction that also takes other channels away: whatever ends it, none of
theirs was ever there for anybody, and pg_restore has nobody left to write to.
"""

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

import sql
from app.admin.command import Answer, Commands, Options, Refused, add_task, note_alone, quoted
from app.admin.doctor import examine, examine_schema
from app.admin.finding import FAULT
from app.postgres.direct import fetch
from app.postgres.migrate import migration_names

_SQL = sql.load("restore")

_ENTRY = re.compile(r"^\d+; \d+ \d+ (?:TABLE DATA|SEQUENCE SET) \S+ (\S+) ")
# Those of the database itself say what it is; the archive's are compared with them.
_LEDGERS = ("schema_migrations", "schema_migration_steps")
_COPY = re.compile(r"^COPY \S+ \((.*?)\) FROM stdin;\n(.*?)^\\\.$", re.MULTILINE | re.DOTALL)
# What of the text that pg_restore makes is rows, and what else of it counts.
_COPY_LINE = re.compile(r"COPY public\.(\w+) \((.*)\) FROM stdin;")
_SETVAL_LINE = re.compile(r"SELECT pg_catalog\.setval\('public\.\w+', [0-9]+, (?:true|false)\);")
_END_OF_ROWS = b"\\.\n"
_PIECE_BYTES = 65_536
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
    archive = _Archive(options.archive, options.pg_restore)
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
        await archive.load(connection, entries)
        dropped = [] if options.channel is None else await _leave_channel(connection, tables, options.channel)
    await examine_schema(connection, mend=True)
    options.mend, options.deep = True, True
    findings = await examine(connection, options)
    await connection.execute("ANALYZE")
    await note_alone(connection, options, "restore", "database", channel=options.channel)
    return Answer(
        [vars(finding) for finding in findings],
        notes=[
            f"Left out, for what it may see is of other channels: key {key['id']}, {key['name']}" for key in dropped
        ],
        failed=any(finding.state == FAULT for finding in findings),
    )


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


async def _leave_channel(
    connection: asyncpg.Connection, tables: Sequence[asyncpg.Record], code: str
) -> Sequence[asyncpg.Record]:
    """Takes away what is of other channels, and tells the keys that went with it."""
    [row] = await fetch(connection, _SQL.channel_by_code, code=code)
    of_channel = row["id"]
    dropped = await fetch(connection, _SQL.drop_keys, channel_id=of_channel)
    key_ids = [key["id"] for key in dropped]
    await fetch(connection, _SQL.leave_keys, key_ids=key_ids)
    for table in tables:
        if table["has_channel"]:
            await connection.execute(f'DELETE FROM "{table["name"]}" WHERE channel_id <> $1', of_channel)  # noqa: S608
    await connection.execute("DELETE FROM channels WHERE id <> $1", of_channel)
    await fetch(connection, _SQL.leave_endpoints, channel_id=of_channel)
    await fetch(connection, _SQL.leave_deliveries, channel_id=of_channel)
    await fetch(connection, _SQL.leave_attempts)
    await fetch(connection, _SQL.leave_channel, channel_id=of_channel)
    return dropped


class _Archive:
    """What pg_restore reads. Raises `Refused` with what it says."""

    def __init__(self, path: Path, program: str | None) -> None:
        found = program or shutil.which("pg_restore")
        if found is None:
            raise Refused(
                "there is no pg_restore here: install PostgreSQL's client programs, or name it by --pg-restore"
            )
        self._program = found
        self._path = path

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

    async def load(self, connection: asyncpg.Connection, entries: Sequence[str]) -> None:
        """Within the transaction of `connection`."""
        with tempfile.NamedTemporaryFile("w", suffix=".list") as file:
            file.write("\n".join(entries))
            file.flush()
            arguments = ("--data-only", "--exit-on-error", f"--use-list={file.name}", "--file=-", str(self._path))
            async with self._running(*arguments) as printed:
                await _load(connection, printed)

    async def _run(self, *arguments: str) -> str:
        async with self._running(*arguments) as printed:
            return (await printed.read()).decode()

    @asynccontextmanager
    async def _running(self, *arguments: str) -> AsyncIterator[asyncio.StreamReader]:
        """What pg_restore prints; it ends with the block."""
        with tempfile.TemporaryFile() as said:
            process = await asyncio.create_subprocess_exec(
                self._program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=said
            )
            assert process.stdout is not None  # noqa: S101  it is a pipe
            try:
                yield process.stdout
                await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            if process.returncode:
                said.seek(0)
                words = " ".join(said.read().decode(errors="replace").split())
                raise Refused(f"pg_restore: {words[:_SAID]}")


async def _load(connection: asyncpg.Connection, printed: asyncio.StreamReader) -> None:
    """Does what a script of rows says: COPY, and values of sequences. Its settings are for psql."""
    lines = _lines(printed)
    async for line in lines:
        text = line.decode().rstrip("\n")
        if copied := _COPY_LINE.fullmatch(text):
            columns = [column.strip('"') for column in copied[2].split(", ")]
            await connection.copy_to_table(copied[1], source=_rows(lines), columns=columns, schema_name="public")
        elif _SETVAL_LINE.fullmatch(text):
            await connection.execute(text)
        elif text.startswith("COPY ") or "setval" in text:
            raise Refused("pg_restore writes what this version cannot read: restore with its schema, and migrate")


async def _lines(printed: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Of any length, which those of a `StreamReader` are not."""
    rest = b""
    while piece := await printed.read(_PIECE_BYTES):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line + b"\n"


async def _rows(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Up to the end of those of one table, in pieces."""
    piece = bytearray()
    async for line in lines:
        if line == _END_OF_ROWS:
            yield bytes(piece)
            return
        piece += line
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    raise Refused("the archive ends within the rows of a table")
