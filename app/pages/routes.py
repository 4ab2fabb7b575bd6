"""All pages, and what they are made with, as routes of the application."""

from collections.abc import Callable

from starlette.routing import Route
from starlette.types import ASGIApp

from app.http.graphql import GraphQLEndpoint
from app.pages import asset
from app.pages.endpoint import Page, PageEndpoint, route

PAGES: tuple[Page, ...] = ()


def routes(graphql: GraphQLEndpoint, counted: Callable[[ASGIApp], ASGIApp], *, body_bytes: int) -> list[Route]:
    """`counted` counts the requests to an application; `graphql` runs the operations of the pages."""
    return [
        Route(f"{asset.ROOT}/{{name}}", asset.serve),
        *(route(page, counted(PageEndpoint(page, graphql, body_bytes=body_bytes))) for page in PAGES),
    ]
