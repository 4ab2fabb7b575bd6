"""What every list costs: all filters, all pairs of two, by all sorts, for each kind of viewer."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import asyncpg

import sql
from bench.search import LONGEST, PLANNERS, VIEWERS, Cost, cost
from sql import Reach, Statement, Visibility

_SIZE = 100
# As far as a page number leads, or half of what is found: pages behind it are read from the other end.
_DEEPEST = 999_900
_WORST = 25

# Values of filters, each a question about an order, a shipment, an item or a code in the middle of all.
_KNOWN = """
SELECT o.id, o.customer_id, o.email, o.external_id, o.reference, a.phone, a.postal_code, s.id::text AS shipment_id,
  s.number, t.id::text AS code_id, t.code, x.id::text AS item_id, x.order_item_id, x.name, x.sku,
  o.created_at AS half, o.created_at - interval '90 days' AS old, o.created_at - interval '60 days' AS less_old,
  o.total_gross::float8 AS price
FROM orders o
JOIN order_addresses a ON a.order_id = o.id AND a.type = 'delivery'
JOIN shipments s ON s.order_id = o.id
JOIN track_and_traces t ON t.shipment_id = s.id
JOIN shipment_items x ON x.shipment_id = s.id
WHERE o.id = (SELECT max(id) / 2 FROM orders)
LIMIT 1
"""


@dataclass(frozen=True)
class Filter:
    """`kind` is the field of the input; of one kind, only one is asked for at a time."""

    kind: str
    said: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A statement's cost for one question; `part` is what was asked of the list."""

    noun: str
    viewer: str
    said: str
    order: str
    part: str
    cost: Cost

    def line(self) -> Sequence[str]:
        ms = "given up" if self.cost.milliseconds >= LONGEST * 1000 else f"{self.cost.milliseconds:.1f}"
        return (self.noun, self.viewer, self.said, self.order, self.part, ms, f"{self.cost.rows:,}")


def dates(column: str, known: Mapping[str, Any]) -> Iterator[Filter]:
    """Half of a year, and a month of it that is long ago."""
    field = column.replace("_at", "")
    yield Filter(column, f"{field}: half a year", {f"{column}.greater_than": known["half"]})
    month = {f"{column}.greater_than": known["old"], f"{column}.less_than": known["less_old"]}
    yield Filter(column, f"{field}: a month", month)


