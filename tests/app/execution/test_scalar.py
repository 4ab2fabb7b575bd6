"""Numbers as literals, by plans and by graphql-core alike: what does not fit is refused, wherever it stands."""

import math
import sys
from collections import Counter
from functools import partial
from typing import Any

import pytest
from ariadne import QueryType
from graphql import ExecutionResult, GraphQLSchema, execute, parse, validate

from app.execution.execute import execute_by_plan
from app.execution.planner import Planner
from app.execution.schema import build
from tests.app.execution.conftest import operation_of

SDL = """
type Query {
  float(value: Float, values: [Float], input: Input): String
  int(value: Int, values: [Int], input: Input): String
  id(value: ID, values: [ID], input: Input): String
}
input Input { float: Float int: Int id: ID floats: [Float!] inner: Input ints: [[Int]] }
"""
DIGITS = "9" * 5_000

query = QueryType()


@query.field("float")
@query.field("int")
@query.field("id")
def resolve(_parent: Any, _info: Any, **arguments: Any) -> str:
    return repr(arguments)


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build(SDL, [query], str)


# Where a literal may stand; the types of its place are those of the first two columns.
PLACES = [
    ("float", "Float", "{ float(value: %s) }"),
    ("float", "Float", "{ float(values: [1, %s]) }"),
    ("float", "Float", "{ float(values: %s) }"),
    ("float", "Float", "{ float(input: {float: %s}) }"),
    ("float", "Float", "{ float(input: {inner: {floats: [0.5, %s]}}) }"),
    ("float", "Float", "query($v: Float = %s) { float(value: $v) }"),
    ("float", "Float", "query($v: [Float] = [1, %s]) { float(values: $v) }"),
    ("float", "Float", "query($v: Input = {inner: {float: %s}}) { float(input: $v) }"),
    ("float", "Float", "query($v: Input) { float(input: {inner: $v, float: %s}) }"),
    ("int", "Int", "{ int(value: %s) }"),
    ("int", "Int", "{ int(values: [1, %s]) }"),
    ("int", "Int", "{ int(input: {ints: [[%s]]}) }"),
    ("int", "Int", "query($v: Int = %s) { int(value: $v) }"),
    ("int", "Int", "query($v: Input = {inner: {int: %s}}) { int(input: $v) }"),
    ("int", "Int", "query($v: Input) { int(input: {inner: $v, int: %s}) }"),
]


def faults(schema: GraphQLSchema, text: str) -> list[str]:
    return [error.message for error in validate(schema, parse(text))]


@pytest.mark.parametrize(("field", "kind", "place"), PLACES)
@pytest.mark.parametrize("literal", ["1e400", "-1e400", "1.5E+309", DIGITS, f"-{DIGITS}", f"{DIGITS}.5", "9" * 310])
def test_number_that_does_not_fit_is_refused_in_the_words_of_graphql(
    schema: GraphQLSchema, field: str, kind: str, place: str, literal: str
) -> None:
    [message] = faults(schema, place % literal)
    if kind == "Float":
        expected = "Float cannot represent non numeric value: "
    elif "e" in literal.lower() or "." in literal:
        expected = "Int cannot represent non-integer value: "
    else:
        expected = "Int cannot represent non 32-bit signed integer value: "
    assert message == expected + literal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{ float(value: 1.7976931348623157e308) }", sys.float_info.max),
        ("{ float(value: -1e308) }", -1e308),
        ("{ float(value: 1e-400) }", 0.0),
        ("{ float(value: %s) }" % ("9" * 300), float("9" * 300)),
        ("{ int(value: 2147483647) }", 2147483647),
        ("{ int(value: -2147483648) }", -2147483648),
        ("{ int(value: -0) }", 0),
        (f"{{ id(value: {DIGITS}) }}", DIGITS),
        (f'{{ id(value: "{DIGITS}") }}', DIGITS),
        (f"query($v: ID = {DIGITS}) {{ id(value: $v) }}", DIGITS),
    ],
)
def test_number_that_fits_is_taken(schema: GraphQLSchema, text: str, value: Any) -> None:
    assert faults(schema, text) == []
    for result in by_both(schema, text, {}):
        [told] = (result.data or {}).values()
        assert told == repr({"value": value})


@pytest.mark.parametrize("text", ["{ int(value: 2147483648) }", "{ int(value: -2147483649) }"])
def test_integer_just_out_of_range_is_refused_as_before(schema: GraphQLSchema, text: str) -> None:
    [message] = faults(schema, text)
    assert message.startswith("Int cannot represent non 32-bit signed integer value: ")


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_variable_of_the_same_value_is_refused_the_same(schema: GraphQLSchema, value: float) -> None:
    for result in by_both(schema, "query($v: Float) { float(value: $v) }", {"v": value}):
        assert result.data is None
        [error] = result.errors or []
        assert "Float cannot represent non numeric value: " in error.message


def by_both(schema: GraphQLSchema, text: str, variables: dict[str, Any]) -> list[ExecutionResult]:
    document, operation = operation_of(schema, text)
    plain = partial(execute, schema, document, variable_values=variables)
    planned = execute_by_plan(Planner(schema, document, operation), plain, None, None, variables, Counter())
    results = [plain(), planned]
    assert all(isinstance(result, ExecutionResult) for result in results)
    return results


def test_what_is_no_number_is_left_to_graphql(schema: GraphQLSchema) -> None:
    for text in ('{ float(value: "1") }', "{ int(value: 1.0) }", "{ int(value: true) }", "{ float(value: {a: 1}) }"):
        [message] = faults(schema, text)
        assert " cannot represent non" in message
