"""Validation by graphql-core's own rules, in half the time for documents that are valid.

graphql-core asks each rule of each document anew which kinds of nodes it visits: some 300 questions, and as many
answers that hold one another until the collector finds them. Rules are classes, so it is known once for all. Whatever
a rule has to say is left to graphql-core, which begins again.
"""

from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    ParallelVisitor,
    TypeInfo,
    TypeInfoVisitor,
    ValidationContext,
    Visitor,
    specified_rules,
    visit,
)
from graphql import validate as validate_by_graphql_core
from graphql.language import BREAK, SKIP
from graphql.language.visitor import EnterLeaveVisitor
from graphql.validation.validate import FragmentNestingVisitor, query_document_keys_to_validate

from app.execution.nodes import fragments_of


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
    context = ValidationContext(schema, document, type_info, _refuse, hide_suggestions=True)
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
