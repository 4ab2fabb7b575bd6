"""What is asked: the documents of a portal, each with the variables of many visitors."""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

NAMES = ("q1", "q1b", "q2", "q3", "q4")
TITLES = {
    "q1": "Q1: shipments on their way, 12 a page, everything nested, totals",
    "q1b": "Q1b: the same, 100 a page",
    "q2": "Q2: one order with lines, shipments, items, codes",
    "q3": "Q3: one shipment in full",
    "q4": "Q4: how far one order is, the query of the README",
}
STATUSES = ["IN_TRANSIT", "OUT_FOR_DELIVERY"]
_VISITORS = 400
_ON_THEIR_WAY = 0.017  # shipments of these statuses for each order, a little less than there are
_PAGES = {"q1": (12, 20), "q1b": (100, 10)}  # rows a page, pages


@dataclass(frozen=True)
class Workload:
    """`variables` are asked in turn, again and again."""

    name: str
    variables: Sequence[Mapping[str, Any]]

    @property
    def query(self) -> str:
        """The file that holds the document, and the limit's statement."""
        return self.name[:2]

    def bodies(self, queries: Path, prefix: str = "") -> list[str]:
        """One request a line. `queries` is the folder of the documents, `prefix` a dialect of their file names."""
        text = (queries / f"{prefix}{self.query}.graphql").read_text()
        return [json.dumps({"query": text, "variables": _spoken(given, prefix)}) for given in self.variables]


def workload(name: str, orders: int, shipments: int, size: int) -> Workload:
    """The same for every server: the data set has `orders` orders and `shipments` shipments.

    Lists are read as far as a data set of `size` orders fills their pages.
    """
    chance = random.Random(7)  # fixed, so that a run can be repeated
    if name in _PAGES:
        rows, pages = _PAGES[name]
        pages = min(pages, max(1, int(size * _ON_THEIR_WAY) // rows))
        inputs = [{"statuses": STATUSES, "page": page, "offset": rows} for page in range(1, pages + 1)]
        return Workload(name, [{"input": given} for given in inputs])
    if name == "q2":
        return Workload(name, [{"orderId": chance.randint(1, orders)} for _ in range(_VISITORS)])
    if name == "q4":
        return Workload(name, [{"order": chance.randint(1, orders)} for _ in range(_VISITORS)])
    return Workload(name, [{"id": shipment_id(chance.randint(1, shipments))} for _ in range(_VISITORS)])


def shipment_id(number: int) -> str:
    """As dataset.sql gives it."""
    return str(UUID(hashlib.md5(b"shipment:%d" % number, usedforsecurity=False).hexdigest()))


def _spoken(variables: Mapping[str, Any], prefix: str) -> Mapping[str, Any]:
    """PostGraphile (`pgl_`) has first and offset in rows where the others have pages."""
    if prefix != "pgl_" or "input" not in variables:
        return variables
    given = variables["input"]
    return {"statuses": given["statuses"], "first": given["offset"], "skip": (given["page"] - 1) * given["offset"]}
