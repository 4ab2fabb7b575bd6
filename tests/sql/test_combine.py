"""Several statements in one give the rows that each gives by itself, for every reach."""

from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest

import sql
from app.cache import Cache
from loaders.batch import Relation
from loaders.carrier import carrier_by_id
from loaders.order import tax_percentages_by_order
from loaders.order_item import order_item_by_id, order_items_by_order
from loaders.selection import CombinedQueries, RowSelection
from loaders.shipment import shipments_by_order
from loaders.shipment_item import shipment_items_by_shipment
from loaders.source import sources_by_order, sources_by_shipment
from loaders.track_and_trace import newest_track_and_traces_by_carrier, track_and_traces_by_shipment
from sql import Prepared, Reach, Statement
from sql.combine import CombinedPart, combine

ORDER, SHIPMENT, CARRIER = sql.load("order"), sql.load("shipment"), sql.load("carrier")
VISIBLE = {
    "visible_channel_ids": [1, 2],
    "visible_company_ids": [3, 4, 5, 6],
    "visible_customer_id": 1,
    "visible_order_id": 2075,
    "visible_link_generation": 1,
}
NEWEST_FIRST = ("CREATED_AT DESC", "ID ASC")

ITEMS = (
    Relation(shipment_items_by_shipment, "id"),
    RowSelection(
        frozenset({"name", "quantity"}),
        ((Relation(order_item_by_id, "order_item_id"), RowSelection(frozenset({"sku"}))),),
    ),
)
TRACES = (
    Relation(track_and_traces_by_shipment, "id"),
    # Many carrier ids are the same, and some are null.
    RowSelection(frozenset({"code"}), ((Relation(carrier_by_id, "carrier_id"), RowSelection(frozenset({"name"}))),)),
)
SOURCES = (Relation(sources_by_shipment, "id"), RowSelection(None))
SHIPMENTS = RowSelection(None, (ITEMS, TRACES, SOURCES))
ORDERS = RowSelection(
    frozenset({"status", "total_gross"}),
    (
        (Relation(order_items_by_order, "id"), RowSelection(None)),
        (Relation(shipments_by_order, "id"), SHIPMENTS),
        (Relation(tax_percentages_by_order, "id"), RowSelection(frozenset({"total", "percentage"}))),
        (Relation(sources_by_order, "id"), RowSelection(frozenset())),
    ),
)
CARRIERS = RowSelection(
    frozenset({"name"}),
    ((Relation(newest_track_and_traces_by_carrier, "id"), RowSelection(frozenset({"code", "created_at"}))),),
)
PAGE = {"limit": 40, "skip": 3}
CASES = [
    pytest.param(SHIPMENT.page, SHIPMENTS, frozenset(), SHIPMENT.count, PAGE, id="shipments"),
    pytest.param(
        SHIPMENT.page,
        SHIPMENTS,
        frozenset({"statuses"}),
        SHIPMENT.count,
        {**PAGE, "statuses": ["IN_TRANSIT", "DELIVERED"]},
        id="shipments of two statuses",
    ),
    pytest.param(ORDER.page, ORDERS, frozenset(), ORDER.count, PAGE, id="orders"),
    pytest.param(ORDER.page, ORDERS, frozenset(), None, {"limit": 5, "skip": 10**6}, id="no orders"),
    pytest.param(CARRIER.page, CARRIERS, frozenset(), CARRIER.count, {"limit": 5, "skip": 0}, id="carriers"),
]


@pytest.mark.parametrize("reach", Reach)
@pytest.mark.parametrize(("statement", "selection", "filters", "count", "values"), CASES)
async def test_parts_give_what_their_statements_give(
    connection: asyncpg.Connection,
    reach: Reach,
    statement: Statement,
    selection: RowSelection,
    filters: frozenset[str],
    count: Statement | None,
    values: dict[str, Any],
) -> None:
    async def columns_of(_statement: Statement, prepared: Prepared) -> Mapping[str, type]:
        attributes = (await connection.prepare(prepared.text)).get_attributes()
        return {attribute.name: list if attribute.type.kind == "array" else object for attribute in attributes}

    async def alone(prepared: Prepared, given: Mapping[str, Any]) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = await connection.fetch(prepared.text, *prepared.arguments({**VISIBLE, **given}))
        return found

    query = await selection.combine(
        statement, reach, CombinedQueries(columns_of, Cache()), filters, NEWEST_FIRST, count, {**VISIBLE, **values}
    )
    assert query is not None
    assert len(query.combined.parts) > 1
    root, *others = query.values(values)
    arguments = query.combined.arguments([{**VISIBLE, **root}, *others])
    [row] = await connection.fetch(query.combined.text, *arguments)
    parts = query.rows(row)

    expected = await alone(statement.prepare(reach, filters, NEWEST_FIRST), values)
    singles = [expected]
    for branch in query.shape.branches:
        batch = branch.relation.batch
        keys = [parent[branch.relation.key] for parent in singles[branch.parent]]
        distinct = [key for key in dict.fromkeys(keys) if key is not None]
        singles.append(await alone(batch.statement.prepare(reach), {batch.parameter: distinct, **batch.values}))
    if count is not None:
        singles.append(await alone(count.prepare(reach, filters), values))
    for part, found, single in zip(query.combined.parts, parts, singles, strict=True):
        wanted = [{column: record[column] for column in part.columns} for record in single]
        # By id alone rows come in no order: a loader gives each key its own.
        if "ORDER BY" not in part.prepared.text:
            assert sorted(map(str, found)) == sorted(map(str, wanted))
        else:
            assert list(found) == wanted


async def test_the_demo_data_has_something_for_every_part(connection: asyncpg.Connection) -> None:
    """Or nothing would have been compared."""
    for table in ("orders", "order_items", "shipments", "shipment_items", "track_and_traces", "order_sources"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") > 3


def test_parts_share_the_viewer_and_nothing_else() -> None:
    prepared = ORDER.page.prepare(Reach.COMPANIES, frozenset(), NEWEST_FIRST)
    combined = combine([CombinedPart(prepared, ("id",)), CombinedPart(prepared, ("id",))])
    names = [name for _part, name in combined.parameters]
    assert names.count("visible_channel_ids") == names.count("visible_company_ids") == 1
    assert names.count("limit") == names.count("skip") == 2
