"""Plans: a selection set compiled once, so that a request only moves values.

A plan follows the spec's collection of fields, by graphql-core's own `collect_fields`, and fixes all that does not
depend on values: which resolver each field has, how its type is completed, in what order its keys appear. It holds for
one operation of one document and one choice of what `@skip` and `@include` leave of it.

A resolver may offer a plan more than a call per object:

    resolve.column = "sku"                 the value is `parent["sku"]`, and reading it has no other effect
    resolve.bulk(parents, info, **args)    the values for all parents, or an awaitable of them
    resolve.at_hand(parents, context, field)  the same where nothing needs to be read for them, else None; no effect
    resolve.held = ("carrier_id", held)    the value is `held(context)(parent["carrier_id"])`: the same object as long
                                           as it is unchanged, None where it is not kept; `held(context)` may be None
    resolve.is_same = True                 the value is the parent itself
    resolve.relation                       what layouts know the rows by that are the value (see app.execution.codegen)
    resolve.is_open(context)               whether they are, for this caller; always where it is None

Everything else is called once per object, as graphql-core does it. Values for all parents are a sequence of them. They
may be held otherwise: rows by column, with `rows.columns(names)` for all of them; or lists end to end, with all the
items as `lists.rows` and each list's length in `lists.lengths`. A value that came with all that hangs on it has a
`bundle` (see `app.execution.codegen`).

A scalar's `coerce_output_value.bulk(values)` serializes many values, and `coerce_output_value.of[kind](value)` one, or
null, that is known to be of a kind.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from inspect import iscoroutinefunction
from operator import itemgetter
from typing import Any
from weakref import proxy

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLFieldResolver,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    default_field_resolver,
)
from graphql.execution.collect_fields import (
    FieldDetailsList,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues

from app.execution.codegen import Assemble, Layout, assembly, unwrapped
from app.execution.coercion import Arguments, argument_reader
from app.execution.completion import Check, Complete, completer, leaf_check
from app.execution.synchronous import Direct, direct

Held = Callable[[Any], Callable[[Any], Any] | None]
Build = Callable[[Sequence[Sequence[Any]], int], list[dict[str, Any]]]

# A field has one layout, or two while a document is new; more where what was composed had to go and came again.
_MOST_ASSEMBLIES = 4


class Plan:
    """The root selection of an operation. `variables` need to hold only those that `@skip` and `@include` read.

    `alone` is the root's field where there is but one, and no more to it than a coroutine and objects; see `Run.alone`.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: dict[str, FragmentDetails],
        variables: VariableValues,
        default_resolver: GraphQLFieldResolver = default_field_resolver,
    ) -> None:
        root_type = schema.get_root_type(operation.operation)
        assert root_type is not None  # noqa: S101  the planner has looked
        self.schema = schema
        self.operation = operation
        self.fragments = fragments
        self.fragment_definitions = {name: details.definition for name, details in fragments.items()}
        self.default_resolver = default_resolver
        self._variables = variables
        self.root = Selection(
            self, root_type, collect_fields(schema, fragments, variables, root_type, operation).grouped_field_set
        )
        self.alone = _alone(self.root)

    def below(self, type_: GraphQLObjectType, details: FieldDetailsList) -> "Selection":
        """What the nodes of a field select of an object of `type_`."""
        collected = collect_subfields(
            self.schema, self.fragments, self._variables, self.operation, type_, details
        ).grouped_field_set
        return Selection(self, type_, collected)


class Selection:
    """The fields that are selected of the objects of one type, in the order of the answer.

    `read` gives the columns of all fields that are one of a leaf type; `leaves` are their places among the fields, each
    with its check. `others` are the places of all other fields.
    """

    def __init__(self, plan: Plan, type_: GraphQLObjectType, grouped: GroupedFieldSet) -> None:
        self.type = type_
        self.fields: list[Field] = []
        for key, details in grouped.items():
            definition = plan.schema.get_field(type_, details[0].node.name.value)
            if definition is not None:  # an unknown one, in a document that was not validated, is left out
                self.fields.append(Field(plan, type_, key, definition, details))
        self._by_key = {field.key: field for field in self.fields}
        self.leaves: list[tuple[int, Check]] = []
        self.others: list[tuple[int, Field]] = []
        columns: list[str] = []
        for slot, field in enumerate(self.fields):
            # Arguments may be wrong even where nothing depends on them.
            if field.column is not None and field.check is not None and not field.definition.args:
                self.leaves.append((slot, field.check))
                columns.append(field.column)
            else:
                self.others.append((slot, field))
        self.read = _reader(tuple(columns))

    @cached_property
    def build(self) -> Build:
        """Written when first needed: generated functions make most objects without it."""
        return _builder(tuple(self._by_key))

    def field(self, key: str) -> "Field | None":
        """The field that answers to this key."""
        return self._by_key.get(key)


