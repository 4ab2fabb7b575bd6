import asyncio
from typing import Any

import pytest

import sql
from loaders.batch import Batch, many, one
from loaders.prefetch import Loaders
from loaders.rows import Rows

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


async def test_what_is_fetched_ends_when_it_is_cancelled_and_nothing_is_fetched_after() -> None:
    began, ended, asked = asyncio.Event(), asyncio.Event(), 0

    async def fetch(_statement: sql.Statement, **_values: Any) -> list[Any]:
        nonlocal asked
        asked += 1
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return []

    loaders = Loaders(fetch, keep_nothing)
    batch = one(STATEMENT, parameter="ids", column="id")
    first = loaders.load(batch, 1)
    await began.wait()
    second = loaders.load(batch, 2)  # its statement has not begun
    loaders.cancel()
    await ended.wait()
    for waiting in (first, second):
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asked == 1


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


async def refuse(_statement: sql.Statement, **_values: Any) -> list[Any]:
    raise AssertionError("all of it is available")


CHILDREN = many(STATEMENT, parameter="ids", column="parent")
ROWS = Rows({"parent": (2, 1, 2), "name": ("x", "a", "y")}, 3)


def names(lists: Any) -> list[list[str] | None]:
    return [None if rows is None else [row["name"] for row in rows] for rows in lists]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([1, 2, 3], [["a"], ["x", "y"], []]),
        ([2], [["x", "y"]]),
        ([3, 3, 2], [[], [], ["x", "y"]]),
        ([None, 1, None], [None, ["a"], None]),
        ([None], [None]),
        ([], []),
    ],
)
def test_rows_that_came_along_are_available(keys: list[int | None], expected: list[list[str] | None]) -> None:
    loaders = Loaders(refuse, keep_nothing)
    loaders.add(CHILDREN, [1, 2, 3, None], ROWS, None)
    assert names(loaders.load_all(CHILDREN, keys)) == expected


@pytest.mark.parametrize(("parent", "expected"), [(7, [[]]), (None, [None])])
def test_an_only_parent_has_all_rows_unless_it_has_no_key(parent: int | None, expected: list[Any]) -> None:
    loaders = Loaders(refuse, keep_nothing)
    loaders.add(CHILDREN, [parent], Rows({"parent": (), "name": ()}, 0), None)
    assert names(loaders.available(CHILDREN, [parent])) == expected


def test_single_rows_are_available_with_nulls_where_there_are_none() -> None:
    batch = one(STATEMENT, parameter="ids", column="id")
    loaders = Loaders(refuse, keep_nothing)
    loaders.add(batch, [1, 2, None], Rows({"id": (2,), "name": ("b",)}, 1), None)
    assert [row and row["name"] for row in loaders.load_all(batch, [2, 1, None, 2])] == ["b", None, None, "b"]
    assert [row["name"] for row in loaders.load_all(batch, [2, 2])] == ["b", "b"]


async def test_a_key_that_is_not_among_the_parents_is_fetched() -> None:
    store = Store([{"id": 1, "parent": 1, "name": "a"}, {"id": 4, "parent": 4, "name": "d"}])
    loaders = Loaders(store.fetch, keep_nothing)
    loaders.add(CHILDREN, [1], ROWS.take([1]), None)
    assert loaders.available(CHILDREN, [1, 4]) is None
    assert names(await loaders.load_all(CHILDREN, [1, None, 4])) == [["a"], None, ["d"]]
    assert store.asked == [{"ids": [1, 4]}]


@pytest.mark.parametrize(
    ("held", "projection", "is_enough"),
    [
        ({"name"}, {"name"}, True),
        ({"name", "sku"}, {"name"}, True),
        ({"name"}, set(), True),
        ({"name"}, {"name", "sku"}, False),
        ({"name"}, None, False),
        (None, {"sku"}, True),
        (None, None, True),
    ],
)
def test_rows_are_available_with_the_columns_that_are_wanted(
    held: set[str] | None, projection: set[str] | None, is_enough: bool
) -> None:
    loaders = Loaders(refuse, keep_nothing)
    loaders.add(CHILDREN, [1, 2], ROWS, None if held is None else frozenset(held))
    found = loaders.available(CHILDREN, [1, 2], None if projection is None else frozenset(projection))
    assert (found is not None) is is_enough


def test_of_rows_that_came_twice_those_are_taken_that_hold_enough() -> None:
    loaders = Loaders(refuse, keep_nothing)
    loaders.add(CHILDREN, [1], Rows({"parent": (1,)}, 1), frozenset())
    loaders.add(CHILDREN, [1, 2], ROWS, frozenset({"name"}))
    assert names(loaders.available(CHILDREN, [1], frozenset({"name"}))) == [["a"]]
