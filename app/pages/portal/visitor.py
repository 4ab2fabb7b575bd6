"""Who is at the portal: the token or the API key of its cookie, and what that one may do."""

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.responses import Response

from app.auth.viewer import Kind, Viewer
from app.errors import NotAuthenticated
from app.http.reply import Reply
from app.pages.language import N_
from app.pages.session import Cookie, proof_of
from app.pages.visit import PageProblem, Visit

# A working day: the longest that a token of ours is good for by itself.
SECONDS = 8 * 3600
COOKIE = Cookie("__Host-portal", SECONDS)
LOGIN, HOME = "/portal/login", "/portal"
# What the head of a page leads to, for whoever may do that there.
PLACES = (
    ("/portal", N_("Overview"), "orders:read"),
    ("/portal/shipments", N_("Shipments"), "shipments:read"),
    ("/portal/orders", N_("Orders"), "orders:read"),
)
# Customers have pages of their own.
KINDS = frozenset({Kind.STAFF, Kind.PARTNER, Kind.CONTACT})

_LARGEST_ID = 2**31 - 1
_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")

Handler = Callable[[Visit, Viewer], Awaitable[Response]]


async def viewer_of(visit: Visit, credential: str) -> Viewer:
    """Whose credential it is; what the visit asks for from now on is asked for by that one.

    Raises `NotAuthenticated` for one that is not good, or a customer's.
    """
    if _TOKEN.fullmatch(credential):
        visit.authorization = f"Bearer {credential}"
    else:
        visit.api_key = credential
    viewer = await visit.viewer()
    if viewer is None or viewer.kind not in KINDS:
        visit.authorization = visit.api_key = None
        raise NotAuthenticated
    return viewer


def signed_in(handle: Handler) -> Callable[[Visit], Awaitable[Response]]:
    """The handler of a page for who is logged in; others are led to the login, and from there back."""

    @wraps(handle)
    async def handler(visit: Visit) -> Response:
        credential = COOKIE.read(visit)
        if credential is None:
            return visit.redirect(_login_before(visit))
        try:
            viewer = await viewer_of(visit, credential)
        except NotAuthenticated:
            return visit.redirect(_login_before(visit), COOKIE.forget())
        return await handle(visit, viewer)

    return handler


def order_id_of(visit: Visit) -> int:
    """The number of the order in the path. Raises `PageProblem` for what cannot be one."""
    text = visit.parameters["id"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _LARGEST_ID):
        raise PageProblem(404)
    return int(text)


def _login_before(visit: Visit) -> str:
    if visit.method != "GET" or visit.raw_path == HOME:
        return LOGIN
    query = visit.scope["query_string"].decode("latin-1")
    return f"{LOGIN}?next={quote(f'{visit.raw_path}?{query}' if query else visit.raw_path, safe='')}"


def way_back(address: str | None) -> str:
    """Where a login leads: a page of the portal, whatever an address says."""
    if not address or not address.isascii() or not address.isprintable():
        return HOME
    parts = urlsplit(address)
    is_ours = not parts.scheme and not parts.netloc and "\\" not in address
    return address if is_ours and parts.path.startswith(f"{HOME}/") else HOME


def render(visit: Visit, viewer: Viewer, template: str, status: int = 200, **values: Any) -> Reply:
    """A page of the portal, by its template below `portal/`, with what its head shows of who is there."""
    secret = COOKIE.read(visit) or ""
    places = [(path, name) for path, name, scope in PLACES if scope in viewer.permissions]

    def translated(entries: Mapping[str, tuple[str, str]]) -> dict[str, str]:
        return {code: visit.wording.translated(name) for code, (name, _colour) in entries.items()}

    common: dict[str, Any] = {
        "viewer": viewer,
        "places": places,
        "proof": proof_of(secret),
        "translated": translated,
    }
    return visit.render(f"portal/{template}", status, **common, **values)
