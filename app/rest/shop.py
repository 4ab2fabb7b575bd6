"""The REST twins of the customer surface, under /api/shop: the same lookups as GraphQL's, told by paths and statuses.

The storefront key is checked before the token, the token before the id. Every refusal is `{"message": …}`.
"""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

import orjson
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.auth.storefront_key import DESCRIBED
from app.context import Context
from app.errors import (
    CustomerOrderNotFound,
    CustomerShipmentNotFound,
    RateLimitExceeded,
    RequestRefused,
    ServiceUnavailable,
    StorefrontKeyInvalid,
    StorefrontKeyRequired,
    TimedOut,
    TooManyAttempts,
    WaybillError,
)
from app.execution.errors import log_defect, log_fault
from app.http.body import read_body, refusal_headers
from app.http.budget import Budgets
from app.http.deadline import Ending
from app.http.rate_limit import WINDOW_SECONDS, too_many
from app.http.reply import reply, unavailable
from app.http.state import State, state_of
from app.resolvers.customer import login
from app.resolvers.customer.order import find_order, order_page
from app.resolvers.customer.shipment import find_shipment, shipment_page
from app.resolvers.tracking import needs_destination, tracking_url
from app.rest.shop_answer import (
    Address,
    Login,
    Logout,
    Order,
    OrderEntry,
    OrderItem,
    OrderShipment,
    OrderShipmentItem,
    Payment,
    Shipment,
    ShipmentItem,
    TokenCheck,
    Tracking,
    TrackingEvent,
)
from loaders import customer_order_address, customer_order_item, customer_shipment, customer_shipment_item
from loaders.batch import Batch, Relation
from loaders.customer_order_address import first_billing_address_by_order, first_shipping_address_by_order
from loaders.customer_order_total import totals_by_order
from loaders.customer_tracking import trackings_by_shipment
from loaders.order_address import destination_by_shipment
from loaders.rows import Row, column_of
from loaders.selection import RowSelection

ROOT = "/api/shop"
DEFAULT_PER_PAGE = 10
LARGEST_PER_PAGE = 50

_ID = re.compile(r"[1-9][0-9]{0,9}")
_PAGE = re.compile(r"[0-9]{1,1000}")
_INTEGER = re.compile(r"-?[0-9]{1,1000}")
_LARGEST_OFFSET = 2**62
_LONGEST_STATUS = 200

# All rows, in the order of their ids: REST shows what hangs on an order whole.
_ALL: Mapping[str, Any] = {"order": ("ID ASC",), "limit": None}
_LINES = customer_order_item.rows(**_ALL)
_ADDRESSES = customer_order_address.rows(**_ALL)
_SHIPMENTS = customer_shipment.rows(**_ALL)
_SHIPMENT_ITEMS = customer_shipment_item.rows(**_ALL)

# What a shipment, and an order, is shown with: one statement brings it all.
_ITEMS_OF_SHIPMENT = (Relation(_SHIPMENT_ITEMS, "shipment_id"), RowSelection(None))
_SHIPMENT_SELECTION = RowSelection(
    None,
    (
        _ITEMS_OF_SHIPMENT,
        (Relation(trackings_by_shipment, "shipment_id"), RowSelection(None)),
        (Relation(first_shipping_address_by_order, "order_id"), RowSelection(None)),
        (Relation(first_billing_address_by_order, "order_id"), RowSelection(None)),
    ),
)
_ORDER_SELECTION = RowSelection(
    None,
    (
        (Relation(totals_by_order, "key"), RowSelection(None)),
        (Relation(_LINES, "key"), RowSelection(None)),
        (Relation(_ADDRESSES, "key"), RowSelection(None)),
        (Relation(_SHIPMENTS, "key"), RowSelection(None, (_ITEMS_OF_SHIPMENT,))),
    ),
)


class _Anything(PathConvertor):
    """An id may be any text, even one with slashes and line ends: it names nothing, and the answer quotes it."""

    regex = "(?s:.*)"


register_url_convertor("anything", _Anything())


