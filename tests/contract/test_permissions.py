"""Reading needs the permission for what is read, at each root field and across each relation."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, get_named_type, is_non_null_type

from app.asgi import executable_schema
from app.auth.token import Tokens
from app.execution.field_plan import RelationPlan, everybody, plan_of
from tests.conftest import CUSTOMERS, FIRST_SESSION, credentials, settings_for

ORDERS, SHIPMENTS = "orders:read", "shipments:read"
# root field -> what a viewer must hold; the shop's surface needs a customer, and no permission.
ROOTS = {
    "auditTrail": {SHIPMENTS},
    "carrier": set(),
    "carriers": set(),
    "changes": {ORDERS, SHIPMENTS},
    "order": {ORDERS},
    "orderAddress": {ORDERS},
    "orderAddresses": {ORDERS},
    "orderStatus": {ORDERS},
    "orderStatuses": {ORDERS},
    "orders": {ORDERS},
    "outboxEvents": {"outbox:read"},
    "trackedOrder": {ORDERS, SHIPMENTS},
    "shipment": {SHIPMENTS},
    "shipmentItem": {SHIPMENTS},
    "shipmentItems": {SHIPMENTS},
    "shipments": {SHIPMENTS},
    "trackAndTrace": {SHIPMENTS},
    "trackAndTraces": {SHIPMENTS},
    "trackingCodeCheck": set(),
    "viewer": set(),
    "webhookDeliveries": {"webhooks:write"},
    "webhookDelivery": {"webhooks:write"},
    "webhookDryRun": {"webhooks:write"},
    "webhookEndpoint": {"webhooks:write"},
    "webhookEndpoints": {"webhooks:write"},
}
# For strangers, too: tests/app/pages/test_form.py asks for it.
OPEN = {"shop"}
SHOP = {"customerOrder", "customerOrders", "customerOrderShipment", "customerOrderShipments"}
# Relations to rows that need another permission than their parent, with a document that reaches them.
RELATIONS = {
    "Shipment.order": (ORDERS, "{ shipments(input: { offset: 1 }) { items { order { id } } } }"),
    "Order.shipments": (SHIPMENTS, "{ order(orderId: 2075) { shipments { id } } }"),
    "ShipmentItem.orderItem": (ORDERS, "{ shipmentItems { items { orderItem { id } } } }"),
}
# They are an empty list without it.
EMPTY = {
    "Carrier.trackAndTraces": (SHIPMENTS, "{ carriers { items { trackAndTraces { id } } } }"),
}

Asked = Callable[[str, str], Awaitable[dict[str, Any]]]


@pytest.fixture
def asked(client: httpx.AsyncClient, demo_dsn: str) -> Asked:
    """What staff are answered whose token has this scope."""
    tokens = Tokens(settings_for(demo_dsn))

    async def post(query: str, scope: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {tokens.issue('staff:1', scope=scope)}"}
        answer: dict[str, Any] = (await client.post("/graphql", json={"query": query}, headers=headers)).json()
        return answer

    return post


def _query_fields() -> dict[str, GraphQLField]:
    query = executable_schema().query_type
    assert query is not None
    return query.fields


def _document(root: str) -> str:
    """One that gives the field what it demands, whatever that is worth: who may not ask is refused first."""
    field = _query_fields()[root]
    given = {"Int": "1", "String": '""', "ID": '"1"'}
    arguments = ", ".join(
        f"{name}: {given.get(str(get_named_type(argument.type)), '{}')}"
        for name, argument in field.args.items()
        if is_non_null_type(argument.type)
    )
    return f"{{ {root}{f'({arguments})' if arguments else ''} {{ __typename }} }}"


def test_every_root_field_is_asked() -> None:
    assert set(ROOTS) | SHOP | OPEN == set(_query_fields())


@pytest.mark.parametrize(("root", "missing"), [(root, needed) for root in ROOTS for needed in sorted(ROOTS[root])])
async def test_root_field_is_refused_without_its_permission(asked: Asked, root: str, missing: str) -> None:
    others = {ORDERS, SHIPMENTS, "carriers:write", "shipments:override"} - {missing}
    for scope in ("", " ".join(sorted(others))):
        answer = await asked(_document(root), scope)
        assert answer["data"] is None
        assert [error["extensions"] for error in answer["errors"]] == [{"code": "FORBIDDEN"}]
    granted = await asked(_document(root), " ".join(sorted({*others, missing})))
    assert "FORBIDDEN" not in [error["extensions"]["code"] for error in granted.get("errors", [])]


@pytest.mark.parametrize("root", ROOTS)
async def test_root_field_is_refused_without_a_viewer(client: httpx.AsyncClient, root: str) -> None:
    answer = (await client.post("/graphql", json={"query": _document(root)})).json()
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("viewer", ["staff", "apikey", "contact", "stranger"])
@pytest.mark.parametrize("root", sorted(SHOP))
async def test_field_of_the_shop_is_refused_without_a_customer(
    client: httpx.AsyncClient, demo_dsn: str, root: str, viewer: str
) -> None:
    headers = credentials("stranger", settings_for(demo_dsn)) | credentials(viewer, settings_for(demo_dsn))
    answer = (await client.post("/graphql", json={"query": _document(root)}, headers=headers)).json()
    assert answer["data"] in (None, {root: None})
    assert [error["message"] for error in answer["errors"]] == ["Customer is not logged in."]


@pytest.mark.parametrize(("scope", "code"), [("", "FORBIDDEN"), (ORDERS, None)])
async def test_scope_of_a_customers_token_narrows_the_b2b_surface_alone(
    client: httpx.AsyncClient, demo_dsn: str, scope: str, code: str | None
) -> None:
    settings = settings_for(demo_dsn)
    customer_id = CUSTOMERS["jane"]
    session_id = str(FIRST_SESSION + customer_id)
    token = Tokens(settings).issue(f"customer:{customer_id}", jti=session_id, scope=scope)
    headers = {**credentials("stranger", settings), "Authorization": f"Bearer {session_id}|{token}"}

    async def post(query: str) -> dict[str, Any]:
        answer: dict[str, Any] = (await client.post("/graphql", json={"query": query}, headers=headers)).json()
        return answer

    b2b = await post("{ orders { itemsFound } }")
    assert b2b.get("errors", [{"extensions": {"code": None}}])[0]["extensions"]["code"] == code
    shop = await post("{ customerOrders { totalCount } }")
    assert shop["data"]["customerOrders"]["totalCount"] > 0


def _guarded(schema: GraphQLSchema) -> set[str]:
    """The relations that are not open to whoever sees the parent."""
    return {
        f"{type_.name}.{name}"
        for type_ in schema.type_map.values()
        if isinstance(type_, GraphQLObjectType)
        for name, field in type_.fields.items()
        if isinstance(plan := plan_of(field), RelationPlan) and plan.is_open is not everybody
    }


def test_every_guarded_relation_is_asked() -> None:
    assert _guarded(executable_schema()) == set(RELATIONS) | set(EMPTY)


@pytest.mark.parametrize("name", [*RELATIONS, *EMPTY])
async def test_rows_of_a_relation_need_their_own_permission(asked: Asked, name: str) -> None:
    needed, document = {**RELATIONS, **EMPTY}[name]
    parents = {ORDERS, SHIPMENTS} - {needed}
    granted = await asked(document, f"{ORDERS} {SHIPMENTS}")
    assert "errors" not in granted
    assert _rows(granted["data"], name)
    refused = await asked(document, " ".join(sorted(parents)))
    if name in EMPTY:
        assert "errors" not in refused
        assert _rows(refused["data"], name) == []
    else:
        assert {error["extensions"]["code"] for error in refused["errors"]} == {"FORBIDDEN"}
        assert all(name.split(".")[1] in error["path"] for error in refused["errors"])


def _rows(value: Any, name: str) -> list[Any]:
    """The rows that the relation gives, wherever they are."""
    if isinstance(value, list):
        return [row for each in value for row in _rows(each, name)]
    if not isinstance(value, dict):
        return []
    own = value.get(name.split(".")[1]) or []
    return [*(own if isinstance(own, list) else [own]), *(row for each in value.values() for row in _rows(each, name))]
