"""What was paid back of orders, and for which of their lines."""

import sql
from loaders.batch import many

refund = sql.load("refund")

refunds_by_order = many(refund.by_order_ids, parameter="order_ids", column="order_id")
refunds_of_customer_by_order = many(refund.of_customer_by_order_ids, parameter="order_ids", column="order_id")
refund_items_by_refund = many(refund.items_by_refund_ids, parameter="refund_ids", column="refund_id")