@dataclass(frozen=True)
class Call:
    """A request whose storefront key is good."""

    context: Context
    id: str
    query: QueryParams
    body: dict[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """One operation. `answer` is the type of the body; the OpenAPI document tells the rest of the members too.

    It costs `points`, and `points_of_row` for each row of a page.
    """

    method: str
    path: str
    answer: Any
    handle: Callable[[Call], Awaitable[Response]]
    points: int
    points_of_row: int = 0
    status: int = 200
    needs_token: bool = False
    takes_token: bool = False
    query: tuple[str, ...] = field(default=())

    @property
    def summary(self) -> str:
        return (self.handle.__doc__ or "").partition(".")[0]


class ShopEndpoint:
    """An ASGI application that answers one endpoint. `open_context` is that of GraphQL."""

    def __init__(
        self,
        endpoint: Endpoint,
        open_context: Callable[[Scope], Awaitable[Context]],
        budgets: Budgets,
        *,
        body_bytes: int,
    ) -> None:
        self._budgets = budgets
        self._endpoint = endpoint
        self._open_context = open_context
        self._body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = state_of(scope)
        request_id = state.request_id
        try:
            response = await self._respond(scope, receive, state)
            outcome = "ok" if response.status_code < 400 else "refused"
        except RequestRefused as error:
            outcome = "refused"
            response = reply({"message": error.message}, error.http_status, headers=refusal_headers(error))
        except (StorefrontKeyRequired, StorefrontKeyInvalid) as error:
            outcome = "refused"
            response = _key_refusal(error)
        except ServiceUnavailable as error:
            outcome = "unavailable"
            response = _unavailable(error, request_id)
        except RateLimitExceeded as error:
            outcome = "refused"
            response = too_many(error)
        except WaybillError as error:
            outcome = "errors"
            waiting = {"retry-after": str(WINDOW_SECONDS)} if isinstance(error, TooManyAttempts) else {}
            response = reply({"message": error.message}, error.status, headers=waiting)
        except asyncio.CancelledError:
            if not state.work.take_back_if(Ending.LATE):
                state.outcome = "aborted"
                raise
            outcome = "unavailable"
            response = _unavailable(TimedOut(reason="deadline"), request_id)
        except Exception as error:
            outcome = "failed"
            log_defect(error, request_id, path=scope["path"])
            response = reply({"message": "Internal server error", "requestId": request_id}, 500)
        state.outcome = outcome
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, state: State) -> Response:
        allowed = self._endpoint.method
        if scope["method"] != allowed:
            return not_allowed(scope["method"], allowed)
        context = await self._open_context(scope)
        context.storefront.require()
        query = QueryParams(scope["query_string"])
        await self._budgets.pay(context.payer, _points(self._endpoint, query), state)
        is_read = allowed != "POST"
        body = {} if is_read else _object(await read_body(scope, receive, self._body_bytes))
        call = Call(context, scope["path_params"].get("id", ""), query, body)
        state.work.goes_on = not is_read
        state.work.watch(scope, receive)
        return await self._endpoint.handle(call)


def _unavailable(error: ServiceUnavailable, request_id: str) -> Response:
    log_fault(error, request_id)
    return unavailable(error, {"message": error.message, "code": error.code})


def not_allowed(method: str, allowed: str) -> Response:
    return reply({"message": f"{method} is not supported here."}, 405, headers={"allow": allowed})


def _key_refusal(error: StorefrontKeyRequired | StorefrontKeyInvalid) -> Response:
    if isinstance(error, StorefrontKeyInvalid):
        return reply({"message": "Invalid or inactive shop API key", "error": error.kind}, 403)
    body = {"message": "X-STOREFRONT-KEY header is required", "error": error.kind, **DESCRIBED}
    return reply(body, 401)


def _object(body: bytes) -> dict[str, Any]:
    """No body is an empty object: what is required in it is then missed by name. Raises `RequestRefused`."""
    try:
        value = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise RequestRefused("The request body must be a JSON object.")
    return value


# ------------------------------------------------------------------------------------------------ orders


