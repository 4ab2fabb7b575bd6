"""A statement's variants are found by what they serve, and give what the statement itself gives."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations, product
from typing import Any

import asyncpg
import pytest

import sql
from sql import Reach, Statement, Variant
from tests.statements import nouns

SHAPED = [statement for noun in nouns() for statement in sql.load(noun).statements.values() if statement.variants]
VISIBLE = {
    "visible_channel_ids": [1, 12],
    "visible_company_ids": [3, 4, 5, 6],
    "visible_customer_id": 1,
    "visible_order_id": 2075,
    "visible_link_generation": 1,
}
BOUNDS = {
    f"{column}_{bound}": datetime(year, 6, 1, tzinfo=UTC)
    for column in ("created_at", "last_modified_at", "expected_delivery_at", "exported_at")
    for bound, year in (("greater_than", 2020), ("less_than", 2025))
}
OTHERS: dict[str, Any] = {
    "ids": [],
    "order_ids": list(range(2000, 2100)),
    "carrier_ids": [1, 2],
    "codes": ["3STEST1234567890"],
    "skus": ["SKU-1"],
    "type": ["purchase", "stock"],
    "export_statuses": ["EMPTY", "FAILED"],
    "quantity_greater_than": 1,
    "quantity_less_than": 4,
    "quantity_equal": 2,
    "user_id": list(range(1, 100)),
    "company_source_ids": ["1"],
    "company_source_names": ["ERP"],
    "source_ids": ["1"],
    "source_names": ["ERP"],
    "original_order_ids": list(range(2000, 2100)),
    "external_ids": ["1001"],
    "references": ["PO 1"],
    "customer_emails": ["someone@example.test"],
    "phones": ["0201234567"],
    "postal_codes": ["1011 AB"],
    "shipment_ids": [],
    "order_item_ids": list(range(1, 1000)),
    "names": ["Goods"],
    "price_greater_than": 1,
    "price_less_than": 500,
    "price_equal": 100,
    "term": "2075",
    "term_fields": None,
}
MOST_CALLS = 70
DAYS = {f"{name}_day": bound.date() for name, bound in BOUNDS.items()}
# A list may name a value as often as it likes, or none at all.
LISTS: dict[str, dict[str, list[Any]]] = {
    "several": {
        "statuses": ["IN_TRANSIT", "DELIVERED", "CREATED"],
        "status": ["CONFIRMED", "NEW"],
        "fulfillment_statuses": ["UNFULFILLED", "DELIVERED", "SHIPPED", "PARTIALLY_SHIPPED", "PARTIALLY_DELIVERED"],
        "channel_ids": [12, 1],
        "company_ids": [3],
    },
    "twice": {
        "statuses": ["IN_TRANSIT", "DELIVERED", "IN_TRANSIT"],
        "status": ["CONFIRMED", "NEW", "CONFIRMED", "QUOTATION"],
        "fulfillment_statuses": ["UNFULFILLED", "PARTIALLY_SHIPPED", "UNFULFILLED", "SHIPPED", "PARTIALLY_DELIVERED"],
        "channel_ids": [1, 1],
        "company_ids": [3, 4, 3],
    },
    "many": {
        "statuses": ["IN_TRANSIT", "DELIVERED", *(f"UNKNOWN {place}" for place in range(20))],
        "status": ["NEW", "CONFIRMED", "QUOTATION", *(f"UNKNOWN {place}" for place in range(20))],
        "fulfillment_statuses": ["UNFULFILLED", "DELIVERED", *(f"UNKNOWN {place}" for place in range(20))],
        "channel_ids": [*range(1, 20)],
        "company_ids": [*range(1, 20)],
    },
    "none": {"statuses": [], "status": [], "fulfillment_statuses": [], "channel_ids": [], "company_ids": []},
}


def _calls(statement: Statement) -> Iterator[tuple[Variant, Reach, frozenset[str], tuple[str, ...]]]:
    """What each variant serves: for each reach the filters it needs, with each other and all; each sort both ways.

    Of more than `MOST_CALLS` so many are taken, the same each time.
    """
    for variant in statement.variants:
        calls = list(_calls_of(statement, variant))
        # A step that has no divisor in common with the numbers of sorts and reaches meets all of them.
        step = next((step for step in (1, 7, 11, 13, 17, 19, 23, 29, 31, 37) if len(calls) <= MOST_CALLS * step), 41)
        for reach, filters, order in calls[::step]:
            yield variant, reach, filters, order


def _calls_of(statement: Statement, variant: Variant) -> Iterator[tuple[Reach, frozenset[str], tuple[str, ...]]]:
    orders: list[tuple[str, ...]] = [
        (f"{name} {direction}", *extra)
        for name in sorted(variant.sorts)
        for direction in ("ASC", "DESC")
        for extra in (((),) if name == "ID" else (("ID ASC",), ("ID DESC",)))
    ] or [()]
    allowed = frozenset(statement.parts.filters) if variant.allowed is None else variant.allowed
    optional = sorted(allowed - variant.needed)
    for reach in sorted(variant.reaches, key=lambda reach: reach.value):
        for size in {0, 1, len(optional)}:
            for more in combinations(optional, size):
                for order in orders:
                    yield reach, variant.needed | frozenset(more), order


def _lists(variant: Variant, filters: frozenset[str]) -> dict[str, dict[str, list[Any]]]:
    """What the lists among the filters hold, one way after the other; one alone where they are compared whole."""
    if filters.isdisjoint(LISTS["none"]):
        return {"not given": {}}
    return LISTS if variant.each else {"several": LISTS["several"]}


@pytest.fixture
async def planned_once(demo_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that plans each text once, whatever the values: plans are the matter of `test_plans.py`."""
    settings = {"plan_cache_mode": "force_generic_plan", "jit": "off"}
    connection = await asyncpg.connect(demo_dsn, server_settings=settings)
    yield connection
    await connection.close()


