"""What was paid back of orders, on the B2B surface."""

from app.resolvers.field_plan import WITH_PARENT, PlannedType, relation
from loaders.refund import refund_items_by_refund

refund = PlannedType("Refund")

refund.set_plan("items", relation(refund_items_by_refund, "id", WITH_PARENT))

bindables = [refund]
