"""Value completion (spec 6.4.3), a whole column at a time.

A completer takes the resolved values of one field for all parents and gives the completed column, or a promise of it
where objects have yet to be made. It knows only the good case: whatever would become a field error raises `Flaw`, and
graphql-core then completes the recorded values, error by error.
"""

import math
from collections.abc import Callable, Sequence
from itertools import islice
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLString,
    Undefined,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.pyutils import Path, is_iterable
from graphql.type.scalars import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT

if TYPE_CHECKING:
    from app.execution.plan import Field

Column = Sequence[Any]
Promise = Callable[[], Column]
# Where in the answer the values stand. Paths are only made where somebody asks: for an error, or for `info.path`.
Spots = Callable[[], list[Any]]

_NONE = type(None)
_NOTHING = frozenset({_NONE, type(Undefined)})
_PLAIN = frozenset({_NONE, bool, int, float, str, bytes, dict, list, tuple})


class Flaw(Exception):
    """Something in this execution becomes a field error, or is too rare for a plan."""


class Layering(Protocol):
    """The part of a run that completers use."""

    def add(self, field: "Field", type_: GraphQLObjectType, sources: Sequence[Any], spots: Spots) -> Promise:
        """Objects to be made of `sources`, of which none is None."""

    def type_of(self, field: "Field", type_: Any, value: Any) -> GraphQLObjectType:
        """The type of a value whose type is abstract. Raises `Flaw` where it is not clear at once."""


class Complete(Protocol):
    def __call__(self, run: Layering, values: Any, spots: Spots) -> Column | Promise: ...


def completer(field: "Field", type_: GraphQLOutputType) -> Complete:
    if is_non_null_type(type_):
        return _non_null(completer(field, type_.of_type))
    if is_list_type(type_):
        return _list(completer(field, type_.of_type))
    if is_leaf_type(type_):
        return _leaf(_leaf_check(type_))
    if is_abstract_type(type_):
        return _abstract(field, type_)
    assert isinstance(type_, GraphQLObjectType)  # noqa: S101  the spec knows no other output type
    return _object(field, type_)


def check_plain(values: Sequence[Any]) -> None:
    """Raises `Flaw` for exceptions and awaitables among the items of lists."""
    for kind in set(map(type, values)) - _PLAIN:
        if issubclass(kind, Exception) or kind is CoroutineType or hasattr(kind, "__await__"):
            raise Flaw


def _non_null(complete: Complete) -> Complete:
    def complete_non_null(run: Layering, values: Any, spots: Spots) -> Column | Promise:
        if _has_holes(values):
            raise Flaw
        return complete(run, values, spots)

    return complete_non_null


def _is_nothing(value: Any) -> bool:
    return value is None or value is Undefined


# ------------------------------------------------------------------------------------------------ leaves


def _leaf(check: Callable[[Sequence[Any]], Column]) -> Complete:
    return lambda _run, values, _spots: check(values)


def _leaf_check(type_: Any) -> Callable[[Sequence[Any]], Column]:
    each = _each(type_)
    if isinstance(type_, GraphQLEnumType):
        return _enum(type_, each)
    if type_ is GraphQLInt:
        return _int(each)
    if type_ is GraphQLFloat:
        return _float(each)
    if type_ is GraphQLString or type_ is GraphQLID:
        return _of_kind(frozenset({str, _NONE}), each)
    if type_ is GraphQLBoolean:
        return _of_kind(frozenset({bool, _NONE}), each)
    return getattr(type_.coerce_output_value, "bulk", None) or each


def _each(type_: GraphQLScalarType | GraphQLEnumType) -> Callable[[Sequence[Any]], Column]:
    """One by one, as graphql-core does it."""
    coerce = type_.coerce_output_value

    def check(values: Sequence[Any]) -> Column:
        try:
            completed = [None if _is_nothing(value) else coerce(value) for value in values]
        except Exception:
            raise Flaw from None
        for value, result in zip(values, completed, strict=True):
            if _is_nothing(result) and not _is_nothing(value):
                raise Flaw
        return completed

    return check


def _of_kind(kinds: frozenset[type], each: Callable[[Sequence[Any]], Column]) -> Callable[[Sequence[Any]], Column]:
    return lambda values: values if kinds.issuperset(map(type, values)) else each(values)


def _int(each: Callable[[Sequence[Any]], Column]) -> Callable[[Sequence[Any]], Column]:
    def check(values: Sequence[Any]) -> Column:
        kinds = set(map(type, values))
        if not kinds <= {int, _NONE}:
            return each(values)
        numbers = [value for value in values if value is not None] if _NONE in kinds else values
        if numbers and not (min(numbers) >= GRAPHQL_MIN_INT and max(numbers) <= GRAPHQL_MAX_INT):
            raise Flaw
        return values

    return check


