"""Order lines on the B2B surface."""

from app.resolvers.field_plan import WITH_PARENT, Beside, PlannedType, beside, computed, relation
from app.resolvers.names import snake_case
from loaders.order_item import exact_by_order_item, fulfillment_by_order_item, money_by_order_item
from loaders.source import sources_by_order_item

order_item = PlannedType("OrderItem")


def _quantity(done: int | None) -> int:
    """Nothing is recorded of a line of which nothing was shipped yet."""
    return done or 0


def _quantity_remaining(ordered: int, shipped: int | None) -> int:
    """Never negative: a store that was filled by other means may hold more shipped than ordered."""
    return max(0, ordered - _quantity(shipped))


_shipped = Beside(fulfillment_by_order_item, "id", ("shipped",))
_delivered = Beside(fulfillment_by_order_item, "id", ("delivered",))

order_item.set_plan("sources", relation(sources_by_order_item, "id", WITH_PARENT))
order_item.set_plan("quantityShipped", computed(_quantity, beside=_shipped))
order_item.set_plan("quantityDelivered", computed(_quantity, beside=_delivered))
order_item.set_plan("quantityRemaining", computed(_quantity_remaining, "quantity", beside=_shipped))

for _name in (
    *("originalPrice", "price", "priceTotal", "priceNet", "priceTotalNet", "customerPrice", "costPrice", "discount"),
    *("tax", "taxPercentage", "refunded"),
):
    order_item.set_plan(f"{_name}Exact", beside(exact_by_order_item, "id", snake_case(_name)))
for _name in ("price", "priceTotal", "priceTotalNet", "tax"):
    order_item.set_plan(f"{_name}Money", relation(money_by_order_item(snake_case(_name)), "id", WITH_PARENT))

bindables = [order_item]
