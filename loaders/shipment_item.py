"""Shipment items by what they hang on."""

import sql
from loaders.batch import many

shipment_item = sql.load("shipment_item")

shipment_items_by_shipment = many(shipment_item.by_shipment_ids, parameter="shipment_ids", column="shipment_id")
