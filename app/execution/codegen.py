"""Objects made straight from the columns of one statement, by a function that is written for the selection.

Where a statement brought rows with all that hangs on them, what is left to do is known before they come: which columns
to check, which rows go below which, and what the objects look like. So it is written down once as Python source, as
dataclasses do it, and a request neither walks the selection nor asks a loader. The function takes the row that holds
all columns, one array each, and the run. It knows the good case only, and raises `BailOut` for anything else.

All that is written is in `linecache` under a name of its own, so that tracebacks and profiles show it.
"""

import linecache
from collections.abc import Callable, Sequence
from itertools import count, repeat
from math import isfinite
from typing import Any
from weakref import finalize

from graphql import GraphQLObjectType, get_named_type, is_list_type, is_non_null_type

from app.execution.completion import one_by_one, unchanged
from app.execution.field_plan import (
    Cached,
    ColumnPlan,
    ComputedPlan,
    Related,
    RelationPlan,
    SameRowPlan,
    everybody,
    nobody,
)
from app.execution.plan import (
    BailOut,
    Build,
    Check,
    Execution,
    Field,
    Generate,
    Generated,
    RowShape,
    Selection,
    Synchronous,
    Values,
)

# Of each field that is cached; documents are many.
_MOST_CACHED = 100
# Of each field: a statement's rows have one shape, and another where it is composed anew.
_MOST_SHAPES = 4

_numbers = count(1)


def generator(field: Field) -> Generate:
    """What writes the function that makes the field's objects of rows of some shape, once for each.

    Raises `BailOut` where there is none whatever the shape.
    """
    type_ = _object_type(field)
    selection = field.selections[type_.name]
    for below in selection.fields:
        _refuse(below)
    name = f"{field.parent_type.name}.{field.name}"
    known: dict[RowShape, Generated] = {}

    def generate(shape: RowShape) -> Generated:
        generated = known.get(shape)
        if generated is None:
            if len(known) >= _MOST_SHAPES:
                known.clear()
            generated = known[shape] = _generated(name, selection, shape)
        return generated

    return generate


def _object_type(field: Field) -> GraphQLObjectType:
    type_ = unwrapped(field.definition.type)[0]
    if not isinstance(type_, GraphQLObjectType):
        raise BailOut(f"its type {get_named_type(field.definition.type)} is none of objects")
    if type_.is_type_of is not None:
        raise BailOut(f"{type_} wants to be asked about each value")
    return type_


def _refuse(field: Field) -> None:
    """Raises `BailOut` where the field can be no part of generated code, whatever the shape."""
    if field.constant is not None:
        return
    plan = field.plan
    if field.definition.args:
        raise BailOut(f"{field.key} has arguments")
    if plan is None:
        raise BailOut(f"{field.key} has a resolver and no plan")
    if plan.is_open is nobody:
        raise BailOut(f"only the resolver of {field.key} knows who may have it")
    if isinstance(plan, ColumnPlan | ComputedPlan):
        if field.check is None:
            raise BailOut(f"{field.key} is no leaf")
    elif isinstance(plan, RelationPlan) and plan.related.cached is not None:
        if field.synchronous is None:
            raise BailOut(f"{field.key}: {field.reasons['synchronous']}")
    elif isinstance(plan, SameRowPlan | RelationPlan):
        if field.generate is None:
            raise BailOut(f"{field.key}: {field.reasons['generated']}")
    else:
        raise BailOut(f"{field.key} is not read off a row")


def _generated(name: str, selection: Selection, shape: RowShape) -> Generated:
    writer = _Writer(shape)
    try:
        objects = writer.objects(selection, 0)
    except BailOut as reason:
        return Generated(None, reason=str(reason))
    source = writer.source(objects)
    make, file = written(source, "make", name, writer.known)
    return Generated(make, file)


def written(source: str, function: str, name: str, known: dict[str, Any]) -> tuple[Any, str]:
    """The function of that name in `source`, and the file under which tracebacks and `linecache` show it.

    The source goes with the function.
    """
    file = f"<waybill {name} {next(_numbers)}>"
    exec(compile(source, file, "exec"), known)  # noqa: S102
    made = known.pop(function)  # a function among its own names would be a circle
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    finalize(made, linecache.cache.pop, file, None)
    return made, file


