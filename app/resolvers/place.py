"""The place of a change among all others, as a cursor: which list it is of, the commit, and the number within it."""

from typing import Any, NamedTuple

from app.errors import InvalidCursor
from app.resolvers.cursor import compact, decode, encode

# Of the integers that PostgreSQL holds. No row has it, so it stands after all rows.
LARGEST = 2**63 - 1


class Place(NamedTuple):
    """`position` is that of the transaction in the order of commits, `number` that of a change of the transaction."""

    position: int
    number: int

    @classmethod
    def of(cls, row: Any) -> "Place":
        return cls(row["position"], row["number"])


BEGINNING = Place(0, 0)
END = Place(LARGEST, LARGEST)


def cursor_of(place: Place, *bound: str) -> str:
    """`bound` are the list's name and what chooses its rows."""
    return encode(compact([*bound, *place]))


def place_of(cursor: str, *bound: str) -> Place:
    """Raises `InvalidCursor` about the argument `after` for all that a list of `bound` has not given out."""
    try:
        place = Place(*decode(cursor)[-2:])
    except (ValueError, TypeError):
        raise InvalidCursor("after") from None
    is_number = all(type(value) is int and 0 <= value < LARGEST for value in place)
    if not is_number or cursor_of(place, *bound) != cursor:
        raise InvalidCursor("after")
    return place
