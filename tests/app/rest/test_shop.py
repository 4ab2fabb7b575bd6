"""The REST endpoints: keys, tokens, ids, pages and refusals. What the objects hold is compared in tests/contract."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette

from app.demo import fixtures
from app.postgres.database import Database
from tests.conftest import (
    NORTHWIND_STOREFRONT_KEY,
    SUSPENDED_EMAIL,
    SUSPENDED_PASSWORD,
    calling,
    credentials,
    settings_for,
)

KEY = {"X-STOREFRONT-KEY": fixtures.STOREFRONT_KEY}
ORDERS, SHIPMENTS = "/api/shop/customer-orders", "/api/shop/customer-order-shipments"
LOGIN, LOGOUT, VERIFY = "/api/shop/customer/login", "/api/shop/customer/logout", "/api/shop/verify-tokens"
ALL = [("GET", ORDERS), ("GET", f"{ORDERS}/1"), ("GET", SHIPMENTS), ("GET", f"{SHIPMENTS}/1")]
ALL += [("POST", LOGIN), ("POST", LOGOUT), ("POST", VERIFY)]
JOHN = {"email": fixtures.CUSTOMER_EMAIL, "password": fixtures.CUSTOMER_PASSWORD}

Get = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def get(client: httpx.AsyncClient, demo_dsn: str) -> Get:
    """Asks as a customer."""
    settings = settings_for(demo_dsn)

    async def get(path: str, viewer: str = "john", **params: str) -> httpx.Response:
        return await client.get(path, params=params or None, headers=credentials(viewer, settings))

    return get


# ------------------------------------------------------------------------------------------------ keys and tokens


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_a_missing_and_a_wrong_key_are_told_first(client: httpx.AsyncClient, method: str, path: str) -> None:
    missing = await client.request(method, path)
    wrong = await client.request(
        method, path, headers={"X-STOREFRONT-KEY": "pk_of_nobody", "Authorization": "Bearer x"}
    )

    assert missing.status_code == 401
    assert missing.json() == {
        "message": "X-STOREFRONT-KEY header is required",
        "error": "missing_key",
        "header_name": "X-STOREFRONT-KEY",
        "key_type": "shop",
    }
    assert wrong.status_code == 403
    assert wrong.json() == {"message": "Invalid or inactive shop API key", "error": "invalid_key"}


@pytest.mark.parametrize("path", [ORDERS, f"{ORDERS}/1", f"{ORDERS}/x", SHIPMENTS, f"{SHIPMENTS}/1", f"{SHIPMENTS}/x"])
@pytest.mark.parametrize("token", [None, "Bearer 1|nonsense", "Basic eDp5", "Bearer"])
async def test_the_token_is_checked_before_the_id(client: httpx.AsyncClient, path: str, token: str | None) -> None:
    answer = await client.get(path, headers=KEY | ({"Authorization": token} if token else {}))
    assert answer.status_code == 401
    assert answer.json() == {"message": "Customer is not logged in."}


@pytest.mark.parametrize("viewer", ["staff", "partner", "contact"])
async def test_only_a_customer_is_logged_in(client: httpx.AsyncClient, demo_dsn: str, viewer: str) -> None:
    answer = await client.get(ORDERS, headers=KEY | credentials(viewer, settings_for(demo_dsn)))
    assert (answer.status_code, answer.json()) == (401, {"message": "Customer is not logged in."})


async def test_a_token_is_refused_with_the_key_of_another_channel(client: httpx.AsyncClient, demo_dsn: str) -> None:
    headers = credentials("john", settings_for(demo_dsn)) | {"X-STOREFRONT-KEY": NORTHWIND_STOREFRONT_KEY}
    answer = await client.get(f"{ORDERS}/1", headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"message": "Customer is not logged in."})


# ------------------------------------------------------------------------------------------------ ids

NO_IDS = ["999", "0", "-1", "01", "1.0", "abc", "9" * 40, "2147483648", "5 ", "1/2", "1\n", "ä", '"', "\0", "", "%31"]


@pytest.mark.parametrize("id_", NO_IDS)
@pytest.mark.parametrize(("path", "noun"), [(ORDERS, "order"), (SHIPMENTS, "shipment")])
async def test_what_is_no_id_answers_like_a_foreign_one(
    get: Get, db: Database, connection: Any, id_: str, path: str, noun: str
) -> None:
    theirs = (
        "5" if noun == "order" else str(await connection.fetchval("SELECT number FROM shipments WHERE order_id = 2075"))
    )
    before = db.statements
    foreign = await get(f"{path}/{theirs}")
    cost = db.statements - before

    answer = await get(f"{path}/{quote(id_, safe='')}")

    assert answer.status_code == foreign.status_code == 404
    assert foreign.json() == {"message": f'Customer {noun} with ID "{theirs}" not found.'}
    assert answer.json() == {"message": f'Customer {noun} with ID "{id_}" not found.'}
    varying = ("x-request-id", "content-length", "ratelimit", "x-ratelimit-remaining")
    assert [header for header in answer.headers.items() if header[0] not in varying] == [
        header for header in foreign.headers.items() if header[0] not in varying
    ]
    assert db.statements - before - cost == cost


@pytest.mark.parametrize("id_", ["9" * 5_000, "x y " * 1_000])
@pytest.mark.parametrize(("path", "noun"), [(ORDERS, "order"), (SHIPMENTS, "shipment")])
async def test_long_id_is_not_found_and_quoted_in_part(get: Get, id_: str, path: str, noun: str) -> None:
    answer = await get(f"{path}/{quote(id_, safe='')}")
    shown = f"{id_[:90]}…{id_[-9:]}"
    assert (answer.status_code, answer.json()) == (404, {"message": f'Customer {noun} with ID "{shown}" not found.'})


async def test_numbers_of_thousands_of_digits_in_a_query_string_are_refused(get: Get) -> None:
    for name in ("page", "per_page", "order_id", "orderId"):
        answer = await get(SHIPMENTS, **{name: "9" * 5_000})
        assert answer.status_code == 400
        assert len(answer.content) < 100


# ------------------------------------------------------------------------------------------------ orders


async def test_an_order_holds_what_hangs_on_it(get: Get) -> None:
    answer = await get(f"{ORDERS}/3")

    order = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"].startswith("application/json")
    assert [item["sku"] for item in order["items"]] == ["PROD-001"]
    assert order["items"][0]["qtyShipped"] == sum(item["qty"] for item in order["shipments"][0]["items"])
    assert order["shipments"][0]["items"][0]["orderItemId"] == order["items"][0]["id"]
    assert {address["addressType"] for address in order["addresses"]} <= {"billing", "shipping"}
    assert order["payment"]["method"] == "moneytransfer"
    assert (order["subTotalInvoiced"], order["subTotalInclTax"], order["shippingAmountInclTax"]) == (140.0, 140.0, 10.0)
    assert (order["customerId"], order["channelId"]) == (1, 1)


async def test_orders_are_the_customers_own_newest_first(get: Get, connection: Any) -> None:
    own = await connection.fetch("SELECT id FROM orders WHERE customer_id = 1 ORDER BY id DESC")

    answer = await get(ORDERS, per_page="50")

    assert [order["id"] for order in answer.json()] == [row["id"] for row in own][:50]
    assert answer.headers["x-total-count"] == str(len(own))


async def test_orders_are_filtered_by_status(get: Get) -> None:
    pending = (await get(ORDERS, status="pending", per_page="50")).json()
    assert {order["status"] for order in pending} == {"pending"}
    for unknown in ("Pending", "NEW", "", "\0", "x" * 5000):
        answer = await get(ORDERS, status=unknown)
        assert (answer.status_code, answer.json(), answer.headers["x-total-count"]) == (200, [], "0")
        assert answer.headers["x-total-pages"] == "0"


@pytest.mark.parametrize("path", [ORDERS, SHIPMENTS])
async def test_pages_divide_the_list(get: Get, path: str) -> None:
    whole = await get(path, per_page="50")
    total = int(whole.headers["x-total-count"])
    ids = [entry["id"] for entry in whole.json()]
    assert ids == sorted(ids, reverse=True)

    first, second = await get(path, per_page="1"), await get(path, per_page="1", page="2")
    beyond = await get(path, page="9" * 40)

    assert [entry["id"] for entry in first.json() + second.json()] == ids[:2]
    assert (first.headers["x-page"], first.headers["x-per-page"], first.headers["x-total-pages"]) == (
        "1",
        "1",
        str(total),
    )
    assert (beyond.status_code, beyond.json()) == (200, [])
    assert (beyond.headers["x-total-count"], beyond.headers["x-page"]) == (str(total), "9" * 40)
    assert beyond.headers["x-per-page"] == "10"
    assert (await get(path, per_page="51")).headers["x-per-page"] == "50"


@pytest.mark.parametrize("path", [ORDERS, SHIPMENTS])
@pytest.mark.parametrize("name", ["page", "per_page"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "x", "", "١", "1\0"])
async def test_a_page_that_is_no_positive_integer_is_refused(get: Get, path: str, name: str, value: str) -> None:
    answer = await get(path, **{name: value})
    assert (answer.status_code, answer.json()) == (400, {"message": f"The {name} must be a positive integer."})


@pytest.mark.parametrize("path", [ORDERS, f"{ORDERS}/3", SHIPMENTS, f"{SHIPMENTS}/1"])
async def test_a_list_or_an_object_costs_one_statement_whatever_its_size(get: Get, db: Database, path: str) -> None:
    """Beside the shop's key and the login, which the fixture has read with each request."""
    await get(path)  # what PostgreSQL tells of a statement's columns is known from then on
    for size in ("1", "50"):
        before = db.statements
        assert (await get(path, per_page=size)).status_code == 200
        assert db.statements - before == 3


