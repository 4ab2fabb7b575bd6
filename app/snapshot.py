"""The store at one moment, for what takes many statements to tell."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import asyncpg

from app.database import Database, within
from sql import Scope, Statement

# The first rows may have to wait until all are sorted.
_CURSOR_SECONDS = 300


class Snapshot:
    """What a viewer of `scope` sees of one moment, whatever is written meanwhile. One statement runs at a time.

    It holds a connection of the pool, and keeps the server from cleaning up: it should be over soon.
    """

    def __init__(self, db: Database, connection: asyncpg.Connection, scope: Scope) -> None:
        self._db = db
        self._connection = connection
        self._scope = scope

    @classmethod
    @asynccontextmanager
    async def open(cls, db: Database, scope: Scope) -> AsyncIterator[Self]:
        """The moment is that of the first statement."""
        async with db.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            yield cls(db, connection, scope)

    async def fetch(self, statement: Statement, **values: Any) -> list[asyncpg.Record]:
        """See `Database.fetch`."""
        return await self._db.fetch(statement, self._scope, on=self._connection, **values)

    async def batches(
        self, statement: Statement, size: int, *, filters: frozenset[str] = frozenset(), **values: Any
    ) -> AsyncIterator[list[asyncpg.Record]]:
        """All rows of `statement`, `size` at a time; the rest waits on the server until it is asked for."""
        text, arguments = within(self._scope, statement, filters, (), values)
        self._db.statements += 1
        cursor = await self._connection.cursor(text, *arguments, timeout=_CURSOR_SECONDS)
        while rows := await cursor.fetch(size, timeout=_CURSOR_SECONDS):
            yield rows
