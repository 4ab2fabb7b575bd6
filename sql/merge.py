"""Lists that are merged branch by branch: a scan for each value of a list, in place of one for all of them."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

# Each is a scan of its own in the plan, which takes time to plan, and to start where it finds nothing.
_MOST_MERGED = 16


def lists(branch: str, types: Mapping[str, str]) -> str:
    """The lists that `branch` compares with, as columns. `types` are those of the lists, by parameter."""
    return "".join(f":{name}::{types[name]} AS {name}, " for name in _compared(branch, types))


def branches(texts: Sequence[str], types: Mapping[str, str], sizes: tuple[int, ...] | None) -> str:
    """The rows of all branches, for all combinations of their lists, no longer than `sizes` say; None is of any length.

    `texts` are branches with the same lists: more than one where a list is made of several parts.
    """
    compared = _compared(texts[0], types)
    if compared and sizes is None:
        values = ", ".join(f"(SELECT DISTINCT unnest(given.{name})) AS each_{name} (value)" for name in compared)
        for name in compared:
            texts = [text.replace(f"= ANY(:{name})", f"= each_{name}.value") for text in texts]
        branch = texts[0] if len(texts) == 1 else " UNION ALL ".join(f"({text})" for text in texts)
        return f"(SELECT branch.* FROM {values}, LATERAL ({branch}) AS branch)"  # noqa: S608  our own texts
    for name, size in zip(compared, sizes or (), strict=True):
        texts = [
            text.replace(f"= ANY(:{name})", f"= given.{name}[{place}]")
            for text in texts
            for place in range(1, size + 1)
        ]
    return f"({' UNION ALL '.join(f'({text})' for text in texts)})"


def _compared(branch: str, types: Mapping[str, str]) -> list[str]:
    return [name for name in types if f"= ANY(:{name})" in branch]


def sizes_of(lists: Sequence[Sequence[Any]]) -> tuple[int, ...] | None:
    """How many values a text takes of each list; None where they are too many, or one is named twice.

    Powers of two, so that there are few texts: what a list has behind its end is null, and equals nothing.
    """
    if any(len(set(values)) < len(values) for values in lists):
        return None
    sizes = tuple(1 << max(len(values) - 1, 0).bit_length() for values in lists)
    return sizes if prod(sizes) <= _MOST_MERGED else None
