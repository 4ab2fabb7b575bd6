"""An execution that met an error: the answer of graphql-core, from what was resolved already, and nothing left over."""

import asyncio
import inspect
from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema

from app.execution.field_plan import FieldPlan, declare
from tests.app.execution.conftest import run_plain, run_planned
from tests.conftest import FAR_TOO_LONG, until

SDL = """
type Query { rows: [Row!] row: Row! fine: Int hangs: Int nulls: Row! broken: Int }
type Row { id: Int! must: Int! bulk: Int bulkMust: Int! slowly: Int rows: [Row!] }
"""


# Where a field fails at once, graphql-core drops what it has made for the siblings.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def later(value: Any) -> Any:
    async def give() -> Any:
        await asyncio.sleep(0)
        if isinstance(value, Exception):
            raise value
        return value

    return give()


def bulk(values: Any) -> FieldPlan:
    def resolve(row: Any, _info: Any) -> Any:
        return later(values([row])[0])

    return FieldPlan(resolve=resolve, bulk=lambda rows, _info: later(values(rows)))


def odd_is_wrong(rows: Any) -> list[Any]:
    return [ValueError(str(row)) if row % 2 else row for row in rows]


@pytest.fixture
def schema() -> GraphQLSchema:
    schema = build_schema(SDL)
    query: Any = schema.query_type
    row: Any = schema.type_map["Row"]
    resolvers = {
        "rows": lambda *_: [1, 2, 3],
        "row": lambda *_: later(2),
        "fine": lambda *_: 1,
        "nulls": lambda *_: None,
        "broken": lambda *_: later(ValueError("broken")),
        "hangs": lambda *_: asyncio.sleep(3600),
    }
    for name, resolve in resolvers.items():
        query.fields[name].resolve = resolve
    row.fields["id"].resolve = lambda value, _info: value
    row.fields["must"].resolve = lambda value, _info: None if value == 3 else value
    row.fields["slowly"].resolve = lambda value, _info: later(ValueError("slowly") if value == 2 else value)
    row.fields["rows"].resolve = lambda value, _info: [value + 1, value + 2]
    declare(row.fields["bulk"], bulk(odd_is_wrong))
    declare(row.fields["bulkMust"], bulk(lambda rows: [None if value == 2 else value for value in rows]))
    return schema


@pytest.mark.parametrize(
    "text",
    [
        "{ rows { id bulk } }",
        "{ rows { bulkMust id } fine }",
        "{ rows { must bulk } row { bulk bulkMust } }",
        "{ rows { rows { rows { id must slowly } } } }",
        "{ rows { slowly bulk } broken fine }",
        "{ rows { again: slowly slowly } a: broken b: broken }",
        "{ nulls { id } fine }",
        "{ row { must } nulls { id } }",
    ],
)
async def test_every_error_and_null_is_where_graphql_core_has_it(schema: GraphQLSchema, text: str) -> None:
    answer, by = await run_planned(schema, text)
    assert (answer, by) == (await run_plain(schema, text), "replay")


async def test_a_failing_bulk_call_is_an_error_of_each_object(schema: GraphQLSchema) -> None:
    field = schema.type_map["Row"].fields["bulk"]

    async def fail(*_: Any) -> Any:
        raise OSError("gone")

    for call in (fail, lambda *_: 1 / 0):
        declare(field, FieldPlan(resolve=field.resolve, bulk=call))
        answer, by = await run_planned(schema, "{ rows { id bulk } }")
        assert [error["path"] for error in answer["errors"]] == [["rows", place, "bulk"] for place in range(3)]
        assert ([row["bulk"] for row in answer["data"]["rows"]], by) == ([None, None, None], "replay")


async def test_what_nobody_waits_for_any_more_is_cancelled(schema: GraphQLSchema) -> None:
    """The row that is waited for becomes null by an error beside it."""
    cancelled = asyncio.Event()

    async def hang(*_: Any) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    schema.type_map["Row"].fields["slowly"].resolve = hang
    schema.type_map["Row"].fields["must"].resolve = lambda *_: later(ValueError("must"))
    async with asyncio.timeout(FAR_TOO_LONG):
        answer, by = await run_planned(schema, "{ row { slowly must } }")
        assert (answer["data"], by) == (None, "replay")
        await cancelled.wait()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_coroutines_that_were_not_needed_are_closed(schema: GraphQLSchema) -> None:
    made: list[Any] = []

    def keep(*_: Any) -> Any:
        made.append(later(1))
        return made[-1]

    row: Any = schema.type_map["Row"]
    row.fields["slowly"].resolve = keep
    declare(row.fields["bulk"], FieldPlan(resolve=row.fields["bulk"].resolve, bulk=keep))
    answer, by = await run_planned(schema, "{ rows { slowly bulk must } }")
    assert (answer["data"], by) == ({"rows": None}, "replay")
    assert made
    # graphql-core settles in the background what it has taken.
    await until(lambda: {inspect.getcoroutinestate(coroutine) for coroutine in made} == {inspect.CORO_CLOSED})


async def test_cancelling_while_errors_are_gathered_cancels_the_rest(schema: GraphQLSchema) -> None:
    task = asyncio.create_task(run_planned(schema, "{ broken hangs rows { bulk } }"))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
