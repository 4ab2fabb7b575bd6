"""What an import brings of parcels: which goods are in them, and what carriers tell, with orders or on its own."""

from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from tests.app.importer.test_ingest import SHOP, SWIFT, Store, order, shipment
from tests.conftest import ConnectionTo

STATUSES = (
    "SELECT t.code, t.status, s.status FROM track_and_traces t JOIN shipments s ON s.id = t.shipment_id ORDER BY 1"
)
HELD = """
    SELECT t.code, l.line, p.quantity FROM parcel_items p
    JOIN track_and_traces t ON t.id = p.track_and_trace_id
    JOIN shipment_items i ON i.id = p.shipment_item_id
    JOIN order_items l ON l.id = i.order_item_id
    ORDER BY 1, 2
"""


@pytest.fixture
def store(fresh_dsn: str, tmp_path: Any, connection_to: ConnectionTo) -> Store:
    return Store(fresh_dsn, tmp_path, connection_to)


def code(name: str = "T-1", **fields: Any) -> dict[str, Any]:
    return {"carrier": "Swift", "code": name, **fields}


def news(status: str, minute: int = 0, **fields: Any) -> dict[str, Any]:
    return {"status": status, "occurredAt": f"2024-03-04T10:{minute:02}:00Z", **fields}


def event(status: str, minute: int = 0, **fields: Any) -> dict[str, Any]:
    return {"kind": "event", "code": "T-1", "carrier": "Swift", **news(status, minute, **fields)}


def with_codes(*codes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    items = [{"line": 1, "quantity": 3}, {"line": 2, "quantity": 2}]
    return order(shipments=[shipment(1, items=items, trackAndTraces=list(codes), **fields)])


async def test_record_says_what_is_in_its_parcels(store: Store) -> None:
    packed = with_codes(
        code("T-1", items=[{"line": 1, "quantity": 2}, {"line": 2, "quantity": 2}]),
        code("T-2", items=[{"line": 1, "quantity": 1}]),
    )
    assert await store.take(SHOP, SWIFT, packed) == ["3 read, 3 created, 0 updated, 0 unchanged, 0 refused"]
    assert await store.fetch(HELD) == [("T-1", 1, 2), ("T-1", 2, 2), ("T-2", 1, 1)]
    before = await store.rows()
    assert await store.take(packed) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]
    assert await store.rows() == before

    moved = with_codes(code("T-1", items=[{"line": 1, "quantity": 1}]), code("T-2", items=[{"line": 1, "quantity": 2}]))
    assert await store.take(moved) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    assert await store.fetch(HELD) == [("T-1", 1, 1), ("T-2", 1, 2)]
    assert await store.take(with_codes(code("T-1"), code("T-2", items=[]))) == [
        "1 read, 0 created, 1 updated, 0 unchanged, 0 refused"
    ]
    assert await store.fetch(HELD) == [("T-1", 1, 1)]


@pytest.mark.parametrize(
    ("items", "refusal"),
    [
        ([{"line": 3, "quantity": 1}], ".items[0].line: 3 is no line of the shipment"),
        (
            [{"line": 2, "quantity": 3}],
            ".items[0].quantity: more of line 2 is in parcels than in the shipment",
        ),
        ([{"line": 1, "quantity": 2}] * 2, ".items[1].quantity: more of line 1 is in parcels than in the shipment"),
    ],
    ids=["no line", "too many", "twice"],
)
@pytest.mark.parametrize("is_known", [False, True])
async def test_parcel_holds_no_more_than_its_shipment(
    store: Store, items: list[dict[str, int]], refusal: str, *, is_known: bool
) -> None:
    """A record that leaves the shipment's items out is held to those of the store."""
    await store.take(SHOP, SWIFT, with_codes(code()))
    record = with_codes(code(items=items))
    if is_known:
        del record["shipments"][0]["items"]
    refused, summary = await store.take(record)
    assert refused == f"1: $.shipments[0].trackAndTraces[0]{refusal}"
    assert summary.endswith("1 refused")


async def test_line_that_a_delivery_note_lists_several_times_is_the_sum(store: Store) -> None:
    """As it does where it has a row for each serial number or batch."""
    record = with_codes(
        code(items=[{"line": 1, "quantity": 1}, {"line": 2, "quantity": 1}, {"line": 1, "quantity": 1}])
    )
    record["shipments"][0]["items"] = [
        {"line": 1, "quantity": 1},
        {"line": 2, "quantity": 2},
        {"line": 1, "quantity": 2},
    ]
    assert (await store.take(SHOP, SWIFT, record))[-1].endswith("0 refused")
    assert await store.fetch("SELECT quantity FROM shipment_items ORDER BY order_item_id") == [(3,), (2,)]
    assert await store.fetch(HELD) == [("T-1", 1, 2), ("T-1", 2, 1)]
    assert await store.take(record) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]
    record["shipments"][0]["items"].append({"line": 1, "quantity": 1})
    refused, _ = await store.take(record)
    assert refused == "1: $.shipments[0].items[3].quantity: more of line 1 is shipped than ordered"


async def test_record_brings_the_news_of_its_codes(store: Store) -> None:
    record = with_codes(
        code("T-1", events=[news("DELIVERED", 5, externalId="e-2"), news("IN_TRANSIT", 1, location="Utrecht")]),
        code("T-2", events=[news("EXCEPTION", 3, subStatus="DAMAGED", description=" ")]),
        status="IN_TRANSIT",
    )
    await store.take(SHOP, SWIFT, record)
    assert await store.fetch(STATUSES) == [("T-1", "DELIVERED", "EXCEPTION"), ("T-2", "EXCEPTION", "EXCEPTION")]
    assert await store.fetch("SELECT location, description, sub_status FROM tracking_events ORDER BY occurred_at") == [
        ("Utrecht", None, None),
        (None, None, "DAMAGED"),
        (None, None, None),
    ]
    before = await store.rows()
    assert await store.take(record) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]
    assert await store.rows() == before


