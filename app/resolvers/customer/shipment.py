"""Shipments on the customer surface, for GraphQL and REST alike."""

from collections.abc import Sequence
from typing import Any

import sql
from app.context import Context, Info
from app.errors import (
    CustomerShipmentNotFound,
    InvalidCursor,
    InvalidOrderId,
    InvalidPagination,
    InvalidShipmentId,
    MissingId,
)
from app.resolvers.customer.connection import listed, nested
from app.resolvers.customer.connection_type import connection_types
from app.resolvers.customer.identifier import as_key, number_of
from app.resolvers.customer.listing import Connection
from app.resolvers.customer.order import find_order
from app.resolvers.field_plan import WITH_PARENT, PlannedType, lookahead, relation
from app.resolvers.query import GuardedQuery, of_customer
from loaders import customer_shipment_item
from loaders.customer_order_address import first_billing_address_by_order, first_shipping_address_by_order
from loaders.rows import Row
from loaders.selection import RowSelection

SQL = sql.load("customer_shipment")

query = GuardedQuery()
shipment = PlannedType("CustomerOrderShipment")


async def find_shipment(context: Context, number: int, selection: RowSelection | None = None) -> Row:
    """A shipment of the customer's own orders, with what `selection` says.

    Raises `CustomerShipmentNotFound`, `CustomerNotLoggedIn`.
    """
    context.customer()
    rows, _ = await context.fetch_joined(SQL.by_number, selection, number=as_key(number))
    if not rows:
        raise CustomerShipmentNotFound(number)
    return rows[0]


async def shipment_page(
    context: Context, order: int | None, status: str | None, *, selection: RowSelection, limit: int, skip: int
) -> tuple[Sequence[Row], int]:
    """Shipments of the customer's own orders, or of one of them, from the `skip`th on, newest first, and their number.

    They come with what `selection` says. An order that is not the customer's has none. Raises `CustomerNotLoggedIn`.
    """
    context.customer()
    filters, values = _filters(status)
    if order is not None:
        filters |= {"order_id"}
        values["order_id"] = as_key(order)
    rows, count = await context.fetch_joined(
        SQL.page, selection, filters=filters, order=("ID DESC",), count=SQL.count, limit=limit, skip=skip, **values
    )
    return rows, count or 0


def _filters(status: str | None) -> tuple[frozenset[str], dict[str, Any]]:
    """Both spellings of the one word are understood (C-26)."""
    if status is None:
        return frozenset(), {}
    return frozenset({"status"}), {"status": "cancelled" if status == "canceled" else status}


@query.field("customerOrderShipment", of_customer)
async def resolve_customer_order_shipment(_root: None, info: Info, id: str) -> Row:
    """Raises `CustomerShipmentNotFound`; `MissingId` and `InvalidShipmentId` for what is no id (C-16)."""
    if not id.strip():
        raise MissingId("Customer shipment ID is required")
    # The shop API calls them by the second name.
    number = number_of(id, "shipments", "customer-order-shipments")
    if not number:
        raise InvalidShipmentId("Invalid shipment ID provided.")
    return await find_shipment(info.context, number, lookahead(info))


@query.field("customerOrderShipments", of_customer)
async def resolve_customer_order_shipments(
    _root: None, info: Info, orderId: int, status: str | None = None, **page: Any
) -> Connection:
    """Raises `CustomerOrderNotFound`; `InvalidOrderId` for a number that is no id (C-13)."""
    if orderId < 1:
        raise InvalidOrderId("Invalid order ID provided.")
    filters, values = _filters(status)
    bound = (orderId, *values.values())
    filters, values = filters | {"order_id"}, {**values, "order_id": orderId}
    try:
        connection = await listed(info, SQL, "customerOrderShipments", bound, filters, values, page)
    except (InvalidPagination, InvalidCursor):
        await find_order(info.context, orderId)
        raise
    # Where there is a shipment there is its order.
    if not connection.rows and not connection.total:
        await find_order(info.context, orderId)
    return connection


shipment.set_plan("items", nested("CustomerOrderShipment.items", customer_shipment_item, "shipment_id"))
shipment.set_plan("shippingAddress", relation(first_shipping_address_by_order, "order_id", WITH_PARENT))
shipment.set_plan("billingAddress", relation(first_billing_address_by_order, "order_id", WITH_PARENT))

bindables = [query, shipment, *connection_types("CustomerOrderShipment")]
