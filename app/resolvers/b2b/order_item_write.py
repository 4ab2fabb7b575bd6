"""Canceling units of order lines on the B2B surface (decision 21)."""

from collections.abc import Sequence
from typing import Any

from ariadne import MutationType

import sql
from app.context import Context, Info
from app.errors import OrderItemNotFound, ValidationError
from app.resolvers.b2b.argument import require_version

SQL = sql.load("order_item")
ORDER = sql.load("order")

mutation = MutationType()


@mutation.field("orderItemCancel")
async def resolve_order_item_cancel(
    _root: None, info: Info, input: dict[str, Any], ifVersion: int | None = None
) -> Any:
    """Raises `OrderItemNotFound`, `ValidationError` or `VersionConflict`."""
    context = info.context
    context.require("orders:read")
    await context.write("orders:write")
    lines = await _lock(context, input["orderItemId"])
    present = next(line for line in lines if line["level"] == 0)
    require_version(present, ifVersion)
    quantity = input.get("quantity")
    if quantity is not None and quantity < 1:
        raise ValidationError("input.quantity", "must be at least 1")
    canceled = _canceled(lines, present, quantity)
    key = {"channel_id": present["channel_id"]}
    await context.fetch(SQL.cancel, ids=list(canceled), quantities=list(canceled.values()), **key)
    await context.fetch(ORDER.touch, id=present["order_id"], **key)
    [row] = await context.fetch(SQL.by_ids, ids=[present["id"]])
    return row


async def _lock(context: Context, line_id: int) -> Sequence[Any]:
    """The line and what it is made of, its order locked before them. Raises `OrderItemNotFound`."""
    path = "input.orderItemId"
    found = await context.fetch(SQL.order_of, id=line_id)
    orders = await context.fetch(ORDER.lock, id=found[0]["order_id"]) if found else []
    if not orders:
        raise OrderItemNotFound(line_id, path)
    [order] = orders
    lines = await context.fetch(SQL.lock_whole, id=line_id, order_id=order["id"], channel_id=order["channel_id"])
    if not lines:
        raise OrderItemNotFound(line_id, path)
    return lines


def _left(line: Any) -> int:
    left: int = line["quantity"] - line["quantity_canceled"] - line["quantity_shipped"]
    return max(0, left)


def _canceled(lines: Sequence[Any], present: Any, quantity: int | None) -> dict[int, int]:
    """How many units are canceled of `present` and of what it is made of, by line: `quantity`, or all that are left.

    A part goes along by the units of it that one unit of its bundle has. Raises `ValidationError`.
    """
    left = _left(present)
    if not left:
        raise ValidationError("input.quantity", f"has nothing left to cancel of order line {present['id']}")
    if quantity is not None and quantity > left:
        raise ValidationError("input.quantity", f"must be at most {left}, which is what is left of it")
    canceled = {present["id"]: left if quantity is None else quantity}
    whole = {line["id"]: line for line in lines}
    for line in sorted(lines, key=lambda line: line["level"]):
        if line["level"] == 0:
            continue
        bundle = whole[line["parent_id"]]
        wanted, rest = divmod(canceled[bundle["id"]] * line["quantity"], bundle["quantity"] or 1)
        if quantity is None:
            wanted, rest = _left(line), 0
        if rest:
            raise ValidationError("input.quantity", f"must come to whole units of its part, order line {line['id']}")
        # What was canceled of the part alone is not canceled again.
        alone = line["quantity_canceled"] - bundle["quantity_canceled"] * line["quantity"] // (bundle["quantity"] or 1)
        if wanted > _left(line) + max(0, alone):
            raise ValidationError(
                "input.quantity", f"must be left of its parts, too: {_left(line)} are of order line {line['id']}"
            )
        canceled[line["id"]] = min(wanted, _left(line))
    return canceled


bindables = [mutation]
