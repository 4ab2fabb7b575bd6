"""A receiver that does what a test says, and a service that calls it."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from app.asgi import Waybill
from app.settings import Settings
from app.webhooks.deliverer import Deliverer
from tests.app.resolvers.b2b.conftest import posting
from tests.conftest import FAR_TOO_LONG, GraphQL, running, settings_for

LOCAL = (ip_network("127.0.0.0/8"),)
TYPES = ["ORDER_UPDATED", "SHIPMENT_CREATED", "SHIPMENT_UPDATED", "SHIPMENT_DELIVERED", "SHIPMENT_DELETED"]


@pytest.fixture(autouse=True)
def no_authorities() -> Iterator[None]:
    """None of those who are called has a certificate of any, and reading them costs each sender 40 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", os.devnull)
        yield


@dataclass
class Request:
    """As it came: the names of `headers` are in small letters."""

    head: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        return self.message["data"]


Answer = tuple[int, dict[str, str], bytes] | bytes | None
Behave = Callable[[Request], Awaitable[Answer] | Answer]


def accepts(_request: Request) -> Answer:
    return 204, {}, b""


@dataclass
class Receiver:
    """Speaks just enough HTTP. `behave` gives the answer: parts, raw bytes, or None to hang up."""

    behave: Behave = accepts
    requests: list[Request] = field(default_factory=list)
    site: str = ""
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while request := await _read(reader):
                self.requests.append(request)
                answer = self.behave(request)
                if not (answer is None or isinstance(answer, tuple | bytes)):
                    answer = await answer
                if answer is None:
                    return
                writer.write(answer if isinstance(answer, bytes) else _written(*answer))
                await writer.drain()
                if isinstance(answer, bytes):
                    return
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def until(self, number: int) -> list[Request]:
        """The requests, as soon as there are so many."""
        async with asyncio.timeout(FAR_TOO_LONG):
            while len(self.requests) < number:  # noqa: ASYNC110  what is waited for sets no event
                await asyncio.sleep(0.005)
        return self.requests


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    line, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
    return Request(line, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def _written(status: int, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def listening(**options: Any) -> AsyncIterator[Receiver]:
    receiver = Receiver(**options)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.site = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield receiver
    finally:
        server.close()


@dataclass
class Clock:
    """That of attempts, which a test sets forward."""

    passed: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.passed


class World:
    """A service on a database of its own, and as many deliverers as a test starts."""

    def __init__(self, waybill: Waybill, write: GraphQL, stack: AsyncExitStack) -> None:
        self.waybill = waybill
        self.write = write
        self.clock = Clock()
        self._stack = stack
        self.deliverers: list[Deliverer] = []

    async def written(self, document: str, viewer: str = "apikey", **variables: Any) -> Any:
        answer = await self.write(document, variables, viewer=viewer)
        assert "errors" not in answer, answer["errors"]
        [value] = answer["data"].values()
        return value

    async def endpoint(self, receiver: Receiver, viewer: str = "apikey", **more: Any) -> Any:
        given = {"url": f"{receiver.site}/hooks?key=1", "types": TYPES, **more}
        document = """mutation ($input: WebhookEndpointCreateInput!) {
          webhookEndpointCreate(input: $input) { secret endpoint { id verificationKey cursor } } }"""
        answer = await self.written(document, viewer, input=given)
        return {**answer["endpoint"], "secret": answer["secret"]}

    async def box(self, order_id: int = 2075, viewer: str = "apikey", **more: Any) -> str:
        """A shipment that is written."""
        document = "mutation ($input: ShipmentCreateInput!) { shipmentCreate(input: $input) { id } }"
        row = await self.written(document, viewer, input={"orderId": order_id, "items": [], **more})
        return str(row["id"])

    async def deliver(self, settings: Settings | None = None, **options: Any) -> Deliverer:
        """Starts a deliverer, until the end of the test."""
        waybill = self.waybill
        options = {"now": self.clock.now, **options}
        made = Deliverer(waybill.db, waybill.messages, waybill.context_for, settings or waybill.settings, **options)
        await self._stack.enter_async_context(made.running())
        self.deliverers.append(made)
        return made

    def forward(self, **passed: float) -> None:
        self.clock.passed += timedelta(**passed)
        for each in self.deliverers:
            each.wake()

    async def log(self, endpoint: Any, viewer: str = "apikey") -> Any:
        query = """query ($id: String!) { webhookDeliveries(endpointId: $id) {
          id messageId type state attemptCount nextAttemptAt orderId shipmentId body endedAt
          attempts { startedAt milliseconds status error answer headers { name value } } } }"""
        answer = await self.write(query, {"id": endpoint["id"]}, viewer=viewer)
        return answer["data"]["webhookDeliveries"]

    async def state(self, endpoint: Any, viewer: str = "apikey") -> Any:
        query = """query ($id: String!) { webhookEndpoint(id: $id) {
          enabled disabledReason waiting failingSince pausedUntil deliveredAt lostAt replaying cursor } }"""
        answer = await self.write(query, {"id": endpoint["id"]}, viewer=viewer)
        return answer["data"]["webhookEndpoint"]

    async def until_state(self, endpoint: Any, viewer: str = "apikey", **wanted: Any) -> Any:
        async with asyncio.timeout(FAR_TOO_LONG):
            while True:
                state = await self.state(endpoint, viewer)
                if wanted.items() <= state.items():
                    return state
                await asyncio.sleep(0.02)

    async def until_logged(self, endpoint: Any, number: int, **wanted: Any) -> Any:
        """The deliveries of an endpoint, the newest first, as soon as so many are as wanted."""
        async with asyncio.timeout(FAR_TOO_LONG):
            while True:
                log = await self.log(endpoint)
                found = [each for each in log if wanted.items() <= each.items()]
                if len(found) >= number:
                    return found
                await asyncio.sleep(0.02)


@asynccontextmanager
async def world_on(dsn: str, **changes: Any) -> AsyncIterator[World]:
    settings = replace(settings_for(dsn), webhook_allowed_networks=LOCAL, **changes)
    waybill = Waybill(settings)
    async with running(settings) as app, posting(app, dsn) as write, waybill.running(), AsyncExitStack() as deliverers:
        yield World(waybill, write, deliverers)


@pytest.fixture
async def world(demo_copy_dsn: str) -> AsyncIterator[World]:
    async with world_on(demo_copy_dsn) as world:
        yield world


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening() as receiver:
        yield receiver
