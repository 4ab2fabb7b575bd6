"""Shipments and orders as streams: one JSON object a line, or one row of a table, as many as there are.

All of it is told of one moment, read in batches no faster than the caller takes them. Where it cannot be told to its
end, the connection is broken: what arrives whole is whole. So it is where the right to it ends meanwhile.
"""

import asyncio
import time
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Protocol, cast

from graphql import GraphQLInputObjectType, GraphQLSchema
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

import sql
from app.auth.viewer import Kind, Viewer
from app.context import Context
from app.errors import NotAuthenticated, Overloaded, RequestRefused, ServiceUnavailable, WaybillError
from app.execution.text_lengths import TextLengths
from app.http.budget import Budgets
from app.http.negotiation import accepts_gzip
from app.http.problem import refuse
from app.http.state import state_of
from app.postgres.snapshot import Snapshot
from app.resolvers.b2b import order_search
from app.resolvers.b2b.argument import as_codes, as_uuids
from app.resolvers.b2b.order_search import order_arguments, order_conversions
from app.resolvers.b2b.page import filters_of
from app.resolvers.b2b.tracking_code import with_codes
from app.resolvers.feed import end_of_feed
from app.rest.order_lines import OrderLines, OrderTable
from app.rest.query_filters import QueryFilters
from app.rest.shipment_lines import ShipmentLines, ShipmentTable
from loaders.rows import Row
from sql import Statement

PATH = "/export/shipments.ndjson"
CURSOR_HEADER = "x-changes-cursor"

# Two pages: the statements for what hangs on them are shared by enough rows, and few enough are in memory at a time.
_BATCH_ROWS = 200
# A caller that takes nothing for so long is gone, or keeps a connection from others.
_STALL_SECONDS = 60
_RETRY_SECONDS = 10
# How long an export goes on after its credential has ended, for a caller who takes all that is sent.
_CHECK_SECONDS = 0.5
_GZIP = 16 + zlib.MAX_WBITS
# What it costs to begin, and each row with what hangs on it.
_POINTS = 100
_POINTS_OF_ROW = 5


class Lines(Protocol):
    """Rows of a statement as text."""

    head: bytes  # what comes before the first line

    def of(self, snapshot: Snapshot, batches: AsyncIterator[list[Row]]) -> AsyncGenerator[bytes, None]: ...


@dataclass(frozen=True)
class Source:
    """What is exported, in the words of `summary`. `search_input` names the input type whose filters it takes, and
    `filters` makes them those of the statement, for a viewer."""

    path: str
    media_type: str
    summary: str
    scope: str
    search_input: str
    statement: Statement
    filters: Callable[[Viewer, Mapping[str, Any]], tuple[frozenset[str], dict[str, Any]]]
    lines: Callable[[GraphQLSchema], Lines]

    @property
    def file_name(self) -> str:
        return self.path.rpartition("/")[2]


def _shipment_filters(_viewer: Viewer, arguments: Mapping[str, Any]) -> tuple[frozenset[str], dict[str, Any]]:
    return filters_of(_SHIPMENT, arguments, {"ids": as_uuids, "codes": as_codes})


def _order_filters(viewer: Viewer, arguments: Mapping[str, Any]) -> tuple[frozenset[str], dict[str, Any]]:
    return filters_of(order_search.SQL, order_arguments(viewer, arguments, place=""), order_conversions())


_SHIPMENT = sql.load("shipment")
_NDJSON = "application/x-ndjson; charset=utf-8"
_CSV = "text/csv; charset=utf-8; header=present"
_SHIPMENTS = ("shipments:read", "ShipmentSearchInput", _SHIPMENT.all, _shipment_filters)
_ORDERS = ("orders:read", "OrderSearchArguments", order_search.SQL.all, _order_filters)
SOURCES = (
    Source(PATH, _NDJSON, "Shipments, one JSON object a line, with their items and codes.", *_SHIPMENTS, ShipmentLines),
    Source(
        "/export/shipments.csv",
        _CSV,
        "Shipments as a table, one row each, after one of names.",
        *_SHIPMENTS,
        ShipmentTable,
    ),
    Source("/export/orders.ndjson", _NDJSON, "Orders, a JSON object a line, with their lines.", *_ORDERS, OrderLines),
    Source("/export/orders.csv", _CSV, "Orders as a table, one row each, after one of names.", *_ORDERS, OrderTable),
)


@dataclass
class Slots:
    """How many exports run, of `most` at a time: each keeps a connection to the database until its caller has taken the
    last line."""

    most: int
    running: int = 0


