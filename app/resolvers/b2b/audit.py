"""The audit trail of a shipment or an order: who changed what of it, told to staff from the changes of the feed."""

from typing import Any, NamedTuple

import orjson
from ariadne import ObjectType

import sql
from app.auth.viewer import Kind
from app.context import Context, Info
from app.errors import Forbidden, OrderNotFound, ShipmentNotFound, ValidationError
from app.resolvers.b2b.argument import as_uuid
from app.resolvers.b2b.change import size_of
from app.resolvers.place import END, Place, cursor_of, place_of
from app.resolvers.query import GuardedQuery, holding
from loaders.order import order_by_id
from loaders.rows import Row
from loaders.shipment import shipment_by_id

SQL = sql.load("change")
TRAIL = "auditTrail"

query = GuardedQuery()
audit_entry = ObjectType("AuditEntry")
audited_field = ObjectType("AuditedField")


class AuditedField(NamedTuple):
    name: str
    old: str | None
    new: str | None


@query.field("auditTrail", holding("shipments:read"))
async def resolve_audit_trail(
    _root: None,
    info: Info,
    shipmentId: str | None = None,
    first: int | None = None,
    after: str | None = None,
    orderId: int | None = None,
) -> list[Row]:
    """Raises `Forbidden` for all but staff, `ValidationError`, `InvalidCursor`, `ShipmentNotFound`, `OrderNotFound`."""
    context = info.context
    if context.viewer.kind is not Kind.STAFF:
        raise Forbidden("The audit trail is for staff.")
    if (shipmentId is None) == (orderId is None):
        raise ValidationError("shipmentId", "and orderId exclude each other; exactly one of the two is required")
    size = size_of(context, first)
    if after is None:
        await context.db.feed.go_on()  # what has no position yet has no place in a trail
        context.read_newest()
    if orderId is None:
        return await _trail_of_shipment(context, shipmentId or "", size, after)
    context.require("orders:read")
    rows = await context.fetch(SQL.trail_of_order, order_id=orderId, limit=size, **_from(after, str(orderId)))
    if not rows and after is None and await context.load(order_by_id, orderId) is None:
        raise OrderNotFound(orderId)
    return rows


async def _trail_of_shipment(context: Context, shipment_id: str, size: int, after: str | None) -> list[Row]:
    key = as_uuid(shipment_id)
    if key is None:
        raise ValidationError("shipmentId", "must be a UUID")
    rows = await context.fetch(SQL.trail_of_shipment, shipment_id=key, limit=size, **_from(after, str(key)))
    # What was shipped before anything was recorded has an empty trail.
    if not rows and after is None and await context.load(shipment_by_id, str(key)) is None:
        raise ShipmentNotFound(shipment_id)
    return rows


def _from(after: str | None, trail: str) -> dict[str, Any]:
    place = END if after is None else place_of(after, TRAIL, trail)
    return {"position": place.position, "number": place.number}


@audit_entry.field("cursor")
def resolve_audit_entry_cursor(row: Row, _info: Info) -> str:
    return cursor_of(Place.of(row), TRAIL, row["trail_id"])


@audit_entry.field("fields")
def resolve_audit_entry_fields(row: Row, _info: Info) -> list[AuditedField]:
    old, new = (orjson.loads(row[side] or "{}") for side in ("old", "new"))
    return [as_audited(name, old.get(name), new.get(name)) for name in sorted(old | new)]


def as_audited(name: str, old: Any, new: Any) -> AuditedField:
    """A field by its values as the feed has them."""
    return AuditedField(name, _text(old), _text(new))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str | None) else orjson.dumps(value).decode()


@audited_field.field("name")
def resolve_audited_field_name(field: AuditedField, _info: Info) -> str:
    return field.name


@audited_field.field("old")
def resolve_audited_field_old(field: AuditedField, _info: Info) -> str | None:
    return field.old


@audited_field.field("new")
def resolve_audited_field_new(field: AuditedField, _info: Info) -> str | None:
    return field.new


bindables = [query, audit_entry, audited_field]
