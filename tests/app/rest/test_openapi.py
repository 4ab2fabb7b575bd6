"""The document and the code say the same: routes both ways, and real answers against the schemas."""

import re
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from app.rest import export, openapi
from app.rest.shop import ENDPOINTS, ROOT, Endpoint
from app.rest.shop_answer import KeyProblem, Outage, Problem, RateProblem
from tests.conftest import credentials, settings_for

REFUSALS = {"KeyProblem": KeyProblem, "Outage": Outage, "Problem": Problem, "RateProblem": RateProblem}


@pytest.fixture
def document(app: Starlette) -> Any:
    [served] = [route.app for route in app.routes if isinstance(route, Route) and route.path == openapi.PATH]
    assert isinstance(served, openapi.OpenAPI)
    return served.document


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        return ({value["$ref"]} if "$ref" in value else set()).union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


def test_routes_and_document_have_the_same_paths(app: Starlette, document: Any) -> None:
    routes = {
        re.sub(r":\w+}", "}", route.path)
        for route in app.routes
        if isinstance(route, Route) and route.path.startswith((f"{ROOT}/", "/export/", "/documents/"))
    }
    assert routes == {*document["paths"], openapi.PATH}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
async def test_no_method_but_the_documented_one_is_answered(
    endpoint: Endpoint, client: httpx.AsyncClient, document: Any
) -> None:
    documented = [method.upper() for method in document["paths"][endpoint.path]]
    path = endpoint.path.format(id=1)

    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        answer = await client.request(method, path)
        assert (answer.status_code == 405) == (method not in documented), method
        if answer.status_code == 405:
            assert answer.headers["allow"].split(", ") == documented


def test_every_reference_leads_somewhere_and_every_component_is_used(document: Any) -> None:
    used = _references(document)
    parts = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "parameters", "headers")
        for name in document["components"][kind]
    }
    assert used == parts


async def test_the_document_needs_no_key(client: httpx.AsyncClient, document: Any) -> None:
    answer = await client.get(openapi.PATH)
    assert answer.status_code == 200
    assert answer.json() == document
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
    method: str,
    path: str,
    viewer: str | None,
    more: dict[str, Any],
    client: httpx.AsyncClient,
    demo_dsn: str,
    document: Any,
) -> None:
    headers = credentials(viewer, settings_for(demo_dsn))
    [endpoint] = [
        endpoint for endpoint in ENDPOINTS if re.fullmatch(endpoint.path.replace("{id}", r"\d+"), ROOT + path)
    ]

    more = {**more, "headers": headers | more.get("headers", {})}
    answer = await client.request(method, ROOT + path, **more)

    [operation] = document["paths"][endpoint.path].values()
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


async def test_objects_have_their_members_in_the_documented_order(
    client: httpx.AsyncClient, demo_dsn: str, document: Any
) -> None:
    headers, schemas = credentials("john", settings_for(demo_dsn)), document["components"]["schemas"]
    order = (await client.get(f"{ROOT}/customer-orders/1", headers=headers)).json()
    [entry, *_] = (await client.get(f"{ROOT}/customer-orders", headers=headers)).json()

    assert list(order) == list(schemas["Order"]["properties"])
    assert list(entry) == list(schemas["OrderEntry"]["properties"])
    assert len(entry) == 23


VALUES = {"integer": "1", "number": "1.5", "boolean": "true"}


@pytest.mark.parametrize("source", export.SOURCES, ids=lambda source: source.path)
async def test_export_takes_every_documented_filter_and_no_other(
    source: export.Source, client: httpx.AsyncClient, demo_dsn: str, document: Any
) -> None:
    headers = credentials("staff", settings_for(demo_dsn))
    operation = document["paths"][source.path]["get"]
    for parameter in operation["parameters"]:
        name, schema = parameter["name"], parameter["schema"]
        one = schema["items"] if schema["type"] == "array" else schema
        value = next(iter(one.get("enum") or one.get("examples") or [VALUES.get(one["type"], "a")]))
        asked = {name: value}
        if name.startswith(("sources.", "companySources.")):
            asked = {f"{name.partition('.')[0]}.{member}": "a" for member in ("id", "name")}
        answer = await client.get(source.path, params=asked, headers=headers)
        assert answer.status_code == 200, (name, answer.text)
        assert answer.headers["content-type"] in operation["responses"]["200"]["content"]
        assert parameter["description"]
        if one.get("maxLength"):
            long = await client.get(source.path, params=asked | {name: "a" * (one["maxLength"] + 1)}, headers=headers)
            assert long.status_code == 400, name
    refused = await client.get(source.path, params={"colour": "red"}, headers=headers)
    assert str(refused.status_code) in operation["responses"]
    assert refused.status_code == 400
