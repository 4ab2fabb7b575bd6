from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema

from app.execution import compile as compile_module
from app.execution.field_plan import column_plan, declare
from app.execution.plan import Plan
from app.execution.planner import Planner
from tests.app.execution.conftest import operation_of, run_plain, run_planned

SDL = """
type Query { rows: [Row] things: [Thing!]! }
union Thing = Row | Other
type Row { name: String code(length: Int! = 2): String class: Int row: Row }
type Other { name: String }
"""
ROWS = [{"name": "a", "code": "c", "class": 1}, None, {"name": None, "code": "d", "class": 2}]


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    schema = build_schema(SDL)
    types: Any = schema.type_map
    types["Query"].fields["rows"].resolve = lambda *_: ROWS
    types["Query"].fields["things"].resolve = lambda *_: [ROWS[0], {"name": "o", "other": True}, ROWS[2]]
    types["Row"].fields["row"].resolve = lambda row, _info: row
    for name in ("name", "code", "class"):
        declare(types["Row"].fields[name], column_plan(name))
    types["Thing"].resolve_type = lambda value, *_: "Other" if "other" in value else "Row"
    return schema


def plan_of(schema: GraphQLSchema, text: str) -> Plan:
    planned = Planner(schema, *operation_of(schema, text)).plan({})
    assert planned is not None
    return planned[0]


@pytest.mark.parametrize(
    "text",
    [
        # Names that are no names in Python, aliases, and keys in the order in which they were first asked for.
        "{ rows { class None: name lambda: class True: name } }",
        "{ rows { class ...F name } } fragment F on Row { name class row { name } row { class name } }",
        "{ rows { row { row { __typename name } } } a: rows { __typename } }",
        "{ things { ... on Row { name class } ... on Other { name } __typename } }",
        "{ things { ... on Other { name } } }",
        "{ rows { code } }",
    ],
)
async def test_objects_hold_what_was_selected_in_its_order(schema: GraphQLSchema, text: str) -> None:
    answer, by = await run_planned(schema, text)
    assert str(answer) == str(await run_plain(schema, text))
    assert by == "layered"


async def test_a_wrong_argument_is_an_error_even_of_a_column(schema: GraphQLSchema) -> None:
    text = "query($length: Int = 1) { rows { code(length: $length) } }"
    answer, by = await run_planned(schema, text, {"length": None})
    assert answer == await run_plain(schema, text, {"length": None})
    assert (len(answer["errors"]), by) == (2, "replay")


async def test_a_missing_column_is_an_error_and_no_null(schema: GraphQLSchema) -> None:
    ROWS.append({"name": "without a class"})
    try:
        answer, by = await run_planned(schema, "{ rows { class } }")
    finally:
        ROWS.pop()
    assert (answer["errors"][0]["path"], by) == (["rows", 3, "class"], "replay")


def test_fields_know_what_is_selected_below_them(schema: GraphQLSchema) -> None:
    plan = plan_of(schema, "{ rows { a: name row { class } row { code } } }")
    [field] = plan.root.fields
    assert [below.key for below in field.below] == ["a", "row"]
    assert [below.name for below in field.below[1].below] == ["class", "code"]


def test_what_is_below_an_abstract_type_is_not_known(schema: GraphQLSchema) -> None:
    [field] = plan_of(schema, "{ things { __typename } }").root.fields
    assert field.below == ()


def test_fields_say_why_a_tier_does_not_run_them(schema: GraphQLSchema) -> None:
    [rows] = plan_of(schema, "{ rows { name row { class } } }").root.fields
    assert rows.synchronous is None
    assert rows.reasons == {
        "generated": "row has a resolver and no plan",
        "synchronous": "row has a resolver that may have to wait",
    }
    [things] = plan_of(schema, "{ things { __typename } }").root.fields
    assert things.reasons["synchronous"] == "its type Thing is none of objects"
    [rows] = plan_of(schema, "{ rows { name class } }").root.fields
    assert rows.reasons == {}


async def test_a_plan_that_would_be_too_large_is_left_to_graphql_core(
    schema: GraphQLSchema, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compile_module, "_MOST_SELECTIONS", 3)
    assert (await run_planned(schema, "{ rows { row { name } } }"))[1] == "layered"
    answer, by = await run_planned(schema, "{ rows { row { row { name } } } }")
    assert (answer, by) == (await run_plain(schema, "{ rows { row { row { name } } } }"), "graphql-core")
