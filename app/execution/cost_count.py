"""Counts what there is in an answer of each term of its cost: by walking it, or by code that is written for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

# How many there are of each term, given the `data` of an answer.
Count = Callable[[Mapping[str, Any] | None], Sequence[int]]

# Python nests no more than twenty loops.
_DEEPEST = 15


@dataclass(slots=True)
class Place:
    """Objects of the answer, which `term` counts. `sometimes` are the keys that not all of them have, with their
    terms; `below` leads to what may be counted below them."""

    term: int
    below: "list[Below]" = field(default_factory=list)
    sometimes: list[tuple[str, int]] = field(default_factory=list)

    @property
    def is_walked(self) -> bool:
        """Whether there is anything to be counted at, or below, these objects."""
        return bool(self.sometimes) or any(each.is_counted or each.place.is_walked for each in self.below)


@dataclass(slots=True)
class Below:
    """A key of objects. `place` is what it leads to: one object or a list of them, which `is_full` of no nulls. What
    is not counted is there once for each of the objects above."""

    key: str
    place: Place
    is_list: bool
    is_full: bool
    is_counted: bool


def count(root: Place, terms: int, data: Mapping[str, Any] | None) -> Sequence[int]:
    """There is one root, whatever became of it."""
    counts = [0] * terms
    counts[root.term] = 1
    if data is not None:
        _count(root, data, counts)
    return counts


def _count(place: Place, parent: Mapping[str, Any], counts: list[int]) -> None:
    for key, term in place.sometimes:
        counts[term] += key in parent
    for below in place.below:
        value = parent.get(below.key)
        if value is None:
            continue
        found = [each for each in value if each is not None] if below.is_list else [value]
        if below.is_counted:
            counts[below.place.term] += len(found)
        if below.place.is_walked:
            for each in found:
                _count(below.place, each, counts)


def generate(root: Place, terms: int) -> Count:
    """A function that does what `count` does."""
    if _depth(root) > _DEEPEST:
        return partial(count, root, terms)
    lines = [
        "def count(o0):",
        *(f"    c{term} = {int(term == root.term)}" for term in range(terms)),
        "    if o0 is not None:",
        *(_write(root, "o0", 0, "        ") or ["        pass"]),
        f"    return {''.join(f'c{term}, ' for term in range(terms)).join('()')}",
    ]
    names: dict[str, Any] = {}
    exec(compile("\n".join(lines), "<cost>", "exec"), names)  # noqa: S102  of names that GraphQL allows, as literals
    written: Count = names["count"]
    return written


def _depth(place: Place) -> int:
    return 1 + max((_depth(below.place) for below in place.below), default=0)


def _write(place: Place, parent: str, depth: int, indent: str) -> list[str]:
    lines = [f"{indent}c{term} += {key!r} in {parent}" for key, term in place.sometimes]
    for number, below in enumerate(place.below):
        if not below.is_counted and not below.place.is_walked:
            continue
        get = f"{parent}.get({below.key!r})" if place.sometimes else f"{parent}[{below.key!r}]"
        lines += _write_below(below, get, f"v{depth}_{number}", depth + 1, indent)
    return lines


def _write_below(below: Below, get: str, name: str, depth: int, indent: str) -> list[str]:
    term, more = below.place.term, indent + "    "
    if not below.is_list:
        inner = _write(below.place, name, depth, more)
        counted = [f"{more}c{term} += 1"] if below.is_counted else []
        return [f"{indent}{name} = {get}", f"{indent}if {name} is not None:", *counted, *inner]
    lines = [f"{indent}{name} = {get}", f"{indent}if {name}:"]
    if not below.is_full:
        lines.append(f"{more}{name} = [o for o in {name} if o is not None]")
    lines.append(f"{more}c{term} += len({name})")
    inner = _write(below.place, f"o{depth}", depth, more + "    ")
    return [*lines, f"{more}for o{depth} in {name}:", *inner] if inner else lines
