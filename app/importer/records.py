"""What a record of an import may say, and why it is refused.

The shapes are the tables of the import format; whatever they do not know is refused rather than ignored. `read` of
`app.importer.reader` checks a line against the shapes, `Order.check` against itself and against the codes and names
that the store knows.
"""

import json
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import product
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from app.importer.scalars import (
    COUNTRIES,
    NINE,
    AnyAmount,
    AnySigned,
    Count,
    Currency,
    Email,
    Fraction,
    Language,
    LineClass,
    Link,
    LocalMoment,
    Moment,
    Number,
    Percentage,
    Phone,
    PhoneText,
    Plain,
    Price,
    Promise,
    Quantity,
    Rate,
    ShipmentStatus,
    ShipmentSubStatus,
    ShippedQuantity,
    ShortText,
    Text,
    Words,
    decimal,
    rate_fault,
)
from app.money import amount_fault, currency_fault, rounded
from app.resolvers.tracking import TrackingPages, code_of, is_address, template_fault
from app.rules import (
    SHIPPABLE,
    as_key,
    code_fault,
    future_fault,
    key_fault,
    normalized_code,
    promise_fault,
    slug,
    url_fault,
    year_fault,
)

# Decision 21: a bundle is a line with goods as parts, down to so many levels.
_MOST_LEVELS = 8


class Refused(Exception):
    """A line that is not applied: `path` is the place in the record (`$.items[2].price`), `reason` is for people."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{printable(path)}: {printable(reason)}")
        self.path = path
        self.reason = reason


class Outdated(Refused):
    """A record that is older than what it would change. It changes nothing, and nobody is to blame for it."""


@dataclass(frozen=True)
class Known:
    """The codes and names that records may refer to: the store's, and those of the records before.

    Carriers are known by the codes of their channels, None where they are of all, and by their keys and names; the
    values are their templates. `ways` are pairs of statuses of shipments, of which the second may follow at some time.
    Time zones are there once a record names one.
    """

    statuses: set[str] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)
    carriers: dict[tuple[str | None, str], str | None] = field(default_factory=dict)
    time_zones: set[str] = field(default_factory=set)
    ways: frozenset[tuple[str, str]] = frozenset()

    def code_of(self, text: str, carrier: str | None, channel: str | None) -> str:
        """The code in `text` where that is an address of the carrier's page, or of that of any where none is named."""
        if not is_address(text):
            return text
        names = None if carrier is None else _names_of_carrier(carrier)
        return TrackingPages(
            template
            for (of_channel, name), template in self.carriers.items()
            if (channel is None or of_channel in (None, channel)) and (names is None or name in names)
        ).code_of(text)


class _Shape(Struct, forbid_unknown_fields=True, rename="camel"):
    """A field that is UNSET was left out, and keeps what is there; null takes it away."""


class Channel(_Shape, tag_field="kind", tag="channel"):
    code: ShortText
    name: Text
    currency: Currency
    language: Language | None = None
    time_zone: ShortText | None = None
    rates: dict[str, str | float] | None = None
    shipped_status: ShortText | UnsetType | None = UNSET
    delivered_status: ShortText | UnsetType | None = UNSET

    @property
    def key(self) -> Hashable:
        return "channel", self.code

    def check(self, known: Known) -> None:
        """Raises Refused."""
        _refuse_strange_zone(self.time_zone, known)
        _refuse_fault("$.currency", currency_fault(self.currency))
        for currency, rate in (self.rates or {}).items():
            _refuse_fault(f"$.rates.{currency}", currency_fault(currency) or rate_fault(rate))
            if currency == self.currency:
                raise Refused(f"$.rates.{currency}", "is the channel's own currency, which needs no rate")
        if self.shipped_status:
            _refuse_unknown("$.shippedStatus", self.shipped_status, known.statuses, "order status")
        if self.delivered_status:
            _refuse_unknown("$.deliveredStatus", self.delivered_status, known.statuses, "order status")
        known.channels.add(self.code)


class Description(_Shape):
    language: Language
    value: Words | None = None


