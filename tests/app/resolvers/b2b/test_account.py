"""Contacts log in, over HTTP on the real application; `tests/clients` has the vendor's SDK do the same."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from app.auth.token import Tokens
from app.demo import fixtures
from app.settings import Settings
from tests.conftest import (
    FAR_TOO_LONG,
    NORTHWIND_KEY,
    TOKEN_SECRET,
    GraphQL,
    credentials,
    running,
    settings_for,
    until_blocked,
)

PIETER = {"email": fixtures.CONTACT_EMAIL, "password": fixtures.CONTACT_PASSWORD}
LOGIN = """mutation login($input: LoginInput!) { login(input: $input) { providerId operationType session {
  uid email emailVerified displayName photoUrl phoneNumber disabled isAnonymous
  metadata { lastSignInTime creationTime lastRefreshTime } tokensValidAfterTime tenantId
  providerData { uid providerId displayName photoUrl federatedId email rawId screenName phoneNumber }
  passwordHash passwordSalt authDomain lastLoginAt createdAt accessToken refreshToken expirationTime
  multiFactor { enrolledFactors { factorId phoneNumber } } } } }"""
EXCHANGE = """mutation exchangeRefreshToken($input: ExchangeRefreshTokenInput!) { exchangeRefreshToken(input: $input) {
  access_token refresh_token expires_in token_type user_id } }"""
LOGOUT = "mutation { logout { success message } }"
VIEWER = """query viewer { viewer { __typename firstName lastName email login isLoggedIn userId debtorId iban notes
  ... on Contact { contactId parentCompanyId company { companyId name taxNumber addresses { id }
      attributes { itemsFound items { value { id } } } orderlists { itemsFound items { id } } }
    companies { items { companyId name } itemsFound offset page pages start end }
    attributes { itemsFound } favoriteLists { items { id } itemsFound } purchaseAuthorizationConfigs { itemsFound } }
  ... on Customer { customerId addresses { id } attributes { itemsFound } } } }"""
ORDERS = "{ orders { itemsFound } }"
WRONG = {"message": "Invalid email or password", "code": "USER_NOT_FOUND_ERROR"}
NOT_GOOD = {
    "message": "The refresh token is not good, or not any more: log in anew.",
    "code": "EXCHANGE_REFRESH_TOKEN_ERROR",
}

Post = Callable[..., Awaitable[Any]]


@pytest.fixture
def settings(demo_copy_dsn: str) -> Settings:
    return settings_for(demo_copy_dsn, login_attempts_per_address=1_000)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Starlette]:
    async with running(settings) as app:
        yield app


@pytest.fixture
def post(client: httpx.AsyncClient) -> Post:
    async def post(query: str, token: str | None = None, *, headers: dict[str, str] | None = None, **input: Any) -> Any:
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        body = {"query": query, "variables": {"input": input}}
        response = await client.post("/v2/graphql", json=body, headers={**bearer, **(headers or {})})
        assert response.status_code == 200, response.text
        return response.json()

    return post


async def log_in(post: Post, **changes: Any) -> Any:
    return (await post(LOGIN, **{**PIETER, **changes}))["data"]["login"]["session"]


async def exchange(post: Post, refresh_token: str, access_token: str | None = None) -> Any:
    answer = await post(EXCHANGE, access_token, refreshToken=refresh_token)
    return answer["data"]["exchangeRefreshToken"] if answer["data"] else fault_of(answer)


def fault_of(answer: Any) -> dict[str, str]:
    [error] = answer["errors"]
    assert answer["data"] is None
    return {"message": error["message"], "code": error["extensions"]["code"]}


async def is_good(post: Post, access_token: str) -> bool:
    answer = await post(ORDERS, access_token)
    if "errors" not in answer:
        return bool(answer["data"]["orders"]["itemsFound"])
    assert fault_of(answer)["code"] == "UNAUTHENTICATED"
    return False


async def until_ended(post: Post, access_token: str) -> None:
    """Until the database has told of it, which takes one way over the network."""
    async with asyncio.timeout(FAR_TOO_LONG):
        while await is_good(post, access_token):  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # its arrival is nobody's event


# ----------------------------------------------------------------------------------------------------------- login


async def test_login_gives_tokens_in_the_vendors_form(post: Post) -> None:
    login = (await post(LOGIN, **PIETER))["data"]["login"]
    session = login["session"]
    access, refresh, now = session.pop("accessToken"), session.pop("refreshToken"), session.pop("lastLoginAt")
    assert session.pop("expirationTime") > now
    assert session["metadata"].pop("lastSignInTime") == now
    name, created = "Pieter van der Linde", "2024-11-04T08:30:00.000Z"
    nothing = ("photoUrl", "phoneNumber")
    assert login == {"providerId": "password", "operationType": "signIn", "session": session}
    assert session == {
        "uid": "4",
        "email": fixtures.CONTACT_EMAIL,
        "emailVerified": None,
        "displayName": name,
        "disabled": False,
        "isAnonymous": False,
        "metadata": {"creationTime": created, "lastRefreshTime": None},
        "providerData": [
            {
                "uid": fixtures.CONTACT_EMAIL,
                "providerId": "password",
                "displayName": name,
                "email": fixtures.CONTACT_EMAIL,
                "rawId": fixtures.CONTACT_EMAIL,
                **dict.fromkeys(("federatedId", "screenName", *nothing)),
            }
        ],
        "createdAt": created,
        **dict.fromkeys(("tokensValidAfterTime", "tenantId", "passwordHash", "passwordSalt", "authDomain")),
        **dict.fromkeys(("multiFactor", *nothing)),
    }
    assert await is_good(post, access)
    assert not await is_good(post, refresh)


async def test_login_sees_what_the_contact_sees_by_a_portals_token(post: Post, settings: Settings) -> None:
    own = (await log_in(post))["accessToken"]
    portals = credentials("contact", settings)["Authorization"].removeprefix("Bearer ")
    assert await post(ORDERS, own) == await post(ORDERS, portals)


async def test_login_takes_an_email_in_any_case_and_the_providers_that_there_are(post: Post) -> None:
    for changes in (
        {"email": f"  {PIETER['email'].upper()} "},
        {"provider": None},
        {"provider": "password"},
        {"provider": "email"},
    ):
        assert (await log_in(post, **changes))["uid"] == "4"


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "not the password"},
        {"email": "nobody@example.com"},
        {"email": "montage@example.com"},
        {"email": fixtures.CUSTOMER_EMAIL, "password": fixtures.CUSTOMER_PASSWORD},
        {"email": "'--@example.com"},
        {"password": f"{fixtures.CONTACT_PASSWORD} "},
    ],
    ids=["wrong password", "unknown", "no password", "a customer", "quotes", "a blank more"],
)
async def test_login_refused_says_the_same_whatever_is_wrong(changes: dict[str, str], post: Post) -> None:
    assert fault_of(await post(LOGIN, **{**PIETER, **changes})) == WRONG


async def test_login_of_a_disabled_contact_is_refused_in_the_same_words(
    post: Post, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("UPDATE contacts SET is_active = false WHERE id = 4")
    assert fault_of(await post(LOGIN, **PIETER)) == WRONG


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"provider": "google.com"}, "input.provider must be"),
        ({"email": "nobody"}, "must be a valid email address"),
        ({"email": "", "password": ""}, "The email field is required. The password field is required."),
        ({"password": "short"}, "at least 6 characters"),
        ({"password": "long" * 2_000}, "4096"),
        ({"email": f"{'a' * 300}@example.com"}, "255"),
    ],
)
async def test_login_with_malformed_input_names_the_fault(changes: dict[str, str], words: str, post: Post) -> None:
    fault = fault_of_request(await post(LOGIN, **{**PIETER, **changes}))
    assert words in fault


def fault_of_request(answer: Any) -> str:
    [error] = answer["errors"]
    return str(error["message"])


async def test_login_is_refused_after_five_attempts_of_a_minute_whoever_it_is(post: Post) -> None:
    for email in (PIETER["email"], "nobody@example.com"):
        for _ in range(5):
            assert fault_of(await post(LOGIN, email=email, password="not the password")) == WRONG
        assert fault_of(await post(LOGIN, email=email.upper(), password=PIETER["password"]))["code"] == (
            "TOO_MANY_ATTEMPTS"
        )


async def test_login_by_an_email_that_contacts_of_two_channels_have_needs_the_key_of_one(
    post: Post, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute(
        "INSERT INTO contacts (id, channel_id, email, password_hash)"
        " SELECT 90, 2, email, password_hash FROM contacts WHERE id = 4"
    )
    assert fault_of(await post(LOGIN, **PIETER)) == WRONG
    answer = await post(LOGIN, headers={"apikey": NORTHWIND_KEY}, **PIETER)
    assert answer["data"]["login"]["session"]["uid"] == "90"


async def test_login_does_not_mind_a_token_that_has_expired(post: Post, settings: Settings) -> None:
    expired = Tokens(settings).issue("contact:4", timedelta(seconds=-1))
    answer = await post(LOGIN, expired, **PIETER)
    assert answer["data"]["login"]["session"]["uid"] == "4"


# -------------------------------------------------------------------------------------------------------- exchange


async def test_exchange_gives_the_next_tokens_and_the_session_goes_on(post: Post) -> None:
    session = await log_in(post)
    tokens = await exchange(post, session["refreshToken"], "not.a.token")
    access, refresh = tokens.pop("access_token"), tokens.pop("refresh_token")
    assert tokens == {"expires_in": 3600, "token_type": "Bearer", "user_id": "4"}
    assert refresh not in (access, session["refreshToken"])
    assert await is_good(post, access)
    assert await is_good(post, session["accessToken"])
    assert (await exchange(post, refresh))["user_id"] == "4"


async def test_refresh_token_that_comes_again_ends_the_session_of_whoever_has_it(post: Post) -> None:
    session, other = await log_in(post), await log_in(post)
    stolen = await exchange(post, session["refreshToken"])
    assert await exchange(post, session["refreshToken"]) == NOT_GOOD
    assert await exchange(post, stolen["refresh_token"]) == NOT_GOOD
    await until_ended(post, stolen["access_token"])
    await until_ended(post, session["accessToken"])
    assert await is_good(post, other["accessToken"])


async def test_of_two_exchanges_at_once_one_gets_tokens_and_the_session_goes_on(
    post: Post, copy_connection: asyncpg.Connection
) -> None:
    session = await log_in(post)
    async with copy_connection.transaction():
        await copy_connection.execute("SELECT FROM contact_sessions FOR UPDATE")
        asked = [asyncio.create_task(exchange(post, session["refreshToken"])) for _ in range(3)]
        await until_blocked(copy_connection, 1)
        async with asyncio.timeout(FAR_TOO_LONG):
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while await copy_connection.fetchval(waiting) < len(asked):  # noqa: ASYNC110
                await asyncio.sleep(0.002)  # nobody tells that a statement waits
    answers = await asyncio.gather(*asked)
    [tokens] = [answer for answer in answers if answer != NOT_GOOD]
    assert await is_good(post, tokens["access_token"])
    assert (await exchange(post, tokens["refresh_token"]))["user_id"] == "4"


@pytest.mark.parametrize(
    ("subject", "claims", "lifetime"),
    [
        ("refresh:4", {}, 60),
        ("contact:4", {"contact_session": "session"}, 60),
        ("refresh:5", {"contact_session": "session"}, 60),
        ("refresh:x", {"contact_session": "session"}, 60),
        ("refresh:9999999999", {"contact_session": "session"}, 60),
        ("refresh:4", {"contact_session": "session"}, -1),
        ("refresh:4", {"contact_session": "7"}, 60),
        ("refresh:4", {"contact_session": "00000000-0000-4000-8000-000000000000"}, 60),
    ],
)
async def test_exchange_of_a_token_that_is_not_the_sessions_changes_nothing(
    subject: str,
    claims: dict[str, str],
    lifetime: int,
    post: Post,
    settings: Settings,
    copy_connection: asyncpg.Connection,
) -> None:
    session = await log_in(post)
    session_id = str(await copy_connection.fetchval("SELECT id FROM contact_sessions"))
    claims = {name: session_id if value == "session" else value for name, value in claims.items()}
    forged = Tokens(settings).issue(subject, timedelta(seconds=lifetime), **claims)
    assert await exchange(post, forged) == NOT_GOOD
    assert (await exchange(post, session["refreshToken"]))["user_id"] == "4"


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "|", "\n", "é" * 100, "x" * 4_000])
async def test_exchange_of_what_is_no_token_is_refused(text: str, post: Post) -> None:
    assert await exchange(post, text) == NOT_GOOD


async def test_exchange_of_another_services_token_is_refused(post: Post, settings: Settings) -> None:
    session = await log_in(post)
    payload = session["refreshToken"].rpartition(".")[0]
    for forged in (f"{payload}.{'A' * 43}", session["accessToken"], session["refreshToken"][:-1]):
        assert await exchange(post, forged) == NOT_GOOD


async def test_session_ends_after_thirty_days_with_all_of_its_tokens(
    post: Post, copy_connection: asyncpg.Connection
) -> None:
    session = await log_in(post)
    lasts = await copy_connection.fetchval("SELECT expires_at - created_at FROM contact_sessions")
    assert lasts == timedelta(days=30)
    assert await is_good(post, session["accessToken"])
    await copy_connection.execute(
        "UPDATE contact_sessions SET created_at = now() - interval '31 days', expires_at = now() - interval '1 second'"
    )
    await until_ended(post, session["accessToken"])
    assert await exchange(post, session["refreshToken"]) == NOT_GOOD


async def test_tokens_of_a_sessions_last_minutes_end_with_it(post: Post, copy_connection: asyncpg.Connection) -> None:
    session = await log_in(post)
    await copy_connection.execute("UPDATE contact_sessions SET expires_at = now() + interval '10 minutes'")
    tokens = await exchange(post, session["refreshToken"])
    assert 590 <= tokens["expires_in"] <= 600


# -------------------------------------------------------------------------------------------------- what ends a session


async def test_logout_ends_one_session_with_its_refresh_token(post: Post) -> None:
    session, other = await log_in(post), await log_in(post)
    answer = await post(LOGOUT, session["accessToken"])
    assert answer["data"]["logout"] == {"success": True, "message": "Logged out successfully"}
    await until_ended(post, session["accessToken"])
    assert await exchange(post, session["refreshToken"]) == NOT_GOOD
    assert await is_good(post, other["accessToken"])


async def test_logout_of_a_token_without_a_session_ends_nothing(post: Post, settings: Settings) -> None:
    assert fault_of(await post(LOGOUT))["code"] == "UNAUTHENTICATED"
    for viewer in ("contact", "staff", "john"):
        answer = await post(LOGOUT, headers=credentials(viewer, settings))
        assert answer["data"]["logout"]["success"] is False
    assert await is_good(post, credentials("contact", settings)["Authorization"].removeprefix("Bearer "))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE contacts SET password_hash = 'another' WHERE id = 4",
        "UPDATE contacts SET password_hash = NULL WHERE id = 4",
        "UPDATE contacts SET is_active = false WHERE id = 4",
        "DELETE FROM contact_sessions",
        "TRUNCATE contact_sessions",
    ],
)
async def test_sessions_end_with_the_password_and_with_the_contact_whoever_writes(
    change: str, post: Post, copy_connection: asyncpg.Connection
) -> None:
    session = await log_in(post)
    assert await is_good(post, session["accessToken"])
    await copy_connection.execute(change)
    await until_ended(post, session["accessToken"])
    assert await exchange(post, session["refreshToken"]) == NOT_GOOD
    # What ended does not come back.
    await copy_connection.execute("UPDATE contacts SET is_active = true WHERE id = 4")
    assert await exchange(post, session["refreshToken"]) == NOT_GOOD


async def test_no_token_stands_in_the_store_or_in_the_log(
    post: Post, copy_connection: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    session = await log_in(post)
    tokens = await exchange(post, session["refreshToken"])
    await exchange(post, session["refreshToken"])
    secrets = [session["accessToken"], session["refreshToken"], tokens["access_token"], tokens["refresh_token"]]
    rows = await copy_connection.fetchval("SELECT string_agg(s::text, ' ') FROM contact_sessions s")
    told = " ".join(str(vars(record)) for record in caplog.records)
    assert "exchangeRefreshToken" in told
    for secret in (*secrets, PIETER["password"], TOKEN_SECRET):
        assert secret not in rows
        assert secret not in told


# ---------------------------------------------------------------------------------------------------------- viewer


async def test_viewer_is_the_contact_with_its_companies(graphql: GraphQL) -> None:
    answer = await graphql(VIEWER, viewer="contact")
    company = {"companyId": 2, "name": "De Linde"}
    viewer = answer["data"]["viewer"]
    assert viewer["company"].pop("name") == viewer["companies"]["items"][0]["name"]
    assert viewer["companies"]["items"][0]["companyId"] == company["companyId"]
    assert {name: value for name, value in viewer.items() if not isinstance(value, dict)} == {
        "__typename": "Contact",
        "firstName": "Pieter",
        "lastName": "van der Linde",
        "email": fixtures.CONTACT_EMAIL,
        "login": fixtures.CONTACT_EMAIL,
        "isLoggedIn": True,
        "userId": 4,
        "contactId": 4,
        "parentCompanyId": 2,
        **dict.fromkeys(("debtorId", "iban", "notes")),
    }
    nothing = {"itemsFound": 0, "items": []}
    assert viewer["company"] == {
        "companyId": 2,
        "taxNumber": None,
        "addresses": [],
        "attributes": nothing,
        "orderlists": nothing,
    }
    page = {"itemsFound": 1, "offset": 12, "page": 1, "pages": 1, "start": 1, "end": 1}
    assert {name: value for name, value in viewer["companies"].items() if name != "items"} == page


async def test_viewer_of_two_companies_pages_through_them(graphql: GraphQL) -> None:
    document = """{ viewer { ... on Contact { company { companyId }
      companies(input: {offset: 1, page: 2}) { pages items { companyId } } } } }"""
    answer = await graphql(document, viewer="two-companies")
    companies = {"pages": 2, "items": [{"companyId": 4}]}
    assert answer["data"]["viewer"] == {"company": {"companyId": 3}, "companies": companies}


async def test_viewer_of_a_shop_is_its_customer(graphql: GraphQL) -> None:
    viewer = (await graphql(VIEWER, viewer="john"))["data"]["viewer"]
    assert (viewer["__typename"], viewer["customerId"], viewer["userId"]) == ("Customer", 1, 1)
    assert (viewer["email"], viewer["addresses"], viewer["attributes"]) == (
        fixtures.CUSTOMER_EMAIL,
        [],
        {"itemsFound": 0},
    )


@pytest.mark.parametrize(
    ("viewer", "code"), [(None, "UNAUTHENTICATED"), ("staff", "FORBIDDEN"), ("apikey", "FORBIDDEN")]
)
async def test_viewer_is_nobody_without_an_account(viewer: str | None, code: str, graphql: GraphQL) -> None:
    answer = await graphql(VIEWER, viewer=viewer)
    assert answer["errors"][0]["extensions"]["code"] == code
