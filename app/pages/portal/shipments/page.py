"""Shipments across orders, with all filters of `Query.shipments`."""

from typing import Any

from starlette.responses import Response

from app.auth.viewer import Viewer
from app.pages.endpoint import Page
from app.pages.language import N_
from app.pages.portal.listing import Listing
from app.pages.portal.live.page import live_of
from app.pages.portal.visitor import render, signed_in
from app.pages.portal.words import SHIPMENT_STATUSES, SUB_STATUSES
from app.pages.visit import Visit
from app.rest.export import PATH as EXPORT

TABLE = "/export/shipments.csv"
SORTS = ("ID", "CREATED_AT", "LAST_MODIFIED_AT", "EXPECTED_DELIVERY_AT", "STATUS", "ORDER_ID")
COLUMNS = {
    "order": N_("Order"),
    "company": N_("Receiver"),
    "destination": N_("Destination"),
    "codes": N_("Carrier and code"),
    "status": N_("Status"),
    "promised": N_("Promised"),
    "news": N_("Last event"),
    "pieces": N_("Pieces"),
    "created": N_("Created"),
}
# What each filter is called where it is shown that it holds.
TITLES = {
    "statuses": N_("Status"),
    "late": N_("Late only"),
    "createdAt": N_("Created"),
    "expectedDeliveryAt": N_("Promised"),
    "lastModifiedAt": N_("Changed"),
    "codes": N_("Tracking code or link"),
    "orderIds": N_("Order"),
    "skus": N_("Article number (SKU)"),
    "companyIds": N_("Number of the company"),
    "ids": N_("Shipment (UUID)"),
    "carrierIds": N_("Carrier"),
}


@signed_in
async def show(visit: Visit, viewer: Viewer) -> Response:
    listing = Listing(visit, visit.site.exports[EXPORT].filters, SORTS, COLUMNS)
    values: dict[str, Any] = {"listing": listing, "titles": TITLES, "export": EXPORT, "table": TABLE}
    values |= {"statuses": SHIPMENT_STATUSES, "sub_statuses": SUB_STATUSES}
    if listing.fault:
        return render(visit, viewer, "shipments/page", 400, found=None, carriers={}, **values)
    may_read_orders = "orders:read" in viewer.permissions
    live = await live_of(visit, viewer, f"{visit.raw_path}/live")
    data = await visit.ask("portal/shipments/page", input=listing.input, withOrders=may_read_orders)
    carriers = {str(carrier["id"]): carrier["name"] for carrier in data["carriers"]["items"]}
    return render(visit, viewer, "shipments/page", found=data["shipments"], live=live, carriers=carriers, **values)


PAGES = (Page("/portal/shipments", show),)
