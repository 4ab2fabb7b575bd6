"""The reference of the SDL: its sections, and each of its types."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    Undefined,
    ast_from_value,
    get_named_type,
    is_introspection_type,
    is_specified_scalar_type,
    print_ast,
)
from markupsafe import Markup, escape

from app.pages.docs.guide import ROOT, block, inline

_SECTION = re.compile(r"^# -+ (.+)$", re.MULTILINE)
_DEFINITION = re.compile(r"^(?:type|enum|input|interface|scalar|union) (\w+)", re.MULTILINE)
_KINDS = {
    GraphQLObjectType: "type",
    GraphQLInterfaceType: "interface",
    GraphQLUnionType: "union",
    GraphQLEnumType: "enum",
    GraphQLInputObjectType: "input",
    GraphQLScalarType: "scalar",
}


class Member(NamedTuple):
    """A field, an argument, a field of an input or a value of an enum; `type` is empty for the last."""

    name: str
    type: Markup
    description: Markup
    default: str = ""
    members: Sequence["Member"] = ()


class Type(NamedTuple):
    name: str
    kind: str
    description: Markup
    summary: Markup
    members: Sequence[Member]
    implements: Sequence[str]
    used_by: Sequence[tuple[str, str]]


class Reference:
    def __init__(self, schema: GraphQLSchema, sdl: str) -> None:
        self._schema = schema
        self._sdl = sdl

    @cached_property
    def sections(self) -> Mapping[str, Sequence[Type]]:
        """The types as the SDL has them, section by section."""
        _, *parts = _SECTION.split(self._sdl)
        found = {
            title: [self.types[name] for name in _DEFINITION.findall(text) if name in self.types]
            for title, text in zip(parts[::2], parts[1::2], strict=True)
        }
        return {title: types for title, types in found.items() if types}

    @cached_property
    def types(self) -> Mapping[str, Type]:
        """All but GraphQL's own."""
        return {
            name: self._type(type_)
            for name, type_ in self._schema.type_map.items()
            if not is_introspection_type(type_) and not is_specified_scalar_type(type_)
        }

    @cached_property
    def _users(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Who names a type: pairs of a type and a field."""
        users: dict[str, dict[tuple[str, str], None]] = {}
        for type_ in self._schema.type_map.values():
            if is_introspection_type(type_):
                continue
            for name, field in getattr(type_, "fields", {}).items():
                for each in (field, *getattr(field, "args", {}).values()):
                    users.setdefault(get_named_type(each.type).name, {})[type_.name, name] = None
        return {name: list(pairs) for name, pairs in users.items()}

    def _type(self, type_: GraphQLNamedType) -> Type:
        description = type_.description or ""
        return Type(
            type_.name,
            _KINDS[type(type_)],
            block(description),
            inline(first_sentence(description)),
            list(_members(type_)),
            [each.name for each in getattr(type_, "interfaces", ())],
            self._users.get(type_.name, ()),
        )


def first_sentence(text: str) -> str:
    flat = " ".join(text.split())
    return re.split(r"(?<=[.:]) (?=[A-Z`])", flat, maxsplit=1)[0]


def _members(type_: GraphQLNamedType) -> Iterator[Member]:
    if isinstance(type_, GraphQLEnumType):
        for name, value in type_.values.items():
            yield Member(name, Markup(), inline(value.description or ""))
    elif isinstance(type_, GraphQLInputObjectType):
        for name, input_field in type_.fields.items():
            yield _valued(name, input_field)
    elif isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
        for name, field in type_.fields.items():
            arguments = [_valued(argument_name, argument) for argument_name, argument in field.args.items()]
            yield Member(name, typed(field.type), block(field.description or ""), members=arguments)


def _valued(name: str, argument: Any) -> Member:
    given = None if argument.default_value is Undefined else ast_from_value(argument.default_value, argument.type)
    default = "" if given is None else print_ast(given)
    return Member(name, typed(argument.type), inline(argument.description or ""), default)


def typed(type_: Any) -> Markup:
    """A type as the SDL writes it, with a link to its page."""
    name = get_named_type(type_).name
    if is_specified_scalar_type(get_named_type(type_)):
        return escape(str(type_))
    link = Markup('<a href="{}/schema/{}">{}</a>').format(ROOT, name, name)
    before, _, after = str(type_).partition(name)
    return escape(before) + link + escape(after)
