"""What hangs on a shipment, its items and its codes: one by id, and the steps that writing them has in common."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sql
from app.context import Context, Info
from app.errors import Conflict, NotFound, ShipmentNotFound, ValidationError
from app.resolvers.b2b.argument import as_uuid, as_uuid_text, require_version
from app.resolvers.b2b.shipment_lock import require_uuid
from app.resolvers.field_plan import lookahead
from loaders.batch import Batch
from loaders.rows import Row
from sql import File

SQL = sql.load("shipment")

_TARGET = "input.shipmentId"


async def find_part(info: Info, batch: Batch, missing: type[NotFound], id: str) -> Row:
    """Raises `missing`, also where the id is no UUID (B-10)."""
    key = as_uuid_text(id)
    row = await info.context.fetch_one(batch, lookahead(info), key) if key else None
    if row is None:
        raise missing(id)
    return row


@dataclass(frozen=True)
class Part:
    """A row that hangs on a shipment, that shipment's row, and that of the one that it shall hang on: all locked."""

    row: Any
    former: Any
    shipment: Any

    def is_changed_by(self, values: Mapping[str, Any]) -> bool:
        """Whether the row has another value of one of these columns."""
        return any(self.row[column] != value for column, value in values.items())


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
    there = here if target is None else require_uuid(target, _TARGET)
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


async def save_part(
    context: Context, file: File, part: Part, values: Mapping[str, Any], *, is_touched: bool = False
) -> Any:
    """The row with `values` for its columns, written where they are others, or what hangs on the row `is_touched`."""
    if is_touched or part.is_changed_by(values):
        key = {"id": part.row["id"], "channel_id": part.row["channel_id"], "former_shipment_id": part.former["id"]}
        [row] = await context.fetch(file.update, **key, **values)
    else:
        [row] = await context.fetch(file.by_id, id=part.row["id"])
    return row


async def delete_part(
    info: Info,
    file: File,
    missing: type[NotFound],
    id: str,
    version: int | None,
    check: Callable[[Any, str], None] | None = None,
) -> bool:
    """`check` is asked about the row of the shipment, and the path. Raises `missing`, `VersionConflict`, its errors."""
    await info.context.write("shipments:write")
    part = await lock_part(info.context, file, missing, id)
    require_version(part.row, version)
    if check is not None:
        check(part.former, "id")
    await info.context.fetch(file.delete, id=part.row["id"], channel_id=part.row["channel_id"])
    return True
