"""Finding and locking what a mutation of shipments is about to write."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sql
from app.context import Context, Info
from app.errors import Conflict, NotFound, ShipmentNotFound, ValidationError
from app.resolvers.b2b.argument import as_uuid
from sql import File

SQL = sql.load("shipment")

_TARGET = "input.shipmentId"


async def writing(info: Info) -> Context:
    """The context, in which a shipment, or what hangs on it, is about to be written and then answered.

    Raises `NotAuthenticated` or `Forbidden`.
    """
    info.context.require("shipments:read")
    await info.context.write("shipments:write")
    return info.context


@dataclass(frozen=True)
class Part:
    """A row that hangs on a shipment, that shipment's row, and that of the one that it shall hang on: all locked."""

    row: Any
    former: Any
    shipment: Any


async def lock_shipment(context: Context, id: str, path: str = "id") -> Any:
    """The shipment, locked. Raises `ShipmentNotFound`; `ValidationError` where the id is no UUID (B-10)."""
    rows = await context.fetch(SQL.lock, ids=[_uuid(id, path)])
    if not rows:
        raise ShipmentNotFound(id, path)
    return rows[0]


async def lock_part(context: Context, file: File, missing: type[NotFound], id: str, target: str | None = None) -> Part:
    """The row `id` of `file`, which stays with its shipment where `target` names no other.

    Raises `missing`, also where `id` is no UUID (B-10); `ShipmentNotFound` or `ValidationError` for a target that it
    cannot be moved to; `Conflict` where somebody else moves it at this moment.
    """
    key = as_uuid(id)
    found = await context.fetch(file.shipment_of, id=key) if key else []
    if not found:
        raise missing(id, "id")
    here = found[0]["shipment_id"]
    there = here if target is None else _uuid(target, _TARGET)
    shipments = {row["id"]: row for row in await context.fetch(SQL.lock, ids=list({here, there}))}
    rows = await context.fetch(file.lock, id=key)
    if not rows:
        raise missing(id, "id")
    if rows[0]["shipment_id"] != here:
        raise Conflict("Somebody else is moving this to another shipment.")
    if there not in shipments:
        raise ShipmentNotFound(target, _TARGET)
    former, shipment = shipments[here], shipments[there]
    if (shipment["order_id"], shipment["channel_id"]) != (former["order_id"], former["channel_id"]):
        raise ValidationError(_TARGET, "must be a shipment of the same order")
    return Part(rows[0], former, shipment)


def _uuid(text: str, path: str) -> UUID:
    key = as_uuid(text)
    if key is None:
        raise ValidationError(path, "must be a UUID")
    return key
