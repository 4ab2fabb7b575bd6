"""Counts of requests that all workers share, in Redis. Only who has one imports this."""

from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from limits.aio.storage import RedisStorage
from limits.errors import StorageError
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


class SharedWindows:
    """Windows of so many `seconds`, as `app.http.rate_limit.Windows` has them."""

    def __init__(self, url: str, seconds: int, current: Callable[[], str | None]) -> None:
        """`current` is the URL of now, whose user and password each new connection takes."""
        self._seconds = seconds
        parts = urlsplit(url)
        if parts.password is not None:
            url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self._connections = ConnectionPool.from_url(
            url.replace("redis+unix", "unix"),
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
            credential_provider=None if parts.password is None else _Credentials(current),
        )
        self._storage = RedisStorage(
            f"async+{url}",
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix="waybill",
            connection_pool=self._connections,  # type: ignore[arg-type]  # its own documentation names this
        )

    async def close(self) -> None:
        await self._connections.aclose()

    async def count(self, key_id: int) -> tuple[int, float]:
        """The number of this request within its window, and when that is over. Raises `ConnectionError`."""
        name = f"storefront-key/{key_id}"
        try:
            # What is left is told from the count that this very request made: no two requests are told the same.
            return await self._storage.incr(name, self._seconds), await self._storage.get_expiry(name)
        except StorageError as error:
            raise ConnectionError(str(error)) from error