class Carrier(_Shape, tag_field="kind", tag="carrier"):
    """B-55. Of all channels where it names none."""

    name: ShortText
    carrier_key: ShortText | None = msgspec.field(default=None, name="key")
    channel: ShortText | None = None
    type: Literal["DELIVERY", "PICKUP"] | None = None
    template: Link | None = msgspec.field(default=None, name="trackAndTraceURL")
    logo: Link | None = None
    time_zone: ShortText | None = None
    descriptions: tuple[Description, ...] | None = None

    @property
    def key(self) -> Hashable:
        return "carrier", self.channel, self.carrier_key or slug(self.name) or self.name

    def check(self, known: Known) -> None:
        """Raises Refused."""
        if self.channel is not None:
            _refuse_unknown("$.channel", self.channel, known.channels, "channel")
        if self.carrier_key is not None:
            self.carrier_key = as_key(self.carrier_key)
            _refuse_fault("$.key", key_fault(self.carrier_key))
        _refuse_strange_zone(self.time_zone, known)
        if self.template is not None:
            _refuse_fault("$.trackAndTraceURL", template_fault(self.template))
        if self.logo is not None:
            _refuse_fault("$.logo", url_fault(self.logo))
        _refuse_repeated("$.descriptions[{}].language", [d.language for d in self.descriptions or ()])
        for name in (self.name, self.carrier_key or slug(self.name)):
            known.carriers[self.channel, name] = self.template or known.carriers.get((self.channel, name))


class Company(_Shape):
    external_id: Text
    name: Text
    parent_external_id: Text | None = None


class Customer(_Shape):
    """Any one of e-mail, phone and key suffices: orders of marketplaces and tills have no e-mail."""

    email: Email | None = None
    external_id: Text | None = None
    phone: PhoneText | None = None
    first_name: Plain | None = None
    last_name: Plain | None = None

    def check_keys(self, path: str) -> None:
        """Raises Refused."""
        if self.email is None and self.external_id is None and self.phone is None:
            raise Refused(path, "needs an email, a phone or an externalId")


class Account(Customer, tag_field="kind", tag="customer", kw_only=True):
    """A customer of a channel, as a record of its own."""

    channel: ShortText

    @property
    def key(self) -> Hashable:
        return "customer", self.channel, self.external_id or (self.email or "").lower() or self.phone

    def check(self, known: Known) -> None:
        """Raises Refused."""
        _refuse_unknown("$.channel", self.channel, known.channels, "channel")
        self.check_keys("$")


class Address(_Shape):
    type: Literal["delivery", "invoice"]
    street: Text
    postal_code: Plain
    city: Text
    country: str
    company: Plain | None = None
    first_name: Plain | None = None
    last_name: Plain | None = None
    number: Plain | None = None
    region: Plain | None = None
    phone: Phone | None = None


class Line(_Shape):
    line: Count
    sku: Text
    name: Text
    quantity: Quantity
    price: Price
    line_id: Text | None = None
    class_: LineClass | UnsetType | None = msgspec.field(default=UNSET, name="class")
    parent_line: Count | UnsetType | None = UNSET
    quantity_canceled: Quantity | UnsetType | None = UNSET
    unit: ShortText | UnsetType | None = UNSET
    tax_percentage: Percentage | None = None
    discount: Fraction | None = None
    discount_amount: AnyAmount | None = None
    product_id: Number | UnsetType | None = UNSET
    additional: Any = UNSET

    @property
    def is_shippable(self) -> bool:
        return (self.class_ or "product") in SHIPPABLE


class ShippedLine(_Shape):
    line: Count
    quantity: ShippedQuantity


class News(_Shape):
    """What a carrier tells. Moments without an offset are read in the zone of the carrier, or else of the channel."""

    status: ShipmentStatus
    occurred_at: LocalMoment
    sub_status: ShipmentSubStatus | None = None
    expected_delivery_at: LocalMoment | None = None
    location: Words | None = None
    description: Annotated[str, Meta(max_length=1000)] | None = None
    external_id: Text | None = None

    def check_moments(self, path: str) -> None:
        """Raises Refused."""
        _refuse_strange_date(f"{path}.occurredAt", self.occurred_at)
        _refuse_strange_date(f"{path}.expectedDeliveryAt", self.expected_delivery_at)


class Event(News, tag_field="kind", tag="event", kw_only=True):
    """News of its own, of a code that may come later, and so may its carrier."""

    code: Text
    carrier: ShortText | None = None
    channel: ShortText | None = None
    shipment_id: UUID | None = None

    @property
    def key(self) -> Hashable:
        """No two are the same record: what is told twice, the store finds."""
        return "event", id(self)

    def check(self, known: Known) -> None:
        """Raises Refused."""
        if self.channel is not None:
            _refuse_unknown("$.channel", self.channel, known.channels, "channel")
        _refuse_fault("$.code", code_fault(self.code))
        self.code = known.code_of(self.code, self.carrier, self.channel)
        self.check_moments("$")


