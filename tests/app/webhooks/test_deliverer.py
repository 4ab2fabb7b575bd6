"""Endpoints are told what happens: signed, in order, again after failures, and no more than their owner sees."""

import asyncio
import base64
import json
from collections import defaultdict
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook

from app.webhooks.deliverer import LEASE_SECONDS
from tests.app.webhooks.conftest import Answer, Receiver, Request, World, listening
from tests.conftest import FAR_TOO_LONG

UPDATE = """
mutation ($id: String!, $input: WebhookEndpointUpdateInput!) {
  webhookEndpointUpdate(id: $id, input: $input) { enabled }
}
"""
SHIP = "mutation ($id: String!, $status: ShipmentStatus) { shipmentUpdate(id: $id, input: {status: $status}) { id } }"
ROTATE = "mutation ($id: String!) { webhookEndpointRotateSecret(id: $id) { secret } }"
ORDERS = (2075, 2076, 2077)


def failing(_request: Request) -> Answer:
    return 500, {}, b"not now"


async def test_event_is_delivered_and_signed(world: World, receiver: Receiver) -> None:
    headers = [{"name": "X-Tenant", "value": "acme secret"}]
    endpoint = await world.endpoint(receiver, headers=headers)
    await world.deliver()
    box = await world.box(status="IN_TRANSIT")
    [request] = await receiver.until(1)
    assert request.head == "POST /hooks?key=1 HTTP/1.1"
    Webhook(endpoint["secret"]).verify(request.body, request.headers)
    assert request.message["type"] == "shipment.created"
    assert (request.data["shipment"]["id"], request.data["shipment"]["status"]) == (box, "IN_TRANSIT")
    assert {"name": "status", "old": None, "new": "IN_TRANSIT"} in request.data["changed"]
    assert (request.headers["content-type"], request.headers["x-tenant"]) == ("application/json", "acme secret")

    [delivery] = await world.until_logged(endpoint, 1, state="DELIVERED")
    assert (delivery["messageId"], delivery["attemptCount"], delivery["shipmentId"]) == (request.id, 1, box)
    assert delivery["body"].encode() == request.body
    [attempt] = delivery["attempts"]
    assert (attempt["status"], attempt["error"], attempt["answer"]) == (204, None, "")
    sent = {header["name"]: header["value"] for header in attempt["headers"]}
    assert sent["webhook-id"] == request.id
    assert (sent["X-Tenant"], sent["webhook-signature"]) == ("…", "…")
    state = await world.until_state(endpoint, waiting=0)
    assert state["deliveredAt"]


async def test_event_is_signed_by_ed25519(world: World, receiver: Receiver) -> None:
    endpoint = await world.endpoint(receiver, signature="V1A")
    await world.deliver()
    await world.box()
    [request] = await receiver.until(1)
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(endpoint["verificationKey"].removeprefix("whpk_")))
    version, _, signature = request.headers["webhook-signature"].partition(",")
    assert version == "v1a"
    text = f"{request.id}.{request.headers['webhook-timestamp']}.".encode() + request.body
    key.verify(base64.b64decode(signature), text)


async def test_former_secret_signs_too_after_a_rotation(world: World, receiver: Receiver) -> None:
    endpoint = await world.endpoint(receiver)
    new = await world.written(ROTATE, id=endpoint["id"])
    await world.deliver()
    await world.box()
    [request] = await receiver.until(1)
    for secret in (endpoint["secret"], new["secret"]):
        Webhook(secret).verify(request.body, request.headers)
    assert len(request.headers["webhook-signature"].split(" ")) == 2


async def test_what_was_written_before_the_start_of_a_deliverer_is_told_in_order(
    world: World, receiver: Receiver
) -> None:
    await world.endpoint(receiver)
    boxes = [await world.box(order_id) for order_id in ORDERS]
    for box in boxes:
        for status in ("PROCESSING", "IN_TRANSIT", "DELIVERED"):
            await world.written(SHIP, id=box, status=status)
    await world.deliver()
    requests = await receiver.until(3 + 9 + 3)
    told: dict[str, list[tuple[str, str | None]]] = defaultdict(list)
    for request in requests:
        changed = {each["name"]: each["new"] for each in request.data["changed"]}
        told[request.data["shipmentId"]].append((request.message["type"], changed.get("status")))
    expected = [
        ("shipment.created", "CREATED"),
        *(("shipment.updated", status) for status in ("PROCESSING", "IN_TRANSIT", "DELIVERED")),
        ("shipment.delivered", "DELIVERED"),
    ]
    assert told == dict.fromkeys(boxes, expected)


