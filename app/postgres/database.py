"""The way to PostgreSQL: one way to run a named statement within a viewer's visibility, and rows that are kept."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import Any, Self

import asyncpg

from app.cache import Cache
from app.postgres.connect import Connector, is_direct
from app.postgres.events import Caches, Events
from app.postgres.feed import Feed
from app.postgres.gathering import Gathering, Gatherings
from app.postgres.lookups import Lookups
from app.postgres.pool import Pool
from app.settings import Settings
from app.tracing import TRAIL
from loaders.batch import Batch
from loaders.selection import CombinedQueries
from sql import Prepared, Statement, Visibility, load
from sql.combine import CombinedStatement

SQL = load("server")

_OURS = Visibility.everything()

_OUTCOME_SECONDS = 0.5
_OUTCOME_PAUSE_SECONDS = 0.02

# What the driver makes of PostgreSQL's types.
_TYPES: Mapping[str, type] = {
    "text": str, "int2": int, "int4": int, "bool": bool, "float8": float, "timestamptz": datetime,
}  # fmt: skip


class Server:
    """One PostgreSQL, which answers statements.

    `statements` counts what was sent since the start; the metrics show it and the tests assert it. `observe`, where it
    is set, is told the name of every statement that has ended, and what it took, with the wait for a connection, in
    seconds. `table_cache` has the values made of some tables' rows, which are kept until the rows change.
    """

    def __init__(self, pool: Pool, caches: Caches) -> None:
        self.pool = pool
        self.table_cache = caches.table_cache
        self.statements = 0
        self.observe: Callable[[str, float], None] | None = None
        # What is asked by id at the same time shares a statement.
        self.look_up = Lookups(self.fetch_combined).get

    async def fetch(
        self,
        statement: Statement,
        visibility: Visibility,
        *,
        filters: frozenset[str] = frozenset(),
        order: tuple[str, ...] = (),
        on: asyncpg.Connection | None = None,
        **values: Any,
    ) -> list[asyncpg.Record]:
        """The rows of a statement that `visibility` may see, in the statement's order. `on` is the caller's connection.

        Raises `ServiceUnavailable`; on a connection of the caller's what asyncpg raises.
        """
        text, arguments = within(visibility, statement, filters, order, values)
        self.statements += 1
        began, error = perf_counter(), None
        try:
            if on is not None:
                rows: list[asyncpg.Record] = await on.fetch(text, *arguments)
                return rows
            return await (self.pool.fetch if statement.is_read else self.pool.fetch_once)(text, *arguments)
        except BaseException as failure:
            error = failure
            raise
        finally:
            self._tell(f"{statement.noun}.{statement.name}", began, error)
            del error  # whose traceback holds this frame: a circle

    async def fetch_first(self, statement: Statement, visibility: Visibility, **values: Any) -> asyncpg.Record | None:
        """The first row, None where there is none. Raises what `fetch` does."""
        rows = await self.fetch(statement, visibility, **values)
        return rows[0] if rows else None

    async def fetch_combined(self, combined: CombinedStatement, values: Sequence[Mapping[str, Any]]) -> asyncpg.Record:
        """The one row of several statements in one; see `sql.combine`.

        `values` are the parameters of each, those of the first with the viewer's keys (see `Visibility.keys`).
        """
        self.statements += 1
        began, error = perf_counter(), None
        try:
            [row] = await self.pool.fetch(combined.text, *combined.arguments(values))
            return row
        except BaseException as failure:
            error = failure
            raise
        finally:
            self._tell(combined.parts[0].prepared.name, began, error)
            del error

    async def begin(self, text: str, first: Statement, **values: Any) -> tuple[asyncpg.Connection, asyncpg.Record]:
        """A connection in a transaction, and the one row of its `first` statement; see `Pool.begin`."""
        first_text, arguments = within(_OURS, first, frozenset(), (), values)
        self.statements += 1
        began = perf_counter()
        connection, [row] = await self.pool.begin(text, first_text, *arguments)
        self._tell(f"{first.noun}.{first.name}", began, None)
        return connection, row

    def _tell(self, name: str, began: float, error: BaseException | None) -> None:
        """That a statement has ended: a combined one has the name of its first."""
        ended = perf_counter()
        seconds = ended - began
        if self.observe is not None:
            self.observe(name, seconds)
        trail = TRAIL.get()
        if trail is not None:
            trail.statements += 1
            trail.seconds += seconds
            if trail.trace is not None:
                trail.trace.statement(name, began, ended, error)


class Database(Server):
    """The server that takes writes. `seconds` are what a request, and so a transaction of one, may take."""

    def __init__(self, pool: Pool, events: Events, seconds: float, cache: Cache) -> None:
        super().__init__(pool, events)
        self.events = events
        self.feed = Feed(pool)
        self.seconds = seconds
        self.queries = CombinedQueries(self.columns_of, cache)
        self._columns: dict[Statement, Mapping[str, type]] = {}
        self._gatherings = Gatherings[_Keys]()

    @classmethod
    async def connect(cls, settings: Settings, cache: Cache | None = None) -> Self:
        """`cache` holds what is combined, one of its own where there is none.

        Raises OSError, what asyncpg raises, or `ServiceUnavailable` when the server cannot be reached.
        """
        connect = Connector(
            settings.database_url,
            statement_cache=settings.statement_cache,
            statement_bytes=settings.cache_bytes // 4,
            seconds=settings.deadline,
            current=settings.current_if_file("DATABASE_URL"),
        )
        pool = Pool(
            connect,
            settings.pool_size,
            wait_seconds=settings.pool_wait_seconds,
            queue=settings.pool_queue,
            on_vanished=connect.lose_statements,
            seeks_writable=connect.seeks_writable,
        )
        listen = connect
        if settings.listen_url:
            listen = Connector(
                settings.listen_url,
                statement_cache=0,
                seconds=settings.deadline,
                current=settings.current_if_file("LISTEN_URL"),
            )
        async with pool.connection() as first:
            if settings.statement_cache and not await is_direct(first):
                first.terminate()  # a pooler may have but one, which the trial needs
                if not (await connect.persistence()).statements:
                    connect.prepare_nothing("a pooler shares sessions between transactions")
            return cls(pool, Events(listen), settings.deadline, Cache() if cache is None else cache)

    def connection(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """One connection, for a transaction: it is nobody else's until the block ends."""
        return self.pool.connection()

    def gather(self, batch: Batch, key: Any) -> Awaitable[list[asyncpg.Record]]:
        """The rows of a key of `batch`, whoever may see them. What is asked for at the same time shares a statement."""
        return self._gatherings.ask(batch, lambda: _Keys(self, batch), key)

    async def columns_of(self, statement: Statement, prepared: Prepared) -> Mapping[str, type]:
        """The names and types of a statement's columns (see `Column`); all its texts have the same."""
        columns = self._columns.get(statement)
        if columns is None:
            columns = self._columns[statement] = await self.pool.run(partial(_describe, prepared.text))
        return columns

    async def has_committed(self, transaction_id: str) -> bool | None:
        """Whether a transaction whose end was not heard of has; None where that cannot be found out in a moment."""
        # Who asks may have been cancelled already: before Python 3.11.3 `asyncio.timeout` takes that for its own end.
        asking = asyncio.create_task(self._ask_whether_committed(transaction_id))
        try:
            await asyncio.wait([asking], timeout=_OUTCOME_SECONDS)
        finally:
            asking.cancel()
        await asyncio.wait([asking])
        # Whatever was raised, nothing is known.
        return None if asking.cancelled() or asking.exception() else asking.result()

    async def _ask_whether_committed(self, transaction_id: str) -> bool | None:
        while True:
            [row] = await self.fetch(SQL.outcome, _OURS, transaction_id=transaction_id)
            if row["outcome"] != "in progress":
                return None if row["outcome"] is None else row["outcome"] == "committed"
            await asyncio.sleep(_OUTCOME_PAUSE_SECONDS)

    async def close(self) -> None:
        await self.feed.close()
        await self.events.close()
        await self.pool.close()


