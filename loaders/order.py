"""Orders by their ids, and what is computed for them: their taxes and how far they are fulfilled."""

import sql
from loaders.batch import many, one

order = sql.load("order")

order_by_id = one(order.by_ids, parameter="ids", column="id")
tax_percentages_by_order = many(order.tax_percentages_by_order_ids, parameter="order_ids", column="order_id")
fulfillment_by_order = one(order.fulfillment_by_order_ids, parameter="order_ids", column="order_id")
