"""Customers log in and out: a password becomes a session, and a session a token.

A token is `<id of the session>|<JWT>` (C-42). The JWT says who and until when; the row of the session is read with
every request, so a logout holds at once on all workers. Attempts are counted: see `app.auth.attempt`.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from app.auth.attempt import Attempts
from app.auth.password import Passwords
from app.auth.token import Tokens
from app.auth.viewer import Viewer
from app.postgres.database import Database
from app.settings import Settings
from sql import Statement, Visibility, load

LIFETIME = timedelta(days=7)

_EVERYTHING = Visibility.everything()
_SQL = load("customer_session")


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
        self.attempts = Attempts(db, settings)

    async def open(self, channel_id: int, email: str, password: str, address: str) -> Session:
        """Raises `TooManyAttempts`, `WrongPassword` or `Suspended`. `address` is the client's; empty is none."""
        attempt = await self.attempts.begin(str(channel_id), email, address)
        row = await self._row(_SQL.customer_by_email, channel_id=channel_id, email=email)
        password_hash = row["password_hash"] if row else None
        # Once on every path, whoever the e-mail belongs to.
        matches = await self._passwords.matches(password_hash, password)
        await self.attempts.prune()
        if row is None or not matches:
            raise WrongPassword
        await self.attempts.has_proved(attempt)
        if row["is_suspended"]:
            raise Suspended
        session = await self.start(channel_id, row)
        await self.attempts.has_succeeded(attempt)
        return session

    async def close(self, viewer: Viewer) -> bool:
        """Ends the session of a customer's token; False where another request has ended it meanwhile."""
        row = await self._row(
            _SQL.revoke,
            session_id=viewer.session_id,
            channel_id=viewer.visibility.channel_ids[0],
            customer_id=viewer.visibility.customer_id,
        )
        return row is not None

    async def customer(self, viewer: Viewer) -> asyncpg.Record | None:
        """`id`, `first_name`, `last_name` and `email` of a customer who asks."""
        return await self._row(
            _SQL.customer_by_id,
            channel_id=viewer.visibility.channel_ids[0],
            customer_id=viewer.visibility.customer_id,
        )

    async def start(self, channel_id: int, customer: asyncpg.Record) -> Session:
        """A session of a row of `customer_by_email` who has proved to be it. Raises `WrongPassword` if it changed."""
        api_token = secrets.token_urlsafe(48)
        session = await self._row(
            _SQL.open,
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

    async def _row(self, statement: Statement, **values: Any) -> asyncpg.Record | None:
        return await self._db.fetch_first(statement, _EVERYTHING, **values)
