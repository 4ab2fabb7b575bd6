"""The feed of changes: nobody who polls it misses a change or gets one twice, whoever writes meanwhile."""

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from starlette.applications import Starlette

import sql
from app.resolvers import feed
from app.resolvers.b2b import change
from sql import Reach, Visibility
from tests.app.resolvers.b2b.conftest import posting
from tests.conftest import FAR_TOO_LONG, STAFF_SCOPES, GraphQL, running, settings_for

if TYPE_CHECKING:
    from app.postgres.database import Database

PAGE = """
query Changes($after: String, $first: Int, $types: [ChangeType!]) {
  changes(after: $after, first: $first, types: $types) {
    nextCursor
    hasMore
    changes { type action id orderId shipmentId channelId version occurredAt cursor }
  }
}
"""
NESTED = """
query Changes($first: Int, $after: String, $types: [ChangeType!]) {
  changes(first: $first, after: $after, types: $types) {
    changes {
      id type action
      order { id version } shipment { id version } shipmentItem { id version } trackAndTrace { id version }
      trackingEvent { id trackAndTraceId } carrier { id version }
    }
  }
}
"""
RECORDED = """
SELECT h.type, h.action, h.entity_id AS id, h.version
FROM changes h JOIN transactions x ON x.id = h.transaction_id
ORDER BY x.position, h.id
"""
PRESENT = """
SELECT 'ORDER' AS type, id::text, version FROM orders
UNION ALL SELECT 'SHIPMENT', id::text, version FROM shipments
UNION ALL SELECT 'SHIPMENT_ITEM', id::text, version FROM shipment_items
UNION ALL SELECT 'TRACK_AND_TRACE', id::text, version FROM track_and_traces
UNION ALL SELECT 'CARRIER', id::text, version FROM carriers
"""
OBJECTS = {
    "ORDER": "order",
    "SHIPMENT": "shipment",
    "SHIPMENT_ITEM": "shipmentItem",
    "TRACK_AND_TRACE": "trackAndTrace",
    "CARRIER": "carrier",
}
NEW_ORDER = """
INSERT INTO orders (channel_id, company_id, status, email, currency, total_gross, total_net, total_tax, sub_total)
VALUES ($1, $2, 'NEW', '', 'EUR', 0, 0, 0, 0) RETURNING id
"""
NEW_SHIPMENT = "INSERT INTO shipments (order_id, channel_id) VALUES (2075, 1) RETURNING id::text"


class Consumer:
    """Keeps a copy of the versions of all rows by the feed alone, and whatever else it was told."""

    def __init__(self, post: GraphQL, after: str | None = None, *, viewer: str = "staff", first: int = 100) -> None:
        self.post = post
        self.after = after
        self.viewer = viewer
        self.first = first
        self.changes: list[dict[str, Any]] = []

    async def poll(self, **variables: Any) -> dict[str, Any]:
        answer = await self.post(PAGE, {"after": self.after, "first": self.first, **variables}, viewer=self.viewer)
        assert "errors" not in answer, answer["errors"]
        page: dict[str, Any] = answer["data"]["changes"]
        self.changes += page["changes"]
        self.after = page["nextCursor"]
        return page

    async def catch_up(self, **variables: Any) -> "Consumer":
        while (await self.poll(**variables))["hasMore"]:
            pass
        return self

    async def pages(self, **variables: Any) -> AsyncIterator[dict[str, Any]]:
        has_more = True
        while has_more:
            page = await self.poll(**variables)
            has_more = page["hasMore"]
            yield page

    @property
    def told(self) -> list[tuple[str, str, str, int]]:
        return [(told["type"], told["action"], told["id"], told["version"]) for told in self.changes]

    @property
    def copy(self) -> set[tuple[str, str, int]]:
        """Without events, which go with their codes and are not told then."""
        versions: dict[tuple[str, str], int] = {}
        for type_, action, key, version in self.told:
            if type_ == "TRACKING_EVENT":
                continue
            if action == "DELETED":
                del versions[type_, key]
            else:
                assert (action == "CREATED") == ((type_, key) not in versions)
                versions[type_, key] = version
        return {(type_, key, version) for (type_, key), version in versions.items()}


async def recorded(connection: asyncpg.Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch(RECORDED)]


