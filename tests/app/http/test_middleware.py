import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from app.http.middleware import Exchange
from tests.conftest import calling


async def test_every_answer_has_safe_headers(client: httpx.AsyncClient) -> None:
    for path in ("/", "/healthz", "/nowhere", "/graphql"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert len(headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-123.4:5_6", True), ("x" * 128, True), ("x" * 129, False), ("two words", False), ('"}', False), ("", False)],
)
async def test_a_sane_request_id_is_kept(client: httpx.AsyncClient, given: str, kept: bool) -> None:
    response = await client.get("/healthz", headers={"x-request-id": given})
    assert (response.headers["x-request-id"] == given) is kept


async def test_a_request_is_one_line_without_its_secrets(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    query = "query Named($name: String!) { __type(name: $name) { name } }"
    body = {"query": query, "variables": {"name": "secret"}}
    headers = {"authorization": "Bearer secret.secret.secret", "x-request-id": "r1"}
    await client.post("/graphql?secret", json=body, headers=headers)
    lines = [record.facts for record in caplog.records if record.name == "waybill.http"]
    assert [{**line, "ms": 0} for line in lines] == [
        {
            "requestId": "r1",
            "method": "POST",
            "path": "/graphql",
            "status": 200,
            "ms": 0,
            "operation": "Named",
            "outcome": "ok",
        }
    ]
    assert "secret" not in json.dumps(lines)


async def test_line_of_a_request_does_not_grow_with_its_names(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await client.post("/graphql", json={"query": f"query Q{'9' * 5_000} {{ __typename }}"})
    await client.get(f"/{'9' * 5_000}")
    first, second = [record.facts for record in caplog.records if record.name == "waybill.http"]
    assert first["operation"] == "Q" + "9" * 99
    assert second["path"] == "/" + "9" * 999


async def test_line_of_rest_and_export_tells_the_outcome(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for path in ("/api/shop/customer-orders", "/export/shipments.ndjson", "/healthz"):
        await client.get(path)
    lines = [record.facts for record in caplog.records if record.name == "waybill.http"]
    assert [line.get("outcome") for line in lines] == ["refused", "refused", None]


async def broken(_request: Request) -> StreamingResponse:
    raise RuntimeError("the password is hunter2")


async def broken_halfway(_request: Request) -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("gone")

    return StreamingResponse(body())


@pytest.fixture
def client_of_broken() -> httpx.AsyncClient:
    routes = [Route("/broken", broken), Route("/halfway", broken_halfway)]
    app = Starlette(routes=routes, middleware=[Middleware(Exchange)])
    return calling(app)


async def test_a_defect_is_500_with_the_request_id(
    client_of_broken: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = await client_of_broken.get("/broken", headers={"x-request-id": "r2"})
    error: dict[str, Any] = {"code": "INTERNAL_SERVER_ERROR", "requestId": "r2"}
    assert response.status_code == 500
    assert response.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "Internal server error",
        "instance": "/broken",
        **error,
        "errors": [{"message": "Internal server error", "extensions": error}],
    }
    assert response.headers["x-content-type-options"] == "nosniff"
    assert [record.exc_info is not None for record in caplog.records if record.levelname == "ERROR"] == [True]


async def test_half_an_answer_is_broken_off(client_of_broken: httpx.AsyncClient) -> None:
    with pytest.raises(RuntimeError, match="gone"):
        await client_of_broken.get("/halfway")
