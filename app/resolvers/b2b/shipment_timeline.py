"""What happened to a shipment, and how the promise of its arrival moved."""

from typing import Any

from ariadne import ObjectType

from app.context import Info
from app.resolvers.field_plan import WITH_PARENT, PlannedType, relation
from loaders.shipment_timeline import estimated_deliveries_by_shipment, timeline_by_shipment

shipment = PlannedType("Shipment")
entry = ObjectType("ShipmentTimelineEntry")


shipment.set_plan("timeline", relation(timeline_by_shipment, "id", WITH_PARENT))
shipment.set_plan("estimatedDeliveryHistory", relation(estimated_deliveries_by_shipment, "id", WITH_PARENT))


@entry.field("trackingEvent")
def resolve_shipment_timeline_entry_tracking_event(row: Any, _info: Info) -> Any:
    """The entry's own row, which is an event's too."""
    return row if row["kind"] == "TRACKING_EVENT" else None


bindables = [shipment, entry]
