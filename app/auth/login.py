"""Customers log in and out: a password becomes a session, and a session a token.

A token is `<id of the session>|<JWT>` (C-42). The JWT says who and until when; the row of the session is read with
every request, so a logout holds at once on all workers.

Attempts are counted in PostgreSQL, shared by all workers and kept over restarts, before a password is looked at (C-47):

- of a minute, for the client's address: those that fail. The server of a shop may log in for all its visitors from one
  address, so an attempt that succeeds is not counted;
- of a minute, for an e-mail of a channel at that address: all, so nobody is locked out by somebody at another address;
- of an hour, for an e-mail of a channel from all addresses, and for its share at each of them: those that fail. This is
  for who guesses from many addresses. An address from which this customer has logged in lately is free of it, so that
  they cannot lock the customer out there.

An attempt that one count refuses is counted by none. All is the same for an e-mail that is nobody's.
"""

import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from app.auth.password import Passwords
from app.auth.token import Tokens
from app.auth.viewer import Viewer
from app.errors import TooManyAttempts
from app.postgres.database import Database
from app.settings import Settings
from sql import Statement, Visibility, load

LIFETIME = timedelta(days=7)
# An address from which a customer has logged in is known for so long, and so many of them are.
REMEMBERED = timedelta(days=30)
REMEMBERED_ADDRESSES = 20

# No address alone uses up what an e-mail is allowed in an hour: it takes so many.
SHARES = 5

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)

_EVERYTHING = Visibility.everything()
_SESSIONS = load("customer_session")
_ATTEMPTS = load("login_attempt")


class LoginRefused(Exception):
    """No error of GraphQL's: the payload says it (C-40)."""


class WrongPassword(LoginRefused):
    """An unknown e-mail, too."""


class Suspended(LoginRefused):
    """Only ever raised for the right password."""


@dataclass(frozen=True)
class Session:
    """`token` is the credential; `api_token` is one that nothing accepts, of which the store keeps the digest."""

    customer_id: int
    token: str
    api_token: str


@dataclass(frozen=True)
class _Count:
    """So many attempts are `allowed` within the `window`, of which those that succeed count only if `counts_all`."""

    key_hash: bytes
    allowed: int
    window: timedelta
    counts_all: bool = False


@dataclass(frozen=True)
class _Attempt:
    """`account` is a channel and an e-mail, whether it is anybody's or not."""

    account: tuple[str, str]
    address: str


# A count that an attempt was taken for, and the instant that it is counted under.
_Taken = tuple[_Count, datetime]


