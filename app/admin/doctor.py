"""`doctor`: whether the database is what the service needs, and all that is kept twice agrees; `--mend` puts it right.

It only reads without `--mend`, beside whoever writes. What it mends of tallies it adds as a difference, which nobody
waits for; what is missing of the schema it makes as the migrations do.
"""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import asyncpg

import sql
from app.admin.command import Answer, Commands, Options, Refused, add_task, note_alone
from app.admin.finding import FAULT, MENDED, OK, WARNING, Finding
from app.admin.servers import reached, replicas
from app.postgres.direct import fetch
from app.postgres.migrate import migration_names
from app.postgres.startup import OLDEST_SERVER
from app.settings import Settings, SettingsError
from sql import Statement
from sql.advisory_lock import AdvisoryLock

_SQL = sql.load("doctor")

_MISSING, _OTHER, _OFF = "missing", "another one", "off, or not valid"

# What tokens put up with (`app.auth.token.CLOCK_SKEW`), and what should make one look.
_WRONG_CLOCK, _ODD_CLOCK = timedelta(seconds=30), timedelta(seconds=2)
# Two thousand million transactions are all that there are.
_OLD_AGE = 1_000_000_000
_SHOWN = 5

# What is kept twice, by the words of who is told, each with its statements; `deep` ones gather every order anew.
_TALLIES = (
    ("tallies of orders", "order_tallies"),
    ("tallies of shipments", "shipment_tallies"),
    ("days of orders", "order_days"),
    ("days of their fulfilment", "order_fulfillment_days"),
    ("days of shipments", "shipment_days"),
    ("days of items", "shipment_item_days"),
    ("days of codes", "track_and_trace_days"),
)
_COUNTERS = (
    ("lines: shipped, delivered", "lines"),
    ("orders: paid back", "refunds"),
    ("lines: paid back", "refunded_lines"),
    ("orders to be found", "found_orders"),
)
_DEEP = (("orders: fulfilment", "fulfillments"), ("orders: words", "words"))

# In the order in which one needs the other: the keys of tables before those who refer to them.
_MADE_AGAIN = ("index", "constraint", "trigger")
_SHARED = ("FOREIGN KEY", "CHECK")


def add_commands(commands: Commands) -> None:
    task = add_task(
        commands,
        "doctor",
        _doctor,
        "look whether the database is fit, and all that is counted in it agrees; ends with 1 where it is not",
        is_noted=True,
        any_schema=True,
    )
    task.add_argument("--mend", action="store_true", help="put right what can be: counts, sequences, indexes, the feed")
    task.add_argument(
        "--deep", action="store_true", help="gather anew by what each order is found, too: a minute for 100,000 orders"
    )


async def _doctor(connection: asyncpg.Connection, options: Options) -> Answer:
    findings = [finding async for finding in _examine(connection, options)]
    mended = [finding.check for finding in findings if finding.state == MENDED]
    if mended:
        await note_alone(connection, options, "doctor --mend", "database", mended=mended)
    rows = [vars(finding) for finding in findings]
    return Answer(rows, failed=any(finding.state == FAULT for finding in findings))


async def examine(connection: asyncpg.Connection, options: Options) -> list[Finding]:
    """What `doctor` finds. Raises what asyncpg raises."""
    return [finding async for finding in _examine(connection, options)]


async def _examine(connection: asyncpg.Connection, options: Options) -> AsyncIterator[Finding]:
    [server] = await fetch(connection, _SQL.server)
    yield _version(connection, server)
    yield _role(server)
    yield await _clock(connection)
    yield _connections(options, server)
    migrations = await _migrations(connection)
    yield migrations
    for finding in await reached(options.dsn, server):
        yield finding
    yield _age(server)
    if migrations.state == FAULT:
        return  # what follows asks for tables that may not be there
    for finding in await replicas(connection, options):
        yield finding
    if options.mend and server["is_read_only"]:
        raise Refused("the server takes no writes: mend at its primary")
    if options.mend:
        # Without waiting: indexes are made when all transactions of before are over, and a waiting one would not be.
        [row] = await fetch(connection, _SQL.try_to_mend, lock=AdvisoryLock.MENDING)
        if not row["is_free"]:
            raise Refused("another doctor is mending: look again when it is done")
    yield await examine_schema(connection, mend=options.mend)
    yield await _sequences(connection, mend=options.mend)
    yield await _kept(connection, "feed of changes", "feed", mend=options.mend, lock=AdvisoryLock.FEED_POSITION)
    yield await _kept(connection, "waits of the feed", "waits", mend=options.mend, lock=AdvisoryLock.FEED_POSITION)
    # Counters first: when they are put right, what is tallied of them changes.
    for words, name in _COUNTERS + (_DEEP if options.deep else ()) + _TALLIES:
        yield await _kept(connection, words, name, mend=options.mend)


