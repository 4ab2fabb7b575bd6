"""What is told to whom: each change once, in order, to those who see its order; and when they do not any more."""

import asyncio
import contextlib
from typing import Any

import asyncpg
import pytest

from app.live import hub
from tests.app.live.conftest import CUSTOMER_ORDER, ORDERS, SHIPMENTS, following

MANY_SHIPMENTS = """
WITH made AS (INSERT INTO shipments (order_id, channel_id) SELECT 2075, 1 FROM generate_series(1, 35) RETURNING id)
SELECT id::text FROM made
"""
NEW_SHIPMENT = "INSERT INTO shipments (order_id, channel_id) VALUES ($1, $2) RETURNING id::text"


async def order_of(connection: asyncpg.Connection, contact_id: int) -> int:
    """An order that a contact sees."""
    return await connection.fetchval(
        "SELECT min(o.id) FROM orders o JOIN contact_companies c USING (channel_id, company_id)"
        " JOIN order_statuses w ON w.code = o.status WHERE c.contact_id = $1 AND w.is_public",
        contact_id,
    )


async def company_of(connection: asyncpg.Connection, contact_id: int) -> int:
    return await connection.fetchval("SELECT min(company_id) FROM contact_companies WHERE contact_id = $1", contact_id)


async def new_order(connection: asyncpg.Connection, company_id: int) -> int:
    return await connection.fetchval(
        "INSERT INTO orders (channel_id, company_id, status, email, currency, total_gross, total_net, total_tax,"
        " sub_total) VALUES (1, $1, 'NEW', '', 'EUR', 0, 0, 0, 0) RETURNING id",
        company_id,
    )


def told(event: dict[str, Any]) -> tuple[Any, ...]:
    change = event["change"]
    return event["action"], change and change["type"], event.get("shipmentId") or event.get("orderId")


async def test_a_shipment_is_followed_from_its_making_to_its_end(
    site: str, copy_connection: asyncpg.Connection
) -> None:
    async with following(site, "staff") as socket:
        await socket.following(SHIPMENTS)
        id_ = await copy_connection.fetchval(NEW_SHIPMENT, 2075, 1)
        event = await socket.event()
        assert told(event) == ("CREATED", "SHIPMENT", id_)
        assert event["shipment"] == {"id": id_, "status": "CREATED", "version": 1}
        await copy_connection.execute("UPDATE shipments SET status = 'PROCESSING' WHERE id = $1", id_)
        event = await socket.event()
        assert told(event) == ("UPDATED", "SHIPMENT", id_)
        assert event["shipment"]["status"] == "PROCESSING"
        await copy_connection.execute("DELETE FROM shipments WHERE id = $1", id_)
        event = await socket.event()
        assert told(event) == ("DELETED", "SHIPMENT", id_)
        assert event["shipment"] is None


async def test_contacts_are_told_of_their_companies_alone(site: str, copy_connection: asyncpg.Connection) -> None:
    ours, theirs = await order_of(copy_connection, 4), await order_of(copy_connection, 6)
    async with following(site, "contact") as socket, following(site, "outsider") as other:
        await socket.following(SHIPMENTS)
        await other.following(ORDERS)
        of_theirs = await copy_connection.fetchval(NEW_SHIPMENT, theirs, 1)
        of_ours = await copy_connection.fetchval(NEW_SHIPMENT, ours, 1)
        assert told(await socket.event()) == ("CREATED", "SHIPMENT", of_ours)
        event = await other.event()
        assert told(event) == ("CREATED", "SHIPMENT", theirs)
        assert event["change"]["id"] == of_theirs


