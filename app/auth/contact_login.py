"""Contacts log in and out, as the vendor's SDK has them do it: a password becomes a session, which gives access tokens.

An access token is a JWT for an hour, of a contact and one session. A refresh token is one too, until the session's end,
and good once: it is exchanged for an access token and the next refresh token (RFC 9700, 4.14.2). The store keeps the
digest of the one that is good; one that was exchanged before ends the session, since two have it. Sessions end with a
logout, after `LIFETIME`, when the contact is disabled, and with its password.

Attempts are counted: see `app.auth.attempt`.
"""

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from app.auth.attempt import CONTACTS, Attempts
from app.auth.password import Passwords
from app.auth.token import Claims, Tokens
from app.auth.viewer import LARGEST_ID, Viewer
from app.errors import CredentialsInvalid, NotAuthenticated, RefreshTokenInvalid
from app.postgres.database import Database
from sql import Statement, Visibility, load

LIFETIME = timedelta(days=30)
ACCESS_LIFETIME = timedelta(hours=1)

_REFRESH = "refresh"
_SUBJECT = re.compile(rf"{_REFRESH}:([1-9][0-9]{{0,9}})")
_EVERYTHING = Visibility.everything()
_SQL = load("contact_session")


@dataclass(frozen=True)
class Grant:
    """What a login and an exchange give. `contact` has `id`, `email`, names and `created_at`, and the session's
    `begun_at`; the access token is good for so many `seconds`, until `expires_at`."""

    contact: asyncpg.Record
    access_token: str
    refresh_token: str
    seconds: int
    expires_at: datetime


class ContactLogins:
    def __init__(self, db: Database, tokens: Tokens, passwords: Passwords, attempts: Attempts) -> None:
        self._db = db
        self._tokens = tokens
        self._passwords = passwords
        self._attempts = attempts

    async def open(self, email: str, password: str, address: str, channel_ids: Sequence[int] | None = None) -> Grant:
        """Of the contacts of all channels, or of `channel_ids`. `address` is the client's; empty is none.

        Raises `TooManyAttempts`, or `CredentialsInvalid` whatever is wrong: an e-mail that is nobody's or that several
        have, a password, a contact that has none or is disabled.
        """
        attempt = await self._attempts.begin(CONTACTS, email, address)
        found = await self._db.fetch(_SQL.contacts_by_email, _EVERYTHING, email=email, channel_ids=channel_ids)
        contact = found[0] if len(found) == 1 else None
        # Once on every path, whoever the e-mail belongs to.
        matches = await self._passwords.matches(contact["password_hash"] if contact else None, password)
        await self._attempts.prune()
        if contact is None or not matches:
            raise CredentialsInvalid
        session_id = uuid4()
        refresh_token = self._refresh_token(contact["id"], session_id, LIFETIME)
        row = await self._row(
            _SQL.open,
            session_id=session_id,
            contact_id=contact["id"],
            channel_id=contact["channel_id"],
            password_hash=contact["password_hash"],
            refresh_hash=_digest(refresh_token),
            lifetime=LIFETIME,
        )
        if row is None:
            raise CredentialsInvalid
        await self._attempts.has_proved(attempt)
        await self._attempts.has_succeeded(attempt)
        return self._grant(row, session_id, refresh_token)

    async def exchange(self, refresh_token: str) -> Grant:
        """Raises `RefreshTokenInvalid` for a token that is none, has expired or been exchanged, or whose session is
        over."""
        try:
            claims = self._tokens.verify(refresh_token)
        except NotAuthenticated:
            raise RefreshTokenInvalid from None
        subject = _SUBJECT.fullmatch(claims.subject)
        if subject is None or int(subject[1]) > LARGEST_ID or claims.session is None:
            raise RefreshTokenInvalid
        contact_id = int(subject[1])
        following = self._refresh_token(contact_id, claims.session, _remaining(claims))
        row = await self._row(
            _SQL.exchange,
            session_id=claims.session,
            contact_id=contact_id,
            refresh_hash=_digest(refresh_token),
            next_hash=_digest(following),
        )
        if row is None:
            raise RefreshTokenInvalid
        return self._grant(row, claims.session, following)

    async def close(self, viewer: Viewer) -> bool:
        """Ends the session of a contact's token; False where it has none, or another request has ended it meanwhile."""
        if viewer.contact_session is None:
            return False
        row = await self._row(
            _SQL.revoke,
            session_id=viewer.contact_session,
            contact_id=int(viewer.subject.partition(":")[2]),
            channel_id=viewer.visibility.channel_ids[0],
        )
        return row is not None

    def _grant(self, row: asyncpg.Record, session_id: UUID, refresh_token: str) -> Grant:
        now = int(time.time())
        seconds = max(min(int(ACCESS_LIFETIME.total_seconds()), int(row["ends_at"]) - now), 1)
        lifetime, session = timedelta(seconds=seconds), str(session_id)
        access_token = self._tokens.issue(f"contact:{row['id']}", lifetime, contact_session=session)
        return Grant(row, access_token, refresh_token, seconds, datetime.fromtimestamp(now + seconds, UTC))

    def _refresh_token(self, contact_id: int, session_id: UUID, lifetime: timedelta) -> str:
        return self._tokens.issue(f"{_REFRESH}:{contact_id}", lifetime, contact_session=str(session_id))

    async def _row(self, statement: Statement, **values: Any) -> asyncpg.Record | None:
        return await self._db.fetch_first(statement, _EVERYTHING, **values)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _remaining(claims: Claims) -> timedelta:
    """The next token is good no longer than this one: until the session's end."""
    return timedelta(seconds=max(claims.expires_at - int(time.time()), 1))
