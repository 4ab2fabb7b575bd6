"""A customer's own orders, for who logs in with what the shop knows them by: `/account/<code of the shop>`."""

import re
from typing import Any

from starlette.responses import Response

from app.auth.login import LIFETIME
from app.pages.endpoint import Page
from app.pages.language import N_
from app.pages.session import Cookie, check_proof, proof_of
from app.pages.shop import enter
from app.pages.track.page import show_order
from app.pages.track.words import PROGRESS
from app.pages.visit import PageProblem, Refused, Visit

COOKIE = Cookie("__Host-account", int(LIFETIME.total_seconds()))

_WRONG = N_("The e-mail address or the password is not right.")
_TOO_MANY = N_("Too many attempts. Wait a quarter of an hour, then try again.")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")


def _recognise(visit: Visit) -> str | None:
    """Has a visitor who has logged in ask as that; the credential, None for a stranger. It may have ended since."""
    credential = COOKIE.read(visit)
    visit.authorization = None if credential is None else f"Bearer {credential}"
    return credential


async def show_account(visit: Visit) -> Response:
    """The orders of who has logged in, and the form to do so for all others.

    Raises what `enter` and `Visit.form` do.
    """
    shop = await enter(visit)
    if visit.method == "POST":
        return await _log_in(visit, shop)
    credential = _recognise(visit)
    if credential is None:
        return _form(visit, shop)
    try:
        data = await visit.ask("account/orders", after=visit.query.get("after"))
    except Refused as refused:
        if refused.code != "UNAUTHENTICATED":
            raise PageProblem(404) from None
        return _form(visit, shop, headers=COOKIE.forget())
    return visit.render(
        "account/orders", shop=shop, orders=data["customerOrders"], progress=PROGRESS, proof=proof_of(credential)
    )


async def _log_in(visit: Visit, shop: dict[str, Any]) -> Response:
    form = await visit.form()
    email = form.get("email", "")
    try:
        data = await visit.ask("account/session", "LogIn", email=email, password=form.get("password", ""))
    except Refused as refused:
        is_one_too_many = refused.code == "TOO_MANY_ATTEMPTS"
        return _form(visit, shop, 429 if is_one_too_many else 422, email, _TOO_MANY if is_one_too_many else _WRONG)
    login = data["createCustomerLogin"]["customerLogin"]
    if not login["success"]:
        return _form(visit, shop, 422, email, _WRONG)
    return visit.redirect(f"{visit.raw_path}{visit.in_same_language}", COOKIE.write(login["token"]))


def _form(
    visit: Visit,
    shop: dict[str, Any],
    status: int = 200,
    email: str = "",
    fault: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    return visit.render("account/form", status, headers, shop=shop, email=email, fault=fault)


async def log_out(visit: Visit) -> Response:
    """Ends the session, for whoever has it and says so on a page of ours. Raises what `show_account` raises."""
    if visit.method != "POST":
        raise PageProblem(404)
    await enter(visit)
    credential = _recognise(visit)
    form = await visit.form()
    if credential is not None:
        check_proof(form, credential)
        await visit.ask("account/session", "LogOut")
    return visit.redirect(f"{visit.raw_path.removesuffix('/logout')}{visit.in_same_language}", COOKIE.forget())


async def show_own_order(visit: Visit) -> Response:
    """All of one of the visitor's own orders. Raises `PageProblem`; who is not logged in is asked to."""
    shop = await enter(visit)
    number = visit.parameters["number"]
    if not _NUMBER.fullmatch(number):
        raise PageProblem(404)
    credential = _recognise(visit)
    if credential is None:
        return visit.redirect(_account_of(visit))
    try:
        data = await visit.ask("account/order", id=number, orderId=int(number))
    except Refused as refused:
        if refused.code != "UNAUTHENTICATED":
            raise PageProblem(404) from None
        return visit.redirect(_account_of(visit), COOKIE.forget())
    own = {"shop": shop, "own": data["customerOrder"], "proof": proof_of(credential), "account": _account_of(visit)}
    return show_order(visit, data["trackedOrder"], f"{visit.raw_path}/events", "account/order", **own)


def _account_of(visit: Visit) -> str:
    return visit.raw_path.rpartition("/orders/")[0] + visit.in_same_language


async def follow_own_order(visit: Visit) -> Response:
    """Its news. Raises `PageProblem`."""
    number = visit.parameters["number"]
    if _recognise(visit) is None or not _NUMBER.fullmatch(number):
        raise PageProblem(404)
    return await visit.follow("track/page", "Changes", orderId=int(number))


PAGES = (
    Page("/account/{shop}", show_account, takes_forms=True),
    Page("/account/{shop}/logout", log_out, takes_forms=True),
    Page("/account/{shop}/orders/{number}", show_own_order),
    Page("/account/{shop}/orders/{number}/events", follow_own_order, goes_on=True),
)