async def present(connection: asyncpg.Connection) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in await connection.fetch(PRESENT)}


@pytest.fixture
async def consumer(write: GraphQL) -> Consumer:
    """A consumer who knows all that the demo database holds."""
    return await Consumer(write).catch_up()


@pytest.mark.parametrize("first", [1, 7, 100])
async def test_changes_page_by_page_are_all_there_is(
    graphql: GraphQL, connection: asyncpg.Connection, first: int
) -> None:
    consumer = Consumer(graphql, first=first)
    if first == 1:
        # The beginning is as good as the whole: thousands of requests are no better.
        told = [(await consumer.poll())["changes"][0]["cursor"] for _ in range(20)]
        assert consumer.told == (await recorded(connection))[:20]
        assert told[-1] == consumer.after
        return
    await consumer.catch_up()
    assert consumer.told == await recorded(connection)
    assert consumer.copy == await present(connection)


async def test_changes_page_that_is_full_at_the_end_of_the_feed_has_no_more(graphql: GraphQL) -> None:
    """The end is told at once, and once there, the cursor stays."""
    consumer = await Consumer(graphql).catch_up()
    [before] = consumer.changes[-3:-2]
    last = await graphql(PAGE, {"after": before["cursor"], "first": 2}, viewer="staff")
    assert last["data"]["changes"] == {
        "changes": consumer.changes[-2:],
        "hasMore": False,
        "nextCursor": consumer.changes[-1]["cursor"],
    }
    assert await consumer.poll() == {"changes": [], "hasMore": False, "nextCursor": consumer.changes[-1]["cursor"]}


async def test_changes_of_an_empty_store_begin_with_a_cursor(fresh_dsn: str) -> None:
    connection = await asyncpg.connect(fresh_dsn)
    async with running(settings_for(fresh_dsn)) as app, posting(app, fresh_dsn) as post:
        consumer = Consumer(post)
        assert (await consumer.poll())["changes"] == []
        await connection.execute("INSERT INTO carriers (name) VALUES ('first')")
        assert [told["action"] for told in (await consumer.poll())["changes"]] == ["CREATED"]
    await connection.close()


