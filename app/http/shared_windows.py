"""Counts of requests that all workers share, in Redis. Only who has one imports this."""

from limits.aio.storage import RedisStorage
from limits.errors import StorageError
from redis.asyncio import ConnectionPool


class SharedWindows:
    """Windows of so many `seconds`, as `app.http.rate_limit.Windows` has them."""

    def __init__(self, connections: ConnectionPool, seconds: int) -> None:
        self._seconds = seconds
        self._connections = connections
        self._storage = RedisStorage(
            "async+redis://",  # which the connections know better
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix="waybill",
            connection_pool=connections,  # type: ignore[arg-type]  # its own documentation names this
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
