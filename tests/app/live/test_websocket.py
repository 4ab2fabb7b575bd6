"""The protocol `graphql-transport-ws`, message by message, and by which code each fault ends it."""

import asyncio
import contextlib
import json
import socket as sockets
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import websockets
from starlette.applications import Starlette
from websockets.client import ClientProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from app.live import websocket
from tests.app.http.serving import served
from tests.app.live.conftest import ORDERS, PROTOCOL, SHIPMENTS, connected, following
from tests.conftest import TOKEN_SECRET, connecting, credentials, running, settings_for, until

# A hundred are more than sockets hold that nobody reads.
LONG = "x" * 60_000
READ = "{ shipments(input: {offset: 1}) { page } }"


async def test_queries_mutations_and_errors_go_over_a_socket(site: str) -> None:
    async with following(site, "apikey") as socket:
        await socket.subscribe("q", READ)
        assert await socket.receive() == {"id": "q", "type": "next", "payload": {"data": {"shipments": {"page": 1}}}}
        assert await socket.receive() == {"id": "q", "type": "complete"}
        mutation = 'mutation { shipmentUpdate(id: "x", input: {}) { id } }'
        await socket.subscribe("m", mutation)
        answer = await socket.receive()
        assert answer["payload"]["errors"][0]["extensions"]["code"] == "VALIDATION_ERROR"
        assert await socket.receive() == {"id": "m", "type": "complete"}
        for id_, query, code in [
            ("p", "{ shipments(", "GRAPHQL_PARSE_FAILED"),
            ("v", "{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
            ("c", 'subscription { orderChanges(after: "x") { cursor } }', "INVALID_CURSOR"),
        ]:
            await socket.subscribe(id_, query)
            answer = await socket.receive()
            assert (answer["id"], answer["type"]) == (id_, "error")
            assert answer["payload"][0]["extensions"]["code"] == code


async def test_ids_may_be_used_again_when_their_operation_is_over(site: str) -> None:
    async with following(site, "apikey") as socket:
        for _ in range(2):
            await socket.following(SHIPMENTS)
            await socket.send(type="complete", id="1")
        await socket.send(type="complete", id="unknown")
        await socket.send(type="ping", payload={"n": 1})
        assert await socket.receive() == {"type": "pong", "payload": {"n": 1}}
        await socket.send(type="pong")
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["no JSON"], 4400),
        (["[]"], 4400),
        (['{"type": 1}'], 4400),
        (['{"type": "unheard of"}'], 4400),
        (['{"type": "connection_init", "payload": 1}'], 4400),
        (['{"type": "subscribe", "id": "1", "payload": {"query": "{ x }"}}'], 4401),
        (['{"type": "connection_init", "payload": {"apikey": "pk_nobody_has_this_key"}}'], 4403),
        (['{"type": "connection_init", "payload": {"headers": {"Authorization": "Bearer x"}}}'], 4403),
        (['{"type": "connection_init"}', '{"type": "connection_init"}'], 4429),
        (['{"type": "connection_init"}', '{"type": "subscribe", "payload": {"query": "{ x }"}}'], 4400),
        (['{"type": "connection_init"}', '{"type": "subscribe", "id": "", "payload": {"query": "{ x }"}}'], 4400),
        (['{"type": "connection_init"}', '{"type": "subscribe", "id": "1", "payload": {"query": 1}}'], 4400),
        (['{"type": "connection_init"}', f'{{"type": "ping", "payload": "{"x" * 70_000}"}}'], 1009),
    ],
)
async def test_what_breaks_the_protocol_ends_the_connection(site: str, messages: list[str], code: int) -> None:
    async with connected(site) as socket:
        for message in messages:
            await socket.connection.send(message)
        assert await socket.code() == code


async def test_two_operations_of_one_id_end_the_connection(site: str) -> None:
    async with following(site, "apikey") as socket:
        await socket.following(SHIPMENTS)
        await socket.subscribe("1", ORDERS)
        assert await socket.code() == 4409


async def test_another_subprotocol_is_not_acceptable(site: str) -> None:
    for protocols in (None, ["graphql-ws"]):
        async with connected(site, subprotocols=protocols) as socket:
            assert await socket.code() == 4406


async def test_who_does_not_begin_is_not_waited_for(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "INIT_SECONDS", 0.01)
    async with connected(site) as socket:
        assert await socket.code() == 4408


async def test_credentials_may_come_with_the_upgrade_or_with_the_first_message(copy: Starlette, site: str) -> None:
    headers = credentials("apikey", settings_for("postgresql://"))
    async with connected(site, additional_headers=headers) as socket:
        await socket.begin()
        await socket.following(SHIPMENTS)
    async with connected(site) as socket:
        await socket.begin({"headers": headers})  # type: ignore[dict-item]
        await socket.following(SHIPMENTS)
    async with connected(site) as socket:
        await socket.begin()
        await socket.subscribe("1", SHIPMENTS)
        answer = await socket.receive()
        assert (answer["type"], answer["payload"][0]["extensions"]["code"]) == ("error", "UNAUTHENTICATED")
        await socket.subscribe("2", "{ __typename }")
        assert (await socket.receive())["payload"] == {"data": {"__typename": "Query"}}


async def test_validating_runs_no_subscription_and_costs_nothing(site: str) -> None:
    async with connected(site, additional_headers={"GraphQL-Cost": "validate"}) as socket:
        await socket.begin(credentials("apikey", settings_for("postgresql://")))
        await socket.subscribe("1", SHIPMENTS)
        told = (await socket.receive())["payload"]
        cost = told["extensions"]["cost"]
        assert told["data"] is None
        assert cost["requested"] > 0
        assert cost["remaining"] == cost["capacity"]
        assert await socket.receive() == {"type": "complete", "id": "1"}


