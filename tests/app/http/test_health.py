import re

import asyncpg
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from app.http import health
from app.postgres.database import Database
from app.rest import export
from app.telemetry import OUTCOMES
from tests.conftest import KEY_HEADER, calling, credentials, running, settings_for


async def test_an_unknown_path_is_404_in_the_shape_of_all_errors(client: httpx.AsyncClient) -> None:
    response = await client.get("/nowhere")
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("application/problem+json")
    assert response.json()["errors"] == [{"message": "Not Found", "extensions": {"code": "NOT_FOUND"}}]


async def test_it_is_ready_when_it_can_answer(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).status_code == 200
    response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "writable": True, "notifications": "listening"}


async def test_it_is_alive_but_not_ready_without_its_database(client: httpx.AsyncClient, db: Database) -> None:
    await db.close()
    assert (await client.get("/healthz")).status_code == 200
    response = await client.get("/readyz")
    assert (response.status_code, response.json()) == (503, {"status": "not ready"})


async def test_it_is_not_ready_with_a_migration_missing(db: Database) -> None:
    assert await health.readiness(db, set())
    assert not await health.readiness(db, {"9999_future.sql"})


NONE = dict.fromkeys(OUTCOMES, 0)


async def counters(client: httpx.AsyncClient) -> dict[str, float]:
    text = (await client.get("/metrics")).text
    return {
        name: float(value)
        for name, value in re.findall(r"^((?:waybill|db|http)_\w+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
    }


async def requests(client: httpx.AsyncClient, surface: str) -> dict[str, float]:
    """The requests of a surface that have been counted, by outcome."""
    found = await counters(client)
    return {
        outcome: found[f'waybill_requests_total{{outcome="{outcome}",surface="{surface}"}}'] for outcome in OUTCOMES
    }


async def test_metrics_count_requests_documents_and_statements(client: httpx.AsyncClient, app: Starlette) -> None:
    for query in (*["{ __typename }"] * 3, "{ nothing }", "{ carriers { itemsFound } }"):
        await client.post("/graphql", json={"query": query})
    await client.post("/graphql", content=b"")
    assert await requests(client, "graphql") == {**NONE, "ok": 3, "errors": 1, "refused": 2}
    values = await counters(client)
    assert values['waybill_documents_total{result="hit"}'] == 1  # one is kept when it comes again
    assert values['waybill_documents_total{result="miss"}'] == 4
    assert "waybill_statements_total" in values
    assert values["waybill_repeated_total"] == 0
    assert values['db_client_connection_count{db_client_connection_state="used"}'] == 0
    assert values["db_client_connection_pending_requests"] == 0
    assert sum(value for name, value in values.items() if name.startswith("waybill_executions_total{")) == 4
    assert values['waybill_executions_total{by="replay"}'] == 1


async def test_metrics_are_in_the_text_format_of_prometheus(client: httpx.AsyncClient) -> None:
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    names = {family.name for family in text_string_to_metric_families(response.text)}
    assert {"waybill_requests", "waybill_request_seconds", "waybill_statements"} <= names


async def test_metrics_count_rest_by_outcome(client: httpx.AsyncClient, demo_dsn: str, db: Database) -> None:
    john = credentials("john", settings_for(demo_dsn))
    assert await requests(client, "rest") == NONE
    calls = [
        ("ok", "GET", "", john),
        ("ok", "GET", "/1", john),
        ("errors", "GET", "/999", john),
        ("errors", "GET", "", {KEY_HEADER: john[KEY_HEADER]}),
        ("refused", "GET", "", {}),
        ("refused", "GET", "", {KEY_HEADER: "pk_of_nobody"}),
        ("refused", "GET", "?page=0", john),
        ("refused", "PUT", "", john),
    ]
    before = (await counters(client))['waybill_request_seconds_sum{surface="rest"}']
    for _outcome, method, path, headers in calls:
        await client.request(method, f"/api/shop/customer-orders{path}", headers=headers)
    assert await requests(client, "rest") == {**NONE, "ok": 2, "errors": 2, "refused": 4}
    assert (await counters(client))['waybill_request_seconds_sum{surface="rest"}'] > before
    await db.close()
    assert (await client.get("/api/shop/customer-orders", headers=john)).status_code == 503
    assert (await requests(client, "rest"))["unavailable"] == 1
    assert sum((await requests(client, "graphql")).values()) == 0


async def test_metrics_count_exports_by_outcome(client: httpx.AsyncClient, demo_dsn: str, db: Database) -> None:
    staff = credentials("staff", settings_for(demo_dsn))
    assert await requests(client, "export") == NONE
    for path, headers in (("", staff), ("", {}), ("?nothing=1", staff)):
        await client.get(f"{export.PATH}{path}", headers=headers)
    assert await requests(client, "export") == {**NONE, "ok": 1, "refused": 2}
    assert (await counters(client))['waybill_request_seconds_sum{surface="export"}'] > 0
    await db.close()
    assert (await client.get(export.PATH, headers=staff)).status_code == 503
    assert (await requests(client, "export"))["unavailable"] == 1


async def test_metrics_count_requests_over_the_limit_of_a_key(
    demo_copy_dsn: str, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("UPDATE storefront_keys SET requests_per_minute = 1")
    headers = credentials("stranger", settings_for(demo_copy_dsn))
    async with running(settings_for(demo_copy_dsn)) as app, calling(app) as client:
        client.headers.update(headers)
        for _ in range(3):
            await client.post("/api/graphql", json={"query": "{ __typename }"})
        await client.get("/api/shop/customer-orders")
        assert await requests(client, "graphql") == {**NONE, "ok": 1, "refused": 2}
        assert await requests(client, "rest") == {**NONE, "refused": 1}


async def test_metrics_are_for_who_has_their_token(demo_dsn: str) -> None:
    settings = settings_for(demo_dsn, metrics_token="t" * 16)
    async with running(settings) as app, calling(app) as client:
        for headers in ({}, {"Authorization": "Bearer t"}, {"Authorization": f"Basic {'t' * 16}"}):
            refused = await client.get("/metrics", headers=headers)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert refused.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
            assert "waybill_requests" not in refused.text
        told = await client.get("/metrics", headers={"Authorization": f"Bearer {'t' * 16}"})
        assert (told.status_code, "waybill_requests" in told.text) == (200, True)


async def test_a_slow_statement_is_named_in_the_log_without_a_value(
    demo_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_for(demo_dsn, slow_statement=0.0)
    async with running(settings) as app, calling(app) as client:
        query = "query ($term: String) { orders(input: {term: $term}) { itemsFound } }"
        body = {"query": query, "variables": {"term": "secret"}}
        answer = await client.post("/graphql", json=body, headers=credentials("staff", settings))
        assert "errors" not in answer.json()
    slow = [record.__dict__["facts"] for record in caplog.records if record.getMessage() == "slow statement"]
    assert any(facts["statement"].startswith("order.") and facts["ms"] > 0 for facts in slow)
    assert "secret" not in str(slow)


async def test_a_request_tells_what_its_statements_took(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "waybill.http")
    for query in ("{ __typename }", "{ carriers { itemsFound } }"):
        await client.post("/graphql", json={"query": query}, headers=credentials("staff", settings_for("")))
    facts = [record.__dict__["facts"] for record in caplog.records if record.getMessage() == "request"]
    none, some = facts[-2:]
    assert "statements" not in none
    assert some["statements"] >= 1
    assert 0 < some["dbMs"] <= some["ms"] + 0.1
