"""What rows a viewer may see, as SQL. The only place that knows.

A statement marks each tenant-owned table that it reads with `{visible ALIAS}`; `sql.Statement` puts the predicate of
the viewer's reach there. Orders decide: whoever may see an order may see everything that hangs on it, so every child
table carries `order_id` beside `channel_id`. A row that may not be seen does not exist (decision 8).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Self

# For one order at a time: as a list of statuses it could become a join that reads all orders of a company to sort them.
PUBLIC = "(SELECT w.is_public FROM order_statuses w WHERE w.code = o.status)"


class Reach(Enum):
    """How far a viewer sees; each is one text of every statement, so that each keeps its own plan."""

    __hash__ = object.__hash__  # of Python's own making it is, for no reason that holds here, a function of the name

    EVERYTHING = "everything"
    CHANNELS = "channels"
    COMPANIES = "companies"
    CUSTOMER = "customer"
    CONTACT = "contact"


@dataclass(frozen=True)
class Scope:
    """The reach of one viewer and the keys that its predicates compare with."""

    reach: Reach
    channel_ids: Sequence[int] = ()
    company_ids: Sequence[int] = ()
    customer_id: int = 0

    @classmethod
    def everything(cls) -> Self:
        """Staff."""
        return cls(Reach.EVERYTHING)

    @classmethod
    def of_channels(cls, channel_ids: Sequence[int]) -> Self:
        """A partner: all orders of its channels."""
        return cls(Reach.CHANNELS, channel_ids)

    @classmethod
    def of_companies(cls, channel_ids: Sequence[int], company_ids: Sequence[int]) -> Self:
        """A partner limited to companies: their orders in its channels."""
        return cls(Reach.COMPANIES, channel_ids, company_ids)

    @classmethod
    def of_contact(cls, channel_ids: Sequence[int], company_ids: Sequence[int]) -> Self:
        """A contact: the orders of its companies and their daughters, unless their status is not public (B-8)."""
        return cls(Reach.CONTACT, channel_ids, company_ids)

    @classmethod
    def of_customer(cls, channel_id: int, customer_id: int) -> Self:
        """A customer: its own orders of one channel, unless their status is not public (B-8)."""
        return cls(Reach.CUSTOMER, (channel_id,), (), customer_id)

    @cached_property
    def keys(self) -> dict[str, Any]:
        """By the names of the parameters that the predicates compare with."""
        return {
            "scope_channel_ids": self.channel_ids,
            "scope_company_ids": self.company_ids,
            "scope_customer_id": self.customer_id,
        }


_ON_ORDERS = {
    Reach.EVERYTHING: "true",
    Reach.CHANNELS: "o.channel_id = ANY(:scope_channel_ids)",
    Reach.COMPANIES: "o.channel_id = ANY(:scope_channel_ids) AND o.company_id = ANY(:scope_company_ids)",
    Reach.CONTACT: f"o.channel_id = ANY(:scope_channel_ids) AND o.company_id = ANY(:scope_company_ids) AND {PUBLIC}",
    Reach.CUSTOMER: f"o.channel_id = ANY(:scope_channel_ids) AND o.customer_id = :scope_customer_id AND {PUBLIC}",
}

# These tables carry their order's company, so that an index can hold it beside their date: shipments, their items and
# their track and traces.
_WITH_COMPANY = {"s", "x", "t"}


# An order that is deleted, or goes over to another company, leaves those that saw it with this very change; no row of
# `orders` shows any more that it was theirs.
_LEAVES = (
    "h.type = 'ORDER' AND h.channel_id = ANY(:scope_channel_ids)"
    " AND (h.old ->> 'companyId')::int = ANY(:scope_company_ids)"
)


def predicate(reach: Reach, alias: str) -> str:
    """The condition under which a row of `alias` exists for a viewer of this reach.

    `o` is the alias of `orders` itself in every statement; `p` that of `products`, which belong to a channel and to no
    order; `h` that of `changes`, among them those of carriers, which belong to no channel; every other alias is a table
    with `order_id` and `channel_id`, and `s`, `x` and `t` one with `company_id` too: `shipments`, `shipment_items` and
    `track_and_traces`. A tally bears the alias of what it counts.
    """
    if alias != "h":
        return _of_orders(reach, alias)
    leaves = f" OR ({_LEAVES})" if reach is Reach.COMPANIES else ""
    return f"h.channel_id IS NULL OR {_of_orders(reach, alias)}{leaves}"


def _of_orders(reach: Reach, alias: str) -> str:
    if alias == "o":
        return _ON_ORDERS[reach]
    if reach is Reach.EVERYTHING:
        return "true"
    of_channels = f"{alias}.channel_id = ANY(:scope_channel_ids)"
    if alias == "p" or reach is Reach.CHANNELS:
        return of_channels
    if alias in _WITH_COMPANY and reach is not Reach.CUSTOMER:
        of_companies = f"{of_channels} AND {alias}.company_id = ANY(:scope_company_ids)"
        return of_companies if reach is Reach.COMPANIES else f"{of_companies} AND {_is_public(alias)}"
    return (
        f"EXISTS (SELECT FROM orders o WHERE o.id = {alias}.order_id AND o.channel_id = {alias}.channel_id"
        f" AND {_ON_ORDERS[reach]})"
    )


def _is_public(alias: str) -> str:
    """Whether the order of a row is; a look at one order for the reason that `PUBLIC` gives."""
    of_order = f"o.id = {alias}.order_id AND o.channel_id = {alias}.channel_id"
    return f"(SELECT {PUBLIC} FROM orders o WHERE {of_order})"  # noqa: S608  both are texts of this module
