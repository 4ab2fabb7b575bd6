"""All pages, and what they are made with, as routes of the application."""

from collections.abc import Callable

from starlette.routing import Route
from starlette.types import ASGIApp

from app.pages import asset
from app.pages.endpoint import Page, PageEndpoint, route
from app.pages.portal.export import EXPORT
from app.pages.portal.login.page import LOGIN, LOGOUT
from app.pages.portal.order.page import ORDER
from app.pages.portal.orders.page import ORDERS
from app.pages.portal.overview.page import OVERVIEW
from app.pages.portal.shipments.page import SHIPMENTS
from app.pages.visit import Site

PAGES: tuple[Page, ...] = (LOGIN, LOGOUT, OVERVIEW, SHIPMENTS, ORDERS, ORDER, EXPORT)


def routes(site: Site, counted: Callable[[ASGIApp], ASGIApp]) -> list[Route]:
    """`counted` counts the requests to an application."""
    return [
        Route(f"{asset.ROOT}/{{name}}", asset.serve),
        *(route(page, counted(PageEndpoint(page, site))) for page in PAGES),
    ]
