"""Track and traces on the B2B surface."""

from typing import Any

from ariadne import ObjectType, QueryType

import sql
from app.context import Info
from app.errors import TrackAndTraceNotFound
from app.resolvers.b2b.argument import as_uuid_text, as_uuids
from app.resolvers.b2b.page import Page, page_type, search
from app.resolvers.relation import ahead, reads, relation
from app.resolvers.tracking import tracking_url
from loaders.carrier import carrier_by_id
from loaders.track_and_trace import track_and_trace_by_id

SQL = sql.load("track_and_trace")

query = QueryType()
track_and_trace = ObjectType("TrackAndTrace")


@query.field("trackAndTrace")
async def resolve_track_and_trace(_root: None, info: Info, id: str) -> Any:
    """Raises `TrackAndTraceNotFound`, also where the id is no UUID (B-10)."""
    info.context.require("shipments:read")
    key = as_uuid_text(id)
    row = key and await info.context.fetch_one(track_and_trace_by_id, ahead(info), key)
    if row is None:
        raise TrackAndTraceNotFound(id)
    return row


@query.field("trackAndTraces")
async def resolve_track_and_traces(
    _root: None,
    info: Info,
    input: dict[str, Any] | None = None,
) -> Page:
    info.context.require("shipments:read")
    return await search(info, SQL, input, ids=as_uuids, shipment_ids=as_uuids)


track_and_trace.set_field("carrier", relation(carrier_by_id, "carrier_id"))


@track_and_trace.field("trackingUrl")
@reads("carrier_id", "code")
async def resolve_track_and_trace_tracking_url(row: Any, info: Info) -> str | None:
    carrier_id = row["carrier_id"]
    if carrier_id is None:
        return None
    carrier = await info.context.load(carrier_by_id, carrier_id)
    return None if carrier is None else tracking_url(carrier["track_and_trace_url"], row["code"])


bindables = [query, track_and_trace, page_type("TrackAndTraceResponse")]
