"""Orders by their ids, and what is computed for them: their money, their taxes and how far they are fulfilled."""

import sql
from loaders.batch import Batch, many, one

order = sql.load("order")

order_by_id = one(order.by_ids, parameter="ids", column="id")
tax_percentages_by_order = many(order.tax_percentages_by_order_ids, parameter="order_ids", column="order_id")
fulfillment_by_order = one(order.fulfillment_by_order_ids, parameter="order_ids", column="order_id")
overdue_by_order = one(order.overdue_by_order_ids, parameter="order_ids", column="order_id")
exact_by_order = one(order.exact_by_order_ids, parameter="order_ids", column="order_id")


def money_by_order(name: str) -> Batch:
    """One amount of each order, as the statement names it; none where it is not known."""
    return one(order.money_by_order_ids, parameter="order_ids", column="order_id", name=name)
