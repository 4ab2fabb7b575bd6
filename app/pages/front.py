"""What there is for everybody who opens the service in a browser: the first page, GraphiQL, and the documentation."""

from collections.abc import Callable, Sequence

from graphql import GraphQLSchema
from starlette.routing import Route
from starlette.types import ASGIApp

from app.auth.token import Tokens
from app.pages.docs.manual import ROOT, Manual
from app.pages.ide.page import Explorer
from app.pages.start.page import Start
from app.rest.openapi import PublicDocument
from app.settings import Settings


class Front:
    """`show` is what is shown at the paths of GraphQL. `rest` and `events` are the documents of these."""

    def __init__(
        self,
        settings: Settings,
        tokens: Tokens,
        schema: GraphQLSchema,
        sdl: str,
        rest: PublicDocument,
        events: PublicDocument,
    ) -> None:
        self._start = Start(has_ide=settings.ide, has_demo=settings.development)
        explorer = Explorer(tokens, has_demo=settings.development)
        self.show = explorer.show if settings.ide else self._start.show
        self.manual = Manual(schema, sdl, rest, events)

    def routes(self, counted: Callable[[ASGIApp], ASGIApp]) -> Sequence[Route]:
        manual = counted(self.manual)
        return [
            Route("/", self._start.answer),
            Route(ROOT, manual, methods=["GET"]),
            Route(f"{ROOT}/{{path:path}}", manual, methods=["GET"]),
        ]
