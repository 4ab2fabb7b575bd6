"""How often a storefront key may ask: so many requests a minute, counted for GraphQL and REST together (C-46).

The count is kept in Redis where the settings name one, so that all machines share it, in a file where there are several
workers on this one, and in memory otherwise. The window is fixed: it opens with the first request of a key and is over
a minute later, which is the one instant that the header X-RateLimit-Reset can honestly name.
"""

import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth.storefront_key import HEADER, Storefront
from app.errors import RateLimitExceeded
from app.http import problem
from app.http.address import peer_address
from app.http.mapped_windows import MappedWindows
from app.http.problem import SHOP
from app.http.reply import Reply, reply
from app.http.state import Header, state_of
from app.settings import Worker

if TYPE_CHECKING:
    from app.http.shared_windows import SharedWindows

logger = logging.getLogger("waybill.rate_limit")

WINDOW_SECONDS = 60
_KEY_HEADER = HEADER.encode()
# https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
POLICY, LIMIT = b"ratelimit-policy", b"ratelimit"

FindStorefront = Callable[[Sequence[str], str], Awaitable[Storefront]]


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
    def headers(self) -> list[Header]:
        left = max(self.limit - self.used, 0)
        return [
            (b"x-ratelimit-limit", b"%d" % self.limit),
            (b"x-ratelimit-remaining", b"%d" % left),
            (b"x-ratelimit-reset", b"%d" % math.ceil(self.resets_at)),
            (POLICY, b'"requests";q=%d;w=%d' % (self.limit, WINDOW_SECONDS)),
            (LIMIT, b'"requests";r=%d;t=%d' % (left, self.seconds_left)),
        ]

    @property
    def seconds_left(self) -> int:
        return max(math.ceil(self.resets_at - time.time()), 1)


class RateLimits:
    def __init__(
        self,
        redis_url: str | None = None,
        worker: Worker | None = None,
        current: Callable[[], str | None] | None = None,
    ) -> None:
        """`redis_url` is `redis://`, `rediss://` or `redis+unix://`, and `current` tells it anew; `worker` shares with
        its siblings.
        """
        self._own = MappedWindows(worker.folder / "rate-limits", WINDOW_SECONDS) if worker else Windows()
        self._shared: SharedWindows | None = None
        if redis_url:
            from app.http import redis_pool, shared_windows  # a fifth of what a start imports, for those who have one

            self._shared = shared_windows.SharedWindows(redis_pool.redis_pool(redis_url, current), WINDOW_SECONDS)

    async def close(self) -> None:
        if self._shared:
            await self._shared.close()
        if isinstance(self._own, MappedWindows):
            self._own.close()

    async def take(self, key_id: int, per_minute: int) -> Quota:
        """Counts one request of a storefront key; a refused one counts too, or a caller might hammer for free."""
        if self._shared is None:
            return Quota(per_minute, *self._own.count(key_id))
        try:
            used, resets_at = await self._shared.count(key_id)
        except ConnectionError as error:
            # A shop stays open while Redis is away; each machine then counts alone.
            logger.warning("rate limits are counted per machine: %s", error)
            used, resets_at = self._own.count(key_id)
        return Quota(per_minute, used, resets_at)


class Windows:
    """The counts of this process. There is one for every key that was ever good, so they need no clearing away.

    The memory storage of `limits` looks through all of its keys with every request: 70 µs with a thousand of them.
    """

    def __init__(self) -> None:
        self._windows: dict[int, tuple[int, float]] = {}

    def count(self, key_id: int) -> tuple[int, float]:
        """The number of this request within its window, and when that is over."""
        now = time.time()
        used, resets_at = self._windows.get(key_id, (0, now))
        if resets_at <= now:
            used, resets_at = 0, now + WINDOW_SECONDS
        window = self._windows[key_id] = (used + 1, resets_at)
        return window


class Admission:
    """Counts the requests of every valid storefront key before they are answered.

    What `find` makes of the values of the key's header and of the client's address goes into the state of the request,
    what is left of its limit into the headers of the answer.
    """

    def __init__(self, find: FindStorefront, limits: RateLimits) -> None:
        self._find = find
        self._limits = limits

    async def refuse(self, scope: Scope, *, speaks_graphql: bool = False) -> Reply | None:
        """The answer to a request too many, None for all others."""
        state = state_of(scope)
        if _KEY_HEADER not in state.fields:
            return None
        keys = [value.decode("latin-1") for name, value in scope["headers"] if name == _KEY_HEADER]
        state.storefront = await self._find(keys, peer_address(scope))
        key = state.storefront.key
        if key is None:
            return None
        quota = await self._limits.take(key["id"], key["requests_per_minute"])
        state.answer_headers += quota.headers
        if not quota.is_exceeded:
            return None
        error = RateLimitExceeded(quota.seconds_left)
        if speaks_graphql or scope["path"].startswith(SHOP):
            return too_many(error, speaks_graphql=speaks_graphql)
        return problem.refuse(error, scope)


def too_many(error: RateLimitExceeded, *, speaks_graphql: bool = False) -> Reply:
    """The answer to a request too many, whatever there were too many of."""
    body: dict[str, Any] = {
        "message": error.message,
        "error": error.code.lower(),
        "retry_after": error.seconds,
    }
    if speaks_graphql:
        # The shape of every refusal on GraphQL's paths (decision 7).
        body["errors"] = [{"message": error.message, "extensions": error.extensions}]
    return reply(body, error.status, headers={"retry-after": str(error.seconds)})


def add_rate_limit(headers: list[Header], policy: Header, limit: Header) -> None:
    """Beside those of the requests, where these are told: each header is one list."""
    if len(headers) > 1:
        for place, (name, value) in enumerate(headers):
            if name == POLICY:
                headers[place] = name, b"%b, %b" % (value, policy[1])
            elif name == LIMIT:
                headers[place] = name, b"%b, %b" % (value, limit[1])
                return
    headers += (policy, limit)


class RateLimited:
    """An ASGI application before which `admission` counts."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        one_too_many = await self._admission.refuse(scope)
        if one_too_many:
            state_of(scope).outcome = "refused"
        await (one_too_many or self._app)(scope, receive, send)
