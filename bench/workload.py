"""What is asked: the documents of a portal and of an order page, each with the variables of many visitors."""

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.dataset import Visitors

TITLES = {
    "q1": "Q1: shipments on their way, 12 a page, everything nested, totals",
    "q1b": "Q1b: the same, 100 a page",
    "q2": "Q2: one order with lines, shipments, items, codes",
    "q3": "Q3: one shipment in full",
    "q4": "Q4: how far one order is, the query of the README",
    "q2u": "Q2u: as Q2, each asked by a contact of another company for an order of its own",
    "q3u": "Q3u: as Q3, each asked by a contact of another company for a shipment of its own",
    "q5": "Q5: a customer's orders with items, shipments and addresses, each asked by another customer",
    "q6": "Q6: a company's newest shipments with their tracking, each asked by a contact of another company",
}
NAMES = tuple(TITLES)
STATUSES = ["IN_TRANSIT", "OUT_FOR_DELIVERY"]
_VISITORS = 400
_ON_THEIR_WAY = 0.017  # shipments of these statuses for each order, a little less than there are
_PAGES = {"q1": (12, 20), "q1b": (100, 10)}  # rows a page, pages


@dataclass(frozen=True)
class Visit:
    """`subject` is who asks, as a token names him, where a server tells viewers apart; None is the partner."""

    variables: Mapping[str, Any]
    subject: str | None = None


@dataclass(frozen=True)
class Workload:
    """`visits` are made in turn, again and again."""

    name: str
    visits: Sequence[Visit]

    @property
    def query(self) -> str:
        """The file that holds the document, and the limit's statement."""
        return self.name[:2]

    def bodies(self, queries: Path, prefix: str = "") -> list[str]:
        """One request a visit. `queries` is the folder of the documents, `prefix` a dialect of their file names."""
        text = (queries / f"{prefix}{self.query}.graphql").read_text()
        return [json.dumps({"query": text, "variables": _spoken(visit.variables, prefix)}) for visit in self.visits]


def workload(name: str, visitors: Visitors, size: int) -> Workload:
    """The same for every server. Lists are read as far as a data set of `size` orders fills their pages."""
    return Workload(name, list(_visits(name, visitors, size)))


def _visits(name: str, visitors: Visitors, size: int) -> Iterable[Visit]:
    chance = random.Random(7)  # fixed, so that a run can be repeated
    if name in _PAGES:
        rows, pages = _PAGES[name]
        pages = min(pages, max(1, int(size * _ON_THEIR_WAY) // rows))
        inputs = [{"statuses": STATUSES, "page": page, "offset": rows} for page in range(1, pages + 1)]
        return [Visit({"input": given}) for given in inputs]
    if name in ("q2", "q4"):
        key = {"q2": "orderId", "q4": "order"}[name]
        return [Visit({key: chance.randint(1, visitors.orders)}) for _ in range(_VISITORS)]
    if name == "q3":
        return [Visit({"id": shipment_id(chance.randint(1, visitors.shipments))}) for _ in range(_VISITORS)]
    if name == "q5":
        # The limit knows no viewer: it is told whose orders.
        return [Visit({"customer": each.id}, each.subject) for each in visitors.customers[:_VISITORS]]
    contacts = visitors.contacts[:_VISITORS]
    if name == "q6":
        return [Visit({"company": each.company_id}, each.subject) for each in contacts]
    if name == "q2u":
        return [Visit({"orderId": each.order_id}, each.subject) for each in contacts]
    return [Visit({"id": each.shipment_id}, each.subject) for each in contacts]


def shipment_id(number: int) -> str:
    """As dataset.sql gives it."""
    return str(UUID(hashlib.md5(b"shipment:%d" % number, usedforsecurity=False).hexdigest()))


def _spoken(variables: Mapping[str, Any], prefix: str) -> Mapping[str, Any]:
    """PostGraphile (`pgl_`) has first and offset in rows where the others have pages."""
    if prefix != "pgl_" or "input" not in variables:
        return variables
    given = variables["input"]
    return {"statuses": given["statuses"], "first": given["offset"], "skip": (given["page"] - 1) * given["offset"]}