@pytest.mark.parametrize("moment", [{}, {"sourceModifiedAt": "2024-03-05T00:00:00Z"}], ids=["undated", "dated"])
async def test_record_does_not_take_back_what_carriers_told(store: Store, moment: dict[str, str]) -> None:
    record = {**with_codes(code(), status="IN_TRANSIT"), **moment}
    await store.take(SHOP, SWIFT, record, event("DELIVERED"))
    assert await store.take(record) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]
    later = {**record, "sourceModifiedAt": datetime.now(UTC).isoformat()}
    assert (await store.take(later))[-1].endswith("0 refused")
    assert await store.fetch(STATUSES) == [("T-1", "DELIVERED", "DELIVERED")]


def of_day(day: int, *codes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The order's record of a day in March."""
    return {**with_codes(*(codes or [code()]), **fields), "sourceModifiedAt": f"2024-03-{day:02}T12:00:00Z"}


def told_on(day: int, status: str, **fields: Any) -> dict[str, Any]:
    return event(status, **{"occurredAt": f"2024-03-{day:02}T10:00:00Z", **fields})


@pytest.mark.parametrize("told", ["EXCEPTION", "FAILED_DELIVERY", "OUT_FOR_DELIVERY"])
@pytest.mark.parametrize("order_of_arrival", list(permutations(range(3))))
async def test_record_that_repeats_a_status_does_not_hide_what_carriers_told_since(
    store: Store, told: str, order_of_arrival: tuple[int, ...]
) -> None:
    """Whatever comes first, and however often. It hides nothing of what happened before it said so first."""
    first, again = of_day(2, status="IN_TRANSIT"), of_day(6, status="IN_TRANSIT", subStatus="CUSTOMS")
    await store.take(SHOP, SWIFT, first)
    steps = [told_on(4, told), again, of_day(7, status="IN_TRANSIT")]
    await store.take(*(steps[n] for n in order_of_arrival))
    await store.take(*steps)
    assert await store.fetch(STATUSES) == [("T-1", told, told)]


async def test_record_that_says_another_status_than_before_is_news(store: Store) -> None:
    record = of_day(2, status="IN_TRANSIT")
    await store.take(SHOP, SWIFT, record, told_on(4, "EXCEPTION"), of_day(5, status="IN_TRANSIT"))
    for day, status, shown in (
        (6, "EXCEPTION", "EXCEPTION"),
        (7, "IN_TRANSIT", "IN_TRANSIT"),
        (8, "EXCEPTION", "EXCEPTION"),
        (9, "DELIVERED", "DELIVERED"),
    ):
        await store.take(of_day(day, status=status))
        assert await store.fetch(STATUSES) == [("T-1", "EXCEPTION", shown)]


async def test_record_that_repeats_a_status_does_not_set_back_what_somebody_set(store: Store) -> None:
    await store.take(SHOP, SWIFT, of_day(2, status="IN_TRANSIT"))
    await store.fetch("UPDATE shipments SET status = 'EXCEPTION' RETURNING 1")
    later = {**of_day(2, status="IN_TRANSIT"), "sourceModifiedAt": datetime.now(UTC).isoformat(), "reference": "R-1"}
    await store.take(later)
    assert await store.fetch(FINER) == [("EXCEPTION", None)]


async def test_first_record_of_a_parcel_that_was_made_here_does_not_hide_what_carriers_told(store: Store) -> None:
    await store.take(SHOP, SWIFT, {**order(shipments=[]), "sourceModifiedAt": "2024-03-01T12:00:00Z"})
    await store.fetch("""
        WITH own AS (INSERT INTO shipments (order_id, channel_id) SELECT id, channel_id FROM orders RETURNING *)
        INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code)
        SELECT own.id, own.order_id, own.channel_id, c.id, 'T-1' FROM own, carriers c RETURNING 1
    """)
    await store.take(told_on(4, "EXCEPTION"))
    record = of_day(6, status="IN_TRANSIT")
    assert await store.take(record) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    assert await store.fetch(STATUSES) == [("T-1", "EXCEPTION", "EXCEPTION")]
    assert await store.take(record) == UNCHANGED


async def test_events_of_an_outdated_record_are_recorded(store: Store) -> None:
    """With the code that its shipment, or its order, has by now; and they wait where there is none."""
    await store.take(SHOP, SWIFT, of_day(6, code("T-1"), code("T-3"), status="IN_TRANSIT"))
    other = order(2, shipments=[shipment(2, trackAndTraces=[code("T-3")])])
    await store.take(other)
    events = [news("IN_TRANSIT", 1, externalId="e-1"), news("EXCEPTION", 2, occurredAt="2024-03-04T11:02:00")]
    old = of_day(
        5, code("T-1", events=events), code("T-2", events=[news("DELIVERED", 3)]), code("T-3", events=[news("CREATED")])
    )
    told = (
        "1: $.sourceModifiedAt: older than what is there, of 2024-03-06T12:00:00.000Z: nothing is changed, "
        "but for the events of its codes"
    )
    for _ in range(2):
        assert await store.take(old) == [told, "1 read, 0 created, 0 updated, 0 unchanged, 0 refused, 1 outdated"]
        assert await store.fetch("""
            SELECT o.external_id, t.code, t.status FROM track_and_traces t JOIN orders o ON o.id = t.order_id
            ORDER BY 1, 2
        """) == [("O-1", "T-1", "EXCEPTION"), ("O-1", "T-3", "CREATED"), ("O-2", "T-3", None)]
        assert await store.fetch("SELECT count(*) FROM tracking_events") == [(3,)]
        assert await store.fetch("SELECT code, status FROM waiting_reports") == [("T-2", "DELIVERED")]
    silent = of_day(5)
    assert (await store.take(silent))[0].endswith("nothing is changed")


async def test_news_is_a_record_of_its_own(store: Store) -> None:
    await store.take(SHOP, SWIFT, with_codes(code()))
    told = [event("IN_TRANSIT", 1), event("OUT_FOR_DELIVERY", 2, externalId="e-1"), event("IN_TRANSIT", 1)]
    assert await store.take(*told) == ["3 read, 2 created, 0 updated, 1 unchanged, 0 refused"]
    assert await store.fetch(STATUSES) == [("T-1", "OUT_FOR_DELIVERY", "OUT_FOR_DELIVERY")]
    before = await store.rows()
    assert await store.take(*told) == ["3 read, 0 created, 0 updated, 3 unchanged, 0 refused"]
    assert await store.rows() == before
    assert await store.fetch("SELECT DISTINCT recorded_by FROM tracking_events") == [("import",)]


async def test_news_may_come_before_its_order(store: Store) -> None:
    """In the same file, in one before, and told twice while it waits."""
    await store.take(SHOP, SWIFT)
    told = [event("IN_TRANSIT", 1, code="t 1"), event("DELIVERED", 2)]
    assert await store.take(*told) == ["2 read, 2 created, 0 updated, 0 unchanged, 0 refused"]
    assert await store.take(*told) == ["2 read, 0 created, 0 updated, 2 unchanged, 0 refused"]
    await store.take(event("OUT_FOR_DELIVERY", 3, code="T-2"), with_codes(code(), code("T-2")))
    assert await store.fetch(STATUSES) == [
        ("T-1", "DELIVERED", "PARTIALLY_DELIVERED"),
        ("T-2", "OUT_FOR_DELIVERY", "PARTIALLY_DELIVERED"),
    ]
    assert await store.fetch("SELECT count(*) FROM waiting_reports") == [(0,)]
    assert await store.take(*told) == ["2 read, 0 created, 0 updated, 2 unchanged, 0 refused"]


async def test_news_finds_a_code_stored_without_its_carrier(store: Store) -> None:
    await store.take(SHOP, SWIFT, with_codes({"code": "T-1"}))
    await store.take(event("IN_TRANSIT"))
    assert await store.fetch(STATUSES) == [("T-1", "IN_TRANSIT", "IN_TRANSIT")]


@pytest.mark.parametrize("promise", ["2024-07-02T00:00:00", "2024-07-02"])
async def test_moment_without_an_offset_is_that_of_the_carrier_or_else_of_the_channel(
    store: Store, promise: str
) -> None:
    await store.take({**SHOP, "timeZone": "Europe/Amsterdam"}, SWIFT, with_codes(code()))
    news = {**event("IN_TRANSIT"), "occurredAt": "2024-07-01T10:00:00", "expectedDeliveryAt": promise}
    assert (await store.take(news))[-1] == "1 read, 1 created, 0 updated, 0 unchanged, 0 refused"
    await store.fetch("UPDATE carriers SET time_zone = 'America/New_York'")
    await store.take({**event("OUT_FOR_DELIVERY"), "occurredAt": "2024-07-01T10:00:00"})
    moments = "SELECT (occurred_at AT TIME ZONE 'UTC')::text FROM tracking_events ORDER BY occurred_at"
    assert await store.fetch(moments) == [("2024-07-01 08:00:00",), ("2024-07-01 14:00:00",)]
    promises = "SELECT (expected_delivery_at AT TIME ZONE 'UTC')::text FROM track_and_traces"
    assert await store.fetch(promises) == [("2024-07-02 00:00:00",)]


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"channel": "nowhere"}, '$.channel: unknown channel "nowhere"'),
        ({"occurredAt": "2199-01-01T00:00:00Z"}, "$.occurredAt: lies more than five minutes in the future"),
        ({"occurredAt": "2199-01-01T00:00:00"}, "$.occurredAt: lies more than five minutes in the future"),
        ({"occurredAt": "1899-12-31T00:00:00"}, "$.occurredAt: must be of a year between 1900 and 9998"),
        ({"expectedDeliveryAt": "9999-12-31"}, "$.expectedDeliveryAt: must be of a year between 1900 and 9998"),
        (
            {"expectedDeliveryAt": "soon"},
            "$.expectedDeliveryAt: expected a date-time such as 2024-01-15T10:30:00+01:00, or a date",
        ),
        ({"status": "LOST"}, "$.status: invalid enum value 'LOST'"),
        ({"subStatus": "EATEN"}, "$.subStatus: invalid enum value 'EATEN'"),
        ({"code": " "}, "$.code: expected a text that is not blank"),
    ],
    ids=str,
)
async def test_bad_news_is_refused(store: Store, fields: dict[str, str], refusal: str) -> None:
    await store.take(SHOP, SWIFT, with_codes(code()))
    report = await store.take(event("IN_TRANSIT"), {**event("IN_TRANSIT"), **fields})
    assert report[0].startswith(f"2: {refusal}")
    assert report[-1] == "2 read, 1 created, 0 updated, 0 unchanged, 1 refused"


