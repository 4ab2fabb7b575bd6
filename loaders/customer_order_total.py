"""Totals of customers' orders that only an order in full shows."""

import sql
from loaders.batch import one

totals_by_order = one(sql.load("customer_order_total").by_order_ids, parameter="order_ids", column="order_id")
