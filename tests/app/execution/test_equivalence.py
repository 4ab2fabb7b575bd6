"""Plans against graphql-core: random documents over a schema whose resolvers fail, wait and misbehave at random.

What a resolver gives depends on a seed, its field and its parent alone, so both executors meet the same world.
"""

import asyncio
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import hypothesis_graphql
import orjson
import pytest
from graphql import GraphQLError, GraphQLObjectType, GraphQLSchema, build_schema, get_named_type, is_list_type
from hypothesis import given
from hypothesis import strategies as st

from app.errors import OrderNotFound
from app.execution.document import RequestErrors
from app.execution.execute import Engine
from app.settings import Limits
from tests.fuzz import fuzz

SDL = """
interface Named { name: String! }
union Thing = Dog | Cat
enum Mood { GOOD BAD }
scalar Stamp
type Query {
  dog(name: String = "rex", tags: [String!]): Dog
  cats(first: Int! = 2): [Cat!]!
  named: [Named]
  things: [Thing!]
  grid: [[Int!]!]
  strict: Dog!
}
type Mutation { bark(loud: Boolean): Dog }
type Dog implements Named {
  name: String! id: ID! mood: Mood age: Int! weight: Float friend: Cat owner: Owner! seen: Stamp
}
type Cat implements Named { name: String! lives: Int good: Boolean! enemies: [Dog] owner: Owner tags: [String!] }
type Owner { name: String! pets: [Thing!]! address: [String] }
"""

PLAIN: dict[str, Callable[[int], Any]] = {
    "String": lambda n: f"s{n % 7}",
    "ID": lambda n: str(n % 100),
    "Int": lambda n: n % 1000 - 500,
    "Float": lambda n: (n % 1000) / 8,
    "Boolean": lambda n: n % 2 == 0,
    "Mood": lambda n: ("GOOD", "BAD")[n % 2],
    "Stamp": lambda n: n % 50,
}
ODD: dict[str, Sequence[Any]] = {
    "String": (7, True, 1.5, [], {}),
    "ID": (7, 1.5, {}, "x"),
    "Int": (2**40, "12", "no", 1.0, 1.5, True, float("nan")),
    "Float": (3, "1.5", "no", float("inf"), True),
    "Boolean": (1, 0.0, "yes", []),
    "Mood": ("UGLY", 3, []),
    "Stamp": ("boom",),
}


class World:
    """What resolvers give. Of a hundred values `oddity` are wrong in some way."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self.seed = 0
        self.oddity = 0
        self.calls: Counter[tuple[str, int]] = Counter()

    def resolve(self, type_name: str, field_name: str, type_: Any, parent: Any) -> Any:
        place = parent["n"] if isinstance(parent, dict) else 0
        n = zlib.crc32(f"{self.seed}/{type_name}.{field_name}/{place}".encode())
        self.calls[f"{type_name}.{field_name}", place] += 1
        value = self.odd(n, type_) if n % 100 < self.oddity else self.plain(n, type_)
        return self.later(value) if n // 100 % 3 == 0 else self.now(value)

    @staticmethod
    def now(value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    @staticmethod
    async def later(value: Any) -> Any:
        await asyncio.sleep(0)
        return World.now(value)

    def plain(self, n: int, type_: Any) -> Any:
        type_ = getattr(type_, "of_type", type_) if not is_list_type(type_) else type_
        if is_list_type(type_):
            return [self.plain(n // 3 + place * 7919, type_.of_type) for place in range(n % 4)]
        name = get_named_type(type_).name
        if name in PLAIN:
            return PLAIN[name](n)
        if name in ("Named", "Thing"):
            name = ("Dog", "Cat")[n % 2]
        return {"__typename": name, "n": n % 100_003}

    def odd(self, n: int, type_: Any) -> Any:
        kind = n // 1000 % 5
        if kind == 0:
            return None
        if kind == 1:
            return OrderNotFound(n % 10)
        if kind == 2:
            return RuntimeError("secret")
        value = self.plain(n, type_)
        if isinstance(value, list):
            spoiled = (None, RuntimeError("secret"), 3, iter(value), "text")[n % 5]
            return spoiled if n % 2 else [*value, spoiled]
        if isinstance(value, dict):
            return {"__typename": ("Owner", "Nobody", None)[n % 3], "n": 1}
        odd = ODD[get_named_type(type_).name]
        return odd[n % len(odd)]


@pytest.fixture(scope="module")
def world() -> World:
    schema = build_schema(SDL)
    world = World(schema)
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for name, field in type_.fields.items():
                field.resolve = resolver(world, type_.name, name, field.type)
    stamp: Any = schema.type_map["Stamp"]
    stamp.coerce_output_value = serialize_stamp
    for name in ("Named", "Thing"):
        abstract: Any = schema.type_map[name]
        abstract.resolve_type = lambda value, _info, _type: value.get("__typename")
    return world


def resolver(world: World, type_name: str, field_name: str, type_: Any) -> Callable[..., Any]:
    return lambda parent, _info, **_arguments: world.resolve(type_name, field_name, type_, parent)


def serialize_stamp(value: Any) -> str:
    if not isinstance(value, int):
        raise GraphQLError("Stamp cannot represent it.")
    return f"t{value}"


# Of a hundred values, so many are wrong in some way.
ODDITIES = (0, 3, 25)


# Several errors, of values that were there at once and of others that came late, in one field and in several.
LATE = [
    (2044, "{ named { ... on Cat { enemies { id } } ... on Dog { mood age } } }"),
    (0, "mutation { bark(loud: true) { friend { enemies { friend { name good } } } seen } }"),
    (10**6, "{ cats(first: 1000000) { enemies { mood } } things { ... on Dog { name owner { address } } } }"),
]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("seed", "document"), LATE)
async def test_errors_come_in_the_order_of_graphql_core(world: World, seed: int, document: str) -> None:
    world.seed, world.oddity = seed, 25
    engines = Engine(world.schema, Limits(returns=12), planned=False), Engine(world.schema, Limits(returns=12))
    reference, planned = [(await engine.run(engine.prepare(document), {}, None, "r")).body for engine in engines]
    assert len(reference["errors"]) > 1
    assert planned == reference


# graphql-core drops the coroutines of siblings where a field fails at once.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_plan_answers_as_graphql_core_does(world: World) -> None:
    """Each document in each of the worlds: to find one takes longer than to answer it."""
    reference = Engine(world.schema, Limits(returns=12), planned=False)
    engines = {oddity: Engine(world.schema, Limits(returns=12)) for oddity in ODDITIES}
    with asyncio.Runner() as runner:

        async def answer(engine: Engine, document: str) -> bytes:
            world.calls.clear()
            operation = engine.prepare(document)
            return orjson.dumps((await engine.run(operation, {}, None, "r")).body)

        def test() -> Callable[[], None]:
            @given(hypothesis_graphql.from_schema(SDL), st.integers(0, 10**6))
            def compare(document: str, seed: int) -> None:
                world.seed = seed
                for world.oddity, engine in engines.items():
                    try:
                        expected = runner.run(answer(reference, document))
                    except RequestErrors:  # a limit
                        return
                    assert runner.run(answer(engine, document)) == expected, world.oddity

            return compare

        fuzz(test, examples=250, share=1 / 4, title="layers")
    for oddity, engine in engines.items():
        assert engine.executions["layered"] > 20
        assert (engine.executions["replay"] > 0) == (oddity > 0)
