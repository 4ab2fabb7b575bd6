"""GraphQL over HTTP on the real application. The audits of the draft are named by their ids where a test covers one."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
import uvicorn
from ariadne import MutationType, QueryType
from starlette.applications import Starlette
from starlette.types import Message, Scope

from app.auth.storefront_key import Storefront
from app.documents.policy import Mode
from app.documents.registry import Identity, TrustedDocuments
from app.execution.execute import Engine
from app.execution.schema import build
from app.http.budget import Budgets, Rate
from app.http.graphql import PREFLIGHT_HEADERS, GraphQLEndpoint
from app.http.middleware import Exchange
from app.http.negotiation import GRAPHQL_RESPONSE
from app.http.rate_limit import Admission, RateLimits
from app.settings import Limits
from app.telemetry import Telemetry
from tests.conftest import calling, connecting, credentials, settings_for

QUERY = "{ __typename }"
JSON_TYPE = {"content-type": "application/json"}
GRAPHQL = ["/graphql", "/v2/graphql", "/api/graphql"]
HASH = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
ORDER_STATUSES = "{ orderStatuses { items { code } } }"


@pytest.mark.parametrize("path", ["/graphql", "/v2/graphql"])
async def test_both_paths_answer(client: httpx.AsyncClient, path: str) -> None:
    response = await client.post(path, json={"query": QUERY, "variables": {}, "operationName": None})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["vary"] == "Accept"
    assert response.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "query", ["{", "{ nothing }", "query($id: String!) { __typename }", "query A { __typename } query B { __typename }"]
)
async def test_a_request_error_is_400_only_for_those_who_know_the_new_media_type(
    client: httpx.AsyncClient, query: str
) -> None:
    new = await client.post("/graphql", json={"query": query}, headers={"accept": GRAPHQL_RESPONSE})
    old = await client.post("/graphql", json={"query": query}, headers={"accept": "application/json"})
    assert (new.status_code, old.status_code) == (400, 200)
    assert new.headers["content-type"].startswith(GRAPHQL_RESPONSE)
    assert new.json() == old.json()
    assert list(new.json()) == ["errors"]


async def test_a_field_error_is_200_for_both_media_types(client: httpx.AsyncClient) -> None:
    for accept in (GRAPHQL_RESPONSE, "application/json"):
        response = await client.post("/graphql", json={"query": ORDER_STATUSES}, headers={"accept": accept})
        assert response.status_code == 200
        error = response.json()["errors"][0]
        assert (error["path"], error["extensions"]["code"]) == (["orderStatuses"], "UNAUTHENTICATED")


async def test_a_bad_credential_is_an_error_of_each_root_field_and_not_of_introspection(
    client: httpx.AsyncClient,
) -> None:
    headers = {"authorization": "Bearer forged"}
    refused = await client.post("/graphql", json={"query": ORDER_STATUSES}, headers=headers)
    assert refused.status_code == 200
    assert refused.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    schema = await client.post("/graphql", json={"query": "{ __schema { queryType { name } } }"}, headers=headers)
    assert schema.json() == {"data": {"__schema": {"queryType": {"name": "Query"}}}}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b'"text"',
        b"[]",
        b'[{"query": "{ __typename }"}]',
        b"{}",
        b'{"query": 0}',
        b'{"query": null}',
        b'{"query": "{ __typename }", "variables": []}',
        b'{"query": "{ __typename }", "variables": "{}"}',
        b'{"query": "{ __typename }", "operationName": 1}',
        b'{"query": "{ __typename }", "extensions": []}',
        b'{"query": "{ __typename }", "extensions": false}',
        b'{"query": "\xff"}',
        b'{"query": "\\ud800"}',
        b'{"query": "{ __typename }", "variables": {"a": ' + b"[" * 90_000 + b"]" * 90_000 + b"}}",
    ],
)
async def test_what_is_no_graphql_request_is_400(client: httpx.AsyncClient, body: bytes) -> None:
    for accept in (GRAPHQL_RESPONSE, "application/json"):
        response = await client.post("/graphql", content=body, headers={**JSON_TYPE, "accept": accept})
        assert response.status_code == 400
        assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("parameter", ["variables", "operationName", "extensions"])
async def test_null_parameters_are_as_good_as_none(client: httpx.AsyncClient, parameter: str) -> None:
    response = await client.post("/graphql", json={"query": QUERY, parameter: None})
    assert response.json() == {"data": {"__typename": "Query"}}


async def test_a_number_over_64_bits_is_a_wrong_value_and_nothing_worse(client: httpx.AsyncClient) -> None:
    body = b'{"query": "query($id: Int!) { carrier(id: $id) { id } }", "variables": {"id": ' + b"9" * 400 + b"}}"
    response = await client.post("/graphql", content=body, headers=JSON_TYPE)
    assert response.status_code in (200, 400)
    assert response.json()["errors"][0]["extensions"]["code"] in ("BAD_USER_INPUT", "BAD_REQUEST")


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain", "application/graphql", None],
)
async def test_other_bodies_than_json_are_415(client: httpx.AsyncClient, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = await client.post("/graphql", content=b'{"query": "{ __typename }"}', headers=headers)
    assert response.status_code == 415
    assert response.headers["accept-post"] == "application/json"
    assert response.json()["errors"][0]["extensions"]["code"] == "UNSUPPORTED_MEDIA_TYPE"


async def test_an_answer_that_nobody_accepts_is_406(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json={"query": QUERY}, headers={"accept": "text/html"})
    assert response.status_code == 406


async def test_a_body_over_the_limit_is_413_by_its_length_and_while_it_streams(client: httpx.AsyncClient) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 500_000

    for content in (b" " * 2_500_001, stream()):
        response = await client.post("/graphql", content=content, headers=JSON_TYPE)
        assert response.status_code == 413
        assert response.json()["errors"][0]["extensions"]["code"] == "BODY_TOO_LARGE"


async def test_a_body_over_the_limit_is_not_read_to_its_end(app: Starlette) -> None:
    chunks = 0
    sent: list[Message] = []

    async def receive() -> Message:
        nonlocal chunks
        chunks += 1
        return {"type": "http.request", "body": b" " * 100_000, "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    await app(scope, receive, send)
    assert chunks == 68  # so far, and no further, for the answer to arrive
    assert sent[0]["status"] == 413


@pytest.mark.parametrize("header", [*PREFLIGHT_HEADERS, "content-type"])
async def test_get_answers_queries_with_a_header_that_needs_a_preflight(client: httpx.AsyncClient, header: str) -> None:
    query = "query Type($name: String!) { __type(name: $name) { name } }"
    parameters = {"query": query, "variables": '{"name": "Query"}', "operationName": "", "extensions": "{}"}
    response = await client.get("/graphql", params=parameters, headers={header: "application/json"})
    assert response.json() == {"data": {"__type": {"name": "Query"}}}


@pytest.mark.parametrize("path", GRAPHQL)
@pytest.mark.parametrize("value", ["Bearer a.b.c", "bearer 1|a.b.c", "Bearer "])
async def test_get_answers_queries_with_a_bearer_token(client: httpx.AsyncClient, path: str, value: str) -> None:
    """What is a token is found out by the fields that need one."""
    response = await client.get(path, params={"query": QUERY}, headers={"authorization": value})
    assert (response.status_code, response.json()) == (200, {"data": {"__typename": "Query"}})


@pytest.mark.parametrize("viewer", ["staff", "partner", "contact"])
async def test_get_answers_who_brings_a_token(client: httpx.AsyncClient, demo_dsn: str, viewer: str) -> None:
    headers = credentials(viewer, settings_for(demo_dsn))
    response = await client.get("/graphql", params={"query": "{ orders { itemsFound } }"}, headers=headers)
    assert response.json()["data"]["orders"]["itemsFound"] > 0


async def test_get_answers_a_customer_with_a_token(client: httpx.AsyncClient, demo_dsn: str) -> None:
    headers = credentials("john", settings_for(demo_dsn))
    response = await client.get("/api/graphql", params={"query": "{ customerOrders { totalCount } }"}, headers=headers)
    assert response.json()["data"]["customerOrders"]["totalCount"] > 0


@pytest.mark.parametrize("path", GRAPHQL)
@pytest.mark.parametrize(
    "value", ["", "Bearer", "Basic dTpw", "Digest username=u", "Negotiate YII=", "NTLM TlRM", "token"]
)
async def test_what_browsers_authorize_with_by_themselves_proves_no_preflight(
    client: httpx.AsyncClient, path: str, value: str
) -> None:
    response = await client.get(path, params={"query": QUERY}, headers={"authorization": value})
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "PREFLIGHT_REQUIRED"


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/plain"}, {"accept": GRAPHQL_RESPONSE}])
async def test_get_without_such_a_header_is_refused(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    response = await client.get("/graphql", params={"query": QUERY}, headers=headers)
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "PREFLIGHT_REQUIRED"


def not_supported(response: httpx.Response) -> bool:
    [error] = response.json()["errors"]
    return list(response.json()) == ["errors"] and error == {
        "message": "PersistedQueryNotSupported",
        "extensions": {"code": "PERSISTED_QUERY_NOT_SUPPORTED"},
    }


@pytest.mark.parametrize("path", GRAPHQL)
@pytest.mark.parametrize("query", [{}, {"query": None}, {"query": ""}])
async def test_hash_without_a_query_is_answered_as_clients_expect_who_send_the_query_then(
    client: httpx.AsyncClient, path: str, query: dict[str, Any]
) -> None:
    """Apollo Client and urql read the body whatever the status; the media type decides it, as of any request error."""
    body = {**query, "operationName": "Q", "variables": {}, "extensions": HASH}
    parameters = {name: value or "" for name, value in query.items()} | {"extensions": json.dumps(HASH)}
    for accept, status in ((GRAPHQL_RESPONSE, 400), ("application/json", 200), ("*/*", 200)):
        headers = {"accept": accept}
        for response in (
            await client.post(path, json=body, headers=headers),
            await client.get(path, params=parameters, headers=headers),  # it runs nothing, and needs no preflight
        ):
            assert response.status_code == status
            assert response.headers["content-type"].startswith(accept.replace("*/*", "application/json"))
            assert response.headers["cache-control"] == "no-store"
            assert not_supported(response)


@pytest.mark.parametrize("path", GRAPHQL)
async def test_query_that_comes_with_its_hash_is_answered(client: httpx.AsyncClient, path: str) -> None:
    parameters = {"query": QUERY, "extensions": json.dumps(HASH)}
    headers = {"apollo-require-preflight": "1"}
    posted = await client.post(path, json={"query": QUERY, "extensions": HASH})
    got = await client.get(path, params=parameters, headers=headers)
    assert posted.json() == got.json() == {"data": {"__typename": "Query"}}
    unproven = await client.get(path, params=parameters)
    assert unproven.json()["errors"][0]["extensions"]["code"] == "PREFLIGHT_REQUIRED"


@pytest.mark.parametrize(
    "body",
    [
        {"extensions": {}},
        {"extensions": {"persistedQuery": None}},
        {"query": 0, "extensions": HASH},
        {"query": [], "extensions": HASH},
        {"extensions": [HASH]},
        {"extensions": {"other": HASH}},
        {"documentId": 0},
        {"doc_id": ["sha256:0"]},
    ],
)
async def test_other_requests_without_a_query_are_refused_as_before(
    client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    response = await client.post("/graphql", json=body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ('{"query": "{ __typename }", "variables": {"a": 1e400}}', "line 1, column 48"),
        ('{"query": "{ __typename }",\n"variables": {"a": %s}}' % ("9" * 5_000), "line 2, column 20"),
        ('{"query": "{ __typename }",}', "line 1, column 27"),
    ],
)
async def test_what_cannot_be_read_as_json_is_told_with_its_place(
    client: httpx.AsyncClient, body: str, place: str
) -> None:
    response = await client.post("/graphql", content=body, headers=JSON_TYPE)
    assert response.status_code == 400
    assert place in response.json()["errors"][0]["message"]
    assert "9999" not in response.text


async def test_parameter_that_cannot_be_read_as_json_is_named(client: httpx.AsyncClient) -> None:
    parameters = {"query": QUERY, "variables": '{"a": 1e400}'}
    response = await client.get("/graphql", params=parameters, headers={"x-requested-with": "test"})
    assert response.json()["errors"][0]["message"].startswith('The parameter "variables" cannot be read as JSON')


LONG = "9" * 5_000
QUOTING = [
    f"{{ x{LONG} }}",
    f"{{ carrier(id: {LONG}) {{ id }} }}",
    f"{{ carrier(id: -{LONG}) {{ id }} }}",
    f'{{ carrier(id: "{LONG}") {{ id }} }}',
    f"{{ carrier(id: x{LONG}) {{ id }} }}",
    f'{{ carrier(id: {{a: "{LONG}"}}) {{ id }} }}',
    f'{{ carrier(id: ["{"x y " * 1_000}"]) {{ id }} }}',
    f"{{ carrier(x{LONG}: 1) {{ id }} }}",
    f"{{ carrier(id: 1) {{ id @x{LONG} }} }}",
    f"{{ carrier(id: 1) {{ id @skip(if: {LONG}) }} }}",
    f"{{ carriers {{ ...F{LONG} }} }}",
    f"{{ carriers {{ ... on T{LONG} {{ id }} }} }}",
    f"query Q($v{LONG}: Int) {{ __typename }}",
    f"query($v: T{LONG}) {{ carrier(id: $v) {{ id }} }}",
    f"query($v: Int = {LONG}) {{ carrier(id: $v) {{ id }} }}",
    f"{{ carrier(id: $v{LONG}) {{ id }} }}",
    f"{{ a{LONG}: carrier(id: 1) {{ id }} a{LONG}: carrier(id: 2) {{ id }} }}",
    f"fragment F{LONG} on Query {{ __typename }} {{ __typename }}",
    f"{{ {LONG}",
    f'{{ "{LONG}"',
    f'{{ "{"x y " * 1_000}"',
    f"{{ shipments(input: {{statuses: [S{LONG}]}}) {{ itemsFound }} }}",
    f'{{ shipment(id: "{LONG}") {{ id }} }}',
    f"{{ shipment(id: {LONG}) {{ id }} }}",
    f'{{ order(orderUUID: "{LONG}") {{ id }} }}',
    f'{{ order(orderUUID: "{"x y " * 1_000}") {{ id }} }}',
    f'{{ changes(after: "{LONG}") {{ nextCursor }} }}',
    f'{{ customerOrder(id: "{LONG}") {{ id }} }}',
    f"{{ customerOrder(id: {LONG}) {{ id }} }}",
    f'{{ customerOrders(after: "{LONG}") {{ totalCount }} }}',
    f"{{ customerOrders(first: {LONG}) {{ totalCount }} }}",
]


@pytest.mark.parametrize("query", QUOTING)
async def test_answer_does_not_grow_with_what_it_quotes(client: httpx.AsyncClient, demo_dsn: str, query: str) -> None:
    """And is in words of GraphQL's, never of Python's."""
    settings = settings_for(demo_dsn)
    for viewer in ("staff", "john"):
        response = await client.post("/graphql", json={"query": query}, headers=credentials(viewer, settings))
        assert response.status_code == 200
        for error in response.json()["errors"]:
            assert len(error["message"]) <= 1_000
            assert "sys.set_int_max_str_digits" not in error["message"]
            assert error["extensions"]["code"] != "INTERNAL_SERVER_ERROR"
        assert len(response.content) < 3_000 + (len(query) if "a9" in query else 0)  # a name that the caller chose


@pytest.mark.parametrize(
    "body",
    [
        {"query": "query A { __typename } query B { __typename }", "operationName": LONG},
        {"query": "query($v: Int) { carrier(id: $v) { id } }", "variables": {"v": LONG}},
        {
            "query": "query($v: OrderSearchArguments) { orders(input: $v) { itemsFound } }",
            "variables": {"v": {LONG: 1}},
        },
        {"query": "query($v: String!) { shipment(id: $v) { id } }", "variables": {"v": LONG}},
    ],
)
async def test_answer_does_not_grow_with_parameters_that_it_quotes(
    client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    response = await client.post("/graphql", json=body)
    assert len(response.content) < 1_500
    assert response.json()["errors"]


async def test_number_of_thousands_of_digits_in_a_header_is_no_defect(client: httpx.AsyncClient) -> None:
    names = [
        "x-request-id",
        "content-length",
        "idempotency-key",
        "apikey",
        "x-storefront-key",
        "authorization",
        "range",
    ]
    for name in names:
        response = await client.get("/graphql", params={"query": QUERY}, headers={"x-requested-with": "1", name: LONG})
        assert response.status_code == 200
        assert LONG not in str(response.headers)


async def test_a_mutation_by_get_is_405_and_does_not_run() -> None:
    mutation = MutationType()
    mutation.set_field("cut", lambda *_: pytest.fail("it ran"))
    query = QueryType()
    query.set_field("tree", lambda *_: "oak")
    schema = build("type Query { tree: String } type Mutation { cut: String }", [query, mutation], str)
    admission = Admission(no_key, RateLimits())
    engine = Engine(schema, Limits())
    trusted = TrustedDocuments(engine, Mode.OFF)
    trusted.asks_for_nothing = True
    budgets = Budgets(Rate(1_000, 1))
    endpoint = GraphQLEndpoint(engine, trusted, nobody, no_context, Telemetry(), admission, budgets, body_bytes=1000)
    async with calling(Exchange(endpoint)) as client:
        response = await client.get("/", params={"query": "mutation { cut }"}, headers={"x-requested-with": "test"})
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


async def no_key(_keys: Sequence[str]) -> Storefront:
    return Storefront()


async def nobody(_scope: Scope) -> Identity:
    return Identity(None, None)


async def no_context(_scope: Scope) -> None:
    return None


@pytest.mark.parametrize(
    "query_string", ["query=%ff", "query={__typename}&query={__typename}", "query={__typename}&variables={", ""]
)
async def test_a_bad_query_string_is_400(client: httpx.AsyncClient, query_string: str) -> None:
    response = await client.get(f"/graphql?{query_string}", headers={"x-requested-with": "test"})
    assert response.status_code == 400


@pytest.mark.parametrize("method", ["DELETE", "OPTIONS", "PATCH"])
async def test_other_methods_are_405(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, "/graphql")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST, PUT"


@pytest.fixture
async def url(app: Starlette) -> AsyncIterator[str]:
    """The real application behind a real server and socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve([listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await serving


async def test_it_answers_over_a_socket(url: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for byte in b'{"query": "{ __typename }"}':
            yield bytes([byte])

    async with connecting(base_url=url) as client:
        answers: list[Any] = [
            (await client.post("/graphql", content=chunks(), headers=JSON_TYPE)).json(),
            *[response.json() for response in await asyncio.gather(*(post(client) for _ in range(20)))],
        ]
        assert answers == [{"data": {"__typename": "Query"}}] * 21
        too_large = await client.post("/graphql", content=b" " * 2_600_000, headers=JSON_TYPE)
        assert (too_large.status_code, too_large.headers["connection"]) == (413, "close")


async def post(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/graphql", json={"query": QUERY})


@pytest.mark.parametrize("name", ["apikey", "authorization"])
@pytest.mark.parametrize("values", [[""], [None, None], ["nothing known", None], [None, "nothing known"]])
async def test_a_credential_that_is_empty_or_comes_twice_is_refused(
    client: httpx.AsyncClient, demo_dsn: str, name: str, values: list[str | None]
) -> None:
    viewer = {"apikey": "apikey", "authorization": "staff"}[name]
    [good] = credentials(viewer, settings_for(demo_dsn)).values()
    headers = [(name, good if value is None else value) for value in values]
    response = await client.post("/graphql", json={"query": ORDER_STATUSES}, headers=headers)
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["UNAUTHENTICATED"]
