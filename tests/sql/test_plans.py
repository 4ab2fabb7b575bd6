"""Lists cost by the rows they return, not by the rows that are stored.

What a statement touches is counted in its plan as PostgreSQL has executed it, on a store where one that reads too much
reads thousands of rows. No time decides anything.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from itertools import combinations, product
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import sql
from sql import Prepared, Reach, Visibility
from sql.statement import NULLS_FIRST
from tests.conftest import FAR_TOO_LONG, ConnectionTo, Databases

ORDERS = 8_000
FILL = Path(__file__).parent.parent / "data" / "large.sql"

# Of pages whose rows are not known to be visible to all, an index alone does not tell.
NOT_VISIBLE = """
SELECT EXISTS (
  SELECT FROM pg_class
  WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relallvisible < relpages)
"""

# The viewers: the third channel has a hundredth of all, the first company a tenth of what companies have.
VISIBILITIES = {
    "staff": Visibility.everything(),
    "channels": Visibility.of_channels([1, 2]),
    "small channel": Visibility.of_channels([3]),
    "companies": Visibility.of_companies([1, 2], [1, 7]),
    "contact": Visibility.of_contact(1, [1, 9]),
    "customer": Visibility.of_customer(1, 5),
}
NEWEST = "CREATED_AT DESC"
CHANGED = "LAST_MODIFIED_AT DESC"
SOONEST, LATEST = "EXPECTED_DELIVERY_AT ASC", "EXPECTED_DELIVERY_AT DESC"
SINCE = "2025-10-01T00:00:00Z"
UNTIL = "2025-06-01T00:00:00Z"

# What portals and integrations ask for, as filters with their values, and by which sorts.
Asked = tuple[dict[str, Any], tuple[str, ...]]
LISTS: dict[str, list[Asked]] = {
    "shipment": [
        ({}, (NEWEST, "CREATED_AT ASC", CHANGED, "LAST_MODIFIED_AT ASC")),
        ({"statuses": ["IN_TRANSIT", "OUT_FOR_DELIVERY"]}, (NEWEST, "CREATED_AT ASC")),
        ({"statuses": ["DELIVERED", "CANCELED"]}, (NEWEST, "CREATED_AT ASC")),
        ({"statuses": ["FAILED_DELIVERY"], "created_at.less_than": UNTIL}, (NEWEST,)),
        ({"created_at.greater_than": SINCE}, (NEWEST, "CREATED_AT ASC")),
        ({"created_at.less_than": UNTIL}, (NEWEST,)),
        ({"last_modified_at.greater_than": SINCE}, (CHANGED, "LAST_MODIFIED_AT ASC")),
    ],
    "order": [
        ({}, (NEWEST, "CREATED_AT ASC", CHANGED)),
        ({"status": ["NEW", "CONFIRMED"]}, (NEWEST, "CREATED_AT ASC")),
        ({"status": ["COMPLETED"], "created_at.less_than": UNTIL}, (NEWEST,)),
        ({"channel_ids": [2]}, (NEWEST,)),
        ({"created_at.greater_than": SINCE}, (NEWEST, "CREATED_AT ASC")),
        ({"last_modified_at.greater_than": SINCE}, (CHANGED, "LAST_MODIFIED_AT ASC")),
    ],
    "shipment_item": [
        ({}, (NEWEST, CHANGED)),
        ({"created_at.greater_than": SINCE}, (NEWEST,)),
    ],
    "track_and_trace": [
        ({}, (NEWEST, CHANGED)),
        ({"created_at.greater_than": SINCE}, (NEWEST,)),
    ],
}
# Asked of a channel; of all channels they are sorted after the statuses have been looked up, of companies after theirs.
OF_CHANNELS: dict[str, list[Asked]] = {
    "shipment": [
        ({}, (SOONEST, LATEST, SOONEST + NULLS_FIRST, LATEST + NULLS_FIRST)),
        ({"statuses": ["IN_TRANSIT", "OUT_FOR_DELIVERY"]}, (SOONEST, LATEST, CHANGED)),
        ({"statuses": ["FAILED_DELIVERY"]}, (SOONEST, LATEST, "LAST_MODIFIED_AT ASC")),
        ({"codes": ["3S4001", "3S4002", "3S13001"]}, (NEWEST,)),
        ({"order_ids": [2001, 2002, 9001]}, (NEWEST,)),
    ],
    "order": [
        ({"status": ["CANCELED"]}, (CHANGED, "LAST_MODIFIED_AT ASC")),
        ({"fulfillment_statuses": ["UNFULFILLED", "DELIVERED"]}, (NEWEST,)),
    ],
    "track_and_trace": [({"codes": ["3S4001", "3S4002", "3S13001"]}, (NEWEST,))],
}
# The first page, and one far behind it.
PAGES = ((12, 0), (12, 240))

# What is known beforehand to be looked up for a list, and for each of its rows.
LEAST, FOR_EACH = 150, 2


@pytest.fixture(scope="session")
def large_dsn(databases: Databases, empty_template: str) -> str:
    """A store of `ORDERS` orders, for reading only."""

    async def fill(dsn: str) -> None:
        # VACUUM takes no row for visible to all whose commit has not reached the disk.
        connection = await asyncpg.connect(dsn, server_settings={"synchronous_commit": "on"})
        await connection.execute(f"SET fill.orders = {ORDERS};" + FILL.read_text("utf-8"))
        await connection.execute("VACUUM ANALYZE")
        # It passes over pages that somebody else, who writes them to the disk, has in hand.
        async with asyncio.timeout(FAR_TOO_LONG):
            while await connection.fetchval(NOT_VISIBLE):
                await connection.execute("VACUUM")
        await connection.close()

    return databases.shared("large", empty_template, fill)


@pytest.fixture(params=["force_generic_plan", "force_custom_plan"])
async def planner(request: pytest.FixtureRequest, large_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that plans for any values, as PostgreSQL does after some calls, or for those of each call."""
    settings = {
        "plan_cache_mode": request.param,
        "jit": "off",
        "timezone": "UTC",
        # A table of a dozen pages costs about the same by its index and whole; the sample of ANALYZE must not decide.
        "random_page_cost": "1.1",
    }
    connection = await asyncpg.connect(large_dsn, server_settings=settings)
    yield connection
    await connection.close()


