"""A cookie and a form, each taken from pages of ours alone."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from starlette.responses import Response

from app.pages import routes
from app.pages.endpoint import Page
from app.pages.session import FIELD, Cookie, check_proof, proof_of
from app.pages.visit import Visit
from tests.conftest import calling, running, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="session")

COOKIE = Cookie("__Host-probe", 60)
SECRET = "17|eyJh.bc_d.e-f"


async def handle(visit: Visit) -> Response:
    """Tells by its address what it has found."""
    if visit.method == "POST":
        form, credential = await visit.form(), COOKIE.read(visit)
        if credential is not None:
            check_proof(form, credential)
        return visit.redirect("/taken")
    return visit.redirect(f"/{COOKIE.read(visit)}", COOKIE.write(SECRET))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def app(demo_dsn: str) -> AsyncIterator[object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routes, "PAGES", (Page("/probe", handle, takes_forms=True),))
        async with running(settings_for(demo_dsn)) as app:
            yield app


@pytest.fixture
def client(app: object) -> httpx.AsyncClient:
    return calling(app)  # type: ignore[arg-type]


async def test_a_cookie_comes_back_as_it_was_kept(client: httpx.AsyncClient) -> None:
    first = await client.get("/probe")
    assert first.headers["location"] == "/None"
    kept, _, attributes = first.headers["set-cookie"].partition("; ")
    assert kept == f"__Host-probe={SECRET}"
    assert set(attributes.split("; ")) == {"Path=/", "Max-Age=60", "Secure", "HttpOnly", "SameSite=Lax"}
    second = await client.get("/probe", headers={"cookie": f"other=1; {kept}; more=2"})
    assert second.headers["location"] == f"/{SECRET}"


@pytest.mark.parametrize("header", ["", "=", "__Host-probe", "__Host-probe=", "probe=x", "__host-probe=x", "\xff;\x01"])
async def test_what_is_no_cookie_of_ours_is_none(client: httpx.AsyncClient, header: str) -> None:
    response = await client.get("/probe", headers={"cookie": header.encode("latin-1")})  # type: ignore[dict-item]
    assert response.headers["location"] == "/None"


@pytest.mark.parametrize(
    ("headers", "token", "status"),
    [
        ({}, proof_of(SECRET), 303),
        ({"sec-fetch-site": "same-origin"}, proof_of(SECRET), 303),
        ({"sec-fetch-site": "none"}, proof_of(SECRET), 303),
        ({"sec-fetch-site": "cross-site"}, proof_of(SECRET), 403),
        ({"sec-fetch-site": "same-site"}, proof_of(SECRET), 403),
        ({}, proof_of("18|eyJh.bc_d.e-f"), 403),
        ({}, "é", 403),
        ({}, None, 403),
    ],
)
async def test_a_form_is_of_a_page_of_the_session(
    client: httpx.AsyncClient, headers: dict[str, str], token: str | None, status: int
) -> None:
    fields = {} if token is None else {FIELD: token}
    kept = {"cookie": f"__Host-probe={SECRET}"}
    response = await client.post("/probe", data={"a": "1", **fields}, headers={**headers, **kept})
    assert response.status_code == status


async def test_a_form_before_any_session_needs_but_be_of_this_site(client: httpx.AsyncClient) -> None:
    assert (await client.post("/probe", data={"a": "1"})).status_code == 303
    response = await client.post("/probe", data={"a": "1"}, headers={"sec-fetch-site": "cross-site"})
    assert response.status_code == 403