async def test_nothing_is_lost_where_storing_what_was_read_fails(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    first = await world.box()
    await receiver.until(1)
    await world.until_logged(endpoint, 1, state="DELIVERED")
    async with copy_connection.transaction():
        await copy_connection.execute("SELECT FROM webhook_endpoints FOR UPDATE")
        second = await world.box(ORDERS[1])
        ended = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%webhook_places%'"""
        async with asyncio.timeout(FAR_TOO_LONG):
            while not await copy_connection.fetch(ended):
                await asyncio.sleep(0.01)
                await copy_connection.execute("SELECT pg_stat_clear_snapshot()")
    third = await world.box(ORDERS[2])
    requests = await receiver.until(3)
    assert requests[0].data["shipmentId"] == first
    assert {request.data["shipmentId"] for request in requests[1:]} == {second, third}


async def test_note_of_one_that_has_lost_the_endpoint_changes_nothing(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    answered, goes_on = asyncio.Event(), asyncio.Event()

    async def behave(_request: Request) -> Answer:
        answered.set()
        await goes_on.wait()
        return 500, {}, b""

    receiver.behave = behave
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    await world.box()
    await answered.wait()
    # Somebody else has taken it over, and has delivered.
    await copy_connection.execute("UPDATE webhook_endpoints SET deliverer = gen_random_uuid()")
    await copy_connection.execute("UPDATE webhook_deliveries SET state = 'DELIVERED', attempts = 1, ended_at = now()")
    goes_on.set()
    async with asyncio.timeout(FAR_TOO_LONG):
        while not (log := await world.log(endpoint))[0]["attempts"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert [(each["state"], len(each["attempts"])) for each in log] == [("DELIVERED", 1)]


async def test_order_that_fails_waits_alone(world: World, receiver: Receiver) -> None:
    blocked = True

    def behave(request: Request) -> Answer:
        is_bad = blocked and request.data["orderId"] == ORDERS[0]
        return (500, {}, b"no") if is_bad else (200, {}, b"ok")

    receiver.behave = behave
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    boxes = [await world.box(order_id) for _ in range(3) for order_id in ORDERS]
    await world.until_logged(endpoint, 6, state="DELIVERED")
    waiting = await world.until_logged(endpoint, 3, state="WAITING")
    assert {each["orderId"] for each in waiting} == {ORDERS[0]}
    assert sorted(each["attemptCount"] for each in waiting) == [0, 0, 1]
    blocked = False
    world.forward(seconds=6)
    await world.until_logged(endpoint, 9, state="DELIVERED")
    told = [request for request in receiver.requests if request.data["orderId"] == ORDERS[0]]
    assert [request.data["shipmentId"] for request in told[1:]] == boxes[::3]
    # The one that was tried twice came with the same id and the same bytes.
    assert told[0].id == told[1].id
    assert told[0].body == told[1].body
    assert len({request.id for request in receiver.requests}) == 9


async def test_retries_follow_the_schedule(world: World, receiver: Receiver) -> None:
    receiver.behave = failing
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    await world.box()
    schedule = world.waybill.settings.webhook_retry_seconds
    for number, seconds in enumerate(schedule[:4], start=1):
        [delivery] = await world.until_logged(endpoint, 1, attemptCount=number)
        [newest, *_] = delivery["attempts"]
        assert (newest["status"], newest["error"], newest["answer"]) == (500, "the answer was 500", "not now")
        world.forward(seconds=seconds * 0.85)
        await asyncio.sleep(0.05)
        assert len(receiver.requests) == number
        world.forward(seconds=seconds * 0.3)
        await receiver.until(number + 1)
    assert len({(request.id, request.body) for request in receiver.requests}) == 1


async def test_receiver_that_was_down_for_three_days_catches_up_by_itself(world: World, receiver: Receiver) -> None:
    receiver.behave = failing
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    boxes = []
    for day in range(3):
        boxes += [await world.box(order_id) for order_id in ORDERS]
        for _ in range(6):
            await asyncio.sleep(0.15)
            world.forward(hours=4)
        assert (await world.state(endpoint))["enabled"], day
    before = len(receiver.requests)
    assert before > 10
    # One that is away is not asked for each of its orders again and again.
    assert before < 60
    receiver.behave = lambda _request: (200, {}, b"")
    world.forward(hours=25)
    await world.until_logged(endpoint, 9, state="DELIVERED")
    told = [request.data["shipmentId"] for request in receiver.requests[before:]]
    assert sorted(told) == sorted(boxes)
    for order_id in ORDERS:
        of_order = [r.data["shipmentId"] for r in receiver.requests[before:] if r.data["orderId"] == order_id]
        assert of_order == [box for box in boxes if box in of_order]
    state = await world.until_state(endpoint, failingSince=None)
    assert state["enabled"]


async def test_endpoint_is_disabled_after_five_days_and_goes_on_where_it_stood(
    world: World, receiver: Receiver
) -> None:
    receiver.behave = failing
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    box = await world.box()
    for hours in (1, 30, 30, 30):
        await receiver.until(len(receiver.requests) + 1)
        await asyncio.sleep(0.1)
        world.forward(hours=hours)
    await receiver.until(len(receiver.requests) + 1)
    assert (await world.state(endpoint))["enabled"]
    await asyncio.sleep(0.1)
    world.forward(hours=40)
    state = await world.until_state(endpoint, enabled=False)
    assert (state["disabledReason"], state["waiting"]) == ("FAILING", 1)
    later = await world.box()
    receiver.behave = lambda _request: (200, {}, b"")
    before = len(receiver.requests)
    await world.written(UPDATE, id=endpoint["id"], input={"enabled": True})
    told = (await receiver.until(before + 2))[before:]
    assert [request.data["shipmentId"] for request in told] == [box, later]


async def test_receiver_that_is_gone_is_left_alone(world: World, receiver: Receiver) -> None:
    receiver.behave = lambda _request: (410, {}, b"")
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    await world.box()
    assert (await world.until_state(endpoint, enabled=False))["disabledReason"] == "GONE"


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_heeded(world: World, receiver: Receiver, status: int) -> None:
    receiver.behave = lambda _request: (status, {"Retry-After": "600"}, b"")
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    await world.box()
    await world.until_logged(endpoint, 1, attemptCount=1)
    assert (await world.until_state(endpoint, enabled=True))["pausedUntil"]
    await world.box(ORDERS[1])  # nobody is sent to a receiver that wants a rest
    world.forward(seconds=590)
    await asyncio.sleep(0.4)
    assert len(receiver.requests) == 1
    receiver.behave = lambda _request: (200, {}, b"")
    world.forward(seconds=60)
    await receiver.until(3)


async def test_success_that_was_under_way_ends_no_pause(world: World, receiver: Receiver) -> None:
    has_refused = asyncio.Event()

    async def behave(request: Request) -> Answer:
        if request.data["orderId"] == ORDERS[0]:
            has_refused.set()
            return 429, {"Retry-After": "600"}, b""
        await has_refused.wait()
        await asyncio.sleep(0.3)
        return 200, {}, b""

    receiver.behave = behave
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    await world.box(ORDERS[1])
    await receiver.until(1)
    await world.box(ORDERS[0])
    await world.until_logged(endpoint, 1, state="DELIVERED")
    await world.box(ORDERS[2])
    await asyncio.sleep(0.4)
    assert (await world.state(endpoint))["pausedUntil"]
    assert len(receiver.requests) == 2


async def test_owner_is_told_what_it_sees_at_that_moment(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    limited = await world.endpoint(receiver, viewer="hofstra-writer")
    own, foreign = await world.box(2077), await world.box(2075)
    moved = await world.box(2077)
    await copy_connection.execute("UPDATE orders SET company_id = 2 WHERE id = 2077 AND channel_id = 1")
    await world.deliver()
    state = await world.until_state(limited, viewer="hofstra-writer", waiting=0)
    assert state["enabled"]
    # By the time of sending the order was another company's.
    log = await world.log(limited, viewer="hofstra-writer")
    assert {each["state"] for each in log} <= {"WITHHELD"}
    assert receiver.requests == []
    assert foreign
    assert {each["shipmentId"] for each in log} <= {own, moved}


async def test_frozen_body_is_neither_sent_nor_shown_where_its_order_is_not_seen_any_more(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    tried: set[str] = set()

    def behave(request: Request) -> Answer:
        is_first = request.id not in tried
        tried.add(request.id)
        return 500 if is_first else 200, {}, b""

    receiver.behave = behave
    viewer = "hofstra-writer"
    endpoint = await world.endpoint(receiver, viewer=viewer, types=["SHIPMENT_DELETED", "ORDER_LEFT"])
    await world.deliver()
    box = await world.box(2077)
    await world.written("mutation ($id: String!) { shipmentDelete(id: $id) }", id=box)
    [request] = await receiver.until(1)
    assert request.data["order"]["id"] == 2077
    await copy_connection.execute("UPDATE orders SET company_id = 2 WHERE id = 2077 AND channel_id = 1")
    await world.until_state(endpoint, viewer, waiting=2)
    world.forward(seconds=7)
    left = (await receiver.until(2))[1]
    assert (left.message["type"], left.data["order"]) == ("order.left", None)
    await asyncio.sleep(0.1)
    world.forward(seconds=7)
    again = (await receiver.until(3))[2]
    assert (again.id, again.body) == (left.id, left.body)
    await world.until_state(endpoint, viewer, waiting=0)
    log = await world.log(endpoint, viewer)
    told = [(each["type"], each["state"], each["body"]) for each in log]
    assert told == [("ORDER_LEFT", "DELIVERED", None), ("SHIPMENT_DELETED", "WITHHELD", None)]


async def test_order_that_leaves_is_told_by_its_ids(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    await world.endpoint(receiver, viewer="hofstra-writer", types=["ORDER_LEFT", "SHIPMENT_LEFT", "ORDER_ENTERED"])
    await world.deliver()
    move = "UPDATE orders SET company_id = $1 WHERE id = 2077 AND channel_id = 1"
    await copy_connection.execute(move, 2)
    requests = list(await receiver.until(2))
    assert requests[0].message["type"] == "order.left"
    assert {request.message["type"] for request in requests} == {"order.left", "shipment.left"}
    for request in requests:
        assert request.data["action"] == "LEFT"
        assert (request.data["order"], request.data["changed"]) == (None, [])
        assert request.data.get("shipment") is None
    before = len(receiver.requests)
    await copy_connection.execute(move, 4)
    entered = (await receiver.until(before + 1))[before]
    assert (entered.message["type"], entered.data["order"]["id"]) == ("order.entered", 2077)


async def test_key_that_ends_ends_its_endpoints(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    await world.box()
    await receiver.until(1)
    await copy_connection.execute("UPDATE api_keys SET scopes = '{orders:read,webhooks:write}' WHERE id = 1")
    await world.box(viewer="editor")
    state = await world.until_state(endpoint, viewer="editor", enabled=False)
    assert state["disabledReason"] == "OWNER_ENDED"
    assert len(receiver.requests) == 1


async def test_document_of_ones_own_is_frozen_at_the_first_attempt(world: World, receiver: Receiver) -> None:
    receiver.behave = failing
    document = "subscription { webhookEvent { type shipment { status version } } }"
    await world.endpoint(receiver, document=document, types=["SHIPMENT_CREATED"])
    await world.deliver()
    box = await world.box()
    [first] = await receiver.until(1)
    assert first.data == {"type": "SHIPMENT_CREATED", "shipment": {"status": "CREATED", "version": 1}}
    await world.written(SHIP, id=box, status="PROCESSING")
    world.forward(seconds=7)
    [_, second] = await receiver.until(2)
    assert (second.id, second.body) == (first.id, first.body)


async def test_what_is_too_large_is_told_thinly(world: World, receiver: Receiver) -> None:
    shipments = " ".join(f"a{n}: shipments {{ ...All }}" for n in range(20))
    document = (
        "subscription { webhookEvent { order { " + shipments + " } } } "
        "fragment All on Shipment { id items { id name sku } trackAndTraces { id code events { id description } } }"
    )
    await world.endpoint(receiver, document=document, types=["SHIPMENT_CREATED"])
    codes = [{"code": f"CODE{n:010}{'X' * 200}", "carrierId": 1} for n in range(60)]
    box = await world.box(trackAndTraces=codes)
    await world.deliver()
    [request] = await receiver.until(1)
    assert request.data == {
        "cursor": request.data["cursor"],
        "action": "CREATED",
        "objectId": box,
        "orderId": 2075,
        "shipmentId": box,
        "channelId": 1,
        "thin": True,
    }


async def test_cloud_events_are_structured(world: World, receiver: Receiver) -> None:
    endpoint = await world.endpoint(receiver, envelope="CLOUD_EVENTS")
    await world.deliver()
    box = await world.box()
    [request] = await receiver.until(1)
    Webhook(endpoint["secret"]).verify(request.body, request.headers)
    assert request.headers["content-type"] == "application/cloudevents+json"
    message = request.message
    assert (message["specversion"], message["id"], message["type"]) == ("1.0", request.id, "shipment.created")
    assert (message["subject"], message["source"]) == (box, f"/webhooks/{endpoint['id']}")


async def test_filters_choose(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver, companyIds=[4])
    await world.endpoint(receiver, shipmentStatuses=["IN_TRANSIT"], types=["SHIPMENT_CREATED"])
    await world.endpoint(receiver, channelIds=[2])
    await world.endpoint(receiver, orderStatuses=["NOTHING"])
    boxes = [await world.box(2075), await world.box(2077), await world.box(2075, status="IN_TRANSIT")]
    await world.deliver()
    requests = await receiver.until(2)
    await asyncio.sleep(0.3)
    assert sorted(request.data["shipmentId"] for request in requests) == sorted(boxes[1:])


async def test_shipment_that_becomes_late_is_told_once(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    endpoint = await world.endpoint(receiver, types=["SHIPMENT_LATE"])
    boxes = [await world.box(), await world.box()]
    promise = "UPDATE shipments SET expected_delivery_at = now() + $2 * interval '1 hour' WHERE id = $1"
    await copy_connection.executemany(promise, [(boxes[0], 1), (boxes[1], 3)])
    await world.deliver()
    await asyncio.sleep(0.3)
    assert receiver.requests == []
    for number, box in enumerate(boxes, start=1):
        world.forward(hours=2)
        request = (await receiver.until(number))[-1]
        assert (request.message["type"], request.data["shipmentId"]) == ("shipment.late", box)
    world.forward(hours=2)
    await asyncio.sleep(0.3)
    assert len(receiver.requests) == 2
    assert (await world.state(endpoint))["waiting"] == 0


async def test_test_is_sent(world: World, receiver: Receiver) -> None:
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    document = "mutation ($id: String!) { webhookTest(endpointId: $id, type: ORDER_CREATED) { messageId } }"
    sent = await world.written(document, id=endpoint["id"])
    [request] = await receiver.until(1)
    Webhook(endpoint["secret"]).verify(request.body, request.headers)
    assert (request.id, request.message["type"], request.data["test"]) == (sent["messageId"], "order.created", True)
    assert request.data["order"]["id"] == request.data["orderId"]


async def test_redelivery_has_the_same_id_and_body(world: World, receiver: Receiver) -> None:
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    box = await world.box()
    [first] = await receiver.until(1)
    [delivery] = await world.until_logged(endpoint, 1, state="DELIVERED")
    await world.written(SHIP, id=box, status="PROCESSING")
    await receiver.until(2)
    await world.written("mutation ($id: String!) { webhookRedeliver(id: $id) { id } }", id=delivery["id"])
    again = (await receiver.until(3))[2]
    assert (again.id, again.body) == (first.id, first.body)
    log = await world.until_logged(endpoint, 2, state="DELIVERED")
    assert [len(each["attempts"]) for each in log if each["messageId"] == first.id] == [2]


async def test_replay_tells_again_in_order_with_the_same_ids(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    boxes = [await world.box(ORDERS[0]) for _ in range(5)]
    before = list(await receiver.until(5))
    # Of some nothing is kept any more.
    await world.until_logged(endpoint, 5, state="DELIVERED")
    await copy_connection.execute("DELETE FROM webhook_deliveries WHERE shipment_id = ANY ($1)", boxes[:2])
    replay = """mutation ($id: String!, $from: String!) { webhookReplay(endpointId: $id, from: $from) { replaying } }"""
    await world.written(replay, **{"id": endpoint["id"], "from": before[0].message["timestamp"]})
    again = (await receiver.until(10))[5:]
    assert [request.id for request in again] == [request.id for request in before]
    assert [request.body for request in again[2:]] == [request.body for request in before[2:]]
    await world.until_state(endpoint, replaying=False, waiting=0)


async def test_cursor_can_be_moved(world: World, receiver: Receiver) -> None:
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    await world.box()
    [first] = await receiver.until(1)
    second = await world.box()
    await receiver.until(2)
    other = await world.endpoint(receiver, after=first.data["cursor"])
    third = (await receiver.until(3))[2]
    assert third.data["shipmentId"] == second
    assert third.id not in {request.id for request in receiver.requests[:2]}
    await world.written(UPDATE, id=other["id"], input={"after": endpoint["cursor"]})
    fourth = (await receiver.until(4))[3]
    assert fourth.data["cursor"] == first.data["cursor"]


async def test_changes_that_are_kept_no_more_are_told_as_lost(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    endpoint = await world.endpoint(receiver)
    await world.box()
    kept = await world.box()  # the last one is, always
    await copy_connection.execute("SELECT give_positions(1000)")
    while await copy_connection.fetchval("SELECT prune_feed(now() + interval '1 day', 1000)"):
        pass
    later = await world.box()
    await world.deliver()
    requests = await receiver.until(2)
    assert [request.data["shipmentId"] for request in requests] == [kept, later]
    assert (await world.state(endpoint))["lostAt"]


async def test_rate_and_concurrency_are_bounds(world: World) -> None:
    running, most = 0, 0

    async def behave(_request: Request) -> Answer:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return 200, {}, b""

    async with listening(behave=behave) as receiver:
        await world.endpoint(receiver, concurrency=2, rate=50)
        for _ in range(4):
            for order_id in ORDERS:
                await world.box(order_id)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await world.deliver()
        await receiver.until(12)
        assert loop.time() - begun > 10 / 50
    assert most <= 2


async def test_deliverers_share_the_endpoints(world: World, receiver: Receiver) -> None:
    endpoints = [await world.endpoint(receiver) for _ in range(4)]
    first = await world.deliver()
    second = await world.deliver()
    async with asyncio.timeout(30):
        while sorted(each.endpoints for each in (first, second)) != [2, 2]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await world.box()
    requests = await receiver.until(4)
    await asyncio.sleep(0.2)
    assert len({request.id for request in requests}) == len(requests) == len(endpoints)


async def test_endpoint_changes_hands_when_what_is_under_way_has_ended(world: World) -> None:
    async def behave(_request: Request) -> Answer:
        await asyncio.sleep(LEASE_SECONDS + 2)
        return 200, {}, b""

    async with listening(behave=behave) as receiver:
        endpoints = [await world.endpoint(receiver) for _ in range(4)]
        first = await world.deliver()
        await world.box()
        await receiver.until(4)
        second = await world.deliver()
        async with asyncio.timeout(30):
            while sorted(each.endpoints for each in (first, second)) != [2, 2]:
                assert first.endpoints >= 2
                await asyncio.sleep(0.02)
        for endpoint in endpoints:
            [delivery] = await world.until_logged(endpoint, 1, state="DELIVERED")
            assert [each["status"] for each in delivery["attempts"]] == [200]
        assert len(receiver.requests) == 4


async def test_endpoint_that_is_changed_or_removed_is_told_as_it_is_now(world: World, receiver: Receiver) -> None:
    async with listening() as other:
        endpoint = await world.endpoint(receiver)
        await world.deliver()
        await world.box()
        await receiver.until(1)
        await world.written(UPDATE, id=endpoint["id"], input={"url": f"{other.site}/new"})
        await asyncio.sleep(1.2)  # it is looked at once a second
        await world.box()
        [request] = await other.until(1)
        assert request.head.startswith("POST /new ")
        await world.written("mutation ($id: String!) { webhookEndpointDelete(id: $id) }", id=endpoint["id"])
        await asyncio.sleep(1.2)
        await world.box()
        await asyncio.sleep(0.3)
        assert len(receiver.requests) + len(other.requests) == 2


def test_bodies_are_json() -> None:
    assert json.loads(Request("", {}, b'{"data": 1}').body) == {"data": 1}


async def test_document_that_does_not_validate_any_more_disables(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    endpoint: Any = await world.endpoint(receiver)
    await copy_connection.execute("UPDATE webhook_endpoints SET document = 'subscription { webhookEvent { gone } }'")
    await world.deliver()
    state = await world.until_state(endpoint, enabled=False)
    assert state["disabledReason"] == "DOCUMENT_INVALID"
