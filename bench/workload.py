"""What is asked: the documents of a portal and of an order page, each with the variables of many visitors."""

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.dataset import Visitors
from bench.document import documents

# Callers who share nothing come first: what they are answered is what others do not pay for.
TITLES = {
    "q2u": "Q2u: as Q2, each asked by a contact of another company for an order of its own",
    "q3u": "Q3u: as Q3, each asked by a contact of another company for a shipment of its own",
    "q5": "Q5: a customer's orders with items, shipments and addresses, each asked by another customer",
    "q6": "Q6: a company's newest shipments with their tracking, each asked by a contact of another company",
    "r1": "R1: an order in full by REST, each asked by another customer for its own",
    "c1": "C1: a page of a portal, each by a document that comes once",
    "q1": "Q1: shipments on their way, 12 a page, everything nested, totals",
    "q1b": "Q1b: the same, 100 a page",
    "q2": "Q2: one order with lines, shipments, items, codes",
    "q3": "Q3: one shipment in full",
    "q4": "Q4: how far one order is, the query of the README",
}
NAMES = tuple(TITLES)
DISTINCT = ("q2u", "q3u", "q5", "q6", "r1", "c1")
STATUSES = ["IN_TRANSIT", "OUT_FOR_DELIVERY"]
_VISITORS = 400
_ONCE = 4_000  # documents of a turn, more than a server answers in it
_ONCE_COMPARED = 40
_ON_THEIR_WAY = 0.017  # shipments of these statuses for each order, a little less than there are
_PAGES = {"q1": (12, 20), "q1b": (100, 10)}  # rows a page, pages


@dataclass(frozen=True)
class Visit:
    """`subject` is who asks, as a token names him, where a server tells viewers apart; None is the partner.

    `path` is what is got where GraphQL is not asked; `document` is asked in place of the load's own.
    """

    variables: Mapping[str, Any]
    subject: str | None = None
    path: str | None = None
    document: str | None = None


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
        file = queries / f"{prefix}{self.query}.graphql"
        text = file.read_text() if file.exists() else ""
        return [
            ""
            if visit.path
            else json.dumps({"query": visit.document or text, "variables": _spoken(visit.variables, prefix)})
            for visit in self.visits
        ]

    @property
    def comes_once(self) -> bool:
        """Whether no document of it is asked a second time."""
        return self.name == "c1"

    def anew(self, turn: int) -> "Workload":
        """The same, of which `comes_once` is true, with the documents of a turn."""
        return replace(self, visits=_documents(_ONCE, turn))


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
    if name == "r1":
        customers = visitors.customers[:_VISITORS]
        return [Visit({}, each.subject, path=f"/api/shop/customer-orders/{each.order_id}") for each in customers]
    if name == "c1":
        return _documents(_ONCE_COMPARED, 0)
    contacts = visitors.contacts[:_VISITORS]
    if name == "q6":
        return [Visit({"company": each.company_id}, each.subject) for each in contacts]
    if name == "q2u":
        return [Visit({"orderId": each.order_id}, each.subject) for each in contacts]
    return [Visit({"id": each.shipment_id}, each.subject) for each in contacts]


def _documents(count: int, seed: int) -> Sequence[Visit]:
    variables = {"input": {"statuses": STATUSES, "page": 1, "offset": 12}}
    return [Visit(variables, document=text) for text in documents(count, seed)]


def shipment_id(number: int) -> str:
    """As dataset.sql gives it."""
    return str(UUID(hashlib.md5(b"shipment:%d" % number, usedforsecurity=False).hexdigest()))


def _spoken(variables: Mapping[str, Any], prefix: str) -> Mapping[str, Any]:
    """PostGraphile (`pgl_`) has first and offset in rows where the others have pages."""
    if prefix != "pgl_" or "input" not in variables:
        return variables
    given = variables["input"]
    return {"statuses": given["statuses"], "first": given["offset"], "skip": (given["page"] - 1) * given["offset"]}