class Field:
    """One key of the answer. Resolvers see it as `info.ahead`: what the caller selects below them.

    Nothing below a plan refers back to it, or to its field, but by `proxy`: so a plan that is forgotten is gone at
    once. The collector would find circles of that age only after hundreds of documents. Whoever runs has the plan.
    """

    def __init__(
        self,
        plan: Plan,
        parent_type: GraphQLObjectType,
        key: str,
        definition: GraphQLField,
        details: FieldDetailsList,
    ) -> None:
        self.key = key
        self.parent_type = parent_type
        self.definition = definition
        self.nodes: list[FieldNode] = [detail.node for detail in details]
        self.name = self.nodes[0].name.value
        self.resolver: GraphQLFieldResolver = definition.resolve or plan.default_resolver
        self.constant = parent_type.name if self.name == "__typename" else None
        self.column: str | None = getattr(self.resolver, "column", None)
        self.bulk: Callable[..., Any] | None = getattr(self.resolver, "bulk", None)
        self.at_hand: Callable[..., Any] | None = getattr(self.resolver, "at_hand", None)
        self.held: tuple[str, Held] | None = getattr(self.resolver, "held", None)
        self.is_same: bool = getattr(self.resolver, "is_same", False)
        self.relation: Any = getattr(self.resolver, "relation", None)
        self.is_open: Callable[[Any], bool] | None = getattr(self.resolver, "is_open", None)
        self.arguments: Arguments = argument_reader(definition, self.nodes[0])
        self.check: Check | None = leaf_check(definition.type)
        self.complete: Complete = completer(proxy(self), definition.type)
        self.memory: dict[Any, Any] = {}  # for what a resolver concludes from the selection below it
        self._plan = proxy(plan)
        self._details = details
        self._selections: dict[str, Selection] = {}
        self._assemblies: dict[Layout, Assemble | None] = {}

    def selection(self, type_: GraphQLObjectType) -> Selection:
        """What is selected of the field's values that are of `type_`."""
        selection = self._selections.get(type_.name)
        if selection is None:
            selection = self._selections[type_.name] = self._plan.below(type_, self._details)
        return selection

    @cached_property
    def direct(self) -> Direct | None:
        """The short way from values to objects; see `app.execution.synchronous`."""
        return direct(proxy(self))

    def assembly(self, layout: Layout) -> Assemble | None:
        """What makes the field's objects of a row of this layout; see `app.execution.codegen`."""
        if layout not in self._assemblies:
            if len(self._assemblies) >= _MOST_ASSEMBLIES:
                self._assemblies.clear()
            type_ = unwrapped(self.definition.type)[0]
            self._assemblies[layout] = assembly(self.selection(type_), layout)
        return self._assemblies[layout]

    @cached_property
    def below(self) -> "Sequence[Field]":
        """The fields selected below this one; none where its type is abstract or a leaf."""
        type_: Any = self.definition.type
        while hasattr(type_, "of_type"):
            type_ = type_.of_type
        return self.selection(type_).fields if isinstance(type_, GraphQLObjectType) else ()


def _alone(root: Selection) -> Field | None:
    """The only field of most operations, if a coroutine resolves it and what that gives may come with all below it."""
    if len(root.fields) != 1:
        return None
    [field] = root.fields
    return field if iscoroutinefunction(field.resolver) and field.bulk is None and field.direct is not None else None


def _reader(columns: tuple[str, ...]) -> Callable[[Sequence[Any]], Sequence[Sequence[Any]]]:
    """Reads columns of many parents at once, whether they are rows or hold columns themselves (`parents.columns`)."""
    if not columns:
        return lambda _parents: ()
    pick = itemgetter(*columns)
    alone = len(columns) == 1

    def read(parents: Sequence[Any]) -> Sequence[Sequence[Any]]:
        if hasattr(parents, "columns"):
            held: Sequence[Sequence[Any]] = parents.columns(columns)
            return held
        picked = list(map(pick, parents))
        return [picked] if alone else list(zip(*picked, strict=True))

    return read


def _builder(keys: tuple[str, ...]) -> Build:
    """Turns columns into so many objects. Written as source, as dataclasses are: twice as fast as dict(zip())."""
    if not keys:
        return lambda _columns, length: [{} for _ in range(length)]
    # Keys are GraphQL names, which are ASCII identifiers.
    names = [f"v{place}" for place in range(len(keys))]
    display = ", ".join(f"{key!r}: {name}" for key, name in zip(keys, names, strict=True))
    source = f"lambda columns, _length: [{{{display}}} for {', '.join(names)}, in zip(*columns)]"
    build: Build = eval(source, {"zip": zip})  # noqa: S307
    return build