# ------------------------------------------------------------------------------------------------ shipments


async def test_shipments_are_filtered_by_order(get: Get) -> None:
    for name in ("order_id", "orderId"):
        [shipment] = (await get(SHIPMENTS, **{name: "3"})).json()
        assert (shipment["orderId"], shipment["status"]) == (3, "shipped")
        assert shipment["items"][0]["sku"] == "PROD-001"
    for nothing in ("5", "2075", "999", "0", "-3", "9" * 40):
        answer = await get(SHIPMENTS, order_id=nothing)
        assert (answer.status_code, answer.json()) == (200, [])
    for broken in ("x", "3.0", "", "3\0"):
        answer = await get(SHIPMENTS, order_id=broken)
        assert (answer.status_code, answer.json()) == (400, {"message": "Invalid order ID provided."})


async def test_shipments_are_filtered_by_status(get: Get) -> None:
    assert {entry["status"] for entry in (await get(SHIPMENTS, status="shipped")).json()} == {"shipped"}
    assert (await get(SHIPMENTS, status="\0")).json() == []


async def test_one_shipment_is_the_same_as_in_the_list(get: Get) -> None:
    [listed] = (await get(SHIPMENTS, order_id="3")).json()
    assert (await get(f"{SHIPMENTS}/{listed['id']}")).json() == listed
    assert (await get(f"{SHIPMENTS}/{listed['id']}", viewer="jane")).status_code == 404


