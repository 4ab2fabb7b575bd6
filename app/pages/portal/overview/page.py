"""What needs a look, in numbers that each lead to their list."""

from starlette.responses import Response

from app.auth.viewer import Viewer
from app.pages.endpoint import Page
from app.pages.language import N_
from app.pages.portal.visitor import HOME, PLACES, render, signed_in
from app.pages.visit import Visit

# By the names of the document: what each is called, its colour where there are any, and where it leads.
FIGURES = {
    "late": (N_("Late"), "bad", "/portal/shipments?late=true"),
    "troubled": (N_("Need attention"), "bad", "/portal/shipments?statuses=EXCEPTION&statuses=FAILED_DELIVERY"),
    "overdue": (N_("Due and not shipped"), "warn", "/portal/orders?overdue=true"),
    "unshipped": (
        N_("Not wholly shipped"),
        "",
        "/portal/orders?fulfillmentStatuses=UNFULFILLED&fulfillmentStatuses=PARTIALLY_SHIPPED",
    ),
    "preparing": (N_("In preparation"), "", "/portal/shipments?statuses=CREATED&statuses=PROCESSING"),
    "underWay": (N_("On the way"), "", "/portal/shipments?statuses=IN_TRANSIT&statuses=OUT_FOR_DELIVERY"),
}
_NEEDED = {"orders:read", "shipments:read"}


@signed_in
async def show(visit: Visit, viewer: Viewer) -> Response:
    """Who may see but one of both is led to that list."""
    if not viewer.permissions >= _NEEDED:
        first = next((path for path, _name, scope in PLACES if path != HOME and scope in viewer.permissions), None)
        if first is not None:
            return visit.redirect(first)
        return render(visit, viewer, "overview/page", figures=[])
    data = await visit.ask("portal/overview/page")
    figures = [(*said, data[name]["itemsFound"]) for name, said in FIGURES.items()]
    return render(visit, viewer, "overview/page", figures=figures)


PAGES = (Page(HOME, show),)
