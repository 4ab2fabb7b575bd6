"""What happens while somebody looks at a page, as server-sent events for its script.

They tell that something is to be asked for again, and no more: the script swaps what the page itself says then.
"""

from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from app.auth.viewer import Viewer
from app.pages.endpoint import Page
from app.pages.portal.visitor import HOME, order_id_of, signed_in
from app.pages.visit import Visit

_AFTER = "after"
_NEEDED = {"orders:read", "shipments:read"}


async def live_of(visit: Visit, viewer: Viewer, path: str) -> str | None:
    """Where the news after this moment come from, at `path`; None for who may not be told any.

    To be asked before the content of the page, so that nothing is missed between the two. Raises `ServiceUnavailable`.
    """
    if not viewer.permissions >= _NEEDED:
        return None
    return f"{path}?{urlencode({_AFTER: await visit.site.news.now()})}"


@signed_in
async def follow_shipments(visit: Visit, _viewer: Viewer) -> Response:
    return await _follow(visit, "Shipments")


@signed_in
async def follow_order(visit: Visit, _viewer: Viewer) -> Response:
    return await _follow(visit, "Order", id=order_id_of(visit))


async def _follow(visit: Visit, operation: str, **variables: Any) -> Response:
    return await visit.follow("portal/live/page", operation, after=visit.query.get(_AFTER), **variables)


PAGES = (
    Page(f"{HOME}/shipments/live", follow_shipments, goes_on=True),
    Page(f"{HOME}/orders/{{id}}/live", follow_order, goes_on=True),
)
