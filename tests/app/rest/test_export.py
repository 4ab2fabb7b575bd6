"""The export: the same shipments as GraphQL's, whole or noticeably not, in little memory, and no longer than wanted."""

import asyncio
import gzip
import json
import socket
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
import uvicorn
from graphql import GraphQLObjectType, get_named_type, is_leaf_type
from starlette.applications import Starlette

from app.asgi import executable_schema
from app.errors import NotAuthenticated, Unavailable
from app.postgres.database import Database
from app.rest import export
from app.rest.export import Export as ExportEndpoint
from tests.conftest import (
    FAR_TOO_LONG,
    STAFF_SCOPES,
    ConnectionTo,
    Databases,
    GraphQL,
    calling,
    credentials,
    running,
    settings_for,
    until,
)

Export = Callable[..., Awaitable[httpx.Response]]


def leaves(type_name: str) -> str:
    type_ = executable_schema().type_map[type_name]
    assert isinstance(type_, GraphQLObjectType)
    return " ".join(name for name, field in type_.fields.items() if is_leaf_type(get_named_type(field.type)))


LIST = f"""
query Shipments($input: ShipmentSearchInput) {{
  shipments(input: $input) {{
    pages
    items {{ {leaves("Shipment")} items {{ {leaves("ShipmentItem")} }} trackAndTraces {{ {leaves("TrackAndTrace")} }} }}
  }}
}}
"""


async def listed(graphql: GraphQL, viewer: str, **input: Any) -> list[Any]:
    """All shipments of a list, page by page."""
    found: list[Any] = []
    for page in range(1, 1000):
        answer = await graphql(LIST, {"input": {**input, "page": page, "offset": 100}}, viewer=viewer)
        assert "errors" not in answer
        found += answer["data"]["shipments"]["items"]
        if page >= answer["data"]["shipments"]["pages"]:
            break
    return found


def lines(response: httpx.Response) -> list[Any]:
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


@pytest.fixture
def exported(client: httpx.AsyncClient, demo_dsn: str) -> Export:
    settings = settings_for(demo_dsn)

    async def get(query: str = "", *, viewer: str | None = "staff", **headers: str) -> httpx.Response:
        headers = {"accept-encoding": "identity"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.get(f"{export.PATH}?{query}", headers={**credentials(viewer, settings), **headers})

    return get


@pytest.mark.parametrize("viewer", ["staff", "apikey", "northwind", "hofstra-writer", "contact", "outsider", "john"])
async def test_export_is_the_list_of_the_same_viewer_in_full(
    exported: Export, graphql: GraphQL, viewer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_BATCH_ROWS", 7)
    assert lines(await exported(viewer=viewer)) == await listed(graphql, viewer)


async def test_export_of_staff_is_every_shipment(exported: Export, connection: asyncpg.Connection) -> None:
    count = await connection.fetchval("SELECT count(*) FROM shipments")
    assert len(lines(await exported())) == count > 100


@pytest.mark.parametrize(
    ("query", "input"),
    [
        ("statuses=IN_TRANSIT&statuses=DELIVERED", {"statuses": ["IN_TRANSIT", "DELIVERED"]}),
        ("orderIds=2075&orderIds=3", {"orderIds": [2075, 3]}),
        ("ids=65ad4404-88a6-4f97-9325-34a3a35f1dfc&ids=nonsense", {"ids": ["65ad4404-88a6-4f97-9325-34a3a35f1dfc"]}),
        ("codes=3STEST1234567890", {"codes": ["3STEST1234567890"]}),
        ("codes=%27%3B--&codes=", {"codes": ["';--", ""]}),
        ("carrierIds=1", {"carrierIds": [1]}),
        ("skus=VFS-200", {"skus": ["VFS-200"]}),
        ("companyIds=2", {"companyIds": [2]}),
        ("late=true", {"late": True}),
        ("late=false&statuses=CREATED", {"late": False, "statuses": ["CREATED"]}),
        (
            "createdAt.greaterThan=2025-01-01&createdAt.lessThan=2025-12-31T00:00:00%2B01:00",
            {"createdAt": {"greaterThan": "2025-01-01", "lessThan": "2025-12-31T00:00:00+01:00"}},
        ),
        ("lastModifiedAt.lessThan=2025-12-31", {"lastModifiedAt": {"lessThan": "2025-12-31"}}),
        ("expectedDeliveryAt.greaterThan=2025-12-01", {"expectedDeliveryAt": {"greaterThan": "2025-12-01"}}),
    ],
)
async def test_export_filters_like_the_list(
    exported: Export, graphql: GraphQL, query: str, input: dict[str, Any]
) -> None:
    assert lines(await exported(query)) == await listed(graphql, "staff", **input)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("status=CREATED", "status"),
        ("statuses=LOST", "statuses"),
        ("statuses=", "statuses"),
        ("statuses=CREATED,DELIVERED", "statuses"),
        ("orderIds=x", "orderIds"),
        ("orderIds=1.5", "orderIds"),
        ("orderIds=99999999999", "orderIds"),
        ("late=yes", "late"),
        ("late=true&late=true", "late"),
        ("createdAt=2025-01-01", "createdAt"),
        ("createdAt.equal=2025-01-01", "createdAt.equal"),
        ("createdAt.lessThan=yesterday", "createdAt.lessThan"),
        ("createdAt.lessThan=2025-01-01&createdAt.lessThan=2025-01-02", "createdAt.lessThan"),
        ("codes=%00", "codes"),
        ("codes=a&codes=" + "x" * 256, "codes"),
        ("page=2", "page"),
        ("sortInputs=x", "sortInputs"),
        ("&".join("orderIds=1" for _ in range(101)), "orderIds"),
        ("a" * 5000 + "=1", "a" * 100),
    ],
)
async def test_export_refuses_a_bad_filter_by_its_name(exported: Export, query: str, name: str) -> None:
    response = await exported(query)
    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "VALIDATION_ERROR"
    assert error["extensions"]["path"] == name


