from typing import Any

import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, build_schema, parse

from app.execution.text_lengths import OperationLengths, TextLengths

SDL = """
directive @constraint(maxLength: Int!) on ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION
type Query { tree(input: TreeInput, names: [[String!]] @constraint(maxLength: 3), age: Int): Tree }
type Tree { name(language: String, id: ID): String twig: Tree }
input TreeInput { name: String @constraint(maxLength: 3) kind: Kind inner: TreeInput others: [TreeInput!] }
enum Kind { OAK ELM }
"""


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(SDL)


def lengths_of(schema: GraphQLSchema, text: str) -> OperationLengths:
    document = parse(text)
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    return TextLengths(schema, 5).of(document, operation)


@pytest.mark.parametrize(
    ("text", "is_exceeded"),
    [
        ("{ tree { name } }", False),
        ('{ tree { name(language: "12345") } }', False),
        ('{ tree { name(language: "123456") } }', True),
        ('{ tree { twig { twig { name(id: "123456") } } } }', True),
        ("{ tree(age: 123456) { name(id: 123456) } }", False),
        ('{ tree(input: {name: "123"}) { name } }', False),
        ('{ tree(input: {inner: {inner: {name: "1234"}}}) { name } }', True),
        ('{ tree(input: {others: [{}, {name: "1234"}]}) { name } }', True),
        ('{ tree(names: [["123"], ["1234"]]) { name } }', True),
        ('{ tree(names: "1234") { name } }', True),
        ('{ ... { tree { ...on Tree { name(id: "123456") } } } }', True),
        ('{ tree { ...a } } fragment a on Tree { twig { ...b } } fragment b on Tree { name(id: "123456") }', True),
        ('query($l: String = "123456") { tree { name(language: $l) } }', True),
        ('query($n: String = "1234") { tree(input: {name: $n}) { name } }', True),
        ('query($n: String = "1234") { tree { name(id: "1") } }', False),
        ('{ tree(input: {inner: {name: "\\u0000"}}) { name } }', True),
        ('query($n: String = "\\u0000") { tree(input: {name: $n}) { name } }', True),
    ],
)  # fmt: skip
def test_literals_are_measured_where_they_stand(schema: GraphQLSchema, text: str, is_exceeded: bool) -> None:
    assert lengths_of(schema, text).are_exceeded({}) is is_exceeded


@pytest.mark.parametrize(
    ("variables", "is_exceeded"),
    [
        ({}, False),
        ({"input": None, "name": None, "names": None}, False),
        ({"input": {"name": "123"}, "name": "123", "names": [["123"], None]}, False),
        ({"input": {"name": "1234"}}, True),
        ({"input": {"inner": {"others": [{"inner": {"name": "1234"}}]}}}, True),
        ({"input": {"others": {"name": "1234"}}}, True),
        ({"name": "1234"}, True),
        ({"names": [["1"], ["1234"]]}, True),
        ({"names": "1234"}, True),
        ({"input": {"inner": {"name": "a\0b"}}}, True),
        ({"names": [["1"], ["\0"]]}, True),
        ({"input": {"unknown": "123456", "kind": "OAK"}}, False),
        ({"input": "123456", "name": 123456, "names": {"a": "123456"}}, False),
    ],
)
def test_variables_are_measured_by_the_arguments_they_are_given_to(
    schema: GraphQLSchema, variables: dict[str, Any], is_exceeded: bool
) -> None:
    text = """query($input: TreeInput, $name: String, $names: [[String!]]) {
        tree(input: $input, names: $names) { twig { name(language: $name) } }
        other: tree(input: {inner: {name: $name}}) { name }
    }"""
    assert lengths_of(schema, text).are_exceeded(variables) is is_exceeded
