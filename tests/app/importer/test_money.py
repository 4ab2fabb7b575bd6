"""What an import makes of money: rounding, currencies, rates, totals of the record's own, payment and refunds."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.importer.reader import read
from app.importer.records import Known, Refused
from tests import consistency
from tests.app.importer.test_ingest import SHOP, Store, line, order
from tests.conftest import ConnectionTo, calling, credentials, running, settings_for

US = {**SHOP, "code": "us", "currency": "USD"}
KNOWN = Known({"CONFIRMED"}, {"shop", "us"})
TOTALS = """
    SELECT sub_total::text, discount_amount::text, total_gross::text, total_tax::text, total_net::text
    FROM orders ORDER BY id
"""


def sold(n: int = 1, *lines: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An order of these lines, without a shipment."""
    record = order(n, items=list(lines) or [line(1, quantity=1, price="100")], **fields)
    del record["shipments"]
    return record


@pytest.fixture
def store(fresh_dsn: str, tmp_path: Path, connection_to: ConnectionTo) -> Store:
    return Store(fresh_dsn, tmp_path, connection_to)


async def ask(store: Store, document: str, viewer: str = "staff") -> Any:
    settings = settings_for(store.dsn)
    async with running(settings) as app, calling(app) as client:
        answer = await client.post("/graphql", json={"query": document}, headers=credentials(viewer, settings))
    assert "errors" not in answer.json(), answer.text
    return answer.json()["data"]


@pytest.mark.parametrize(
    ("currency", "lines", "totals"),
    [
        ("EUR", [line(1, quantity=10_000, price="0.004")], ("40.00", "0.00", "40.00", "0.00", "40.00")),
        ("EUR", [line(1, quantity=1000, price="0.89404")], ("894.04", "0.00", "894.04", "0.00", "894.04")),
        ("EUR", [line(1, quantity=100, price="0.99", discount=0.1)], ("89.10", "0.00", "89.10", "0.00", "89.10")),
        ("JPY", [line(1, quantity=3, price="105", taxPercentage=8)], ("315", "0", "315", "25", "340")),
        ("KWD", [line(1, quantity=10, price="1.255")], ("12.550", "0.000", "12.550", "0.000", "12.550")),
        ("EUR", [line(1, quantity=3, price="10", discountAmount="10")], ("20.00", "0.00", "20.00", "0.00", "20.00")),
        (
            "EUR",
            [
                line(1, quantity=1, price="100", taxPercentage="8.875"),
                line(2, quantity=2, price="-10", taxPercentage=8.875),
            ],
            ("80.00", "0.00", "80.00", "7.10", "87.10"),
        ),
    ],
)
async def test_order_is_rounded_once_a_line(
    store: Store, currency: str, lines: list[dict[str, Any]], totals: tuple[str, ...]
) -> None:
    await store.take(SHOP, sold(1, *lines, currency=currency))
    assert await store.fetch(TOTALS) == [totals]


async def test_discount_of_the_order_is_a_fraction_or_an_amount(store: Store) -> None:
    lines = [line(1, quantity=1, price="60", taxPercentage=20), line(2, quantity=1, price="40", taxPercentage=10)]
    report = await store.take(
        SHOP,
        sold(1, *lines, discount="0.1"),
        sold(2, *lines, discountAmount="10"),
        sold(3, *lines, discountAmount=10, discount=0.1, coupon="TEN"),
        sold(4, *lines, discountAmount=10, discount=0.5),
    )
    assert report == [
        "5: warning: $.discount: 50.00 is not the discountAmount, which is taken off",
        "5 read, 5 created, 0 updated, 0 unchanged, 0 refused, 1 with a warning",
    ]
    assert store.status == 0
    assert await store.fetch(TOTALS) == [("100.00", "10.00", "90.00", "14.40", "104.40")] * 4
    assert await store.fetch(
        "SELECT discount_type, trim_scale(discount_value)::text, coupon_code FROM orders ORDER BY id"
    ) == [("P", "10", None), ("A", "10", None), ("A", "10", "TEN"), ("A", "10", None)]
    assert await store.fetch("SELECT tax::text, price_total_net::text FROM order_items ORDER BY id LIMIT 2") == [
        ("10.80", "72.00"),
        ("3.60", "44.00"),
    ]