# ------------------------------------------------------------------------------------------------ login


@pytest.fixture
async def post(copy: Starlette) -> Any:
    """Posts with the storefront key to an application that may be written to."""
    async with calling(copy) as client:

        async def post(path: str, *, token: str | None = None, **body: Any) -> httpx.Response:
            headers = KEY | ({"Authorization": f"Bearer {token}"} if token else {})
            return await client.post(path, headers=headers, **body)

        yield post


async def test_a_customer_logs_in_is_known_and_logs_out(post: Any) -> None:
    login = await post(LOGIN, json=JOHN | {"deviceToken": "none"})
    assert login.status_code == 201
    body = login.json()
    assert list(body) == ["id", "_id", "apiToken", "token", "success", "message"]
    assert (body["id"], body["_id"], body["success"]) == (1, 1, True)
    assert body["message"] == "You have logged in successfully"
    assert "|" in body["token"]

    token = body["token"]
    check = await post(VERIFY, token=token)
    assert (check.status_code, check.json()) == (
        201,
        {
            "id": 1,
            "firstName": "John",
            "lastName": "Doe",
            "email": fixtures.CUSTOMER_EMAIL,
            "isValid": True,
            "message": "Token is valid",
        },
    )
    logout = await post(LOGOUT, token=token, json={})
    assert (logout.status_code, logout.json()) == (201, {"success": True, "message": "Logged out successfully"})
    again = await post(LOGOUT, token=token)
    unauthenticated = "Unauthenticated. Please login to perform this action"
    assert (again.status_code, again.json()) == (201, {"success": False, "message": unauthenticated})
    check = await post(VERIFY, token=token)
    assert (check.status_code, check.json()) == (
        201,
        {"id": 0, "firstName": "", "lastName": "", "email": "", "isValid": False, "message": unauthenticated},
    )