def _version(connection: asyncpg.Connection, server: asyncpg.Record) -> Finding:
    says = f"PostgreSQL {server['version'].partition(' ')[0]}"
    if connection.get_server_version().major < OLDEST_SERVER:
        return Finding("server", FAULT, says, f"Waybill needs PostgreSQL {OLDEST_SERVER} or later")
    return Finding("server", OK, says)


def _role(server: asyncpg.Record) -> Finding:
    says = f"role {server['role']}, schema {server['schema']}"
    if not server["may_create"]:
        return Finding("role", WARNING, f"{says}: may not create tables", "migrate with a role that may")
    return Finding("role", OK, says)


async def _clock(connection: asyncpg.Connection) -> Finding:
    before = datetime.now(UTC)
    [server] = await fetch(connection, _SQL.server)
    after = datetime.now(UTC)
    skew = max(before - server["now"], server["now"] - after, timedelta())
    says = f"{skew.total_seconds():.1f} s apart"
    if skew >= _ODD_CLOCK:
        state = FAULT if skew >= _WRONG_CLOCK else WARNING
        return Finding("clock", state, says, "set the clocks of this machine and of the server by NTP")
    return Finding("clock", OK, says)


def _connections(options: Options, server: asyncpg.Record) -> Finding:
    """Whether the server has as many as all workers of this machine may open, each with one that listens."""
    try:
        settings: Settings = options.settings()
    except SettingsError:
        return Finding("connections", WARNING, "the settings cannot be used", "look at `config check`")
    watching = settings.read_database_url is not None
    wanted = max(settings.workers, 1) * (settings.pool_size + 1 + watching)
    says = f"{wanted} of {server['max_connections']}"
    if wanted >= server["max_connections"]:
        return Finding("connections", FAULT, says, "raise max_connections, or lower POOL_SIZE or WORKERS")
    return Finding("connections", OK, says)


async def _migrations(connection: asyncpg.Connection) -> Finding:
    known = set(migration_names())
    try:
        applied = {row["name"] for row in await fetch(connection, _SQL.migrations)}
    except asyncpg.UndefinedTableError:
        applied = set()
    if missing := sorted(known - applied):
        return Finding("migrations", FAULT, f"lacks {_listed(missing)}", "run `migrate`")
    if unknown := sorted(applied - known):
        return Finding("migrations", WARNING, f"has {_listed(unknown)}, of a newer version", "run that version")
    return Finding("migrations", OK, f"{len(applied)} applied")


def _age(server: asyncpg.Record) -> Finding:
    says = f"{server['age']:,} transactions old"
    if server["age"] > _OLD_AGE:
        return Finding("age", WARNING, says, "VACUUM FREEZE soon: autovacuum does not keep up")
    return Finding("age", OK, says)


def schema_objects() -> dict[tuple[str, str], str]:
    """The definitions of all that the migrations make, by kind and name: `make schema` writes them."""
    catalog = json.loads(files("sql").joinpath("catalog.json").read_text("utf-8"))
    return {(kind, name): definition for kind, named in catalog.items() for name, definition in named.items()}


async def examine_schema(connection: asyncpg.Connection, *, mend: bool) -> Finding:
    """Whether all is there that the migrations make, as they make it, and in force. Raises what asyncpg raises."""
    schema = await connection.fetchval("SELECT current_schema()::text")
    there = {(row["kind"], row["name"]): row for row in await fetch(connection, _SQL.schema_objects)}
    faults = {
        key: fault for key, definition in schema_objects().items() if (fault := _fault(there.get(key), definition))
    }
    if not faults:
        return Finding("schema", OK, f"{len(there)} objects")
    named = _listed([f"{kind} {name} ({fault})" for (kind, name), fault in faults.items()])
    if any(kind not in _MADE_AGAIN for kind, _ in faults) or (mend and schema != "public"):
        remedy = "sql/schema.sql has them: restore the schema, or migrate an empty database and restore the data"
        return Finding("schema", FAULT, named, remedy)
    if not mend:
        return Finding("schema", FAULT, named, "doctor --mend makes them again")
    for kind, name in sorted(faults, key=_in_order):
        await _make_again(connection, kind, name, faults[kind, name])
    return Finding("schema", MENDED, named)


