"""Shipments as text: one JSON object a line, with items and codes in it, or one row of a table."""

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, cast

import orjson
from graphql import get_named_type, is_leaf_type

import sql
from app.postgres.snapshot import Snapshot
from app.resolvers.names import snake_case
from app.resolvers.scalar import serialize_date_time
from app.resolvers.tracking import needs_destination, tracking_url
from app.rest.table import cell, text
from loaders.rows import Row

if TYPE_CHECKING:
    from graphql import GraphQLObjectType, GraphQLSchema

_ITEMS = sql.load("shipment_item").by_shipment_ids
_CODES = sql.load("track_and_trace").by_shipment_ids
_DESTINATIONS = sql.load("order_address").destinations_by_shipment_ids
_CARRIERS = sql.load("carrier").by_ids

_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATETIME

Columns = list[tuple[str, str]]


class ShipmentLines:
    """An object has the members of its type in the SDL, but for those that are objects themselves."""

    head = b""

    def __init__(self, schema: "GraphQLSchema") -> None:
        self._shipment = _columns(schema, "Shipment")
        self._item = _columns(schema, "ShipmentItem")
        self._code = _columns(schema, "TrackAndTrace", computed="trackingUrl")

    async def of(self, snapshot: Snapshot, batches: AsyncIterator[list[Row]]) -> AsyncGenerator[bytes, None]:
        """The lines of each batch of shipments, in its sequence. Three statements a batch, four where links need it."""
        async for shipments in batches:
            ids = [shipment["id"] for shipment in shipments]
            items = _by_shipment(await snapshot.fetch(_ITEMS, shipment_ids=ids))
            codes = await snapshot.fetch(_CODES, shipment_ids=ids)
            carrier_ids = list({code["carrier_id"] for code in codes} - {None})
            carriers = await snapshot.fetch(_CARRIERS, ids=carrier_ids)
            template_of = {carrier["id"]: carrier["track_and_trace_url"] for carrier in carriers}
            codes_of = _by_shipment(codes)
            far = {code["shipment_id"] for code in codes if needs_destination(template_of.get(code["carrier_id"]))}
            found = await snapshot.fetch(_DESTINATIONS, shipment_ids=list(far)) if far else []
            destination_of = {row["shipment_id"]: row for row in found}
            yield b"".join(
                self._line(shipment, items[shipment["id"]], codes_of[shipment["id"]], template_of, destination_of)
                for shipment in shipments
            )

    def _line(
        self,
        shipment: Row,
        items: list[Row],
        codes: list[Row],
        template_of: dict[int, str | None],
        destination_of: dict[str, Row],
    ) -> bytes:
        value = _object(shipment, self._shipment)
        value["items"] = [_object(item, self._item) for item in items]
        destination = destination_of.get(shipment["id"])
        value["trackAndTraces"] = [
            _object(code, self._code)
            | {"trackingUrl": tracking_url(code["code"], template_of.get(code["carrier_id"]), destination)}
            for code in codes
        ]
        return orjson.dumps(value, serialize_date_time, _OPTIONS)


class ShipmentTable:
    """A row for each shipment: what its row holds, its pieces, and its codes and carriers with blanks between them.

    See `cell` of what a spreadsheet would take for a formula.
    """

    def __init__(self, schema: "GraphQLSchema") -> None:
        self._columns = _columns(schema, "Shipment")
        self.head = text([[*(name for name, _column in self._columns), "pieces", "carriers", "codes"]])

    async def of(self, snapshot: Snapshot, batches: AsyncIterator[list[Row]]) -> AsyncGenerator[bytes, None]:
        """The rows of each batch of shipments, in its sequence. Three statements a batch."""
        async for shipments in batches:
            ids = [shipment["id"] for shipment in shipments]
            items = _by_shipment(await snapshot.fetch(_ITEMS, shipment_ids=ids))
            codes = await snapshot.fetch(_CODES, shipment_ids=ids)
            carriers = await snapshot.fetch(_CARRIERS, ids=list({code["carrier_id"] for code in codes} - {None}))
            name_of = {carrier["id"]: carrier["name"] for carrier in carriers}
            codes_of = _by_shipment(codes)
            yield text(self._row(each, items[each["id"]], codes_of[each["id"]], name_of) for each in shipments)

    def _row(self, shipment: Row, items: list[Row], codes: list[Row], name_of: dict[int, str]) -> list[object]:
        held = [shipment[column] for _name, column in self._columns]
        pieces = sum(item["quantity"] or 0 for item in items)
        names = dict.fromkeys(name_of[code["carrier_id"]] for code in codes if code["carrier_id"] in name_of)
        return [cell(value) for value in [*held, pieces, " ".join(names), " ".join(code["code"] for code in codes)]]


def _columns(schema: "GraphQLSchema", type_name: str, computed: str = "") -> Columns:
    type_ = cast("GraphQLObjectType", schema.type_map[type_name])
    leaves = (name for name, field in type_.fields.items() if is_leaf_type(get_named_type(field.type)))
    return [(name, snake_case(name)) for name in leaves if name != computed]


def _object(row: Row, columns: Columns) -> dict[str, Any]:
    return {name: row[column] for name, column in columns}


def _by_shipment(rows: Iterable[Row]) -> defaultdict[str, list[Row]]:
    rows_of: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        rows_of[row["shipment_id"]].append(row)
    return rows_of
