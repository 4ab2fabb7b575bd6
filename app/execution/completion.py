"""Value completion (spec 6.4.3), a whole column at a time.

A completer takes the resolved values of one field for all parents and gives the completed column, or a promise of it
where objects have yet to be made. It knows only the good case: whatever would become a field error raises `BailOut`,
and graphql-core then completes the recorded values, error by error.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import islice
from types import CoroutineType
from typing import Any

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

from app.execution.field_plan import scalar_plan_of
from app.execution.plan import BailOut, Check, Complete, Field, Layers, Paths, Promise, Values
from loaders.rows import Lists, Rows

_NONE = type(None)
_NOTHING = frozenset({_NONE, type(Undefined)})
_FLOATS = frozenset({float})
_PLAIN = frozenset({_NONE, bool, int, float, str, bytes, dict, list, tuple})


def completer(type_: GraphQLOutputType) -> Complete:
    check = leaf_check(type_)
    if check is not None:
        return _leaf(check)
    if is_non_null_type(type_):
        return _non_null(completer(type_.of_type))
    if is_list_type(type_):
        return _list(completer(type_.of_type))
    if is_abstract_type(type_):
        return _abstract(type_)
    assert isinstance(type_, GraphQLObjectType)  # noqa: S101  the spec knows no other output type
    return _object(type_)


@lru_cache(maxsize=1024)
def _leaf(check: Check) -> Complete:
    return lambda _run, _of, values, _paths: check(values)


def holds_awaitable(values: Sequence[Any]) -> bool:
    """Whether one of the values is to be awaited. Raises `BailOut` for an exception that was returned."""
    found = False
    for kind in set(map(type, values)) - _PLAIN:
        if issubclass(kind, Exception):
            raise BailOut
        found = found or kind is CoroutineType or hasattr(kind, "__await__")
    return found


def check_plain(values: Sequence[Any]) -> None:
    """Raises `BailOut` for exceptions and awaitables among the values."""
    if holds_awaitable(values):
        raise BailOut


def _non_null(complete: Complete) -> Complete:
    def complete_non_null(run: Layers, of: Field, values: Any, paths: Paths) -> Values | Promise:
        if has_holes(values):
            raise BailOut
        return complete(run, of, values, paths)

    return complete_non_null


def is_nothing(value: Any) -> bool:
    return value is None or value is Undefined


# ------------------------------------------------------------------------------------------------ leaves


def leaf_check(type_: GraphQLOutputType) -> Check | None:
    """Completes a column of values of a leaf type, null or not; None for all other types."""
    required = is_non_null_type(type_)
    leaf: Any = type_.of_type if is_non_null_type(type_) else type_
    return _check(leaf, required) if is_leaf_type(leaf) else None


# One for all fields of the type: there are some forty to a document.
@lru_cache(maxsize=1024)
def _check(leaf: Any, required: bool) -> Check:
    each = _each(leaf, required)
    if isinstance(leaf, GraphQLEnumType):
        return _enum(leaf, required, each)
    if leaf is GraphQLInt:
        return _int(required, each)
    if leaf is GraphQLFloat:
        return _float(each)
    if leaf is GraphQLString or leaf is GraphQLID:
        return _of_kind(str, required, each)
    if leaf is GraphQLBoolean:
        return _of_kind(bool, required, each)
    plan = scalar_plan_of(leaf)
    return each if plan is None else _bulk(plan.bulk, required, each)


def unchanged(value: Any) -> Any:
    return value


_SAME_AS = {GraphQLString: str, GraphQLID: str, GraphQLInt: int, GraphQLFloat: float, GraphQLBoolean: bool}


def one_by_one(type_: GraphQLOutputType, kind: type) -> Callable[[Any], Any] | None:
    """What completes one value of a leaf type, null included, that is known to be of `kind`: an `int` has 32 bits.

    `unchanged` where it is completed as it is, a number with a fraction only if it is finite; None where a whole column
    has to be looked at.
    """
    leaf: Any = type_.of_type if is_non_null_type(type_) else type_
    if _SAME_AS.get(leaf) is kind and (kind is not float or is_non_null_type(type_)):
        return unchanged
    if isinstance(leaf, GraphQLEnumType):
        names = _names(leaf, is_non_null_type(type_))
        return names.__getitem__ if names and kind is str else None
    plan = scalar_plan_of(leaf) if isinstance(leaf, GraphQLScalarType) else None
    return plan.of.get(kind) if plan else None


def _each(type_: GraphQLScalarType | GraphQLEnumType, required: bool) -> Check:
    """One by one, as graphql-core does it."""
    coerce = type_.coerce_output_value

    def check(values: Sequence[Any]) -> Values:
        if required and has_holes(values):
            raise BailOut
        try:
            completed = [None if is_nothing(value) else coerce(value) for value in values]
        except Exception:
            raise BailOut from None
        for value, result in zip(values, completed, strict=True):
            if is_nothing(result) and not is_nothing(value):
                raise BailOut
        return completed

    return check


def _kinds(kind: type, required: bool) -> frozenset[type]:
    return frozenset({kind} if required else {kind, _NONE})


def _of_kind(kind: type, required: bool, each: Check) -> Check:
    kinds = _kinds(kind, required)
    return lambda values: values if kinds.issuperset(map(type, values)) else each(values)


def _int(required: bool, each: Check) -> Check:
    kinds = _kinds(int, required)

    def check(values: Sequence[Any]) -> Values:
        if not kinds.issuperset(map(type, values)):
            return each(values)
        try:
            fits = min(values) >= GRAPHQL_MIN_INT and max(values) <= GRAPHQL_MAX_INT
        except TypeError:  # a null among them
            fits = all(value is None or GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT for value in values)
        if not fits:
            raise BailOut
        return values

    return check


def _float(each: Check) -> Check:
    def check(values: Sequence[Any]) -> Values:
        # The sum is finite only if each is; where it alone is not, each is looked at.
        if _FLOATS.issuperset(map(type, values)) and math.isfinite(sum(values)):
            return values
        return each(values)

    return check


def _names(type_: GraphQLEnumType, required: bool) -> dict[Any, str | None] | None:
    """The names by their values, and null unless it is an error; None where a value cannot be a key."""
    try:
        # Of several names for one value the first counts. A value that is null has no place here: null stays null.
        names: dict[Any, str | None] = {
            value.value: name for name, value in reversed(type_.values.items()) if not is_nothing(value.value)
        }
    except TypeError:
        return None
    return names if required else {**names, None: None}


def _enum(type_: GraphQLEnumType, required: bool, each: Check) -> Check:
    names = _names(type_, required)
    if names is None:
        return each

    def check(values: Sequence[Any]) -> Values:
        try:
            return [names[value] for value in values]
        except (KeyError, TypeError):
            return each(values)

    return check


def _bulk(bulk: Check, required: bool, each: Check) -> Check:
    """By the scalar's own function for many values, which gives null for null and raises what it cannot take."""

    def check(values: Sequence[Any]) -> Values:
        if required and has_holes(values):
            raise BailOut
        try:
            return bulk(values)
        except Exception:
            return each(values)

    return check


