"""Objects made straight from the columns of one statement, by a function that is written for the selection.

Where a statement brought rows with all that hangs on them, what is left to do is known before they come: which columns
to check, which rows go below which, and what the objects look like. So it is written down once as Python source, as
dataclasses do it, and a request neither walks the selection nor asks a loader. The function takes the row that holds
all columns, one array each, and the context. It knows the good case only, and raises `Otherwise` for anything else.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol

from graphql import GraphQLObjectType, is_list_type, is_non_null_type

from app.execution.completion import Column, one_by_one, unchanged

if TYPE_CHECKING:
    from app.execution.plan import Field, Selection

# Of each field that is kept; documents are many.
_MOST_KEPT = 100

# The objects of the first part's rows, given the row of all columns and the context.
Assemble = Callable[[Sequence[Any], Any], list[dict[str, Any]]]


class Otherwise(Exception):
    """The long way is needed."""


class Placed(Protocol):
    """A column: its place in the row, and the type of its values beside null; an `int` has 32 bits."""

    @property
    def place(self) -> int: ...
    @property
    def type(self) -> type: ...


class Hanging(Protocol):
    """Rows that hang on others, at most one or `many` on each: their `column` equals the parents' `parent_column`."""

    @property
    def part(self) -> int: ...
    @property
    def column(self) -> str: ...
    @property
    def parent_column(self) -> str: ...
    @property
    def many(self) -> bool: ...


class Layout(Protocol):
    """How to read a row that holds several kinds of rows, its parts, by columns.

    `hanging` finds the part that hangs on another one by what a resolver names as its `relation`, if it came along.
    """

    @property
    def parts(self) -> Sequence[Mapping[str, Placed]]: ...
    def hanging(self, parent: int, relation: Any) -> Hanging | None: ...


class Bundle(Protocol):
    """What came at once. The list of its first rows is the bundle itself; one of these rows has it, and a `place`."""

    @property
    def layout(self) -> Layout: ...
    def made(self, make: Assemble, context: Any) -> list[dict[str, Any]]:
        """What `make` gives for the row that holds all columns, and a context of somebody who may see it."""


def assembly(selection: "Selection", layout: Layout) -> Assemble | None:
    """None where the selection holds something that the layout does not give."""
    writer = _Writer(layout)
    try:
        objects = writer.objects(selection, 0)
    except Otherwise:
        return None
    return writer.function(objects)


