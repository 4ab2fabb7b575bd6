"""Orders on the B2B surface."""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from ariadne import ObjectType, QueryType

import sql
from app.auth.viewer import Kind, Viewer
from app.context import Info
from app.errors import Forbidden, OrderNotFound, ValidationError
from app.resolvers.b2b.argument import as_uuid
from app.resolvers.b2b.page import Page, page_type, search
from app.resolvers.names import snake_case
from loaders.order import fulfillment_by_order, tax_percentages_by_order
from loaders.order_item import order_items_by_order
from loaders.order_status import order_status_by_code
from loaders.shipment import shipments_by_order
from loaders.source import sources_by_order

if TYPE_CHECKING:
    from graphql import GraphQLEnumType

SQL = sql.load("order")

query = QueryType()
order = ObjectType("Order")

# What LIKE would read as a pattern.
_WILDCARD = re.compile(r"([\\%_])")
_ESCAPED = r"\\\1"


@query.field("order")
async def resolve_order(
    _root: None,
    info: Info,
    orderId: int | None = None,
    orderUUID: str | None = None,
) -> Any:
    """Raises `OrderNotFound`; `ValidationError` unless exactly one key is given (B-21)."""
    info.context.require("orders:read")
    if (orderId is None) == (orderUUID is None):
        raise ValidationError("orderId", "and orderUUID exclude each other; exactly one of the two is required")
    if orderUUID is None:
        rows = await info.context.fetch(SQL.by_id, id=orderId)
    else:
        key = as_uuid(orderUUID)
        rows = await info.context.fetch(SQL.by_uuid, uuid=key) if key else []
    if not rows:
        raise OrderNotFound(orderId if orderUUID is None else orderUUID)
    return rows[0]


@query.field("orders")
def resolve_orders(_root: None, info: Info, input: dict[str, Any] | None = None) -> Page:
    """Raises `Forbidden` where a viewer without a role asks for other users or companies than its own (B-8)."""
    _refuse_foreign(info.context.require("orders:read"), input or {})
    arguments = {field: value for field, value in (input or {}).items() if field != "termFields"}
    term_fields = (input or {}).get("termFields")
    if term_fields is None:
        term_fields = list(cast("GraphQLEnumType", info.schema.type_map["OrderSearchFields"]).values)
    return search(
        info.context,
        SQL,
        arguments,
        sources=_sources("source"),
        company_sources=_sources("company_source"),
        term=lambda text: {
            "term": f"%{_WILDCARD.sub(_ESCAPED, text)}%",
            "term_fields": term_fields,
        },
    )


def _refuse_foreign(viewer: Viewer, arguments: dict[str, Any]) -> None:
    if viewer.kind not in (Kind.CONTACT, Kind.CUSTOMER):
        return
    users, companies = arguments.get("userId"), arguments.get("companyIds")
    if users is not None and any(viewer.subject != f"{viewer.kind.value}:{user}" for user in users):
        raise Forbidden("input.userId may name yourself only.")
    if companies is not None and not set(companies) <= set(viewer.scope.company_ids):
        raise Forbidden("input.companyIds may name your own companies only.")


def _sources(prefix: str) -> Callable[[list[dict[str, str | None]]], dict[str, Any]]:
    """Pairs of id and name as two arrays of the same length."""
    return lambda sources: {
        f"{prefix}_ids": [source.get("id") for source in sources],
        f"{prefix}_names": [source.get("name") for source in sources],
    }


@order.field("orderStatus")
def resolve_order_order_status(row: Any, info: Info) -> Awaitable[Any]:
    return info.context.load(order_status_by_code, row["status"])


@order.field("items")
def resolve_order_items(row: Any, info: Info) -> Awaitable[Any]:
    return info.context.load(order_items_by_order, row["id"])


@order.field("shipments")
def resolve_order_shipments(row: Any, info: Info) -> Awaitable[Any]:
    info.context.require("shipments:read")
    return info.context.load(shipments_by_order, row["id"])


@order.field("sources")
def resolve_order_sources(row: Any, info: Info) -> Awaitable[Any]:
    return info.context.load(sources_by_order, row["id"])


@order.field("fulfillmentStatus")
async def resolve_order_fulfillment_status(row: Any, info: Info) -> str:
    fulfillment = await info.context.load(fulfillment_by_order, row["id"])
    ordered, shipped, delivered = fulfillment["ordered"], fulfillment["shipped"], fulfillment["delivered"]
    if fulfillment["is_canceled"]:
        return "CANCELED"
    if delivered and delivered == ordered:
        return "DELIVERED"
    if delivered or fulfillment["is_partially_delivered"]:
        return "PARTIALLY_DELIVERED"
    if shipped:
        return "SHIPPED" if shipped == ordered else "PARTIALLY_SHIPPED"
    return "UNFULFILLED"


@order.field("total")
@order.field("postageData")
@order.field("paymentData")
def resolve_order_part(row: Any, _info: Info) -> Any:
    """A part of the order's own row; its columns bear the part's name before them."""
    return row


def _part(type_name: str, prefix: str, fields: Iterable[str]) -> ObjectType:
    part = ObjectType(type_name)
    for field in fields:
        part.set_field(field, _column(f"{prefix}_{snake_case(field)}"))
    return part


def _column(name: str) -> Callable[[Any, Info], Any]:
    return lambda row, _info: row[name]


order_totals = _part("OrderTotals", "total", ["gross", "net", "tax", "discountType", "discountValue"])
order_payment_data = _part(
    "OrderPaymentData",
    "payment",
    ["net", "gross", "tax", "taxPercentage", "method", "status", "statusDate", "accountingId", "overruled"],
)
order_postage_data = _part(
    "OrderPostageData",
    "postage",
    [
        *("net", "gross", "tax", "taxPercentage", "method", "requestDate", "carrier", "overruled"),
        *("partialDeliveryAllowed", "pickUpLocationId"),
    ],
)


@order_totals.field("taxPercentages")
def resolve_order_totals_tax_percentages(row: Any, info: Info) -> Awaitable[Any]:
    return info.context.load(tax_percentages_by_order, row["id"])


bindables = [query, order, order_totals, order_payment_data, order_postage_data, page_type("OrderResponse")]
