"""Order lines on the customer surface."""

from app.resolvers.customer.connection_type import connection_types
from app.resolvers.field_plan import WITH_PARENT, PlannedType, beside, relation
from loaders import customer_order_item

order_item = PlannedType("CustomerOrderItem")

for _field, _column in {
    "price": "price",
    "basePrice": "base_price",
    "total": "price_total",
    "baseTotal": "base_total",
    "taxPercent": "tax_percentage",
    "taxAmount": "tax",
}.items():
    order_item.set_plan(f"{_field}Exact", beside(customer_order_item.exact, "key", _column))
order_item.set_plan("totalMoney", relation(customer_order_item.total, "key", WITH_PARENT))

bindables = [order_item, *connection_types("OrderItem")]
