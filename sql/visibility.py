"""What rows a viewer may see, as SQL. The only place that knows.

A statement marks a tenant-owned table that it reads with `{visible TABLE ALIAS}`; `sql.Statement` puts the predicate
of the viewer's reach there, by the policy of the table. Only rows that are joined by their key to marked ones need no
mark of their own; `tests/sql/test_visibility.py` holds each statement to it. Orders decide: whoever may see an order
may see everything that hangs on it, so most child tables carry `order_id` beside `channel_id`. A row that may not be
seen does not exist (decision 8). `{of_seller ALIAS COLUMN}` is a column that says nothing to those who buy.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Any, Self

# Of one viewer, of those who share a statement: what it compares with stays short.
_MOST_SHARED_COMPANIES = 20


class Reach(Enum):
    """How far a viewer sees; each is one text of every statement, so that each keeps its own plan."""

    __hash__ = object.__hash__  # of Python's own making it is, for no reason that holds here, a function of the name

    EVERYTHING = "everything"
    CHANNELS = "channels"
    COMPANIES = "companies"
    CUSTOMER = "customer"
    CONTACT = "contact"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an order is, by what decides who sees it. `is_public` is what its status says."""

    order_id: int
    channel_id: int
    company_id: int | None
    customer_id: int | None
    is_public: bool


@dataclass(frozen=True)
class Visibility:
    """The reach of one viewer and the keys that its predicates compare with."""

    reach: Reach
    channel_ids: Sequence[int] = ()
    company_ids: Sequence[int] = ()
    customer_id: int = 0
    order_id: int = 0
    link_generation: int = 0

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
    def of_contact(cls, channel_id: int, company_ids: Sequence[int]) -> Self:
        """A contact: the orders of its companies and their daughters, unless their status is not public (B-8)."""
        return cls(Reach.CONTACT, (channel_id,), company_ids)

    @classmethod
    def of_customer(cls, channel_id: int, customer_id: int) -> Self:
        """A customer: its own orders of one channel, unless their status is not public (B-8)."""
        return cls(Reach.CUSTOMER, (channel_id,), (), customer_id)

    @classmethod
    def of_order(cls, channel_id: int, order_id: int, generation: int) -> Self:
        """Whoever has a link to one order, as long as links of that generation are good and its status is public."""
        return cls(Reach.ORDER, (channel_id,), (), 0, order_id, generation)

    @property
    def channels(self) -> Hashable:
        """What the policies of rows that belong to a channel, or to all, depend on; None where all are seen."""
        return None if self.reach is Reach.EVERYTHING else tuple(self.channel_ids)

    def sees(self, owner: Owner) -> bool:
        """Whether this viewer sees an order of that owner: what the predicate of `orders` says, without a database.

        It chooses who is told that something happened; what is told of it is read by the predicate all the same, which
        alone knows of links that were revoked.
        """
        if self.reach is Reach.EVERYTHING:
            return True
        if owner.channel_id not in self.channel_ids:
            return False
        if self.reach is Reach.CHANNELS:
            return True
        if self.reach is Reach.CUSTOMER:
            return owner.customer_id == self.customer_id and owner.is_public
        if self.reach is Reach.ORDER:
            return owner.order_id == self.order_id and owner.is_public
        is_ours = owner.company_id in self.company_ids
        return is_ours and (owner.is_public or self.reach is Reach.COMPANIES)

    @cached_property
    def company(self) -> "Visibility":
        """What viewers have in common who see, each for companies of its own, the orders of the same one channel.

        Itself for all others: with several channels, orders of two companies may have the same id.
        """
        is_one_of_many = (
            self.reach in (Reach.COMPANIES, Reach.CONTACT)
            and len(self.channel_ids) == 1
            and len(self.company_ids) <= _MOST_SHARED_COMPANIES
        )
        return replace(self, company_ids=()) if is_one_of_many else self

    def joined(self, others: Iterable["Visibility"]) -> "Visibility":
        """What others, who have this as their `company`, see together; itself where they see nothing more."""
        companies = {company for each in others for company in each.company_ids}
        return self if companies.issubset(self.company_ids) else replace(self, company_ids=sorted(companies))

    def sees_company(self, company_id: int | None) -> bool:
        """Whether an order of the company, found for several viewers with the same `company`, is for this one, too."""
        return company_id in self.company_ids

    @cached_property
    def keys(self) -> dict[str, Any]:
        """By the names of the parameters that the predicates compare with."""
        return {
            "visible_channel_ids": self.channel_ids,
            "visible_company_ids": self.company_ids,
            "visible_customer_id": self.customer_id,
            "visible_order_id": self.order_id,
            "visible_link_generation": self.link_generation,
        }


