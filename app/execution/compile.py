"""Makes plans. This module alone knows all tiers, and gives each field those that it may run by.

A tier that cannot go on raises `BailOut`, and the next one does: generated code and the synchronous tier for what is
there with all that is below it; layers for the rest; graphql-core (`replay.py`) for errors.
"""

from collections.abc import Callable, Mapping, Sequence
from inspect import iscoroutinefunction
from operator import itemgetter
from typing import Any, TypeVar

from graphql import (
    GraphQLField,
    GraphQLFieldResolver,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    default_field_resolver,
    get_named_type,
    is_abstract_type,
)
from graphql.execution.collect_fields import (
    FieldDetailsList,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues

from app.execution.codegen import builder, generator
from app.execution.coercion import argument_reader
from app.execution.completion import completer, leaf_check
from app.execution.field_plan import plan_of
from app.execution.plan import BailOut, Check, Field, Plan, Read, Selection, Values
from app.execution.synchronous import generated_first, synchronous
from loaders.rows import Rows

Tier = TypeVar("Tier")

# Of an abstract type all possible types are compiled, of each again all that is below: so many selections are a plan.
_MOST_SELECTIONS = 2_000


def compile_plan(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: dict[str, FragmentDetails],
    variables: VariableValues,
    default_resolver: GraphQLFieldResolver = default_field_resolver,
) -> Plan:
    """`variables` need to hold only those that `@skip` and `@include` read.

    Raises `BailOut` for what is no plan, and what `collect_fields` raises.
    """
    root_type = schema.get_root_type(operation.operation)
    if root_type is None:
        raise BailOut("The schema has no such operations.")
    compiler = _Compiler(schema, operation, fragments, variables, default_resolver)
    root = compiler.selection(
        root_type, collect_fields(schema, fragments, variables, root_type, operation).grouped_field_set
    )
    definitions = {name: details.definition for name, details in fragments.items()}
    return Plan(schema, operation, definitions, root, _alone(root))


class _Compiler:
    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: dict[str, FragmentDetails],
        variables: VariableValues,
        default_resolver: GraphQLFieldResolver,
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._fragments = fragments
        self._variables = variables
        self._default_resolver = default_resolver
        self._selections = 0

    def selection(self, type_: GraphQLObjectType, grouped: GroupedFieldSet) -> Selection:
        self._selections += 1
        if self._selections > _MOST_SELECTIONS:
            raise BailOut("The plan would be too large.")
        fields: list[Field] = []
        for key, details in grouped.items():
            definition = self._schema.get_field(type_, details[0].node.name.value)
            if definition is not None:  # an unknown one, in a document that was not validated, is left out
                fields.append(self._field(type_, key, definition, details))
        leaves: list[tuple[int, Check]] = []
        others: list[tuple[int, Field]] = []
        columns: list[str] = []
        for slot, field in enumerate(fields):
            # Arguments may be wrong even where nothing depends on them.
            if field.column is not None and field.check is not None and not field.definition.args:
                leaves.append((slot, field.check))
                columns.append(field.column)
            else:
                others.append((slot, field))
        build = builder(type_.name, tuple(field.key for field in fields))
        return Selection(type_, fields, _reader(tuple(columns)), leaves, others, build)

    def _field(
        self, parent_type: GraphQLObjectType, key: str, definition: GraphQLField, details: FieldDetailsList
    ) -> Field:
        nodes = [detail.node for detail in details]
        name, plan = nodes[0].name.value, plan_of(definition)
        field = Field(
            key,
            name,
            parent_type,
            definition,
            nodes,
            resolver=definition.resolve or self._default_resolver,
            plan=plan,
            bulk=None if plan is None else plan.bulk,
            arguments=argument_reader(definition, nodes[0]),
            check=leaf_check(definition.type),
            complete=completer(definition.type),
            selections=self._below(definition, details),
            constant=parent_type.name if name == "__typename" else None,
        )
        # Both look at what is below, which has been compiled by now.
        field.generate = _unless_bailed_out("generated", generator, field)
        field.synchronous = _unless_bailed_out("synchronous", synchronous, field)
        if field.generate is not None:
            field.synchronous = generated_first(field, field.generate, field.synchronous)
        return field

    def _below(self, definition: GraphQLField, details: FieldDetailsList) -> Mapping[str, Selection]:
        """What is selected of the field's values, by their type."""
        named = get_named_type(definition.type)
        types = self._schema.get_possible_types(named) if is_abstract_type(named) else (named,)
        return {
            type_.name: self.selection(type_, self._collected(type_, details))
            for type_ in types
            if isinstance(type_, GraphQLObjectType)
        }

    def _collected(self, type_: GraphQLObjectType, details: FieldDetailsList) -> GroupedFieldSet:
        return collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, type_, details
        ).grouped_field_set


def _unless_bailed_out(tier: str, compile_field: Callable[[Field], Tier], field: Field) -> Tier | None:
    try:
        return compile_field(field)
    except BailOut as bail_out:
        field.reasons[tier] = str(bail_out)
        return None


def _alone(root: Selection) -> Field | None:
    """The only field of most operations, if a coroutine resolves it and what that gives may come with all below it."""
    if len(root.fields) != 1:
        return None
    [field] = root.fields
    is_alone = iscoroutinefunction(field.resolver) and field.bulk is None and field.synchronous is not None
    return field if is_alone else None


def _reader(columns: tuple[str, ...]) -> Read:
    """Reads columns of many parents at once, whether they are rows or hold columns themselves."""
    if not columns:
        return lambda _parents: ()
    pick: Callable[[Any], Any] = itemgetter(*columns)
    is_one = len(columns) == 1

    def read(parents: Sequence[Any]) -> Sequence[Values]:
        if isinstance(parents, Rows):
            return parents.columns(columns)
        picked = list(map(pick, parents))
        return [picked] if is_one else list(zip(*picked, strict=True))

    return read
