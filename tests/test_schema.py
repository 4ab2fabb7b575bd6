"""The SDL explains itself and keeps the contracts of both surfaces."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_introspection_type,
    is_required_argument,
    is_required_input_field,
    is_specified_scalar_type,
    print_ast,
)

ROOT = Path(__file__).parents[1]
OURS = build_schema((ROOT / "schema.graphql").read_text("utf-8"))
CONTRACTS = {
    name: build_schema((ROOT / "tests" / "contract" / f"{name}.graphql").read_text("utf-8"))
    for name in ("b2b", "customer")
}
# Decision 23: null where nobody knows the rate.
DECIDED = {
    "CustomerOrder.baseGrandTotal": "Float",
    "CustomerOrder.baseSubTotal": "Float",
    "Order.currencyRatio": "Float",
}
each_contract = pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)

Typed = GraphQLField | GraphQLArgument | GraphQLInputField


def is_own(named: GraphQLNamedType) -> bool:
    return not is_introspection_type(named) and not is_specified_scalar_type(named)


def own_types(schema: GraphQLSchema) -> Iterator[GraphQLNamedType]:
    return filter(is_own, schema.type_map.values())


def members(named: GraphQLNamedType) -> Iterator[tuple[str, Typed | GraphQLEnumValue]]:
    """Fields, their arguments, input fields and enum values by their coordinate: `Query.shipment(id:)`."""
    if isinstance(named, GraphQLEnumType):
        for name, value in named.values.items():
            yield f"{named.name}.{name}", value
    elif isinstance(named, GraphQLInputObjectType):
        for name, input_field in named.fields.items():
            yield f"{named.name}.{name}", input_field
    elif isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
        for name, field in named.fields.items():
            yield f"{named.name}.{name}", field
            for argument_name, argument in field.args.items():
                yield f"{named.name}.{name}({argument_name}:)", argument


def reachable(schema: GraphQLSchema, roots: list[str]) -> Iterator[GraphQLNamedType]:
    """The types that a request which begins at `roots` can meet, without GraphQL's own."""
    waiting, met = [schema.type_map[name] for name in roots], set(roots)
    while waiting:
        named = waiting.pop()
        if is_own(named):
            yield named
        neighbours = [get_named_type(member.type) for _, member in members(named) if isinstance(member, Typed)]
        if isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
            neighbours += named.interfaces
        if isinstance(named, GraphQLInterfaceType | GraphQLUnionType):
            neighbours += schema.get_possible_types(named)
        for neighbour in neighbours:
            if neighbour.name not in met:
                met.add(neighbour.name)
                waiting.append(neighbour)


def facts(types: Iterator[GraphQLNamedType]) -> dict[str, str]:
    """What a client relies on: kinds, interfaces, members with their types, nullability and defaults."""
    found: dict[str, str] = {}
    for named in types:
        found[named.name] = type(named).__name__
        if isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
            found |= {f"{named.name} implements {interface.name}": "" for interface in named.interfaces}
        if isinstance(named, GraphQLUnionType):
            found |= {f"{named.name} = {member.name}": "" for member in named.types}
        for coordinate, member in members(named):
            found[coordinate] = f"{member.type}{default(member)}" if isinstance(member, Typed) else ""
    return found


def default(member: Typed) -> str:
    value = getattr(member.ast_node, "default_value", None)
    return f" = {print_ast(value)}" if value else ""


def roots(contract: GraphQLSchema) -> list[str]:
    """Where the contract's requests begin: what it says of mutations is held as soon as we have any of them."""
    held = []
    for root in (contract.query_type, contract.mutation_type, contract.subscription_type):
        ours = OURS.type_map.get(root.name) if root else None
        if root and isinstance(ours, GraphQLObjectType) and ours.fields.keys() & root.fields.keys():
            held.append(root.name)
    return held


def promises(contract: GraphQLSchema) -> dict[str, str]:
    return facts(reachable(contract, roots(contract)))


def test_schema_describes_everything() -> None:
    described = {named.name: named.description for named in own_types(OURS)}
    described |= {place: member.description for named in own_types(OURS) for place, member in members(named)}
    assert [place for place, description in described.items() if not (description or "").strip()] == []


@each_contract
def test_schema_holds_the_contract(contract: GraphQLSchema) -> None:
    ours = facts(own_types(OURS))
    promised = promises(contract)
    promised |= {fact: kind for fact, kind in DECIDED.items() if fact in promised}
    broken = {fact: (kind, ours.get(fact)) for fact, kind in promised.items() if ours.get(fact) != kind}
    # What has to be given there may be left out here: whoever gives it is understood as before.
    eased = {
        coordinate
        for named in own_types(OURS)
        for coordinate, member in members(named)
        if isinstance(member, GraphQLInputField) and promised.get(coordinate) == f"{ours[coordinate]}!"
    }
    assert broken.keys() - eased == set()


@each_contract
def test_schema_additions_demand_nothing_of_the_contracts_clients(contract: GraphQLSchema) -> None:
    promised = promises(contract)
    added = {
        coordinate: member
        for named in own_types(OURS)
        if named.name in promised
        for coordinate, member in members(named)
        if coordinate not in promised
    }
    demanded = [
        coordinate
        for coordinate, member in added.items()
        if (isinstance(member, GraphQLInputField) and is_required_input_field(member))
        or (
            isinstance(member, GraphQLArgument)
            and is_required_argument(member)
            and coordinate.partition("(")[0] in promised
        )
    ]
    assert demanded == []


def test_schema_reaches_every_type() -> None:
    assert {named.name for named in own_types(OURS)} == {named.name for named in reachable(OURS, roots(OURS))}
