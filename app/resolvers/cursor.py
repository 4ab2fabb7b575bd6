"""How a cursor is written: base64url of compact JSON, opaque to clients.

Each list reads and writes its own. One that is written anew from what was read must be the same text: that proves the
list and the form in one.
"""

import base64
import json
from typing import Any


def compact(values: list[Any]) -> str:
    """JSON without blanks."""
    return json.dumps(values, separators=(",", ":"))


def encode(text: str) -> str:
    """The cursor of a text that `compact` gave."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str) -> list[Any]:
    """The values of a cursor. Raises ValueError for what is none."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except RecursionError:
        raise ValueError("is too deep") from None
    if not isinstance(values, list):
        raise ValueError("is no list")
    return values
