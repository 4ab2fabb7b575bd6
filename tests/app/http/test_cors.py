"""Pages of other origins: what a browser asks first, and what every answer tells it, by both ways of the server."""

from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route

from app.asgi import Service, create_app
from app.demo import fixtures
from app.http import health
from app.http.cors import EXPOSED_HEADERS, CrossOrigin, Origins
from app.http.graphql import PREFLIGHT_HEADERS, GraphQLEndpoint
from app.http.middleware import Exchange, WholeExchange
from app.http.overload import Shedding, WholeShedding
from app.rest import export, openapi
from tests.app.http.serving import WAYS, served
from tests.conftest import calling, credentials, running, settings_for

SHOP = "https://shop.example.org"
STORE = "http://localhost:3000"
GRAPHQL = ["/graphql", "/v2/graphql", "/api/graphql"]
REST = ["/api/shop/customer/login", "/api/shop/customer-orders", "/api/shop/customer-orders/1", openapi.PATH]
PUBLIC = [*GRAPHQL, *REST, export.PATH]
STRANGERS = [
    "https://evil.example.org",
    "https://shop.example.org.evil.example",
    "https://evil.shop.example.org",
    "http://shop.example.org",
    "https://shop.example.org:8443",
    "https://shop.example.org/",
    "HTTPS://SHOP.EXAMPLE.ORG",
    "https://shop.example.org, https://evil.example.org",
    "null",
    "*",
    "",
]
QUERY = {"query": "{ __typename }"}
KEY = {"X-STOREFRONT-KEY": fixtures.STOREFRONT_KEY}
# What pages may read of any answer, what is for the browser itself, and what browsers keep from pages or do not need.
READ_ANYWAY = {"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified"}
FOR_THE_BROWSER = {"connection", "content-encoding", "content-security-policy", "date", "referrer-policy", "server"}
FOR_THE_BROWSER |= {"transfer-encoding", "vary", "x-content-type-options", "x-frame-options"}


@pytest.fixture(params=WAYS)
async def shop(request: pytest.FixtureRequest, demo_dsn: str) -> AsyncIterator[httpx.AsyncClient]:
    async with running(settings_for(demo_dsn, allowed_origins=(SHOP, STORE))) as app, served(app, request.param) as it:
        yield it


async def preflight(
    client: httpx.AsyncClient, path: str, origin: str = SHOP, method: str = "POST", headers: str = "content-type"
) -> httpx.Response:
    asked = {"access-control-request-method": method, "access-control-request-headers": headers}
    return await client.options(path, headers={"origin": origin, **asked})


def told(response: httpx.Response) -> dict[str, str]:
    prefix = "access-control-"
    return {name.removeprefix(prefix): value for name, value in response.headers.items() if name.startswith(prefix)}


def names(text: str) -> set[str]:
    return {name.strip().lower() for name in text.split(",")}


async def test_preflight_is_granted_on_every_public_path(shop: httpx.AsyncClient) -> None:
    for path, origin in product(PUBLIC, (SHOP, STORE)):
        response = await preflight(shop, path, origin)
        assert (response.status_code, response.content) == (204, b"")
        assert "content-length" not in response.headers
        assert "content-type" not in response.headers
        assert "origin" in names(response.headers["vary"])
        assert response.headers["x-request-id"]
        granted = told(response)
        assert granted["allow-origin"] == origin
        assert granted["allow-credentials"] == "true"
        assert names(granted["allow-methods"]) == {"get", "post", "put", "delete"}
        assert int(granted["max-age"]) == 7200
        assert set(granted) == {"allow-origin", "allow-credentials", "allow-methods", "allow-headers", "max-age"}


