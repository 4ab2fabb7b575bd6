"""The statements of the service: one .sql file per noun, named parts, read by this module.

What opens, probes and ends connections and transactions stands where it is sent, in `app/postgres`; the demo makes its
own tables' rows.

A file holds parts, each begun by a comment line:

    -- name: by_order_ids        a statement; `:order_ids` is a named parameter, with an optional `::cast`
    -- feeds: Shipment           (below a name) the GraphQL types that the rows become; the tests hold them to it
    -- fragment: shipment        text that `{shipment}` puts into the file's statements
    -- filter: statuses          a condition that `{filters}` adds when the caller asks for it
    -- sort: CREATED_AT          an expression that `{order}` puts into ORDER BY
    -- form: page                another text of the statement above, for what the lines below it say
    -- reaches: CHANNELS         (below a form) it serves these reaches alone; all without the line
    -- filters: statuses, ids?   (below a form) it serves these filters alone, and asks for those without `?`
    -- sorts: CREATED_AT         (below a form) it serves one of these sorts, with ties by the id
    -- each: statuses::text[]    (below a form) lists whose values are taken one by one, by `{lists}` and `{pieces}`

`{visible shipments s}` is the viewer's predicate on the table `shipments`, called `s` here (see `sql.visibility`). A
statement is text that never holds a value: what varies is chosen among the file's own parts. Of a statement's forms the
first that serves the caller is taken, and the statement itself where none does; all of them give the same rows in the
same order.

An index yields rows in order for one value of each column before the sorted one, not for a list of them. So a form may
read piece by piece: `{pieces}` are the rows of the file's fragment `piece` for all combinations of the `each` lists
that viewer and filters compare with. `{lists}` makes these lists columns of a row `given`, where they tell the planner
nothing, so that it keeps one plan; `{keys s}` are the columns that name a row and tell its place.

A text with a scan for each of a few pieces merges them as the index gives them: it reads no more than the page and what
comes before it. Where the pieces are many or unknown, a text for any number of them reads each up to the page's end.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from math import prod
from typing import Any, Self

from sql.visibility import POLICIES, Reach, Visibility, predicate

_PART = re.compile(r"^-- (name|form|fragment|filter|sort): (\S+)\n((?:--.*\n)*)", re.MULTILINE)
_NOTE = re.compile(r"^-- (feeds|reaches|filters|sorts|each): (.+)$", re.MULTILINE)
_PLACE = re.compile(r"\{(\w+)(?: (\w+))?(?: (\w+))?\}")
_VISIBLE = re.compile(r"\{visible(?: (\w+))?(?: (\w+))?\}")
_TIES: tuple[tuple[str, ...], ...] = ((), ("ID ASC",), ("ID DESC",))
# `FOR UPDATE` is taken for a write, which only means that nobody repeats the statement.
_WRITE = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE|TRUNCATE|SET_CONFIG|NEXTVAL)\b", re.IGNORECASE)
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)\b")
# Each is a scan of its own in the plan, which takes time to plan, and to start where it finds nothing.
_MOST_MERGED = 16


@dataclass(frozen=True, eq=False)
class Prepared:
    """A statement in the server's own form: `text` with $1, $2 …, and the names of those parameters in order.

    `lists` are those of them whose values it takes one by one.
    """

    text: str
    parameters: tuple[str, ...]
    lists: tuple[str, ...] = ()

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        return [values[name] for name in self.parameters]


@dataclass(frozen=True, eq=False)
class Form:
    """A text of a statement and whom it serves: see the head of this module. `each` gives types by parameter."""

    template: str
    reaches: frozenset[Reach] = frozenset(Reach)
    needed: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()
    sorts: frozenset[str] = frozenset()
    each: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, template: str, notes: Mapping[str, tuple[str, ...]]) -> Self:
        """`notes` are the entries of the lines below the form's name. Raises KeyError where one names no reach."""
        filters = notes.get("filters", ())
        return cls(
            template,
            frozenset(Reach[name] for name in notes["reaches"]) if "reaches" in notes else frozenset(Reach),
            frozenset(name for name in filters if not name.endswith("?")),
            frozenset(name.removesuffix("?") for name in filters),
            frozenset(notes.get("sorts", ())),
            dict(entry.split("::") for entry in notes.get("each", ())),
        )

    def serves(self, reach: Reach, filters: frozenset[str], order: tuple[str, ...]) -> bool:
        return (
            reach in self.reaches
            and self.needed <= filters <= self.allowed
            and (not order or (order[0].split(" ")[0] in self.sorts and order[1:] in _TIES))
        )

    def lists(self, piece: str) -> str:
        """The lists that `piece` compares with, as columns."""
        return "".join(f":{name}::{self.each[name]} AS {name}, " for name in self._compared(piece))

    def pieces(self, piece: str, sizes: tuple[int, ...] | None) -> str:
        """The rows of `piece` for all combinations of its lists, no longer than `sizes` say; None is of any length."""
        lists = self._compared(piece)
        if lists and sizes is None:
            values = ", ".join(f"(SELECT DISTINCT unnest(given.{name})) AS each_{name} (value)" for name in lists)
            for name in lists:
                piece = piece.replace(f"= ANY(:{name})", f"= each_{name}.value")
            return f"(SELECT piece.* FROM {values}, LATERAL ({piece}) AS piece)"  # noqa: S608  our own texts
        pieces = [piece]
        for name, size in zip(lists, sizes or (), strict=True):
            pieces = [
                one.replace(f"= ANY(:{name})", f"= given.{name}[{place}]")
                for one in pieces
                for place in range(1, size + 1)
            ]
        return f"({' UNION ALL '.join(f'({one})' for one in pieces)})"

    def _compared(self, piece: str) -> list[str]:
        return [name for name in self.each if f"= ANY(:{name})" in piece]


