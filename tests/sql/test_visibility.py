"""No statement reads a tenant-owned table without the viewer's predicate."""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

import sql
from sql import Reach, Statement, Variant, Visibility
from sql.statement import Parts
from sql.visibility import POLICIES, predicate, stays_in_order
from tests.sql.parse_tree import Column, Read, Reads, reads
from tests.statements import nouns

# Tables that belong to nobody. How many commits there were is nobody's secret; what they wrote is in `changes`.
OPEN_TABLES = {
    *("carrier_descriptions", "shipment_status_successors", "channel_pages"),
    *("order_statuses", "order_status_sets", "order_status_successors"),
    *("transactions", "commits", "feed_ends", "feed_beginnings", "schema_migrations"),
}
# What is read before there is a viewer, by the viewer's own name, or by what runs for the operator.
WITHOUT_VIEWER = {
    "viewer",
    "storefront_key",
    "account",
    "contact_session",
    "customer_session",
    "login_attempt",
    "write",
    "ingest",
    "migration",
    "retention",
}
# What waits for its code is for nobody to read.
WITHOUT_VIEWER |= {"waiting_report", "password_link", "customer_account"}
# What operators do by command.
WITHOUT_VIEWER |= {"api_key", "audit_entry", "channel_setting", "contact", "doctor", "restore", "person"}
# Documents are their applications', by which the registry asks: tests/app/documents holds it to them.
WITHOUT_VIEWER |= {"trusted_document"}
# How pages look is for everybody to see. An order is found by what proves that somebody may have a link to it.
WITHOUT_VIEWER |= {"shop", "channel_page", "order_link"}
# Changes are read once for all who listen, and judged viewer by viewer: tests/sql/test_owner.py holds that to the
# predicates.
WITHOUT_VIEWER |= {"feed"}
# An endpoint is its owner's, whom each statement for callers compares with: tests/sql/test_webhook.py holds them to it.
WITHOUT_VIEWER |= {"webhook_endpoint", "webhook_delivery"}
# Where servers are in the log of what is written: rows of nobody's.
WITHOUT_VIEWER |= {"replica"}
TABLE = re.compile(r"(?:\b(?:FROM|JOIN)|^\s*UPDATE)\s+([a-z_]+)\s+(?:AS\s+)?([a-z]+)\b", re.IGNORECASE | re.MULTILINE)
# What a statement names itself, from tables that are judged where it reads them.
NAMED_HERE = re.compile(r"\b([a-z_]+) AS \(")
VISIBLE = re.compile(r"\{visible (\w+) (\w+)\}")
# What a statement reads without the predicate: the feed's looks through changes that are not the viewer's as well, to
# say how far it looked, and shows those alone for which it gives the predicate as `is_shown`.
EXCEPTIONS = {"change.page": {"changes c"}}

NOUNS = [noun for noun in nouns() if noun not in WITHOUT_VIEWER]
STATEMENTS = [statement for noun in NOUNS for statement in sql.load(noun).statements.values()]
VISIBLE = re.compile(r"\{visible (\w+) (\w+)\}")
# What the predicate of a table is called where a statement is only parsed.
MARK = "visible_row_of_"
MARKS = "".join(
    f"CREATE FUNCTION pg_temp.{MARK}{table}(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
    for table in POLICIES
)
# By what a row names another, or itself, in the columns of the other's primary key. A row is the other's own where it
# goes with it, or where both are of one order; a company's orders are not all of them visible to whoever sees one.
KEYS = """
SELECT c.conrelid::regclass::text AS "table", c.confrelid::regclass::text AS named,
  array_agg(f.attname::text ORDER BY t.attnum) AS columns,
  c.confdeltype = 'c' OR c.confrelid = 'orders'::regclass
    OR EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = c.confrelid AND o.attname = 'order_id') AS is_own
FROM pg_constraint c
JOIN pg_constraint p ON p.conrelid = c.confrelid AND p.contype = 'p'
CROSS JOIN unnest(c.conkey, c.confkey) AS k (names, named)
JOIN pg_attribute f ON f.attrelid = c.conrelid AND f.attnum = k.names
JOIN pg_attribute t ON t.attrelid = c.confrelid AND t.attnum = k.named
WHERE c.contype = 'f' AND t.attnum = ANY(p.conkey)
GROUP BY c.oid
UNION ALL
SELECT p.conrelid::regclass::text, p.conrelid::regclass::text, array_agg(a.attname::text ORDER BY a.attnum), true
FROM pg_constraint p
JOIN pg_attribute a ON a.attrelid = p.conrelid AND a.attnum = ANY(p.conkey)
WHERE p.contype = 'p' AND p.connamespace = 'public'::regnamespace
GROUP BY p.oid
UNION ALL
SELECT a.attrelid::regclass::text, 'orders', ARRAY['order_id', 'channel_id'], true
FROM pg_attribute a
JOIN pg_attribute b ON b.attrelid = a.attrelid AND b.attname = 'channel_id'
WHERE a.attname = 'order_id' AND a.attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r')
"""


