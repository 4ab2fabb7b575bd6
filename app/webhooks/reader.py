"""Reads the feed for the endpoints of one process, and stores what each is to be told together with its next place.

Those that have come equally far share what is read: as long as all keep up, a change is read once.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import orjson

import sql
from app.auth.viewer import Viewer
from app.errors import NotAuthenticated
from app.postgres.events import Tables
from app.resolvers.feed import Change, end_of
from app.resolvers.place import Place
from app.resolvers.webhook import LATE, Event, add_recorded, delivery_id, event_of, lane_of, late_event, seen_then, told
from app.webhooks.endpoint import Endpoint, Tools
from app.webhooks.lanes import Delivery
from loaders.rows import Row
from sql import Statement, Visibility

FEED, CHANGE = sql.load("feed"), sql.load("change")
SQL = sql.load("webhook_delivery")
ENDPOINT = sql.load("webhook_endpoint")

# Changes that are read at a time.
_SCAN = 500
# A place that nothing is stored with may be stored so much later: what it passed tells nobody anything.
_STORE_SECONDS = 1.0
_LATE_PERIOD = timedelta(seconds=30)
_LAST_ID = UUID(int=2**128 - 1)
_STATUSES = Tables[str, frozenset[str]]("order_statuses")
_OURS = Visibility.everything()


class Found(NamedTuple):
    """What an endpoint is to be told, and the place up to which it was read."""

    endpoint: Endpoint
    events: list[Event]
    place: Place


class Reader:
    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._db = tools.db
        self._late_at: datetime | None = None

    async def go_on(self, endpoints: Collection[Endpoint]) -> bool:
        """Reads some of what comes next; whether there is more. Raises `ServiceUnavailable`."""
        if not endpoints:
            return False
        end = await self._db.feed.go_on()
        ready = [each for each in endpoints if each.room > 0]
        behind = [each for each in ready if each.is_behind or each.place.position < end]
        if behind:
            await self._pass_over_lost(behind)
        groups: dict[Place, list[Endpoint]] = defaultdict(list)
        for each in behind:
            groups[each.place].append(each)
        has_more = False
        for place, group in groups.items():
            has_more |= await self._advance(place, group)
        for each in ready:
            if each.replay is not None:
                has_more |= await self._replay(each)
        await self._store_late(ready)
        return has_more

    async def _pass_over_lost(self, endpoints: Sequence[Endpoint]) -> None:
        """Has those go on with what is kept whose changes are kept no more."""
        [row] = await self._db.fetch(CHANGE.beginning, _OURS)
        begins_after = row["begins_after"]
        for each in endpoints:
            if begins_after is not None and each.place.position <= begins_after and each.place != end_of(begins_after):
                place = end_of(begins_after)
                where: Any = place._asdict()
                with _held([each]):
                    where |= {"id": each.id, "deliverer": self._tools.id, "revision": each.revision}
                    if await self._fetch(ENDPOINT.lose, **where):
                        each.place = each.stored = place
                    else:
                        each.reload()

    async def _changes(self, place: Place) -> Sequence[Change]:
        rows = await self._db.fetch(FEED.after, _OURS, position=place.position, number=place.number, scan=_SCAN)
        if not rows:
            return ()
        public = await self._db.table_cache(_STATUSES).get("public", self._public_statuses)
        return [Change(row, public) for row in rows]

    async def _public_statuses(self) -> frozenset[str]:
        rows = await self._db.fetch(FEED.public_statuses, _OURS)
        return frozenset(row["code"] for row in rows)

    async def _advance(self, place: Place, group: Iterable[Endpoint]) -> bool:
        """Reads on from one place for those who have come to it; whether there is more."""
        changes = await self._changes(place)
        found: list[Found] = []
        for endpoint in group:
            owner = await self._owner(endpoint)
            if owner is not None and endpoint.place == place:
                found.append(await self._seen_then(_told(endpoint, owner, changes, endpoint.held, place), owner))
        await add_recorded(self._fetch, [event for each in found for event in each.events])
        has_more = len(changes) == _SCAN
        found = [each for each in found if each.endpoint.may_advance and each.endpoint.place == place]
        # Only what has been stored has been read: a place that went ahead of a store that fails would skip events.
        with _held([each.endpoint for each in found]):
            await self._store(found)
            for each in found:
                if each.endpoint.needs_reload:
                    continue
                is_whole = not changes or each.place == changes[-1].place
                each.endpoint.place = each.place
                each.endpoint.is_behind = has_more or not is_whole
        return has_more

    async def _owner(self, endpoint: Endpoint) -> Viewer | None:
        try:
            return await endpoint.owner()
        except NotAuthenticated:
            await endpoint.disable("OWNER_ENDED")
            return None

    async def _store(self, found: Iterable[Found], late_until: datetime | None = None) -> None:
        """Stores the places of those that have events, and of those whose place was stored a while ago, all `_held`.

        Raises `ServiceUnavailable`.
        """
        now, moment = self._tools.now(), time.monotonic()
        due = [
            each
            for each in found
            if each.events
            or late_until is not None
            or (each.place != each.endpoint.stored and moment > each.endpoint.stored_at + _STORE_SECONDS)
        ]
        if not due:
            return
        rows = await self._db.fetch(
            SQL.advance,
            _OURS,
            deliverer=self._tools.id,
            now=now,
            ids=[each.endpoint.id for each in due],
            revisions=[each.endpoint.revision for each in due],
            positions=[each.place.position for each in due],
            numbers=[each.place.number for each in due],
            late_until=[late_until for _ in due],
            **_columns((each.endpoint.id, each.events) for each in due),
        )
        stored: dict[UUID, list[Row]] = defaultdict(list)
        for row in rows:
            stored[UUID(row["endpoint_id"])].append(row)
        for each in due:
            endpoint = each.endpoint
            if endpoint.id not in stored:  # it was changed meanwhile, or somebody else serves it
                endpoint.reload()
                continue
            endpoint.stored, endpoint.stored_at = each.place, moment
            endpoint.late_until = late_until or endpoint.late_until
            added = _deliveries(endpoint.id, each.events, stored[endpoint.id], now)
            if added:
                endpoint.lanes.add(added)
                endpoint.wake()

    async def _seen_then(self, found: Found, owner: Viewer) -> Found:
        return found._replace(events=await seen_then(self._fetch, found.events, owner.visibility))

    async def _fetch(self, statement: Statement, **values: Any) -> list[Row]:
        return await self._db.fetch(statement, _OURS, **values)

    # ------------------------------------------------------------------------------------------------ replays

    async def _replay(self, endpoint: Endpoint) -> bool:
        """Reads some of what an endpoint is to be told again; whether there is more."""
        row, place = endpoint.row, endpoint.replay
        assert place is not None  # noqa: S101  whoever asks has looked
        owner = await self._owner(endpoint)
        if owner is None:
            return False
        changes = await self._changes(place)
        within = [change for change in changes if change.place.position <= row["replay_end"]]
        found = await self._seen_then(_told(endpoint, owner, within, frozenset(), place), owner)
        events = [event for event in found.events if row["replay_from"] <= _moment(event) <= row["replay_until"]]
        await add_recorded(self._fetch, events)
        if not endpoint.may_advance or endpoint.replay != place:
            return True
        is_over = (not within or found.place == within[-1].place) and (len(within) < _SCAN)
        reached = None if is_over else found.place
        now = self._tools.now()
        with _held([endpoint]):
            rows = await self._db.fetch(
                SQL.advance_replay,
                _OURS,
                deliverer=self._tools.id,
                now=now,
                id=endpoint.id,
                revision=endpoint.revision,
                position=None if reached is None else reached.position,
                number=None if reached is None else reached.number,
                **_columns([(endpoint.id, events)]),
            )
            if not rows:  # it was changed meanwhile, or somebody else serves it
                endpoint.replay = None
                endpoint.reload()
                return False
            endpoint.replay = reached
            endpoint.lanes.add(_deliveries(endpoint.id, events, rows, now))
        return reached is not None

    # ------------------------------------------------------------------------------------------------ what is late

    async def _store_late(self, endpoints: Iterable[Endpoint]) -> None:
        """Looks for shipments that have become late since the last time. No change tells of them."""
        now = self._tools.now()
        # One that was looked at later than now was so by a clock that has been set back since.
        if self._late_at is not None and self._late_at <= now < self._late_at + _LATE_PERIOD:
            return
        self._late_at = now
        for endpoint in endpoints:
            owner = await self._owner(endpoint) if LATE in endpoint.wanted.types else None
            if owner is not None:
                await self._store_late_of(endpoint, owner)

    async def _store_late_of(self, endpoint: Endpoint, owner: Viewer) -> None:
        """Many are late at one moment, such as midnight: what there is no room for is found again, and told once."""
        until = max(self._tools.now(), endpoint.late_until)
        since, after_id = endpoint.late_until, _LAST_ID
        is_over = False
        while endpoint.room > 0 and not is_over:
            rows = await self._db.fetch(
                SQL.late, owner.visibility, since=since, after_id=after_id, until=until, limit=_SCAN
            )
            is_over = len(rows) < _SCAN
            if rows:
                since, after_id = rows[-1]["late_from"], UUID(rows[-1]["id"])
            events = [late_event(row) for row in rows if _wants_late(endpoint, row)]
            late_until = until if is_over else endpoint.late_until
            if not endpoint.may_advance:
                return
            with _held([endpoint]):
                await self._store([Found(endpoint, events, endpoint.place)], late_until)


@contextmanager
def _held(endpoints: Sequence[Endpoint]) -> Iterator[None]:
    """Keeps endpoints from reading what is stored while it is stored anew, and what is known of it follows.

    Where storing fails they read it afterwards: it may have been stored all the same.
    """
    for endpoint in endpoints:
        endpoint.hold()
    try:
        yield
    except BaseException:
        for endpoint in endpoints:
            endpoint.reload()
        raise
    finally:
        for endpoint in endpoints:
            endpoint.let_go()


def _told(endpoint: Endpoint, owner: Viewer, changes: Sequence[Change], held: Collection[int], place: Place) -> Found:
    """The events of changes up to the one with which an endpoint has no more room."""
    events: list[Event] = []
    for change in changes:
        if len(events) >= endpoint.room:
            break
        place = change.place
        if change.row["transaction_id"] not in held:
            events += [event_of(change, each) for each in told(change, owner.visibility, endpoint.wanted)]
    return Found(endpoint, events, place)


def _wants_late(endpoint: Endpoint, row: Row) -> bool:
    wanted = endpoint.wanted
    return (
        (wanted.channel_ids is None or row["channel_id"] in wanted.channel_ids)
        and (wanted.company_ids is None or row["company_id"] in wanted.company_ids)
        and (wanted.shipment_statuses is None or row["status"] in wanted.shipment_statuses)
        and (wanted.order_statuses is None or row["order_status"] in wanted.order_statuses)
    )


def _columns(found: Iterable[tuple[UUID, Sequence[Event]]]) -> Any:
    """The events of endpoints, column by column."""
    rows = [
        (
            delivery_id(endpoint_id, event),
            endpoint_id,
            lane_of(event),
            event["type"],
            orjson.dumps(event).decode(),
            event["order_id"],
            None if event["shipment_id"] is None else UUID(event["shipment_id"]),
        )
        for endpoint_id, events in found
        for event in events
    ]
    names = ("delivery_ids", "endpoint_ids", "lanes", "types", "events", "order_ids", "shipment_ids")
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _deliveries(endpoint_id: UUID, events: Iterable[Event], rows: Iterable[Row], now: datetime) -> list[Delivery]:
    """Those of the events that were stored as `rows`, in their order."""
    stored = {row["id"]: row for row in rows}
    made = [
        Delivery(id_, stored[id_]["place"], lane_of(event), event, now, is_frozen=stored[id_]["is_frozen"])
        for event in events
        if (id_ := delivery_id(endpoint_id, event)) in stored
    ]
    return sorted(made, key=lambda delivery: delivery.place)


def _moment(event: Event) -> datetime:
    return datetime.fromisoformat(event["timestamp"])
