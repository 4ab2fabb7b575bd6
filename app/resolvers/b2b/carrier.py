"""Carriers on the B2B surface. Reading them needs no scope; their codes come only as far as the viewer sees (B-7)."""

from typing import Any

import sql
from app.context import Info
from app.errors import CarrierNotFound
from app.resolvers.b2b.page import Page, page_type, search
from app.resolvers.field_plan import WITH_PARENT, Access, PlannedType, relation
from app.resolvers.query import GuardedQuery, holding
from app.rules import as_key
from loaders.carrier import carrier_by_id, descriptions_by_carrier
from loaders.track_and_trace import newest_track_and_traces_by_carrier

SQL = sql.load("carrier")

query = GuardedQuery()
carrier = PlannedType("Carrier")


@query.field("carrier", holding())
async def resolve_carrier(_root: None, info: Info, id: int) -> Any:
    """Raises `CarrierNotFound`."""
    row = await info.context.load(carrier_by_id, id)
    if row is None:
        raise CarrierNotFound(id)
    return row


@query.field("carriers", holding())
async def resolve_carriers(_root: None, info: Info, input: dict[str, Any] | None = None) -> Page:
    return await search(info, SQL, input, keys=lambda keys: list(map(as_key, keys)))


carrier.set_plan("descriptions", relation(descriptions_by_carrier, "id", WITH_PARENT))
# No error without the permission: the SDK asks for the codes of every carrier, which needs no role (B-7).
carrier.set_plan(
    "trackAndTraces", relation(newest_track_and_traces_by_carrier, "id", Access("shipments:read", or_empty=True))
)

bindables = [query, carrier, page_type("CarriersResponse")]
