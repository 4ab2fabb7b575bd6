"""Writing shipments on the B2B surface (B-50 to B-53)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from ariadne import MutationType

import sql
from app.context import Context, Info
from app.errors import OrderNotFound, ValidationError
from app.resolvers.b2b.argument import (
    as_external_id,
    as_text,
    as_written_moment,
    refuse_nulls,
    refuse_repeated,
    require_version,
)
from app.resolvers.b2b.carrier_lock import carriers_of
from app.resolvers.b2b.named_line import is_named_by_id, lines_left, name_lines
from app.resolvers.b2b.shipment_lock import lock_shipment, writing
from app.resolvers.b2b.shippable import CANCELED, CLOSED, OrderLines, require_shippable
from app.resolvers.b2b.track_and_trace_write import complete
from app.resolvers.b2b.tracking_code import as_code, pages_of
from app.rules import is_day, normalized_code, promise_fault

SQL = sql.load("shipment")
ORDER = sql.load("order")
LINE = sql.load("order_item")
CODE = sql.load("track_and_trace")
CHANNEL = sql.load("channel")

# What a step out of the ordinary needs, beside the permission to write.
OVERRIDE = "shipments:override"

mutation = MutationType()


@mutation.field("shipmentCreate")
async def resolve_shipment_create(_root: None, info: Info, input: dict[str, Any]) -> Any:
    """Raises `OrderNotFound`, `OrderItemNotFound` or `ValidationError`."""
    context = await writing(info)
    status, codes = input.get("status") or "CREATED", input.get("trackAndTraces") or ()
    ground = await _ground(context, input, is_canceled=status == CANCELED)
    order = ground.order
    expected = await _first_promise(context, input.get("expectedDeliveryAt"), order["channel_id"])
    columns = {
        **_sources(input.get("sources") or ()),
        **await _codes(context, ground, codes, is_canceled=status == CANCELED),
        **_items(ground),
    }
    await _refuse_used_keys(context, order, columns)
    [row] = await context.fetch(
        SQL.create,
        order_id=order["id"],
        channel_id=order["channel_id"],
        external_id=as_external_id(input, "input"),
        status=status,
        expected_delivery_at=expected,
        **columns,
    )
    created = {"id": UUID(row["id"]), "channel_id": order["channel_id"]}
    is_completed = await complete(context, created, codes)
    if is_completed or ground.is_awaited or columns["codes"] != [code["code"] for code in codes]:
        # News that waits for a code has moved the shipment.
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
    values = {column: present[column] for column in ("status", "expected_delivery_at", "external_id")}
    if "externalId" in input:
        values["external_id"] = as_external_id(input, "input")
    if "status" in input:
        values["status"] = input["status"]
        await _check_step(context, present["status"], input["status"])
    if "expectedDeliveryAt" in input:
        values["expected_delivery_at"] = await _promise(context, input["expectedDeliveryAt"], present)
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


@dataclass(frozen=True)
class _Ground:
    """What a new shipment rests on, locked: its order, and rows of carriers and lines that it may refer to.

    `items` are inputs that name their lines by id. Codes at the places `taken` are in use, and where one `is_awaited`
    news waits for it.
    """

    order: Any
    carriers: Sequence[Any]
    taken: Sequence[int]
    is_awaited: bool
    items: Sequence[Mapping[str, Any]]
    lines: OrderLines


async def _ground(context: Context, input: dict[str, Any], *, is_canceled: bool) -> _Ground:
    """By one statement, where order and lines are named by their ids.

    Raises `OrderNotFound`, `OrderItemNotFound` or `ValidationError`.
    """
    order_id, number, channel_id = (input.get(field) for field in ("orderId", "orderExternalId", "channelId"))
    if (order_id is None) == (number is None):
        raise ValidationError("input.orderId", "and orderExternalId exclude each other; exactly one is required")
    path = "input.orderId" if number is None else "input.orderExternalId"
    items: Sequence[Mapping[str, Any]] | None = input.get("items")
    if number is not None or items is None or not all(map(is_named_by_id, items)):
        if number is None:
            orders = await context.fetch(ORDER.lock, id=order_id)
            orders = [order for order in orders if channel_id in (None, order["channel_id"])]
        else:
            orders = await context.fetch(ORDER.lock_by_external_id, external_id=number, channel_id=channel_id)
        order = _shippable(orders, order_id or number, path)
        order_id, channel_id = order["id"], order["channel_id"]
        items = await lines_left(context, order_id, channel_id) if items is None else items
        items = await name_lines(context, order_id, channel_id, dict(zip(_paths(items), items, strict=True)))
    codes = input.get("trackAndTraces") or ()
    rows = await context.fetch(
        LINE.lock_for_shipment,
        order_id=order_id,
        channel_id=channel_id,
        codes=[code["code"] for code in codes],
        carrier_ids=[code.get("carrierId") for code in codes],
        line_ids=list({item["orderItemId"] for item in items}),
    )
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row["list"], []).append(row)
    return _Ground(
        _shippable(found.get("orders", []), order_id, path),
        found.get("carriers", ()),
        [row["id"] for row in found.get("taken", ())],
        "awaited" in found,
        items,
        OrderLines(found.get("lines", ()), is_canceled=is_canceled),
    )


def _shippable(orders: Sequence[Any], given: Any, path: str) -> Any:
    """The one row of an order that was named by `given`, if it can be shipped.

    Raises `OrderNotFound` or `ValidationError`.
    """
    if not orders:
        raise OrderNotFound(given, path)
    if len(orders) > 1:
        raise ValidationError("input.channelId", "must be given: orders of several channels have this number")
    [order] = orders
    require_shippable(order["id"], order["status"], order["is_shippable"], path)
    return order


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
    moment = None if text is None else as_written_moment(text, "input.expectedDeliveryAt")
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


async def _first_promise(context: Context, text: str | None, channel_id: int) -> datetime | None:
    """When a shipment that is made now is expected. Raises `ValidationError`."""
    expected, now = _instant(text), datetime.now(UTC)
    if expected is None or expected > now:
        return expected
    if not is_day(expected):
        raise ValidationError("input.expectedDeliveryAt", "must be in the future")
    if expected.date() < await _local_day(context, channel_id, now):
        raise ValidationError("input.expectedDeliveryAt", "must not be a day that is over")
    return expected


async def _promise(context: Context, text: str | None, present: Any) -> datetime | None:
    """Another moment of delivery for a shipment, given its row. Raises `ValidationError`."""
    expected, created = _instant(text), present["created_at"]
    if expected is None or expected > created or expected == present["expected_delivery_at"]:
        return expected
    created_on = await _local_day(context, present["channel_id"], created) if is_day(expected) else None
    if fault := promise_fault(expected, created, created_on=created_on):
        raise ValidationError("input.expectedDeliveryAt", fault)
    return expected


async def _local_day(context: Context, channel_id: int, moment: datetime) -> date:
    """The day that it is then in the channel."""
    [row] = await context.fetch(CHANNEL.local_day, channel_id=channel_id, moment=moment)
    day: date = row["day"]
    return day


def _sources(sources: Sequence[dict[str, str]]) -> dict[str, Any]:
    for place, source in enumerate(sources):
        as_text(source["id"], f"input.sources.{place}.id")
        as_text(source["name"], f"input.sources.{place}.name")
    refuse_repeated([(source["id"], source["name"]) for source in sources], "input.sources.{}")
    return {
        "source_ids": [source["id"] for source in sources],
        "source_names": [source["name"] for source in sources],
    }


async def _codes(
    context: Context, ground: _Ground, codes: Sequence[dict[str, Any]], *, is_canceled: bool
) -> dict[str, Any]:
    """Those of a canceled shipment may be in use elsewhere: they are not under way."""
    order = ground.order
    carrier_ids = [code.get("carrierId") for code in codes]
    paths = (f"input.trackAndTraces.{place}.carrierId" for place in range(len(codes)))
    carriers = carriers_of(ground.carriers, dict(zip(paths, carrier_ids, strict=True)))
    pages = await pages_of(context, [code["code"] for code in codes])
    texts = [
        as_code(context, code["code"], f"input.trackAndTraces.{place}.code", carriers.get(code.get("carrierId")), pages)
        for place, code in enumerate(codes)
    ]
    pairs = zip(carrier_ids, map(normalized_code, texts), strict=True)
    refuse_repeated(pairs, "input.trackAndTraces.{}.code")
    taken = ground.taken
    if texts != [code["code"] for code in codes]:  # they were named by addresses of their pages
        keys = {"order_id": order["id"], "channel_id": order["channel_id"]}
        taken = [row["place"] for row in await context.fetch(CODE.taken, codes=texts, carrier_ids=carrier_ids, **keys)]
    if taken and not is_canceled:
        raise ValidationError(f"input.trackAndTraces.{taken[0]}.code", "is in use with this carrier already")
    external_ids = _external_ids(codes, "input.trackAndTraces")
    return {"carrier_ids": carrier_ids, "codes": texts, "code_keys": external_ids}


def _items(ground: _Ground) -> dict[str, Any]:
    external_ids = _external_ids(ground.items, "input.items")
    pairs = zip(ground.items, _paths(ground.items), strict=True)
    rows = [ground.lines.item(item, path) for item, path in pairs]
    return {
        "item_keys": external_ids,
        "order_item_ids": [row["order_item_id"] for row in rows],
        "names": [row["name"] for row in rows],
        "skus": [row["sku"] for row in rows],
        "quantities": [row["quantity"] for row in rows],
    }


def _paths(items: Sequence[Any]) -> list[str]:
    return [f"input.items.{place}" for place in range(len(items))]


def _external_ids(inputs: Sequence[Mapping[str, Any]], path: str) -> list[str | None]:
    """Raises `ValidationError` for one that is no line of text, or repeated."""
    keys = [as_external_id(each, f"{path}.{place}") for place, each in enumerate(inputs)]
    refuse_repeated([(n if key is None else key) for n, key in enumerate(keys)], path + ".{}.externalId")
    return keys


async def _refuse_used_keys(context: Context, order: Any, columns: Mapping[str, Any]) -> None:
    """Raises `ValidationError` for the key of an item or code that another of the order has."""
    lists = {"items": columns["item_keys"], "trackAndTraces": columns["code_keys"]}
    if not any(key is not None for keys in lists.values() for key in keys):
        return
    given = {field: columns[field] for field in ("item_keys", "code_keys")}
    for row in await context.fetch(SQL.keys_in_use, order_id=order["id"], channel_id=order["channel_id"], **given):
        place = lists[row["list"]].index(row["external_id"])
        raise ValidationError(f"input.{row['list']}.{place}.externalId", "must be unique within its order")


bindables = [mutation]
