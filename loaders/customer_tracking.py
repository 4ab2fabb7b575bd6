"""The codes of customers' shipments."""

import sql
from loaders.batch import many

customer_tracking = sql.load("customer_tracking")

trackings_by_shipment = many(customer_tracking.by_shipment_ids, parameter="shipment_ids", column="shipment_id")
