"""In and out of the portal."""

from collections.abc import Mapping
from contextlib import suppress

from starlette.responses import Response

from app.auth.viewer import Kind
from app.errors import NotAuthenticated
from app.pages.endpoint import Page
from app.pages.portal.visitor import COOKIE, HOME, viewer_of, way_back
from app.pages.portal.visitor import LOGIN as PATH
from app.pages.session import check_proof, fits
from app.pages.visit import PageProblem, Refused, Visit

# What is wrong with the e-mail address or the password, or is none of either.
_WRONG = frozenset({"USER_NOT_FOUND_ERROR", "VALIDATION_ERROR", "BAD_USER_INPUT"})


async def log_in(visit: Visit) -> Response:
    """What does not open anything is answered in the same words, whatever is wrong with it."""
    back = visit.query.get("next")
    if visit.method != "POST":
        return visit.render("portal/login/page", back=back, failed=False)
    form = await visit.form()
    try:
        credential = form.get("credential", "").strip() or await _token_of(visit, form)
        if not fits(credential):
            raise NotAuthenticated
        await viewer_of(visit, credential)
    except NotAuthenticated:
        return visit.render("portal/login/page", 401, back=back, failed=True)
    return visit.redirect(way_back(back), COOKIE.write(credential))


async def _token_of(visit: Visit, form: Mapping[str, str]) -> str:
    """The token of a contact who came with an e-mail address and a password. Raises `NotAuthenticated`.

    Raises `PageProblem` for too many attempts.
    """
    who = {"email": form.get("email", "").strip(), "password": form.get("password", "")}
    if not all(who.values()):
        raise NotAuthenticated
    try:
        data = await visit.ask("portal/login/page", "LogIn", input=who)
    except Refused as refused:
        if refused.code == "TOO_MANY_ATTEMPTS":
            raise PageProblem(429) from refused
        if refused.code not in _WRONG:
            raise
        raise NotAuthenticated from None
    token: str = data["login"]["session"]["accessToken"]
    return token


async def log_out(visit: Visit) -> Response:
    """The session of a contact ends with all of its tokens; other credentials are for whoever gave them to end."""
    credential = COOKIE.read(visit) or ""
    check_proof(await visit.form(), credential)
    with suppress(NotAuthenticated):
        if (await viewer_of(visit, credential)).kind is Kind.CONTACT:
            await visit.ask("portal/login/page", "LogOut")
    return visit.redirect(HOME, COOKIE.forget())


PAGES = (Page(PATH, log_in, takes_forms=True), Page("/portal/logout", log_out, takes_forms=True))
