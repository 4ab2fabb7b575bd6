"""Draws orders with all that hangs on them: lines, addresses, parcels, codes. Pure: same random numbers, same rows.

Each order's story is told up to a moment, `until`, and cut there. That alone makes old parcels delivered, recent ones
created or on their way, and leaves orders whose second parcel is still to come.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from uuid import uuid5

from app.demo.catalogue import COUPONS, TAXES, Good, Market
from app.demo.dice import Dice, Row, Tables
from app.demo.parcels import Parcel, Shipping

# Orders that never come to shipping, in a thousand, by whether companies or shoppers placed them.
_ENDINGS = {
    True: {"": 945, "CANCELED": 25, "QUOTATION": 20, "REQUEST": 10},
    False: {"": 938, "CANCELED": 35, "UNFINISHED": 20, "FRAUD": 7},
}
_ARCHIVED_AFTER = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who orders: a contact of a company or a customer; neither id for a guest. `address` holds address columns."""

    market: Market
    channel_id: int
    email: str
    first_name: str
    last_name: str
    address: Row
    company_id: int | None = None
    debtor_id: str | None = None
    contact_id: int | None = None
    customer_id: int | None = None


@lru_cache(maxsize=100_000)
def money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def portion(cents: int, percent: int) -> int:
    """A percentage of cents, rounded half up (B-36)."""
    return (cents * percent + 50) // 100


