"""How often somebody may try: attempts to log in are counted in PostgreSQL before a password is looked at (C-47).

The counts are shared by all workers and kept over restarts:

- of a minute, for the client's address: those that fail. The server of a shop may log in for all its visitors from one
  address, so an attempt that succeeds is not counted;
- of a minute, for an account at that address: all, so nobody is locked out by somebody at another address;
- of an hour, for an account from all addresses, and for its share at each of them: those that fail. This is for who
  guesses from many addresses. An address from which this account has logged in lately is free of it, so that they
  cannot lock its owner out there.

An attempt that one count refuses is counted by none. All is the same for an account that is nobody's.
"""

import hmac
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from app.errors import TooManyAttempts
from app.postgres.database import Database
from app.settings import Settings
from sql import Statement, Visibility, load

# Among whom an e-mail is a contact's: a portal may not know its channel. A customer's is so among those of its channel.
CONTACTS = "contacts"

# An address from which an account has logged in is known for so long, and so many of them are.
REMEMBERED = timedelta(days=30)
REMEMBERED_ADDRESSES = 20

# No address alone uses up what an account is allowed in an hour: it takes so many.
SHARES = 5

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)

_EVERYTHING = Visibility.everything()
_SQL = load("login_attempt")


@dataclass(frozen=True)
class _Count:
    """So many attempts are `allowed` within the `window`, of which those that succeed count only if `counts_all`."""

    key_hash: bytes
    allowed: int
    window: timedelta
    counts_all: bool = False


# A count that an attempt was taken for, and the instant that it is counted under.
_Taken = tuple[_Count, datetime]


@dataclass(frozen=True)
class Attempt:
    """One that has been counted. `account` is whose logins are meant and an e-mail, whether it is anybody's or not;
    `address` is the client's, empty without one."""

    account: tuple[str, str]
    address: str
    taken: list[_Taken]


class Attempts:
    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._secret = settings.token_secret.encode()
        self._per_email = settings.login_attempts_per_email
        self._per_address = settings.login_attempts_per_address
        self._per_hour = settings.login_attempts_per_hour

    async def begin(self, whose: str, email: str, address: str) -> Attempt:
        """Counts an attempt to log in. `whose` names those among whom the e-mail is somebody's.

        Raises `TooManyAttempts`; the attempt is counted nowhere then. The address comes first: one that is over its
        limit must not use up the attempts of other people's e-mails.
        """
        account = whose, await self.spelling(email)
        async with self._counting() as taken:
            await self._take(self._counts_of_minute(account, address), taken)
            if not await self._is_known(account, address):
                await self._take(self._counts_of_hour(account, address), taken)
        return Attempt(account, address, taken)

    async def has_proved(self, attempt: Attempt) -> None:
        """The password was right, so the counts of those that fail have it not."""
        await self._give_back((count, instant) for count, instant in attempt.taken if not count.counts_all)

    async def has_succeeded(self, attempt: Attempt) -> None:
        """Whoever it was is in: the address is known from now on."""
        await self._row(
            _SQL.remember,
            key_hash=self._key("known", *attempt.account, attempt.address),
            account_hash=self._key("account", *attempt.account),
            others=REMEMBERED_ADDRESSES - 1,
        )

    async def prune(self) -> None:
        """Takes away some of what counts nothing any more, and sessions that are over."""
        await self._row(_SQL.prune, remembered=REMEMBERED)

    async def take(self, *bounds: tuple[tuple[str, ...], int, timedelta]) -> None:
        """Counts one attempt of each: what it is counted for, how many are allowed, within which time.

        Raises `TooManyAttempts`; the attempt is counted nowhere then.
        """
        async with self._counting() as taken:
            await self._take((_Count(self._key(*parts), allowed, window) for parts, allowed, window in bounds), taken)

    async def spelling(self, email: str) -> str:
        """An e-mail as the database compares it, which finds the account by it: what it spells alike counts alike."""
        [row] = await self._db.fetch(_SQL.spelling, _EVERYTHING, email=email)
        spelling: str = row["email"]
        return spelling

    @asynccontextmanager
    async def _counting(self) -> AsyncIterator[list[_Taken]]:
        """A list for what is counted in the block, which is given back where one bound is met."""
        taken: list[_Taken] = []
        try:
            yield taken
        except TooManyAttempts:
            await self._give_back(taken)
            raise

    def _counts_of_minute(self, account: tuple[str, str], address: str) -> Iterator[_Count]:
        if address:
            yield _Count(self._key("address", address), self._per_address, _MINUTE)
        yield _Count(self._key("pair", *account, address), self._per_email, _MINUTE, counts_all=True)

    def _counts_of_hour(self, account: tuple[str, str], address: str) -> Iterator[_Count]:
        yield _Count(self._key("share", *account, address), max(self._per_hour // SHARES, 1), _HOUR)
        yield _Count(self._key("hour", *account), self._per_hour, _HOUR)

    async def _is_known(self, account: tuple[str, str], address: str) -> bool:
        key_hash = self._key("known", *account, address)
        row = await self._row(_SQL.is_known, key_hash=key_hash, remembered=REMEMBERED)
        return row is not None and row["is_known"]

    async def _take(self, counts: Iterable[_Count], taken: list[_Taken]) -> None:
        """Adds to `taken`. Raises `TooManyAttempts`."""
        for count in counts:
            values = {"key_hash": count.key_hash, "allowed": count.allowed, "window": count.window}
            row = await self._row(_SQL.take, **values)
            if row is None:
                raise TooManyAttempts
            taken.append((count, row["latest_at"]))

    async def _give_back(self, taken: Iterable[_Taken]) -> None:
        given = [(count.key_hash, instant) for count, instant in taken]
        if given:
            key_hashes, instants = zip(*given, strict=True)
            await self._row(_SQL.give_back, key_hashes=key_hashes, attempted_at=instants)

    def _key(self, *parts: str) -> bytes:
        """Keyed, so that who reads the table cannot try out e-mails and addresses."""
        return hmac.digest(self._secret, _text_of(*parts), "sha256")

    async def _row(self, statement: Statement, **values: Any) -> asyncpg.Record | None:
        return await self._db.fetch_first(statement, _EVERYTHING, **values)


def account_key(whose: str, email: str) -> bytes:
    """What the addresses of an account are kept under, before it is keyed; `email` is in the database's spelling."""
    return _text_of("account", whose, email)


def _text_of(*parts: str) -> bytes:
    return "\n".join(parts).encode("utf-8", "surrogatepass")
