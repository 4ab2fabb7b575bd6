"""What an endpoint is told, as its document asks for it. Whoever has endpoints may have all these rows."""

from typing import Any

from ariadne import ObjectType

from app.context import Context, Info
from app.errors import Forbidden
from app.resolvers.b2b.audit import AuditedField, as_audited
from app.resolvers.feed import GuardedSubscription, Watch
from app.resolvers.webhook import Event, changed_fields
from loaders.order import order_by_id
from loaders.order_item import order_item_by_id
from loaders.shipment import shipment_by_id
from loaders.shipment_item import shipment_item_by_id
from loaders.track_and_trace import track_and_trace_by_id
from loaders.tracking_event import tracking_event_by_id

subscription = GuardedSubscription()
event_type = ObjectType("WebhookEvent")


def _nobody(_context: Context) -> None:
    raise Forbidden("webhookEvent is for the documents of webhook endpoints; follow shipmentChanges or orderChanges.")


@subscription.watched("webhookEvent", _nobody)
async def watch_nothing(_context: Context) -> Watch:
    """Never called: nobody may ask."""
    raise NotImplementedError


@subscription.field("webhookEvent")
def resolve_webhook_event(event: Event, _info: Info) -> Event:
    return event


@event_type.field("changed")
def resolve_webhook_event_changed(event: Event, _info: Info) -> list[AuditedField]:
    return [as_audited(*field) for field in changed_fields(event)]


@event_type.field("order")
async def resolve_webhook_event_order(event: Event, info: Info) -> Any:
    return await info.context.load(order_by_id, event["order_id"])


@event_type.field("shipment")
async def resolve_webhook_event_shipment(event: Event, info: Info) -> Any:
    return None if event["shipment_id"] is None else await info.context.load(shipment_by_id, event["shipment_id"])


@event_type.field("orderItem")
async def resolve_webhook_event_order_item(event: Event, info: Info) -> Any:
    is_one = event["change_type"] == "ORDER_ITEM"
    return await info.context.load(order_item_by_id, int(event["object_id"])) if is_one else None


@event_type.field("shipmentItem")
async def resolve_webhook_event_shipment_item(event: Event, info: Info) -> Any:
    is_one = event["change_type"] == "SHIPMENT_ITEM"
    return await info.context.load(shipment_item_by_id, event["object_id"]) if is_one else None


@event_type.field("trackAndTrace")
async def resolve_webhook_event_track_and_trace(event: Event, info: Info) -> Any:
    is_one = event["change_type"] == "TRACK_AND_TRACE"
    return await info.context.load(track_and_trace_by_id, event["object_id"]) if is_one else None


@event_type.field("trackingEvent")
async def resolve_webhook_event_tracking_event(event: Event, info: Info) -> Any:
    is_one = event["change_type"] == "TRACKING_EVENT"
    return await info.context.load(tracking_event_by_id, event["object_id"]) if is_one else None


bindables = [subscription, event_type]
