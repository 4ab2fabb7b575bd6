"""What subscriptions tell: the changes of the feed, as each viewer may learn of them.

A change tells a viewer something where its order is in the viewer's sight, or leaves it. Who sees an order is known by
its owner: as it is now, and as it was right before and after the change, since the feed keeps what each replaced.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from ariadne import SubscriptionType

import sql
from app.context import Context, Info
from app.errors import CursorExpired, InvalidCursor
from app.postgres.consistency import Consistency
from app.resolvers.cursor import compact, decode, encode
from app.resolvers.place import LARGEST, Place, cursor_of
from app.resolvers.query import Asked
from loaders.prefetch import Fetch
from loaders.rows import Row
from sql import Owner, Visibility

# The list that cursors are of: whoever polls `changes`, or has an export, goes on here, and the other way around.
FEED = "changes"
CHANGE = sql.load("change")
# Where a copy is made from; see `app.rest.export`.
EXPORT = "/export/shipments.ndjson"
# How many transactions a cursor may leave out: those that an export meets between their commit and their position,
# which takes milliseconds.
MOST_HELD = 200

_LEFT, _UP_TO_DATE = "LEFT", "UP_TO_DATE"
_OWNERSHIP = ("companyId", "customerId", "status")

# An event as its resolver gets it: the columns that its type has, beside the row that it is about.
Event = dict[str, Any]


class Mark(NamedTuple):
    """How far somebody has been told: all changes up to `place`, and `told` events of the one that comes after it.

    `held` are transactions behind the place that are known already: an export meets some between their commit and
    their position. `state` is one that shows all of it, None where nobody has noted one.
    """

    place: Place
    held: tuple[int, ...] = ()
    told: int = 0
    state: Consistency | None = None


def cursor_at(place: Place, held: Iterable[int] = (), state: Consistency | None = None) -> str:
    """Of whoever knows all changes up to a place, and those of the transactions that are `held`; see `Mark`."""
    return cursor_of(place, FEED, *_noted(state), *map(str, sorted(held)))


def _noted(state: Consistency | None) -> tuple[str, ...]:
    return () if state is None else (f"@{state}",)


def _cursor_within(place: Place, held: Iterable[int], told: int) -> str:
    """Of an event that is not the last one of its change: the place right before that, and how many were told of it."""
    return encode(compact([FEED, *map(str, sorted(held)), place.position, place.number - 1, told]))


def mark_of(cursor: str) -> Mark:
    """Raises `InvalidCursor` for what no event, no page of `changes` and no export has given out."""
    try:
        feed, *values = decode(cursor)
        has_state = bool(values) and isinstance(values[0], str) and values[0].startswith("@")
        state = Consistency.of(values.pop(0)[1:]) if has_state else None
        held = tuple(int(value) for value in values if isinstance(value, str))
        numbers = values[len(held) :]
        position, number, told = numbers if len(numbers) == 3 else (*numbers, 0)
    except (ValueError, TypeError):
        raise InvalidCursor("after") from None
    is_number = all(type(value) is int and 0 <= value < LARGEST for value in (position, number, told))
    is_held = all(0 < each < LARGEST for each in held) and len(held) <= MOST_HELD and held == tuple(sorted(set(held)))
    written = encode(compact([feed, *_noted(state), *map(str, held), *numbers]))
    if not (is_number and is_held) or feed != FEED or written != cursor:
        raise InvalidCursor("after")
    return Mark(Place(position, number), held, told, state)


async def end_of_feed(fetch: Fetch, state: Consistency | None = None) -> str | None:
    """The cursor of whoever knows all that `fetch` sees; None where the feed is too far behind to tell in one.

    `state` is one that shows all of it.
    """
    [newest] = await fetch(CHANGE.newest)
    if len(newest["held"]) > MOST_HELD:
        return None
    return cursor_at(end_of(newest["position"]), newest["held"], state)


def end_of(position: int) -> Place:
    """The place after all changes of the transaction at a position."""
    return Place(position, LARGEST - 1)


class Change:
    """One change of the feed, for all viewers: its row, and the owners of its order.

    `before` is the owner before the transaction of the change, `prior` and `after` are those right before and right
    after the change, `now` is the present one; None where the order was not there, or is not any more. The change
    `settles` who sees the order where it is the last of its transaction that may. `shipments` are those of an order of
    which the sight may be lost or gained, each id with its status.
    """

    __slots__ = ("after", "before", "now", "old", "place", "prior", "row", "settles", "shipments", "status_before")

    def __init__(self, row: Row, public: Collection[str]) -> None:
        self.row = row
        self.place = Place.of(row)
        self.old: Mapping[str, Any] = orjson.loads(row["old"]) if row["old"] else {}
        self.shipments: list[tuple[str, str]] = [tuple(text.split(" ")) for text in row["shipments"] or ()]
        order_id, channel_id = row["order_id"], row["channel_id"]
        fields = {"companyId": row["company_id"], "customerId": row["customer_id"], "status": row["order_status"]}

        def owner() -> Owner:
            is_public = fields["status"] in public
            return Owner(order_id, channel_id, fields["companyId"], fields["customerId"], is_public)

        self.now = owner() if row["has_order"] else None
        is_order = row["type"] == "ORDER"
        is_deletion = is_order and row["action"] == "DELETED"
        later = [] if is_deletion else [orjson.loads(text) for text in row["later"] or ()]
        for old in reversed(later):
            _replace(fields, old)
        self.after = owner() if row["has_order"] or later else None
        self.prior = self.after
        if is_order:
            _replace(fields, self.old)
            self.prior = owner() if self.after and row["action"] != "CREATED" else None
        self.status_before: str | None = fields["status"]
        is_new = is_order and row["action"] == "CREATED"
        for text in row["earlier"] or ():
            is_new = is_new or not text
            _replace(fields, orjson.loads(text or "{}"))
        self.before = owner() if (self.after or is_deletion) and not is_new else None
        self.settles = bool(row["settles"])

    @property
    def owners(self) -> set[Owner]:
        return {owner for owner in (self.now, self.before, self.after) if owner is not None}


def _replace(fields: dict[str, Any], old: Mapping[str, Any]) -> None:
    fields.update({name: old[name] for name in _OWNERSHIP if name in old})


@dataclass(frozen=True, slots=True)
class Sight:
    """Whether a viewer sees the order of a change."""

    now: bool
    before: bool
    after: bool
    settles: bool

    @classmethod
    def of(cls, change: Change, visibility: Visibility) -> "Sight":
        now, before, after = (
            owner is not None and visibility.sees(owner) for owner in (change.now, change.before, change.after)
        )
        return cls(now, before, after, change.settles)

    @property
    def is_lost(self) -> bool:
        """By this change. What came back later is not lost."""
        return self.settles and self.before and not (self.after or self.now)

    @property
    def is_gained(self) -> bool:
        return self.settles and self.now and not self.before


@dataclass(frozen=True)
class Watch:
    """What a subscription asks of the feed: which changes, of whose sight. None is no filter.

    `subject` is the column of an event that names what it is about: `shipment_id` or `order_id`.
    """

    subject: str
    types: frozenset[str] | None = None
    order_ids: frozenset[int] | None = None
    shipment_ids: frozenset[str] | None = None
    company_ids: frozenset[int] | None = None
    statuses: frozenset[str] | None = None

    def events(self, change: Change, visibility: Visibility, held: Sequence[int] = ()) -> list[Event]:
        """What the change tells who sees so much, in order. What is `held` goes into their cursors."""
        row = change.row
        if row["order_id"] is None or not self._wants(change):
            return []
        sight = Sight.of(change, visibility)
        if not (sight.now or sight.before):
            return []
        told = list(
            self._of_shipments(change, sight) if self.subject == "shipment_id" else self._of_order(change, sight)
        )
        cursors = [_cursor_within(change.place, held, place) for place in range(1, len(told))]
        return (
            [
                self._event(cursor, row["occurred_at"], action, subject, None if action == _LEFT else row)
                for (action, subject), cursor in zip(told, [*cursors, cursor_at(change.place, held)], strict=True)
            ]
            if told
            else []
        )

    def _wants(self, change: Change) -> bool:
        row = change.row
        return (
            (self.types is None or row["type"] in self.types)
            and (self.order_ids is None or row["order_id"] in self.order_ids)
            and (self.company_ids is None or any(owner.company_id in self.company_ids for owner in change.owners))
        )

    def _has_status(self, *statuses: str | None) -> bool:
        return self.statuses is None or not self.statuses.isdisjoint(statuses)

    def _of_order(self, change: Change, sight: Sight) -> Iterator[tuple[str, Any]]:
        row = change.row
        new_status = row["new_status"] if row["type"] == "ORDER" else None
        if not self._has_status(row["order_status"], change.status_before, new_status):
            return
        is_deletion = row["type"] == "ORDER" and row["action"] == "DELETED"
        if sight.now or (is_deletion and sight.before):
            yield row["action"], row["order_id"]
        elif row["type"] == "ORDER" and sight.is_lost:
            yield _LEFT, row["order_id"]

    def _of_shipments(self, change: Change, sight: Sight) -> Iterator[tuple[str, Any]]:
        row = change.row
        if row["type"] == "ORDER":
            if sight.is_lost or sight.is_gained:
                for id_, status in change.shipments:
                    if self._is_wanted(id_) and self._has_status(status):
                        yield _LEFT if sight.is_lost else "UPDATED", id_
            return
        id_ = row["shipment_id"]
        own = (change.old.get("status"), row["new_status"]) if row["type"] == "SHIPMENT" else ()
        if id_ is None or not self._is_wanted(id_) or not self._has_status(row["shipment_status"], *own):
            return
        # What goes with its order is seen by who saw that: nobody can see more of it now.
        if sight.now or (change.now is None and row["action"] == "DELETED"):
            yield row["action"], id_

    def _is_wanted(self, id_: str) -> bool:
        return self.shipment_ids is None or id_ in self.shipment_ids

    def up_to_date(self, place: Place) -> Event:
        """Tells that all of the past was told, up to a place."""
        return self._event(cursor_at(place), datetime.now(UTC), _UP_TO_DATE)

    def _event(self, cursor: str, at: datetime, action: str, subject: Any = None, row: Row | None = None) -> Event:
        return {"cursor": cursor, "occurred_at": at, "action": action, "change": row, self.subject: subject}


class Subscribed(NamedTuple):
    """What a subscription watches, and how far its caller has been told already: None is up to now."""

    watch: Watch
    mark: Mark | None


Source = Callable[..., Awaitable[Watch]]


class GuardedSubscription(SubscriptionType):
    """The fields of Subscription, none of which is open by default."""

    def watched(self, name: str, asked: Asked) -> Callable[[Source], Source]:
        """Registers what gives the `Watch` of a field's arguments but `after`, to be called after `asked`."""
        register = self.source(name)

        def decorate(source: Source) -> Source:
            async def guarded(_root: None, info: Info, after: str | None = None, **arguments: Any) -> Subscribed:
                asked(info.context)
                watch = await source(info.context, **arguments)
                mark = None if after is None else mark_of(after)
                if mark is not None:
                    await refuse_gone(info.context, mark.place)
                return Subscribed(watch, mark)

            register(guarded)  # type: ignore[arg-type]  # Ariadne asks for an iterator of events
            return source

        return decorate


async def refuse_gone(context: Context, place: Place) -> None:
    """Raises `CursorExpired` and `InvalidCursor` where what comes after a place cannot be told."""
    [row] = await context.fetch(CHANGE.beginning)
    refuse_pruned(place, row["begins_after"])
    await refuse_unknown(context, place)


def refuse_pruned(place: Place, begins_after: int | None) -> None:
    """Raises `CursorExpired` where some of what comes after a place is not kept: that is so up to `begins_after`."""
    # Of the last transaction that was taken away some may be there.
    is_kept = begins_after is None or place.position > begins_after or place == end_of(begins_after)
    if not is_kept:
        raise CursorExpired(EXPORT)


async def refuse_unknown(context: Context, place: Place) -> None:
    """A store that was restored from a backup gives positions anew: nobody may wait there for changes to come.

    Raises `InvalidCursor`.
    """
    if place.position and not await context.fetch(CHANGE.transaction_at, position=place.position):
        raise InvalidCursor("after")


def subject_of(event: Event, column: str) -> Any:
    """The key of the row that is told with an event; None where there is none to be told."""
    return None if event["action"] in (_LEFT, _UP_TO_DATE) else event[column]
