"""Storefront keys on /api/graphql (C-3 to C-5), and whose attempts are counted together."""

from typing import Any

import asyncpg
import httpx
import pytest

from app.auth.api_key import digest
from app.auth.storefront_key import STOREFRONTS
from app.demo import fixtures
from tests.conftest import KEY_HEADER, NORTHWIND_STOREFRONT_KEY, calling, running, settings_for, until

ORDERS = "{ customerOrders { totalCount } }"
MISSING, WRONG = "X-STOREFRONT-KEY header is required for this operation", "Invalid API key"


def refusal(message: str, error: str) -> dict[str, Any]:
    return {
        "message": message,
        "error": error,
        "header_name": "X-STOREFRONT-KEY",
        "key_type": "shop",
        "errors": [{"message": message, "extensions": {"code": "UNAUTHENTICATED"}}],
    }


async def ask(client: httpx.AsyncClient, query: Any, key: str | None = None, **more: Any) -> httpx.Response:
    headers = {} if key is None else {KEY_HEADER: key}
    return await client.post("/api/graphql", json={"query": query, **more}, headers=headers)


@pytest.mark.parametrize(
    "query",
    [
        ORDERS,
        "{ carriers { itemsFound } }",
        "{ __schema { queryType { name } } customerOrders { totalCount } }",
        '{ a: customerOrder(id: "__schema __type") { id } }',
        "# __schema\n{ customerOrders { totalCount } }",
        "{ __schema: customerOrders { totalCount } }",
        "{ ...F } fragment F on Query { ... { ...G } } fragment G on Query { customerOrders { totalCount } }",
        "{ ... @include(if: false) { customerOrders { totalCount } } __typename }",
        "mutation { createLogout(input: {}) { logout { success } } }",
        "{ nothing }",
        "{",
    ],
)
async def test_request_without_a_key_is_401(client: httpx.AsyncClient, query: str) -> None:
    for key, expected in [
        (None, refusal(MISSING, "missing_key")),
        ("", refusal(MISSING, "missing_key")),
        ("pk_storefront_demo_other", refusal(WRONG, "invalid_key")),
        (fixtures.PARTNER_KEY, refusal(WRONG, "invalid_key")),
        ("x", refusal(WRONG, "invalid_key")),
        ("' OR true --' OR true", refusal(WRONG, "invalid_key")),
        ("x" * 5_000, refusal(WRONG, "invalid_key")),
    ]:
        response = await ask(client, query, key)
        assert (response.status_code, response.json()) == (401, expected)
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    "query",
    [
        "{ __schema { queryType { name } } }",
        '{ __type(name: "CustomerOrder") { name } __typename }',
        "{ ...F } fragment F on Query { ... on Query { __schema { queryType { name } } } }",
        "query A { __typename } query B { customerOrders { totalCount } }",
    ],
)
@pytest.mark.parametrize("key", [None, "pk_storefront_demo_other", fixtures.STOREFRONT_KEY])
async def test_introspection_needs_no_key(client: httpx.AsyncClient, query: str, key: str | None) -> None:
    response = await ask(client, query, key, operationName="A" if query.startswith("query") else None)
    assert response.status_code == 200
    assert "errors" not in response.json()


async def test_key_is_decided_for_the_operation_that_runs(client: httpx.AsyncClient) -> None:
    query = "query A { __typename } query B { customerOrders { totalCount } }"
    assert (await ask(client, query, operationName="B")).status_code == 401


async def test_key_that_is_good_lets_errors_of_the_document_through(client: httpx.AsyncClient) -> None:
    response = await ask(client, "{ nothing }", fixtures.STOREFRONT_KEY)
    assert response.status_code == 200
    assert response.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"query": 1}'])
async def test_what_is_no_graphql_request_is_400_with_and_without_a_key(client: httpx.AsyncClient, body: bytes) -> None:
    for headers in ({}, {KEY_HEADER: fixtures.STOREFRONT_KEY}):
        response = await client.post(
            "/api/graphql", content=body, headers={"content-type": "application/json", **headers}
        )
        assert response.status_code == 400


async def test_key_twice_is_refused(client: httpx.AsyncClient) -> None:
    headers = [(KEY_HEADER, fixtures.STOREFRONT_KEY), (KEY_HEADER.lower(), fixtures.STOREFRONT_KEY)]
    response = await client.post("/api/graphql", json={"query": ORDERS}, headers=headers)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_key")


async def test_key_that_is_switched_off_is_wrong_at_once(
    demo_copy_dsn: str, copy_connection: asyncpg.Connection
) -> None:
    async with running(settings_for(demo_copy_dsn)) as app, calling(app) as client:
        assert (await ask(client, ORDERS, fixtures.STOREFRONT_KEY)).status_code == 200
        await copy_connection.execute("UPDATE storefront_keys SET is_active = false WHERE id = 1")
        kept = app.state.db.table_cache(STOREFRONTS)
        await until(lambda: kept.cached(digest(fixtures.STOREFRONT_KEY)) is None)  # the notification is on its way
        response = await ask(client, ORDERS, fixtures.STOREFRONT_KEY)
        assert (response.status_code, response.json()) == (401, refusal(WRONG, "invalid_key"))
        assert (await ask(client, ORDERS, NORTHWIND_STOREFRONT_KEY)).status_code == 200


@pytest.mark.parametrize("path", ["/graphql", "/v2/graphql"])
async def test_key_is_a_matter_of_the_field_on_the_other_paths(client: httpx.AsyncClient, path: str) -> None:
    for headers, message in ({}, MISSING), ({KEY_HEADER: "pk_storefront_demo_other"}, WRONG):
        response = await client.post(path, json={"query": ORDERS}, headers=headers)
        assert response.status_code == 200
        [error] = response.json()["errors"]
        assert (error["message"], error["path"]) == (message, ["customerOrders"])
        assert error["extensions"] == {"code": "UNAUTHENTICATED"}
        assert response.json()["data"] == {"customerOrders": None}