class Logins:
    def __init__(self, db: Database, tokens: Tokens, passwords: Passwords, settings: Settings) -> None:
        self._db = db
        self._tokens = tokens
        self._passwords = passwords
        self._secret = settings.token_secret.encode()
        self._per_email = settings.login_attempts_per_email
        self._per_address = settings.login_attempts_per_address
        self._per_hour = settings.login_attempts_per_hour

    async def open(self, channel_id: int, email: str, password: str, address: str) -> Session:
        """Raises `TooManyAttempts`, `WrongPassword` or `Suspended`. `address` is the client's; empty is none."""
        attempt = _Attempt((str(channel_id), await self.spelling(email)), address)
        taken = await self._count(attempt)
        row = await self._row(_SESSIONS.customer_by_email, channel_id=channel_id, email=email)
        password_hash = row["password_hash"] if row else None
        # Once on every path, whoever the e-mail belongs to.
        matches = await self._passwords.matches(password_hash, password)
        await self._row(_SESSIONS.prune, remembered=REMEMBERED)
        if row is None or not matches:
            raise WrongPassword
        await self._give_back((count, instant) for count, instant in taken if not count.counts_all)
        if row["is_suspended"]:
            raise Suspended
        session = await self.start(channel_id, row)
        await self._row(
            _ATTEMPTS.remember,
            key_hash=self._key("known", *attempt.account, address),
            account_hash=self._key("account", *attempt.account),
            others=REMEMBERED_ADDRESSES - 1,
        )
        return session

    async def close(self, viewer: Viewer) -> bool:
        """Ends the session of a customer's token; False where another request has ended it meanwhile."""
        row = await self._row(
            _SESSIONS.revoke,
            session_id=viewer.session_id,
            channel_id=viewer.visibility.channel_ids[0],
            customer_id=viewer.visibility.customer_id,
        )
        return row is not None

    async def customer(self, viewer: Viewer) -> asyncpg.Record | None:
        """`id`, `first_name`, `last_name` and `email` of a customer who asks."""
        return await self._row(
            _SESSIONS.customer_by_id,
            channel_id=viewer.visibility.channel_ids[0],
            customer_id=viewer.visibility.customer_id,
        )

    async def start(self, channel_id: int, customer: asyncpg.Record) -> Session:
        """A session of a row of `customer_by_email` who has proved to be it. Raises `WrongPassword` if it changed."""
        api_token = secrets.token_urlsafe(48)
        session = await self._row(
            _SESSIONS.open,
            channel_id=channel_id,
            customer_id=customer["id"],
            password_hash=customer["password_hash"],
            api_token_hash=hashlib.sha256(api_token.encode()).digest(),
            lifetime=LIFETIME,
        )
        if session is None:
            raise WrongPassword
        session_id = str(session["id"])
        token = self._tokens.issue(f"customer:{customer['id']}", LIFETIME, jti=session_id)
        return Session(customer["id"], f"{session_id}|{token}", api_token)

    async def take(self, *bounds: tuple[tuple[str, ...], int, timedelta]) -> None:
        """Counts one attempt of each: what it is counted for, how many are allowed, within which time.

        Raises `TooManyAttempts`; the attempt is counted nowhere then.
        """
        async with self._counting() as taken:
            await self._take((_Count(self._key(*parts), allowed, window) for parts, allowed, window in bounds), taken)

    async def spelling(self, email: str) -> str:
        """An e-mail as the database compares it, which finds the customer by it: what it spells alike counts alike."""
        [row] = await self._db.fetch(_ATTEMPTS.spelling, _EVERYTHING, email=email)
        spelling: str = row["email"]
        return spelling

    async def _count(self, attempt: _Attempt) -> list[_Taken]:
        """Raises `TooManyAttempts`; the attempt is counted nowhere then.

        The address comes first: one that is over its limit must not use up the attempts of other people's e-mails.
        """
        async with self._counting() as taken:
            await self._take(self._counts_of_minute(attempt), taken)
            if not await self._is_known(attempt):
                await self._take(self._counts_of_hour(attempt), taken)
        return taken

    @asynccontextmanager
    async def _counting(self) -> AsyncIterator[list[_Taken]]:
        """A list for what is counted in the block, which is given back where one bound is met."""
        taken: list[_Taken] = []
        try:
            yield taken
        except TooManyAttempts:
            await self._give_back(taken)
            raise

    def _counts_of_minute(self, attempt: _Attempt) -> Iterator[_Count]:
        if attempt.address:
            yield _Count(self._key("address", attempt.address), self._per_address, _MINUTE)
        pair = self._key("pair", *attempt.account, attempt.address)
        yield _Count(pair, self._per_email, _MINUTE, counts_all=True)

    def _counts_of_hour(self, attempt: _Attempt) -> Iterator[_Count]:
        share = self._key("share", *attempt.account, attempt.address)
        yield _Count(share, max(self._per_hour // SHARES, 1), _HOUR)
        yield _Count(self._key("hour", *attempt.account), self._per_hour, _HOUR)

    async def _is_known(self, attempt: _Attempt) -> bool:
        key_hash = self._key("known", *attempt.account, attempt.address)
        row = await self._row(_ATTEMPTS.is_known, key_hash=key_hash, remembered=REMEMBERED)
        return row is not None and row["is_known"]

    async def _take(self, counts: Iterable[_Count], taken: list[_Taken]) -> None:
        """Adds to `taken`. Raises `TooManyAttempts`."""
        for count in counts:
            values = {"key_hash": count.key_hash, "allowed": count.allowed, "window": count.window}
            row = await self._row(_ATTEMPTS.take, **values)
            if row is None:
                raise TooManyAttempts
            taken.append((count, row["latest_at"]))

    async def _give_back(self, taken: Iterable[_Taken]) -> None:
        given = [(count.key_hash, instant) for count, instant in taken]
        if given:
            key_hashes, instants = zip(*given, strict=True)
            await self._row(_ATTEMPTS.give_back, key_hashes=key_hashes, attempted_at=instants)

    def _key(self, *parts: str) -> bytes:
        """Keyed, so that who reads the table cannot try out e-mails and addresses."""
        return hmac.digest(self._secret, _text_of(*parts), "sha256")

    async def _row(self, statement: Statement, **values: Any) -> asyncpg.Record | None:
        rows = await self._db.fetch(statement, _EVERYTHING, **values)
        return rows[0] if rows else None


def account_key(channel_id: int, email: str) -> bytes:
    """What the addresses of an account are kept under, before it is keyed; `email` is in the database's spelling."""
    return _text_of("account", str(channel_id), email)


def _text_of(*parts: str) -> bytes:
    return "\n".join(parts).encode("utf-8", "surrogatepass")
