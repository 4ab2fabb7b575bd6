"""Exactly the filtered list as a file, for whoever has the cookie of the portal in place of a header."""

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth.viewer import Viewer
from app.pages.endpoint import Page
from app.pages.portal.visitor import HOME, signed_in
from app.pages.visit import PageProblem, Visit


class Handed(Response):
    """The answer of an application to a request that it is handed."""

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self._app = app
        self._scope = scope

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(self._scope, receive, send)


@signed_in
async def export(visit: Visit, _viewer: Viewer) -> Response:
    app = visit.site.exports.get(visit.raw_path.removeprefix(HOME))
    if app is None:
        raise PageProblem(404)
    return Handed(app, visit.credited()[0])


PAGES = (Page(f"{HOME}/export/{{name}}", export),)
