"""Shipment items on the B2B surface."""

from collections.abc import Awaitable
from typing import Any

from ariadne import ObjectType, QueryType

import sql
from app.context import Info
from app.errors import ShipmentItemNotFound
from app.resolvers.b2b.argument import as_uuid, as_uuids
from app.resolvers.b2b.page import Page, page_type, search
from loaders.order_item import order_item_by_id

SQL = sql.load("shipment_item")

query = QueryType()
shipment_item = ObjectType("ShipmentItem")


@query.field("shipmentItem")
async def resolve_shipment_item(_root: None, info: Info, id: str) -> Any:
    """Raises `ShipmentItemNotFound`, also where the id is no UUID (B-10)."""
    info.context.require("shipments:read")
    key = as_uuid(id)
    rows = await info.context.fetch(SQL.by_id, id=key) if key else []
    if not rows:
        raise ShipmentItemNotFound(id)
    return rows[0]


@query.field("shipmentItems")
def resolve_shipment_items(
    _root: None,
    info: Info,
    input: dict[str, Any] | None = None,
) -> Page:
    info.context.require("shipments:read")
    return search(info.context, SQL, input, ids=as_uuids, shipment_ids=as_uuids)


@shipment_item.field("orderItem")
def resolve_shipment_item_order_item(row: Any, info: Info) -> Awaitable[Any]:
    info.context.require("orders:read")
    return info.context.load(order_item_by_id, row["order_item_id"])


bindables = [query, shipment_item, page_type("ShipmentItemResponse")]
