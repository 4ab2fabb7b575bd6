"""Writing track and traces on the B2B surface (B-54, B-58)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ariadne import MutationType

import sql
from app.context import Context, Info
from app.errors import TrackAndTraceNotFound
from app.resolvers.b2b.argument import as_code_text, as_external_id, as_written_moment, refuse_nulls, require_version
from app.resolvers.b2b.carrier_lock import require_carriers
from app.resolvers.b2b.parcel_item import Contents, pack
from app.resolvers.b2b.shipment_lock import lock_shipment, writing
from app.resolvers.b2b.shipment_part import delete_part, lock_part, save_part
from app.resolvers.b2b.tracking_code import as_code, pages_of

SQL = sql.load("track_and_trace")

mutation = MutationType()


@mutation.field("trackAndTraceCreate")
async def resolve_track_and_trace_create(_root: None, info: Info, input: dict[str, Any]) -> Any:
    """News that waited for the code may have moved it and its shipment by the time of the answer.

    Raises `ShipmentNotFound`, `ShipmentItemNotFound`, `OrderItemNotFound` or `ValidationError`.
    """
    context = await writing(info)
    shipment = await lock_shipment(context, input["shipmentId"], "input.shipmentId")
    carrier_id, channel_id = input.get("carrierId"), shipment["channel_id"]
    carriers = await require_carriers(context, channel_id, {"input.carrierId": carrier_id})
    pages = await pages_of(context, [input["code"]])
    [created] = await context.fetch(
        SQL.create,
        shipment_id=shipment["id"],
        channel_id=channel_id,
        code=as_code(context, input["code"], "input.code", carriers.get(carrier_id), pages),
        carrier_id=carrier_id,
        external_id=as_external_id(input, "input"),
        expected_delivery_at=await _promise(context, input, "input", channel_id),
    )
    if items := input.get("items"):
        await pack(context, shipment, {UUID(created["id"]): (items, "input.items")})
    [row] = await context.fetch(SQL.by_id, id=UUID(created["id"]))
    return row


async def complete(context: Context, shipment: Any, inputs: Sequence[Mapping[str, Any]]) -> bool:
    """What the codes of a new shipment, in the order given, have beside themselves: their goods and promises.

    Returns whether there is any. Raises `ShipmentItemNotFound`, `OrderItemNotFound` or `ValidationError`.
    """
    if not any(given.get("items") or given.get("expectedDeliveryAt") for given in inputs):
        return False
    rows = await context.fetch(SQL.by_shipment_ids, shipment_ids=[shipment["id"]])
    parcels: dict[UUID, Contents] = {}
    promises: dict[UUID, datetime | None] = {}
    for place, (row, given) in enumerate(zip(rows, inputs, strict=True)):
        key, path = UUID(row["id"]), f"input.trackAndTraces.{place}"
        parcels[key] = (given.get("items") or (), f"{path}.items")
        promises[key] = await _promise(context, given, path, shipment["channel_id"])
    await pack(context, shipment, parcels)
    await context.fetch(
        SQL.promises_of_new,
        ids=list(promises),
        expected_delivery_at=list(promises.values()),
        channel_id=shipment["channel_id"],
    )
    return True


async def _promise(context: Context, input: Mapping[str, Any], path: str, channel_id: int) -> datetime | None:
    """When a parcel should arrive: a day is the channel's. Raises `ValidationError`."""
    text = input.get("expectedDeliveryAt")
    moment = None if text is None else as_written_moment(text, f"{path}.expectedDeliveryAt")
    if moment is None or moment.tzinfo:
        return moment
    [row] = await context.fetch(
        SQL.promise, expected_local=moment, carrier_id=input.get("carrierId"), channel_id=channel_id
    )
    expected: datetime = row["expected_delivery_at"]
    return expected


@mutation.field("trackAndTraceUpdate")
async def resolve_track_and_trace_update(
    _root: None, info: Info, id: str, input: dict[str, Any], ifVersion: int | None = None
) -> Any:
    """Raises `VersionConflict`, `TrackAndTraceNotFound`, `ValidationError` and what else creating one raises."""
    context = await writing(info)
    refuse_nulls(input, "shipmentId", "code", "items")
    part = await lock_part(context, SQL, TrackAndTraceNotFound, id, input.get("shipmentId"))
    present = part.row
    require_version(present, ifVersion)
    values = {
        "shipment_id": part.shipment["id"],
        "carrier_id": input.get("carrierId", present["carrier_id"]),
        "code": as_code_text(input["code"], "input.code") if "code" in input else present["code"],
        "expected_delivery_at": present["expected_delivery_at"],
        "external_id": as_external_id(input, "input") if "externalId" in input else present["external_id"],
    }
    if "expectedDeliveryAt" in input:
        values["expected_delivery_at"] = await _promise(
            context, {"carrierId": values["carrier_id"], **input}, "input", present["channel_id"]
        )
    if part.is_changed_by(values):
        carrier = {"input.carrierId": values["carrier_id"]}
        carriers = await require_carriers(context, present["channel_id"], carrier)
        if "code" in input:
            pages = await pages_of(context, [values["code"]])
            values["code"] = as_code(context, values["code"], "input.code", carriers.get(values["carrier_id"]), pages)
    await save_part(context, SQL, part, values, is_touched="items" in input)
    if "items" in input:
        await pack(context, part.shipment, {present["id"]: (input["items"], "input.items")})
    [row] = await context.fetch(SQL.by_id, id=present["id"])
    return row


@mutation.field("trackAndTraceDelete")
async def resolve_track_and_trace_delete(_root: None, info: Info, id: str, ifVersion: int | None = None) -> bool:
    """Raises `TrackAndTraceNotFound` or `VersionConflict`."""
    return await delete_part(info, SQL, TrackAndTraceNotFound, id, ifVersion)


bindables = [mutation]