async def test_news_of_a_code_of_two_channels_is_refused_until_one_is_named(store: Store) -> None:
    other = {**SHOP, "code": "other"}
    await store.take(SHOP, other, SWIFT, with_codes(code()), {**with_codes(code()), "channel": "other"})
    report = await store.take(event("IN_TRANSIT"))
    assert report[0] == '1: $.code: "T-1" is a code of several shipments: name its carrier, channel or shipmentId'
    assert (await store.take({**event("IN_TRANSIT"), "channel": "other"}))[-1].startswith("1 read, 1 created")


async def test_news_may_name_the_shipment_of_a_code_that_several_share(store: Store) -> None:
    shipments = [shipment(n, items=[{"line": 1, "quantity": 1}], trackAndTraces=[code()]) for n in (1, 2)]
    await store.take(SHOP, SWIFT, order(shipments=shipments))
    report = await store.take(event("IN_TRANSIT"))
    assert report[0] == '1: $.code: "T-1" is a code of several shipments: name its carrier, channel or shipmentId'
    [(key,)] = await store.fetch("SELECT id::text FROM shipments WHERE external_id = 'S-2'")
    report = await store.take(
        event("IN_TRANSIT", shipmentId=key),
        event("IN_TRANSIT", shipmentId="65ad4404-88a6-4f97-9325-34a3a35f1dfc"),
        event("IN_TRANSIT", shipmentId="S-2"),
    )
    assert report[0].startswith("3: $.shipmentId: ")
    assert report[1:] == [
        '2: $.code: "T-1" is no code of the shipment',
        "3 read, 1 created, 0 updated, 0 unchanged, 2 refused",
    ]
    statuses = "SELECT external_id, status FROM shipments ORDER BY 1"
    assert await store.fetch(statuses) == [("S-1", "CREATED"), ("S-2", "IN_TRANSIT")]


