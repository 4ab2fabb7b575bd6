"""Check digits of codes, by the algorithms that the data names.

They are described at https://github.com/jkeen/tracking_number_data/blob/main/CHECKSUM_ALGORITHMS.md; `s10` is that of
the Universal Postal Union's standard S10 for international items. `serial` is what is checked, `digit` its check digit,
`rule` the data's constants.
"""

from collections.abc import Callable, Mapping
from typing import Any

_BASE_36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

Rule = Mapping[str, Any]


def is_right(serial: str, digit: str, rule: Rule) -> bool:
    """Raises KeyError for an algorithm that is not known."""
    return _EXPECTED[rule["name"]](serial, rule) == digit


def _mod10(serial: str, rule: Rule) -> str:
    """Letters count by their places in ASCII. Weights go by places from the first, or from the last if `reverse`."""
    total = 0
    for place, character in enumerate(reversed(serial) if rule.get("reverse") else serial):
        value = int(character) if character.isdigit() else (ord(character) - 3) % 10
        total += value * int(rule.get("odds_multiplier" if place % 2 else "evens_multiplier", 1))
    return str(-total % 10)


def _mod7(serial: str, _rule: Rule) -> str:
    return str(int(serial) % 7)


def _luhn(serial: str, _rule: Rule) -> str:
    total = 0
    for place, character in enumerate(reversed(serial)):
        value = int(character) if place % 2 else 2 * int(character)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def _s10(serial: str, rule: Rule) -> str:
    remainder = _weighted(serial, rule) % 11
    return {0: "5", 1: "0"}.get(remainder) or str(11 - remainder)


def _sum_product(serial: str, rule: Rule) -> str:
    return str(_weighted(serial, rule) % rule["modulo1"] % rule["modulo2"])


def _weighted(serial: str, rule: Rule) -> int:
    return sum(int(character) * weight for character, weight in zip(serial, rule["weightings"], strict=False))


def _mod_37_36(serial: str, _rule: Rule) -> str:
    """ISO 7064 MOD 37,36."""
    running = 36
    for character in serial:
        running += _BASE_36.index(character)
        running = 2 * (running - 36 if running > 36 else running)
        running = running - 37 if running > 36 else running
    return _BASE_36[(37 - running) % 36]


_EXPECTED: Mapping[str, Callable[[str, Rule], str]] = {
    "mod10": _mod10,
    "mod7": _mod7,
    "luhn": _luhn,
    "s10": _s10,
    "sum_product_with_weightings_and_modulo": _sum_product,
    "mod_37_36": _mod_37_36,
}
