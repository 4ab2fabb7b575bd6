"""Customers look for each other's rows through every field of the customer surface that takes a key or gives a list.

The documents are generated from the SDL. Beside John of the shop stands a namesake of another shop, all of whose rows
bear the very ids of John's, so that a statement that forgets the channel anywhere is found out.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest
from graphql import GraphQLObjectType, get_named_type, is_leaf_type, is_required_argument

from app.asgi import executable_schema
from app.auth.token import Tokens
from app.demo.fixtures import STOREFRONT_KEY
from tests.conftest import NORTHWIND_STOREFRONT_KEY, GraphQL, calling, credentials, running, settings_for

ROOTS = {name: field for name, field in executable_schema().query_type.fields.items() if name.startswith("customer")}
# root field -> its argument with a key of John's, of somebody else's, of nothing
KEYS = {
    "customerOrder": ("id", "3", "5", "999"),
    "customerOrderShipment": ("id", "1", "2", "999"),
    "customerOrderShipments": ("orderId", "3", "5", "999"),
}
SESSION = 10**15 + 1000

# Order 3 with all that hangs on it, once more in the other channel under the same ids.
NAMESAKE = f"""
INSERT INTO customers (id, channel_id, email, first_name, last_name)
VALUES (1, 2, 'customer@example.com', 'THEIRS', 'Doe');

INSERT INTO customer_sessions (id, channel_id, customer_id, expires_at) OVERRIDING SYSTEM VALUE
VALUES ({SESSION}, 2, 1, now() + interval '1 day');

INSERT INTO orders
SELECT (jsonb_populate_record(o, '{{"channel_id": 2, "first_name": "THEIRS", "shipping_title": "THEIRS"}}')).*
FROM orders o WHERE o.id = 3;

INSERT INTO order_items
SELECT (jsonb_populate_record(i, '{{"channel_id": 2, "name": "THEIRS", "quantity": 40, "weight": 7}}')).*
FROM order_items i WHERE i.order_id = 3;

INSERT INTO order_addresses
SELECT (jsonb_populate_record(a, '{{"channel_id": 2, "first_name": "THEIRS", "street": "THEIRS"}}')).*
FROM order_addresses a WHERE a.order_id = 3;

INSERT INTO shipments
SELECT (jsonb_populate_record(s, '{{"channel_id": 2, "shipping_number": "THEIRS"}}')).*
FROM shipments s WHERE s.order_id = 3;

INSERT INTO shipment_items
SELECT (jsonb_populate_record(x, '{{"channel_id": 2, "name": "THEIRS", "quantity": 40}}')).*
FROM shipment_items x WHERE x.order_id = 3;

