"""In and out of the portal."""

from starlette.responses import Response

from app.errors import NotAuthenticated
from app.pages.endpoint import Page
from app.pages.portal.visitor import COOKIE, HOME, viewer_of, way_back
from app.pages.portal.visitor import LOGIN as PATH
from app.pages.session import LONGEST, read_form
from app.pages.visit import Visit

# A working day: the longest that a token of ours is good for by itself.
SECONDS = 8 * 3600


async def log_in(visit: Visit) -> Response:
    """What does not open anything is answered in the same words, whatever is wrong with it."""
    back = visit.query.get("next")
    if visit.method != "POST":
        return visit.render("portal/login/page", back=back, failed=False)
    credential = (await read_form(visit, None)).get("credential", "").strip()
    try:
        if not 0 < len(credential) <= LONGEST or not credential.isascii() or not credential.isprintable():
            raise NotAuthenticated
        await viewer_of(visit, credential)
    except NotAuthenticated:
        return visit.render("portal/login/page", 401, back=back, failed=True)
    return visit.redirect(way_back(back), {"set-cookie": COOKIE.kept(credential, SECONDS)})


async def log_out(visit: Visit) -> Response:
    await read_form(visit, COOKIE.value(visit))
    return visit.redirect(HOME, {"set-cookie": COOKIE.forgotten()})


LOGIN = Page(PATH, log_in, takes_forms=True)
LOGOUT = Page("/portal/logout", log_out, takes_forms=True)
