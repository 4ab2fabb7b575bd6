"""What a document may cost, and what its answer did: by the examples of the specification, and by random documents."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from graphql import (
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    parse,
    validate,
)

from app.asgi import SCHEMA
from app.execution.cost import Cost, Costs, Estimate
from app.execution.cost_count import count, generate
from app.execution.planner import Planner
from tests.fuzz import MINUTES, SEED

DIRECTIVES = """
directive @cost(weight: String!)
  on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | SCALAR
directive @listSize(
  assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], requireOneSlicingArgument: Boolean = true
) on FIELD_DEFINITION
"""
SMALL = build_schema(
    DIRECTIVES
    + """
type Query {
  users(max: Int): [User] @listSize(slicingArguments: ["max"])
  people(first: Int = 5, last: Int): People
    @listSize(
      assumedSize: 7, slicingArguments: ["first", "last"], sizedFields: ["edges"], requireOneSlicingArgument: false
    )
  found(by: By): [User!]! @listSize(assumedSize: 3, slicingArguments: ["by.most"], requireOneSlicingArgument: false)
  user(id: Int @cost(weight: "4")): User @cost(weight: "0.5")
  thing: Thing!
}
type People { edges: [Edge!] count: Int @cost(weight: "10") }
type Edge { node: User! }
type User @cost(weight: "3") {
  name: String
  age: Int @cost(weight: "2.0")
  friends: [User!]! @listSize(assumedSize: 2)
  best: User
}
interface Thing { owner: User }
type Car implements Thing { owner: User wheels: [Wheel!]! @listSize(assumedSize: 4) }
type Boat implements Thing @cost(weight: "9") { owner: User }
type Wheel { size: Int }
input By { most: Int = 6 range: Range names: [String!] }
input Range { from: Int @cost(weight: "5") to: Int }
"""
)
OURS = build_schema(SCHEMA.read_text("utf-8"))


def estimate(text: str, variables: Mapping[str, Any] | None = None, schema: GraphQLSchema = SMALL) -> Estimate:
    document = parse(text)
    assert validate(schema, document) == []
    operation: Any = document.definitions[0]
    conditions = Planner(schema, document, operation).conditions
    return Costs(schema, 100).of(document, operation, conditions).estimate(variables or {})


@pytest.mark.parametrize(
    ("text", "variables", "field", "type_"),
    [
        # The specification's own example: ages are two each, and this schema has users of three.
        ("{ users(max: 5) { age } }", {}, 1 + 5 * 2, 1 + 5 * 3),
        ("query ($n: Int = 5) { users(max: $n) { age } }", {}, 11, 16),
        ("query ($n: Int) { users(max: $n) { age } }", {"n": 2}, 5, 7),
        ("query ($n: Int) { users(max: $n) { age } }", {"n": 100_000}, 201, 301),  # no page is longer than 100
        ("query ($n: Int) { users(max: $n) { age } }", {"n": "many"}, 201, 301),
        ("query ($n: Int) { users(max: $n) { age } }", {"n": -3}, 1, 1),
        ("{ people { edges { node { name } } count } }", {}, 1 + 1 + 10 + 5, 1 + 1 + 5 * (1 + 3)),
        ("{ people(first: null) { edges { node { name } } } }", {}, 1 + 1 + 7, 1 + 1 + 7 * 4),
        ("{ people(first: 2, last: 3) { a: edges { node { name } } } }", {}, 1 + 1 + 3, 1 + 1 + 3 * 4),
        ("{ found { name } }", {}, 1, 1 + 3 * 3),
        ("{ found(by: {}) { name } }", {}, 1 + 1, 1 + 6 * 3),
        ("{ found(by: {most: 2, range: {from: 1, to: 2}}) { name } }", {}, 1 + 1 + 1 + 5, 1 + 2 * 3),
        ("query ($by: By) { found(by: $by) { name } }", {"by": {"most": 2, "range": {"from": 1}}}, 8, 7),
        ("query ($n: Int) { found(by: {most: $n}) { name } }", {"n": 4}, 2, 13),
        ("{ user(id: 1) { friends { best { name } } } }", {}, 0.5 + 4 + 1 + 2, 1 + 3 + 2 * (3 + 3)),
        ("{ user { ...F ... on User { best { age } } } } fragment F on User { best { name } }", {}, 3.5, 7),
        ("query ($no: Boolean!) { user { best @skip(if: $no) { name } } }", {"no": True}, 0.5, 4),
        ("query ($no: Boolean!) { user { best @skip(if: $no) { name } } }", {"no": False}, 1.5, 7),
        ("query ($no: Boolean!) { user { best @skip(if: $no) { name } } }", {"no": ["what"]}, 1.5, 7),
        ("{ thing { owner { name } ... on Car { wheels { size } } } }", {}, 1 + 1 + 1, 1 + 9 + 3 + 4),
        ("{ __typename }", {}, 0, 1),
    ],
)
def test_cost_is_known_before_it_runs(text: str, variables: dict[str, Any], field: float, type_: float) -> None:
    assert estimate(text, variables).requested == Cost(field, type_)


def test_actual_cost_is_that_of_the_answer() -> None:
    known = estimate("{ user { best { age } friends { best { name } } } thing { ... on Car { wheels { size } } } }")
    data = {
        "user": {"best": None, "friends": [{"best": None}, {"best": {"name": "Ann"}}]},
        "thing": {"wheels": [{"size": 1}, {"size": 2}]},
    }
    for _ in range(3):  # by walking it, and then by code that was written for it
        assert known.actual(data) == Cost(0.5 + 1 + 1 + 2 + 1 + 1, 1 + 3 + 2 * 3 + 3 + 9 + 2)
        assert known.actual_points(data) == 31
        assert known.actual(None) == Cost(0.5 + 1, 1 + 9)


def test_field_without_its_slicing_argument_is_refused() -> None:
    with pytest.raises(GraphQLError, match=r"Field 'users' needs exactly one of its slicing arguments: max\."):
        estimate("{ users { age } }")


def test_deep_answers_are_counted_without_code() -> None:
    depth = 18
    known = estimate("{ user { " + "friends { " * depth + "name" + " }" * depth + " } }")
    data: Any = {"name": "Ann"}
    for _ in range(depth):
        data = {"friends": [data]}
    for _ in range(3):
        assert known.actual({"user": data}) == Cost(0.5 + depth, 1 + 3 * (depth + 1))


# ------------------------------------------------------------------------------------------------ the schema


def lists_without_a_size(schema: GraphQLSchema) -> Sequence[str]:
    """Lists of objects of which neither their own field says how long they are, nor all that lead to it."""
    weights, missing = Costs(schema, 100).weights, []
    composite = [
        type_ for type_ in schema.type_map.values() if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)
    ]
    ours = [type_ for type_ in composite if not type_.name.startswith("__")]
    leading: dict[str, list[Any]] = {}
    for type_ in ours:
        for field in type_.fields.values():
            leading.setdefault(get_named_type(field.type).name, []).append(field)
    for type_ in ours:
        for name, field in type_.fields.items():
            is_list = is_list_type(get_nullable_type(field.type)) and is_composite_type(get_named_type(field.type))
            if not is_list or weights.list_size(field):
                continue
            sizes = [weights.list_size(each) for each in leading.get(type_.name, ())]
            if not sizes or not all(size and name in size.sized for size in sizes):
                missing.append(f"{type_.name}.{name}")
    return missing


def test_every_list_of_objects_has_a_size() -> None:
    assert lists_without_a_size(OURS) == []
    assert lists_without_a_size(build_schema("type Query { a: [A] } type A { b: Int }")) == ["Query.a"]


def test_sizes_name_arguments_and_fields_that_exist() -> None:
    weights = Costs(OURS, 100).weights
    for type_ in OURS.type_map.values():
        for field in getattr(type_, "fields", {}).values() if isinstance(type_, GraphQLObjectType) else ():
            size = weights.list_size(field)
            for path in size.slicing if size else ():
                assert weights.steps(field.args[path[0]], path[1:]) is not None
            named: Any = get_named_type(field.type)
            assert all(
                is_list_type(get_nullable_type(named.fields[name].type)) for name in (size.sized if size else ())
            )


# ------------------------------------------------------------------------------------------------ random documents


class Guess:
    """A random document of a schema, and answers that it may have: no list is longer than is said of it."""

    def __init__(self, schema: GraphQLSchema, dice: random.Random) -> None:
        self._schema = schema
        self._dice = dice
        self._weights = Costs(schema, 100).weights
        self._variables: dict[str, Any] = {}
        self._keys = 0

    def document(self) -> tuple[str, dict[str, Any], Any]:
        self._variables, self._keys = {}, 0
        assert self._schema.query_type is not None
        text, make = self._selection(self._schema.query_type, 0, {})
        names = "".join(f"${name}: Int " for name in self._variables)
        return (f"query ({names}) {text}" if names else text), self._variables, make

    def _selection(self, type_: Any, depth: int, sized: Mapping[str, int]) -> tuple[str, Any]:
        dice = self._dice
        if is_abstract_type(type_):
            possible = self._schema.get_possible_types(type_)
            parts = [(each, *self._fields(each, depth, sized)) for each in dice.sample(possible, dice.randint(1, 2))]
            text = " ".join(f"... on {each.name} {{ {inner} }}" for each, inner, _ in parts)

            def make_one() -> Any:
                chosen = dice.choice(possible)
                return {key: value for each, _, make in parts if each is chosen for key, value in make().items()}

            return f"{{ {text} }}", make_one
        text, make = self._fields(type_, depth, sized)
        return f"{{ {text} }}", make

    def _fields(self, type_: Any, depth: int, sized: Mapping[str, int]) -> tuple[str, Any]:
        dice = self._dice
        names = [
            name for name, field in type_.fields.items() if not any(map(is_required_argument, field.args.values()))
        ]
        deep = [name for name in names if is_composite_type(get_named_type(type_.fields[name].type))]
        chosen = dice.sample(deep, min(len(deep), dice.randint(0, 3))) if depth < 6 else []
        makers, texts = [], ["__typename"]
        for name in chosen:
            text, key, make = self._field(name, type_.fields[name], depth, sized)
            texts.append(text)
            makers.append((key, make))
        return " ".join(texts), lambda: {"__typename": type_.name, **{key: make() for key, make in makers}}

    def _field(self, name: str, field: Any, depth: int, sized: Mapping[str, int]) -> tuple[str, str, Any]:
        dice, declared = self._dice, self._weights.list_size(field)
        self._keys += 1
        key, arguments, size = f"k{self._keys}", "", sized.get(name)
        below: dict[str, int] = {}
        if declared:
            own = declared.assumed
            if declared.slicing and (declared.needs_one or dice.random() < 0.7):
                own, path = dice.randint(0, 12), dice.choice(declared.slicing)
                value = str(own)
                if dice.random() < 0.5:
                    variable = f"v{self._keys}"
                    self._variables[variable], value = own, f"${variable}"
                arguments = f"({path[0]}: {value})" if len(path) == 1 else f"({path[0]}: {{{path[1]}: {value}}})"
            size, below = own if size is None else size, dict.fromkeys(declared.sized, own)
        text, make = self._selection(get_named_type(field.type), depth + 1, below)
        nullable: Any = get_nullable_type(field.type)

        def make_value() -> Any:
            if not is_non_null_type(field.type) and dice.random() < 0.2:
                return None
            if not is_list_type(nullable):
                return make()
            holds_null = not is_non_null_type(nullable.of_type)
            length = dice.randint(0, min(size or 0, 4))
            return [None if holds_null and dice.random() < 0.2 else make() for _ in range(length)]

        return f"{key}: {name}{arguments} {text}", key, make_value


@pytest.mark.parametrize("schema", [SMALL, OURS], ids=["small", "ours"])
def test_no_random_answer_costs_more_than_its_document_may(schema: GraphQLSchema) -> None:
    seed = SEED if MINUTES else 1
    guess = Guess(schema, random.Random(seed))
    documents, spent = (10_000 if MINUTES else 1_000), 0
    for _ in range(documents):
        text, variables, make = guess.document()
        document = parse(text)
        operation: Any = document.definitions[0]
        known = Costs(schema, 100).of(document, operation, ()).estimate(variables)
        formula = known._formula
        terms = len(known._weights)
        written = generate(formula._root, terms)
        for data in (make(), make(), None):
            assert list(written(data)) == list(count(formula._root, terms, data)), (seed, text)
            actual = known.actual(data)
            assert actual.field <= known.requested.field, (seed, text, data)
            assert actual.type <= known.requested.type, (seed, text, data)
            assert actual.type >= objects_in(data), (seed, text, data)
            assert known.actual_points(data) == actual.points <= known.points
            spent += actual.points
    assert spent > documents


def objects_in(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(objects_in, value))
    return 1 + sum(map(objects_in, value.values())) if isinstance(value, dict) else 0