class _Keys(Gathering):
    """Those of a batch."""

    __slots__ = ("batch", "db")

    def __init__(self, db: Database, batch: Batch) -> None:
        super().__init__()
        self.db = db
        self.batch = batch

    async def answer(self) -> None:
        batch = self.batch
        rows_of: dict[Any, list[asyncpg.Record]] = {key: [] for key, _ in self.asked}
        values: dict[str, Any] = {batch.parameter: list(rows_of), **batch.values}
        for row in await self.db.fetch(batch.statement, _OURS, **values):
            rows_of[row[batch.column]].append(row)
        for key, future in self.asked:
            if not future.done():  # whoever asked may have gone
                future.set_result(rows_of[key])


async def _describe(text: str, connection: asyncpg.Connection) -> Mapping[str, type]:
    attributes = (await connection.prepare(text)).get_attributes()
    # Preparing begins a transaction, which holds its locks until something ends it.
    await connection.execute("SELECT")
    return {attribute.name: _type(attribute.type) for attribute in attributes}


def _type(type_: asyncpg.Type) -> type:
    return list if type_.kind == "array" else _TYPES.get(type_.name, object)


def within(
    visibility: Visibility,
    statement: Statement,
    filters: frozenset[str],
    order: tuple[str, ...],
    values: Mapping[str, Any],
) -> tuple[str, list[Any]]:
    """The text of a statement that reaches as far as `visibility`, and its arguments."""
    values = {**values, **visibility.keys}
    prepared = statement.prepare(visibility.reach, filters, order, values)
    return prepared.text, prepared.arguments(values)
