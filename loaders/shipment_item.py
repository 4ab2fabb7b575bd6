"""Shipment items by their ids and by what they hang on."""

import sql
from loaders.batch import many, one

shipment_item = sql.load("shipment_item")

shipment_item_by_id = one(shipment_item.by_ids, parameter="ids", column="id")
shipment_items_by_shipment = many(shipment_item.by_shipment_ids, parameter="shipment_ids", column="shipment_id")