async def test_shipping_has_its_tax(store: Store) -> None:
    await store.take(SHOP, sold(shippingAmount="4.95", shippingTaxPercentage="8.875"))
    shipping = "SELECT postage_gross::text, postage_tax::text, postage_net::text, total_net::text FROM orders"
    assert await store.fetch(shipping) == [("4.95", "0.44", "5.39", "105.39")]
    await store.take(sold())
    assert await store.fetch(shipping) == [("4.95", "0.44", "5.39", "105.39")]
    await store.take(sold(shippingAmount="10"))
    assert await store.fetch(shipping) == [("10.00", "0.89", "10.89", "110.89")]
    await store.take(sold(shippingAmount=None, shippingTaxPercentage=None))
    assert await store.fetch(shipping) == [("0.00", "0.00", "0.00", "100.00")]


async def test_totals_of_the_record_are_shown_and_a_difference_is_told(store: Store) -> None:
    taxed = line(1, quantity=1, price="100", taxPercentage=21)
    same = {"gross": "100", "net": "121.00", "tax": 21}
    other = {"gross": "99.99", "net": "120.99", "tax": "21"}
    report = await store.take(
        SHOP, sold(1, taxed, totals=same), sold(2, taxed, totals=other), sold(3, taxed, totals={"net": "120"}),
        sold(4, taxed, totals={"gross": 90, "tax": 20}),
    )  # fmt: skip
    assert report == [
        "3: warning: $.totals.gross: 99.99 in the record, but its lines make 100.00",
        "3: warning: $.totals.net: 120.99 in the record, but its lines make 121.00",
        "4: warning: $.totals.net: 120.00 in the record, but its lines make 121.00",
        "5: warning: $.totals.gross: 90.00 in the record, but its lines make 100.00",
        "5: warning: $.totals.net: 110.00 in the record, but its lines make 121.00",
        "5: warning: $.totals.tax: 20.00 in the record, but its lines make 21.00",
        "5 read, 5 created, 0 updated, 0 unchanged, 0 refused, 3 with a warning",
    ]
    assert store.status == 0
    shown = "SELECT trim_scale(total_gross), trim_scale(total_tax), trim_scale(total_net) FROM orders ORDER BY id"
    assert [tuple(map(str, row)) for row in await store.fetch(shown)] == [
        ("100", "21", "121"),
        ("99.99", "21", "120.99"),
        ("99", "21", "120"),
        ("90", "20", "110"),
    ]
    before = await store.rows()
    await store.take(sold(2, taxed, totals=other), sold(3, taxed, totals={"net": "120"}))
    assert await store.rows() == before


async def test_base_amounts_are_by_the_rate_or_null(store: Store) -> None:
    rates = {"EUR": "0.8", "JPY": 150}
    await store.take(
        {**US, "rates": rates},
        *(sold(n, channel="us", currency=currency) for n, currency in enumerate(("USD", "EUR", "JPY", "GBP"), 1)),
        sold(5, channel="us", currency="EUR", currencyRatio="0.5"),
    )
    money = "baseNetMoney { amount currency minorUnits }"
    document = f"""{{ orders(input: {{sortInputs: [{{field: ID, order: ASC}}]}}) {{
      items {{ currencyRatioExact total {{ {money} }} }}
    }} }}"""
    found = [
        (row["currencyRatioExact"], (row["total"]["baseNetMoney"] or {}).get("amount"))
        for row in (await ask(store, document))["orders"]["items"]
    ]
    assert found == [("1", "100.00"), ("0.8", "125.00"), ("150", "0.67"), (None, None), ("0.5", "200.00")]