class _Writer:
    """Writes the body of the function, the rows that hang on others before those. `known` are the names it uses."""

    def __init__(self, shape: RowShape) -> None:
        self.known: dict[str, Any] = {"BailOut": BailOut, "isfinite": isfinite, "repeat": repeat}
        self._shape = shape
        self._body: list[str] = []
        self._read: set[int] = set()
        self._guards: list[str] = []
        self._numbers = count()

    def source(self, objects: str) -> str:
        lines = [f"if not ({' and '.join(self._guards)}): raise BailOut"] if self._guards else []
        for part in self._shape.parts:
            names = [f"c{column.place}" for column in part.values() if column.place in self._read]
            lines += [f"{name} = row[{name[1:]}]" for name in names]
            if names:  # an array of no rows is null
                lines.append(f"if {names[0]} is None: {' = '.join(names)} = ()")
        lines += [*self._body, f"return {objects}"]
        return "def make(row, run):\n" + "".join(f"    {line}\n" for line in lines)

    def objects(self, selection: Selection, part: int) -> str:
        """The name of a list of the objects of a part's rows."""
        values: dict[str, str] = {}
        display = self._display(selection, part, values)
        if not values:  # nothing but __typename; each part has a column
            values["_"] = self._column(part, next(iter(self._shape.parts[part])))
        objects = self._name("o")
        names, columns = ", ".join(values), ", ".join(values.values())
        self._body.append(f"{objects} = [{display} for {names}, in zip({columns})]")
        return objects

    def _display(self, selection: Selection, part: int, values: dict[str, str]) -> str:
        """The source of one object. `values` gets the columns that it is made of, by the names for their values."""
        entries = (f"{field.key!r}: {self._value(field, part, values)}" for field in selection.fields)
        return f"{{{', '.join(entries)}}}"

    def _value(self, field: Field, part: int, values: dict[str, str]) -> str:
        plan = field.plan
        if field.constant is not None:
            return repr(field.constant)
        if plan is None:
            raise BailOut(f"{field.key} has no plan")
        if plan.is_open is not everybody:
            self._guards.append(f"{self._named('open', plan.is_open)}(run.context)")
        if isinstance(plan, ColumnPlan):
            return self._leaf(field, plan.column, part, values)
        if isinstance(plan, ComputedPlan):
            return self._each(values, self._computed(field, plan, part))
        type_, is_required, is_list = unwrapped(field.definition.type)
        selection = field.selections[type_.name]
        if isinstance(plan, SameRowPlan):
            return self._display(selection, part, values)
        if not isinstance(plan, RelationPlan):
            raise BailOut(f"{field.key} is not read off a row")
        if plan.related.cached is not None:
            return self._each(values, self._cached(field, plan.related, plan.related.cached, part))
        join = self._shape.join(part, plan.related.relation)
        if join is None:
            raise BailOut(f"the rows of {field.key} did not come along")
        if join.many is not is_list:
            raise BailOut(f"{field.key} and its rows differ in being many")
        key = self._column(part, join.parent_column)
        keys = self._column(join.part, join.column)
        found = self._by_key(self.objects(selection, join.part), keys, key, is_list)
        # A key without a row is a null, and where there must be a row an error.
        return f"{found}[{self._each(values, key)}]" if is_required else f"{found}.get({self._each(values, key)})"

    def _by_key(self, objects: str, keys: str, parent_keys: str, is_list: bool) -> str:
        """The name of a dict of objects, or of lists of them, by what they hang on."""
        found = self._name("f")
        if not is_list:
            self._body.append(f"{found} = dict(zip({keys}, {objects}))")
            return found
        self._body += [
            f"{found} = {{key: [] for key in {parent_keys} if key is not None}}",
            f"for key, made in zip({keys}, {objects}): {found}[key].append(made)",
        ]
        return found

    def _leaf(self, field: Field, name: str, part: int, values: dict[str, str]) -> str:
        """The source of a leaf's value, which is looked at as far as the database does not vouch for it."""
        column = self._column(part, name)
        kind = self._shape.parts[part][name].type
        one = one_by_one(field.definition.type, kind)
        if kind is float and one is unchanged:
            # The sum is finite only if each is; of a null there is no sum.
            self._body.append(f"if not isfinite(sum({column})): raise BailOut")
            return self._each(values, column)
        if one is None:
            return self._each(values, self._checked(column, field.check))
        if is_non_null_type(field.definition.type):
            self._body.append(f"if None in {column}: raise BailOut")
        value = self._each(values, column)
        return value if one is unchanged else f"{self._named('one', one)}({value})"

    def _computed(self, field: Field, plan: ComputedPlan, part: int) -> str:
        """The name of a column of values that are computed of columns, and checked."""
        columns = [self._column(part, name) for name in plan.columns]
        arguments = names = [self._name("v") for _ in columns]
        if plan.related is not None:
            columns.append(self._related(field, plan, plan.related, part))
            names = [*names, self._name("v")]
            arguments = [*arguments, f"*{names[-1]}"]
        if not columns:  # each part has a column
            columns, names = [self._column(part, next(iter(self._shape.parts[part])))], ["_"]
        computed, call = self._name("x"), f"{self._named('compute', plan.function)}({', '.join(arguments)})"
        self._body.append(f"{computed} = [{call} for {', '.join(names)}, in zip({', '.join(columns)})]")
        return self._checked(computed, field.check)

    def _related(self, field: Field, plan: ComputedPlan, related: Related, part: int) -> str:
        """The name of a column of tuples, of what is read of the one row that is related to each."""
        keys, found = self._column(part, related.key), self._name("x")
        if related.cached is not None:
            read = self._named("cached", _cached_columns(related.cached, plan.related_columns))
            self._body.append(f"{found} = {keys} and {read}({keys}, run.context)")
            return found
        join = self._shape.join(part, related.relation)
        if join is None or join.many:
            raise BailOut(f"the row that {field.key} is computed of did not come along")
        columns = [self._column(join.part, name) for name in plan.related_columns]
        by_key = f"dict(zip({self._column(join.part, join.column)}, zip({', '.join(columns)})))"
        missing = f"({'None, ' * len(columns)})"
        self._body.append(f"{found} = list(map({by_key}.get, {keys}, repeat({missing})))")
        return found

    def _cached(self, field: Field, related: Related, cached_in: Cached, part: int) -> str:
        """The name of a column of objects that are made of cached values, by the column of their keys."""
        if field.synchronous is None:
            raise BailOut(f"{field.key} is not synchronous")
        keys, completed = self._column(part, related.key), self._name("x")
        complete = self._named("cached", _cached_objects(field, cached_in, field.synchronous))
        self._body.append(f"{completed} = {keys} and {complete}({keys}, run)")
        return completed

    def _checked(self, column: str, check: Check | None) -> str:
        checked = self._name("x")
        self._body.append(f"{checked} = {column} and {self._named('check', check)}({column})")
        return checked

    def _column(self, part: int, name: str) -> str:
        column = self._shape.parts[part].get(name)
        if column is None:
            raise BailOut(f"the column {name} did not come along")
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
        self.known[name] = value
        return name


