"""How often a storefront key may ask: so many requests a minute, counted for GraphQL and REST together (C-46).

The count is kept in Redis where the settings name one, so that all workers share it, and in memory otherwise. The
window is fixed: it opens with the first request of a key and is over a minute later, which is the one instant that the
header X-RateLimit-Reset can honestly name.
"""

import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.errors import StorageError
from redis.asyncio import ConnectionPool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import NotAuthenticated
from app.http.reply import reply

logger = logging.getLogger("waybill.rate_limit")

WINDOW_SECONDS = 60
_REDIS_SECONDS = 1

FindKey = Callable[[Headers], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left to a key after this request. `resets_at` is in seconds since 1970."""

    limit: int
    used: int
    resets_at: float

    @property
    def is_exceeded(self) -> bool:
        return self.used > self.limit

    @property
    def headers(self) -> dict[str, str]:
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(max(self.limit - self.used, 0)),
            "x-ratelimit-reset": str(math.ceil(self.resets_at)),
        }

    @property
    def seconds_left(self) -> int:
        return max(math.ceil(self.resets_at - time.time()), 1)


class RateLimits:
    def __init__(self, redis_url: str | None = None) -> None:
        """`redis_url` is `redis://`, `rediss://` or `redis+unix://`."""
        self._memory = MemoryStorage()
        self._shared: Storage = self._memory
        self._connections: ConnectionPool | None = None
        if redis_url:
            self._connections = ConnectionPool.from_url(
                redis_url.replace("redis+unix", "unix"),
                socket_timeout=_REDIS_SECONDS,
                socket_connect_timeout=_REDIS_SECONDS,
            )
            self._shared = RedisStorage(
                f"async+{redis_url}",
                wrap_exceptions=True,
                implementation="redispy",
                key_prefix="waybill",
                connection_pool=self._connections,  # type: ignore[arg-type]  # its own documentation names this
            )

    async def close(self) -> None:
        if self._connections:
            await self._connections.aclose()

    async def take(self, key_id: int, per_minute: int) -> Quota:
        """Counts one request of a storefront key; a refused one counts too, or a caller might hammer for free."""
        name = f"storefront-key/{key_id}"
        try:
            used, resets_at = await _count(self._shared, name)
        except StorageError as error:
            # A shop stays open while Redis is away; each worker then counts alone.
            logger.warning("rate limits are counted per process: %s", error)
            used, resets_at = await _count(self._memory, name)
        return Quota(per_minute, used, resets_at)


async def _count(storage: Storage, name: str) -> tuple[int, float]:
    """What is left is told from the count that this very request made, so that no two requests are told the same."""
    return await storage.incr(name, WINDOW_SECONDS), await storage.get_expiry(name)


class RateLimited:
    """An ASGI application that counts the requests of every valid storefront key before another one answers them.

    `find_key` gives the row of the key that a request brings: `id` and `requests_per_minute`. It, or what is raised
    for none or a bad one, is in `scope["state"]["storefront_key"]` for the application behind.
    """

    def __init__(self, app: ASGIApp, find_key: FindKey, limits: RateLimits, *, speaks_graphql: bool = False) -> None:
        self._app = app
        self._speaks_graphql = speaks_graphql
        self._find_key = find_key
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            key = scope["state"]["storefront_key"] = await self._find_key(Headers(scope=scope))
        except NotAuthenticated as refusal:
            scope["state"]["storefront_key"] = refusal
            await self._app(scope, receive, send)
            return
        quota = await self._limits.take(key["id"], key["requests_per_minute"])

        async def send_with_quota(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(quota.headers)
            await send(message)

        app = self._refusal(quota) if quota.is_exceeded else self._app
        await app(scope, receive, send_with_quota)

    def _refusal(self, quota: Quota) -> ASGIApp:
        seconds, message = quota.seconds_left, "Rate limit exceeded"
        body: dict[str, Any] = {"message": message, "error": "rate_limit_exceeded", "retry_after": seconds}
        if self._speaks_graphql:
            # The shape of every refusal on GraphQL's paths (decision 7).
            body["errors"] = [{"message": message, "extensions": {"code": "RATE_LIMIT_EXCEEDED"}}]
        return reply(body, 429, headers={"retry-after": str(seconds)})
