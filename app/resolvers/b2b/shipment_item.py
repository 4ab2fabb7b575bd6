"""Shipment items on the B2B surface."""

from typing import Any

import sql
from app.context import Info
from app.errors import ShipmentItemNotFound
from app.resolvers.b2b.argument import as_uuids
from app.resolvers.b2b.page import Page, page_type, search
from app.resolvers.b2b.shipment_part import find_part
from app.resolvers.field_plan import Access, PlannedType, relation
from app.resolvers.query import GuardedQuery, holding
from loaders.order_item import order_item_by_id
from loaders.shipment_item import shipment_item_by_id

SQL = sql.load("shipment_item")

query = GuardedQuery()
shipment_item = PlannedType("ShipmentItem")


@query.field("shipmentItem", holding("shipments:read"))
async def resolve_shipment_item(_root: None, info: Info, id: str) -> Any:
    """Raises `ShipmentItemNotFound`, also where the id is no UUID (B-10)."""
    return await find_part(info, shipment_item_by_id, ShipmentItemNotFound, id)


@query.field("shipmentItems", holding("shipments:read"))
async def resolve_shipment_items(
    _root: None,
    info: Info,
    input: dict[str, Any] | None = None,
) -> Page:
    return await search(info, SQL, input, ids=as_uuids, shipment_ids=as_uuids)


shipment_item.set_plan("orderItem", relation(order_item_by_id, "order_item_id", Access("orders:read")))

bindables = [query, shipment_item, page_type("ShipmentItemResponse")]
