"""Requests by id, callers who are held to what is registered, and what one application's ids are to another."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from app.asgi import Service
from app.http.negotiation import GRAPHQL_RESPONSE
from tests.app.admin.conftest import Operate
from tests.app.documents.conftest import FEED, ORDER, SET_STATUS, SHIPMENTS, Ask, Upload, code_of
from tests.app.http.serving import served
from tests.app.live.conftest import following
from tests.conftest import FAR_TOO_LONG, KEY_HEADER, credentials, running, settings_for

HASH = hashlib.sha256(ORDER.encode()).hexdigest()
ID = {"id": 2075}
NOT_FOUND, NOT_SUPPORTED = "PERSISTED_QUERY_NOT_FOUND", "PERSISTED_QUERY_NOT_SUPPORTED"
PARTNER = "api_key:1"


async def holds(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits for what the database tells of by a notification."""
    async with asyncio.timeout(FAR_TOO_LONG):
        while not await condition():
            pass


async def answers(ask: Ask, code: str | None, viewer: str | None = "apikey", /, **parameters: Any) -> None:
    """Waits until a request is answered by data, or by a code."""

    async def does() -> bool:
        answer = await ask(viewer, **parameters)
        return "errors" not in answer if code is None else "errors" in answer and code_of(answer) == code

    await holds(does)


def apollo(hash_: str) -> dict[str, Any]:
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash_}}}


NAMED: list[dict[str, Any]] = [
    {"documentId": f"sha256:{HASH}"},
    {"documentId": HASH},
    {"documentId": "order-page"},
    {"doc_id": "order-page"},
    {"doc_id": HASH},
    apollo(HASH),
    apollo("order-page"),
]


@pytest.mark.parametrize("named", NAMED, ids=str)
async def test_document_is_asked_for_by_its_ids(ask: Ask, upload: Upload, named: dict[str, Any]) -> None:
    await upload("portal", (PARTNER,), **{"order-page": ORDER})
    expected = await ask(query=ORDER, variables=ID)
    assert expected["data"]["order"]["id"] == 2075
    await answers(ask, None, **named, variables=ID)
    for query in ({}, {"query": None}, {"query": ""}):
        assert await ask(**named, **query, variables=ID) == expected
    assert await ask("staff", **named) == await ask("staff", **apollo("0" * 64))


@pytest.mark.parametrize("named", NAMED, ids=str)
async def test_ids_of_one_application_are_unknown_to_the_callers_of_another(
    ask: Ask, upload: Upload, service: Service, named: dict[str, Any]
) -> None:
    """The same answer, by as many statements, the first time and the next."""
    await upload("portal", (PARTNER,), **{"order-page": ORDER})
    await upload("other", ("contact",), shipments=SHIPMENTS)
    await answers(ask, None, **named, variables=ID)
    unknown = [{"documentId": "f" * 64}, {"doc_id": "order-pages"}, apollo("e" * 64)]
    counts: list[int] = []
    for each in (named, *unknown, named, *unknown):
        before = service.waybill.db.statements
        assert code_of(await ask("contact", **each, variables=ID)) == NOT_FOUND
        counts.append(service.waybill.db.statements - before)
    assert set(counts[1:]) == {1}  # the first looks up the contact as well


async def test_who_has_no_application_learns_that_texts_are_to_be_sent(ask: Ask, upload: Upload) -> None:
    assert code_of(await ask(**apollo(HASH))) == NOT_SUPPORTED
    await upload("portal", ("contact",), order=ORDER)
    assert code_of(await ask(**apollo(HASH))) == NOT_SUPPORTED
    assert code_of(await ask(None, **apollo(HASH))) == NOT_SUPPORTED


async def test_credential_that_is_not_good_is_told_as_such(caller: httpx.AsyncClient, upload: Upload) -> None:
    """Or a client whose token has expired would take its documents for lost."""
    await upload("portal", (PARTNER,), order=ORDER)
    for named in (*NAMED, {"query": ORDER}):
        answer = await caller.post("/graphql", json=named, headers={"apikey": "pk_nobody_has_this_key"})
        assert code_of({"errors": answer.json()["errors"][:1]}) == "UNAUTHENTICATED"


async def test_id_is_refused_where_it_is_no_text(caller: httpx.AsyncClient) -> None:
    for body in ({"documentId": 1}, {"doc_id": {}}):
        answer = await caller.post("/graphql", json=body)
        assert (answer.status_code, code_of(answer.json())) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("document_id", ["x" * 201, "\0", "order\0", "order ", "ördér", "\n", ""], ids=repr)
