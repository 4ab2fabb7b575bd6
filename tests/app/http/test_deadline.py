"""What takes too long is told so in time, ends in the database, and leaves nothing behind. Everything here waits for a
lock that nobody lets go of, so it is the deadline that ends it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from app.demo import fixtures
from app.http.body import read_body
from app.http.deadline import Deadlines, Ending, Work
from tests.conftest import credentials, locked, running, settings_for, until, until_waiting

SHIPMENTS = "{ shipments(input: {offset: 1}) { items { id } } }"
SHIPMENT = '{ shipment(id: "65ad4404-88a6-4f97-9325-34a3a35f1dfc") { id } }'
# What is fetched by loaders, below a row that is there already.
NESTED = "{ carriers { items { name trackAndTraces { code } } } }"
LOGIN = "mutation ($input: createCustomerLoginInput!) { createCustomerLogin(input: $input) { clientMutationId } }"
JOHN = {"email": fixtures.CUSTOMER_EMAIL, "password": fixtures.CUSTOMER_PASSWORD}
FAR_TOO_LONG = 30


@pytest.fixture
async def late(demo_copy_dsn: str) -> AsyncIterator[Starlette]:
    """An application whose requests may take half a second."""
    async with running(settings_for(demo_copy_dsn, deadline=0.5, pool_size=2)) as app:
        yield app


async def ask(
    app: Starlette, dsn: str, method: str, path: str, viewer: str = "staff", **request: Any
) -> httpx.Response:
    headers = credentials(viewer, settings_for(dsn))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://waybill.test") as client:
        async with asyncio.timeout(FAR_TOO_LONG):
            return await client.request(method, path, headers=headers, **request)


@pytest.mark.parametrize("executor", ["compiled", "reference"])
@pytest.mark.parametrize("query", [SHIPMENTS, SHIPMENT, NESTED, f"{SHIPMENTS[:-1]} {SHIPMENT[1:]}"])
async def test_a_read_that_takes_too_long_is_503_and_ends_in_the_database(
    demo_copy_dsn: str, query: str, executor: str
) -> None:
    async with (
        running(settings_for(demo_copy_dsn, deadline=0.5, pool_size=2, executor=executor)) as app,
        locked(demo_copy_dsn, "shipments", "track_and_traces") as holder,
    ):
        response = await ask(app, demo_copy_dsn, "POST", "/graphql", json={"query": query})
        await until_waiting(holder, 0)
        await until(lambda: app.state.db.pool.lent == 0)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    [error] = response.json()["errors"]
    assert error == {"message": "This took too long, and was given up.", "extensions": {"code": "TIMEOUT"}}
    assert "data" not in response.json()


async def test_it_is_told_alike_to_whoever_accepts_graphql_responses(late: Starlette, demo_copy_dsn: str) -> None:
    async with locked(demo_copy_dsn, "shipments"):
        headers = {**credentials("staff", settings_for(demo_copy_dsn)), "accept": "application/graphql-response+json"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(late), base_url="http://waybill.test") as client:
            response = await client.post("/graphql", json={"query": SHIPMENTS}, headers=headers)
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
    late: Starlette, demo_copy_dsn: str, method: str, path: str, viewer: str, body: Any, table: str
) -> None:
    async with locked(demo_copy_dsn, table) as holder:
        response = await ask(late, demo_copy_dsn, method, path, viewer, json=body)
        await until_waiting(holder, 0)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json() == {"message": "This took too long, and was given up.", "code": "TIMEOUT"}


async def test_login_by_graphql_is_told_too(late: Starlette, demo_copy_dsn: str) -> None:
    credentials_ = {"email": fixtures.CUSTOMER_EMAIL, "password": fixtures.CUSTOMER_PASSWORD}
    query = (
        "mutation ($input: createCustomerLoginInput!) { createCustomerLogin(input: $input) { customerLogin { id } } }"
    )
    async with locked(demo_copy_dsn, "login_attempts"):
        body = {"query": query, "variables": {"input": credentials_}}
        response = await ask(late, demo_copy_dsn, "POST", "/api/graphql", "stranger", json=body)
    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"


async def test_a_storefront_key_that_cannot_be_looked_up_is_told_too(late: Starlette, demo_copy_dsn: str) -> None:
    async with locked(demo_copy_dsn, "storefront_keys"):
        by_graphql = await ask(
            late, demo_copy_dsn, "POST", "/api/graphql", "stranger", json={"query": "{ __typename }"}
        )
        by_rest = await ask(late, demo_copy_dsn, "GET", "/api/shop/customer-orders", "stranger")
    assert (by_graphql.status_code, by_rest.status_code) == (503, 503)


async def test_many_are_told_and_then_everything_is_as_before(late: Starlette, demo_copy_dsn: str) -> None:
    async with locked(demo_copy_dsn, "shipments") as holder:
        asked = [ask(late, demo_copy_dsn, "POST", "/graphql", json={"query": SHIPMENTS}) for _ in range(20)]
        responses = await asyncio.gather(*asked)
        await until_waiting(holder, 0)
    codes = {response.json()["errors"][0]["extensions"]["code"] for response in responses}
    assert codes == {"TIMEOUT"}
    for _ in range(5):
        response = await ask(late, demo_copy_dsn, "POST", "/graphql", json={"query": SHIPMENTS})
        assert response.json()["data"]["shipments"]["items"]
    await until(lambda: late.state.db.pool.lent == 0)
    assert late.state.db.pool._open <= 2


async def test_what_waits_too_long_for_a_connection_is_refused(demo_copy_dsn: str) -> None:
    async with (
        running(settings_for(demo_copy_dsn, deadline=FAR_TOO_LONG, pool_size=1, pool_wait_seconds=0.2)) as app,
        locked(demo_copy_dsn, "shipments") as holder,
    ):
        first = asyncio.create_task(ask(app, demo_copy_dsn, "POST", "/graphql", json={"query": SHIPMENTS}))
        await until(lambda: app.state.db.pool.lent == 1)
        others = await asyncio.gather(
            ask(app, demo_copy_dsn, "POST", "/graphql", json={"query": "{ carriers { itemsFound } }"}),
            ask(app, demo_copy_dsn, "POST", "/graphql", json={"query": SHIPMENT}),
            ask(app, demo_copy_dsn, "POST", "/graphql", "editor", json={"query": "mutation { carrierDelete(id: 1) }"}),
            ask(app, demo_copy_dsn, "GET", "/api/shop/customer-orders", "john"),
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

    scope = {"state": {"fields": {}, "work": work}}
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
        return next((ending for ending in Ending if work.was_cancelled(ending)), None)
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
    deadlines, work = Deadlines(0.1), list[Work]()
    tasks = [asyncio.create_task(wait_for_ever(work, deadlines)) for _ in range(2)]
    await until(lambda: len(work) == 2)
    work[0].lift()
    assert await tasks[1] is Ending.LATE
    assert not tasks[0].done()
    work[0].leave()
    assert await tasks[0] is Ending.LEFT
