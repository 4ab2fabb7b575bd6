"""Filters of a list as parameters of a URL, by the names that an input type of the SDL gives them.

A filter that takes a list comes once for each value (`?statuses=IN_TRANSIT&statuses=EXCEPTION`), one that takes a range
with its bound after a dot (`?createdAt.greaterThan=2026-01-01`), any other once. One that takes a list of objects comes
with their members after a dot: a member that comes again begins the next object
(`?sources.name=shop&sources.id=7&sources.name=shop&sources.id=8`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from graphql import (
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLString,
    get_named_type,
    get_nullable_type,
)

from app.errors import RequestRefused, ValidationError
from app.execution.text_lengths import TextLengths, check_text
from app.resolvers.b2b.argument import as_instant

_INTEGER = re.compile(r"-?[0-9]{1,10}")
_SMALLEST, _LARGEST = -(2**31), 2**31 - 1
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_BOOLEANS = {"true": True, "false": False}
# What a list is paged and sorted by.
_NO_FILTERS = {"page", "offset", "sortInputs"}
_LONGEST_NAME = 100
# The range whose bounds are dates or date-times.
_DATES = "DateSearchInput"

Parse = Callable[[str, str], Any]
JSONSchema = Mapping[str, Any]


@dataclass(frozen=True)
class _Parameter:
    """`path` leads to the value in the input type; `parse` takes a text and the name to refuse it by. `schema` and
    `description` are what OpenAPI says of a value.

    A member of the objects of a list has a path of two names; `is_required` says that each of them has it.
    """

    path: tuple[str, ...]
    parse: Parse
    schema: JSONSchema
    description: str
    is_list: bool
    is_required: bool = False


class QueryFilters:
    """The filters of `input_type`; `most` values of one list are taken, each as long as `lengths` permit."""

    def __init__(self, input_type: GraphQLInputObjectType, most: int, lengths: TextLengths) -> None:
        self._most = most
        self._parameters = {
            ".".join(parameter.path): parameter
            for name, field in input_type.fields.items()
            if name not in _NO_FILTERS
            for parameter in _parameters(name, field, lengths)
        }

    @property
    def described(self) -> list[dict[str, Any]]:
        """The parameters as OpenAPI has them."""
        return [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": parameter.description,
                "schema": {"type": "array", "items": parameter.schema, "maxItems": self._most}
                if parameter.is_list
                else parameter.schema,
            }
            for name, parameter in self._parameters.items()
        ]

    def read(self, query_string: bytes) -> dict[str, Any]:
        """What GraphQL would make of the same input. Raises `ValidationError` by name, and `RequestRefused`."""
        arguments: dict[str, Any] = {}
        for name, text in _pairs(query_string):
            parameter = self._parameters.get(name)
            if parameter is None:
                raise ValidationError(name[:_LONGEST_NAME], "is no filter of this list")
            value = parameter.parse(text, name)
            *parents, last = parameter.path
            if parameter.is_list:
                values = arguments.setdefault(parameter.path[0], [])
                if not parents:
                    values.append(value)
                elif not values or last in values[-1]:
                    values.append({last: value})
                else:
                    values[-1][last] = value
                if len(values) > self._most:
                    raise ValidationError(name, f"must not be given more than {self._most} times")
                continue
            place = arguments
            for parent in parents:
                place = place.setdefault(parent, {})
            if last in place:
                raise ValidationError(name, "must not be given twice")
            place[last] = value
        self._require_members(arguments)
        return arguments

    def _require_members(self, arguments: dict[str, Any]) -> None:
        for name, parameter in self._parameters.items():
            if parameter.is_required:
                objects, member = arguments.get(parameter.path[0], ()), parameter.path[1]
                if not all(member in each for each in objects):
                    raise ValidationError(name, "is required with each of the others")


def _pairs(query_string: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise RequestRefused("The query string is not URL-encoded UTF-8.") from None


def _parameters(name: str, field: GraphQLInputField, lengths: TextLengths) -> list[_Parameter]:
    nullable, named = get_nullable_type(field.type), get_named_type(field.type)
    if isinstance(named, GraphQLInputObjectType):
        return [
            _Parameter(
                (name, member),
                _bound if named.name == _DATES else _parse(get_named_type(each.type), lengths.longest(each)),
                _DATE if named.name == _DATES else _schema(get_named_type(each.type), lengths.longest(each)),
                f"{_words(field)} {_words(each)}",
                is_list=isinstance(nullable, GraphQLList),
                is_required=isinstance(each.type, GraphQLNonNull),
            )
            for member, each in named.fields.items()
        ]
    longest = lengths.longest(field)
    schema, words = _schema(named, longest), _words(field)
    return [_Parameter((name,), _parse(named, longest), schema, words, is_list=isinstance(nullable, GraphQLList))]


def _words(field: GraphQLInputField) -> str:
    """On one line, as the SDL has them over several."""
    return " ".join((field.description or "").split())


def _schema(named: GraphQLNamedType, longest: int) -> JSONSchema:
    if isinstance(named, GraphQLEnumType):
        return {"type": "string", "enum": list(named.values)}
    return {"type": "string", "maxLength": longest} if named is GraphQLString else _SCHEMAS[named.name]


def _parse(named: GraphQLNamedType, longest: int) -> Parse:
    if isinstance(named, GraphQLEnumType):
        return _member(named)
    return _text(longest) if named is GraphQLString else _SCALARS[named.name]


def _member(enum: GraphQLEnumType) -> Parse:
    def parse(text: str, name: str) -> str:
        if text not in enum.values:
            raise ValidationError(name, f"must be one of {', '.join(enum.values)}")
        return text

    return parse


def _integer(text: str, name: str) -> int:
    if not _INTEGER.fullmatch(text) or not _SMALLEST <= int(text) <= _LARGEST:
        raise ValidationError(name, f"must be a whole number from {_SMALLEST} to {_LARGEST}")
    return int(text)


def _number(text: str, name: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValidationError(name, "must be a number such as 12.5")
    return float(text)


def _boolean(text: str, name: str) -> bool:
    if text not in _BOOLEANS:
        raise ValidationError(name, "must be true or false")
    return _BOOLEANS[text]


def _text(longest: int) -> Parse:
    def parse(text: str, name: str) -> str:
        check_text(text, name, longest)
        return text

    return parse


def _bound(text: str, name: str) -> str:
    as_instant(text, name)
    return text


_DATE: JSONSchema = {"type": "string", "examples": ["2026-01-01", "2026-01-01T10:30:00Z"]}
_SCHEMAS: Mapping[str, JSONSchema] = {
    "Int": {"type": "integer", "minimum": _SMALLEST, "maximum": _LARGEST},
    "Float": {"type": "number"},
    "Boolean": {"type": "boolean"},
}
_SCALARS: Mapping[str, Parse] = {"Int": _integer, "Float": _number, "Boolean": _boolean}