async def test_changes_of_a_transaction_that_commits_late_come_late(
    consumer: Consumer, copy_connection: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    """Whoever began first has the lower numbers everywhere, but not the lower position."""
    early, late = copy_connection.transaction(), other.transaction()
    await early.start()
    begun_first = await copy_connection.fetchval(NEW_SHIPMENT)
    await late.start()
    begun_last = await other.fetchval(NEW_SHIPMENT)
    assert (await consumer.poll())["changes"] == []
    await late.commit()
    assert [told["id"] for told in (await consumer.poll())["changes"]] == [begun_last]
    assert (await consumer.poll())["changes"] == []
    await early.commit()
    assert [told["id"] for told in (await consumer.poll())["changes"]] == [begun_first]


SLOW = """
CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER transactions_zz_be_slow AFTER INSERT ON transactions
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.actor = 'slow') EXECUTE FUNCTION be_slow();
"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


async def test_changes_of_a_commit_that_hangs_are_not_overtaken(
    consumer: Consumer, copy_connection: asyncpg.Connection, demo_copy_dsn: str
) -> None:
    """Who waits for a transaction that has its number, and is not committed yet, comes after it."""
    await copy_connection.execute(SLOW)
    slow, quick = [await asyncpg.connect(demo_copy_dsn) for _ in range(2)]

    async def write(connection: asyncpg.Connection, actor: str) -> str:
        async with connection.transaction():
            await connection.execute("SELECT set_config('waybill.actor', $1, true)", actor)
            made: str = await connection.fetchval(NEW_SHIPMENT)
        return made

    async def waiting(count: int) -> bool:
        return bool(await copy_connection.fetchval(WAITING) == count)

    await copy_connection.execute("SELECT pg_advisory_lock(42)")
    first = asyncio.create_task(write(slow, "slow"))
    while not await waiting(1):
        assert not first.done()
    second = asyncio.create_task(write(quick, "quick"))
    while not (second.done() or await waiting(2)):
        pass
    assert (await consumer.poll())["changes"] == []
    await copy_connection.execute("SELECT pg_advisory_unlock(42)")
    expected = [await first, await second]
    assert [told["id"] for told in (await consumer.poll())["changes"]] == expected
    await slow.close()
    await quick.close()


async def test_changes_wait_for_no_commit_that_hangs(
    consumer: Consumer, copy_connection: asyncpg.Connection, demo_copy_dsn: str
) -> None:
    """It has the lower number, and comes when it is there, behind all that have passed it."""
    await copy_connection.execute(SLOW)
    slow = await asyncpg.connect(demo_copy_dsn)

    async def write_slowly() -> int:
        async with slow.transaction():
            await slow.execute("SELECT set_config('waybill.actor', 'slow', true)")
            made: int = await slow.fetchval(NEW_ORDER, 1, None)
        return made

    await copy_connection.execute("SELECT pg_advisory_lock(42)")
    late = asyncio.create_task(write_slowly())
    while not await copy_connection.fetchval(f"{WAITING} HAVING count(*) = 1"):
        assert not late.done()
    for _ in range(3):
        prompt = await copy_connection.fetchval(NEW_ORDER, 1, None)
        assert [told["id"] for told in (await consumer.poll())["changes"]] == [str(prompt)]
    await copy_connection.execute("SELECT pg_advisory_unlock(42)")
    made = await late
    assert [told["id"] for told in (await consumer.poll())["changes"]] == [str(made)]
    for _ in range(2):
        prompt = await copy_connection.fetchval(NEW_ORDER, 1, None)
        assert [told["id"] for told in (await consumer.poll())["changes"]] == [str(prompt)]
    # Nobody looks for it any more.
    assert await copy_connection.fetchval("SELECT missing FROM feed_ends") == []
    assert await copy_connection.fetchval("SELECT count(*) FROM commits") == 0
    await slow.close()


async def test_changes_after_a_moment_leave_out_what_it_held(
    copy: Starlette, consumer: Consumer, copy_connection: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    """What is committed and has no position yet comes behind the moment's cursor, and is not told again."""
    db: Database = copy.state.db
    await db.feed.close()
    held = [str(await copy_connection.fetchval(NEW_ORDER, 1, None)) for _ in range(2)]
    async with other.transaction(isolation="repeatable_read"):
        cursor = await feed.end_of_feed(partial(db.fetch, visibility=Visibility.everything(), on=other))
    news = [str(await copy_connection.fetchval(NEW_ORDER, 1, None)) for _ in range(3)]
    reader = Consumer(consumer.post, cursor, first=1)
    told = [page["changes"][0]["cursor"] async for page in reader.pages()]
    assert [each["id"] for each in reader.changes] == news
    # The cursors in between go on alike, and the last one is as everybody's.
    assert [each["id"] for each in (await Consumer(consumer.post, told[0]).catch_up()).changes] == news[1:]
    everybody = await consumer.catch_up()
    assert [each["id"] for each in everybody.changes][-5:] == [*held, *news]
    assert reader.after == everybody.after


POSITION = "SELECT x.position FROM changes c JOIN transactions x ON x.id = c.transaction_id WHERE true"


async def test_changes_go_on_without_the_process_that_wrote(
    copy: Starlette, copy_connection: asyncpg.Connection
) -> None:
    """What others commit has a position soon, without anybody who reads."""
    made = await copy_connection.fetchval(NEW_ORDER, 1, None)
    async with asyncio.timeout(FAR_TOO_LONG):
        while not await copy_connection.fetchval(f"{POSITION} AND c.order_id = $1", made):
            pass


async def test_changes_that_are_rolled_back_never_come(consumer: Consumer, other: asyncpg.Connection) -> None:
    transaction = other.transaction()
    await transaction.start()
    await other.execute(NEW_SHIPMENT)
    await transaction.rollback()
    committed = await other.fetchval(NEW_SHIPMENT)
    assert [told["id"] for told in (await consumer.poll())["changes"]] == [committed]


async def scribble(dsn: str, seed: int) -> None:
    """Transactions that take their time, with rows of their own and an order that all of them meet in."""
    dice = random.Random(seed)
    connection = await asyncpg.connect(dsn)
    shipments: list[str] = []
    for _ in range(8):
        transaction = connection.transaction()
        await transaction.start()
        if writes_order := dice.random() < 0.3:  # before its shipments, as every writer does
            await connection.execute("SELECT FROM orders WHERE id = 2075 FOR NO KEY UPDATE")
        made = await connection.fetchval(NEW_SHIPMENT)
        await connection.execute(
            "INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code)"
            " SELECT $1::text::uuid, 2075, 1, 1, $1::text || n FROM generate_series(1, $2) n",
            made,
            dice.randrange(5),
        )
        if shipments and dice.random() < 0.5:
            await connection.execute("DELETE FROM shipments WHERE id = $1", shipments[0])
        await asyncio.sleep(dice.random() * 0.02)
        if writes_order:
            await connection.execute("UPDATE orders SET reference = $1 WHERE id = 2075", made)
        if dice.random() < 0.2:
            await transaction.rollback()
            continue
        await transaction.commit()
        shipments = [made] if dice.random() < 0.5 else []
    await connection.close()


async def test_changes_reach_every_consumer_once_while_many_write(
    write: GraphQL, copy_connection: asyncpg.Connection, demo_copy_dsn: str
) -> None:
    """One consumer reads page by page, one in large pages, and one dies midway and is followed by another process."""
    before = len(await recorded(copy_connection))
    patient, greedy, mortal = Consumer(write, first=3), Consumer(write), Consumer(write, first=5)
    for consumer in (patient, greedy, mortal):
        consumer.after = (await Consumer(write).catch_up()).after
    writing = asyncio.gather(*(scribble(demo_copy_dsn, seed) for seed in range(8)))

    async def consume(consumer: Consumer) -> None:
        while not writing.done():
            await consumer.poll()

    async def die_and_rise() -> Consumer:
        while len(mortal.changes) < 20:
            await mortal.poll()
        settings = settings_for(demo_copy_dsn)
        async with running(settings) as app, posting(app, demo_copy_dsn) as post:
            heir = Consumer(post, mortal.after)
            heir.changes += mortal.changes
            await consume(heir)
            return await heir.catch_up()

    heir, *_ = await asyncio.gather(die_and_rise(), consume(patient), consume(greedy), writing)
    expected = (await recorded(copy_connection))[before:]
    assert len(expected) > 100
    for consumer in (await patient.catch_up(), await greedy.catch_up(), heir):
        assert consumer.told == expected
    whole = await Consumer(write).catch_up()
    assert whole.copy == await present(copy_connection)


async def test_changes_of_a_deleted_shipment_are_tombstones(
    consumer: Consumer, write: GraphQL, other: asyncpg.Connection
) -> None:
    shipment = await other.fetchrow(
        "SELECT id::text, order_id FROM shipments s WHERE status = 'CREATED'"
        " AND EXISTS (SELECT FROM track_and_traces t WHERE t.shipment_id = s.id) LIMIT 1"
    )
    begin = consumer.after
    await other.execute("DELETE FROM shipments WHERE id = $1", shipment["id"])
    page = await consumer.poll()
    assert {told["type"] for told in page["changes"]} == {"SHIPMENT", "SHIPMENT_ITEM", "TRACK_AND_TRACE"}
    assert {told["action"] for told in page["changes"]} == {"DELETED"}
    assert {told["shipmentId"] for told in page["changes"]} == {shipment["id"]}
    answer = await write(NESTED, {"after": begin}, viewer="staff")
    for told in answer["data"]["changes"]["changes"]:
        assert told["order"]["id"] == shipment["order_id"]
        assert [told[name] for name in OBJECTS.values() if name != "order"] == [None] * 4


@pytest.mark.parametrize("type", OBJECTS)
async def test_change_shows_the_objects_as_they_are_now(
    graphql: GraphQL, connection: asyncpg.Connection, type: str
) -> None:
    answer = await graphql(NESTED, {"types": [type], "first": 50})
    versions = {(row["type"], row["id"]): row["version"] for row in await connection.fetch(PRESENT)}
    changes = answer["data"]["changes"]["changes"]
    assert changes
    for told in changes:
        own = told[OBJECTS[type]]
        assert (str(own["id"]), own["version"]) == (told["id"], versions[type, told["id"]])
        expected = {OBJECTS[type]}
        expected |= set() if type == "CARRIER" else {"order"}
        expected |= {"shipment"} if type in ("SHIPMENT_ITEM", "TRACK_AND_TRACE") else set()
        assert {name for name in OBJECTS.values() if told[name]} == expected


REPORT = """mutation ($code: String!, $key: String!) {
  shipmentStatusReport(input: {code: $code, status: IN_TRANSIT, occurredAt: "2025-11-10T10:00:00Z", externalId: $key}) {
    event { id }
  }
}"""


async def test_changes_tell_of_events_before_what_follows_from_them(
    write: GraphQL, consumer: Consumer, copy_connection: asyncpg.Connection
) -> None:
    shipment = await copy_connection.fetchval(NEW_SHIPMENT)
    code = await copy_connection.fetchval(
        "INSERT INTO track_and_traces (shipment_id, order_id, channel_id, code)"
        " VALUES ($1::text::uuid, 2075, 1, 'TOLDOF1') RETURNING id::text",
        shipment,
    )
    before = (await consumer.catch_up()).after
    answer = await write(REPORT, {"code": "TOLDOF1", "key": "k"})
    assert "errors" not in answer, answer["errors"]
    event = answer["data"]["shipmentStatusReport"]["event"]["id"]
    assert (await write(REPORT, {"code": "TOLDOF1", "key": "k"}))["data"]  # the same again is no news
    consumer.changes.clear()
    await consumer.catch_up()
    assert [(told["type"], told["action"], told["id"]) for told in consumer.changes] == [
        ("TRACKING_EVENT", "CREATED", event),
        ("TRACK_AND_TRACE", "UPDATED", code),
        ("SHIPMENT", "UPDATED", shipment),
    ]
    [told] = consumer.changes[:1]
    assert (told["orderId"], told["shipmentId"], told["channelId"], told["version"]) == (2075, shipment, 1, 1)
    answer = await write(NESTED, {"after": before, "types": ["TRACKING_EVENT"]}, viewer="staff")
    [told] = answer["data"]["changes"]["changes"]
    assert told["trackingEvent"] == {"id": event, "trackAndTraceId": code}
    assert (told["shipment"]["id"], told["trackAndTrace"]) == (shipment, None)
    answer = await write(NESTED, {"after": before, "types": ["TRACKING_EVENT"]}, viewer="northwind")
    assert answer["data"]["changes"]["changes"] == []
    await copy_connection.execute("DELETE FROM track_and_traces WHERE id = $1::text::uuid", code)
    answer = await write(NESTED, {"after": before, "types": ["TRACKING_EVENT"]}, viewer="staff")
    assert answer["data"]["changes"]["changes"][0]["trackingEvent"] is None


async def test_changes_of_a_channel_are_its_partners_and_carriers_everybodys(
    write: GraphQL, other: asyncpg.Connection
) -> None:
    order_id = await other.fetchval(NEW_ORDER, 2, None)
    await other.execute("INSERT INTO shipments (order_id, channel_id) VALUES ($1, 2)", order_id)
    await other.execute(NEW_SHIPMENT)
    expected = await other.fetch(RECORDED.replace("ORDER BY", "WHERE h.channel_id = 2 OR h.type = 'CARRIER' ORDER BY"))
    consumer = await Consumer(write, viewer="northwind", first=10).catch_up()
    assert consumer.told == [tuple(row) for row in expected]
    assert {told["type"] for told in consumer.changes} >= {"ORDER", "SHIPMENT", "CARRIER"}


async def test_changes_of_a_limited_partner_are_those_of_its_companies(
    graphql: GraphQL, connection: asyncpg.Connection
) -> None:
    expected = await connection.fetch(
        RECORDED.replace(
            "ORDER BY",
            "WHERE h.type = 'CARRIER' OR h.channel_id = 1"
            " AND EXISTS (SELECT FROM orders o WHERE o.id = h.order_id AND o.company_id = 4) ORDER BY",
        )
    )
    consumer = await Consumer(graphql, viewer="hofstra-writer").catch_up()
    assert consumer.told == [tuple(row) for row in expected]
    assert {told["type"] for told in consumer.changes} >= {"ORDER", "CARRIER"}


@pytest.mark.parametrize(
    "leaving", ["UPDATE orders SET company_id = 2 WHERE id = $1", "DELETE FROM orders WHERE id = $1"]
)
async def test_change_by_which_an_order_leaves_a_limited_partner_is_told(
    write: GraphQL, other: asyncpg.Connection, leaving: str
) -> None:
    """Of an order that is not there any more nothing but its old company says whose it was."""
    order_id = await other.fetchval(NEW_ORDER, 1, 4)
    limited = await Consumer(write, viewer="hofstra-writer").catch_up()
    assert limited.changes[-1]["id"] == str(order_id)
    begin = limited.after
    await other.execute(leaving, order_id)
    assert [told["id"] for told in (await limited.poll())["changes"]] == [str(order_id)]
    answer = await write(NESTED, {"after": begin}, viewer="hofstra-writer")
    assert answer["data"]["changes"]["changes"][0]["order"] is None
    # Another company's partner hears of neither.
    outsider = await Consumer(write, viewer="northwind").catch_up()
    assert str(order_id) not in {told["id"] for told in outsider.changes if told["type"] == "ORDER"}


async def test_changes_cursor_passes_what_is_not_the_viewers(write: GraphQL, other: asyncpg.Connection) -> None:
    """Or a partner whose channel is quiet would look through the others' changes again with every poll."""
    partner = await Consumer(write, viewer="northwind").catch_up()
    resting = partner.after
    await other.execute(NEW_SHIPMENT)
    assert await partner.poll() == {"changes": [], "hasMore": False, "nextCursor": partner.after}
    assert partner.after != resting
    own = await other.fetchval(NEW_ORDER, 2, None)
    assert [told["id"] for told in (await partner.poll())["changes"]] == [str(own)]


async def test_changes_page_gives_up_early_where_little_is_the_viewers(
    graphql: GraphQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await Consumer(graphql, viewer="northwind").catch_up()
    monkeypatch.setattr(change, "_FARTHEST", 40)
    consumer = Consumer(graphql, viewer="northwind", first=3)
    pages = [await consumer.poll()]
    while pages[-1]["hasMore"]:
        pages.append(await consumer.poll())
    assert consumer.changes == whole.changes
    assert any(page["hasMore"] and not page["changes"] for page in pages)


async def test_changes_filter_by_type(graphql: GraphQL, connection: asyncpg.Connection) -> None:
    consumer = await Consumer(graphql, first=9).catch_up(types=["CARRIER", "TRACK_AND_TRACE"])
    expected = [told for told in await recorded(connection) if told[0] in ("CARRIER", "TRACK_AND_TRACE")]
    assert consumer.told == expected
    nothing = await Consumer(graphql).catch_up(types=[])
    assert nothing.changes == []


@pytest.mark.parametrize("viewer", ["contact", "john"])
async def test_changes_are_not_for_whoever_has_no_copy_to_keep(graphql: GraphQL, viewer: str) -> None:
    answer = await graphql(PAGE, {}, viewer=viewer)
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize("scope", ["orders:read", "shipments:read", "carriers:write"])
async def test_changes_need_both_scopes(graphql: GraphQL, scope: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STAFF_SCOPES, "staff", scope)
    answer = await graphql(PAGE, {})
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def forged(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "=", "é", "changes", "a" * 10_000, "[" * 100),
        *(forged(), forged("changes"), forged("changes", 1), forged("changes", 1, -1), forged("changes", 1, 1.0)),
        *(
            forged("changes", 1, True),
            forged("changes", 1, "1"),
            forged("changes", 1, 2**63),
            forged("changes", 1, 1, 1, 1),
            *(forged("changes", held, 1, 1) for held in ("0", "-1", "01", "x", str(2**63))),
            forged("changes", "2", "1", 1, 1),
            forged("changes", "1", "1", 1, 1),
            forged("changes", *map(str, range(1, feed.MOST_HELD + 2)), 1, 1),
        ),
        *(forged("auditTrail", "65ad4404-88a6-4f97-9325-34a3a35f1dfc", 1, 1), forged("Changes", 1, 1)),
        forged("changes", 1, 1) + "=",
        forged("changes", 10**12, 1),
    ],
)
async def test_changes_after_what_is_no_cursor_is_refused(graphql: GraphQL, cursor: str) -> None:
    """The last one is well-formed and of a change that the store does not have, as after the restore of a backup."""
    answer = await graphql(PAGE, {"after": cursor})
    assert answer["data"] is None
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_CURSOR"
    assert error["extensions"]["path"] == "after"


