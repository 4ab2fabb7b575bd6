"""What a browser is shown, and that programs are told what they were before, by both ways of the server."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser

import httpx
import pytest
from starlette.applications import Starlette

from app.http.index import ENDPOINTS
from app.http.negotiation import GRAPHQL_RESPONSE
from tests.app.http.serving import WAYS, served
from tests.conftest import calling

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
BROWSERS = [FIREFOX, CHROME, "text/html", "TEXT/HTML;q=0.9, application/json;q=0.8"]
PROGRAMS = [None, "*/*", "application/json", "application/json, text/html", "text/*", "text/html;q=0.5, */*"]
PROGRAMS += ["application/json, text/plain, */*", f"{GRAPHQL_RESPONSE}, application/json;q=0.9", "text/html;q=0"]
GRAPHQL = ["/graphql", "/v2/graphql", "/api/graphql"]


class Page(HTMLParser):
    """The tags of a page and what they load or lead to. Raises AssertionError for tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.code: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = {name: value or "" for name, value in attrs}
        self.loads += [value for name, value in given.items() if name in ("src", "srcset", "data", "style", "action")]
        (self.links if tag == "a" else self.loads).extend([given["href"]] if "href" in given else [])
        assert not [name for name in given if name.startswith("on")]
        if tag not in ("meta", "br", "link", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "pre" in self._open:
            self.code.append(data)


@pytest.fixture(params=WAYS)
async def client(request: pytest.FixtureRequest, app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with served(app, request.param) as client:
        yield client


def accepting(accept: str | None) -> dict[str, str]:
    return {"accept": accept} if accept is not None else {}


async def ask(client: httpx.AsyncClient, path: str, accept: str | None, method: str = "GET") -> httpx.Response:
    client.headers.pop("accept", None)
    return await client.request(method, path, headers=accepting(accept))


async def test_browser_is_shown_a_page(client: httpx.AsyncClient) -> None:
    for path in ("/", *GRAPHQL):
        for accept in BROWSERS:
            response = await ask(client, path, accept)
            assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
            assert "GraphQL endpoint" in response.text
            assert "accept" in response.headers["vary"].lower()
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-request-id"]


async def test_page_loads_styles_of_ours_alone_and_its_policy_lets_it_load_no_more(client: httpx.AsyncClient) -> None:
    response = await ask(client, "/", FIREFOX)
    page = Page(response.text)
    assert page.loads
    for address in page.loads:
        assert address.startswith("/assets/")
        assert (await ask(client, address, None)).status_code == 200
    assert not {"script", "iframe", "form", "base", "style"} & set(page.tags)
    policy = dict(part.strip().partition(" ")[::2] for part in response.headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert response.headers.get_list("content-security-policy") == [response.headers["content-security-policy"]]
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_links_of_the_page_lead_to_what_there_is(client: httpx.AsyncClient) -> None:
    links = Page((await ask(client, "/", FIREFOX)).text).links
    assert set(links) >= set(ENDPOINTS.values())
    for link in links:
        assert (await ask(client, link, FIREFOX)).status_code != 404


async def test_first_query_of_the_page_is_answered(client: httpx.AsyncClient) -> None:
    code = "".join(Page((await ask(client, "/", FIREFOX)).text).code)
    first, second = re.findall(r"-d '(.*?)'", code)
    url = re.findall(r"curl -s (\S+)", code)[0]
    assert url == f"{str(client.base_url).rstrip('/')}/graphql"
    headers = {"content-type": "application/json"}
    assert (await client.post(url, content=first, headers=headers)).json()["data"]["__schema"]["queryType"]["fields"]
    # The other one needs a key, and nothing else is wrong with it.
    refused = (await client.post(url, content=second, headers=headers)).json()
    assert [error["extensions"]["code"] for error in refused["errors"]] == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("host", ["waybill.example.org", "waybill.example.org:8443", "[::1]:8000"])
async def test_page_names_the_address_that_it_was_asked_by(app: Starlette, host: str) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{host}") as client:
        text = (await ask(client, "/", FIREFOX)).text
    assert f"curl -s https://{host}/graphql" in text


@pytest.mark.parametrize("host", ["<script>", "a b", "a'b", "x" * 254, "a:b", "user@host", "a/b", "{address}", ""])
async def test_host_that_is_none_does_not_come_into_the_page(app: Starlette, host: str) -> None:
    async with calling(app) as client:
        text = (await client.get("/", headers={"accept": FIREFOX, "host": host})).text
    assert "curl -s http://localhost/graphql" in text


async def test_head_has_the_headers_of_get_and_no_body(client: httpx.AsyncClient) -> None:
    for path in ("/", *GRAPHQL):
        shown, head = await ask(client, path, FIREFOX), await ask(client, path, FIREFOX, "HEAD")
        assert (head.status_code, head.content) == (200, b"")
        kept = {"content-type", "content-length", "content-security-policy", "vary", "cache-control"}
        assert {name: head.headers[name] for name in kept} == {name: shown.headers[name] for name in kept}
    told, head = await ask(client, "/", None), await ask(client, "/", None, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == told.headers["content-length"]


async def test_programs_are_told_the_endpoints_in_json(client: httpx.AsyncClient) -> None:
    for accept in PROGRAMS:
        response = await ask(client, "/", accept)
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        assert response.json() == {"service": "Waybill", "endpoints": ENDPOINTS}
        assert response.headers["vary"] == "Accept"


async def test_programs_that_get_no_query_are_refused_as_before(client: httpx.AsyncClient) -> None:
    for path in GRAPHQL:
        for accept in (None, "*/*", "application/json", GRAPHQL_RESPONSE):
            response = await ask(client, path, accept)
            assert response.status_code == 400
            assert response.json()["errors"][0]["extensions"]["code"] == "PREFLIGHT_REQUIRED"
            head = await ask(client, path, accept, "HEAD")
            assert (head.status_code, head.headers["allow"]) == (405, "GET, POST, PUT")


async def test_browser_with_a_query_or_a_body_is_answered_as_before(client: httpx.AsyncClient) -> None:
    for path in GRAPHQL:
        with_query = await ask(client, f"{path}?query={{__typename}}", FIREFOX)
        assert with_query.status_code == 400
        assert with_query.json()["errors"][0]["extensions"]["code"] == "PREFLIGHT_REQUIRED"
        posted = await client.post(path, json={"query": "{ __typename }"}, headers={"accept": FIREFOX})
        assert posted.json() == {"data": {"__typename": "Query"}}
        assert (await client.post(path, json={}, headers={"accept": "text/html"})).status_code == 406
