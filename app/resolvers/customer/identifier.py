"""Ids of the customer surface: an IRI, or the bare number at its end (C-14, C-15)."""

import re

LARGEST = 2**31 - 1


def number_of(text: str, *resources: str) -> int | None:
    """The number of `17` or `/api/shop/<resource>/17`; None for all else, an IRI of another resource too.

    Longer numbers than a row can have are still numbers, up to 100 digits: they name nothing.
    """
    match = re.fullmatch(rf"(?:/api/shop/(?:{'|'.join(resources)})/)?([0-9]{{1,100}})", text)
    return int(match[1]) if match else None


def as_key(number: int) -> int:
    """The number as the store can compare it: what no row can have becomes 0, which none has, and is asked for too."""
    return number if 0 < number <= LARGEST else 0
