"""Which operations run by a plan, and the plans that were made."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLFieldResolver,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    default_field_resolver,
)
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.values import VariableValues

from app.execution.coercion import Variables
from app.execution.compile import compile_plan
from app.execution.nodes import fragments_of, nodes_of
from app.execution.plan import BailOut, Plan, Selection

_CONDITIONS = frozenset({"skip", "include"})
_INTROSPECTION = frozenset({"__schema", "__type"})
_INCREMENTAL = frozenset({"defer", "stream"})
# Four conditions of one document; a document with more gets its plans anew.
_MOST_PLANS = 16
# Of how many conditions all plans are made before anybody asks.
_MOST_AHEAD = 2


class Planner:
    """The plans of one operation, one for each choice that `@skip` and `@include` make.

    `reason` says why graphql-core runs the operation, or is None where plans do. There are `plan_count` of them,
    which have so many `fields`. `conditions` are the variables that choose among them.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        default_resolver: GraphQLFieldResolver = default_field_resolver,
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._default_resolver = default_resolver
        self._fragments = {name: FragmentDetails(node) for name, node in fragments_of(document).items()}
        directives: list[DirectiveNode] = []
        names: set[str] = set()
        for node in nodes_of(document):
            if isinstance(node, FieldNode):
                names.add(node.name.value)
            elif isinstance(node, DirectiveNode):
                directives.append(node)
        conditions = _conditions(directives)
        own = {definition.variable.name.value for definition in operation.variable_definitions or ()}
        self.conditions = sorted(conditions & own)
        self.reason = self._reason(names, directives)
        self._variables = None if self.reason else Variables(schema, operation)
        self.plan_count = 0
        self.fields = 0
        self._plans: dict[tuple[Any, ...], Plan] = {}

    def plan(self, given: Mapping[str, Any]) -> tuple[Plan, VariableValues] | None:
        """The plan for these variables and their coerced values; None where graphql-core must run the operation."""
        if self._variables is None:
            return None
        variables = self._variables.coerce(given)
        if variables is None:
            return None
        choices = tuple(variables.coerced.get(name) for name in self.conditions)
        plan = self._plans.get(choices)
        if plan is None:
            if not all(isinstance(choice, bool) for choice in choices):
                return None
            plan = self._compile(dict(zip(self.conditions, choices, strict=True)), variables)
        return (plan, variables) if plan else None

    def compile_ahead(self) -> None:
        """Makes the plans that requests will need, unless there are many to choose from."""
        if self._variables is None or len(self.conditions) > _MOST_AHEAD:
            return
        for choices in product((True, False), repeat=len(self.conditions)):
            choice = dict(zip(self.conditions, choices, strict=True))
            variables = self._variables.chosen(choice)
            if choices not in self._plans and variables is not None:
                self._compile(choice, variables)

    def _compile(self, choice: dict[str, Any], variables: VariableValues) -> Plan | None:
        # A plan outlives the request, so it keeps none of its other values.
        choosing = VariableValues({name: variables.sources[name] for name in choice}, choice)
        try:
            plan = compile_plan(self._schema, self._operation, self._fragments, choosing, self._default_resolver)
        except (BailOut, GraphQLError, RecursionError):  # what validation lets nobody send
            return None
        if len(self._plans) < _MOST_PLANS:
            self._plans[tuple(choice.values())] = plan
            self.plan_count += 1
            self.fields += _size(plan.root)
        return plan

    def _reason(self, names: set[str], directives: list[DirectiveNode]) -> str | None:
        """`names` are those of all fields of the document."""
        kind = self._operation.operation
        if self._schema.get_root_type(kind) is None:
            return "no root type"
        if not names.isdisjoint(_INTROSPECTION):
            return "introspection"
        if any(directive.name.value not in _CONDITIONS for directive in directives):
            return "directive"
        if any(self._schema.get_directive(name) for name in _INCREMENTAL):
            return "incremental delivery"
        if any(details.definition.variable_definitions for details in self._fragments.values()):
            return "fragment arguments"
        if kind is OperationType.MUTATION and not self._is_one_field():
            return "several mutations"
        return None

    def _is_one_field(self) -> bool:
        """A fragment may hold several, which run one after the other; a plan runs them side by side."""
        selections = self._operation.selection_set.selections
        return len(selections) == 1 and isinstance(selections[0], FieldNode)


def _size(selection: Selection) -> int:
    """How many fields there are of it, and below it."""
    below = (each for field in selection.fields for each in field.selections.values())
    return len(selection.fields) + sum(map(_size, below))


def _conditions(directives: Iterable[DirectiveNode]) -> set[str]:
    """The variables that `@skip` and `@include` read."""
    return {
        argument.value.name.value
        for directive in directives
        if directive.name.value in _CONDITIONS
        for argument in directive.arguments or ()
        if isinstance(argument.value, VariableNode)
    }