async def test_news_of_parcels_that_have_freed_their_code_is_of_the_newest(store: Store) -> None:
    """Of one that was not canceled before those that were."""
    shipments = [shipment(n, items=[{"line": 1, "quantity": 1}], trackAndTraces=[code()]) for n in (1, 2, 3)]
    for n, made in enumerate(shipments, 1):
        made |= {"status": "CANCELED", "createdAt": f"2024-03-0{n}T10:00:00Z"}
    await store.take(SHOP, SWIFT, order(shipments=shipments))
    told = """
        SELECT h.external_id FROM tracking_events e
        JOIN track_and_traces t ON t.id = e.track_and_trace_id JOIN shipments h ON h.id = t.shipment_id
        ORDER BY e.occurred_at
    """
    assert (await store.take(event("EXCEPTION", 1)))[-1] == "1 read, 1 created, 0 updated, 0 unchanged, 0 refused"
    assert await store.fetch(told) == [("S-3",)]
    await store.fetch("ALTER TABLE shipments DISABLE TRIGGER shipments_status_follows")
    await store.fetch(
        "UPDATE shipments SET status = 'DELIVERED', status_set_at = now() - interval '91 days'"
        " WHERE external_id IN ('S-1', 'S-2') RETURNING 1"
    )
    await store.take(event("EXCEPTION", 2))
    assert await store.fetch(told) == [("S-3",), ("S-2",)]


@pytest.mark.parametrize("offset", ["Z", ""])
async def test_news_that_is_told_again_when_its_code_is_used_again_changes_nothing(store: Store, offset: str) -> None:
    old = shipment(1, items=[{"line": 1, "quantity": 1}], trackAndTraces=[code()], createdAt="2024-03-01T10:00:00Z")
    told = {**event("DELIVERED"), "occurredAt": f"2024-03-04T10:00:00{offset}"}
    await store.take(SHOP, SWIFT, order(shipments=[old]), told)
    await store.take(order(2, shipments=[shipment(2, trackAndTraces=[code()])]))
    before = await store.rows()
    assert await store.take(told) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]
    assert await store.rows() == before
    await store.take(event("EXCEPTION", 5))
    statuses = "SELECT external_id, status FROM shipments ORDER BY 1"
    assert await store.fetch(statuses) == [("S-1", "DELIVERED"), ("S-2", "CREATED")]
    # What happens now is of the parcel under way.
    await store.take({**event("IN_TRANSIT"), "occurredAt": datetime.now(UTC).isoformat()})
    assert await store.fetch(statuses) == [("S-1", "DELIVERED"), ("S-2", "IN_TRANSIT")]


@pytest.mark.parametrize("carrier", ["Swift", None])
async def test_news_and_codes_may_be_named_by_the_address_of_the_page(store: Store, carrier: str | None) -> None:
    slow = {"kind": "carrier", "name": "Slow", "trackAndTraceURL": "https://slow.example/?c={code}"}
    address = " \u00a0http://www.swift.example/T%201 "
    await store.take(SHOP, SWIFT, slow, with_codes({"code": address, "carrier": carrier}))
    assert await store.fetch("SELECT code FROM track_and_traces") == [("T 1",)]
    told = {**event("DELIVERED"), "code": address, "carrier": carrier}
    assert (await store.take(told))[-1] == "1 read, 1 created, 0 updated, 0 unchanged, 0 refused"
    assert await store.fetch(STATUSES) == [("T 1", "DELIVERED", "DELIVERED")]
    elsewhere = {**told, "code": "https://slow.example/?c=T1", "carrier": "Swift"}
    await store.take(elsewhere)
    assert await store.fetch("SELECT code FROM waiting_reports") == [("https://slow.example/?c=T1",)]


async def test_news_by_an_address_waits_for_the_carrier_that_has_its_page(store: Store) -> None:
    """In a file before, also where the code has come without a link, and told twice."""
    page = {**SWIFT, "name": "Late", "trackAndTraceURL": "https://late.example/{code}"}
    told = [event("IN_TRANSIT", code="https://late.example/t1"), event("DELIVERED", 2, code="https://late.example/T-2")]
    told = [{name: value for name, value in each.items() if name != "carrier"} for each in told]
    await store.take(SHOP, {"kind": "carrier", "name": "Late"}, *told)
    await store.take(with_codes(code(carrier="Late")))
    assert await store.fetch(STATUSES) == [("T-1", None, "CREATED")]
    await store.take(page)
    assert await store.fetch(STATUSES) == [("T-1", "IN_TRANSIT", "IN_TRANSIT")]
    assert await store.take(*told) == ["2 read, 0 created, 0 updated, 2 unchanged, 0 refused"]
    await store.take(with_codes(code(carrier="Late"), code("T 2", carrier="Late")))
    assert await store.fetch(STATUSES) == [
        ("T 2", "DELIVERED", "PARTIALLY_DELIVERED"),
        ("T-1", "IN_TRANSIT", "PARTIALLY_DELIVERED"),
    ]


