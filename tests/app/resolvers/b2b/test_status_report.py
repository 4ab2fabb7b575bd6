"""What carriers report, and how shipments follow, in whatever order the news comes, before its code too."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from app.resolvers.b2b import status_report
from app.resolvers.b2b.status_report import CLOCK_SKEW
from loaders.tracking_event import NEWEST_BY_TRACK_AND_TRACE
from tests.conftest import GraphQL, until_blocked
from tests.consistency import breaches

# The shipment of order 2075 has the status CREATED and one code, of carrier 1.
SHIPMENT = "65ad4404-88a6-4f97-9325-34a3a35f1dfc"
CODE = "3STEST1234567890"
CODE_ID = "2d1860e6-e58c-41b8-b9d7-689b355b0c52"
# A shipment of order 2076, which is under way with a code of carrier 3.
OTHER_SHIPMENT = "cf1822ff-bc68-4778-ab49-1044d5e34124"
OTHER_CODE = {"code": "JVGL06254801000088164", "carrierId": 3}

REPORT = """
mutation Report($input: ShipmentStatusReportInput!) {
  shipmentStatusReport(input: $input) {
    isNew
    isWaiting
    shipmentMoved
    event { id trackAndTraceId externalId status occurredAt location description }
    shipment { id status version }
  }
}
"""
REPORTS = """
mutation Reports($inputs: [ShipmentStatusReportInput!]!) {
  shipmentStatusReports(inputs: $inputs) {
    report { isNew isWaiting shipmentMoved event { id externalId occurredAt } shipment { id status } }
    error { code path message }
  }
}
"""
ADD_CODE = """
mutation Add($input: TrackAndTraceCreateInput!) {
  trackAndTraceCreate(input: $input) { id status expectedDeliveryAt events { occurredAt } }
}
"""
CREATE = "mutation Create($input: ShipmentCreateInput!) { shipmentCreate(input: $input) { id status subStatus } }"
UPDATE_CODE = """
mutation Update($id: String!, $input: TrackAndTraceUpdateInput!) {
  trackAndTraceUpdate(id: $id, input: $input) { status }
}
"""
EVENTS = "query Events($id: String!) { trackAndTrace(id: $id) { events { externalId status occurredAt } } }"

Report = Callable[..., Awaitable[dict[str, Any]]]
Refused = Callable[..., Awaitable[dict[str, Any]]]


def at(minute: int) -> str:
    return f"2025-11-14T10:{minute:02}:00.000Z"


def news(**input: Any) -> dict[str, Any]:
    """An input about the code of order 2075 unless another is named."""
    return {"code": CODE, "carrierId": 1, "status": "IN_TRANSIT", "occurredAt": at(0)} | input


@pytest.fixture
def report(written: GraphQL) -> Report:
    """Reports a status at a minute, and returns what became of it."""

    def tell(status: str, minute: int = 0, *, viewer: str = "apikey", **input: Any) -> Awaitable[dict[str, Any]]:
        return written(REPORT, viewer=viewer, input=news(**{"status": status, "occurredAt": at(minute)} | input))

    return tell


async def status_of(connection: asyncpg.Connection, shipment: str = SHIPMENT) -> str:
    status: str = await connection.fetchval("SELECT status FROM shipments WHERE id = $1", shipment)
    return status


async def add_shipments(connection: asyncpg.Connection, *codes: str, status: str | None = "CREATED") -> None:
    """Shipments of order 2075 that each have one code of carrier 1."""
    await connection.execute(
        """
        WITH wanted AS (SELECT gen_random_uuid() AS id, code FROM unnest($1::text[]) AS w (code)),
        shipment AS (INSERT INTO shipments (id, order_id, channel_id, status) SELECT id, 2075, 1, $2 FROM wanted)
        INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code)
        SELECT id, 2075, 1, 1, code FROM wanted
        """,
        codes,
        status,
    )


async def test_report_records_the_event_and_moves_the_shipment(report: Report) -> None:
    told = await report("IN_TRANSIT", 7, externalId="e-1", location="Utrecht", description="Sorted")
    event = told.pop("event")
    assert event.pop("id")
    assert event == {
        "trackAndTraceId": CODE_ID,
        "externalId": "e-1",
        "status": "IN_TRANSIT",
        "occurredAt": at(7),
        "location": "Utrecht",
        "description": "Sorted",
    }
    assert told == {
        "isNew": True,
        "isWaiting": False,
        "shipmentMoved": True,
        "shipment": {"id": SHIPMENT, "status": "IN_TRANSIT", "version": 2},
    }


async def test_report_names_who_told(report: Report, copy_connection: asyncpg.Connection) -> None:
    await report("IN_TRANSIT")
    assert await copy_connection.fetchval("SELECT recorded_by FROM tracking_events") == "partner:1"


async def test_report_of_a_known_event_changes_nothing_and_answers_with_what_was_told_first(report: Report) -> None:
    first = await report("IN_TRANSIT", 1, externalId="e-1", location="Utrecht")
    again = await report("DELIVERED", 9, externalId="e-1", location="elsewhere")
    assert again == {**first, "isNew": False, "shipmentMoved": False}


async def test_report_of_the_same_external_id_of_another_code_is_another_event(
    report: Report, copy_connection: asyncpg.Connection
) -> None:
    await report("IN_TRANSIT", externalId="e-1")
    told = await report("DELIVERED", externalId="e-1", **OTHER_CODE)
    assert (told["isNew"], told["shipment"]["id"]) == (True, OTHER_SHIPMENT)
    assert await status_of(copy_connection) == "IN_TRANSIT"


async def test_report_without_an_external_id_is_always_new(report: Report) -> None:
    first, second = await report("IN_TRANSIT"), await report("IN_TRANSIT")
    assert first["event"]["id"] != second["event"]["id"]
    assert (second["isNew"], second["shipmentMoved"]) == (True, False)


async def test_report_of_the_present_status_moves_nothing_and_is_written_once(report: Report) -> None:
    """The code has its first status, which is a write to the shipment too; then nothing is new."""
    for minute in (1, 2):
        told = await report("CREATED", minute)
        assert (told["isNew"], told["shipmentMoved"], told["shipment"]["version"]) == (True, False, 2)


@pytest.mark.parametrize("minutes", [(1, 2, 3), (1, 1, 1)], ids=["one after another", "at the same moment"])
async def test_reports_lead_to_the_same_status_in_whatever_order_they_come(
    report: Report, copy_connection: asyncpg.Connection, minutes: tuple[int, ...]
) -> None:
    sequences = list(permutations(zip(["IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"], minutes, strict=True)))
    codes = [f"parcel {place}" for place in range(len(sequences))]
    await add_shipments(copy_connection, *codes)

    async def tell(code: str, sequence: tuple[tuple[str, int], ...]) -> str:
        for status, minute in sequence:
            told = await report(status, minute, code=code)
        end: str = told["shipment"]["status"]
        return end

    ends = await asyncio.gather(*map(tell, codes, sequences))
    assert ends == ["DELIVERED"] * len(sequences)


@pytest.mark.parametrize("seed", range(3))
async def test_reports_that_race_and_repeat_end_like_those_in_order(
    report: Report, copy_connection: asyncpg.Connection, demo_copy_dsn: str, seed: int
) -> None:
    legal = [
        *("PROCESSING", "IN_TRANSIT", "OUT_FOR_DELIVERY", "FAILED_DELIVERY", "IN_TRANSIT", "EXCEPTION"),
        *("OUT_FOR_DELIVERY", "PARTIALLY_DELIVERED", "OUT_FOR_DELIVERY", "DELIVERED"),
    ]
    reports = [(status, minute) for minute, status in enumerate(legal)] * 3
    Random(seed).shuffle(reports)

    told = await asyncio.gather(*(report(status, minute, externalId=f"e-{minute}") for status, minute in reports))

    assert await status_of(copy_connection) == "DELIVERED"
    recorded = [outcome["event"]["id"] for outcome in told if outcome["isNew"]]
    assert len(recorded) == len(set(recorded)) == len(legal)
    assert {outcome["event"]["id"] for outcome in told} == set(recorded)
    steps = await copy_connection.fetch(
        "SELECT old ->> 'status' AS former, new ->> 'status' AS status FROM changes"
        " WHERE shipment_id = $1 AND type = 'SHIPMENT' AND action = 'UPDATED' AND new ? 'status' ORDER BY id",
        SHIPMENT,
    )
    assert [step["former"] for step in steps] == ["CREATED", *(step["status"] for step in steps[:-1])]
    assert await breaches(demo_copy_dsn) == {}


async def test_older_news_than_the_shipment_has_followed_moves_nothing(report: Report) -> None:
    await report("IN_TRANSIT", 1)
    await report("OUT_FOR_DELIVERY", 3)
    late = await report("EXCEPTION", 2)
    assert (late["isNew"], late["shipmentMoved"], late["shipment"]["status"]) == (True, False, "OUT_FOR_DELIVERY")


async def test_news_that_only_confirms_the_status_makes_older_news_old(report: Report) -> None:
    await report("IN_TRANSIT", 1)
    await report("IN_TRANSIT", 3)
    assert not (await report("EXCEPTION", 2))["shipmentMoved"]


SECOND = "second parcel"


async def add_second_parcel(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code)"
        " VALUES ($1, 2075, 1, 1, $2)",
        *(SHIPMENT, SECOND),
    )


async def statuses(write: GraphQL) -> tuple[str | None, dict[str, str | None]]:
    """Of the shipment, and of its codes."""
    document = "query Shipment($id: String!) { shipment(id: $id) { status trackAndTraces { code status } } }"
    shipment = (await write(document, {"id": SHIPMENT}))["data"]["shipment"]
    return shipment["status"], {code["code"]: code["status"] for code in shipment["trackAndTraces"]}


async def test_parcels_have_a_status_of_their_own_and_the_shipment_follows_from_them(
    report: Report, write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    """Decision 15."""
    await add_second_parcel(copy_connection)
    assert await statuses(write) == ("CREATED", {CODE: None, SECOND: None})
    await report("DELIVERED", 1)
    assert await statuses(write) == ("PARTIALLY_DELIVERED", {CODE: "DELIVERED", SECOND: None})
    await report("EXCEPTION", 2, code=SECOND)
    assert await statuses(write) == ("EXCEPTION", {CODE: "DELIVERED", SECOND: "EXCEPTION"})
    await report("OUT_FOR_DELIVERY", 3, code=SECOND)
    assert await statuses(write) == ("PARTIALLY_DELIVERED", {CODE: "DELIVERED", SECOND: "OUT_FOR_DELIVERY"})
    await report("DELIVERED", 4, code=SECOND)
    assert await statuses(write) == ("DELIVERED", {CODE: "DELIVERED", SECOND: "DELIVERED"})


async def test_finer_words_are_kept_with_events_and_shown_with_codes_and_shipments(
    report: Report, write: GraphQL, written: GraphQL
) -> None:
    """Decision 17."""
    document = """query Shipment($id: String!) {
      shipment(id: $id) { subStatus trackAndTraces { subStatus events { subStatus } } }
    }"""

    async def words() -> tuple[str | None, str | None, list[str | None]]:
        shipment = (await write(document, {"id": SHIPMENT}))["data"]["shipment"]
        [code] = shipment["trackAndTraces"]
        return shipment["subStatus"], code["subStatus"], [event["subStatus"] for event in code["events"]]

    told = await report("EXCEPTION", 1, subStatus="ADDRESS_PROBLEM")
    assert (told["event"]["status"], told["shipment"]["version"]) == ("EXCEPTION", 2)
    assert await words() == ("ADDRESS_PROBLEM", "ADDRESS_PROBLEM", ["ADDRESS_PROBLEM"])
    await report("OUT_FOR_DELIVERY", 2)
    assert await words() == (None, None, [None, "ADDRESS_PROBLEM"])
    moved = await report("OUT_FOR_DELIVERY", 3, subStatus="AT_PICKUP_POINT")
    assert (moved["shipmentMoved"], (await words())[0]) == (False, "AT_PICKUP_POINT")
    update = "mutation ($id: String!) { shipmentUpdate(id: $id, input: {status: DELIVERED}) { status subStatus } }"
    assert await written(update, id=SHIPMENT) == {"status": "DELIVERED", "subStatus": None}
    await report("EXCEPTION", 4, subStatus="RETURNED")
    assert (await words())[:2] == (None, "RETURNED")


async def test_return_of_what_had_arrived_shows_with_the_shipment_too(report: Report, write: GraphQL) -> None:
    """Decisions 15 and 17: it is recorded and shown, and the shipment has arrived."""
    await report("DELIVERED", 1, subStatus="LEFT_WITH_NEIGHBOR")
    await report("EXCEPTION", 2, subStatus="RETURNED")
    answer = await write("query ($id: String!) { shipment(id: $id) { status subStatus } }", {"id": SHIPMENT})
    assert answer["data"]["shipment"] == {"status": "DELIVERED", "subStatus": "RETURNED"}


async def test_status_of_a_parcel_is_in_the_audit_trail_and_in_versions(report: Report, write: GraphQL) -> None:
    await report("IN_TRANSIT", 1)
    trail = f'{{ auditTrail(shipmentId: "{SHIPMENT}", first: 2) {{ type version actor fields {{ name old new }} }} }}'
    status = {"name": "status", "old": None, "new": "IN_TRANSIT"}
    assert (await write(trail, viewer="staff"))["data"]["auditTrail"] == [
        {"type": "SHIPMENT", "version": 2, "actor": "partner:1", "fields": [{**status, "old": "CREATED"}]},
        {"type": "TRACK_AND_TRACE", "version": 2, "actor": "partner:1", "fields": [status]},
    ]


async def test_open_exception_of_a_parcel_shows_before_newer_news_of_another(
    report: Report, copy_connection: asyncpg.Connection
) -> None:
    """Decision 15."""
    await add_second_parcel(copy_connection)
    await report("IN_TRANSIT", 1)
    await report("OUT_FOR_DELIVERY", 3)
    assert (await report("EXCEPTION", 2, code=SECOND))["shipment"]["status"] == "EXCEPTION"
    assert not (await report("IN_TRANSIT", 4))["shipmentMoved"]


async def test_status_that_was_set_by_hand_stays_until_newer_news_comes(
    report: Report, written: GraphQL, write: GraphQL
) -> None:
    """Decision 15."""
    update = (
        "mutation ($id: String!, $input: ShipmentUpdateInput!) { shipmentUpdate(id: $id, input: $input) { status } }"
    )
    await report("IN_TRANSIT", 1)
    await written(update, id=SHIPMENT, input={"status": "EXCEPTION"})
    told = await report("OUT_FOR_DELIVERY", 2)
    assert (told["isNew"], told["shipmentMoved"]) == (True, False)
    assert await statuses(write) == ("EXCEPTION", {CODE: "OUT_FOR_DELIVERY"})
    ahead = (datetime.now(UTC) + CLOCK_SKEW / 2).isoformat()
    assert (await report("OUT_FOR_DELIVERY", occurredAt=ahead))["shipment"]["status"] == "OUT_FOR_DELIVERY"


async def test_delivery_that_is_told_late_moves_a_shipment_whose_status_was_set_by_hand(
    report: Report, copy_connection: asyncpg.Connection
) -> None:
    """Decision 15: nothing leads back from it, and nobody tells it again."""
    for status in ("IN_TRANSIT", "FAILED_DELIVERY"):
        await copy_connection.execute("UPDATE shipments SET status = $2 WHERE id = $1", SHIPMENT, status)
    assert (await report("DELIVERED", 1))["shipment"]["status"] == "DELIVERED"


@pytest.mark.parametrize(
    "status", ["CREATED", "PROCESSING", "IN_TRANSIT", "OUT_FOR_DELIVERY", "FAILED_DELIVERY", "EXCEPTION"]
)
async def test_report_moves_the_shipment_to_whatever_lies_ahead(report: Report, status: str) -> None:
    """Decision 16."""
    await report(status, 1)
    told = await report("DELIVERED", 2)
    assert (told["shipmentMoved"], told["shipment"]["status"]) == (True, "DELIVERED")


@pytest.mark.parametrize("status", ["CREATED", "PROCESSING"])
async def test_report_of_what_lies_behind_moves_nothing(report: Report, status: str) -> None:
    await report("IN_TRANSIT", 1)
    told = await report(status, 2)
    assert (told["isNew"], told["shipmentMoved"], told["shipment"]["status"]) == (True, False, "IN_TRANSIT")


async def test_step_that_is_told_after_a_later_one_is_recorded_and_moves_nothing(
    report: Report, write: GraphQL
) -> None:
    """Decision 16: the missing step is not waited for."""
    early = await report("DELIVERED", 5, externalId="e-2")
    assert (early["isNew"], early["shipmentMoved"], early["shipment"]["status"]) == (True, True, "DELIVERED")
    late = await report("IN_TRANSIT", 4, externalId="e-1")
    assert (late["isNew"], late["shipmentMoved"], late["shipment"]["status"]) == (True, False, "DELIVERED")
    events = (await write(EVENTS, {"id": CODE_ID}))["data"]["trackAndTrace"]["events"]
    assert [event["externalId"] for event in events] == ["e-2", "e-1"]


@pytest.mark.parametrize("is_late", [False, True])
async def test_news_of_a_parcel_that_has_arrived_shows_with_the_code(
    report: Report, write: GraphQL, is_late: bool
) -> None:
    """Decision 15: such as a claim. The shipment has arrived, also where that is told last."""
    await report("IN_TRANSIT", 1)
    for status, minute in sorted([("DELIVERED", 2), ("EXCEPTION", 3)], reverse=is_late):
        assert (await report(status, minute))["isNew"]
    assert await statuses(write) == ("DELIVERED", {CODE: "EXCEPTION"})


async def test_shipment_without_a_status_takes_any(report: Report, copy_connection: asyncpg.Connection) -> None:
    await add_shipments(copy_connection, "unheard of", status=None)
    assert (await report("DELIVERED", code="unheard of"))["shipment"]["status"] == "DELIVERED"


async def test_cancelation_by_news_gives_the_goods_back(report: Report, copy_connection: asyncpg.Connection) -> None:
    await report("CANCELED")
    shipped = await copy_connection.fetch("SELECT quantity_shipped FROM order_items WHERE order_id = 2075")
    assert {row["quantity_shipped"] for row in shipped} == {0}


async def test_events_go_with_their_code(report: Report, write: GraphQL, copy_connection: asyncpg.Connection) -> None:
    await report("IN_TRANSIT")
    other = await copy_connection.fetchval(
        "INSERT INTO shipments (order_id, channel_id) VALUES (2075, 1) RETURNING id::text"
    )
    await copy_connection.execute("UPDATE track_and_traces SET shipment_id = $1 WHERE id = $2", other, CODE_ID)
    assert await status_of(copy_connection, other) == "IN_TRANSIT"
    told = await report("OUT_FOR_DELIVERY", 1)
    assert (told["shipment"]["id"], told["shipmentMoved"]) == (other, True)
    assert len((await write(EVENTS, {"id": CODE_ID}))["data"]["trackAndTrace"]["events"]) == 2

    await copy_connection.execute("DELETE FROM track_and_traces WHERE id = $1", CODE_ID)
    assert await copy_connection.fetchval("SELECT count(*) FROM tracking_events") == 0


@pytest.mark.parametrize("status", ["DELIVERED", "EXCEPTION"])
@pytest.mark.parametrize("is_moved", [True, False])
async def test_status_of_a_code_goes_with_it(
    report: Report, copy_connection: asyncpg.Connection, status: str, is_moved: bool
) -> None:
    """To the shipment that has it now; but what somebody set stays (decision 15)."""
    first, other = "7d0f5f59-4d2c-4f4b-8f7e-0c9b0f1f7a01", "7d0f5f59-4d2c-4f4b-8f7e-0c9b0f1f7a02"
    for key in (first, other):
        await copy_connection.execute(
            "INSERT INTO shipments (id, order_id, channel_id)"
            " SELECT $1, order_id, channel_id FROM shipments WHERE id = $2",
            key,
            SHIPMENT,
        )
    await copy_connection.execute("UPDATE track_and_traces SET shipment_id = $1 WHERE id = $2", first, CODE_ID)
    await report(status)
    assert await status_of(copy_connection, first) == status
    if is_moved:
        await copy_connection.execute("UPDATE track_and_traces SET shipment_id = $1 WHERE id = $2", other, CODE_ID)
        assert await status_of(copy_connection, other) == status
    else:
        await copy_connection.execute("DELETE FROM track_and_traces WHERE id = $1", CODE_ID)
    assert await status_of(copy_connection, first) == "CREATED"


async def test_report_on_a_code_that_is_moved_meanwhile_is_about_its_new_shipment(
    report: Report, copy_connection: asyncpg.Connection
) -> None:
    async with copy_connection.transaction():
        other = await copy_connection.fetchval(
            "INSERT INTO shipments (order_id, channel_id) VALUES (2075, 1) RETURNING id::text"
        )
        await copy_connection.execute("UPDATE shipments SET last_modified_at = now() WHERE id = $1", SHIPMENT)
        await copy_connection.execute("UPDATE track_and_traces SET shipment_id = $1 WHERE id = $2", other, CODE_ID)
        telling = asyncio.ensure_future(report("IN_TRANSIT"))
        await until_blocked(copy_connection)
    assert (await telling)["shipment"]["id"] == other
    assert await status_of(copy_connection) == "CREATED"


@pytest.mark.parametrize(
    ("input", "path"),
    [
        ({"occurredAt": "yesterday"}, "input.occurredAt"),
        ({"occurredAt": "2999-01-01T00:00:00Z"}, "input.occurredAt"),
        ({"occurredAt": "1899-12-31T23:59:59Z"}, "input.occurredAt"),
        ({"expectedDeliveryAt": "0001-01-01"}, "input.expectedDeliveryAt"),
        ({"expectedDeliveryAt": "9999-12-31"}, "input.expectedDeliveryAt"),
        ({"externalId": ""}, "input.externalId"),
        ({"externalId": "x" * 256}, "input.externalId"),
        ({"location": "x" * 256}, "input.location"),
        ({"description": "x" * 1001}, "input.description"),
        ({"code": ""}, "input.code"),
        ({"code": "---"}, "input.code"),
        ({"code": "3S\u202e1"}, "input.code"),
        ({"externalId": "e\u2066-1"}, "input.externalId"),
        ({"shipmentId": "17"}, "input.shipmentId"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_report_that_breaks_a_rule_names_it(refused: Refused, input: dict[str, Any], path: str) -> None:
    extensions = await refused(REPORT, input=news(**input))
    assert (extensions["code"], extensions["path"]) == ("VALIDATION_ERROR", path)
    assert extensions["rule"]


async def test_clock_of_the_carrier_may_be_a_little_ahead(report: Report, refused: Refused) -> None:
    now = datetime.now(UTC)
    ahead, beyond = now + CLOCK_SKEW / 2, now + CLOCK_SKEW + timedelta(minutes=5)
    assert (await report("IN_TRANSIT", occurredAt=ahead.isoformat()))["isNew"]
    assert (await refused(REPORT, input=news(occurredAt=beyond.isoformat())))["path"] == "input.occurredAt"


async def test_longest_texts_are_recorded_and_blank_ones_are_none(report: Report) -> None:
    event = (await report("IN_TRANSIT", externalId="x" * 255, location=" ", description="ü" * 1000))["event"]
    assert (event["externalId"], event["location"], event["description"]) == ("x" * 255, None, "ü" * 1000)


async def test_report_on_no_code_of_the_named_shipment_is_not_found(refused: Refused) -> None:
    assert await refused(REPORT, input=news(shipmentId=OTHER_SHIPMENT)) == {
        "code": "TRACK_AND_TRACE_NOT_FOUND_ERROR",
        "path": "input.code",
        "rule": "must exist",
    }


@pytest.mark.parametrize(
    ("viewer", "code"), [("read-only", "FORBIDDEN"), ("contact", "FORBIDDEN"), (None, "UNAUTHENTICATED")]
)
async def test_report_needs_the_scope_to_write(refused: Refused, viewer: str | None, code: str) -> None:
    assert (await refused(REPORT, viewer=viewer, input=news()))["code"] == code


async def test_code_of_several_channels_is_refused_until_the_shipment_is_named(
    report: Report, refused_after: Refused, copy_connection: asyncpg.Connection
) -> None:
    twin = await copy_connection.fetchval(
        """
        WITH twin AS (
          INSERT INTO orders (channel_id, status, email, currency, total_gross, total_net, total_tax, sub_total)
          VALUES (2, 'NEW', 'twin@example.com', 'USD', 0, 0, 0, 0)
          RETURNING id
        ), shipment AS (
          INSERT INTO shipments (order_id, channel_id) SELECT id, 2 FROM twin RETURNING id, order_id
        )
        INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code)
        SELECT id, order_id, 2, 1, $1 FROM shipment
        RETURNING shipment_id::text
        """,
        CODE,
    )
    extensions = await refused_after(REPORT, input=news())
    assert (extensions["code"], extensions["path"]) == ("VALIDATION_ERROR", "input.code")
    assert "input.shipmentId" in extensions["rule"]

    assert (await report("IN_TRANSIT", viewer="northwind-writer"))["shipment"]["id"] == twin
    assert await status_of(copy_connection) == "CREATED"
    for shipment in (twin, SHIPMENT):
        assert (await report("IN_TRANSIT", shipmentId=shipment))["shipment"]["id"] == shipment


@pytest.mark.parametrize("freed", ["shipment canceled", "code canceled", "long delivered"])
async def test_news_of_a_code_that_is_used_again_is_of_the_parcel_under_way(
    report: Report, copy_connection: asyncpg.Connection, freed: str
) -> None:
    """As long as the report does not name the shipment of the former one (decision 25), nor tells of its time."""
    twin = await copy_connection.fetchval(
        """
        WITH twin AS (
          INSERT INTO shipments (order_id, channel_id)
          SELECT order_id, channel_id FROM shipments WHERE id = $1 RETURNING id, order_id, channel_id
        )
        INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code, created_at)
        SELECT twin.id, twin.order_id, twin.channel_id, t.carrier_id, t.code, '2025-11-14T10:00:00Z'
        FROM twin, track_and_traces t WHERE t.id = $2
        RETURNING shipment_id::text
        """,
        SHIPMENT,
        CODE_ID,
    )
    if freed == "shipment canceled":
        await copy_connection.execute("UPDATE shipments SET status = 'CANCELED' WHERE id = $1", SHIPMENT)
    elif freed == "code canceled":
        await report("CANCELED", shipmentId=SHIPMENT)
    else:
        await copy_connection.execute(
            "INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at)"
            " SELECT id, channel_id, 'DELIVERED', now() - interval '91 days' FROM track_and_traces WHERE id = $1",
            CODE_ID,
        )
    early = {"status": "EXCEPTION", "occurredAt": "2025-11-14T09:59:00.000Z", "externalId": "early"}
    for is_new in (True, False):
        told = await report(**early)
        assert (told["shipment"]["id"], told["isNew"]) == (SHIPMENT, is_new)
    told = await report("IN_TRANSIT")
    assert (told["shipment"]["id"], told["shipment"]["status"]) == (twin, "IN_TRANSIT")
    assert (await report("EXCEPTION", 1, shipmentId=SHIPMENT))["shipment"]["id"] == SHIPMENT
    # What is told late of the former one does not take the code back.
    assert (await report("OUT_FOR_DELIVERY", 2))["shipment"]["id"] == twin


async def test_news_of_parcels_that_have_freed_their_code_is_of_the_newest(
    report: Report, copy_connection: asyncpg.Connection
) -> None:
    """In one channel; of one that was not canceled before those that were."""
    first, second = [
        await copy_connection.fetchval(
            """
            WITH shipment AS (
              INSERT INTO shipments (order_id, channel_id, status)
              SELECT order_id, channel_id, 'CANCELED' FROM shipments WHERE id = $1 RETURNING id, order_id, channel_id
            )
            INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code)
            SELECT s.id, s.order_id, s.channel_id, t.carrier_id, t.code
            FROM shipment s, track_and_traces t WHERE t.id = $2
            RETURNING shipment_id::text
            """,
            SHIPMENT,
            CODE_ID,
        )
        for _ in range(2)
    ]
    assert (await report("IN_TRANSIT"))["shipment"]["id"] == SHIPMENT
    await copy_connection.execute(
        "INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at)"
        " SELECT id, channel_id, 'DELIVERED', now() - interval '91 days' FROM track_and_traces WHERE id = $1",
        CODE_ID,
    )
    await copy_connection.execute("DELETE FROM tracking_events WHERE occurred_at > now() - interval '90 days'")
    assert (await report("EXCEPTION"))["shipment"]["id"] == SHIPMENT
    await copy_connection.execute("DELETE FROM track_and_traces WHERE id = $1", CODE_ID)
    assert (await report("EXCEPTION"))["shipment"]["id"] == second
    assert (await report("EXCEPTION", shipmentId=first))["shipment"]["id"] == first


async def test_track_and_trace_events_are_the_newest_and_cost_one_statement(
    copy: Starlette, write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute(
        "INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at, external_id)"
        " SELECT t.id, t.channel_id, 'IN_TRANSIT', timestamptz '2025-11-14' + n * interval '1 second', n"
        " FROM (SELECT * FROM track_and_traces ORDER BY created_at DESC, id LIMIT 5) t, generate_series(1, $1) n",
        NEWEST_BY_TRACK_AND_TRACE + 1,
    )
    costs = []
    for size in (1, 5):
        before = copy.state.db.statements
        answer = await write(
            f"{{ trackAndTraces(input: {{offset: {size}}}) {{ items {{ events {{ externalId }} }} }} }}", viewer="staff"
        )
        costs.append(copy.state.db.statements - before)
    assert costs[0] == costs[1]
    newest = [{"externalId": str(n)} for n in range(NEWEST_BY_TRACK_AND_TRACE + 1, 1, -1)]
    assert [code["events"] for code in answer["data"]["trackAndTraces"]["items"]] == [newest] * 5


# ------------------------------------------------------------------------------------------------------- which code


async def test_report_finds_a_code_however_it_is_written(report: Report) -> None:
    assert (await report("IN_TRANSIT", code="3s test-1234 5678 90"))["shipment"]["id"] == SHIPMENT


@pytest.mark.parametrize("carrier", [1, None])
async def test_report_may_name_a_code_by_the_address_of_its_page(
    report: Report, written: GraphQL, copy_connection: asyncpg.Connection, carrier: int | None
) -> None:
    """Of the carrier that is named, or of any; also one that waits."""
    template = await copy_connection.fetchval("SELECT track_and_trace_url FROM carriers WHERE id = 1")
    address = f"\u00a0 {template.replace('{code}', CODE.lower())}\u200b"
    told = await report("IN_TRANSIT", code=address, carrierId=carrier)
    assert (told["shipment"]["id"], told["isWaiting"]) == (SHIPMENT, False)
    early = template.replace("{code}", "EARLY-1")
    results = await written(REPORTS, inputs=[news(code=early, carrierId=carrier), news(code="https://none.example/A")])
    assert [result["report"]["isWaiting"] for result in results] == [True, True]
    waiting = await copy_connection.fetch("SELECT code FROM waiting_reports ORDER BY 1")
    assert [row["code"] for row in waiting] == ["EARLY-1", "https://none.example/A"]


async def test_code_is_named_by_the_address_of_its_page_wherever_a_caller_names_one(
    write: GraphQL, written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    template = await copy_connection.fetchval("SELECT track_and_trace_url FROM carriers WHERE id = 1")
    address = f" \u00a0{template.replace('{code}', CODE)} "
    queries = {
        "trackAndTraces(input: {codes: [$code]}) { items { code } }": {"items": [{"code": CODE}]},
        "shipments(input: {codes: [$code]}) { items { id } }": {"items": [{"id": SHIPMENT}]},
        "orders(input: {codes: [$code]}) { items { id } }": {"items": [{"id": 2075}]},
        "orders(input: {term: $code}) { items { id } }": {"items": [{"id": 2075}]},
    }
    for query, expected in queries.items():
        answer = await write(f"query($code: String!) {{ found: {query} }}", {"code": address})
        assert answer["data"]["found"] == expected, query
    made = await written(
        ADD_CODE.replace("{ id status", "{ code id status"), input=code_of(code=address, carrierId=None)
    )
    assert made["code"] == CODE


async def test_report_finds_a_code_stored_without_its_carrier(
    report: Report, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("UPDATE track_and_traces SET carrier_id = NULL WHERE id = $1", CODE_ID)
    assert (await report("IN_TRANSIT"))["shipment"]["id"] == SHIPMENT


async def test_report_without_a_carrier_finds_the_only_code(report: Report) -> None:
    assert (await report("IN_TRANSIT", carrierId=None))["shipment"]["id"] == SHIPMENT


async def test_report_prefers_the_code_of_its_carrier(report: Report, copy_connection: asyncpg.Connection) -> None:
    await copy_connection.execute(
        "INSERT INTO track_and_traces (shipment_id, order_id, channel_id, code)"
        " SELECT id, order_id, channel_id, $2 FROM shipments WHERE id = $1",
        OTHER_SHIPMENT,
        CODE,
    )
    assert (await report("IN_TRANSIT"))["shipment"]["id"] == SHIPMENT
    assert (await report("IN_TRANSIT", carrierId=None))["shipment"]["id"] == OTHER_SHIPMENT


async def test_report_of_another_carrier_does_not_take_the_code(report: Report) -> None:
    assert (await report("IN_TRANSIT", carrierId=2))["isWaiting"]


# ------------------------------------------------------------------------------------------------------- moments


@pytest.mark.parametrize(
    ("carrier", "channel", "moment"),
    [(None, "UTC", "10:00"), (None, "Europe/Amsterdam", "09:00"), ("America/New_York", "Europe/Amsterdam", "15:00")],
)
async def test_moment_without_an_offset_is_that_of_the_carrier_or_else_of_the_channel(
    report: Report, copy_connection: asyncpg.Connection, carrier: str | None, channel: str, moment: str
) -> None:
    await copy_connection.execute("UPDATE carriers SET time_zone = $1", carrier)
    await copy_connection.execute("UPDATE channels SET time_zone = $1", channel)
    told = await report("IN_TRANSIT", occurredAt="2025-11-14T10:00:00")
    assert told["event"]["occurredAt"] == f"2025-11-14T{moment}:00.000Z"
    told = await report("IN_TRANSIT", occurredAt="2025-11-14T10:00:00+01:00")
    assert told["event"]["occurredAt"] == "2025-11-14T09:00:00.000Z"


async def test_date_without_a_time_is_its_midnight_there_and_the_refusal_of_others_says_that_it_is_taken(
    report: Report, refused: Refused, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("UPDATE carriers SET time_zone = 'Europe/Amsterdam'")
    told = await report("IN_TRANSIT", occurredAt="2025-11-14")
    assert told["event"]["occurredAt"] == "2025-11-13T23:00:00.000Z"
    rule = (await refused(REPORT, input=news(occurredAt="yesterday")))["rule"]
    assert rule == "must be an ISO 8601 date-time such as 2024-01-15T10:30:00.000Z, or a date"


async def test_moment_without_an_offset_lies_not_in_the_future_there(
    report: Report, refused_after: Refused, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("UPDATE channels SET time_zone = 'Asia/Tokyo'")
    there = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=9)
    assert (await report("IN_TRANSIT", occurredAt=there.isoformat()))["isNew"]
    beyond = (there + timedelta(minutes=15)).isoformat()
    assert (await refused_after(REPORT, input=news(occurredAt=beyond)))["path"] == "input.occurredAt"


async def test_code_takes_the_promise_of_its_newest_event(report: Report, write: GraphQL) -> None:
    async def promise() -> str | None:
        answer = await write(
            "query Code($id: String!) { trackAndTrace(id: $id) { expectedDeliveryAt } }", {"id": CODE_ID}
        )
        told: str | None = answer["data"]["trackAndTrace"]["expectedDeliveryAt"]
        return told

    await report("IN_TRANSIT", 5, expectedDeliveryAt="2025-11-16T12:00:00Z")
    await report("CREATED", 1, expectedDeliveryAt="2025-11-15T12:00:00Z")
    await report("OUT_FOR_DELIVERY", 9)
    assert await promise() == "2025-11-16T12:00:00.000Z"
    await report("EXCEPTION", 10, expectedDeliveryAt="2025-11-18")
    assert await promise() == "2025-11-18T00:00:00.000Z"


# ------------------------------------------------------------------------------------------------------- waiting


def code_of(shipment: str = OTHER_SHIPMENT, **input: Any) -> dict[str, Any]:
    return {"shipmentId": shipment, "code": "EARLY 1", "carrierId": 1} | input


async def test_report_waits_for_its_code(report: Report, written: GraphQL) -> None:
    told = await report("OUT_FOR_DELIVERY", 3, code="early-1")
    assert told == {"isNew": True, "isWaiting": True, "shipmentMoved": False, "event": None, "shipment": None}
    code = await written(ADD_CODE, input=code_of())
    assert (code["status"], code["events"]) == ("OUT_FOR_DELIVERY", [{"occurredAt": at(3)}])


async def test_report_that_waits_moves_a_new_shipment(report: Report, written: GraphQL) -> None:
    await report("IN_TRANSIT", 1, code="EARLY1", subStatus="CUSTOMS")
    shipment = await written(CREATE, input={"orderId": 2075, "trackAndTraces": [{"code": "EARLY1", "carrierId": 1}]})
    assert (shipment["status"], shipment["subStatus"]) == ("IN_TRANSIT", "CUSTOMS")


async def test_report_waits_for_a_code_that_is_corrected(report: Report, written: GraphQL) -> None:
    await report("IN_TRANSIT", code="EARLY1", carrierId=2)
    assert (await written(UPDATE_CODE, id=CODE_ID, input={"code": "EARLY1"}))["status"] is None
    assert (await written(UPDATE_CODE, id=CODE_ID, input={"carrierId": 2}))["status"] == "IN_TRANSIT"


async def test_report_that_waits_is_told_once_under_its_key(report: Report, written: GraphQL) -> None:
    for is_new in (True, False):
        assert (await report("IN_TRANSIT", code="EARLY1", externalId="e-1"))["isNew"] == is_new
    assert len((await written(ADD_CODE, input=code_of()))["events"]) == 1


@pytest.mark.parametrize(
    ("teller", "takes"), [("apikey", True), ("editor", True), ("hofstra-writer", False), ("northwind-writer", False)]
)
async def test_report_waits_for_codes_that_its_teller_sees(
    report: Report, written: GraphQL, teller: str, *, takes: bool
) -> None:
    """Shipment and code are of a company that the last two do not see."""
    assert (await report("IN_TRANSIT", viewer=teller, code="EARLY1"))["isWaiting"]
    assert bool((await written(ADD_CODE, input=code_of()))["events"]) == takes


async def test_code_that_the_teller_does_not_see_waits_like_one_that_is_not_there(report: Report) -> None:
    first = await report("IN_TRANSIT", viewer="hofstra-writer")
    assert first == await report("IN_TRANSIT", viewer="hofstra-writer", code="none")


async def test_report_that_waited_too_long_is_forgotten(
    report: Report, written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await report("IN_TRANSIT", code="EARLY1")
    await copy_connection.execute("UPDATE waiting_reports SET told_at = now() - interval '30 days 1 second'")
    assert (await written(ADD_CODE, input=code_of()))["events"] == []
    await report("IN_TRANSIT", code="other")
    assert await copy_connection.fetchval("SELECT array_agg(code) FROM waiting_reports") == ["other"]


async def test_moment_of_a_report_that_waits_is_read_where_its_code_comes(
    report: Report, written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("UPDATE channels SET time_zone = 'Europe/Amsterdam'")
    await report("IN_TRANSIT", code="EARLY1", occurredAt="2025-11-14T10:00", expectedDeliveryAt="2025-11-16")
    code = await written(ADD_CODE, input=code_of())
    assert code["events"] == [{"occurredAt": "2025-11-14T09:00:00.000Z"}]
    assert code["expectedDeliveryAt"] == "2025-11-16T00:00:00.000Z"


async def test_report_of_an_unknown_carrier_does_not_wait(refused: Refused) -> None:
    assert (await refused(REPORT, input=news(code="EARLY1", carrierId=999)))["path"] == "input.carrierId"


NEW_CARRIER = "mutation New($input: CarrierCreateInput!) { carrierCreate(input: $input) { id } }"
SET_CARRIER = "mutation Set($id: Int!, $input: CarrierUpdateInput!) { carrierUpdate(id: $id, input: $input) { id } }"
PAGE = "https://late.example/t?c="


def late_carrier(**input: Any) -> dict[str, Any]:
    return {"name": "Late", "type": "DELIVERY", "descriptions": []} | input


@pytest.mark.parametrize("is_code_first", [True, False])
@pytest.mark.parametrize("has_carrier", [True, False])
async def test_report_by_an_address_waits_for_the_carrier_that_has_its_page(
    report: Report, written: GraphQL, *, is_code_first: bool, has_carrier: bool
) -> None:
    """Whatever comes first of the carrier, its template and the code."""
    told = await report("IN_TRANSIT", 3, code=f" {PAGE}early%201#top", carrierId=None, externalId="e-1")
    assert told["isWaiting"]
    carrier = (await written(NEW_CARRIER, input=late_carrier()))["id"] if has_carrier else None
    code = code_of(carrierId=carrier)
    if is_code_first:
        assert (await written(ADD_CODE, input=code))["status"] is None
    page = {"trackAndTraceURL": f"{PAGE}{{code}}"}
    if has_carrier:
        await written(SET_CARRIER, id=carrier, input=page)
    else:
        await written(NEW_CARRIER, input=late_carrier(**page))
    again = await report("IN_TRANSIT", 3, code=f"{PAGE}EARLY1", carrierId=None, externalId="e-1")
    assert (again["isNew"], again["isWaiting"]) == (False, not is_code_first)
    if not is_code_first:
        assert (await written(ADD_CODE, input=code))["status"] == "IN_TRANSIT"
        again = await report("IN_TRANSIT", 3, code="EARLY1", carrierId=carrier, externalId="e-1")
    assert (again["isNew"], again["event"]["occurredAt"]) == (False, at(3))


async def test_report_by_an_address_that_becomes_one_that_waits_is_told_once(
    report: Report, written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    for code in ("EARLY-1", f"{PAGE}EARLY1"):
        await report("IN_TRANSIT", code=code, carrierId=None, externalId="e-1")
    await written(NEW_CARRIER, input=late_carrier(trackAndTraceURL=f"{PAGE}{{code}}"))
    assert await copy_connection.fetchval("SELECT array_agg(code) FROM waiting_reports") == ["EARLY-1"]


async def test_report_by_an_address_is_not_read_by_a_carrier_that_it_does_not_name(
    report: Report, written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    """Nor by one of a channel that its teller does not see."""
    await copy_connection.execute("INSERT INTO channels (id, code, name, currency) VALUES (77, 'far', 'Far', 'EUR')")
    await report("IN_TRANSIT", code=f"{PAGE}A", carrierId=2)
    await report("IN_TRANSIT", code=f"{PAGE}B", carrierId=None, viewer="northwind-writer")
    await copy_connection.execute(
        "INSERT INTO carriers (name, track_and_trace_url, channel_id) VALUES ('Far', $1, 77)", f"{PAGE}{{code}}"
    )
    codes = "SELECT array_agg(code ORDER BY code) FROM waiting_reports"
    assert await copy_connection.fetchval(codes) == [f"{PAGE}A", f"{PAGE}B"]
    await written(SET_CARRIER, viewer="editor", id=2, input={"trackAndTraceURL": f"{PAGE}{{code}}"})
    assert await copy_connection.fetchval(codes) == ["A", "B"]


async def test_report_by_an_address_and_its_carrier_that_come_at_the_same_moment_meet(
    copy_connection: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    report = "INSERT INTO waiting_reports (code, status, occurred_at) VALUES ($1, 'IN_TRANSIT', now())"
    carrier = "INSERT INTO carriers (name, track_and_trace_url) VALUES ($1, $2)"
    for name, is_report_first in (("early", True), ("late", False)):
        of_report, of_carrier = copy_connection.transaction(), other.transaction()
        await of_report.start()
        await of_carrier.start()
        await copy_connection.execute(report, f"https://{name}.example/A-{name}")
        await other.execute(carrier, name, f"https://{name}.example/A-{{code}}")
        for transaction in (of_report, of_carrier) if is_report_first else (of_carrier, of_report):
            await transaction.commit()
    assert await other.fetchval("SELECT array_agg(code ORDER BY code) FROM waiting_reports") == ["early", "late"]


async def test_reports_of_one_teller_that_wait_are_bounded(
    report: Report, written: GraphQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_report, "MOST_WAITING", 2)
    first, second, third = await written(REPORTS, inputs=[news(code=f"early {n}") for n in range(3)])
    assert first["report"]["isWaiting"]
    assert second["report"]["isWaiting"]
    assert third["error"]["path"] == "inputs.2.code"
    assert (await report("IN_TRANSIT", viewer="editor", code="early 3"))["isWaiting"]


async def test_reports_of_one_teller_that_wait_for_a_page_are_bounded(
    report: Report, written: GraphQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_report, "MOST_WAITING_PAGES", 2)
    inputs = [news(code=f"{PAGE}{n}", carrierId=None) for n in range(3)] + [news(code="early")]
    results = await written(REPORTS, inputs=inputs)
    assert [bool(result["report"]) for result in results] == [True, True, False, True]
    assert results[2]["error"]["path"] == "inputs.2.code"
    assert "1000" not in results[2]["error"]["message"]
    assert (await report("IN_TRANSIT", viewer="editor", code=f"{PAGE}3", carrierId=None))["isWaiting"]
    await written(NEW_CARRIER, input=late_carrier(trackAndTraceURL=f"{PAGE}{{code}}"))
    assert (await report("IN_TRANSIT", code="https://other.example/1", carrierId=None))["isWaiting"]


async def test_report_and_code_that_come_at_the_same_moment_meet(
    copy_connection: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    """Whoever commits first is seen by the other one while that commits."""
    report = "INSERT INTO waiting_reports (code, status, occurred_at) VALUES ($1, 'IN_TRANSIT', now())"
    code = """
        INSERT INTO track_and_traces (shipment_id, order_id, channel_id, code)
        SELECT id, order_id, channel_id, $1 FROM shipments WHERE id = $2
    """
    for name, is_report_first in (("EARLY1", True), ("EARLY2", False)):
        of_report, of_code = copy_connection.transaction(), other.transaction()
        await of_report.start()
        await of_code.start()
        await copy_connection.execute(report, name)
        await other.execute(code, name, OTHER_SHIPMENT)
        for transaction in (of_report, of_code) if is_report_first else (of_code, of_report):
            await transaction.commit()
        assert await other.fetchval("SELECT status FROM track_and_traces WHERE code = $1", name) == "IN_TRANSIT"
    assert await other.fetchval("SELECT count(*) FROM waiting_reports") == 0


# ------------------------------------------------------------------------------------------------------- many at once


async def test_reports_have_a_result_each_in_their_order(written: GraphQL, copy_connection: asyncpg.Connection) -> None:
    late = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    results = await written(
        REPORTS,
        inputs=[
            news(status="IN_TRANSIT", externalId="e-1", occurredAt=at(1)),
            news(occurredAt=late),
            news(code="early"),
            news(shipmentId=OTHER_SHIPMENT),
            news(status="DELIVERED", externalId="e-1", occurredAt=at(2)),
            news(status="OUT_FOR_DELIVERY", externalId="e-2", occurredAt=at(3)),
            news(shipmentId="x"),
        ],
    )
    told, errors = [result["report"] for result in results], [result["error"] for result in results]
    assert [bool(report) for report in told] == [not error for error in errors]
    assert [error and (error["code"], error["path"]) for error in errors] == [
        None,
        ("VALIDATION_ERROR", "inputs.1.occurredAt"),
        None,
        ("TRACK_AND_TRACE_NOT_FOUND_ERROR", "inputs.3.code"),
        None,
        None,
        ("VALIDATION_ERROR", "inputs.6.shipmentId"),
    ]
    assert [report and (report["isNew"], report["isWaiting"]) for report in told] == [
        *((True, False), None, (True, True), None, (False, False), (True, False), None)
    ]
    assert told[4]["event"] == told[0]["event"]
    assert told[0]["shipment"] == told[5]["shipment"] == {"id": SHIPMENT, "status": "OUT_FOR_DELIVERY"}
    assert await status_of(copy_connection) == "OUT_FOR_DELIVERY"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *(("location", "x" * 256), ("description", "x" * 1001), ("externalId", "x" * 256), ("code", "x" * 256)),
        *(("code", "a\0b"), ("description", "a\0b"), ("occurredAt", "\0"), ("shipmentId", "x" * 201)),
    ],
)
@pytest.mark.parametrize("is_written_out", [False, True])
async def test_text_that_may_not_be_refuses_its_report_alone(
    written: GraphQL, field: str, text: str, is_written_out: bool
) -> None:
    inputs = [news(), news(**{field: text}), news(code="early")]
    if is_written_out:
        literals = re.sub(r'"(\w+)": ', r"\1: ", json.dumps(inputs)).replace('"IN_TRANSIT"', "IN_TRANSIT")
        document = REPORTS.replace("($inputs: [ShipmentStatusReportInput!]!)", "")
        results = await written(document.replace("$inputs", literals))
    else:
        results = await written(REPORTS, inputs=inputs)
    assert [bool(result["report"]) for result in results] == [True, False, True]
    error = results[1]["error"]
    assert (error["code"], error["path"]) == ("VALIDATION_ERROR", f"inputs.1.{field}")


async def test_reports_cost_the_same_however_many_they_are(
    copy: Starlette, written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await add_shipments(copy_connection, *(f"parcel {n}" for n in range(60)))

    async def cost(*numbers: int) -> int:
        before = copy.state.db.statements
        known = [news(code=f"parcel {n}", externalId=f"e-{n % 7}") for n in numbers]
        results = await written(REPORTS, inputs=known + [news(code=f"early {n}") for n in numbers])
        assert all(result["report"] for result in results)
        return int(copy.state.db.statements - before)

    assert await cost(0, 1) == await cost(*range(2, 50))


async def test_reports_lead_where_one_after_another_does(
    report: Report, written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    random = Random(16)
    told = [
        (
            f"parcel {random.randrange(3)}",
            random.choice(["IN_TRANSIT", "EXCEPTION", "OUT_FOR_DELIVERY", "DELIVERED"]),
            n,
        )
        for n in random.sample(range(60), 40)
    ]
    await add_shipments(copy_connection, *(f"parcel {n}" for n in range(3)), *(f"parcel {n}b" for n in range(3)))
    for code, status, minute in told:
        await report(status, minute, code=code)
    await written(REPORTS, inputs=[news(code=f"{code}b", status=s, occurredAt=at(minute)) for code, s, minute in told])
    query = """
        SELECT s.status, s.sub_status, t.status FROM track_and_traces t JOIN shipments s ON s.id = t.shipment_id
        WHERE t.code LIKE $1 ORDER BY t.code
    """
    one_by_one, at_once = [await copy_connection.fetch(query, text) for text in ("parcel _", "parcel _b")]
    assert one_by_one == at_once


async def test_thousand_reports_with_the_longest_texts_arrive(
    written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    inputs = [
        news(
            code=f"{n:->255}",
            externalId=f"{n:e>255}",
            location="l" * 255,
            description="d" * 1000,
            subStatus="LEFT_IN_SAFE_PLACE",
            status="PARTIALLY_DELIVERED",
            occurredAt="2025-11-14T10:00:00.000000+01:00",
            expectedDeliveryAt="2025-11-15T10:00:00.000000+01:00",
        )
        for n in range(1000)
    ]
    results = await written(REPORTS, inputs=inputs)
    assert [result["report"]["isWaiting"] for result in results] == [True] * 1000
    assert await copy_connection.fetchval("SELECT count(*) FROM waiting_reports") == 1000
