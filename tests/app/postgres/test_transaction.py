"""Writes that lose their database at every moment: done whole or not at all, and the answer says which.

And what a kept answer rests on is known of every row that can be in one.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

import sql
from app.errors import OutcomeUnknown
from app.postgres.transaction import Shown
from sql import Reach, Statement
from tests.conftest import FAR_TOO_LONG, Aging, calling, credentials, running, settings_for, until, until_blocked
from tests.proxy import Proxy, proxied
from tests.statements import nouns

CREATE = """
mutation ($name: String!) {
  carrierCreate(input: {channelId: 1, name: $name, type: DELIVERY, descriptions: []}) { id name }
}
"""
COMMIT = b"COMMIT\0"


class Caller:
    def __init__(self, app: Starlette, proxy: Proxy, dsn: str) -> None:
        self.app = app
        self.proxy = proxy
        self._headers = credentials("logistics", settings_for(dsn))

    async def create(self, name: str = "Comet", **headers: str) -> httpx.Response:
        async with calling(self.app) as client:
            body = {"query": CREATE, "variables": {"name": name}}
            return await client.post("/graphql", json=body, headers={**self._headers, **headers})


@pytest.fixture
async def caller(deadlines: Aging, demo_copy_dsn: str) -> AsyncIterator[Caller]:
    async with proxied(demo_copy_dsn) as proxy, running(settings_for(proxy.dsn, pool_size=3)) as app:
        yield Caller(app, proxy, demo_copy_dsn)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outcome of a commit is found out however slow the machine is."""
    monkeypatch.setattr("app.postgres.database._OUTCOME_SECONDS", FAR_TOO_LONG)


@pytest.fixture
def store(copy_connection: asyncpg.Connection) -> asyncpg.Connection:
    return copy_connection


async def made(store: asyncpg.Connection, name: str = "Comet") -> int:
    count: int = await store.fetchval("SELECT count(*) FROM carriers WHERE name = $1", name)
    return count


def error(response: httpx.Response) -> dict[str, Any]:
    assert "data" not in response.json()
    [error] = response.json()["errors"]
    found: dict[str, Any] = error
    return found


@pytest.mark.usefixtures("patience")
async def test_a_commit_that_is_not_answered_is_looked_up(caller: Caller, store: asyncpg.Connection) -> None:
    caller.proxy.unanswered = COMMIT
    response = await caller.create()
    assert response.status_code == 200
    assert response.json()["data"]["carrierCreate"]["name"] == "Comet"
    assert await made(store) == 1


@pytest.mark.usefixtures("patience")
async def test_a_commit_that_does_not_arrive_has_changed_nothing(caller: Caller, store: asyncpg.Connection) -> None:
    def cut(data: bytes) -> None:
        if COMMIT in data:
            caller.proxy.reset()

    caller.proxy.seen = cut
    response = await caller.create()
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert error(response)["extensions"] == {"code": "UNAVAILABLE"}
    assert error(response)["message"].endswith("Nothing was changed.")
    assert await made(store) == 0
    caller.proxy.seen = lambda data: None
    assert (await caller.create()).status_code == 200
    assert await made(store) == 1


async def test_a_commit_of_which_nothing_can_be_heard_is_said_to_be_unknown(
    caller: Caller, deadlines: Aging, store: asyncpg.Connection
) -> None:
    await caller.create("before")
    response = await frozen_at(COMMIT, caller, deadlines, **{"Idempotency-Key": "comet-1"})
    assert response.status_code == 503
    assert "retry-after" not in response.headers
    assert error(response)["extensions"] == {"code": OutcomeUnknown.code}
    assert "idempotency key" in error(response)["message"]
    caller.proxy.thaw()
    # The key tells: what was sent arrived after all, or is done now.
    again = await repeated_until_answered(caller, "Comet", "comet-1")
    assert again.json()["data"]["carrierCreate"]["name"] == "Comet"
    assert await made(store) == 1


async def frozen_at(sent: bytes, caller: Caller, deadlines: Aging, **headers: str) -> httpx.Response:
    """What a write is told whose time is up after the network has frozen, before it had passed on `sent`."""
    proxy = caller.proxy
    proxy.seen = lambda data: proxy.freeze() if sent in data else None
    writing = asyncio.create_task(caller.create(**headers))
    await until(lambda: proxy.is_frozen)
    proxy.seen = lambda data: None
    deadlines.expire()
    return await writing


async def repeated_until_answered(caller: Caller, name: str, key: str) -> httpx.Response:
    """While the first request's transaction is at its end, its key is taken."""
    async with asyncio.timeout(FAR_TOO_LONG):
        while (response := await caller.create(name, **{"Idempotency-Key": key})).status_code != 200 or (
            "errors" in response.json()
        ):
            assert response.json()["errors"][0]["extensions"]["code"] in ("CONFLICT", "TIMEOUT", "UNAVAILABLE")
    return response


async def test_a_connection_that_is_lost_in_the_middle_has_changed_nothing(
    caller: Caller, store: asyncpg.Connection
) -> None:
    transaction = store.transaction()
    await transaction.start()
    await store.execute("LOCK TABLE carriers IN EXCLUSIVE MODE")
    writing = asyncio.create_task(caller.create())
    await until_blocked(store)
    caller.proxy.reset()
    response = await writing
    assert (response.status_code, error(response)["extensions"]["code"]) == (503, "UNAVAILABLE")
    assert error(response)["message"].endswith("Nothing was changed.")
    await transaction.rollback()
    assert await made(store) == 0


