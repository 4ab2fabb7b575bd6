"""What is written from the page of an order, each by a mutation of the schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.pages.visit import Refused, Visit

# A number of pieces stands in the field of its line.
QUANTITY = "quantity."

Fields = Mapping[str, str]


@dataclass(frozen=True)
class Fault:
    """What was refused: `form` is the shipment of the form, or `ship`. `text` is the reason in the words of the schema,
    empty where somebody has changed the shipment meanwhile."""

    form: str
    text: str


class Unreadable(Exception):
    """A field holds no whole number."""


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise Unreadable(text)
    return int(text)


def _code(fields: Fields) -> dict[str, Any]:
    carrier = fields.get("carrierId", "")
    return {"code": fields.get("code", "").strip(), "carrierId": _whole(carrier) if carrier else None}


def _ship(order_id: int, fields: Fields) -> tuple[str, dict[str, Any]]:
    quantities = {name.removeprefix(QUANTITY): text for name, text in fields.items() if name.startswith(QUANTITY)}
    items = [
        {"orderItemId": _whole(line), "quantity": _whole(text.strip())}
        for line, text in quantities.items()
        if text.strip() not in ("", "0")
    ]
    codes = [_code(fields)] if fields.get("code", "").strip() else []
    return "Ship", {"input": {"orderId": order_id, "items": items, "trackAndTraces": codes}}


def _add_code(_order_id: int, fields: Fields) -> tuple[str, dict[str, Any]]:
    return "AddCode", {"input": {"shipmentId": fields.get("shipment", ""), **_code(fields)}}


def _set_status(_order_id: int, fields: Fields) -> tuple[str, dict[str, Any]]:
    version = _whole(fields.get("version", ""))
    return "SetStatus", {
        "id": fields.get("shipment", ""),
        "input": {"status": fields.get("status") or None},
        "ifVersion": version,
    }


_WRITES = {"ship": _ship, "code": _add_code, "status": _set_status}


async def write(visit: Visit, order_id: int, fields: Fields) -> Fault | None:
    """Does what a form of the order says, once however often it is sent. What is wrong with it, None where nothing."""
    make = _WRITES.get(fields.get("do", ""))
    form = fields.get("shipment") or "ship"
    if make is None:
        return Fault(form, "The form is not one of this page.")
    try:
        operation, variables = make(order_id, fields)
        await visit.ask("portal/order/write", operation, idempotency_key=fields.get("key") or None, **variables)
    except Unreadable as error:
        return Fault(form, f"{error} is no whole number.")
    except Refused as refused:
        return Fault(form, "" if refused.code == "CONFLICT" else refused.errors[0]["message"])
    return None
