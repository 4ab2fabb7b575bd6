"""What carriers tell, and how shipments follow, in whatever order the news comes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from app.resolvers.b2b.tracking_event import CLOCK_SKEW, followed
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
    shipmentMoved
    event { id trackAndTraceId externalId status occurredAt location description }
    shipment { id status version }
  }
}
"""
EVENTS = "query Events($id: String!) { trackAndTrace(id: $id) { events { externalId status occurredAt } } }"

Report = Callable[..., Awaitable[dict[str, Any]]]
Refused = Callable[..., Awaitable[dict[str, Any]]]


def at(minute: int) -> str:
    return f"2025-11-04T10:{minute:02}:00.000Z"


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


async def test_report_of_the_present_status_moves_nothing_and_leaves_the_version(report: Report) -> None:
    told = await report("CREATED")
    assert (told["shipmentMoved"], told["shipment"]["version"]) == (False, 1)


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


async def test_every_legal_way_ends_the_same_in_whatever_order_its_news_comes(connection: asyncpg.Connection) -> None:
    following: dict[str, list[str]] = {}
    for status, next_status in await connection.fetch("SELECT status, next_status FROM shipment_status_successors"):
        following.setdefault(status, []).append(next_status)
    reached: dict[str, set[str]] = {}
    for status, next_status in await connection.fetch("SELECT status, next_status FROM shipment_status_followers"):
        reached.setdefault(status, set()).add(next_status)

    def ways(status: str, steps: int) -> Iterator[tuple[str, ...]]:
        """Those that begin at `status`, each of at most so many steps; news may repeat the status."""
        yield ()
        if steps:
            for following_status in (status, *following.get(status, ())):
                yield from ((following_status, *rest) for rest in ways(following_status, steps - 1))

    def end(arrivals: Sequence[tuple[int, str]]) -> str:
        status, events = "CREATED", {}
        for moment, told in arrivals:
            follows = [former for former, statuses in reached.items() if told in statuses]
            events[moment] = {"status": told, "follows": follows, "is_accepted": False}
            event = followed(status, [events[later] for later in sorted(events) if later >= moment])
            if event is not None:
                event["is_accepted"], status = True, event["status"]
        return status

    for told in ways("CREATED", steps=4):
        ends = {end(arrivals) for arrivals in permutations(enumerate(told))}
        assert ends == {told[-1] if told else "CREATED"}, told


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
        " WHERE shipment_id = $1 AND action = 'UPDATED' AND new ? 'status' ORDER BY id",
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


async def test_older_news_of_another_parcel_of_the_shipment_moves_nothing(
    report: Report, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute(
        "INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code)"
        " VALUES ($1, 2075, 1, 1, 'second parcel')",
        SHIPMENT,
    )
    await report("IN_TRANSIT", 1)
    await report("OUT_FOR_DELIVERY", 3)
    assert not (await report("EXCEPTION", 2, code="second parcel"))["shipmentMoved"]


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


async def test_news_of_a_shipment_that_has_arrived_is_recorded_alone(report: Report) -> None:
    await report("IN_TRANSIT", 1)
    await report("DELIVERED", 2)
    told = await report("EXCEPTION", 3)
    assert (told["isNew"], told["shipmentMoved"], told["shipment"]["status"]) == (True, False, "DELIVERED")


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
    told = await report("IN_TRANSIT", 1)
    assert (told["shipment"]["id"], told["shipmentMoved"]) == (other, True)
    assert len((await write(EVENTS, {"id": CODE_ID}))["data"]["trackAndTrace"]["events"]) == 2

    await copy_connection.execute("DELETE FROM track_and_traces WHERE id = $1", CODE_ID)
    assert await copy_connection.fetchval("SELECT count(*) FROM tracking_events") == 0


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
        ({"externalId": ""}, "input.externalId"),
        ({"externalId": "x" * 256}, "input.externalId"),
        ({"location": "x" * 256}, "input.location"),
        ({"description": "x" * 1001}, "input.description"),
        ({"code": ""}, "input.code"),
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


@pytest.mark.parametrize(
    ("viewer", "input"),
    [
        ("apikey", {"code": "none"}),
        ("apikey", {"carrierId": 2}),
        ("apikey", {"carrierId": None}),
        ("apikey", {"shipmentId": OTHER_SHIPMENT}),
        ("northwind-writer", {}),
        ("hofstra-writer", {}),
    ],
    ids=str,
)
async def test_report_on_no_code_that_the_viewer_sees_is_not_found(
    refused: Refused, viewer: str, input: dict[str, Any]
) -> None:
    assert await refused(REPORT, viewer=viewer, input=news(**input)) == {
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


async def test_track_and_trace_events_are_the_newest_and_cost_one_statement(
    copy: Starlette, write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute(
        "INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at, external_id)"
        " SELECT t.id, t.channel_id, 'IN_TRANSIT', timestamptz '2025-11-04' + n * interval '1 second', n"
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
