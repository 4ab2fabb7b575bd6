"""Plans that are made before somebody asks."""

import asyncio

import asyncpg
import pytest

from app.asgi import Service
from app.documents import ahead
from app.postgres.database import Database
from tests.app.admin.conftest import Operate
from tests.app.documents.conftest import ORDER, SHIPMENTS, Ask, Upload
from tests.conftest import calling, credentials, running, settings_for, until

CHOICE = "query Choice($with: Boolean!) { order(orderId: 2075) { id status @include(if: $with) } }"


async def test_first_request_of_a_registered_document_finds_its_plan(
    service: Service, ask: Ask, upload: Upload
) -> None:
    documents = service.waybill.engine.documents
    await upload("portal", ("api_key:1",), order=ORDER, choice=CHOICE)
    await until(lambda: service.waybill.documents.made == 2)
    misses = documents.misses
    assert documents.read(ORDER).choose("Order").planner.plan_count == 1
    assert documents.read(CHOICE).choose("Choice").planner.plan_count == 2
    answer = await ask(documentId="order", variables={"id": 2075})
    assert answer["data"]["order"]["id"] == 2075
    assert documents.misses == misses


async def test_start_makes_them_and_is_ready_without(upload: Upload, demo_copy_dsn: str) -> None:
    await upload("portal", ("api_key:1",), order=ORDER, shipments=SHIPMENTS)
    settings = settings_for(demo_copy_dsn)
    async with running(settings) as app, calling(app) as client:
        assert isinstance(app, Service)
        assert (await client.get("/readyz")).status_code == 200
        await until(lambda: app.waybill.documents.made == 2)
        misses = app.waybill.engine.documents.misses
        answer = await client.post(
            "/graphql", json={"documentId": "shipments"}, headers=credentials("apikey", settings)
        )
        assert answer.json()["data"]["shipments"]["itemsFound"] > 0
        assert app.waybill.engine.documents.misses == misses


async def test_mode_holds_while_plans_are_being_made(
    upload: Upload, demo_copy_dsn: str, operate: Operate, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def last(_self: ahead.Ahead, _db: Database) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(ahead.Ahead, "go_on", last)
    await upload("portal", ("api_key:1",), order=ORDER)
    async with running(settings_for(demo_copy_dsn)) as app:
        assert isinstance(app, Service)
        await begun.wait()
        assert app.waybill.documents.asks_for_nothing
        await operate("documents", "mode", "api_key:1", "safelist")
        await until(lambda: not app.waybill.documents.asks_for_nothing)


async def test_no_more_of_the_cache_is_taken_than_a_share(
    upload: Upload, demo_copy_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those that were used last are the ones."""
    monkeypatch.setattr(ahead, "_SHARE", 1e-9)
    await upload("portal", ("api_key:1",), order=ORDER, shipments=SHIPMENTS)
    connection = await asyncpg.connect(demo_copy_dsn)
    await connection.execute(
        "INSERT INTO trusted_document_uses SELECT id, now() FROM trusted_documents WHERE document_id = 'order'"
    )
    await connection.close()
    async with running(settings_for(demo_copy_dsn)) as app:
        assert isinstance(app, Service)
        made = app.waybill.documents._ahead
        await until(lambda: made._newest > 0)
        assert made.made == 1
        documents = app.waybill.engine.documents
        misses = documents.misses
        documents.read(ORDER)
        assert documents.misses == misses
        documents.read(SHIPMENTS)
        assert documents.misses == misses + 1


async def test_document_that_cannot_run_any_more_is_told_to_the_log_and_hurts_nobody(
    upload: Upload, demo_copy_dsn: str, operate: Operate, caplog: pytest.LogCaptureFixture
) -> None:
    await upload("portal", ("api_key:1",), order=ORDER, shipments=SHIPMENTS)
    connection = await asyncpg.connect(demo_copy_dsn)
    await connection.execute("UPDATE trusted_documents SET text = '{ gone }' WHERE document_id = 'order'")
    await connection.close()
    with caplog.at_level("INFO", "waybill.documents"):
        async with running(settings_for(demo_copy_dsn)) as app:
            assert isinstance(app, Service)
            await until(lambda: app.waybill.documents.made == 1)
            await until(lambda: any("cannot run any more" in record.message for record in caplog.records))
    answer = await operate("documents", "check", whole=True)
    assert answer.failed
    assert answer.value == [
        {"application": "portal", "fault": "order, line 1, column 3: Cannot query field 'gone' on type 'Query'."}
    ]
