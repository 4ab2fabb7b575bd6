"""The log is kept for its days, what waits for ever, and a service that delivers tells what it does."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import asyncpg

from app.postgres.retention import WEBHOOKS, prune
from tests.app.webhooks.conftest import Receiver, World
from tests.conftest import FAR_TOO_LONG, calling, running

AGE = """
UPDATE webhook_deliveries SET created_at = created_at - $2::interval, ended_at = ended_at - $2::interval
WHERE shipment_id = $1
"""
AGE_ATTEMPTS = """
UPDATE webhook_attempts SET started_at = started_at - $2::interval
WHERE delivery_id IN (SELECT id FROM webhook_deliveries WHERE shipment_id = $1)
"""


async def test_log_is_kept_for_its_days_and_what_waits_for_ever(
    world: World, receiver: Receiver, copy_connection: asyncpg.Connection
) -> None:
    endpoint = await world.endpoint(receiver)
    await world.deliver()
    old, young = await world.box(), await world.box()
    await world.until_logged(endpoint, 2, state="DELIVERED")
    receiver.behave = lambda _request: (500, {}, b"")
    waiting = await world.box()
    await world.until_logged(endpoint, 1, state="WAITING", attemptCount=1)
    for box, days in ((old, 31), (young, 29), (waiting, 31)):
        for statement in (AGE, AGE_ATTEMPTS):
            await copy_connection.execute(statement, box, timedelta(days=days))
    gone = await prune(copy_connection, dict.fromkeys(WEBHOOKS, 30))
    assert gone == {"webhook_attempts": 2, "webhook_deliveries": 1}
    log = await world.log(endpoint)
    assert [(each["shipmentId"], len(each["attempts"])) for each in log] == [(waiting, 0), (young, 1)]


async def test_service_that_delivers_tells_what_it_does(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver)
    async with running(replace(world.waybill.settings, deliver=True)) as app, calling(app) as client:
        await world.box()
        await receiver.until(1)
        async with asyncio.timeout(FAR_TOO_LONG):
            lines, text = ('waybill_webhook_attempts_total{outcome="success"} 1.0', "waybill_webhook_waiting 0.0"), ""
            while not all(line in text for line in lines):
                await asyncio.sleep(0.05)
                text = (await client.get("/metrics")).text
    assert "waybill_webhook_endpoints 1.0" in text
