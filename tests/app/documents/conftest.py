"""A service on a database that a test writes to, and applications with documents of their own."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.asgi import Service
from tests.app.admin.conftest import Operate, operate
from tests.conftest import calling, credentials, running, settings_for

__all__ = ["operate"]

ORDER = "query Order($id: Int) { order(orderId: $id) { id status total { gross } } }"
SHIPMENTS = "query Shipments { shipments(input: {offset: 2}) { itemsFound items { id status } } }"
FEED = "subscription Feed { shipmentChanges { cursor action } }"
SET_STATUS = """mutation SetStatus($input: OrderSetStatusInput!) { orderSetStatus(input: $input) { id status } }"""

Ask = Callable[..., Awaitable[Any]]
Upload = Callable[..., Awaitable[Any]]


@pytest.fixture
async def service(demo_copy_dsn: str) -> AsyncIterator[Service]:
    async with running(settings_for(demo_copy_dsn)) as app:
        assert isinstance(app, Service)
        yield app


@pytest.fixture
def caller(service: Service) -> httpx.AsyncClient:
    return calling(service)


@pytest.fixture
def ask(caller: httpx.AsyncClient, demo_copy_dsn: str) -> Ask:
    """Posts parameters as a viewer and returns the answer's JSON."""
    settings = settings_for(demo_copy_dsn)

    async def post(viewer: str | None = "apikey", /, *, path: str = "/graphql", **parameters: Any) -> Any:
        headers = credentials(viewer, settings)
        answer = await caller.post(path, json=parameters, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return post


@pytest.fixture
def upload(operate: Operate, tmp_path: Path) -> Upload:
    """Registers texts by ids of their own for an application, which is made where it is not there."""

    async def register(application: str, callers: tuple[str, ...] = (), /, *arguments: str, **documents: str) -> Any:
        names = [row["name"] for row in await operate("documents", "applications")]
        if application not in names:
            given = [word for caller in callers for word in ("--caller", caller)]
            await operate("documents", "create", application, *given)
        path = tmp_path / "persisted_queries.json"
        path.write_text(json.dumps(documents), "utf-8")
        return await operate("documents", "upload", application, path, *arguments)

    return register


def code_of(answer: Any) -> str:
    [error] = answer["errors"]
    code: str = error["extensions"]["code"]
    return code
