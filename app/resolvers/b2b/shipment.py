"""Shipments on the B2B surface."""

from collections.abc import Awaitable
from typing import Any

from ariadne import ObjectType, QueryType

import sql
from app.context import Info
from app.errors import ShipmentNotFound, ValidationError
from app.resolvers.b2b.argument import as_uuid, as_uuids
from app.resolvers.b2b.page import Page, page_type, search
from loaders.shipment_item import shipment_items_by_shipment
from loaders.source import sources_by_shipment
from loaders.track_and_trace import track_and_traces_by_shipment

SQL = sql.load("shipment")

query = QueryType()
shipment = ObjectType("Shipment")


@query.field("shipment")
async def resolve_shipment(_root: None, info: Info, id: str) -> Any:
    """Raises `ShipmentNotFound`; `ValidationError` where the id is no UUID (B-10)."""
    info.context.require("shipments:read")
    key = as_uuid(id)
    if key is None:
        raise ValidationError("id", "must be a UUID")
    rows = await info.context.fetch(SQL.by_id, id=key)
    if not rows:
        raise ShipmentNotFound(id)
    return rows[0]


@query.field("shipments")
def resolve_shipments(_root: None, info: Info, input: dict[str, Any] | None = None) -> Page:
    info.context.require("shipments:read")
    return search(info.context, SQL, input, ids=as_uuids)


@shipment.field("items")
def resolve_shipment_items(row: Any, info: Info) -> Awaitable[Any]:
    return info.context.load(shipment_items_by_shipment, row["id"])


@shipment.field("trackAndTraces")
def resolve_shipment_track_and_traces(row: Any, info: Info) -> Awaitable[Any]:
    return info.context.load(track_and_traces_by_shipment, row["id"])


@shipment.field("sources")
def resolve_shipment_sources(row: Any, info: Info) -> Awaitable[Any]:
    return info.context.load(sources_by_shipment, row["id"])


bindables = [query, shipment, page_type("ShipmentResponse")]
