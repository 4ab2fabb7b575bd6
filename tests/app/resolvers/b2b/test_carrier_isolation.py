"""Who sees which carriers, and who writes them: those of all channels, and one of its own in each of two.

What a carrier links to, the customers of everybody who uses it follow.
"""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from tests.app.resolvers.b2b.conftest import Refused, posting, refusing
from tests.conftest import KEY_HEADER, GraphQL, calling, credentials, running, settings_for, until

EVERYBODYS, OF_ONE, OF_TWO, IDLE = 1, 101, 102, 103
NOTHING = 2_000_000_000
# Order 2075 is of channel 1, order 3 too, and John's; the last is made here, of channel 2.
SHIPMENT = "65ad4404-88a6-4f97-9325-34a3a35f1dfc"
SHIPMENT_OF_TWO = "11111111-1111-4111-8111-111111111111"
LINE = 20155

CARRIERS = f"""
INSERT INTO carriers (id, channel_id, name, track_and_trace_url) VALUES
  ({OF_ONE}, 1, 'Own', 'https://one.example/{{code}}'), ({OF_TWO}, 2, 'Own', 'https://two.example/{{code}}'),
  ({IDLE}, 1, 'Idle', NULL);
INSERT INTO carrier_descriptions (carrier_id, language, value) VALUES ({OF_ONE}, 'EN', 'One'), ({OF_TWO}, 'EN', 'Two');
WITH o AS (
  INSERT INTO orders (channel_id, status, email, currency, total_gross, total_net, total_tax, sub_total)
  VALUES (2, 'CONFIRMED', '', 'EUR', 0, 0, 0, 0) RETURNING id
)
INSERT INTO shipments (id, order_id, channel_id) SELECT '{SHIPMENT_OF_TWO}', id, 2 FROM o;
INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code, created_at)
SELECT s.id, s.order_id, s.channel_id, CASE s.channel_id WHEN 1 THEN {OF_ONE} ELSE {OF_TWO} END,
  CASE s.order_id WHEN 3 THEN 'CODE-3' ELSE 'CODE' END, '2000-01-01'
FROM shipments s
WHERE s.id IN ('{SHIPMENT}', '{SHIPMENT_OF_TWO}') OR s.order_id = 3 AND s.channel_id = 1;
"""

SEEN = {
    "staff": {OF_ONE, OF_TWO, IDLE},
    "apikey": {OF_ONE, OF_TWO, IDLE},
    "northwind": {OF_TWO},
    "northwind-writer": {OF_TWO},
    "hofstra-writer": {OF_ONE, IDLE},
    "contact": {OF_ONE, IDLE},
    "outsider": {OF_ONE, IDLE},
    "john": {OF_ONE, IDLE},
}
# Its documents are not answered to customers: they have no storefront on this surface.
ONE = "query($id: Int!) { carrier(id: $id) { id channelId name trackAndTraceURL descriptions { value } } }"
LIST = """query($input: CarriersSearchInput) {
  carriers(input: $input) { itemsFound pages items { id channelId descriptions { value } } }
}"""
CODES = (
    "query($ids: [String!]) { trackAndTraces(input: {shipmentIds: $ids}) { items { trackingUrl carrier { name } } } }"
)
CREATE = """mutation($input: CarrierCreateInput!) { carrierCreate(input: $input) { id channelId name } }"""
UPDATE = """mutation($id: Int!, $input: CarrierUpdateInput!) {
  carrierUpdate(id: $id, input: $input) { id channelId trackAndTraceURL }
}"""
DELETE = "mutation($id: Int!) { carrierDelete(id: $id) }"
LINK = {"trackAndTraceURL": "https://other.example/{code}"}
NEW = {"name": "New", "type": "DELIVERY", "descriptions": []}


@pytest.fixture
async def store(copy_connection: asyncpg.Connection) -> asyncpg.Connection:
    """The database of `write`, with carriers of channels."""
    await copy_connection.execute(CARRIERS)
    return copy_connection


