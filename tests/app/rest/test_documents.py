"""Documents over HTTP: who may register them, and what is answered."""

import gzip
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from app.asgi import Service
from app.auth.token import Tokens
from app.rest import documents
from app.settings import Limits
from tests.app.documents.conftest import Upload, operate, upload
from tests.conftest import calling, credentials, running, settings_for

__all__ = ["operate", "upload"]

ORDER = "query Order { order(orderId: 2075) { id } }"
URL = "/documents/portal"


@pytest.fixture
async def client(demo_copy_dsn: str, upload: Upload) -> AsyncIterator[httpx.AsyncClient]:
    await upload("portal", ("api_key:2", "partner"), before="{ __typename }")
    async with running(settings_for(demo_copy_dsn)) as app:
        assert isinstance(app, Service)
        yield calling(app)


@pytest.fixture
async def key(copy_connection: asyncpg.Connection) -> dict[str, str]:
    """The header of the key of id 2, which may register."""
    await copy_connection.execute("UPDATE api_keys SET scopes = '{documents:write}' WHERE id = 2")
    return credentials("read-only", settings_for("postgresql://"))


@pytest.fixture
def staff() -> dict[str, str]:
    token = Tokens(settings_for("postgresql://")).issue("staff:9", scope="documents:write")
    return {"Authorization": f"Bearer {token}"}


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """Of a refusal, which is a problem of RFC 9457."""
    problem = answer.json()
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert (problem["status"], problem["detail"]) == (answer.status_code, problem["errors"][0]["message"])
    assert problem["code"] == problem["errors"][0]["extensions"]["code"]
    return answer.status_code, problem["code"]


async def test_manifest_is_registered_read_used_and_retired(
    client: httpx.AsyncClient, key: dict[str, str], copy_connection: asyncpg.Connection
) -> None:
    answer = await client.post(f"{URL}?version=1.4", json={"order": ORDER}, headers=key)
    assert answer.json() == {"application": "portal", "version": "1.4", "added": 1, "kept": 0, "restored": 0}
    msgspec.json.decode(answer.content, type=documents.Uploaded)
    registered = await client.get(URL, headers=key)
    msgspec.json.decode(registered.content, type=documents.Registered)
    told = registered.json()
    by_id = {each["documentId"]: each for each in told["documents"]}
    assert set(by_id) == {"before", "order"}
    assert by_id["order"]["versions"] == ["1.4"]
    answer = await client.delete(f"{URL}?version=1.4", headers=key)
    msgspec.json.decode(answer.content, type=documents.Retired)
    assert answer.json() == {"application": "portal", "retired": 1, "documentIds": ["order"]}
    assert len((await client.get(f"{URL}?all=true", headers=key)).json()["documents"]) == 2
    nothing = await client.delete(f"{URL}?id=%00&id=%C3%A9", headers=key)
    assert nothing.json() == {"application": "portal", "retired": 0, "documentIds": []}
    answer = await client.delete(f"{URL}?id=before&id=order&id=%00", headers=key)
    assert answer.json()["documentIds"] == ["before"]
    trail = await copy_connection.fetch("SELECT actor, action, subject FROM audit_entries WHERE actor = 'partner:2'")
    actions = ["documents upload", *["documents retire"] * 3]
    assert [tuple(row) for row in trail] == [("partner:2", action, "application:1") for action in actions]


async def test_packed_manifest_is_taken(client: httpx.AsyncClient, key: dict[str, str]) -> None:
    body = gzip.compress(json.dumps({"order": ORDER}).encode())
    answer = await client.post(URL, content=body, headers={**key, "content-encoding": "gzip"})
    assert answer.json()["added"] == 1


async def test_bad_documents_are_refused_with_their_places(client: httpx.AsyncClient, key: dict[str, str]) -> None:
    answer = await client.post(URL, json={"good": ORDER, "bad": "{\n  nothing\n}", "worse": "{"}, headers=key)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"message": message, "extensions": {"code": "DOCUMENT_REFUSED"}}
        for message in (
            "bad, line 2, column 3: Cannot query field 'nothing' on type 'Query'.",
            "worse, line 1, column 2: Syntax Error: Expected Name, found <EOF>.",
        )
    ]
    assert len((await client.get(URL, headers=key)).json()["documents"]) == 1


