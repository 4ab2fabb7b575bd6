"""Two companies look for each other's rows through every root field that takes a key, and through every list.

The contact's company owns order 2075; the outsider, of a sister company, must find of it what it finds of rows that
never were.
"""

from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type, is_leaf_type, is_non_null_type

from app.asgi import executable_schema
from tests.conftest import GraphQL

# The fields of the customer surface have their own test.
ROOTS = {
    name: field for name, field in executable_schema().query_type.fields.items() if not name.startswith("customer")
}
SHIPMENT, ITEM, CODE, ORDER, ADDRESS = (
    "SELECT id::text FROM shipments WHERE order_id = 2075",
    "SELECT id::text FROM shipment_items WHERE order_id = 2075",
    "SELECT id::text FROM track_and_traces WHERE order_id = 2075",
    "SELECT uuid::text FROM orders WHERE id = 2075",
    "SELECT id FROM order_addresses WHERE order_id = 2075",
)
NO_UUID, NO_ID = "00000000-0000-4000-8000-000000000000", 2_000_000_000

# Contacts of a sister company, and of a daughter and a sister; a partner of another channel; a customer of this one.
STRANGERS = ["outsider", "two-companies", "northwind", "jane"]

# root field -> the document with one key, where that key is found, and a key of nothing
SINGLE = {
    "shipment": ("query($key: String!) { shipment(id: $key) { id } }", SHIPMENT, NO_UUID),
    "shipmentItem": ("query($key: String!) { shipmentItem(id: $key) { id } }", ITEM, NO_UUID),
    "trackAndTrace": ("query($key: String!) { trackAndTrace(id: $key) { id } }", CODE, NO_UUID),
    "order": ("query($key: String!) { order(orderUUID: $key) { id } }", ORDER, NO_UUID),
    "orderAddress": ("query($key: Int!) { orderAddress(id: $key, orderId: 2075) { id } }", ADDRESS, NO_ID),
    "orderAddresses": ("query($key: Int!) { orderAddresses(orderId: $key) { id } }", "SELECT 2075", NO_ID),
    "trackedOrder": ("query($key: Int!) { trackedOrder(orderId: $key) { number } }", "SELECT 2075", NO_ID),
}
# Lists filtered by keys that only the contact's company has.
FILTERED = [
    ("shipments", "ids: [String!]", SHIPMENT),
    ("shipments", "orderIds: [Int!]", "SELECT 2075"),
    ("shipments", "codes: [String!]", "SELECT code FROM track_and_traces WHERE order_id = 2075"),
    ("shipments", "companyIds: [Int!]", "SELECT 2"),
    ("shipmentItems", "ids: [String!]", ITEM),
    ("shipmentItems", "shipmentIds: [String!]", SHIPMENT),
    ("shipmentItems", "orderItemIds: [Int!]", "SELECT id FROM order_items WHERE order_id = 2075"),
    ("trackAndTraces", "ids: [String!]", CODE),
    ("trackAndTraces", "shipmentIds: [String!]", SHIPMENT),
    ("trackAndTraces", "codes: [String!]", "SELECT code FROM track_and_traces WHERE order_id = 2075"),
    ("orders", "status: [String!]", "SELECT code FROM order_statuses WHERE NOT is_public"),
]
# Configuration and carriers belong to no company.
EVERYBODYS = {"carrier", "carriers", "orderStatus", "orderStatuses", "shop", "trackingCodeCheck"}
# For staff alone.
REFUSED = {"auditTrail"}
# What belongs to no order: tests/app/resolvers/customer/test_password.py asks it.
OF_CHANNELS = {"outboxEvents"}
# An endpoint is its owner's: tests/app/resolvers/b2b/test_webhook.py asks for others'.
OF_OWNERS = {"webhookEndpoints", "webhookEndpoint", "webhookDeliveries", "webhookDelivery", "webhookDryRun"}
# Whoever asks is told of themselves.
OF_ONESELF = {"viewer"}
# For staff and partners.
FEED = "changes"
PARTNERS = ["northwind", "hofstra-writer"]


