"""Literals of numbers that graphql-core lets pass, or stumbles over: they are refused as they are in variables."""

import math
from typing import Any

from graphql import GraphQLError, GraphQLFloat, GraphQLInt, IntValueNode, ValueNode
from graphql.language.printer import print_for_error
from graphql.type.scalars import parse_float_literal, parse_int_literal

# `-2147483648` is the longest Int. Python converts no text of thousands of digits, and says so in its own words.
_LONGEST_INT = 11


def bound_numbers() -> None:
    """Has `Int` and `Float`, of which there is one each for all schemas of a process, refuse what does not fit them."""
    GraphQLInt.coerce_input_literal = _coerce_int
    GraphQLFloat.coerce_input_literal = _coerce_float


def _coerce_int(node: ValueNode, _variables: Any = None) -> int:
    if isinstance(node, IntValueNode) and len(node.value) > _LONGEST_INT:
        message = f"Int cannot represent non 32-bit signed integer value: {print_for_error(node)}"
        raise GraphQLError(message, node)
    return parse_int_literal(node)


def _coerce_float(node: ValueNode, _variables: Any = None) -> float:
    value = parse_float_literal(node)
    if not math.isfinite(value):
        raise GraphQLError(f"Float cannot represent non numeric value: {print_for_error(node)}", node)
    return value
