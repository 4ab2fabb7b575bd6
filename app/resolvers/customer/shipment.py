"""Shipments on the customer surface, for GraphQL and REST alike."""

from typing import Any

from ariadne import ObjectType, QueryType

import sql
from app.context import Context, Info
from app.errors import CustomerShipmentNotFound, InvalidOrderId, InvalidShipmentId, MissingId
from app.resolvers.customer.connection import Connection, connection_types, nested
from app.resolvers.customer.identifier import as_key, number_of
from app.resolvers.customer.order import find_order
from loaders import customer_shipment, customer_shipment_item
from loaders.batch import Row
from loaders.customer_order_address import first_addresses_by_order

SQL = sql.load("customer_shipment")

query = QueryType()
shipment = ObjectType("CustomerOrderShipment")


async def find_shipment(context: Context, number: int) -> Row:
    """A shipment of the customer's own orders. Raises `CustomerShipmentNotFound`, `CustomerNotLoggedIn`."""
    context.customer()
    rows = await context.fetch(SQL.by_number, number=as_key(number))
    if not rows:
        raise CustomerShipmentNotFound(number)
    return rows[0]


async def shipment_page(
    context: Context, order: int | None, status: str | None, *, limit: int, skip: int
) -> tuple[list[Row], int]:
    """Shipments of the customer's own orders, or of one of them, from the `skip`th on, newest first, and their number.

    An order that is not the customer's has none. Raises `CustomerNotLoggedIn`.
    """
    context.customer()
    filters, values = _filters(status)
    if order is not None:
        filters |= {"order_id"}
        values["order_id"] = as_key(order)
    rows = await context.fetch(SQL.page, filters=filters, order=("ID DESC",), limit=limit, skip=skip, **values)
    [count] = await context.fetch(SQL.count, filters=filters, **values)
    return rows, count["total"]


def _filters(status: str | None) -> tuple[frozenset[str], dict[str, Any]]:
    """Both spellings of the one word are understood (C-26)."""
    if status is None:
        return frozenset(), {}
    return frozenset({"status"}), {"status": "cancelled" if status == "canceled" else status}


@query.field("customerOrderShipment")
async def resolve_customer_order_shipment(_root: None, info: Info, id: str) -> Row:
    """Raises `CustomerShipmentNotFound`; `MissingId` and `InvalidShipmentId` for what is no id (C-16)."""
    info.context.customer()
    if not id.strip():
        raise MissingId("Customer shipment ID is required")
    # The shop API calls them by the second name.
    number = number_of(id, "shipments", "customer-order-shipments")
    if not number:
        raise InvalidShipmentId("Invalid shipment ID provided.")
    return await find_shipment(info.context, number)


@query.field("customerOrderShipments")
async def resolve_customer_order_shipments(
    _root: None, info: Info, orderId: int, status: str | None = None, **page: Any
) -> Connection:
    """Raises `CustomerOrderNotFound`; `InvalidOrderId` for a number that is no id (C-13)."""
    info.context.customer()
    if orderId < 1:
        raise InvalidOrderId("Invalid order ID provided.")
    await find_order(info.context, orderId)
    filters, values = _filters(status)
    listing = nested(
        info.context,
        "customerOrderShipments",
        orderId,
        customer_shipment,
        descending=True,
        filters=filters,
        **values,
    )
    return Connection(listing, info.context.largest_page, **page)


@shipment.field("items")
def resolve_customer_order_shipment_items(row: Row, info: Info, **page: Any) -> Connection:
    listing = nested(info.context, "CustomerOrderShipment.items", row["shipment_id"], customer_shipment_item)
    return Connection(listing, info.context.largest_page, **page)


@shipment.field("shippingAddress")
async def resolve_customer_order_shipment_shipping_address(row: Row, info: Info) -> Row | None:
    return await _address(info, row, "shipping")


@shipment.field("billingAddress")
async def resolve_customer_order_shipment_billing_address(row: Row, info: Info) -> Row | None:
    return await _address(info, row, "billing")


async def _address(info: Info, row: Row, kind: str) -> Row | None:
    addresses = await info.context.load(first_addresses_by_order, row["order_id"])
    return next((address for address in addresses if address["address_type"] == kind), None)


bindables = [query, shipment, *connection_types("CustomerOrderShipment")]
