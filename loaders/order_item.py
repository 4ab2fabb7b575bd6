"""Order lines, and what they cost."""

import sql
from loaders.batch import Batch, many, one

order_item = sql.load("order_item")

order_item_by_id = one(order_item.by_ids, parameter="ids", column="id")
order_items_by_order = many(order_item.by_order_ids, parameter="order_ids", column="order_id")
exact_by_order_item = one(order_item.exact_by_order_item_ids, parameter="order_item_ids", column="order_item_id")


def money_by_order_item(name: str) -> Batch:
    """One amount of each line, as the statement names it."""
    return one(order_item.money_by_order_item_ids, parameter="order_item_ids", column="order_item_id", name=name)
