"""Input coercion (spec 6.1.2, 6.4.1), compiled: variables and arguments of the good case.

Whatever is not plainly right is left to graphql-core, which knows every error and its words.
"""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from graphql import (
    FieldNode,
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLSchema,
    GraphQLString,
    ListValueNode,
    Node,
    ObjectValueNode,
    OperationDefinitionNode,
    Undefined,
    ValueNode,
    VariableNode,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource, get_argument_values, get_variable_values
from graphql.type.scalars import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT
from graphql.utilities.coerce_input_value import coerce_default_value

from app.execution.plan import Arguments, BailOut

# Raises `BailOut` for a value that graphql-core must look at.
Coerce = Callable[[Any], Any]


# ------------------------------------------------------------------------------------------------ variables


class Variables:
    """The variables of one operation."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._definitions = operation.variable_definitions or ()
        self._known: list[tuple[GraphQLVariableSignature, Coerce, bool]] | None = []
        for node in self._definitions:
            signature = get_variable_signature(schema, node)
            if not isinstance(signature, GraphQLVariableSignature):
                self._known = None
                break
            self._known.append((signature, _coercion(signature.type), signature.default is not None))

    def coerce(self, given: Mapping[str, Any]) -> VariableValues | None:
        """None where the values do not fit, or only graphql-core can tell."""
        try:
            return self._coerce_known(given)
        except (BailOut, RecursionError):
            pass
        values = get_variable_values(self._schema, self._definitions, dict(given))
        return values if isinstance(values, VariableValues) else None

    def chosen(self, choice: Mapping[str, bool]) -> VariableValues | None:
        """The values of a choice of some variables, as if they had been given; None where graphql-core runs it all."""
        if self._known is None:
            return None
        signatures = {signature.name: signature for signature, _, _ in self._known}
        sources = {name: VariableValueSource(signatures[name], value) for name, value in choice.items()}
        return VariableValues(sources, dict(choice))

    def _coerce_known(self, given: Mapping[str, Any]) -> VariableValues:
        if self._known is None:
            raise BailOut
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for signature, coerce, has_default in self._known:
            name = signature.name
            value = given.get(name, Undefined)
            if value is not Undefined:
                sources[name] = VariableValueSource(signature, value)
                coerced[name] = coerce(value)
            elif has_default or is_non_null_type(signature.type):
                raise BailOut
            else:
                sources[name] = VariableValueSource(signature)
        return VariableValues(sources, coerced)


def _coercion(type_: Any) -> Coerce:
    if is_non_null_type(type_):
        return _required(_coercion_of_nullable(type_.of_type))
    return _nullable(_coercion_of_nullable(type_))


def _required(coerce: Coerce) -> Coerce:
    def coerce_required(value: Any) -> Any:
        if value is None:
            raise BailOut
        return coerce(value)

    return coerce_required


def _nullable(coerce: Coerce) -> Coerce:
    return lambda value: None if value is None else coerce(value)


def _coercion_of_nullable(type_: Any) -> Coerce:
    if is_list_type(type_):
        return _list(type_)
    if isinstance(type_, GraphQLInputObjectType):
        return _input_object(type_)
    if isinstance(type_, GraphQLEnumType):
        return _enum(type_)
    return _SCALARS.get(type_.name if type_ in _BUILT_IN else "", _by_graphql_core)


def _by_graphql_core(_value: Any) -> Any:
    raise BailOut


def _exactly(*kinds: type) -> Coerce:
    def coerce(value: Any) -> Any:
        if type(value) not in kinds:
            raise BailOut
        return value

    return coerce


def _int(value: Any) -> int:
    if type(value) is not int or not GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT:
        raise BailOut
    return value


def _float(value: Any) -> float:
    if type(value) is not float or not math.isfinite(value):
        raise BailOut
    return value


_BUILT_IN = (GraphQLInt, GraphQLFloat, GraphQLString, GraphQLBoolean, GraphQLID)
_SCALARS: dict[str, Coerce] = {
    "Int": _int,
    "Float": _float,
    "String": _exactly(str),
    "Boolean": _exactly(bool),
    "ID": _exactly(str),
}


def _list(type_: Any) -> Coerce:
    coerce_item = _coercion(type_.of_type)

    def coerce(value: Any) -> list[Any]:
        if type(value) is not list:
            raise BailOut
        return [coerce_item(item) for item in value]

    return coerce


def _enum(type_: GraphQLEnumType) -> Coerce:
    values = {name: value.value for name, value in type_.values.items()}

    def coerce(value: Any) -> Any:
        if type(value) is not str or value not in values:
            raise BailOut
        return values[value]

    return coerce


class _InputObject:
    """Compiled when first used: input types may refer to themselves."""

    def __init__(self, type_: GraphQLInputObjectType) -> None:
        self._type = type_
        self._fields: dict[str, tuple[str, Coerce]] = {}
        self._defaults: dict[str, Callable[[], Any]] = {}

    def __call__(self, value: Any) -> Any:
        if not self._fields:
            self._compile()
        if type(value) is not dict or self._type.is_one_of or not value.keys() <= self._fields.keys():
            raise BailOut
        coerced: dict[str, Any] = {}
        # In the order of the type, as graphql-core has it: filters are read in that order.
        for name, (out_name, coerce) in self._fields.items():
            if name in value:
                coerced[out_name] = coerce(value[name])
            elif name in self._defaults:
                default = self._defaults[name]()
                if default is not Undefined:
                    coerced[out_name] = default
        return self._type.out_type(coerced)

    def _compile(self) -> None:
        for name, field in self._type.fields.items():
            if field.default is not None or field.default_value is not Undefined:
                self._defaults[name] = lambda field=field: coerce_default_value(field)  # type: ignore[misc]
            elif is_non_null_type(field.type):
                self._defaults[name] = _missing
        self._fields = {
            name: (field.out_name or name, _coercion(field.type)) for name, field in self._type.fields.items()
        }


# One for all documents, and for all places where the type stands.
_input_object = lru_cache(maxsize=1024)(_InputObject)


def _missing() -> Any:
    raise BailOut


# ------------------------------------------------------------------------------------------------ arguments


def argument_reader(definition: GraphQLField, node: FieldNode) -> Arguments:
    """Reads the arguments of a field. What it returns raises what `get_argument_values` raises.

    Literals are coerced once and shared by all requests, as graphql-core shares defaults: no resolver may change them.
    """

    def by_graphql_core(variables: VariableValues) -> dict[str, Any]:
        return get_argument_values(definition, node, variables)

    if not definition.args:
        return lambda _variables: {}
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    from_variables: list[tuple[str, str, bool]] = []
    for name, argument in definition.args.items():
        value = given.get(name)
        if isinstance(value, VariableNode):
            if _has_default(argument):
                return by_graphql_core
            from_variables.append((argument.out_name or name, value.name.value, is_non_null_type(argument.type)))
        elif value is not None and _holds_variable(value):
            return by_graphql_core
    if not from_variables:
        return _constant(by_graphql_core)
    if len(from_variables) < len(definition.args):
        constants = [argument for argument in node.arguments or () if not isinstance(argument.value, VariableNode)]
        if constants or any(_has_default(argument) for argument in definition.args.values()):
            return by_graphql_core

    def read(variables: VariableValues) -> dict[str, Any]:
        coerced = variables.coerced
        arguments: dict[str, Any] = {}
        for out_name, variable, required in from_variables:
            # Validation has seen to it that a variable's type fits wherever the variable stands.
            value = coerced.get(variable, Undefined)
            if value is Undefined or (required and value is None):
                return by_graphql_core(variables)
            arguments[out_name] = value
        return arguments

    return read


def _constant(read: Arguments) -> Arguments:
    known: list[dict[str, Any]] = []

    def read_once(variables: VariableValues) -> dict[str, Any]:
        if not known:
            known.append(read(variables))
        return dict(known[0])

    return read_once


def _has_default(argument: GraphQLArgument) -> bool:
    return argument.default is not None or argument.default_value is not Undefined


def _holds_variable(value: ValueNode) -> bool:
    waiting: list[Node] = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, VariableNode):
            return True
        if isinstance(node, ListValueNode):
            waiting.extend(node.values)
        elif isinstance(node, ObjectValueNode):
            waiting.extend(field.value for field in node.fields)
    return False
