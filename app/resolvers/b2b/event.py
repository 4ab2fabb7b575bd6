"""Following shipments and orders as they change."""

from typing import Any

from app.auth.viewer import Kind
from app.context import Context, Info
from app.errors import Forbidden
from app.resolvers.b2b.argument import as_uuid_text
from app.resolvers.feed import Event, GuardedSubscription, Watch, subject_of
from app.resolvers.field_plan import lookahead
from loaders.order import order_by_id
from loaders.shipment import shipment_by_id

subscription = GuardedSubscription()


def following(context: Context) -> None:
    """For staff, partners and contacts who may read what events tell. Raises `NotAuthenticated` and `Forbidden`."""
    for permission in ("orders:read", "shipments:read"):
        context.require(permission)
    if context.viewer.kind is Kind.CUSTOMER:
        raise Forbidden("Customers follow their orders by customerOrderChanges.")


def _set(values: Any) -> Any:
    return None if values is None else frozenset(values)


@subscription.watched("shipmentChanges", following)
async def watch_shipments(_context: Context, input: dict[str, Any] | None = None) -> Watch:
    given = input or {}
    ids = given.get("shipmentIds")
    return Watch(
        "shipment_id",
        types=_set(given.get("types")),
        order_ids=_set(given.get("orderIds")),
        shipment_ids=_set(None if ids is None else filter(None, map(as_uuid_text, ids))),
        company_ids=_set(given.get("companyIds")),
        statuses=_set(given.get("statuses")),
    )


@subscription.watched("orderChanges", following)
async def watch_orders(_context: Context, input: dict[str, Any] | None = None) -> Watch:
    given = input or {}
    return Watch(
        "order_id",
        types=_set(given.get("types")),
        order_ids=_set(given.get("orderIds")),
        company_ids=_set(given.get("companyIds")),
        statuses=_set(given.get("statuses")),
    )


@subscription.field("shipmentChanges")
async def resolve_shipment_event(event: Event, info: Info, **_arguments: Any) -> Event:
    key = subject_of(event, "shipment_id")
    row = None if key is None else await info.context.fetch_one(shipment_by_id, lookahead(info, "shipment"), key)
    return {**event, "shipment": row}


@subscription.field("orderChanges")
async def resolve_order_event(event: Event, info: Info, **_arguments: Any) -> Event:
    key = subject_of(event, "order_id")
    row = None if key is None else await info.context.fetch_one(order_by_id, lookahead(info, "order"), key)
    return {**event, "order": row}


bindables = [subscription]