@pytest.fixture
async def live(store: asyncpg.Connection, demo_copy_dsn: str) -> AsyncIterator[Starlette]:
    """The application on `store`, which keeps rows."""
    async with running(settings_for(demo_copy_dsn)) as app:
        yield app


@pytest.fixture
async def ask(live: Starlette, demo_copy_dsn: str) -> AsyncIterator[GraphQL]:
    async with posting(live, demo_copy_dsn) as post:
        yield post


@pytest.fixture
def refused_here(ask: GraphQL, store: asyncpg.Connection) -> Refused:
    return refusing(ask, store)


def everybodys(found: list[dict[str, Any]]) -> set[int]:
    return {carrier["id"] for carrier in found if carrier["channelId"] is None}


@pytest.mark.parametrize("viewer", SEEN)
async def test_carriers_that_a_viewer_sees_are_listed_counted_and_found(
    ask: GraphQL, store: asyncpg.Connection, viewer: str
) -> None:
    # Rows are kept: whoever asked before sees more, and so does whoever asks twice.
    for asks in ("staff", viewer, viewer):
        seen = SEEN[asks]
        page = (await ask(LIST, {"input": {"offset": 100}}, viewer=asks))["data"]["carriers"]
        of_all = {row["id"] for row in await store.fetch("SELECT id FROM carriers WHERE channel_id IS NULL")}
        assert {carrier["id"] for carrier in page["items"]} == of_all | seen
        assert everybodys(page["items"]) == of_all
        assert page["itemsFound"] == len(of_all | seen)
        named = (await ask(LIST, {"input": {"names": ["Own"]}}, viewer=asks))["data"]["carriers"]
        assert {carrier["id"] for carrier in named["items"]} == seen - {IDLE}
        assert {text["value"] for carrier in named["items"] for text in carrier["descriptions"]} == {
            text for carrier, text in ((OF_ONE, "One"), (OF_TWO, "Two")) if carrier in seen
        }
        for key in (EVERYBODYS, OF_ONE, OF_TWO):
            answer = await ask(ONE, {"id": key}, viewer=asks)
            if key == EVERYBODYS or key in seen:
                assert answer["data"]["carrier"]["id"] == key
            else:
                missing = await ask(ONE, {"id": NOTHING}, viewer=asks)
                missing["errors"][0]["message"] = missing["errors"][0]["message"].replace(str(NOTHING), str(key))
                assert answer == missing


@pytest.mark.parametrize(
    ("viewer", "sees"), [("staff", 2), ("apikey", 2), ("contact", 1), ("northwind", 1), ("jane", 0)]
)
async def test_carrier_of_a_code_that_is_seen_is_seen(ask: GraphQL, viewer: str, sees: int) -> None:
    for _ in range(2):  # read, and kept
        answer = await ask(CODES, {"ids": [SHIPMENT, SHIPMENT_OF_TWO]}, viewer=viewer)
        own = [code for code in answer["data"]["trackAndTraces"]["items"] if code["carrier"]["name"] == "Own"]
        links = {"https://one.example/CODE", "https://two.example/CODE"}
        assert {code["trackingUrl"] for code in own} <= links
        assert len(own) == sees


async def test_what_is_kept_of_a_carrier_follows_it_to_another_channel(
    ask: GraphQL, live: Starlette, store: asyncpg.Connection
) -> None:
    async def sees(viewer: str) -> bool:
        return "errors" not in await ask(ONE, {"id": IDLE}, viewer=viewer)

    await until(lambda: live.state.db.events.is_caching)
    viewers = ("staff", "apikey", "northwind", "hofstra-writer", "contact")
    assert [await sees(viewer) for viewer in viewers] == [True, True, False, True, True]
    moves = {2: [True, True, True, False, False], None: [True] * 5, 1: [True, True, False, True, True]}
    for channel_id, expected in moves.items():
        answer = await ask(UPDATE, {"id": IDLE, "input": {"channelId": channel_id}}, viewer="editor")
        assert answer["data"]["carrierUpdate"]["channelId"] == channel_id
        assert [await sees(viewer) for viewer in viewers] == expected