def _float(each: Callable[[Sequence[Any]], Column]) -> Callable[[Sequence[Any]], Column]:
    def check(values: Sequence[Any]) -> Column:
        # The sum is finite only if each is; where it alone is not, each is looked at.
        if {float}.issuperset(map(type, values)) and math.isfinite(sum(values)):
            return values
        return each(values)

    return check


def _enum(type_: GraphQLEnumType, each: Callable[[Sequence[Any]], Column]) -> Callable[[Sequence[Any]], Column]:
    try:
        names: dict[Any, str | None] = {value.value: name for name, value in type_.values.items()}
    except TypeError:  # a value that cannot be a key
        return each
    names[None] = None

    def check(values: Sequence[Any]) -> Column:
        try:
            return [names[value] for value in values]
        except (KeyError, TypeError):
            return each(values)

    return check


# ------------------------------------------------------------------------------------------------ lists


def _list(complete: Complete) -> Complete:
    def complete_list(run: Layering, values: Any, spots: Spots) -> Column | Promise:
        items: Sequence[Any]
        lengths: Sequence[int | None]
        if hasattr(values, "lengths"):
            items, lengths = values.rows, values.lengths
        else:
            items, lengths = _flatten(values)
        if not items:
            return [None if length is None else [] for length in lengths]

        def item_spots() -> list[Path]:
            pairs = zip(spots(), lengths, strict=True)
            return [Path(spot, place, None) for spot, length in pairs if length for place in range(length)]

        completed = complete(run, items, item_spots)
        if callable(completed):
            promise = completed
            return lambda: _regroup(promise(), lengths)
        return _regroup(completed, lengths)

    return complete_list


def _flatten(values: Sequence[Any]) -> tuple[Sequence[Any], list[int | None]]:
    """The items of all lists, and how many each has; None for a null in place of a list."""
    if len(values) == 1 and hasattr(values[0], "column"):
        return values[0], [len(values[0])]
    items: list[Any] = []
    lengths: list[int | None] = []
    for value in values:
        if _is_nothing(value):
            lengths.append(None)
            continue
        if not isinstance(value, list | tuple) and (
            # Iterators can be read only once, so they are left to graphql-core unread.
            hasattr(value, "__aiter__") or hasattr(value, "__next__") or not is_iterable(value)
        ):
            raise Flaw
        before = len(items)
        items.extend(value)
        lengths.append(len(items) - before)
    check_plain(items)
    return items, lengths


def _regroup(items: Column, lengths: Sequence[int | None]) -> list[list[Any] | None]:
    if len(lengths) == 1:
        return [list(items)]
    rest = iter(items)
    return [None if length is None else list(islice(rest, length)) for length in lengths]


# ------------------------------------------------------------------------------------------------ objects


def _object(field: "Field", type_: GraphQLObjectType) -> Complete:
    if type_.is_type_of is not None:
        return _left_to_graphql_core

    def complete_object(run: Layering, values: Any, spots: Spots) -> Column | Promise:
        if not _has_holes(values):
            return run.add(field, type_, values, spots)
        sources = [value for value in values if not _is_nothing(value)]
        if not sources:
            return [None] * len(values)

        def source_spots() -> list[Path]:
            return [spot for spot, value in zip(spots(), values, strict=True) if not _is_nothing(value)]

        promise = run.add(field, type_, sources, source_spots)
        return lambda: _fill(values, promise())

    return complete_object


def _left_to_graphql_core(run: Layering, values: Any, spots: Spots) -> Column | Promise:
    """A type with `is_type_of` wants to be asked about each value, perhaps asynchronously."""
    raise Flaw


def _has_holes(values: Any) -> bool:
    # Rows by column, and lists of them, have none.
    return not (hasattr(values, "column") or hasattr(values, "lengths") or _NOTHING.isdisjoint(map(type, values)))


def _fill(values: Sequence[Any], objects: Column) -> list[Any]:
    rest = iter(objects)
    return [None if _is_nothing(value) else next(rest) for value in values]


def _abstract(field: "Field", type_: Any) -> Complete:
    def complete_abstract(run: Layering, values: Any, spots: Spots) -> Column | Promise:
        places: dict[str, list[int]] = {}
        types: dict[str, GraphQLObjectType] = {}
        for place, value in enumerate(values):
            if not _is_nothing(value):
                runtime = run.type_of(field, type_, value)
                types[runtime.name] = runtime
                places.setdefault(runtime.name, []).append(place)

        def spots_at(taken: list[int]) -> Spots:
            def chosen() -> list[Path]:
                all_spots = spots()
                return [all_spots[place] for place in taken]

            return chosen

        promises = {
            name: run.add(field, types[name], [values[place] for place in taken], spots_at(taken))
            for name, taken in places.items()
        }

        def merged() -> Column:
            column: list[Any] = [None] * len(values)
            for name, promise in promises.items():
                for place, made in zip(places[name], promise(), strict=True):
                    column[place] = made
            return column

        return merged

    return complete_abstract
