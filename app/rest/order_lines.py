"""Orders as text: one JSON object a line, with addresses and lines in it, or one row of a table."""

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, cast

import orjson
from graphql import get_named_type, is_leaf_type

import sql
from app.postgres.snapshot import Snapshot
from app.resolvers.names import snake_case
from app.resolvers.scalar import serialize_date_time
from app.rest.table import cell, text
from loaders.rows import Row

if TYPE_CHECKING:
    from graphql import GraphQLObjectType, GraphQLSchema

_EXACT = sql.load("order").exact_by_order_ids
_ITEMS = sql.load("order_item").by_order_ids
_EXACT_ITEMS = sql.load("order_item").exact_by_order_item_ids
_ADDRESSES = sql.load("order_address").by_order_ids
_CODES = sql.load("track_and_trace").codes_by_order_ids

_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATETIME
# Objects that lie in the order's row, each with what its columns begin with there, and among the exact ones.
_PARTS = {"total": ("OrderTotals", "total_", ""), "postageData": ("OrderPostageData", "postage_", "postage_")}
_PARTS["paymentData"] = ("OrderPaymentData", "payment_", "payment_")
_EXACTLY = "Exact"
_ADDRESS_FIELDS = (
    "company",
    "firstName",
    "lastName",
    "street",
    "number",
    "postalCode",
    "city",
    "country",
    "phone",
    "email",
)

# Members by name, each with its column, and whether that is one of the row of exact amounts (decision 23).
Columns = list[tuple[str, str, bool]]


class OrderLines:
    """An object has the members of its type in the SDL that its row holds, with its parts, addresses and lines."""

    head = b""

    def __init__(self, schema: "GraphQLSchema") -> None:
        self._order = _columns(schema, "Order")
        self._parts = {
            name: _columns(schema, type_name, prefix, exact_prefix)
            for name, (type_name, prefix, exact_prefix) in _PARTS.items()
        }
        self._item = _columns(schema, "OrderItem")
        self._address = _columns(schema, "OrderAddress")

    async def of(self, snapshot: Snapshot, batches: AsyncIterator[list[Row]]) -> AsyncGenerator[bytes, None]:
        """The lines of each batch of orders, in its sequence. Four statements a batch."""
        async for orders in batches:
            ids = [order["id"] for order in orders]
            exact = await _exact(snapshot, ids)
            rows = await snapshot.fetch(_ITEMS, order_ids=ids)
            exact_rows = await snapshot.fetch(_EXACT_ITEMS, order_item_ids=[row["id"] for row in rows])
            exact_of = {row["order_item_id"]: row for row in exact_rows}
            items: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
            for row in rows:
                items[row["order_id"]].append(_object(row, exact_of[row["id"]], self._item))
            addresses = _by_order(await snapshot.fetch(_ADDRESSES, order_ids=ids))
            yield b"".join(
                self._line(order, exact[order["id"]], items[order["id"]], addresses[order["id"]]) for order in orders
            )

    def _line(self, order: Row, exact: Row, items: list[dict[str, Any]], addresses: list[Row]) -> bytes:
        value = _object(order, exact, self._order)
        for name, columns in self._parts.items():
            value[name] = _object(order, exact, columns)
        value["addresses"] = [_object(address, exact, self._address) for address in addresses]
        value["items"] = items
        return orjson.dumps(value, serialize_date_time, _OPTIONS)


class OrderTable:
    """A row for each order (RFC 4180): what its row holds, its two addresses, and its codes with blanks between them.

    See `cell` of what a spreadsheet would take for a formula.
    """

    def __init__(self, schema: "GraphQLSchema") -> None:
        self._columns = _columns(schema, "Order")
        for name, (type_name, prefix, exact_prefix) in _PARTS.items():
            self._columns += [
                (f"{name}.{field}", column, is_exact)
                for field, column, is_exact in _columns(schema, type_name, prefix, exact_prefix)
            ]
        self._addresses = [(type_, field) for type_ in ("delivery", "invoice") for field in _ADDRESS_FIELDS]
        names = [name for name, _column, _is_exact in self._columns]
        names += [f"{type_}.{field}" for type_, field in self._addresses]
        self.head = text([[*names, "codes"]])

    async def of(self, snapshot: Snapshot, batches: AsyncIterator[list[Row]]) -> AsyncGenerator[bytes, None]:
        """The rows of each batch of orders, in its sequence. Three statements a batch."""
        async for orders in batches:
            ids = [order["id"] for order in orders]
            exact = await _exact(snapshot, ids)
            addresses = _by_order(await snapshot.fetch(_ADDRESSES, order_ids=ids))
            codes = _by_order(await snapshot.fetch(_CODES, order_ids=ids))
            yield text(
                self._row(order, exact[order["id"]], addresses[order["id"]], codes[order["id"]]) for order in orders
            )

    def _row(self, order: Row, exact: Row, addresses: list[Row], codes: list[Row]) -> list[object]:
        address_of = {address["type"]: address for address in reversed(addresses)}
        held = [(exact if is_exact else order).get(column) for _name, column, is_exact in self._columns]
        held += [
            address_of[type_][snake_case(field)] if type_ in address_of else None for type_, field in self._addresses
        ]
        return [cell(value) for value in [*held, " ".join(code["code"] for code in codes)]]


async def _exact(snapshot: Snapshot, ids: list[int]) -> dict[int, Row]:
    return {row["order_id"]: row for row in await snapshot.fetch(_EXACT, order_ids=ids)}


def _columns(schema: "GraphQLSchema", type_name: str, prefix: str = "", exact_prefix: str = "") -> Columns:
    type_ = cast("GraphQLObjectType", schema.type_map[type_name])
    leaves = (name for name, field in type_.fields.items() if is_leaf_type(get_named_type(field.type)))
    return [
        (name, exact_prefix + snake_case(name.removesuffix(_EXACTLY)), True)
        if name.endswith(_EXACTLY)
        else (name, prefix + snake_case(name), False)
        for name in leaves
    ]


def _object(row: Row, exact: Row, columns: Columns) -> dict[str, Any]:
    """The members that have a column in their row."""
    held = {False: set(row.keys()), True: set(exact.keys())}
    return {
        name: (exact if is_exact else row)[column] for name, column, is_exact in columns if column in held[is_exact]
    }


def _by_order(rows: Iterable[Row]) -> defaultdict[int, list[Row]]:
    rows_of: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        rows_of[row["order_id"]].append(row)
    return rows_of