def unwrapped(type_: Any) -> tuple[Any, bool, bool]:
    """What a type is of, whether it must be there, and whether it is a list; of lists in lists the inner list."""
    is_required = is_non_null_type(type_)
    type_ = type_.of_type if is_required else type_
    is_list = is_list_type(type_)
    if is_list:
        type_ = type_.of_type.of_type if is_non_null_type(type_.of_type) else type_.of_type
    return type_, is_required, is_list


def _cached_columns(cached_in: Cached, columns: Sequence[str]) -> Callable[[Values, Any], list[tuple[Any, ...]]]:
    """Reads columns of cached rows, given their keys; they are None for a null key."""
    missing = (None,) * len(columns)

    def read(keys: Values, context: Any) -> list[tuple[Any, ...]]:
        cached = cached_in(context)
        if cached is None:
            raise BailOut
        found = []
        for key in keys:
            row = None if key is None else cached(key)
            if row is None and key is not None:
                raise BailOut
            found.append(missing if row is None else tuple([row[name] for name in columns]))
        return found

    return read


def _cached_objects(field: Field, cached_in: Cached, complete: Synchronous) -> Callable[[Values, Execution], Values]:
    """Completes cached values, given their keys; as long as one is the same, so is what was made of it."""
    is_of_row_alone = all(below.constant or (below.check and below.column) for below in field.below)
    known_objects: dict[Any, tuple[Any, Any]] = {}

    def objects(keys: Values, run: Execution) -> Values:
        cached = cached_in(run.context)
        if cached is None:
            raise BailOut
        made = known_objects if is_of_row_alone else {}
        found = []
        for key in keys:
            value = None if key is None else cached(key)
            known = made.get(key)
            if known is None or known[0] is not value:
                if value is None and key is not None:
                    raise BailOut
                if len(made) >= _MOST_CACHED:
                    made.clear()
                known = made[key] = value, complete([value], run)[0]
            found.append(known[1])
        return found

    return objects


def builder(name: str, keys: tuple[str, ...]) -> Build:
    """Turns columns into so many objects. Written as source, as dataclasses are: twice as fast as dict(zip()).

    It is written when it is first needed: most objects are made by other generated code.
    """
    if not keys:
        return lambda _columns, length: [{} for _ in range(length)]
    made: Build | None = None

    def build(columns: Sequence[Values], length: int) -> list[dict[str, Any]]:
        nonlocal made
        if made is None:
            # Keys are GraphQL names, which are ASCII identifiers.
            names = [f"v{place}" for place in range(len(keys))]
            display = ", ".join(f"{key!r}: {name}" for key, name in zip(keys, names, strict=True))
            body = f"return [{{{display}}} for {', '.join(names)}, in zip(*columns)]"
            made = written(f"def build(columns, _length):\n    {body}\n", "build", name, {})[0]
        return made(columns, length)

    return build
