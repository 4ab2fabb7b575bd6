"""The surface that the vendor's SDK speaks: `contracts/b2b.graphql`."""

from ariadne import SchemaBindable

from app.resolvers.b2b import (
    audit,
    carrier,
    carrier_write,
    change,
    order,
    order_address,
    order_item,
    order_item_write,
    order_status,
    order_write,
    product,
    shipment,
    shipment_item,
    shipment_item_write,
    shipment_timeline,
    shipment_write,
    track_and_trace,
    track_and_trace_write,
    tracking_event,
)

bindables: list[SchemaBindable] = [
    *audit.bindables,
    *carrier.bindables,
    *carrier_write.bindables,
    *change.bindables,
    *order.bindables,
    *order_address.bindables,
    *order_item.bindables,
    *order_item_write.bindables,
    *order_status.bindables,
    *order_write.bindables,
    *product.bindables,
    *shipment.bindables,
    *shipment_item.bindables,
    *shipment_item_write.bindables,
    *shipment_timeline.bindables,
    *shipment_write.bindables,
    *track_and_trace.bindables,
    *track_and_trace_write.bindables,
    *tracking_event.bindables,
]
