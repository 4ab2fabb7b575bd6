"""What all pages have in common: their headers, the words for what goes wrong, and how operations run for a visitor."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from starlette.responses import Response

from app.asgi import Service
from app.errors import Unavailable
from app.pages import routes, visit
from app.pages.asset import assets, path_of
from app.pages.endpoint import Page
from app.pages.language import LANGUAGES
from app.pages.template import FOLDER
from app.pages.visit import PageProblem, Refused, Visit
from app.pages.visit import document as whole_document
from tests.app.pages.conftest import WIDTHS, Open, at_a_port
from tests.conftest import calling, credentials, running, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = "query count { orders { itemsFound } }"


async def fail(visit: Visit) -> Response:
    """A page that goes wrong as its query says."""
    match visit.query.get("how"):
        case "missing":
            raise PageProblem(404)
        case "down":
            raise Unavailable
        case "form":
            return visit.render("shared/problem", 200 + len(await visit.form()))
        case "ask":
            visit.authorization = visit.query.get("as")
            try:
                data = await visit.ask("count")
            except Refused as refused:
                return visit.redirect(f"/{refused.code}")
            return visit.redirect(f"/{data['orders']['itemsFound']}")
        case _:
            raise ValueError("a defect")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def app(demo_dsn: str) -> AsyncIterator[object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routes, "PAGES", (Page("/probe", fail, takes_forms=True),))
        patch.setattr(visit, "document", lambda name: COUNT if name == "count" else whole_document(name))
        async with running(settings_for(demo_dsn)) as app:
            yield app


@pytest.fixture
def client(app: object) -> httpx.AsyncClient:
    return calling(app)  # type: ignore[arg-type]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(app: object) -> AsyncIterator[str]:
    async with at_a_port(app) as address:  # type: ignore[arg-type]
        yield address


class Links(HTMLParser):
    """The addresses of all that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        address = values.get("src") or (values.get("href") if tag == "link" else None)
        if address:
            self.found.append(address)


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("missing", 404, "nothing here"),
        ("down", 503, "Just a moment"),
        ("bug", 500, "our side"),
        ("form", 415, "shown"),
    ],
)
async def test_what_goes_wrong_is_said_in_words(client: httpx.AsyncClient, how: str, status: int, words: str) -> None:
    response = await client.get("/probe", params={"how": how})
    assert (response.status_code, response.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert words in response.text
    assert "a defect" not in response.text
    assert ("retry-after" in response.headers) == (status == 503)


async def test_pages_may_load_nothing_of_others_nor_be_kept_framed_or_found(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/probe?how=missing")).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-robots-tag"] == "noindex, nofollow"
    assert headers["x-content-type-options"] == "nosniff"


async def test_a_visitor_reads_its_language_and_may_choose_another(client: httpx.AsyncClient) -> None:
    response = await client.get("/probe?how=missing&x=%22%3E", headers={"accept-language": "ar"})
    assert response.headers["content-language"] == "ar"
    assert '<html lang="ar" dir="rtl">' in response.text
    assert "?how=missing&amp;x=%22%3E&amp;lang=nl" in response.text
    assert '<html lang="nl" dir="ltr">' in (await client.get("/probe?how=missing&lang=nl")).text


async def test_a_form_is_read_within_bounds(client: httpx.AsyncClient) -> None:
    assert (await client.post("/probe?how=form", data={"a": "1", "b": "é"})).status_code == 202
    assert (await client.post("/probe?how=form", json={})).status_code == 415
    for broken in (b"a=%ff", b"\xff=1", b"&".join(b"a%d=1" % number for number in range(201))):
        headers = {"content-type": "application/x-www-form-urlencoded"}
        assert (await client.post("/probe?how=form", content=broken, headers=headers)).status_code == 400
    assert (await client.put("/probe")).status_code == 405


async def test_operations_run_for_whom_the_page_says_and_nobody_else(client: httpx.AsyncClient, demo_dsn: str) -> None:
    staff = credentials("staff", settings_for(demo_dsn))
    stranger = await client.get("/probe?how=ask", headers={**staff, "apikey": "pk_partner_demo_full"})
    assert stranger.headers["location"] == "/UNAUTHENTICATED"
    known = await client.get("/probe", params={"how": "ask", "as": staff["Authorization"]})
    assert int(known.headers["location"][1:]) > 100


async def test_assets_never_change_under_their_names(client: httpx.AsyncClient) -> None:
    page = Links()
    page.feed((await client.get("/probe?how=missing")).text)
    assert page.found
    for address in page.found:
        assert address.startswith("/assets/")
        response = await client.get(address)
        assert response.status_code == 200
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    plain = await client.get(path_of("page.css"), headers={"accept-encoding": "identity"})
    assert plain.content == assets()["page.css"].content
    assert "content-encoding" not in plain.headers
    packed = await client.get(path_of("page.css"), headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    for unknown in ("/assets/page.css", "/assets/page-000000000000.css", "/assets/%2e%2e%2fasset.py", "/assets/"):
        assert (await client.get(unknown)).status_code == 404


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.graphql")), ids=lambda file: file.stem)
async def test_every_document_is_of_the_schema(app: Service, file: Path) -> None:
    name = str(file.relative_to(FOLDER).with_suffix(""))
    text = whole_document(name)
    for operation in re.findall(r"^(?:query|mutation|subscription) (\w+)", text, re.MULTILINE):
        assert app.waybill.engine.prepare(text, operation).name == operation


async def test_requests_to_pages_are_counted(client: httpx.AsyncClient, app: object) -> None:
    await client.get("/probe?how=down")
    text = (await client.get("/metrics")).text
    assert 'waybill_requests_total{outcome="unavailable",surface="pages"}' in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_are_for_everybody(site: str, open_page: Open, language: str, scheme: str) -> None:
    async with open_page(f"{site}/probe?how=missing", locale=language, color_scheme=scheme) as tab:
        assert await tab.page.get_attribute("html", "lang") == language
        assert await tab.violations() == []
        for width in WIDTHS:
            await tab.page.set_viewport_size({"width": width, "height": 900})
            assert not await tab.is_scrolled_sideways()
        assert {request.url.startswith(site) for request in tab.requests} == {True}
        assert [line for line in tab.complaints if "404" not in line] == []


async def test_the_first_key_leads_past_what_all_pages_have(site: str, open_page: Open) -> None:
    async with open_page(f"{site}/probe?how=missing", java_script_enabled=False) as tab:
        await tab.page.keyboard.press("Tab")
        assert await tab.page.locator(":focus").inner_text() == "Skip to the content"
        await tab.page.keyboard.press("Enter")
        assert tab.page.url.endswith("#main")
