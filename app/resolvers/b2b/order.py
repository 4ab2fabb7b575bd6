"""Orders on the B2B surface."""

from collections.abc import Iterable
from typing import Any

import sql
from app.context import Info
from app.errors import OrderNotFound, ValidationError
from app.execution.field_plan import column_plan
from app.resolvers.b2b.argument import as_uuid
from app.resolvers.b2b.order_search import order_arguments, order_conversions
from app.resolvers.b2b.page import Page, page_type, search
from app.resolvers.b2b.tracking_code import with_codes
from app.resolvers.field_plan import (
    SAME_ROW,
    WITH_PARENT,
    Access,
    Beside,
    PlannedType,
    beside,
    computed,
    lookahead,
    relation,
)
from app.resolvers.fulfillment import fulfillment_status
from app.resolvers.names import snake_case
from app.resolvers.query import GuardedQuery, holding
from loaders.order import (
    exact_by_order,
    money_by_order,
    order_by_id,
    overdue_by_order,
    tax_percentages_by_order,
)
from loaders.order_item import order_items_by_order
from loaders.order_status import order_status_by_code
from loaders.refund import refunds_by_order
from loaders.shipment import shipments_by_order
from loaders.source import sources_by_order

SQL = sql.load("order")

query = GuardedQuery()
order = PlannedType("Order")


@query.field("order", holding("orders:read"))
async def resolve_order(
    _root: None,
    info: Info,
    orderId: int | None = None,
    orderUUID: str | None = None,
) -> Any:
    """Raises `OrderNotFound`; `ValidationError` unless exactly one key is given (B-21)."""
    if (orderId is None) == (orderUUID is None):
        raise ValidationError("orderId", "and orderUUID exclude each other; exactly one of the two is required")
    if orderUUID is None:
        row = await info.context.fetch_one(order_by_id, lookahead(info), orderId)
    else:
        key = as_uuid(orderUUID)
        rows = (await info.context.fetch_joined(SQL.by_uuid, lookahead(info), uuid=key))[0] if key else []
        row = rows[0] if rows else None
    if row is None:
        raise OrderNotFound(orderId if orderUUID is None else orderUUID)
    return row


@query.field("orders", holding("orders:read"))
async def resolve_orders(_root: None, info: Info, input: dict[str, Any] | None = None) -> Page:
    """Raises what `order_arguments` does."""
    arguments = order_arguments(info.context.viewer, await with_codes(info.context, input))
    return await search(info, SQL, arguments, **order_conversions())


order.set_plan("orderStatus", relation(order_status_by_code, "status", WITH_PARENT))
order.set_plan("items", relation(order_items_by_order, "id", WITH_PARENT))
order.set_plan("shipments", relation(shipments_by_order, "id", Access("shipments:read")))
order.set_plan("refunds", relation(refunds_by_order, "id", WITH_PARENT))
order.set_plan("currencyRatioExact", beside(exact_by_order, "id", "currency_ratio"))
order.set_plan("sources", relation(sources_by_order, "id", WITH_PARENT))


order.set_plan("fulfillmentStatus", fulfillment_status("id"))

order.set_plan("overdue", computed(bool, beside=Beside(overdue_by_order, "id", ("overdue",))))

# Parts of the order's own row; their columns bear the part's name before them.
for _part in ("total", "postageData", "paymentData"):
    order.set_plan(_part, SAME_ROW)


def _columns(type_name: str, prefix: str, fields: Iterable[str]) -> PlannedType:
    part = PlannedType(type_name)
    for field in fields:
        part.set_plan(field, column_plan(f"{prefix}_{snake_case(field)}"))
    return part


order_totals = _columns("OrderTotals", "total", ["gross", "net", "tax", "discountType", "discountValue"])
order_payment_data = _columns(
    "OrderPaymentData",
    "payment",
    ["net", "gross", "tax", "taxPercentage", "method", "status", "statusDate", "accountingId", "overruled"],
)
order_postage_data = _columns(
    "OrderPostageData",
    "postage",
    [
        *("net", "gross", "tax", "taxPercentage", "method", "requestDate", "carrier", "overruled"),
        *("partialDeliveryAllowed", "pickUpLocationId"),
    ],
)

for _name in ("gross", "net", "tax", "discount", "refunded"):
    order_totals.set_plan(f"{_name}Exact", beside(exact_by_order, "id", _name))
    order_totals.set_plan(f"{_name}Money", relation(money_by_order(_name), "id", WITH_PARENT))
for _name in ("gross", "net", "tax", "refunded"):
    order_totals.set_plan(
        f"base{_name.capitalize()}Money", relation(money_by_order(f"base_{_name}"), "id", WITH_PARENT)
    )
for _name in ("gross", "net", "tax", "taxPercentage"):
    order_payment_data.set_plan(f"{_name}Exact", beside(exact_by_order, "id", f"payment_{snake_case(_name)}"))
    order_postage_data.set_plan(f"{_name}Exact", beside(exact_by_order, "id", f"postage_{snake_case(_name)}"))

order_totals.set_plan("taxPercentages", relation(tax_percentages_by_order, "id", WITH_PARENT))

bindables = [query, order, order_totals, order_payment_data, order_postage_data, page_type("OrderResponse")]
