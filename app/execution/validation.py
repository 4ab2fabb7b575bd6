"""Validation by graphql-core's own rules, in half the time for documents that are valid.

graphql-core asks each rule of each document anew which kinds of nodes it visits: some 300 questions, and as many
answers that hold one another until the collector finds them. Rules are classes, so it is known once for all. For its
variables it visits all of a document once more, of which few fields hold any. Whatever a rule has to say is left to
graphql-core, which begins again.
"""

from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    ParallelVisitor,
    TypeInfo,
    TypeInfoVisitor,
    ValidationContext,
    VariableNode,
    Visitor,
    specified_rules,
    visit,
)
from graphql import validate as validate_by_graphql_core
from graphql.language import BREAK, SKIP
from graphql.language.visitor import EnterLeaveVisitor
from graphql.validation.validate import FragmentNestingVisitor, query_document_keys_to_validate
from graphql.validation.validation_context import VariableUsage, VariableUsageVisitor

from app.execution.nodes import fragments_of, nodes_of


class _Faulty(Exception):
    """A rule has found something."""


def validate(
    schema: GraphQLSchema, document: DocumentNode, *, max_errors: int, hide_suggestions: bool
) -> list[GraphQLError]:
    """The errors of a document, as `graphql.validate` gives them."""
    if _is_valid(schema, document):
        return []
    return validate_by_graphql_core(schema, document, max_errors=max_errors, hide_suggestions=hide_suggestions)


def _is_valid(schema: GraphQLSchema, document: DocumentNode) -> bool:
    type_info = TypeInfo(schema)
    context = _Context(schema, document, type_info, _refuse, hide_suggestions=True)
    visitors: list[Visitor] = [rule(context) for rule in specified_rules]
    fragments = fragments_of(document)
    if fragments:
        visitors.insert(0, FragmentNestingVisitor(fragments))
    parallel = _ParallelRules(visitors)
    visitor = TypeInfoVisitor(type_info, parallel)
    try:
        visit(document, visitor, query_document_keys_to_validate)
    except (_Faulty, RecursionError):
        return False
    finally:
        for each in (visitor, parallel):
            each.enter_leave_map.clear()  # its methods, which hold it
    return True


class _ByIdentity(dict[Any, Any]):
    """By nodes of one document, of which a hash would read all that is below them."""

    def get(self, node: Any, default: Any = None) -> Any:
        return super().get(id(node), default)

    def __setitem__(self, node: Any, value: Any) -> None:
        super().__setitem__(id(node), value)


class _Context(ValidationContext):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._variable_usages = _ByIdentity()
        self._recursive_variable_usages = _ByIdentity()
        self._fragment_spreads = _ByIdentity()

    def get_variable_usages(self, node: Any) -> list[VariableUsage]:
        usages: list[VariableUsage] | None = self._variable_usages.get(node)
        if usages is None:
            usages = self._variable_usages[node] = self._find_usages(node)
        return usages

    def _find_usages(self, node: Any) -> list[VariableUsage]:
        fragment = node if isinstance(node, FragmentDefinitionNode) else None
        finding = _UsageVisitor(self._type_info, fragment)
        _holds_variable(node, finding.holding)
        visitor = TypeInfoVisitor(self._type_info, finding)
        visit(node, visitor)
        for each in (visitor, finding):
            each.enter_leave_map.clear()
        return finding.usages


class _UsageVisitor(VariableUsageVisitor):
    """`holding` are the ids of selections that hold variables, themselves or below them."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.holding: set[int] = set()

    def enter_field(self, node: Any, *_rest: Any) -> Any:
        return None if id(node) in self.holding else SKIP

    enter_inline_fragment = enter_fragment_spread = enter_field


def _holds_variable(node: Any, holding: set[int]) -> bool:
    """Adds the selections below an operation, a fragment or a selection that hold variables."""
    holds = any(map(_names_variable, (*(node.directives or ()), *(getattr(node, "arguments", None) or ()))))
    selection_set = getattr(node, "selection_set", None)
    for selection in selection_set.selections if selection_set else ():
        holds |= _holds_variable(selection, holding)
    if holds:
        holding.add(id(node))
    return holds


def _names_variable(node: Any) -> bool:
    return any(isinstance(each, VariableNode) for each in nodes_of(node))


def _refuse(_error: GraphQLError) -> None:
    raise _Faulty


@lru_cache(maxsize=1024)
def _methods(rules: tuple[type[Visitor], ...], kind: str) -> tuple[tuple[int, str | None, str | None], ...]:
    """The places of the rules that visit nodes of a kind, each with the names of its methods."""
    found = []
    for place, rule in enumerate(rules):
        enter, leave = _method(rule, "enter", kind), _method(rule, "leave", kind)
        if enter or leave:
            found.append((place, enter, leave))
    return tuple(found)


def _method(rule: type[Visitor], word: str, kind: str) -> str | None:
    """The one for nodes of the kind, or else that for all."""
    return next((name for name in (f"{word}_{kind}", word) if hasattr(rule, name)), None)


class _ParallelRules(ParallelVisitor):
    """All rules side by side, of which each may skip what is below a node, or the rest of the document."""

    def __init__(self, visitors: list[Visitor]) -> None:
        super().__init__(visitors)
        self._by_place = visitors
        self._rules = tuple(map(type, visitors))

    def get_enter_leave_for_kind(self, kind: str) -> EnterLeaveVisitor:
        known = self.enter_leave_map.get(kind)
        if known is None:
            known = self.enter_leave_map[kind] = self._enter_leave(kind)
        return known

    def _enter_leave(self, kind: str) -> EnterLeaveVisitor:
        methods = _methods(self._rules, kind)
        if not methods:
            return EnterLeaveVisitor(None, None)
        skipping, visitors = self.skipping, self._by_place
        entering = [(place, getattr(visitors[place], name)) for place, name, _ in methods if name]
        leaving = [(place, getattr(visitors[place], name) if name else None) for place, _, name in methods]

        def enter(node: Any, *rest: Any) -> None:
            for place, method in entering:
                if skipping[place] is None:
                    result = method(node, *rest)
                    if result is not None:
                        skipping[place] = _skipped(result, node)

        def leave(node: Any, *rest: Any) -> None:
            for place, method in leaving:
                if skipping[place] is node:
                    skipping[place] = None
                elif skipping[place] is None and method is not None:
                    result = method(node, *rest)
                    if result is BREAK or result is True:
                        skipping[place] = BREAK

        return EnterLeaveVisitor(enter, leave)


def _skipped(result: Any, node: Any) -> Any:
    """What a rule does not visit any more: what is below the node, or anything. Rules change no document."""
    if result is SKIP or result is False:
        return node
    return BREAK if result is BREAK or result is True else None
