"""Orders on the customer surface, for GraphQL and REST alike."""

from typing import Any

from ariadne import ObjectType, QueryType

import sql
from app.context import Context, Info
from app.errors import CustomerOrderNotFound, InvalidOrderId, MissingId
from app.resolvers.customer.connection import Connection, Listing, connection_types, nested
from app.resolvers.customer.identifier import as_key, number_of
from loaders import customer_order_address, customer_order_item, customer_shipment
from loaders.batch import Row

SQL = sql.load("customer_order")

query = QueryType()
order = ObjectType("CustomerOrder")


async def find_order(context: Context, number: int) -> Row:
    """The customer's own order. Raises `CustomerOrderNotFound`, `CustomerNotLoggedIn`."""
    context.customer()
    rows = await context.fetch(SQL.by_id, id=as_key(number))
    if not rows:
        raise CustomerOrderNotFound(number)
    return rows[0]


async def order_page(context: Context, status: str | None, *, limit: int, skip: int) -> tuple[list[Row], int]:
    """The customer's orders from the `skip`th on, newest first, and their number. Raises `CustomerNotLoggedIn`."""
    context.customer()
    filters, values = _filters(status)
    rows = await context.fetch(SQL.page, filters=filters, order=("ID DESC",), limit=limit, skip=skip, **values)
    [count] = await context.fetch(SQL.count, filters=filters, **values)
    return rows, count["total"]


def _filters(status: str | None) -> tuple[frozenset[str], dict[str, str]]:
    return (frozenset(), {}) if status is None else (frozenset({"status"}), {"status": status})


@query.field("customerOrder")
async def resolve_customer_order(_root: None, info: Info, id: str) -> Row:
    """Raises `CustomerOrderNotFound`; `MissingId` and `InvalidOrderId` for what is no id (C-14)."""
    info.context.customer()
    if not id.strip():
        raise MissingId("Customer order ID is required")
    number = number_of(id, "customer-orders")
    if number is None:
        raise InvalidOrderId('Invalid ID format. Expected IRI format like "/api/shop/customer-orders/1" or numeric ID')
    return await find_order(info.context, number)


@query.field("customerOrders")
def resolve_customer_orders(_root: None, info: Info, status: str | None = None, **page: Any) -> Connection:
    context = info.context
    context.customer()
    filters, values = _filters(status)

    async def rows(**parameters: Any) -> list[Row]:
        return await context.fetch(SQL.page, skip=0, **parameters)

    async def count(**parameters: Any) -> Row:
        [row] = await context.fetch(SQL.count, **parameters)
        return row

    async def ends(**parameters: Any) -> Row:
        [row] = await context.fetch(SQL.ends, **parameters)
        return row

    listing = Listing(
        "customerOrders",
        (status,),
        rows,
        count,
        ends,
        descending=True,
        filters=filters,
        values=tuple(values.items()),
    )
    return Connection(listing, context.largest_page, **page)


@order.field("items")
def resolve_customer_order_items(row: Row, info: Info, **page: Any) -> Connection:
    listing = nested(info.context, "CustomerOrder.items", row["key"], customer_order_item)
    return Connection(listing, info.context.largest_page, **page)


@order.field("addresses")
def resolve_customer_order_addresses(row: Row, info: Info, **page: Any) -> Connection:
    listing = nested(info.context, "CustomerOrder.addresses", row["key"], customer_order_address)
    return Connection(listing, info.context.largest_page, **page)


@order.field("shipments")
def resolve_customer_order_shipments(row: Row, info: Info, **page: Any) -> Connection:
    listing = nested(info.context, "CustomerOrder.shipments", row["key"], customer_shipment)
    return Connection(listing, info.context.largest_page, **page)


bindables = [query, order, *connection_types("CustomerOrder")]