class OrderBook:
    """Writes orders, oldest first, into tables of rows for COPY.

    `shelves` holds each channel's goods with their product ids; `ids` yields fresh numbers by sequence.
    """

    def __init__(
        self,
        dice: Dice,
        buyers: Mapping[Market, list[Buyer]],
        shelves: Mapping[int, list[tuple[int, Good]]],
        carrier_ids: Mapping[str, int],
        ids: Mapping[str, Iterator[int]],
        until: datetime,
    ) -> None:
        self.dice = dice
        self.buyers = buyers
        self.weights = {market: market.weight for market in buyers}
        self.shelves = shelves
        self.ids = ids
        self.until = until
        self.tables: Tables = defaultdict(list)
        self.shipping = Shipping(dice, carrier_ids, ids, until, self.tables)

    def take(self) -> Tables:
        """The rows since the last call, by table in the order in which foreign keys want them."""
        return {table: self.tables.pop(table) for table in _COPY_ORDER if table in self.tables}

    def write(self, placed: datetime) -> None:
        """Adds one order, placed at that moment."""
        dice = self.dice
        buyer = dice.choice(self.buyers[dice.pick(self.weights)])
        ending = dice.pick(_ENDINGS[buyer.market.sells_to_companies])
        key = {"order_id": next(self.ids["orders"]), "channel_id": buyer.channel_id}
        coupon = None if buyer.market.sells_to_companies or dice.random() > 0.08 else dice.choice(list(COUPONS))
        lines = self._lines(key, buyer, COUPONS.get(coupon or "", 0))
        parcels = [] if ending else self.shipping.send(key, buyer.address["country"], lines, placed)
        for parcel in parcels:
            if parcel.status != "CANCELED":
                for line in lines:
                    line["quantity_shipped"] += parcel.contents.get(line["id"], 0)
        status, since = self._status(ending, placed, lines, parcels)
        self._order(key, buyer, coupon, lines, (status, since), placed, parcels)
        self._addresses(key, buyer, placed)

    # ------------------------------------------------------------------------------------------------ lines

    def _lines(self, key: Row, buyer: Buyer, coupon: int) -> list[Row]:
        """The lines of an order; `tax` is what is due after the coupon, a percentage of every line."""
        dice, market = self.dice, buyer.market
        taxes = TAXES[buyer.address["country"]]
        many = (1, 2, 2, 3, 4, 5, 10, 12, 20) if market.sells_to_companies else (1, 1, 1, 2, 3)
        count = dice.choices((1, 2, 3, 4, 5), (34, 28, 20, 12, 6))[0]
        lines = []
        for product_id, good in dice.sample(self.shelves[buyer.channel_id], count):
            discount = dice.choice((0, 0, 0, 5, 10, 15)) if market.sells_to_companies else 0
            price = good.cents - portion(good.cents, discount)
            quantity, rate = dice.choice(many), taxes[good.tax]
            total = price * quantity
            lines.append(
                {
                    "id": next(self.ids["order_items"]),
                    **key,
                    "uuid": dice.uuid(),
                    "product_id": product_id,
                    "sku": good.sku,
                    "name": good.names[market.language],
                    "quantity": quantity,
                    "quantity_invoiced": 0,
                    "quantity_canceled": 0,
                    "quantity_refunded": 0,
                    "quantity_shipped": 0,
                    "original_price": money(good.cents),
                    "price": money(price),
                    "price_net": money(price + portion(price, rate)),
                    "price_total": money(total),
                    "price_total_net": money(total + portion(total, rate)),
                    "discount": money(good.cents - price),
                    "tax": money(portion(total - portion(total, coupon), rate)),
                    "tax_percentage": rate,
                    "tax_code": good.tax,
                    "weight": Decimal(good.grams).scaleb(-3),
                }
            )
        self.tables["order_items"] += lines
        return lines

    # ------------------------------------------------------------------------------------------------ orders

    def _status(self, ending: str, placed: datetime, lines: list[Row], parcels: list[Parcel]) -> tuple[str, datetime]:
        """The order's status and since when, as its parcels and its age demand."""
        if ending or not parcels:
            if not ending:
                age = self.until - placed
                ending = "NEW" if age < timedelta(hours=6) else "VALIDATED" if age < timedelta(days=1) else "CONFIRMED"
            return ending, min(placed + self.dice.hours(0, 4), self.until)
        delivered = sum(sum(parcel.contents.values()) for parcel in parcels if parcel.status == "DELIVERED")
        if delivered < sum(line["quantity"] for line in lines):
            return "CONFIRMED", parcels[0].row["created_at"]
        since: datetime = max(parcel.row["last_modified_at"] for parcel in parcels)
        if since + _ARCHIVED_AFTER < self.until:
            return "ARCHIVED", since + _ARCHIVED_AFTER
        return "COMPLETED", since

    def _order(
        self,
        key: Row,
        buyer: Buyer,
        coupon: str | None,
        lines: list[Row],
        state: tuple[str, datetime],
        placed: datetime,
        parcels: list[Parcel],
    ) -> None:
        dice, market = self.dice, buyer.market
        business, (status, since) = market.sells_to_companies, state
        rate = TAXES[buyer.address["country"]]["H"]
        percent = COUPONS.get(coupon or "", 0)
        totals = [int(line["price_total"].scaleb(2)) for line in lines]
        sub_total, discount = sum(totals), sum(portion(total, percent) for total in totals)
        postage = (1250 if business else 495) if sub_total < (25_000 if business else 5_000) else 0
        postage_tax = portion(postage, rate)
        gross = sub_total - discount + postage
        tax = sum(int(line["tax"].scaleb(2)) for line in lines) + postage_tax
        paid = status not in ("UNFINISHED", "QUOTATION", "REQUEST") and (
            not business or status in ("COMPLETED", "ARCHIVED")
        )
        undone = status in ("CANCELED", "FRAUD")
        for line in lines:
            line["quantity_invoiced"] = line["quantity"] if paid else 0
            line["quantity_refunded"] = line["quantity"] if paid and undone else 0
            line["quantity_canceled"] = line["quantity"] if undone else 0
        quotation = status in ("QUOTATION", "REQUEST")
        exported = status in ("CONFIRMED", "COMPLETED", "ARCHIVED")
        swiss = buyer.address["country"] == "CH"
        self.tables["orders"].append(
            {
                "id": key["order_id"],
                "channel_id": buyer.channel_id,
                "uuid": dice.uuid(),
                "status": status,
                "status_date": since,
                "type": "quotation" if quotation else "purchase",
                "company_id": buyer.company_id,
                "contact_id": buyer.contact_id,
                "customer_id": buyer.customer_id,
                "debtor_id": buyer.debtor_id,
                "source": dice.choice(("portal", "portal", "edi", "sales desk")) if business else "shop",
                "email": buyer.email,
                "first_name": buyer.first_name,
                "last_name": buyer.last_name,
                "reference": f"PO-{dice.randrange(10_000, 100_000)}" if business and dice.random() < 0.7 else None,
                "remarks": dice.choice(_REMARKS) if dice.random() < 0.1 else None,
                "coupon_code": coupon,
                "is_guest": buyer.contact_id is None and buyer.customer_id is None,
                "is_gift": not business and dice.random() < 0.05,
                "language": market.language,
                "currency": "CHF" if swiss else market.currency,
                "currency_ratio": _CHF_PER_EUR if swiss else _ONE,
                "total_gross": money(gross),
                "total_net": money(gross + tax),
                "total_tax": money(tax),
                "discount_type": "P" if coupon else "N",
                "discount_value": Decimal(percent),
                "sub_total": money(sub_total),
                "discount_amount": money(discount),
                "invoiced_total": money(gross + tax if paid else 0),
                "refunded_total": money(gross + tax if paid and undone else 0),
                "shipping_method": "parcel_standard" if postage else "parcel_free",
                "shipping_title": "Parcel - Standard" if postage else "Parcel - Free",
                "postage_gross": money(postage),
                "postage_net": money(postage + postage_tax),
                "postage_tax": money(postage_tax),
                "postage_tax_percentage": Decimal(rate),
                "payment_method": "account" if business else dice.choice(("ideal", "creditcard", "paypal")),
                "payment_status": "PAID" if paid else "OPEN",
                "payment_status_date": since if paid else None,
                "valid_until": placed + timedelta(days=30) if quotation else None,
                "exported_at": since if exported else None,
                "export_status": "EXPORTED" if exported else "EMPTY",
                "created_at": placed,
                "last_modified_at": max([since, *(parcel.row["last_modified_at"] for parcel in parcels)]),
            }
        )
        if paid and undone:
            self._refund(key, lines, percent, self.tables["orders"][-1])
        if business:
            self.tables["order_sources"].append({**key, "name": "erp", "id": f"SO-{key['order_id']}"})

    def _refund(self, key: Row, lines: list[Row], percent: int, order: Row) -> None:
        """All that was paid, for all lines."""
        refund_id = uuid5(order["uuid"], "refund")
        self.tables["refunds"].append(
            {
                "id": refund_id,
                **key,
                "amount": order["refunded_total"],
                "reason": order["status"].capitalize(),
                "created_at": order["status_date"],
                "last_modified_at": order["status_date"],
            }
        )
        for line in lines:
            total = int(line["price_total"].scaleb(2))
            self.tables["refund_items"].append(
                {
                    "refund_id": refund_id,
                    "order_item_id": line["id"],
                    **key,
                    "quantity": line["quantity_refunded"],
                    "amount": money(total - portion(total, percent)) + line["tax"],
                }
            )

    def _addresses(self, key: Row, buyer: Buyer, placed: datetime) -> None:
        for kind in ("invoice", "delivery"):
            self.tables["order_addresses"].append(
                {
                    "id": next(self.ids["order_addresses"]),
                    **key,
                    "type": kind,
                    "first_name": buyer.first_name,
                    "last_name": buyer.last_name,
                    "email": buyer.email,
                    **buyer.address,
                    "created_at": placed,
                    "last_modified_at": placed,
                }
            )


_ONE = Decimal(1)
_CHF_PER_EUR = Decimal("0.94")
_REMARKS = (
    "Please deliver before noon.",
    "Ring the bell at the loading dock.",
    "Leave with the neighbours if nobody is in.",
    "Call the site manager on arrival.",
)
_COPY_ORDER = (
    "orders",
    "order_sources",
    "order_items",
    "order_addresses",
    "shipments",
    "shipment_sources",
    "shipment_items",
    "track_and_traces",
    "refunds",
    "refund_items",
)
