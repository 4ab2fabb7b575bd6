"""Every sample of the data is what the data says of it."""

import time
from typing import Any

import pytest

from app.tracking_numbers.check import LONGEST, candidates, couriers_of, data, faulty

SAMPLES = [
    pytest.param(courier["courier_code"], spec["name"], number, kind == "valid", id=f"{spec['name']} {kind} {number}")
    for courier in data()
    for spec in courier["tracking_numbers"]
    for kind in ("valid", "invalid")
    for number in spec["test_numbers"][kind]
]


@pytest.mark.parametrize(("courier", "product", "number", "is_valid"), SAMPLES)
def test_sample_is_what_the_data_says_of_it(courier: str, product: str, number: str, is_valid: bool) -> None:
    own = [made for made in candidates(number) if (made.courier, made.product) == (courier, product)]
    assert any(made.is_right is not False for made in own) == is_valid


def test_data_has_samples() -> None:
    assert len(SAMPLES) > 250


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("RB 123 456 785 GB", ("s10", "Royal Mail Group plc", True)),
        ("rb-123456786-gb", ("s10", "Royal Mail Group plc", False)),
        ("1Z 5R89 3903 5756 7127", ("ups", "UPS", True)),
        ("1Z5R89390357567128", ("ups", "UPS", False)),
    ],
)
def test_candidates_tell_the_carrier_and_whether_the_check_digit_is_right(code: str, told: tuple[Any, ...]) -> None:
    assert told in [(made.courier, made.carrier, made.is_right) for made in candidates(code)]


def test_candidates_with_a_right_check_digit_come_first() -> None:
    found = [made.is_right for made in candidates("794698949845")]
    assert found == sorted(found, key=[True, None, False].index)


@pytest.mark.parametrize("code", ["", "-", "3STEST1234567890", "ÄÖÜ", "9" * (LONGEST + 1), "RB123456785XX"])
def test_what_nobody_knows_has_no_candidates(code: str) -> None:
    assert candidates(code) == []


@pytest.mark.parametrize(
    ("names", "couriers"),
    [
        (("ups-nl", "UPS Nederland"), {"ups"}),
        (("canada-post", "x"), {"canada_post"}),
        (("post", "Canada"), set()),
        (("groups", "startups"), set()),
        (("dhl", "FedEx"), {"dhl", "fedex"}),
    ],
)
def test_couriers_are_known_by_whole_words(names: tuple[str, ...], couriers: set[str]) -> None:
    assert couriers_of(*names) == couriers


@pytest.mark.parametrize(
    ("code", "courier", "is_faulty"),
    [
        ("1Z5R89390357567127", "ups", False),
        ("1Z5R89390357567128", "ups", True),
        ("1Z5R89390357567128", "fedex", False),
        ("RB123456785GB", "fedex", False),
        ("RB123456786GB", "fedex", True),
        ("3STEST1234567890", "dhl", False),
    ],
)
def test_code_is_faulty_if_no_product_of_its_carrier_fits(code: str, courier: str, is_faulty: bool) -> None:
    assert faulty(candidates(code), frozenset({courier})) is is_faulty


@pytest.mark.parametrize("start", ["", "1Z", "420", "92", "94", "J", "GM", "LX", "T B A ", "A"])
@pytest.mark.parametrize("character", ["0", "9", "A", " ", "-", "\u00a0", "0 "])
def test_hostile_codes_are_looked_at_once(start: str, character: str) -> None:
    """Without a bound, or with the blanks of the data's patterns, one of these takes hours."""
    began = time.process_time()
    for length in range(LONGEST + 2):
        candidates(start + character * length)
    candidates(start + character * 100_000)
    assert time.process_time() - began < 5
