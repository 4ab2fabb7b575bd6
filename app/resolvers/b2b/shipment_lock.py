"""Finding and locking what a mutation of shipments is about to write."""

from typing import Any
from uuid import UUID

import sql
from app.context import Context, Info
from app.errors import ShipmentNotFound, ValidationError
from app.resolvers.b2b.argument import as_uuid

SQL = sql.load("shipment")


async def writing(info: Info) -> Context:
    """The context, in which a shipment, or what hangs on it, is about to be written and then answered.

    Raises `NotAuthenticated` or `Forbidden`.
    """
    info.context.require("shipments:read")
    await info.context.write("shipments:write")
    return info.context


async def lock_shipment(context: Context, id: str, path: str = "id") -> Any:
    """The shipment, locked. Raises `ShipmentNotFound`; `ValidationError` where the id is no UUID (B-10)."""
    rows = await context.fetch(SQL.lock, ids=[require_uuid(id, path)])
    if not rows:
        raise ShipmentNotFound(id, path)
    return rows[0]


def require_uuid(text: str, path: str) -> UUID:
    """Raises `ValidationError`."""
    key = as_uuid(text)
    if key is None:
        raise ValidationError(path, "must be a UUID")
    return key
