"""The store at one moment, for what takes many statements to tell."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import asyncpg

from app.postgres.consistency import Consistency
from app.postgres.database import Database, Server, within
from app.postgres.faults import told
from app.postgres.replicas import Reading
from sql import Statement, Visibility, load

SQL, PLACE = load("snapshot"), load("replica").place

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_STATEMENT_SECONDS = 30
# The first rows may have to wait until all are sorted.
_CURSOR_SECONDS = 300
# Longer than a caller may take to read what it was sent.
_IDLE_SECONDS = 120
_END_SECONDS = 1


class Snapshot:
    """What a viewer of `visibility` sees of one moment, whatever is written meanwhile. One statement runs at a time.

    It holds a connection of the pool, and keeps the server from cleaning up: it should be over soon.
    """

    def __init__(
        self, db: Server, connection: asyncpg.Connection, visibility: Visibility, reading: Reading | None = None
    ) -> None:
        self._reading = reading
        self._db = db
        self._connection = connection
        self._visibility = visibility

    @classmethod
    @asynccontextmanager
    async def open(cls, db: Database, visibility: Visibility, reading: Reading | None = None) -> AsyncIterator[Self]:
        """The moment is that of its beginning, and the feed goes to just before it; on a standby, some time before.

        `reading` chooses the server where there are several. Raises `ServiceUnavailable`, like all that is asked of it.
        """
        await db.feed.go_on()
        bounds = {"statement": f"{_CURSOR_SECONDS}s", "idle": f"{_IDLE_SECONDS}s"}
        server: Server = db
        if reading is None:
            connection, _ = await db.begin(_BEGIN, SQL.begin, **bounds)
        else:
            server, connection, _ = await reading.begin(_BEGIN, SQL.begin, **bounds)
        try:
            yield cls(server, connection, visibility, reading)
        finally:
            await server.pool.take_back(connection, _END_SECONDS)

    async def fetch(self, statement: Statement, **values: Any) -> list[asyncpg.Record]:
        """See `Database.fetch`."""
        with told():
            async with asyncio.timeout(_STATEMENT_SECONDS):
                return await self._db.fetch(statement, self._visibility, on=self._connection, **values)

    async def state(self) -> Consistency | None:
        """One no earlier than that moment; None where nobody keeps account."""
        if self._reading is None:
            return None
        [row] = await self.fetch(PLACE)
        return self._reading.state_at(row["lsn"])

    async def batches(
        self, statement: Statement, size: int, *, filters: frozenset[str] = frozenset(), **values: Any
    ) -> AsyncIterator[list[asyncpg.Record]]:
        """All rows of `statement`, `size` at a time; the rest waits on the server until it is asked for."""
        text, arguments = within(self._visibility, statement, filters, (), values)
        self._db.statements += 1
        with told():
            # Without a name: whatever lies between us and the server, nothing of it is left there.
            prepared = await self._connection.prepare(text, name="", timeout=_CURSOR_SECONDS)
            cursor = await prepared.cursor(*arguments, timeout=_CURSOR_SECONDS)
        while rows := await self._next(cursor, size):
            yield rows

    async def _next(self, cursor: Any, size: int) -> list[asyncpg.Record]:
        with told():
            rows: list[asyncpg.Record] = await cursor.fetch(size, timeout=_CURSOR_SECONDS)
            return rows
