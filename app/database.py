"""The way to PostgreSQL: one way to run a named statement within a viewer's scope, and rows that are kept."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Self

import asyncpg

from app.events import Events
from app.pool import Pool
from app.settings import Settings
from sql import Prepared, Scope, Statement
from sql.fuse import Fused

_COMMAND_SECONDS = 30
# As many as a busy surface has texts of, for every reach, filter, order and size of lists; the least recently used one
# goes.
_PREPARED_STATEMENTS = 500

# What the driver makes of PostgreSQL's types.
_TYPES: Mapping[str, type] = {
    "text": str, "int2": int, "int4": int, "bool": bool, "float8": float, "timestamptz": datetime,
}  # fmt: skip


class Database:
    """`statements` counts what was sent since the start; the metrics show it and the tests assert it."""

    def __init__(self, pool: Pool, events: Events) -> None:
        self.pool = pool
        self.events = events
        self.statements = 0
        self.watched = events.watched  # the values made of some tables' rows, kept until the rows change
        self._columns: dict[Statement, Mapping[str, type]] = {}

    @classmethod
    async def connect(cls, settings: Settings) -> Self:
        """Raises OSError or asyncpg.PostgresError when the server cannot be reached."""

        async def connect() -> asyncpg.Connection:
            return await asyncpg.connect(
                settings.database_url,
                command_timeout=_COMMAND_SECONDS,
                statement_cache_size=_PREPARED_STATEMENTS,
                max_cached_statement_lifetime=0,  # for good
                max_cacheable_statement_size=0,  # of any size
                server_settings={"application_name": "waybill", "timezone": "UTC"},
            )

        pool = Pool(connect, settings.pool_size)
        async with pool.connection():
            return cls(pool, Events(connect))

    def connection(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """One connection, for a transaction: it is nobody else's until the block ends."""
        return self.pool.connection()

    async def fetch(
        self,
        statement: Statement,
        scope: Scope,
        *,
        filters: frozenset[str] = frozenset(),
        order: tuple[str, ...] = (),
        on: asyncpg.Connection | None = None,
        **values: Any,
    ) -> list[asyncpg.Record]:
        """The rows of a statement that `scope` may see, in the statement's order. `on` is the caller's connection."""
        text, arguments = within(scope, statement, filters, order, values)
        self.statements += 1
        rows: list[asyncpg.Record] = await (on or self.pool).fetch(text, *arguments)
        return rows

    async def fetch_fused(self, fused: Fused, values: Sequence[Mapping[str, Any]]) -> asyncpg.Record:
        """The one row of several statements in one; see `sql.fuse`.

        `values` are the parameters of each, those of the first with the viewer's keys (see `Scope.keys`).
        """
        self.statements += 1
        [row] = await self.pool.fetch(fused.text, *fused.arguments(values))
        return row

    async def columns_of(self, statement: Statement, prepared: Prepared) -> Mapping[str, type]:
        """The names and types of a statement's columns (see `loaders.tree.Column`); all its texts have the same."""
        columns = self._columns.get(statement)
        if columns is None:
            async with self.connection() as connection:
                attributes = (await connection.prepare(prepared.text)).get_attributes()
            columns = {attribute.name: _type(attribute.type) for attribute in attributes}
            self._columns[statement] = columns
        return columns

    async def close(self) -> None:
        await self.events.close()
        await self.pool.close()


def _type(type_: asyncpg.Type) -> type:
    return list if type_.kind == "array" else _TYPES.get(type_.name, object)


def within(
    scope: Scope, statement: Statement, filters: frozenset[str], order: tuple[str, ...], values: Mapping[str, Any]
) -> tuple[str, list[Any]]:
    """The text of a statement that reaches as far as `scope`, and its arguments."""
    values = {**values, **scope.keys}
    prepared = statement.prepare(scope.reach, filters, order, values)
    return prepared.text, prepared.arguments(values)
