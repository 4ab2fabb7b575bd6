import re

import httpx

from app.database import Database
from app.http import health


async def test_the_root_names_the_endpoints(client: httpx.AsyncClient) -> None:
    for path in (await client.get("/")).json()["endpoints"].values():
        assert (await client.get(path)).status_code != 404


async def test_an_unknown_path_is_404_in_the_shape_of_all_errors(client: httpx.AsyncClient) -> None:
    response = await client.get("/nowhere")
    assert response.status_code == 404
    assert response.json() == {"errors": [{"message": "Not Found", "extensions": {"code": "NOT_FOUND"}}]}


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


async def test_metrics_count_requests_documents_and_statements(client: httpx.AsyncClient) -> None:
    for query in ("{ __typename }", "{ __typename }", "{ nothing }", "{ carriers { itemsFound } }"):
        await client.post("/graphql", json={"query": query})
    await client.post("/graphql", content=b"")
    text = (await client.get("/metrics")).text
    values = dict(re.findall(r"^(waybill_\w+_total(?:\{.*\})?) (\S+)$", text, re.MULTILINE))
    assert values['waybill_requests_total{outcome="ok"}'] == "2"
    assert values['waybill_requests_total{outcome="errors"}'] == "1"
    assert values['waybill_requests_total{outcome="refused"}'] == "2"
    assert values['waybill_requests_total{outcome="failed"}'] == "0"
    assert values['waybill_documents_total{result="hit"}'] == "1"
    assert values['waybill_documents_total{result="miss"}'] == "3"
    assert "waybill_statements_total" in values
    assert values["waybill_repeated_total"] == "0"
    assert "waybill_connections_in_use 0\n" in text
    assert "waybill_connections_awaited 0\n" in text
