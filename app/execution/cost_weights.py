"""What a schema says of costs, by `@cost` and `@listSize`: https://ibm.github.io/graphql-specs/cost-spec.html

Where it says nothing an object weighs 1, a field that leads to objects 1, an input object 1, and all else nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from graphql import (
    DirectiveNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLSchema,
    Undefined,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    value_from_ast_untyped,
)
from graphql.utilities.coerce_input_value import coerce_default_value

Number = int | float
Weighable = GraphQLArgument | GraphQLInputField
Weigh = Callable[[Any], Number]

MISSING: Any = object()


class ListSize(NamedTuple):
    """`slicing` are paths of arguments, and of fields of their inputs; `sized` the fields below that are the lists."""

    assumed: int
    slicing: tuple[tuple[str, ...], ...]
    sized: tuple[str, ...]
    needs_one: bool


class Weights:
    """Those of one schema. A list of which nothing is said is as long as a `page`."""

    def __init__(self, schema: GraphQLSchema, page: int) -> None:
        self._schema = schema
        self._page = page
        self._of_types: dict[str, Number] = {}
        self._inputs: dict[str, dict[str, Weigh]] = {}

    def of_type(self, type_: GraphQLNamedType) -> Number:
        """Of one value; of an abstract type, as much as any that it may be."""
        weight = self._of_types.get(type_.name)
        if weight is None:
            if is_abstract_type(type_):
                weight = max(map(self.of_type, self._schema.get_possible_types(type_)))
            else:
                weight = _weight(type_, int(is_composite_type(type_)))
            self._of_types[type_.name] = weight
        return weight

    def of_field(self, field: GraphQLField) -> Number:
        """Of one time that it is resolved, without its arguments."""
        return _weight(field, int(is_composite_type(get_named_type(field.type))))

    def list_size(self, field: GraphQLField) -> ListSize | None:
        directive = _directive(field, "listSize")
        if directive is None:
            return None
        given = {each.name.value: value_from_ast_untyped(each.value) for each in directive.arguments or ()}
        slicing = tuple(tuple(path.split(".")) for path in given.get("slicingArguments") or ())
        needs_one = bool(slicing) and given.get("requireOneSlicingArgument", True)
        sized = tuple(given.get("sizedFields") or ())
        return ListSize(given.get("assumedSize") or self._page, slicing, sized, needs_one)

    def of_input(self, definition: Weighable) -> Number:
        """Of one value that is given for it, without what is in that."""
        return _weight(definition, int(isinstance(get_named_type(definition.type), GraphQLInputObjectType)))

    def weigh(self, definition: Weighable) -> Weigh | None:
        """What weighs values that are given for it, as JSON; None where all of them weigh nothing."""
        own, type_ = self.of_input(definition), get_named_type(definition.type)
        fields = self._fields_of(type_) if isinstance(type_, GraphQLInputObjectType) else {}
        if not own and not fields:
            return None

        def weigh(value: Any) -> Number:
            if type(value) is dict:
                total = own
                for name, weigh_field in fields.items():
                    if name in value:
                        total += weigh_field(value[name])
                return total
            if type(value) is list:
                return sum(map(weigh, value))
            return 0 if value is None else own

        return weigh

    def _fields_of(self, type_: GraphQLInputObjectType) -> Mapping[str, Weigh]:
        fields = self._inputs.get(type_.name)
        if fields is None:
            fields = self._inputs[type_.name] = {}  # what a type that holds itself meets
            for name, field in type_.fields.items():
                if weigh := self.weigh(field):
                    fields[name] = weigh
        return fields

    def input_field(self, definition: Weighable, name: str) -> GraphQLInputField:
        type_ = get_named_type(definition.type)
        assert isinstance(type_, GraphQLInputObjectType)  # noqa: S101  the schema, or the document, is valid
        field: GraphQLInputField = type_.fields[name]
        return field

    def steps(self, definition: Weighable, path: Sequence[str]) -> Sequence[tuple[str, Any]]:
        """The names on a path into an input, each with what stands for it where it is not given."""
        steps = []
        for name in path:
            definition = self.input_field(definition, name)
            steps.append((name, default_of(definition)))
        return steps


def default_of(definition: Weighable) -> Any:
    """Null where there is none."""
    if definition.default is None and definition.default_value is Undefined:
        return None
    return coerce_default_value(definition)


def _weight(definition: Any, otherwise: Number) -> Number:
    directive = _directive(definition, "cost")
    if directive is None:
        return otherwise
    [argument] = directive.arguments or ()
    weight = float(value_from_ast_untyped(argument.value))
    return int(weight) if weight.is_integer() else weight


def _directive(definition: Any, name: str) -> DirectiveNode | None:
    node = definition.ast_node
    return next((each for each in (node and node.directives) or () if each.name.value == name), None)
