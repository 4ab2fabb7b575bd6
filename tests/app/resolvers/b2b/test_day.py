"""Days begin and end in the time zone of the channel (decision 24): promises, lateness and bounds of ranges."""

from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest

from tests.conftest import GraphQL

CREATE = """mutation ($input: ShipmentCreateInput!) {
  shipmentCreate(input: $input) { id expectedDeliveryAt expectedDeliveryDate late }
}"""
UPDATE = """mutation ($id: String!, $input: ShipmentUpdateInput!) {
  shipmentUpdate(id: $id, input: $input) { expectedDeliveryAt expectedDeliveryDate lateFrom late }
}"""
SHIPMENT = "65ad4404-88a6-4f97-9325-34a3a35f1dfc"
ORDER = 2075
# Where it is never the same day.
BEHIND, AHEAD = "Etc/GMT+12", "Pacific/Kiritimati"


async def zone_is(connection: asyncpg.Connection, zone: str) -> date:
    """The day that it is now where all channels are, which `zone` becomes."""
    await connection.execute("UPDATE channels SET time_zone = $1", zone)
    today: date = await connection.fetchval("SELECT (now() AT TIME ZONE $1)::date", zone)
    return today


@pytest.mark.parametrize("zone", ["UTC", BEHIND, AHEAD, "Europe/Amsterdam"])
async def test_shipment_may_be_promised_for_today_where_its_channel_is(
    written: GraphQL, refused_after: Any, copy_connection: asyncpg.Connection, zone: str
) -> None:
    today = await zone_is(copy_connection, zone)
    over = {"orderId": ORDER, "expectedDeliveryAt": str(today - timedelta(1))}
    error = await refused_after(CREATE, input=over)
    assert error["path"] == "input.expectedDeliveryAt"
    assert error["rule"] == "must not be a day that is over"
    made = await written(CREATE, input={"orderId": ORDER, "expectedDeliveryAt": str(today)})
    assert made["expectedDeliveryAt"] == f"{today}T00:00:00.000Z"
    assert (made["expectedDeliveryDate"], made["late"]) == (str(today), False)


@pytest.mark.parametrize("moment", ["9999-12-31", "9999-12-31T23:59:59Z", "1899-12-31"])
async def test_promise_of_a_year_that_clocks_do_not_tell_is_refused(
    written: GraphQL, refused_after: Any, copy_connection: asyncpg.Connection, moment: str
) -> None:
    await zone_is(copy_connection, BEHIND)
    code = {"carrierId": 1, "code": "3SYEAR0001", "expectedDeliveryAt": moment}
    for mutation, arguments, path in [
        (CREATE, {"input": {"orderId": ORDER, "expectedDeliveryAt": moment}}, "input.expectedDeliveryAt"),
        (
            CREATE,
            {"input": {"orderId": ORDER, "trackAndTraces": [code]}},
            "input.trackAndTraces.0.expectedDeliveryAt",
        ),
        (UPDATE, {"id": SHIPMENT, "input": {"expectedDeliveryAt": moment}}, "input.expectedDeliveryAt"),
    ]:
        error = await refused_after(mutation, **arguments)
        assert (error["path"], error["rule"]) == (path, "must be of a year between 1900 and 9998")


async def test_shipment_that_is_made_may_be_expected_on_that_day_later(
    written: GraphQL, refused_after: Any, copy_connection: asyncpg.Connection
) -> None:
    await zone_is(copy_connection, "America/New_York")
    made = {"id": SHIPMENT}
    await copy_connection.execute("UPDATE shipments SET created_at = '2026-01-02T02:00Z' WHERE id = $1", SHIPMENT)
    moved = await written(UPDATE, **made, input={"expectedDeliveryAt": "2026-01-01"})
    assert moved == {
        "expectedDeliveryAt": "2026-01-01T00:00:00.000Z",
        "expectedDeliveryDate": "2026-01-01",
        "lateFrom": "2026-01-02T05:00:00.000Z",
        "late": True,
    }
    error = await refused_after(UPDATE, **made, input={"expectedDeliveryAt": "2025-12-31"})
    assert error["path"] == "input.expectedDeliveryAt"
    await zone_is(copy_connection, "UTC")
    await refused_after(UPDATE, **made, input={"expectedDeliveryAt": "2025-12-31"})