class Code(_Shape):
    code: Text
    carrier: ShortText | None = None
    expected_delivery_at: LocalMoment | UnsetType | None = UNSET
    items: tuple[ShippedLine, ...] | None = None
    events: tuple[News, ...] = ()


class Source(_Shape):
    id: Text
    name: Text


class Shipment(_Shape):
    """`carrier_status` is the word of the carrier's: one of the nine, or one of the finer ones."""

    external_id: Text
    status: ShipmentStatus | None = None
    carrier_status: ShipmentStatus | ShipmentSubStatus | UnsetType | None = UNSET
    sub_status: ShipmentSubStatus | UnsetType | None = UNSET
    created_at: Moment | None = None
    expected_delivery_at: Promise | UnsetType | None = UNSET
    items: tuple[ShippedLine, ...] | None = None
    track_and_traces: tuple[Code, ...] | None = None
    sources: tuple[Source, ...] | None = None

    def take_carrier_status(self, path: str, ways: frozenset[tuple[str, str]]) -> None:
        """Of a status and the carrier's word the one that the lifecycle leads to is the status. Raises Refused."""
        told = self.carrier_status
        if told is UNSET:
            return
        if told in NINE:
            if self.status is None or (self.status, told) in ways:
                self.status = cast("ShipmentStatus", told)
        elif self.sub_status is UNSET or self.sub_status == told:
            self.sub_status = cast("ShipmentSubStatus | None", told)
        else:
            raise Refused(f"{path}.carrierStatus", "must be what subStatus is: one of the two is enough")


class Totals(_Shape):
    """What the source says that the order costs: `gross` without tax, `net` with it (B-35), postage included."""

    gross: AnySigned | None = None
    net: AnySigned | None = None
    tax: AnySigned | None = None

    def check(self, path: str, currency: str) -> None:
        """Raises Refused."""
        for name, total in (("gross", self.gross), ("net", self.net), ("tax", self.tax)):
            if total is not None:
                _refuse_fault(f"{path}.{name}", amount_fault(f"{abs(decimal(total)):f}", currency))
        gross, net, tax = self.known
        if None not in (gross, net, tax) and net != gross + tax:  # type: ignore[operator]
            raise Refused(path, "net must be gross and tax together: gross is without tax, net is with it")

    @property
    def known(self) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        """Gross, net and tax; what follows from the two others is not left out."""
        gross, net, tax = (None if total is None else decimal(total) for total in (self.gross, self.net, self.tax))
        if net is not None and gross is not None and tax is None:
            return gross, net, net - gross
        if net is not None and tax is not None and gross is None:
            return net - tax, net, tax
        if gross is not None and tax is not None and net is None:
            return gross, gross + tax, tax
        return gross, net, tax


class Payment(_Shape):
    method: Text | UnsetType | None = UNSET
    status: Text | UnsetType | None = UNSET


class RefundedLine(_Shape):
    line: Count
    quantity: Quantity = Quantity(0)
    amount: AnyAmount | None = None


class Refund(_Shape):
    """Amounts are with tax. Without one of its own the refund is the sum of its lines', and those are as they cost."""

    external_id: Text
    amount: AnyAmount | None = None
    created_at: Moment | None = None
    reason: Words | None = None
    items: tuple[RefundedLine, ...] = ()

    def check(self, path: str, currency: str, lines: set[int]) -> None:
        """Raises Refused."""
        if self.amount is None and not self.items:
            raise Refused(path, "has neither an amount nor items")
        _refuse_strange_past(f"{path}.createdAt", self.created_at)
        _refuse_repeated(path + ".items[{}].line", [item.line for item in self.items])
        for place, amount in (
            (path, self.amount),
            *((f"{path}.items[{n}]", i.amount) for n, i in enumerate(self.items)),
        ):
            if amount is not None:
                _refuse_fault(f"{place}.amount", amount_fault(f"{decimal(amount):f}", currency))
        for n, item in enumerate(self.items):
            if item.line not in lines:
                raise Refused(f"{path}.items[{n}].line", f"{item.line} is no line of the order")


