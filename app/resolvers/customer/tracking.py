"""The codes of a customer's shipment: each with its link, where the parcel is, and what was last told of it."""

from typing import Any

from app.execution.field_plan import column_plan
from app.resolvers.field_plan import WITH_PARENT, Further, PlannedType, computed, relation
from app.resolvers.tracking import tracking_url, tracking_url_of_code
from loaders.customer_tracking import trackings_by_shipment
from loaders.order_address import destination_by_shipment

shipment = PlannedType("CustomerOrderShipment")
tracking = PlannedType("CustomerTracking")
event = PlannedType("CustomerTrackingEvent")

shipment.set_plan("trackings", relation(trackings_by_shipment, "shipment_id", WITH_PARENT))
tracking.set_plan(
    "url",
    computed(
        tracking_url_of_code,
        "code",
        "track_and_trace_url",
        further=Further(tracking_url, destination_by_shipment, "shipment_id"),
    ),
)


_EVENT = {
    "status": "event_status",
    "subStatus": "event_sub_status",
    "occurredAt": "event_occurred_at",
    "location": "event_location",
    "description": "event_description",
}


def _last_event(*values: Any) -> dict[str, Any] | None:
    """A row of the columns of the newest event."""
    row = dict(zip(_EVENT.values(), values, strict=True))
    return None if row["event_status"] is None else row


tracking.set_plan("lastEvent", computed(_last_event, *_EVENT.values()))
for _field, _column in _EVENT.items():
    event.set_plan(_field, column_plan(_column))

bindables = [shipment, tracking, event]