async def test_order_keeps_its_rate_and_one_without_takes_the_next(store: Store) -> None:
    euros, pounds = (sold(n, channel="us", currency=currency) for n, currency in ((1, "EUR"), (2, "GBP")))
    await store.take({**US, "rates": {"EUR": "0.8"}}, euros, pounds)
    ratios = "SELECT trim_scale(currency_ratio)::text FROM orders ORDER BY id"
    assert await store.fetch(ratios) == [("0.8",), (None,)]
    later = {**US, "rates": {"EUR": "0.9", "GBP": "0.7"}}
    assert (await store.take(later, euros))[-1] == "2 read, 0 created, 1 updated, 1 unchanged, 0 refused"
    assert (await store.take(later, pounds))[-1] == "2 read, 0 created, 1 updated, 1 unchanged, 0 refused"
    assert await store.fetch(ratios) == [("0.8",), ("0.7",)]
    await store.take({**US, "rates": {}}, {**euros, "currencyRatio": "0.85"}, {**pounds, "currency": "JPY"})
    assert await store.fetch(ratios) == [("0.85",), (None,)]
    await store.take({**pounds, "currency": "USD"})
    assert await store.fetch(ratios) == [("0.85",), ("1",)]
    await store.take({**euros, "currencyRatio": None})
    assert await store.fetch(ratios) == [(None,), ("1",)]


async def test_what_no_rate_or_currency_can_be_is_refused_by_the_store(store: Store) -> None:
    assert await store.take(
        US, sold(1, channel="us", currency="USD", currencyRatio="1.5"), sold(2, channel="us", currency="USD"),
        {**US, "currency": "EUR"}, sold(3, channel="us", currency="USD", currencyRatio=1),
    ) == [
        "2: $.currencyRatio: must be 1: the order is in USD, as its channel is",
        "4: $.currency: the channel has orders, whose base amounts are in USD",
        "5 read, 3 created, 0 updated, 0 unchanged, 2 refused",
    ]  # fmt: skip


async def test_payment_stays_where_it_is_not_mentioned_and_is_not_set_back(store: Store) -> None:
    payment = "SELECT payment_method, payment_status, coupon_code FROM orders"
    monday, tuesday, wednesday = (f"2024-03-0{day}T00:00:00Z" for day in (4, 5, 6))
    paid = {"method": "card", "status": "PAID"}
    await store.take(SHOP, sold(payment=paid, coupon="X", sourceModifiedAt=monday))
    await store.take(sold(sourceModifiedAt=tuesday))
    assert await store.fetch(payment) == [("card", "PAID", "X")]
    await store.take(sold(payment={"status": "REFUNDED"}, coupon=None, sourceModifiedAt=tuesday))
    assert await store.fetch(payment) == [("card", "REFUNDED", None)]
    await store.fetch("UPDATE orders SET payment_status = 'VOID', payment_status_date = now() RETURNING id")
    await store.take(sold(payment=paid, sourceModifiedAt=wednesday))
    assert await store.fetch(payment) == [("card", "VOID", None)]
    await store.take(sold(payment=None))
    assert await store.fetch(payment) == [("", None, None)]


