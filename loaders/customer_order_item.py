"""The lines of customers' orders: pages of one size a batch, so that equal pages of siblings share a statement."""

from functools import partial

import sql
from loaders.batch import many, one

customer_order_item = sql.load("customer_order_item")

rows = partial(many, customer_order_item.by_order_ids, parameter="order_ids", column="order_id")
count = partial(one, customer_order_item.count_by_order_ids, parameter="order_ids", column="order_id")
exact = one(customer_order_item.exact_by_order_item_ids, parameter="order_item_ids", column="order_item_id")
total = one(customer_order_item.total_by_order_item_ids, parameter="order_item_ids", column="order_item_id")
ends = partial(one, customer_order_item.ends_by_order_ids, parameter="order_ids", column="order_id")