async def test_preflight_permits_every_header_that_has_a_meaning(shop: httpx.AsyncClient) -> None:
    permitted = names(told(await preflight(shop, "/graphql"))["allow-headers"])
    assert permitted >= set(PREFLIGHT_HEADERS)
    assert permitted >= {"authorization", "apikey", "content-type", "content-encoding", "accept", "x-storefront-key"}
    assert permitted >= {"prefer", "graphql-cost", "idempotency-key"}
    assert permitted >= {"idempotency-key", "x-request-id", "traceparent", "tracestate", "x-client-id"}
    assert "*" not in permitted


async def test_stranger_is_told_nothing_and_its_preflight_is_no_better_than_without_origins(
    shop: httpx.AsyncClient,
) -> None:
    for path, origin in product(PUBLIC, STRANGERS):
        response = await preflight(shop, path, origin)
        assert response.status_code == 405, origin
        assert told(response) == {}, origin
        assert "origin" in names(response.headers["vary"])
    for origin in STRANGERS:
        headers = {"origin": origin, "apollo-require-preflight": "1"}
        actual = await shop.post("/graphql", json=QUERY, headers=headers)
        assert actual.json() == {"data": {"__typename": "Query"}}
        assert told(actual) == {}, origin
        assert "origin" in names(actual.headers["vary"])


async def test_options_without_a_question_are_no_preflight(shop: httpx.AsyncClient) -> None:
    response = await shop.options("/graphql", headers={"origin": SHOP})
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST, PUT")
    assert told(response)["allow-origin"] == SHOP
    without_origin = await shop.options("/graphql", headers={"access-control-request-method": "POST"})
    assert (without_origin.status_code, told(without_origin)) == (405, {})


CALLS: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "data": ("POST", "/graphql", {"json": QUERY}, 200),
    "data by GET": ("GET", "/graphql?query={__typename}", {"headers": {"apikey": "x"}}, 200),
    "no GraphQL": ("POST", "/graphql", {"content": b"{", "headers": {"content-type": "application/json"}}, 400),
    "no preflight": ("GET", "/graphql?query={__typename}", {}, 400),
    "no key": ("POST", "/api/graphql", {"json": {"query": "{ customerOrders { totalCount } }"}}, 401),
    "wrong method": ("PATCH", "/graphql", {}, 405),
    "not acceptable": ("POST", "/graphql", {"json": QUERY, "headers": {"accept": "image/png"}}, 406),
    "too large": (
        "POST",
        "/graphql",
        {"content": b" " * 2_500_001, "headers": {"content-type": "application/json"}},
        413,
    ),
    "wrong type": ("POST", "/graphql", {"content": b"{}"}, 415),
    "REST without a key": ("GET", "/api/shop/customer-orders", {}, 401),
    "REST with a wrong key": ("GET", "/api/shop/customer-orders", {"headers": {"x-storefront-key": "pk_none"}}, 403),
    "REST without a customer": ("GET", "/api/shop/customer-orders/1", {"headers": KEY}, 401),
    "REST, too large": ("POST", "/api/shop/customer/login", {"content": b" " * 2_500_001, "headers": KEY}, 413),
    "REST, wrong method": ("PUT", "/api/shop/customer/login", {}, 405),
    "REST, malformed": ("POST", "/api/shop/customer/login", {"content": b"[]", "headers": KEY}, 400),
    "export without a credential": ("GET", export.PATH, {}, 401),
    "a path that is none": ("GET", "/nowhere", {}, 404),
}


async def test_answer_of_every_status_may_be_read(shop: httpx.AsyncClient) -> None:
    for case, (method, path, request, status) in CALLS.items():
        headers = {"origin": STORE, **request.get("headers", {})}
        response = await shop.request(method, path, **{**request, "headers": headers})
        assert response.status_code == status, case
        assert set(told(response)) == {"allow-origin", "allow-credentials", "expose-headers"}, case
        assert told(response)["allow-credentials"] == "true"
        assert response.headers.get_list("access-control-allow-origin") == [STORE]
        assert "origin" in names(response.headers["vary"])