@pytest.mark.parametrize("viewer", ["northwind-writer", "apikey", "editor"])
async def test_carrier_of_a_channel_is_written_by_who_sees_all_of_it(ask: GraphQL, viewer: str) -> None:
    assert (await ask(UPDATE, {"id": OF_TWO, "input": LINK}, viewer=viewer))["data"]["carrierUpdate"] == {
        "id": OF_TWO,
        "channelId": 2,
        **LINK,
    }
    made = (await ask(CREATE, {"input": {**NEW, "channelId": 2}}, viewer=viewer))["data"]["carrierCreate"]
    assert made["channelId"] == 2
    assert (await ask(DELETE, {"id": made["id"]}, viewer=viewer))["data"]["carrierDelete"] is True


@pytest.mark.parametrize(
    ("viewer", "id", "code"),
    [
        ("apikey", EVERYBODYS, "FORBIDDEN"),
        ("northwind-writer", EVERYBODYS, "FORBIDDEN"),
        ("hofstra-writer", EVERYBODYS, "FORBIDDEN"),
        ("hofstra-writer", OF_ONE, "FORBIDDEN"),
        ("hofstra-writer", IDLE, "FORBIDDEN"),
        ("northwind-writer", OF_ONE, "CARRIER_NOT_FOUND_ERROR"),
        ("hofstra-writer", OF_TWO, "FORBIDDEN"),
        ("hofstra-writer", NOTHING, "FORBIDDEN"),
        ("apikey", NOTHING, "CARRIER_NOT_FOUND_ERROR"),
    ],
)
async def test_carrier_of_others_is_not_written(refused_here: Refused, viewer: str, id: int, code: str) -> None:
    assert (await refused_here(UPDATE, viewer=viewer, id=id, input=LINK))["code"] == code
    assert (await refused_here(DELETE, viewer=viewer, id=id))["code"] == code


@pytest.mark.parametrize(
    ("viewer", "channel", "expected"),
    [
        ("editor", {}, None),
        ("editor", {"channelId": None}, None),
        ("editor", {"channelId": 2}, 2),
        ("northwind-writer", {}, 2),
        ("northwind-writer", {"channelId": None}, 2),
        ("northwind-writer", {"channelId": 2}, 2),
        ("apikey", {"channelId": 1}, 1),
        ("apikey", {"channelId": 2}, 2),
        ("apikey", {}, 1),
    ],
)
async def test_carrier_create_gives_it_to_the_channel_of_who_makes_it(
    written: GraphQL, viewer: str, channel: dict[str, Any], expected: int | None
) -> None:
    assert (await written(CREATE, viewer=viewer, input={**NEW, **channel}))["channelId"] == expected


@pytest.mark.parametrize(
    ("viewer", "channel", "rule"),
    [
        ("apikey", {"channelId": NOTHING}, "must be the id of a channel"),
        ("northwind-writer", {"channelId": 1}, "must be the id of a channel"),
        ("northwind-writer", {"channelId": NOTHING}, "must be the id of a channel"),
        ("editor", {"channelId": NOTHING}, "must be the id of a channel"),
    ],
)
async def test_carrier_create_for_a_channel_of_others_is_refused_like_one_for_none(
    refused: Refused, viewer: str, channel: dict[str, Any], rule: str
) -> None:
    extensions = await refused(CREATE, viewer=viewer, input={**NEW, **channel})
    assert (extensions["code"], extensions["path"], extensions["rule"]) == ("VALIDATION_ERROR", "input.channelId", rule)