async def test_refunds_become_what_the_record_says(store: Store) -> None:
    lines = [line(1, quantity=3, price="10", taxPercentage=21), line(2, quantity=1, price="5")]
    first = {"externalId": "R-1", "createdAt": "2024-03-05T10:00:00Z", "items": [{"line": 1, "quantity": 2}]}
    second = {"externalId": "R-2", "amount": "1.50", "reason": "Late", "createdAt": "2024-03-06T10:00:00Z"}
    await store.take(SHOP, sold(1, *lines, refunds=[first, second]))
    sums = "SELECT refunded_total::text, version FROM orders"
    counts = "SELECT quantity_refunded FROM order_items ORDER BY line"
    assert await store.fetch(sums) == [("25.70", 1)]
    assert await store.fetch(counts) == [(2,), (0,)]

    before = await store.rows()
    await store.take(sold(1, *lines, refunds=[first, second]))
    await store.take(sold(1, *lines))
    assert await store.rows() == before

    first = {**first, "items": [{"line": 2, "quantity": 1, "amount": 5}]}
    await store.take(sold(1, *lines, refunds=[first]))
    assert await store.fetch(sums) == [("5.00", 2)]
    assert await store.fetch(counts) == [(0,), (1,)]
    ours = "INSERT INTO refunds (order_id, channel_id, amount) SELECT id, channel_id, 2 FROM orders RETURNING id"
    await store.fetch(ours)
    await store.take(sold(1, *lines, refunds=[]))
    assert await store.fetch("SELECT refunded_total::text FROM orders") == [("2",)]
    assert await store.fetch(counts) == [(0,), (0,)]
    assert await consistency.breaches(store.dsn) == {}


REFUND = """mutation {
  refundCreate(input: {orderId: %d, externalId: "PSP-1", items: [{orderItemId: %d, quantity: 1}]}) { amountExact }
}"""


async def paid_back_here(store: Store) -> None:
    """One piece of the first line."""
    [(order_id, line_id)] = await store.fetch("SELECT order_id, id FROM order_items WHERE line = 1")
    assert (await ask(store, REFUND % (order_id, line_id), "overrider"))["refundCreate"]["amountExact"]


async def test_refund_that_was_made_here_stays_where_a_record_does_not_list_it(store: Store) -> None:
    """It has a key; a record that lists that tells of it."""
    lines = [line(1, quantity=3, price="10")]
    await store.take(SHOP, sold(1, *lines))
    await paid_back_here(store)
    refunds = "SELECT external_id, amount::text FROM refunds ORDER BY external_id"
    other = {"externalId": "R-1", "amount": "1", "createdAt": "2024-03-05T10:00:00Z"}
    for listed in ([other], [], [other]):
        await store.take(sold(1, *lines, refunds=listed))
        assert ("PSP-1", "10.00") in await store.fetch(refunds)
    assert await store.fetch("SELECT refunded_total::text FROM orders") == [("11.00",)]
    before = await store.rows()
    await store.take(sold(1, *lines, refunds=[other]))
    assert await store.rows() == before
    await store.take(sold(1, *lines, refunds=[{**other, "externalId": "PSP-1", "amount": "4"}]))
    assert await store.fetch(refunds) == [("PSP-1", "4.00")]
    await store.take(sold(1, *lines, refunds=[]))
    assert await store.fetch(refunds) == [("PSP-1", "4.00")]


async def test_refunds_of_a_record_share_a_line_with_those_that_were_made_here(store: Store) -> None:
    """What is computed is what they leave; what is given is believed, with a warning."""
    lines = [line(1, quantity=2, price="10.01", discountAmount="10.01")]
    await store.take(SHOP, sold(1, *lines))
    await paid_back_here(store)
    back = [{"externalId": f"R-{n}", "items": [{"line": 1, "quantity": 1}]} for n in (1, 2)]
    report = await store.take(sold(1, *lines, refunds=back))
    assert report == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    refunds = """
        SELECT r.amount::text, i.amount::text FROM refunds r JOIN refund_items i ON i.refund_id = r.id
        ORDER BY r.external_id
    """
    assert await store.fetch(refunds) == [("5.01", "5.01"), ("5.00", "5.00"), ("0.00", "0.00")]
    before = await store.rows()
    await store.take(sold(1, *lines, refunds=back))
    assert await store.rows() == before
    back[1]["items"][0] |= {"amount": "5.00", "quantity": 2}
    assert (await store.take(sold(1, *lines, refunds=back)))[:3] == [
        "1: warning: $.refunds: 10.00 is paid back of line 1 beside the 5.01 that was paid back here, but it cost"
        " 10.01",
        "1: warning: $.refunds: 15.01 is paid back of an order of 10.01",
        "1: warning: $.refunds[1].items[0].quantity: 2 are paid back of what is left of the line, 1",
    ]


