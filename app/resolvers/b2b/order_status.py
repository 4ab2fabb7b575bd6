"""Order statuses on the B2B surface: the words of an order's way, and which may follow which."""

from typing import Any

import sql
from app.context import Info
from app.errors import OrderStatusNotFound, ValidationError
from app.resolvers.b2b.page import Page, page_type, search, search_each
from app.resolvers.field_plan import WITH_PARENT, PlannedType, relation
from app.resolvers.query import GuardedQuery, holding
from loaders.order_status import (
    next_count,
    next_statuses,
    order_status_by_code,
    order_status_by_id,
    order_status_set_by_id,
    previous_count,
    previous_statuses,
)

SQL = sql.load("order_status")

query = GuardedQuery()
order_status = PlannedType("OrderStatus")


@query.field("orderStatus", holding("orders:read"))
async def resolve_order_status(_root: None, info: Info, input: dict[str, Any]) -> Any:
    """Raises `OrderStatusNotFound`; `ValidationError` unless exactly one key is given."""
    id_, code = input.get("id"), input.get("code")
    if (id_ is None) == (code is None):
        raise ValidationError("input", "must give exactly one of id and code")
    if code is None:
        row = await info.context.load(order_status_by_id, id_)
    else:
        row = await info.context.load(order_status_by_code, code)
    if row is None:
        raise OrderStatusNotFound(id_ if code is None else code)
    return row


@query.field("orderStatuses", holding("orders:read"))
async def resolve_order_statuses(_root: None, info: Info, input: dict[str, Any] | None = None) -> Page:
    return await search(info, SQL, input)


order_status.set_plan("statusSet", relation(order_status_set_by_id, "status_set_id", WITH_PARENT))


@order_status.field("nextStatuses")
def resolve_order_status_next_statuses(row: Any, info: Info, input: dict[str, Any] | None = None) -> Page:
    return search_each(info.context, SQL, next_statuses, next_count, row["id"], input)


@order_status.field("previousStatuses")
def resolve_order_status_previous_statuses(row: Any, info: Info, input: dict[str, Any] | None = None) -> Page:
    return search_each(info.context, SQL, previous_statuses, previous_count, row["id"], input)


bindables = [query, order_status, page_type("OrderStatusesResponse")]
