"""Order addresses on the B2B surface."""

from typing import Any

import sql
from app.context import Info
from app.errors import OrderAddressNotFound, OrderNotFound
from app.resolvers.field_plan import WITH_PARENT, PlannedType, computed, relation
from app.resolvers.query import GuardedQuery, holding
from loaders.order_address import order_addresses_by_order

SQL = sql.load("order_address")
ORDER = sql.load("order")

query = GuardedQuery()
order = PlannedType("Order")
address = PlannedType("Address")


@query.field("orderAddress", holding("orders:read"))
async def resolve_order_address(_root: None, info: Info, id: int, orderId: int) -> Any:
    """Raises `OrderAddressNotFound`."""
    rows = await info.context.fetch(SQL.by_id, id=id, order_id=orderId)
    if not rows:
        raise OrderAddressNotFound(id)
    return rows[0]


@query.field("orderAddresses", holding("orders:read"))
async def resolve_order_addresses(
    _root: None,
    info: Info,
    orderId: int,
    type: str | None = None,
) -> Any:
    """Raises `OrderNotFound`."""
    if not await info.context.fetch(ORDER.by_id, id=orderId):
        raise OrderNotFound(orderId)
    return await _addresses(info, orderId, type)


order.set_plan("orderAddresses", relation(order_addresses_by_order, "id", WITH_PARENT))


@order.field("addresses")
async def resolve_order_addresses_of_type(
    row: Any,
    info: Info,
    type: str | None = None,
) -> Any:
    return await _addresses(info, row["id"], type)


async def _addresses(info: Info, order_id: int, kind: str | None) -> list[Any]:
    rows = await info.context.load(order_addresses_by_order, order_id)
    return [row for row in rows if kind is None or row["type"] == kind]


# An order's address is a copy of its own, never the default of an address book.
address.set_plan("isDefault", computed(lambda: "N"))
address.set_plan("active", computed(lambda: "Y"))

bindables = [query, order, address]
