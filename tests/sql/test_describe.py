"""What is read off a statement's text is what PostgreSQL says of it."""

import asyncpg
import pytest

import sql
from app.postgres.database import _describe
from sql import Reach, Statement
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


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: f"{statement.noun}.{statement.name}")
async def test_columns_are_those_that_postgresql_tells(statement: Statement, connection: asyncpg.Connection) -> None:
    text = statement.prepare(Reach.CONTACT, order=("ID ASC",)).text
    told = await _describe(text, connection)
    found = columns(text)
    assert list(found) == list(told)
    assert {name: kind for name, kind in found.items() if kind is not object} == {
        name: told[name] for name, kind in found.items() if kind is not object
    }


def test_what_has_no_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no name"):
        columns("SELECT o.id, count(*) FROM orders o")
