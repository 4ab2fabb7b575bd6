"""Order lines that a mutation names by the key of another system, or does not name at all."""

from collections.abc import Mapping
from typing import Any

import sql
from app.context import Context
from app.errors import OrderItemNotFound, ValidationError

SQL = sql.load("order_item")

Item = Mapping[str, Any]


async def name_lines(context: Context, order_id: int, channel_id: int, items: Mapping[str, Item]) -> list[Item]:
    """`items`, inputs by their paths, each with the `orderItemId` of the line that its `lineId` or `sku` names.

    `namedBy` of each is the field that names the line. Of several lines of a sku it is the first that has so many units
    left. Raises `OrderItemNotFound`; `ValidationError` where an item names no line, or in two ways.
    """
    rows: list[Any] = []
    for path, item in items.items():
        _check_names(item, path)
    if any(item.get("orderItemId") is None for item in items.values()):
        rows = list(await context.fetch(SQL.keys_by_order_id, order_id=order_id, channel_id=channel_id))
    left = {row["id"]: row["quantity_left"] for row in rows}
    return [
        {**item, "orderItemId": _line_id(item, path, rows, left), "namedBy": _field(item)}
        for path, item in items.items()
    ]


async def lines_left(context: Context, order_id: int, channel_id: int) -> list[Item]:
    """An item for each line of an order of which something is left to ship. Raises `ValidationError` without any."""
    rows = await context.fetch(SQL.keys_by_order_id, order_id=order_id, channel_id=channel_id)
    items: list[Item] = [{"orderItemId": row["id"]} for row in rows if row["quantity_left"] > 0]
    if not items:
        raise ValidationError("input.items", "must be given: nothing of the order is left to ship")
    return items


def is_named_by_id(item: Item) -> bool:
    """Whether nothing has to be looked up, or refused, for the name of its line."""
    return item.get("orderItemId") is not None and item.get("lineId") is None


def _check_names(item: Item, path: str) -> None:
    by_id, by_key = (item.get(field) is not None for field in ("orderItemId", "lineId"))
    if by_id and by_key:
        raise ValidationError(f"{path}.lineId", "and orderItemId exclude each other")
    if not (by_id or by_key) and item.get("sku") is None:
        raise ValidationError(f"{path}.orderItemId", "must be given, or lineId, or the sku of the line")


def _field(item: Item) -> str:
    return next(field for field in ("orderItemId", "lineId", "sku") if item.get(field) is not None)


def _line_id(item: Item, path: str, rows: list[Any], left: dict[int, int]) -> int:
    line_id: int | None = item.get("orderItemId")
    if line_id is not None:
        return line_id
    field = _field(item)
    column = {"lineId": "line_id", "sku": "sku"}[field]
    named = [row["id"] for row in rows if row[column] == item[field]]
    if not named:
        raise OrderItemNotFound(item[field], f"{path}.{field}")
    wanted = item.get("quantity") or 1
    found: int = next((line_id for line_id in named if left[line_id] >= wanted), named[0])
    left[found] -= item.get("quantity") or left[found]
    return found