ON_WORKERS_LOOP = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def parser(demo_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(demo_dsn)
    await connection.execute(MARKS)
    yield connection
    await connection.close()


@pytest.fixture
def marked(parser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch) -> asyncpg.Connection:
    """A worker's connection to parse statements by, which have a call in place of each predicate."""
    monkeypatch.setattr(
        "sql.statement.predicate", lambda _reach, table, alias, **_: f"pg_temp.{MARK}{table}({alias}.channel_id)"
    )
    # Orders that are hidden are read where a count leaves out what hangs on them, and nowhere else.
    monkeypatch.setattr("sql.statement.hidden", lambda _reach, alias: f"pg_temp.{MARK}orders({alias}.channel_id)")
    return parser


def _texts(statement: Statement) -> Iterator[str]:
    """The texts of a statement and of its variants, each with all filters that it serves, and by each sort."""
    own = Variant(statement.template, allowed=None, sorts=frozenset(statement.parts.sorts))
    for variant in (own, *statement.variants):
        filters = frozenset(statement.parts.filters) if variant.allowed is None else variant.allowed
        reach = min(variant.reaches, key=lambda reach: reach.value)
        alone = replace(statement, variants=[variant])
        for sort in sorted(variant.sorts) or [None]:
            order = (f"{sort} DESC", "ID ASC") if sort else ()
            prepared = alone.prepare(reach, filters, order)
            yield prepared.text
            if prepared.lists:
                yield alone.prepare(reach, filters, order, {name: [1] for name in prepared.lists}).text


def _misplaced(found: Reads) -> set[str]:
    """The predicates that judge rows of another table than their own."""
    return {
        name
        for name, column in found.calls
        if name.startswith(MARK) and (column is None or name != f"{MARK}{column.read.table}")
    }


def _unseen(found: Reads, keys: list[asyncpg.Record]) -> set[str]:
    """Where rows are read that neither meet the predicate of their table nor hang by a key on rows that do."""
    seen = {id(read) for read in found.reads if read.is_inserted or read.table in OPEN_TABLES}
    seen |= {id(column.read) for name, column in found.conditions if name == f"{MARK}{column.read.table}"}
    equal = set(found.equal)
    # What both equal a third.
    equal |= {(one, other) for one, third in equal for other, same in equal if same == third}

    def hangs(read: Read, other: Read) -> bool:
        return any(
            all((Column(read, one), Column(other, two)) in equal for one, two in zip(columns, others, strict=True))
            for table, parent, columns, is_own in keys
            for other_table, other_parent, others, _ in keys
            if is_own and (table, other_table) == (read.table, other.table) and parent == other_parent
        )

    while more := {
        id(read)
        for read in found.reads
        if id(read) not in seen and any(hangs(read, other) for other in found.reads if id(other) in seen)
    }:
        seen |= more
    return {f"{read.table} {read.alias}" for read in found.reads if id(read) not in seen}


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: f"{statement.noun}.{statement.name}")
@ON_WORKERS_LOOP
async def test_statement_reads_rows_by_the_predicate_of_their_table(
    statement: Statement, marked: asyncpg.Connection
) -> None:
    keys = await marked.fetch(KEYS)
    async for found in reads(marked, dict.fromkeys(_texts(statement))):
        assert _misplaced(found) == set()
        assert _unseen(found, keys) == EXCEPTIONS.get(f"{statement.noun}.{statement.name}", set())