class Order(_Shape, tag_field="kind", tag="order"):
    external_id: Text
    channel: ShortText
    status: ShortText
    currency: Currency
    created_at: Moment
    items: Annotated[tuple[Line, ...], Meta(min_length=1)]
    type: Literal["dropshipment", "purchase", "quotation", "stock"] | UnsetType | None = UNSET
    company: Company | UnsetType | None = UNSET
    customer: Customer | UnsetType | None = UNSET
    source_modified_at: Moment | None = None
    last_modified_at: Moment | None = None
    requested_delivery_at: Promise | UnsetType | None = UNSET
    shipping_method: Plain | UnsetType | None = UNSET
    shipping_amount: AnyAmount | UnsetType | None = UNSET
    shipping_tax_percentage: Percentage | UnsetType | None = UNSET
    reference: Plain | UnsetType | None = UNSET
    coupon: Text | UnsetType | None = UNSET
    discount: Fraction | None = None
    discount_amount: AnyAmount | None = None
    totals: Totals | None = None
    currency_ratio: Rate | UnsetType | None = UNSET
    payment: Payment | UnsetType | None = UNSET
    refunds: tuple[Refund, ...] | None = None
    addresses: tuple[Address, ...] | None = None
    shipments: tuple[Shipment, ...] | None = None

    @property
    def key(self) -> Hashable:
        return "order", self.channel, self.external_id

    @property
    def postage(self) -> Decimal:
        return rounded(decimal(self.shipping_amount or 0), self.currency)

    @property
    def modified_at(self) -> datetime | None:
        """When the source wrote the record, as far as it says so."""
        return self.source_modified_at or self.last_modified_at

    @property
    def left_out(self) -> list[str]:
        """Fields that keep the values they have, by the names of their columns."""
        of_payment = [f"payment_{name}" for name in ("method", "status") if self._keeps_payment(name)]
        return [name for name in _KEPT if getattr(self, name) is UNSET] + of_payment

    def _keeps_payment(self, name: str) -> bool:
        return self.payment is UNSET or (self.payment is not None and getattr(self.payment, name) is UNSET)

    def check(self, known: Known) -> None:
        """What the shapes cannot say. Raises Refused."""
        _refuse_unknown("$.channel", self.channel, known.channels, "channel")
        _refuse_unknown("$.status", self.status, known.statuses, "order status")
        _refuse_fault("$.currency", currency_fault(self.currency))
        for name in ("created_at", "source_modified_at", "last_modified_at"):
            _refuse_strange_past(f"$.{_camel(name)}", getattr(self, name))
        _refuse_strange_date("$.requestedDeliveryAt", self.requested_delivery_at or None)
        if self.company and self.company.external_id == self.company.parent_external_id:
            raise Refused("$.company.parentExternalId", "a company is not its own parent")
        if self.customer:
            self.customer.check_keys("$.customer")
        for n, address in enumerate(self.addresses or ()):
            _refuse_unknown(f"$.addresses[{n}].country", address.country, COUNTRIES, "ISO 3166-1 alpha-2 country")
        _refuse_repeated("$.items[{}].line", [item.line for item in self.items])
        keys = [(n if item.line_id is None else item.line_id) for n, item in enumerate(self.items)]
        _refuse_repeated("$.items[{}].lineId", keys)
        _refuse_repeated("$.shipments[{}].externalId", [shipment.external_id for shipment in self.shipments or ()])
        self._check_money()
        self._check_lines()
        self._check_shipments(known)

    def _check_money(self) -> None:
        if self.currency_ratio:
            _refuse_fault("$.currencyRatio", rate_fault(self.currency_ratio))
        if self.totals is not None:
            self.totals.check("$.totals", self.currency)
        lines = {int(item.line) for item in self.items}
        _refuse_repeated("$.refunds[{}].externalId", [refund.external_id for refund in self.refunds or ()])
        for n, refund in enumerate(self.refunds or ()):
            refund.check(f"$.refunds[{n}]", self.currency, lines)

    def parts_of(self, line: int) -> list[Line]:
        """The goods that a line is made of, as far as the record says so. Nothing is made of what there is none of."""
        parts = (part for part in self.items if part.parent_line == line and part.quantity)
        return [part for part in parts if (part.class_ or "product") == "product"]

    def canceled_of(self, item: Line) -> int | None:
        """How much of a line is canceled, None where that stays as it is.

        What is canceled of a bundle is canceled of its parts, where the record does not say what is of these.
        """
        if item.quantity_canceled is not UNSET:
            return int(item.quantity_canceled or 0)
        parent = next((line for line in self.items if item.parent_line and line.line == item.parent_line), None)
        canceled = None if parent is None else self.canceled_of(parent)
        if parent is None or canceled is None or not parent.quantity:
            return None
        return canceled * item.quantity // parent.quantity

    def goods_of(self, shipment: "Shipment | Code", path: str) -> dict[int, int]:
        """How much a shipment, or a parcel of it, holds of which line, itself shipped.

        A line that is listed several times, such as once for each serial number or batch, is the sum of them. A bundle
        stands for its parts, in the numbers in which it is made of them; where parts of it are listed beside it, these
        tell. Raises Refused.
        """
        listed: dict[int, int] = {}
        places: dict[int, int] = {}
        for m, item in enumerate(shipment.items or ()):
            listed[item.line] = listed.get(item.line, 0) + item.quantity
            places.setdefault(item.line, m)
        goods: dict[int, int] = {}
        for line, quantity in listed.items():
            self._unpack(line, quantity, listed, goods, f"{path}.items[{places[line]}]")
        return goods

    def _check_parcels(self, path: str, shipment: Shipment) -> None:
        """They hold what the record's shipment does; one that leaves its items out is for the store to judge."""
        if shipment.items is None:
            return
        unpacked = Counter(self.goods_of(shipment, path))
        for n, code in enumerate(shipment.track_and_traces or ()):
            place = f"{path}.trackAndTraces[{n}]"
            places = {int(item.line): f"{place}.items[{m}]" for m, item in enumerate(code.items or ())}
            for line, quantity in self.goods_of(code, place).items():
                here = places.get(line, f"{place}.items")
                if line not in unpacked:
                    raise Refused(f"{here}.line", f"{line} is no line of the shipment")
                unpacked[line] -= quantity
                if unpacked[line] < 0:
                    raise Refused(f"{here}.quantity", f"more of line {line} is in parcels than in the shipment")

    def _unpack(self, line: int, quantity: int, listed: dict[int, int], goods: dict[int, int], path: str) -> None:
        parts = self.parts_of(line)
        if not parts:
            goods[line] = goods.get(line, 0) + quantity
            return
        if any(part.line in listed for part in parts):
            return
        ordered = next(item.quantity for item in self.items if item.line == line)
        for part in parts:
            wanted, rest = divmod(quantity * part.quantity, ordered or 1)
            if rest:
                raise Refused(f"{path}.quantity", f"{quantity} of line {line} are no whole number of line {part.line}")
            if wanted:
                self._unpack(part.line, wanted, listed, goods, path)

    def _check_lines(self) -> None:
        parents = {int(item.line): item.parent_line or None for item in self.items}
        for n, item in enumerate(self.items):
            if item.quantity_canceled and item.quantity_canceled > item.quantity:
                raise Refused(f"$.items[{n}].quantityCanceled", "more is canceled than ordered")
            above: int | None = item.line
            for _level in range(_MOST_LEVELS):
                above = parents[above] if above else None
                if above is None:
                    break
                if above not in parents:
                    raise Refused(f"$.items[{n}].parentLine", f"{above} is no line of the order")
                if above == item.line:
                    raise Refused(f"$.items[{n}].parentLine", "a line is no part of itself")
            else:
                raise Refused(f"$.items[{n}].parentLine", f"bundles have at most {_MOST_LEVELS} levels")

    def _check_shipments(self, known: Known) -> None:
        unshipped = Counter({int(item.line): item.quantity - (self.canceled_of(item) or 0) for item in self.items})
        not_goods = {item.line: item.class_ for item in self.items if not item.is_shippable}
        for n, shipment in enumerate(self.shipments or ()):
            path = f"$.shipments[{n}]"
            shipment.take_carrier_status(path, known.ways)
            _refuse_strange_past(f"{path}.createdAt", shipment.created_at)
            if expected := shipment.expected_delivery_at:
                _refuse_strange_date(f"{path}.expectedDeliveryAt", expected)
                created_at, requested_at = shipment.created_at or self.created_at, self.requested_delivery_at or None
                _refuse_fault(f"{path}.expectedDeliveryAt", promise_fault(expected, created_at, requested_at))
            items = shipment.items or ()
            for m, item in enumerate(items):
                if item.line not in unshipped:
                    raise Refused(f"{path}.items[{m}].line", f"{item.line} is no line of the order")
                if item.line in not_goods:
                    reason = f"line {item.line} is of class {not_goods[item.line]}, which is not shipped"
                    raise Refused(f"{path}.items[{m}].line", reason)
            goods = self.goods_of(shipment, path)
            places_of_lines = {int(item.line): m for m, item in enumerate(items)}
            for line, quantity in goods.items():
                if shipment.status != "CANCELED":  # B-51: canceled shipments do not count
                    unshipped[line] -= quantity
                if unshipped[line] < 0:
                    place = f"items[{places_of_lines[line]}].quantity" if line in places_of_lines else "items"
                    raise Refused(f"{path}.{place}", f"more of line {line} is shipped than ordered")
            _refuse_repeated(path + ".sources[{}]", [(source.id, source.name) for source in shipment.sources or ()])
            self._check_codes(path, shipment, known)
            self._check_parcels(path, shipment)

    def _check_codes(self, path: str, shipment: Shipment, known: Known) -> None:
        """Of a shipment. An address that was copied from the carrier's page becomes its code (decision 25)."""
        seen: set[tuple[str | None, str]] = set()
        for m, code in enumerate(shipment.track_and_traces or ()):
            place = f"{path}.trackAndTraces[{m}]"
            _refuse_fault(f"{place}.code", code_fault(code.code))
            if code.carrier is None:
                code.code = known.code_of(code.code, None, self.channel)
            else:
                code.code = code_of(code.code, self._template(f"{place}.carrier", code.carrier, known))
            key = (code.carrier, normalized_code(code.code))
            if key in seen:  # B-54
                raise Refused(f"{place}.code", f"{_quoted(code.code)} is a duplicate")
            seen.add(key)
            _refuse_strange_date(f"{place}.expectedDeliveryAt", code.expected_delivery_at or None)
            for k, event in enumerate(code.events):
                event.check_moments(f"{place}.events[{k}]")

    def _template(self, path: str, carrier: str, known: Known) -> str | None:
        """Of the carrier of this name or key, that of the order's channel rather than that of all. Raises Refused."""
        for key in product((self.channel, None), _names_of_carrier(carrier)):
            if key in known.carriers:
                return known.carriers[key]
        raise Refused(path, f"unknown carrier {_quoted(carrier)}")


