"""How the pages of a shop look, for everybody who looks at one."""

from urllib.parse import quote

import sql
from app.context import Info
from app.errors import ShopNotFound
from app.postgres.events import Tables
from app.resolvers.field_plan import PlannedType, computed
from app.resolvers.query import GuardedQuery
from loaders.rows import Row
from sql import Visibility

SQL = sql.load("shop")
_KINDS = {"image/svg+xml": "svg", "image/png": "png", "image/webp": "webp"}

# What `by_code` reads, by the code of the channel.
_SHOPS = Tables[str, Row]("channels", "channel_pages")

query = GuardedQuery()
shop = PlannedType("Shop")


@query.field("shop", lambda _context: None)
async def resolve_shop(_root: None, info: Info, channel: str) -> Row:
    """Of strangers' too: a page is for everybody. Raises `ShopNotFound` where the channel has none."""
    db = info.context.db

    async def look_up() -> Row:
        rows = await db.fetch(SQL.by_code, Visibility.everything(), code=channel)
        if not rows:
            raise ShopNotFound(channel)
        return rows[0]

    return await db.table_cache(_SHOPS).get(channel, look_up)


def _logo_path(code: str, digest: str | None, media_type: str | None) -> str | None:
    return f"/shops/{quote(code, safe='')}/logo-{digest[:12]}.{_KINDS[media_type]}" if digest and media_type else None


@shop.field("logoData")
async def resolve_shop_logo_data(row: Row, info: Info) -> str | None:
    """Everybody's, too."""
    rows = await info.context.db.fetch(SQL.logo, Visibility.everything(), channel_id=row["channel_id"])
    return rows[0]["logo_data"] if rows else None


shop.set_plan("logoPath", computed(_logo_path, "code", "logo_hash", "logo_type"))

bindables = [query, shop]