async def test_pages_of_other_origins_may_not_connect(demo_dsn: str) -> None:
    settings = settings_for(demo_dsn, allowed_origins=("https://shop.example",))
    async with running(settings) as app, served(app, "whole") as client:
        site = str(client.base_url)
        for origin in ("https://shop.example", site):
            async with connected(site, origin=origin) as socket:
                await socket.begin()
        for origin in ("https://evil.example", "null", "https://shop.example.evil.example"):
            with pytest.raises(websockets.InvalidStatus) as refused:
                async with connected(site, origin=origin):
                    pass
            assert refused.value.response.status_code == 403


async def test_a_revoked_key_ends_its_connections(site: str, copy_connection: asyncpg.Connection) -> None:
    async with following(site, "read-only") as socket, following(site, "apikey") as other:
        await socket.following(SHIPMENTS)
        await copy_connection.execute("UPDATE api_keys SET revoked_at = now() WHERE name ILIKE '%read%'")
        assert await socket.code() == 4403
        await other.following(SHIPMENTS)


async def test_a_logout_ends_the_connections_of_its_session(site: str, copy_connection: asyncpg.Connection) -> None:
    async with following(site, "john") as socket, following(site, "jane") as other:
        await copy_connection.execute("UPDATE customer_sessions SET revoked_at = now() WHERE customer_id = 1")
        assert await socket.code() == 4403
        await other.subscribe("1", "{ __typename }")
        assert (await other.receive())["type"] == "next"


@pytest.mark.parametrize("viewer", ["john", "apikey-of-john", "staff"])
async def test_a_secret_that_is_replaced_ends_the_connections_of_its_tokens(
    demo_dsn: str, tmp_path: Path, viewer: str
) -> None:
    file = tmp_path / "secret"
    file.write_text(TOKEN_SECRET)
    settings = settings_for(demo_dsn, secret_files={"TOKEN_SECRET": file})
    key, _, bearer = viewer.rpartition("-of-")
    headers = credentials(bearer, settings) | (credentials(key, settings) if key else {})
    async with (
        running(settings) as app,
        served(app, "whole") as client,
        connected(str(client.base_url)) as socket,
        following(str(client.base_url), "apikey") as other,
    ):
        await socket.begin(headers)
        file.write_text(f"another {TOKEN_SECRET}")
        assert await socket.code() == 4403
        await other.following(SHIPMENTS)


async def test_a_revoked_key_ends_the_connection_of_a_customer_who_comes_with_it(
    site: str, copy_connection: asyncpg.Connection
) -> None:
    settings = settings_for("postgresql://")
    async with connected(site) as socket:
        await socket.begin(credentials("john", settings) | credentials("read-only", settings))
        await copy_connection.execute("UPDATE api_keys SET revoked_at = now() WHERE name ILIKE '%read%'")
        assert await socket.code() == 4403


async def test_streams_are_bounded(demo_dsn: str) -> None:
    limits = settings_for(demo_dsn).limits
    bounded = type(limits)(viewer_streams=1, stream_operations=2)
    async with running(settings_for(demo_dsn, limits=bounded)) as app, served(app, "whole") as client:
        site = str(client.base_url)
        async with following(site, "apikey") as socket:
            async with connected(site) as another:
                await another.send(type="connection_init", payload=credentials("apikey", settings_for(demo_dsn)))
                assert await another.code() == 1013
            for id_ in ("1", "2"):
                await socket.subscribe(id_, SHIPMENTS)
                assert (await socket.receive())["type"] == "next"
            await socket.subscribe("3", SHIPMENTS)
            answer = await socket.receive()
            assert (answer["id"], answer["payload"][0]["extensions"]["code"]) == ("3", "OVERLOADED")


async def test_who_does_not_read_is_let_go(
    site: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.http.socket_protocol.STALL_SECONDS", 0.2)
    monkeypatch.setattr("app.http.socket_protocol.LINGER_SECONDS", 0.1)
    url = urlsplit(site)
    client = ClientProtocol(parse_uri(f"ws://{url.netloc}/graphql"), subprotocols=[Subprotocol(PROTOCOL)])
    client.send_request(client.connect())
    with sockets.socket() as small:
        small.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
        small.setblocking(False)
        await asyncio.get_running_loop().sock_connect(small, (url.hostname, url.port))
        reader, writer = await asyncio.open_connection(sock=small.dup(), limit=1_000)
    writer.write(b"".join(client.data_to_send()))
    client.receive_data(await reader.readuntil(b"\r\n\r\n"))
    messages = [{"type": "connection_init", "payload": credentials("apikey", settings_for("postgresql://"))}]
    messages += [{"type": "ping", "payload": LONG}] * 100
    for message in messages:
        client.send_text(json.dumps(message).encode())
    writer.write(b"".join(client.data_to_send()))
    await until(lambda: any(record.message == "socket" for record in caplog.records))
    [facts] = [vars(record)["facts"] for record in caplog.records if record.message == "socket"]
    assert facts["code"] == 1013
    assert facts["ms"] < 20_000, "pings that nobody answers would end it, too, after 40 s"
    async with connecting(base_url=site) as http:
        assert 'waybill_socket_closes_total{code="1013"} 1.0' in (await http.get("/metrics")).text
    writer.transport.abort()


@pytest.mark.parametrize("flood", ["fragments", "pings"])
async def test_a_client_may_not_flood_with_empty_frames(site: str, flood: str) -> None:
    async with connected(site) as socket:
        with contextlib.suppress(websockets.ConnectionClosed):
            if flood == "fragments":
                await socket.connection.send([b"{"] + [b""] * 2_000)
            for _ in range(1_000):
                await socket.connection.ping()
        assert await socket.code() == 1008
