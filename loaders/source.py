"""The keys that orders, lines and shipments have in other systems."""

import sql
from loaders.batch import many

source = sql.load("source")

sources_by_order = many(source.by_order_ids, parameter="order_ids", column="order_id")
sources_by_order_item = many(source.by_order_item_ids, parameter="order_item_ids", column="order_item_id")
sources_by_shipment = many(source.by_shipment_ids, parameter="shipment_ids", column="shipment_id")
