"""Order lines."""

import sql
from loaders.batch import many, one

order_item = sql.load("order_item")

order_item_by_id = one(order_item.by_ids, parameter="ids", column="id")
order_items_by_order = many(order_item.by_order_ids, parameter="order_ids", column="order_id")
