"""All pages, and what they are made with, as routes of the application."""

from collections.abc import Callable

from starlette.routing import Route
from starlette.types import ASGIApp

from app.pages import asset, shop
from app.pages.account import page as account
from app.pages.endpoint import Page, PageEndpoint, route
from app.pages.portal import export
from app.pages.portal.live import page as live
from app.pages.portal.login import page as login
from app.pages.portal.order import page as order
from app.pages.portal.orders import page as orders
from app.pages.portal.overview import page as overview
from app.pages.portal.shipments import page as shipments
from app.pages.track import form
from app.pages.track import page as track
from app.pages.visit import Site

_LISTS = (*overview.PAGES, *shipments.PAGES, *orders.PAGES)
_PORTAL = (*login.PAGES, *_LISTS, *order.PAGES, *live.PAGES, *export.PAGES)
PAGES: tuple[Page, ...] = (*shop.PAGES, *track.PAGES, *form.PAGES, *account.PAGES, *_PORTAL)


def routes(site: Site, counted: Callable[[ASGIApp], ASGIApp]) -> list[Route]:
    """`counted` counts the requests to an application."""
    return [
        Route(f"{asset.ROOT}/{{name}}", asset.serve),
        *(route(page, counted(PageEndpoint(page, site))) for page in PAGES),
    ]
