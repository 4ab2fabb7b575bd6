"""A statement's forms are found by what they serve, and give what the statement itself gives."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations, product
from typing import Any

import asyncpg
import pytest

import sql
from sql import Form, Prepared, Reach, Statement
from tests.statements import nouns

SHAPED = [statement for noun in nouns() for statement in sql.load(noun).statements.values() if statement.forms]
VISIBLE = {"visible_channel_ids": [1, 12], "visible_company_ids": [3, 4, 5, 6], "visible_customer_id": 1}
BOUNDS = {
    f"{column}_{bound}": datetime(year, 6, 1, tzinfo=UTC)
    for column in ("created_at", "last_modified_at", "expected_delivery_at")
    for bound, year in (("greater_than", 2020), ("less_than", 2025))
}
# A list may name a value as often as it likes, or none at all.
LISTS: dict[str, dict[str, list[Any]]] = {
    "several": {
        "statuses": ["IN_TRANSIT", "DELIVERED", "CREATED"],
        "status": ["CONFIRMED", "NEW"],
        "channel_ids": [12, 1],
        "company_ids": [3],
    },
    "twice": {
        "statuses": ["IN_TRANSIT", "DELIVERED", "IN_TRANSIT"],
        "status": ["CONFIRMED", "NEW", "CONFIRMED", "QUOTATION"],
        "channel_ids": [1, 1],
        "company_ids": [3, 4, 3],
    },
    "many": {
        "statuses": ["IN_TRANSIT", "DELIVERED", *(f"UNKNOWN {place}" for place in range(20))],
        "status": ["NEW", "CONFIRMED", "QUOTATION", *(f"UNKNOWN {place}" for place in range(20))],
        "channel_ids": [*range(1, 20)],
        "company_ids": [*range(1, 20)],
    },
    "none": {"statuses": [], "status": [], "channel_ids": [], "company_ids": []},
}


def _calls(statement: Statement) -> Iterator[tuple[Form, Reach, frozenset[str], tuple[str, ...]]]:
    """What each form serves: for each reach the filters it needs, with each other and all; each sort both ways."""
    for form in statement.forms:
        orders: list[tuple[str, ...]] = [
            (f"{name} {direction}", extra)
            for name in sorted(form.sorts)
            for direction in ("ASC", "DESC")
            for extra in ("ID ASC", "ID DESC")
        ] or [()]
        optional = sorted(form.allowed - form.needed)
        for reach in form.reaches:
            for size in {0, 1, len(optional)}:
                for more in combinations(optional, size):
                    for order in orders:
                        yield form, reach, form.needed | frozenset(more), order


def _lists(filters: frozenset[str]) -> dict[str, dict[str, list[Any]]]:
    """What the lists among the filters hold, one way after the other."""
    if filters.isdisjoint(LISTS["none"]):
        return {"not given": {}}
    return LISTS


@pytest.fixture
async def planned_once(demo_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that plans each text once, whatever the values: plans are the matter of `test_plans.py`."""
    settings = {"plan_cache_mode": "force_generic_plan", "jit": "off"}
    connection = await asyncpg.connect(demo_dsn, server_settings=settings)
    yield connection
    await connection.close()


@pytest.mark.parametrize("statement", SHAPED, ids=lambda statement: f"{statement.noun}.{statement.name}")
async def test_form_gives_the_rows_of_the_statement_in_its_order(
    statement: Statement, planned_once: asyncpg.Connection
) -> None:
    plain, reached, found = replace(statement, forms=[]), set(), Counter[str]()
    for form, reach, filters, order in _calls(statement):
        if statement.form(reach, filters, order) is form:
            reached.add(form)
        pages = ((3, 0), (5, 4), (10**6, 0), (5, 10**6)) if order else ((0, 0),)
        for (lists, given), (limit, skip) in product(_lists(filters).items(), pages):
            values = {**VISIBLE, **BOUNDS, **given, "limit": limit, "skip": skip}
            expected, actual = [
                await planned_once.fetch(prepared.text, *prepared.arguments(values))
                for prepared in (one.prepare(reach, filters, order, values) for one in (plain, statement))
            ]
            assert actual == expected, (lists, reach, filters, order, limit, skip)
            found[lists] += len(actual)
    assert found
    assert all(found[lists] for lists in found if lists != "none")
    assert reached == set(statement.forms)


