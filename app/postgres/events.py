"""What the database tells by itself: that rows of a rarely written table changed.

Such rows (API keys, storefront keys, carriers …) are cached by the process, and dropped when PostgreSQL notifies of a
change (`sql/migrations/0004_notifications.sql`), so that a revocation holds within one way over the network. It holds
even where no notification comes:

- while nothing listens, nothing is cached, and what was cached is dropped when the listening connection breaks;
- a lookup that was under way when a notification came may have read the old row, and is not cached;
- every `BEAT_SECONDS` all is dropped, and a connection that does not answer then is given up. That bounds what
  notifications cannot tell: a silent network, a trigger that was switched off, a standby that lags behind;
- where notifications cannot come, because a pooler shares sessions or the server is a standby, all is dropped every
  `POLL_SECONDS`.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Hashable, Iterable
from contextlib import suppress
from typing import Any, Generic, TypeVar

import asyncpg

logger = logging.getLogger("waybill.events")

CHANNEL = "waybill_changes"
BEAT_SECONDS = 10.0
POLL_SECONDS = 1.0
_ANSWER_SECONDS = 5
_HEARD_SECONDS = 3
_RETRY_SECONDS = 1.0
_MOST_PARTS = 1_000
# How often it is tried whether notifications come by now.
_LISTEN_AGAIN_SECONDS = 60.0

K = TypeVar("K")
V = TypeVar("V")

Connect = Callable[[], Awaitable[asyncpg.Connection]]


class Tables(Generic[K, V]):
    """Names the tables whose rows make up values of type `V` by keys of type `K`.

    It is a constant of the module that knows the statement; `Events.table_cache` has the values, `limit` at most.
    """

    def __init__(self, *names: str, limit: int = 10_000) -> None:
        self.names = names
        self.limit = limit


class TableCache(Generic[K, V]):
    """Values, never None, that were made of rows, for as long as these are as they were. Dropped whole."""

    def __init__(self, caches: "Caches", limit: int) -> None:
        self._caches = caches
        self._limit = limit
        self._values: dict[K, V] = {}

    def cached(self, key: K) -> V | None:
        """The value if it is known, without waiting."""
        return self._values.get(key)

    async def get(self, key: K, look_up: Callable[[], Awaitable[V]]) -> V:
        """The value of `key`, from `look_up` where it is not known. What that raises is not cached."""
        value = self._values.get(key)
        if value is not None:
            return value
        # A drop puts a new dict in the place of this one, so a value that came too late is cached where nobody looks.
        values = self._values
        value = await look_up()
        if self._caches.is_caching:
            if len(values) >= self._limit:
                del values[next(iter(values))]
            values[key] = value
        return value

    def drop(self) -> None:
        self._values = {}


class NotNotified(Exception):
    """The database answers, and no notification comes from it."""


class Caches:
    """Values of some tables' rows. `is_caching` tells whether new ones are kept."""

    is_caching = False

    def __init__(self) -> None:
        self._caches: dict[tuple[Tables[Any, Any], Hashable], TableCache[Any, Any]] = {}

    def table_cache(self, tables: Tables[K, V], part: Hashable = None) -> TableCache[K, V]:
        """The values that are made of `tables`: the same object each time.

        Where not everybody may have the same of a key, each `part` has values of its own. The oldest of many parts go.
        """
        cache = self._caches.get((tables, part))
        if cache is None:
            if len(self._caches) >= _MOST_PARTS:
                oldest = next((key for key in self._caches if key[1] is not None), None)
                self._caches.pop(oldest, None)  # type: ignore[arg-type]
            cache = self._caches[tables, part] = TableCache(self, tables.limit)
        return cache

    def forget(self, table: str) -> None:
        """Drops what was made of the table's rows: they have changed."""
        for (tables, _part), cache in self._caches.items():
            if table in tables.names:
                cache.drop()

    def drop_all(self) -> None:
        for cache in self._caches.values():
            cache.drop()


