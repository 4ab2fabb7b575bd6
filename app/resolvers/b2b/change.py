"""The feed of changes: what was written, in the order of the commits, for whoever keeps a copy.

Positions are given to what has been committed, one after another (see `sql/migrations/0020_group_commit.sql`), so
whoever has read up to a position has missed nothing below it: a cursor is a position, and survives everybody. That of
an export names as well what was there already without a position, and so comes behind it: that is left out.
"""

from dataclasses import dataclass, replace
from typing import Any

from ariadne import ObjectType

import sql
from app.auth.viewer import Kind
from app.context import Context, Info
from app.errors import Forbidden, ValidationError
from app.postgres.consistency import Consistency
from app.resolvers.feed import Mark, cursor_at, mark_of, refuse_pruned, refuse_unknown
from app.resolvers.place import BEGINNING, Place
from app.resolvers.query import GuardedQuery, holding
from loaders.carrier import carrier_by_id
from loaders.order import order_by_id
from loaders.order_item import order_item_by_id
from loaders.rows import Row
from loaders.shipment import shipment_by_id
from loaders.shipment_item import shipment_item_by_id
from loaders.track_and_trace import track_and_trace_by_id
from loaders.tracking_event import tracking_event_by_id

SQL = sql.load("change")
DEFAULT_SIZE = 100

# How many changes one page looks through, for a viewer who sees few of them, before it says that there is more.
_FARTHEST = 10_000
# Each look goes so many times as far as the one before: five at most, however few of the changes are the viewer's.
_STRIDE = 10
query = GuardedQuery()
change = ObjectType("Change")
change_page = ObjectType("ChangePage")


@dataclass(frozen=True)
class ChangePage:
    """`reached` is the place of the last change that was looked at, be it among the rows or not the viewer's, and
    `held` are the transactions behind it that are left out. Up to the position `begins_after` changes are not kept.
    `state` is one that shows all of the page, where somebody keeps account."""

    rows: list[Row]
    reached: Place
    has_more: bool
    held: tuple[int, ...] = ()
    begins_after: int | None = None
    state: Consistency | None = None


@query.field("changes", holding("orders:read", "shipments:read"))
async def resolve_changes(
    _root: None, info: Info, after: str | None = None, first: int | None = None, types: list[str] | None = None
) -> ChangePage:
    """Raises `Forbidden` for contacts and customers, `InvalidCursor`, `ValidationError`."""
    context = info.context
    if context.viewer.kind not in (Kind.STAFF, Kind.PARTNER):
        raise Forbidden("The feed of changes is for staff and partners.")
    size = size_of(context, first)
    place, held, _told, state = Mark(BEGINNING) if after is None else mark_of(after)
    if after is not None:
        await context.read_from(state)
    page = await _read(context, place, size, types, held)
    if after is not None:
        refuse_pruned(place, page.begins_after)
    if page.reached == place:
        await refuse_unknown(context, place)
    if held:
        left = await context.fetch(SQL.still_held, held=held, position=page.reached.position)
        page = replace(page, held=tuple(row["id"] for row in left))
    if context.reading is not None:
        page = replace(page, state=await context.state_read())
    return page


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
                context.read_newest()
                continue
            return ChangePage(found, place, has_more=False, begins_after=begins_after)
        left -= scan
        if left <= 0:
            return ChangePage(found, place, has_more=True, begins_after=begins_after)
        scan = min(scan * _STRIDE, left)


@change_page.field("changes")
def resolve_change_page_changes(page: ChangePage, _info: Info) -> list[Row]:
    return page.rows


@change_page.field("nextCursor")
def resolve_change_page_next_cursor(page: ChangePage, _info: Info) -> str:
    return cursor_at(page.reached, page.held, page.state)


@change_page.field("hasMore")
def resolve_change_page_has_more(page: ChangePage, _info: Info) -> bool:
    return page.has_more


@change.field("cursor")
def resolve_change_cursor(row: Row, _info: Info) -> str:
    return cursor_at(Place.of(row), row["held"])


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