async def get_order(call: Call) -> Response:
    """One order in full.

    What cannot be an id is looked up all the same, as 0 which none has: it must not be told from a foreign id by time.
    """
    context = call.context
    try:
        row = await find_order(context, _number(call.id), _ORDER_SELECTION)
    except CustomerOrderNotFound:
        raise CustomerOrderNotFound(call.id) from None
    [totals], [lines], [addresses], [shipments] = [
        await _beside(context, [row], batch, "key") for batch in (totals_by_order, _LINES, _ADDRESSES, _SHIPMENTS)
    ]
    items_of = await _beside(context, shipments, _SHIPMENT_ITEMS, "shipment_id")
    body = Order.of(
        row,
        sub_total_invoiced=totals["sub_total_invoiced"],
        sub_total_incl_tax=totals["sub_total_incl_tax"],
        items=[OrderItem.of(line, product_type=line["type"]) for line in lines],
        addresses=[Address.of(address) for address in addresses],
        payment=_payment(row),
        shipments=[
            OrderShipment.of(shipment, items=[OrderShipmentItem.of(item) for item in items])
            for shipment, items in zip(shipments, items_of, strict=True)
        ],
    )
    return reply(body)


def _payment(order: Row) -> dict[str, Any] | None:
    """The store keeps the method's name alone, so its title is made of that."""
    method: str = order["payment_method"]
    if not method:
        return None
    return Payment.of({"id": order["key"], "method": method, "method_title": method.replace("_", " ").capitalize()})


async def list_orders(call: Call) -> Response:
    """The orders of the customer, newest first."""
    page = ShopPage.of(call.query)
    rows, total = await order_page(call.context, _word(call.query), limit=page.size, skip=page.skip)
    return reply([OrderEntry.of(row) for row in rows], headers=page.headers(total))


# ------------------------------------------------------------------------------------------------ shipments


async def get_shipment(call: Call) -> Response:
    """One shipment."""
    try:
        row = await find_shipment(call.context, _number(call.id), _SHIPMENT_SELECTION)
    except CustomerShipmentNotFound:
        raise CustomerShipmentNotFound(call.id) from None
    [shipment] = await _shipments(call.context, [row])
    return reply(shipment)


async def list_shipments(call: Call) -> Response:
    """The shipments of the customer's orders, or of one of them, newest first."""
    page, order = ShopPage.of(call.query), _order_filter(call.query)
    rows, total = await shipment_page(
        call.context, order, _word(call.query), selection=_SHIPMENT_SELECTION, limit=page.size, skip=page.skip
    )
    return reply(await _shipments(call.context, rows), headers=page.headers(total))


