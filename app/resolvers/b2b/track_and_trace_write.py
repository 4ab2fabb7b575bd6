"""Writing track and traces on the B2B surface (B-54, B-58)."""

from typing import Any

from ariadne import MutationType

import sql
from app.context import Info
from app.errors import TrackAndTraceNotFound
from app.resolvers.b2b.argument import as_external_id, as_text, refuse_nulls, require_version
from app.resolvers.b2b.carrier_lock import require_carriers
from app.resolvers.b2b.shipment_lock import lock_shipment, writing
from app.resolvers.b2b.shipment_part import delete_part, lock_part, save_part
from app.resolvers.b2b.tracking_code import as_code

SQL = sql.load("track_and_trace")

mutation = MutationType()


@mutation.field("trackAndTraceCreate")
async def resolve_track_and_trace_create(_root: None, info: Info, input: dict[str, Any]) -> Any:
    """Raises `ShipmentNotFound` or `ValidationError`."""
    context = await writing(info)
    shipment = await lock_shipment(context, input["shipmentId"], "input.shipmentId")
    carrier_id = input.get("carrierId")
    carriers = await require_carriers(context, shipment["channel_id"], {"input.carrierId": carrier_id})
    [row] = await context.fetch(
        SQL.create,
        shipment_id=shipment["id"],
        channel_id=shipment["channel_id"],
        code=as_code(context, input["code"], "input.code", carriers.get(carrier_id)),
        carrier_id=carrier_id,
        external_id=as_external_id(input, "input"),
    )
    return row


@mutation.field("trackAndTraceUpdate")
async def resolve_track_and_trace_update(
    _root: None, info: Info, id: str, input: dict[str, Any], ifVersion: int | None = None
) -> Any:
    """Raises `TrackAndTraceNotFound`, `ShipmentNotFound`, `ValidationError` or `VersionConflict`."""
    context = await writing(info)
    refuse_nulls(input, "shipmentId", "code")
    part = await lock_part(context, SQL, TrackAndTraceNotFound, id, input.get("shipmentId"))
    present = part.row
    require_version(present, ifVersion)
    values = {
        "shipment_id": part.shipment["id"],
        "carrier_id": input.get("carrierId", present["carrier_id"]),
        "code": as_text(input["code"], "input.code") if "code" in input else present["code"],
        "external_id": as_external_id(input, "input") if "externalId" in input else present["external_id"],
    }
    if part.is_changed_by(values):
        carrier = {"input.carrierId": values["carrier_id"]}
        carriers = await require_carriers(context, present["channel_id"], carrier)
        if "code" in input:
            values["code"] = as_code(context, values["code"], "input.code", carriers.get(values["carrier_id"]))
    return await save_part(context, SQL, part, values)


@mutation.field("trackAndTraceDelete")
async def resolve_track_and_trace_delete(_root: None, info: Info, id: str, ifVersion: int | None = None) -> bool:
    """Raises `TrackAndTraceNotFound` or `VersionConflict`."""
    return await delete_part(info, SQL, TrackAndTraceNotFound, id, ifVersion)


bindables = [mutation]
