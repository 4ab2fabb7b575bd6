"""The short way for what is at hand: objects made straight from rows, with all that is below them.

Where rows and all that hangs on them are there, nothing has to be waited for, and no resolver below does anything but
pick. Then a field's values become objects in one recursion, without layers, or by `app.execution.codegen` where one
statement brought them all. It goes wrong only before it has had any effect: whatever is not at hand, or not plainly
right, raises `Otherwise`, and the run goes the long way.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from graphql import GraphQLObjectType

from app.execution.codegen import Bundle, Otherwise, unwrapped
from app.execution.completion import Column, Flaw, fill, flatten, has_holes, is_nothing, regroup

if TYPE_CHECKING:
    from app.execution.plan import Field, Selection

# The values of a field, given those of its parents and the context, become its completed column.
Direct = Callable[[Any, Any], Column]


def direct(field: "Field") -> Direct | None:
    """None where something below the field is neither a column nor at hand, or its type is abstract."""
    type_, is_required, is_list = unwrapped(field.definition.type)
    if not isinstance(type_, GraphQLObjectType) or type_.is_type_of is not None:
        return None
    make = _maker(field.selection(type_))
    if make is None:
        return None
    return _bundled(field, _lists(make), is_list=True) if is_list else _bundled(field, _objects(make, is_required))


def _bundled(field: "Field", complete: Direct, *, is_list: bool = False) -> Direct:
    """`complete`, but for a value that came with all that hangs on it."""

    def complete_bundle(values: Any, context: Any) -> Column:
        bundle: Bundle | None = None
        if type(values) is list and len(values) == 1:
            bundle = getattr(values[0], "bundle", None)
        assemble = None if bundle is None else field.assembly(bundle.layout)
        if bundle is None or assemble is None:
            return complete(values, context)
        try:
            objects = bundle.made(assemble, context)
        except Exception:
            raise Otherwise from None
        return [objects] if is_list else [objects[values[0].place]]

    return complete_bundle


def _maker(selection: "Selection") -> Direct | None:
    picks: list[tuple[int, Field, Direct]] = []
    constants: list[tuple[int, str]] = []
    for slot, field in selection.others:
        if field.constant is not None:
            constants.append((slot, field.constant))
        elif field.at_hand is None or field.definition.args:
            return None
        elif field.check is not None:
            picks.append((slot, field, _leaf(field.check)))
        elif (below := field.direct) is not None:
            picks.append((slot, field, below))
        else:
            return None
    read, leaves, width = selection.read, selection.leaves, len(selection.fields)

    def make(sources: Sequence[Any], context: Any) -> Column:
        columns: list[Any] = [None] * width
        try:
            for (slot, check), column in zip(leaves, read(sources), strict=True):
                columns[slot] = check(column)
            for slot, field, complete in picks:
                values = field.at_hand(sources, context, field)  # type: ignore[misc]
                if values is None:
                    raise Otherwise
                columns[slot] = complete(values, context)
        except Otherwise:
            raise
        except Exception:
            raise Otherwise from None
        for slot, constant in constants:
            columns[slot] = [constant] * len(sources)
        return selection.build(columns, len(sources))

    return make


def _leaf(check: Callable[[Sequence[Any]], Column]) -> Direct:
    return lambda values, _context: check(values)


def _lists(make: Direct) -> Direct:
    def complete(values: Any, context: Any) -> Column:
        try:
            items, lengths = (values.rows, values.lengths) if hasattr(values, "lengths") else flatten(values)
        except Flaw:
            raise Otherwise from None
        if None in lengths or has_holes(items):
            raise Otherwise
        return regroup(make(items, context), lengths) if items else [[] for _ in lengths]

    return complete


def _objects(make: Direct, is_required: bool) -> Direct:
    def complete(values: Any, context: Any) -> Column:
        if not has_holes(values):
            return make(values, context)
        sources = [value for value in values if not is_nothing(value)]
        if is_required:
            raise Otherwise
        return fill(values, make(sources, context) if sources else ())

    return complete
