"""Nobody writes without the scope, and nobody learns by writing what others have.

Whoever may write is a partner or staff, and staff see everything. The strangers are a partner of another channel, and
one of a sister company in the same channel, who owns order 2077.
"""

from typing import Any

import asyncpg
import pytest
from graphql import GraphQLObjectType

from app.asgi import executable_schema
from tests.app.resolvers.b2b.conftest import Refused
from tests.conftest import GraphQL

SHIPMENT, ITEM, CODE, ORDER, LINE = (
    "65ad4404-88a6-4f97-9325-34a3a35f1dfc",
    "bda8e812-4238-49b4-aafc-6a153e265d59",
    "2d1860e6-e58c-41b8-b9d7-689b355b0c52",
    2075,
    20155,
)
NO_UUID, NO_ID = "00000000-0000-4000-8000-000000000000", 2_000_000_000
OWN_SHIPMENT, OWN_ITEM, OWN_CODE, OWN_ORDER = (
    "4067c358-4ee2-47f8-9a94-e3e8ab73738f",
    "a8acb513-7c92-40dc-b4e0-88a9b9492f25",
    "d4c0dca8-b4c9-4755-8c9c-3adcf515a823",
    2077,
)
STRANGERS = ["northwind-writer", "hofstra-writer"]
# Who reads, in every way there is.
READERS = ["staff", "read-only", "contact", "john"]

# mutation -> the document with one key, and the key
KEYED: dict[str, tuple[str, str | int]] = {
    "shipmentCreate": ("($key: Int!) { shipmentCreate(input: {orderId: $key}) { id } }", ORDER),
    "shipmentUpdate": ("($key: String!) { shipmentUpdate(id: $key, input: {status: PROCESSING}) { id } }", SHIPMENT),
    "shipmentDelete": ("($key: String!) { shipmentDelete(id: $key) }", SHIPMENT),
    "shipmentItemCreate": (
        f"($key: String!) {{ shipmentItemCreate(input: {{shipmentId: $key, orderItemId: {LINE}}}) {{ id }} }}",
        SHIPMENT,
    ),
    "shipmentItemUpdate": ("($key: String!) { shipmentItemUpdate(id: $key, input: {quantity: 1}) { id } }", ITEM),
    "shipmentItemDelete": ("($key: String!) { shipmentItemDelete(id: $key) }", ITEM),
    "trackAndTraceCreate": (
        '($key: String!) { trackAndTraceCreate(input: {shipmentId: $key, code: "A"}) { id } }',
        SHIPMENT,
    ),
    "trackAndTraceUpdate": ('($key: String!) { trackAndTraceUpdate(id: $key, input: {code: "A"}) { id } }', CODE),
    "trackAndTraceDelete": ("($key: String!) { trackAndTraceDelete(id: $key) }", CODE),
    "orderSetStatus": ('($key: Int!) { orderSetStatus(input: {orderId: $key, status: "COMPLETED"}) { id } }', ORDER),
    "refundCreate": ('($key: Int!) { refundCreate(input: {orderId: $key, amount: "1.00"}) { id } }', ORDER),
    "orderItemCancel": ("($key: Int!) { orderItemCancel(input: {orderItemId: $key, quantity: 1}) { id } }", LINE),
}
# Keys inside the input of whoever owns order 2077.
NESTED: dict[str, tuple[str, str | int]] = {
    "shipmentCreate items": (
        f"($key: Int!) {{ shipmentCreate(input: {{orderId: {OWN_ORDER}, items: [{{orderItemId: $key}}]}}) {{ id }} }}",
        LINE,
    ),
    "shipmentUpdate order": (
        f'($key: Int!) {{ shipmentUpdate(id: "{OWN_SHIPMENT}", input: {{orderId: $key}}) {{ id }} }}',
        ORDER,
    ),
    "shipmentItemUpdate shipment": (
        f'($key: String!) {{ shipmentItemUpdate(id: "{OWN_ITEM}", input: {{shipmentId: $key}}) {{ id }} }}',
        SHIPMENT,
    ),
    "shipmentItemUpdate line": (
        f'($key: Int!) {{ shipmentItemUpdate(id: "{OWN_ITEM}", input: {{orderItemId: $key}}) {{ id }} }}',
        LINE,
    ),
    "trackAndTraceUpdate shipment": (
        f'($key: String!) {{ trackAndTraceUpdate(id: "{OWN_CODE}", input: {{shipmentId: $key}}) {{ id }} }}',
        SHIPMENT,
    ),
}
CARRIERS: dict[str, tuple[str, str | int]] = {
    "carrierCreate": (
        '($key: CarrierType!) { carrierCreate(input: {name: "A", type: $key, descriptions: []}) { id } }',
        "PICKUP",
    ),
    "carrierUpdate": ('($key: Int!) { carrierUpdate(id: $key, input: {name: "A"}) { id } }', 1),
    "carrierDelete": ("($key: Int!) { carrierDelete(id: $key) }", 1),
}
# These have tests of their own.
ELSEWHERE = {
    *("createCustomerLogin", "createLogout", "createVerifyToken", "customerPasswordRequest", "customerPasswordSet"),
    *("shipmentStatusReport", "shipmentStatusReports", "refundDelete", "outboxEventsAcknowledge"),
    *("webhookEndpointCreate", "webhookEndpointUpdate", "webhookEndpointDelete", "webhookEndpointRotateSecret"),
    *("webhookRedeliver", "webhookReplay", "webhookTest", "orderLinkRequest"),
    *("login", "exchangeRefreshToken", "logout"),
}


