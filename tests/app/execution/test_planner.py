from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema

from app.execution.planner import Planner
from tests.app.execution.conftest import operation_of

SDL = """
directive @shout on FIELD
type Query { name: String tree(deep: Boolean): Query }
type Mutation { a: String b: String }
type Subscription { name: String }
"""


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(SDL)


def planner_of(schema: GraphQLSchema, text: str) -> Planner:
    return Planner(schema, *operation_of(schema, text))


def keys(planner: Planner, **variables: Any) -> list[str]:
    planned = planner.plan(variables)
    assert planned is not None
    return [field.key for field in planned[0].root.fields]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{ name }", None),
        ("{ __typename }", None),
        ("mutation { a }", None),
        ("{ __schema { description } }", "introspection"),
        ('{ name ...F } fragment F on Query { tree { __type(name: "Query") { name } } }', "introspection"),
        ("{ name @shout }", "directive"),
        ("mutation { a b }", "several mutations"),
        # They run one after the other, wherever they stand.
        ("mutation { ...F } fragment F on Mutation { a b }", "several mutations"),
        ("mutation { ... on Mutation { a b } }", "several mutations"),
        ("mutation { ... @include(if: true) { a b } }", "several mutations"),
    ],
)
def test_what_no_plan_covers_is_left_to_graphql_core_and_says_why(
    schema: GraphQLSchema, text: str, reason: str | None
) -> None:
    planner = planner_of(schema, text)
    assert planner.reason == reason
    assert (planner.plan({}) is None) == (reason is not None)


CONDITIONAL = """
query($with: Boolean!, $without: Boolean = false) {
  name @include(if: $with)
  ... @skip(if: $without) { tree { name } }
  other: name @skip(if: true)
  same: name @include(if: true)
}
"""


def test_each_choice_of_the_conditions_has_a_plan_of_its_own(schema: GraphQLSchema) -> None:
    planner = planner_of(schema, CONDITIONAL)
    assert keys(planner, **{"with": True}) == ["name", "tree", "same"]
    assert keys(planner, **{"with": False, "without": True}) == ["same"]
    assert keys(planner, **{"with": True, "without": True}) == ["name", "same"]
    assert keys(planner, **{"with": True}) == ["name", "tree", "same"]


def test_a_plan_is_made_once_for_all_other_values(schema: GraphQLSchema) -> None:
    planner = planner_of(schema, "query($d: Boolean, $i: Boolean!) { tree(deep: $d) { name @include(if: $i) } }")
    plans = {id(planned[0]) for deep in (True, False, None) if (planned := planner.plan({"d": deep, "i": True}))}
    assert len(plans) == 1


@pytest.mark.parametrize("variables", [{}, {"with": None}, {"with": 1}, {"with": True, "without": None}])
def test_conditions_that_do_not_fit_are_left_to_graphql_core(schema: GraphQLSchema, variables: dict[str, Any]) -> None:
    assert planner_of(schema, CONDITIONAL).plan(variables) is None


def test_a_document_of_many_conditions_keeps_few_plans_and_runs_by_all(schema: GraphQLSchema) -> None:
    names = [f"c{place}" for place in range(6)]
    selection = " ".join(f"{name}: name @include(if: ${name})" for name in names)
    text = f"query({' '.join(f'${name}: Boolean!' for name in names)}) {{ {selection} }}"
    planner = planner_of(schema, text)
    for choice in range(64):
        chosen = {name: bool(choice >> place & 1) for place, name in enumerate(names)}
        assert keys(planner, **chosen) == [name for name in names if chosen[name]]
    assert planner.plan_count == 16


def test_conditions_of_another_operation_do_not_count(schema: GraphQLSchema) -> None:
    planner = planner_of(schema, "query A { name } query B($b: Boolean!) { name @skip(if: $b) }")
    assert keys(planner, b=True) == ["name"]
