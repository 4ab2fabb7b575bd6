"""What a text may be: every argument that takes text has a bound, its own from `@constraint` or the default one.

What a search or a key costs grows with its length, and no stored text can hold U+0000. Literals are measured once a
document and variables with every request, each where it stands: a variable by all the arguments that it is given to. An
operation with a text that may not be is run by graphql-core, where each field refuses its own arguments before its
resolver is called; in a list that is `@itemwise`, the resolver gets the refusal of an item in its place.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLFloat,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInt,
    GraphQLList,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from app.errors import ValidationError
from app.execution.nodes import fragments_of

# Raises `ValidationError` where the value at a dotted path, such as `input.codes.0`, holds a text that may not be.
Measure = Callable[[Any, str], None]

_NUMBERS = (GraphQLInt, GraphQLFloat)


class TextLengths:
    """The bounds of one schema. `default` is that of arguments and input fields without `@constraint(maxLength:)`."""

    def __init__(self, schema: GraphQLSchema, default: int) -> None:
        self._schema = schema
        self._default = default
        self._of_inputs: dict[str, dict[str, Measure]] = {}

    def of(self, document: DocumentNode, operation: OperationDefinitionNode) -> "OperationLengths":
        """What there is to measure of a valid operation; its literals are measured at once."""
        defaults = {node.variable.name.value: node.default_value for node in operation.variable_definitions or ()}
        places: dict[tuple[str, str], Measure] = {}
        try:
            for definition, given, name in _arguments(self._schema, document, operation):
                for variable, place, path in self._walk(definition, given, name):
                    if measure := self.measure(place):
                        places[variable, path] = measure
                    if default := defaults.get(variable):
                        list(self._walk(place, default, path))
        except ValidationError:
            return OperationLengths((), is_exceeded=True)
        return OperationLengths([(variable, path, measure) for (variable, path), measure in places.items()])

    def resolve(self, next_: Callable[..., Any], source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        """As a middleware of graphql-core, measures what a field is given. Raises `ValidationError`."""
        for name, argument in info.parent_type.fields[info.field_name].args.items():
            measure = self.measure(argument)
            if not measure or name not in arguments:
                continue
            if is_itemwise(argument):
                arguments[name] = self._judged(argument, arguments[name], name)
            else:
                measure(arguments[name], name)
        return next_(source, info, **arguments)

    def _judged(self, argument: GraphQLArgument, items: list[Any], path: str) -> list[Any]:
        """The items, with refusals in place of those that hold a text that may not be."""
        list_type = cast("GraphQLList[GraphQLInputType]", get_nullable_type(argument.type))
        measure = self._measure_of(list_type.of_type, self.longest(argument))
        if measure is None:
            return items
        return [_refusal(measure, item, f"{path}.{place}") or item for place, item in enumerate(items)]

    def longest(self, definition: GraphQLArgument | GraphQLInputField) -> int:
        """How many characters a text of this argument may have, or each of its list."""
        node = definition.ast_node
        for directive in (node and node.directives) or ():
            if directive.name.value == "constraint":
                [argument] = directive.arguments or ()
                return int(cast("IntValueNode", argument.value).value)
        return self._default

    def measure(self, definition: GraphQLArgument | GraphQLInputField) -> Measure | None:
        """Measures the values of an argument, None where they hold no text."""
        return self._measure_of(definition.type, self.longest(definition))

    def _measure_of(self, type_: GraphQLInputType, longest: int) -> Measure | None:
        nullable = get_nullable_type(type_)
        if is_list_type(nullable):
            item = self._measure_of(nullable.of_type, longest)
            return item and _of_list(item)
        if isinstance(nullable, GraphQLInputObjectType):
            return self._of_input(nullable)
        if not isinstance(nullable, GraphQLScalarType) or nullable in _NUMBERS:
            return None

        def measure(value: Any, path: str) -> None:
            if isinstance(value, str):
                check_text(value, path, longest)

        return measure

    def _of_input(self, type_: GraphQLInputObjectType) -> Measure:
        fields = self._of_inputs.get(type_.name)
        if fields is None:
            fields = self._of_inputs[type_.name] = {}  # what a type that holds itself meets
            for name, field in type_.fields.items():
                if measure := self.measure(field):
                    fields[name] = measure

        def measure_fields(value: Any, path: str) -> None:
            if isinstance(value, dict):
                for name, inner in value.items():
                    if measure := fields.get(name):
                        measure(inner, f"{path}.{name}")

        return measure_fields

    def _walk(
        self, definition: GraphQLArgument | GraphQLInputField, value: ValueNode, path: str
    ) -> Iterator[tuple[str, GraphQLArgument | GraphQLInputField, str]]:
        """The variables in a value, each with the definition that it stands for. Raises `ValidationError`."""
        if isinstance(value, VariableNode):
            yield value.name.value, definition, path
        elif isinstance(value, ListValueNode):
            for place, item in enumerate(value.values):
                yield from self._walk(definition, item, f"{path}.{place}")
        elif isinstance(value, ObjectValueNode):
            type_ = get_named_type(definition.type)
            if isinstance(type_, GraphQLInputObjectType):
                for field in value.fields:
                    name = field.name.value
                    yield from self._walk(type_.fields[name], field.value, f"{path}.{name}")
        elif isinstance(value, StringValueNode):
            check_text(value.value, path, self.longest(definition))


class OperationLengths:
    """The places of one operation that its variables are given to: a variable, the path of the place, its measure."""

    def __init__(self, places: Sequence[tuple[str, str, Measure]], *, is_exceeded: bool = False) -> None:
        self._places = places
        self._is_exceeded = is_exceeded

    def are_exceeded(self, variables: Mapping[str, Any]) -> bool:
        """Whether a text of the operation, or of the variables as they were sent, may not be."""
        try:
            for name, path, measure in self._places:
                measure(variables.get(name), path)
        except ValidationError:
            return True
        return self._is_exceeded


def check_text(text: str, path: str, longest: int) -> None:
    """Raises `ValidationError` by the dotted path of a text that is too long, or can be no stored one's."""
    if len(text) > longest:
        raise ValidationError(path, f"must have at most {longest} characters")
    if "\0" in text:
        raise ValidationError(path, "must not hold the character U+0000")