class _Writer:
    """Writes the body of the function, the rows that hang on others before those."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._body: list[str] = []
        self._known: dict[str, Any] = {"Otherwise": Otherwise, "isfinite": isfinite}
        self._read: set[int] = set()
        self._guards: list[str] = []
        self._numbers = count()

    def function(self, objects: str) -> Assemble:
        lines = [f"if not ({' and '.join(self._guards)}): raise Otherwise"] if self._guards else []
        for part in self._layout.parts:
            names = [f"c{column.place}" for column in part.values() if column.place in self._read]
            lines += [f"{name} = row[{name[1:]}]" for name in names]
            if names:  # an array of no rows is null
                lines.append(f"if {names[0]} is None: {' = '.join(names)} = ()")
        lines += [*self._body, f"return {objects}"]
        source = "def assemble(row, context):\n" + "".join(f"    {line}\n" for line in lines)
        exec(source, self._known)  # noqa: S102
        made: Assemble = self._known.pop("assemble")  # a function among its own names would be a circle
        return made

    def objects(self, selection: "Selection", part: int) -> str:
        """The name of a list of the objects of a part's rows."""
        values: dict[str, str] = {}
        display = self._display(selection, part, values)
        if not values:  # nothing but __typename; each part has a column
            values["_"] = self._column(part, next(iter(self._layout.parts[part])))
        objects = self._name("o")
        names, columns = ", ".join(values), ", ".join(values.values())
        self._body.append(f"{objects} = [{display} for {names}, in zip({columns})]")
        return objects

    def _display(self, selection: "Selection", part: int, values: dict[str, str]) -> str:
        """The source of one object. `values` gets the columns that it is made of, by the names for their values."""
        entries = (f"{field.key!r}: {self._value(field, part, values)}" for field in selection.fields)
        return f"{{{', '.join(entries)}}}"

    def _value(self, field: "Field", part: int, values: dict[str, str]) -> str:
        if field.constant is not None:
            return repr(field.constant)
        if field.definition.args:
            raise Otherwise
        if field.column is not None and field.check is not None:
            return self._leaf(field, part, values)
        type_, is_required, is_list = unwrapped(field.definition.type)
        if not isinstance(type_, GraphQLObjectType) or type_.is_type_of is not None:
            raise Otherwise
        if field.is_same:
            return self._display(field.selection(type_), part, values)
        hanging = None if field.relation is None else self._layout.hanging(part, field.relation)
        if hanging is None:
            return self._each(values, self._kept(field, part))
        if hanging.many is not is_list:
            raise Otherwise
        if field.is_open is not None:
            self._guards.append(f"{self._named('open', field.is_open)}(context)")
        key = self._column(part, hanging.parent_column)
        found = self._by_key(self.objects(field.selection(type_), hanging.part), hanging, key)
        # A key without a row is a null, and where there must be a row an error.
        return f"{found}[{self._each(values, key)}]" if is_required else f"{found}.get({self._each(values, key)})"

    def _by_key(self, objects: str, hanging: Hanging, parent_keys: str) -> str:
        """The name of a dict of objects, or of lists of them, by what they hang on."""
        keys, found = self._column(hanging.part, hanging.column), self._name("f")
        if not hanging.many:
            self._body.append(f"{found} = dict(zip({keys}, {objects}))")
            return found
        self._body += [
            f"{found} = {{key: [] for key in {parent_keys} if key is not None}}",
            f"for key, made in zip({keys}, {objects}): {found}[key].append(made)",
        ]
        return found

    def _leaf(self, field: "Field", part: int, values: dict[str, str]) -> str:
        """The source of a leaf's value, which is looked at as far as the database does not vouch for it."""
        assert field.column is not None  # noqa: S101
        column = self._column(part, field.column)
        kind = self._layout.parts[part][field.column].type
        one = one_by_one(field.definition.type, kind)
        if kind is float and one is unchanged:
            # The sum is finite only if each is; of a null there is no sum.
            self._body.append(f"if not isfinite(sum({column})): raise Otherwise")
            return self._each(values, column)
        if one is None:
            checked = self._name("x")
            self._body.append(f"{checked} = {column} and {self._named('check', field.check)}({column})")
            return self._each(values, checked)
        if is_non_null_type(field.definition.type):
            self._body.append(f"if None in {column}: raise Otherwise")
        value = self._each(values, column)
        return value if one is unchanged else f"{self._named('one', one)}({value})"

    def _kept(self, field: "Field", part: int) -> str:
        """The name of a column of objects that are made of what is kept, by the column of their keys."""
        if field.held is None or field.direct is None or field.is_open is not None:
            raise Otherwise
        keys, completed = self._column(part, field.held[0]), self._name("x")
        self._body.append(f"{completed} = {keys} and {self._named('kept', _keeper(field))}({keys}, context)")
        return completed

    def _column(self, part: int, name: str) -> str:
        column = self._layout.parts[part].get(name)
        if column is None:
            raise Otherwise
        self._read.add(column.place)
        return f"c{column.place}"

    def _each(self, values: dict[str, str], column: str) -> str:
        """The name that stands for one value of a column."""
        values.setdefault(f"v_{column}", column)
        return f"v_{column}"

    def _name(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers)}"

    def _named(self, prefix: str, value: Any) -> str:
        name = self._name(prefix)
        self._known[name] = value
        return name


def unwrapped(type_: Any) -> tuple[Any, bool, bool]:
    """What a type is of, whether it must be there, and whether it is a list; of lists in lists the inner list."""
    is_required = is_non_null_type(type_)
    type_ = type_.of_type if is_required else type_
    is_list = is_list_type(type_)
    if is_list:
        type_ = type_.of_type.of_type if is_non_null_type(type_.of_type) else type_.of_type
    return type_, is_required, is_list


def _keeper(field: "Field") -> Callable[[Sequence[Any], Any], Column]:
    """Completes the values of a field that are kept by key; as long as one is the same, so is what was made of it."""
    assert field.held is not None  # noqa: S101
    assert field.direct is not None  # noqa: S101
    held_in, complete = field.held[1], field.direct
    is_lasting = all(below.constant or (below.check and below.column) for below in field.below)
    lasting: dict[Any, tuple[Any, Any]] = {}

    def objects(keys: Sequence[Any], context: Any) -> Column:
        held = held_in(context)
        if held is None:
            raise Otherwise
        made = lasting if is_lasting else {}
        found = []
        for key in keys:
            value = None if key is None else held(key)
            known = made.get(key)
            if known is None or known[0] is not value:
                if value is None and key is not None:
                    raise Otherwise
                if len(made) >= _MOST_KEPT:
                    made.clear()
                known = made[key] = value, complete([value], context)[0]
            found.append(known[1])
        return found

    return objects
