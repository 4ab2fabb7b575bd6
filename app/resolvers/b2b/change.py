"""The feed of changes: what was written, in the order of the commits, for whoever keeps a copy.

Positions are given to what has been committed, one after another (see `sql/migrations/0020_group_commit.sql`), so
whoever has read up to a position has missed nothing below it: a cursor is a position, and survives everybody. That of
an export names as well what was there already without a position, and so comes behind it: that is left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ariadne import ObjectType

import sql
from app.auth.viewer import Kind
from app.context import Context, Info
from app.errors import CursorExpired, Forbidden, InvalidCursor, ValidationError
from app.resolvers.b2b.place import BEGINNING, LARGEST, Place, cursor_of, place_of
from app.resolvers.cursor import decode
from app.resolvers.query import GuardedQuery, holding
from loaders.carrier import carrier_by_id
from loaders.order import order_by_id
from loaders.order_item import order_item_by_id
from loaders.prefetch import Fetch
from loaders.rows import Row
from loaders.shipment import shipment_by_id
from loaders.shipment_item import shipment_item_by_id
from loaders.track_and_trace import track_and_trace_by_id
from loaders.tracking_event import tracking_event_by_id

SQL = sql.load("change")
FEED = "changes"
# Where a copy is made from; see `app.rest.export`.
EXPORT = "/export/shipments.ndjson"
DEFAULT_SIZE = 100

# How many changes one page looks through, for a viewer who sees few of them, before it says that there is more.
_FARTHEST = 10_000
# Each look goes so many times as far as the one before: five at most, however few of the changes are the viewer's.
_STRIDE = 10
# How many transactions a cursor may leave out: those that an export meets between their commit and their position,
# which takes milliseconds.
MOST_HELD = 200

query = GuardedQuery()
change = ObjectType("Change")
change_page = ObjectType("ChangePage")


@dataclass(frozen=True)
class ChangePage:
    """`reached` is the place of the last change that was looked at, be it among the rows or not the viewer's, and
    `held` are the transactions behind it that are left out. Up to the position `begins_after` changes are not kept."""

    rows: list[Row]
    reached: Place
    has_more: bool
    held: tuple[int, ...] = ()
    begins_after: int | None = None


@query.field("changes", holding("orders:read", "shipments:read"))
async def resolve_changes(
    _root: None, info: Info, after: str | None = None, first: int | None = None, types: list[str] | None = None
) -> ChangePage:
    """Raises `Forbidden` for contacts and customers, `InvalidCursor`, `ValidationError`."""
    context = info.context
    if context.viewer.kind not in (Kind.STAFF, Kind.PARTNER):
        raise Forbidden("The feed of changes is for staff and partners.")
    size = size_of(context, first)
    place, held = (BEGINNING, ()) if after is None else _start(after)
    page = await _read(context, place, size, types, held)
    if after is not None and page.begins_after is not None and not _is_kept(place, page.begins_after):
        raise CursorExpired(EXPORT)
    if page.reached == place:
        await _refuse_unknown(context, place)
    if held:
        left = await context.fetch(SQL.still_held, held=held, position=page.reached.position)
        page = replace(page, held=tuple(row["id"] for row in left))
    return page


async def end_of_feed(fetch: Fetch) -> str | None:
    """The cursor of whoever knows all that `fetch` sees; None where the feed is too far behind to tell in one."""
    [newest] = await fetch(SQL.newest)
    if len(newest["held"]) > MOST_HELD:
        return None
    return _cursor(Place(newest["position"], LARGEST - 1), newest["held"])


def _is_kept(place: Place, begins_after: int) -> bool:
    """Whether all that comes after a place is there: of the last transaction that was taken away some may be gone."""
    return place.position > begins_after or place == Place(begins_after, LARGEST - 1)


def _cursor(place: Place, held: Iterable[int]) -> str:
    return cursor_of(place, FEED, *map(str, sorted(held)))


def _start(cursor: str) -> tuple[Place, tuple[int, ...]]:
    """The place of a cursor, and the transactions that it leaves out. Raises `InvalidCursor`."""
    try:
        bound = [str(value) for value in decode(cursor)[1:-2]]
        held = tuple(map(int, bound))
    except (ValueError, TypeError):
        raise InvalidCursor("after") from None
    if len(held) > MOST_HELD or not all(0 < each < LARGEST for each in held) or sorted(set(held)) != list(held):
        raise InvalidCursor("after")
    return place_of(cursor, FEED, *map(str, held)), held


def size_of(context: Context, first: int | None) -> int:
    """Raises `ValidationError`."""
    size = DEFAULT_SIZE if first is None else first
    if not 1 <= size <= context.largest_page:
        raise ValidationError("first", f"must be between 1 and {context.largest_page}")
    return size


async def _read(
    context: Context, place: Place, size: int, types: list[str] | None, held: tuple[int, ...]
) -> ChangePage:
    """Looks as far as the page needs where all changes are the viewer's, and ever farther where they are not.

    Each look is a statement of its own and sees what was committed meanwhile; that comes after all it has seen before.
    At the end of the feed it is moved on first, so that what was committed before the question is in the answer.
    """
    filters = frozenset() if types is None else frozenset({"types"})
    found: list[Row] = []
    begins_after: int | None = None
    # One more tells whether there is a next page.
    scan, left = size + 1, _FARTHEST
    is_moved = False
    while True:
        rows = await context.fetch(
            SQL.page, filters=filters, types=types, position=place.position, number=place.number, scan=scan, held=held
        )
        if rows:
            begins_after = rows[0]["begins_after"]
        found += [row for row in rows if row["is_shown"]]
        if len(found) > size:
            return ChangePage(found[:size], Place.of(found[size - 1]), has_more=True, begins_after=begins_after)
        place = Place.of(rows[-1]) if rows else place
        if not rows or rows[-1]["scanned"] < scan:
            if not is_moved and await context.db.feed.go_on() > place.position:
                is_moved = True
                continue
            return ChangePage(found, place, has_more=False, begins_after=begins_after)
        left -= scan
        if left <= 0:
            return ChangePage(found, place, has_more=True, begins_after=begins_after)
        scan = min(scan * _STRIDE, left)


async def _refuse_unknown(context: Context, place: Place) -> None:
    """A store that was restored from a backup gives positions anew: nobody may wait there for changes to come."""
    if place.position and not await context.fetch(SQL.transaction_at, position=place.position):
        raise InvalidCursor("after")


@change_page.field("changes")
def resolve_change_page_changes(page: ChangePage, _info: Info) -> list[Row]:
    return page.rows


@change_page.field("nextCursor")
def resolve_change_page_next_cursor(page: ChangePage, _info: Info) -> str:
    return _cursor(page.reached, page.held)


@change_page.field("hasMore")
def resolve_change_page_has_more(page: ChangePage, _info: Info) -> bool:
    return page.has_more


@change.field("cursor")
def resolve_change_cursor(row: Row, _info: Info) -> str:
    return _cursor(Place.of(row), row["held"])


# The rows that a change tells of: whoever may ask for `changes` may have them, since it needs the permissions of both.


@change.field("order")
async def resolve_change_order(row: Row, info: Info) -> Any:
    return None if row["order_id"] is None else await info.context.load(order_by_id, row["order_id"])


@change.field("orderItem")
async def resolve_change_order_item(row: Row, info: Info) -> Any:
    return await info.context.load(order_item_by_id, int(row["id"])) if row["type"] == "ORDER_ITEM" else None


@change.field("shipment")
async def resolve_change_shipment(row: Row, info: Info) -> Any:
    return None if row["shipment_id"] is None else await info.context.load(shipment_by_id, row["shipment_id"])


@change.field("shipmentItem")
async def resolve_change_shipment_item(row: Row, info: Info) -> Any:
    return await info.context.load(shipment_item_by_id, row["id"]) if row["type"] == "SHIPMENT_ITEM" else None


@change.field("trackAndTrace")
async def resolve_change_track_and_trace(row: Row, info: Info) -> Any:
    return await info.context.load(track_and_trace_by_id, row["id"]) if row["type"] == "TRACK_AND_TRACE" else None


@change.field("trackingEvent")
async def resolve_change_tracking_event(row: Row, info: Info) -> Any:
    return await info.context.load(tracking_event_by_id, row["id"]) if row["type"] == "TRACKING_EVENT" else None


@change.field("carrier")
async def resolve_change_carrier(row: Row, info: Info) -> Any:
    return await info.context.load(carrier_by_id, int(row["id"])) if row["type"] == "CARRIER" else None


bindables = [query, change, change_page]