@pytest.mark.parametrize("refunds", [None, []])
async def test_order_that_was_paid_back_keeps_its_currency(store: Store, refunds: list[Any] | None) -> None:
    """Refunds of the record change theirs with it."""
    listed = {"externalId": "R-1", "amount": "10.50", "createdAt": "2024-03-05T10:00:00Z"}
    await store.take(SHOP, sold(refunds=[listed]))
    yen = sold(currency="JPY", refunds=[{**listed, "amount": "10"}])
    assert await store.take(yen) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    assert await store.fetch("SELECT currency, refunded_total::text FROM orders") == [("JPY", "10")]
    await paid_back_here(store)
    euros = sold(currency="EUR", **({} if refunds is None else {"refunds": refunds}))
    told = "the order has been paid back in JPY, by refunds that the record does not list"
    assert (await store.take(euros))[0] == f"1: $.currency: {told}"
    await store.fetch("DELETE FROM refunds RETURNING 1")
    assert (await store.take(euros))[-1] == "1 read, 0 created, 1 updated, 0 unchanged, 0 refused"
    await store.fetch("UPDATE orders SET invoiced_total = 100 RETURNING 1")
    assert (await store.take(yen))[0] == "1: $.currency: the order has been invoiced or paid in EUR"


async def test_refunds_that_leave_the_sum_change_their_order_once(store: Store) -> None:
    first, second = ({"externalId": key, "amount": "5", "createdAt": "2024-03-05T10:00:00Z"} for key in ("R-1", "R-2"))
    await store.take(SHOP, sold(refunds=[first]))
    other = sold(refunds=[second])
    assert (await store.take(other)) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    reason = sold(refunds=[{**second, "reason": "Late"}])
    assert (await store.take(reason)) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    told = "SELECT action, version FROM changes WHERE type = 'ORDER' ORDER BY id"
    assert await store.fetch(told) == [("CREATED", 1), ("UPDATED", 2), ("UPDATED", 3)]


async def test_pieces_of_a_discounted_order_get_back_what_was_paid(store: Store) -> None:
    refunds = [
        {"externalId": f"R-{n}", "items": [{"line": line, "quantity": 1}]} for n, line in enumerate((1, 1, 2, 2, 2))
    ]
    lines = [line(1, quantity=2, price="50", taxPercentage=10), line(2, quantity=3, price="0.335")]
    report = await store.take(
        SHOP, sold(1, lines[0], discountAmount="5", refunds=refunds[:2]), sold(2, *lines, refunds=refunds)
    )
    assert report == ["3 read, 3 created, 0 updated, 0 unchanged, 0 refused"]
    amounts = "SELECT amount::text FROM refunds WHERE order_id = {} ORDER BY external_id"
    numbers = await store.fetch("SELECT id, refunded_total::text, total_net::text FROM orders ORDER BY id")
    assert [totals for _number, *totals in numbers] == [["104.50", "104.50"], ["111.01", "111.01"]]
    assert await store.fetch(amounts.format(numbers[0][0])) == [("52.25",), ("52.25",)]
    assert await store.fetch(amounts.format(numbers[1][0])) == [("55.00",), ("55.00",), ("0.34",), ("0.33",), ("0.34",)]


async def test_discount_of_a_line_between_two_units_is_told(store: Store) -> None:
    """The line is rounded once, not its discount (decision 23)."""
    record = sold(1, line(1, quantity=1, price="1", discountAmount="0.005"), line(2, discountAmount="0.10"))
    assert (await store.take(SHOP, record))[:2] == [
        "2: warning: $.items[0].discountAmount: 0.005 is taken off, and the line rounded to 1.00",
        "2 read, 2 created, 0 updated, 0 unchanged, 0 refused, 1 with a warning",
    ]