async def test_promise_with_a_time_is_that_moment(written: GraphQL) -> None:
    moved = await written(UPDATE, id=SHIPMENT, input={"expectedDeliveryAt": "2999-01-01T00:00:00+02:00"})
    assert moved == {
        "expectedDeliveryAt": "2998-12-31T22:00:00.000Z",
        "expectedDeliveryDate": None,
        "lateFrom": "2998-12-31T22:00:00.000Z",
        "late": False,
    }


@pytest.mark.parametrize(("zone", "is_late"), [(BEHIND, False), (AHEAD, True)])
async def test_shipment_is_late_when_the_day_is_over_there(
    write: GraphQL, copy_connection: asyncpg.Connection, zone: str, is_late: bool
) -> None:
    today = await zone_is(copy_connection, BEHIND)
    await zone_is(copy_connection, zone)
    await copy_connection.execute(
        "UPDATE shipments SET status = 'IN_TRANSIT', expected_delivery_at = $2::date::timestamp AT TIME ZONE 'UTC'"
        " WHERE id = $1",
        SHIPMENT,
        today,
    )
    query = """query ($late: Boolean) {
      shipments(input: {ids: ["%s"], late: $late}) { items { late expectedDeliveryDate } itemsFound } }"""
    found = {
        late: (await write(query % SHIPMENT, {"late": late}, viewer="apikey"))["data"]["shipments"]
        for late in (None, True, False)
    }
    assert found[None]["items"] == [{"late": is_late, "expectedDeliveryDate": str(today)}]
    assert found[is_late] == found[None]
    assert found[not is_late] == {"items": [], "itemsFound": 0}


@pytest.mark.parametrize(("zone", "day"), [("America/New_York", "2025-12-31"), ("UTC", "2026-01-01")])
async def test_date_as_a_bound_takes_in_the_whole_day(
    write: GraphQL, copy_connection: asyncpg.Connection, zone: str, day: str
) -> None:
    await zone_is(copy_connection, zone)
    for table in ("orders", "shipments", "shipment_items", "track_and_traces"):
        await copy_connection.execute(f"UPDATE {table} SET created_at = '2026-01-01T02:00Z'")
    query = """query ($range: DateSearchInput) {
      orders(input: {createdAt: $range}) { itemsFound }
      shipments(input: {createdAt: $range}) { itemsFound }
      shipmentItems(input: {createdAt: $range}) { itemsFound }
      trackAndTraces(input: {createdAt: $range}) { itemsFound } }"""

    async def found(**range: str) -> list[bool]:
        answer = await write(query, {"range": range}, viewer="apikey")
        return [page["itemsFound"] > 0 for page in answer["data"].values()]

    before, after = (str(date.fromisoformat(day) + timedelta(days)) for days in (-1, 1))
    assert await found(greaterThan=day, lessThan=day) == [True] * 4
    assert await found(greaterThan=after) == await found(lessThan=before) == [False] * 4
    assert await found(greaterThan=before, lessThan=after) == [True] * 4
    assert await found(greaterThan="2026-01-01T02:00:00Z", lessThan="2026-01-01T02:00:00Z") == [True] * 4
    assert await found(lessThan=f"{day}T00:00:00Z" if zone == "UTC" else "2026-01-01T01:59:59Z") == [False] * 4


@pytest.mark.parametrize("zone", [BEHIND, AHEAD])
async def test_range_of_promises_finds_days_and_moments_of_that_day(
    write: GraphQL, copy_connection: asyncpg.Connection, zone: str
) -> None:
    await zone_is(copy_connection, zone)
    query = """query ($range: DateSearchInput) {
      shipments(input: {ids: ["%s"], expectedDeliveryAt: $range}) { itemsFound } }"""

    async def finds(**range: str) -> bool:
        answer = await write(query % SHIPMENT, {"range": range}, viewer="apikey")
        return bool(answer["data"]["shipments"]["itemsFound"] == 1)

    moments = {BEHIND: "2999-01-02T11:59Z", AHEAD: "2998-12-31T10:00Z"}
    for promise in ("2999-01-01T00:00Z", moments[zone]):
        await copy_connection.execute(
            "UPDATE shipments SET expected_delivery_at = $2::text::timestamptz WHERE id = $1", SHIPMENT, promise
        )
        assert await finds(greaterThan="2999-01-01", lessThan="2999-01-01")
        assert not await finds(greaterThan="2999-01-02")
        assert not await finds(lessThan="2998-12-31")