def filters(noun: str, known: Mapping[str, Any]) -> list[Filter]:
    """All filters of a list, with values that many rows have and, where there are such, with others."""

    def one(name: str, value: Any, said: str = "") -> Filter:
        return Filter(name.partition(".")[0], said or name, {name: value})

    created, modified = [*dates("created_at", known)], [*dates("last_modified_at", known)]
    if noun == "shipment":
        return [
            one("ids", [known["shipment_id"]]),
            one("order_ids", [known["id"]]),
            one("statuses", ["DELIVERED"], "statuses: most"),
            one("statuses", ["IN_TRANSIT", "OUT_FOR_DELIVERY"], "statuses: few"),
            *created, *modified, *dates("expected_delivery_at", known),
            one("carrier_ids", [2]),
            one("codes", [known["code"]]),
            one("skus", [f"SKU-{number:05}" for number in range(42, 47)]),
            one("company_ids", [1, 2]),
            one("late", True), Filter("late", "not late", {"not_late": True}),
        ]  # fmt: skip
    if noun == "shipment_item":
        return [
            one("ids", [known["item_id"]]),
            one("shipment_ids", [known["shipment_id"]]),
            one("order_item_ids", [known["order_item_id"]]),
            one("names", [known["name"]]),
            one("skus", [known["sku"]]),
            one("quantity.greater_than", 1), one("quantity.equal", 7),
            *created, *modified,
        ]  # fmt: skip
    if noun == "track_and_trace":
        return [
            one("ids", [known["code_id"]]),
            one("shipment_ids", [known["shipment_id"]]),
            one("codes", [known["code"]]),
            one("carrier_ids", [2]),
            *created, *modified,
        ]  # fmt: skip
    if noun == "order":
        return [
            one("user_id", [known["customer_id"]]),
            one("status", ["COMPLETED"], "status: most"), one("status", ["CANCELED"], "status: few"),
            one("type", ["purchase"], "type: all"), one("type", ["stock"], "type: none"),
            one("price.greater_than", known["price"]), one("price.equal", known["price"]),
            one("company_ids", [1, 2]),
            Filter("company_sources", "company_sources", {"company_sources": True, "company_source_ids": ["1"],
                                                          "company_source_names": ["erp"]}),
            one("original_order_ids", [known["id"]]),
            one("export_statuses", ["EMPTY"], "export_statuses: all"),
            one("export_statuses", ["FAILED"], "export_statuses: none"),
            one("exported_at.greater_than", known["half"]),
            Filter("sources", "sources", {"sources": True, "source_ids": ["1"], "source_names": ["erp"]}),
            one("external_ids", [known["external_id"]]),
            one("references", [known["reference"]]),
            one("channel_ids", [2]),
            *created, *modified,
            Filter("term", "term: rare", {"term": known["phone"], "term_fields": None}),
            Filter("term", "term: common", {"term": "zwart", "term_fields": None}),
            Filter("term", "term: in all", {"term": "customer", "term_fields": None}),
            one("customer_emails", [known["email"]]),
            one("phones", [known["phone"]]),
            one("postal_codes", [known["postal_code"]]),
            one("codes", [known["code"]]),
            one("fulfillment_statuses", ["DELIVERED"], "fulfillment: most"),
            one("fulfillment_statuses", ["UNFULFILLED"], "fulfillment: few"),
            one("overdue", True), Filter("overdue", "not overdue", {"not_overdue": True}),
        ]  # fmt: skip
    if noun == "carrier":
        return [
            one("ids", [2]),
            one("names", ["DHL"]),
            one("keys", ["dhl"]),
            one("types", ["DELIVERY"], "types: most"), one("types", ["PICKUP"], "types: one"),
            one("warehouse_ids", [1]),
            *created, *modified,
        ]  # fmt: skip
    if noun == "order_status":
        return [
            one("ids", [2]),
            one("codes", ["COMPLETED"]),
            one("name", "Completed"),
            one("priority", 60),
            one("type", "SYSTEM"),
            one("order_type", "ORDER"),
            *created, *modified,
            *(one(flag, True) for flag in ("is_default", "is_public", "is_editable", "is_deletable")),
        ]  # fmt: skip
    if noun == "customer_order":
        return [
            one("status", "completed", "status: most"), one("status", "canceled", "status: few"),
            one("above", known["id"]), one("below", known["id"]),
        ]  # fmt: skip
    if noun == "customer_shipment":
        return [
            one("order_id", known["id"]),
            one("status", "delivered", "status: most"), one("status", "cancelled", "status: few"),
            one("above", known["number"]), one("below", known["number"]),
        ]  # fmt: skip
    raise ValueError(noun)


OF_CUSTOMERS = ("customer_order", "customer_shipment")
NOUNS = ("order", "shipment", "shipment_item", "track_and_trace", "carrier", "order_status", *OF_CUSTOMERS)
# Values beside which there is no filter of their name.
_VALUES_ALONE = ("term_fields", "source_ids", "source_names", "company_source_ids", "company_source_names")


def questions(chosen: Sequence[Filter], most: int = 2) -> Iterator[tuple[str, dict[str, Any]]]:
    """None, each and each pair of filters of different kinds, by what is said of them."""
    for size in range(most + 1):
        for some in combinations(chosen, size):
            if len({one.kind for one in some}) == size:
                merged = {name: value for one in some for name, value in one.values.items()}
                yield ", ".join(one.said for one in some) or "everything", merged


