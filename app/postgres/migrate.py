"""Brings a database to the newest schema: forward only, one process at a time, beside readers and writers.

A migration is done step by step (`app/postgres/steps.py`), each a transaction of its own that gives up when a lock does
not come within `LOCK_SECONDS`, and is tried again: who waits for a lock keeps everybody waiting who comes after. Which
steps are done is noted with them, so that a migration that was interrupted goes on where it stopped. What was done is
never edited. A file that is not divided is one transaction, which waits for its locks as long as it takes.

One process migrates at a time, by an advisory lock of its session. That takes a session, which poolers that share
connections between transactions do not give.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeVar

import asyncpg

from app.postgres.connect import CONNECT_SECONDS, Connector
from app.postgres.direct import fetch
from app.postgres.locks import Verdict, judge
from app.postgres.steps import Step, StepError, StepKind, steps
from sql import Reach, Statement, load
from sql.advisory_lock import AdvisoryLock

T = TypeVar("T")

SQL = load("migration")
_FOLDER = files("sql").joinpath("migrations")

LOCK_SECONDS = 1.0
# Growing to the last one, which is taken again and again: three minutes in all.
PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0, *[8.0] * 18)
_ASK_SECONDS = 0.1
# How often a batch is begun anew because a writer was faster.
_OVERTAKEN = 5

_WAITED_IN_VAIN = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
_SHARED = (
    "migrations need a session of their own, and a pooler shares them between transactions: "
    "give `migrate` the server's own address as DATABASE_URL"
)

Tell = Callable[[str], None]


class MigrationError(Exception):
    """The migrations of this program and of the database do not go together, or one cannot be done now."""


@dataclass(frozen=True)
class Migration:
    """One file. `checksum` is of all of it."""

    name: str
    checksum: str
    steps: Sequence[Step]


@dataclass(frozen=True)
class Pending:
    """What is missing: the migrations, and which of their steps are done. `is_new`: the database has none of ours."""

    migrations: Sequence[Migration]
    done: Mapping[tuple[str, str], str]
    is_new: bool

    def steps(self, migration: Migration) -> list[Step]:
        return [step for step in migration.steps if (migration.name, step.name) not in self.done]


def migration_names() -> list[str]:
    """The file names of all migrations, in the order of application."""
    return sorted(entry.name for entry in _FOLDER.iterdir() if entry.name.endswith(".sql"))


def migrations() -> dict[str, str]:
    """The text of every migration by file name, in the order of application."""
    return {name: _FOLDER.joinpath(name).read_text("utf-8") for name in migration_names()}


async def migrate(dsn: str, tell: Tell = lambda _line: None) -> list[str]:
    """Applies what is missing, and returns the names of the files it applied. `tell` is told of steps and waits.

    Raises `MigrationError` where the database holds a migration that this program does not have in the same words,
    where a step does not get its locks within some three minutes, and where a pooler gives no session. What was done
    stays.
    """
    # Nothing is prepared by name: a pooler may give each transaction another session.
    connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, statement_cache_size=0)
    try:
        if not (await _pending(connection)).migrations:
            return []
        if not (await Connector(dsn, statement_cache=0).persistence()).sessions:
            raise MigrationError(_SHARED)
        await _send(connection, SQL.prepare_session)
        await _take_turn(connection, tell)
        await _send(connection, SQL.ledger)
        await _send(connection, SQL.step_ledger)
        return await _Run(connection, await _pending(connection), tell).all()
    finally:
        await connection.close()


async def check(dsn: str) -> list[tuple[str, str, Verdict]]:
    """What each pending step does to those who work with the database: by migration and step. Changes nothing.

    Raises `MigrationError` as `migrate` does. Where the database has no migration yet, there is nobody to wait.
    """
    connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, statement_cache_size=0)
    try:
        pending = await _pending(connection)
        tables = {row["name"] for row in await fetch(connection, SQL.tables)}
    finally:
        await connection.close()
    verdicts = []
    for migration in pending.migrations:
        for step in pending.steps(migration):
            verdict = Verdict({}, False, "nobody uses the database yet") if pending.is_new else judge(step, tables)
            verdicts.append((migration.name, step.name, verdict))
            tables |= verdict.creates
    return verdicts


async def _pending(connection: asyncpg.Connection) -> Pending:
    """Raises `MigrationError` where what is applied is not what this program has."""
    applied, done = {}, {}
    if await _value(connection, SQL.has_table, table="schema_migrations"):
        applied = {row["name"]: row["checksum"] for row in await fetch(connection, SQL.applied)}
    if await _value(connection, SQL.has_table, table="schema_migration_steps"):
        done = {(row["migration"], row["step"]): row["checksum"] for row in await fetch(connection, SQL.done_steps)}
    known = migrations()
    for name, checksum in sorted(applied.items()):
        if name not in known:
            raise MigrationError(f"the database has the migration {name}, which this version does not know")
        if checksum != _checksum(known[name]):
            raise MigrationError(f"the migration {name} was edited after it had been applied")
    missing = [_migration(name, text) for name, text in known.items() if name not in applied]
    written = {(found.name, step.name): _checksum(step.text) for found in missing for step in found.steps}
    for place, checksum in sorted(done.items()):
        if written.get(place) != checksum:
            raise MigrationError(
                f"the step “{place[1]}” of the migration {place[0]} was edited after it had been applied"
            )
    return Pending(missing, done, is_new=not applied and not done)


def _migration(name: str, text: str) -> Migration:
    try:
        return Migration(name, _checksum(text), steps(text))
    except StepError as error:
        raise MigrationError(f"the migration {name}: {error}") from error


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def _take_turn(connection: asyncpg.Connection, tell: Tell) -> None:
    """Returns when no other process migrates. The turn ends with the session."""
    is_told = False
    while not await _value(connection, SQL.try_lock, lock=AdvisoryLock.MIGRATION):
        if not is_told:
            tell("another process migrates: waiting for it")
            is_told = True
        await asyncio.sleep(_ASK_SECONDS)


class _Run:
    """Does what is pending, over the connection that holds the lock."""

    def __init__(self, connection: asyncpg.Connection, pending: Pending, tell: Tell) -> None:
        self._connection = connection
        self._pending = pending
        self._tell = tell
        self._migration = ""

    async def all(self) -> list[str]:
        for migration in self._pending.migrations:
            self._migration = migration.name
            await self._apply(migration)
        if await _value(self._connection, SQL.has_table, table="shipment_status_successors"):
            await _send(self._connection, SQL.measure_lifecycle)
        return [migration.name for migration in self._pending.migrations]

    async def _apply(self, migration: Migration) -> None:
        todo = self._pending.steps(migration)
        if migration.steps[0].kind is StepKind.WHOLE:
            async with self._connection.transaction():
                await self._connection.execute(migration.steps[0].text)
                await _send(self._connection, SQL.note_migration, name=migration.name, checksum=migration.checksum)
            return
        for step in todo:
            self._tell(f"{migration.name}: {step.name}")
            await self._do(step)
        async with self._connection.transaction():
            await _send(self._connection, SQL.note_migration, name=migration.name, checksum=migration.checksum)
            await _send(self._connection, SQL.forget_steps, migration=migration.name)

    async def _do(self, step: Step) -> None:
        if step.kind is StepKind.OUTSIDE:
            await self._with_patience(step, lambda: self._outside(step))
            await self._note(step)
        elif step.kind is StepKind.BATCHES:
            while await self._with_patience(step, lambda: self._batch_beside_writers(step)):
                pass
        else:
            await self._with_patience(step, lambda: self._transaction(step))

    async def _transaction(self, step: Step) -> None:
        async with self._connection.transaction():
            await self._bound_waits()
            await self._connection.execute(step.text)
            await self._note(step)

    async def _batch_beside_writers(self, step: Step) -> bool:
        """Whether it changed rows. A row of which a writer has made something else meanwhile is looked at again."""
        for _ in range(_OVERTAKEN):
            try:
                return await self._batch(step)
            except asyncpg.IntegrityConstraintViolationError as error:
                self._tell(f"{self._migration}: {step.name}: somebody wrote meanwhile, again: {error}")
        return await self._batch(step)

    async def _batch(self, step: Step) -> bool:
        """Whether it changed rows. The batch that finds none any more is noted as the step's end."""
        async with self._connection.transaction():
            await self._bound_waits()
            status: str = await self._connection.execute(step.text)
            is_over = status.rpartition(" ")[2] == "0"
            if is_over:
                await self._note(step)
        return not is_over

    async def _outside(self, step: Step) -> None:
        """An index that is there and valid was finished by a run that could not note it any more."""
        if step.index:
            is_valid = await _value(self._connection, SQL.is_index_valid, index=step.index)
            if is_valid:
                return
            if is_valid is False:
                await self._drop(step.index)
        try:
            await self._connection.execute(step.text)
        except asyncpg.PostgresError:
            if step.index:
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await self._drop(step.index)
            raise

    async def _drop(self, index: str) -> None:
        """What an interrupted build leaves is kept up by every writer, and serves nobody."""
        await self._connection.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{index}"')

    async def _bound_waits(self) -> None:
        await _send(self._connection, SQL.bound_waits, milliseconds=str(round(LOCK_SECONDS * 1000)))

    async def _note(self, step: Step) -> None:
        await _send(
            self._connection, SQL.note_step, migration=self._migration, step=step.name, checksum=_checksum(step.text)
        )

    async def _with_patience(self, step: Step, attempt: Callable[[], Awaitable[T]]) -> T:
        """Raises `MigrationError` where the locks have not come after all of `PAUSES`."""
        for pause in PAUSES:
            try:
                return await attempt()
            except _WAITED_IN_VAIN:
                self._tell(f"{self._migration}: {step.name}: somebody holds its lock, again in {pause:g} s")
            await asyncio.sleep(pause)
        try:
            return await attempt()
        except _WAITED_IN_VAIN as error:
            raise MigrationError(
                f"the step “{step.name}” of the migration {self._migration} does not get its locks"
                f"{await self._suspects()}: run `python -m app migrate` again, it goes on with this step"
            ) from error

    async def _suspects(self) -> str:
        rows = await fetch(self._connection, SQL.oldest_transactions)
        shown = ", ".join(
            f"process {row['pid']} ({row['application_name'] or 'unnamed'}, {row['seconds']} s)" for row in rows
        )
        return f"; open transactions: {shown}" if shown else ""


async def _value(connection: asyncpg.Connection, statement: Statement, **values: Any) -> Any:
    rows = await fetch(connection, statement, **values)
    return rows[0][0] if rows else None


async def _send(connection: asyncpg.Connection, statement: Statement, **values: Any) -> None:
    prepared = statement.prepare(Reach.EVERYTHING)
    await connection.execute(prepared.text, *prepared.arguments(values))
