"""A statement's forms are found by what they serve, and give what the statement itself gives."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import asyncpg
import pytest

import sql
from sql import Form, Reach, Statement

SHAPED = [statement for noun in sql.nouns() for statement in sql.load(noun).statements.values() if statement.forms]
SCOPE = {"scope_channel_ids": [1, 2], "scope_company_ids": [3, 4, 5, 6], "scope_customer_id": 1}
# Some twice: a list may name a value as often as it likes.
VALUES: dict[str, Any] = {
    "statuses": ["IN_TRANSIT", "DELIVERED", "IN_TRANSIT"],
    "status": ["CONFIRMED", "NEW", "CONFIRMED", "QUOTATION"],
    "channel_ids": [1, 1],
    "company_ids": [3, 4, 3],
    **{
        f"{column}_{bound}": datetime(year, 6, 1, tzinfo=UTC)
        for column in ("created_at", "last_modified_at", "expected_delivery_at")
        for bound, year in (("greater_than", 2020), ("less_than", 2025))
    },
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


@pytest.mark.parametrize("statement", SHAPED, ids=lambda statement: f"{statement.noun}.{statement.name}")
async def test_form_gives_the_rows_of_the_statement_in_its_order(
    statement: Statement, connection: asyncpg.Connection
) -> None:
    plain, reached, found = replace(statement, forms=[]), set(), 0
    for form, reach, filters, order in _calls(statement):
        if statement.form(reach, filters, order) is form:
            reached.add(form)
        for limit, skip in ((3, 0), (5, 4), (10**6, 0)) if order else ((0, 0),):
            values = {**SCOPE, **VALUES, "limit": limit, "skip": skip}
            expected, actual = [
                await connection.fetch(prepared.text, *prepared.arguments(values))
                for prepared in (one.prepare(reach, filters, order) for one in (plain, statement))
            ]
            assert actual == expected, (reach, filters, order, limit, skip)
            found += len(actual)
    assert found
    assert reached == set(statement.forms)


@pytest.mark.parametrize("statement", SHAPED, ids=lambda statement: f"{statement.noun}.{statement.name}")
def test_form_on_tenant_rows_says_who_may_see_them(statement: Statement) -> None:
    fragments = statement.file.fragments
    for form in statement.forms:
        text = form.template + "".join(body for name, body in fragments.items() if f"{{{name}}}" in form.template)
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


def test_pieces_are_the_lists_that_the_conditions_compare_with() -> None:
    form = Form("SELECT", each={"statuses": "text[]", "companies": "int[]"})
    assert form.pieces("true") == "(SELECT) AS whole"
    assert "companies" not in form.pieces("s.status = ANY(:statuses)")
    assert form.one_by_one("s.status = ANY(:statuses) AND s.id = ANY(:ids)") == (
        "s.status = each_statuses.value AND s.id = ANY(:ids)"
    )