@pytest.mark.parametrize("carrier", ["Late", None])
async def test_code_that_was_recorded_as_an_address_keeps_its_news_when_its_carrier_has_the_page(
    store: Store, carrier: str | None
) -> None:
    address = "https://late.example/T-1"
    record = with_codes(code(address, carrier=carrier, items=[{"line": 1, "quantity": 3}]))
    told = {**event("IN_TRANSIT", code=address), "carrier": carrier}
    await store.take(SHOP, {"kind": "carrier", "name": "Late"}, record, told)
    codes = "SELECT id::text, code, status FROM track_and_traces"
    [(key, *present)] = await store.fetch(codes)
    assert present == [address, "IN_TRANSIT"]
    await store.take({"kind": "carrier", "name": "Late", "trackAndTraceURL": "https://late.example/{code}"})
    await store.take({**told, **news("OUT_FOR_DELIVERY", 5)})
    assert await store.take(record) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    assert await store.fetch(codes) == [(key, "T-1", "OUT_FOR_DELIVERY")]
    assert await store.fetch(HELD) == [("T-1", 1, 3)]
    before = await store.rows()
    assert await store.take(record) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]
    assert await store.rows() == before


async def test_news_that_waited_is_of_the_parcel_of_its_time(store: Store) -> None:
    """Of two with the code, where both are there when the carrier comes to have the page."""
    page = "https://late.example/t?c="
    codes = [{"code": "T-1"}]
    await store.take(SHOP, SWIFT, order(1, shipments=[shipment(1, trackAndTraces=codes)]))
    await store.take(event("DELIVERED", carrier=None, code=f"{page}T-1"))
    await store.take(order(2, customer={"email": "b@b.example"}, shipments=[shipment(2, trackAndTraces=codes)]))
    await store.take({"kind": "carrier", "name": "Late", "trackAndTraceURL": f"{page}{{code}}"})
    statuses = "SELECT external_id, status FROM shipments ORDER BY 1"
    assert await store.fetch(statuses) == [("S-1", "DELIVERED"), ("S-2", "CREATED")]


async def test_news_from_before_an_order_is_of_none_of_its_parcels(store: Store) -> None:
    """A day is for clocks and zones."""
    await store.take(SHOP, SWIFT)
    old = event("DELIVERED", occurredAt="2024-02-28T09:00:00Z", externalId="e-1")
    late = event("IN_TRANSIT", occurredAt="2024-02-29T23:00:00Z", externalId="e-2")
    await store.take(old, late)
    await store.take(with_codes(code()))
    assert await store.fetch(STATUSES) == [("T-1", "IN_TRANSIT", "IN_TRANSIT")]
    assert await store.fetch("SELECT external_id FROM waiting_reports") == [("e-1",)]


async def test_news_waits_for_its_carrier(store: Store) -> None:
    """It is of no code of another one."""
    page = "https://late.example/t2"
    told = [event("IN_TRANSIT", carrier="Late"), event("DELIVERED", 1, carrier="late", code=page, externalId="e-1")]
    await store.take(SHOP, SWIFT, with_codes(code()))
    for new in (2, 0):
        assert await store.take(*told) == [
            '1: warning: $.carrier: no carrier is called "Late": the news waits for one',
            '2: warning: $.carrier: no carrier is called "late": the news waits for one',
            f"2 read, {new} created, 0 updated, {2 - new} unchanged, 0 refused, 2 with a warning",
        ]
    parcel = shipment(2, trackAndTraces=[code(carrier="Late"), code("T-2", carrier="Late")])
    await store.take(order(2, shipments=[shipment(2, trackAndTraces=[code("T-9")])]))
    assert await store.fetch("SELECT count(*) FROM tracking_events") == [(0,)]
    late = {"kind": "carrier", "name": "Late", "trackAndTraceURL": "https://late.example/{code}"}
    assert await store.take(late, order(3, shipments=[{**parcel, "externalId": "S-3"}])) == [
        "2 read, 2 created, 0 updated, 0 unchanged, 0 refused"
    ]
    statuses = "SELECT t.code, c.name, t.status FROM track_and_traces t JOIN carriers c ON c.id = t.carrier_id"
    assert await store.fetch(f"{statuses} ORDER BY 1, 2") == [
        ("T-1", "Late", "IN_TRANSIT"),
        ("T-1", "Swift", None),
        ("T-2", "Late", "DELIVERED"),
        ("T-9", "Swift", None),
    ]
    early = event("IN_TRANSIT", carrier="Later", code="T-3")
    assert (await store.take(early, {**late, "name": "Later"}))[-1] == (
        "2 read, 2 created, 0 updated, 0 unchanged, 0 refused"
    )


async def test_news_waits_for_the_carrier_of_whatever_channel_that_is_called_so(store: Store) -> None:
    other = {**SHOP, "code": "other"}
    of_channel = {**SWIFT, "key": "swift"}
    await store.take(SHOP, other, {**of_channel, "channel": "shop"}, event("IN_TRANSIT", carrier="SWIFT"))
    await store.take({**SWIFT, "name": "Rapid", "channel": "other"})
    await store.take({**with_codes(code(carrier="Rapid")), "channel": "other"})
    assert await store.fetch(STATUSES) == [("T-1", None, "CREATED")]
    await store.fetch("UPDATE carriers SET key = 'swift' WHERE name = 'Rapid' RETURNING 1")
    assert await store.fetch(STATUSES) == [("T-1", "IN_TRANSIT", "IN_TRANSIT")]


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ("2024-03-04T10:05", "2024-03-04 09:05"),
        ("2024-03-04T10:05+02:00", "2024-03-04 08:05"),
        ("2024-03-04 10:05:30.5Z", "2024-03-04 10:05"),
        ("2024-03-04", "2024-03-03 23:00"),
    ],
)
async def test_moment_of_news_is_written_as_in_a_report(store: Store, told: str, moment: str) -> None:
    await store.take({**SHOP, "timeZone": "Europe/Amsterdam"}, SWIFT, with_codes(code()))
    await store.take({**event("IN_TRANSIT"), "occurredAt": told})
    read = "SELECT to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM tracking_events"
    assert await store.fetch(read) == [(moment,)]