async def test_what_leaves_the_sight_is_told_once_and_without_data(
    site: str, copy_connection: asyncpg.Connection
) -> None:
    order = await order_of(copy_connection, 4)
    theirs = await company_of(copy_connection, 6)
    shipments = sorted([await copy_connection.fetchval(NEW_SHIPMENT, order, 1) for _ in range(3)])
    known = {
        row["id"] for row in await copy_connection.fetch("SELECT id::text FROM shipments WHERE order_id = $1", order)
    }
    async with (
        following(site, "contact") as socket,
        following(site, "contact") as orders,
        following(site, "outsider") as other,
        following(site, "outsider") as other_orders,
    ):
        await socket.following(SHIPMENTS)
        beginning = await orders.following(ORDERS)
        await other.following(SHIPMENTS)
        await other_orders.following(ORDERS)
        await copy_connection.execute("UPDATE orders SET company_id = $1 WHERE id = $2", theirs, order)
        assert told(await orders.event()) == ("LEFT", None, order)
        left = [await socket.event() for _ in known]
        assert {event["shipmentId"] for event in left} == known >= set(shipments)
        assert all(event["action"] == "LEFT" and not (event["change"] or event["shipment"]) for event in left)
        while told(event := await other_orders.event()) != ("UPDATED", "ORDER", order):
            assert (event["action"], event["orderId"]) == ("UPDATED", order)
        came = set()
        while came != known:
            event = await other.event()
            assert event["shipment"]["id"] == event["shipmentId"]
            came.add(event["shipmentId"])
        # From here on it is none of theirs, though it was in between: the next that is told is of another order.
        await copy_connection.execute("UPDATE orders SET status = 'CONFIRMED' WHERE id = $1", order)
        await copy_connection.execute("DELETE FROM shipments WHERE id = $1", shipments[0])
        another = await new_order(copy_connection, await company_of(copy_connection, 4))
        id_ = await copy_connection.fetchval(NEW_SHIPMENT, another, 1)
        assert told(await socket.event()) == ("CREATED", "SHIPMENT", id_)
        assert told(await orders.event()) == ("CREATED", "ORDER", another)
        # Whoever comes back from the middle of what one change told goes on there, and the past tells what was lost.
        async with following(site, "contact") as again:
            await again.subscribe("1", SHIPMENTS, after=left[1]["cursor"])
            rest = [await again.event() for _ in range(len(left) - 2)]
            assert [event["shipmentId"] for event in rest] == [event["shipmentId"] for event in left[2:]]
        async with following(site, "contact") as again:
            await again.subscribe("1", ORDERS, after=beginning["cursor"])
            assert told(await again.event()) == ("LEFT", None, order)
            assert told(await again.event()) == ("CREATED", "ORDER", another)
            assert told(await again.event()) == ("CREATED", "SHIPMENT", another)
            assert (await again.event())["action"] == "UP_TO_DATE"


async def test_an_order_that_is_not_public_any_more_is_left(site: str, copy_connection: asyncpg.Connection) -> None:
    order = await order_of(copy_connection, 4)
    await copy_connection.execute("UPDATE order_statuses SET is_public = false WHERE code = 'UNFINISHED'")
    async with following(site, "contact") as socket, following(site, "staff") as staff:
        await socket.following(ORDERS)
        await staff.following(ORDERS)
        await copy_connection.execute("UPDATE orders SET status = 'UNFINISHED' WHERE id = $1", order)
        assert told(await socket.event()) == ("LEFT", None, order)
        assert told(await staff.event()) == ("UPDATED", "ORDER", order)
        await copy_connection.execute("UPDATE orders SET status = 'NEW' WHERE id = $1", order)
        event = await socket.event()
        assert told(event) == ("UPDATED", "ORDER", order)
        assert event["order"]["status"] == "NEW"


async def test_a_deleted_order_is_told_to_those_who_saw_it(site: str, copy_connection: asyncpg.Connection) -> None:
    company = await company_of(copy_connection, 4)
    order = await new_order(copy_connection, company)
    shipment = await copy_connection.fetchval(NEW_SHIPMENT, order, 1)
    async with following(site, "contact") as orders, following(site, "contact") as shipments:
        await orders.following(ORDERS)
        await shipments.following(SHIPMENTS)
        async with following(site, "outsider") as other:
            await other.following(ORDERS)
            async with copy_connection.transaction():
                await copy_connection.execute("DELETE FROM shipments WHERE order_id = $1", order)
                await copy_connection.execute("DELETE FROM orders WHERE id = $1", order)
            assert told(await orders.event()) == ("DELETED", "ORDER", order)
            assert told(await shipments.event()) == ("DELETED", "SHIPMENT", shipment)
            theirs = await order_of(copy_connection, 6)
            await copy_connection.fetchval(NEW_SHIPMENT, theirs, 1)
            assert told(await other.event()) == ("CREATED", "SHIPMENT", theirs)