@pytest.mark.parametrize(
    ("credentials_", "message"),
    [
        (JOHN | {"password": "not his password"}, "Invalid email or password"),
        ({"email": "nobody@example.com", "password": "a password"}, "Invalid email or password"),
        (
            {"email": SUSPENDED_EMAIL, "password": SUSPENDED_PASSWORD},
            "Your account has been suspended",
        ),
    ],
)
async def test_a_login_is_refused_in_the_same_shape(post: Any, credentials_: dict[str, str], message: str) -> None:
    answer = await post(LOGIN, json=credentials_)
    assert answer.status_code == 201
    assert answer.json() == {"id": 0, "_id": 0, "apiToken": "", "token": "", "success": False, "message": message}


async def test_an_empty_login_names_both_fields(post: Any) -> None:
    for body in ({"json": {}}, {"json": {"email": "", "password": None}}, {}):
        answer = await post(LOGIN, **body)
        assert answer.status_code == 400
        assert answer.json() == {"message": "The email field is required. The password field is required."}


@pytest.mark.parametrize(
    "body",
    [
        {"content": b"not JSON"},
        {"content": b"[]"},
        {"content": b"null"},
        {"content": b"{"},
        {"content": b'{"email": "\xff"}'},
        {"data": JOHN},
        {"json": {"email": ["x"], "password": "a password"}},
        {"json": {"email": "no address", "password": "a password"}},
        {"json": JOHN | {"password": "short"}},
    ],
)
async def test_a_malformed_login_is_refused(post: Any, body: dict[str, Any]) -> None:
    answer = await post(LOGIN, **body)
    assert answer.status_code == 400
    assert list(answer.json()) == ["message"]


@pytest.mark.parametrize("path", [LOGOUT, VERIFY])
async def test_a_body_that_is_no_object_is_refused_elsewhere_too(post: Any, path: str) -> None:
    assert (await post(path, content=b"[1]")).status_code == 400


async def test_a_huge_password_is_refused_unread(post: Any) -> None:
    answer = await post(LOGIN, json=JOHN | {"password": "x" * 10_000_000})
    assert (answer.status_code, list(answer.json())) == (413, ["message"])


async def test_nul_characters_are_no_defect(post: Any) -> None:
    for body in (JOHN | {"password": "a\0password"}, JOHN | {"email": "customer\0@example.com"}):
        answer = await post(LOGIN, json=body)
        assert answer.status_code in (201, 400)
        assert answer.json().get("success", False) is False
