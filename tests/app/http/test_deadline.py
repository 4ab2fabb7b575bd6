"""What takes too long is told so in time, ends in the database, and leaves nothing behind. Everything here waits for a
lock that nobody lets go of, so it is the deadline that ends it: by `Aging`, which makes all that is under way late."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from app.demo import fixtures
from app.http.body import read_body
from app.http.deadline import Deadlines, Ending, Work
from app.http.state import STATE, State
from tests.conftest import (
    FAR_TOO_LONG,
    NEVER,
    Aging,
    calling,
    credentials,
    locked,
    running,
    settings_for,
    until,
    until_waiting,
)

SHIPMENTS = "{ shipments(input: {offset: 1}) { items { id } } }"
SHIPMENT = '{ shipment(id: "65ad4404-88a6-4f97-9325-34a3a35f1dfc") { id } }'
# What is fetched by loaders, below a row that is there already.
NESTED = "{ carriers { items { name trackAndTraces { code } } } }"
JOHN = {"email": fixtures.CUSTOMER_EMAIL, "password": fixtures.CUSTOMER_PASSWORD}


@pytest.fixture
async def slow(deadlines: Aging, demo_dsn: str) -> AsyncIterator[Starlette]:
    """Nor does the server end a statement: what is left to run there runs on."""
    async with running(settings_for(demo_dsn, pool_size=2, deadline=NEVER, pool_wait_seconds=NEVER)) as app:
        yield app


async def ask(
    app: Starlette, dsn: str, method: str, path: str, viewer: str = "staff", **request: Any
) -> httpx.Response:
    headers = credentials(viewer, settings_for(dsn)) | request.pop("headers", {})
    async with calling(app) as client:
        async with asyncio.timeout(FAR_TOO_LONG):
            return await client.request(method, path, headers=headers, **request)


async def told(
    deadlines: Aging, holder: asyncpg.Connection, *asked: Coroutine[Any, Any, httpx.Response], waiting: int = 1
) -> list[httpx.Response]:
    """The answers, after `waiting` statements of them had met the holder's lock when their time was up."""
    answers = asyncio.gather(*asked)
    await until_waiting(holder, waiting)
    await until(lambda: len(deadlines.running) == len(asked))
    deadlines.expire()
    responses = await answers
    await until_waiting(holder, 0)
    return responses


@pytest.mark.parametrize("executor", ["compiled", "reference"])
@pytest.mark.parametrize(
    ("query", "waiting"), [(SHIPMENTS, 1), (SHIPMENT, 1), (NESTED, 1), (f"{SHIPMENTS[:-1]} {SHIPMENT[1:]}", 2)]
)
async def test_a_read_that_takes_too_long_is_503_and_ends_in_the_database(
    deadlines: Aging, demo_dsn: str, query: str, waiting: int, executor: str
) -> None:
    async with (
        running(settings_for(demo_dsn, pool_size=2, executor=executor)) as app,
        locked(demo_dsn, "shipments", "track_and_traces") as holder,
    ):
        asked = ask(app, demo_dsn, "POST", "/graphql", json={"query": query})
        [response] = await told(deadlines, holder, asked, waiting=waiting)
        await until(lambda: app.state.db.pool.lent == 0)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    [error] = response.json()["errors"]
    assert error["message"].startswith(
        "This took too long, and was given up. Lists answer sooner where they are narrowed"
    )
    assert error["extensions"] == {"code": "TIMEOUT"}
    assert "data" not in response.json()


async def test_a_deadline_comes_by_itself(demo_dsn: str) -> None:
    async with running(settings_for(demo_dsn, deadline=0.2)) as app, locked(demo_dsn, "shipments") as holder:
        response = await ask(app, demo_dsn, "POST", "/graphql", json={"query": SHIPMENTS})
        await until_waiting(holder, 0)
    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"


async def test_it_is_told_alike_to_whoever_accepts_graphql_responses(
    deadlines: Aging, slow: Starlette, demo_dsn: str
) -> None:
    accept = {"accept": "application/graphql-response+json"}
    async with locked(demo_dsn, "shipments") as holder:
        asked = ask(slow, demo_dsn, "POST", "/graphql", json={"query": SHIPMENTS}, headers=accept)
        [response] = await told(deadlines, holder, asked)
    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"


@pytest.mark.parametrize(
    ("method", "path", "viewer", "body", "table"),
    [
        ("GET", "/api/shop/customer-orders", "john", None, "orders"),
        ("GET", "/api/shop/customer-orders/1", "john", None, "order_items"),
        ("GET", "/api/shop/customer-orders", "john", None, "customer_sessions"),
        ("GET", "/api/shop/customer-order-shipments", "john", None, "shipments"),
        (
            "POST",
            "/api/shop/customer/login",
            "stranger",
            JOHN,
            "login_attempts",
        ),
    ],
)
async def test_rest_and_login_are_told_in_their_own_words(
    deadlines: Aging, slow: Starlette, demo_dsn: str, method: str, path: str, viewer: str, body: Any, table: str
) -> None:
    async with locked(demo_dsn, table) as holder:
        [response] = await told(deadlines, holder, ask(slow, demo_dsn, method, path, viewer, json=body))
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json() == {"message": "This took too long, and was given up.", "code": "TIMEOUT"}


async def test_login_by_graphql_is_told_too(deadlines: Aging, slow: Starlette, demo_dsn: str) -> None:
    query = (
        "mutation ($input: createCustomerLoginInput!) { createCustomerLogin(input: $input) { customerLogin { id } } }"
    )
    async with locked(demo_dsn, "login_attempts") as holder:
        body = {"query": query, "variables": {"input": JOHN}}
        asked = ask(slow, demo_dsn, "POST", "/api/graphql", "stranger", json=body)
        [response] = await told(deadlines, holder, asked)
    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"


