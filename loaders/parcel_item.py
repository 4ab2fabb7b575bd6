"""What is in parcels, by the codes that follow them."""

import sql
from loaders.batch import many

parcel_item = sql.load("parcel_item")

parcel_items_by_track_and_trace = many(
    parcel_item.by_track_and_trace_ids, parameter="track_and_trace_ids", column="track_and_trace_id"
)