async def test_news_of_a_named_channel_waits_for_a_code_there(store: Store) -> None:
    other = {**SHOP, "code": "other"}
    await store.take(SHOP, other, SWIFT, {**event("IN_TRANSIT"), "channel": "other"})
    await store.take(with_codes(code()), {**with_codes(code()), "channel": "other"})
    statuses = "SELECT h.code, t.status FROM track_and_traces t JOIN channels h ON h.id = t.channel_id ORDER BY 1"
    assert await store.fetch(statuses) == [("other", "IN_TRANSIT"), ("shop", None)]


async def test_parcel_of_a_bundle_holds_its_parts(store: Store) -> None:
    lines = [
        {"line": 1, "sku": "PACK", "name": "Pack", "quantity": 2, "price": "5.00"},
        {"line": 2, "sku": "A", "name": "Anvil", "quantity": 4, "price": "0.00", "parentLine": 1},
    ]
    goods = [{"line": 1, "quantity": 2}]
    bundle = order(items=lines, shipments=[shipment(1, items=goods, trackAndTraces=[code(items=goods)])])
    report = await store.take(SHOP, SWIFT, bundle)
    assert report == ["3 read, 3 created, 0 updated, 0 unchanged, 0 refused"]
    assert await store.fetch(HELD) == [("T-1", 2, 4)]


FINER = "SELECT status, sub_status FROM shipments"
UNCHANGED = ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]


@pytest.mark.parametrize("field", ["subStatus", "carrierStatus"])
async def test_record_says_what_carriers_say_beyond_the_status(store: Store, field: str) -> None:
    """A record that does not mention it leaves it, another status takes it away, and null too."""
    told = with_codes(code(), status="IN_TRANSIT", **{field: "CUSTOMS"})
    await store.take(SHOP, SWIFT, told)
    assert await store.fetch(FINER) == [("IN_TRANSIT", "CUSTOMS")]
    before = await store.rows()
    assert await store.take(told) == UNCHANGED
    assert await store.take(with_codes(code(), status="IN_TRANSIT")) == UNCHANGED
    assert await store.rows() == before
    for record, expected in (
        (with_codes(code(), status="OUT_FOR_DELIVERY", **{field: "CUSTOMS"}), ("OUT_FOR_DELIVERY", "CUSTOMS")),
        (with_codes(code(), status="OUT_FOR_DELIVERY", **{field: "DELAYED"}), ("OUT_FOR_DELIVERY", "DELAYED")),
        (with_codes(code(), **{field: "NOT_HOME"}), ("OUT_FOR_DELIVERY", "NOT_HOME")),
        (with_codes(code(), status="EXCEPTION"), ("EXCEPTION", None)),
        (with_codes(code(), status="EXCEPTION", **{field: "LOST"}), ("EXCEPTION", "LOST")),
        (with_codes(code(), status="EXCEPTION", **{field: None}), ("EXCEPTION", None)),
    ):
        [(version,)] = await store.fetch("SELECT version FROM shipments")
        assert await store.take(record) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
        assert await store.fetch(FINER) == [expected]
        assert await store.fetch("SELECT version FROM shipments") == [(version + 1,)]
        assert await store.take(record) == UNCHANGED


@pytest.mark.parametrize(
    ("status", "told", "expected"),
    [
        (None, "IN_TRANSIT", "IN_TRANSIT"),
        ("PROCESSING", "IN_TRANSIT", "IN_TRANSIT"),
        ("IN_TRANSIT", "DELIVERED", "DELIVERED"),
        ("DELIVERED", "IN_TRANSIT", "DELIVERED"),
        ("CANCELED", "CREATED", "CANCELED"),
    ],
)
async def test_status_of_the_carrier_counts_where_it_is_further(
    store: Store, status: str | None, told: str, expected: str
) -> None:
    record = with_codes(code(), status=status, carrierStatus=told)
    await store.take(SHOP, SWIFT, record)
    assert await store.fetch(FINER) == [(expected, None)]
    assert await store.take(record) == UNCHANGED


async def test_what_a_record_says_beyond_the_status_gives_way_to_news(store: Store) -> None:
    told = code(events=[news("IN_TRANSIT", subStatus="DELAYED")])
    record = with_codes(told, status="IN_TRANSIT", subStatus="CUSTOMS")
    await store.take(SHOP, SWIFT, record)
    assert await store.fetch(FINER) == [("IN_TRANSIT", "DELAYED")]
    assert await store.take(record) == UNCHANGED
    later = with_codes(code(), status="OUT_FOR_DELIVERY", subStatus="PAYMENT_DUE")
    later["sourceModifiedAt"] = datetime.now(UTC).isoformat()
    await store.take(later)
    assert await store.fetch(FINER) == [("OUT_FOR_DELIVERY", "PAYMENT_DUE")]


