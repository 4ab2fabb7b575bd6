"""Currencies, their smallest units, and amounts in them (ISO 4217, decision 23)."""

from decimal import Decimal

import asyncpg
import pytest

from app.money import MINOR_UNITS, amount_fault, currency_fault, precise_as, rounded, rounded_price

D = Decimal


async def test_the_store_knows_the_same_currencies(connection: asyncpg.Connection) -> None:
    letters = [chr(letter) for letter in range(ord("A"), ord("Z") + 1)]
    codes = [a + b + c for a in letters for b in letters for c in letters]
    rows = await connection.fetch("SELECT c, minor_units(c) AS decimals FROM unnest($1::text[]) AS c", codes)
    assert {row["c"]: row["decimals"] for row in rows if row["decimals"] is not None} == MINOR_UNITS
    assert [await connection.fetchval("SELECT is_currency($1)", code) for code in ("EUR", "ABC", "eur", "")] == [
        *(True, False, False, False)
    ]


@pytest.mark.parametrize(
    ("code", "decimals"),
    [
        ("EUR", 2),
        ("JPY", 0),
        ("KRW", 0),
        ("ISK", 0),
        ("KWD", 3),
        ("TND", 3),
        ("CLF", 4),
        ("DEM", 2),
        ("ITL", 0),
        ("ZWG", 2),
    ],
)
def test_currency_has_the_decimals_of_iso_4217(code: str, decimals: int) -> None:
    assert currency_fault(code) is None
    assert MINOR_UNITS[code] == decimals


@pytest.mark.parametrize("code", ["ABC", "XXX", "XTS", "XAU", "XDR", "eur", "EURO", "", "€"])
def test_what_is_no_currency_is_refused(code: str) -> None:
    assert "ISO 4217" in str(currency_fault(code))


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("0.005", "EUR", "0.01"),
        ("-0.005", "EUR", "-0.01"),
        ("0.0049999", "EUR", "0.00"),
        ("340.5", "JPY", "341"),
        ("12.5555", "KWD", "12.556"),
        ("999999999999.995", "EUR", "1000000000000.00"),
    ],
)
def test_halves_go_up(amount: str, currency: str, shown: str) -> None:
    assert str(rounded(D(amount), currency)) == shown


def test_price_of_one_has_six_decimals() -> None:
    assert str(rounded_price(D("0.0000005"))) == "0.000001"
    assert str(rounded_price(D("100.000"))) == "100"
    assert str(precise_as(D("28.2051"), D("23.31"), "EUR")) == "28.21"
    assert str(precise_as(D("0.0048"), D("0.004"), "EUR")) == "0.005"
    assert str(precise_as(D("25.2"), D("105"), "JPY")) == "25"


@pytest.mark.parametrize(
    ("text", "currency", "words"),
    [
        ("340.5", "JPY", "JPY has no decimals"),
        ("0.001", "EUR", "at most 2 decimals, as EUR has"),
        ("0.0001", "KWD", "at most 3 decimals"),
        ("-1", "EUR", "not negative"),
        ("1e3", "EUR", "must be a decimal"),
        ("NaN", "EUR", "must be a decimal"),
        ("1,50", "EUR", "must be a decimal"),
        ("1" * 13, "EUR", "at most 12 digits"),
        ("٣", "EUR", "must be a decimal"),
        ("", "EUR", "must be a decimal"),
    ],
)
def test_amount_is_refused_by_its_fault(text: str, currency: str, words: str) -> None:
    assert words in str(amount_fault(text, currency))


@pytest.mark.parametrize(("text", "currency"), [("340.00", "JPY"), ("0.1", "EUR"), ("12.555", "KWD"), ("0", "EUR")])
def test_amount_in_whole_smallest_units_passes(text: str, currency: str) -> None:
    assert amount_fault(text, currency) is None
