"""Order lines on the B2B surface."""

from typing import Any

from ariadne import ObjectType

from app.context import Info
from app.resolvers.relation import relation
from loaders.order_item import fulfillment_by_order_item
from loaders.source import sources_by_order_item

order_item = ObjectType("OrderItem")


order_item.set_field("sources", relation(sources_by_order_item, "id"))


@order_item.field("quantityShipped")
async def resolve_order_item_quantity_shipped(row: Any, info: Info) -> int:
    fulfillment = await info.context.load(fulfillment_by_order_item, row["id"])
    return fulfillment["shipped"] if fulfillment else 0


@order_item.field("quantityDelivered")
async def resolve_order_item_quantity_delivered(row: Any, info: Info) -> int:
    fulfillment = await info.context.load(fulfillment_by_order_item, row["id"])
    return fulfillment["delivered"] if fulfillment else 0


@order_item.field("quantityRemaining")
async def resolve_order_item_quantity_remaining(row: Any, info: Info) -> int:
    """Never negative: a store that was filled by other means may hold more shipped than ordered."""
    remaining: int = row["quantity"] - await resolve_order_item_quantity_shipped(row, info)
    return max(0, remaining)


bindables = [order_item]
