"""Clients that listen, on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import httpx
import pytest
import websockets
from starlette.applications import Starlette

from tests.app.http.serving import served
from tests.conftest import FAR_TOO_LONG, connecting, credentials, settings_for

SHIPMENTS = """
subscription Shipments($after: String, $input: ShipmentChangesInput) {
  shipmentChanges(after: $after, input: $input) {
    cursor action shipmentId change { type action id version } shipment { id status version }
  }
}
"""
ORDERS = """
subscription Orders($after: String, $input: OrderChangesInput) {
  orderChanges(after: $after, input: $input) {
    cursor action orderId change { type action id version } order { id status version }
  }
}
"""
CUSTOMER_ORDER = """
subscription CustomerOrder($id: ID!, $after: String) {
  customerOrderChanges(id: $id, after: $after) {
    cursor occurredAt action changeType customerOrder { id status progress shipments { edges { node { status } } } }
  }
}
"""
_FEED = """
SELECT h.type, h.entity_id, h.version FROM changes h JOIN transactions x ON x.id = h.transaction_id
WHERE h.shipment_id IS NOT NULL AND h.channel_id IN (1, 2) ORDER BY x.position, h.id
"""
PROTOCOL = "graphql-transport-ws"


class Socket:
    """A client of `graphql-transport-ws` that sends and receives messages as they are."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self.connection = connection

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(FAR_TOO_LONG):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def begin(self, payload: Mapping[str, str] | None = None) -> None:
        await self.send(type="connection_init", payload=payload)
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, id: str, query: str, /, **variables: Any) -> None:
        await self.send(type="subscribe", id=id, payload={"query": query, "variables": variables})

    async def event(self, id: str = "1") -> dict[str, Any]:
        """The one field of the next event, which is the operation's."""
        message = await self.receive()
        assert (message["type"], message["id"]) == ("next", id), message
        assert "errors" not in message["payload"], message
        [event] = message["payload"]["data"].values()
        return event

    async def following(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """Subscribes, and gives the event that says that all of the past was told."""
        await self.subscribe("1", query, **variables)
        event = await self.event()
        assert event["action"] == "UP_TO_DATE", event
        return event

    async def code(self) -> int | None:
        """The code by which the connection ends, whatever comes before."""
        async with asyncio.timeout(FAR_TOO_LONG):
            await self.connection.wait_closed()
        return self.connection.close_code


@asynccontextmanager
async def connected(site: str, **options: Any) -> AsyncIterator[Socket]:
    options = {"subprotocols": [PROTOCOL], "proxy": None, **options}
    async with websockets.connect(f"{site.replace('http', 'ws', 1)}/graphql", **options) as connection:
        yield Socket(connection)


@asynccontextmanager
async def following(site: str, viewer: str | None, dsn: str = "postgresql://") -> AsyncIterator[Socket]:
    """A socket of a viewer that has begun."""
    async with connected(site) as socket:
        await socket.begin(credentials(viewer, settings_for(dsn)))
        yield socket


async def changes_of_shipments(connection: asyncpg.Connection) -> list[tuple[str, str, int]]:
    """What followers of shipments are told from the beginning of the feed: type, id and version of each."""
    return [tuple(row) for row in await connection.fetch(_FEED)]


class Follower:
    """Comes back with its last cursor whenever it is cut off, to any of the sites, and keeps what all changes were."""

    _SUBSCRIPTION = """
    subscription S($after: String) { shipmentChanges(after: $after) { cursor action change { type id version } } }
    """

    def __init__(self, sites: Sequence[str]) -> None:
        self.sites = sites
        self.after: str | None = None
        self.told: list[tuple[str, str, int]] = []
        self.connections = 0
        self.current: Any = None

    async def follow(self) -> None:
        headers = credentials("apikey", settings_for("postgresql://"))
        while True:
            with suppress(OSError, websockets.WebSocketException, EOFError):
                async with connected(self.sites[self.connections % len(self.sites)]) as socket:
                    self.current = socket.connection
                    self.connections += 1
                    await socket.begin(headers)
                    await socket.subscribe("1", self._SUBSCRIPTION, after=self.after)
                    while (message := await socket.receive())["type"] == "next":
                        event = message["payload"]["data"]["shipmentChanges"]
                        self.after = event["cursor"]
                        if event["action"] != "UP_TO_DATE":
                            self.told.append(
                                (event["change"]["type"], event["change"]["id"], event["change"]["version"])
                            )
                    assert [error["extensions"]["code"] for error in message["payload"]] == ["SERVICE_UNAVAILABLE"]
            await asyncio.sleep(0.05)


@pytest.fixture
async def site(copy: Starlette) -> AsyncIterator[str]:
    """The address of a service on a demo database that the test writes to."""
    async with served(copy, "whole") as client:
        yield str(client.base_url)


@pytest.fixture
async def http(site: str) -> AsyncIterator[httpx.AsyncClient]:
    async with connecting(base_url=site) as client:
        yield client
