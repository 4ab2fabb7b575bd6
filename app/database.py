"""The connections to PostgreSQL: a pool, and one way to run a named statement within a viewer's scope."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import asyncpg

from app.settings import Settings
from sql import Prepared, Scope, Statement
from sql.fuse import Fused


class Database:
    """`statements` counts what was sent since the start; the metrics show it and the tests assert it."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.statements = 0
        self._columns: dict[str, Mapping[str, bool]] = {}

    @classmethod
    async def connect(cls, settings: Settings) -> Self:
        """Raises OSError or asyncpg.PostgresError when the server cannot be reached."""
        pool = await asyncpg.create_pool(
            settings.database_url,
            min_size=1,
            max_size=settings.pool_size,
            command_timeout=30,
            reset=_keep_session,
            server_settings={"application_name": "waybill", "timezone": "UTC"},
        )
        return cls(pool)

    async def fetch(
        self,
        statement: Statement,
        scope: Scope,
        *,
        filters: frozenset[str] = frozenset(),
        order: tuple[str, ...] = (),
        **values: Any,
    ) -> list[asyncpg.Record]:
        """The rows of a statement that `scope` may see, in the statement's order."""
        prepared = statement.prepare(scope.reach, filters, order)
        values["scope_channel_ids"] = scope.channel_ids
        values["scope_company_ids"] = scope.company_ids
        values["scope_customer_id"] = scope.customer_id
        self.statements += 1
        rows: list[asyncpg.Record] = await self.pool.fetch(prepared.text, *prepared.arguments(values))
        return rows

    async def fetch_fused(self, fused: Fused, scope: Scope, values: Sequence[Mapping[str, Any]]) -> asyncpg.Record:
        """The one row of several statements in one; see `sql.fuse`. `values` are the parameters of each."""
        root = {
            **values[0],
            "scope_channel_ids": scope.channel_ids,
            "scope_company_ids": scope.company_ids,
            "scope_customer_id": scope.customer_id,
        }
        self.statements += 1
        [row] = await self.pool.fetch(fused.text, *fused.arguments([root, *values[1:]]))
        return row

    async def columns_of(self, prepared: Prepared) -> Mapping[str, bool]:
        """The names of the columns of a statement, each with whether it is an array."""
        columns = self._columns.get(prepared.text)
        if columns is None:
            async with self.pool.acquire() as connection:
                attributes = (await connection.prepare(prepared.text)).get_attributes()
            columns = {attribute.name: attribute.type.kind == "array" for attribute in attributes}
            self._columns[prepared.text] = columns
        return columns

    async def close(self) -> None:
        await self.pool.close()


async def _keep_session(_connection: asyncpg.Connection) -> None:
    """No statement changes a session's state outside a transaction, so the round trip of a RESET is saved."""
