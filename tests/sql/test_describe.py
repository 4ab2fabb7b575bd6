"""What is read off a statement's text is what PostgreSQL says of it."""

from collections.abc import Iterator
from dataclasses import replace

import asyncpg
import pytest

import sql
from app.postgres.database import _describe
from sql import Reach, Statement, Variant
from sql.describe import columns
from tests.statements import nouns

# Those that rows hang on, or that hang on rows: the others are not described.
STATEMENTS = [
    statement
    for noun in nouns()
    for statement in sql.load(noun).statements.values()
    if statement.is_read
    and not statement.template.startswith("WITH")
    and (statement.feeds or statement.name.startswith("fulfillment"))
]


def _texts_of(statement: Statement) -> Iterator[tuple[Reach, Variant]]:
    """All texts of the statement, each for one of its reaches that says more of a row than that all are seen."""
    for variant in [*statement.variants, Variant(statement.template)]:
        yield Reach.CONTACT if Reach.CONTACT in variant.reaches else Reach.CHANNELS, variant


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: f"{statement.noun}.{statement.name}")
async def test_columns_are_those_that_postgresql_tells(statement: Statement, connection: asyncpg.Connection) -> None:
    for reach, variant in _texts_of(statement):
        order = (f"{min(variant.sorts, default='ID')} ASC",)
        only = replace(statement, variants=[variant])
        values = {"skip": variant.skip, **dict.fromkeys(variant.each, (1,))}
        text = only.prepare(reach, variant.needed, order, values).text
        told = await _describe(text, connection)
        found = columns(text)
        assert list(found) == list(told), text
        assert {name: kind for name, kind in found.items() if kind is not object} == {
            name: told[name] for name, kind in found.items() if kind is not object
        }, text


def test_what_has_no_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no name"):
        columns("SELECT o.id, count(*) FROM orders o")
