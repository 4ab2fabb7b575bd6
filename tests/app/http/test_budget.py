"""Viewers pay for what they ask, each from a bucket of its own, on every surface."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from app.demo import fixtures
from app.errors import PointsSpent
from app.http import budget
from app.http.budget import Buckets, Budgets, Rate
from app.http.mapped_buckets import MappedBuckets
from app.http.state import State
from app.settings import Worker
from tests.app.http.test_rate_limit import redis
from tests.conftest import KEY_HEADER, calling, credentials, reserved_port, running, settings_for

__all__ = ["redis"]

CAPACITY, REPORT = 2_000, {"GraphQL-Cost": "report"}
ORDER = {"query": "{ order(orderId: 2075) { id items { id } } }"}
VIEWERS = ["staff", "partner", "contact", "john", None]


@pytest.fixture
async def service(demo_copy_dsn: str) -> AsyncIterator[Starlette]:
    async with running(settings_for(demo_copy_dsn, cost_capacity=CAPACITY, cost_restore_rate=1)) as app:
        yield app


@pytest.fixture
async def caller(service: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(service) as caller:
        yield caller


def left(answer: httpx.Response) -> int:
    found = re.search(r'"points";r=(\d+);t=\d+', answer.headers["ratelimit"])
    assert found
    return int(found[1])


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        monkeypatch.setattr(time, "time", lambda: self.now)


@pytest.mark.parametrize("viewer", VIEWERS)
async def test_each_viewer_pays_what_its_answer_cost(
    caller: httpx.AsyncClient, demo_copy_dsn: str, viewer: str | None
) -> None:
    headers = {**credentials(viewer, settings_for(demo_copy_dsn)), **REPORT}
    answer = await caller.post("/graphql", json=ORDER, headers=headers)
    cost = answer.json()["extensions"]["cost"]
    assert cost["actual"] <= cost["requested"] == 104
    assert cost["remaining"] == CAPACITY - cost["actual"] == left(answer)
    assert (cost["capacity"], cost["restoreRate"]) == (CAPACITY, 1)
    assert answer.headers["ratelimit-policy"].endswith(f'"points";q={CAPACITY};w={CAPACITY};qu="points"')


async def test_answers_tell_nothing_unasked_and_headers_do(caller: httpx.AsyncClient) -> None:
    answer = await caller.post("/graphql", json=ORDER, headers={"apikey": fixtures.PARTNER_KEY})
    assert answer.json().keys() == {"data"}
    assert left(answer) < CAPACITY
    refused = await caller.post("/graphql", json=ORDER, headers={"GraphQL-Cost": "what"})
    assert (refused.status_code, "report or validate" in refused.text) == (400, True)


async def test_surfaces_share_one_bucket_and_each_refuses_in_its_words(
    caller: httpx.AsyncClient, demo_copy_dsn: str
) -> None:
    john = credentials("john", settings_for(demo_copy_dsn))
    by_graphql = await caller.post("/api/graphql", json={"query": "{ customerOrders { totalCount } }"}, headers=john)
    path = "/api/shop/customer-orders/1"
    by_rest = await caller.get(path, headers=john)
    assert left(by_graphql) - left(by_rest) == 50
    for _ in range(CAPACITY // 50):
        by_rest = await caller.get(path, headers=john)
    seconds = int(by_rest.headers["retry-after"])
    assert by_rest.status_code == 429
    assert by_rest.headers["content-type"].startswith("application/json")
    assert by_rest.json() == {"message": "Rate limit exceeded", "error": "rate_limit_exceeded", "retry_after": seconds}
    dear = {"query": "{ customerOrders { edges { node { items { edges { node { name } } } } } } }"}
    refused = await caller.post("/api/graphql", json=dear, headers=john)
    [error] = refused.json()["errors"]
    assert (refused.status_code, error["extensions"]["code"]) == (429, "RATE_LIMIT_EXCEEDED")
    cost = error["extensions"]["cost"]
    assert cost["requested"] > cost["remaining"]
    assert int(refused.headers["retry-after"]) in range(cost["requested"] - cost["remaining"], cost["requested"])
    other = await caller.get(path, headers={KEY_HEADER: john[KEY_HEADER]})
    assert other.status_code == 401  # the shop's own bucket is full


async def test_export_costs_by_its_rows_and_is_refused_as_a_problem(caller: httpx.AsyncClient) -> None:
    headers = {"apikey": fixtures.PARTNER_KEY}
    first = await caller.get("/export/orders.ndjson", headers=headers)
    rows = len(first.text.splitlines())
    assert left(first) == CAPACITY - 100
    answer = await caller.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
    assert left(answer) in range(max(0, CAPACITY - 101 - rows * 5), max(0, CAPACITY - 101 - rows * 5) + 60)
    while (refused := await caller.get("/export/orders.ndjson", headers=headers)).status_code == 200:
        pass
    assert refused.status_code == 429
    assert refused.headers["content-type"].startswith("application/problem+json")
    problem: dict[str, Any] = refused.json()
    assert problem["title"] == "Too Many Requests"
    assert problem["type"].endswith("#quota-exceeded")
    assert problem["violated-policies"] == ["points"]
    assert problem["cost"]["requested"] == 100
    assert int(refused.headers["retry-after"]) >= 1


async def test_what_no_bucket_holds_is_told_with_its_cost_and_the_bound(caller: httpx.AsyncClient) -> None:
    dear = {
        "query": "query ($n: Int!) { orders(input: {offset: $n}) { items { items { id } } } }",
        "variables": {"n": 100},
    }
    answer = await caller.post("/graphql", json=dear, headers={"apikey": fixtures.PARTNER_KEY})
    [error] = answer.json()["errors"]
    assert answer.status_code == 200
    assert error["extensions"] == {"code": "LIMIT_EXCEEDED", "cost": {"requested": 10_205, "limit": CAPACITY}}
    assert error["message"] == f"The query may cost 10205 points, and {CAPACITY} is the limit."
    dear["variables"] = {"n": 10}
    assert "data" in (await caller.post("/graphql", json=dear, headers={"apikey": fixtures.PARTNER_KEY})).json()


async def test_mutation_tells_its_cost_and_its_replay_is_as_before(caller: httpx.AsyncClient) -> None:
    text = 'mutation { orderSetStatus(input: {orderId: 4, payStatus: "PAID"}) { id } }'
    headers = {"apikey": fixtures.PARTNER_KEY, "Idempotency-Key": "cost-1"}
    first = await caller.post("/graphql", json={"query": text}, headers={**headers, **REPORT})
    assert first.json()["extensions"]["cost"]["actual"] == 103
    again = await caller.post("/graphql", json={"query": text}, headers={**headers, **REPORT})
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == {"data": first.json()["data"]}


# ------------------------------------------------------------------------------------------------ buckets


async def take(budgets: Budgets, points: int) -> bool:
    try:
        await budgets.take("staff:1", points, State({"headers": []}, None))  # type: ignore[arg-type]
    except PointsSpent:
        return False
    return True


async def test_points_come_back_as_time_goes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, budgets = Clock(monkeypatch), Budgets(Rate(100, 10))
    assert [await take(budgets, 60), await take(budgets, 60)] == [True, False]
    clock.now += 1
    assert await budgets.left("staff:1") == 50
    assert not await take(budgets, 60)
    clock.now += 1
    assert await take(budgets, 60)
    clock.now -= 1_000
    assert await budgets.left("staff:1") == 0
    clock.now += 10_000
    assert await budgets.left("staff:1") == 100


async def owes(budgets: Budgets) -> None:
    """What was spent beyond what there was is paid, with what comes back, before anything else is; what is free is."""
    assert await take(budgets, 90)
    state = State({"headers": []}, None)  # type: ignore[arg-type]
    await budgets.take("staff:1", 5, state)
    await budgets.settle("staff:1", 45, state)
    assert -35 <= await budgets.left("staff:1") < -30
    assert re.search(rb'"points";r=0;t=13[0-9]', dict(state.answer_headers)[b"ratelimit"])
    assert await take(budgets, 0)
    with pytest.raises(PointsSpent) as refused:
        await budgets.take("staff:1", 1, state)
    assert refused.value.extensions["cost"]["remaining"] == 0
    assert refused.value.seconds in range(31, 37)
    await budgets.spend("staff:1", 1_000)
    assert -100 <= await budgets.left("staff:1") < -95
    await budgets.close()


async def test_debt_is_paid_in_memory() -> None:
    await owes(Budgets(Rate(100, 1)))


async def test_debt_is_paid_in_a_file(tmp_path: Path) -> None:
    await owes(Budgets(Rate(100, 1), worker=Worker(1, tmp_path)))


async def test_debt_is_paid_in_redis(redis: str) -> None:
    await owes(Budgets(Rate(100, 1), redis))


async def test_refusal_says_when_there_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    budgets, state = Budgets(Rate(100, 10)), State({"headers": []}, None)  # type: ignore[arg-type]
    await budgets.take("a", 95, state)
    with pytest.raises(PointsSpent) as refused:
        await budgets.take("a", 100, state)
    assert refused.value.seconds == 10
    assert refused.value.extensions["cost"] == {"requested": 100, "remaining": 5, "capacity": 100, "restoreRate": 10}


def test_full_buckets_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MOST_BUCKETS", 3)
    monkeypatch.setattr(budget, "_FORGOTTEN", 1)
    buckets = Buckets(Rate(10, 1))
    for name in "abc":
        buckets.take(name, 1 if name == "b" else 10, 0.0)
    buckets.take("d", 10, 2.0)
    assert set(buckets._buckets) == {"a", "c", "d"}
    buckets.take("e", 10, 2.0)
    assert set(buckets._buckets) == {"c", "d", "e"}


async def test_workers_share_buckets_in_a_file(tmp_path: Path) -> None:
    workers = [Budgets(Rate(1_000, 1), worker=Worker(number, tmp_path)) for number in (1, 2)]
    paid = [await take(each, 100) for each in workers for _ in range(8)]
    assert sum(paid) == 10
    for each in workers:
        await each.close()


def test_row_of_the_file_that_was_used_longest_ago_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.http.mapped_buckets._SETS", 1)
    buckets = MappedBuckets(tmp_path / "points", Rate(100, 1))
    for number in range(9):
        buckets.take(f"viewer:{number}", 90, 1_000.0 + number)
    assert buckets.take("viewer:8", 0, 1_008.0)[1] == 10
    assert buckets.take("viewer:1", 0, 1_008.0)[1] == 17
    assert buckets.take("viewer:0", 0, 1_008.0)[1] == 100
    buckets.close()


async def test_machines_share_buckets_in_redis(redis: str) -> None:
    machines = [Budgets(Rate(1_000, 1), redis) for _ in range(2)]
    paid = await asyncio.gather(*(take(each, 100) for each in machines for _ in range(8)))
    assert sum(paid) == 10
    await machines[0].spend("staff:1", -300)
    assert 300 <= await machines[1].left("staff:1") < 320
    for each in machines:
        await each.close()


async def test_redis_that_does_not_answer_leaves_each_machine_counting() -> None:
    with reserved_port() as port:
        budgets = Budgets(Rate(100, 1), f"redis://127.0.0.1:{port}")
        assert [await take(budgets, 80), await take(budgets, 80)] == [True, False]
        await budgets.close()


async def test_what_comes_back_at_once_to_a_full_bucket_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    budgets, state = Budgets(Rate(100, 100)), State({"headers": []}, None)  # type: ignore[arg-type]
    assert not await budgets.take("a", 10, state, exactly=False)
    assert b'"points";r=90;t=1' in dict(state.answer_headers).values()
    assert await budgets.take("a", 10, state)
    assert await budgets.take("a", 11, state, exactly=False)
    assert await budgets.take("a", 19, state, exactly=False)  # half of it is left
