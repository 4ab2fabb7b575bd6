import asyncio
from typing import Any

import pytest

import sql
from loaders.batch import Batch, Loaders, many, one

STATEMENT = sql.load("carrier").by_ids


class Store:
    """Answers like a database of rows and remembers what it was asked."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.asked: list[dict[str, Any]] = []

    async def fetch(self, _statement: sql.Statement, **values: Any) -> list[dict[str, Any]]:
        self.asked.append(values)
        return [row for row in self.rows if row["id"] in values["ids"]]


def keep_nothing(_batch: Batch) -> None:
    return None


async def test_keys_of_siblings_share_one_statement_and_keep_their_order() -> None:
    store = Store([{"id": 2, "name": "b"}, {"id": 1, "name": "a"}])
    loaders = Loaders(store.fetch, keep_nothing)
    batch = one(STATEMENT, parameter="ids", column="id")
    rows = await asyncio.gather(*(loaders.load(batch, key) for key in (1, 3, 2, 1)))
    assert [row and row["name"] for row in rows] == ["a", None, "b", "a"]
    assert store.asked == [{"ids": [1, 3, 2]}]


async def test_many_keeps_the_rows_in_the_order_of_the_statement() -> None:
    store = Store([{"id": 1, "name": "b"}, {"id": 2, "name": "x"}, {"id": 1, "name": "a"}])
    loaders = Loaders(store.fetch, keep_nothing)
    batch = many(STATEMENT, parameter="ids", column="id", limit=7)
    rows = await asyncio.gather(*(loaders.load(batch, key) for key in (1, 9)))
    assert [[row["name"] for row in group] for group in rows] == [["b", "a"], []]
    assert store.asked == [{"ids": [1, 9], "limit": 7}]


async def test_a_failing_statement_fails_every_key() -> None:
    async def fetch(_statement: sql.Statement, **_values: Any) -> list[Any]:
        raise OSError("gone")

    loaders = Loaders(fetch, keep_nothing)
    batch = one(STATEMENT, parameter="ids", column="id")
    answers = await asyncio.gather(*(loaders.load(batch, key) for key in (1, 2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [OSError, OSError]


async def test_requests_share_no_rows() -> None:
    store = Store([{"id": 1}])
    batch = one(STATEMENT, parameter="ids", column="id")
    await Loaders(store.fetch, keep_nothing).load(batch, 1)
    await Loaders(store.fetch, keep_nothing).load(batch, 1)
    assert len(store.asked) == 2


@pytest.mark.parametrize("key", [None])
async def test_no_key_is_a_defect(key: None) -> None:
    with pytest.raises(TypeError):
        await Loaders(Store([]).fetch, keep_nothing).load(one(STATEMENT, parameter="ids", column="id"), key)
