"""Draws the parcels of an order: what goes into which, by which carrier, and how far each has come."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.demo.catalogue import CARRIERS, DELIVERED_BY
from app.demo.dice import Dice, Row, Tables

# The routes of parcels with their shares in a thousand; each step is one that the lifecycle allows.
_SENT = ("CREATED", "PROCESSING", "IN_TRANSIT")
_OUT = (*_SENT, "OUT_FOR_DELIVERY")
DIRECT = (*_OUT, "DELIVERED")
ROUTES = {
    DIRECT: 880,
    (*_OUT, "FAILED_DELIVERY", "OUT_FOR_DELIVERY", "DELIVERED"): 25,
    (*_OUT, "FAILED_DELIVERY"): 12,
    (*_SENT, "EXCEPTION", *_OUT[2:], "DELIVERED"): 20,
    (*_SENT, "EXCEPTION"): 10,
    (*_OUT, "PARTIALLY_DELIVERED", "OUT_FOR_DELIVERY", "DELIVERED"): 15,
    (*_OUT, "PARTIALLY_DELIVERED"): 10,
    ("CREATED", "PROCESSING", "CANCELED"): 28,
}

# How many hours a parcel stays in a status, at least and at most.
HOURS = {
    "CREATED": (1, 20),
    "PROCESSING": (1, 24),
    "IN_TRANSIT": (10, 60),
    "OUT_FOR_DELIVERY": (3, 30),
    "PARTIALLY_DELIVERED": (24, 96),
    "FAILED_DELIVERY": (20, 72),
    "EXCEPTION": (24, 120),
}

# Some goods have to be ordered from the supplier first.
_BACK_ORDER_HOURS = (300, 2_000)

_PATTERNS = {carrier.name: carrier.pattern for carrier in CARRIERS}


@dataclass(frozen=True, slots=True)
class Parcel:
    """`contents` gives the quantity by order line."""

    row: Row
    contents: dict[int, int]

    @property
    def status(self) -> str:
        return str(self.row["status"])


class Shipping:
    """Adds parcels to `tables`. `carrier_ids` are by name; `ids` yields fresh numbers by sequence."""

    def __init__(
        self,
        dice: Dice,
        carrier_ids: Mapping[str, int],
        ids: Mapping[str, Iterator[int]],
        until: datetime,
        tables: Tables,
    ) -> None:
        self.dice = dice
        self.carrier_ids = carrier_ids
        self.ids = ids
        self.until = until
        self.tables = tables

    def send(self, key: Row, country: str, lines: list[Row], placed: datetime) -> list[Parcel]:
        """The parcels that left before `until`; what would leave later is still to be shipped."""
        dice = self.dice
        sent = placed + dice.hours(2, 48)
        parcels = []
        for contents in self._split(lines):
            if sent < self.until:
                parcel = self._parcel(key, country, lines, contents, sent, dice.pick(ROUTES))
                parcels.append(parcel)
                again = parcel.row["last_modified_at"] + dice.hours(1, 8)
                if parcel.status == "CANCELED" and again < self.until:
                    parcels.append(self._parcel(key, country, lines, contents, again, DIRECT))
            sent += dice.hours(20, 140) if dice.random() < 0.85 else dice.hours(*_BACK_ORDER_HOURS)
        return parcels

    def _split(self, lines: list[Row]) -> list[dict[int, int]]:
        """Distributes the quantities over one to three parcels, none of them empty."""
        dice = self.dice
        boxes: list[dict[int, int]] = [{} for _ in range(dice.choices((1, 2, 3), (72, 21, 7))[0])]
        for line in lines:
            whole = line["quantity"]
            part = dice.randint(1, whole)
            if len(boxes) == 1 or part == whole:
                dice.choice(boxes)[line["id"]] = whole
            else:
                one, other = dice.sample(boxes, 2)
                one[line["id"]], other[line["id"]] = part, whole - part
        return [box for box in boxes if box]

    def _parcel(
        self, key: Row, country: str, lines: list[Row], contents: dict[int, int], sent: datetime, route: tuple[str, ...]
    ) -> Parcel:
        dice = self.dice
        number, shipment_id = next(self.ids["shipments"]), dice.uuid()
        status, since = self._walk(route, sent)
        expected = (sent + timedelta(days=dice.choice((1, 2, 2, 3, 5)))).replace(
            hour=17, minute=0, second=0, microsecond=0
        )
        row = {
            "id": shipment_id,
            "number": number,
            **key,
            "status": status,
            "expected_delivery_at": expected if dice.random() < 0.94 else None,
            "shipping_number": f"SH-{number}",
            "email_sent": status not in ("CREATED", "PROCESSING"),
            "created_at": sent,
            "last_modified_at": since,
        }
        self.tables["shipments"].append(row)
        of_shipment = {"shipment_id": shipment_id, **key}
        moments = {"created_at": sent, "last_modified_at": sent}
        for line in lines:
            if quantity := contents.get(line["id"]):
                self.tables["shipment_items"].append(
                    {
                        "id": dice.uuid(),
                        "number": next(self.ids["shipment_items"]),
                        **of_shipment,
                        "order_item_id": line["id"],
                        "name": line["name"],
                        "sku": line["sku"],
                        "quantity": quantity,
                        "weight": line["weight"] * quantity,
                        **moments,
                    }
                )
        carrier = dice.choice(DELIVERED_BY[country])
        for box in range(dice.choices((1, 2, 3), (82, 14, 4))[0]):
            # 3¹⁸ has no factor in common with 10⁹: codes look drawn and never meet, as parcels have their own numbers.
            serial = (number * 3 + box) * 387_420_489 % 1_000_000_000
            code = _PATTERNS[carrier].format(serial)
            carrier_id = self.carrier_ids[carrier]
            self.tables["track_and_traces"].append(
                {"id": dice.uuid(), **of_shipment, "carrier_id": carrier_id, "code": code, **moments}
            )
        self.tables["shipment_sources"].append({**of_shipment, "name": "wms", "id": f"P-{number}"})
        return Parcel(row, contents)

    def _walk(self, route: tuple[str, ...], start: datetime) -> tuple[str, datetime]:
        """How far a parcel has come on its route by `until`, and since when it is there."""
        dice, since = self.dice, start
        for status in route[:-1]:
            left = since + dice.hours(*HOURS[status])
            if left > self.until:
                return status, since
            since = left
        return route[-1], since
