"""All pages, and what they are made with, as routes of the application."""

from collections.abc import Callable

from starlette.routing import Route
from starlette.types import ASGIApp

from app.http.graphql import GraphQLEndpoint
from app.live.stream import HTTPStream
from app.pages import asset, shop
from app.pages.account import page as account
from app.pages.endpoint import Page, PageEndpoint, route
from app.pages.track import form
from app.pages.track import page as track

PAGES: tuple[Page, ...] = (*shop.PAGES, *track.PAGES, *form.PAGES, *account.PAGES)


def routes(
    graphql: GraphQLEndpoint, news: HTTPStream, counted: Callable[[ASGIApp], ASGIApp], *, body_bytes: int
) -> list[Route]:
    """`counted` counts the requests to an application; `graphql` and `news` are those of `Visit`."""
    return [
        Route(f"{asset.ROOT}/{{name}}", asset.serve),
        *(route(page, counted(PageEndpoint(page, graphql, news, body_bytes=body_bytes))) for page in PAGES),
    ]
