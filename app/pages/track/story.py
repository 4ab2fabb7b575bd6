"""What the page of an order tells, in the sequence in which it is told: made of the data of its document."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.pages.track.words import ENDS, ORDERS, OTHERWISE, REACHED, STEPS, UNDER_WAY, Saying, saying
from app.pages.wording import Wording

Data = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """`state` is `done`, `now` or `next`; `day` is when it was taken, where that is known."""

    name: str
    state: str
    day: str | None = None


@dataclass(frozen=True)
class Promise:
    """When a parcel should come, and before that, in words. Whether that `is_over`, and it has not come."""

    text: str
    former: str | None
    is_over: bool


@dataclass(frozen=True)
class Parcel:
    """One parcel, the `number`th of `total`. `shares` says that its goods are in further parcels, too."""

    status: str | None
    saying: Saying
    data: Data
    goods: Sequence[Data]
    shares: bool
    promise: Promise | None
    arrived: str | None
    steps: Sequence[Step]
    place: str | None
    events: Sequence[tuple[Saying, Data]]
    number: int = 0
    total: int = 0

    @property
    def is_prepared(self) -> bool:
        """Whether it is still with the shop."""
        return bool(self.steps) and REACHED.get(self.status, 0) < UNDER_WAY

    @property
    def is_under_way(self) -> bool:
        return bool(self.steps) and not self.is_prepared


@dataclass(frozen=True)
class Story:
    """An order. `headline` is to be translated."""

    order: Data
    parcels: Sequence[Parcel] = field(default=())

    @property
    def headline(self) -> str:
        status = self.order["fulfillmentStatus"]
        if status not in ("SHIPPED", "PARTIALLY_SHIPPED") or any(parcel.is_under_way for parcel in self.parcels):
            return ORDERS[status]
        return ORDERS["UNFULFILLED"] if any(parcel.is_prepared for parcel in self.parcels) else OTHERWISE

    @property
    def remaining(self) -> Sequence[Data]:
        """What is still to be shipped."""
        if self.order["fulfillmentStatus"] == "CANCELED":
            return ()
        return [item for item in self.order["items"] if item["quantityRemaining"]]

    @property
    def canceled(self) -> Sequence[Data]:
        return [item for item in self.order["items"] if item["quantityCanceled"]]


def story_of(order: Data, words: Wording) -> Story:
    """`order` has the fields of the fragment `Tracked`."""
    told = [parcel for shipment in order["shipments"] for parcel in _parcels(order, shipment, words)]
    numbered = [
        Parcel(**{**vars(parcel), "number": number, "total": len(told)}) for number, parcel in enumerate(told, start=1)
    ]
    return Story(order, numbered)


def _parcels(order: Data, shipment: Data, words: Wording) -> Iterator[Parcel]:
    """One for each code; of a shipment without any it is the shipment itself."""
    codes: Sequence[Data] = shipment["parcels"] or [_NO_CODE]
    for code in codes:
        # What a shipment has come to holds for its parcels where their carrier has told nothing, or is told to stop.
        of_shipment = code["status"] is None or shipment["status"] == "CANCELED"
        status = shipment["status"] if of_shipment else code["status"]
        sub_status = shipment["subStatus"] if of_shipment else code["subStatus"]
        arrival = next((event for event in code["events"] if event["status"] == "DELIVERED"), None)
        is_over = status in ("DELIVERED", "CANCELED") or sub_status in ENDS
        point = next((event for event in code["events"] if event["subStatus"] == "AT_PICKUP_POINT"), None)
        yield Parcel(
            status=status,
            saying=saying(status, sub_status),
            data=code,
            goods=code["items"] or shipment["items"],
            shares=len(codes) > 1 and not code["items"],
            promise=None if is_over else _promise(code if code["expectedDeliveryAt"] else shipment, words),
            arrived=arrival["occurredAt"] if status == "DELIVERED" and arrival else None,
            steps=[] if status == "CANCELED" or sub_status in ENDS else list(_steps(order, status, code, words)),
            place=point["location"] if point and sub_status == "AT_PICKUP_POINT" else None,
            events=[(saying(event["status"], event["subStatus"]), event) for event in code["events"]],
        )


def _promise(promised: Data, words: Wording) -> Promise | None:
    moment, day = promised["expectedDeliveryAt"], promised["expectedDeliveryDate"]
    if moment is None:
        return None
    text = _told(moment, day is not None, words)
    former = promised["formerlyExpectedAt"]
    was = None if former is None else _told(former, former.endswith("T00:00:00.000Z"), words)
    return Promise(text, None if was == text else was, words.is_over(day) if day else words.is_past(moment))


def _told(moment: str, is_day: bool, words: Wording) -> str:
    """Midnight in UTC stands for the whole of that day, wherever it is."""
    return words.day(moment[:10]) if is_day else words.at(moment)


def _steps(order: Data, status: str | None, code: Data, words: Wording) -> Iterator[Step]:
    reached = REACHED.get(status, 0)
    days = {0: order["orderedAt"]}
    for event in code["events"]:  # the newest first: the first day on which a step was taken stays
        days[REACHED.get(event["status"], 0) or -1] = event["occurredAt"]
    for place, name in enumerate(STEPS):
        state = "now" if place == reached else "done" if place < reached else "next"
        day = words.short_day(days[place]) if place in days and place <= reached else None
        yield Step(name, state, day)


_NO_CODE: Data = {
    **dict.fromkeys(("code", "carrierName", "trackingUrl", "status", "subStatus"), None),
    **dict.fromkeys(("expectedDeliveryAt", "expectedDeliveryDate", "formerlyExpectedAt"), None),
    "items": (),
    "events": (),
}
