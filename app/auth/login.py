"""Customers log in and out: a password becomes a session, and a session a token.

A token is `<id of the session>|<JWT>` (C-42). The JWT says who and until when; the row of the session is read with
every request, so a logout holds at once on all workers.

Attempts are counted in PostgreSQL, shared by all workers and kept over restarts, before a password is looked at: for
the e-mail within its channel, and for the client's address. The server of a shop logs in for all its visitors from one
address, so an attempt that succeeds is not counted for the address, nor is one that its e-mail's own limit refused:
neither honest visitors nor one who hammers a single account lock out the shop (C-47).
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from app.auth.password import Passwords
from app.auth.token import Tokens
from app.auth.viewer import Viewer
from app.database import Database
from app.errors import TooManyAttempts
from app.settings import Settings
from sql import Scope, Statement, load

LIFETIME = timedelta(days=7)

_EVERYTHING = Scope.everything()
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


class Logins:
    def __init__(self, db: Database, tokens: Tokens, passwords: Passwords, settings: Settings) -> None:
        self._db = db
        self._tokens = tokens
        self._passwords = passwords
        self._secret = settings.token_secret.encode()
        self._per_email = settings.login_attempts_per_email
        self._per_address = settings.login_attempts_per_address

    async def open(self, channel_id: int, email: str, password: str, address: str) -> Session:
        """Raises `TooManyAttempts`, `WrongPassword` or `Suspended`. `address` is the client's; empty is not counted."""
        counted = await self._count(channel_id, email, address)
        row = await self._row(_SESSIONS.customer_by_email, channel_id=channel_id, email=email)
        password_hash = row["password_hash"] if row else None
        # Once on every path, whoever the e-mail belongs to.
        matches = await self._passwords.matches(password_hash, password)
        await self._row(_SESSIONS.prune)
        if row is None or not matches:
            raise WrongPassword
        await self._give_back(address, counted)
        if row["is_suspended"]:
            raise Suspended
        return await self.start(channel_id, row)

    async def close(self, viewer: Viewer) -> bool:
        """Ends the session of a customer's token; False where another request has ended it meanwhile."""
        row = await self._row(
            _SESSIONS.revoke,
            session_id=viewer.session_id,
            channel_id=viewer.scope.channel_ids[0],
            customer_id=viewer.scope.customer_id,
        )
        return row is not None

    async def customer(self, viewer: Viewer) -> asyncpg.Record | None:
        """`id`, `first_name`, `last_name` and `email` of a customer who asks."""
        return await self._row(
            _SESSIONS.customer_by_id, channel_id=viewer.scope.channel_ids[0], customer_id=viewer.scope.customer_id
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

    async def _count(self, channel_id: int, email: str, address: str) -> datetime | None:
        """The instant under which the attempt is counted for the address. Raises `TooManyAttempts`.

        The address comes first: one that is over its limit must not use up the attempts of other people's e-mails.
        """
        counted = await self._take(self._key("address", address), self._per_address) if address else None
        try:
            await self._take(self._key("email", str(channel_id), email.lower()), self._per_email)
        except TooManyAttempts:
            await self._give_back(address, counted)
            raise
        return counted

    async def _take(self, key_hash: bytes, allowed: int) -> datetime:
        row = await self._row(_ATTEMPTS.take, key_hash=key_hash, allowed=allowed)
        if row is None:
            raise TooManyAttempts
        counted: datetime = row["latest_at"]
        return counted

    async def _give_back(self, address: str, counted: datetime | None) -> None:
        if counted is not None:
            await self._row(_ATTEMPTS.give_back, key_hash=self._key("address", address), attempted_at=counted)

    def _key(self, *parts: str) -> bytes:
        """Keyed, so that who reads the table cannot try out e-mails and addresses."""
        return hmac.digest(self._secret, "\n".join(parts).encode("utf-8", "surrogatepass"), "sha256")

    async def _row(self, statement: Statement, **values: Any) -> asyncpg.Record | None:
        rows = await self._db.fetch(statement, _EVERYTHING, **values)
        return rows[0] if rows else None
