"""Who gets into the portal, and where from there."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette

from app.auth.token import Tokens
from app.demo.fixtures import CONTACT_EMAIL, CONTACT_PASSWORD
from app.pages.portal.visitor import way_back
from app.pages.session import FIELD, proof_of
from tests.app.pages.portal.conftest import AtPortal, credential_of
from tests.conftest import FAR_TOO_LONG, calling, settings_for

LOGIN = "/portal/login"


@pytest.mark.parametrize("viewer", ["staff", "partner", "apikey", "contact"])
async def test_login_opens_the_portal_to_whom_the_credential_is(
    client: httpx.AsyncClient, demo_dsn: str, viewer: str
) -> None:
    credential = credential_of(viewer, demo_dsn)
    response = await client.post(LOGIN, data={"credential": f" {credential}\n"})
    assert (response.status_code, response.headers["location"]) == (303, "/portal")
    kept = response.headers["set-cookie"]
    assert kept.startswith(f"__Host-portal={credential};")
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(kept.split("; "))
    page = await client.get("/portal/shipments", headers={"cookie": kept.partition(";")[0]})
    assert page.status_code == 200


async def test_login_refuses_all_else_in_the_same_words(client: httpx.AsyncClient, demo_dsn: str) -> None:
    good = credential_of("staff", demo_dsn)
    of_a_customer = credential_of("john", demo_dsn)
    expired = Tokens(settings_for(demo_dsn), clock=lambda: 1_000_000.0).issue("staff:1", scope="shipments:read")
    pages = set()
    for credential in ("", "x", "pk_nobody", good[:-3] + "abc", of_a_customer, expired, "é", "a\nb", "a" * 5_000):
        response = await client.post(LOGIN, data={"credential": credential})
        assert response.status_code == 401
        assert "set-cookie" not in response.headers
        assert not credential or credential not in response.text.replace("x", "")
        pages.add(response.text)
    assert len(pages) == 1


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        ("/portal/shipments?late=true&page=2", "/portal/shipments?late=true&page=2"),
        (None, "/portal"),
        ("https://evil.example/portal/", "/portal"),
        ("//evil.example/portal/", "/portal"),
        ("/\\evil.example/portal/", "/portal"),
        ("/portal/..//evil.example", "/portal/..//evil.example"),
        ("/portal/\nset-cookie: a=b", "/portal"),
        ("/graphql", "/portal"),
        ("javascript:alert(1)", "/portal"),
    ],
)
def test_login_leads_nowhere_but_into_the_portal(address: str | None, leads_to: str) -> None:
    assert way_back(address) == leads_to


async def test_who_is_not_logged_in_comes_back_after_the_login(client: httpx.AsyncClient, demo_dsn: str) -> None:
    asked = await client.get("/portal/orders?overdue=true&sort=-ID")
    assert asked.status_code == 303
    before = asked.headers["location"]
    assert before == "/portal/login?next=%2Fportal%2Forders%3Foverdue%3Dtrue%26sort%3D-ID"
    assert 'action="?next=' in (await client.get(before)).text
    entered = await client.post(before, data={"credential": credential_of("staff", demo_dsn)})
    assert entered.headers["location"] == "/portal/orders?overdue=true&sort=-ID"


async def test_a_cookie_that_is_good_no_more_is_forgotten(client: httpx.AsyncClient) -> None:
    for value in ("pk_nobody", "a.b.c", "17|a.b.c"):
        response = await client.get("/portal", headers={"cookie": f"__Host-portal={value}"})
        assert (response.status_code, response.headers["location"]) == (303, LOGIN)
        assert "Max-Age=0" in response.headers["set-cookie"]


async def test_a_customers_session_opens_no_portal(client: httpx.AsyncClient, demo_dsn: str) -> None:
    cookie = f"__Host-portal={credential_of('john', demo_dsn)}"
    response = await client.get("/portal/orders", headers={"cookie": cookie})
    assert response.status_code == 303


async def test_the_cookie_opens_pages_alone(client: httpx.AsyncClient, demo_dsn: str) -> None:
    """A page of another site could have a browser send it to the rest."""
    cookie = {"cookie": f"__Host-portal={credential_of('staff', demo_dsn)}"}
    response = await client.post("/graphql", json={"query": "{ orders { itemsFound } }"}, headers=cookie)
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_logout_takes_the_form_of_the_session(at_portal: AtPortal) -> None:
    client = at_portal("contact")
    assert (await client.post("/portal/logout", data={FIELD: proof_of("another")})).status_code == 403
    cookie = client.headers["cookie"].partition("=")[2]
    response = await client.post("/portal/logout", data={FIELD: proof_of(cookie)})
    assert (response.status_code, response.headers["location"]) == (303, "/portal")
    assert "Max-Age=0" in response.headers["set-cookie"]


async def test_a_contact_logs_in_by_password_and_the_session_ends_at_the_logout(copy: Starlette) -> None:
    async with calling(copy) as client:
        who = {"email": f" {CONTACT_EMAIL.upper()}", "password": CONTACT_PASSWORD}
        entered = await client.post(f"{LOGIN}?next=/portal/orders", data=who)
        assert (entered.status_code, entered.headers["location"]) == (303, "/portal/orders")
        cookie = {"cookie": entered.headers["set-cookie"].partition(";")[0]}
        assert "contact:4" in (await client.get("/portal/orders", headers=cookie)).text
        token = cookie["cookie"].partition("=")[2]
        left = await client.post("/portal/logout", data={FIELD: proof_of(token)}, headers=cookie)
        assert left.status_code == 303
        # Whoever has copied the cookie has nothing.
        async with asyncio.timeout(FAR_TOO_LONG):
            while (await client.get("/portal/orders", headers=cookie)).status_code != 303:  # noqa: ASYNC110  nothing tells it
                await asyncio.sleep(0.01)


async def test_a_wrong_password_and_an_unknown_contact_are_told_alike(copy: Starlette) -> None:
    async with calling(copy) as client:
        answers = [
            await client.post(LOGIN, data={"email": email, "password": password})
            for email, password in (
                (CONTACT_EMAIL, "wrong-password"),
                ("nobody@example.com", CONTACT_PASSWORD),
                (CONTACT_EMAIL, "x"),
            )
        ]
        assert {answer.status_code for answer in answers} == {401}
        assert len({answer.text for answer in answers}) == 1
        for _ in range(5):
            answer = await client.post(LOGIN, data={"email": CONTACT_EMAIL, "password": "wrong-password"})
        assert answer.status_code == 429
