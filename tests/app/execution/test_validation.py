"""Documents are as valid as graphql-core says."""

import json
from pathlib import Path

import pytest
from graphql import GraphQLSchema, parse, specified_rules
from graphql import validate as validate_by_graphql_core

from app.asgi import executable_schema
from app.execution import validation
from app.execution.validation import validate

REQUESTS = map(
    json.loads, (path.read_bytes() for path in (Path(__file__).parents[2] / "contract").glob("*/*.request.json"))
)
VALID = [request["query"] for request in REQUESTS if "query" in request]

# At least one for each rule.
FAULTY = """
{ a } type A { a: Int }
query Q { __typename } query Q { __typename }
{ __typename } { a: __typename }
query($i: Nothing) { __typename @skip(if: $i) }
fragment F on Shipment { id } fragment F on Shipment { id } { shipment(id: "1") { ...F } }
fragment F on String { id } { shipment(id: "1") { ...F } }
query($i: Shipment) { __typename }
{ shipment(id: "1") }
{ shipment(id: "1") { id { x } } }
{ shipment(id: "1") { nothing } }
{ shipment(id: "1") { ...G } }
fragment F on Shipment { id } { __typename }
{ shipment(id: "1") { ... on Order { id } } }
{ shipment(id: "1") { ...F } } fragment F on Shipment { ...G } fragment G on Shipment { ...F }
query($a: Int, $a: Int) { order(orderId: $a) { id } }
{ order(orderId: $a) { id } }
query($a: Int!) { __typename }
{ shipment(id: "1") { status id @include(if: $b) } }
{ shipment(id: "1") { status ...F @skip(if: $b) } } fragment F on Shipment { id }
{ shipment(id: "1") { status ... @skip(if: $b) { id } } }
{ shipment(id: "1") { ...F } } fragment F on Shipment { items { ...G } } fragment G on ShipmentItem { id @skip(if: $b) }
{ shipments(input: { page: 1, statuses: [DELIVERED, $s] }) { itemsFound items { id } } }
query($b: Int!) { shipment(id: "1") { items { name orderItem { id @skip(if: $b) } } } }
query($s: [String]) { shipments(input: { statuses: $s }) { itemsFound } }
query($a: Boolean!, $b: Boolean!) { shipment(id: "1") { id @skip(if: $a) items { id } } }
{ __typename @nothing }
query @skip(if: true) { __typename }
{ __typename @skip(if: true) @skip(if: false) }
{ shipment(id: "1", x: 1) { id } }
{ shipment(id: "1", id: "2") { id } }
{ shipment(id: 1) { id } }
{ shipments(input: { page: "x", nothing: 1, statuses: [NONE] }) { itemsFound } }
{ shipment { id } }
{ __typename @skip }
query($a: String) { shipment(id: $a) { id } }
query($a: Int = "x") { order(orderId: $a) { id } }
{ shipment(id: "1") { a: id a: status } }
{ shipment(id: "1") { id } shipment(id: "2") { id } }
{ shipments(input: { page: 1, page: 2 }) { itemsFound } }
{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }
{ shipment(id: "1") { a b c d e f g h i j k l m n o p q r s t u v w x y z } }
subscription { a b }
mutation M($i: Int!) { a }
mutation { ... @defer { a } }
subscription { ... @defer { a } }
query($l: String) { ... @defer(label: $l) { __typename } }
{ __typename @stream }
{ shipment(id: "1") { id @stream } }
subscription { a: orderChanges { cursor } b: orderChanges { cursor } }
""".strip().splitlines()  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return executable_schema()


@pytest.mark.parametrize("text", FAULTY)
@pytest.mark.parametrize("hide_suggestions", [True, False])
def test_a_faulty_document_has_the_errors_of_graphql_core(
    schema: GraphQLSchema, text: str, hide_suggestions: bool
) -> None:
    document = parse(text)
    expected = validate_by_graphql_core(schema, document, max_errors=20, hide_suggestions=hide_suggestions)
    found = validate(schema, document, max_errors=20, hide_suggestions=hide_suggestions)
    assert found
    assert [error.formatted for error in found] == [error.formatted for error in expected]


def test_a_valid_document_is_seen_to_be_by_the_rules_alone(
    schema: GraphQLSchema, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "validate_by_graphql_core", None)
    for text in VALID:
        assert validate(schema, parse(text), max_errors=20, hide_suggestions=True) == []


def test_every_rule_finds_its_faults(schema: GraphQLSchema, monkeypatch: pytest.MonkeyPatch) -> None:
    """With each alone in force, what graphql-core refuses by it is refused."""
    silent = set()
    for rule in specified_rules:
        monkeypatch.setattr(validation, "specified_rules", [rule])
        answers = []
        for text in FAULTY:
            document = parse(text)
            answers.append(validation._is_valid(schema, document))
            assert answers[-1] is not bool(validate_by_graphql_core(schema, document, [rule])), (rule, text)
        if all(answers):
            silent.add(rule.__name__)
    assert silent == {"KnownOperationTypesRule"}  # the schema has operations of all types


def test_fragments_that_nest_too_deep_are_refused_as_graphql_core_refuses_them(schema: GraphQLSchema) -> None:
    spreads = " ".join(f"fragment F{place} on Shipment {{ ...F{place + 1} }}" for place in range(1500))
    document = parse(f'{{ shipment(id: "1") {{ ...F0 }} }} {spreads} fragment F1500 on Shipment {{ id }}')
    found = validate(schema, document, max_errors=20, hide_suggestions=True)
    expected = validate_by_graphql_core(schema, document, max_errors=20, hide_suggestions=True)
    assert [error.message for error in found] == [error.message for error in expected] == ["Validation aborted."]
