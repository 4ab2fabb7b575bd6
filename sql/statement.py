"""A statement becomes text for a reach, filters and a sort order, with its parameters in PostgreSQL's form."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Self

from sql.days import day_of, day_of_row, on_days, outside
from sql.merge import branches, lists, sizes_of
from sql.visibility import Reach, hidden, of_seller, predicate

_PLACE = re.compile(r"\{(\w+)(?: (\w+))?(?: (\w+))?\}")
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)\b")
_TIES: tuple[tuple[str, ...], ...] = ((), ("ID ASC",), ("ID DESC",))
_ANY = ("any",)
# What an order has behind a sort where nulls come first, as they do in the reverse of a list.
NULLS_FIRST = " NULLS FIRST"
# `FOR UPDATE` is taken for a write, which only means that nobody repeats the statement.
_WRITE = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE|TRUNCATE|SET_CONFIG|NEXTVAL)\b", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A statement in the server's own form: `text` with $1, $2 …, and the names of those parameters in order.

    `lists` are those of them whose values it takes one by one. `name` is that of its file and its own, for those who
    watch: `order.by_ids`.
    """

    text: str
    parameters: tuple[str, ...]
    lists: tuple[str, ...] = ()
    name: str = ""

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        return [values[name] for name in self.parameters]


@dataclass(frozen=True, eq=False)
class Variant:
    """A text of a statement and whom it serves: see `sql`. `each` gives types by parameter.

    `skip` is how many rows at least come before the page; `without` names filters that the text itself minds.
    """

    template: str
    reaches: frozenset[Reach] = frozenset(Reach)
    needed: frozenset[str] = frozenset()
    allowed: frozenset[str] | None = frozenset()  # None: whatever filters there are
    sorts: frozenset[str] = frozenset()
    each: Mapping[str, str] = field(default_factory=dict)
    skip: int = 0
    without: frozenset[str] = frozenset()

    @classmethod
    def of(cls, template: str, notes: Mapping[str, tuple[str, ...]]) -> Self:
        """`notes` are the entries of the lines below the variant's name. Raises KeyError where one names no reach."""
        filters = notes.get("filters", ())
        return cls(
            template,
            frozenset(Reach[name] for name in notes["reaches"]) if "reaches" in notes else frozenset(Reach),
            frozenset(name for name in filters if not name.endswith("?") and filters != _ANY),
            None if filters == _ANY else frozenset(name.removesuffix("?") for name in filters),
            frozenset(notes.get("sorts", ())),
            dict(entry.split("::") for entry in notes.get("each", ())),
            int(notes.get("skip", "0")[0]),
            frozenset(notes.get("without", ())),
        )

    def serves(self, reach: Reach, filters: frozenset[str], order: tuple[str, ...], skip: int = 0) -> bool:
        return (
            reach in self.reaches
            and skip >= self.skip
            and self.needed <= (given := frozenset(name.removesuffix("_day") for name in filters))
            and (self.allowed is None or given <= self.allowed)
            and (not order or (order[0].split(" ")[0] in self.sorts and _without_nulls(order[1:]) in _TIES))
        )