@pytest.mark.parametrize("surface", ["graphql", "rest"])
async def test_a_storefront_key_that_cannot_be_looked_up_is_told_too(
    deadlines: Aging, slow: Starlette, demo_dsn: str, surface: str
) -> None:
    asked = {
        "graphql": ask(slow, demo_dsn, "POST", "/api/graphql", "stranger", json={"query": "{ __typename }"}),
        "rest": ask(slow, demo_dsn, "GET", "/api/shop/customer-orders", "stranger"),
    }
    async with locked(demo_dsn, "storefront_keys") as holder:
        [response] = await told(deadlines, holder, asked.pop(surface))
    asked.popitem()[1].close()
    assert response.status_code == 503


async def test_many_are_told_and_then_everything_is_as_before(deadlines: Aging, slow: Starlette, demo_dsn: str) -> None:
    async with locked(demo_dsn, "shipments") as holder:
        asked = [ask(slow, demo_dsn, "POST", "/graphql", json={"query": SHIPMENTS}) for _ in range(20)]
        responses = await told(deadlines, holder, *asked, waiting=2)
    codes = {response.json()["errors"][0]["extensions"]["code"] for response in responses}
    assert codes == {"TIMEOUT"}
    for _ in range(5):
        response = await ask(slow, demo_dsn, "POST", "/graphql", json={"query": SHIPMENTS})
        assert response.json()["data"]["shipments"]["items"]
    await until(lambda: slow.state.db.pool.lent == 0)
    assert slow.state.db.pool._open <= 2


async def test_what_waits_too_long_for_a_connection_is_refused(demo_dsn: str) -> None:
    async with (
        running(settings_for(demo_dsn, deadline=NEVER, pool_size=1, pool_wait_seconds=0.2)) as app,
        locked(demo_dsn, "shipments") as holder,
    ):
        first = asyncio.create_task(ask(app, demo_dsn, "POST", "/graphql", json={"query": SHIPMENTS}))
        await until_waiting(holder, 1)
        others = await asyncio.gather(
            ask(app, demo_dsn, "POST", "/graphql", json={"query": "{ carriers { itemsFound } }"}),
            ask(app, demo_dsn, "POST", "/graphql", json={"query": SHIPMENT}),
            ask(app, demo_dsn, "POST", "/graphql", "editor", json={"query": "mutation { carrierDelete(id: 1) }"}),
            ask(app, demo_dsn, "GET", "/api/shop/customer-orders", "john"),
        )
        await holder.execute("COMMIT")
        assert "errors" not in (await first).json()
    assert [response.status_code for response in others] == [503] * 4
    assert [response.headers["retry-after"] for response in others] == ["1"] * 4
    codes = [response.json()["errors"][0]["extensions"]["code"] for response in others[:3]]
    assert [*codes, others[3].json()["code"]] == ["OVERLOADED"] * 4


async def test_the_time_of_a_slow_body_is_not_the_requests() -> None:
    """Bodies have a limit of their own."""
    deadlines = Deadlines(3600)
    work = Work(deadlines, asyncio.current_task(), time.perf_counter())
    since, pieces = work.since, [b'{"query": ', b'"{ __typename }"}']

    async def receive() -> dict[str, Any]:
        assert not deadlines.running
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    scope: dict[str, Any] = {"headers": []}
    scope[STATE] = State(scope, work)
    assert json.loads(await read_body(scope, receive, 1000)) == {"query": "{ __typename }"}
    assert list(deadlines.running) == [work]
    assert work.since > since
    work.end()
    stop(deadlines)


# ------------------------------------------------------------------------------------------------ by itself


def stop(deadlines: Deadlines) -> None:
    assert deadlines.timer
    deadlines.timer.cancel()


async def wait_for_ever(begun: list[Work], deadlines: Deadlines) -> Ending | None:
    work = Work(deadlines, asyncio.current_task(), time.perf_counter())
    begun.append(work)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return next((ending for ending in Ending if work.take_back_if(ending)), None)
    finally:
        work.end()
    return None


async def test_one_timer_serves_all_and_none_runs_when_nothing_does() -> None:
    deadlines, work = Deadlines(0.1), list[Work]()
    tasks = [asyncio.create_task(wait_for_ever(work, deadlines)) for _ in range(50)]
    assert await asyncio.gather(*tasks) == [Ending.LATE] * 50
    assert not deadlines.running
    await until(lambda: deadlines.timer is None)


async def test_who_leaves_is_told_apart_from_who_is_late_and_from_others() -> None:
    deadlines, work = Deadlines(3600), list[Work]()
    tasks = [asyncio.create_task(wait_for_ever(work, deadlines)) for _ in range(3)]
    await until(lambda: len(work) == 3)
    work[0].leave()
    work[1].goes_on = True
    work[1].leave()
    tasks[1].cancel()
    work[2].cancel(Ending.LATE)
    work[2].leave()
    assert await asyncio.gather(*tasks) == [Ending.LEFT, None, Ending.LATE]
    assert [task.cancelling() for task in tasks] == [0, 1, 0]
    work[0].leave()  # it is over: nothing happens
    stop(deadlines)


async def test_what_is_lifted_has_no_deadline() -> None:
    deadlines, work = Aging(NEVER), list[Work]()
    tasks = [asyncio.create_task(wait_for_ever(work, deadlines)) for _ in range(2)]
    await until(lambda: len(work) == 2)
    work[0].lift()
    deadlines.expire()
    assert await tasks[1] is Ending.LATE
    assert not tasks[0].done()
    work[0].leave()
    assert await tasks[0] is Ending.LEFT
