"""Shipments by what they hang on."""

import sql
from loaders.batch import many

shipment = sql.load("shipment")

shipments_by_order = many(shipment.by_order_ids, parameter="order_ids", column="order_id")
