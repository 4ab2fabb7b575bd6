"""The surface that storefronts speak: `tests/contract/customer.graphql`."""

from ariadne import SchemaBindable

from app.resolvers.customer import (
    address,
    connection_type,
    login,
    order,
    order_event,
    order_item,
    password,
    shipment,
    shipment_item,
    tracking,
)

bindables: list[SchemaBindable] = [
    *address.bindables,
    *connection_type.bindables,
    *login.bindables,
    *order.bindables,
    *order_event.bindables,
    *order_item.bindables,
    *password.bindables,
    *shipment.bindables,
    *shipment_item.bindables,
    *tracking.bindables,
]