@pytest.mark.parametrize("first", [0, -1, 101])
async def test_changes_first_is_bounded(graphql: GraphQL, first: int) -> None:
    answer = await graphql(PAGE, {"first": first})
    assert answer["errors"][0]["extensions"]["code"] == "VALIDATION_ERROR"
    assert answer["errors"][0]["extensions"]["path"] == "first"


ONE_OF_EACH = """
WITH shipment AS (INSERT INTO shipments (order_id, channel_id) VALUES (2075, 1) RETURNING id),
item AS (
  INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id)
  SELECT shipment.id, (SELECT min(i.id) FROM order_items i WHERE i.order_id = 2075), 2075, 1 FROM shipment
),
code AS (
  INSERT INTO track_and_traces (shipment_id, order_id, channel_id, code) SELECT id, 2075, 1, id::text FROM shipment
),
carrier AS (INSERT INTO carriers (name) VALUES (gen_random_uuid()::text))
UPDATE orders SET reference = gen_random_uuid()::text WHERE id = 2075
"""


async def test_changes_cost_the_same_statements_whatever_the_page(
    write: GraphQL, consumer: Consumer, other: asyncpg.Connection, copy: Starlette
) -> None:
    for _ in range(10):
        await other.execute(ONE_OF_EACH)
    db: Database = copy.state.db
    await db.feed.go_on()  # or the first who asks does
    costs = []
    for first in (5, 12, 50):
        before = db.statements
        answer = await write(NESTED, {"first": first, "after": consumer.after}, viewer="staff")
        assert len(answer["data"]["changes"]["changes"]) == first
        costs.append(db.statements - before)
    assert costs == [6, 6, 6]


