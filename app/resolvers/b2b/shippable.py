"""How many units of an order's lines a shipment may take (B-50, B-51)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

import sql
from app.context import Context
from app.errors import OrderItemNotFound, ValidationError
from app.resolvers.b2b.argument import as_external_id, as_text
from app.rules import SHIPPABLE

SQL = sql.load("order_item")

CANCELED = "CANCELED"
# Delivered and canceled shipments are closed for items (decision 22).
CLOSED = ("DELIVERED", CANCELED)


def require_shippable(order_id: int, status: str, is_shippable: bool, path: str) -> None:
    """Of an order in `status`, which says whether it can be shipped (decision 22). Raises `ValidationError`."""
    if not is_shippable:
        raise ValidationError(path, f"must be of an order that can be shipped: order {order_id} is {status}")


def require_open(shipment: Any, path: str) -> None:
    """`shipment` is a row. Raises `ValidationError`."""
    if shipment["status"] in CLOSED:
        rule = f"must be of an open shipment: {shipment['id']} is {shipment['status']}, and closed for items"
        raise ValidationError(path, rule)


class OrderLines:
    """Lines of one order, locked: until the request is done nobody else takes of what is left of them.

    Where `is_canceled` they are for a canceled shipment. What that holds does not count as shipped, so it may hold as
    many as were ordered.
    """

    def __init__(self, rows: Sequence[Any], *, is_canceled: bool) -> None:
        self._rows = {row["id"]: row for row in rows}
        self._left = {row["id"]: max(0, row["quantity"] - row["quantity_shipped"]) for row in rows}
        self._is_canceled = is_canceled

    @classmethod
    async def lock(
        cls, context: Context, order_id: int, channel_id: int, ids: Collection[int], *, is_canceled: bool
    ) -> Self:
        """Those of `ids` that are lines of the order."""
        if not ids:
            return cls([], is_canceled=is_canceled)
        rows = await context.fetch(SQL.lock, ids=list(ids), order_id=order_id, channel_id=channel_id)
        return cls(rows, is_canceled=is_canceled)

    @classmethod
    async def lock_for(cls, context: Context, shipment: Any, ids: Collection[int]) -> Self:
        """Those of `ids` that are lines of the order of `shipment`, a row."""
        is_canceled = shipment["status"] == CANCELED
        return await cls.lock(context, shipment["order_id"], shipment["channel_id"], ids, is_canceled=is_canceled)

    def item(self, input: Mapping[str, Any], path: str) -> dict[str, Any]:
        """The columns of a new item; what `input` leaves out comes from its order line (B-51), which `namedBy` names.

        Raises `OrderItemNotFound` or `ValidationError`.
        """
        line = self.goods(input["orderItemId"], f"{path}.{input.get('namedBy', 'orderItemId')}")
        given = {field: input[field] for field in ("name", "sku") if input.get(field) is not None}
        return {
            "order_item_id": line["id"],
            "quantity": self.take(line["id"], input.get("quantity"), f"{path}.quantity"),
            "name": line["name"],
            "sku": line["sku"],
            "external_id": as_external_id(input, path),
            **{field: as_text(text, f"{path}.{field}") for field, text in given.items()},
        }

    def line(self, line_id: int, path: str) -> Any:
        """The row of a line. Raises `OrderItemNotFound`."""
        row = self._rows.get(line_id)
        if row is None:
            raise OrderItemNotFound(line_id, path)
        return row

    def goods(self, line_id: int, path: str) -> Any:
        """The row of a line that is shipped itself (decision 21). Raises `OrderItemNotFound` or `ValidationError`."""
        row = self.line(line_id, path)
        if row["class"] not in SHIPPABLE:
            raise ValidationError(path, f"must be a line of goods: order line {line_id} is of class {row['class']}")
        if row["is_bundle"]:
            raise ValidationError(path, f"must be a line without parts: ship the parts of order line {line_id}")
        return row

    def give_back(self, line_id: int, quantity: int) -> None:
        """Units that are shipped already and are about to be taken anew."""
        self._left[line_id] += quantity

    def take(self, line_id: int, quantity: int | None, path: str) -> int:
        """`quantity` units of a line of ours, or all that are left of it. Raises `ValidationError`."""
        if quantity is not None and quantity < 1:
            raise ValidationError(path, "must be at least 1")
        most = self._rows[line_id]["quantity"] if self._is_canceled else self._left[line_id]
        wanted = self._left[line_id] if quantity is None else quantity
        if not (wanted and most):
            raise ValidationError(path, f"has no quantity left to ship: all of order line {line_id} is shipped")
        if wanted > most:
            raise ValidationError(path, f"must be at most {most}, which is what is left of order line {line_id}")
        if not self._is_canceled:
            self._left[line_id] -= wanted
        return wanted
