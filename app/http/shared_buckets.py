"""Buckets of points that all workers share, in Redis. Only who has one imports this."""

from typing import TYPE_CHECKING, Any

from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from app.http.budget import Rate

# What is taken, or given where that is negative; `force` takes what is not there as well. Redis' own clock counts for
# all. A bucket that is full again is not kept.
_SCRIPT = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local capacity, restored = tonumber(ARGV[1]), tonumber(ARGV[2])
local points, force = tonumber(ARGV[3]), ARGV[4] == '1'
local held = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = capacity
if held[1] then
  left = math.min(capacity, tonumber(held[1]) + math.max(0, now - tonumber(held[2])) * restored)
end
if points > math.max(0, left) and not force then
  return {0, string.format('%.3f', left)}
end
left = math.max(-capacity, math.min(capacity, left - points))
redis.call('HSET', KEYS[1], 'left', string.format('%.3f', left), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], math.ceil((capacity - left) / restored) + 1)
return {1, string.format('%.3f', left)}
"""


class SharedBuckets:
    """As `app.http.budget.Buckets`; both raise `ConnectionError`."""

    def __init__(self, connections: ConnectionPool, rate: "Rate") -> None:
        self._rate = rate
        self._connections = connections
        self._script = Redis(connection_pool=connections).register_script(_SCRIPT)

    async def close(self) -> None:
        await self._connections.aclose()

    async def take(self, name: str, points: int) -> tuple[bool, float]:
        return await self._run(name, points, force=0)

    async def give(self, name: str, points: int) -> float:
        return (await self._run(name, -points, force=1))[1]

    async def _run(self, name: str, points: int, *, force: int) -> tuple[bool, float]:
        arguments: list[Any] = [*self._rate, points, force]
        try:
            is_enough, left = await self._script(keys=[f"waybill:points:{name}"], args=arguments)
        except (RedisError, OSError) as error:
            raise ConnectionError(str(error)) from error
        return bool(is_enough), float(left)