def is_itemwise(argument: GraphQLArgument) -> bool:
    """Whether each item of its list is judged for itself."""
    node = argument.ast_node
    return any(directive.name.value == "itemwise" for directive in (node and node.directives) or ())


def _refusal(measure: Measure, item: Any, path: str) -> ValidationError | None:
    try:
        measure(item, path)
    except ValidationError as refusal:
        return refusal
    return None


def _of_list(measure_item: Measure) -> Measure:
    def measure(value: Any, path: str) -> None:
        if not isinstance(value, list):  # a single value stands for a list of it
            return measure_item(value, path)
        for place, item in enumerate(value):
            measure_item(item, f"{path}.{place}")
        return None

    return measure


def _arguments(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> Iterator[tuple[GraphQLArgument, ValueNode, str]]:
    """The arguments of all fields of a valid operation: what each is, what it is given, and its name."""
    fragments = fragments_of(document)
    waiting: list[tuple[SelectionSetNode, Any]] = [(operation.selection_set, schema.get_root_type(operation.operation))]
    while waiting:
        selection_set, parent = waiting.pop()
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                field = cast("GraphQLField", schema.get_field(parent, selection.name.value))
                for argument in selection.arguments or ():
                    yield field.args[argument.name.value], argument.value, argument.name.value
                if selection.selection_set:
                    waiting.append((selection.selection_set, get_named_type(field.type)))
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = schema.type_map[condition.name.value] if condition else parent
                waiting.append((selection.selection_set, inner))
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value in fragments:
                fragment = fragments.pop(selection.name.value)  # each is read once
                waiting.append((fragment.selection_set, schema.type_map[fragment.type_condition.name.value]))
