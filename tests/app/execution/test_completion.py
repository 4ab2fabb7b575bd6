"""Columns of leaf values: what comes out, and what is refused, is what graphql-core makes of each value."""

from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLString,
    Undefined,
)

from app.execution.completion import flatten, leaf_check, regroup
from app.execution.field_plan import ScalarPlan, declare_scalar
from app.execution.plan import BailOut

ODD: list[Any] = [
    *(None, Undefined, True, False, 0, 1, -1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 10**400),
    *(0.0, 1.0, 1.5, -0.0, 1e308, float("inf"), float("nan"), Decimal("1.5"), Decimal("NaN")),
    *("", "a", "1", "1.5", "é\0", b"a", [], [1], {}, {"a": 1}, object, ValueError("v"), "RED", "crimson"),
]


def exclaim(value: Any) -> Any:
    if value == 1:
        raise ValueError("one")
    return None if value == "" else f"{value}!"


def in_bulk(value: Any) -> Any:
    return exclaim(value)


def bulk(values: Any) -> list[Any]:
    if any(value == 1 or not isinstance(value, str | None) or value == "" for value in values):
        raise ValueError
    return [None if value is None else f"{value}!" for value in values]


BULK = GraphQLScalarType("Bulk", serialize=in_bulk)
declare_scalar(BULK, ScalarPlan(bulk, {}))

LEAVES: list[Any] = [
    GraphQLInt,
    GraphQLFloat,
    GraphQLString,
    GraphQLBoolean,
    GraphQLID,
    GraphQLEnumType("Color", {"RED": "crimson", "ONE": 1, "UNO": 1, "NONE": None, "LIST": "list"}),
    GraphQLEnumType("Unhashable", {"LIST": [1], "RED": "crimson"}),
    GraphQLEnumType("Plain", ["RED", "GREEN"]),
    GraphQLScalarType("Exclaimed", serialize=exclaim),
    BULK,
]


def expected(type_: Any, required: bool, values: tuple[Any, ...]) -> list[Any] | None:
    """None where one of the values becomes an error."""
    completed: list[Any] = []
    for value in values:
        if value is None or value is Undefined:
            result = None
        else:
            try:
                result = type_.coerce_output_value(value)
            except Exception:
                return None
            if result is None or result is Undefined:
                return None
        if result is None and required:
            return None
        completed.append(result)
    return completed


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("type_", LEAVES, ids=str)
def test_leaf_column_is_completed_as_graphql_core_completes_each_value(type_: Any, required: bool) -> None:
    check = leaf_check(GraphQLNonNull(type_) if required else type_)
    assert check is not None
    for values in [*((value,) for value in ODD), *product(ODD, ODD)]:
        wanted = expected(type_, required, values)
        if wanted is None:
            with pytest.raises(BailOut):
                check(values)
        else:
            assert repr(list(check(values))) == repr(wanted), values


def test_the_first_of_several_names_for_one_value_is_the_answer() -> None:
    check = leaf_check(GraphQLEnumType("Color", {"ONE": 1, "UNO": 1}))
    assert check is not None
    assert check([1, 1]) == ["ONE", "ONE"]


@pytest.mark.parametrize(
    "lists", [[[1, 2], [], None, (3,)], [None], [[]], [[1]], [{1: 2}.keys()], [range(3), None, [None]]]
)
def test_lists_are_taken_apart_and_put_together_again(lists: list[Any]) -> None:
    items, lengths = flatten(lists)
    assert regroup(items, lengths) == [None if values is None else list(values) for values in lists]


@pytest.mark.parametrize("value", ["text", b"bytes", {"a": 1}, 3, iter([1]), [ValueError("in a list")]])
def test_what_is_no_list_is_left_to_graphql_core(value: Any) -> None:
    with pytest.raises(BailOut):
        flatten([[1], value])


def test_an_iterator_is_left_unread() -> None:
    iterator = iter([1, 2])
    with pytest.raises(BailOut):
        flatten([iterator])
    assert list(iterator) == [1, 2]