# ------------------------------------------------------------------------------------------------ lists


def _list(complete: Complete) -> Complete:
    def complete_list(run: Layers, of: Field, values: Any, paths: Paths) -> Values | Promise:
        items: Sequence[Any]
        lengths: Sequence[int | None]
        if isinstance(values, Lists):
            items, lengths = values.rows, values.lengths
        else:
            items, lengths = flatten(values)
        if not items:
            return [None if length is None else [] for length in lengths]

        def item_paths() -> list[Path]:
            pairs = zip(paths(), lengths, strict=True)
            return [Path(path, place, None) for path, length in pairs if length for place in range(length)]

        completed = complete(run, of, items, item_paths)
        if callable(completed):
            promise = completed
            return lambda: regroup(promise(), lengths)
        return regroup(completed, lengths)

    return complete_list


def flatten(values: Sequence[Any]) -> tuple[Sequence[Any], list[int | None]]:
    """The items of all lists, and how many each has; None for a null in place of a list."""
    if len(values) == 1 and isinstance(values[0], Rows):
        return values[0], [len(values[0])]
    items: list[Any] = []
    lengths: list[int | None] = []
    for value in values:
        if is_nothing(value):
            lengths.append(None)
            continue
        if not isinstance(value, list | tuple) and (
            # Iterators can be read only once, so they are left to graphql-core unread.
            hasattr(value, "__aiter__") or hasattr(value, "__next__") or not is_iterable(value)
        ):
            raise BailOut
        before = len(items)
        items.extend(value)
        lengths.append(len(items) - before)
    check_plain(items)
    return items, lengths


def regroup(items: Values, lengths: Sequence[int | None]) -> list[list[Any] | None]:
    if len(lengths) == 1 and lengths[0] is not None:
        return [list(items)]
    rest = iter(items)
    return [None if length is None else list(islice(rest, length)) for length in lengths]


# ------------------------------------------------------------------------------------------------ objects


def _object(type_: GraphQLObjectType) -> Complete:
    if type_.is_type_of is not None:
        return _left_to_graphql_core

    def complete_object(run: Layers, of: Field, values: Any, paths: Paths) -> Values | Promise:
        if not has_holes(values):
            return run.add(of, type_, values, paths)
        sources = [value for value in values if not is_nothing(value)]
        if not sources:
            return [None] * len(values)

        def source_paths() -> list[Path]:
            return [path for path, value in zip(paths(), values, strict=True) if not is_nothing(value)]

        promise = run.add(of, type_, sources, source_paths)
        return lambda: fill(values, promise())

    return complete_object


def _left_to_graphql_core(run: Layers, of: Field, values: Any, paths: Paths) -> Values | Promise:  # noqa: ARG001
    """A type with `is_type_of` wants to be asked about each value, perhaps asynchronously."""
    raise BailOut


def has_holes(values: Any) -> bool:
    # Rows by column, and lists of them, have none.
    return not (isinstance(values, Rows | Lists) or _NOTHING.isdisjoint(map(type, values)))


def fill(values: Sequence[Any], objects: Values) -> list[Any]:
    rest = iter(objects)
    return [None if is_nothing(value) else next(rest) for value in values]


def _abstract(type_: Any) -> Complete:
    def complete_abstract(run: Layers, of: Field, values: Any, paths: Paths) -> Values | Promise:
        places: dict[str, list[int]] = {}
        types: dict[str, GraphQLObjectType] = {}
        for place, value in enumerate(values):
            if not is_nothing(value):
                runtime = run.type_of(of, type_, value)
                types[runtime.name] = runtime
                places.setdefault(runtime.name, []).append(place)

        def paths_at(taken: list[int]) -> Paths:
            def chosen() -> list[Path]:
                all_paths = paths()
                return [all_paths[place] for place in taken]

            return chosen

        promises = {
            name: run.add(of, types[name], [values[place] for place in taken], paths_at(taken))
            for name, taken in places.items()
        }

        def merged() -> Values:
            column: list[Any] = [None] * len(values)
            for name, promise in promises.items():
                for place, made in zip(places[name], promise(), strict=True):
                    column[place] = made
            return column

        return merged

    return complete_abstract
