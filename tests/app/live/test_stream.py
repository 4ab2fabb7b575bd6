"""Subscriptions over HTTP: server-sent events in both of their modes, and the parts of one body."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from app.live import reservation
from tests.app.live.conftest import ORDERS, SHIPMENTS
from tests.conftest import FAR_TOO_LONG, credentials, settings_for

SETTINGS = settings_for("postgresql://")
EVENTS = {"Accept": "text/event-stream"}
PARTS = {"Accept": "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json"}
NEW_SHIPMENT = "INSERT INTO shipments (order_id, channel_id) VALUES (2075, 1) RETURNING id::text"


class Events:
    """Reads server-sent events as a browser does."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, str]:
        """The fields of the next event; comments are none."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(FAR_TOO_LONG):
            async for line in self._lines:
                name, _, value = line.partition(":")
                if name:
                    fields[name] = value.removeprefix(" ")
                elif not line and fields:
                    return fields
        return fields


@asynccontextmanager
async def streaming(
    http: httpx.AsyncClient, query: str, headers: Mapping[str, str], **variables: Any
) -> AsyncIterator[httpx.Response]:
    body = {"query": query, "variables": variables}
    async with http.stream("POST", "/graphql", json=body, headers=headers) as response:
        assert response.status_code == 200
        yield response


async def test_events_are_sent_with_the_cursor_to_go_on_from(
    http: httpx.AsyncClient, copy_connection: asyncpg.Connection
) -> None:
    headers = credentials("apikey", SETTINGS) | EVENTS
    async with streaming(http, SHIPMENTS, headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = Events(response)
        event = await events.next()
        assert json.loads(event["data"])["data"]["shipmentChanges"]["action"] == "UP_TO_DATE"
        ids = [await copy_connection.fetchval(NEW_SHIPMENT) for _ in range(2)]
        event = await events.next()
        told = json.loads(event["data"])["data"]["shipmentChanges"]
        assert (event["event"], event["id"], told["shipmentId"]) == ("next", told["cursor"], ids[0])
    async with streaming(http, SHIPMENTS, headers | {"Last-Event-ID": event["id"]}) as response:
        events = Events(response)
        told = json.loads((await events.next())["data"])["data"]["shipmentChanges"]
        assert told["shipmentId"] == ids[1]
    async with streaming(http, SHIPMENTS, headers | {"Last-Event-ID": "x"}) as response:
        events = Events(response)
        answer = json.loads((await events.next())["data"])
        assert answer["errors"][0]["extensions"]["code"] == "INVALID_CURSOR"
        assert (await events.next())["event"] == "complete"


@pytest.mark.parametrize(
    ("query", "viewer", "code"),
    [
        (SHIPMENTS, None, "UNAUTHENTICATED"),
        (SHIPMENTS, "john", "FORBIDDEN"),
        ('subscription { customerOrderChanges(id: "1") { cursor } }', "contact", "UNAUTHENTICATED"),
        ("subscription { nothing }", "apikey", "GRAPHQL_VALIDATION_FAILED"),
        ("{", "apikey", "GRAPHQL_PARSE_FAILED"),
        ("{ shipments { page } }", "apikey", None),
        ('mutation { shipmentUpdate(id: "x", input: {}) { id } }', "apikey", "VALIDATION_ERROR"),
    ],
)
async def test_what_is_no_subscription_is_one_event(
    http: httpx.AsyncClient, query: str, viewer: str | None, code: str | None
) -> None:
    async with streaming(http, query, credentials(viewer, SETTINGS) | EVENTS) as response:
        events = Events(response)
        answer = json.loads((await events.next())["data"])
        if code is None:
            assert answer == {"data": {"shipments": {"page": 1}}}
        else:
            assert answer["errors"][0]["extensions"]["code"] == code
        assert await events.next() == {"event": "complete", "data": ""}
        assert await events.next() == {}


async def test_a_plain_answer_says_how_to_subscribe(http: httpx.AsyncClient) -> None:
    response = await http.post("/graphql", json={"query": SHIPMENTS}, headers=credentials("apikey", SETTINGS))
    assert "text/event-stream" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("accept", [EVENTS, PARTS, {"Accept": "multipart/mixed;subscriptionSpec=1.0"}], ids=str)
async def test_validating_runs_no_subscription_and_costs_nothing(
    http: httpx.AsyncClient, accept: dict[str, str]
) -> None:
    viewer = credentials("apikey", SETTINGS)
    for ask in ({}, {"token": (await http.put("/graphql", headers=viewer)).text}):
        if ask:
            by_token = {**EVENTS, "GraphQL-Cost": "validate"}
            answer = await http.get("/graphql", params={**ask, "query": SHIPMENTS}, headers=by_token)
        else:
            headers = {**viewer, **accept, "GraphQL-Cost": "validate"}
            answer = await http.post("/graphql", json={"query": SHIPMENTS}, headers=headers)
        [text] = re.findall(r'\{.*"cost".*\}', answer.text)
        told = json.loads(text)
        told = told.get("payload", told)
        cost = told["extensions"]["cost"]
        assert told["data"] is None
        assert cost["requested"] > 0
        assert "actual" not in cost
        assert cost["remaining"] == cost["capacity"]


async def test_a_revoked_key_ends_its_streams(http: httpx.AsyncClient, copy_connection: asyncpg.Connection) -> None:
    async with streaming(http, SHIPMENTS, credentials("read-only", SETTINGS) | EVENTS) as response:
        events = Events(response)
        await events.next()
        await copy_connection.execute("UPDATE api_keys SET revoked_at = now() WHERE name ILIKE '%read%'")
        answer = json.loads((await events.next())["data"])
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert (await events.next())["event"] == "complete"


async def test_the_parts_of_one_body_are_apollos(http: httpx.AsyncClient, copy_connection: asyncpg.Connection) -> None:
    headers = credentials("apikey", SETTINGS) | PARTS
    async with streaming(http, ORDERS, headers) as response:
        assert response.headers["content-type"] == 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"'
        body, chunks = b"", response.aiter_bytes()
        await_parts = {2: "UP_TO_DATE", 3: "CREATED"}
        for count, action in await_parts.items():
            async with asyncio.timeout(FAR_TOO_LONG):
                while body.count(b"\r\n--graphql") < count:
                    body += await anext(chunks)
            *_, part, rest = body.split(b"\r\n--graphql")
            assert not rest
            head, _, text = part.strip().partition(b"\r\n\r\n")
            assert head == b"Content-Type: application/json"
            assert json.loads(text)["payload"]["data"]["orderChanges"]["action"] == action
            await copy_connection.fetchval(NEW_SHIPMENT)
    query = await http.post("/graphql", json={"query": "{ shipments { page } }"}, headers=headers)
    assert query.json() == {"data": {"shipments": {"page": 1}}}
    refused = await http.post("/graphql", json={"query": "subscription { nothing }"}, headers=headers)
    assert refused.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_a_browser_opens_a_stream_by_a_token(
    http: httpx.AsyncClient, copy_connection: asyncpg.Connection
) -> None:
    reserved = await http.put("/graphql", headers=credentials("contact", SETTINGS))
    assert reserved.status_code == 201
    parameters = {"token": reserved.text, "query": ORDERS}
    async with http.stream("GET", "/graphql", params=parameters, headers=EVENTS) as response:
        told = json.loads((await Events(response).next())["data"])["data"]["orderChanges"]
        assert told["action"] == "UP_TO_DATE"
    # It comes back with the id of the last event that it had.
    async with http.stream(
        "GET", "/graphql", params=parameters, headers=EVENTS | {"Last-Event-ID": told["cursor"]}
    ) as response:
        told = json.loads((await Events(response).next())["data"])["data"]["orderChanges"]
        assert told["action"] == "UP_TO_DATE"
    for query, code in [("{ orders { page } }", "BAD_REQUEST"), ("mutation { x: __typename }", "METHOD_NOT_ALLOWED")]:
        refused = await http.get("/graphql", params={"token": reserved.text, "query": query}, headers=EVENTS)
        assert refused.json()["errors"][0]["extensions"]["code"] == code


async def test_one_connection_has_many_operations(http: httpx.AsyncClient) -> None:
    token = (await http.put("/graphql", headers=credentials("apikey", SETTINGS))).text
    named = {"X-GraphQL-Event-Stream-Token": token}

    async def begin(id_: Any, query: str) -> int:
        body = {"query": query, "extensions": {"operationId": id_}}
        return (await http.post("/graphql", json=body, headers=named)).status_code

    assert await begin("early", ORDERS) == 409
    async with http.stream("GET", "/graphql", headers=named | EVENTS) as response:
        assert response.status_code == 200
        events = Events(response)
        assert (await http.get("/graphql", headers=named | EVENTS)).status_code == 409
        assert await begin(1, ORDERS) == 400
        assert await begin("s", ORDERS) == 202
        told = json.loads((await events.next())["data"])
        assert (told["id"], told["payload"]["data"]["orderChanges"]["action"]) == ("s", "UP_TO_DATE")
        assert await begin("s", ORDERS) == 409
        assert await begin("q", "{ shipments { page } }") == 202
        assert json.loads((await events.next())["data"]) == {"id": "q", "payload": {"data": {"shipments": {"page": 1}}}}
        assert await events.next() == {"event": "complete", "data": '{"id":"q"}'}
        assert await begin("e", "{ nothing }") == 202
        assert json.loads((await events.next())["data"])["payload"]["errors"]
        assert await events.next() == {"event": "complete", "data": '{"id":"e"}'}
        for status in (200, 404):
            ended = await http.delete("/graphql", params={"operationId": "s"}, headers=named)
            assert ended.status_code == status


async def test_a_token_is_good_for_those_who_come_soon(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = await http.put("/graphql")
    assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    unknown = await http.get("/graphql", params={"token": "unknown", "query": ORDERS}, headers=EVENTS)
    monkeypatch.setattr(reservation, "SECONDS", -1.0)
    token = (await http.put("/graphql", headers=credentials("apikey", SETTINGS))).text
    late = await http.get("/graphql", params={"token": token, "query": ORDERS}, headers=EVENTS)
    assert (unknown.status_code, late.status_code) == (404, 404)
    assert unknown.json() == late.json()
    for other in ({"xtoken": token}, {"token": ""}):
        parameters = {**other, "query": "{ __typename }"}
        plain = await http.get("/graphql", params=parameters, headers={"graphql-require-preflight": "1"})
        assert plain.json() == {"data": {"__typename": "Query"}}, "it is about no stream"
