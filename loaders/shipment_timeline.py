"""What happened to shipments, and what was promised of them."""

import sql
from loaders.batch import many

shipment_timeline = sql.load("shipment_timeline")

# Nothing bounds how often a shipment is written or reported on.
NEWEST_BY_SHIPMENT = 100

timeline_by_shipment = many(
    shipment_timeline.by_shipment_ids, parameter="shipment_ids", column="shipment_id", limit=NEWEST_BY_SHIPMENT
)
estimated_deliveries_by_shipment = many(
    shipment_timeline.estimated_deliveries_by_shipment_ids,
    parameter="shipment_ids",
    column="shipment_id",
    limit=NEWEST_BY_SHIPMENT,
)
