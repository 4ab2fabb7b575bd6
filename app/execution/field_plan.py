"""What a field declares about itself, so that a plan need not call its resolver once per object.

A field's `FieldPlan` stands in the `extensions` of its `GraphQLField`. A field without one, or whose resolver was
replaced since, is resolved as graphql-core does it: by a call per object.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLField, GraphQLFieldResolver, GraphQLScalarType

_KEY = "waybill"

# Whether the caller, whose context is given, may have the values without its resolver being asked.
IsOpen = Callable[[Any], bool]
# `bulk(parents, info, **arguments)`: the values for all parents, or an awaitable of them.
Bulk = Callable[..., Any]
# `available(parents, context, field, **arguments)`: the values for all parents where nothing has to be read for them,
# else None.
Available = Callable[..., Any]
# Given a context, what gives the cached value of a key: the same object as long as it is unchanged, None where it is
# not cached. None where nothing is cached for this caller.
Cached = Callable[[Any], Callable[[Any], Any] | None]


def nobody(_context: Any) -> bool:
    return False


def everybody(_context: Any) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class FieldPlan:
    """`resolve` is the field's resolver. All else is optional, and must give what it gives.

    `available` must have no effect. Where `is_open` denies the caller, it is not asked, and no generated code runs: the
    resolver decides, and says why. It denies everybody unless the field says otherwise.

    Values for all parents are a sequence of them. They may be `loaders.rows.Rows`, `Lists` or `Joined`.
    """

    resolve: GraphQLFieldResolver
    bulk: Bulk | None = None
    available: Available | None = None
    is_open: IsOpen = nobody


@dataclass(frozen=True, kw_only=True)
class ColumnPlan(FieldPlan):
    """The value is `parent[column]`, and reading it has no other effect. Who has the row may have its columns."""

    column: str
    is_open: IsOpen = everybody


def column_plan(column: str) -> ColumnPlan:
    """Of a mapping or asyncpg Record. A missing column is a defect and raises KeyError, never null."""

    def resolve(row: Any, _info: Any, **_arguments: Any) -> Any:
        return row[column]

    return ColumnPlan(resolve=resolve, column=column)


@dataclass(frozen=True, kw_only=True)
class SameRowPlan(FieldPlan):
    """The value is the parent itself."""

    is_open: IsOpen = everybody


@dataclass(frozen=True)
class Related:
    """Rows that hang on the parent's column `key`. `relation` is what row shapes know them by.

    `cached` is given where they are found by that key in a cache, instead of with their parents.
    """

    relation: Any
    key: str
    cached: Cached | None = None


@dataclass(frozen=True, kw_only=True)
class RelationPlan(FieldPlan):
    """The value is the related row, or the list of them."""

    related: Related


@dataclass(frozen=True, kw_only=True)
class ComputedPlan(FieldPlan):
    """The value, of a leaf type, is `function` of columns of the parent's row and of columns of one related row.

    Where the parent has no related row, its columns are None. The function raises `BailOut` where they do not suffice:
    then `bulk` gives the values, which reads the columns `keys` of the parent's row as well.
    """

    columns: tuple[str, ...]
    keys: tuple[str, ...] = ()
    function: Callable[..., Any]
    related: Related | None = None
    related_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScalarPlan:
    """How a scalar's values are serialized faster than one by one, each as its `coerce_output_value` does it.

    `bulk(values)` serializes many values, nulls among them, and raises for what it cannot take. `of[kind](value)`
    serializes one, or null, that is known to be of a kind.
    """

    bulk: Callable[[Sequence[Any]], Sequence[Any]]
    of: dict[type, Callable[[Any], Any]]


def declare(field: GraphQLField, plan: FieldPlan) -> None:
    """Has the field resolve by `plan`."""
    field.resolve = plan.resolve
    field.extensions = {**field.extensions, _KEY: plan}


def plan_of(field: GraphQLField) -> FieldPlan | None:
    """What the field has declared, as long as that is about its resolver."""
    plan = field.extensions.get(_KEY)
    return plan if isinstance(plan, FieldPlan) and plan.resolve is field.resolve else None


def declare_scalar(scalar: GraphQLScalarType, plan: ScalarPlan) -> None:
    scalar.extensions = {**scalar.extensions, _KEY: plan}


def scalar_plan_of(scalar: GraphQLScalarType) -> ScalarPlan | None:
    plan = scalar.extensions.get(_KEY)
    return plan if isinstance(plan, ScalarPlan) else None
