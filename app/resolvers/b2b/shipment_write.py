"""Writing shipments on the B2B surface (B-50 to B-53)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ariadne import MutationType

import sql
from app.context import Context, Info
from app.errors import OrderNotFound, ValidationError
from app.resolvers.b2b.argument import as_instant, as_text, refuse_nulls, refuse_repeated, require_version
from app.resolvers.b2b.carrier_lock import require_carriers
from app.resolvers.b2b.shipment_lock import lock_shipment, writing
from app.resolvers.b2b.shippable import CANCELED, CLOSED, OrderLines, require_shippable
from app.resolvers.b2b.track_and_trace_write import complete
from app.rules import promise_fault

SQL = sql.load("shipment")
ORDER = sql.load("order")

# What a step out of the ordinary needs, beside the permission to write.
OVERRIDE = "shipments:override"

mutation = MutationType()


@mutation.field("shipmentCreate")
async def resolve_shipment_create(_root: None, info: Info, input: dict[str, Any]) -> Any:
    """Raises `OrderNotFound`, `OrderItemNotFound` or `ValidationError`."""
    context = await writing(info)
    orders = await context.fetch(ORDER.lock, id=input["orderId"])
    if not orders:
        raise OrderNotFound(input["orderId"], "input.orderId")
    require_shippable(orders[0]["id"], orders[0]["status"], orders[0]["is_shippable"], "input.orderId")
    status = input.get("status") or "CREATED"
    expected = _instant(input.get("expectedDeliveryAt"))
    if expected is not None and expected <= datetime.now(UTC):
        raise ValidationError("input.expectedDeliveryAt", "must be in the future")
    [row] = await context.fetch(
        SQL.create,
        order_id=orders[0]["id"],
        channel_id=orders[0]["channel_id"],
        status=status,
        expected_delivery_at=expected,
        **_sources(input.get("sources") or ()),
        **await _codes(context, orders[0]["channel_id"], input.get("trackAndTraces") or ()),
        **await _items(context, orders[0], input.get("items") or (), is_canceled=status == CANCELED),
    )
    for place in row["taken"]:
        raise ValidationError(f"input.trackAndTraces.{place}.code", "is in use with this carrier already")
    if codes := input.get("trackAndTraces"):
        created = {"id": UUID(row["id"]), "channel_id": orders[0]["channel_id"]}
        await complete(context, created, codes)
        # News that waited for a code has moved the shipment.
        [row] = await context.fetch(SQL.by_id, id=created["id"])
    return row


@mutation.field("shipmentUpdate")
async def resolve_shipment_update(
    _root: None, info: Info, id: str, input: dict[str, Any], ifVersion: int | None = None
) -> Any:
    """Raises `ShipmentNotFound`, `ValidationError`, `VersionConflict` or `Forbidden`."""
    context = await writing(info)
    present = await lock_shipment(context, id)
    require_version(present, ifVersion)
    refuse_nulls(input, "orderId", "sources")
    if input.get("orderId", present["order_id"]) != present["order_id"]:
        raise ValidationError("input.orderId", f"must be {present['order_id']}: a shipment stays with its order")
    values = {"status": present["status"], "expected_delivery_at": present["expected_delivery_at"]}
    if "status" in input:
        values["status"] = input["status"]
        await _check_step(context, present["status"], input["status"])
    if "expectedDeliveryAt" in input:
        values["expected_delivery_at"] = _promise(input["expectedDeliveryAt"], present)
    key = {"id": present["id"], "channel_id": present["channel_id"]}
    if "sources" in input:
        await context.fetch(SQL.set_sources, **key, **_sources(input["sources"]))
    if "sources" in input or any(present[column] != value for column, value in values.items()):
        [row] = await context.fetch(SQL.update, **key, **values)
    else:
        [row] = await context.fetch(SQL.by_id, id=present["id"])
    return row


@mutation.field("shipmentDelete")
async def resolve_shipment_delete(_root: None, info: Info, id: str, ifVersion: int | None = None) -> bool:
    """Raises `ShipmentNotFound`, `ValidationError`, `VersionConflict` or `Forbidden`."""
    await info.context.write("shipments:write")
    present = await lock_shipment(info.context, id)
    require_version(present, ifVersion)
    if present["status"] in CLOSED:
        info.context.require(OVERRIDE)
        await info.context.fetch(SQL.override)
    await info.context.fetch(SQL.delete, id=present["id"], channel_id=present["channel_id"])
    return True


async def _check_step(context: Context, status: str | None, next_status: str | None) -> None:
    """A shipment without a status may take any (B-52).

    Raises `ValidationError` for a step that the lifecycle lacks, `Forbidden` for one that needs `shipments:override`.
    """
    if status in (None, next_status):
        return
    steps = {row["next_status"]: row["needs_override"] for row in await context.fetch(SQL.next_statuses, status=status)}
    if next_status not in steps:
        allowed = [step for step, needs_override in steps.items() if not needs_override or context.may(OVERRIDE)]
        rule = f"must be one of {', '.join(allowed)}" if allowed else "cannot change"
        raise ValidationError("input.status", f"{rule}: the shipment is {status}")
    if steps[next_status]:
        context.require(OVERRIDE)
        await context.fetch(SQL.override)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else as_instant(text, "input.expectedDeliveryAt")


def _promise(text: str | None, present: Any) -> datetime | None:
    """Another moment of delivery for a shipment, given its row. Raises `ValidationError`."""
    expected = _instant(text)
    if expected in (None, present["expected_delivery_at"]):
        return expected
    if fault := promise_fault(expected, present["created_at"]):
        raise ValidationError("input.expectedDeliveryAt", fault)
    return expected


def _sources(sources: Sequence[dict[str, str]]) -> dict[str, Any]:
    for place, source in enumerate(sources):
        as_text(source["id"], f"input.sources.{place}.id")
        as_text(source["name"], f"input.sources.{place}.name")
    refuse_repeated(sources, "input.sources.{}")
    return {
        "source_ids": [source["id"] for source in sources],
        "source_names": [source["name"] for source in sources],
    }


async def _codes(context: Context, channel_id: int, codes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    for place, code in enumerate(codes):
        as_text(code["code"], f"input.trackAndTraces.{place}.code")
    pairs = [(code.get("carrierId"), code["code"]) for code in codes]
    refuse_repeated(pairs, "input.trackAndTraces.{}.code")
    carriers = {f"input.trackAndTraces.{place}.carrierId": carrier for place, (carrier, _code) in enumerate(pairs)}
    await require_carriers(context, channel_id, carriers)
    return {"carrier_ids": [carrier for carrier, _code in pairs], "codes": [code for _carrier, code in pairs]}


async def _items(context: Context, order: Any, items: Sequence[dict[str, Any]], *, is_canceled: bool) -> dict[str, Any]:
    line_ids = {item["orderItemId"] for item in items}
    lines = await OrderLines.lock(context, order["id"], order["channel_id"], line_ids, is_canceled=is_canceled)
    rows = [lines.item(item, f"input.items.{place}") for place, item in enumerate(items)]
    return {
        "order_item_ids": [row["order_item_id"] for row in rows],
        "names": [row["name"] for row in rows],
        "skus": [row["sku"] for row in rows],
        "quantities": [row["quantity"] for row in rows],
    }


bindables = [mutation]
