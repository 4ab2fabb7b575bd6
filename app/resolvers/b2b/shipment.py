"""Shipments on the B2B surface."""

from typing import Any

import sql
from app.context import Info
from app.errors import ShipmentNotFound, ValidationError
from app.resolvers.b2b.argument import as_codes, as_uuid_text, as_uuids
from app.resolvers.b2b.page import Page, page_type, search
from app.resolvers.b2b.tracking_code import with_codes
from app.resolvers.field_plan import WITH_PARENT, Access, PlannedType, beside, lookahead, relation
from app.resolvers.query import GuardedQuery, holding
from loaders.order import order_by_id
from loaders.shipment import promise_by_shipment, shipment_by_id
from loaders.shipment_item import shipment_items_by_shipment
from loaders.source import sources_by_shipment
from loaders.track_and_trace import track_and_traces_by_shipment

SQL = sql.load("shipment")

query = GuardedQuery()
shipment = PlannedType("Shipment")


@query.field("shipment", holding("shipments:read"))
async def resolve_shipment(_root: None, info: Info, id: str) -> Any:
    """Raises `ShipmentNotFound`; `ValidationError` where the id is no UUID (B-10)."""
    key = as_uuid_text(id)
    if key is None:
        raise ValidationError("id", "must be a UUID")
    row = await info.context.fetch_one(shipment_by_id, lookahead(info), key)
    if row is None:
        raise ShipmentNotFound(id)
    return row


@query.field("shipments", holding("shipments:read"))
async def resolve_shipments(_root: None, info: Info, input: dict[str, Any] | None = None) -> Page:
    arguments = await with_codes(info.context, input)
    return await search(info, SQL, arguments, ids=as_uuids, codes=as_codes)


shipment.set_plan("order", relation(order_by_id, "order_id", Access("orders:read")))
shipment.set_plan("items", relation(shipment_items_by_shipment, "id", WITH_PARENT))
shipment.set_plan("trackAndTraces", relation(track_and_traces_by_shipment, "id", WITH_PARENT))

for _field, _column in (
    ("expectedDeliveryDate", "expected_delivery_date"),
    ("lateFrom", "late_from"),
    ("late", "late"),
):
    shipment.set_plan(_field, beside(promise_by_shipment, "id", _column))
shipment.set_plan("sources", relation(sources_by_shipment, "id", WITH_PARENT))

bindables = [query, shipment, page_type("ShipmentResponse")]
