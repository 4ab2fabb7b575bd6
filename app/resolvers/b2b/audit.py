"""The audit trail of a shipment: who changed what of it, told to staff from the same changes as the feed."""

from typing import Any, NamedTuple

import orjson
from ariadne import ObjectType

import sql
from app.auth.viewer import Kind
from app.context import Info
from app.errors import Forbidden, ShipmentNotFound, ValidationError
from app.resolvers.b2b.argument import as_uuid
from app.resolvers.b2b.change import size_of
from app.resolvers.b2b.place import END, Place, cursor_of, place_of
from app.resolvers.query import GuardedQuery, holding
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
    _root: None, info: Info, shipmentId: str, first: int | None = None, after: str | None = None
) -> list[Row]:
    """Raises `Forbidden` for all but staff, `ValidationError`, `InvalidCursor`, `ShipmentNotFound`."""
    context = info.context
    if context.viewer.kind is not Kind.STAFF:
        raise Forbidden("The audit trail is for staff.")
    key = as_uuid(shipmentId)
    if key is None:
        raise ValidationError("shipmentId", "must be a UUID")
    size = size_of(context, first)
    place = END if after is None else place_of(after, TRAIL, str(key))
    rows = await context.fetch(
        SQL.trail_of_shipment, shipment_id=key, position=place.position, number=place.number, limit=size
    )
    # What was shipped before anything was recorded has an empty trail.
    if not rows and after is None and await context.load(shipment_by_id, str(key)) is None:
        raise ShipmentNotFound(shipmentId)
    return rows


@audit_entry.field("cursor")
def resolve_audit_entry_cursor(row: Row, _info: Info) -> str:
    return cursor_of(Place.of(row), TRAIL, row["trail_id"])


@audit_entry.field("fields")
def resolve_audit_entry_fields(row: Row, _info: Info) -> list[AuditedField]:
    old, new = (orjson.loads(row[side] or "{}") for side in ("old", "new"))
    return [AuditedField(name, _text(old.get(name)), _text(new.get(name))) for name in sorted(old | new)]


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