async def test_filters_choose_what_is_told(site: str, copy_connection: asyncpg.Connection) -> None:
    first = await copy_connection.fetchval(NEW_SHIPMENT, 2075, 1)
    second = await copy_connection.fetchval(NEW_SHIPMENT, 2075, 1)
    company = await copy_connection.fetchval("SELECT company_id FROM orders WHERE id = 2075")
    inputs = {
        "ids": {"shipmentIds": [second.upper(), "none"]},
        "statuses": {"statuses": ["IN_TRANSIT"], "shipmentIds": [first, second]},
        "types": {"types": ["TRACK_AND_TRACE"]},
        "orders": {"orderIds": [2075]},
        "companies": {"companyIds": [company]},
        "nothing": {"companyIds": []},
    }
    async with following(site, "staff") as socket:
        for name, given in inputs.items():
            await socket.subscribe(name, SHIPMENTS, input=given)
            assert (await socket.event(name))["action"] == "UP_TO_DATE"
        await copy_connection.execute("UPDATE shipments SET status = 'IN_TRANSIT' WHERE id = $1", first)
        await copy_connection.execute("UPDATE shipments SET status = 'PROCESSING' WHERE id = $1", second)
        await copy_connection.execute("UPDATE shipments SET status = 'DELIVERED' WHERE id = $1", first)
        await copy_connection.execute(
            "INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code)"
            " VALUES ($1, 2075, 1, 1, 'LAST')",
            first,
        )
        heard: dict[str, list[tuple[Any, ...]]] = {name: [] for name in inputs}
        while sum(map(len, heard.values())) < 12:
            message = await socket.receive()
            heard[message["id"]].append(told(message["payload"]["data"]["shipmentChanges"]))
        shipped, delivered = ("UPDATED", "SHIPMENT", first), ("UPDATED", "SHIPMENT", first)
        coded = ("CREATED", "TRACK_AND_TRACE", first)
        assert heard == {
            "ids": [("UPDATED", "SHIPMENT", second)],
            "statuses": [shipped, delivered],
            "types": [coded],
            "orders": [shipped, ("UPDATED", "SHIPMENT", second), delivered, coded],
            "companies": [shipped, ("UPDATED", "SHIPMENT", second), delivered, coded],
            "nothing": [],
        }


async def test_a_customer_follows_an_own_order(site: str, copy_connection: asyncpg.Connection) -> None:
    order = await copy_connection.fetchval(
        "SELECT min(o.id) FROM orders o JOIN order_statuses w ON w.code = o.status"
        " WHERE o.channel_id = 1 AND o.customer_id = 1 AND w.is_public"
    )
    async with following(site, "john") as socket, following(site, "jane") as other:
        for id_, code in [(str(order), "NOT_FOUND"), ("x", "INVALID_ORDER_ID"), (" ", "MISSING_ID")]:
            await other.subscribe(id_, CUSTOMER_ORDER, id=id_)
            answer = await other.receive()
            assert answer["payload"][0]["extensions"]["code"] == code
        await socket.following(CUSTOMER_ORDER, id=f"/api/shop/customer-orders/{order}")
        await copy_connection.fetchval(NEW_SHIPMENT, order, 1)
        event = await socket.event()
        assert (event["action"], event["changeType"]) == ("CREATED", "SHIPMENT")
        assert event["customerOrder"]["id"] == f"/api/shop/customer-orders/{order}"
        assert event["occurredAt"].endswith("+00:00")
        await copy_connection.execute("UPDATE orders SET customer_id = 2 WHERE id = $1", order)
        event = await socket.event()
        assert (event["action"], event["changeType"], event["customerOrder"]) == ("LEFT", None, None)


