"""How connections to PostgreSQL are made, to the server itself or through a pooler such as PgBouncer.

A pooler that gives a server connection to a client for a transaction only takes all that belongs to a session away from
it: prepared statements (before PgBouncer 1.21), temporary tables, `LISTEN`. Nothing says so;
`Connector.persistence` finds out.
"""

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
from asyncpg.connection import _StatementCache

from app.cache import DEFAULT_BYTES

logger = logging.getLogger("waybill.database")

CONNECT_SECONDS = 5
_CLOSE_SECONDS = 2
_NEW_PASSWORD_SECONDS = 2
_RETRY_SECONDS = 0.1
_PROBE_SECONDS = 2
_PROBES = 3
# What the server takes for a prepared statement that has run often enough to have a plan, by its text: 450 kB for the
# 3,400 characters of a page of shipments with all that hangs on them.
_BYTES_PER_CHARACTER = 130
# The arrays of PostgreSQL's own types, by oid, and their elements: the same numbers on every server. asyncpg knows
# those of text alone, and would have each connection ask: 10 ms of the server's processor and 4 ms of ours.
_ARRAYS = {
    199: ("json", 114),
    1000: ("bool", 16),
    1001: ("bytea", 17),
    1005: ("int2", 21),
    1007: ("int4", 23),
    1016: ("int8", 20),
    1021: ("float4", 700),
    1022: ("float8", 701),
    1115: ("timestamp", 1114),
    1182: ("date", 1082),
    1185: ("timestamptz", 1184),
    1187: ("interval", 1186),
    1231: ("numeric", 1700),
    2951: ("uuid", 2950),
    3807: ("jsonb", 3802),
}
# Those that asyncpg names by itself.
_PREPARED = r"SELECT name FROM pg_prepared_statements WHERE name LIKE '\_\_asyncpg\_%'"
# In place of the statement that asked: asyncpg prepares its caller's anew where that one had no name.
_NOT_SENT = SimpleNamespace(name="not sent")
# So many times within so many seconds all connections lost what was prepared on them: it does not last.
_MOST_LOSSES, _LOSSES_SECONDS = 3, 60

# A peer that has gone without a word is noticed by the operating system. What was sent and is not acknowledged in this
# time will not be, and a read then has time left for another connection.
_UNACKNOWLEDGED_MILLISECONDS = 5_000
_SOCKET_OPTIONS = (
    ("SOL_SOCKET", "SO_KEEPALIVE", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 30),
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 5),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 3),
    ("IPPROTO_TCP", "TCP_USER_TIMEOUT", _UNACKNOWLEDGED_MILLISECONDS),
)
# How servers and poolers refuse a parameter that they do not know.
_PARAMETER_REFUSED = (
    asyncpg.ProtocolViolationError,
    asyncpg.InvalidParameterValueError,
    asyncpg.UndefinedObjectError,
    asyncpg.CantChangeRuntimeParamError,
)


