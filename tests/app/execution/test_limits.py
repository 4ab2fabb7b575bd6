from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from graphql import get_introspection_query, parse

from app.execution.limits import LimitExceeded, check_document, check_variables
from app.settings import Limits

LIMITS = Limits()


def nested(levels: int, field: str = "left") -> str:
    """A query whose deepest field is on that level."""
    return "{tree" + f"{{{field}" * (levels - 2) + "{name}" + "}" * (levels - 1)


def names(count: int, name: Callable[[int], str]) -> str:
    return " ".join(name(index) for index in range(count))


@pytest.mark.parametrize("kind", ["query", "mutation"])
def test_a_mutation_takes_longer_lists(kind: str) -> None:
    longest = LIMITS.written_items if kind == "mutation" else LIMITS.list_items
    for size in (longest, longest + 1):
        with nullcontext() if size == longest else pytest.raises(LimitExceeded, match=f"{longest} is the limit"):
            check_variables({"a": {"b": [1] * size}}, LIMITS, writes=kind == "mutation")
        with nullcontext() if size == longest else pytest.raises(LimitExceeded, match=f"{longest} is the limit"):
            check_document(parse(f"{kind} {{ plant(ids: [{names(size, str)}]) {{ name }} }}"), LIMITS)


@pytest.mark.parametrize(
    ("at_the_limit", "beyond", "told"),
    [
        (nested(12), nested(13), "13 levels deep"),
        (f"{{{names(20, lambda i: 'row{extra3}')}}}", f"{{{names(21, lambda i: 'row{extra3}')}}}", "21 root fields"),
        (
            f"{{tree{{{names(30, lambda i: f'a{i}: name')}}}}}",
            f"{{tree{{{names(31, lambda i: f'a{i}: name')}}}}}",
            "31 aliases",
        ),
        (
            f"{{tree{{{names(30, lambda _: 'name')}}}}}",
            f"{{tree{{{names(31, lambda _: 'name')}}}}}",
            "selects name 31 times in one place",
        ),
        ("mutation { plant { name } }", "mutation { plant { name } cut { name } }", "2 root fields"),
        (
            f"{{tree(ids: [{names(100, str)}]) {{name}}}}",
            f"{{tree(ids: [{names(101, str)}]) {{name}}}}",
            "101 items",
        ),
    ],
)
def test_each_limit_admits_what_it_says_and_no_more(at_the_limit: str, beyond: str, told: str) -> None:
    check_document(parse(at_the_limit), LIMITS)
    with pytest.raises(LimitExceeded, match=told):
        check_document(parse(beyond), LIMITS)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{ tree { ...F } } fragment F on Tree " + "{left" * 11 + "{name}" + "}" * 11, "13 levels"),
        (
            "{ tree { ...F left { ...F } } } fragment F on Tree {" + names(16, lambda i: f"a{i}: name") + "}",
            "32 aliases",
        ),
        ("mutation { ...F ...F } fragment F on Mutation { plant { name } }", "2 root fields"),
        ("mutation { ... on Mutation { plant { name } } ... { cut { name } } }", "2 root fields"),
        ("{ tree { name } } mutation M { plant { name } cut { name } }", "2 root fields"),
        ("query($ids: [Int!] = [" + names(101, str) + "]) { tree(ids: $ids) { name } }", "101 items"),
        (
            "{ tree { ...F } } fragment F on Tree { twigs(lengths: [" + names(101, str) + "]) { name } }",
            "101 items",
        ),
        ("{ tree(input: {inner: {names: [" + names(101, lambda _: '"n"') + "]}}) { name } }", "101 items"),
        # Repeats are those of what merges, wherever it is written.
        ("{ tree {" + names(6, lambda _: "left {" + names(6, lambda _: "name") + "}") + "} }", "name 36 times"),
        (
            "{ tree { ...F " + names(16, lambda _: "left { name }") + "} }"
            "fragment F on Tree { ... {" + names(15, lambda _: "left { left { name } }") + "} }",
            "selects left 31 times",
        ),
        (
            f"{{ tree {{ {names(31, lambda i: f'...F{i}')} }} }}"
            + names(31, lambda i: f"fragment F{i} on Tree {{ name }}"),
            "name 31 times",
        ),
        (
            "{ tree { ...A } } fragment A on Tree { left { ...A " + names(31, lambda _: "name") + "} }",
            "name 31 times",
        ),
        ("{ a: __schema { description } b: __schema { description } }", "__schema 2 times"),
        ("{ __type(name: 1)" + "{ofType" * 15 + "{name}" + "}" * 15 + "}", "introspection 17 levels"),
    ],
)
def test_limits_hold_in_fragments_and_wherever_else_one_might_hide(document: str, told: str) -> None:
    with pytest.raises(LimitExceeded, match=told):
        check_document(parse(document), LIMITS)


