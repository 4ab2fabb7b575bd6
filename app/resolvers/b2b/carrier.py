"""Carriers on the B2B surface. Every viewer may read them; their codes only as far as the viewer sees (B-7)."""

from collections.abc import Awaitable
from typing import Any

from ariadne import ObjectType, QueryType

import sql
from app.context import Info
from app.errors import CarrierNotFound
from app.resolvers.b2b.page import Page, page_type, search
from loaders.carrier import carrier_by_id, descriptions_by_carrier
from loaders.track_and_trace import newest_track_and_traces_by_carrier

SQL = sql.load("carrier")

query = QueryType()
carrier = ObjectType("Carrier")


@query.field("carrier")
async def resolve_carrier(_root: None, info: Info, id: int) -> Any:
    """Raises `CarrierNotFound`."""
    info.context.require()
    row = await info.context.load(carrier_by_id, id)
    if row is None:
        raise CarrierNotFound(id)
    return row


@query.field("carriers")
def resolve_carriers(_root: None, info: Info, input: dict[str, Any] | None = None) -> Page:
    info.context.require()
    return search(info.context, SQL, input)


@carrier.field("descriptions")
def resolve_carrier_descriptions(row: Any, info: Info) -> Awaitable[Any]:
    return info.context.load(descriptions_by_carrier, row["id"])


@carrier.field("trackAndTraces")
def resolve_carrier_track_and_traces(row: Any, info: Info) -> Awaitable[Any]:
    info.context.require("shipments:read")
    return info.context.load(newest_track_and_traces_by_carrier, row["id"])


bindables = [query, carrier, page_type("CarriersResponse")]
