"""What an endpoint is told, as its document asks for it. Whoever has endpoints may have all these rows."""

from typing import NoReturn

from app.context import Context, Info
from app.errors import Forbidden
from app.resolvers.b2b.audit import AuditedField, as_audited
from app.resolvers.feed import GuardedSubscription, Watch
from app.resolvers.field_plan import WITH_PARENT, PlannedType, relation
from app.resolvers.webhook import Event, changed_fields
from loaders.order import order_by_id
from loaders.order_item import order_item_by_id
from loaders.shipment import shipment_by_id
from loaders.shipment_item import shipment_item_by_id
from loaders.track_and_trace import track_and_trace_by_id
from loaders.tracking_event import tracking_event_by_id

subscription = GuardedSubscription()
event_type = PlannedType("WebhookEvent")


def _nobody(_context: Context) -> NoReturn:
    raise Forbidden("webhookEvent is for the documents of webhook endpoints; follow shipmentChanges or orderChanges.")


@subscription.watched("webhookEvent", _nobody)
async def watch_nothing(context: Context) -> Watch:
    """What it refuses has been refused before."""
    _nobody(context)


@subscription.field("webhookEvent")
def resolve_webhook_event(event: Event, _info: Info) -> Event:
    return event


@event_type.field("changed")
def resolve_webhook_event_changed(event: Event, _info: Info) -> list[AuditedField]:
    return [as_audited(*field) for field in changed_fields(event)]


event_type.set_plan("order", relation(order_by_id, "order_id", WITH_PARENT))
event_type.set_plan("shipment", relation(shipment_by_id, "shipment_id", WITH_PARENT))
event_type.set_plan("orderItem", relation(order_item_by_id, "order_item_id", WITH_PARENT))
event_type.set_plan("shipmentItem", relation(shipment_item_by_id, "shipment_item_id", WITH_PARENT))
event_type.set_plan("trackAndTrace", relation(track_and_trace_by_id, "track_and_trace_id", WITH_PARENT))
event_type.set_plan("trackingEvent", relation(tracking_event_by_id, "tracking_event_id", WITH_PARENT))

bindables = [subscription, event_type]
