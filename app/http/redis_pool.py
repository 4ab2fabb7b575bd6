"""Connections to the Redis of the settings, for what all machines share. Only who has one imports this."""

from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from redis.asyncio import ConnectionPool
from redis.credentials import CredentialProvider

_SECONDS = 1


class _Credentials(CredentialProvider):
    def __init__(self, current: Callable[[], str | None]) -> None:
        self._current = current

    def get_credentials(self) -> tuple[str, str]:
        parts = urlsplit(self._current() or "")
        return unquote(parts.username or "") or "default", unquote(parts.password or "")

    async def get_credentials_async(self) -> tuple[str, str]:
        return self.get_credentials()


def redis_pool(url: str, current: Callable[[], str | None] | None = None) -> ConnectionPool:
    """`current` tells the URL of now, whose user and password each new connection takes; those of `url` without it."""
    parts = urlsplit(url)
    if parts.password is not None:
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    pool: ConnectionPool = ConnectionPool.from_url(
        url.replace("redis+unix", "unix"),
        socket_timeout=_SECONDS,
        socket_connect_timeout=_SECONDS,
        credential_provider=None if parts.password is None else _Credentials(current or parts.geturl),
    )
    return pool