@pytest.mark.parametrize("statement", SHAPED, ids=lambda statement: f"{statement.noun}.{statement.name}")
def test_form_on_tenant_rows_says_who_may_see_them(statement: Statement) -> None:
    for form in statement.forms:
        text = form.template
        for name, body in [*statement.file.fragments.items()] * 2:
            text = text.replace(f"{{{name}}}", body).replace("{pieces}", "{piece}")
        assert "{visible " in text


@pytest.mark.parametrize(
    ("reach", "filters", "order", "serves"),
    [
        (Reach.CHANNELS, {"needed"}, ("CREATED_AT DESC", "ID ASC"), True),
        (Reach.CHANNELS, {"needed", "allowed"}, ("CREATED_AT ASC",), True),
        (Reach.EVERYTHING, {"needed"}, ("CREATED_AT DESC", "ID ASC"), False),
        (Reach.CHANNELS, set(), ("CREATED_AT DESC", "ID ASC"), False),
        (Reach.CHANNELS, {"needed", "other"}, ("CREATED_AT DESC", "ID ASC"), False),
        (Reach.CHANNELS, {"needed"}, ("STATUS DESC", "ID ASC"), False),
        (Reach.CHANNELS, {"needed"}, ("CREATED_AT DESC", "STATUS ASC", "ID ASC"), False),
        (Reach.CHANNELS, {"needed"}, ("CREATED_AT ASC", "ID DESC"), True),
    ],
)
def test_form_serves_what_its_notes_name(reach: Reach, filters: set[str], order: tuple[str, ...], serves: bool) -> None:
    form = Form.of(
        "SELECT", {"reaches": ("CHANNELS",), "filters": ("needed", "allowed?"), "sorts": ("CREATED_AT",), "each": ()}
    )
    assert form.serves(reach, frozenset(filters), order) is serves


def test_form_of_an_unknown_reach_is_refused() -> None:
    with pytest.raises(KeyError):
        Form.of("SELECT", {"reaches": ("NOBODY",)})


def test_pieces_are_all_combinations_of_what_is_compared_with() -> None:
    form = Form("SELECT", each={"statuses": "text[]", "channels": "int[]", "companies": "int[]"})
    piece = "status = ANY(:statuses) AND channel = ANY(:channels) AND id = ANY(:ids)"
    assert form.lists(piece) == ":statuses::text[] AS statuses, :channels::int[] AS channels, "
    assert form.pieces(piece, (2, 1)) == (
        "((status = given.statuses[1] AND channel = given.channels[1] AND id = ANY(:ids))"
        " UNION ALL (status = given.statuses[2] AND channel = given.channels[1] AND id = ANY(:ids)))"
    )
    assert "(status = each_statuses.value AND channel = each_channels.value AND id = ANY(:ids))" in (
        form.pieces(piece, None)
    )
    assert form.pieces("true", ()) == form.pieces("true", None) == "((true))"


def _page_of_shipments(channel_ids: Sequence[int], statuses: Sequence[Any] | None) -> Prepared:
    values = None if statuses is None else {"visible_channel_ids": channel_ids, "statuses": statuses}
    order = ("CREATED_AT DESC", "ID ASC")
    return sql.load("shipment").page.prepare(Reach.CHANNELS, frozenset({"statuses"}), order, values)


@pytest.mark.parametrize(("statuses", "merged"), [("", 2), ("A", 2), ("AB", 4), ("ABC", 8), ("ABCDEFGH", 16)])
def test_few_pieces_are_merged(statuses: str, merged: int) -> None:
    prepared = _page_of_shipments([1, 2], statuses)
    assert prepared.lists == ("visible_channel_ids", "statuses")
    assert prepared.text.count("s.status = given.statuses[") == merged


@pytest.mark.parametrize("statuses", ["ABCDEFGHI", "ABA"])
def test_many_pieces_or_one_twice_are_read_as_of_any_number(statuses: str) -> None:
    assert _page_of_shipments([1, 2], statuses) == _page_of_shipments([1, 2], None)


def test_lists_of_whatever_length_make_few_texts() -> None:
    lengths = range(40)
    assert len({_page_of_shipments(range(some), range(more)) for some in lengths for more in lengths}) == 16
