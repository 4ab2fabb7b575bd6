"""Order lines on the B2B surface."""

from app.resolvers.field_plan import WITH_PARENT, PlannedType, relation
from loaders.source import sources_by_order_item

order_item = PlannedType("OrderItem")

order_item.set_plan("sources", relation(sources_by_order_item, "id", WITH_PARENT))

bindables = [order_item]