async def test_discount_beyond_what_there_is_to_pay_is_told(store: Store) -> None:
    """It is taken off all the same: the record is believed. One of all of it is none of these."""
    lines = [
        line(1, quantity=1, price="10", discountAmount="20"),
        line(2, quantity=0, price="10", discountAmount="2"),
        line(3, quantity=2, price="10", discountAmount="20.004"),
    ]
    reports = [
        (sold(1, *lines), "$.items[0].discountAmount: 20.00 is taken off, which is more than the 10.00", "-12.00"),
        (
            sold(2, line(1, quantity=1, price="10"), discountAmount="50"),
            "$.discountAmount: 50.00 is taken off, which is more than the 10.00",
            "-40.00",
        ),
    ]
    await store.take(SHOP)
    for n, (record, warning, gross) in enumerate(reports, 1):
        report = await store.take(record)
        assert report[0] == f"1: warning: {warning} that there is to pay"
        assert report[-1].endswith("0 refused, 1 with a warning")
        assert [line for line in report if "items[2]" in line and "more than" in line] == []
        assert await store.fetch(f"SELECT total_gross::text FROM orders WHERE external_id = 'O-{n}'") == [(gross,)]
    assert "$.items[1].discountAmount: 2.00 is taken off, which is more than the 0.00" in str(
        await store.take(sold(3, *lines))
    )


async def test_amount_that_is_rounded_is_told(store: Store) -> None:
    """Floats of other systems are no amounts between two units."""
    yen = sold(1, line(1, quantity=1, price="900"), currency="JPY", shippingAmount="500.5", discountAmount=10.4)
    cents = sold(2, shippingAmount=0.1 + 0.2, discountAmount="5.000")
    assert await store.take(SHOP, yen, cents) == [
        "2: warning: $.shippingAmount: 500.5 is taken as 501 JPY",
        "2: warning: $.discountAmount: 10.4 is taken as 10 JPY",
        "3 read, 3 created, 0 updated, 0 unchanged, 0 refused, 1 with a warning",
    ]
    costs = "SELECT postage_gross::text, discount_amount::text FROM orders ORDER BY id"
    assert await store.fetch(costs) == [("501", "10"), ("0.30", "5.00")]


async def test_items_of_a_refund_that_are_more_than_it_or_their_line_are_told(store: Store) -> None:
    """What is computed is no more than is left of either."""
    lines = [line(1, quantity=2, price="10"), line(2, quantity=1, price="80")]
    refunds = [
        {"externalId": "R-1", "amount": "9", "items": [{"line": 1, "quantity": 1}, {"line": 2, "amount": "8"}]},
        {"externalId": "R-2", "amount": "5", "items": [{"line": 1, "amount": "4"}, {"line": 2, "amount": "4"}]},
        {"externalId": "R-3", "items": [{"line": 1, "amount": "15.01"}]},
        {"externalId": "R-4", "items": [{"line": 1, "quantity": 1}]},
    ]
    report = await store.take(SHOP, sold(1, *lines, refunds=refunds))
    assert report == [
        "2: warning: $.refunds[1].items: 8.00 is paid back of a refund of 5.00",
        "2: warning: $.refunds[2].items[0].amount: 15.01 is paid back of what is left of the line, 15.00",
        "2 read, 2 created, 0 updated, 0 unchanged, 0 refused, 1 with a warning",
    ]
    paid = """
        SELECT r.external_id, r.amount::text, array_agg(i.amount::text ORDER BY i.order_item_id)
        FROM refunds r JOIN refund_items i ON i.refund_id = r.id GROUP BY 1, 2 ORDER BY 1
    """
    assert await store.fetch(paid) == [
        ("R-1", "9.00", ["1.00", "8.00"]),
        ("R-2", "5.00", ["4.00", "4.00"]),
        ("R-3", "15.01", ["15.01"]),
        ("R-4", "0.00", ["0.00"]),
    ]


