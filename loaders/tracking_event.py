"""Tracking events by the code that they are about."""

import sql
from loaders.batch import many

tracking_event = sql.load("tracking_event")

# Nothing bounds how much a carrier tells about a code.
NEWEST_BY_TRACK_AND_TRACE = 100

newest_events_by_track_and_trace = many(
    tracking_event.newest_by_track_and_trace_ids,
    parameter="track_and_trace_ids",
    column="track_and_trace_id",
    limit=NEWEST_BY_TRACK_AND_TRACE,
)
