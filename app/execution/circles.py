"""How often a selection comes back to a type of object that it has passed.

A carrier has codes, and a code has a carrier. Each way around multiplies the answer by the length of a list, so a line
of text could ask for more objects than there is memory, and for more time than any deadline: what makes them does not
stop in between. So ways back are counted. Without circles, an answer is bounded by its pages and by what hangs on their
rows.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_composite_type,
    is_introspection_type,
    is_list_type,
)

from app.execution.limits import LimitExceeded, Limits
from app.execution.nodes import fragments_of

_Type = GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType


class Circles:
    """Those of one schema. `types` are the names of what they lead back to and what comes in lists, so of no pages."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self.types = _circular(schema)

    def check(self, document: DocumentNode, limits: Limits) -> None:
        """Raises `LimitExceeded`. The document is valid, so that its fragments end."""
        if not self.types:
            return
        walk = _Walk(self._schema, self.types, document, limits.returns)
        for node in document.definitions:
            if isinstance(node, OperationDefinitionNode):
                root = self._schema.get_root_type(node.operation)
                if root is not None:
                    walk.down(node.selection_set, root, frozenset(), 0)


class _Walk:
    def __init__(self, schema: GraphQLSchema, types: frozenset[str], document: DocumentNode, most: int) -> None:
        self._schema = schema
        self._types = types
        self._most = most
        self._fragments: Mapping[str, FragmentDefinitionNode] = fragments_of(document)

    def down(self, selection_set: SelectionSetNode, type_: _Type, passed: frozenset[str], returns: int) -> None:
        """`passed` are the types of the circles that the way to here has met, and `returns` how often again."""
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                self._field(selection, type_, passed, returns)
            elif isinstance(selection, InlineFragmentNode):
                on = selection.type_condition
                self.down(selection.selection_set, self._type(on.name.value) if on else type_, passed, returns)
            elif isinstance(selection, FragmentSpreadNode):
                fragment = self._fragments[selection.name.value]
                self.down(fragment.selection_set, self._type(fragment.type_condition.name.value), passed, returns)

    def _field(self, field: FieldNode, type_: _Type, passed: frozenset[str], returns: int) -> None:
        definition = None if isinstance(type_, GraphQLUnionType) else type_.fields.get(field.name.value)
        if field.selection_set is None or definition is None:  # introspection is bounded by rules of its own
            return
        below = get_named_type(definition.type)
        name = below.name
        if name in passed:
            returns += 1
            if returns > self._most:
                place = f"{type_.name}.{field.name.value}"
                message = f"{place} comes back to {name}: the way has {returns} returns, and {self._most} is the limit."
                raise LimitExceeded(message, field)
        elif name in self._types:
            passed |= {name}
        self.down(field.selection_set, self._type(name), passed, returns)

    def _type(self, name: str) -> _Type:
        found = self._schema.get_type(name)
        assert isinstance(found, _Type)  # noqa: S101  the document is valid
        return found


@lru_cache(maxsize=8)
def _circular(schema: GraphQLSchema) -> frozenset[str]:
    """Found once for a schema: it takes longer than all else that an application is made of."""
    steps = {
        type_.name: dict(_steps(schema, type_))
        for type_ in schema.type_map.values()
        if is_composite_type(type_) and not is_introspection_type(type_)
    }
    listed = {name for below in steps.values() for name, is_list in below.items() if is_list}
    return frozenset(name for name in listed if name in _reached(steps, name))


def _steps(schema: GraphQLSchema, type_: object) -> Iterator[tuple[str, bool]]:
    """Where the fields of a type lead, and whether to a list; from an abstract one to the types that it may be."""
    if is_abstract_type(type_):
        yield from ((possible.name, False) for possible in schema.get_possible_types(type_))
    fields: Mapping[str, GraphQLField] = getattr(type_, "fields", {})
    found: dict[str, bool] = {}
    for field in fields.values():
        name = get_named_type(field.type).name
        found[name] = found.get(name, False) or is_list_type(get_nullable_type(field.type))
    yield from found.items()


def _reached(steps: Mapping[str, Mapping[str, bool]], start: str) -> set[str]:
    """The types below a type, at any depth."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for name in steps.get(waiting.pop(), {}):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found
