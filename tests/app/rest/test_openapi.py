"""The document and the code say the same: routes both ways, and real answers against the schemas."""

import re
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from app.rest import openapi
from app.rest.shop import ENDPOINTS, ROOT, Endpoint
from app.rest.shop_answer import KeyProblem, Outage, Problem, RateProblem
from tests.conftest import credentials, settings_for

DOCUMENT = openapi.document()
SCHEMAS = DOCUMENT["components"]["schemas"]
REFUSALS = {"KeyProblem": KeyProblem, "Outage": Outage, "Problem": Problem, "RateProblem": RateProblem}


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        return ({value["$ref"]} if "$ref" in value else set()).union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


def test_routes_and_document_have_the_same_paths(app: Starlette) -> None:
    routes = {
        re.sub(r":\w+}", "}", route.path)
        for route in app.routes
        if isinstance(route, Route) and route.path.startswith(f"{ROOT}/")
    }
    assert routes == {*DOCUMENT["paths"], openapi.PATH}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
async def test_no_method_but_the_documented_one_is_answered(endpoint: Endpoint, client: httpx.AsyncClient) -> None:
    documented = [method.upper() for method in DOCUMENT["paths"][endpoint.path]]
    path = endpoint.path.format(id=1)

    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        answer = await client.request(method, path)
        assert (answer.status_code == 405) == (method not in documented), method
        if answer.status_code == 405:
            assert answer.headers["allow"].split(", ") == documented


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    used = _references(DOCUMENT)
    parts = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "parameters", "headers")
        for name in DOCUMENT["components"][kind]
    }
    assert used == parts


async def test_the_document_needs_no_key(client: httpx.AsyncClient) -> None:
    answer = await client.get(openapi.PATH)
    assert answer.status_code == 200
    assert answer.json() == DOCUMENT
    assert answer.json()["openapi"].startswith("3.1")
    assert (await client.post(openapi.PATH)).headers["allow"] == "GET"


CALLS: list[tuple[str, str, str | None, dict[str, Any]]] = [
    ("GET", "/customer-orders", "john", {}),
    ("GET", "/customer-orders", "jane", {"params": {"per_page": "50"}}),
    ("GET", "/customer-orders", "john", {"params": {"page": "0"}}),
    ("GET", "/customer-orders", None, {}),
    ("GET", "/customer-orders/1", "john", {}),
    ("GET", "/customer-orders/2", "john", {}),
    ("GET", "/customer-orders/3", "john", {}),
    ("GET", "/customer-orders/4", "john", {}),
    ("GET", "/customer-orders/5", "jane", {}),
    ("GET", "/customer-orders/5", "john", {}),
    ("GET", "/customer-order-shipments", "john", {}),
    ("GET", "/customer-order-shipments", "john", {"params": {"order_id": "x"}}),
    ("GET", "/customer-order-shipments/999", "john", {}),
    ("POST", "/customer/login", "john", {"json": {"email": "nobody@example.com", "password": "wrong password"}}),
    ("POST", "/customer/login", "john", {"json": {}}),
    ("POST", "/verify-tokens", "john", {}),
    ("POST", "/verify-tokens", "john", {"content": b"[]"}),
    ("POST", "/verify-tokens", "john", {"content": b"{}", "headers": {"content-encoding": "br"}}),
    ("PUT", "/verify-tokens", "john", {}),
]


@pytest.mark.parametrize(("method", "path", "viewer", "more"), CALLS, ids=str)
async def test_real_answers_are_as_documented(
    method: str, path: str, viewer: str | None, more: dict[str, Any], client: httpx.AsyncClient, demo_dsn: str
) -> None:
    headers = credentials(viewer, settings_for(demo_dsn))
    [endpoint] = [
        endpoint for endpoint in ENDPOINTS if re.fullmatch(endpoint.path.replace("{id}", r"\d+"), ROOT + path)
    ]

    more = {**more, "headers": headers | more.get("headers", {})}
    answer = await client.request(method, ROOT + path, **more)

    [operation] = DOCUMENT["paths"][endpoint.path].values()
    response = operation["responses"][str(answer.status_code)]
    for name in response["headers"]:
        assert name in answer.headers
    if answer.status_code < 400:
        msgspec.json.decode(answer.content, type=endpoint.answer)
    else:
        documented = {reference.rpartition("/")[2] for reference in _references(response["content"])}
        assert any(_fits(answer.content, REFUSALS[name]) for name in documented)


def _fits(body: bytes, type_: Any) -> bool:
    try:
        msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError:
        return False
    return True


async def test_objects_have_their_members_in_the_documented_order(client: httpx.AsyncClient, demo_dsn: str) -> None:
    headers = credentials("john", settings_for(demo_dsn))
    order = (await client.get(f"{ROOT}/customer-orders/1", headers=headers)).json()
    [entry, *_] = (await client.get(f"{ROOT}/customer-orders", headers=headers)).json()

    assert list(order) == list(SCHEMAS["Order"]["properties"])
    assert list(entry) == list(SCHEMAS["OrderEntry"]["properties"])
    assert len(entry) == 23