# Each reads rows that the viewer may not see, however it looks.
UNSEEN = {
    "SELECT o.id FROM orders o": "orders o",
    "SELECT o.id FROM public.orders o": "orders o",
    'SELECT o.id FROM "orders" AS "o"': "orders o",
    "UPDATE orders o SET reference = ''": "orders o",
    "DELETE FROM orders o": "orders o",
    "SELECT o.id FROM orders o /* {visible orders o} */": "orders o",
    "SELECT o.id FROM orders o WHERE {visible orders o} OR o.id = 1": "orders o",
    "SELECT o.id FROM orders o LEFT JOIN shipments s ON {visible orders o} AND {visible shipments s}": "orders o",
    "WITH orders AS (SELECT o.id FROM orders o) SELECT o.id FROM orders o": "orders o",
    "SELECT s.id FROM shipments s JOIN orders o ON o.company_id IS NOT NULL WHERE {visible shipments s}": "orders o",
    "SELECT s.id FROM shipments s JOIN orders o USING (channel_id) WHERE {visible shipments s}": "orders o",
    "SELECT s.id FROM shipments s, orders o WHERE {visible shipments s}": "orders o",
    "SELECT p.id FROM shipments s JOIN orders p USING (channel_id, company_id) WHERE {visible shipments s}": "orders p",
    "SELECT o.id FROM orders o, orders p WHERE {visible orders o} AND (p.company_id, p.channel_id) = (o.company_id,"
    " o.channel_id)": "orders p",
    "SELECT o.id FROM orders o WHERE {visible orders o} AND EXISTS (SELECT FROM shipments s WHERE s.order_id = o.id)": (
        "shipments s"
    ),
    "SELECT o.id FROM orders o WHERE (o.company_id, o.channel_id) IN"
    " (SELECT s.company_id, s.channel_id FROM shipments s WHERE {visible shipments s})": "orders o",
    "SELECT o.id FROM orders o JOIN companies c ON c.id = o.company_id WHERE {visible orders o}": "companies c",
}


@pytest.mark.parametrize("template", UNSEEN)
@ON_WORKERS_LOOP
async def test_rows_that_are_read_without_a_predicate_are_noticed(template: str, marked: asyncpg.Connection) -> None:
    keys, text = await marked.fetch(KEYS), Statement("noun", "name", template, (), Parts()).prepare(Reach.CHANNELS).text
    async for found in reads(marked, [text]):
        assert _unseen(found, keys) == {UNSEEN[template]}


@pytest.mark.parametrize(
    "template",
    [
        "SELECT s.id FROM orders o, shipments s"
        " WHERE {visible orders o} AND (s.order_id, s.channel_id) = (o.id, o.channel_id)",
        "SELECT o.id FROM orders o JOIN shipments s ON s.order_id = o.id AND s.channel_id = o.channel_id"
        " WHERE {visible shipments s}",
        "SELECT o.id FROM orders o WHERE (o.id, o.channel_id) IN"
        " (SELECT t.order_id, t.channel_id FROM track_and_traces t WHERE {visible track_and_traces t})",
    ],
)
@ON_WORKERS_LOOP
async def test_rows_that_hang_on_visible_ones_need_no_predicate(template: str, marked: asyncpg.Connection) -> None:
    keys, text = await marked.fetch(KEYS), Statement("noun", "name", template, (), Parts()).prepare(Reach.CHANNELS).text
    async for found in reads(marked, [text]):
        assert _unseen(found, keys) == set()


@pytest.mark.parametrize(
    "template",
    [
        "SELECT p.id FROM orders p WHERE {visible products p}",
        "SELECT p.id FROM shipments p WHERE {visible products p} AND EXISTS (SELECT FROM products p)",
        "SELECT p.id FROM (SELECT s.id, s.channel_id FROM shipments s) AS p WHERE {visible products p}",
    ],
)
@ON_WORKERS_LOOP
async def test_predicate_of_another_table_is_noticed(template: str, marked: asyncpg.Connection) -> None:
    text = Statement("noun", "name", template, (), Parts()).prepare(Reach.CHANNELS).text
    async for found in reads(marked, [text]):
        assert _misplaced(found) == {f"{MARK}products"}


def test_every_policy_is_of_a_table_that_is_read() -> None:
    used = {table for noun in NOUNS for table, _ in VISIBLE.findall(_whole(noun))}
    assert used == set(POLICIES)


def test_predicates_use_no_alias_that_a_statement_gives() -> None:
    """Their subqueries call orders `o` and codes `code`: what a statement calls so must be judged without one."""
    for noun in NOUNS:
        for table, alias in VISIBLE.findall(_whole(noun)):
            inner = re.findall(r"FROM \w+ (\w+)", "".join(predicate(reach, table, "z") for reach in Reach))
            assert alias not in inner, f"{noun}: {table} {alias}"


def _whole(noun: str) -> str:
    return files("sql").joinpath(f"{noun}.sql").read_text("utf-8")