def test_every_root_field_is_asked() -> None:
    asked = (
        set(SINGLE)
        | {root for root, _filter, _keys in FILTERED}
        | EVERYBODYS
        | REFUSED
        | OF_CHANNELS
        | OF_OWNERS
        | OF_ONESELF
        | {FEED}
    )
    assert asked == set(ROOTS)


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("root", SINGLE)
async def test_the_other_companys_key_answers_like_a_key_of_nothing(
    graphql: GraphQL, connection: Any, root: str, stranger: str
) -> None:
    document, keys, nothing = SINGLE[root]
    key = await connection.fetchval(keys)
    assert "errors" not in await graphql(document, {"key": key}, viewer="contact")

    foreign = await graphql(document, {"key": key}, viewer=stranger)
    missing = await graphql(document, {"key": nothing}, viewer=stranger)

    assert foreign["data"] is None
    for error in missing["errors"]:
        error["message"] = error["message"].replace(str(nothing), str(key))
    assert foreign == missing


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize(("root", "filter_", "keys"), FILTERED, ids=lambda value: str(value)[:20])
async def test_filter_by_the_other_companys_keys_finds_nothing(
    graphql: GraphQL, connection: Any, root: str, filter_: str, keys: str, stranger: str
) -> None:
    name, type_ = filter_.split(": ")
    values = [row[0] for row in await connection.fetch(keys)]
    assert values
    document = f"query($keys: {type_}) {{ {root}(input: {{{name}: $keys}}) {{ itemsFound items {{ id }} }} }}"

    answer = await graphql(document, {"keys": values}, viewer=stranger)

    assert answer["data"][root] == {"itemsFound": 0, "items": []}
    if root != "orders":
        assert (await graphql(document, {"keys": values}, viewer="contact"))["data"][root]["itemsFound"] > 0


def _everything_below(type_: GraphQLObjectType, depth: int) -> str:
    """A selection of all fields without required arguments, `depth` objects deep."""
    parts = []
    for name, field in type_.fields.items():
        named = get_named_type(field.type)
        if is_leaf_type(named):
            parts.append(name)
        elif depth and not any(is_non_null_type(argument.type) for argument in field.args.values()):
            parts.append(f"{name} {{ {_everything_below(named, depth - 1)} }}")
    return " ".join(parts) or "__typename"


def _texts(value: Any) -> set[Any]:
    if isinstance(value, dict | list):
        entries = value.values() if isinstance(value, dict) else value
        return set().union(*(_texts(entry) for entry in entries))
    return {value}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("root", [name for name, field in ROOTS.items() if str(field.type).endswith("Response!")])
async def test_list_with_all_that_is_nested_in_it_holds_nothing_of_the_other_company(
    graphql: GraphQL, connection: Any, root: str, stranger: str
) -> None:
    page = get_named_type(ROOTS[root].type)
    assert isinstance(page, GraphQLObjectType)
    nested = _everything_below(get_named_type(page.fields["items"].type), 2)
    theirs = {row[0] for statement in (SHIPMENT, ITEM, CODE, ORDER) for row in await connection.fetch(statement)}

    answer = await graphql(f"{{ {root}(input: {{offset: 100}}) {{ items {{ {nested} }} }} }}", viewer=stranger)

    assert "errors" not in answer, answer["errors"]
    assert _texts(answer["data"]) & theirs == set()


@pytest.mark.parametrize("partner", PARTNERS)
@pytest.mark.parametrize("type", ["ORDER", "SHIPMENT", "SHIPMENT_ITEM", "TRACK_AND_TRACE", "CARRIER"])
async def test_feed_with_all_that_is_nested_in_it_holds_nothing_of_the_other_company(
    graphql: GraphQL, connection: Any, partner: str, type: str
) -> None:
    change = executable_schema().type_map["Change"]
    assert isinstance(change, GraphQLObjectType)
    document = f"""
    query($after: String) {{
      changes(after: $after, types: [{type}]) {{
        nextCursor hasMore changes {{ {_everything_below(change, 1)} }}
      }}
    }}
    """
    theirs = {row[0] for statement in (SHIPMENT, ITEM, CODE, ORDER) for row in await connection.fetch(statement)}
    page: dict[str, Any] = {"nextCursor": None, "hasMore": True}
    while page["hasMore"]:
        answer = await graphql(document, {"after": page["nextCursor"]}, viewer=partner)
        assert "errors" not in answer, answer["errors"]
        page = answer["data"][FEED]
        assert _texts(page) & theirs == set()


@pytest.mark.parametrize("stranger", [*STRANGERS, "contact", "apikey"])
async def test_audit_trail_of_ones_own_shipment_is_refused_like_one_of_nothing(
    graphql: GraphQL, connection: Any, stranger: str
) -> None:
    document = "query($key: String!) { auditTrail(shipmentId: $key) { id } }"
    own = await graphql(document, {"key": await connection.fetchval(SHIPMENT)}, viewer=stranger)
    assert own["errors"][0]["extensions"] == {"code": "FORBIDDEN"}
    assert own == await graphql(document, {"key": NO_UUID}, viewer=stranger)
