"""Order addresses by their order."""

import sql
from loaders.batch import many

order_address = sql.load("order_address")

order_addresses_by_order = many(order_address.by_order_ids, parameter="order_ids", column="order_id")
