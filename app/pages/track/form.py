"""The page by which somebody without a link gets to an order: `/shops/<code>/track`."""

from starlette.responses import Response

from app.auth.linked_order import PATH
from app.pages.endpoint import Page
from app.pages.language import N_
from app.pages.shop import enter
from app.pages.visit import Refused, Visit

_FAULTS = {
    "ORDER_LINK_REFUSED": (422, N_("There is no order of that number with that postal code or e-mail.")),
    "TOO_MANY_ATTEMPTS": (429, N_("Too many attempts. Wait a quarter of an hour, then try again.")),
    "VALIDATION_ERROR": (422, N_("There is no order of that number with that postal code or e-mail.")),
}


async def show_form(visit: Visit) -> Response:
    """Raises `PageProblem` for a shop without pages, and what `Visit.form` does."""
    shop = await enter(visit)
    if visit.method != "POST":
        return visit.render("track/form", shop=shop, number="", secret="", fault=None)
    form = await visit.form()
    number, secret = form.get("number", ""), form.get("secret", "")
    asked = {"channel": shop["code"], "orderNumber": number, "postalCodeOrEmail": secret}
    try:
        data = await visit.ask("track/link", input=asked)
    except Refused as refused:
        status, fault = _FAULTS.get(refused.code, _FAULTS["ORDER_LINK_REFUSED"])
        return visit.render("track/form", status, shop=shop, number=number, secret=secret, fault=fault)
    return visit.redirect(f"{PATH}/{data['orderLinkRequest']['token']}{visit.in_same_language}")


PAGES = (Page("/shops/{shop}/track", show_form, takes_forms=True),)