def nothing(key: str | int) -> str | int:
    return NO_UUID if isinstance(key, str) else NO_ID


def test_every_mutation_is_tried() -> None:
    mutation = executable_schema().mutation_type
    assert isinstance(mutation, GraphQLObjectType)
    assert KEYED.keys() | CARRIERS.keys() | ELSEWHERE == mutation.fields.keys()


@pytest.mark.parametrize("name", KEYED | CARRIERS)
async def test_mutation_without_credential_or_scope_is_refused(refused: Refused, name: str) -> None:
    document, key = (KEYED | CARRIERS)[name]
    assert (await refused(f"mutation{document}", viewer=None, key=key))["code"] == "UNAUTHENTICATED"
    for viewer in READERS:
        assert (await refused(f"mutation{document}", viewer=viewer, key=key))["code"] == "FORBIDDEN"
    if name in KEYED:
        assert (await refused(f"mutation{document}", viewer="logistics", key=key))["code"] == "FORBIDDEN"


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("name", KEYED)
async def test_key_of_others_answers_like_a_key_of_nothing(refused: Refused, name: str, stranger: str) -> None:
    document, key = KEYED[name]
    foreign = await refused(f"mutation{document}", viewer=stranger, key=key)
    missing = await refused(f"mutation{document}", viewer=stranger, key=nothing(key))
    assert foreign == missing
    assert foreign["code"].endswith(("NOT_FOUND_ERROR", "NOT_FOUND"))


@pytest.mark.parametrize("name", NESTED)
async def test_key_of_others_in_an_input_answers_like_a_key_of_nothing(refused: Refused, name: str) -> None:
    document, key = NESTED[name]
    foreign = await refused(f"mutation{document}", viewer="hofstra-writer", key=key)
    assert foreign == await refused(f"mutation{document}", viewer="hofstra-writer", key=nothing(key))


@pytest.mark.parametrize("name", KEYED)
@pytest.mark.parametrize("viewer", ["apikey", "editor"])
async def test_mutation_is_done_for_who_may(write: GraphQL, name: str, viewer: str) -> None:
    """The documents above fail for want of rights alone."""
    document, key = KEYED[name]
    assert "errors" not in await write(f"mutation{document}", {"key": key}, viewer=viewer)


async def test_partner_of_a_company_writes_its_own(written: GraphQL, copy_connection: asyncpg.Connection) -> None:
    document = f'mutation {{ shipmentItemUpdate(id: "{OWN_ITEM}", input: {{quantity: 1}}) {{ quantity }} }}'
    answer: Any = await written(document, viewer="hofstra-writer")
    assert answer == {"quantity": 1}
    actor = "SELECT t.actor FROM transactions t ORDER BY t.id DESC LIMIT 1"
    key = "SELECT 'partner:' || id FROM api_keys WHERE name = 'hofstra writer'"
    assert await copy_connection.fetchval(actor) == await copy_connection.fetchval(key)