def _literal(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "'{" + ",".join(str(entry) for entry in value) + "}'"
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else f"'{value}'"


async def executed(connection: asyncpg.Connection, prepared: Prepared, values: Mapping[str, Any]) -> dict[str, Any]:
    """The plan with what its execution touched."""
    await connection.execute(f"PREPARE asked AS {prepared.text}")
    given = ", ".join(_literal(value) for value in prepared.arguments(values))
    call = f"asked({given})" if given else "asked"
    explained = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE {call}")
    await connection.execute("DEALLOCATE asked")
    plan: dict[str, Any] = json.loads(explained)[0]["Plan"]
    return plan


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def rows_read(plan: Mapping[str, Any]) -> int:
    """The rows that were read from tables and indexes, those included that a filter then threw away.

    Without the statuses of orders: they are configuration, the same few whatever is stored.
    """
    kinds = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    return sum(
        round(sum(node.get(kind, 0) for kind in kinds) * node["Actual Loops"])
        for node in _nodes(plan)
        if "Scan" in node["Node Type"] and node.get("Relation Name") != "order_statuses"
    )


def pages_read(plan: Mapping[str, Any]) -> int:
    buffers: int = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return buffers


def _values(visibility: Visibility, asked: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "visible_channel_ids": visibility.channel_ids,
        "visible_company_ids": visibility.company_ids,
        "visible_customer_id": visibility.customer_id,
        **{name.replace(".", "_"): value for name, value in asked.items()},
        **more,
    }


def _branches(visibility: Visibility, asked: Mapping[str, Any]) -> int:
    """How many lists, each in order, a page is cut from."""
    branches = max(1, len(visibility.channel_ids)) * max(1, len(visibility.company_ids))
    return branches * len(asked.get("statuses") or asked.get("status") or asked.get("fulfillment_statuses") or [None])


@pytest.mark.parametrize("viewer", VISIBILITIES)
@pytest.mark.parametrize("noun", LISTS)
async def test_page_costs_by_its_rows_and_those_before_it(noun: str, viewer: str, planner: asyncpg.Connection) -> None:
    visibility, page = VISIBILITIES[viewer], sql.load(noun).page
    lists = [*LISTS[noun], *(OF_CHANNELS.get(noun, []) if visibility.reach is Reach.CHANNELS else [])]
    for asked, sorts in lists:
        for sort in sorts:
            # Oldest first is an index backwards, with ties to be sorted. Of a company, the planner may take it to be as
            # cheap to sort all: it knows how many rows companies have on average, not how many this one has.
            if sort.endswith("ASC") and visibility.company_ids:
                continue
            for limit, skip in PAGES:
                values = _values(visibility, asked, limit=limit, skip=skip)
                allowed = LEAST + FOR_EACH * _branches(visibility, asked) * (limit + skip)
                for merged in (True, False):
                    variant = page.prepare(
                        visibility.reach, frozenset(asked), (sort, "ID ASC"), values if merged else None
                    )
                    plan = await executed(planner, variant, values)
                    said = (asked, sort, limit, skip, merged)
                    assert rows_read(plan) <= allowed, said
                    assert pages_read(plan) <= 2 * allowed, said


# Of a company, the planner may take it to be as cheap to look at all orders, of which companies have few on average.
@pytest.mark.parametrize("viewer", ["staff", "channels", "small channel", "customer"])
@pytest.mark.parametrize(
    "asked",
    [
        {"term": "3S4001", "term_fields": None},
        {"term": "sku49 3s14", "term_fields": None},
        {"term": "3s4001", "term_fields": ["CODE"]},
        {"codes": ["3S4001", "3S4002"]},
        {"phones": ["0201234567"]},
        {"postal_codes": ["1011 AB"]},
    ],
    ids=str,
)
async def test_search_costs_by_what_it_finds(asked: dict[str, Any], viewer: str, planner: asyncpg.Connection) -> None:
    visibility, file = VISIBILITIES[viewer], sql.load("order")
    values, filters = _values(visibility, asked, limit=12, skip=0), frozenset(asked) - {"term_fields"}
    for statement, order in ((file.page, (NEWEST, "ID ASC")), (file.count, ())):
        plan = await executed(planner, statement.prepare(visibility.reach, filters, order), values)
        assert rows_read(plan) <= LEAST, asked


@pytest.mark.parametrize("viewer", VISIBILITIES)
@pytest.mark.parametrize("sort", [NEWEST, CHANGED])
async def test_page_of_a_word_that_many_orders_have_is_found_along_the_list(
    sort: str, viewer: str, planner: asyncpg.Connection
) -> None:
    """The same page as by sorting them all, where more orders have the word than are sorted."""
    visibility = VISIBILITIES[viewer]
    values = _values(visibility, {"term": "sku", "term_fields": ["ITEM_SKU"]}, limit=12, skip=24)
    sorting = sql.load("order").page.prepare(visibility.reach, frozenset({"term"}), (sort, "ID ASC"))
    most, along = 20, sorting.text
    assert along.count("10001") == 1
    assert along.count(" 10000") == 2
    along = along.replace("10001", str(most + 1)).replace(" 10000", f" {most}")
    expected = [row["id"] for row in await planner.fetch(sorting.text, *sorting.arguments(values))]
    assert [row["id"] for row in await planner.fetch(along, *sorting.arguments(values))] == expected
    if viewer in ("staff", "channels"):
        assert len(expected) == 12
        plan = await executed(planner, Prepared(along, sorting.parameters), values)
        # The index tells where all of them lie before it is known that they are many.
        places = sum(node["Actual Rows"] for node in _nodes(plan) if node["Node Type"] == "Bitmap Index Scan")
        assert rows_read(plan) - places <= LEAST + 2 * (12 + 24)


@pytest.mark.parametrize("viewer", ["staff", "channels", "small channel", "companies", "customer"])
async def test_overdue_orders_are_found_by_when_they_were_wanted(viewer: str, planner: asyncpg.Connection) -> None:
    visibility, file = VISIBILITIES[viewer], sql.load("order")
    prepared = file.count.prepare(visibility.reach, frozenset({"overdue"}))
    plan = await executed(planner, prepared, _values(visibility, {}))
    assert rows_read(plan) <= (ORDERS // 10 if viewer == "companies" else LEAST)


@pytest.mark.parametrize("viewer", ["staff", "channels", "companies"])
@pytest.mark.parametrize("noun", LISTS)
async def test_branches_of_a_page_are_merged_as_the_index_gives_them(
    noun: str, viewer: str, planner: asyncpg.Connection
) -> None:
    """One row more of each branch tells which comes next; only the page itself is sorted after it has been fetched."""
    visibility, page = VISIBILITIES[viewer], sql.load(noun).page
    lists = [*LISTS[noun], *(OF_CHANNELS.get(noun, []) if visibility.reach is Reach.CHANNELS else [])]
    for asked, sorts in lists:
        for sort, (limit, skip) in product({NEWEST, CHANGED} & {*sorts}, PAGES):
            filters, order = frozenset(asked), (sort, "ID ASC")
            if not page.has_variant(visibility.reach, filters, order):
                continue
            values = _values(visibility, asked, limit=limit, skip=skip)
            plan = await executed(planner, page.prepare(visibility.reach, filters, order, values), values)
            said = (asked, sort, limit, skip)
            assert rows_read(plan) <= _branches(visibility, asked) + limit + skip + limit, said
            assert all(node["Actual Rows"] <= limit for node in _nodes(plan) if "Sort" in node["Node Type"]), said


@pytest.mark.parametrize("viewer", VISIBILITIES)
async def test_page_is_planned_once_for_all_values(viewer: str, large_dsn: str, connection_to: ConnectionTo) -> None:
    visibility, connection = VISIBILITIES[viewer], await connection_to(large_dsn)
    asked = {"statuses": ["IN_TRANSIT", "DELIVERED"]}
    values = _values(visibility, asked, limit=12, skip=0)
    for given in (values, None):
        variant = sql.load("shipment").page.prepare(visibility.reach, frozenset(asked), (NEWEST, "ID ASC"), given)
        prepared = await connection.prepare(variant.text)
        for skip in range(8):
            await prepared.fetch(*variant.arguments({**values, "skip": skip}))
        query = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1"
        # PostgreSQL plans for the values five times, to compare.
        assert await connection.fetchrow(query, variant.text) == (3, 5)


# Where the tallies answer: who asks, and by what.
OF_ALL = ("staff", "channels", "small channel")
TALLIED: dict[str, list[tuple[tuple[str, ...], dict[str, Any]]]] = {
    "shipment": [
        ((*OF_ALL, "companies"), {}),
        ((*OF_ALL, "companies"), {"statuses": ["IN_TRANSIT", "OUT_FOR_DELIVERY"]}),
        (OF_ALL, {"company_ids": [1, 7]}),
    ],
    "order": [
        ((*OF_ALL, "companies", "contact"), {}),
        ((*OF_ALL, "companies", "contact"), {"status": ["NEW", "COMPLETED"]}),
        (OF_ALL, {"channel_ids": [2]}),
        (OF_ALL, {"company_ids": [1, 7], "status": ["NEW"]}),
    ],
}


@pytest.mark.parametrize("viewer", sorted({*OF_ALL, "companies", "contact"}))
@pytest.mark.parametrize("noun", TALLIED)
async def test_count_costs_by_the_tallies(noun: str, viewer: str, planner: asyncpg.Connection) -> None:
    visibility, count = VISIBILITIES[viewer], sql.load(noun).count
    for asked in (asked for viewers, asked in TALLIED[noun] if viewer in viewers):
        plan = await executed(planner, count.prepare(visibility.reach, frozenset(asked)), _values(visibility, asked))
        assert rows_read(plan) <= LEAST, asked
        assert pages_read(plan) <= LEAST, asked


# All filters of the lists with a value each, for every pair of them and each sort. `None` is no parameter.
SPAN = {"greater_than": "2025-03-03T12:00:00Z", "less_than": "2025-04-01T01:00:00Z"}
EVERY: dict[str, dict[str, dict[str, Any]]] = {
    "order": {
        "status": {"status": ["COMPLETED"]},
        "few": {"status": ["CANCELED"]},
        "type": {"type": ["stock"]},
        "export": {"export_statuses": ["EMPTY"]},
        "channel": {"channel_ids": [1, 2]},
        "created": {f"created_at.{bound}": value for bound, value in SPAN.items()},
        "modified": {"last_modified_at.greater_than": SINCE},
        "not overdue": {"not_overdue": None},
    },
    "shipment": {
        "statuses": {"statuses": ["DELIVERED"]},
        "few": {"statuses": ["IN_TRANSIT", "FAILED_DELIVERY"]},
        "created": {f"created_at.{bound}": value for bound, value in SPAN.items()},
        "modified": {"last_modified_at.less_than_day": "2025-05-01"},
        "expected": {"expected_delivery_at.greater_than_day": "2025-04-20"},
        "late": {"late": None},
        "not late": {"not_late": None},
    },
    "shipment_item": {
        "quantity": {"quantity.equal": 1},
        "created": {f"created_at.{bound}": value for bound, value in SPAN.items()},
        "modified": {"last_modified_at.greater_than": SINCE},
    },
    "track_and_trace": {
        "carrier": {"carrier_ids": [2, 3]},
        "created": {f"created_at.{bound}": value for bound, value in SPAN.items()},
        "modified": {"last_modified_at.greater_than": SINCE},
    },
}
# What a list may look at for a total, beside its table of days, which has as many rows whatever is stored: the rows
# of some days, where a filter ends within one.
DAYS = 1_500


def _every_question(noun: str) -> list[tuple[dict[str, Any], str | None]]:
    """Filters by pairs with no sort, for the total, and some of them with each sort both ways."""
    chosen = EVERY[noun]
    pairs = [pair for size in (0, 1, 2) for pair in combinations(chosen, size)]
    asked = [{name: value for one in pair for name, value in chosen[one].items()} for pair in pairs]
    sorts = [f"{name} {way}" for name in sorted(sql.load(noun).parts.sorts) for way in ("ASC", "DESC")]
    sorted_ = list(product(asked, sorts))
    # A step that has no divisor in common with the number of sorts meets all of them.
    step = 11 if len(sorted_) > 200 else 5
    assert {sort for _, sort in sorted_[::step]} == {*sorts}
    return [*product(asked, [None]), *sorted_[::step]]


@pytest.mark.parametrize("viewer", ["staff", "channels", "companies", "contact", "customer"])
@pytest.mark.parametrize("noun", EVERY)
async def test_every_list_gives_what_a_naive_query_does(noun: str, viewer: str, large_dsn: str) -> None:
    """Totals, first pages and pages far behind, by plans that look at no more than some days of the rows there are."""
    connection = await asyncpg.connect(large_dsn, server_settings={"jit": "off", "timezone": "UTC"})
    visibility, file = VISIBILITIES[viewer], sql.load(noun)
    naive = {name: replace(statement, variants=[]) for name, statement in file.statements.items()}
    for asked, sort in _every_question(noun):
        filters, order = frozenset(asked), () if sort is None else (sort, *(() if sort[:3] == "ID " else ("ID ASC",)))
        statement = "count" if sort is None else "page"
        for skip in (0, 1200) if sort else (0,):
            values = _values(visibility, {**asked}, limit=12, skip=skip)
            given = {name: _moment(value) for name, value in values.items()}
            prepared = file.statements[statement].prepare(visibility.reach, filters, order, values)
            plain = naive[statement].prepare(visibility.reach, filters, order)
            said = (asked, sort, skip)
            rows = await connection.fetch(prepared.text, *prepared.arguments(given))
            assert rows == await connection.fetch(plain.text, *plain.arguments(given)), said
            if sort is None and visibility.reach in (Reach.EVERYTHING, Reach.CHANNELS):
                cells = await connection.fetchval(f"SELECT count(*) FROM {noun}_days")
                assert rows_read(await executed(connection, prepared, values)) <= 2 * cells + DAYS, said
    await connection.close()


@pytest.mark.parametrize("viewer", ["staff", "channels", "small channel"])
@pytest.mark.parametrize("sort", ["SHIPMENT_ID ASC", "SHIPMENT_ID DESC", "CODE ASC", "CODE DESC"])
async def test_page_begins_anywhere_among_rows_that_sort_alike(viewer: str, sort: str, large_dsn: str) -> None:
    connection = await asyncpg.connect(large_dsn, server_settings={"jit": "off", "timezone": "UTC"})
    visibility, page = VISIBILITIES[viewer], sql.load("track_and_trace").page
    for filters in (frozenset[str](), frozenset({"carrier_ids"})):
        for skip in (*range(1000, 1012), 10**6):
            values = _values(visibility, {"carrier_ids": [1, 2, 3]}, limit=5, skip=skip)
            prepared = page.prepare(visibility.reach, filters, (sort, "ID ASC"), values)
            plain = replace(page, variants=[]).prepare(visibility.reach, filters, (sort, "ID ASC"))
            assert prepared.text != plain.text
            rows = await connection.fetch(prepared.text, *prepared.arguments(values))
            assert rows == await connection.fetch(plain.text, *plain.arguments(values)), (filters, skip)
    await connection.close()


@pytest.mark.parametrize("viewer", ["staff", "channels", "small channel"])
@pytest.mark.parametrize(("bound", "moment"), [("greater", "2000-01-01"), ("greater", SINCE), ("less", UNTIL)])
async def test_orders_of_an_export_are_listed_alike_where_few_have_had_one_and_where_many(
    viewer: str, bound: str, moment: str, large_dsn: str, connection_to: ConnectionTo
) -> None:
    connection, page = await connection_to(large_dsn), sql.load("order").page
    asked = {f"exported_at.{bound}_than": f"{moment[:10]}T00:00:00Z", "status": ["COMPLETED", "NEW"]}
    for sort, way, skip in product(sorted(page.parts.sorts), ("ASC", "DESC"), (0, 1200)):
        order = (f"{sort} {way}", *(() if sort == "ID" else ("ID ASC",)))
        values = {name: _moment(v) for name, v in _values(VISIBILITIES[viewer], asked, limit=12, skip=skip).items()}
        texts = [
            one.prepare(VISIBILITIES[viewer].reach, frozenset(asked), order, values)
            for one in (page, replace(page, variants=[]))
        ]
        found, wanted = [await connection.fetch(text.text, *text.arguments(values)) for text in texts]
        assert found == wanted, (order, skip)
        assert texts[0].text != texts[1].text


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        return datetime.fromisoformat(value) if "T" in value else date.fromisoformat(value)
    return value


async def test_codes_are_written_by_the_index_of_codes_where_nobody_has_counted_them(
    fresh_dsn: str, connection_to: ConnectionTo
) -> None:
    connection, codes = await connection_to(fresh_dsn), 200
    await connection.execute(
        f"""
        BEGIN;
        INSERT INTO channels (id, code, name, currency) VALUES (1, 'one', 'One', 'EUR');
        INSERT INTO carriers (id, name) VALUES (1, 'Carrier');
        INSERT INTO orders (id, channel_id, status, email, currency, total_gross, total_net, total_tax, sub_total)
        VALUES (1, 1, 'CONFIRMED', '', 'EUR', 0, 0, 0, 0);
        INSERT INTO shipments (order_id, channel_id) VALUES (1, 1);
        INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code)
        SELECT id, order_id, channel_id, 1, '3S' || i FROM shipments, generate_series(1, {codes}) AS i;
        SELECT is_code_taken('3S' || i, 1, 1, 1, NULL, NULL) FROM generate_series(1, {codes}) AS i;
        """
    )
    read = "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'track_and_traces'"
    assert await connection.fetchval(read) <= 10 * codes
    await connection.execute("ROLLBACK")


async def test_plan_that_sorts_the_whole_table_is_noticed(planner: asyncpg.Connection) -> None:
    visibility = VISIBILITIES["channels"]
    order = ("NAME DESC", "QUANTITY ASC", "ID ASC")
    prepared = sql.load("shipment_item").page.prepare(visibility.reach, frozenset(), order)
    plan = await executed(planner, prepared, _values(visibility, {}, limit=12, skip=0))
    assert rows_read(plan) > ORDERS
