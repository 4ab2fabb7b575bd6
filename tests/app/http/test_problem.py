"""Refusals by HTTP are problems of RFC 9457 but where a contract has words of its own."""

import httpx
import pytest

from app.demo import fixtures
from app.errors import Shed
from app.http.overload import LoadShedder
from tests.conftest import calling, running, settings_for

MEMBERS = {"type", "title", "status", "detail", "instance", "code", "requestId", "errors"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "NOT_FOUND"),
        ("POST", "/healthz", {}, 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/export/orders.csv", {}, 401, "UNAUTHENTICATED"),
        ("GET", "/export/orders.csv?what=1", {"apikey": fixtures.PARTNER_KEY}, 400, "VALIDATION_ERROR"),
        ("DELETE", "/export/shipments.ndjson", {}, 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_paths_without_a_contract_answer_problems(
    client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await client.request(method, path, headers={**headers, "x-request-id": "r7"})
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json; charset=utf-8"
    assert problem.keys() >= MEMBERS
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert (problem["instance"], problem["requestId"]) == (path.partition("?")[0], "r7")
    assert problem["detail"] == problem["errors"][0]["message"]
    assert problem["errors"][0]["extensions"]["code"] == code


@pytest.mark.parametrize(
    ("path", "instance"),
    [
        ("/a%20b%22%3C%3E%5C%7B%7D%0A", "/a%20b%22%3C%3E%5C%7B%7D%0A"),
        ("/%C3%A9%25%3F%23", "/%C3%A9%25%3F%23"),
        ("/a:b@c;d=1,2/$", "/a:b@c;d=1,2/$"),
        ("//other.example/a", "/.//other.example/a"),
    ],
)
async def test_instance_is_a_reference_to_the_path(client: httpx.AsyncClient, path: str, instance: str) -> None:
    url = client.base_url.copy_with(raw_path=path.encode())
    answer = await client.request("PATCH", url)
    assert answer.json()["instance"] == instance


async def test_paths_of_contracts_keep_their_words(client: httpx.AsyncClient) -> None:
    by_graphql = await client.post("/graphql", content=b"what", headers={"content-type": "text/plain"})
    assert by_graphql.status_code == 415
    assert by_graphql.json().keys() == {"errors"}
    by_shop = await client.get("/api/shop/customer-orders/1")
    assert by_shop.status_code == 401
    assert by_shop.json().keys() == {"message", "error", "header_name", "key_type"}
    for answer in (by_graphql, by_shop):
        assert answer.headers["content-type"].startswith("application/json")


async def test_whoever_is_shed_is_told_in_the_words_of_the_path(demo_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoadShedder, "admit", lambda *_: False)
    monkeypatch.setattr(LoadShedder, "refuses", lambda *_: True)
    async with running(settings_for(demo_dsn)) as app, calling(app) as client:
        answers = {
            path: await client.get(path) for path in ("/api/shop/customer-orders", "/graphql", "/export/orders.csv")
        }
    assert {answer.status_code for answer in answers.values()} == {503}
    assert {answer.headers["retry-after"] for answer in answers.values()} == {"1"}
    shop, graphql, export = (answer.json() for answer in answers.values())
    assert shop == {"message": Shed.text, "code": "OVERLOADED"}
    assert graphql == {"errors": [{"message": Shed.text, "extensions": {"code": "OVERLOADED"}}]}
    assert (export["code"], export["title"]) == ("OVERLOADED", "Service Unavailable")