async def test_more_paid_back_than_the_order_costs_is_told(store: Store) -> None:
    report = await store.take(SHOP, sold(refunds=[{"externalId": "R", "amount": "100.01"}]))
    assert report[0] == "2: warning: $.refunds: 100.01 is paid back of an order of 100.00"
    assert await store.fetch("SELECT refunded_total::text FROM orders") == [("100.01",)]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"currency": "ABC"}, "$.currency"),
        ({"currency": "XXX"}, "$.currency"),
        ({"discountAmount": "-1"}, "$.discountAmount"),
        ({"discount": "1.5"}, "$.discount"),
        ({"shippingTaxPercentage": 101}, "$.shippingTaxPercentage"),
        ({"shippingTaxPercentage": "8.8750001"}, "$.shippingTaxPercentage"),
        ({"coupon": " "}, "$.coupon"),
        ({"coupon": "A\tB"}, "$.coupon"),
        ({"totals": {"gross": "100", "net": "121", "tax": "20"}}, "$.totals"),
        ({"totals": {"gross": "0.001"}}, "$.totals.gross"),
        ({"currency": "JPY", "totals": {"net": "340.2"}}, "$.totals.net"),
        ({"totals": {"grand": "1"}}, "$.totals"),
        ({"currencyRatio": 0}, "$.currencyRatio"),
        ({"currencyRatio": "0"}, "$.currencyRatio"),
        ({"currencyRatio": "-1"}, "$.currencyRatio"),
        ({"payment": {"status": ""}}, "$.payment.status"),
        ({"payment": {"method": "x" * 256}}, "$.payment.method"),
        ({"refunds": [{"externalId": "R"}]}, "$.refunds[0]"),
        ({"refunds": [{"externalId": "R", "amount": "0.001"}]}, "$.refunds[0].amount"),
        ({"refunds": [{"externalId": "R", "amount": "-1"}]}, "$.refunds[0].amount"),
        ({"refunds": [{"externalId": "R", "amount": 1}] * 2}, "$.refunds[1].externalId"),
        ({"refunds": [{"externalId": "R", "items": [{"line": 9}]}]}, "$.refunds[0].items[0].line"),
        ({"refunds": [{"externalId": "R", "items": [{"line": 1}] * 2}]}, "$.refunds[0].items[1].line"),
        ({"refunds": [{"externalId": "R", "items": [{"line": 1, "amount": "1.005"}]}]}, "$.refunds[0].items[0].amount"),
        ({"refunds": [{"externalId": "R", "items": [{"line": 1, "quantity": -1}]}]}, "$.refunds[0].items[0].quantity"),
    ],
)
def test_order_is_refused_by_the_path_of_its_fault(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(Refused) as caught:
        read(json.dumps(sold(**fields)).encode()).check(KNOWN)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"currency": "ABC"}, "$.currency"),
        ({"rates": {"ABC": 1}}, "$.rates.ABC"),
        ({"rates": {"EUR": 1}}, "$.rates.EUR"),
        ({"rates": {"USD": "0"}}, "$.rates.USD"),
        ({"rates": {"USD": "1e3"}}, "$.rates.USD"),
        ({"rates": {"USD": "1.0000000000001"}}, "$.rates.USD"),
        ({"rates": {"USD": -1}}, "$.rates.USD"),
    ],
)
def test_channel_is_refused_by_the_path_of_its_fault(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(Refused) as caught:
        read(json.dumps({**SHOP, **fields}).encode()).check(KNOWN)
    assert caught.value.path == path


def web_shop_orders() -> list[dict[str, Any]]:
    """Of a web shop's export: gift cards, a tip, refunds, discounts, buyers without e-mail."""
    mug = line(1, sku="MUG", name="Mug", quantity=3, price="14.50", taxPercentage="8.875", lineId="866550311766439020")
    card = line(2, sku="GIFT-25", name="Gift card", quantity=1, price="25.00", lineId="866550311766439021")
    tip = line(3, sku="TIP", name="Tip", quantity=1, price="2.175")
    paid_by_card = line(4, sku="GIFTCARD-PAYMENT", name="Gift card x1234", quantity=1, price="-20.00")
    free = line(1, sku="MUG", name="Mug", quantity=1, price="14.50", discountAmount="14.50")
    broken = {
        "externalId": "509562969",
        "createdAt": "2024-03-08T11:00:00-05:00",
        "reason": "Broken",
        "amount": "21.78",
    }
    restocked = {"externalId": "509562970", "createdAt": "2024-03-09T11:00:00-05:00", "amount": 0}
    refunds = [
        {**broken, "items": [{"line": 1, "quantity": 1, "amount": "15.79"}]},
        {**restocked, "items": [{"line": 1, "quantity": 1, "amount": 0}]},
    ]
    online = {
        "coupon": "SPRING",
        "discountAmount": "4.35",
        "shippingAmount": "5.99",
        "shippingTaxPercentage": "0",
        "payment": {"method": "shopify_payments", "status": "PARTIALLY_REFUNDED"},
        "totals": {"gross": "52.32", "tax": "3.47", "net": "55.79"},
        "refunds": refunds,
    }
    at_the_till = sold(2, free, channel="us", currency="USD")
    del at_the_till["customer"]
    yen = line(1, quantity=3, price="105", taxPercentage=8)
    return [
        sold(1, mug, card, tip, paid_by_card, channel="us", currency="USD", **online),
        at_the_till,
        sold(3, yen, channel="us", currency="JPY", customer=None, currencyRatio="151.2"),
    ]


async def test_export_of_a_web_shop_comes_in_with_the_shops_own_numbers(store: Store) -> None:
    records = [US, *web_shop_orders()]
    assert await store.take(*records) == [
        "2: warning: $.totals.net: 55.79 in the record, but its lines make 55.85",
        "2: warning: $.totals.tax: 3.47 in the record, but its lines make 3.53",
        "4 read, 4 created, 0 updated, 0 unchanged, 0 refused, 1 with a warning",
    ]
    document = """{ orders(input: {sortInputs: [{field: ID, order: ASC}]}) { items {
      couponCode currency
      total { grossExact taxExact netExact discountExact refundedExact netMoney { amount currency }
        baseNetMoney { amount currency } taxPercentages { percentageExact totalExact } }
      paymentData { method status } postageData { grossExact taxPercentageExact }
      items { sku priceExact priceTotalExact taxPercentageExact quantityRefunded refundedExact }
      refunds { externalId amountExact reason items { quantity amountExact } }
    } } }"""
    first, second, third = (await ask(store, document))["orders"]["items"]
    assert first["total"]["netExact"] == "55.79"
    assert first["total"]["refundedExact"] == "21.78"
    assert first["total"]["discountExact"] == "4.35"
    assert [(each["sku"], each["priceTotalExact"], each["quantityRefunded"]) for each in first["items"]] == [
        ("MUG", "43.50", 2),
        ("GIFT-25", "25.00", 0),
        ("TIP", "2.18", 0),
        ("GIFTCARD-PAYMENT", "-20.00", 0),
    ]
    assert [refund["amountExact"] for refund in first["refunds"]] == ["21.78", "0.00"]
    assert first["refunds"][0]["items"] == [{"quantity": 1, "amountExact": "15.79"}]
    assert (first["couponCode"], first["paymentData"]["status"]) == ("SPRING", "PARTIALLY_REFUNDED")
    assert second["total"]["netExact"] == "0.00"
    assert third["total"]["netMoney"] == {"amount": "340", "currency": "JPY"}
    assert third["total"]["baseNetMoney"] == {"amount": "2.25", "currency": "USD"}
    before = await store.rows()
    await store.take(*records)
    assert await store.rows() == before
    assert await consistency.breaches(store.dsn) == {}
