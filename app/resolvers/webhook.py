"""What webhooks tell: the changes of the feed as events, each of a type that an endpoint chooses.

A change tells its endpoint nothing of what its owner does not see (`app.resolvers.feed`), nor of what it did not see
when the change was made. What it does tell is an event of one type or several: that a shipment is delivered is an
update of it, a change of its status and its delivery.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self
from uuid import UUID, uuid5

import orjson

import sql
from app.resolvers.feed import Change, Sight, cursor_at
from app.resolvers.place import Place
from loaders.prefetch import Fetch
from loaders.rows import Row
from sql import Reach, Visibility

DELIVERY = sql.load("webhook_delivery")

_NOUNS = {
    "ORDER": "ORDER",
    "ORDER_ITEM": "LINE",
    "SHIPMENT": "SHIPMENT",
    "SHIPMENT_ITEM": "ITEM",
    "TRACK_AND_TRACE": "CODE",
}
_STATUSES = {"DELIVERED": "SHIPMENT_DELIVERED", "EXCEPTION": "SHIPMENT_EXCEPTION"}
LATE = "SHIPMENT_LATE"
# What is told of objects that the owner does not see any more, by ids alone.
_GONE = ("_DELETED", "_LEFT")

# An event as it is kept and as `WebhookEvent` resolves it: by the names of its columns.
Event = dict[str, Any]


def dotted(type_: str) -> str:
    """The name of a type as it is sent: `shipment.status_changed` of `SHIPMENT_STATUS_CHANGED`."""
    return type_.lower().replace("_", ".", 1)


def is_of_gone(type_: str) -> bool:
    """Whether events of a type tell of what nobody need see any more."""
    return type_.endswith(_GONE)


@dataclass(frozen=True)
class Wanted:
    """What an endpoint chooses; None is no filter."""

    types: frozenset[str]
    channel_ids: frozenset[int] | None = None
    company_ids: frozenset[int] | None = None
    shipment_statuses: frozenset[str] | None = None
    order_statuses: frozenset[str] | None = None

    @classmethod
    def of(cls, endpoint: Row) -> Self:
        def chosen(column: str) -> Any:
            return None if endpoint[column] is None else frozenset(endpoint[column])

        return cls(
            frozenset(endpoint["types"]),
            *map(chosen, ("channel_ids", "company_ids", "shipment_statuses", "order_statuses")),
        )

    def has(self, change: Change, type_: str) -> bool:
        """Whether an event of the change is wanted; statuses are those of now, and of right before and after it."""
        row = change.row
        return (
            type_ in self.types
            and (self.channel_ids is None or row["channel_id"] in self.channel_ids)
            and (self.company_ids is None or any(owner.company_id in self.company_ids for owner in change.owners))
            and (
                self.order_statuses is None
                or not self.order_statuses.isdisjoint((row["order_status"], change.status_before))
            )
            and (self.shipment_statuses is None or self._has_shipment_status(change, type_))
        )

    def _has_shipment_status(self, change: Change, type_: str) -> bool:
        row = change.row
        if row["shipment_id"] is None and not type_.startswith("SHIPMENT_"):
            return True
        own = (change.old.get("status"), row["new_status"]) if row["type"] == "SHIPMENT" else ()
        of_order = [status for _, status in change.shipments] if row["type"] == "ORDER" else []
        assert self.shipment_statuses is not None  # noqa: S101  whoever asks has looked
        return not self.shipment_statuses.isdisjoint((row["shipment_status"], *own, *of_order))


class Told(NamedTuple):
    """An event of a change: its type, and the shipment that it is about where the change itself names none.

    What the change replaced `is_hidden` where that is of an order that its owner did not see.
    """

    type: str
    shipment_id: str | None = None
    is_hidden: bool = False


def told(change: Change, visibility: Visibility, wanted: Wanted) -> list[Told]:
    """The events that a change is for an owner who sees so much, of those that are wanted, in order."""
    if change.row["order_id"] is None:
        return []
    sight = Sight.of(change, visibility)
    if not (sight.now or sight.before):
        return []
    is_hidden = change.prior is not None and not visibility.sees(change.prior)
    events = [each for each in _events(change, sight) if wanted.has(change, each.type)]
    return [each._replace(is_hidden=True) for each in events] if is_hidden else events


def _events(change: Change, sight: Sight) -> Iterator[Told]:
    row = change.row
    kind, action = row["type"], row["action"]
    if kind == "ORDER" and (sight.is_lost or sight.is_gained) and action == "UPDATED":
        word = "LEFT" if sight.is_lost else "ENTERED"
        yield Told(f"ORDER_{word}")
        for id_, _status in change.shipments:
            yield Told(f"SHIPMENT_{word}", id_)
        return
    if not sight.now and not (action == "DELETED" and sight.before and change.now is None):
        return
    if kind == "TRACKING_EVENT":
        if action == "CREATED":
            yield Told(kind)
    elif kind in _NOUNS:
        noun = _NOUNS[kind]
        yield Told(f"{noun}_{action}")
        if noun not in ("ORDER", "SHIPMENT") or action == "DELETED":
            return
        if action == "UPDATED" and "status" in change.old:
            yield Told(f"{noun}_STATUS_CHANGED")
        if noun == "SHIPMENT" and (action == "CREATED" or "status" in change.old) and row["new_status"] in _STATUSES:
            yield Told(_STATUSES[row["new_status"]])


def event_of(change: Change, of: Told) -> Event:
    """The event as it is kept. What has left is told by its ids alone."""
    row = change.row
    place = Place.of(row)
    is_own = of.shipment_id is None
    return {
        "type": of.type,
        "timestamp": row["occurred_at"].isoformat(),
        "cursor": cursor_at(place),
        "action": of.type.rpartition("_")[2] if of.type.endswith(("_LEFT", "_ENTERED")) else row["action"],
        "change_type": row["type"] if is_own else "SHIPMENT",
        "object_id": row["id"] if is_own else of.shipment_id,
        "order_id": row["order_id"],
        "shipment_id": row["shipment_id"] or of.shipment_id,
        "channel_id": row["channel_id"],
        "version": row["version"] if is_own else None,
        "old": None if is_of_gone(of.type) or of.is_hidden or not is_own else change.old,
        "number": row["number"],
        "test": False,
    }


async def seen_then(fetch: Fetch, events: Sequence[Event], visibility: Visibility) -> list[Event]:
    """Those of the events of changes that were made when the owner, who sees so much, saw their orders.

    Whose an order is may have changed, and changed back: its company alone, since its channel never does.
    """
    if not events or visibility.reach is not Reach.COMPANIES:
        return list(events)
    rows = await fetch(DELIVERY.companies_then, numbers=[event["number"] for event in events])
    seen = {row["number"] for row in rows if row["company_id"] in visibility.company_ids}
    return [event for event in events if event["number"] in seen or event["action"] == "LEFT"]


async def add_recorded(fetch: Fetch, events: Iterable[Event]) -> None:
    """Adds to events what their changes recorded, as far as it is told."""
    own = [event for event in events if event["old"] is not None]
    if own:
        rows = await fetch(DELIVERY.recorded, numbers=[event["number"] for event in own])
        recorded = {row["number"]: row["new"] for row in rows}
        for event in own:
            event["new"] = orjson.loads(recorded.get(event["number"]) or "{}")


def late_event(shipment: Row) -> Event:
    """That a shipment is late: no change says so, but the clock."""
    return {
        "type": LATE,
        "timestamp": shipment["late_from"].isoformat(),
        "cursor": None,
        "action": "UPDATED",
        "change_type": "SHIPMENT",
        "object_id": shipment["id"],
        "order_id": shipment["order_id"],
        "shipment_id": shipment["id"],
        "channel_id": shipment["channel_id"],
        "version": shipment["version"],
        "old": None,
        "number": None,
        "test": False,
    }


def delivery_id(endpoint_id: UUID, event: Event) -> UUID:
    """The same for the same event of an endpoint, whenever it is made."""
    if event["number"] is None:
        key = f"late {event['shipment_id']} {event['timestamp']}"
    else:
        key = f"{event['number']} {event['type']} {event['shipment_id']}"
    return uuid5(endpoint_id, key)


def lane_of(event: Event) -> str:
    """What has an order of its own: an order with all that hangs on it."""
    return f"{event['channel_id']}:{event['order_id']}"


def message_id(id_: UUID) -> str:
    """The `webhook-id` of a delivery."""
    return f"msg_{id_.hex}"


def root_of(event: Event) -> Event:
    """What a document begins with: the event, with the key of its object by the column that it is a key of."""
    kind, key = event["change_type"], event["object_id"]
    return {
        **event,
        "timestamp": datetime.fromisoformat(event["timestamp"]),
        "order_item_id": int(key) if kind == "ORDER_ITEM" else None,
        "shipment_item_id": key if kind == "SHIPMENT_ITEM" else None,
        "track_and_trace_id": key if kind == "TRACK_AND_TRACE" else None,
        "tracking_event_id": key if kind == "TRACKING_EVENT" else None,
    }


def changed_fields(event: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The fields that a change replaced or gave: name, old and new value."""
    old, new = event.get("old") or {}, event.get("new") or {}
    return [(name, old.get(name), new.get(name)) for name in sorted(old | new)]
