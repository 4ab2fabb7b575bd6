"""Requests are counted per storefront key, on REST and GraphQL alike."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette

from app.demo import fixtures
from app.http.rate_limit import Quota, RateLimits
from tests.conftest import NORTHWIND_STOREFRONT_KEY, calling, reserved_port, running, settings_for, until

KEY = {"X-STOREFRONT-KEY": fixtures.STOREFRONT_KEY}
OTHER_KEY = {"X-STOREFRONT-KEY": NORTHWIND_STOREFRONT_KEY}
ORDERS = "/api/shop/customer-orders"
QUERY = {"query": "{ customerOrders { totalCount } }"}


@pytest.fixture
async def shop(demo_copy_dsn: str, copy_connection: asyncpg.Connection) -> AsyncIterator[Starlette]:
    """An application whose first storefront key has three requests a minute."""
    await copy_connection.execute("UPDATE storefront_keys SET requests_per_minute = 3 WHERE id = 1")
    async with running(settings_for(demo_copy_dsn)) as app:
        yield app


@pytest.fixture
async def visitor(shop: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(shop) as visitor:
        yield visitor


async def test_every_answer_with_a_valid_key_tells_what_is_left(visitor: httpx.AsyncClient) -> None:
    before = time.time()

    answers = [
        await visitor.get(ORDERS, headers=KEY),
        await visitor.delete(ORDERS, headers=KEY),
        await visitor.post("/api/graphql", json=QUERY, headers=KEY),
    ]

    assert [answer.status_code for answer in answers] == [401, 405, 200]
    assert [answer.headers["x-ratelimit-limit"] for answer in answers] == ["3"] * 3
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0"]
    [reset] = {int(answer.headers["x-ratelimit-reset"]) for answer in answers}
    assert before + 59 <= reset <= time.time() + 61


async def test_the_request_over_the_limit_is_refused_on_both_paths(visitor: httpx.AsyncClient) -> None:
    for _ in range(3):
        await visitor.get(ORDERS, headers=KEY)

    rest = await visitor.get(ORDERS, headers=KEY)
    graphql = await visitor.post("/api/graphql", json=QUERY, headers=KEY)

    assert rest.status_code == graphql.status_code == 429
    seconds = int(rest.headers["retry-after"])
    assert 1 <= seconds <= 60
    assert rest.json() == {"message": "Rate limit exceeded", "error": "rate_limit_exceeded", "retry_after": seconds}
    assert graphql.json() == {
        "message": "Rate limit exceeded",
        "error": "rate_limit_exceeded",
        "retry_after": int(graphql.headers["retry-after"]),
        "errors": [{"message": "Rate limit exceeded", "extensions": {"code": "RATE_LIMIT_EXCEEDED"}}],
    }
    for answer in (rest, graphql):
        assert answer.headers["x-ratelimit-remaining"] == "0"
        assert answer.headers["cache-control"] == "no-store"


async def test_keys_are_counted_apart(visitor: httpx.AsyncClient) -> None:
    for _ in range(4):
        await visitor.get(ORDERS, headers=KEY)

    other = await visitor.get(ORDERS, headers=OTHER_KEY)

    assert other.status_code == 401
    assert other.headers["x-ratelimit-remaining"] == "99"


@pytest.mark.parametrize("headers", [{}, {"X-STOREFRONT-KEY": "pk_storefront_of_nobody"}])
async def test_without_a_valid_key_nothing_is_counted_and_nothing_told(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    for answer in (
        await client.get(ORDERS, headers=headers),
        await client.post("/api/graphql", json=QUERY, headers=headers),
    ):
        assert answer.status_code in (401, 403)
        assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


async def test_of_many_requests_at_once_no_more_than_the_limit_pass() -> None:
    limits = RateLimits()

    quotas = await asyncio.gather(*(limits.take(1, 10) for _ in range(25)))

    assert sum(not quota.is_exceeded for quota in quotas) == 10
    assert sorted(quota.used for quota in quotas) == list(range(1, 26))


async def test_the_window_opens_anew_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = RateLimits()
    assert [(await limits.take(1, 1)).is_exceeded for _ in range(2)] == [False, True]
    later = time.time() + 61

    monkeypatch.setattr(time, "time", lambda: later)

    assert not (await limits.take(1, 1)).is_exceeded


async def test_workers_share_the_count_in_redis(redis: str) -> None:
    first, second = RateLimits(redis), RateLimits(redis)

    quotas = await asyncio.gather(*(limits.take(1, 10) for limits in (first, second) for _ in range(10)))
    await asyncio.gather(first.close(), second.close())

    assert sum(not quota.is_exceeded for quota in quotas) == 10
    assert 0 < max(quota.resets_at for quota in quotas) - time.time() <= 60


async def test_password_of_redis_is_replaced_while_it_counts(redis: str, caplog: pytest.LogCaptureFixture) -> None:
    operator = Redis.from_url(redis)
    await operator.execute_command("ACL", "SETUSER", "shop", "on", ">former:%", "~*", "+@all")
    given = redis.replace("://", "://shop:former%3A%25@")
    limits = RateLimits(given, current=lambda: given)
    assert (await limits.take(1, 10)).used == 1
    await operator.execute_command("ACL", "SETUSER", "shop", "resetpass", ">new")
    assert (await limits.take(1, 10)).used == 2  # a connection that is open stays
    given = redis.replace("://", "://shop:new@")
    await operator.execute_command("CLIENT", "KILL", "USER", "shop")
    assert [(await limits.take(1, 10)).used for _ in range(3)][-1] >= 4
    await limits.close()
    other = RateLimits(redis.replace("://", "://shop:former@"))
    assert (await other.take(1, 10)).used == 1  # refused there, each counts alone
    await other.close()
    await operator.aclose()
    assert "per machine" in caplog.text


async def test_a_redis_that_does_not_answer_leaves_each_process_counting() -> None:
    with reserved_port() as port:
        limits = RateLimits(f"redis://127.0.0.1:{port}")
        quotas = [await limits.take(1, 1), await limits.take(1, 1)]
        await limits.close()

    assert [quota.is_exceeded for quota in quotas] == [False, True]


def test_seconds_left_are_never_none() -> None:
    assert Quota(limit=1, used=2, resets_at=0).seconds_left == 1


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a Redis of this test's own."""
    program = shutil.which("redis-server")
    if not program:
        pytest.skip("redis-server is not installed")

    def answers() -> bool:
        assert server.returncode is None
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with reserved_port() as port:
        address = ["--bind", "127.0.0.1", "--port", str(port)]
        server = await asyncio.create_subprocess_exec(
            *(program, *address, "--save", "", "--dir", str(tmp_path)), stdout=subprocess.DEVNULL
        )
        try:
            await until(answers)
            yield f"redis://127.0.0.1:{port}"
        finally:
            server.terminate()
            await server.wait()
