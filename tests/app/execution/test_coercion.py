"""Coercion compiled against graphql-core's own: the same values, and the same ones refused."""

import re
from typing import Any

import pytest
from graphql import GraphQLError, build_schema, parse
from graphql.execution.values import VariableValues, get_argument_values, get_variable_values
from hypothesis import given, settings
from hypothesis import strategies as st

from app.execution.coercion import Variables, argument_reader

SDL = """
enum Color { RED GREEN }
scalar Anything
input Point { x: Int! y: Float = 1.5 label: String }
input Shape { color: Color = RED colors: [Color!] points: [Point!]! = [{x: 1}] inner: Shape id: ID any: Anything }
input Key @oneOf { id: ID name: String }
type Query {
  field(
    int: Int, needed: Int! = 3, float: Float, string: String, bool: Boolean, id: ID, color: Color, shape: Shape
    ints: [Int!], grid: [[Int]], key: Key, any: Anything
  ): Int
}
"""
SCHEMA = build_schema(SDL)
TYPES = (
    *("Int", "Int!", "Float", "String!", "Boolean", "ID", "Color", "Anything", "Shape", "Shape!", "[Int!]", "[[Int]]"),
    *("[Shape]", "Key", "Key!", "Point"),
)
DEFAULTS = {
    "Int": "7",
    "Color": "GREEN",
    "[Int!]": "[1, 2]",
    "Shape": '{points: [], id: 4, any: "a"}',
    "Key": '{id: "1"}',
}

LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 10**400]),
    st.floats(),
    st.sampled_from(["RED", "GREEN", "BLUE", "", "1", "é"]),
)
POINTS = st.dictionaries(st.sampled_from(["x", "y", "label"]), LEAVES, min_size=1)
INTS = st.lists(st.integers(-3, 3), max_size=3)
SHAPES: Any = st.deferred(
    lambda: st.fixed_dictionaries(
        {},
        optional={
            "color": st.sampled_from(["RED", "GREEN", "BLUE", None, 1]),
            "colors": st.one_of(st.lists(st.sampled_from(["RED", "GREEN"]), max_size=2), st.just("RED")),
            "points": st.lists(POINTS, max_size=2),
            "inner": st.one_of(st.none(), SHAPES),
            "id": st.one_of(st.just("a"), LEAVES),
            "any": st.one_of(LEAVES, INTS),
            "extra": LEAVES,
        },
    )
)
KEYS = st.dictionaries(st.sampled_from(["id", "name", "other"]), LEAVES, max_size=2)
VALUES = st.one_of(
    LEAVES, INTS, st.lists(INTS | LEAVES, max_size=3), POINTS, SHAPES, st.lists(SHAPES, max_size=2), KEYS
)


@st.composite
def declarations(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """The variables of an operation, some with a default, and what a caller gives for some of them and for others."""
    types = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=3))
    names = [f"v{place}" for place in range(len(types))]
    texts = [
        f"${name}: {type_}" + (f" = {DEFAULTS[type_]}" if type_ in DEFAULTS and draw(st.booleans()) else "")
        for name, type_ in zip(names, types, strict=True)
    ]
    given = draw(st.dictionaries(st.sampled_from([*names, "unknown"]), VALUES, max_size=4))
    return f"query({', '.join(texts)}) {{ __typename }}", given


@given(declarations())
@settings(max_examples=250, deadline=None, derandomize=True, database=None)
def test_variables_are_coerced_as_graphql_core_does(declared: tuple[str, dict[str, Any]]) -> None:
    text, values = declared
    operation: Any = parse(text).definitions[0]
    expected = get_variable_values(SCHEMA, operation.variable_definitions, values)
    found = Variables(SCHEMA, operation).coerce(values)
    if isinstance(expected, VariableValues):
        assert found is not None
        # As text: 1, 1.0 and true are equal, and NaN is not.
        assert repr(found.coerced) == repr(expected.coerced)
        assert {name: repr(source.value) for name, source in found.sources.items()} == {
            name: repr(source.value) for name, source in expected.sources.items()
        }
    else:
        assert found is None


ARGUMENTS = [
    ("", "", [{}]),
    ("", "(int: 1, string: null, ints: 3, shape: {points: [{x: 1}]})", [{}]),
    ("$i: Int", "(int: $i)", [{}, {"i": None}, {"i": 5}]),
    ("$i: Int = 2", "(int: $i, needed: $i)", [{}, {"i": None}, {"i": 5}]),
    ("$n: Int!", "(needed: $n, int: $n)", [{"n": 4}]),
    ("$c: Color, $s: String", "(color: $c, string: $s)", [{}, {"c": "GREEN"}, {"c": None, "s": "x"}]),
    ("$i: Int", "(ints: [1, 2], grid: [[$i]])", [{}, {"i": None}, {"i": 5}]),
    ("$x: Int!, $s: Shape", "(shape: {points: [{x: $x}], inner: $s})", [{"x": 1}, {"x": 1, "s": {"color": "GREEN"}}]),
    ("$id: ID!", "(key: {id: $id})", [{"id": "a"}]),
    ("$any: Anything", "(any: {a: [$any, 1]})", [{}, {"any": {"b": 2}}]),
]


@pytest.mark.parametrize(("declared", "arguments", "given"), ARGUMENTS)
def test_arguments_are_read_as_graphql_core_reads_them(
    declared: str, arguments: str, given: list[dict[str, Any]]
) -> None:
    operation: Any = parse(f"query{f'({declared})' if declared else ''} {{ field{arguments} }}").definitions[0]
    [node] = operation.selection_set.selections
    definition = SCHEMA.query_type.fields["field"]
    read = argument_reader(definition, node)
    for values in given * 2:
        variables = Variables(SCHEMA, operation).coerce(values)
        assert variables is not None
        try:
            expected = get_argument_values(definition, node, variables)
        except GraphQLError as error:
            with pytest.raises(GraphQLError, match=re.escape(error.message)):
                read(variables)
        else:
            assert repr(read(variables)) == repr(expected)


def test_what_a_resolver_adds_to_its_arguments_is_gone_with_the_call() -> None:
    operation: Any = parse("{ field(int: 1) }").definitions[0]
    read = argument_reader(SCHEMA.query_type.fields["field"], operation.selection_set.selections[0])
    variables = VariableValues({}, {})
    read(variables)["string"] = "of another request"
    assert read(variables) == {"int": 1, "needed": 3}


def test_values_nested_deeper_than_the_stack_are_refused_and_no_crash() -> None:
    value: dict[str, Any] = {}
    for _ in range(3000):
        value = {"inner": value}
    operation: Any = parse("query($s: Shape) { __typename }").definitions[0]
    assert Variables(SCHEMA, operation).coerce({"s": value}) is None
