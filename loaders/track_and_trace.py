"""Track and traces by their ids and by what they hang on."""

import sql
from loaders.batch import many, one

track_and_trace = sql.load("track_and_trace")

# Decision 6: a carrier's list is capped, since the SDK asks for it without a page.
NEWEST_BY_CARRIER = 100

track_and_trace_by_id = one(track_and_trace.by_ids, parameter="ids", column="id")
track_and_traces_by_shipment = many(track_and_trace.by_shipment_ids, parameter="shipment_ids", column="shipment_id")
newest_track_and_traces_by_carrier = many(
    track_and_trace.newest_by_carrier_ids, parameter="carrier_ids", column="carrier_id", limit=NEWEST_BY_CARRIER
)
