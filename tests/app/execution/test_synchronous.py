"""The short way gives what the long way gives, and has no effect where it has to give up."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema

from app.execution.schema import column_resolver
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
    """Rows that hang on one another, which may be at hand or not. `broken` breaks the row of that id."""

    def __init__(self) -> None:
        self.schema: GraphQLSchema = build_schema(SDL)
        self.calls: Counter[str] = Counter()
        self.is_at_hand = True
        self.rows = {key: dict(row) for key, row in ROWS.items()}
        fields: Any = self.schema.type_map["Row"].fields  # type: ignore[attr-defined]
        for name in ("id", "name"):
            fields[name].resolve = column_resolver(name)
        for name in ("left", "right", "kids", "some"):
            fields[name].resolve = self.relation(name)
        fields["size"].resolve = self.size()
        fields["plain"].resolve = lambda row, _info: row
        query: Any = self.schema.query_type
        query.fields["rows"].resolve = lambda *_: Rows(
            {name: [row[name] for row in self.rows.values()] for name in ROWS[1]}, 3
        )
        query.fields["row"].resolve = lambda *_: self.rows[1]

    def relation(self, name: str) -> Any:
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

        resolve.bulk = bulk  # type: ignore[attr-defined]
        resolve.at_hand = lambda rows, _context, _field: (  # type: ignore[attr-defined]
            [look_up(row[name]) for row in rows] if self.is_at_hand else None
        )
        return resolve

    def size(self) -> Any:
        def resolve(row: Any, _info: Any) -> int:
            return len(row["kids"])

        resolve.at_hand = lambda rows, _context, _field: [len(row["kids"]) for row in rows]  # type: ignore[attr-defined]
        return resolve


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


@pytest.mark.parametrize("is_at_hand", [True, False])
@pytest.mark.parametrize("text", TEXTS)
async def test_both_ways_give_the_same(store: Store, text: str, is_at_hand: bool) -> None:
    store.is_at_hand = is_at_hand
    answer, by = await run_planned(store.schema, text)
    assert (answer, by) == (await run_plain(store.schema, text), "plan")


async def test_what_is_at_hand_is_not_asked_for(store: Store) -> None:
    await run_planned(store.schema, "{ rows { kids { left { id } } right { size } } }")
    assert not store.calls
    store.is_at_hand = False
    await run_planned(store.schema, "{ rows { kids { left { id } } right { size } } }")
    assert store.calls == {"kids": 1, "left": 1, "right": 1}


async def test_what_is_at_hand_is_not_asked_for_because_of_an_error_elsewhere(store: Store) -> None:
    store.rows[1]["name"] = None
    text = "{ rows { kids { left { id } } right { size } } row { name } }"
    for name in ("kids", "left", "right"):
        resolver: Any = store.schema.type_map["Row"].fields[name].resolve  # type: ignore[attr-defined]
        resolver.bulk = None
        store.schema.type_map["Row"].fields[name].resolve = only_at_hand(resolver)  # type: ignore[attr-defined]
    answer, by = await run_planned(store.schema, text)
    assert ([error["path"] for error in answer["errors"]], by) == ([["row", "name"]], "replay")
    assert answer["data"]["rows"][0]["kids"] == [{"left": None}, {"left": {"id": 1}}]


def only_at_hand(resolver: Any) -> Any:
    def resolve(_row: Any, _info: Any) -> Any:
        raise AssertionError("it is at hand")

    resolve.at_hand = resolver.at_hand  # type: ignore[attr-defined]
    return resolve


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
