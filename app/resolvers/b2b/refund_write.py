"""Recording what was paid back of orders, on the B2B surface (decision 23).

The order's sum of it, and how many of a line are paid back, follow in the store.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ariadne import MutationType

import sql
from app.context import Context, Info
from app.errors import OrderItemNotFound, OrderNotFound, RefundNotFound, ValidationError
from app.money import amount_fault, refund_of, rounded, without_discount
from app.resolvers.b2b.argument import as_external_id, as_uuid, refuse_repeated, require_version

SQL = sql.load("refund")

mutation = MutationType()


@mutation.field("refundCreate")
async def resolve_refund_create(_root: None, info: Info, input: dict[str, Any], ifVersion: int | None = None) -> Any:
    """Raises `OrderNotFound`, `OrderItemNotFound`, `ValidationError` or `VersionConflict`."""
    context = info.context
    context.require("orders:read")
    await context.write("orders:write")
    external_id = as_external_id(input, "input")
    order = await _lock(context, input["orderId"], "input.orderId", external_id)
    require_version(order, ifVersion)
    if order["is_known"]:
        raise ValidationError("input.externalId", "is that of another refund of the order")
    amount = None if input.get("amount") is None else _given_amount(input, order)
    items = await _items(context, order, input.get("items") or (), amount)
    [row] = await context.fetch(
        SQL.create,
        order_id=order["id"],
        channel_id=order["channel_id"],
        external_id=external_id,
        reason=input.get("reason"),
        amount=_amount(order, items) if amount is None else amount,
        order_item_ids=[item["order_item_id"] for item in items],
        quantities=[item["quantity"] for item in items],
        amounts=[item["amount"] for item in items],
    )
    return row


@mutation.field("refundDelete")
async def resolve_refund_delete(_root: None, info: Info, id: str) -> bool:
    """Raises `RefundNotFound`."""
    context = info.context
    context.require("orders:read")
    await context.write("orders:write")
    key = as_uuid(id)
    rows = [] if key is None else await context.fetch(SQL.order_of, id=key)
    if not rows:
        raise RefundNotFound(id)
    order = await _lock(context, rows[0]["order_id"], "id", None)
    if not await context.fetch(SQL.delete, id=key, order_id=order["id"]):
        raise RefundNotFound(id)
    return True


async def _lock(context: Context, order_id: int, argument: str, external_id: str | None) -> Any:
    rows = await context.fetch(SQL.lock_order, order_id=order_id, external_id=external_id)
    if not rows:
        raise OrderNotFound(order_id, argument)
    return rows[0]


async def _items(
    context: Context, order: Any, inputs: Sequence[dict[str, Any]], amount: Decimal | None
) -> list[dict[str, Any]]:
    """The columns of the items, together no more than `amount`, that of the refund where it is given.

    What is computed shares what the amounts that are given leave. Raises `OrderItemNotFound` or `ValidationError`.
    """
    ids = [given["orderItemId"] for given in inputs]
    refuse_repeated(ids, "input.items.{}.orderItemId")
    keys = {"order_id": order["id"], "channel_id": order["channel_id"]}
    lines = {row["id"]: row for row in await context.fetch(SQL.lock_lines, ids=ids, **keys)} if ids else {}
    quantities, amounts, left = [], {}, _left(order) if amount is None else amount
    for place, given in enumerate(inputs):
        path, line = f"input.items.{place}", lines.get(given["orderItemId"])
        if line is None:
            raise OrderItemNotFound(given["orderItemId"], f"{path}.orderItemId")
        quantities.append(_quantity(given.get("quantity") or 0, line, f"{path}.quantity"))
        if given.get("amount") is None:
            continue
        amounts[place] = _decimal(given["amount"], order["currency"], f"{path}.amount")
        most = _left_of_line(order, line)
        if amounts[place] > most:
            raise ValidationError(f"{path}.amount", f"must be at most {most:f}, which is what is left of the line")
        if amount is not None and amounts[place] > left:
            raise ValidationError(f"{path}.amount", f"must be at most {left:f}, which is what is left of input.amount")
        left = max(Decimal(0), left - amounts[place])
    items = []
    for place, (line_id, quantity) in enumerate(zip(ids, quantities, strict=True)):
        if place not in amounts:
            amounts[place] = min(_due(order, lines[line_id], quantity), _left_of_line(order, lines[line_id]), left)
            left -= amounts[place]
        items.append({"order_item_id": line_id, "quantity": quantity, "amount": amounts[place]})
    return items


def _due(order: Any, line: Any, quantity: int) -> Decimal:
    """What so many more pieces of a line cost."""
    return refund_of(_paid(order, line), line["quantity"], line["quantity_refunded"], quantity, order["currency"])


def _left_of_line(order: Any, line: Any) -> Decimal:
    paid = rounded(_paid(order, line), order["currency"])
    left: Decimal = max(Decimal(0), paid - line["refunded_total"])
    return left


def _paid(order: Any, line: Any) -> Decimal:
    """What all of a line cost with its tax, its share of the order's discount taken off."""
    if not order["discount_amount"]:
        return line["price_total_net"]  # type: ignore[no-any-return]
    paid = without_discount(line["price_total"], order["sub_total"], order["discount_amount"])
    return paid + line["tax"]  # type: ignore[no-any-return]


def _left(order: Any) -> Decimal:
    left: Decimal = max(Decimal(0), order["total_net"] - order["refunded_total"])
    return left


def _quantity(quantity: int, line: Any, argument: str) -> int:
    left = max(0, line["quantity"] - line["quantity_refunded"])
    if quantity < 0:
        raise ValidationError(argument, "must not be negative")
    if quantity > left:
        raise ValidationError(argument, f"must be at most {left}, which is what is not paid back yet")
    return quantity


def _given_amount(input: dict[str, Any], order: Any) -> Decimal:
    """Raises `ValidationError`."""
    return _at_most_left(order, _decimal(input["amount"], order["currency"], "input.amount"), "input.amount")


def _amount(order: Any, items: Sequence[dict[str, Any]]) -> Decimal:
    """All of a refund that does not say it. Raises `ValidationError`."""
    if not items:
        raise ValidationError("input.amount", "is required where there are no items")
    return _at_most_left(order, sum((item["amount"] for item in items), Decimal(0)), "input.items")


def _at_most_left(order: Any, amount: Decimal, argument: str) -> Decimal:
    """Raises `ValidationError`."""
    left = _left(order)
    if amount > left:
        raise ValidationError(argument, f"must be at most {left:f}, which is what is not paid back yet of the order")
    return amount


def _decimal(text: str, currency: str, argument: str) -> Decimal:
    if fault := amount_fault(text, currency):
        raise ValidationError(argument, fault)
    return Decimal(text)


bindables = [mutation]