class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """One that does not wait for ever for a peer that has gone, and can bound what it keeps prepared."""

    def __init__(self, protocol: Any, transport: asyncio.BaseTransport, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        watch_peer(transport.get_extra_info("socket"))

    def bound_statements(self, limit: int) -> None:
        """Has prepared statements take no more than so many bytes of the server's memory, as estimated by their text.

        Called before anything is prepared.
        """
        self._stmt_cache: Any = _Statements(self._stmt_cache, limit)

    async def _introspect_types(self, typeoids: Any, timeout: float | None) -> Any:  # noqa: ASYNC109  as asyncpg has it
        """What asyncpg asks about types when a connection meets them first.

        Arrays of the server's own types are known. Before it asks about others it switches JIT off, for compiling this
        statement takes seconds, and on again afterwards. A pooler may hand each of the three to another session: it
        hands a transaction to one.
        """
        if _ARRAYS.keys() >= set(typeoids):
            return [_array(oid) for oid in typeoids], _NOT_SENT
        if self.is_in_transaction():
            return await super()._introspect_types(typeoids, timeout)
        await self.execute("BEGIN")
        try:
            types = await super()._introspect_types(typeoids, timeout)
        except asyncpg.InFailedSQLTransactionError as error:
            # asyncpg prepares its own questions, too: one of them was gone, and that ended the transaction.
            await self.execute("ROLLBACK")
            raise asyncpg.InvalidSQLStatementNameError("a statement of the look-up is gone") from error
        await self.execute("COMMIT")
        return types

    async def deallocate_unknown(self) -> None:
        """Ends statements of which the server knows and this side does not.

        A statement that was being prepared or closed when its caller left would stay on the server for as long as the
        connection does. Nothing may be under way, and no transaction be open. Raises OSError or what asyncpg raises.
        """
        if not self._stmt_cache.get_max_size():
            return
        prepared = {row["name"] for row in await self.fetch(_PREPARED)}
        prepared -= {entry._statement.name for entry in self._stmt_cache._entries.values()}
        prepared -= {statement.name for statement in self._stmts_to_close}
        if prepared:
            await self.execute("; ".join(f'DEALLOCATE "{name}"' for name in sorted(prepared)))


def _array(oid: int) -> Mapping[str, Any]:
    """What asyncpg's question would find."""
    name, element = _ARRAYS[oid]
    of_others = dict.fromkeys(("basetype", "range_subtype", "attrtypoids", "attrnames"))
    return of_others | {
        "oid": oid,
        "ns": "pg_catalog",
        "name": f"_{name}",
        "kind": b"b",
        "elemtype": element,
        "elemdelim": b",",
    }


class _Statements(_StatementCache):  # type: ignore[misc]
    """asyncpg's own cache, which bounds the number of statements, with a bound of what they take."""

    __slots__ = ("_limit",)

    def __init__(self, cache: Any, limit: int) -> None:
        super().__init__(
            loop=cache._loop, max_size=cache._max_size, on_remove=cache._on_remove, max_lifetime=cache._max_lifetime
        )
        self._limit = limit

    def put(self, query: tuple[str, Any, bool], statement: Any) -> None:
        """`query` is the text, and how its rows are made."""
        super().put(query, statement)
        taken = sum([len(key[0]) for key in self._entries]) * _BYTES_PER_CHARACTER
        while taken > self._limit and len(self._entries) > 1:  # the newest is about to run
            oldest, entry = self._entries.popitem(last=False)
            taken -= len(oldest[0]) * _BYTES_PER_CHARACTER
            self._on_remove(entry._statement)


def watch_peer(connected: Any) -> None:
    """Has the operating system look after a TCP socket, as far as it can; others are left as they are."""
    if connected is None or connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for level, option, value in _SOCKET_OPTIONS:
        if hasattr(socket, option):
            connected.setsockopt(getattr(socket, level), getattr(socket, option), value)


@dataclass(frozen=True)
class Persistence:
    """What lasts from one transaction of a connection to the next."""

    sessions: bool
    statements: bool


class Connector:
    """Makes the connections of one URL. `statement_cache` is how many prepared statements each keeps, which may take
    `statement_bytes` of the server's memory.

    `seconds` bounds statements and idle transactions on the server too, where it takes that from a client: what could
    not be cancelled ends there all the same. What the URL says itself is left as it is.

    `current` tells the URL as it is now, where that may change: its role and its password, for the connections to come.
    """

    def __init__(
        self,
        url: str,
        *,
        statement_cache: int,
        statement_bytes: int = DEFAULT_BYTES // 4,
        seconds: float | None = None,
        current: Callable[[], str | None] | None = None,
    ) -> None:
        self.url = url
        self._current = current
        self.statement_cache = statement_cache
        self._statement_bytes = statement_bytes
        self._losses: list[float] = []
        given = parse_qs(urlsplit(url).query)
        self.seeks_writable = given.get("target_session_attrs", [""])[-1] in ("read-write", "primary")
        bounds = {} if seconds is None else _bounds(seconds)
        self._bounds: Mapping[str, str] = {name: value for name, value in bounds.items() if name not in given}

    async def __call__(self) -> asyncpg.Connection:
        """Raises OSError or what asyncpg raises."""
        if not self._bounds:
            return await self._connect(self.statement_cache)
        try:
            return await self._connect(self.statement_cache, self._bounds)
        except _PARAMETER_REFUSED as refusal:
            connection = await self._connect(self.statement_cache)  # raises its own where it was something else
            self._bounds = {}
            logger.warning(
                "statements are not bounded on the server: it takes no statement_timeout from its clients",
                extra={"facts": {"reason": refusal.sqlstate}},
            )
            return connection

    async def persistence(self) -> Persistence:
        """Tries it out. Raises OSError or what asyncpg raises."""
        first = await self._connect(0)
        try:
            if await is_direct(first):
                return Persistence(sessions=True, statements=True)
            second = await self._connect(0)
            try:
                return await _behind_pooler(first, second)
            finally:
                second.terminate()
        finally:
            first.terminate()

    def lose_statements(self) -> None:
        """What was prepared has vanished from all connections; where that goes on, nothing is prepared any more."""
        now = time.monotonic()
        self._losses = [then for then in self._losses if now - then < _LOSSES_SECONDS] + [now]
        if len(self._losses) >= _MOST_LOSSES and self.statement_cache:
            self.prepare_nothing("they vanish")

    def prepare_nothing(self, reason: str) -> None:
        """Connections that are made from now on keep no prepared statements."""
        self.statement_cache = 0
        logger.warning(
            "no statements are kept prepared, as with STATEMENT_CACHE=0", extra={"facts": {"reason": reason}}
        )

    async def _connect(self, statement_cache: int, bounds: Mapping[str, str] | None = None) -> asyncpg.Connection:
        """The server may know of a new password before its file does, or the other way round."""
        until = time.monotonic() + (_NEW_PASSWORD_SECONDS if self._current else 0)
        while True:
            if self._current is not None:
                self.url = self._current() or self.url
            try:
                return await self._connect_once(statement_cache, bounds)
            except asyncpg.InvalidAuthorizationSpecificationError:
                if time.monotonic() >= until:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    async def _connect_once(self, statement_cache: int, bounds: Mapping[str, str] | None) -> asyncpg.Connection:
        connection: Connection = await asyncpg.connect(
            self.url,
            timeout=CONNECT_SECONDS,
            statement_cache_size=statement_cache,
            max_cached_statement_lifetime=0,  # for good
            max_cacheable_statement_size=0,  # of any size
            server_settings={"application_name": "waybill", "timezone": "UTC", **(bounds or {})},
            connection_class=Connection,
        )
        connection.bound_statements(self._statement_bytes)
        return connection


def _bounds(seconds: float) -> Mapping[str, str]:
    """What the server sees to by itself, whatever has become of its client.

    Nothing here runs long enough to be worth compiling: with jit, plans of pages for any values took PostgreSQL 15 six
    times as long on tables without statistics (42 s in place of 7).
    """
    milliseconds = str(round(seconds * 1000))
    return {
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
        "client_connection_check_interval": "2s",
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "jit": "off",
    }


async def is_direct(connection: asyncpg.Connection) -> bool:
    """Whether the server that answers is the one that greeted: poolers greet with a number of their own."""
    try:
        # Without a name, so that whoever does not keep prepared statements can answer.
        asking = await connection.prepare("SELECT pg_backend_pid()", name="", timeout=_PROBE_SECONDS)
        pid: int = await asking.fetchval(timeout=_PROBE_SECONDS)
    except asyncpg.InvalidSQLStatementNameError:  # another one was asked than had prepared
        return False
    return bool(pid == connection.get_server_pid())


async def _behind_pooler(first: asyncpg.Connection, second: asyncpg.Connection) -> Persistence:
    """`second` takes the server's connection that was `first`'s a moment ago, where the pooler gives it away."""
    name = f"waybill_{secrets.token_hex(8)}"
    prepared = await first.prepare("SELECT pg_backend_pid()", name=name, timeout=_PROBE_SECONDS)
    before = await prepared.fetchval(timeout=_PROBE_SECONDS)
    try:
        await second.execute("BEGIN", timeout=_PROBE_SECONDS)
        await second.execute("SELECT", timeout=_PROBE_SECONDS)
    except TimeoutError:  # there is but one, and it stays with `first`
        return Persistence(sessions=True, statements=True)
    try:
        pids = {await prepared.fetchval(timeout=_PROBE_SECONDS) for _ in range(_PROBES)}
    except (asyncpg.PostgresError, TimeoutError):  # it is another session, or has to wait for the one there is
        return Persistence(sessions=False, statements=False)
    return Persistence(sessions=pids == {before}, statements=True)


async def close(connection: asyncpg.Connection) -> None:
    """Politely, unless the server takes its time."""
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        await connection.close(timeout=_CLOSE_SECONDS)
