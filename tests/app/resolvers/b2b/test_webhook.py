"""Endpoints of webhooks: who has them, what they may be, and what they would be sent."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from tests.app.resolvers.b2b.conftest import Refused
from tests.conftest import FAR_TOO_LONG, GraphQL

URL = "https://hooks.example.com/orders"
CREATE = """
mutation ($input: WebhookEndpointCreateInput!) {
  webhookEndpointCreate(input: $input) { secret endpoint {
    id owner url description types channelIds companyIds shipmentStatuses orderStatuses headerNames document envelope
    signature verificationKey previousSecretUntil concurrency rate enabled disabledAt disabledReason cursor waiting
    failingSince pausedUntil deliveredAt lostAt replaying version
  } }
}
"""
UPDATE = """
mutation ($id: String!, $input: WebhookEndpointUpdateInput!, $ifVersion: Int) {
  webhookEndpointUpdate(id: $id, input: $input, ifVersion: $ifVersion) {
    url types channelIds headerNames document rate enabled disabledReason version
  }
}
"""
DELETE = "mutation ($id: String!) { webhookEndpointDelete(id: $id) }"
ROTATE = """
mutation ($id: String!, $secret: String) {
  webhookEndpointRotateSecret(id: $id, secret: $secret) { secret endpoint { previousSecretUntil version } }
}
"""
TEST = """
mutation ($id: String!, $type: WebhookEventType!) {
  webhookTest(endpointId: $id, type: $type) { id messageId type state orderId shipmentId attemptCount body }
}
"""
REPLAY = """
mutation ($id: String!, $from: String!, $until: String, $onlyFailed: Boolean) {
  webhookReplay(endpointId: $id, from: $from, until: $until, onlyFailed: $onlyFailed) { replaying }
}
"""
REDELIVER = "mutation ($id: String!) { webhookRedeliver(id: $id) { state } }"
DRY_RUN = """
query ($id: String!, $cursor: String!) {
  webhookDryRun(endpointId: $id, cursor: $cursor) { messageId type mediaType body thin }
}
"""
BOX = "mutation { shipmentCreate(input: {orderId: 2075, items: [], status: IN_TRANSIT}) { id } }"
NOTHING = "00000000-0000-4000-8000-000000000000"
# Every mutation about an endpoint, with its key.
OF_ENDPOINT = {
    UPDATE: {"input": {"url": URL}},
    DELETE: {},
    ROTATE: {},
    TEST: {"type": "ORDER_UPDATED"},
    REPLAY: {"from": "2026-01-01"},
}


def given(**more: Any) -> dict[str, Any]:
    return {"url": URL, "types": ["SHIPMENT_CREATED"], **more}


async def created(written: GraphQL, viewer: str = "apikey", **more: Any) -> Any:
    return (await written(CREATE, viewer=viewer, input=given(**more)))["endpoint"]


async def newest_cursor(write: GraphQL, endpoint: Any) -> str:
    """That of the last change since an endpoint was made, as soon as it has a place in the feed."""
    query = "query ($after: String) { changes(after: $after) { changes { cursor } } }"
    async with asyncio.timeout(FAR_TOO_LONG):
        while True:
            answer = await write(query, {"after": endpoint["cursor"]})
            if changes := answer["data"]["changes"]["changes"]:
                return str(changes[-1]["cursor"])
            await asyncio.sleep(0.01)


async def test_endpoint_is_made_with_what_is_left_out(written: GraphQL) -> None:
    answer = await written(CREATE, input=given())
    assert answer["secret"].startswith("whsec_")
    endpoint = answer["endpoint"]
    assert endpoint.pop("id")
    assert endpoint.pop("cursor")
    assert endpoint == {
        "owner": "partner:1",
        "url": URL,
        "types": ["SHIPMENT_CREATED"],
        "headerNames": [],
        "envelope": "STANDARD",
        "signature": "V1",
        "concurrency": 10,
        "enabled": True,
        "waiting": 0,
        "replaying": False,
        "version": 1,
        **dict.fromkeys(
            [
                *("description", "channelIds", "companyIds", "shipmentStatuses", "orderStatuses", "document"),
                *("verificationKey", "previousSecretUntil", "rate", "disabledAt", "disabledReason", "failingSince"),
                *("pausedUntil", "deliveredAt", "lostAt"),
            ]
        ),
    }


async def test_endpoint_keeps_what_it_is_given(written: GraphQL) -> None:
    chosen = {
        "description": "ERP",
        "channelIds": [1],
        "companyIds": [2, 3],
        "shipmentStatuses": ["DELIVERED"],
        "orderStatuses": ["CONFIRMED"],
        "document": "subscription { webhookEvent { orderId } }",
        "envelope": "CLOUD_EVENTS",
        "signature": "V1A",
        "concurrency": 100,
        "rate": 1000,
    }
    secret = "whsk_" + "A" * 43 + "="
    headers = [{"name": "Authorization", "value": "Bearer token"}]
    answer = await written(CREATE, input=given(secret=secret, headers=headers, enabled=False, **chosen))
    endpoint = answer["endpoint"]
    assert answer["secret"] == secret
    assert {field: endpoint[field] for field in chosen} == chosen
    assert endpoint["headerNames"] == ["Authorization"]
    assert endpoint["verificationKey"].startswith("whpk_")
    assert (endpoint["enabled"], endpoint["disabledReason"]) == (False, "BY_OWNER")


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"url": "http://hooks.example.com"}, "input.url"),
        ({"url": "https://user:pw@hooks.example.com"}, "input.url"),
        ({"url": "https://hooks.example.com:22"}, "input.url"),
        ({"url": "https://127.0.0.1/"}, "input.url"),
        ({"url": "https://hooks.example.com:0/"}, "input.url"),
        ({"url": "https://[v1.a]/"}, "input.url"),
        ({"url": "https://hooks"}, "input.url"),
        ({"types": []}, "input.types"),
        ({"channelIds": []}, "input.channelIds"),
        ({"channelIds": [1, 99]}, "input.channelIds.1"),
        ({"shipmentStatuses": []}, "input.shipmentStatuses"),
        ({"headers": [{"name": "webhook-id", "value": "a"}]}, "input.headers.0.name"),
        ({"headers": [{"name": "Content-Length", "value": "1"}]}, "input.headers.0.name"),
        ({"headers": [{"name": "a b", "value": "1"}]}, "input.headers.0.name"),
        ({"headers": [{"name": "a", "value": "1\r\nb: 2"}]}, "input.headers.0.value"),
        ({"headers": [{"name": "a", "value": "1"}, {"name": "A", "value": "1"}]}, "input.headers.1.name"),
        ({"headers": [{"name": f"a{n}", "value": "1"} for n in range(21)]}, "input.headers"),
        ({"document": "{ orders { itemsFound } }"}, "input.document"),
        ({"document": "subscription { webhookEvent { nothing } }"}, "input.document"),
        ({"document": "subscription { webhookEvent {"}, "input.document"),
        ({"document": "subscription { orderChanges { cursor } }"}, "input.document"),
        ({"document": "subscription ($a: Boolean!) { webhookEvent { type @skip(if: $a) } }"}, "input.document"),
        ({"secret": "secret"}, "input.secret"),
        ({"secret": "whsec_AAAA"}, "input.secret"),
        ({"secret": "whsec_" + "A" * 44, "signature": "V1A"}, "input.secret"),
        ({"secret": "whsec_" + "?" * 44}, "input.secret"),
        ({"concurrency": 0}, "input.concurrency"),
        ({"concurrency": 101}, "input.concurrency"),
        ({"rate": 0}, "input.rate"),
        ({"description": "a\nb"}, "input.description"),
        ({"after": "nonsense"}, "input.after"),
    ],
)
async def test_endpoint_that_breaks_a_rule_is_refused(refused: Refused, more: dict[str, Any], path: str) -> None:
    refusal = await refused(CREATE, input=given(**more))
    assert refusal["path"] == path
    assert refusal["rule"]


async def test_type_that_is_none_is_refused_with_its_place(write: GraphQL) -> None:
    answer = await write(CREATE, {"input": given(types=["SHIPMENT_EXPLODED"])})
    [error] = answer["errors"]
    assert "$input" in error["message"]
    assert ".types[0]" in error["message"]
    assert "WebhookEventType" in error["message"]


async def test_endpoint_needs_what_it_is_told_of(refused: Refused) -> None:
    for viewer in ("read-only", "contact", "john", "logistics", "staff"):
        assert (await refused(CREATE, viewer=viewer, input=given()))["code"] == "FORBIDDEN"
    assert (await refused(CREATE, viewer=None, input=given()))["code"] == "UNAUTHENTICATED"


async def test_owner_has_a_hundred_endpoints_at_most(
    written: GraphQL, refused_after: Refused, copy_connection: asyncpg.Connection
) -> None:
    await created(written)
    await copy_connection.execute(
        "INSERT INTO webhook_endpoints (owner, api_key_id, url, types, secret, position, number)"
        " SELECT owner, api_key_id, url, types, secret, position, number"
        " FROM webhook_endpoints CROSS JOIN generate_series(2, 100)"
    )
    assert (await refused_after(CREATE, input=given()))["path"] == "input"
    await created(written, "editor")


async def test_endpoint_is_changed_and_removed(written: GraphQL, refused_after: Refused) -> None:
    key = (await created(written, channelIds=[1], rate=5, headers=[{"name": "a", "value": "b"}]))["id"]
    kept = await written(UPDATE, id=key, input={"url": f"{URL}/new", "channelIds": None})
    assert (kept["url"], kept["channelIds"], kept["rate"], kept["headerNames"]) == (f"{URL}/new", None, 5, ["a"])
    assert kept["version"] == 2
    stopped = await written(UPDATE, id=key, input={"enabled": False, "rate": None, "headers": []})
    assert (stopped["enabled"], stopped["disabledReason"], stopped["rate"]) == (False, "BY_OWNER", None)
    assert (await written(UPDATE, id=key, input={"enabled": True}))["disabledReason"] is None
    conflict = await refused_after(UPDATE, id=key, input={"url": URL}, ifVersion=2)
    assert (conflict["code"], conflict["version"]) == ("CONFLICT", 4)
    assert (await refused_after(UPDATE, id=key, input={"url": None}))["path"] == "input.url"
    assert (await refused_after(UPDATE, id=key, input={"url": "https://10.0.0.1/"}))["path"] == "input.url"
    assert await written(DELETE, id=key) is True
    assert (await refused_after(DELETE, id=key))["code"] == "WEBHOOK_ENDPOINT_NOT_FOUND"


async def test_secret_is_rotated(written: GraphQL, refused_after: Refused) -> None:
    answer = await written(CREATE, input=given())
    key = answer["endpoint"]["id"]
    rotated = await written(ROTATE, id=key)
    assert rotated["secret"] != answer["secret"]
    assert rotated["endpoint"]["previousSecretUntil"]
    own = "whsec_" + "b" * 40
    assert (await written(ROTATE, id=key, secret=own))["secret"] == own
    assert (await refused_after(ROTATE, id=key, secret="whsec_"))["path"] == "secret"


async def test_endpoints_are_their_owners(write: GraphQL, written: GraphQL, refused_after: Refused) -> None:
    own = (await created(written))["id"]
    stranger = (await created(written, "northwind-writer"))["id"]
    of_staff = (await created(written, "editor"))["id"]
    listed = "{ webhookEndpoints { id } }"

    async def ids(viewer: str) -> list[str]:
        return [each["id"] for each in (await write(listed, viewer=viewer))["data"]["webhookEndpoints"]]

    assert await ids("apikey") == [own]
    assert await ids("editor") == [own, stranger, of_staff]
    page = await write(
        "query ($after: String) { webhookEndpoints(first: 1, after: $after) { id } }", {"after": own}, viewer="editor"
    )
    assert [each["id"] for each in page["data"]["webhookEndpoints"]] == [stranger]
    queries = [
        "query ($id: String!) { webhookEndpoint(id: $id) { id } }",
        "query ($id: String!) { webhookDeliveries(endpointId: $id) { id } }",
        "query ($id: String!) { webhookEndpoints(after: $id) { id } }",
        DRY_RUN.replace(", $cursor: String!", "").replace("$cursor", '"a"'),
    ]
    for query in queries:
        foreign, missing = [await write(query, {"id": key}) for key in (stranger, NOTHING)]
        assert foreign["data"] is None
        assert json.dumps(foreign).replace(stranger, NOTHING) == json.dumps(missing)
    for document, variables in OF_ENDPOINT.items():
        foreign_refusal = await refused_after(document, id=stranger, **variables)
        assert foreign_refusal == await refused_after(document, id=NOTHING, **variables)
        assert foreign_refusal["code"] == "WEBHOOK_ENDPOINT_NOT_FOUND"


@pytest.mark.parametrize("document", OF_ENDPOINT)
async def test_mutation_without_scope_is_refused(refused: Refused, document: str) -> None:
    variables = OF_ENDPOINT[document]
    assert (await refused(document, viewer=None, id=NOTHING, **variables))["code"] == "UNAUTHENTICATED"
    for viewer in ("staff", "read-only", "contact", "john"):
        assert (await refused(document, viewer=viewer, id=NOTHING, **variables))["code"] == "FORBIDDEN"


async def test_scope_of_endpoints_alone_shows_and_moves_no_orders(
    write: GraphQL, written: GraphQL, refused_after: Refused, copy_connection: asyncpg.Connection
) -> None:
    key = (await created(written, "editor"))["id"]
    delivery = (await written(TEST, viewer="editor", id=key, type="ORDER_CREATED"))["id"]
    scopes = "UPDATE api_keys SET scopes = '{webhooks:write}' WHERE name = 'northwind writer' RETURNING id"
    owner = f"partner:{await copy_connection.fetchval(scopes)}"
    await copy_connection.execute("UPDATE webhook_endpoints SET owner = $1", owner)
    documents = {CREATE: {"input": given()}, REDELIVER: {"id": delivery}}
    documents |= {each: {"id": key, **OF_ENDPOINT[each]} for each in (UPDATE, TEST, REPLAY)}
    for document, variables in documents.items():
        refusal = await refused_after(document, viewer="northwind-writer", **variables)
        assert refusal["code"] == "FORBIDDEN"
    for field in ("webhookDeliveries(endpointId: $id)", "webhookDelivery(id: $id)"):
        answer = await write(f"query ($id: String!) {{ {field} {{ body }} }}", {"id": key}, viewer="northwind-writer")
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    answer = await write(DRY_RUN, {"id": key, "cursor": "a"}, viewer="northwind-writer")
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await written(DELETE, viewer="northwind-writer", id=key)


async def test_endpoint_goes_with_its_key(written: GraphQL, copy_connection: asyncpg.Connection) -> None:
    await created(written)
    await copy_connection.execute("DELETE FROM api_keys WHERE id = 1")
    assert await copy_connection.fetchval("SELECT count(*) FROM webhook_endpoints") == 0


async def test_dry_run_shows_what_would_be_sent(write: GraphQL, written: GraphQL, refused_after: Refused) -> None:
    endpoint = await created(written, types=["SHIPMENT_CREATED", "SHIPMENT_UPDATED"])
    box = await written(BOX)
    cursor = await newest_cursor(write, endpoint)
    [message] = (await write(DRY_RUN, {"id": endpoint["id"], "cursor": cursor}))["data"]["webhookDryRun"]
    assert (message["type"], message["mediaType"], message["thin"]) == ("SHIPMENT_CREATED", "application/json", False)
    body = json.loads(message["body"])
    assert (body["type"], body.keys()) == ("shipment.created", {"type", "timestamp", "data"})
    data = body["data"]
    assert (data["shipment"]["id"], data["shipment"]["status"]) == (box["id"], "IN_TRANSIT")
    assert (data["action"], data["orderId"], data["shipmentId"], data["cursor"]) == ("CREATED", 2075, box["id"], cursor)
    assert {"name": "status", "old": None, "new": "IN_TRANSIT"} in data["changed"]
    assert (await write(DRY_RUN, {"id": endpoint["id"], "cursor": cursor}))["data"]["webhookDryRun"] == [message]

    other = await created(written, types=["ORDER_CREATED"])
    assert (await write(DRY_RUN, {"id": other["id"], "cursor": cursor}))["data"]["webhookDryRun"] == []
    for text in ("nonsense", cursor[:-2], endpoint["cursor"]):
        refusal = await write(DRY_RUN, {"id": endpoint["id"], "cursor": text})
        assert refusal["errors"][0]["extensions"]["path"] == "cursor"


async def test_dry_run_by_a_document_of_ones_own(write: GraphQL, written: GraphQL) -> None:
    document = "subscription { here: webhookEvent { type what: shipment { status order: orderId } } }"
    endpoint = await created(written, document=document, envelope="CLOUD_EVENTS")
    box = await written(BOX)
    cursor = await newest_cursor(write, endpoint)
    [message] = (await write(DRY_RUN, {"id": endpoint["id"], "cursor": cursor}))["data"]["webhookDryRun"]
    assert message["mediaType"] == "application/cloudevents+json"
    body = json.loads(message["body"])
    assert body["data"] == {"type": "SHIPMENT_CREATED", "what": {"status": "IN_TRANSIT", "order": 2075}}
    assert (body["specversion"], body["id"], body["subject"]) == ("1.0", message["messageId"], box["id"])
    assert (body["type"], body["source"]) == ("shipment.created", f"/webhooks/{endpoint['id']}")


async def test_dry_run_tells_no_more_than_the_owner_sees(write: GraphQL, written: GraphQL) -> None:
    endpoint = await created(written, "editor")
    stranger = await created(written, "hofstra-writer")
    await written(BOX)
    cursor = await newest_cursor(write, endpoint)
    foreign = await write(DRY_RUN, {"id": stranger["id"], "cursor": cursor}, viewer="hofstra-writer")
    assert foreign["data"]["webhookDryRun"] == []
    # Not even where staff ask.
    asked = await write(DRY_RUN, {"id": stranger["id"], "cursor": cursor}, viewer="editor")
    assert asked["data"]["webhookDryRun"] == []
    own = await write(DRY_RUN, {"id": endpoint["id"], "cursor": cursor}, viewer="editor")
    assert len(own["data"]["webhookDryRun"]) == 1


async def test_test_is_queued(written: GraphQL, refused_after: Refused) -> None:
    key = (await created(written))["id"]
    delivery = await written(TEST, id=key, type="SHIPMENT_DELIVERED")
    assert (delivery["type"], delivery["state"], delivery["attemptCount"]) == ("SHIPMENT_DELIVERED", "WAITING", 0)
    assert delivery["shipmentId"]
    assert delivery["messageId"] == f"msg_{delivery['id'].replace('-', '')}"
    assert (await written(TEST, id=key, type="ORDER_LEFT"))["shipmentId"] is None
    await written(UPDATE, id=key, input={"enabled": False})
    assert (await refused_after(TEST, id=key, type="ORDER_LEFT"))["path"] == "endpointId"


async def test_log_is_paged_and_its_deliveries_are_the_owners(write: GraphQL, written: GraphQL) -> None:
    key = (await created(written))["id"]
    made = [await written(TEST, id=key, type=each) for each in ("ORDER_LEFT", "ORDER_CREATED", "CODE_CREATED")]
    listed = """
    query ($id: String!, $after: String, $types: [WebhookEventType!], $states: [WebhookDeliveryState!], $orderId: Int) {
      webhookDeliveries(endpointId: $id, first: 2, after: $after, types: $types, states: $states, orderId: $orderId) {
        id cursor endpointId nextAttemptAt endedAt createdAt attempts { status }
      }
    }
    """

    async def page(**variables: Any) -> Any:
        return (await write(listed, {"id": key, **variables}))["data"]["webhookDeliveries"]

    first = await page()
    assert [each["id"] for each in first] == [made[2]["id"], made[1]["id"]]
    assert first[0]["attempts"] == []
    assert [each["id"] for each in await page(after=first[1]["cursor"])] == [made[0]["id"]]
    assert [each["id"] for each in await page(types=["ORDER_CREATED"])] == [made[1]["id"]]
    assert await page(states=["FAILED"]) == []
    assert await page(orderId=1) == []
    refusal = await write(listed, {"id": key, "after": "nonsense"})
    assert refusal["errors"][0]["extensions"]["code"] == "INVALID_CURSOR"
    one = "query ($id: String!) { webhookDelivery(id: $id) { id } }"
    delivery = made[0]["id"]
    assert (await write(one, {"id": delivery}))["data"]["webhookDelivery"]["id"] == delivery
    for viewer, key in (("northwind-writer", delivery), ("apikey", NOTHING)):
        [error] = (await write(one, {"id": key}, viewer=viewer))["errors"]
        assert (error["extensions"]["code"], error["extensions"]["path"]) == ("WEBHOOK_DELIVERY_NOT_FOUND", "id")


async def test_redelivery_and_replay(
    written: GraphQL, refused_after: Refused, copy_connection: asyncpg.Connection
) -> None:
    key = (await created(written))["id"]
    delivery = (await written(TEST, id=key, type="ORDER_LEFT"))["id"]
    place = "SELECT place FROM webhook_deliveries"
    before = await copy_connection.fetchval(place)
    assert await written(REDELIVER, id=delivery) == {"state": "WAITING"}
    assert await copy_connection.fetchval(place) == before
    state = "UPDATE webhook_deliveries SET state = $1, ended_at = now()"
    await copy_connection.execute(state, "DELIVERED")
    assert await written(REDELIVER, id=delivery) == {"state": "WAITING"}
    await copy_connection.execute(state, "FAILED")
    for foreign, viewer in ((delivery, "northwind-writer"), (NOTHING, "apikey"), ("no uuid", "apikey")):
        refusal = await refused_after(REDELIVER, viewer=viewer, id=foreign)
        assert (refusal["code"], refusal["path"]) == ("WEBHOOK_DELIVERY_NOT_FOUND", "id")
    assert await written(REPLAY, **{"id": key, "from": "2020-01-01", "until": "2020-01-02", "onlyFailed": True}) == {
        "replaying": False
    }
    waiting = "SELECT count(*) FROM webhook_deliveries WHERE state = 'WAITING'"
    assert await copy_connection.fetchval(waiting) == 0
    await written(REPLAY, **{"id": key, "from": "2020-01-01", "onlyFailed": True})
    assert await copy_connection.fetchval(waiting) == 1
    assert await written(REPLAY, **{"id": key, "from": "2020-01-01"}) == {"replaying": True}
    assert await written(REPLAY, **{"id": key, "from": "0001-01-01T00:00:00Z"}) == {"replaying": True}
    assert (await refused_after(REPLAY, **{"id": key, "from": "yesterday"}))["path"] == "from"
    assert (await refused_after(REPLAY, **{"id": key, "from": "2999-01-01"}))["path"] == "from"
    backwards = {"id": key, "from": "2020-01-02", "until": "2020-01-01"}
    assert (await refused_after(REPLAY, **backwards))["path"] == "until"