@pytest.mark.parametrize("statement", SHAPED, ids=lambda statement: f"{statement.noun}.{statement.name}")
async def test_variant_gives_the_rows_of_the_statement_in_its_order(
    statement: Statement, planned_once: asyncpg.Connection
) -> None:
    plain, reached, found = replace(statement, variants=[]), set(), Counter[str]()
    for variant, reach, filters, order in _calls(statement):
        if statement.variant(reach, filters, order, variant.skip) is variant:
            reached.add(variant)
        # What serves pages far behind is to give the first one, too: few rows come before any here.
        shaped = replace(statement, variants=[replace(variant, skip=0)]) if variant.skip else statement
        pages = ((3, 0), (5, 4), (10**6, 0), (5, 10**6)) if order else ((0, 0),)
        for (lists, given), (limit, skip) in product(_lists(variant, filters).items(), pages):
            values = {**VISIBLE, **BOUNDS, **DAYS, **OTHERS, **given, "limit": limit, "skip": skip}
            expected, actual = [
                await planned_once.fetch(prepared.text, *prepared.arguments(values))
                for prepared in (one.prepare(reach, filters, order, values) for one in (plain, shaped))
            ]
            assert actual == expected, (lists, reach, filters, order, limit, skip)
            found[lists] += len(actual)
    assert found
    assert all(found[lists] for lists in found if lists != "none")
    assert reached == set(statement.variants)


@pytest.mark.parametrize("statement", SHAPED, ids=lambda statement: f"{statement.noun}.{statement.name}")
def test_variant_on_tenant_rows_says_who_may_see_them(statement: Statement) -> None:
    for variant in statement.variants:
        text = re.sub(r"\{branches (\w+)\}", r"{\1}", variant.template)
        for name, body in [*statement.parts.fragments.items()] * 2:
            text = text.replace(f"{{{name}}}", body).replace("{branches}", "{branch}")
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
def test_variant_serves_what_its_notes_name(
    reach: Reach, filters: set[str], order: tuple[str, ...], serves: bool
) -> None:
    variant = Variant.of(
        "SELECT", {"reaches": ("CHANNELS",), "filters": ("needed", "allowed?"), "sorts": ("CREATED_AT",), "each": ()}
    )
    assert variant.serves(reach, frozenset(filters), order) is serves


def test_variant_of_an_unknown_reach_is_refused() -> None:
    with pytest.raises(KeyError):
        Variant.of("SELECT", {"reaches": ("NOBODY",)})