async def test_export_refuses_a_query_string_that_is_no_utf_8(exported: Export) -> None:
    assert (await exported("codes=%ff")).status_code == 400


@pytest.mark.parametrize("viewer", [None, "suspended"])
async def test_export_needs_a_credential(exported: Export, viewer: str | None) -> None:
    response = await exported(viewer=viewer)
    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_export_needs_the_scope_before_it_judges_filters(
    exported: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STAFF_SCOPES, "staff", "orders:read")
    response = await exported("nonsense=1")
    assert response.status_code == 403
    assert response.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
async def test_export_is_a_get(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, export.PATH)
    assert (response.status_code, response.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("asking", ["gzip", "br, GZIP;q=0.5", "*", "gzip;q=1.0, identity;q=0.5"])
async def test_export_is_packed_if_asked_for(
    exported: Export, client: httpx.AsyncClient, demo_dsn: str, asking: str
) -> None:
    plain = await exported()
    headers = {**credentials("staff", settings_for(demo_dsn)), "accept-encoding": asking}
    async with client.stream("GET", export.PATH, headers=headers) as response:
        packed = b"".join([chunk async for chunk in response.aiter_raw()])
    assert (response.headers["content-encoding"], response.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert len(packed) < len(plain.content) / 4
    assert gzip.decompress(packed) == plain.content


@pytest.mark.parametrize("asking", ["identity", "gzip;q=0", "br", "gzip;q=0.5, identity"])
async def test_export_is_plain_otherwise(exported: Export, asking: str) -> None:
    response = await exported(accept_encoding=asking)
    assert "content-encoding" not in response.headers
    assert response.headers["content-type"] == "application/x-ndjson; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"


async def test_export_of_nothing_is_empty(exported: Export) -> None:
    assert (await exported("codes=nobody's")).content == b""
    packed = await exported("codes=nobody's", accept_encoding="gzip")
    assert (packed.headers["content-encoding"], packed.content) == ("gzip", b"")


async def test_export_costs_three_statements_a_batch(
    exported: Export, db: Database, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = await connection.fetchval("SELECT count(*) FROM shipments")
    monkeypatch.setattr(export, "_BATCH_ROWS", 50)
    before = db.statements
    await exported()
    assert db.statements - before == 3 + 3 * -(-count // 50)


# ------------------------------------------------------------------------------------------------ one moment


class Caller:
    """An ASGI caller who does something when the first lines have come, and may hang up."""

    def __init__(self, on_first: Callable[[], Awaitable[Any]] | None = None) -> None:
        self.body = b""
        self.headers: dict[str, str] = {}
        self.is_complete = False
        self.began = asyncio.Event()
        self._on_first = on_first
        self._gone = asyncio.Event()

    def hang_up(self) -> None:
        self._gone.set()

    async def receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        is_first, self.body = not self.body, self.body + message["body"]
        self.is_complete = not message.get("more_body", False)
        if is_first:
            self.began.set()
            if self._on_first:
                await self._on_first()

    async def call(self, app: Any, dsn: str, query: str = "", *, viewer: str = "staff") -> None:
        headers = credentials(viewer, settings_for(dsn))
        scope = {
            "type": "http", "method": "GET", "path": export.PATH, "query_string": query.encode(), "http_version": "1.1",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()], "state": {},
            "client": ("127.0.0.1", 1), "scheme": "http", "server": ("waybill.test", 80), "root_path": "", "asgi": {},
        }  # fmt: skip
        await app(scope, self.receive, self.send)


@pytest.fixture
def copy(copy: Starlette, monkeypatch: pytest.MonkeyPatch) -> Starlette:
    """Its batches are so small that there are many."""
    monkeypatch.setattr(export, "_BATCH_ROWS", 10)
    return copy


def idle(app: Starlette) -> bool:
    return bool(app.state.db.pool.lent == 0)


async def test_export_tells_of_one_moment_and_the_feed_of_what_comes_after(
    copy: Starlette, demo_copy_dsn: str, other: asyncpg.Connection
) -> None:
    """With both, a copy of the store is complete: the header is the cursor of the export's own moment."""
    before = await other.fetch("SELECT id::text FROM shipments ORDER BY created_at DESC, id")

    async def write() -> None:
        await other.execute("SET waybill.overridden_steps = 'allowed'")
        await other.execute("DELETE FROM shipments WHERE id = $1", before[-1]["id"])
        await other.execute("UPDATE shipments SET expected_delivery_at = now()")
        await other.execute("INSERT INTO shipments (order_id, channel_id) VALUES (2075, 1)")

    caller = Caller(write)
    await caller.call(copy, demo_copy_dsn)
    told = [json.loads(line) for line in caller.body.splitlines()]
    assert [shipment["id"] for shipment in told] == [row["id"] for row in before]
    assert {shipment["version"] for shipment in told} == {1}
    assert told[-1]["items"]

    document = "query($after: String) { changes(after: $after) { changes { action type id } } }"
    async with calling(copy) as client:
        response = await client.post(
            "/graphql",
            json={"query": document, "variables": {"after": caller.headers["x-changes-cursor"]}},
            headers=credentials("staff", settings_for(demo_copy_dsn)),
        )
    changes = response.json()["data"]["changes"]["changes"]
    assert changes[0]["action"] == "DELETED"
    assert {change["action"] for change in changes if change["type"] == "SHIPMENT"} == {"DELETED", "UPDATED"}


@pytest.mark.parametrize(("viewer", "has_cursor"), [("staff", True), ("apikey", True), ("contact", False)])
async def test_export_gives_a_cursor_to_whoever_may_read_the_feed(
    exported: Export, viewer: str, has_cursor: bool
) -> None:
    assert ("x-changes-cursor" in (await exported(viewer=viewer)).headers) == has_cursor


# ------------------------------------------------------------------------------------------------ bad ends


async def test_export_reads_no_faster_than_its_caller(
    copy: Starlette, demo_copy_dsn: str, other: asyncpg.Connection
) -> None:
    blocked = asyncio.Event()
    caller = Caller(blocked.wait)
    calling = asyncio.create_task(caller.call(copy, demo_copy_dsn))
    await caller.began.wait()
    statements = copy.state.db.statements
    # Nor has it begun to read on: its session does nothing.
    assert (
        await other.fetchval(
            "SELECT state FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'waybill' AND backend_xmin IS NOT NULL"
        )
        == "idle in transaction"
    )
    assert copy.state.db.statements == statements
    assert len(caller.body.splitlines()) == 10
    blocked.set()
    await calling
    assert caller.is_complete
    await until(lambda: idle(copy))


async def test_export_ends_with_its_caller(copy: Starlette, demo_copy_dsn: str) -> None:
    blocked = asyncio.Event()
    caller = Caller(blocked.wait)
    calling = asyncio.create_task(caller.call(copy, demo_copy_dsn))
    await caller.began.wait()
    assert not idle(copy)
    caller.hang_up()
    await calling
    assert not caller.is_complete
    await until(lambda: idle(copy))


async def test_export_that_is_cancelled_gives_its_connection_back(copy: Starlette, demo_copy_dsn: str) -> None:
    caller = Caller(asyncio.Event().wait)
    calling = asyncio.create_task(caller.call(copy, demo_copy_dsn))
    await caller.began.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await until(lambda: idle(copy))


async def test_export_leaves_a_caller_who_takes_nothing(copy: Starlette, demo_copy_dsn: str) -> None:
    [endpoint] = [route.endpoint._app._app for route in copy.routes if getattr(route, "path", "") == export.PATH]
    assert isinstance(endpoint, ExportEndpoint)
    endpoint._stall_seconds = 0.01
    caller = Caller(asyncio.Event().wait)
    with pytest.raises(TimeoutError):
        await caller.call(copy, demo_copy_dsn)
    assert not caller.is_complete
    await until(lambda: idle(copy))


@pytest.mark.parametrize(
    ("viewer", "end"),
    [
        ("apikey", "UPDATE api_keys SET revoked_at = now()"),
        ("apikey", "UPDATE api_keys SET expires_at = now()"),
        ("apikey", "UPDATE api_keys SET networks = '{192.0.2.0/24}'"),
        ("apikey", "UPDATE api_keys SET scopes = '{orders:read}'"),
        ("contact", "UPDATE contacts SET is_active = false"),
    ],
)
async def test_export_ends_with_the_right_to_it(
    copy: Starlette,
    demo_copy_dsn: str,
    other: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    viewer: str,
    end: str,
) -> None:
    monkeypatch.setattr(export, "_BATCH_ROWS", 1)
    monkeypatch.setattr(export, "_CHECK_SECONDS", 0)
    headers = credentials(viewer, settings_for(demo_copy_dsn))

    async def end_it() -> None:
        await other.execute(end)
        async with calling(copy) as client:  # until the process was told
            while True:
                if (await client.get(f"{export.PATH}?codes=none", headers=headers)).status_code != 200:
                    return
                await asyncio.sleep(0.01)

    whole, caller = Caller(), Caller(end_it)
    await whole.call(copy, demo_copy_dsn, viewer=viewer)
    assert whole.is_complete
    with pytest.raises(NotAuthenticated):
        await caller.call(copy, demo_copy_dsn, viewer=viewer)
    assert len(caller.body) < len(whole.body)
    assert not caller.is_complete
    await until(lambda: idle(copy))


async def test_export_that_fails_in_the_middle_never_ends_well(
    copy: Starlette, demo_copy_dsn: str, other: asyncpg.Connection
) -> None:
    async def break_it() -> None:
        await other.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'idle in transaction'"
        )

    caller = Caller(break_it)
    with pytest.raises(Unavailable):
        await caller.call(copy, demo_copy_dsn)
    assert caller.body
    assert not caller.is_complete
    await Caller().call(copy, demo_copy_dsn)


async def test_export_that_fails_before_its_first_line_is_an_error(
    copy: Starlette, demo_copy_dsn: str, other: asyncpg.Connection
) -> None:
    await other.execute("ALTER TABLE shipment_items RENAME TO elsewhere")
    async with calling(copy) as client:
        response = await client.get(export.PATH, headers=credentials("staff", settings_for(demo_copy_dsn)))
    assert response.status_code == 500
    assert response.json()["errors"][0]["message"] == "Internal server error"
    await until(lambda: idle(copy))


async def test_exports_beyond_half_of_the_pool_wait_outside(demo_dsn: str) -> None:
    async with running(settings_for(demo_dsn, pool_size=2)) as app:
        blocked = asyncio.Event()
        first = Caller(blocked.wait)
        exporting = asyncio.create_task(first.call(app, demo_dsn))
        await first.began.wait()
        async with calling(app) as client:
            headers = credentials("staff", settings_for(demo_dsn))
            refused = await client.get(export.PATH, headers=headers)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
            assert refused.json()["errors"][0]["extensions"]["code"] == "OVERLOADED"
            blocked.set()
            await exporting
            assert (await client.get(export.PATH, headers=headers)).status_code == 200


# ------------------------------------------------------------------------------------------------ many rows

SHIPMENTS = 10_000
# Names that gzip cannot shorten much.
FILL = f"""
SET session_replication_role = replica;
INSERT INTO shipments (order_id, channel_id, created_at)
  SELECT 2075, 1, timestamptz '2020-01-01' + g * interval '1 minute' FROM generate_series(1, {SHIPMENTS}) g;
INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, name)
  SELECT id, 1, 2075, 1, (SELECT string_agg(md5(concat(number, g)), '') FROM generate_series(1, 50) g)
  FROM shipments WHERE created_at < '2021-01-01';
INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code)
  SELECT id, 2075, 1, 1, id::text FROM shipments WHERE created_at < '2021-01-01';
RESET session_replication_role;
ANALYZE shipments; ANALYZE shipment_items; ANALYZE track_and_traces;
"""
OLD = "createdAt.lessThan=2021-01-01"


@pytest.fixture(scope="session")
def large_dsn(databases: Databases, demo_template: str) -> str:
    """A database with so many shipments that their text fits into no buffer on its way."""

    async def fill(dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(FILL)
        await connection.close()

    return databases.create(databases.shared("many_shipments", demo_template, fill))


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)  # or all may be on its way before anybody reads
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    task = asyncio.create_task(server.serve([listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}{export.PATH}"
    server.should_exit = True
    await task


def slowly_reading() -> httpx.AsyncClient:
    """A client for whom the system keeps little that it has not read yet."""
    little = httpx.AsyncHTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)])
    return httpx.AsyncClient(transport=little, timeout=FAR_TOO_LONG)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_export_that_breaks_off_is_noticed_over_a_socket(
    large_dsn: str, encoding: str, connection_to: ConnectionTo
) -> None:
    other = await connection_to(large_dsn)
    headers = {**credentials("staff", settings_for(large_dsn)), "accept-encoding": encoding}
    async with (
        running(settings_for(large_dsn)) as app,
        serving(app) as url,
        slowly_reading() as client,
    ):
        async with client.stream("GET", f"{url}?{OLD}", headers=headers) as response:
            chunks = response.aiter_raw()
            assert await anext(chunks)
            await other.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'waybill' AND backend_xmin IS NOT NULL"
            )
            with pytest.raises(httpx.RemoteProtocolError):
                [chunk async for chunk in chunks]
        response = await client.get(f"{url}?codes=nobody", headers=headers)
        assert response.status_code == 200
        assert idle(app)


async def test_export_over_a_socket_ends_when_the_caller_hangs_up(large_dsn: str) -> None:
    headers = credentials("staff", settings_for(large_dsn))
    async with running(settings_for(large_dsn)) as app, serving(app) as url, slowly_reading() as client:
        async with client.stream("GET", url, headers=headers) as response:
            await anext(response.aiter_raw())
            assert not idle(app)
        await until(lambda: idle(app))


class Counting(Caller):
    """Keeps nothing of what it gets."""

    size = 0

    async def send(self, message: Any) -> None:
        self.size += len(message.get("body", b""))


async def test_export_of_seven_times_the_rows_takes_no_more_memory(large_dsn: str) -> None:
    """10,000 shipments with as many items and codes, and 1,439 of them: at no time is there more than a batch."""
    sizes, peaks = [], []
    async with running(settings_for(large_dsn)) as app:
        for query in ("createdAt.lessThan=2020-01-01T23:59:00Z", OLD):
            caller = Counting()
            tracemalloc.start()
            try:
                await caller.call(app, large_dsn, query)
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
            sizes.append(caller.size)
    assert sizes[1] > 6 * sizes[0]
    assert peaks[1] < 1.2 * peaks[0] < sizes[1] / 3