@pytest.mark.parametrize("is_record_first", [True, False])
async def test_what_a_newer_record_says_beyond_the_status_holds_until_there_is_newer_news(
    store: Store, *, is_record_first: bool
) -> None:
    record = {
        **with_codes(code(), status="IN_TRANSIT", subStatus="CUSTOMS"),
        "sourceModifiedAt": "2024-03-04T10:30:00Z",
    }
    told = [event("IN_TRANSIT", 20, subStatus="DELAYED"), event("IN_TRANSIT", 10, subStatus="DAMAGED")]
    first = {**with_codes(code()), "sourceModifiedAt": "2024-03-04T09:00:00Z"}
    await store.take(SHOP, SWIFT, first)
    for taken in [record, *told] if is_record_first else [*told, record]:
        await store.take(taken)
    assert await store.fetch(FINER) == [("IN_TRANSIT", "CUSTOMS")]
    before = await store.rows()
    assert (await store.take(record, *told))[-1] == "3 read, 0 created, 0 updated, 3 unchanged, 0 refused"
    assert await store.rows() == before
    await store.take(event("IN_TRANSIT", 40, subStatus="REFUSED"))
    assert await store.take(record) == UNCHANGED
    assert await store.fetch(FINER) == [("IN_TRANSIT", "REFUSED")]
    await store.take(event("IN_TRANSIT", 5, subStatus="LOST"))
    assert await store.fetch(FINER) == [("IN_TRANSIT", "REFUSED")]


@pytest.mark.parametrize("status", ["EXCEPTION", "FAILED_DELIVERY"])
async def test_what_a_record_says_of_a_new_shipment_is_not_taken_back_by_older_news(store: Store, status: str) -> None:
    """In whatever order they come."""
    record = {**with_codes(code(), status=status, subStatus="REFUSED"), "sourceModifiedAt": "2024-03-04T10:30:00Z"}
    other = {**order(2, shipments=[shipment(2, status=status)]), "sourceModifiedAt": "2024-03-04T10:30:00Z"}
    await store.take(SHOP, SWIFT, event("IN_TRANSIT", 20), record, other, event("IN_TRANSIT", 20, code="T-2"))
    statuses = "SELECT status FROM shipments ORDER BY external_id"
    assert await store.fetch(statuses) == [(status,), (status,)]
    await store.take(*(event("IN_TRANSIT", 40, code=f"T-{n}") for n in (1, 2)))
    assert await store.fetch(statuses) == [("IN_TRANSIT",), ("IN_TRANSIT",)]


async def test_what_an_older_record_says_beyond_a_status_that_was_set_here_is_left_out(store: Store) -> None:
    record = {**with_codes(code(), status="IN_TRANSIT"), "sourceModifiedAt": "2024-03-04T10:00:00Z"}
    await store.take(SHOP, SWIFT, record)
    await store.fetch("UPDATE shipments SET status = 'EXCEPTION' RETURNING 1")
    record["shipments"][0]["subStatus"] = "CUSTOMS"
    await store.take({**record, "sourceModifiedAt": "2024-03-05T10:00:00Z"})
    assert await store.fetch(FINER) == [("EXCEPTION", None)]


async def test_two_words_of_the_carrier_that_differ_are_refused(store: Store) -> None:
    record = with_codes(code(), subStatus="LOST", carrierStatus="DAMAGED")
    refused, _ = await store.take(SHOP, SWIFT, record)
    assert refused == "3: $.shipments[0].carrierStatus: must be what subStatus is: one of the two is enough"
    refused, _ = await store.take(with_codes(code(), carrierStatus="somewhere"))
    assert refused.startswith("1: $.shipments[0].carrierStatus: ")


async def test_record_says_when_its_parcels_should_arrive(store: Store) -> None:
    """A day is the channel's; a moment without an offset is the carrier's. What is not mentioned stays."""
    promised = "to_char(expected_delivery_at AT TIME ZONE 'UTC', 'MM-DD HH24:MI')"
    promises = f"SELECT code, {promised} FROM track_and_traces ORDER BY 1"
    await store.take({**SHOP, "timeZone": "Europe/Amsterdam"}, SWIFT)
    await store.fetch("UPDATE carriers SET time_zone = 'Asia/Tokyo' RETURNING 1")
    record = with_codes(
        code("T-1", expectedDeliveryAt="2024-03-06"),
        code("T-2", expectedDeliveryAt="2024-03-06T12:00:00"),
        code("T-3", expectedDeliveryAt="2024-03-06T12:00:00+01:00"),
    )
    await store.take(record)
    first = [("T-1", "03-06 00:00"), ("T-2", "03-06 03:00"), ("T-3", "03-06 11:00")]
    assert await store.fetch(promises) == first
    assert await store.take(record) == UNCHANGED
    assert await store.take(with_codes(code("T-1"), code("T-2"), code("T-3"))) == UNCHANGED

    moved = with_codes(code("T-1", expectedDeliveryAt="2024-03-07"), code("T-2", expectedDeliveryAt=None), code("T-3"))
    assert await store.take(moved) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    assert await store.fetch(promises) == [("T-1", "03-07 00:00"), ("T-2", None), ("T-3", "03-06 11:00")]
    assert await store.take(moved) == UNCHANGED

    await store.take(event("IN_TRANSIT", expectedDeliveryAt="2024-03-08"))
    assert await store.take(moved) == UNCHANGED
    assert await store.fetch(promises) == [("T-1", "03-08 00:00"), ("T-2", None), ("T-3", "03-06 11:00")]
    refused, _ = await store.take(with_codes(code(expectedDeliveryAt="0024-03-08")))
    assert refused.startswith("1: $.shipments[0].trackAndTraces[0].expectedDeliveryAt: ")


KNOWN = """
    SELECT t.code, h.external_id, t.status, h.status, t.id::text,
      (SELECT count(*)::int FROM tracking_events e WHERE e.track_and_trace_id = t.id)
    FROM track_and_traces t JOIN shipments h ON h.id = t.shipment_id ORDER BY 1, 2
"""


