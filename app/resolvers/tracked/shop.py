"""How the pages of a shop look, for everybody who looks at one."""

import sql
from app.context import Info
from app.errors import ShopNotFound
from app.resolvers.field_plan import PlannedType, computed
from app.resolvers.query import GuardedQuery
from loaders.rows import Row
from sql import Visibility

SQL = sql.load("shop")
_KINDS = {"image/svg+xml": "svg", "image/png": "png", "image/webp": "webp"}

query = GuardedQuery()
shop = PlannedType("Shop")


@query.field("shop", lambda _context: None)
async def resolve_shop(_root: None, info: Info, channel: str) -> Row:
    """Of strangers' too: a page is for everybody. Raises `ShopNotFound` where the channel has none."""
    rows = await info.context.db.fetch(SQL.by_code, Visibility.everything(), code=channel)
    if not rows:
        raise ShopNotFound(channel)
    return rows[0]


def _logo_path(code: str, digest: str | None, media_type: str | None) -> str | None:
    return f"/shops/{code}/logo-{digest[:12]}.{_KINDS[media_type]}" if digest and media_type else None


shop.set_plan("logoPath", computed(_logo_path, "code", "logo_hash", "logo_type"))

bindables = [query, shop]
