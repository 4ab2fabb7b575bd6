"""Reads the .sql files beside it."""

import re
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files

from sql.statement import Parts, Statement, Variant
from sql.visibility import POLICIES

_PART = re.compile(r"^-- (name|variant|fragment|filter|sort): (\S+)\n((?:--.*\n)*)", re.MULTILINE)
_NOTE = re.compile(r"^-- (feeds|reaches|filters|sorts|each|nulls|skip|without): (.+)$", re.MULTILINE)
_VISIBLE = re.compile(r"\{visible(?: (\w+))?(?: (\w+))?\}")


@dataclass(frozen=True, eq=False)
class File:
    """The parts of one .sql file; statements are attributes: `load("shipment").by_order_ids`."""

    noun: str
    statements: dict[str, Statement] = field(default_factory=dict)
    parts: Parts = field(default_factory=Parts)

    @cached_property
    def page(self) -> Statement:
        """The rows of a list, by filters, an order, `limit` and `skip`; see `app.resolvers`."""
        return self.__getattr__("page")

    @cached_property
    def count(self) -> Statement:
        """One row: how many rows, `items_found`, the filters find."""
        return self.__getattr__("count")

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
    text = files(__package__).joinpath(f"{noun}.sql").read_text("utf-8")
    for place in _VISIBLE.finditer(text):
        if place[1] not in POLICIES or place[2] is None:
            raise ValueError(f"sql/{noun}.sql: {place[0]} is of no table that sql.visibility has a policy for")
    found = list(_PART.finditer(text))
    for part, following in zip(found, [*found[1:], None], strict=True):
        kind, name, notes_text = part.groups()
        lines = text[part.end() : following.start() if following else None].splitlines()
        body = "\n".join(line for line in lines if not line.startswith("--")).strip().rstrip(";")
        notes = {key: tuple(entries.split(", ")) for key, entries in _NOTE.findall(notes_text)}
        if kind == "name":
            file.statements[name] = Statement(noun, name, body, notes.get("feeds", ()), file.parts)
        elif kind == "variant":
            file.statements[name].variants.append(Variant.of(body, notes))
        elif kind == "sort":
            file.parts.sorts[name] = body
            if "nulls" in notes:
                file.parts.nullable.add(name)
        else:
            {"fragment": file.parts.fragments, "filter": file.parts.filters}[kind][name] = body
    return file
