"""Shipments as a stream: `GET /export/shipments.ndjson`, one JSON object a line, as many as there are.

All of it is told of one moment, read in batches no faster than the caller takes them. Where it cannot be told to its
end, the connection is broken: what arrives whole is whole.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, cast

from graphql import GraphQLInputObjectType, GraphQLSchema
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

import sql
from app.auth.viewer import Kind
from app.context import Context
from app.errors import RequestRefused, ServiceUnavailable, WaybillError
from app.execution.text_lengths import TextLengths
from app.http.negotiation import accepts_gzip
from app.http.reply import reply
from app.http.state import state_of
from app.postgres.snapshot import Snapshot
from app.resolvers.b2b.argument import as_codes, as_uuids
from app.resolvers.b2b.change import end_of_feed
from app.resolvers.b2b.page import filters_of
from app.rest.query_filters import QueryFilters
from app.rest.shipment_lines import ShipmentLines

PATH = "/export/shipments.ndjson"
CURSOR_HEADER = "x-changes-cursor"

_FILE = sql.load("shipment")
_SHIPMENTS = _FILE.all
_BATCH_ROWS = 200
# A caller that takes nothing for so long is gone, or keeps a connection from others.
_STALL_SECONDS = 60
_RETRY_SECONDS = 10
_GZIP = 16 + zlib.MAX_WBITS


class ShipmentExport:
    """An ASGI application.

    `most` exports run at a time, because each keeps a connection to the database until its caller has taken the last
    line. `list_items` bounds the values of one filter, `lengths` each text.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        open_context: Callable[[Scope], Awaitable[Context]],
        *,
        most: int,
        list_items: int,
        lengths: TextLengths,
        stall_seconds: float = _STALL_SECONDS,
    ) -> None:
        self._open_context = open_context
        search_input = cast("GraphQLInputObjectType", schema.type_map["ShipmentSearchInput"])
        self._filters = QueryFilters(search_input, list_items, lengths)
        self._lines = ShipmentLines(schema)
        self._most = most
        self._running = 0
        self._stall_seconds = stall_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = state_of(scope)
        try:
            context, arguments = await self._admit(scope)
        except WaybillError as error:
            state.outcome = "refused"
            await _refusal(error)(scope, receive, send)
            return
        self._running += 1
        state.outcome = "failed"
        state.work.lift()  # it takes as long as its caller needs
        state.work.watch(scope, receive)
        try:
            await self._stream(context, arguments, Headers(scope=scope), send)
            state.outcome = "ok"
        except ServiceUnavailable:
            state.outcome = "unavailable"
            raise
        finally:
            self._running -= 1

    async def _admit(self, scope: Scope) -> tuple[Context, dict[str, Any]]:
        """Raises `WaybillError` for whoever may not have this, and for what is not asked for in the right way."""
        if scope["method"] != "GET":
            message = f"{scope['method']} is not supported here."
            raise RequestRefused(message, status=405, code="METHOD_NOT_ALLOWED")
        context = await self._open_context(scope)
        context.require("shipments:read")
        arguments = self._filters.read(scope["query_string"])
        if self._running >= self._most:
            raise RequestRefused("Too many exports are running; try again later.", status=503, code="OVERLOADED")
        return context, arguments

    async def _stream(self, context: Context, arguments: Mapping[str, Any], headers: Headers, send: Send) -> None:
        """What fails before the first line is answered like any failure; what fails later breaks the connection."""
        filters, values = filters_of(_FILE, arguments, {"ids": as_uuids, "codes": as_codes})
        pack = zlib.compressobj(wbits=_GZIP) if accepts_gzip(headers.get("accept-encoding")) else None
        async with Snapshot.open(context.db, context.viewer.visibility) as snapshot:
            start = _start(is_packed=pack is not None)
            if context.viewer.kind in (Kind.STAFF, Kind.PARTNER):
                MutableHeaders(scope=start)[CURSOR_HEADER] = await end_of_feed(snapshot.fetch)
            shipments = snapshot.batches(_SHIPMENTS, _BATCH_ROWS, filters=filters, **values)
            async with aclosing(self._lines.of(snapshot, shipments)) as texts:
                first = await anext(texts, b"")
                await self._send(send, start)
                await self._send_text(send, first, pack)
                async for text in texts:
                    await self._send_text(send, text, pack)
        await self._send(send, {"type": "http.response.body", "body": pack.flush() if pack else b""})

    async def _send_text(self, send: Send, text: bytes, pack: Any) -> None:
        body = pack.compress(text) if pack else text
        if body:
            await self._send(send, {"type": "http.response.body", "body": body, "more_body": True})

    async def _send(self, send: Send, message: Message) -> None:
        """Waits until the caller has taken most of what was sent before. Raises TimeoutError."""
        async with asyncio.timeout(self._stall_seconds):
            await send(message)


def _start(*, is_packed: bool) -> Message:
    headers = {
        "content-type": "application/x-ndjson; charset=utf-8",
        "content-disposition": 'attachment; filename="shipments.ndjson"',
        "vary": "Accept-Encoding",
        **({"content-encoding": "gzip"} if is_packed else {}),
    }
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": raw}


def _refusal(error: WaybillError) -> Response:
    status = error.http_status if isinstance(error, RequestRefused) else error.status
    headers = {405: {"allow": "GET"}, 503: {"retry-after": str(_RETRY_SECONDS)}}.get(status)
    return reply({"errors": [{"message": error.message, "extensions": error.extensions}]}, status, headers=headers)
