"""The columns of a statement, read off its text: what PostgreSQL says of a prepared one, for whom there is none.

Names are exact; a type is `object` where only PostgreSQL can tell. `tests/sql/test_describe.py` holds both to what it
says.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files

_TYPES: Mapping[str, type] = {
    "text": str,
    "smallint": int,
    "integer": int,
    "int": int,
    "int4": int,
    "boolean": bool,
    "bool": bool,
    "float8": float,
    "double precision": float,
    "timestamp with time zone": datetime,
    "timestamptz": datetime,
}
_TABLE = re.compile(r"^CREATE TABLE public\.(\w+) \(\n(.*?)^\);", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(
    r"^ +(\w+) ((?:timestamp with time zone|double precision|\w+)(?:\([\d,]+\))?(?: with time zone)?(?:\[\])?)",
    re.MULTILINE,
)
_NAMED = re.compile(r"(.*?)(?:\s+AS\s+(\w+))?", re.DOTALL)
_CAST = re.compile(r"(.*)::([a-z0-9]+(?:\[\])?)", re.DOTALL)
_OF_TABLE = re.compile(r"(\w+)\.(\w+)")


def columns(text: str) -> dict[str, type]:
    """The names and types of the columns that a SELECT gives; of `*`, those of the SELECT within it.

    Raises `ValueError` for a term that has no name.
    """
    found: dict[str, type] = {}
    for term, rest in _selected(text):
        if term.endswith("*"):
            found.update(columns(rest))
        else:
            name, kind = _column(term, text)
            found[name] = kind
    return found


def _selected(text: str) -> Iterator[tuple[str, str]]:
    """The terms between the first SELECT and its FROM, each with the text behind it; after those of a WITH, its own."""
    depth, start, is_with = 0, None, text.startswith("WITH ")
    for match in re.finditer(r"'[^']*'|\(|\)|,|\bSELECT(?: DISTINCT ON \([^)]*\))?|\bFROM\b", text):
        token = match[0]
        if token == "(":
            depth += 1
        elif token == ")":
            depth -= 1
        elif start is None and token.startswith("SELECT") and not (is_with and depth):
            depth, start = 0, match.end()
        elif depth == 0 and start is not None and token in (",", "FROM"):
            yield text[start : match.start()].strip(), text[match.end() :]
            start = match.end()
            if token == "FROM":
                return


def _column(term: str, text: str) -> tuple[str, type]:
    named = _NAMED.fullmatch(term)
    assert named is not None  # noqa: S101  anything matches
    expression, name = named.groups()
    cast = _CAST.fullmatch(expression)
    if cast is not None:
        plain = _OF_TABLE.fullmatch(cast[1])
        return name or (plain[2] if plain else cast[1]), _type(cast[2])
    plain = _OF_TABLE.fullmatch(expression)
    if plain is None:
        if name is None:
            raise ValueError(f"what is called {expression!r} has no name")
        return name, object
    table = re.search(rf"\b(?:FROM|JOIN)\s+(\w+)\s+(?:AS\s+)?{plain[1]}\b", text)
    known = _tables().get(table[1], {}) if table else {}
    return name or plain[2], known.get(plain[2], object)


def _type(name: str) -> type:
    return list if name.endswith("[]") else _TYPES.get(name, object)


@cache
def _tables() -> dict[str, dict[str, type]]:
    """The columns of all tables, from `schema.sql`."""
    schema = files("sql").joinpath("schema.sql").read_text("utf-8")
    return {
        name: {column: _type(re.sub(r"\([\d,]+\)", "", type_)) for column, type_ in _COLUMN.findall(body)}
        for name, body in _TABLE.findall(schema)
    }