async def _shipments(context: Context, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows that came with `_SHIPMENT_SELECTION`."""
    items = await _beside(context, rows, _SHIPMENT_ITEMS, "shipment_id")
    trackings = await _beside(context, rows, trackings_by_shipment, "shipment_id")
    destinations: Sequence[Any] = [None] * len(rows)
    if any(needs_destination(code["track_and_trace_url"]) for codes in trackings for code in codes):
        destinations = await _beside(context, rows, destination_by_shipment, "shipment_id")
    shipping = await _beside(context, rows, first_shipping_address_by_order, "order_id")
    billing = await _beside(context, rows, first_billing_address_by_order, "order_id")
    return [
        Shipment.of(
            row,
            items=[ShipmentItem.of(item) for item in its_items],
            trackings=[_tracking(code, destination) for code in codes],
            shipping_address=to and Address.of(to),
            billing_address=by and Address.of(by),
        )
        for row, its_items, codes, destination, to, by in zip(
            rows, items, trackings, destinations, shipping, billing, strict=True
        )
    ]


def _tracking(code: Row, destination: Row | None) -> dict[str, Any]:
    event = {name.removeprefix("event_"): code[name] for name in code.keys() if name.startswith("event_")}  # noqa: SIM118
    return Tracking.of(
        code,
        url=tracking_url(code["code"], code["track_and_trace_url"], destination),
        last_event=TrackingEvent.of(event) if code["event_status"] else None,
    )


async def _beside(context: Context, rows: Sequence[Row], batch: Batch, key: str) -> Sequence[Any]:
    """What hangs on each row by its column `key`."""
    found = context.load_all(batch, column_of(rows, key))
    return list(await found if isawaitable(found) else found)


# ------------------------------------------------------------------------------------------------ login


async def log_in(call: Call) -> Response:
    """Log a customer in."""
    email, password, _device = (_text(call.body, name) for name in ("email", "password", "deviceToken"))
    return reply(await login.login(call.context, email, password), 201)


async def log_out(call: Call) -> Response:
    """End the token of this request."""
    return reply(await login.logout(call.context), 201)


async def verify_token(call: Call) -> Response:
    """Whose token this request brings."""
    payload = await login.verify(call.context)
    return reply({name: payload[name] for name in TokenCheck.__struct_encode_fields__}, 201)


def _text(body: dict[str, Any], name: str) -> str:
    """What is missing is left to the login to name. Raises `RequestRefused` for what is no text."""
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RequestRefused(f"The {name} field must be a string.")
    return value


# ------------------------------------------------------------------------------------------------ parameters


def _number(text: str) -> int:
    return int(text) if _ID.fullmatch(text) else 0


def _word(query: QueryParams) -> str | None:
    """The status to filter by; what no status can be is as good as any other unknown word."""
    status = query.get("status")
    return "" if status and ("\0" in status or len(status) > _LONGEST_STATUS) else status


def _order_filter(query: QueryParams) -> int | None:
    """Raises `RequestRefused` for what is no whole number."""
    text = query.get("order_id", query.get("orderId"))
    if text is None:
        return None
    if not _INTEGER.fullmatch(text):
        raise RequestRefused("Invalid order ID provided.")
    return int(text)


@dataclass(frozen=True)
class ShopPage:
    """`number` counts from 1."""

    number: int
    size: int

    @classmethod
    def of(cls, query: QueryParams) -> "ShopPage":
        """Raises `RequestRefused` for what is no positive whole number; too large a size is lowered."""
        size = _positive(query, "per_page", DEFAULT_PER_PAGE)
        return cls(_positive(query, "page", 1), min(size, LARGEST_PER_PAGE))

    @property
    def skip(self) -> int:
        return min((self.number - 1) * self.size, _LARGEST_OFFSET)

    def headers(self, total: int) -> dict[str, str]:
        return {
            "x-total-count": str(total),
            "x-page": str(self.number),
            "x-per-page": str(self.size),
            "x-total-pages": str(math.ceil(total / self.size)),
        }


def _points(endpoint: Endpoint, query: QueryParams) -> int:
    """What a request costs, by the page that it asks for."""
    if not endpoint.points_of_row:
        return endpoint.points
    try:
        rows = ShopPage.of(query).size
    except RequestRefused:  # which is told in its turn
        rows = 0
    return endpoint.points + rows * endpoint.points_of_row


def _positive(query: QueryParams, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not _PAGE.fullmatch(text) or int(text) < 1:
        raise RequestRefused(f"The {name} must be a positive integer.")
    return int(text)


# ------------------------------------------------------------------------------------------------ the table

# Points are what the same costs by GraphQL, for an order or a shipment of usual size: ten microseconds each.
_PAGING = ("page", "per_page")

ENDPOINTS = (
    Endpoint("POST", f"{ROOT}/customer/login", Login, log_in, points=1_000, status=201),
    Endpoint("POST", f"{ROOT}/customer/logout", Logout, log_out, points=100, status=201, takes_token=True),
    Endpoint("POST", f"{ROOT}/verify-tokens", TokenCheck, verify_token, points=10, status=201, takes_token=True),
    Endpoint(
        "GET",
        f"{ROOT}/customer-orders",
        list[OrderEntry],
        list_orders,
        points=10,
        points_of_row=1,
        needs_token=True,
        query=("status", *_PAGING),
    ),
    Endpoint("GET", f"{ROOT}/customer-orders/{{id}}", Order, get_order, points=50, needs_token=True),
    Endpoint(
        "GET",
        f"{ROOT}/customer-order-shipments",
        list[Shipment],
        list_shipments,
        points=10,
        points_of_row=20,
        needs_token=True,
        query=("order_id", "orderId", "status", *_PAGING),
    ),
    Endpoint("GET", f"{ROOT}/customer-order-shipments/{{id}}", Shipment, get_shipment, points=20, needs_token=True),
)


def route(endpoint: Endpoint, app: Any) -> Route:
    return Route(endpoint.path.replace("{id}", "{id:anything}"), app)
