"""Links to the page of an order: signed by the service's own secret, and good for 90 days.

A link is a token of ours whose subject names the order and its channel (`link:1.2075`), and whose `jti` is the
generation of the order's links: revoking them begins another, and the predicate of `orders` asks for it
(`sql/visibility.py`). It shows what the type `TrackedOrder` has and opens nothing else. All that are made on one day
are the same text, so that a page that is read twice is the same page.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote

from app.auth.token import Claims, Tokens
from app.settings import Settings
from sql import Visibility

LIFETIME = timedelta(days=90)
PATH = "/track"

_SUBJECT = re.compile(r"link:([1-9][0-9]{0,9})\.([1-9][0-9]{0,9})")
_GENERATION = re.compile(r"[1-9][0-9]{0,8}")
FIRST_GENERATION = 1
LARGEST_ID = 2**31 - 1


class LinkedOrder(NamedTuple):
    """What a link is to."""

    channel_id: int
    order_id: int
    generation: int

    @classmethod
    def of(cls, claims: Claims) -> "LinkedOrder | None":
        """What the token of a link says; None for every other token."""
        subject, generation = _SUBJECT.fullmatch(claims.subject), _GENERATION.fullmatch(claims.jti or "")
        if not subject or not generation or max(map(int, subject.groups())) > LARGEST_ID:
            return None
        return cls(int(subject[1]), int(subject[2]), int(generation[0]))

    @property
    def visibility(self) -> Visibility:
        return Visibility.of_order(self.channel_id, self.order_id, self.generation)


class LinkSigner:
    """Signs links, for whoever has decided that somebody may have them."""

    def __init__(self, tokens: Tokens, settings: Settings) -> None:
        self._tokens = tokens
        self._public_url = settings.public_url

    def token(self, order: LinkedOrder, lifetime: timedelta = LIFETIME) -> str:
        """From the beginning of the present day on."""
        since = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        subject = f"link:{order.channel_id}.{order.order_id}"
        return self._tokens.issue(subject, lifetime + timedelta(days=1), since=since, jti=str(order.generation))

    def url(self, order: LinkedOrder) -> str | None:
        if self._public_url is None:
            return None
        return f"{self._public_url}{PATH}/{quote(self.token(order), safe='')}"
