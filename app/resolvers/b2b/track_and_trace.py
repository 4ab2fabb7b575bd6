"""Track and traces on the B2B surface."""

from typing import Any

import sql
from app.context import Info
from app.errors import TrackAndTraceNotFound
from app.resolvers.b2b.argument import as_codes, as_uuids
from app.resolvers.b2b.page import Page, page_type, search
from app.resolvers.b2b.shipment_part import find_part
from app.resolvers.b2b.tracking_code import with_codes
from app.resolvers.field_plan import WITH_PARENT, Beside, Further, PlannedType, computed, relation
from app.resolvers.query import GuardedQuery, holding
from app.resolvers.tracking import tracking_url, tracking_url_of_code
from loaders.carrier import carrier_by_id
from loaders.order_address import destination_by_shipment
from loaders.track_and_trace import track_and_trace_by_id

SQL = sql.load("track_and_trace")

query = GuardedQuery()
track_and_trace = PlannedType("TrackAndTrace")


@query.field("trackAndTrace", holding("shipments:read"))
async def resolve_track_and_trace(_root: None, info: Info, id: str) -> Any:
    """Raises `TrackAndTraceNotFound`, also where the id is no UUID (B-10)."""
    return await find_part(info, track_and_trace_by_id, TrackAndTraceNotFound, id)


@query.field("trackAndTraces", holding("shipments:read"))
async def resolve_track_and_traces(
    _root: None,
    info: Info,
    input: dict[str, Any] | None = None,
) -> Page:
    arguments = await with_codes(info.context, input)
    return await search(info, SQL, arguments, ids=as_uuids, shipment_ids=as_uuids, codes=as_codes)


track_and_trace.set_plan("carrier", relation(carrier_by_id, "carrier_id", WITH_PARENT))
track_and_trace.set_plan(
    "trackingUrl",
    computed(
        tracking_url_of_code,
        "code",
        beside=Beside(carrier_by_id, "carrier_id", ("track_and_trace_url",)),
        further=Further(tracking_url, destination_by_shipment, "shipment_id"),
    ),
)

bindables = [query, track_and_trace, page_type("TrackAndTraceResponse")]
