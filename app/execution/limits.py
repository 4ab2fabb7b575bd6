"""What a request may ask for, measured before anything is validated or run.

Fragments count as if they were written out wherever they are spread. Each is measured once, so fragments that spread
one another twice a level deep cost nothing; one that spreads itself counts once and is left to validation.

Validation compares each two fields that answer to one name in one place, so repeats cost by their square: they are
bounded too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)
from graphql.language import ListValueNode

from app.execution.nodes import fragments_of, nodes_of

# The standard introspection query is 15 levels deep, nine of them `ofType`. Validation bounds its nested lists.
INTROSPECTION_DEPTH = 15
_INTROSPECTION = frozenset({"__schema", "__type"})


class Limits(Protocol):
    """The part of the settings that bounds a document and its variables."""

    @property
    def document(self) -> int: ...
    @property
    def tokens(self) -> int: ...
    @property
    def depth(self) -> int: ...
    @property
    def aliases(self) -> int: ...
    @property
    def repeats(self) -> int: ...
    @property
    def root_fields(self) -> int: ...
    @property
    def returns(self) -> int: ...
    @property
    def cost(self) -> int: ...
    @property
    def page(self) -> int: ...
    @property
    def list_items(self) -> int: ...
    @property
    def written_items(self) -> int: ...
    @property
    def text(self) -> int: ...


class LimitExceeded(GraphQLError):
    """The request asks for too much."""

    def __init__(self, message: str, node: Node | None = None, **extensions: Any) -> None:
        super().__init__(message, node, extensions={"code": "LIMIT_EXCEEDED", **extensions})


@dataclass(frozen=True)
class Measure:
    """The size of a selection.

    `roots` are the fields of its top level but `__typename`, which costs nothing and which clients add everywhere, and
    `schemas` is how often it asks for `__schema`.
    """

    depth: int = 0
    introspection_depth: int = 0
    aliases: int = 0
    fields: int = 0
    roots: int = 0
    schemas: int = 0

    def beside(self, other: "Measure") -> "Measure":
        return Measure(
            max(self.depth, other.depth),
            max(self.introspection_depth, other.introspection_depth),
            self.aliases + other.aliases,
            self.fields + other.fields,
            self.roots + other.roots,
            self.schemas + other.schemas,
        )


class _Ruler:
    def __init__(self, document: DocumentNode) -> None:
        self.fragments = fragments_of(document)
        self._measured: dict[str, Measure] = {}

    def measure(self, selection_set: SelectionSetNode) -> Measure:
        total = Measure()
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                total = total.beside(self._field(selection))
            elif isinstance(selection, InlineFragmentNode):
                total = total.beside(self.measure(selection.selection_set))
            elif isinstance(selection, FragmentSpreadNode):
                total = total.beside(self._fragment(selection.name.value))
        return total

    def _field(self, field: FieldNode) -> Measure:
        inner = self.measure(field.selection_set) if field.selection_set else Measure()
        depth, introspection_depth = inner.depth + 1, inner.introspection_depth
        if field.name.value in _INTROSPECTION:
            depth, introspection_depth = 1, depth
        return Measure(
            depth,
            introspection_depth,
            inner.aliases + (field.alias is not None),
            inner.fields + 1,
            field.name.value != "__typename",
            inner.schemas + (field.name.value == "__schema"),
        )

    def _fragment(self, name: str) -> Measure:
        if name not in self._measured:
            self._measured[name] = Measure()  # what a cycle meets
            if name in self.fragments:
                self._measured[name] = self.measure(self.fragments[name].selection_set)
        return self._measured[name]


# A selection, and the fragments in which it stands.
_Place = tuple[SelectionSetNode, frozenset[str]]


def _side_by_side(
    places: list[_Place], fragments: Mapping[str, FragmentDefinitionNode]
) -> dict[str, list[tuple[FieldNode, frozenset[str]]]]:
    """The fields of selections that merge into one, by the name of their answer. A fragment counts once, as it does
    when fields are compared; within itself it does not count at all."""
    found: dict[str, list[tuple[FieldNode, frozenset[str]]]] = {}
    spread: set[str] = set()
    waiting = list(places)
    while waiting:
        selection_set, within = waiting.pop()
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                key = (selection.alias or selection.name).value
                found.setdefault(key, []).append((selection, within))
            elif isinstance(selection, InlineFragmentNode):
                waiting.append((selection.selection_set, within))
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name in fragments and name not in spread and name not in within:
                    spread.add(name)
                    waiting.append((fragments[name].selection_set, within | {name}))
    return found


def check_document(document: DocumentNode, limits: Limits) -> None:
    """Raises `LimitExceeded` for the first limit that an operation or a literal of the document exceeds."""
    ruler = _Ruler(document)
    try:
        for node in document.definitions:
            if isinstance(node, OperationDefinitionNode):
                _check_operation(node, ruler.measure(node.selection_set), limits)
                _check_repeats(node, ruler.fragments, limits)
    except RecursionError:
        raise LimitExceeded("The document is nested too deeply.") from None
    kinds = {node.operation for node in document.definitions if isinstance(node, OperationDefinitionNode)}
    longest = longest_list(limits, writes=kinds == {OperationType.MUTATION})
    for each in nodes_of(document):
        if isinstance(each, ListValueNode) and len(each.values) > longest:
            raise _list_too_long(len(each.values), longest, each)


def longest_list(limits: Limits, *, writes: bool) -> int:
    """How many entries a list argument may have: a mutation takes a whole shipment, a query what a page needs."""
    return limits.written_items if writes else limits.list_items


def _check_operation(node: OperationDefinitionNode, size: Measure, limits: Limits) -> None:
    mutation = node.operation is OperationType.MUTATION
    bounds: Iterable[tuple[int, int, str]] = (
        (size.depth, limits.depth, "is nested {} levels deep"),
        (size.introspection_depth, INTROSPECTION_DEPTH, "nests introspection {} levels deep"),
        (size.schemas, 1, "asks for __schema {} times"),
        (size.aliases, limits.aliases, "has {} aliases"),
        (size.roots, 1 if mutation else limits.root_fields, "has {} root fields"),
        # Written out, a document of the permitted tokens could not select more fields than that.
        (size.fields, limits.tokens, "selects {} fields"),
    )
    for value, limit, phrase in bounds:
        if value > limit:
            kind = node.operation.value
            shown = value if value < 10**9 else "over 1000000000"
            raise LimitExceeded(f"The {kind} {phrase.format(shown)}, and {limit} is the limit.", node)


def _check_repeats(
    node: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode], limits: Limits
) -> None:
    kind, selected = node.operation.value, 0
    waiting: list[list[_Place]] = [[(node.selection_set, frozenset())]]
    while waiting:
        for name, fields in _side_by_side(waiting.pop(), fragments).items():
            if len(fields) > limits.repeats:
                phrase = f"selects {name} {len(fields)} times in one place"
                raise LimitExceeded(f"The {kind} {phrase}, and {limits.repeats} is the limit.", fields[0][0])
            selected += len(fields)
            if selected > limits.tokens:  # circles of fragments alone come to that: all else has been measured
                raise LimitExceeded(f"The {kind} selects over {limits.tokens} fields.", node)
            below = [(field.selection_set, within) for field, within in fields if field.selection_set]
            if below:
                waiting.append(below)


def check_variables(variables: Mapping[str, Any], limits: Limits, *, writes: bool = False) -> None:
    """Raises `LimitExceeded` for a list with too many items or too deep a value, at any depth.

    `writes` says that they are a mutation's.
    """
    _check_values(variables.values(), 1, limits.depth, longest_list(limits, writes=writes))


def _check_values(values: Iterable[Any], depth: int, deepest: int, longest: int) -> None:
    for value in values:
        if isinstance(value, dict | list):
            if depth > deepest:
                raise LimitExceeded(f"The variables are nested over {deepest} levels deep.")
            if isinstance(value, dict):
                _check_values(value.values(), depth + 1, deepest, longest)
            elif len(value) > longest:
                raise _list_too_long(len(value), longest)
            else:
                _check_values(value, depth + 1, deepest, longest)


def _list_too_long(length: int, longest: int, node: Node | None = None) -> LimitExceeded:
    return LimitExceeded(f"A list has {length} items, and {longest} is the limit.", node)
