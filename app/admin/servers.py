"""The way to the servers, for `doctor`: poolers, standbys, notifications, replicas."""

import asyncio
import os
import secrets
from urllib.parse import urlsplit

import asyncpg

import sql
from app.admin.command import Options
from app.admin.finding import FAULT, OK, WARNING, Finding
from app.postgres.connect import CONNECT_SECONDS, Connector, is_direct
from app.postgres.direct import fetch
from app.postgres.events import CHANNEL
from app.postgres.startup import explain
from app.rules import server_urls
from app.settings import SettingsError, secret

_REPLICA = sql.load("replica")

_HEARD_SECONDS = 3
_MEGABYTE = 2**20
# https://github.com/pgbouncer/pgbouncer/issues/801
_ENDS_ITSELF = ("PgBouncer 1.18.", "PgBouncer 1.19.")


async def reached(dsn: str, server: asyncpg.Record) -> list[Finding]:
    """A pooler before the server, a standby, notifications. Raises OSError or what asyncpg raises."""
    found = [await _pooler(dsn, server)]
    if server["is_standby"]:
        found.append(Finding("standby", WARNING, "a standby: reads only", "for writes name the primary, too"))
    elif server["is_read_only"]:
        found.append(Finding("standby", WARNING, "takes no writes", "look at default_transaction_read_only"))
    else:
        found.append(Finding("standby", OK, "none: takes writes"))
    try:
        listen_url = secret(os.environ, "LISTEN_URL")[0] or dsn
    except SettingsError as error:
        return [*found, Finding("notifications", FAULT, str(error))]
    return [*found, await _notifications(listen_url, dsn)]


async def _pooler(dsn: str, server: asyncpg.Record) -> Finding:
    connection = await _connect(dsn)
    try:
        if await is_direct(connection):
            return Finding("pooler", OK, "none")
    finally:
        connection.terminate()
    name, persistence = await _name_of_pooler(dsn), await Connector(dsn, statement_cache=0).persistence()
    remedies = []
    if name.startswith(_ENDS_ITSELF):
        remedies.append("a newer PgBouncer: this one ends itself at some cancel requests")
    if server["statement_timeout"] == "0":  # poolers take none from their clients
        remedies.append(f"ALTER ROLE {server['role']} SET statement_timeout = '15s'")
    if persistence.sessions and persistence.statements:
        return Finding("pooler", WARNING if remedies else OK, f"{name}, which keeps sessions", "; ".join(remedies))
    remedies.insert(0, "set LISTEN_URL to the server's own address, and migrate, import and mend by it")
    if not persistence.statements:
        newer = ", or max_prepared_statements of PgBouncer from 1.21 on" if name.startswith("PgBouncer") else ""
        remedies.insert(0, f"set STATEMENT_CACHE=0{newer}")
    kept = "statements" if persistence.statements else "neither statements nor sessions"
    return Finding("pooler", WARNING, f"{name}, which shares sessions and keeps {kept}", "; ".join(remedies))


async def _name_of_pooler(dsn: str) -> str:
    """PgBouncer answers for a database of its own name, or refuses to in words of its own."""
    try:
        console = await _connect(urlsplit(dsn)._replace(path="/pgbouncer").geturl())
    except asyncpg.PostgresError as error:
        return "PgBouncer" if "not allowed" in str(error) else "a pooler"
    except (OSError, ValueError, asyncpg.InterfaceError):
        return "a pooler"
    try:
        version, _, kind = str(console.get_settings().server_version).partition("/")
        return f"PgBouncer {version}" if kind == "bouncer" else "a pooler"
    finally:
        console.terminate()


async def _notifications(listen_url: str, dsn: str) -> Finding:
    word, heard = secrets.token_hex(8), asyncio.Event()

    def hear(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        if payload == word:
            heard.set()

    remedy = "without, revoked keys hold for a second more: set LISTEN_URL to the primary's own address"
    listening = await _connect(listen_url)
    try:
        await listening.add_listener(CHANNEL, hear)
        telling = await _connect(dsn)
        try:
            await telling.execute(f"NOTIFY {CHANNEL}, '{word}'")
        finally:
            await telling.close()
        async with asyncio.timeout(_HEARD_SECONDS):
            await heard.wait()
    except asyncpg.ReadOnlySQLTransactionError:
        return Finding("notifications", WARNING, "a standby sends none", remedy)
    except TimeoutError:
        return Finding("notifications", WARNING, "none come: a pooler does not pass them on", remedy)
    finally:
        listening.terminate()
    return Finding("notifications", OK, "come")


async def replicas(connection: asyncpg.Connection, options: Options) -> list[Finding]:
    """Each that the settings name, by its place."""
    try:
        urls = server_urls(options.settings().read_database_url or "")
    except (SettingsError, ValueError):  # which `config check` tells of, or there are none
        return []
    try:
        [primary] = await fetch(connection, _REPLICA.primary)
    except asyncpg.ObjectNotInPrerequisiteStateError:
        return [Finding("replicas", WARNING, "not looked at", "DATABASE_URL leads to a standby: name the primary")]
    told = [await _replica(url, primary, connection) for url in urls]
    return [Finding(f"replica {place}", *each) for place, each in enumerate(told, start=1)]


async def _replica(url: str, primary: asyncpg.Record, connection: asyncpg.Connection) -> tuple[str, str, str]:
    """State, words and remedy."""
    try:
        standby = await _connect(url)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return WARNING, explain(error, url) or type(error).__name__, "it is left out as long as that is so"
    try:
        history = {name: primary[name] for name in ("system_identifier", "timeline")}
        [row] = await fetch(standby, _REPLICA.standby, **history)
        if not row["is_standby"]:
            return WARNING, "takes writes: it is left out", "name a standby, unless it is the primary of a pair"
        if row["system_identifier"] != primary["system_identifier"]:
            return FAULT, "a standby of another server", "correct READ_DATABASE_URL"
        if primary["is_noted"] and not row["follows"]:
            return WARNING, "does not follow the primary's timeline, or not yet", "if that lasts, make it anew"
        if not await is_direct(standby):
            return WARNING, "behind a pooler, which may change servers unseen", "name the server's own address"
        [now] = await fetch(connection, _REPLICA.primary)
        behind = max(now["lsn"] - (row["lsn"] or 0), 0) / _MEGABYTE
        feedback = "" if row["has_feedback"] else "hot_standby_feedback = on keeps exports from being broken off"
        return OK, f"{behind:,.1f} MB of the log behind", feedback
    finally:
        standby.terminate()


async def _connect(dsn: str) -> asyncpg.Connection:
    return await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, statement_cache_size=0)
