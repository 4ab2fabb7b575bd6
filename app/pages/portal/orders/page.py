"""Orders and how far they are fulfilled, with the filters of `Query.orders`."""

from typing import Any

from starlette.responses import Response

from app.auth.viewer import Viewer
from app.pages.endpoint import Page
from app.pages.language import N_
from app.pages.portal.listing import Listing
from app.pages.portal.visitor import render, signed_in
from app.pages.portal.words import FULFILLMENT_STATUSES
from app.pages.visit import Visit

EXPORT = "/export/orders.csv"
SORTS = ("ID", "CREATED_AT", "LAST_MODIFIED_AT", "STATUS", "COMPANY", "TOTAL_GROSS", "VALID_UNTIL")
COLUMNS = {
    "order": N_("Order"),
    "receiver": N_("Receiver"),
    "destination": N_("Destination"),
    "status": N_("Status"),
    "fulfillment": N_("Goods"),
    "due": N_("Due"),
    "total": N_("Total"),
    "created": N_("Placed"),
}
# What each filter is called where it is shown that it holds.
TITLES = {
    "term": N_("Search"),
    "fulfillmentStatuses": N_("Goods"),
    "status": N_("Status"),
    "overdue": N_("Due and not shipped"),
    "createdAt": N_("Placed"),
    "externalIds": N_("Number in your system"),
    "references": N_("Reference"),
    "codes": N_("Tracking code or link"),
    "postalCodes": N_("Postal code"),
    "customerEmails": N_("E-mail"),
    "phones": N_("Telephone"),
}


@signed_in
async def show(visit: Visit, viewer: Viewer) -> Response:
    listing = Listing(visit, visit.site.exports[EXPORT].filters, SORTS, COLUMNS)
    values: dict[str, Any] = {
        "listing": listing,
        "titles": TITLES,
        "fulfillment_statuses": FULFILLMENT_STATUSES,
        "export": EXPORT,
    }
    if listing.fault:
        return render(visit, viewer, "orders/page", 400, found=None, statuses={}, **values)
    data = await visit.ask("portal/orders/page", input=listing.input)
    statuses = {status["code"]: status["name"] for status in data["orderStatuses"]["items"]}
    return render(visit, viewer, "orders/page", found=data["orders"], statuses=statuses, **values)


PAGES = (Page("/portal/orders", show),)
