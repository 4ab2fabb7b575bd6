"""How customers who have no password, or have forgotten it, get one: by a link that is sent to their e-mail.

Who asks for a link never sees it: it goes to the outbox of the shop's channel, whose partner delivers it (C-52). What
it holds is a token of ours, made when the partner reads the event: the store keeps no more than its number, so that
nobody who reads the store can set a password. It is good for a day and once: setting a password ends all other links
and all tokens of the customer.

Whether an e-mail is anybody's cannot be told: the answer is the same, and both ways write once.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import UUID

from app.auth.attempt import Attempts
from app.auth.password import Passwords
from app.auth.token import Tokens
from app.errors import NotAuthenticated, PasswordLinkInvalid, TooManyAttempts
from app.postgres.database import Database
from app.settings import Settings
from sql import Visibility, load

LIFETIME = timedelta(days=1)
# Of requests: of one e-mail an hour, beyond which nothing is sent, and of one client address, beyond which it is told.
PER_EMAIL = 5
PER_ADDRESS = 100
_WINDOW = timedelta(hours=1)

_SUBJECT = "password:"
_EVERYTHING = Visibility.everything()
_SQL = load("password_link")


class PasswordLinks:
    def __init__(
        self, db: Database, tokens: Tokens, passwords: Passwords, attempts: Attempts, settings: Settings
    ) -> None:
        self._db = db
        self._tokens = tokens
        self._passwords = passwords
        self._attempts = attempts
        self._page = settings.link_page

    async def request(self, channel_id: int, email: str, address: str) -> None:
        """Has the shop send a link to the customer of that e-mail, if there is one. `address` is the client's.

        Raises `TooManyAttempts` where the client's address has asked too often.
        """
        if address:
            await self._attempts.take((("link address", address), PER_ADDRESS, _WINDOW))
        account = ("link email", str(channel_id), await self._attempts.spelling(email))
        try:
            await self._attempts.take((account, PER_EMAIL, _WINDOW))
        except TooManyAttempts:
            return
        await self._db.fetch(_SQL.request, _EVERYTHING, channel_id=channel_id, email=email, lifetime=LIFETIME)

    def token(self, link_id: UUID, customer_id: int, expires_at: datetime) -> str:
        """What proves the link of that number to be ours."""
        return self._tokens.issue(f"{_SUBJECT}{customer_id}", expires_at - datetime.now(UTC), jti=str(link_id))

    def url(self, channel_code: str, token: str) -> str | None:
        """The shop's page with the token, as the settings say it; None where they do not."""
        if self._page is None:
            return None
        return self._page.replace("{channel}", quote(channel_code, safe="")).replace("{token}", quote(token, safe=""))

    async def use(self, channel_id: int, token: str, password: str) -> None:
        """Raises `PasswordLinkInvalid` for a link that is none, expired, used, or another shop's: all look alike."""
        try:
            claims = self._tokens.verify(token)
            link_id = UUID(claims.jti)
        except (NotAuthenticated, ValueError, TypeError):
            raise PasswordLinkInvalid from None
        if not claims.subject.startswith(_SUBJECT):
            raise PasswordLinkInvalid
        password_hash = await self._passwords.hash(password)
        used = await self._db.fetch(
            _SQL.use,
            _EVERYTHING,
            id=link_id,
            channel_id=channel_id,
            customer_id=int(claims.subject.removeprefix(_SUBJECT)),
            password_hash=password_hash,
        )
        if not used:
            raise PasswordLinkInvalid
