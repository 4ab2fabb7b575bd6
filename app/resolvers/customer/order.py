"""Orders on the customer surface, for GraphQL and REST alike."""

from collections.abc import Sequence
from typing import Any

import sql
from app.context import Context, Info
from app.errors import CustomerOrderNotFound, InvalidOrderId, MissingId
from app.resolvers.customer.connection import listed, nested
from app.resolvers.customer.connection_type import connection_types
from app.resolvers.customer.identifier import as_key, number_of
from app.resolvers.customer.listing import Connection
from app.resolvers.field_plan import WITH_PARENT, PlannedType, beside, computed, lookahead, relation
from app.resolvers.fulfillment import progress
from app.resolvers.query import GuardedQuery, of_customer
from loaders import customer_order_address, customer_order_item, customer_shipment
from loaders.order import exact_by_order, money_by_order
from loaders.refund import refunds_of_customer_by_order
from loaders.rows import Row
from loaders.selection import RowSelection

SQL = sql.load("customer_order")

query = GuardedQuery()
order = PlannedType("CustomerOrder")

# Rows with all their columns, and nothing that hangs on them.
_ALONE = RowSelection(None)


async def find_order(context: Context, number: int, selection: RowSelection | None = None) -> Row:
    """The customer's own order, with what `selection` says. Raises `CustomerOrderNotFound`, `CustomerNotLoggedIn`."""
    context.customer()
    rows, _ = await context.fetch_joined(SQL.by_id, selection, id=as_key(number))
    if not rows:
        raise CustomerOrderNotFound(number)
    return rows[0]


async def order_page(context: Context, status: str | None, *, limit: int, skip: int) -> tuple[Sequence[Row], int]:
    """The customer's orders from the `skip`th on, newest first, and their number. Raises `CustomerNotLoggedIn`."""
    context.customer()
    filters, values = _filters(status)
    rows, count = await context.fetch_joined(
        SQL.page, _ALONE, filters=filters, order=("ID DESC",), count=SQL.count, limit=limit, skip=skip, **values
    )
    return rows, count or 0


def _filters(status: str | None) -> tuple[frozenset[str], dict[str, Any]]:
    return (frozenset(), {}) if status is None else (frozenset({"status"}), {"status": status})


def order_number(id: str) -> int:
    """The number of an order by its IRI. Raises `MissingId` and `InvalidOrderId` for what is no id (C-14)."""
    if not id.strip():
        raise MissingId("Customer order ID is required")
    number = number_of(id, "customer-orders")
    if number is None:
        raise InvalidOrderId('Invalid ID format. Expected IRI format like "/api/shop/customer-orders/1" or numeric ID')
    return number


@query.field("customerOrder", of_customer)
async def resolve_customer_order(_root: None, info: Info, id: str) -> Row:
    """Raises `CustomerOrderNotFound`, and what `order_number` raises."""
    return await find_order(info.context, order_number(id), lookahead(info))


@query.field("customerOrders", of_customer)
async def resolve_customer_orders(_root: None, info: Info, status: str | None = None, **page: Any) -> Connection:
    filters, values = _filters(status)
    return await listed(info, SQL, "customerOrders", (status,), filters, values, page)


order.set_plan("items", nested("CustomerOrder.items", customer_order_item, "key"))
order.set_plan("addresses", nested("CustomerOrder.addresses", customer_order_address, "key"))
order.set_plan("progress", progress("key"))
order.set_plan("shipments", nested("CustomerOrder.shipments", customer_shipment, "key"))
order.set_plan("refunds", relation(refunds_of_customer_by_order, "key", WITH_PARENT))
order.set_plan("paymentMethod", computed(lambda method: method or None, "payment_method"))

# Fields of the customer surface by the columns of what is read beside the order.
for _field, _column in {
    "grandTotal": "net",
    "grandTotalInvoiced": "invoiced",
    "grandTotalRefunded": "refunded",
    "subTotal": "sub_total",
    "taxAmount": "tax",
    "discountAmount": "discount",
    "shippingAmount": "postage_gross",
}.items():
    order.set_plan(f"{_field}Exact", beside(exact_by_order, "key", _column))
    _base = f"base{_field[0].upper()}{_field[1:]}"
    order.set_plan(f"{_base}Exact", beside(exact_by_order, "key", f"base_{_column}"))
for _field, _column in {"grandTotal": "net", "grandTotalRefunded": "refunded"}.items():
    order.set_plan(f"{_field}Money", relation(money_by_order(_column), "key", WITH_PARENT))
    _base = f"base{_field[0].upper()}{_field[1:]}"
    order.set_plan(f"{_base}Money", relation(money_by_order(f"base_{_column}"), "key", WITH_PARENT))

bindables = [query, order, *connection_types("CustomerOrder")]
