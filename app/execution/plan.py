"""Plans: a selection set compiled once, so that a request only moves values. Data and types; `compile.py` makes them.

A plan follows the spec's collection of fields, by graphql-core's own `collect_fields`, and fixes all that does not
depend on values: which resolver each field has, how its type is completed, in what order its keys appear, and by which
tiers it may run. It holds for one operation of one document and one choice of what `@skip` and `@include` leave of it.

What is part of a plan refers to what is below it and never back, so that a plan that is forgotten is gone at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLFieldResolver,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
)
from graphql.execution.values import VariableValues

from app.execution.field_plan import Bulk, ColumnPlan, FieldPlan


class BailOut(Exception):
    """This tier cannot go on, and has had no effect: the next one does. What was compiled says why."""


# The values of one field, one for each of its parents; or what became of them.
Values = Sequence[Any]
# Completed values of which objects have yet to be made.
Promise = Callable[[], Values]
# Where in the answer the values stand. Paths are only made where somebody asks: for an error, or for `info.path`.
Paths = Callable[[], list[Any]]
# Completes values of a leaf type, null or not. Raises `BailOut`.
Check = Callable[[Values], Values]
# The arguments of a field, given the variables. Raises what graphql-core raises.
Arguments = Callable[[VariableValues], dict[str, Any]]
# Reads columns of many parents at once.
Read = Callable[[Sequence[Any]], Sequence[Values]]
# Makes so many objects of columns.
Build = Callable[[Sequence[Values], int], list[dict[str, Any]]]


# ------------------------------------------------------------------------------------------------ joined rows


class JoinedColumn(Protocol):
    """A column: its place in the row, and the type of its values beside null; an `int` has 32 bits."""

    @property
    def place(self) -> int: ...
    @property
    def type(self) -> type: ...


class Join(Protocol):
    """Rows that hang on others, at most one or `many` on each: their `column` equals the parents' `parent_column`."""

    @property
    def part(self) -> int: ...
    @property
    def column(self) -> str: ...
    @property
    def parent_column(self) -> str: ...
    @property
    def many(self) -> bool: ...


class RowShape(Protocol):
    """How to read a row that holds several kinds of rows, its parts, by columns.

    `join` finds the part that hangs on another one by what a field names as its `relation`, if it came along.
    """

    @property
    def parts(self) -> Sequence[Mapping[str, JoinedColumn]]: ...
    def join(self, parent: int, relation: Any) -> Join | None: ...


class ResultSet(Protocol):
    """What came at once. The list of its first rows is the result set itself; each of these rows has its place."""

    @property
    def shape(self) -> RowShape: ...
    def made(self, make: "Make", run: "Execution") -> list[dict[str, Any]]:
        """What `make` gives for the row that holds all columns, and a run of somebody who may see it."""


# ------------------------------------------------------------------------------------------------ tiers


class Execution(Protocol):
    """The run that objects are made for. `is_generated` says whether generated code made some of them."""

    is_generated: bool

    @property
    def context(self) -> Any: ...
    def arguments(self, of: "Field") -> dict[str, Any]:
        """Raises `BailOut`."""


class Layers(Execution, Protocol):
    """The part of a run that completes level by level."""

    def add(self, of: "Field", type_: GraphQLObjectType, sources: Sequence[Any], paths: Paths) -> Promise:
        """Objects to be made of `sources`, of which none is None."""

    def type_of(self, of: "Field", type_: Any, value: Any) -> GraphQLObjectType:
        """The type of a value whose type is abstract. Raises `BailOut` where it is not clear at once."""


# The objects of the first part's rows, given the row of all columns.
Make = Callable[[Sequence[Any], Execution], list[dict[str, Any]]]
# The values of a field become completed ones at once, with all that is below them. Raises `BailOut`.
Synchronous = Callable[[Any, Execution], Values]


@dataclass(frozen=True, slots=True)
class Generated:
    """What was written for rows of one shape: `make`, shown as `file` by tracebacks; or the reason why nothing was."""

    make: Make | None
    file: str = ""
    reason: str = ""


# What is written for a shape, when it is first met: which columns a statement gives, only the database knows.
Generate = Callable[[RowShape], Generated]


class Complete(Protocol):
    """Completes the values of a field, with layers for objects. Raises `BailOut`."""

    def __call__(self, run: Layers, of: "Field", values: Any, paths: Paths) -> Values | Promise: ...


# ------------------------------------------------------------------------------------------------ plans


@dataclass(slots=True, eq=False, weakref_slot=True)
class Field:
    """One key of the answer. Resolvers see it as `info.lookahead`: what the caller selects below them.

    `selections` holds what is selected of values of each object type. `check` completes a leaf, `complete` anything.
    `synchronous` is the short way from values to objects, by code that `generate` gives where rows came joined. Where
    there is neither, `reasons` tell why, by tier.
    """

    key: str
    name: str
    parent_type: GraphQLObjectType
    definition: GraphQLField
    nodes: list[FieldNode]
    resolver: GraphQLFieldResolver
    plan: FieldPlan | None
    bulk: Bulk | None
    arguments: Arguments
    check: Check | None
    complete: Complete
    selections: "Mapping[str, Selection]"
    constant: str | None = None
    generate: Generate | None = None
    synchronous: Synchronous | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    memory: dict[Any, Any] = field(default_factory=dict)  # for what a resolver concludes from the selection below it

    @property
    def column(self) -> str | None:
        return self.plan.column if isinstance(self.plan, ColumnPlan) else None

    def available(self, sources: Sequence[Any], context: Any, arguments: Mapping[str, Any]) -> Any:
        """The values of all sources where nothing has to be read for them, and the caller may have them; else None."""
        plan = self.plan
        if plan is None or plan.available is None or not plan.is_open(context):
            return None
        return plan.available(sources, context, self, **arguments)

    @property
    def below(self) -> "Sequence[Field]":
        """The fields selected below this one; none where its type is abstract or a leaf."""
        type_ = get_named_type(self.definition.type)
        return self.selections[type_.name].fields if isinstance(type_, GraphQLObjectType) else ()


@dataclass(slots=True, eq=False, weakref_slot=True)
class Selection:
    """The fields that are selected of the objects of one type, in the order of the answer.

    `read` gives the columns of all fields that are one of a leaf type; `leaves` are their places among the fields, each
    with its check. `others` are the places of all other fields.
    """

    type: GraphQLObjectType
    fields: Sequence[Field]
    read: Read
    leaves: Sequence[tuple[int, Check]]
    others: Sequence[tuple[int, Field]]
    build: Build

    def field(self, key: str) -> Field | None:
        """The field that answers to this key."""
        return next((each for each in self.fields if each.key == key), None)


@dataclass(slots=True, eq=False, weakref_slot=True)
class Plan:
    """The root selection of an operation.

    `alone` is the root's field where there is but one, and no more to it than a coroutine and objects; see `Run.alone`.
    """

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    root: Selection
    alone: Field | None
