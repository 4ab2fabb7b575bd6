"""`track-link`: makes a link to the page of an order, and ends those that there are."""

import asyncpg

import sql
from app.admin.command import Answer, Commands, Options, Refused, add_task, channel_id, identifier, note
from app.auth.linked_order import LinkedOrder, LinkSigner
from app.auth.token import Tokens
from app.postgres.direct import fetch

_SQL = sql.load("order_link")


def add_commands(commands: Commands) -> None:
    link = add_task(commands, "track-link", _link, "make a link to the page of an order, for its customer", writes=True)
    link.add_argument("order", type=identifier, metavar="ORDER", help="the id of the order")
    link.add_argument("--channel", metavar="CODE", help="of the channel, where several have an order of that id")
    link.add_argument("--revoke", action="store_true", help="end all links to the order that there are before")


async def _link(connection: asyncpg.Connection, options: Options) -> Answer:
    channel = None if options.channel is None else await channel_id(connection, options.channel)
    found = await fetch(connection, _SQL.by_ids, ids=[options.order], channel_id=channel)
    if not found:
        raise Refused(f"there is no order {options.order}")
    if len(found) > 1:
        raise Refused(f"several channels have an order {options.order}: say --channel")
    order = LinkedOrder(found[0]["channel_id"], found[0]["id"], found[0]["generation"])
    if options.revoke:
        [row] = await fetch(connection, _SQL.revoke, order_id=order.order_id, channel_id=order.channel_id)
        order = order._replace(generation=row["generation"])
    subject = f"order:{order.channel_id}.{order.order_id}"
    await note(connection, "track-link", subject, revoked=options.revoke)
    settings = options.settings()
    signer = LinkSigner(Tokens(settings), settings)
    link = signer.url(order) or f"/track/{signer.token(order)}"
    notes = (
        [] if settings.public_url else ["PUBLIC_URL says where customers reach the service; without it this is a path."]
    )
    return Answer({"order": order.order_id, "link": link}, notes=notes)