@dataclass(frozen=True, eq=False)
class Parts:
    """What the statements of a file share: texts by name."""

    fragments: dict[str, str] = field(default_factory=dict)
    filters: dict[str, str] = field(default_factory=dict)
    sorts: dict[str, str] = field(default_factory=dict)
    nullable: set[str] = field(default_factory=set)

    def order(self, terms: Sequence[str]) -> str:
        """What stands behind ORDER BY. Nulls are last, either way (decision 27), unless a term says otherwise."""
        return ", ".join(map(self._sorted_by, terms))

    def _sorted_by(self, term: str) -> str:
        name, direction = term.removesuffix(NULLS_FIRST).split(" ")
        nulls = ""
        # Nothing is said that holds anyway, since an index is only taken for the very words that it was made of.
        if name in self.nullable and term.endswith(NULLS_FIRST) == (direction == "ASC"):
            nulls = NULLS_FIRST if direction == "ASC" else " NULLS LAST"
        return f"{self.sorts[name]} {direction}{nulls}"

    def halves(self, terms: Sequence[str]) -> list[tuple[str, str]]:
        """The parts of a list that an index gives one after the other, each with its condition and its own order.

        An index ascends with the nulls at its end and by the id among them, and is read from either end. Where neither
        way is that of `terms`, rows with a value and those without are two parts; else all are one, on no condition.
        """
        if not terms or terms[0].split(" ")[0] not in self.nullable:
            return [("", self.order(terms))]
        (name, way), *others = (term.removesuffix(NULLS_FIRST).split(" ") for term in terms)
        way_of_nulls = others[0][1] if others else way
        if way == way_of_nulls and terms[0].endswith(NULLS_FIRST) == (way == "DESC"):
            return [("", self.order(terms))]
        ties = "".join(f", {term}" for term in [self.order(terms[1:])] if term)
        column = self.sorts[name]
        return [
            (f"\n  AND {column} IS NOT NULL", f"{column} {way}{ties}"),
            (f"\n  AND {column} IS NULL", f"{column} {way_of_nulls}{ties}"),
        ]


