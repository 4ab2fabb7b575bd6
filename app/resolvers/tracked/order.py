"""An order without anything that tells who ordered it, once and as it changes."""

from typing import Any

import sql
from app.auth.viewer import Kind
from app.context import Context, Info
from app.errors import OrderNotFound, ValidationError
from app.resolvers.feed import Event, GuardedSubscription, Watch, subject_of
from app.resolvers.field_plan import WITH_PARENT, PlannedType, computed, lookahead, relation
from app.resolvers.fulfillment import fulfillment_status
from app.resolvers.query import GuardedQuery
from app.resolvers.tracked.zone import zone_of
from app.resolvers.tracking import tracking_url
from loaders.rows import Row
from loaders.selection import RowSelection
from loaders.tracked_order import (
    events_by_parcel,
    goods_by_parcel,
    goods_by_shipment,
    items_by_order,
    parcels_by_shipment,
    shipments_by_order,
    shop_by_channel,
)

SQL = sql.load("tracked_order")

query = GuardedQuery()
subscription = GuardedSubscription()
order = PlannedType("TrackedOrder")
shipment = PlannedType("TrackedShipment")
parcel = PlannedType("TrackedParcel")


def tracking(context: Context) -> None:
    """For whoever has a link, and for viewers who may read orders and shipments.

    Raises `NotAuthenticated` and `Forbidden`.
    """
    if context.viewer.kind is not Kind.LINK:
        context.require("orders:read")
        context.require("shipments:read")


def _meant(context: Context, order_id: int | None) -> int:
    """The order that is named, or that of the link. Raises `ValidationError`."""
    if order_id is not None:
        return order_id
    if context.viewer.kind is not Kind.LINK:
        raise ValidationError("orderId", "is needed, but with the token of a link")
    return context.viewer.visibility.order_id


async def _find(context: Context, order_id: int, selection: RowSelection | None = None) -> Row:
    """Raises `OrderNotFound`."""
    rows, _ = await context.fetch_joined(SQL.by_id, selection, id=order_id)
    if not rows:
        raise OrderNotFound(order_id)
    return rows[0]


@query.field("trackedOrder", tracking)
async def resolve_tracked_order(_root: None, info: Info, orderId: int | None = None) -> Row:
    """Raises `OrderNotFound`, `ValidationError`."""
    return await _find(info.context, _meant(info.context, orderId), lookahead(info))


@subscription.watched("trackedOrderChanges", tracking)
async def watch_tracked_order(context: Context, orderId: int | None = None) -> Watch:
    """Raises `OrderNotFound`, `ValidationError`."""
    order_id = _meant(context, orderId)
    await _find(context, order_id)
    return Watch("order_id", order_ids=frozenset({order_id}))


@subscription.field("trackedOrderChanges")
async def resolve_tracked_order_event(event: Event, info: Info, **_arguments: Any) -> Event:
    key, row = subject_of(event, "order_id"), None
    if key is not None:
        try:
            row = await _find(info.context, key, lookahead(info, "trackedOrder"))
        except OrderNotFound:  # by now, or its links were revoked
            row = None
    return {**event, "tracked_order": row}


def _url(code: str, template: str | None) -> str | None:
    """None where the carrier asks for a postal code as well: whoever reads the link would read that."""
    return tracking_url(code, template)


order.set_plan("fulfillmentStatus", fulfillment_status("id"))
order.set_plan("timeZone", computed(zone_of, "country", "channel_time_zone"))
order.set_plan("shop", relation(shop_by_channel, "channel_id", WITH_PARENT))
order.set_plan("items", relation(items_by_order, "id", WITH_PARENT))
order.set_plan("shipments", relation(shipments_by_order, "id", WITH_PARENT))
shipment.set_plan("items", relation(goods_by_shipment, "id", WITH_PARENT))
shipment.set_plan("parcels", relation(parcels_by_shipment, "id", WITH_PARENT))
parcel.set_plan("trackingUrl", computed(_url, "code", "track_and_trace_url"))
parcel.set_plan("items", relation(goods_by_parcel, "id", WITH_PARENT))
parcel.set_plan("events", relation(events_by_parcel, "id", WITH_PARENT))

bindables = [query, subscription, order, shipment, parcel]
