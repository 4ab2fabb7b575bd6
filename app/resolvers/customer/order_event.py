"""Following an order of a customer."""

from typing import Any

from app.context import Context, Info
from app.errors import CustomerOrderNotFound
from app.resolvers.customer.order import find_order, order_number
from app.resolvers.feed import Event, GuardedSubscription, Watch, subject_of
from app.resolvers.field_plan import lookahead
from app.resolvers.query import of_customer

subscription = GuardedSubscription()


@subscription.watched("customerOrderChanges", of_customer)
async def watch_order(context: Context, id: str) -> Watch:
    """Raises `CustomerOrderNotFound`, `MissingId` and `InvalidOrderId`."""
    number = order_number(id)
    await find_order(context, number)
    return Watch("order_id", order_ids=frozenset({number}))


@subscription.field("customerOrderChanges")
async def resolve_order_event(event: Event, info: Info, **_arguments: Any) -> Event:
    key, change, row = subject_of(event, "order_id"), event["change"], None
    if key is not None:
        try:
            row = await find_order(info.context, key, lookahead(info, "customerOrder"))
        except CustomerOrderNotFound:  # by now
            row = None
    return {
        **event,
        "occurred_at": event["occurred_at"].isoformat(timespec="seconds"),  # as this surface writes moments (C-30)
        "change_type": None if change is None else change["type"],
        "customer_order": row,
    }


bindables = [subscription]
