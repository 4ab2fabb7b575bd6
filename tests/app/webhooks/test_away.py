"""Receivers that are away, orders that fail alone, and when either is tried again."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from uuid import UUID

import asyncpg

import sql
from app.webhooks.deliverer import Deliverer
from app.webhooks.endpoint import Endpoint
from app.webhooks.health import AWAY_FAILURES
from app.webhooks.sender import Sender
from app.webhooks.target import Targets
from tests.app.webhooks.conftest import LOCAL, Answer, Receiver, Request, World
from tests.conftest import FAR_TOO_LONG, reserved_port

UPDATE = """
mutation ($id: String!, $input: WebhookEndpointUpdateInput!) {
  webhookEndpointUpdate(id: $id, input: $input) { pausedUntil }
}
"""
GOOD = 2075


async def others(connection: asyncpg.Connection, number: int) -> list[int]:
    """Orders that take shipments."""
    rows = await connection.fetch(
        """INSERT INTO orders (channel_id, status, email, currency, total_gross, total_net, total_tax, sub_total)
        SELECT 1, 'CONFIRMED', 'a@example.org', 'EUR', 0, 0, 0, 0 FROM generate_series(1, $1) RETURNING id""",
        number,
    )
    return [row["id"] for row in rows]


class Poison:
    """Answers 500 for some orders, 400 for others."""

    def __init__(self, failed: list[int], refused: list[int] | None = None) -> None:
        self.failed, self.refused = failed, refused or []
        self.tried: list[int] = []

    def __call__(self, request: Request) -> Answer:
        order_id = request.data["orderId"]
        self.tried.append(order_id)
        return 500 if order_id in self.failed else 400 if order_id in self.refused else 204, {}, b""

    async def until(self, number: int) -> list[int]:
        async with asyncio.timeout(FAR_TOO_LONG):
            while len(self.tried) < number:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return self.tried


async def test_orders_that_fail_again_and_again_stop_no_other(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    bad = await others(copy_connection, 2 * AWAY_FAILURES)
    receiver.behave = poison = Poison(bad)
    endpoint = await world.endpoint(receiver, types=["SHIPMENT_CREATED"])
    await world.deliver()
    for place, order_id in enumerate(bad):
        await world.box(order_id)
        if place % 5 == 4:
            await world.box(GOOD)
            await world.until_logged(endpoint, place // 5 + 1, state="DELIVERED")
    await poison.until(len(bad) + 4)
    await world.until_logged(endpoint, len(bad), attemptCount=1, state="WAITING")
    world.forward(seconds=7)  # all of them fail once more, and nothing else is there to succeed
    await world.until_logged(endpoint, len(bad), attemptCount=2, state="WAITING")
    assert (await world.state(endpoint))["pausedUntil"] is None
    await world.box(GOOD)
    await world.until_logged(endpoint, 5, state="DELIVERED")


async def test_receiver_that_is_away_is_tried_by_an_order_that_has_not_failed(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    bad = await others(copy_connection, AWAY_FAILURES)
    receiver.behave = poison = Poison(bad)
    endpoint = await world.endpoint(receiver, types=["SHIPMENT_CREATED"], concurrency=1)
    await world.deliver()
    for order_id in bad:
        await world.box(order_id)
    await poison.until(len(bad))
    await world.until_logged(endpoint, len(bad), attemptCount=1)
    async with asyncio.timeout(FAR_TOO_LONG):
        while not (await world.state(endpoint))["pausedUntil"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await world.box(GOOD)
    await asyncio.sleep(0.3)
    assert len(poison.tried) == len(bad)
    world.forward(seconds=61)  # all are due by now, those that failed before the good one was there
    assert (await poison.until(len(bad) + 1))[len(bad)] == GOOD
    await world.until_logged(endpoint, 1, state="DELIVERED")
    # It is there: what failed is tried at once.
    await world.until_logged(endpoint, len(bad), attemptCount=2)


async def test_receiver_that_is_back_is_not_asked_again_for_what_it_refused(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    *bad, refused = await others(copy_connection, AWAY_FAILURES)
    receiver.behave = poison = Poison(bad, [refused])
    endpoint = await world.endpoint(receiver, types=["SHIPMENT_CREATED"])
    await world.deliver()
    await world.box(refused)
    await world.until_logged(endpoint, 1, attemptCount=1)
    world.forward(seconds=7)
    await world.until_logged(endpoint, 1, attemptCount=2)  # the next one is in five minutes
    for order_id in bad[:-1]:
        await world.box(order_id)
    await world.until_logged(endpoint, len(bad) - 1, attemptCount=1)
    world.forward(seconds=7)
    await world.until_logged(endpoint, len(bad), attemptCount=2)
    await world.box(bad[-1])
    async with asyncio.timeout(FAR_TOO_LONG):
        while not (await world.state(endpoint))["pausedUntil"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    poison.failed.clear()
    world.forward(seconds=62)
    await world.box(GOOD)
    await world.until_logged(endpoint, len(bad) + 1, state="DELIVERED")
    await asyncio.sleep(0.3)
    assert poison.tried.count(refused) == 2


async def test_endpoint_that_is_enabled_again_heeds_what_its_receiver_asked_for(
    world: World, receiver: Receiver
) -> None:
    receiver.behave = lambda _request: (503, {"Retry-After": "600"}, b"")
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    await world.box(GOOD)
    await world.until_logged(endpoint, 1, attemptCount=1)
    asked = (await world.state(endpoint))["pausedUntil"]
    assert asked
    for enabled in (False, True):
        answer = await world.written(UPDATE, id=endpoint["id"], input={"enabled": enabled})
        assert answer["pausedUntil"] == asked
        await asyncio.sleep(1.5)  # it is looked at once a second
    assert len(receiver.requests) == 1
    receiver.behave = lambda _request: (204, {}, b"")
    world.forward(seconds=610)
    await receiver.until(2)


async def test_connection_that_does_not_come_is_told_from_an_answer(receiver: Receiver) -> None:
    receiver.behave = lambda _request: None  # hangs up
    with reserved_port() as port:
        async with Sender(Targets(LOCAL), 5) as sender:
            refused = await sender.post(f"http://127.0.0.1:{port}/", {}, b"{}")
            hung_up = await sender.post(receiver.site, {}, b"{}")
            inside = await sender.post("https://10.0.0.1/", {}, b"{}")
    assert [each.is_unreached for each in (refused, hung_up, inside)] == [True, False, True]


async def test_what_becomes_due_between_two_looks_is_not_slept_over(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    """The clock says "not yet" to who looks for what is due, and "now" to who asks how long to wait."""
    endpoint = await world.endpoint(receiver)
    test = "mutation ($id: String!) { webhookTest(endpointId: $id, type: ORDER_CREATED) { nextAttemptAt } }"
    await world.written(test, id=endpoint["id"])
    due = await copy_connection.fetchval("SELECT next_attempt_at FROM webhook_deliveries")
    moments = chain([due - timedelta(seconds=1)], repeat(due + timedelta(seconds=1)))
    waybill = world.waybill
    deliverer = Deliverer(
        waybill.db, waybill.messages, waybill.context_for, waybill.settings, now=lambda: next(moments)
    )
    tools = deliverer._tools
    tools.is_alive = lambda: True
    claim = sql.load("webhook_endpoint").claim
    await copy_connection.execute("INSERT INTO webhook_deliverers VALUES ($1, now() + interval '1 hour')", tools.id)
    [row] = await waybill.db.fetch(claim, sql.Visibility.everything(), deliverer=tools.id, limit=1)
    assert UUID(row["id"]) == UUID(endpoint["id"])
    async with tools.sender:
        tools.log.start()
        served = asyncio.create_task(Endpoint(row, tools).run())
        try:
            async with asyncio.timeout(10):  # a minute, if it is slept over
                await receiver.until(1)
        finally:
            served.cancel()
            with suppress(asyncio.CancelledError):
                await served
            await tools.log.close()
    assert datetime.now(UTC) > due
