"""Order addresses by their order."""

import sql
from loaders.batch import many, one

order_address = sql.load("order_address")

order_addresses_by_order = many(order_address.by_order_ids, parameter="order_ids", column="order_id")
destination_by_shipment = one(
    order_address.destinations_by_shipment_ids, parameter="shipment_ids", column="shipment_id"
)
