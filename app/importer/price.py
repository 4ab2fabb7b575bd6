"""What an order costs, in decimal: each line is computed exactly and rounded once, half up, to its currency's smallest
unit (decision 23). Its tax is that of the amount that is shown.

Gross is without tax and net with it (B-35).
"""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import NamedTuple

from app.money import PRECISION, precise_as, rounded, rounded_price, without_discount

_NOTHING = Decimal(0)
_TAX_CODES = {21: "H", 9: "L", 6: "L", 0: "N"}


class Discount(NamedTuple):
    """What is taken off, without tax: an `amount`, or else a `fraction`."""

    fraction: Decimal = _NOTHING
    amount: Decimal | None = None

    def of(self, total: Decimal) -> Decimal:
        return total * self.fraction if self.amount is None else self.amount


NO_DISCOUNT = Discount()


class LinePrice(NamedTuple):
    """`original_price`, `discount`, `price` and `price_net` are for one, to six decimals; the rest is for the line.

    `tax` is that of the line without the order's discount.
    """

    original_price: Decimal
    discount: Decimal
    price: Decimal
    price_net: Decimal
    price_total: Decimal
    price_total_net: Decimal
    tax: Decimal


class OrderPrice(NamedTuple):
    """`sub_total` is the lines without tax. What is taken off the order is taken off `taxes`, those of its lines, too.

    The totals are with the discount, and without postage.
    """

    sub_total: Decimal
    discount: Decimal
    gross: Decimal
    tax: Decimal
    taxes: Sequence[Decimal]


def of_line(
    original: Decimal, quantity: int, tax_percentage: Decimal, currency: str, discount: Discount = NO_DISCOUNT
) -> LinePrice:
    """`original` is the price of one without tax; a discount's amount is off the line, not off each of its pieces."""
    with localcontext(prec=PRECISION):
        exact = original * quantity - discount.of(original * quantity)
        price = rounded_price(exact / quantity if quantity else original - original * discount.fraction)
        total = rounded(exact, currency)
        tax = rounded(total * tax_percentage / 100, currency)
        return LinePrice(
            rounded_price(original),
            rounded_price(original) - price,
            price,
            precise_as(price + price * tax_percentage / 100, price, currency),
            total,
            total + tax,
            tax,
        )


def of_order(
    lines: Sequence[LinePrice], tax_percentages: Sequence[Decimal], currency: str, discount: Discount = NO_DISCOUNT
) -> OrderPrice:
    """The discount is off all lines alike, so each bears less tax by the same share."""
    with localcontext(prec=PRECISION):
        sub_total = sum((line.price_total for line in lines), rounded(_NOTHING, currency))
        taken_off = rounded(discount.of(sub_total), currency)
        taxes = [
            rounded(without_discount(line.price_total, sub_total, taken_off) * percentage / 100, currency)
            for line, percentage in zip(lines, tax_percentages, strict=True)
        ]
        return OrderPrice(sub_total, taken_off, sub_total - taken_off, sum(taxes, rounded(_NOTHING, currency)), taxes)


def tax_code(tax_percentage: Decimal) -> str:
    """The B2B surface's `Taxcode` of a percentage: high, low, none, or custom."""
    return next((code for percentage, code in _TAX_CODES.items() if tax_percentage == percentage), "CUST")