INSERT INTO track_and_traces
SELECT (jsonb_populate_record(t, '{{"channel_id": 2, "code": "THEIRS", "created_at": "2020-01-01T00:00:00Z"}}')).*
FROM track_and_traces t WHERE t.order_id = 3;
"""

Ask = Callable[[str, dict[str, str]], Awaitable[dict[str, Any]]]


def everything(type_: GraphQLObjectType) -> str:
    """All that can be selected below a type; the types of the customer surface have no circle."""
    parts = []
    for name, field in type_.fields.items():
        named = get_named_type(field.type)
        parts.append(name if is_leaf_type(named) else f"{name} {{ {everything(named)} }}")
    return " ".join(parts)


def document(root: str, key: str | None = None) -> str:
    arguments = ""
    if root in KEYS:
        name, own, _foreign, _nothing = KEYS[root]
        value = own if key is None else key
        arguments = f"({name}: {value})" if name == "orderId" else f'({name}: "{value}")'
    return f"{{ {root}{arguments} {{ {everything(get_named_type(ROOTS[root].type))} }} }}"


@pytest.fixture
async def ask(demo_copy_dsn: str) -> AsyncIterator[Ask]:
    """Asks a database that the test may write to."""
    async with (
        running(settings_for(demo_copy_dsn)) as app,
        calling(app) as client,
    ):

        async def post(query: str, headers: dict[str, str]) -> dict[str, Any]:
            answer: dict[str, Any] = (await client.post("/graphql", json={"query": query}, headers=headers)).json()
            return answer

        yield post


def namesake(dsn: str, key: str = NORTHWIND_STOREFRONT_KEY) -> dict[str, str]:
    token = Tokens(settings_for(dsn)).issue("customer:1", jti=str(SESSION))
    return {"X-STOREFRONT-KEY": key, "Authorization": f"Bearer {SESSION}|{token}"}


def texts(value: Any) -> set[Any]:
    if isinstance(value, dict | list):
        return set().union(*map(texts, value.values() if isinstance(value, dict) else value))
    return {value}


def test_every_field_that_needs_a_key_is_asked() -> None:
    needing = {
        name for name, field in ROOTS.items() if any(is_required_argument(argument) for argument in field.args.values())
    }
    assert needing == set(KEYS)


@pytest.mark.parametrize("root", ROOTS)
async def test_rows_of_the_same_ids_in_another_channel_change_nothing(
    ask: Ask, demo_copy_dsn: str, root: str, copy_connection: asyncpg.Connection
) -> None:
    john = credentials("john", settings_for(demo_copy_dsn))
    before = await ask(document(root), john)
    assert "errors" not in before, before["errors"]
    await copy_connection.execute(NAMESAKE)

    assert await ask(document(root), john) == before

    theirs = await ask(document(root), namesake(demo_copy_dsn))
    assert "errors" not in theirs, theirs["errors"]
    assert "THEIRS" in texts(theirs)
    assert "John" not in texts(theirs)
    assert "THEIRS" not in texts(before)
    if root == "customerOrders":
        assert theirs["data"][root]["totalCount"] == 1


@pytest.mark.parametrize("root", ROOTS)
async def test_token_of_one_channel_with_the_key_of_another_is_refused(
    ask: Ask, demo_copy_dsn: str, root: str, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute(NAMESAKE)

    answer = await ask(document(root), namesake(demo_copy_dsn, STOREFRONT_KEY))

    assert answer["data"] == {root: None}
    assert [error["message"] for error in answer["errors"]] == ["Customer is not logged in."]


@pytest.mark.parametrize("root", KEYS)
@pytest.mark.parametrize("viewer", ["john", "jane"])
async def test_somebody_elses_key_answers_like_a_key_of_nothing(graphql: GraphQL, root: str, viewer: str) -> None:
    _name, own, foreign, nothing = KEYS[root]
    foreign = own if viewer == "jane" else foreign

    theirs = await graphql(document(root, foreign), viewer=viewer)
    missing = await graphql(document(root, nothing), viewer=viewer)

    assert theirs["data"] == {root: None}
    for error in (*theirs["errors"], *missing["errors"]):
        error["message"] = error["message"].replace(f'"{foreign}"', "").replace(f'"{nothing}"', "")
    assert theirs == missing


@pytest.mark.parametrize("root", ROOTS)
async def test_customers_find_only_their_own(graphql: GraphQL, root: str) -> None:
    john = texts(await graphql(document(root), viewer="john"))
    assert {"Jane", "Roe", "jane@example.com"} & john == set()
    if root == "customerOrders":
        jane = texts(await graphql(document(root), viewer="jane"))
        assert "Jane" in jane
        assert {"John", "Doe", "customer@example.com"} & jane == set()


async def test_customers_at_the_same_time_do_not_meet(graphql: GraphQL) -> None:
    viewers = ["john", "jane"]
    alone = {viewer: await graphql(document("customerOrders"), viewer=viewer) for viewer in viewers}

    asked = viewers * 10
    together = await asyncio.gather(*(graphql(document("customerOrders"), viewer=viewer) for viewer in asked))

    assert together == [alone[viewer] for viewer in asked]


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("viewer", ["staff", "partner", "apikey", "contact"])
async def test_nobody_but_a_customer_is_answered(
    client: httpx.AsyncClient, demo_dsn: str, root: str, viewer: str
) -> None:
    headers = {**credentials(viewer, settings_for(demo_dsn)), "X-STOREFRONT-KEY": STOREFRONT_KEY}
    answer = (await client.post("/graphql", json={"query": document(root)}, headers=headers)).json()
    assert answer["data"] == {root: None}
    assert [error["message"] for error in answer["errors"]] == ["Customer is not logged in."]