async def test_what_answers_tell_in_headers_may_be_read(shop: httpx.AsyncClient, demo_dsn: str) -> None:
    settings = settings_for(demo_dsn)
    answers = [
        await shop.get("/api/shop/customer-orders", headers=credentials("john", settings) | {"origin": SHOP}),
        await shop.get(export.PATH, headers=credentials("staff", settings) | {"origin": SHOP}),
        await shop.put("/graphql", headers={"origin": SHOP}),
        await shop.post("/graphql", headers={"origin": SHOP}),
        await shop.post(
            "/graphql",
            headers={"origin": SHOP, "content-encoding": "br", "content-type": "application/json"},
        ),
    ]
    seen: set[str] = set()
    for response in answers:
        seen |= {name for name in response.headers if not name.startswith("access-control-")}
        assert names(told(response)["expose-headers"]) == set(EXPOSED_HEADERS)
    assert {"x-total-count", "x-ratelimit-reset", "x-changes-cursor", "content-disposition", "accept-post"} <= seen
    assert seen - READ_ANYWAY - FOR_THE_BROWSER <= set(EXPOSED_HEADERS)
    assert {"idempotent-replayed", "retry-after", "x-request-id"} <= set(EXPOSED_HEADERS)


@pytest.mark.parametrize("way", WAYS)
async def test_request_over_the_limit_of_a_key_may_be_read(
    demo_copy_dsn: str, way: str, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("UPDATE storefront_keys SET requests_per_minute = 1")
    headers = {**KEY, "origin": SHOP}
    settings = settings_for(demo_copy_dsn, allowed_origins=(SHOP,))
    async with running(settings) as app, served(app, way) as client:
        await client.post("/api/graphql", json=QUERY, headers=headers)
        for response in (
            await client.post("/api/graphql", json=QUERY, headers=headers),
            await client.get("/api/shop/customer-orders", headers=headers),
        ):
            assert response.status_code == 429
            assert told(response)["allow-origin"] == SHOP
            assert {"retry-after", "x-ratelimit-reset"} <= names(told(response)["expose-headers"])
        # A preflight has no key, and uses up nothing.
        assert (await preflight(client, "/api/graphql")).status_code == 204


async def test_vary_keeps_what_else_it_names(shop: httpx.AsyncClient) -> None:
    response = await shop.post("/graphql", json=QUERY)
    assert names(response.headers["vary"]) == {"accept", "origin"}
    assert told(response) == {}


async def test_paths_of_the_operator_are_not_for_other_origins(shop: httpx.AsyncClient) -> None:
    for path in health.PATHS:
        assert told(await shop.get(path, headers={"origin": SHOP})) == {}
        assert told(await preflight(shop, path, method="GET")) == {}


async def test_defect_may_be_read_too() -> None:
    async def broken(_request: Request) -> None:
        raise RuntimeError

    middleware = [Middleware(Exchange), Middleware(CrossOrigin, Origins([SHOP]))]
    app = Starlette(routes=[Route("/", broken)], middleware=middleware)
    async with calling(app) as client:
        response = await client.get("/", headers={"origin": SHOP})
    assert response.status_code == 500
    assert told(response)["allow-origin"] == SHOP


async def test_without_origins_nothing_is_said(client: httpx.AsyncClient) -> None:
    for path in PUBLIC:
        response = await preflight(client, path)
        assert (response.status_code, told(response)) == (405, {})
    actual = await client.post("/graphql", json=QUERY, headers={"origin": SHOP})
    assert told(actual) == {}
    assert actual.headers["vary"] == "Accept"


def test_without_origins_a_request_takes_no_step_more(demo_dsn: str) -> None:
    app: Service = create_app(settings_for(demo_dsn))
    whole = app.find({"type": "http", "path": "/graphql"})
    assert isinstance(whole, WholeExchange)
    assert isinstance(whole.app, WholeShedding)
    assert isinstance(whole.app.app, GraphQLEndpoint)
    assert [middleware.cls for middleware in app.user_middleware] == [Exchange, Shedding]
