"""What is computed for orders: their taxes and how far they are fulfilled."""

import sql
from loaders.batch import many, one

order = sql.load("order")

tax_percentages_by_order = many(order.tax_percentages_by_order_ids, parameter="order_ids", column="order_id")
fulfillment_by_order = one(order.fulfillment_by_order_ids, parameter="order_ids", column="order_id")