@pytest.mark.parametrize(
    "document",
    [
        "mutation { __typename plant { name } }",
        "mutation { plant { name } __typename type: __typename }",
        "mutation { ...F plant { name } } fragment F on Mutation { __typename }",
        "mutation { ...F } fragment F on Mutation { __typename ... { plant { name } ... on Mutation { __typename } } }",
        f"{{ __typename {names(20, lambda i: 'row{extra3}')} }}",
    ],
)
def test_typename_is_no_root_field(document: str) -> None:
    check_document(parse(document), LIMITS)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("mutation { __typename plant { name } cut { name } }", "2 root fields"),
        ("mutation { __typename: plant { name } cut { name } }", "2 root fields"),
        ("mutation { plant { name } ...F } fragment F on Mutation { __typename cut { name } }", "2 root fields"),
        (f"{{ {names(31, lambda i: f'a{i}: __typename')} }}", "31 aliases"),
        (f"{{ {names(31, lambda _: '__typename')} }}", "__typename 31 times in one place"),
    ],
)
def test_typename_hides_no_root_field_and_has_bounds_of_its_own(document: str, told: str) -> None:
    with pytest.raises(LimitExceeded, match=told):
        check_document(parse(document), LIMITS)


def test_the_standard_introspection_query_is_admitted() -> None:
    check_document(parse(get_introspection_query(input_value_deprecation=True, specified_by_url=True)), LIMITS)


def test_a_fragment_that_is_spread_often_is_compared_once() -> None:
    check_document(parse("{ tree {" + names(100, lambda _: "...F") + "} } fragment F on Tree { name }"), LIMITS)


def test_names_of_different_places_do_not_count_together() -> None:
    check_document(parse("{ tree {" + names(30, lambda i: f"a{i}: left {{ name name }}") + "} }"), LIMITS)


def test_circles_of_many_fragments_end() -> None:
    """Each way through them is another one, and there are more ways than could ever be followed."""
    spreads = names(8, lambda i: f"...F{i}")
    circles = names(8, lambda i: f"fragment F{i} on Tree {{ f{i} {{ {spreads} }} }}")
    with pytest.raises(LimitExceeded, match="over 2000 fields"):
        check_document(parse("{ tree { ...F0 } }" + circles), replace(LIMITS, depth=1000))


def test_fragments_that_double_are_measured_once_each() -> None:
    """Written out they would take longer than the universe has time."""
    doubling = names(100, lambda i: f"fragment F{i} on Tree {{ left {{...F{i + 1}}} right {{...F{i + 1}}} }}")
    document = parse("{ tree { ...F0 } }" + doubling + "fragment F100 on Tree { name }")
    with pytest.raises(LimitExceeded, match="selects over 1000000000 fields"):
        check_document(document, replace(LIMITS, depth=1000))


def test_fragments_in_a_circle_are_left_to_validation() -> None:
    circle = "fragment A on Tree { left { ...B } } fragment B on Tree { right { ...A } }"
    check_document(parse("{ tree { ...A } }" + circle), LIMITS)


def test_a_chain_of_fragments_longer_than_the_stack_is_refused() -> None:
    chain = names(3000, lambda i: f"fragment F{i} on Tree {{ ...F{i + 1} }}")
    with pytest.raises(LimitExceeded, match="too deeply"):
        check_document(parse("{ tree { ...F0 } }" + chain), LIMITS)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"ids": list(range(101))}, "101 items"),
        ({"input": {"inner": {"names": ["n"] * 101}}}, "101 items"),
        ({"unused": deep(900)}, "nested"),
    ],
)
def test_variables_are_measured_at_any_depth(variables: dict[str, Any], told: str) -> None:
    with pytest.raises(LimitExceeded, match=told):
        check_variables(variables, LIMITS)


def test_variables_at_the_limit_are_admitted() -> None:
    check_variables({"ids": list(range(100)), "input": deep(12)}, LIMITS)
