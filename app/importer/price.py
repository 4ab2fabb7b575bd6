"""What an order costs. Everything is computed here, in decimal, and rounded half up to two decimals (B-36).

Gross is without tax and net with it (B-35).
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

_CENT = Decimal("0.01")
_TAX_CODES = {21: "H", 9: "L", 6: "L", 0: "N"}


class LinePrice(NamedTuple):
    """`original_price`, `discount`, `price` and `price_net` are for one; the totals and `tax` are for the line."""

    original_price: Decimal
    discount: Decimal
    price: Decimal
    price_net: Decimal
    price_total: Decimal
    price_total_net: Decimal
    tax: Decimal


class OrderPrice(NamedTuple):
    """`sub_total` is the lines without tax; the totals are with the postage, which bears no tax of its own."""

    sub_total: Decimal
    postage: Decimal
    total_gross: Decimal
    total_net: Decimal
    total_tax: Decimal


def of_line(original: Decimal, discount: Decimal, tax_percentage: int, quantity: int) -> LinePrice:
    """`original` is the price of one without tax, `discount` the fraction of it that is taken off."""
    rate = 1 + Decimal(tax_percentage) / 100
    original_price, price = _round(original), _round(original * (1 - discount))
    total = price * quantity
    total_net = _round(total * rate)
    return LinePrice(
        original_price, original_price - price, price, _round(price * rate), total, total_net, total_net - total
    )


def of_order(lines: Iterable[LinePrice], postage: Decimal) -> OrderPrice:
    """`postage` is without tax; it is rounded first, so that the total is the sum of what is shown."""
    sub_total = tax = _CENT * 0
    for line in lines:
        sub_total += line.price_total
        tax += line.tax
    postage = _round(postage)
    gross = sub_total + postage
    return OrderPrice(sub_total, postage, gross, gross + tax, tax)


def tax_code(tax_percentage: int) -> str:
    """The B2B surface's `Taxcode` of a percentage: high, low, none, or custom."""
    return _TAX_CODES.get(tax_percentage, "CUST")


def _round(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)
