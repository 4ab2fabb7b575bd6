"""Credentials as they come in the headers of a request."""

from collections.abc import Mapping, Sequence

from app.auth.token import Tokens
from app.auth.viewer import Viewer, authenticate
from app.postgres.database import Database

Brought = Mapping[str, str] | Sequence[tuple[bytes, bytes]]


async def authenticated(headers: Brought, db: Database, tokens: Tokens) -> Viewer | None:
    """`headers` by name in any case, or as ASGI has them, where one comes twice."""
    if isinstance(headers, Mapping):
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return await authenticate(headers, dict(reversed(headers)), db, tokens)
