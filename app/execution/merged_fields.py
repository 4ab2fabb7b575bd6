"""The fields below an object, by their keys: what is selected of it in several places merges into one."""

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
    BooleanValueNode,
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    is_abstract_type,
)

from app.execution.nodes import fragments_of

# What the variables of `@skip` and `@include` are.
Conditions = Mapping[str, Any]
# A key of the answer, and the type whose field it is.
Key = tuple[str, Any]
_Waiting = list[tuple[SelectionSetNode, Any]]


class MergedFields:
    """Those of one valid document. A condition that is neither true nor false leaves its field in."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, conditions: Conditions) -> None:
        self._schema = schema
        self._fragments = fragments_of(document)
        self._conditions = conditions

    def below(self, selections: Sequence[tuple[SelectionSetNode, Any]]) -> dict[Key, list[FieldNode]]:
        """Of selections of a type each; where it is abstract, for each type that an object may be."""
        found: dict[Key, list[FieldNode]] = {}
        spread: set[tuple[str, Any]] = set()
        waiting: _Waiting = list(reversed(selections))
        while waiting:
            selection_set, within = waiting.pop()
            further: _Waiting = []
            for selection in selection_set.selections:
                if not self._is_left(selection):
                    continue
                if isinstance(selection, FieldNode):
                    key = (selection.alias or selection.name).value, within
                    found.setdefault(key, []).append(selection)
                elif isinstance(selection, InlineFragmentNode):
                    condition = selection.type_condition
                    inner = self._narrowed(within, condition.name.value) if condition else within
                    further.append((selection.selection_set, inner))
                elif isinstance(selection, FragmentSpreadNode) and (selection.name.value, within) not in spread:
                    spread.add((selection.name.value, within))
                    fragment = self._fragments[selection.name.value]
                    inner = self._narrowed(within, fragment.type_condition.name.value)
                    further.append((fragment.selection_set, inner))
            waiting += [(each, inner) for each, inner in reversed(further) if inner is not None]
        return found

    def _narrowed(self, type_: Any, name: str) -> Any:
        """The type of what is known to be of both; None where nothing is."""
        condition = self._schema.type_map[name]
        if condition is type_:
            return type_
        if is_abstract_type(type_):
            return condition
        is_possible = is_abstract_type(condition) and self._schema.is_sub_type(condition, type_)
        return type_ if is_possible else None

    def _is_left(self, selection: SelectionNode) -> bool:
        for directive in selection.directives or ():
            name = directive.name.value
            if name in ("skip", "include"):
                [argument] = directive.arguments or ()
                value: Any = None
                if isinstance(argument.value, BooleanValueNode):
                    value = argument.value.value
                elif isinstance(argument.value, VariableNode):
                    value = self._conditions.get(argument.value.name.value)
                if value is (name == "skip"):
                    return False
        return True