def orders(noun: str) -> list[tuple[str, ...]]:
    """Each sort, both ways."""
    names = sql.load(noun).parts.sorts
    return [
        (f"{name} {way}", *(() if name == "ID" else ("ID ASC",))) for name in sorted(names) for way in ("ASC", "DESC")
    ]


def named(asked: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(asked) - {*_VALUES_ALONE}


def table(url: str, nouns: Sequence[str] = NOUNS, most: int = 2) -> str:
    """The worst of all combinations, and how many of each list take longer than they should."""
    return asyncio.run(_table(url, nouns, most))


async def _table(url: str, nouns: Sequence[str], most: int) -> str:
    found = [asked async for asked in measured(url, nouns, most)]
    found.sort(key=lambda asked: -asked.cost.milliseconds)
    lines: list[Sequence[str]] = [
        ("list", "viewer", "filters", "sort", "part", "ms", "rows read"),
        ("---", "---", "---", "---", "---", "---:", "---:"),
        *(asked.line() for asked in found[:_WORST]),
    ]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    for noun in nouns:
        of_noun = [asked for asked in found if asked.noun == noun]
        slow = [a for a in of_noun if a.cost.milliseconds > (150 if a.part == "deep" else 50)]
        text += f"\n{noun}: {len(slow):,} of {len(of_noun):,} take longer than 50 ms, or 150 ms of a deep page"
    return text


async def measured(url: str, nouns: Sequence[str], most: int) -> Any:
    settings = {"jit": "off", "timezone": "UTC", "statement_timeout": f"{int(LONGEST * 1000)}ms"}
    connections = [
        await asyncpg.connect(url, server_settings={**settings, "plan_cache_mode": mode}) for mode in PLANNERS
    ]
    try:
        known = await connections[0].fetchrow(_KNOWN)
        for noun in nouns:
            for said, asked in questions(filters(noun, known), most):
                for viewer, visibility in VIEWERS.items():
                    if noun in OF_CUSTOMERS and visibility.reach is not Reach.CUSTOMER:
                        continue
                    async for one in _of_question(connections, noun, viewer, visibility, said, asked):
                        yield one
    finally:
        for connection in connections:
            await connection.close()


async def _of_question(
    connections: Sequence[asyncpg.Connection],
    noun: str,
    viewer: str,
    visibility: Visibility,
    said: str,
    asked: Mapping[str, Any],
) -> Any:
    file, names = sql.load(noun), named(asked)
    values = {**visibility.keys, **{name.replace(".", "_"): value for name, value in asked.items()}}
    count = file.count.prepare(visibility.reach, names)
    counted = await _worst(connections, file.count, visibility, names, (), values)
    yield Asked(noun, viewer, said, "", "total", counted)
    try:
        found = await connections[-1].fetchval(count.text, *count.arguments(values))
    except asyncpg.QueryCanceledError:
        found = _DEEPEST
    for order in orders(noun):
        first = await _worst(connections, file.page, visibility, names, order, {**values, "limit": 12, "skip": 0})
        yield Asked(noun, viewer, said, order[0], "first", first)
        if found >= 2000:
            skip = min(_DEEPEST, found // 2)
            far = {**values, "limit": _SIZE, "skip": skip}
            deep = await _worst(connections, file.page, visibility, names, order, far)
            yield Asked(noun, viewer, said, order[0], "deep", deep)


async def _worst(
    connections: Sequence[asyncpg.Connection],
    statement: Statement,
    visibility: Visibility,
    names: frozenset[str],
    order: tuple[str, ...],
    values: Mapping[str, Any],
) -> Cost:
    prepared = statement.prepare(visibility.reach, names, order, values if order else None)
    costs = [await cost(connection, prepared, values) for connection in connections]
    return Cost(max(each.milliseconds for each in costs), max(each.rows for each in costs))
