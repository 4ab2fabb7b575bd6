"""Tracking events on the B2B surface: what carriers tell about codes, and how shipments follow."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ariadne import MutationType, ObjectType

import sql
from app.context import Context, Info
from app.errors import TrackAndTraceNotFound, ValidationError
from app.resolvers.b2b.argument import as_instant, as_text, as_uuid
from app.resolvers.b2b.shipment_lock import writing
from app.resolvers.field_plan import WITH_PARENT, PlannedType, relation
from loaders.shipment import shipment_by_id
from loaders.tracking_event import newest_events_by_track_and_trace

SQL = sql.load("tracking_event")
SHIPMENT = sql.load("shipment")

# How far the clock of a carrier may be ahead of ours.
CLOCK_SKEW = timedelta(minutes=5)

mutation = MutationType()
track_and_trace = PlannedType("TrackAndTrace")
report = ObjectType("ShipmentStatusReport")


@dataclass(frozen=True)
class Report:
    """What became of the news that a carrier told: the row of its event, and whose shipment it is about."""

    event: Any
    shipment_id: str
    is_new: bool
    moved: bool


@mutation.field("shipmentStatusReport")
async def resolve_shipment_status_report(_root: None, info: Info, input: dict[str, Any]) -> Report:
    """The code and its shipment follow as the event is recorded: the database sees to that.

    Raises `TrackAndTraceNotFound`; `ValidationError` where the input breaks a rule or several shipments fit.
    """
    context = await writing(info)
    event = _event(input)
    code = await _lock_code(context, input)
    key = {"track_and_trace_id": code["id"], "channel_id": code["channel_id"]}
    recorded = await context.fetch(SQL.record, **key, **event)
    if not recorded:
        [known] = await context.fetch(SQL.by_external_id, **key, external_id=event["external_id"])
        return Report(known, code["shipment_id"], is_new=False, moved=False)
    [shipment] = await context.fetch(SHIPMENT.by_id, id=code["shipment_id"])
    moved = shipment["status"] != code["status"]
    return Report(recorded[0], code["shipment_id"], is_new=True, moved=moved)


def _event(input: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of the event. Raises `ValidationError`."""
    occurred_at = as_instant(input["occurredAt"], "input.occurredAt")
    if occurred_at > datetime.now(UTC) + CLOCK_SKEW:
        raise ValidationError("input.occurredAt", "must not lie more than five minutes in the future")
    external_id = input.get("externalId")
    return {
        "external_id": None if external_id is None else as_text(external_id, "input.externalId"),
        "status": input["status"],
        "sub_status": input.get("subStatus"),
        "occurred_at": occurred_at,
        "location": _words(input, "location"),
        "description": _words(input, "description"),
    }


def _words(input: Mapping[str, Any], field: str) -> str | None:
    """Blanks are what many a carrier sends in place of nothing."""
    text = input.get(field)
    return text if text and text.strip() else None


async def _lock_code(context: Context, input: Mapping[str, Any]) -> Any:
    """The code with its shipment's status, both locked. Raises `TrackAndTraceNotFound` and `ValidationError`."""
    code = as_text(input["code"], "input.code")
    key = {"code": code, "carrier_id": input.get("carrierId"), "shipment_id": _shipment_id(input)}
    found = await context.fetch(SQL.lock_track_and_traces, **key)
    if not found:
        # A code that is moved while we wait for its lock is left out; a new statement finds it where it is now.
        found = await context.fetch(SQL.lock_track_and_traces, **key)
    if not found:
        raise TrackAndTraceNotFound(code, "input.code")
    if len({(row["shipment_id"], row["channel_id"]) for row in found}) > 1:
        raise ValidationError("input.code", "is a code of several shipments: name one of them in input.shipmentId")
    return found[0]


def _shipment_id(input: Mapping[str, Any]) -> UUID | None:
    text = input.get("shipmentId")
    key = None if text is None else as_uuid(text)
    if text is not None and key is None:
        raise ValidationError("input.shipmentId", "must be a UUID")
    return key


track_and_trace.set_plan("events", relation(newest_events_by_track_and_trace, "id", WITH_PARENT))


@report.field("isNew")
def resolve_report_is_new(told: Report, _info: Info) -> bool:
    return told.is_new


@report.field("shipmentMoved")
def resolve_report_shipment_moved(told: Report, _info: Info) -> bool:
    return told.moved


@report.field("event")
def resolve_report_event(told: Report, _info: Info) -> Any:
    return told.event


# Whoever reports may have the shipment: `writing` has asked for the permission to read it.
@report.field("shipment")
def resolve_report_shipment(told: Report, info: Info) -> Awaitable[Any]:
    return info.context.load(shipment_by_id, told.shipment_id)


bindables = [mutation, track_and_trace, report]
