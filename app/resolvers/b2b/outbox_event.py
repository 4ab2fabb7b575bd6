"""The outbox: what a partner has to deliver, such as the links by which customers set their passwords."""

import re
from typing import Any

from ariadne import MutationType

import sql
from app.auth.viewer import Viewer
from app.context import Info
from app.errors import Forbidden
from app.resolvers.b2b.change import size_of
from app.resolvers.field_plan import SAME_ROW, PlannedType
from app.resolvers.query import GuardedQuery, holding
from loaders.rows import Row
from sql import Reach

SQL = sql.load("outbox_event")
PERMISSION = "outbox:read"

_ID = re.compile(r"[1-9][0-9]{0,17}")

query = GuardedQuery()
mutation = MutationType()
event = PlannedType("OutboxEvent")
link = PlannedType("CustomerPasswordLink")


@query.field("outboxEvents", holding(PERMISSION))
async def resolve_outbox_events(_root: None, info: Info, first: int | None = None) -> list[Row]:
    """Raises `Forbidden` or `ValidationError`."""
    context = info.context
    _refuse_part_of_channel(context.viewer)
    return await context.fetch(SQL.oldest, limit=size_of(context, first))


@mutation.field("outboxEventsAcknowledge")
async def resolve_outbox_events_acknowledge(_root: None, info: Info, ids: list[str]) -> int:
    """Raises `Forbidden`."""
    context = info.context
    _refuse_part_of_channel(context.require(PERMISSION))
    await context.write(PERMISSION)
    return len(await context.fetch(SQL.acknowledge, ids=[int(text) for text in ids if _ID.fullmatch(text)]))


def _refuse_part_of_channel(viewer: Viewer) -> None:
    """Customers are a channel's, whichever companies order there."""
    if viewer.visibility.reach not in (Reach.EVERYTHING, Reach.CHANNELS):
        raise Forbidden("The outbox is for who sees all of a channel.")


event.set_plan("customerPasswordLink", SAME_ROW)


@link.field("token")
def resolve_link_token(row: Any, info: Info) -> str:
    return info.context.password_links.token(row["link_id"], row["customer_id"], row["expires_at"])


@link.field("url")
def resolve_link_url(row: Any, info: Info) -> str | None:
    return info.context.password_links.url(row["channel_code"], resolve_link_token(row, info))


bindables = [query, mutation, event, link]
