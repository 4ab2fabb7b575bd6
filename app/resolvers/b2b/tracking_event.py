"""Tracking events on the B2B surface: what carriers told about codes."""

from app.resolvers.field_plan import WITH_PARENT, PlannedType, relation
from loaders.tracking_event import newest_events_by_track_and_trace

track_and_trace = PlannedType("TrackAndTrace")

track_and_trace.set_plan("events", relation(newest_events_by_track_and_trace, "id", WITH_PARENT))

bindables = [track_and_trace]
