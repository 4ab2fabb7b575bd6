"""A line is computed exactly and rounded once, half up, to its currency's smallest unit (decision 23)."""

from decimal import Decimal

import pytest

from app.importer import price
from app.importer.price import Discount, LinePrice

D = Decimal


def line(
    original: str,
    quantity: int = 1,
    tax: str = "0",
    currency: str = "EUR",
    fraction: str = "0",
    amount: str | None = None,
) -> LinePrice:
    return price.of_line(
        D(original), quantity, D(tax), currency, Discount(D(fraction), None if amount is None else D(amount))
    )


@pytest.mark.parametrize(
    ("original", "quantity", "price_net", "total", "total_net"),
    [("23.31", 4, "28.21", "93.24", "112.82"), ("21.80", 2, "26.38", "43.60", "52.76")],
)
def test_line_agrees_with_the_contracts_order(
    original: str, quantity: int, price_net: str, total: str, total_net: str
) -> None:
    found = line(original, quantity, "21")
    assert [str(value) for value in (found.price_net, found.price_total, found.price_total_net)] == [
        price_net,
        total,
        total_net,
    ]
    assert found.tax == found.price_total_net - found.price_total


@pytest.mark.parametrize(
    ("found", "total"),
    [
        (line("0.004", 10_000), "40.00"),
        (line("0.89404", 1000), "894.04"),
        (line("0.99", 100, fraction="0.1"), "89.10"),
        (line("19.99", 3, fraction="0.15"), "50.97"),
        (line("0.000001", 5_000), "0.01"),
        (line("105", 3, currency="JPY"), "315"),
        (line("1.255", 10, currency="KWD"), "12.550"),
        (line("0.12345", 10, currency="CLF"), "1.2345"),
        (line("10", 3, amount="0.005"), "30.00"),
        (line("10", 3, amount="10"), "20.00"),
        (line("-2.50", 2), "-5.00"),
        (line("-0.005", 1), "-0.01"),
        (line("999999999999", 1, fraction="0.000001"), "999998999999.00"),
    ],
)
def test_line_is_rounded_once(found: LinePrice, total: str) -> None:
    assert str(found.price_total) == total


@pytest.mark.parametrize(
    ("found", "total_net", "tax"),
    [
        (line("105", 3, "8", "JPY"), "340", "25"),
        (line("1.255", 10, "0", "KWD"), "12.550", "0.000"),
        (line("19.99", 3, "21", fraction="0.15"), "61.67", "10.70"),
        (line("100", 1, "8.875"), "108.88", "8.88"),
        (line("100", 1, "14.975"), "114.98", "14.98"),
        (line("-100", 1, "21"), "-121.00", "-21.00"),
        (line("0.335", 3, "20"), "1.21", "0.20"),
    ],
)
def test_tax_is_of_the_total_that_is_shown(found: LinePrice, total_net: str, tax: str) -> None:
    assert (str(found.price_total_net), str(found.tax)) == (total_net, tax)


def test_prices_of_one_have_the_decimals_that_they_need_and_six_at_most() -> None:
    found = line("19.99", 3, "21", fraction="0.15")
    assert (found.original_price, found.discount, found.price) == (D("19.99"), D("2.9985"), D("16.9915"))
    assert found.price_net == D("20.5597")
    found = line("10", 3, amount="10")
    assert (found.discount, found.price) == (D("3.333333"), D("6.666667"))
    assert line("0.125").price == D("0.125")
    assert line("0.50", 1, "21").price_net == D("0.61")
    assert line("0.004", 1, "21").price_net == D("0.005")


def test_line_of_nothing_has_a_price() -> None:
    found = line("10", 0, "21", fraction="0.5")
    assert (found.price, found.price_total, found.price_total_net) == (5, 0, 0)


def test_order_adds_up() -> None:
    lines = [line(amount, 3, "21") for amount in ("0.33", "19.99")]
    order = price.of_order(lines, [D(21), D(21)], "EUR")
    assert (order.sub_total, order.discount, order.gross) == (D("60.96"), 0, D("60.96"))
    assert order.taxes == [line.tax for line in lines]
    assert order.tax == sum(order.taxes)


@pytest.mark.parametrize("discount", [Discount(D("0.1")), Discount(amount=D("10")), Discount(D("0.9"), D("10"))])
def test_what_is_taken_off_the_order_bears_no_tax(discount: Discount) -> None:
    lines = [line("60", 1, "20"), line("40", 1, "10")]
    order = price.of_order(lines, [D(20), D(10)], "EUR", discount)
    assert (order.sub_total, order.discount, order.gross) == (100, 10, 90)
    assert [str(tax) for tax in order.taxes] == ["10.80", "3.60"]


def test_discount_beyond_the_goods_makes_no_tax_negative() -> None:
    order = price.of_order([line("10", 1, "20")], [D(20)], "EUR", Discount(amount=D("15")))
    assert (order.gross, order.tax) == (-5, 0)
    order = price.of_order([line("-10", 1, "20")], [D(20)], "EUR", Discount(amount=D("5")))
    assert (order.gross, order.tax) == (-15, -2)


@pytest.mark.parametrize(
    ("percentage", "code"),
    [("21", "H"), ("21.0", "H"), ("9", "L"), ("6", "L"), ("0", "N"), ("19", "CUST"), ("8.875", "CUST")],
)
def test_tax_code_follows_the_percentage(percentage: str, code: str) -> None:
    assert price.tax_code(D(percentage)) == code
