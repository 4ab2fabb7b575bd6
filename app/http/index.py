"""What there is here: as a page for a person who opens the service in a browser, as JSON for all others."""

import base64
import hashlib
import re
from pathlib import Path

from starlette.requests import Request
from starlette.types import Scope

from app.http.negotiation import accept_of, prefers_html
from app.http.reply import Reply, reply
from app.http.state import state_of

ENDPOINTS = {
    "graphql": "/graphql",
    "storefront": "/api/graphql",
    "rest": "/api/shop/openapi.json",
    "live": "/healthz",
    "ready": "/readyz",
    "metrics": "/metrics",
}

_VARY = (b"vary", b"Accept")
_PAGE = Path(__file__).with_suffix(".html").read_bytes()
_STYLE = base64.b64encode(hashlib.sha256(_PAGE.partition(b"<style>")[2].partition(b"</style>")[0]).digest()).decode()
# Nothing is loaded, run, sent or framed; the one style is the page's own.
_HEADERS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE}'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'".encode(),
    ),
    _VARY,
]

# The host is the caller's word, and goes into the page: it may hold nothing that means anything there.
_HOST = re.compile(rb"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


async def index(request: Request) -> Reply:
    if is_for_a_person(request.scope):
        return page(request.scope)
    return reply({"service": "Waybill", "endpoints": ENDPOINTS}, headers={"vary": "Accept"})


def is_for_a_person(scope: Scope) -> bool:
    """Whether a browser asks for something to look at."""
    return scope["method"] in ("GET", "HEAD") and prefers_html(accept_of(scope["headers"]))


def page(scope: Scope) -> Reply:
    """The page, whose examples name the address under which it was asked for."""
    host = state_of(scope).fields.get(b"host", b"")
    address = scope["scheme"].encode() + b"://" + (host if _HOST.fullmatch(host) else b"localhost")
    body = _PAGE.replace(b"{address}", address)
    return Reply(body, 200, [*_HEADERS, (b"content-length", b"%d" % len(body))])
