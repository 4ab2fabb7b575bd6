"""Shipments by their ids and by what they hang on."""

import sql
from loaders.batch import many, one

shipment = sql.load("shipment")

shipment_by_id = one(shipment.by_ids, parameter="ids", column="id")
shipments_by_order = many(shipment.by_order_ids, parameter="order_ids", column="order_id")
promise_by_shipment = one(shipment.promises_by_ids, parameter="ids", column="id")
