"""The surface that the vendor's SDK speaks: `contracts/b2b.graphql`."""

from ariadne import SchemaBindable

from app.resolvers.b2b import (
    carrier,
    order,
    order_address,
    order_item,
    order_status,
    product,
    shipment,
    shipment_item,
    track_and_trace,
)

bindables: list[SchemaBindable] = [
    *carrier.bindables,
    *order.bindables,
    *order_address.bindables,
    *order_item.bindables,
    *order_status.bindables,
    *product.bindables,
    *shipment.bindables,
    *shipment_item.bindables,
    *track_and_trace.bindables,
]