Record = Channel | Carrier | Order | Event | Account

_KEPT = (
    *("type", "company", "customer", "requested_delivery_at", "shipping_method", "shipping_amount"),
    *("shipping_tax_percentage", "reference", "coupon", "currency_ratio"),
)


def _refuse_unknown(path: str, value: str, known: set[str] | frozenset[str], noun: str) -> None:
    if value not in known:
        raise Refused(path, f"unknown {noun} {_quoted(value)}")


def _refuse_repeated(path: str, values: list[Any]) -> None:
    if len(set(values)) < len(values):
        again = next(n for n, value in enumerate(values) if value in values[:n])
        raise Refused(path.format(again), f"{_quoted(values[again])} is a duplicate")


def _refuse_fault(path: str, fault: str | None) -> None:
    """`fault` is what a rule of `app/rules.py` says."""
    if fault:
        raise Refused(path, fault)


def _names_of_carrier(text: str) -> tuple[str, ...]:
    """What a record may mean by what it calls a carrier: its name, its key, or the key that is made of its name."""
    return text, as_key(text), slug(text)


def _refuse_strange_zone(zone: str | None, known: Known) -> None:
    if zone is not None and zone not in known.time_zones:
        raise Refused("$.timeZone", "expected a name of the IANA time zone database such as Europe/Amsterdam")


def _refuse_strange_date(path: str, moment: datetime | None) -> None:
    if moment is not None:
        _refuse_fault(path, year_fault(moment))


def _refuse_strange_past(path: str, moment: datetime | None) -> None:
    """Of what has happened already."""
    if moment is not None:
        _refuse_fault(path, year_fault(moment) or future_fault(moment))


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def printable(text: str, limit: int = 200) -> str:
    """The text on one line: a record's own words must not reach into the report or the terminal."""
    shown = "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text[:limit])
    return shown + "…" if len(text) > limit else shown
