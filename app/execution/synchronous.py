"""The short way for what is available: objects made straight from rows, with all that is below them.

Where rows and all that hangs on them are there, nothing has to be waited for, and no resolver below does anything but
pick. Then a field's values become objects in one recursion, without layers, or by generated code (`codegen.py`) where
one statement brought them all. It goes wrong only before it has had any effect: whatever is not available, or not
plainly right, raises `BailOut`, and the run goes the long way.
"""

from collections.abc import Sequence
from typing import Any

from graphql import GraphQLObjectType, get_named_type

from app.execution.codegen import unwrapped
from app.execution.completion import fill, flatten, has_holes, is_nothing, regroup
from app.execution.plan import BailOut, Check, Execution, Field, Generate, ResultSet, Selection, Synchronous, Values
from loaders.rows import Joined, Lists


def synchronous(field: Field) -> Synchronous:
    """Raises `BailOut` where something below the field has a resolver that may do more, or its type is abstract."""
    type_, is_required, is_list = unwrapped(field.definition.type)
    if not isinstance(type_, GraphQLObjectType):
        raise BailOut(f"its type {get_named_type(field.definition.type)} is none of objects")
    if type_.is_type_of is not None:
        raise BailOut(f"{type_} wants to be asked about each value")
    make = _maker(field.selections[type_.name])
    return _lists(make) if is_list else _objects(make, is_required)


def generated_first(field: Field, generate: Generate, complete: Synchronous | None) -> Synchronous:
    """`complete`, but generated code for a value that came with all that hangs on it."""
    is_list = unwrapped(field.definition.type)[2]
    complete = complete or _bail_out

    def complete_joined(values: Any, run: Execution) -> Values:
        value = values[0] if type(values) is list and len(values) == 1 else None
        if not isinstance(value, Joined):
            return complete(values, run)
        result: ResultSet = value.result
        make = generate(result.shape).make
        if make is None:
            return complete(values, run)
        try:
            objects = result.made(make, run)
            completed = [objects] if is_list else [objects[value.place]]
        except Exception:
            raise BailOut from None
        run.is_generated = True
        return completed

    return complete_joined


def _bail_out(_values: Any, _run: Execution) -> Values:
    raise BailOut


def _maker(selection: Selection) -> Synchronous:
    picks: list[tuple[int, Field, Synchronous]] = []
    constants: list[tuple[int, str]] = []
    for slot, field in selection.others:
        if field.constant is not None:
            constants.append((slot, field.constant))
        elif field.plan is None or field.plan.available is None:
            reason = "arguments" if field.definition.args else "a resolver that may have to wait"
            raise BailOut(f"{field.key} has {reason}")
        elif field.check is not None:
            picks.append((slot, field, _leaf(field.check)))
        elif field.synchronous is not None:
            picks.append((slot, field, field.synchronous))
        else:
            raise BailOut(f"{field.key}: {field.reasons['synchronous']}")
    read, leaves, build, width = selection.read, selection.leaves, selection.build, len(selection.fields)

    def make(sources: Sequence[Any], run: Execution) -> Values:
        columns: list[Any] = [None] * width
        try:
            for (slot, check), column in zip(leaves, read(sources), strict=True):
                columns[slot] = check(column)
            for slot, field, complete in picks:
                values = field.available(sources, run.context, run.arguments(field))
                if values is None:
                    raise BailOut
                columns[slot] = complete(values, run)
        except BailOut:
            raise
        except Exception:
            raise BailOut from None
        for slot, constant in constants:
            columns[slot] = [constant] * len(sources)
        return build(columns, len(sources))

    return make


def _leaf(check: Check) -> Synchronous:
    return lambda values, _run: check(values)


def _lists(make: Synchronous) -> Synchronous:
    def complete(values: Any, run: Execution) -> Values:
        items, lengths = (values.rows, values.lengths) if isinstance(values, Lists) else flatten(values)
        if None in lengths or has_holes(items):
            raise BailOut
        return regroup(make(items, run), lengths) if items else [[] for _ in lengths]

    return complete


def _objects(make: Synchronous, is_required: bool) -> Synchronous:
    def complete(values: Any, run: Execution) -> Values:
        if not has_holes(values):
            return make(values, run)
        sources = [value for value in values if not is_nothing(value)]
        if is_required:
            raise BailOut
        return fill(values, make(sources, run) if sources else ())

    return complete
