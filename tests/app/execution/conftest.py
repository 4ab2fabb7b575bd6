"""A small schema of its own: the executor knows nothing of orders."""

from collections import Counter
from functools import partial
from typing import Any

import pytest
from ariadne import MutationType, ObjectType, QueryType
from graphql import ExecutionResult, GraphQLSchema, OperationDefinitionNode, execute, parse, validate

from app.errors import OrderNotFound
from app.execution.execute import execute_by_plan
from app.execution.planner import Planner
from app.execution.schema import build
from app.resolvers.names import snake_case

SDL = """
type Query {
  tree(ids: [Int!], input: TreeInput): Tree
  row: Row
  missing: String
  defect: String
  required: String!
  number(value: Int!): Int
}
type Mutation { plant: Tree cut: Tree }
type Tree { name: String left: Tree right: Tree twigs(lengths: [Int!]): [Tree!] }
type Row { trackAndTraceURL: String orderUUID: String extra3: String hasNone: String number: Int }
input TreeInput { names: [String!] inner: TreeInput }
"""

query, mutation, tree = QueryType(), MutationType(), ObjectType("Tree")
TREE: dict[str, Any] = {"name": "oak"}


@query.field("tree")
@mutation.field("plant")
@mutation.field("cut")
@tree.field("left")
@tree.field("right")
def resolve_tree(_parent: Any, _info: Any, **_arguments: Any) -> dict[str, Any]:
    return TREE


@tree.field("twigs")
def resolve_twigs(_parent: Any, _info: Any, **_arguments: Any) -> list[dict[str, Any]]:
    return [TREE, TREE]


@query.field("row")
def resolve_row(_parent: Any, _info: Any) -> dict[str, Any]:
    return {"track_and_trace_url": "https://t/{code}", "order_uuid": "u", "extra3": "e", "number": "no number"}


@query.field("missing")
async def resolve_missing(_parent: Any, _info: Any) -> str:
    raise OrderNotFound(7)


@query.field("defect")
@query.field("required")
async def resolve_defect(_parent: Any, _info: Any) -> str:
    raise RuntimeError("the password is hunter2")


@query.field("number")
def resolve_number(_parent: Any, _info: Any, value: int) -> int:
    return value


def operation_of(schema: GraphQLSchema, text: str) -> tuple[Any, OperationDefinitionNode]:
    """The valid document and its first operation."""
    document = parse(text)
    assert not validate(schema, document)
    [operation, *_] = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return document, operation


async def run_plain(schema: GraphQLSchema, text: str, variables: dict[str, Any] | None = None) -> Any:
    """The answer of graphql-core."""
    result = execute(schema, parse(text), variable_values=variables or {})
    return (result if isinstance(result, ExecutionResult) else await result).formatted


async def run_planned(
    schema: GraphQLSchema, text: str, variables: dict[str, Any] | None = None, *, planner: Planner | None = None
) -> tuple[Any, str]:
    """The answer of a plan, and what ran the operation: see `Engine.executions`."""
    document, operation = operation_of(schema, text)
    executions: Counter[str] = Counter()
    plain = partial(execute, schema, document, variable_values=variables or {})
    planner = planner or Planner(schema, document, operation)
    result = execute_by_plan(planner, plain, None, None, variables or {}, executions)
    if not isinstance(result, ExecutionResult):
        result = await result
    [by] = executions.elements()
    return result.formatted, by


@pytest.fixture(scope="session")
def schema() -> GraphQLSchema:
    return build(SDL, [query, mutation, tree], snake_case)
