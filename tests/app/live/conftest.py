"""Clients that listen, on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets
from starlette.applications import Starlette

from tests.app.http.serving import served
from tests.conftest import FAR_TOO_LONG, credentials, settings_for

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


@pytest.fixture
async def site(copy: Starlette) -> AsyncIterator[str]:
    """The address of a service on a demo database that the test writes to."""
    async with served(copy, "whole") as client:
        yield str(client.base_url)


@pytest.fixture
async def http(site: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=site, timeout=FAR_TOO_LONG) as client:
        yield client
