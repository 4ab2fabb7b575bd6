"""Nulls are last in every list, whichever way it is sorted (decision 27), and where pages and branches meet."""

import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import sql
from app.resolvers.b2b.page import backwards
from sql import Reach, Visibility
from tests.conftest import ConnectionTo, Databases
from tests.server import administer

FILES = sorted(path.stem for path in Path(sql.__file__).parent.glob("*.sql") if path.stem != "schema")
# Half of the rows of each column that may be null are, and rows share a value. Shipments go ways that no rule allows.
HALF_EMPTY = """
ALTER TABLE shipments DISABLE TRIGGER USER, ENABLE TRIGGER shipments_tally_update,
  ENABLE TRIGGER shipments_tally_days_update;
UPDATE shipments SET expected_delivery_at = CASE WHEN number % 2 = 0 THEN date_trunc('day', created_at) END,
  status = CASE WHEN number % 3 > 0 THEN status END;
UPDATE orders SET valid_until = CASE WHEN id % 2 = 0 THEN date_trunc('day', created_at) END;
UPDATE track_and_traces SET carrier_id = CASE WHEN ascii(code) % 2 = 0 THEN carrier_id END;
"""
VIEWERS = {
    Reach.EVERYTHING: Visibility.everything(),
    Reach.CHANNELS: Visibility.of_channels([1, 2]),
    Reach.COMPANIES: Visibility.of_companies([1, 2], range(1, 100)),
}


@pytest.fixture(scope="session")
def half_empty_dsn(databases: Databases, demo_template: str) -> str:
    """For reading only."""

    async def fill(dsn: str) -> None:
        await administer(dsn, HALF_EMPTY)

    return databases.shared("half-empty", demo_template, fill)


@pytest.fixture
async def store(half_empty_dsn: str, connection_to: ConnectionTo) -> asyncpg.Connection:
    return await connection_to(half_empty_dsn)


async def test_sorts_say_whether_there_are_nulls(demo_dsn: str, connection_to: ConnectionTo) -> None:
    connection = await connection_to(demo_dsn)
    for noun in FILES:
        file = sql.load(noun)
        for name, expression in file.parts.sorts.items():
            column = re.fullmatch(r"(\w+)\.(\w+)", expression)
            if column is None:
                assert name in file.parts.nullable, (noun, name)
                continue
            [table] = {
                match[1]
                for statement in file.statements.values()
                for match in re.finditer(rf"\bFROM (\w+) {column[1]}\b", statement.template)
                if "{order}" in statement.template
            } or {None}
            if table is None:
                continue
            is_nullable = await connection.fetchval(
                "SELECT NOT attnotnull FROM pg_attribute WHERE attrelid = $1::text::regclass AND attname = $2",
                table,
                column[2],
            )
            assert (noun, name, is_nullable) == (noun, name, name in file.parts.nullable)


SORTS = [
    ("shipment", "EXPECTED_DELIVERY_AT", {}),
    ("shipment", "EXPECTED_DELIVERY_AT", {"statuses": ["IN_TRANSIT", "DELIVERED", "CREATED"]}),
    ("shipment", "STATUS", {}),
    ("order", "COMPANY", {}),
    ("order", "VALID_UNTIL", {}),
    ("track_and_trace", "CARRIER_ID", {}),
    ("shipment_item", "SKU", {}),
    ("order_status", "PRIORITY", {}),
]


@pytest.mark.parametrize("reach", VIEWERS)
@pytest.mark.parametrize(("noun", "sort", "asked"), SORTS)
async def test_nulls_are_last_in_both_directions(
    store: asyncpg.Connection, noun: str, sort: str, asked: dict[str, Any], reach: Reach
) -> None:
    file, filters, values = sql.load(noun), frozenset(asked), {**VIEWERS[reach].keys, **asked}

    async def ids(order: tuple[str, ...], limit: int = 100_000, skip: int = 0, merged: bool = True) -> list[Any]:
        given = {**values, "limit": limit, "skip": skip}
        prepared = file.page.prepare(reach, filters, order, given if merged else None)
        return [row["id"] for row in await store.fetch(prepared.text, *prepared.arguments(given))]

    by_id = replace(file.page, variants=[]).prepare(reach, filters, ("ID ASC",))
    for direction, merged in product(("ASC", "DESC"), (True, False)):
        nulls_last = f"ORDER BY ({file.parts.sorts[sort]}) {direction} NULLS LAST,"
        whole = by_id.text.replace("ORDER BY", nulls_last, 1)
        arguments = by_id.arguments({**values, "limit": 100_000, "skip": 0})
        expected = [row["id"] for row in await store.fetch(whole, *arguments)]
        order = (f"{sort} {direction}", "ID ASC")
        assert len(expected) > 1
        assert await ids(order, merged=merged) == expected
        assert await ids(backwards(order), merged=merged) == expected[::-1]
        pages = [await ids(order, 7, skip, merged) for skip in range(0, len(expected), 7)]
        assert [key for page in pages for key in page] == expected