async def test_what_is_no_id_is_not_looked_for(
    ask: Ask, caller: httpx.AsyncClient, demo_copy_dsn: str, upload: Upload, service: Service, document_id: str
) -> None:
    await upload("portal", (PARTNER,), order=ORDER)
    await answers(ask, None, documentId="order", variables=ID)
    before = service.waybill.db.statements
    for named in ({"documentId": document_id}, {"doc_id": document_id}):
        assert code_of(await ask(**named)) == NOT_FOUND
    if document_id:
        assert code_of(await ask(**apollo(document_id))) == NOT_FOUND
        headers = credentials("apikey", settings_for(demo_copy_dsn))
        for accept in ("application/json", "text/event-stream"):
            answer = await caller.get(
                "/graphql", params={"documentId": document_id}, headers={**headers, "accept": accept}
            )
            assert NOT_FOUND in answer.text
    assert service.waybill.db.statements == before


async def test_unknown_id_has_the_status_of_a_request_error(caller: httpx.AsyncClient, upload: Upload) -> None:
    await upload("portal", ("anonymous",), order=ORDER)
    for accept, status in ((GRAPHQL_RESPONSE, 400), ("application/json", 200)):
        answer = await caller.post("/graphql", json={"documentId": "none"}, headers={"accept": accept})
        assert answer.status_code == status
        assert list(answer.json()) == ["errors"]


# ------------------------------------------------------------------------------------------------ modes


async def test_off_takes_any_text_and_looks_at_none(ask: Ask, service: Service) -> None:
    assert service.waybill.documents.asks_for_nothing
    assert "errors" not in await ask(query=ORDER, variables=ID)
    assert service.waybill.documents.outcomes["unregistered"] == 0


async def test_safelist_takes_registered_texts_and_their_other_spellings(
    ask: Ask, upload: Upload, operate: Operate
) -> None:
    await upload("portal", (PARTNER,), order=ORDER)
    await operate("documents", "mode", PARTNER, "safelist")
    await answers(ask, "QUERY_NOT_IN_SAFELIST", query=SHIPMENTS)
    spelt = ORDER.replace("{", "{\n  # as people write\n").replace("status", "status,")
    for text in (ORDER, spelt, f"{ORDER}\n"):
        assert (await ask(query=text, variables=ID))["data"]["order"]["id"] == 2075
    for text in (ORDER.replace("status", "uuid"), "{ __typename }", "{ __schema { types { name } } }", "{", "# x"):
        assert code_of(await ask(query=text, variables=ID)) == "QUERY_NOT_IN_SAFELIST"
    assert "errors" not in await ask(doc_id="order", variables=ID)
    assert "errors" not in await ask(query=ORDER, **apollo(HASH), variables=ID)
    assert code_of(await ask(query=SHIPMENTS, **apollo(HASH))) == "QUERY_NOT_IN_SAFELIST"
    assert "errors" not in await ask("staff", query=SHIPMENTS)
    await operate("documents", "mode", PARTNER, "default")
    await answers(ask, None, query=SHIPMENTS)


async def test_id_only_takes_no_text(ask: Ask, upload: Upload, operate: Operate) -> None:
    await upload("portal", (PARTNER,), order=ORDER)
    await operate("documents", "mode", PARTNER, "id-only")
    await answers(ask, "PERSISTED_QUERY_ID_REQUIRED", query=ORDER, variables=ID)
    # What comes with an id is not looked at.
    answer = await ask(query=SHIPMENTS, documentId="order", variables=ID)
    assert answer["data"]["order"]["id"] == 2075
    assert code_of(await ask(query=ORDER, **apollo("0" * 64))) == NOT_FOUND


