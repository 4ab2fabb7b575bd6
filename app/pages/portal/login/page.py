"""In and out of the portal."""

from starlette.responses import Response

from app.errors import NotAuthenticated
from app.pages.endpoint import Page
from app.pages.portal.visitor import COOKIE, HOME, viewer_of, way_back
from app.pages.portal.visitor import LOGIN as PATH
from app.pages.session import check_proof, fits
from app.pages.visit import Visit


async def log_in(visit: Visit) -> Response:
    """What does not open anything is answered in the same words, whatever is wrong with it."""
    back = visit.query.get("next")
    if visit.method != "POST":
        return visit.render("portal/login/page", back=back, failed=False)
    credential = (await visit.form()).get("credential", "").strip()
    try:
        if not fits(credential):
            raise NotAuthenticated
        await viewer_of(visit, credential)
    except NotAuthenticated:
        return visit.render("portal/login/page", 401, back=back, failed=True)
    return visit.redirect(way_back(back), COOKIE.write(credential))


async def log_out(visit: Visit) -> Response:
    check_proof(await visit.form(), COOKIE.read(visit) or "")
    return visit.redirect(HOME, COOKIE.forget())


PAGES = (Page(PATH, log_in, takes_forms=True), Page("/portal/logout", log_out, takes_forms=True))