MANY = """
SET session_replication_role = replica;
INSERT INTO orders (id, channel_id, company_id, status, email, currency, total_gross, total_net, total_tax, sub_total)
  SELECT g, 1 + g % 2, NULL, 'NEW', '', 'EUR', 0, 0, 0, 0 FROM generate_series(1000000, 1020000) g;
INSERT INTO transactions (position, actor) SELECT g, 'system' FROM generate_series(1000000, 1050000) g;
INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, version, old, new)
  SELECT x.id, 'ORDER', 'UPDATED', o, 1 + o % 2, o, 2, '{}'::jsonb, '{}'::jsonb
  FROM transactions x, LATERAL (SELECT 1000000 + x.position % 20000) v (o)
  WHERE x.position > 1000000
  UNION ALL
  SELECT x.id, 'ORDER', 'UPDATED', g, 1 + g % 2, g, 2, '{}'::jsonb, '{}'::jsonb
  FROM transactions x, generate_series(1000000, 1050000) g WHERE x.position = 1000000;
RESET session_replication_role;
ANALYZE transactions; ANALYZE changes; ANALYZE orders;
"""


async def test_changes_are_read_by_indexes_alone(copy_connection: asyncpg.Connection) -> None:
    """100,000 changes, half of them of one transaction: a page reads a few hundred blocks wherever it is."""
    await copy_connection.execute(MANY)
    middle = await copy_connection.fetchval(
        "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY id) FROM changes"
        " WHERE transaction_id = (SELECT id FROM transactions WHERE position = 1000000)"
    )
    for mode in ("force_generic_plan", "force_custom_plan"):
        await copy_connection.execute(f"SET plan_cache_mode = {mode}")
        for reach in (Reach.EVERYTHING, Reach.CHANNELS, Reach.COMPANIES):
            for position, number in ((0, 0), (1_000_000, middle), (1_025_000, 0), (1_049_990, 0)):
                prepared = sql.load("change").page.prepare(reach)
                values = {"position": position, "number": number, "scan": 101, "held": [1]}
                values |= {"visible_channel_ids": [2], "visible_company_ids": [4]}
                text = await copy_connection.fetchval(
                    f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {prepared.text}", *prepared.arguments(values)
                )
                plan = json.loads(text)[0]["Plan"]
                assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 1_500
                assert not {node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"} & {
                    "changes",
                    "transactions",
                }


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes(child))]
