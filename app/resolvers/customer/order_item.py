"""Order lines on the customer surface."""

from app.resolvers.customer.connection_type import connection_types
from app.resolvers.field_plan import WITH_PARENT, PlannedType, beside, relation
from loaders.order_item import exact_by_order_item, money_by_order_item

order_item = PlannedType("CustomerOrderItem")

for _field, _column in {
    "price": "price",
    "basePrice": "base_price",
    "total": "price_total",
    "baseTotal": "base_total",
    "taxPercent": "tax_percentage",
    "taxAmount": "tax",
}.items():
    order_item.set_plan(f"{_field}Exact", beside(exact_by_order_item, "key", _column))
order_item.set_plan("totalMoney", relation(money_by_order_item("price_total"), "key", WITH_PARENT))

bindables = [order_item, *connection_types("OrderItem")]
