"""The addresses of customers' orders."""

from functools import partial

import sql
from loaders.batch import many, one

customer_order_address = sql.load("customer_order_address")

rows = partial(many, customer_order_address.by_order_ids, parameter="order_ids", column="order_id")
count = partial(one, customer_order_address.count_by_order_ids, parameter="order_ids", column="order_id")
ends = partial(one, customer_order_address.ends_by_order_ids, parameter="order_ids", column="order_id")
# At most one address of each type.
first_addresses_by_order = many(customer_order_address.first_by_order_ids, parameter="order_ids", column="order_id")
