"""The writes of one request: a single transaction, from the first write to the answer that tells of it.

Who commits it: `app.http.mutation`, and nobody else.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg

from app.errors import (
    CarrierAlreadyExists,
    CarrierInUse,
    Conflict,
    Forbidden,
    IdempotencyKeyReused,
    OutcomeUnknown,
    ReadOnly,
    ServiceUnavailable,
    ValidationError,
    WaybillError,
)
from app.postgres.database import Database
from app.postgres.faults import Loss, fault_of, loss_of
from sql import Reach, Statement, Visibility, load
from sql.advisory_lock import AdvisoryLock

SQL = load("write")
ORDER = load("order")

_OURS = Visibility.everything()
# The triggers read, after they have waited, what others have committed meanwhile: see the migration.
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
# What takes longer to be taken back is not waited for: it is never committed.
_END_SECONDS = 0.5

# What a resolver does not find out beforehand, because somebody else is faster: by the constraint that refuses it.
_REFUSALS: Mapping[str, Callable[[], WaybillError]] = {
    "order_items_never_overshipped": partial(
        ValidationError, "input", "must not ship more of an order line than was ordered"
    ),
    "shipments_order_shippable": partial(ValidationError, "input", "must be of an order that can be shipped"),
    "shipment_items_line_shippable": partial(
        ValidationError, "input", "must ship goods alone, and the parts of a bundle in its place"
    ),
    "shipment_items_shipment_open": partial(
        ValidationError, "input", "must be of an open shipment: delivered and canceled ones are closed for items"
    ),
    "shipments_closed_stay": partial(
        Forbidden, "A shipment that is delivered or canceled is deleted with the scope shipments:override alone."
    ),
    "shipments_status_follows": partial(ValidationError, "input.status", "must follow the lifecycle of shipments"),
    "track_and_traces_code_unique": partial(ValidationError, "input.code", "must be unique within its carrier"),
    "track_and_traces_code_use": partial(ValidationError, "input.code", "must be unique within its carrier"),
    "track_and_traces_shipment_fk": partial(ValidationError, "input.shipmentId", "must exist"),
    "shipments_external_id_unique": partial(ValidationError, "input.externalId", "must be unique within its order"),
    "shipment_items_external_id_unique": partial(
        ValidationError, "input.externalId", "must be unique among the items of its order"
    ),
    "track_and_traces_external_id_unique": partial(
        ValidationError, "input.externalId", "must be unique among the codes of its order"
    ),
    "shipment_items_shipment_fk": partial(ValidationError, "input.shipmentId", "must exist"),
    "shipment_items_order_item_fk": partial(ValidationError, "input.orderItemId", "must be a line of the order"),
    "track_and_traces_carrier_of_channel": partial(ValidationError, "input.carrierId", "must be the id of a carrier"),
    "carriers_name_unique": partial(CarrierAlreadyExists, "name"),
    "carriers_key_unique": partial(CarrierAlreadyExists, "key"),
    "carriers_channel_of_codes": partial(
        ValidationError, "input.channelId", "must be the channel of all codes of the carrier"
    ),
    "carriers_channel_fk": partial(ValidationError, "input.channelId", "must be the id of a channel"),
    **dict.fromkeys(
        ("carriers_time_zone_new", "carriers_time_zone_other"),
        partial(
            ValidationError, "input.timeZone", "must be a name of the IANA time zone database, such as Europe/Amsterdam"
        ),
    ),
    # Codes hold their carriers while they are written, so only who deletes a carrier can meet this one.
    "track_and_traces_carrier_fk": CarrierInUse,
}


@dataclass(frozen=True)
class IdempotencyKey:
    """What a caller names a request by, and the SHA-256 of what it asks for."""

    text: str
    request_hash: bytes


class AlreadyAnswered(WaybillError):
    """Ends the execution of a repeated request. No caller reads it: `Transaction.answer` takes its place."""

    code = "CONFLICT"


class Shown:
    """What an answer rests on: the orders whose rows were read for it, and the `permissions` that opened fields of it.

    Whoever may see an order may see everything that hangs on it, so these tell later who may see the answer.
    """

    def __init__(self) -> None:
        self.permissions: set[str] = set()
        self.order_ids: set[int] = set()
        self.shipment_ids: set[str] = set()

    def add(self, noun: str, rows: Sequence[asyncpg.Record]) -> None:
        """`rows` of a statement of `noun`. Those that name no order and no shipment hang on others, or on none."""
        columns = set(rows[0].keys()) if rows else set()
        if "order_id" in columns:
            self.order_ids.update(row["order_id"] for row in rows)
        elif noun == "order" and "id" in columns:
            self.order_ids.update(row["id"] for row in rows)
        elif "shipment_id" in columns:
            self.shipment_ids.update(str(row["shipment_id"]) for row in rows)


class Transaction:
    """The one in which all statements of a request run, one after another, from `begin` to `commit` or `close`.

    `has_begun` stays true after its end. `answer` is what the same request was answered before. `is_broken` tells that
    a statement failed, so that nothing of the transaction can stay, and `is_worth_repeating` that others were in its
    way, who are gone now. `tables` are those it writes of which rows are kept in memory. `shown` is what an answer that
    is kept will rest on.
    """

    def __init__(self, db: Database, request_id: str, seconds: float | None = None) -> None:
        """`request_id` is what the audit trail tells of what is written; `seconds` bounds each statement, too."""
        self._seconds = db.seconds if seconds is None else min(seconds, db.seconds)
        self.has_begun = False
        self.answer: bytes | None = None
        self.is_broken = False
        self.is_worth_repeating = False
        self.tables: frozenset[str] = frozenset()
        self.shown = Shown()
        self._db = db
        self._request_id = request_id
        self._connection: asyncpg.Connection | None = None
        self._id = self._actor = ""
        self._key: IdempotencyKey | None = None
        self._visibility = _OURS
        self._turn = asyncio.Lock()
        self._broken_by: WaybillError | None = None

    async def begin(self, actor: str, tables: frozenset[str] = frozenset()) -> None:
        """`actor` is who writes, for the audit trail. Raises `ServiceUnavailable`."""
        db = self._db
        milliseconds = str(round(self._seconds * 1000))
        values = {"actor": actor, "request_id": self._request_id, "milliseconds": milliseconds}
        connection, row = await db.begin(_BEGIN, SQL.begin, **values)
        if row["transaction_id"] is None:
            db.pool.leave_read_only(connection)
            await db.pool.take_back(connection, _END_SECONDS)
            raise ReadOnly(reason="transaction_read_only")
        self._connection, self._id, self._actor = connection, row["transaction_id"], actor
        self.tables = tables
        self.has_begun = True

    async def claim(self, key: IdempotencyKey, visibility: Visibility, permissions: frozenset[str]) -> None:
        """`visibility` and `permissions` are what the caller may see and do.

        Raises `AlreadyAnswered`, `IdempotencyKeyReused`, `Conflict` while the same key is in flight, and `Forbidden`
        where the answer shows what the caller may not see any more.
        """
        self._key, self._visibility = key, visibility
        [claim] = await self.fetch(
            SQL.claim_key, _OURS, actor=self._actor, key=key.text, lock=AdvisoryLock.IDEMPOTENCY_KEY
        )
        if not claim["is_claimed"]:
            raise Conflict("A request with this idempotency key is being answered at this moment.")
        # A statement of its own, so that it sees what the last holder of the key has committed.
        for row in await self.fetch(SQL.answer_by_key, _OURS, actor=self._actor, key=key.text):
            if row["request_hash"] != key.request_hash:
                raise IdempotencyKeyReused
            if not (permissions.issuperset(row["scopes"]) and await self._sees(row, visibility)):
                raise Forbidden(
                    "This request has been answered, and the answer shows what you may not see any more.",
                    path="Idempotency-Key",
                    rule="must be that of a request whose answer you may still see",
                )
            self.answer = row["response"]
            raise AlreadyAnswered("This request has been answered.")

    async def _sees(self, kept: asyncpg.Record, visibility: Visibility) -> bool:
        """Whether all that a kept answer rests on exists for the viewer: orders move from company to company."""
        if visibility.reach is Reach.EVERYTHING:
            return True
        if not kept["order_ids"]:
            return kept["order_ids"] is not None and set(visibility.channel_ids).issuperset(kept["channel_ids"])
        rows = await self.fetch(ORDER.by_ids, visibility, ids=kept["order_ids"])
        visible = {(row["id"], row["channel_id"]) for row in rows}
        return visible.issuperset(zip(kept["order_ids"], kept["channel_ids"], strict=True))

    async def fetch(self, statement: Statement, visibility: Visibility, **values: Any) -> list[asyncpg.Record]:
        """The rows of `statement`, as `Database.fetch` gives them.

        Raises `ValidationError` where a rule of the store refuses it, `Conflict` where others stand in its way, and
        `ServiceUnavailable`.
        """
        async with self._turn:
            if self._broken_by is not None:
                raise self._broken_by
            with self._refusing():
                rows = await self._db.fetch(statement, visibility, on=self._open_connection(), **values)
        if self._key is not None:
            self.shown.add(statement.noun, rows)
        return rows

    async def commit(self, response: bytes) -> None:
        """Keeps `response` together with what it tells of. Raises what `fetch` raises: then nothing has changed.

        Raises `OutcomeUnknown` where the connection was lost, or the time was up, before the answer to the commit came,
        and nobody can be asked what has become of it.
        """
        if key := self._key:
            await self._keep(key, response)
        async with self._turn:
            with self._refusing():
                await self._commit(self._open_connection())
        self._db.feed.wake()
        # The notification may come later than the writer's next request.
        for table in self.tables:
            self._db.events.forget(table)

    async def _commit(self, connection: asyncpg.Connection) -> None:
        try:
            await connection.execute("COMMIT")
        except BaseException as error:
            if not await self._has_committed(connection, error):
                raise
        else:
            self._connection = None
            self._db.pool.give_back(connection)

    async def _has_committed(self, connection: asyncpg.Connection, error: BaseException) -> bool:
        """After `error` in place of the commit's answer. Raises `OutcomeUnknown`."""
        if isinstance(error, Exception) and loss_of(error, is_closed=connection.is_closed()) is not Loss.CONNECTION:
            return False
        outcome = await self._db.has_committed(self._id)
        if outcome is None:
            raise OutcomeUnknown(reason=type(error).__name__) from error
        return outcome

    async def _keep(self, key: IdempotencyKey, response: bytes) -> None:
        shown = self.shown
        await self.fetch(
            SQL.keep_answer,
            _OURS,
            actor=self._actor,
            key=key.text,
            request_hash=key.request_hash,
            response=response,
            scopes=sorted(shown.permissions),
            order_ids=list(shown.order_ids),
            shipment_ids=list(shown.shipment_ids),
            sees_all=self._visibility.reach is Reach.EVERYTHING,
            channel_ids=self._visibility.channel_ids,
        )

    async def close(self) -> None:
        """Takes back what is not committed. A statement that is still under way ends before; none begins any more."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            async with asyncio.timeout(_END_SECONDS), self._turn:
                pass
        except TimeoutError:
            connection.terminate()
        await self._db.pool.take_back(connection, _END_SECONDS)

    def _open_connection(self) -> asyncpg.Connection:
        if self._connection is None:
            raise asyncpg.InterfaceError("the transaction is over")
        return self._connection

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Whatever fails breaks the transaction; what the caller may read of it is raised in its place."""
        try:
            yield
        except BaseException as error:
            self.is_broken = True
            self._broken_by = self._refusal(error)
            if self._broken_by is not None:
                raise self._broken_by from error
            raise

    def _refusal(self, error: BaseException) -> WaybillError | None:
        """What the caller may read of the driver's error; None where it is a defect of ours."""
        if isinstance(error, asyncpg.PostgresError) and (refusal := self._refusal_of_store(error)):
            return refusal
        if self._connection is not None and loss_of(error, is_closed=False) is Loss.STATEMENT:
            self._db.pool.lose_statements(self._connection)
            self.is_worth_repeating = True
        fault = fault_of(error)
        return None if fault is None else _nothing_changed(fault)

    def _refusal_of_store(self, error: asyncpg.PostgresError) -> WaybillError | None:
        if isinstance(error, asyncpg.DeadlockDetectedError | asyncpg.SerializationError):
            self.is_worth_repeating = True
            return Conflict("Somebody else writes the same at this moment.")
        if isinstance(error, asyncpg.LockNotAvailableError):
            return Conflict("Somebody else has been writing the same for too long.")
        if isinstance(error, asyncpg.IntegrityConstraintViolationError) and error.constraint_name in _REFUSALS:
            return _REFUSALS[error.constraint_name]()
        return None


def _nothing_changed(fault: ServiceUnavailable) -> ServiceUnavailable:
    return type(fault)(f"{fault.message} Nothing was changed.", reason=fault.reason)
