"""Every statement the service sends: one .sql file per noun, named parts, read by this module.

A file holds parts, each begun by a comment line:

    -- name: by_order_ids        a statement; `:order_ids` is a named parameter, with an optional `::cast`
    -- feeds: Shipment           (below a name) the GraphQL types that the rows become; the tests hold them to it
    -- fragment: shipment        text that `{shipment}` puts into the file's statements
    -- filter: statuses          a condition that `{filters}` adds when the caller asks for it
    -- sort: CREATED_AT          an expression that `{order}` puts into ORDER BY

`{visible s}` is the viewer's predicate on the table of alias `s` (see `sql.visibility`). A statement is text that never
holds a value: what varies is chosen among the file's own parts.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from sql.visibility import Reach, Scope, predicate

_PART = re.compile(r"^-- (name|fragment|filter|sort): (\S+)\n((?:--.*\n)*)", re.MULTILINE)
_FEEDS = re.compile(r"^-- feeds: (.+)$", re.MULTILINE)
_PLACE = re.compile(r"\{(\w+)(?: (\w+))?\}")
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)\b")


@dataclass(frozen=True)
class Prepared:
    """A statement in the server's own form: `text` with $1, $2 …, and the names of those parameters in order."""

    text: str
    parameters: tuple[str, ...]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        return [values[name] for name in self.parameters]


@dataclass(frozen=True, eq=False)
class Statement:
    """A named statement of a file. It becomes text for a reach, a set of filters and a sort order, each only once."""

    noun: str
    name: str
    template: str
    feeds: tuple[str, ...]
    file: "File" = field(repr=False)

    # Bounded, because callers choose among thousands of combinations of filters and sorts.
    @lru_cache(maxsize=1024)  # noqa: B019  statements live as long as the process
    def prepare(self, reach: Reach, filters: frozenset[str] = frozenset(), order: tuple[str, ...] = ()) -> Prepared:
        """`filters` name filters of the file; `order` its sorts, each with a direction: `CREATED_AT DESC`."""

        def place(match: re.Match[str]) -> str:
            word, argument = match.groups()
            if word == "visible":
                return f"({predicate(reach, argument)})"
            if word == "filters":
                return "".join(f"\n  AND ({self.file.filters[name]})" for name in sorted(filters))
            if word == "order":
                return ", ".join(self._sort(term) for term in order)
            return self.file.fragments[word]

        text = self.template
        while _PLACE.search(text):
            text = _PLACE.sub(place, text)
        names: dict[str, int] = {}
        text = _PARAMETER.sub(lambda match: f"${names.setdefault(match[1], len(names) + 1)}", text)
        return Prepared(text, tuple(names))

    def _sort(self, term: str) -> str:
        name, direction = term.split(" ")
        return f"{self.file.sorts[name]} {direction}"


@dataclass(frozen=True, eq=False)
class File:
    """The parts of one .sql file; statements are attributes: `load("shipment").by_order_ids`."""

    noun: str
    statements: dict[str, Statement] = field(default_factory=dict)
    fragments: dict[str, str] = field(default_factory=dict)
    filters: dict[str, str] = field(default_factory=dict)
    sorts: dict[str, str] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Statement:
        try:
            return self.statements[name]
        except KeyError:
            raise AttributeError(f"sql/{self.noun}.sql has no statement {name}") from None


@cache
def load(noun: str) -> File:
    """Reads `sql/<noun>.sql`. Raises FileNotFoundError where there is none."""
    file = File(noun)
    text = files(__name__).joinpath(f"{noun}.sql").read_text("utf-8")
    parts = list(_PART.finditer(text))
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        kind, name, notes = part.groups()
        lines = text[part.end() : following.start() if following else None].splitlines()
        body = "\n".join(line for line in lines if not line.startswith("--")).strip().rstrip(";")
        if kind == "name":
            feeds = _FEEDS.search(notes)
            file.statements[name] = Statement(noun, name, body, tuple(feeds[1].split(", ")) if feeds else (), file)
        else:
            {"fragment": file.fragments, "filter": file.filters, "sort": file.sorts}[kind][name] = body
    return file


def nouns() -> Iterable[str]:
    """The names of all .sql files."""
    return sorted(entry.name.removesuffix(".sql") for entry in files(__name__).iterdir() if entry.name.endswith(".sql"))


__all__ = ["File", "Prepared", "Reach", "Scope", "Statement", "load", "nouns"]
