"""Deliveries of webhooks: their attempts, and how many of an endpoint wait."""

import sql
from loaders.batch import many, one

SQL = sql.load("webhook_delivery")

attempts_by_delivery = many(SQL.attempts_by_delivery_ids, parameter="delivery_ids", column="delivery_id")
waiting_by_endpoint = one(SQL.waiting_by_endpoint_ids, parameter="endpoint_ids", column="endpoint_id")
