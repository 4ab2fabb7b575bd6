"""The addresses of customers' orders."""

from functools import partial

import sql
from loaders.batch import many, one

customer_order_address = sql.load("customer_order_address")

rows = partial(many, customer_order_address.by_order_ids, parameter="order_ids", column="order_id")
count = partial(one, customer_order_address.count_by_order_ids, parameter="order_ids", column="order_id")
ends = partial(one, customer_order_address.ends_by_order_ids, parameter="order_ids", column="order_id")

_first = partial(one, customer_order_address.first_by_order_ids, parameter="order_ids", column="order_id")
first_shipping_address_by_order = _first(types=["delivery"])
first_billing_address_by_order = _first(types=["invoice"])
