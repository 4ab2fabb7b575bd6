"""The short way gives what the long way gives, and has no effect where it has to give up."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema

from app.execution.field_plan import FieldPlan, column_plan, declare, everybody, plan_of
from loaders.rows import Lists, Rows
from tests.app.execution.conftest import run_plain, run_planned

SDL = """
type Query { rows: [Row!]! row: Row }
type Row { id: Int name: String! left: Row right: Row! kids: [Row!]! some: [Row] size: Int plain: Row }
"""
ROWS: dict[int, dict[str, Any]] = {
    1: {"id": 1, "name": "a", "left": 2, "right": 3, "kids": [2, 3], "some": [2, 3]},
    2: {"id": 2, "name": "b", "left": None, "right": 1, "kids": [], "some": None},
    3: {"id": 3, "name": "c", "left": 1, "right": 2, "kids": [1, 1], "some": [1, None]},
}


class Store:
    """Rows that hang on one another, which may be available or not. `broken` breaks the row of that id."""

    def __init__(self) -> None:
        self.schema: GraphQLSchema = build_schema(SDL)
        self.calls: Counter[str] = Counter()
        self.is_available = self.is_open = True
        self.rows = {key: dict(row) for key, row in ROWS.items()}
        fields: Any = self.schema.type_map["Row"].fields
        for name in ("id", "name"):
            declare(fields[name], column_plan(name))
        for name in ("left", "right", "kids", "some"):
            declare(fields[name], self.relation(name))
        declare(fields["size"], self.size())
        fields["plain"].resolve = lambda row, _info: row
        query: Any = self.schema.query_type
        query.fields["rows"].resolve = lambda *_: Rows(
            {name: [row[name] for row in self.rows.values()] for name in ROWS[1]}, 3
        )
        query.fields["row"].resolve = lambda *_: self.rows[1]

    def relation(self, name: str) -> FieldPlan:
        def look_up(value: Any) -> Any:
            return [look_up(key) for key in value] if isinstance(value, list) else self.rows.get(value)

        def resolve(row: Any, _info: Any) -> Any:
            return look_up(row[name])

        def bulk(rows: Sequence[Any], _info: Any) -> Any:
            self.calls[name] += 1
            values = [look_up(row[name]) for row in rows]
            if name == "kids" and None not in values:
                return Lists([kid for kids in values for kid in kids], [len(kids) for kids in values])
            return values

        def available(rows: Sequence[Any], *_: Any) -> Any:
            return [look_up(row[name]) for row in rows] if self.is_available else None

        return FieldPlan(resolve=resolve, bulk=bulk, available=available, is_open=lambda _context: self.is_open)

    def size(self) -> FieldPlan:
        def resolve(row: Any, _info: Any) -> int:
            return len(row["kids"])

        return FieldPlan(
            resolve=resolve, available=lambda rows, *_: [len(row["kids"]) for row in rows], is_open=everybody
        )


TEXTS = [
    "{ rows { id name size } }",
    "{ rows { left { id left { name } } } }",
    "{ rows { kids { id kids { name __typename } } some { id } } }",
    "{ row { right { kids { right { left { id } } } } } }",
    "{ rows { plain { kids { id } } kids { plain { id } } } }",
]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.mark.parametrize("is_available", [True, False])
@pytest.mark.parametrize("text", TEXTS)
async def test_both_ways_give_the_same(store: Store, text: str, is_available: bool) -> None:
    store.is_available = is_available
    answer, by = await run_planned(store.schema, text)
    assert answer == await run_plain(store.schema, text)
    assert by in ("synchronous", "layered")


async def test_what_is_available_is_not_asked_for(store: Store) -> None:
    _answer, by = await run_planned(store.schema, "{ rows { kids { left { id } } right { size } } }")
    assert (store.calls, by) == ({}, "synchronous")
    store.is_available = False
    _answer, by = await run_planned(store.schema, "{ rows { kids { left { id } } right { size } } }")
    assert by == "layered"
    assert store.calls == {"kids": 1, "left": 1, "right": 1}


async def test_what_is_available_is_not_asked_for_because_of_an_error_elsewhere(store: Store) -> None:
    store.rows[1]["name"] = None
    text = "{ rows { kids { left { id } } right { size } } row { name } }"
    for name in ("kids", "left", "right"):
        field = store.schema.type_map["Row"].fields[name]
        plan = plan_of(field)
        assert plan is not None
        declare(field, replace(plan, resolve=never, bulk=None))
    answer, by = await run_planned(store.schema, text)
    assert ([error["path"] for error in answer["errors"]], by) == ([["row", "name"]], "replay")
    assert answer["data"]["rows"][0]["kids"] == [{"left": None}, {"left": {"id": 1}}]


def never(_row: Any, _info: Any) -> Any:
    raise AssertionError("it is available")


async def test_what_is_not_open_is_decided_by_the_resolver(store: Store) -> None:
    store.is_open = False
    answer, by = await run_planned(store.schema, "{ rows { kids { left { id } } } }")
    assert store.calls == {"kids": 1, "left": 1}
    assert (answer, by) == (await run_plain(store.schema, "{ rows { kids { left { id } } } }"), "layered")


async def test_who_may_have_what_is_not_said_is_decided_by_the_resolver(store: Store) -> None:
    field = store.schema.type_map["Row"].fields["left"]
    plan = plan_of(field)
    assert plan is not None
    declare(field, FieldPlan(resolve=plan.resolve, bulk=plan.bulk, available=plan.available))
    await run_planned(store.schema, "{ rows { left { id } } }")
    assert store.calls == {"left": 1}


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        (2, "name", None),
        (3, "name", b"odd"),
        (2, "id", "no number"),
        (1, "right", 99),
        (2, "kids", [1, 99]),
        (3, "some", 3),
        (1, "kids", None),
    ],
)
@pytest.mark.parametrize("text", TEXTS)
async def test_what_goes_wrong_is_told_as_graphql_core_tells_it(
    store: Store, text: str, row: int, column: str, value: Any
) -> None:
    store.rows[row][column] = value
    answer, _by = await run_planned(store.schema, text)
    assert answer == await run_plain(store.schema, text)