def _fault(row: asyncpg.Record | None, definition: str) -> str | None:
    if row is None:
        return _MISSING
    if row["definition"] != definition:
        return _OTHER
    return None if row["is_good"] else _OFF


def _in_order(key: tuple[str, str]) -> tuple[int, bool, str]:
    return _MADE_AGAIN.index(key[0]), schema_objects()[key].startswith(_SHARED), key[1]


async def _make_again(connection: asyncpg.Connection, kind: str, name: str, fault: str) -> None:
    """Beside readers and writers, as migrations do."""
    definition = schema_objects()[kind, name]
    table, _, own = name.rpartition(".")
    if kind == "index":
        if fault != _MISSING:
            await connection.execute(f'DROP INDEX CONCURRENTLY "{name}"')
        await connection.execute(definition.replace("INDEX", "INDEX CONCURRENTLY", 1))
    elif kind == "trigger":
        async with connection.transaction():
            if fault == _OTHER:
                await connection.execute(f'DROP TRIGGER "{own}" ON "{table}"')
            await connection.execute(f'ALTER TABLE "{table}" ENABLE TRIGGER "{own}"' if fault == _OFF else definition)
    else:
        is_shared = definition.startswith(_SHARED)
        if fault != _OFF:
            async with connection.transaction():
                if fault == _OTHER:
                    await connection.execute(f'ALTER TABLE "{table}" DROP CONSTRAINT "{own}"')
                late = " NOT VALID" if is_shared else ""
                await connection.execute(f'ALTER TABLE "{table}" ADD CONSTRAINT "{own}" {definition}{late}')
        if is_shared:
            await connection.execute(f'ALTER TABLE "{table}" VALIDATE CONSTRAINT "{own}"')


async def _sequences(connection: asyncpg.Connection, *, mend: bool) -> Finding:
    highest: dict[str, int] = {}
    for row in await fetch(connection, _SQL.sequences):
        most = await connection.fetchval(f"SELECT max({row['column']}) FROM {row['table']}")  # noqa: S608  names of the catalog
        highest[row["sequence"]] = max(highest.get(row["sequence"], 0), most or 0)
    behind = []
    for sequence, most in highest.items():
        state = await connection.fetchrow(f"SELECT last_value, is_called FROM {sequence}")  # noqa: S608
        if most >= state["last_value"] + state["is_called"]:
            behind.append(sequence)
            if mend:
                await connection.execute("SELECT setval($1::text::regclass, $2)", sequence, most)
    if not behind:
        return Finding("sequences", OK, f"{len(highest)} are ahead of their columns")
    says = f"behind their columns: {_listed(behind)}"
    return Finding("sequences", MENDED if mend else FAULT, says, "" if mend else "doctor --mend")


async def _kept(connection: asyncpg.Connection, words: str, name: str, *, mend: bool, **values: Any) -> Finding:
    wrong, right = getattr(_SQL, f"wrong_{name}"), getattr(_SQL, f"mend_{name}")
    number = await _count(connection, wrong)
    if not number:
        return Finding(words, OK, "agree" if not values else "in order")
    if not mend:
        return Finding(words, FAULT, f"{number:,} wrong", "doctor --mend")
    async with connection.transaction():
        # Of two that add the same difference, one would be wrong again.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", AdvisoryLock.MENDING)
        await connection.execute("SELECT set_config('waybill.actor', 'doctor', true)")
        await fetch(connection, right, **values)
    left = await _count(connection, wrong)
    if left:
        return Finding(words, FAULT, f"{number:,} were wrong, and {left:,} are", "report it")
    return Finding(words, MENDED, f"{number:,} were wrong")


async def _count(connection: asyncpg.Connection, statement: Statement) -> int:
    [row] = await fetch(connection, statement)
    number: int = row["wrong"]
    return number


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
