"""`/` in a browser: what this is, where things are, and a first query. Programs are told the endpoints in JSON."""

import re

from starlette.requests import Request
from starlette.types import Scope

from app.http.index import ENDPOINTS, is_for_a_person
from app.http.reply import Reply, reply
from app.http.state import state_of
from app.pages.plain import html, text_of

# The host is the caller's word, and goes into the page: it may hold nothing that means anything there.
_HOST = re.compile(rb"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


class Start:
    """`has_ide` says whether GraphiQL is there, `has_demo` whether the demo's key is good."""

    def __init__(self, *, has_ide: bool, has_demo: bool) -> None:
        self._has_ide = has_ide
        self._has_demo = has_demo

    async def answer(self, request: Request) -> Reply:
        if is_for_a_person(request.scope):
            return self.show(request.scope)
        return reply({"service": "Waybill", "endpoints": ENDPOINTS}, headers={"vary": "Accept"})

    def show(self, scope: Scope) -> Reply:
        """The page, whose examples name the address under which it was asked for."""
        host = state_of(scope).fields.get(b"host", b"")
        name = host.decode("ascii") if _HOST.fullmatch(host) else "localhost"
        address = f"{scope['scheme']}://{name}"
        return html(text_of("start/page", address=address, has_ide=self._has_ide, has_demo=self._has_demo))
