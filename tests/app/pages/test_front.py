"""What everybody sees who opens the service in a browser: the first page, GraphiQL and the documentation."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import httpx
import pytest
import pytest_asyncio
from graphql import OperationType, get_operation_ast, parse, print_ast, validate
from playwright.async_api import expect
from starlette.types import ASGIApp

from app.asgi import executable_schema
from app.pages.docs import guide
from app.pages.front import Front
from app.pages.ide.page import examples
from tests.app.pages.conftest import WIDTHS, Open, at_a_port
from tests.conftest import calling, running, settings_for
from tests.contract.test_examples import EXAMPLES
from tests.service import serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

HTML = {"accept": "text/html"}
LINK = re.compile(r'(?:href|src)="([^"]*)"')
ANCHOR = re.compile(r'id="([^"]+)"')
PAGES = ("/", "/docs", "/docs/getting-started", "/docs/schema", "/docs/schema/Order", "/docs/rest", "/docs/events")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def development(demo_dsn: str) -> AsyncIterator[ASGIApp]:
    """A service that shows GraphiQL, with the viewers of the demo."""
    async with running(settings_for(demo_dsn, ide=True, development=True)) as app:
        yield app


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def developers_site(development: ASGIApp) -> AsyncIterator[str]:
    async with at_a_port(development) as address:
        yield address


@pytest.fixture
def front(development: ASGIApp) -> Front:
    front: Front = development.front  # type: ignore[attr-defined]
    return front


# ------------------------------------------------------------------------------------------------------- all of them


# Colours are those of one sheet of styles: what is dark is looked at on the pages that have most of them.
@pytest.mark.parametrize(("scheme", "path"), [*(("light", path) for path in PAGES), ("dark", "/"), ("dark", PAGES[2])])
async def test_pages_are_for_everybody(site: str, open_page: Open, path: str, scheme: str) -> None:
    async with open_page(f"{site}{path}", color_scheme=scheme, java_script_enabled=True) as tab:
        assert await tab.violations() == []
        for width in WIDTHS:
            await tab.page.set_viewport_size({"width": width, "height": 900})
            assert not await tab.is_scrolled_sideways(), width
        assert {request.url.startswith(site) for request in tab.requests} == {True}
        assert tab.complaints == []


async def test_every_link_of_the_documentation_leads_somewhere(front: Front, development: ASGIApp) -> None:
    pages = {path: front.manual.text(path) for path in front.manual.paths}
    pages["/"] = (await calling(development).get("/", headers=HTML)).text  # type: ignore[arg-type]
    anchors = {path: set(ANCHOR.findall(text)) for path, text in pages.items()}
    others = set()
    for path, text in pages.items():
        for link in LINK.findall(text):
            assert link, path
            if re.match(r"[a-z]+:", link):
                continue
            target, anchor = urldefrag(urljoin(path, link))
            if target in pages:
                assert not anchor or anchor in anchors[target], f"{path}: {link}"
            else:
                others.add(target)
    async with calling(development) as client:  # type: ignore[arg-type]
        for target in others:
            assert (await client.get(target)).status_code != 404, target


async def test_documentation_is_unchanged_until_it_changes(development: ASGIApp) -> None:
    async with calling(development) as client:  # type: ignore[arg-type]
        shown = await client.get("/docs/schema/Order")
        assert shown.headers["cache-control"] == "public, max-age=300"
        again = await client.get("/docs/schema/Order", headers={"if-none-match": shown.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        for path in ("/docs/none", "/docs/", "/docs/schema/None", "/docs/../pyproject.toml", "/docs/%2e%2e/README.md"):
            assert (await client.get(path)).status_code == 404, path
        assert (await client.post("/docs")).status_code == 405


async def test_reference_has_every_type_and_every_field_of_the_schema(front: Front) -> None:
    listed = front.manual.text("/docs/schema")
    for name, type_ in executable_schema().type_map.items():
        if name.startswith("__") or name in ("String", "Int", "Float", "Boolean", "ID"):
            continue
        assert f'href="/docs/schema/{name}"' in listed
        page = front.manual.text(f"/docs/schema/{name}")
        for member in (*getattr(type_, "fields", ()), *getattr(type_, "values", ())):
            assert f'id="{member}"' in page


async def test_reference_has_every_path_and_every_event(front: Front, development: ASGIApp) -> None:
    async with calling(development) as client:  # type: ignore[arg-type]
        rest = (await client.get("/api/shop/openapi.json")).json()
        events = (await client.get("/webhooks/asyncapi.json")).json()
    shown = front.manual.text("/docs/rest")
    for path, methods in rest["paths"].items():
        assert path in shown
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in shown
    shown = front.manual.text("/docs/events")
    told = events["channels"]
    assert (
        told["endpoint"]["messages"].keys() | told["graphql"]["messages"].keys()
        == events["components"]["messages"].keys()
    )
    assert "shipmentChanges" in told["graphql"]["messages"]
    for name in events["components"]["messages"]:
        assert f'id="{name}"' in shown


async def test_guides_bring_no_html_of_their_own() -> None:
    assert "<script" not in guide.block("a <script>alert(1)</script> [x](javascript:alert(1))")
    assert "javascript:" not in LINK.findall(guide.block("[x](javascript:alert(1))"))


async def test_static_site_is_what_is_served(front: Front, tmp_path: Path) -> None:
    written = set(front.manual.write(tmp_path))
    assert {"docs/index.html", "docs/getting-started.html", "docs/schema/Order.html"} <= written
    for path in front.manual.paths:
        file = "docs/index.html" if path == "/docs" else f"{path[1:]}.html"
        assert (tmp_path / file).read_text("utf-8") == front.manual.text(path)
    for link in LINK.findall(front.manual.text("/docs")):
        if link.startswith("/assets/"):
            assert link[1:] in written


# ---------------------------------------------------------------------------------------------------------- GraphiQL


async def test_there_is_no_graphiql_unless_the_setting_says_so(client: httpx.AsyncClient) -> None:
    shown = await client.get("/graphql", headers=HTML)
    assert "GraphQL endpoint" in shown.text
    assert "graphiql" not in shown.text.lower()
    assert "eyJ" not in shown.text


async def test_graphiql_has_a_policy_without_anything_unsafe(development: ASGIApp) -> None:
    async with calling(development) as client:  # type: ignore[arg-type]
        for path in ("/graphql", "/v2/graphql", "/api/graphql"):
            policy = (await client.get(path, headers=HTML)).headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self' 'nonce-")
            assert "unsafe" not in policy
        one, other = [(await client.get("/graphql", headers=HTML)).text for _ in range(2)]
        assert one != other


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "10.0.0.1"])
async def test_credentials_of_the_demo_are_for_who_asks_this_machine_by_its_name(
    development: ASGIApp, host: str
) -> None:
    async with calling(development) as client:  # type: ignore[arg-type]
        assert "eyJ" in (await client.get("/graphql", headers={**HTML, "host": "localhost:8000"})).text
        shown = (await client.get("/graphql", headers={**HTML, "host": host})).text
    assert '"viewers":[]' in shown
    assert "eyJ" not in shown


async def test_service_without_a_demo_gives_no_credentials(demo_dsn: str) -> None:
    async with running(settings_for(demo_dsn, ide=True)) as app, calling(app) as client:
        assert '"viewers":[]' in (await client.get("/graphql", headers={**HTML, "host": "localhost"})).text


async def test_examples_are_good_and_those_of_the_contract() -> None:
    known = {each["name"]: each for each in examples()}
    assert len(known) == len(examples()) == 8
    kinds = set()
    for each in known.values():
        document = parse(each["query"])
        assert validate(executable_schema(), document) == []
        operation = get_operation_ast(document)
        assert operation is not None
        kinds.add(operation.operation)
        assert each["viewer"] in ("", "staff", "partner", "contact", "customer")
    assert kinds == set(OperationType)
    for name, file in (
        ("order", "001-order-with-shipments"),
        ("shipment", "003-shipment"),
        ("in-transit", "004-in-transit-shipments"),
        ("shop", "006-customer-order-shipments"),
    ):
        request = json.loads((EXAMPLES / f"{file}.request.json").read_text("utf-8"))
        assert print_ast(parse(known[name]["query"])) == print_ast(parse(request["query"]))
        assert known[name]["variables"] == (request["variables"] or None)


async def test_graphiql_runs_an_example_as_whom_one_chooses(developers_site: str, open_page: Open) -> None:
    async with open_page(f"{developers_site}/graphql#example=order", width=1280) as tab:
        answer = tab.page.locator(".result-window")
        await tab.page.get_by_label("Execute query").click()
        await expect(answer).to_contain_text('"status": "CONFIRMED"')
        await tab.page.get_by_label("Ask as").select_option("")
        await tab.page.get_by_label("Execute query").click()
        await expect(answer).to_contain_text("UNAUTHENTICATED")
        await tab.page.get_by_label("Example").select_option("shipment")
        assert await tab.page.get_by_label("Ask as").input_value() == "contact"
        await tab.page.get_by_label("Execute query").click()
        await expect(answer).to_contain_text('"orderId": 2075')
        # Its dialogs are styled as well.
        await tab.page.get_by_label("Open settings dialog").click()
        await expect(tab.page.get_by_role("dialog")).to_be_visible()
        assert {request.url.startswith(developers_site) for request in tab.requests} == {True}
        assert tab.complaints == []


async def test_graphiql_lists_the_schema(developers_site: str, open_page: Open) -> None:
    async with open_page(f"{developers_site}/graphql") as tab:
        await tab.page.get_by_label("Show Documentation Explorer").click()
        explorer = tab.page.locator(".graphiql-doc-explorer")
        await expect(explorer).to_contain_text("Query")
        await expect(explorer).to_contain_text("Subscription")
        assert tab.complaints == []


async def test_graphiql_follows_a_subscription(demo_dsn: str, tmp_path: Path, open_page: Open) -> None:
    given = {"IDE": "1", "DEVELOPMENT": "1"}
    async with (
        serving(demo_dsn, tmp_path / "log", **given) as service,
        open_page(f"{service.site}/graphql#example=live") as tab,
    ):
        await tab.page.get_by_label("Execute query").click()
        await expect(tab.page.locator(".result-window")).to_contain_text("UP_TO_DATE")
        assert tab.complaints == []
