"""How far an order is fulfilled, for both surfaces: made of what is ordered, shipped and delivered of its lines."""

from typing import Any

from app.execution.field_plan import ComputedPlan
from app.resolvers.field_plan import Beside, computed
from loaders.order import fulfillment_by_order

_COLUMNS = ("is_canceled", "is_partially_delivered", "lines", "canceled", "ordered", "shipped", "delivered")


def fulfillment_status(key: str) -> ComputedPlan:
    """The word of `FulfillmentStatus` for the order whose id is the column `key`."""
    return computed(_status, beside=Beside(fulfillment_by_order, key, _COLUMNS))


def progress(key: str) -> ComputedPlan:
    """The same word as customers read it: `partially_shipped`."""
    return computed(_progress, beside=Beside(fulfillment_by_order, key, _COLUMNS))


def _progress(*columns: Any) -> str:
    return _status(*columns).lower()


def _status(
    is_canceled: bool | None,
    is_partially_delivered: bool,
    lines: int,
    canceled: int,
    ordered: int,
    shipped: int,
    delivered: int,
) -> str:
    """Where nothing is to be shipped, nothing is open: all of it was canceled, or there never was any (decision 21)."""
    if is_canceled or (canceled and not ordered):
        return "CANCELED"
    if lines and delivered == ordered:
        return "DELIVERED"
    if delivered or is_partially_delivered:
        return "PARTIALLY_DELIVERED"
    if shipped:
        return "SHIPPED" if shipped == ordered else "PARTIALLY_SHIPPED"
    return "UNFULFILLED"
