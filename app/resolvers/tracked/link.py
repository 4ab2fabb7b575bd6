"""Links to the page of an order: for partners and staff, and for who knows its number and its postal code or e-mail."""

from typing import Any

from ariadne import MutationType, ObjectType

from app.auth.linked_order import FIRST_GENERATION, LinkedOrder
from app.auth.viewer import Kind
from app.context import Info
from loaders.rows import Row
from loaders.tracked_order import link_by_order

mutation = MutationType()
order = ObjectType("Order")
link = ObjectType("OrderLink")

link.set_field("token", lambda token, _info: token)


@mutation.field("orderLinkRequest")
async def resolve_order_link_request(_root: None, info: Info, input: dict[str, Any]) -> str:
    """Of strangers, too. Raises `OrderLinkRefused` and `TooManyAttempts`."""
    context = info.context
    number, secret = input["orderNumber"].strip(), input["postalCodeOrEmail"].strip()
    return await context.order_links.request(input["channel"], number, secret, context.address)


@order.field("trackingPageUrl")
async def resolve_order_tracking_page_url(row: Row, info: Info) -> str | None:
    """For whoever may give it on to the customer."""
    if info.context.viewer.kind not in (Kind.STAFF, Kind.PARTNER):
        return None
    known = await info.context.load(link_by_order, row["id"])
    generation = FIRST_GENERATION if known is None else known["generation"]
    return info.context.order_links.url(LinkedOrder(row["channel_id"], row["id"], generation))


bindables = [mutation, order, link]