# Not one of those that are not public, which are looked up once for all rows: a look for each order cost as much as the
# order. As a list of those that are, it could become the condition of an index, or a join, that reads all orders of a
# company to sort them.
_NOT_PUBLIC = "ARRAY(SELECT w.code FROM order_statuses w WHERE NOT w.is_public)"
_PUBLIC = f"{{o}}.status <> ALL ({_NOT_PUBLIC})"

# That of the links that are good, where some were revoked.
_GENERATION = "(SELECT g.generation FROM order_links g WHERE g.order_id = {o}.id AND g.channel_id = {o}.channel_id)"

_OF_ORDERS = {
    Reach.EVERYTHING: "true",
    Reach.CHANNELS: "{o}.channel_id = ANY(:visible_channel_ids)",
    Reach.COMPANIES: "{o}.channel_id = ANY(:visible_channel_ids) AND {o}.company_id = ANY(:visible_company_ids)",
    Reach.CONTACT: (
        f"{{o}}.channel_id = ANY(:visible_channel_ids) AND {{o}}.company_id = ANY(:visible_company_ids) AND {_PUBLIC}"
    ),
    Reach.CUSTOMER: (
        f"{{o}}.channel_id = ANY(:visible_channel_ids) AND {{o}}.customer_id = :visible_customer_id AND {_PUBLIC}"
    ),
    Reach.ORDER: (
        "{o}.channel_id = ANY(:visible_channel_ids) AND {o}.id = :visible_order_id"
        f" AND coalesce({_GENERATION}, 1) = :visible_link_generation AND {_PUBLIC}"
    ),
}


def _orders(reach: Reach, alias: str) -> str:
    """Orders themselves."""
    return _OF_ORDERS[reach].format(o=alias)


def _tallies(reach: Reach, alias: str) -> str:
    """What counts orders by the columns that decide who sees them; who sees one alone has nothing to count."""
    return _of_whole_channel(reach, alias) if reach is Reach.ORDER else _orders(reach, alias)


def _in_channel(reach: Reach, alias: str) -> str:
    """Rows that belong to a channel and to no order."""
    return "true" if reach is Reach.EVERYTHING else f"{alias}.channel_id = ANY(:visible_channel_ids)"


def _of_order(reach: Reach, alias: str) -> str:
    """Rows with `order_id` and `channel_id`."""
    if reach in (Reach.EVERYTHING, Reach.CHANNELS):
        return _in_channel(reach, alias)
    return f"EXISTS (SELECT FROM orders o WHERE {_same_order(alias)} AND {_orders(reach, 'o')})"


def _of_order_and_company(reach: Reach, alias: str) -> str:
    """Rows that carry their order's company too, so that an index can hold it beside their date."""
    if reach not in (Reach.COMPANIES, Reach.CONTACT):
        return _of_order(reach, alias)
    of_companies = f"{_in_channel(reach, alias)} AND {alias}.company_id = ANY(:visible_company_ids)"
    if reach is Reach.COMPANIES:
        return of_companies
    # A look at one order, for the reason that `_PUBLIC` gives.
    is_public = f"(SELECT {_PUBLIC.format(o='o')} FROM orders o WHERE {_same_order(alias)})"  # noqa: S608  our own text
    return f"{of_companies} AND {is_public}"


def _of_company(reach: Reach, alias: str) -> str:
    """What counts by company alone: of a contact's it counts what hangs on orders that `hidden` finds, too."""
    if reach not in (Reach.COMPANIES, Reach.CONTACT):
        return _of_whole_channel(reach, alias)
    return f"{_in_channel(reach, alias)} AND {alias}.company_id = ANY(:visible_company_ids)"


