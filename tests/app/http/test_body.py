"""Encodings of a body, on GraphQL and REST, by both ways of the server."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import httpx
import pytest
from starlette.types import Message

from app.demo import fixtures
from app.errors import RequestRefused
from app.http.body import read_body
from app.http.deadline import Deadlines, Work
from app.http.state import BODY, STATE, State
from app.settings import Limits
from tests.app.http.serving import WAYS, served
from tests.conftest import running, settings_for

QUERY = b'{"query": "{ __typename }"}'
LIMIT = 4_000
LOGIN = "/api/shop/customer/login"
KEY = {"X-STOREFRONT-KEY": fixtures.STOREFRONT_KEY}
JSON_TYPE = {"content-type": "application/json"}
HALF_A_LOGIN = json.dumps({"email": "nobody@example.com"}).encode()


@pytest.fixture(params=WAYS)
async def client(request: pytest.FixtureRequest, demo_dsn: str) -> AsyncIterator[httpx.AsyncClient]:
    async with running(settings_for(demo_dsn)) as app, served(app, request.param) as client:
        client.headers.update(KEY)
        yield client


@pytest.fixture(params=WAYS)
async def small(request: pytest.FixtureRequest, demo_dsn: str) -> AsyncIterator[httpx.AsyncClient]:
    """Takes bodies of `LIMIT` bytes."""
    async with (
        running(settings_for(demo_dsn, limits=Limits(body_bytes=LIMIT))) as app,
        served(app, request.param) as client,
    ):
        client.headers.update(KEY)
        yield client


async def post(client: httpx.AsyncClient, body: bytes, *codings: str, path: str = "/graphql") -> httpx.Response:
    headers = [*JSON_TYPE.items(), *(("content-encoding", coding) for coding in codings)]
    return await client.post(path, content=body, headers=headers)


NO_ENCODING = [[], [""], ["identity"], ["Identity"], ["IDENTITY"], ["identity, identity,"], [",", ""], ["identity", ""]]
IN_GZIP = [["gzip"], ["GZip"], ["x-gzip"], ["X-GZIP"], ["identity, gzip"], ["gzip", ""]]
OTHERS = [["br"], ["deflate"], ["zstd"], ["compress"], ["gzip, gzip"], ["gzip", "gzip"], ["gzip, br"], ["*"], ["gz ip"]]


async def test_body_without_an_encoding_passes_however_that_is_said(client: httpx.AsyncClient) -> None:
    for path, codings in product(("/graphql", "/v2/graphql", "/api/graphql"), NO_ENCODING):
        response = await post(client, QUERY, *codings, path=path)
        assert (response.status_code, response.json()) == (200, {"data": {"__typename": "Query"}}), codings
    for codings in NO_ENCODING:
        response = await post(client, b"{}", *codings, path="/api/shop/verify-tokens")
        assert (response.status_code, response.json()["isValid"]) == (201, False), codings


async def test_gzip_is_unpacked(client: httpx.AsyncClient) -> None:
    for codings, level in product(IN_GZIP, (0, 1, 9)):
        response = await post(client, gzip.compress(QUERY, level), *codings)
        assert (response.status_code, response.json()) == (200, {"data": {"__typename": "Query"}}), codings
    for codings in IN_GZIP:
        response = await post(client, gzip.compress(HALF_A_LOGIN), *codings, path=LOGIN)
        assert (response.status_code, response.json()["message"]) == (400, "The password field is required."), codings


async def test_gzip_that_comes_in_chunks_is_unpacked(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for byte in gzip.compress(QUERY):
            yield bytes([byte])

    response = await client.post("/graphql", content=chunks(), headers=JSON_TYPE | {"content-encoding": "gzip"})
    assert response.json() == {"data": {"__typename": "Query"}}


async def test_other_encodings_are_415_and_told_which_are_taken(client: httpx.AsyncClient) -> None:
    for codings, path in product(OTHERS, ("/graphql", LOGIN)):
        response = await post(client, gzip.compress(QUERY), *codings, path=path)
        assert response.status_code == 415, codings
        assert response.headers["accept-encoding"] == "gzip, identity"
        assert "Content-Encoding" in response.text
        assert "UTF-8" not in response.text
    response = await post(client, QUERY, "br")
    assert response.json()["errors"][0]["extensions"]["code"] == "UNSUPPORTED_MEDIA_TYPE"


BROKEN = (
    (QUERY, "is not gzip"),
    (b"\x1f\x8b", "ends before"),
    (b"", "ends before"),
    (gzip.compress(QUERY)[:-1], "ends before"),
    (gzip.compress(QUERY)[:-9], "ends before"),
    (gzip.compress(QUERY)[:-8] + bytes(8), "is not gzip"),  # another checksum and length
    (gzip.compress(QUERY)[:12] + b"\xff\xff" + gzip.compress(QUERY)[14:], "is not gzip"),
    (zlib.compress(QUERY), "is not gzip"),
    (gzip.compress(QUERY) + b"more", "goes on"),
    (gzip.compress(QUERY) + bytes(512), "goes on"),
    (gzip.compress(QUERY) + gzip.compress(b" "), "goes on"),
)


async def test_what_is_not_gzip_to_its_last_byte_is_400(client: httpx.AsyncClient) -> None:
    for (body, told), path in product(BROKEN, ("/graphql", LOGIN)):
        response = await post(client, body, "gzip", path=path)
        assert response.status_code == 400, body
        assert told in response.text, body


async def test_unpacked_body_has_the_limit_of_any_other(small: httpx.AsyncClient) -> None:
    for size, status in ((LIMIT, 200), (LIMIT + 1, 413)):
        body = QUERY + b" " * (size - len(QUERY))
        for response in (await post(small, body), await post(small, gzip.compress(body), "gzip")):
            assert response.status_code == status
        refused = await post(small, gzip.compress(body), "gzip", path=LOGIN)
        assert (refused.status_code == 413) is (status == 413)
    assert "4000 bytes" in refused.text


async def test_small_body_that_would_come_to_gigabytes_is_refused_unpacked(small: httpx.AsyncClient) -> None:
    bomb = gzip.compress(b" " * (LIMIT * 1_000 - 100))
    assert len(bomb) <= LIMIT
    for path in ("/graphql", LOGIN):
        response = await post(small, bomb, "gzip", path=path)
        assert response.status_code == 413
    assert (await post(small, QUERY)).status_code == 200


async def test_bomb_is_unpacked_no_further_than_the_limit() -> None:
    bomb = gzip.compress(bytes(100_000_000))
    scope: dict[str, Any] = {"headers": [(b"content-encoding", b"gzip")], BODY: bomb}
    scope[STATE] = State(scope, Work(Deadlines(), None, 0))

    async def receive() -> Message:
        raise AssertionError("the body is there already")

    tracemalloc.start()
    try:
        with pytest.raises(RequestRefused, match="over 200000 bytes"):
            await read_body(scope, receive, 200_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


async def test_encoding_of_a_get_is_nobodys_matter(client: httpx.AsyncClient) -> None:
    headers = {"apollo-require-preflight": "1", "content-encoding": "br"}
    response = await client.get("/graphql", params={"query": "{ __typename }"}, headers=headers)
    assert response.json() == {"data": {"__typename": "Query"}}


async def test_large_body_of_many_small_values_is_too_large(client: httpx.AsyncClient) -> None:
    """As many as a large text could be, and none that a text of that size has to hold."""
    document = {"query": "{ __typename }", "extensions": {"text": "x" * 300_000, "many": [0] * 49_990}}
    for codings, pack in (((), bytes), (("gzip",), gzip.compress)):
        response = await post(client, pack(json.dumps(document).encode()), *codings)
        assert (response.status_code, response.json()) == (200, {"data": {"__typename": "Query"}})
        many = {**document, "extensions": {"text": "x" * 300_000, "many": [0] * 50_001}}
        response = await post(client, pack(json.dumps(many).encode()), *codings)
        assert response.status_code == 413
        assert response.json()["errors"][0]["extensions"]["code"] == "BODY_TOO_LARGE"


async def test_commas_and_brackets_in_texts_are_no_values(client: httpx.AsyncClient) -> None:
    """Texts of carriers have them, and quotes and backslashes. One that does not end hides no value before it."""
    text = 'Parcel ["B", 2], at C:\\{depot}, handed over. \\' * 10_000
    document = {"query": "{ __typename }", "extensions": {"texts": [text, ',[{"'] * 2}}
    for codings, pack in (((), bytes), (("gzip",), gzip.compress)):
        response = await post(client, pack(json.dumps(document).encode()), *codings)
        assert (response.status_code, response.json()) == (200, {"data": {"__typename": "Query"}})
        for end in (b"", b'"' + b'\\"' * 100_000):
            many = json.dumps({**document, "extensions": {"texts": [text], "many": [0] * 50_001}}).encode() + end
            assert (await post(client, pack(many), *codings)).status_code == 413


async def test_long_document_is_refused_before_it_is_read(client: httpx.AsyncClient) -> None:
    document = {"query": f"{{ __typename }} #{'x' * 256_000}"}
    response = await post(client, json.dumps(document).encode())
    [error] = response.json()["errors"]
    assert (error["extensions"]["code"], error["message"]) == (
        "LIMIT_EXCEEDED",
        "The document has over 256000 characters.",
    )