def _without_nulls(order: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(term.removesuffix(NULLS_FIRST) for term in order)


@dataclass(frozen=True, eq=False)
class Statement:
    """A named statement of a file. It becomes text for a reach, a set of filters and a sort order, each only once."""

    noun: str
    name: str
    template: str
    feeds: tuple[str, ...]
    parts: Parts = field(repr=False)
    variants: list[Variant] = field(default_factory=list, repr=False)

    @cached_property
    def is_read(self) -> bool:
        """Whether it changes nothing, so that it may be sent twice."""
        texts = [self.template, *(variant.template for variant in self.variants), *self.parts.fragments.values()]
        return not any(map(_WRITE.search, texts))

    @cached_property
    def is_keyed(self) -> bool:
        """Whether it reads rows by their keys, or by those of what they hang on, as its name says: `by_ids`."""
        return "by" in self.name.split("_")

    @cached_property
    def tables(self) -> frozenset[str]:
        """Those of whose rows it asks whether they may be seen, in any of its texts."""
        fragments = dict(self.parts.fragments)
        waiting = [self.template, *(variant.template for variant in self.variants)]
        found: set[str] = set()
        while waiting:
            for word, *names in (match.groups() for match in _PLACE.finditer(waiting.pop())):
                if word == "visible":
                    found.add(names[0])
                unnamed = ["branch"] if word in ("branches", "lists") else []
                waiting += [fragments.pop(name) for name in (word, *names, *unnamed) if name in fragments]
        return frozenset(found)

    def prepare(
        self,
        reach: Reach,
        filters: frozenset[str] = frozenset(),
        order: tuple[str, ...] = (),
        values: Mapping[str, Any] | None = None,
        *,
        stays_in_order: bool = False,
    ) -> Prepared:
        """`filters` name filters of the file; `order` its sorts, each with a direction: `CREATED_AT DESC`.

        Rows without what is sorted by come last, or first where a sort says so: `CARRIER_ID DESC NULLS FIRST`.

        With the `values` of its parameters the text is for them, by the lengths of their lists; without, for any.
        With `stays_in_order` it is for rows that hang on visible ones of their order: see `sql.visibility`.
        """
        skip = self._step(0 if values is None else values.get("skip", 0))
        prepared = self._prepare(reach, filters, order, None, skip, stays_in_order)
        if values is None or not prepared.lists:
            return prepared
        sizes = sizes_of([values[name] for name in prepared.lists])
        return self._prepare(reach, filters, order, sizes, skip, stays_in_order)

    def _step(self, skip: int) -> int:
        """The most that a variant asks to be skipped, of those that serve behind so many rows."""
        return max((variant.skip for variant in self.variants if variant.skip <= skip), default=0)

    # Bounded, because callers choose among thousands of combinations of filters and sorts.
    @lru_cache(maxsize=1024)  # noqa: B019  statements live as long as the process
    def _prepare(
        self,
        reach: Reach,
        filters: frozenset[str],
        order: tuple[str, ...],
        sizes: tuple[int, ...] | None,
        skip: int,
        stays_in_order: bool,
    ) -> Prepared:
        variant = self.variant(reach, filters, order, skip)
        texts_of = {name: self.parts.filters[name] for name in sorted(filters - variant.without)}
        conditions = "".join(f"\n  AND ({text})" for text in texts_of.values())

        def fill(text: str, part: tuple[str, str] | None = None) -> str:
            def place(match: re.Match[str]) -> str:
                word, name, alias = match.groups()
                if word == "on_days":
                    return on_days(texts_of, name)
                if word == "outside":
                    texts = [self.parts.fragments[name].replace("{filters}", one) for one in outside(texts_of, alias)]
                    return "".join(f"\n  UNION ALL\n  {text}" for text in texts)
                if word in ("sorted", "day", "day_of_row", "days_in_order"):
                    column = self.parts.sorts[order[0].split(" ")[0]]
                    if word == "days_in_order":
                        return self.parts.order(order[:1]).replace(column, f"{name}.day")
                    return {"sorted": column, "day": day_of(column), "day_of_row": day_of_row(column)}[word]
                if word in ("onwards", "earlier"):
                    is_onwards, goes_up = word == "onwards", order[0].endswith(" ASC")
                    return (">" if is_onwards == goes_up else "<") + ("=" if is_onwards else "")
                if word == "sorted_alone":
                    return self.parts.order(order[:1])
                if word == "ties":
                    return self.parts.order(order[1:] or ("ID ASC",))
                if word == "visible":
                    keyed = self.is_keyed
                    return f"({predicate(reach, name, alias, is_keyed=keyed, stays_in_order=stays_in_order)})"
                if word == "hidden":
                    return f"({hidden(reach, alias)})"
                if word == "of_seller":
                    return of_seller(reach, f"{name}.{alias}")
                if word == "filters":
                    return conditions + (part[0] if part else "")
                if word == "only":
                    return "".join(f"\n  AND ({text})" for of, text in texts_of.items() if of.startswith(name))
                if word == "order":
                    return part[1] if part else self.parts.order(order)
                if word == "lists":
                    return lists(fill(self.parts.fragments[name or "branch"]), variant.each)
                if word == "branches":
                    branch = self.parts.fragments[name or "branch"]
                    texts = [fill(branch, half) for half in self.parts.halves(order)]
                    return branches(texts, variant.each, sizes)
                if word == "keys":
                    columns = [f"{name}.id", f"{name}.channel_id", *(self.parts.sorts[t.split(" ")[0]] for t in order)]
                    return ", ".join(dict.fromkeys(columns))
                return self.parts.fragments[word]

            while _PLACE.search(text):
                text = _PLACE.sub(place, text)
            return text

        names: dict[str, int] = {}
        text = _PARAMETER.sub(lambda match: f"${names.setdefault(match[1], len(names) + 1)}", fill(variant.template))
        return Prepared(
            text, tuple(names), tuple(name for name in variant.each if name in names), f"{self.noun}.{self.name}"
        )

    def has_variant(self, reach: Reach, filters: frozenset[str], order: tuple[str, ...] = ()) -> bool:
        """Whether a variant serves the caller: a text that costs by what it gives."""
        return self.variant(reach, filters, order) in self.variants

    def looks_at_few(self, reach: Reach, filters: frozenset[str]) -> bool:
        """Whether a count reads less than the rows it counts: by a variant that is not for its plan alone."""
        variant = self.variant(reach, filters, ())
        return variant in self.variants and not variant.each

    def variant(self, reach: Reach, filters: frozenset[str], order: tuple[str, ...], skip: int = 0) -> Variant:
        """The first variant that serves the caller behind so many rows, or the statement itself as one."""
        serving = (variant for variant in self.variants if variant.serves(reach, filters, order, skip))
        return next(serving, Variant(self.template))