@dataclass(frozen=True, eq=False)
class Statement:
    """A named statement of a file. It becomes text for a reach, a set of filters and a sort order, each only once."""

    noun: str
    name: str
    template: str
    feeds: tuple[str, ...]
    file: "File" = field(repr=False)
    forms: list[Form] = field(default_factory=list, repr=False)

    @cached_property
    def is_read(self) -> bool:
        """Whether it changes nothing, so that it may be sent twice."""
        parts = [self.template, *(form.template for form in self.forms), *self.file.fragments.values()]
        return not any(map(_WRITE.search, parts))

    def prepare(
        self,
        reach: Reach,
        filters: frozenset[str] = frozenset(),
        order: tuple[str, ...] = (),
        values: Mapping[str, Any] | None = None,
    ) -> Prepared:
        """`filters` name filters of the file; `order` its sorts, each with a direction: `CREATED_AT DESC`.

        With the `values` of its parameters the text is for them, by the lengths of their lists; without, for any.
        """
        prepared = self._prepare(reach, filters, order, None)
        if values is None or not prepared.lists:
            return prepared
        return self._prepare(reach, filters, order, _sizes([values[name] for name in prepared.lists]))

    # Bounded, because callers choose among thousands of combinations of filters and sorts.
    @lru_cache(maxsize=1024)  # noqa: B019  statements live as long as the process
    def _prepare(
        self, reach: Reach, filters: frozenset[str], order: tuple[str, ...], sizes: tuple[int, ...] | None
    ) -> Prepared:
        form = self.form(reach, filters, order)
        conditions = "".join(f"\n  AND ({self.file.filters[name]})" for name in sorted(filters))
        sorts = [term.split(" ") for term in order]

        def place(match: re.Match[str]) -> str:
            word, name, alias = match.groups()
            if word == "visible":
                return f"({predicate(reach, name, alias)})"
            if word == "filters":
                return conditions
            if word == "order":
                return ", ".join(f"{self.file.sorts[name]} {direction}" for name, direction in sorts)
            if word == "lists":
                return form.lists(fill(self.file.fragments["piece"]))
            if word == "pieces":
                return form.pieces(fill(self.file.fragments["piece"]), sizes)
            if word == "keys":
                columns = [f"{name}.id", f"{name}.channel_id", *(self.file.sorts[sort] for sort, _ in sorts)]
                return ", ".join(dict.fromkeys(columns))
            return self.file.fragments[word]

        def fill(text: str) -> str:
            while _PLACE.search(text):
                text = _PLACE.sub(place, text)
            return text

        names: dict[str, int] = {}
        text = _PARAMETER.sub(lambda match: f"${names.setdefault(match[1], len(names) + 1)}", fill(form.template))
        return Prepared(text, tuple(names), tuple(name for name in form.each if name in names))

    def has_form(self, reach: Reach, filters: frozenset[str], order: tuple[str, ...] = ()) -> bool:
        """Whether a form serves the caller: a text that costs by what it gives."""
        return self.form(reach, filters, order) in self.forms

    def form(self, reach: Reach, filters: frozenset[str], order: tuple[str, ...]) -> Form:
        """The first form that serves the caller, or the statement itself as one."""
        serving = (form for form in self.forms if form.serves(reach, filters, order))
        return next(serving, Form(self.template))


def _sizes(lists: Sequence[Sequence[Any]]) -> tuple[int, ...] | None:
    """How many values a text takes of each list; None where they are too many, or one is named twice.

    Powers of two, so that there are few texts: what a list has behind its end is null, and equals nothing.
    """
    if any(len(set(values)) < len(values) for values in lists):
        return None
    sizes = tuple(1 << max(len(values) - 1, 0).bit_length() for values in lists)
    return sizes if prod(sizes) <= _MOST_MERGED else None


@dataclass(frozen=True, eq=False)
class File:
    """The parts of one .sql file; statements are attributes: `load("shipment").by_order_ids`."""

    noun: str
    statements: dict[str, Statement] = field(default_factory=dict)
    fragments: dict[str, str] = field(default_factory=dict)
    filters: dict[str, str] = field(default_factory=dict)
    sorts: dict[str, str] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Statement:
        statement = self.statements.get(name)
        if statement is None:
            raise AttributeError(f"sql/{self.noun}.sql has no statement {name}")
        vars(self)[name] = statement  # where it is found at once the next time
        return statement


@cache
def load(noun: str) -> File:
    """Reads `sql/<noun>.sql`.

    Raises FileNotFoundError where there is none, and ValueError where it reads a table by a policy that there is not.
    """
    file = File(noun)
    text = files(__name__).joinpath(f"{noun}.sql").read_text("utf-8")
    for place in _VISIBLE.finditer(text):
        if place[1] not in POLICIES or place[2] is None:
            raise ValueError(f"sql/{noun}.sql: {place[0]} is of no table that sql.visibility has a policy for")
    parts = list(_PART.finditer(text))
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        kind, name, notes_text = part.groups()
        lines = text[part.end() : following.start() if following else None].splitlines()
        body = "\n".join(line for line in lines if not line.startswith("--")).strip().rstrip(";")
        notes = {key: tuple(entries.split(", ")) for key, entries in _NOTE.findall(notes_text)}
        if kind == "name":
            file.statements[name] = Statement(noun, name, body, notes.get("feeds", ()), file)
        elif kind == "form":
            file.statements[name].forms.append(Form.of(body, notes))
        else:
            {"fragment": file.fragments, "filter": file.filters, "sort": file.sorts}[kind][name] = body
    return file


__all__ = ["File", "Form", "Prepared", "Reach", "Statement", "Visibility", "load"]