class Events(Caches):
    """The listening connection of one process, made anew whenever it is lost. `connect` makes one.

    Values are cached while it listens, and while it drops them all the time instead.
    """

    def __init__(self, connect: Connect) -> None:
        super().__init__()
        self.is_listening = False
        self._connect = connect
        self._watches: list[tuple[frozenset[str] | None, Callable[[], None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._has_listened = False
        self._awaited = ""
        self._heard = asyncio.Event()

    def watch(self, tables: Iterable[str] | None, changed: Callable[[], None]) -> None:
        """Has `changed` called whenever rows of `tables` may be others than before; None are all that it is told of."""
        self._watches.append((None if tables is None else frozenset(tables), changed))

    async def start(self) -> None:
        """Listens, or goes on trying to in the background: the service works without, and asks the database more."""
        first_try = asyncio.Event()
        self._task = asyncio.create_task(self._run(first_try))
        await first_try.wait()

    async def close(self) -> None:
        """Nothing is cached from here on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, first_try: asyncio.Event) -> None:
        told = ""
        while True:
            try:
                await self._listen(first_try)
            except NotNotified as reason:
                told = _tell_once(told, "no notifications come: cached rows are dropped every second", str(reason))
                first_try.set()
                await self._poll()
            except Exception as error:  # whatever it was, the next try is the remedy
                was_listening, self._has_listened = self._has_listened, False
                told = _tell_once("" if was_listening else told, "no rows are cached: nothing listens", _name(error))
                first_try.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self, ready: asyncio.Event) -> None:
        """Never returns. Raises what ended the connection, or kept it from being made, and `NotNotified`."""
        connection = await self._connect()
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _connection: self._stop(lost))
            try:
                await connection.add_listener(CHANNEL, self._notified)
            except asyncpg.ReadOnlySQLTransactionError:
                raise NotNotified("a standby has none") from None
            await self._hear(connection)
            self.drop_all()  # lookups that began before this moment may have missed a change
            self.is_listening = self.is_caching = self._has_listened = not connection.is_closed()
            ready.set()
            while not await within(BEAT_SECONDS, lost):
                self.drop_all()
                await connection.execute("SELECT", timeout=_ANSWER_SECONDS)
            raise ConnectionResetError
        finally:
            self._stop(lost)
            with suppress(TimeoutError):
                await connection.close(timeout=_ANSWER_SECONDS)

    async def _hear(self, listening: asyncpg.Connection) -> None:
        """Returns when a notification has come that another connection sent. Raises `NotNotified`.

        A server that is reached directly needs no trial; a pooler takes the greeting of its own.
        """
        pid = await listening.fetchval("SELECT pg_backend_pid()", timeout=_ANSWER_SECONDS)
        if pid == listening.get_server_pid():
            return
        self._awaited = secrets.token_hex(8)
        self._heard.clear()
        other = await self._connect()
        try:
            await other.execute(f"NOTIFY {CHANNEL}, '{self._awaited}'", timeout=_ANSWER_SECONDS)
        except asyncpg.ReadOnlySQLTransactionError:
            raise NotNotified("a standby has none") from None
        finally:
            other.terminate()
        if not await within(_HEARD_SECONDS, self._heard):
            raise NotNotified("a pooler does not pass them on: set LISTEN_URL to the server's own address")

    async def _poll(self) -> None:
        """Keeps values for a moment at a time, until it is worth listening again."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _LISTEN_AGAIN_SECONDS
        try:
            while loop.time() < until:
                self.drop_all()
                self.is_caching = True
                await asyncio.sleep(POLL_SECONDS)
        finally:
            self.is_caching = False
            self.drop_all()

    def forget(self, table: str) -> None:
        super().forget(table)
        for names, changed in self._watches:
            if names is None or table in names:
                changed()

    def drop_all(self) -> None:
        super().drop_all()
        for _, changed in self._watches:
            changed()

    def _notified(self, _connection: object, _pid: int, _channel: str, table: object) -> None:
        if table == self._awaited:
            self._heard.set()
        self.forget(str(table))

    def _stop(self, lost: asyncio.Event) -> None:
        if not lost.is_set():  # the connection tells of its end once more, later
            lost.set()
            self.is_listening = self.is_caching = False
            self.drop_all()


async def within(seconds: float, event: asyncio.Event) -> bool:
    """Whether the event happens in that time."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


def _tell_once(told: str, event: str, reason: str) -> str:
    """Logs what is the matter, unless that was `told` last; returns it. An outage is one line, not one a second."""
    now = f"{event} ({reason})"
    if now != told:
        logger.warning(event, extra={"facts": {"reason": reason}})
    return now


def _name(error: Exception) -> str:
    return getattr(error, "sqlstate", None) or type(error).__name__