async def test_log_tells_what_is_not_registered_once(
    ask: Ask, upload: Upload, operate: Operate, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    await upload("portal", (PARTNER,), order=ORDER)
    await operate("documents", "mode", PARTNER, "log")
    outcomes = service.waybill.documents.outcomes

    async def is_looked_at() -> bool:
        assert "errors" not in await ask(query=ORDER, variables=ID)
        return outcomes["registered"] > 0

    await holds(is_looked_at)
    caplog.clear()
    with caplog.at_level(logging.INFO, "waybill.documents"):
        for _ in range(3):
            assert "errors" not in await ask(query=SHIPMENTS, operationName="Shipments")
    told = [record.__dict__["facts"] for record in caplog.records if record.name == "waybill.documents"]
    digest = hashlib.sha256(SHIPMENTS.encode()).hexdigest()
    assert told == [{"caller": PARTNER, "operation": "Shipments", "documentId": f"sha256:{digest}"}]
    assert outcomes["unregistered"] == 3


async def test_mode_of_the_settings_is_that_of_who_has_none(demo_copy_dsn: str, operate: Operate) -> None:
    await operate("documents", "mode", "staff", "off")
    settings = settings_for(demo_copy_dsn, document_mode="safelist")
    async with (
        running(settings) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://waybill.test") as client,
    ):
        for viewer, code in (("staff", None), ("apikey", "QUERY_NOT_IN_SAFELIST"), (None, "QUERY_NOT_IN_SAFELIST")):
            answer = await client.post("/graphql", json={"query": SHIPMENTS}, headers=credentials(viewer, settings))
            assert ("errors" in answer.json()) == (code is not None)
            assert code is None or code_of(answer.json()) == code


async def test_portal_is_held_to_its_key_whoever_comes_through(
    caller: httpx.AsyncClient, demo_copy_dsn: str, ask: Ask, upload: Upload, operate: Operate
) -> None:
    await upload("portal", (PARTNER,), order=ORDER)
    await operate("documents", "mode", PARTNER, "safelist")
    await answers(ask, "QUERY_NOT_IN_SAFELIST", query=SHIPMENTS)
    settings = settings_for(demo_copy_dsn)
    headers = {**credentials("contact", settings), **credentials("apikey", settings)}
    for query, refused in ((SHIPMENTS, True), (ORDER, False)):
        answer = (await caller.post("/graphql", json={"query": query, "variables": ID}, headers=headers)).json()
        assert ("errors" in answer and code_of(answer) == "QUERY_NOT_IN_SAFELIST") == refused
    assert "errors" not in await ask("contact", query=SHIPMENTS)


async def test_shop_is_held_to_its_key(ask: Ask, upload: Upload, operate: Operate) -> None:
    orders = "query Orders { customerOrders { totalCount } }"
    await upload("shop", ("storefront_key:1",), orders=orders)
    await operate("documents", "mode", "storefront_key:1", "id-only")
    path = "/api/graphql"
    await answers(ask, "PERSISTED_QUERY_ID_REQUIRED", "john", path=path, query=orders)
    assert (await ask("john", path=path, documentId="orders"))["data"]["customerOrders"]["totalCount"] > 0
    assert code_of(await ask("stranger", path=path, documentId="orders")) == "UNAUTHENTICATED"


async def test_key_of_a_shop_lets_nobody_else_out_of_a_mode(
    caller: httpx.AsyncClient, demo_copy_dsn: str, ask: Ask, upload: Upload, operate: Operate
) -> None:
    await upload("portal", ("contact",), order=ORDER)
    await operate("documents", "mode", "storefront_key:1", "log")
    await operate("documents", "mode", "contact", "id-only")
    await answers(ask, "PERSISTED_QUERY_ID_REQUIRED", "contact", query=ORDER, variables=ID)
    settings = settings_for(demo_copy_dsn)
    shop = {KEY_HEADER: credentials("john", settings)[KEY_HEADER]}
    headers = {**credentials("contact", settings), **shop}
    answer = await caller.post("/graphql", json={"query": ORDER, "variables": ID}, headers=headers)
    assert code_of(answer.json()) == "PERSISTED_QUERY_ID_REQUIRED"
    assert "errors" not in await ask("john", path="/api/graphql", query="{ customerOrders { totalCount } }")


async def test_stranger_without_the_shops_key_is_told_of_it_first(caller: httpx.AsyncClient, upload: Upload) -> None:
    await upload("shop", ("anonymous",), order="query Broken { __typename }")
    answer = await caller.post("/api/graphql", json={"query": "{ nothing }"})
    assert (answer.status_code, answer.json()["error"]) == (401, "missing_key")


# ------------------------------------------------------------------------------------------------ changes


async def test_retired_document_means_nothing_any_more_and_comes_back_as_it_was(
    ask: Ask, upload: Upload, operate: Operate
) -> None:
    await upload("portal", (PARTNER,), order=ORDER)
    await answers(ask, None, documentId="order", variables=ID)
    assert (await operate("documents", "retire", "portal", "--id", "order"))["retired"] == 1
    await answers(ask, NOT_FOUND, documentId="order", variables=ID)
    assert (await upload("portal", order=ORDER))["restored"] == 1
    await answers(ask, None, documentId="order", variables=ID)
    await operate("documents", "remove", "portal", "--yes")
    await answers(ask, NOT_SUPPORTED, documentId="order", variables=ID)


async def test_caller_who_goes_loses_the_ids(ask: Ask, upload: Upload, operate: Operate) -> None:
    await upload("portal", (PARTNER,), order=ORDER)
    await answers(ask, None, documentId="order", variables=ID)
    await operate("documents", "callers", "portal", "--add", "staff", "--remove", PARTNER)
    await answers(ask, NOT_SUPPORTED, documentId="order", variables=ID)
    await answers(ask, None, "staff", documentId="order", variables=ID)


async def test_id_that_two_applications_of_a_caller_give_to_different_texts_names_none(
    ask: Ask, upload: Upload
) -> None:
    await upload("portal", (PARTNER,), order=ORDER, same=SHIPMENTS)
    await upload("other", ("partner",), order=SHIPMENTS, same=SHIPMENTS)
    await answers(ask, None, documentId="same")
    assert code_of(await ask(documentId="order", variables=ID)) == NOT_FOUND
    assert "errors" not in await ask(documentId=f"sha256:{HASH}", variables=ID)


async def test_hash_names_its_text_whatever_was_registered_by_it(
    ask: Ask, upload: Upload, copy_connection: asyncpg.Connection
) -> None:
    """As ids of this form once could be."""
    await upload("portal", (PARTNER,), order=ORDER, other=SHIPMENTS)
    await copy_connection.execute("UPDATE trusted_documents SET document_id = $1 WHERE document_id = 'other'", HASH)
    for named in ({"documentId": HASH}, {"documentId": f"sha256:{HASH}"}, apollo(HASH)):
        await answers(ask, None, **named, variables=ID)
        assert (await ask(**named, variables=ID))["data"]["order"]["id"] == 2075


async def test_uses_are_written_together(
    ask: Ask, upload: Upload, service: Service, copy_connection: asyncpg.Connection, operate: Operate
) -> None:
    await upload("portal", (PARTNER,), order=ORDER, shipments=SHIPMENTS)
    await answers(ask, None, documentId="order", variables=ID)
    assert await copy_connection.fetchval("SELECT count(*) FROM trusted_document_uses") == 0
    await service.waybill.documents._write_uses()
    rows = {row["document_id"]: row["last_used_at"] for row in await operate("documents", "list", "portal")}
    assert rows["order"] is not None
    assert rows["shipments"] is None
    # Within some minutes nothing is written again, and nobody is told of any of it.
    await answers(ask, None, documentId="order", variables=ID)
    await service.waybill.documents._write_uses()
    again = {row["document_id"]: row["last_used_at"] for row in await operate("documents", "list", "portal")}
    assert again == rows


# ------------------------------------------------------------------------------------------------ other ways


def site_of(client: httpx.AsyncClient) -> str:
    return str(client.base_url).rstrip("/")


async def test_get_by_id_has_a_tag_and_is_not_sent_again(
    caller: httpx.AsyncClient, demo_copy_dsn: str, ask: Ask, upload: Upload, copy_connection: asyncpg.Connection
) -> None:
    await upload("portal", (PARTNER,), order=ORDER)
    await answers(ask, None, documentId="order", variables=ID)
    headers = credentials("apikey", settings_for(demo_copy_dsn))
    parameters = {"documentId": f"sha256:{HASH}", "variables": json.dumps(ID)}
    first = await caller.get("/graphql", params=parameters, headers=headers)
    tag = first.headers["etag"]
    assert first.json()["data"]["order"]["id"] == 2075
    assert first.headers["cache-control"] == "no-store"
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = await caller.get("/graphql", params=parameters, headers={**headers, "if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["cache-control"] == "no-store"
    typed = {**headers, "accept": GRAPHQL_RESPONSE}
    other = await caller.get("/graphql", params=parameters, headers={**typed, "if-none-match": tag})
    assert other.status_code == 200
    assert other.headers["etag"] != tag
    await copy_connection.execute("UPDATE orders SET status = 'VALIDATED' WHERE id = 2075")
    changed = await caller.get("/graphql", params=parameters, headers={**headers, "if-none-match": tag})
    assert (changed.status_code, changed.json()["data"]["order"]["status"]) == (200, "VALIDATED")
    by_text = await caller.get("/graphql", params={"query": ORDER, "variables": json.dumps(ID)}, headers=headers)
    assert "etag" not in by_text.headers


async def test_get_by_id_is_for_queries_and_proven_requests(
    caller: httpx.AsyncClient, demo_copy_dsn: str, ask: Ask, upload: Upload
) -> None:
    await upload("portal", ("staff", "anonymous"), order=ORDER, status=SET_STATUS)
    await answers(ask, None, "staff", documentId="order", variables=ID)
    headers = credentials("staff", settings_for(demo_copy_dsn))
    answer = await caller.get("/graphql", params={"documentId": "status"}, headers=headers)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    for parameters in ({"documentId": "order"}, {"doc_id": "order"}):
        answer = await caller.get("/graphql", params=parameters)
        assert code_of(answer.json()) == "PREFLIGHT_REQUIRED"
    hashed = {"extensions": json.dumps(apollo(HASH)["extensions"])}
    assert code_of((await caller.get("/graphql", params=hashed)).json()) == NOT_SUPPORTED
    browser = {**headers, "accept": "text/html,*/*;q=0.8"}
    answer = await caller.get("/graphql", params={"documentId": "order", "variables": json.dumps(ID)}, headers=browser)
    assert answer.json()["data"]["order"]["id"] == 2075


async def test_mutation_by_id_is_the_same_request_as_by_its_text(
    caller: httpx.AsyncClient, demo_copy_dsn: str, ask: Ask, upload: Upload
) -> None:
    await upload("portal", ("staff",), status=SET_STATUS)
    variables = {"input": {"orderId": 2075, "payStatus": "PAID"}}
    await answers(ask, "FORBIDDEN", "staff", documentId="status", variables=variables)
    headers = {**credentials("editor", settings_for(demo_copy_dsn)), "idempotency-key": "once"}
    for named, is_replayed in (({"documentId": "status"}, False), ({"query": SET_STATUS}, True)):
        answer = await caller.post("/graphql", json={**named, "variables": variables}, headers=headers)
        assert answer.json()["data"]["orderSetStatus"]["id"] == 2075
        assert ("idempotent-replayed" in answer.headers) == is_replayed


async def test_socket_takes_ids_and_keeps_to_the_mode(
    service: Service, demo_copy_dsn: str, ask: Ask, upload: Upload, operate: Operate
) -> None:
    await upload("portal", (PARTNER,), feed=FEED, order=ORDER)
    await operate("documents", "mode", PARTNER, "id-only")
    await answers(ask, "PERSISTED_QUERY_ID_REQUIRED", query=ORDER)
    async with served(service, "whole") as client, following(site_of(client), "apikey", demo_copy_dsn) as socket:
        await socket.send(type="subscribe", id="1", payload={"documentId": "feed"})
        assert (await socket.event())["action"] == "UP_TO_DATE"
        await socket.subscribe("2", FEED)
        refused = await socket.receive()
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == (
            "error",
            "PERSISTED_QUERY_ID_REQUIRED",
        )
        await socket.send(type="subscribe", id="3", payload=apollo("0" * 64))
        assert (await socket.receive())["payload"][0]["extensions"]["code"] == NOT_FOUND
        await socket.send(type="subscribe", id="5", payload={"documentId": "\0"})
        assert (await socket.receive())["payload"][0]["extensions"]["code"] == NOT_FOUND
        await socket.send(type="subscribe", id="4", payload={"doc_id": "order", "variables": ID})
        assert (await socket.event("4"))["id"] == 2075


async def test_stream_of_events_takes_ids_and_keeps_to_the_mode(
    service: Service, demo_copy_dsn: str, ask: Ask, upload: Upload, operate: Operate
) -> None:
    await upload("portal", (PARTNER,), feed=FEED)
    await operate("documents", "mode", PARTNER, "id-only")
    await answers(ask, "PERSISTED_QUERY_ID_REQUIRED", query=FEED)
    headers = credentials("apikey", settings_for(demo_copy_dsn))
    events = {**headers, "accept": "text/event-stream"}
    async with served(service, "whole") as client:
        token = (await client.put("/graphql", headers=headers)).text
        for parameters, how in (({"documentId": "feed"}, events), ({"documentId": "feed", "token": token}, {})):
            async with client.stream("GET", "/graphql", params=parameters, headers=how) as stream:
                assert stream.headers["content-type"].startswith("text/event-stream")
                async for line in stream.aiter_lines():
                    if line.startswith("data:"):
                        assert json.loads(line[5:])["data"]["shipmentChanges"]["action"] == "UP_TO_DATE"
                        break
        refused = await client.get("/graphql", params={"query": FEED}, headers=events)
        assert "PERSISTED_QUERY_ID_REQUIRED" in refused.text
        refused = await client.get("/graphql", params={"query": FEED, "token": token})
        assert "PERSISTED_QUERY_ID_REQUIRED" in refused.text