def _of_words(reach: Reach, alias: str) -> str:
    """Words that orders are found by. Whose an order is, is among them, so that an index can tell."""
    in_channel = _in_channel(reach, alias)
    if reach in (Reach.EVERYTHING, Reach.CHANNELS):
        return in_channel
    if reach is Reach.ORDER:  # which is found by no words
        return _of_whole_channel(reach, alias)
    if reach is Reach.CUSTOMER:
        owner = "(SELECT owned_by('customer', ARRAY[:visible_customer_id]::int[]))"
    else:
        owner = "(SELECT owned_by('company', :visible_company_ids))"
    owned = f"{in_channel} AND {alias}.words @@ {owner}"
    if reach is Reach.COMPANIES:
        return owned
    is_public = f"(SELECT {_PUBLIC.format(o='o')} FROM orders o WHERE {_same_order(alias)})"  # noqa: S608  our own text
    return f"{owned} AND {is_public}"


def _of_whole_channel(reach: Reach, alias: str) -> str:
    """Rows that belong to a channel, for who sees all of it."""
    in_channel = _in_channel(reach, alias)
    return in_channel if reach in (Reach.EVERYTHING, Reach.CHANNELS) else f"{in_channel} AND false"


def _of_track_and_trace(reach: Reach, alias: str) -> str:
    """Rows of a code, which know its channel but not its order."""
    if reach in (Reach.EVERYTHING, Reach.CHANNELS):
        return _in_channel(reach, alias)
    of_code = f"code.id = {alias}.track_and_trace_id AND code.channel_id = {alias}.channel_id"
    seen = _of_order_and_company(reach, "code")
    return f"EXISTS (SELECT FROM track_and_traces code WHERE {of_code} AND {seen})"


def _of_all_or_in_channel(reach: Reach, alias: str) -> str:
    """Rows that belong to a channel, or to all where it is null."""
    return "true" if reach is Reach.EVERYTHING else f"{alias}.channel_id IS NULL OR {_in_channel(reach, alias)}"


def _changes(reach: Reach, alias: str) -> str:
    """Changes of what hangs on orders, and of carriers.

    What goes elsewhere leaves those that saw it with this very change: an order that is deleted or goes over to another
    company, of which no row of `orders` shows any more that it was theirs, and a carrier that goes to another channel.
    """
    if reach is Reach.EVERYTHING:
        return "true"
    was_in_channel = (
        f"{alias}.old ? 'channelId' AND coalesce(({alias}.old ->> 'channelId')::int = ANY(:visible_channel_ids), true)"
    )
    of_carriers = f"{alias}.type = 'CARRIER' AND ({_of_all_or_in_channel(reach, alias)} OR {was_in_channel})"
    ours = f"({of_carriers}) OR {_of_order(reach, alias)}"
    if reach is not Reach.COMPANIES:
        return ours
    leaves = (
        f"{alias}.type = 'ORDER' AND {alias}.channel_id = ANY(:visible_channel_ids)"
        f" AND ({alias}.old ->> 'companyId')::int = ANY(:visible_company_ids)"
    )
    return f"{ours} OR ({leaves})"


def _same_order(alias: str) -> str:
    return f"o.id = {alias}.order_id AND o.channel_id = {alias}.channel_id"


Policy = Callable[[Reach, str], str]

# By the table whose rows they judge. Channels, companies, contacts and customers have none: statements read those that
# an order names, or are asked before there is a viewer.
POLICIES: Mapping[str, Policy] = {
    "orders": _orders,
    "order_tallies": _tallies,
    "order_days": _of_whole_channel,
    "order_fulfillment_days": _of_whole_channel,
    "shipment_days": _of_whole_channel,
    "shipment_item_days": _of_whole_channel,
    "track_and_trace_days": _of_whole_channel,
    "order_words": _of_words,
    "order_fulfillments": _of_order,
    "order_addresses": _of_order,
    "order_links": _of_order,
    "order_items": _of_order,
    "order_item_sources": _of_order,
    "order_sources": _of_order,
    "shipments": _of_order_and_company,
    "shipment_tallies": _of_company,
    "shipment_items": _of_order_and_company,
    "shipment_sources": _of_order,
    "track_and_traces": _of_order_and_company,
    "tracking_events": _of_track_and_trace,
    "refunds": _of_order,
    "refund_items": _of_order,
    "outbox_events": _of_whole_channel,
    "parcel_items": _of_order,
    "products": _in_channel,
    "carriers": _of_all_or_in_channel,
    "changes": _changes,
}