def with_shipments(*codes: tuple[str, ...], numbers: tuple[int, ...] = (1, 2), **fields: Any) -> dict[str, Any]:
    """An order of shipments with these codes."""
    shipments = [
        shipment(n, items=[{"line": min(n, 2), "quantity": 1}], trackAndTraces=[code(name) for name in names])
        for n, names in zip(numbers, codes, strict=True)
    ]
    return order(shipments=[{key: value for key, value in s.items() if key != "status"} for s in shipments], **fields)


async def _told(store: Store) -> dict[str, str]:
    """Two shipments, the code of each with news; the ids of the codes."""
    await store.take(SHOP, SWIFT, with_shipments(("T-1",), ("T-2",)))
    await store.take(event("IN_TRANSIT"), event("OUT_FOR_DELIVERY", 5, code="T-2"))
    return {row[0]: row[4] for row in await store.fetch(KNOWN)}


async def test_codes_that_a_record_swaps_keep_their_news(store: Store) -> None:
    """They move, and their shipments' statuses follow (decisions 15, 20)."""
    ids = await _told(store)
    swapped = with_shipments(("T-2",), ("T-1",))
    assert await store.take(swapped) == ["1 read, 0 created, 1 updated, 0 unchanged, 0 refused"]
    found = await store.fetch(KNOWN)
    assert [(*row[:3], *row[4:]) for row in found] == [
        ("T-1", "S-2", "IN_TRANSIT", ids["T-1"], 1),
        ("T-2", "S-1", "OUT_FOR_DELIVERY", ids["T-2"], 1),
    ]
    assert found[1][3] == "OUT_FOR_DELIVERY"
    before = await store.rows()
    assert await store.take(swapped) == ["1 read, 0 created, 0 updated, 1 unchanged, 0 refused"]
    assert await store.rows() == before


async def test_code_that_a_record_moves_keeps_its_news(store: Store) -> None:
    ids = await _told(store)
    await store.take(with_shipments((), ("T-1", "T-2")))
    assert [row[1:] for row in await store.fetch(KNOWN)] == [
        ("S-2", "IN_TRANSIT", "OUT_FOR_DELIVERY", ids["T-1"], 1),
        ("S-2", "OUT_FOR_DELIVERY", "OUT_FOR_DELIVERY", ids["T-2"], 1),
    ]


async def test_code_moves_from_a_shipment_that_goes_to_a_new_one(store: Store) -> None:
    ids = await _told(store)
    items = [{"line": 1, "quantity": 1}]
    moved = order(
        shipments=[
            {"externalId": f"S-{n}", "items": items, "trackAndTraces": codes}
            for n, codes in ((1, [code("T-1"), code("T-2")]), (3, []))
        ]
    )
    await store.take(moved)
    assert [(*row[:2], *row[4:]) for row in await store.fetch(KNOWN)] == [
        ("T-1", "S-1", ids["T-1"], 1),
        ("T-2", "S-1", ids["T-2"], 1),
    ]
    await store.take(with_shipments((), ("T-1",), ("T-2",), numbers=(1, 2, 3)))
    assert [(*row[:2], *row[3:]) for row in await store.fetch(KNOWN)] == [
        ("T-1", "S-2", "IN_TRANSIT", ids["T-1"], 1),
        ("T-2", "S-3", "OUT_FOR_DELIVERY", ids["T-2"], 1),
    ]


async def test_code_moves_with_what_is_in_its_parcel_and_without_its_carrier(store: Store) -> None:
    ids = await _told(store)
    items = [{"line": 1, "quantity": 1}]
    moved = {"externalId": "S-1", "items": items, "trackAndTraces": [code("T-1"), {"code": "t 2", "items": items}]}
    await store.take(order(shipments=[moved, {"externalId": "S-2", "trackAndTraces": []}]))
    assert [(*row[:2], *row[4:]) for row in await store.fetch(KNOWN)] == [
        ("T-1", "S-1", ids["T-1"], 1),
        ("T-2", "S-1", ids["T-2"], 1),
    ]
    assert await store.fetch(HELD) == [("T-2", 1, 1)]
    assert await store.fetch("SELECT count(*)::int FROM track_and_traces WHERE carrier_id IS NULL") == [(0,)]


async def test_code_of_a_shipment_that_was_made_here_does_not_move(store: Store) -> None:
    """A record that does not list it takes nothing away from it."""
    ids = await _told(store)
    await store.fetch("UPDATE shipments SET is_made_here = true WHERE external_id = 'S-2' RETURNING 1")
    await store.take(with_shipments(("T-1", "T-2"), numbers=(1,)))
    assert [(row[0], row[1], row[4] == ids[row[0]], row[5]) for row in await store.fetch(KNOWN)] == [
        ("T-1", "S-1", True, 1),
        ("T-2", "S-1", False, 0),
        ("T-2", "S-2", True, 1),
    ]


async def test_code_that_its_shipment_still_lists_does_not_move(store: Store) -> None:
    """Shipments of one order may share it (decision 25)."""
    ids = await _told(store)
    await store.take(with_shipments(("T-1",), ("T-1", "T-2")))
    assert [(row[0], row[1], row[4] == ids[row[0]], row[5]) for row in await store.fetch(KNOWN)] == [
        ("T-1", "S-1", True, 1),
        ("T-1", "S-2", False, 0),
        ("T-2", "S-2", True, 1),
    ]


async def test_code_twice_by_the_key_and_the_name_of_its_carrier_is_refused(store: Store) -> None:
    """Before the shipment is there, and after."""
    keyed = {**SWIFT, "key": "swift-nl"}
    twice = with_codes(code(), code("T-2"), {"carrier": "SWIFT-NL", "code": "t 2"})
    refused = ['$.shipments[0].trackAndTraces[2].code: "t 2" is a duplicate']
    assert [text.partition(": ")[2] for text in (await store.take(SHOP, keyed, twice))[:1]] == refused
    await store.take(with_codes(code("T-2")))
    assert [text.partition(": ")[2] for text in (await store.take(twice))[:1]] == refused
