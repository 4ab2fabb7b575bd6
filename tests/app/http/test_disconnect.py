"""Callers who hang up, over real connections: what they read ends in the database, and what they write goes on."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.demo import fixtures
from app.http.protocol import Protocol
from tests.app.http.test_protocol import Served, serve
from tests.conftest import NEVER, credentials, running, settings_for, until, until_waiting

SHIPMENTS = "{ shipments(input: {offset: 1}) { items { id } } }"
SHIPMENT = "query ($id: String!) { shipment(id: $id) { id } }"
# Below rows that are there already, by loaders and thus by tasks of their own.
NESTED = "{ carriers { items { name trackAndTraces { code } } } }"
CREATE = 'mutation { carrierCreate(input: {channelId: 1, name: "Comet", type: DELIVERY, descriptions: []}) { id } }'

# Who tells that a caller has left: our own server by itself, the others by messages of ASGI.
SERVERS = {"ours": Protocol, "httptools": HttpToolsProtocol, "h11": H11Protocol}


@pytest.fixture
async def app(demo_copy_dsn: str) -> AsyncIterator[Starlette]:
    async with running(settings_for(demo_copy_dsn, deadline=NEVER, pool_size=4, pool_wait_seconds=NEVER)) as app:
        yield app


@pytest.fixture
async def holder(copy_connection: asyncpg.Connection) -> asyncpg.Connection:
    """Has locked tables, until it is closed: nobody reads shipments and codes, and nobody writes carriers."""
    await copy_connection.execute(
        "BEGIN; LOCK TABLE shipments, track_and_traces; LOCK TABLE carriers IN EXCLUSIVE MODE"
    )
    return copy_connection


def request(dsn: str, query: str, viewer: str = "staff", *, headers: str = "", **variables: Any) -> bytes:
    body = json.dumps({"query": query, "variables": variables}).encode()
    return head(dsn, f"POST /graphql HTTP/1.1\r\ncontent-length: {len(body)}\r\n{headers}", viewer) + body


def head(dsn: str, start: str, viewer: str) -> bytes:
    fields = {**credentials(viewer, settings_for(dsn)), "host": "waybill.test", "content-type": "application/json"}
    return (start + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n").encode()


@asynccontextmanager
async def calling(served: Served, *requests: bytes) -> AsyncIterator[None]:
    """Sends the requests, and leaves at the end of the block."""
    writers = [(await asyncio.open_connection(*served.address))[1] for _ in requests]
    for writer, sent in zip(writers, requests, strict=True):
        writer.write(sent)
    try:
        yield
    finally:
        for writer in writers:
            writer.close()


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    "way",
    ["list", "lookup", "loader", "connection: close", "GET", "REST"],
)
async def test_what_a_caller_reads_ends_when_it_leaves(
    app: Starlette, holder: asyncpg.Connection, demo_copy_dsn: str, server: str, way: str
) -> None:
    graphql = "GET /graphql?query=%7Bshipments%7Bitems%7Bid%7D%7D%7D HTTP/1.1\r\nx-requested-with: tests\r\n"
    sent = {
        "list": request(demo_copy_dsn, SHIPMENTS),
        "lookup": request(demo_copy_dsn, SHIPMENT, id="65ad4404-88a6-4f97-9325-34a3a35f1dfc"),
        "loader": request(demo_copy_dsn, NESTED),
        "connection: close": request(demo_copy_dsn, SHIPMENTS, headers="connection: close\r\n"),
        "GET": head(demo_copy_dsn, graphql, "staff"),
        "REST": head(demo_copy_dsn, "GET /api/shop/customer-order-shipments HTTP/1.1\r\n", "john"),
    }[way]
    async with serve(app, SERVERS[server], by_tcp=True) as served:
        async with calling(served, sent):
            await until_waiting(holder, 1)
        await until_waiting(holder, 0)
        await until(lambda: app.state.db.pool.lent == 0)
        await until(lambda: not served.server.server_state.tasks)


async def test_what_a_caller_has_pipelined_ends_when_it_leaves(
    app: Starlette, holder: asyncpg.Connection, demo_copy_dsn: str
) -> None:
    """uvicorn's own notices only when it has answered."""
    sent = request(demo_copy_dsn, SHIPMENTS)
    async with serve(app, by_tcp=True) as served:
        async with calling(served, sent * 3, sent + sent[:30]):
            await until_waiting(holder, 2)
        await until_waiting(holder, 0)
        await until(lambda: app.state.db.pool.lent == 0)
        await until(lambda: not served.server.server_state.tasks)


@pytest.mark.parametrize("server", SERVERS)
async def test_what_a_caller_writes_goes_on_when_it_leaves(
    app: Starlette, holder: asyncpg.Connection, demo_copy_dsn: str, server: str
) -> None:
    async with serve(app, SERVERS[server], by_tcp=True) as served:
        async with calling(served, request(demo_copy_dsn, CREATE, "logistics")):
            await until_waiting(holder, 1)
        await until(lambda: not served.server.server_state.connections)
        await until_waiting(holder, 1)
        await holder.execute("COMMIT")
        await until(lambda: app.state.db.pool.lent == 0)
        assert await holder.fetchval("SELECT count(*) FROM carriers WHERE name = 'Comet'") == 1


async def test_a_login_goes_on_when_its_caller_leaves(
    app: Starlette, holder: asyncpg.Connection, demo_copy_dsn: str
) -> None:
    await holder.execute("LOCK TABLE customer_sessions")
    body = json.dumps({"email": fixtures.CUSTOMER_EMAIL, "password": fixtures.CUSTOMER_PASSWORD}).encode()
    start = f"POST /api/shop/customer/login HTTP/1.1\r\ncontent-length: {len(body)}\r\n"
    async with serve(app, by_tcp=True) as served:
        async with calling(served, head(demo_copy_dsn, start, "stranger") + body):
            await until_waiting(holder, 1)
        await until(lambda: not served.server.server_state.connections)
        await holder.execute("COMMIT")
        await until(lambda: not served.server.server_state.tasks)
    assert (
        await holder.fetchval("SELECT count(*) FROM customer_sessions WHERE created_at > now() - interval '1 h'") == 4
    )


async def test_thirty_callers_who_leave_keep_nobody_waiting(
    app: Starlette, holder: asyncpg.Connection, demo_copy_dsn: str
) -> None:
    async with serve(app, by_tcp=True) as served:
        async with calling(served, *[request(demo_copy_dsn, SHIPMENTS)] * 30):
            await until_waiting(holder, 4)
            await until(lambda: app.state.db.pool.waiting == 26)
        await until_waiting(holder, 0)
        await until(lambda: app.state.db.pool.lent == 0)
        assert app.state.db.pool.waiting == 0
        async with served.connect() as client:  # while the tables are still locked
            answer = await client.answer(request(demo_copy_dsn, "{ carriers { itemsFound } }"))
    assert b'"itemsFound":' in answer


async def test_one_who_leaves_is_a_line_in_the_log_and_no_defect(
    app: Starlette, holder: asyncpg.Connection, demo_copy_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with serve(app, by_tcp=True) as served:
        async with calling(served, request(demo_copy_dsn, SHIPMENTS)):
            await until_waiting(holder, 1)
        await until(lambda: not served.server.server_state.tasks)
    lines = [record for record in caplog.records if record.name.startswith("waybill")]
    assert [(line.levelname, line.facts["status"], line.facts["outcome"]) for line in lines] == [
        ("INFO", 499, "aborted")
    ]
