"""Login, logout and the check of a token, over HTTP on the real application."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from app.demo import fixtures
from app.settings import Settings
from tests.conftest import (
    KEY_HEADER,
    NORTHWIND_STOREFRONT_KEY,
    SUSPENDED_EMAIL,
    SUSPENDED_PASSWORD,
    credentials,
    running,
    settings_for,
)

LOGIN = """mutation($input: createCustomerLoginInput!) { createCustomerLogin(input: $input) {
  customerLogin { id _id apiToken token success message } clientMutationId } }"""
LOGOUT = "mutation { createLogout(input: {}) { logout { success message } } }"
VERIFY = """mutation($token: String) { createVerifyToken(input: {token: $token, clientMutationId: "v"}) {
  verifyToken { id _id firstName lastName email isValid message } clientMutationId } }"""
ORDERS = "{ customerOrders { totalCount } }"

JOHN = {"email": fixtures.CUSTOMER_EMAIL, "password": fixtures.CUSTOMER_PASSWORD}
KEY = {KEY_HEADER: fixtures.STOREFRONT_KEY}
NORTHWIND = {KEY_HEADER: NORTHWIND_STOREFRONT_KEY}
NOT_LOGGED_IN = "Unauthenticated. Please login to perform this action"
NOBODY = {"id": "0", "_id": 0, "firstName": "", "lastName": "", "email": "", "isValid": False}


@pytest.fixture
def settings(demo_copy_dsn: str) -> Settings:
    return settings_for(demo_copy_dsn)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Starlette]:
    """The real application, on a database to write to."""
    async with running(settings) as app:
        yield app


@pytest.fixture
def execute(copy_connection: asyncpg.Connection) -> Any:
    return copy_connection.execute


async def post(
    client: httpx.AsyncClient, query: str, headers: dict[str, str], path: str = "/api/graphql", **variables: Any
) -> Any:
    response = await client.post(path, json={"query": query, "variables": variables}, headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    return response.json()


async def log_in(client: httpx.AsyncClient, **changes: Any) -> Any:
    answer = await post(client, LOGIN, KEY, input={**JOHN, **changes})
    return answer["data"]["createCustomerLogin"]["customerLogin"]


def bearer(token: str, key: dict[str, str] = KEY) -> dict[str, str]:
    return {**key, "Authorization": f"Bearer {token}"}


async def verified(client: httpx.AsyncClient, headers: dict[str, str]) -> Any:
    return (await post(client, VERIFY, headers))["data"]["createVerifyToken"]["verifyToken"]


# ----------------------------------------------------------------------------------------------------------- login


async def test_create_customer_login_gives_a_token_that_sees_the_customers_orders(client: httpx.AsyncClient) -> None:
    answer = await post(client, LOGIN, KEY, input={**JOHN, "clientMutationId": "a b", "deviceToken": "d"})
    payload = answer["data"]["createCustomerLogin"]
    login = payload["customerLogin"]
    token, api_token = login.pop("token"), login.pop("apiToken")
    assert login == {"id": "1", "_id": 1, "success": True, "message": "You have logged in successfully"}
    assert payload["clientMutationId"] == "a b"
    assert token.partition("|")[0].isdecimal()
    assert len(api_token) >= 32
    assert api_token not in token
    for path in ("/api/graphql", "/graphql", "/v2/graphql"):
        orders = await post(client, ORDERS, bearer(token), path)
        assert orders["data"]["customerOrders"]["totalCount"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"password": "not the password"}, "Invalid email or password"),
        ({"email": "nobody@example.com"}, "Invalid email or password"),
        ({"email": SUSPENDED_EMAIL}, "Invalid email or password"),
        (
            {"email": SUSPENDED_EMAIL, "password": SUSPENDED_PASSWORD},
            "Your account has been suspended",
        ),
        ({"email": "'--@example.com"}, "Invalid email or password"),
    ],
)
async def test_create_customer_login_refused_is_an_answer(
    changes: dict[str, str], message: str, client: httpx.AsyncClient
) -> None:
    refused = {"id": "0", "_id": 0, "apiToken": "", "token": "", "success": False, "message": message}
    assert await log_in(client, **changes) == refused


REQUIRED = "The email field is required. The password field is required."
ADDRESS = "The email field must be a valid email address."


@pytest.mark.parametrize(
    ("email", "password", "message"),
    [
        ("", "", REQUIRED),
        (" ", "", REQUIRED),
        ("a@b.c", " \u3000" * 4, "The password field is required."),
        ("nobody", "secret", ADDRESS),
        ("nobody@", "secret", ADDRESS),
        ("@example.com", "secret", ADDRESS),
        ("a b@example.com", "secret", ADDRESS),
        ("a@b@example.com", "secret", ADDRESS),
        ("a@example..com", "secret", ADDRESS),
        ("a@b.c", "short", "The password field must be at least 6 characters."),
        ("nobody", "short", f"{ADDRESS} The password field must be at least 6 characters."),
        ("a" * 250 + "@b.com", "secret", "The email field must not be greater than 255 characters."),
        ("a@b.c", "x" * 4_097, "The password field must not be greater than 4096 bytes."),
        ("a@b.c", "é" * 2_049, "The password field must not be greater than 4096 bytes."),
        ("@" * 100_000, "x" * 100_000, "The email field must not be greater than 255 characters."
         " The password field must not be greater than 4096 bytes."),
    ],
)  # fmt: skip
async def test_create_customer_login_malformed_is_an_error_that_names_every_field(
    email: str, password: str, message: str, client: httpx.AsyncClient
) -> None:
    answer = await post(client, LOGIN, KEY, input={"email": email, "password": password})
    [error] = answer["errors"]
    assert (error["message"], error["path"]) == (message, ["createCustomerLogin"])
    assert error["extensions"]["code"] == "VALIDATION_ERROR"
    assert answer["data"] == {"createCustomerLogin": None}


async def test_login_with_a_nul_character_is_refused_without_a_defect(client: httpx.AsyncClient) -> None:
    answer = await post(client, LOGIN, KEY, input={**JOHN, "password": "secret\0"})
    extensions = answer["errors"][0]["extensions"]
    assert (extensions["code"], extensions["path"]) == ("VALIDATION_ERROR", "input.password")

    path = "/api/shop/customer/login"
    email = await client.post(path, json={**JOHN, "email": "a\0@example.com"}, headers=KEY)
    assert (email.status_code, email.json()) == (400, {"message": ADDRESS})
    password = await client.post(path, json={**JOHN, "password": "secret\0"}, headers=KEY)
    assert (password.status_code, password.json()["success"]) == (201, False)


async def test_create_customer_login_with_ten_megabytes_is_413(client: httpx.AsyncClient) -> None:
    body = {"query": LOGIN, "variables": {"input": {**JOHN, "password": "x" * 10_000_000}}}
    assert (await client.post("/api/graphql", json=body, headers=KEY)).status_code == 413


async def test_create_customer_login_takes_five_attempts_a_minute(client: httpx.AsyncClient) -> None:
    for _ in range(5):
        assert (await log_in(client, password="not the password"))["success"] is False
    answer = await post(client, LOGIN, KEY, input=JOHN)
    [error] = answer["errors"]
    assert error["message"] == "Too many authentication attempts. Please try again later."
    assert error["extensions"] == {"code": "TOO_MANY_ATTEMPTS"}
    assert answer["data"] == {"createCustomerLogin": None}


async def test_create_customer_login_is_not_locked_by_somebody_at_another_address(app: Starlette) -> None:
    async def log_in_from(address: str, password: str) -> Any:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://waybill.test") as client:
            answer = await post(client, LOGIN, KEY, input=JOHN | {"password": password})
        login = answer["data"]["createCustomerLogin"]
        return answer["errors"][0]["extensions"]["code"] if login is None else login["customerLogin"]["success"]

    made = [await log_in_from("2001:db8:0:1::1", "not the password") for _ in range(6)]
    assert made == [False] * 5 + ["TOO_MANY_ATTEMPTS"]
    assert await log_in_from("2001:db8:0:1:ffff::2", JOHN["password"]) == "TOO_MANY_ATTEMPTS"  # of the same network
    assert await log_in_from("2001:db8:0:2::1", JOHN["password"]) is True


async def test_create_customer_login_many_times_in_one_document_is_refused_whole(
    client: httpx.AsyncClient, execute: Any
) -> None:
    attempt = 'createCustomerLogin(input: {email: "customer@example.com", password: "guess%d"}) { clientMutationId }'
    document = "mutation { " + " ".join(f"a{i}: {attempt % i}" for i in range(6)) + " }"
    answer = (await client.post("/api/graphql", json={"query": document}, headers=KEY)).json()
    assert "data" not in answer
    assert await execute("SELECT FROM login_attempts") == "SELECT 0"


async def test_create_customer_login_needs_the_key_of_the_customers_channel(client: httpx.AsyncClient) -> None:
    answer = await post(client, LOGIN, NORTHWIND, input=JOHN)
    assert answer["data"]["createCustomerLogin"]["customerLogin"]["message"] == "Invalid email or password"
    [error] = (await post(client, LOGIN, {}, "/graphql", input=JOHN))["errors"]
    assert error["message"] == "X-STOREFRONT-KEY header is required for this operation"
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


# ---------------------------------------------------------------------------------------------------------- logout


async def test_create_logout_ends_this_token_and_no_other(client: httpx.AsyncClient) -> None:
    one, other = bearer((await log_in(client))["token"]), bearer((await log_in(client))["token"])
    done = {"success": True, "message": "Logged out successfully"}
    assert (await post(client, LOGOUT, one))["data"]["createLogout"]["logout"] == done
    [error] = (await post(client, ORDERS, one))["errors"]
    assert (error["message"], error["path"]) == ("Customer is not logged in.", ["customerOrders"])
    assert (await post(client, ORDERS, other))["data"]["customerOrders"]["totalCount"] > 0
    again = {"success": False, "message": NOT_LOGGED_IN}
    assert (await post(client, LOGOUT, one))["data"]["createLogout"]["logout"] == again


@pytest.mark.parametrize("viewer", ["stranger", "staff"])
async def test_create_logout_without_a_customers_token_does_nothing(
    viewer: str, client: httpx.AsyncClient, settings: Settings
) -> None:
    answer = await post(client, LOGOUT, KEY | credentials(viewer, settings))
    assert answer["data"]["createLogout"]["logout"] == {"success": False, "message": NOT_LOGGED_IN}


async def test_create_logout_of_another_shop_leaves_the_token(client: httpx.AsyncClient) -> None:
    token = (await log_in(client))["token"]
    answer = await post(client, LOGOUT, bearer(token, NORTHWIND))
    assert answer["data"]["createLogout"]["logout"]["success"] is False
    assert (await verified(client, bearer(token)))["isValid"] is True


# ---------------------------------------------------------------------------------------------------------- verify


async def test_create_verify_token_tells_whose_token_it_is(client: httpx.AsyncClient, settings: Settings) -> None:
    answer = await post(client, VERIFY, credentials("john", settings), token="some other token")
    assert answer["data"]["createVerifyToken"] == {
        "verifyToken": {
            "id": "1",
            "_id": 1,
            "firstName": "John",
            "lastName": "Doe",
            "email": fixtures.CUSTOMER_EMAIL,
            "isValid": True,
            "message": "Token is valid",
        },
        "clientMutationId": "v",
    }


async def test_create_verify_token_answers_for_the_header_alone(client: httpx.AsyncClient) -> None:
    token = (await log_in(client))["token"]
    answer = await post(client, VERIFY, KEY, token=token)
    assert answer["data"]["createVerifyToken"]["verifyToken"] == NOBODY | {"message": NOT_LOGGED_IN}


@pytest.mark.parametrize("token", ["", "1|x", "forged", "\x7f", "x" * 9_000])
async def test_create_verify_token_of_a_bad_token(token: str, client: httpx.AsyncClient) -> None:
    assert await verified(client, bearer(token)) == NOBODY | {"message": NOT_LOGGED_IN}


async def test_create_verify_token_names_a_suspension_to_the_customers_own_shop_alone(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    suspended = credentials("suspended", settings)
    assert await verified(client, suspended) == NOBODY | {"message": "Customer account is suspended"}
    assert await verified(client, suspended | NORTHWIND) == NOBODY | {"message": NOT_LOGGED_IN}
    [error] = (await post(client, ORDERS, suspended))["errors"]
    assert error["message"] == "Customer is not logged in."


# --------------------------------------------------------------------------------------------------------- customer


@pytest.mark.parametrize("change", ["revoked_at = now()", "created_at = now() - interval '9 days', expires_at = now()"])
async def test_customer_whose_session_has_ended_is_not_logged_in(
    change: str, client: httpx.AsyncClient, settings: Settings, execute: Any
) -> None:
    john = credentials("john", settings)
    assert (await post(client, ORDERS, john))["data"]["customerOrders"]
    await execute("UPDATE customer_sessions SET " + change)
    answer = await post(client, ORDERS, john)
    assert answer["data"] == {"customerOrders": None}
    assert answer["errors"][0]["message"] == "Customer is not logged in."


async def test_customer_with_the_key_of_another_channel_is_not_logged_in(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    for path in ("/api/graphql", "/graphql"):
        answer = await post(client, ORDERS, credentials("john", settings) | NORTHWIND, path)
        assert answer["errors"][0]["message"] == "Customer is not logged in."
        assert answer["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


@pytest.mark.parametrize("viewer", ["staff", "partner", "contact", "apikey", "stranger"])
async def test_customer_is_nobody_else(viewer: str, client: httpx.AsyncClient, settings: Settings) -> None:
    answer = await post(client, ORDERS, KEY | credentials(viewer, settings))
    assert answer["errors"][0]["message"] == "Customer is not logged in."


async def test_customer_reads_its_own_orders_on_the_b2b_surface_too(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    john = credentials("john", settings)
    del john[KEY_HEADER]
    own, foreign = "{ order(orderId: 1) { id } }", "{ order(orderId: 5) { id } }"
    assert (await post(client, own, john, "/graphql"))["data"] == {"order": {"id": 1}}
    [error] = (await post(client, foreign, john, "/graphql"))["errors"]
    assert error["extensions"]["code"] == "ORDER_NOT_FOUND"
