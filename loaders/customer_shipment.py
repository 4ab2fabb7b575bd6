"""The shipments of customers' orders."""

from functools import partial

import sql
from loaders.batch import many, one

customer_shipment = sql.load("customer_shipment")

rows = partial(many, customer_shipment.by_order_ids, parameter="order_ids", column="order_id")
count = partial(one, customer_shipment.count_by_order_ids, parameter="order_ids", column="order_id")
ends = partial(one, customer_shipment.ends_by_order_ids, parameter="order_ids", column="order_id")
