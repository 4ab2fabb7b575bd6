"""Prices are computed in decimal and rounded half up to two decimals (B-36)."""

from decimal import Decimal

import pytest

from app.importer import price


@pytest.mark.parametrize(
    ("original", "quantity", "price_net", "total", "total_net"),
    [("23.31", 4, "28.21", "93.24", "112.82"), ("21.80", 2, "26.38", "43.60", "52.76")],
)
def test_line_agrees_with_the_contracts_order(
    original: str, quantity: int, price_net: str, total: str, total_net: str
) -> None:
    line = price.of_line(Decimal(original), Decimal(0), 21, quantity)
    assert [str(value) for value in (line.price_net, line.price_total, line.price_total_net)] == [
        price_net,
        total,
        total_net,
    ]
    assert line.tax == line.price_total_net - line.price_total


def test_line_takes_the_discount_off_before_it_rounds() -> None:
    line = price.of_line(Decimal("0.10"), Decimal("0.05"), 0, 10)
    assert (line.original_price, line.price, line.discount) == (Decimal("0.10"), Decimal("0.10"), Decimal("0.00"))
    line = price.of_line(Decimal("7.70"), Decimal("0.15"), 0, 10)
    assert (line.price, line.price_total) == (Decimal("6.55"), Decimal("65.50"))


def test_line_rounds_half_up() -> None:
    assert price.of_line(Decimal("0.125"), Decimal(0), 0, 1).price == Decimal("0.13")
    assert price.of_line(Decimal("0.50"), Decimal(0), 21, 1).price_net == Decimal("0.61")


def test_order_adds_up() -> None:
    lines = [price.of_line(Decimal(amount), Decimal(0), 21, 3) for amount in ("0.33", "19.99")]
    order = price.of_order(lines, Decimal("12.505"))
    assert order.sub_total == Decimal("60.96")
    assert order.postage == Decimal("12.51")
    assert order.total_gross == Decimal("73.47")
    assert order.total_net == order.total_gross + order.total_tax


@pytest.mark.parametrize(("percentage", "code"), [(21, "H"), (9, "L"), (6, "L"), (0, "N"), (19, "CUST")])
def test_tax_code_follows_the_percentage(percentage: int, code: str) -> None:
    assert price.tax_code(percentage) == code