async def test_a_connection_that_was_lost_before_costs_nothing(caller: Caller, store: asyncpg.Connection) -> None:
    for number in range(5):
        await caller.create(f"carrier {number}")
        assert caller.proxy.reset(idle=True)
    assert [await made(store, f"carrier {number}") for number in range(5)] == [1] * 5
    assert caller.app.state.db.pool.repeated >= 1


async def test_statements_that_vanished_are_prepared_anew_in_another_transaction(
    caller: Caller, store: asyncpg.Connection
) -> None:
    await caller.create("before")
    assert caller.proxy.inject("DEALLOCATE ALL")
    await until(lambda: not caller.proxy.is_injecting)
    response = await caller.create()
    assert response.json()["data"]["carrierCreate"]["name"] == "Comet"
    assert await made(store) == 1
    assert caller.app.state.db.pool.repeated or caller.proxy.accepted > 2


async def blocked_by(lock: str, caller: Caller, deadlines: Aging, store: asyncpg.Connection) -> httpx.Response:
    """What a write is told whose time is up while it waits for what `store` has locked."""
    async with store.transaction():
        await store.execute(lock)
        writing = asyncio.create_task(caller.create())
        await until_blocked(store)
        deadlines.expire()
        response = await writing
    await until(lambda: caller.app.state.db.pool.lent == 0)
    return response


async def test_a_write_that_takes_too_long_is_taken_back(
    caller: Caller, deadlines: Aging, store: asyncpg.Connection
) -> None:
    response = await blocked_by("LOCK TABLE carriers IN EXCLUSIVE MODE", caller, deadlines, store)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert error(response) == {
        "message": "This took too long, and was given up. Nothing was changed.",
        "extensions": {"code": "TIMEOUT"},
    }
    assert await made(store) == 0
    assert (await caller.create()).status_code == 200


HANG = """
CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER transactions_zz_hang AFTER INSERT ON transactions
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hang();
"""


@pytest.mark.usefixtures("patience")
async def test_a_write_that_takes_too_long_in_its_commit_is_taken_back(
    caller: Caller, deadlines: Aging, store: asyncpg.Connection
) -> None:
    await store.execute(HANG)
    response = await blocked_by("SELECT pg_advisory_xact_lock(42)", caller, deadlines, store)
    assert (response.status_code, error(response)["extensions"]["code"]) == (503, "TIMEOUT")
    assert error(response)["message"].endswith("Nothing was changed.")
    assert await made(store) == 0


async def test_a_write_over_a_frozen_network_is_told_in_time(
    caller: Caller, deadlines: Aging, store: asyncpg.Connection
) -> None:
    response = await frozen_at(b"INSERT INTO carriers", caller, deadlines)
    assert (response.status_code, error(response)["extensions"]["code"]) == (503, "TIMEOUT")
    caller.proxy.thaw()
    assert (await caller.create("after")).status_code == 200
    assert await made(store) == 0


async def test_a_write_whose_caller_leaves_goes_on(demo_copy_dsn: str, store: asyncpg.Connection) -> None:
    """By ASGI's messages; over a socket see `tests/app/http/test_disconnect.py`."""
    async with running(settings_for(demo_copy_dsn)) as app:
        headers = credentials("logistics", settings_for(demo_copy_dsn))
        sent = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if not sent.is_set():
                sent.set()
                return {"type": "http.request", "body": body, "more_body": False}
            return {"type": "http.disconnect"}

        async def send(_message: Any) -> None:
            pass

        body = json.dumps({"query": CREATE, "variables": {"name": "Comet"}}).encode()
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/graphql",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            + [(b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1),
        }
        await app(scope, receive, send)
    assert await made(store) == 1


# Whoever sees the order, or the shipment, of such a row sees the row.
OF_ORDERS = {"Order", "OrderAddress", "OrderItem", "Shipment", "ShipmentItem", "TrackAndTrace"}
STATEMENTS = [
    statement
    for noun in nouns()
    if not noun.startswith("customer")  # the customer surface writes nothing of theirs
    for statement in sql.load(noun).statements.values()
    if OF_ORDERS.intersection(statement.feeds)
]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: f"{statement.noun}.{statement.name}")
async def test_rows_that_hang_on_orders_name_the_order_or_the_shipment(
    statement: Statement, connection: asyncpg.Connection
) -> None:
    order = ("CREATED_AT DESC",) if "{order}" in statement.template else ()
    prepared = await connection.prepare(statement.prepare(Reach.EVERYTHING, frozenset(), order).text)
    columns = {attribute.name for attribute in prepared.get_attributes()}
    assert columns & {"order_id", "shipment_id"} or (statement.noun == "order" and "id" in columns)


async def test_shown_takes_orders_and_shipments_from_rows(connection: asyncpg.Connection) -> None:
    shown = Shown()
    shown.add("order", await connection.fetch("SELECT 1 AS id, 2 AS channel_id"))
    shown.add("order", await connection.fetch("SELECT 2 AS order_id, 10 AS total"))
    shown.add("order", await connection.fetch("SELECT 7 AS items_found"))
    shown.add("shipment", await connection.fetch("SELECT 'x' AS id, 3 AS order_id"))
    shown.add(
        "shipment_item",
        await connection.fetch("SELECT 4 AS id, gen_random_uuid() AS shipment_id FROM generate_series(1, 2)"),
    )
    shown.add("carrier", await connection.fetch("SELECT 5 AS id"))
    shown.add("order", [])
    assert shown.order_ids == {1, 2, 3}
    assert len(shown.shipment_ids) == 2
    assert all(isinstance(shipment_id, str) for shipment_id in shown.shipment_ids)
