"""One order: its lines, its shipments and what happened to them; and what writers do about it."""

import secrets

from starlette.responses import Response

from app.auth.viewer import Viewer
from app.pages.endpoint import Page
from app.pages.portal.live.page import live_of
from app.pages.portal.order.write import Fault, write
from app.pages.portal.visitor import COOKIE, order_id_of, render, signed_in
from app.pages.portal.words import FULFILLMENT_STATUSES, SHIPMENT_STATUSES, SUB_STATUSES
from app.pages.session import check_proof
from app.pages.visit import PageProblem, Refused, Visit

_KEY_BYTES = 16


@signed_in
async def answer(visit: Visit, viewer: Viewer) -> Response:
    """Raises `PageProblem` where there is no such order, or none for this viewer.

    A form that was taken leads to the page as it is then, unless there is something to be said of it.
    """
    order_id = order_id_of(visit)
    if visit.method != "POST":
        return await _show(visit, viewer, order_id)
    fields = await visit.form()
    check_proof(fields, COOKIE.read(visit) or "")
    fault = await write(visit, order_id, fields)
    if fault is None and not visit.warnings:
        return visit.redirect(f"{visit.raw_path}#{fields['shipment']}" if fields.get("shipment") else visit.raw_path)
    return await _show(visit, viewer, order_id, fault, tuple(visit.warnings), status=422 if fault else 200)


async def _show(
    visit: Visit,
    viewer: Viewer,
    order_id: int,
    fault: Fault | None = None,
    warnings: tuple[str, ...] = (),
    status: int = 200,
) -> Response:
    may_read_shipments = "shipments:read" in viewer.permissions
    writes = "shipments:write" in viewer.permissions
    live = await live_of(visit, viewer, f"{visit.raw_path}/live")
    try:
        data = await visit.ask("portal/order/page", id=order_id, withShipments=may_read_shipments, writes=writes)
    except Refused as refused:
        if refused.code != "ORDER_NOT_FOUND":
            raise
        raise PageProblem(404) from refused
    return render(
        visit,
        viewer,
        "order/page",
        status,
        order=data["order"],
        live=live,
        carriers=data["carriers"]["items"] if writes else None,
        key=secrets.token_urlsafe(_KEY_BYTES),
        fault=fault,
        warnings=warnings,
        statuses=SHIPMENT_STATUSES,
        sub_statuses=SUB_STATUSES,
        fulfillment_statuses=FULFILLMENT_STATUSES,
    )


PAGES = (Page("/portal/orders/{id}", answer, takes_forms=True),)
