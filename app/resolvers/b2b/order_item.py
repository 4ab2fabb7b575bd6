"""Order lines on the B2B surface."""

from app.resolvers.field_plan import WITH_PARENT, PlannedType, beside, relation
from app.resolvers.names import snake_case
from loaders.order_item import exact_by_order_item, money_by_order_item
from loaders.source import sources_by_order_item

order_item = PlannedType("OrderItem")

order_item.set_plan("sources", relation(sources_by_order_item, "id", WITH_PARENT))

for _name in (
    *("originalPrice", "price", "priceTotal", "priceNet", "priceTotalNet", "customerPrice", "costPrice", "discount"),
    *("tax", "taxPercentage", "refunded"),
):
    order_item.set_plan(f"{_name}Exact", beside(exact_by_order_item, "id", snake_case(_name)))
for _name in ("price", "priceTotal", "priceTotalNet", "tax"):
    order_item.set_plan(f"{_name}Money", relation(money_by_order_item(snake_case(_name)), "id", WITH_PARENT))

bindables = [order_item]