@pytest.mark.parametrize("place", ["{visible p}", "{visible secrets s}", "{visible}", "{visible shipments}"])
def test_file_that_names_no_policy_is_refused(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unlucky.sql").write_text(f"-- name: all\nSELECT p.id FROM secrets p WHERE {place};\n")
    monkeypatch.setattr("sql.file.files", lambda _package: tmp_path)
    with pytest.raises(ValueError, match=re.escape(f"sql/unlucky.sql: {place}")):
        sql.load.__wrapped__("unlucky")


def _of_companies(channel_id: int, company_ids: Sequence[int]) -> Visibility:
    return Visibility.of_companies((channel_id,), company_ids)


@pytest.mark.parametrize("of", [Visibility.of_contact, _of_companies])
def test_viewers_of_one_channel_differ_in_their_companies_alone(of: Callable[..., Visibility]) -> None:
    one, other = of(1, (10, 11)), of(1, (20,))
    assert one.company == other.company != of(2, (20,)).company
    both = one.company.joined([one, other, one])
    assert (both.reach, both.channel_ids, both.company_ids) == (one.reach, (1,), [10, 11, 20])
    assert [viewer.sees_company(20) for viewer in (one, other)] == [False, True]
    assert not any(viewer.sees_company(None) for viewer in (one, other))
    assert one.joined([one]) is one
    nobody = of(1, ())
    assert nobody.company.joined([nobody]) is nobody.company


def test_viewers_of_several_channels_share_with_their_like_alone() -> None:
    for visibility in (
        Visibility.of_companies((1, 2), (10,)),  # where an id may be that of two orders
        Visibility.of_contact(1, range(1000)),
        Visibility.of_customer(1, 5),
        Visibility.of_channels((1,)),
        Visibility.everything(),
    ):
        assert visibility.company is visibility


@pytest.mark.parametrize(
    ("tables", "key", "parameter", "stays"),
    [
        (["shipments"], "id", "order_ids", True),
        (["order_items"], "order_item_id", "ids", True),
        (["carriers"], "carrier_id", "ids", True),
        (["products"], "product_id", "ids", True),
        ([], "status", "codes", True),
        (["track_and_traces"], "id", "carrier_ids", False),
        (["order_items"], "key", "order_ids", True),
        (["shipment_items"], "key", "shipment_ids", False),
        (["orders"], "original_order_id", "ids", False),
        (["parcel_items"], "id", "track_and_trace_ids", False),
        (["shipments", "changes"], "id", "shipment_ids", False),
    ],
)
def test_rows_stay_in_the_order_of_what_they_hang_on(tables: list[str], key: str, parameter: str, stays: bool) -> None:
    assert stays_in_order(tables, key, parameter) is stays


@pytest.mark.parametrize("reach", [reach for reach in Reach if reach is not Reach.EVERYTHING])
@pytest.mark.parametrize("table", sorted(POLICIES))
def test_predicate_compares_with_the_keys_of_the_viewer(reach: Reach, table: str) -> None:
    text = predicate(reach, table, "z")
    assert ":visible_channel_ids" in text
    only_channels = table == "outbox_events" or table.endswith("_days")
    counts = {Reach.CUSTOMER: {"shipment_tallies"}, Reach.ORDER: {"shipment_tallies", "order_tallies", "order_words"}}
    if reach is not Reach.CHANNELS and (only_channels or table in counts.get(reach, ())):
        assert text.endswith(" AND false")
    elif table not in ("products", "carriers"):
        assert (":visible_company_ids" in text) == (reach in (Reach.COMPANIES, Reach.CONTACT))
        assert (":visible_customer_id" in text) == (reach is Reach.CUSTOMER)
        assert (":visible_order_id" in text) == (reach is Reach.ORDER)
        assert (":visible_link_generation" in text) == (reach is Reach.ORDER)
        is_public_alone = reach in (Reach.CONTACT, Reach.CUSTOMER, Reach.ORDER)
        assert ("is_public" in text) == (is_public_alone and table != "shipment_tallies")


@pytest.mark.parametrize("reach", Reach)
def test_rows_of_a_visible_order_are_asked_for_the_one_channel_of_a_viewer_alone(reach: Reach) -> None:
    for table in POLICIES:
        text, below = predicate(reach, table, "z"), predicate(reach, table, "z", stays_in_order=True)
        is_of_one_channel = reach in (Reach.CONTACT, Reach.CUSTOMER, Reach.ORDER)
        is_of_order = is_of_one_channel and stays_in_order([table], "id", "order_ids")
        is_owned = text != predicate(Reach.CHANNELS, table, "z")
        assert below == ("z.channel_id = ANY(:visible_channel_ids)" if is_of_order and is_owned else text)


def test_parameters_are_numbered_by_name_and_casts_are_no_parameters() -> None:
    prepared = sql.load("track_and_trace").by_shipment_ids.prepare(Reach.CHANNELS)
    assert prepared.parameters == ("shipment_ids", "visible_channel_ids")
    assert "ANY($1::uuid[])" in prepared.text
    assert "t.channel_id = ANY($2)" in prepared.text
    assert prepared.arguments({"visible_channel_ids": [1], "shipment_ids": ["x"], "other": 0}) == [["x"], [1]]
