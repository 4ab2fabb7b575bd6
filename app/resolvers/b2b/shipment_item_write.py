"""Writing shipment items on the B2B surface."""

from typing import Any

from ariadne import MutationType

import sql
from app.context import Context, Info
from app.errors import ShipmentItemNotFound
from app.resolvers.b2b.argument import as_external_id, as_text, refuse_nulls, require_version
from app.resolvers.b2b.named_line import name_lines
from app.resolvers.b2b.shipment_lock import lock_shipment, writing
from app.resolvers.b2b.shipment_part import Part, delete_part, lock_part, save_part
from app.resolvers.b2b.shippable import CANCELED, OrderLines, require_open, require_shippable

SQL = sql.load("shipment_item")

mutation = MutationType()


@mutation.field("shipmentItemCreate")
async def resolve_shipment_item_create(_root: None, info: Info, input: dict[str, Any]) -> Any:
    """Raises `ShipmentNotFound`, `OrderItemNotFound` or `ValidationError`."""
    context = await writing(info)
    shipment = await lock_shipment(context, input["shipmentId"], "input.shipmentId")
    require_open(shipment, "input.shipmentId")
    require_shippable(shipment["order_id"], shipment["order_status"], shipment["is_shippable"], "input.shipmentId")
    [named] = await name_lines(context, shipment["order_id"], shipment["channel_id"], {"input": input})
    lines = await OrderLines.lock_for(context, shipment, [named["orderItemId"]])
    [row] = await context.fetch(
        SQL.create, shipment_id=shipment["id"], channel_id=shipment["channel_id"], **lines.item(named, "input")
    )
    return row


@mutation.field("shipmentItemUpdate")
async def resolve_shipment_item_update(
    _root: None, info: Info, id: str, input: dict[str, Any], ifVersion: int | None = None
) -> Any:
    """Raises `ShipmentItemNotFound`, `ShipmentNotFound`, `OrderItemNotFound`, `ValidationError`, `VersionConflict`."""
    context = await writing(info)
    refuse_nulls(input, "shipmentId", "orderItemId")
    part = await lock_part(context, SQL, ShipmentItemNotFound, id, input.get("shipmentId"))
    present = part.row
    require_version(present, ifVersion)
    values = {
        "shipment_id": part.shipment["id"],
        "order_item_id": input.get("orderItemId", present["order_item_id"]),
        "quantity": input.get("quantity", present["quantity"]),
        "external_id": as_external_id(input, "input") if "externalId" in input else present["external_id"],
        **{field: _text(input, field, present) for field in ("name", "sku")},
    }
    if part.is_changed_by({column: values[column] for column in ("shipment_id", "order_item_id", "quantity")}):
        await _check_quantity(context, part, values, input)
    return await save_part(context, SQL, part, values)


@mutation.field("shipmentItemDelete")
async def resolve_shipment_item_delete(_root: None, info: Info, id: str, ifVersion: int | None = None) -> bool:
    """Raises `ShipmentItemNotFound`, `ValidationError` or `VersionConflict`."""
    return await delete_part(info, SQL, ShipmentItemNotFound, id, ifVersion, require_open)


async def _check_quantity(context: Context, part: Part, values: dict[str, Any], input: dict[str, Any]) -> None:
    """Raises `OrderItemNotFound`; `ValidationError` about a field of `input` where it asks for more than is left."""
    present, line_id, quantity = part.row, values["order_item_id"], values["quantity"]
    field = next(field for field in ("quantity", "orderItemId", "shipmentId") if field in input)
    require_open(part.former, f"input.{field}")
    require_open(part.shipment, "input.shipmentId")
    if (part.shipment["id"], line_id) != (part.former["id"], present["order_item_id"]) or (quantity or 0) > (
        present["quantity"] or 0
    ):
        shipment = part.shipment
        require_shippable(shipment["order_id"], shipment["order_status"], shipment["is_shippable"], f"input.{field}")
    lines = await OrderLines.lock_for(context, part.shipment, {present["order_item_id"], line_id})
    if line_id != present["order_item_id"]:
        lines.goods(line_id, "input.orderItemId")
    if part.former["status"] != CANCELED:
        lines.give_back(present["order_item_id"], present["quantity"] or 0)
    if quantity is not None:
        lines.take(line_id, quantity, f"input.{field}")


def _text(input: dict[str, Any], field: str, present: Any) -> str | None:
    text: str | None = input.get(field, present[field])
    return text if text is None or field not in input else as_text(text, f"input.{field}")


bindables = [mutation]