@pytest.mark.parametrize("channel", [{}, {"channelId": 1}, {"channelId": 2}], ids=str)
async def test_carrier_create_with_a_key_of_some_companies_is_forbidden(
    refused: Refused, channel: dict[str, Any]
) -> None:
    assert (await refused(CREATE, viewer="hofstra-writer", input={**NEW, **channel}))["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("viewer", "id", "channel_id", "code"),
    [
        ("apikey", IDLE, None, "FORBIDDEN"),
        ("apikey", OF_ONE, 2, "VALIDATION_ERROR"),  # whose codes are of channel 1
        ("editor", OF_ONE, 2, "VALIDATION_ERROR"),
        ("editor", EVERYBODYS, 2, "VALIDATION_ERROR"),
        ("editor", IDLE, NOTHING, "VALIDATION_ERROR"),
        ("northwind-writer", OF_TWO, 1, "VALIDATION_ERROR"),
    ],
)
async def test_carrier_goes_to_no_channel_where_it_may_not(
    refused_here: Refused, viewer: str, id: int, channel_id: int | None, code: str
) -> None:
    extensions = await refused_here(UPDATE, viewer=viewer, id=id, input={"channelId": channel_id})
    assert extensions["code"] == code
    assert code == "FORBIDDEN" or extensions["path"] == "input.channelId"


async def test_carrier_goes_from_channel_to_channel_with_who_writes_both(ask: GraphQL) -> None:
    for viewer, channel_id in (("apikey", 2), ("northwind-writer", 2), ("editor", None)):
        answer = await ask(UPDATE, {"id": IDLE, "input": {"channelId": channel_id}}, viewer=viewer)
        assert answer["data"]["carrierUpdate"]["channelId"] == channel_id


async def test_carrier_names_are_unique_in_their_channel(ask: GraphQL) -> None:
    async def create(viewer: str, **fields: Any) -> str:
        answer = await ask(CREATE, {"input": {**NEW, **fields}}, viewer=viewer)
        return answer["errors"][0]["extensions"]["code"] if "errors" in answer else "made"

    taken = "CARRIER_ALREADY_EXISTS_ERROR"
    assert await create("northwind-writer", name="Own") == taken
    assert await create("editor", name="PostNL") == taken
    assert await create("northwind-writer", name="PostNL") == "made"  # which is everybody's, too
    assert await create("northwind-writer", name="Idle") == "made"  # which is another channel's
    assert await create("editor", name="Own") == "made"
    answer = await ask(UPDATE, {"id": IDLE, "input": {"channelId": 2}}, viewer="editor")
    assert answer["errors"][0]["extensions"]["code"] == taken


CREATE_CODE = """mutation($key: Int!, $shipment: String!) {
  trackAndTraceCreate(input: {shipmentId: $shipment, carrierId: $key, code: "A"}) { carrier { name } }
}"""
UPDATE_CODE = """mutation($key: Int!, $id: String!) {
  trackAndTraceUpdate(id: $id, input: {carrierId: $key}) { carrier { name } }
}"""
CREATE_SHIPMENT = """mutation($key: Int!, $order: Int!) {
  shipmentCreate(input: {orderId: $order, items: [], trackAndTraces: [{carrierId: $key, code: "A"}]}) { id }
}"""
CODE_ID = "SELECT id::text FROM track_and_traces WHERE shipment_id = $1::text::uuid AND code = 'CODE'"
ORDER_ID = "SELECT order_id FROM shipments WHERE id = $1::text::uuid"


@pytest.mark.parametrize(
    ("viewer", "shipment", "foreign"),
    [
        ("northwind-writer", SHIPMENT_OF_TWO, OF_ONE),
        ("apikey", SHIPMENT_OF_TWO, OF_ONE),  # whose carrier it is, and not the order's
        ("apikey", SHIPMENT, OF_TWO),
        ("editor", SHIPMENT, OF_TWO),
    ],
)
async def test_carrier_of_another_channel_than_the_codes_is_refused_like_one_of_nothing(
    refused_here: Refused, ask: GraphQL, store: asyncpg.Connection, viewer: str, shipment: str, foreign: int
) -> None:
    order_id, code_id = await store.fetchval(ORDER_ID, shipment), await store.fetchval(CODE_ID, shipment)
    tried: list[tuple[str, dict[str, Any]]] = [
        (CREATE_CODE, {"shipment": shipment}),
        (UPDATE_CODE, {"id": code_id}),
        (CREATE_SHIPMENT, {"order": order_id}),
    ]
    own = OF_ONE if foreign == OF_TWO else OF_TWO
    for document, keys in tried:
        refusal = await refused_here(document, viewer=viewer, key=foreign, **keys)
        assert refusal == await refused_here(document, viewer=viewer, key=NOTHING, **keys)
        assert (refusal["code"], refusal["rule"]) == ("VALIDATION_ERROR", "must be the id of a carrier")
        for key in (EVERYBODYS, own):
            assert "errors" not in await ask(document, {"key": key, **keys}, viewer=viewer)
            await store.execute("DELETE FROM track_and_traces WHERE code = 'A'")