async def test_what_costs_too_much_whatever_its_variables_are_is_refused(
    demo_copy_dsn: str, upload: Upload, key: dict[str, str]
) -> None:
    await upload("portal", ("api_key:2",), before="{ __typename }")
    orders = "orders(input: {{offset: {}}}) {{ items {{ id }} }}"
    given = {
        "fixed": f"{{ {orders.format(100)} }}",
        "chosen": f"query ($offset: Int) {{ {orders.format('$offset')} }}",
        "skipped": "query ($no: Boolean!) { orders(input: {offset: 1}) @skip(if: $no) { items { id } } __typename }",
    }
    async with running(settings_for(demo_copy_dsn, limits=Limits(cost=20))) as app, calling(app) as client:
        refused = await client.post(URL, json=given, headers=key)
        assert refused.status_code == 422
        assert [error["message"] for error in refused.json()["errors"]] == [
            "fixed: The query may cost 105 points, and 20 is the limit."
        ]
        del given["fixed"]
        assert (await client.post(URL, json=given, headers=key)).json()["added"] == 2


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_who_may_not_is_refused_and_learns_of_no_application(
    client: httpx.AsyncClient, key: dict[str, str], staff: dict[str, str], method: str, upload: Upload
) -> None:
    """A kind of callers is not one key: no partner changes what all of them call by."""
    await upload("other", ("partner", "api_key:1"), before="{ __typename }")
    asked: dict[str, Any] = {"json": {"order": ORDER}} if method == "POST" else {}
    query = "?id=before" if method == "DELETE" else ""
    settings = settings_for("postgresql://")

    async def ask(path: str, headers: dict[str, str]) -> tuple[int, str]:
        answer = await client.request(method, f"/documents/{path}{query}", headers=headers, **asked)
        return (200, "") if answer.status_code == 200 else code_of(answer)

    assert await ask("portal", {}) == (401, "UNAUTHENTICATED")
    for viewer in ("apikey", "contact", "john", "staff", "editor"):
        assert await ask("portal", credentials(viewer, settings)) in ((403, "FORBIDDEN"), (401, "UNAUTHENTICATED"))
    there, nowhere = [
        await client.request(method, f"/documents/{name}{query}", headers=key, **asked) for name in ("other", "none")
    ]
    assert code_of(there) == (404, "NOT_FOUND")
    told = [{**answer.json(), "instance": None, "requestId": None} for answer in (there, nowhere)]
    assert told[0] == told[1]
    assert await ask("other", staff) == await ask("portal", key) == (200, "")


async def test_what_is_asked_wrongly_is_refused(
    client: httpx.AsyncClient, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for method, url, code in (
        ("PUT", URL, (405, "METHOD_NOT_ALLOWED")),
        ("DELETE", URL, (400, "BAD_REQUEST")),
        ("DELETE", f"{URL}?ids=a", (400, "BAD_REQUEST")),
        ("GET", f"{URL}?all=true&all=true", (400, "BAD_REQUEST")),
        ("POST", f"{URL}?version=a%20b", (400, "BAD_REQUEST")),
        ("POST", URL, (400, "BAD_REQUEST")),
        ("GET", "/documents/%00", (404, "NOT_FOUND")),
        ("POST", "/documents/%00", (404, "NOT_FOUND")),
        ("DELETE", "/documents/%00?id=a", (404, "NOT_FOUND")),
    ):
        assert code_of(await client.request(method, url, headers=key)) == code, (method, url)
    assert code_of(await client.post(URL, json=[], headers=key)) == (422, "DOCUMENT_REFUSED")
    monkeypatch.setattr(documents, "MOST_UPLOADED", 1)
    refused = await client.put(URL, headers=key)
    assert refused.headers["allow"] == "GET, POST, DELETE"
    two = {"a": ORDER, "b": "{ __typename }"}
    assert code_of(await client.post(URL, json=two, headers=key)) == (413, "TOO_MANY_DOCUMENTS")


async def test_each_document_is_paid_for(demo_copy_dsn: str, upload: Upload, key: dict[str, str]) -> None:
    await upload("portal", ("api_key:2",), before="{ __typename }")
    settings = settings_for(demo_copy_dsn, cost_capacity=1_000, cost_restore_rate=1)
    three = {name: f"query {name} {{ __typename }}" for name in "abc"}
    async with running(settings) as app, calling(app) as client:
        answers = [
            await client.post(URL, json=three, headers=key),
            await client.delete(f"{URL}?id=a&id=b", headers=key),
            await client.get(URL, headers=key),
        ]
        left = [re.findall(r'"points";r=(\d+)', answer.headers["ratelimit"]) for answer in answers]
        assert [round(int(points), -2) for [points] in left] == [700, 500, 400]
        for _ in range(2):
            refused = await client.post(URL, json=three, headers=key)
        assert code_of(refused) == (429, "RATE_LIMIT_EXCEEDED")
        assert int(refused.headers["retry-after"]) >= 100