# Those of one order: foreign keys hold each to the order of what it hangs on, by the keys that are named here.
_OF_ONE_ORDER = frozenset(
    {
        *(
            "orders",
            "order_addresses",
            "order_links",
            "order_items",
            "order_item_sources",
            "order_sources",
            "refunds",
            "refund_items",
        ),
        *("shipments", "shipment_items", "shipment_sources", "track_and_traces"),
    }
)
_KEYS_OF_ONE_ORDER = frozenset({"id", "order_id", "order_item_id", "shipment_id", "refund_id"})
# On the customer surface an order calls its id the key of its lists.
_KEY_OF_CUSTOMER_ORDER = "key", "order_ids"


def stays_in_order(tables: Iterable[str], key: str, parameter: str) -> bool:
    """Whether rows of these tables that hang on another row, by its column `key`, are of that one's order, or of none.

    `parameter` is what takes the keys. Who sees the other row then sees them, whatever else may be seen.
    """
    owned = {table for table in tables if POLICIES[table](Reach.CONTACT, "") != POLICIES[table](Reach.CHANNELS, "")}
    names_one = parameter == "ids" or parameter.removesuffix("s") in _KEYS_OF_ONE_ORDER
    by_own_key = (key in _KEYS_OF_ONE_ORDER and names_one) or (key, parameter) == _KEY_OF_CUSTOMER_ORDER
    return not owned or (by_own_key and owned <= _OF_ONE_ORDER)


# Those who sell, or ship for who does.
_OF_SELLER = frozenset({Reach.EVERYTHING, Reach.CHANNELS, Reach.COMPANIES})

# Each sees orders of one channel, where an id is that of one row.
_OF_ONE_CHANNEL = frozenset({Reach.CONTACT, Reach.CUSTOMER, Reach.ORDER})

# What a row is compared with, by columns that lists have indexes for.
_COMPARED = re.compile(r"\b\w+\.\w+ = (?:ANY)?\(?:visible_")


def predicate(reach: Reach, table: str, alias: str, *, is_keyed: bool = False, stays_in_order: bool = False) -> str:
    """The condition under which a row of `table`, called `alias`, exists for a viewer of this reach.

    Of rows that hang on visible ones of the same order, as `stays_in_order` says (see there), whoever sees one channel
    alone is asked for that channel: the order has been looked at.

    Of rows that are found by other keys, `is_keyed`, it is judged row by row: no index is to be had for a sum. With one
    to choose, PostgreSQL takes a plan for the very values to be cheaper, and makes it anew each time, which costs
    several times the reading (an order page for a contact: 1.2 ms of planning, 0.2 ms of execution).

    Raises KeyError for a table without a policy.
    """
    is_seen = stays_in_order and table in _OF_ONE_ORDER and reach in _OF_ONE_CHANNEL
    text = _in_channel(reach, alias) if is_seen else POLICIES[table](reach, alias)
    if not is_keyed:
        return text
    if reach in _OF_ONE_CHANNEL:  # of a list of any length ten values are expected, and a plan for one is made anew
        text = text.replace("= ANY(:visible_channel_ids)", "= (:visible_channel_ids::int[])[1]")
    return _COMPARED.sub(r"+\g<0>", text)


def of_seller(reach: Reach, column: str) -> str:
    """What a column of the seller's own says, a number: null for those who buy."""
    return column if reach in _OF_SELLER else "NULL::numeric"


def hidden(reach: Reach, alias: str) -> str:
    """The condition on orders, called `alias`, that a viewer would see if their status were public: none for most.

    A total that is told of tallies is without them. What they are is for nobody to read.
    """
    if reach is not Reach.CONTACT:
        return "false"
    return f"{_orders(Reach.COMPANIES, alias)} AND {alias}.status = ANY ({_NOT_PUBLIC})"
