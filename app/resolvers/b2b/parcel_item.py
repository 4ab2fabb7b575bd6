"""Which goods of a shipment are in which of its parcels, read and written."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import sql
from app.context import Context
from app.errors import OrderItemNotFound, ShipmentItemNotFound, ValidationError
from app.resolvers.b2b.argument import as_uuid
from app.resolvers.field_plan import WITH_PARENT, PlannedType, relation
from loaders.parcel_item import parcel_items_by_track_and_trace

SQL = sql.load("parcel_item")

track_and_trace = PlannedType("TrackAndTrace")

# What is in one parcel: the inputs, and the path of the argument that holds them.
Contents = tuple[Sequence[Mapping[str, Any]], str]


async def pack(context: Context, shipment: Any, parcels: Mapping[UUID, Contents]) -> None:
    """Has these codes of a locked shipment hold what is said of them, and nothing else.

    Raises `ShipmentItemNotFound`, `OrderItemNotFound` or `ValidationError`.
    """
    await context.fetch(SQL.unpack, track_and_trace_ids=list(parcels))
    if not any(inputs for inputs, _path in parcels.values()):
        return
    key = {"shipment_id": shipment["id"], "channel_id": shipment["channel_id"]}
    left = _Left(await context.fetch(SQL.unpacked, **key))
    packed = [(code_id, *item) for code_id, (inputs, path) in parcels.items() for item in _items_of(inputs, path, left)]
    code_ids, item_ids, quantities = zip(*packed, strict=True)
    await context.fetch(
        SQL.pack,
        channel_id=shipment["channel_id"],
        track_and_trace_ids=code_ids,
        shipment_item_ids=item_ids,
        quantities=quantities,
    )


class _Left:
    """The items of a shipment, and how many of each are in no parcel yet."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self._quantities = {row["id"]: row["quantity"] for row in rows}
        self._by_line: dict[int, list[UUID]] = {}
        for row in rows:
            self._by_line.setdefault(row["order_item_id"], []).append(row["id"])

    def items(self, input: Mapping[str, Any], path: str) -> Sequence[UUID]:
        """Those of an order line may be several. Raises `ShipmentItemNotFound`, `OrderItemNotFound` or
        `ValidationError`.
        """
        text, line = input.get("shipmentItemId"), input.get("orderItemId")
        if (text is None) == (line is None):
            raise ValidationError(path, "must have exactly one of shipmentItemId and orderItemId")
        if text is not None:
            key = as_uuid(text)
            if key is None or key not in self._quantities:
                raise ShipmentItemNotFound(text, f"{path}.shipmentItemId")
            return [key]
        keys = self._by_line.get(line or 0, [])
        if not keys:
            raise OrderItemNotFound(line, f"{path}.orderItemId")
        return keys

    def take(self, keys: Sequence[UUID], quantity: int | None, path: str) -> Iterator[tuple[UUID, int]]:
        """How many of which, the first ones first; all that are left without a quantity. Raises `ValidationError`."""
        if quantity is not None and quantity < 1:
            raise ValidationError(path, "must be at least 1")
        unbounded = next((key for key in keys if self._quantities[key] is None), None)
        if unbounded is not None:
            if quantity is None:
                raise ValidationError(path, "must be at least 1")
            yield unbounded, quantity
            return
        left = sum(self._quantities[key] for key in keys)
        wanted = left if quantity is None else quantity
        if wanted > left or not left:
            raise ValidationError(path, f"must be at most {left}, which is what of the item is in no other parcel")
        for key in keys:
            if taken := min(wanted, self._quantities[key]):
                self._quantities[key] -= taken
                wanted -= taken
                yield key, taken


def _items_of(inputs: Sequence[Mapping[str, Any]], path: str, left: _Left) -> Iterable[tuple[UUID, int]]:
    """What is listed several times is the sum of that. Raises what `_Left.items` raises."""
    held: Counter[UUID] = Counter()
    for place, given in enumerate(inputs):
        here = f"{path}.{place}"
        for key, quantity in left.take(left.items(given, here), given.get("quantity"), f"{here}.quantity"):
            held[key] += quantity
    return held.items()


track_and_trace.set_plan("items", relation(parcel_items_by_track_and_trace, "id", WITH_PARENT))

bindables = [track_and_trace]
