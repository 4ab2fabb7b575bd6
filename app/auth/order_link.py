"""Who knows the number of an order, and its postal code or e-mail, gets a link to it (see `app.auth.linked_order`).

Five times in a quarter of an hour for each order and for each address; and in words and in time a wrong answer is like
an unknown order's.
"""

import re
from asyncio import get_running_loop, sleep
from datetime import timedelta

from app.auth.attempt import Attempts
from app.auth.linked_order import LARGEST_ID, LinkedOrder, LinkSigner
from app.auth.token import Tokens
from app.errors import OrderLinkRefused
from app.postgres.database import Database
from app.settings import Settings
from sql import Visibility, load

# Of a link that somebody has asked for.
LIFETIME = timedelta(days=1)
ATTEMPTS, WINDOW = 5, timedelta(minutes=15)
# What an answer takes, right or wrong: longer than a look into the database.
ANSWER_SECONDS = 0.3

_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_EVERYTHING = Visibility.everything()
_SQL = load("order_link")


class OrderLinks(LinkSigner):
    """Makes links. Without `PUBLIC_URL` there are tokens, but no addresses."""

    def __init__(self, db: Database, tokens: Tokens, attempts: Attempts, settings: Settings) -> None:
        super().__init__(tokens, settings)
        self._db = db
        self._attempts = attempts

    async def request(self, channel_code: str, number: str, secret: str, address: str) -> str:
        """The token of a link, for who knows an order's number and its postal code or e-mail, which is the `secret`.

        `address` is the client's. Raises `OrderLinkRefused` where they do not belong to each other, or there is no such
        order, and `TooManyAttempts`.
        """
        answered = get_running_loop().time() + ANSWER_SECONDS
        bounds = [(("link order", channel_code, number.lower()), ATTEMPTS, WINDOW)]
        if address:  # first: one that is over its limit must not use up the attempts of other people's orders
            bounds.insert(0, (("link address", "page", address), ATTEMPTS, WINDOW))
        await self._attempts.take(*bounds)
        order_id = int(number) if _NUMBER.fullmatch(number) and int(number) <= LARGEST_ID else None
        rows = await self._db.fetch(
            _SQL.by_number,
            _EVERYTHING,
            channel_code=channel_code,
            number=number,
            order_id=order_id,
            secret=secret,
        )
        await sleep(answered - get_running_loop().time())
        if not rows:
            raise OrderLinkRefused
        order = LinkedOrder(rows[0]["channel_id"], rows[0]["id"], rows[0]["generation"])
        return self.token(order, LIFETIME)
