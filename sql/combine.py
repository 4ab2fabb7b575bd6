"""Several statements as one, so that what hangs together costs one way to the database and back.

The rows of each part come as one array per column, which costs less than rows of their own and mixes well: one row of
the answer holds them all. A part that hangs on another one reads its keys from that one's rows.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sql import Prepared

_PARAMETER = re.compile(r"\$(\d+)")
_SHARED = "visible_"
_KEYS = re.compile(r"= ANY\((\$\d+::\w+\[\])\)")


@dataclass(frozen=True)
class CombinedPart:
    """A statement among others: `columns` are those wanted of it.

    Its parameter `parameter` takes the values that the column `key` of part `parent` has; all others are its own.
    `is_keyed` says that it is found by lists of keys.
    """

    prepared: Prepared
    columns: tuple[str, ...]
    parent: int | None = None
    key: str = ""
    parameter: str = ""
    is_keyed: bool = False


@dataclass(frozen=True)
class CombinedStatement:
    """`parameters` are pairs of the part that gives a value, by its place, and the value's name."""

    text: str
    parameters: tuple[tuple[int, str], ...]
    parts: tuple[CombinedPart, ...]

    def arguments(self, values: Sequence[Mapping[str, Any]]) -> list[Any]:
        """`values` are those of each part, in the order of the parts."""
        return [values[part][name] for part, name in self.parameters]

    def split(self, row: Sequence[Any]) -> Iterable[Sequence[Sequence[Any]]]:
        """The columns of each part."""
        start = 0
        for part in self.parts:
            columns = row[start : start + len(part.columns)]
            # An aggregate of no rows is null.
            yield columns if columns[0] is not None else [()] * len(columns)
            start += len(part.columns)


def combine(parts: Sequence[CombinedPart]) -> CombinedStatement:
    """Parts come after those that they hang on."""
    places: dict[tuple[int, str], int] = {}
    parents = {part.parent for part in parts}
    texts = [_text(index, part, places) for index, part in enumerate(parts)]
    texts = [
        _cut(text, part) if index in parents else text
        for index, (text, part) in enumerate(zip(texts, parts, strict=True))
    ]
    named = ",\n".join(f"p{index} AS (\n{text}\n)" for index, text in enumerate(texts))
    selected = ", ".join(f"a{index}.*" for index in range(len(parts)))
    arrays = ",\n".join(f"({_arrays(index, part)}) AS a{index}" for index, part in enumerate(parts))
    return CombinedStatement(f"WITH {named}\nSELECT {selected}\nFROM {arrays}", tuple(places), tuple(parts))


def _text(index: int, part: CombinedPart, places: dict[tuple[int, str], int]) -> str:
    def place(match: re.Match[str]) -> str:
        name = part.prepared.parameters[int(match[1]) - 1]
        if part.parent is not None and name == part.parameter:
            return f"ARRAY(SELECT p{part.parent}.{part.key} FROM p{part.parent})"  # noqa: S608  names of our own
        owner = 0 if name.startswith(_SHARED) else index
        return f"${places.setdefault((owner, name), len(places) + 1)}"

    text = _PARAMETER.sub(place, part.prepared.text)
    # How many keys there are is hidden: a plan for one seems cheaper than one for as many as may be, and is made anew
    # each time, which takes longer than all the rest.
    return _KEYS.sub(r"= ANY(ARRAY(SELECT unnest(\1)))", text) if part.is_keyed else text


def _cut(text: str, part: CombinedPart) -> str:
    """With the wanted columns alone: what is read more than once is made whole, with all that its text has."""
    return f"SELECT {', '.join(part.columns)}\nFROM (\n{text}\n) AS q"


def _arrays(index: int, part: CombinedPart) -> str:
    columns = ", ".join(f"array_agg({column}) AS {column}" for column in part.columns)
    return f"SELECT {columns} FROM p{index}"  # noqa: S608  names of our own
