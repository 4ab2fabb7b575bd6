"""Tracking events by their ids and by the code that they are about."""

import sql
from loaders.batch import many, one

tracking_event = sql.load("tracking_event")

# Nothing bounds how much a carrier tells about a code.
NEWEST_BY_TRACK_AND_TRACE = 100

tracking_event_by_id = one(tracking_event.by_ids, parameter="ids", column="id")
newest_events_by_track_and_trace = many(
    tracking_event.newest_by_track_and_trace_ids,
    parameter="track_and_trace_ids",
    column="track_and_trace_id",
    limit=NEWEST_BY_TRACK_AND_TRACE,
)
