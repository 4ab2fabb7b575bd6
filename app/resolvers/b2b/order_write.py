"""Writing orders on the B2B surface: their status, and no more (B-56)."""

from typing import Any

from ariadne import MutationType

import sql
from app.context import Context, Info
from app.errors import OrderNotFound, OrderStepNotAllowed, ValidationError
from app.resolvers.b2b.argument import as_text, require_version

SQL = sql.load("order")
STATUS = sql.load("order_status")

mutation = MutationType()


@mutation.field("orderSetStatus")
async def resolve_order_set_status(_root: None, info: Info, input: dict[str, Any], ifVersion: int | None = None) -> Any:
    """Raises `OrderNotFound`, `OrderStepNotAllowed`, `ValidationError` or `VersionConflict`."""
    context = info.context
    context.require("orders:read")
    await context.write("orders:write")
    rows = await context.fetch(SQL.lock, id=input["orderId"])
    if not rows:
        raise OrderNotFound(input["orderId"], "input.orderId")
    [present] = rows
    require_version(present, ifVersion)
    values = {"status": present["status"], "payment_status": present["payment_status"]}
    if input.get("status") is not None:
        values["status"] = input["status"]
    if input.get("payStatus") is not None:
        values["payment_status"] = as_text(input["payStatus"], "input.payStatus")
    if all(present[column] == value for column, value in values.items()):
        [row] = await context.fetch(SQL.by_id, id=present["id"])
        return row
    await _check_step(context, present["status"], values["status"])
    [row] = await context.fetch(SQL.set_status, id=present["id"], channel_id=present["channel_id"], **values)
    return row


async def _check_step(context: Context, status: str, next_status: str) -> None:
    if next_status == status:
        return
    steps = await context.fetch(STATUS.step, code=status, next_code=next_status)
    if not steps:
        raise ValidationError("input.status", "must be the code of an order status")
    if not steps[0]["is_allowed"]:
        raise OrderStepNotAllowed(status, next_status)


bindables = [mutation]