async def test_report_on_a_code_of_another_channels_carrier_finds_nothing(refused_here: Refused) -> None:
    document = """mutation($key: Int!) {
      shipmentStatusReport(input: {
        carrierId: $key, code: "CODE", status: IN_TRANSIT, occurredAt: "2025-11-04T10:00:00Z"
      }) { isNew }
    }"""
    foreign = await refused_here(document, viewer="northwind-writer", key=OF_ONE)
    assert foreign == await refused_here(document, viewer="northwind-writer", key=NOTHING)
    assert foreign["code"] == "VALIDATION_ERROR"


FEED = """query($after: String) {
  changes(after: $after, types: [CARRIER]) { nextCursor changes { id action channelId carrier { name } } }
}"""


async def feed(post: GraphQL, viewer: str, after: str | None) -> tuple[str, list[tuple[Any, ...]]]:
    page = (await post(FEED, {"after": after}, viewer=viewer))["data"]["changes"]
    told = [
        (int(change["id"]), change["action"], change["carrier"] and change["carrier"]["name"])
        for change in page["changes"]
    ]
    return page["nextCursor"], told


async def test_feed_tells_of_the_carriers_that_are_seen_and_of_those_that_leave(
    write: GraphQL, store: asyncpg.Connection
) -> None:
    viewers = ("staff", "northwind", "hofstra-writer", "apikey")
    cursors: dict[str, str | None] = dict.fromkeys(viewers)
    for viewer in viewers:
        cursors[viewer], told = await feed(write, viewer, None)
        assert {key for key, _action, _name in told} & {OF_ONE, OF_TWO, IDLE} == SEEN[viewer]

    async def next_of(viewer: str) -> list[tuple[Any, ...]]:
        cursors[viewer], told = await feed(write, viewer, cursors[viewer])
        return told

    updated, gone = (IDLE, "UPDATED", "Idle"), (IDLE, "UPDATED", None)
    for statement, expected in {
        "UPDATE carriers SET channel_id = 2 WHERE id = 103": [[updated], [updated], [gone], [updated]],
        "UPDATE carriers SET logo = 'https://a.example/' WHERE id = 103": [[updated], [updated], [], [updated]],
        "UPDATE carriers SET channel_id = NULL WHERE id = 103": [[updated]] * 4,
        "UPDATE carriers SET channel_id = 1 WHERE id = 103": [[updated], [gone], [updated], [updated]],
        "DELETE FROM carriers WHERE id = 103": [[(IDLE, "DELETED", None)], [], *[[(IDLE, "DELETED", None)]] * 2],
    }.items():
        await store.execute(statement)
        for viewer, told in zip(viewers, expected, strict=True):
            assert await next_of(viewer) == told, (viewer, statement)


async def test_export_and_storefront_show_the_links_of_their_own_channel(live: Starlette, demo_copy_dsn: str) -> None:
    settings = settings_for(demo_copy_dsn)
    async with calling(live) as client:
        for viewer, own, foreign in (("northwind", "two", "one"), ("contact", "one", "two")):
            lines = await client.get("/export/shipments.ndjson", headers=credentials(viewer, settings))
            assert f"https://{own}.example/CODE" in lines.text
            assert f"https://{foreign}.example/" not in lines.text
        headers = credentials("john", settings)
        assert KEY_HEADER in headers
        shown = await client.get("/api/shop/customer-order-shipments/1", headers=headers)
        assert shown.status_code == 200, shown.text
        assert shown.json()["carrierTitle"] == "Own"
