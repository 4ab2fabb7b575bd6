"""Generated code against graphql-core: random selections of rows that came joined, some of them damaged.

The library has every kind of field: columns, computed ones, relations to one and to many, cached rows, parts of the own
row, and a page that picks. Its tables may be empty, hold nulls and values of wrong types; columns and joins may be
missing from what came, resolvers and functions may fail, and the caller may not be allowed to see.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import hypothesis_graphql
import orjson
from graphql import ExecutionResult, execute
from hypothesis import given
from hypothesis import strategies as st

from app.execution.execute import execute_by_plan
from app.execution.field_plan import FieldPlan, declare, everybody
from app.execution.planner import Planner
from tests.app.execution.conftest import operation_of
from tests.app.execution.test_codegen import BRANCHES, SDL, TYPES, Library
from tests.fuzz import fuzz

WHOLE = (
    SDL.replace("type Query {", "type Query { page: ShelfPage!").replace("type Book {", "type Book { rating: Int")
    + "type ShelfPage { items: [Shelf!]! found: Int! }\n"
)
RESOLVERS = [("Query", "shelf"), ("Query", "last"), ("Author", "books"), ("Book", "rating")]
# What PostgreSQL vouches for may be null; of other columns a value may be anything.
ODD = [None, 7, -1, 2**40, 1.5, "", "x", "CRIME", True, [], b"b", float("nan")]
KEYS = {"id", "shelf", "author", "editor", "owner"}


@dataclass(frozen=True)
class Damage:
    """What is wrong with a library. A cell is a table, a row and a column, and what stands there."""

    cells: list[tuple[int, int, str, Any]] = field(default_factory=list)
    empty: set[int] = field(default_factory=set)
    missing_columns: set[str] = field(default_factory=set)
    missing_joins: set[str] = field(default_factory=set)
    failing: set[tuple[str, str]] = field(default_factory=set)
    is_closed: bool = False
    is_uncached: bool = False

    def library(self) -> Library:
        library = Library(WHOLE)
        fields: Any = library.schema.type_map
        page = FieldPlan(resolve=lambda *_: {}, is_open=everybody)
        declare(fields["Query"].fields["page"], page)
        for name, value in (("items", library.result), ("found", lambda: len(library.tables[0]))):
            declare(fields["ShelfPage"].fields[name], _picked(value))
        fields["Book"].fields["rating"].resolve = lambda book, _info: len(book)
        for type_, name in self.failing:
            fields[type_].fields[name].resolve = _fail
        for table, row, column, value in self.cells:
            rows = library.tables[table]
            if row < len(rows) and column in rows[row]:
                rows[row][column] = value
        for table in self.empty:
            library.tables[table].clear()
        library.missing = self.missing_columns
        library.branches = {key: join for key, join in BRANCHES.items() if key[1] not in self.missing_joins}
        library.is_open, library.keeps = not self.is_closed, not self.is_uncached
        return library


def _picked(value: Any) -> FieldPlan:
    return FieldPlan(
        resolve=lambda *_: value(), available=lambda pages, *_: [value() for _ in pages], is_open=everybody
    )


def _fail(*_: Any, **_arguments: Any) -> None:
    raise RuntimeError("failed")


@st.composite
def cells(draw: st.DrawFn) -> tuple[int, int, str, Any]:
    table, row = draw(st.integers(0, 4)), draw(st.integers(0, 2))
    column = draw(st.sampled_from(sorted({*TYPES, *KEYS, "genre"})))
    if column in KEYS:  # of which each row has its own, and each hangs on one that is there or on none
        return table, row, column, draw(st.sampled_from([None, 99]))
    odd = [None, float("nan"), float("inf")] if TYPES.get(column) is float else [None]
    return table, row, column, draw(st.sampled_from(odd if column in TYPES else ODD))


damages = st.builds(
    Damage,
    cells=st.lists(cells(), max_size=3),
    empty=st.sets(st.integers(0, 4), max_size=2),
    missing_columns=st.one_of(st.just(set()), st.sets(st.sampled_from(sorted(TYPES)), max_size=1)),
    missing_joins=st.one_of(st.just(set()), st.sets(st.sampled_from([name for _, name in BRANCHES]), max_size=1)),
    failing=st.one_of(st.just(set()), st.sets(st.sampled_from(RESOLVERS), max_size=2)),
    is_closed=st.integers(0, 9).map(lambda chance: chance == 0),
    is_uncached=st.integers(0, 9).map(lambda chance: chance == 0),
)


async def compared(damage: Damage, text: str, executions: Counter[str]) -> tuple[bytes, bytes]:
    """The answers of a plan and of graphql-core, as text."""
    library = damage.library()
    document, operation = operation_of(library.schema, text)
    reference = partial(execute, library.schema, document)
    planned = execute_by_plan(Planner(library.schema, document, operation), reference, None, None, {}, executions)
    return await _text(planned), await _text(reference())


async def _text(result: Any) -> bytes:
    if not isinstance(result, ExecutionResult):
        result = await result
    return orjson.dumps(result.formatted)


def test_generated_code_answers_as_graphql_core_does() -> None:
    executions: Counter[str] = Counter()
    with asyncio.Runner() as runner:

        def test() -> Callable[[], None]:
            @given(hypothesis_graphql.queries(WHOLE), damages)
            def compare(text: str, damage: Damage) -> None:
                planned, reference = runner.run(compared(damage, text, executions))
                assert planned == reference

            return compare

        fuzz(test, examples=200, share=1 / 4, title="generated code")
    assert executions["generated"] > 30
    assert executions["replay"] > 10