async def test_nobody_listens_without_the_right_to(site: str) -> None:
    async with following(site, "john") as socket:
        for id_, query in (("1", SHIPMENTS), ("2", ORDERS)):
            await socket.subscribe(id_, query)
            assert (await socket.receive())["payload"][0]["extensions"]["code"] == "FORBIDDEN"
    async with following(site, "logistics") as socket:
        await socket.subscribe("1", SHIPMENTS)
        assert (await socket.receive())["payload"][0]["extensions"]["code"] == "FORBIDDEN"
    async with following(site, "contact") as socket:
        await socket.subscribe("1", CUSTOMER_ORDER, id="1")
        assert (await socket.receive())["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_contact_who_gets_another_company_sees_its_orders_from_then_on(
    site: str, copy_connection: asyncpg.Connection
) -> None:
    ours, theirs = await order_of(copy_connection, 4), await order_of(copy_connection, 6)
    company = await company_of(copy_connection, 6)
    async with following(site, "contact") as socket:
        await socket.following(ORDERS)
        await copy_connection.execute("DELETE FROM contact_companies WHERE contact_id = 4")
        await copy_connection.execute(
            "INSERT INTO contact_companies (contact_id, channel_id, company_id) VALUES (4, 1, $1)", company
        )
        # Nothing else happens; the credentials are looked at now and then.
        event = None
        while event is None:
            await copy_connection.fetchval(NEW_SHIPMENT, ours, 1)
            await copy_connection.fetchval(NEW_SHIPMENT, theirs, 1)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    event = await socket.event()
        while told(event) != ("CREATED", "SHIPMENT", theirs):
            assert told(event) == ("CREATED", "SHIPMENT", ours)  # before it was noticed
            event = await socket.event()


async def test_what_one_transaction_takes_back_is_not_told(site: str, copy_connection: asyncpg.Connection) -> None:
    ours, theirs = await company_of(copy_connection, 4), await company_of(copy_connection, 6)
    order, another = await order_of(copy_connection, 4), await order_of(copy_connection, 6)
    move = "UPDATE orders SET company_id = $1 WHERE id = $2"
    async with following(site, "outsider") as socket, following(site, "contact") as owner:
        await socket.following(ORDERS)
        await owner.following(ORDERS, input={"types": ["ORDER"]})
        async with copy_connection.transaction():
            await copy_connection.execute(move, theirs, order)
            await copy_connection.execute(move, ours, order)
        await copy_connection.fetchval(NEW_SHIPMENT, another, 1)
        assert told(await socket.event()) == ("CREATED", "SHIPMENT", another)
        assert [told(await owner.event()) for _ in range(2)] == [("UPDATED", "ORDER", order)] * 2
        async with copy_connection.transaction():
            await copy_connection.execute(move, theirs, order)
            await copy_connection.execute("UPDATE orders SET status = 'CANCELED' WHERE id = $1", order)
            await copy_connection.execute(move, None, order)
        assert told(await owner.event()) == ("LEFT", None, order)


async def test_a_transaction_of_many_changes_is_told_whole(
    site: str, copy_connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_SCAN", 10)
    async with following(site, "staff") as socket:
        await socket.following(ORDERS, input={"orderIds": [2075]})
        ids = [row["id"] for row in await copy_connection.fetch(MANY_SHIPMENTS)]
        events = [await socket.event() for _ in ids]
        assert [event["change"]["id"] for event in events] == ids


async def test_a_key_of_a_shop_that_is_switched_off_ends_its_subscriptions(
    site: str, copy_connection: asyncpg.Connection
) -> None:
    async with following(site, "john") as socket:
        await copy_connection.execute("UPDATE storefront_keys SET is_active = false")
        assert await socket.code() == 4403
