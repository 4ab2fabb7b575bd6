"""An endpoint that is moved back is told again, and none is told what its key did not see when it happened."""

import asyncio

import asyncpg

from app.resolvers.feed import mark_of
from app.webhooks.endpoint import Endpoint
from tests.app.webhooks.conftest import Receiver, World
from tests.conftest import FAR_TOO_LONG

UPDATE = """
mutation ($id: String!, $input: WebhookEndpointUpdateInput!) {
  webhookEndpointUpdate(id: $id, input: $input) { enabled }
}
"""
LIMITED = "hofstra-writer"
EVERYTHING = ["ORDER_CREATED", "ORDER_UPDATED", "ORDER_ENTERED", "ORDER_LEFT", "ORDER_DELETED", "SHIPMENT_CREATED"]
MOVE = "UPDATE orders SET company_id = $1 WHERE id = 2077 AND channel_id = 1"


async def test_endpoint_that_is_moved_back_is_told_again_once_and_in_order(world: World, receiver: Receiver) -> None:
    endpoint = await world.endpoint(receiver, types=["SHIPMENT_CREATED"])
    await world.deliver()
    boxes = [await world.box(), await world.box()]
    await world.until_logged(endpoint, 2, state="DELIVERED")
    receiver.behave = lambda _request: (500, {}, b"")
    boxes.append(await world.box())
    await world.until_logged(endpoint, 1, attemptCount=1, state="WAITING")
    before = list(receiver.requests)
    receiver.behave = lambda _request: (204, {}, b"")
    for _ in range(2):
        count = len(receiver.requests)
        await world.written(UPDATE, id=endpoint["id"], input={"after": endpoint["cursor"]})
        again = (await receiver.until(count + 3))[count:]
        assert [request.data["shipmentId"] for request in again] == boxes
        assert [(each.id, each.body) for each in again] == [(each.id, each.body) for each in before]
        await world.until_logged(endpoint, 3, state="DELIVERED")
    # Where it is read anew once more, nothing is told twice.
    [served] = world.deliverers[0]._endpoints.values()
    served.place = served.stored = mark_of(endpoint["cursor"]).place
    served.is_behind = True
    await asyncio.sleep(1.5)
    assert len(receiver.requests) == len(before) + 6


async def test_what_is_stored_while_an_endpoint_is_to_be_read_anew_is_not_forgotten(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    await world.endpoint(receiver, types=["SHIPMENT_CREATED"])
    deliverer = await world.deliver()
    await world.box()
    await receiver.until(1)
    [served] = deliverer._endpoints.values()
    async with copy_connection.transaction():
        # The reader waits for the endpoint's row, and the endpoint for the reader.
        await copy_connection.execute("SELECT FROM webhook_endpoints FOR UPDATE")
        await world.box()
        async with asyncio.timeout(FAR_TOO_LONG):
            while not served._held:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        served.reload()
        await asyncio.sleep(0.3)
        assert isinstance(served, Endpoint)
        assert served.needs_reload
    await receiver.until(2)
    await world.box()
    await receiver.until(3)
    assert len({request.id for request in receiver.requests}) == 3


async def test_what_was_done_while_an_order_was_out_of_sight_is_not_told(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    endpoint = await world.endpoint(receiver, viewer=LIMITED, types=EVERYTHING)
    own = await world.box(2077)
    await copy_connection.execute(MOVE, 2)
    hidden = await world.box(2077)
    await copy_connection.execute("UPDATE orders SET reference = 'theirs' WHERE id = 2077 AND channel_id = 1")
    await copy_connection.execute(MOVE, 4)
    later = await world.box(2077)
    # All of it is read when the order is seen again.
    await world.deliver()
    await world.until_state(endpoint, LIMITED, waiting=0)
    requests = await receiver.until(3)
    told = [(request.message["type"], request.data["shipmentId"]) for request in requests]
    assert told == [("shipment.created", own), ("order.entered", None), ("shipment.created", later)]
    assert requests[1].data["changed"] == []
    assert requests[1].data["order"]["companyId"] == 4
    assert hidden not in {request.data["shipmentId"] for request in requests}
    for request in requests:
        assert b"theirs" not in request.body or request.data["order"]["reference"] == "theirs"

    # Nor is it when it is told again.
    before = len(requests)
    await world.written(UPDATE, viewer=LIMITED, id=endpoint["id"], input={"after": endpoint["cursor"]})
    again = (await receiver.until(before + 3))[before:]
    assert [request.id for request in again] == [request.id for request in requests[:before]]


async def test_order_that_enters_within_a_transaction_does_not_tell_whose_it_was(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute(MOVE, 2)
    await world.endpoint(receiver, viewer=LIMITED, types=EVERYTHING)
    async with copy_connection.transaction():
        await copy_connection.execute(MOVE, 3)
        await copy_connection.execute(MOVE, 4)
    async with copy_connection.transaction():  # and there and back, with a change of its own
        await copy_connection.execute(MOVE, 2)
        await copy_connection.execute(MOVE, 4)
    await copy_connection.execute("UPDATE orders SET reference = 'ours' WHERE id = 2077 AND channel_id = 1")
    await world.deliver()
    requests = await receiver.until(3)
    await asyncio.sleep(0.5)
    told = [(request.message["type"], request.data["changed"]) for request in receiver.requests]
    assert told[0] == ("order.entered", [])
    assert told[1] == ("order.updated", [])
    assert [type_ for type_, _ in told[2:]] == ["order.updated"]
    assert len(requests) == 3


async def test_order_that_is_gone_is_told_to_who_saw_it_last(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    endpoint = await world.endpoint(receiver, viewer=LIMITED, types=EVERYTHING)
    ids = [
        await copy_connection.fetchval(
            """INSERT INTO orders (channel_id, company_id, status, email, currency, total_gross, total_net, total_tax,
            sub_total) VALUES (1, $1, 'CONFIRMED', 'a@example.org', 'EUR', 0, 0, 0, 0) RETURNING id""",
            company,
        )
        for company in (4, 2)
    ]
    await copy_connection.execute("UPDATE orders SET company_id = 2 WHERE id = $1", ids[0])
    await copy_connection.execute("UPDATE orders SET company_id = 4 WHERE id = $1", ids[0])
    await copy_connection.execute("DELETE FROM orders WHERE id = ANY ($1)", ids)
    await world.deliver()
    await receiver.until(2)
    await world.until_state(endpoint, LIMITED, waiting=0)
    await asyncio.sleep(0.5)
    told = [(request.message["type"], request.data["orderId"]) for request in receiver.requests]
    assert told == [("order.left", ids[0]), ("order.deleted", ids[0])]