class Export:
    """An ASGI application. `viewer_of` says who asks, as the credentials stand now. `list_items` bounds the values of
    one filter, `lengths` each text.
    """

    def __init__(
        self,
        source: Source,
        schema: GraphQLSchema,
        open_context: Callable[[Scope], Awaitable[Context]],
        viewer_of: Callable[[Scope], Awaitable[Viewer | None]],
        budgets: Budgets,
        slots: Slots,
        *,
        list_items: int,
        lengths: TextLengths,
        stall_seconds: float = _STALL_SECONDS,
    ) -> None:
        self.source = source
        self._open_context = open_context
        self._viewer_of = viewer_of
        self._budgets = budgets
        search_input = cast("GraphQLInputObjectType", schema.type_map[source.search_input])
        self.filters = QueryFilters(search_input, list_items, lengths)
        self._lines = source.lines(schema)
        self._slots = slots
        self._stall_seconds = stall_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = state_of(scope)
        try:
            context, filters, values = await self._admit(scope)
        except WaybillError as error:
            state.outcome = "refused"
            await _refusal(error, scope)(scope, receive, send)
            return
        self._slots.running += 1
        state.outcome = "failed"
        state.work.lift()  # it takes as long as its caller needs
        state.work.watch(scope, receive)
        try:
            await self._stream(context, filters, values, scope, send)
            state.outcome = "ok"
        except NotAuthenticated:
            state.outcome = "refused"
            raise
        except ServiceUnavailable:
            state.outcome = "unavailable"
            raise
        finally:
            self._slots.running -= 1

    async def _admit(self, scope: Scope) -> tuple[Context, frozenset[str], dict[str, Any]]:
        """Raises `WaybillError` for whoever may not have this, and for what is not asked for in the right way."""
        if scope["method"] != "GET":
            message = f"{scope['method']} is not supported here."
            raise RequestRefused(message, status=405, code="METHOD_NOT_ALLOWED")
        context = await self._open_context(scope)
        context.require(self.source.scope)
        arguments = await with_codes(context, self.filters.read(scope["query_string"]))
        filters, values = self.source.filters(context.viewer, arguments)
        if self._slots.running >= self._slots.most:
            raise RequestRefused("Too many exports are running; try again later.", status=503, code="OVERLOADED")
        await self._budgets.pay(context.payer, _POINTS, state_of(scope))
        return context, filters, values

    async def _stream(
        self, context: Context, filters: frozenset[str], values: dict[str, Any], scope: Scope, send: Send
    ) -> None:
        """What fails before the first line is answered like any failure; what fails later breaks the connection."""
        pack = zlib.compressobj(wbits=_GZIP) if accepts_gzip(Headers(scope=scope).get("accept-encoding")) else None
        async with Snapshot.open(context.db, context.viewer.visibility, context.reading) as snapshot:
            start = _start(self.source, is_packed=pack is not None)
            if context.viewer.kind in (Kind.STAFF, Kind.PARTNER):
                cursor = await end_of_feed(snapshot.fetch, await snapshot.state())
                if cursor is None:
                    raise Overloaded(reason="feed")
                MutableHeaders(scope=start)[CURSOR_HEADER] = cursor
            batches = snapshot.batches(self.source.statement, _BATCH_ROWS, filters=filters, **values)
            rows = self._paid(context.payer, batches)
            async with aclosing(self._lines.of(snapshot, rows)) as texts:
                first = await anext(texts, b"")
                await self._send(send, start)
                await self._send_text(send, self._lines.head + first, pack)
                checked_at = time.monotonic()
                async for text in texts:
                    if time.monotonic() - checked_at >= _CHECK_SECONDS:
                        await self._check(scope, context.viewer)
                        checked_at = time.monotonic()
                    await self._send_text(send, text, pack)
        await self._send(send, {"type": "http.response.body", "body": pack.flush() if pack else b""})

    async def _paid(self, payer: str, batches: AsyncIterator[list[Row]]) -> AsyncIterator[list[Row]]:
        """How many there are is known when they are read; an export that has begun is not ended for lack of points."""
        async for rows in batches:
            await self._budgets.spend(payer, len(rows) * _POINTS_OF_ROW)
            yield rows

    async def _check(self, scope: Scope, viewer: Viewer) -> None:
        """Raises `NotAuthenticated` for a viewer who is not who began: the credential ended, or may do other things.

        What the database cannot tell now stays as it was.
        """
        with suppress(ServiceUnavailable):
            if await self._viewer_of(scope) != viewer:
                raise NotAuthenticated

    async def _send_text(self, send: Send, text: bytes, pack: Any) -> None:
        body = pack.compress(text) if pack else text
        if body:
            await self._send(send, {"type": "http.response.body", "body": body, "more_body": True})

    async def _send(self, send: Send, message: Message) -> None:
        """Waits until the caller has taken most of what was sent before. Raises TimeoutError."""
        async with asyncio.timeout(self._stall_seconds):
            await send(message)


def _start(source: Source, *, is_packed: bool) -> Message:
    headers = {
        "content-type": source.media_type,
        "content-disposition": f'attachment; filename="{source.file_name}"',
        "vary": "Accept-Encoding",
        **({"content-encoding": "gzip"} if is_packed else {}),
    }
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": raw}


def _refusal(error: WaybillError, scope: Scope) -> Response:
    status = error.http_status if isinstance(error, RequestRefused) else error.status
    headers = {405: {"allow": "GET"}, 503: {"retry-after": str(_RETRY_SECONDS)}}.get(status)
    return refuse(error, scope, headers)
