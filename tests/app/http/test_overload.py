"""How many are answered at a time, who waits, and who is told to come back."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette

from app.errors import Shed
from app.http import overload
from app.http.deadline import Deadlines, Work
from app.http.overload import LEAST, ConcurrencyLimit, Kind, LoadShedder, kind_of
from app.settings import Settings
from tests.app.http.serving import served
from tests.conftest import calling, credentials, locked, running, settings_for, until, until_blocked, until_waiting

SHIPMENTS = {"query": "{ shipments(input: {offset: 1}) { items { id } } }"}
# What needs no table that a test locks.
CARRIERS = {"query": "{ carriers { itemsFound } }"}
KEY = {b"x-storefront-key": b"k"}


@pytest.mark.parametrize(
    ("path", "fields", "kind"),
    [
        ("/healthz", {}, None),
        ("/readyz", KEY, None),
        ("/metrics", {b"priority": b"u=7"}, None),
        ("/graphql", KEY, Kind.CUSTOMER),
        ("/api/shop/customer-orders", {}, Kind.CUSTOMER),
        ("/graphql", {b"authorization": b"Bearer x"}, Kind.PORTAL),
        ("/graphql", {b"apikey": b"x"}, Kind.PARTNER),
        ("/export/orders.ndjson", {b"apikey": b"x"}, Kind.EXPORT),
        ("/graphql", {b"apikey": b"x", b"priority": b"u=7, i"}, Kind.BACKGROUND),
        ("/graphql", {b"authorization": b"Bearer x", b"priority": b"i,u=7"}, Kind.BACKGROUND),
        ("/graphql", {b"authorization": b"Bearer x", b"priority": b"u=3"}, Kind.PORTAL),
    ],
)
def test_whose_request_it_is_stands_in_its_head(path: str, fields: dict[bytes, bytes], kind: Kind | None) -> None:
    assert kind_of(path, fields) == kind


def settled_limit(seconds: Callable[[int], float], asked: int = 2_000, answers: int = 40_000) -> list[float]:
    """The limit after each answer, where more ask than may, and an answer takes `seconds` with so many under way."""
    limit, now, under_way = ConcurrencyLimit(), 0.0, 0
    ends: list[tuple[float, float]] = []
    values = []
    for _ in range(answers):
        while under_way < min(limit.value, asked):
            under_way += 1
            took = seconds(under_way)
            heapq.heappush(ends, (now + took, took))
        now, took = heapq.heappop(ends)
        limit.observe(took, under_way, now)
        under_way -= 1
        values.append(limit.value)
    return values


def test_where_requests_only_wait_for_each_other_few_are_let_in() -> None:
    values = settled_limit(lambda under_way: 0.001 * under_way)
    assert LEAST <= max(values[len(values) // 2 :]) < 30
    assert min(values) >= LEAST


def test_where_nothing_gets_slower_many_are_let_in() -> None:
    assert settled_limit(lambda _under_way: 0.02)[-1] > 300


def test_what_gets_slower_beyond_a_number_is_found() -> None:
    values = settled_limit(lambda under_way: 0.01 * max(1.0, under_way / 100))
    assert 80 < sum(values[len(values) // 2 :]) / (len(values) / 2) < 220


def test_a_limit_that_is_not_reached_stays() -> None:
    assert set(settled_limit(lambda under_way: 0.001 * under_way, asked=20)) == {128.0}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are answered at a time."""
    monkeypatch.setattr(overload, "LEAST", 2)
    monkeypatch.setattr(overload, "_INITIAL", 2)


class Requests:
    """Of nobody: each is under way until it is ended."""

    def __init__(self) -> None:
        self.shedder = LoadShedder()
        self.begun: list[str] = []
        self._works: dict[str, Work] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._deadlines = Deadlines(1_000_000)

    async def begin(self, name: str, kind: Kind) -> None:
        self.tasks[name] = asyncio.create_task(self._begin(name, kind))
        await asyncio.sleep(0)

    async def _begin(self, name: str, kind: Kind) -> None:
        work = self._works[name] = Work(self._deadlines, asyncio.current_task(), 0.0)
        if not self.shedder.admit(work, kind):
            await self.shedder.wait(work, kind)
        self.begun.append(name)

    async def end(self, name: str) -> None:
        self._works[name].end()
        for _ in range(3):
            await asyncio.sleep(0)


async def test_the_most_urgent_are_let_in_first(few: None) -> None:
    requests = Requests()
    for name, kind in [("a", Kind.PORTAL), ("b", Kind.CUSTOMER)]:
        await requests.begin(name, kind)
    for name, kind in [("c", Kind.PARTNER), ("d", Kind.PORTAL), ("e", Kind.CUSTOMER), ("f", Kind.PORTAL)]:
        requests.shedder.limit.seconds = 0.0
        await requests.begin(name, kind)
    assert (requests.begun, requests.shedder.waiting) == (["a", "b"], 2 + 2)
    for name in ("a", "b", "e", "d", "f"):
        await requests.end(name)
    assert requests.begun == ["a", "b", "e", "d", "f", "c"]
    await requests.end("c")
    assert (requests.shedder.under_way, requests.shedder.waiting) == (0, 0)


async def test_some_may_use_but_a_part(few: None) -> None:
    requests = Requests()
    await requests.begin("a", Kind.BACKGROUND)
    await requests.begin("b", Kind.EXPORT)
    assert requests.begun == ["a"]
    # Who may use more does not wait for them.
    await requests.begin("c", Kind.CUSTOMER)
    assert requests.begun == ["a", "c"]
    for name in ("a", "c", "b"):
        await requests.end(name)
    assert requests.begun == ["a", "c", "b"]


async def test_who_would_wait_for_too_long_is_told_at_once(few: None) -> None:
    requests = Requests()
    for name in "abcd":
        await requests.begin(name, Kind.CUSTOMER)
    requests.shedder.limit.seconds = 0.07  # so the next would be answered after 0.175 s
    await requests.begin("e", Kind.CUSTOMER)
    with pytest.raises(Shed):
        await requests.tasks["e"]
    await requests.begin("f", Kind.PORTAL)  # which waits for longer
    assert not requests.tasks["f"].done()
    assert requests.shedder.refused == dict.fromkeys(Kind, 0) | {Kind.CUSTOMER: 1}
    for name in ("a", "b", "c", "d", "f"):
        await requests.end(name)
    assert requests.begun == ["a", "b", "c", "d", "f"]


async def test_who_waits_for_too_long_all_the_same_is_told_then(few: None) -> None:
    requests = Requests()
    for name in "abc":
        await requests.begin(name, Kind.CUSTOMER)
    with pytest.raises(Shed):
        await requests.tasks["c"]  # nobody is ever answered
    assert requests.shedder.waiting == 0


async def test_who_leaves_while_it_waits_takes_no_room(few: None) -> None:
    requests = Requests()
    for name in "abcd":
        await requests.begin(name, Kind.PORTAL)
    requests.tasks["c"].cancel()
    await asyncio.sleep(0)
    assert requests.shedder.waiting == 1
    await requests.end("a")
    assert (requests.begun, requests.shedder.under_way) == (["a", "b", "d"], 2)
    # One who is let in at the moment in which it leaves passes the room on.
    for name in "ef":
        await requests.begin(name, Kind.PORTAL)
    requests._works["b"].end()
    requests.tasks["e"].cancel()
    for _ in range(4):
        await asyncio.sleep(0)
    assert (requests.begun[-1], requests.shedder.under_way, requests.shedder.waiting) == ("f", 2, 0)


@asynccontextmanager
async def full(dsn: str, **changes: object) -> AsyncIterator[tuple[Starlette, Settings]]:
    """An application that answers two at a time, and is about to be asked for more."""
    settings = settings_for(dsn, **changes)
    async with running(settings) as app:
        yield app, settings


@pytest.mark.parametrize("way", ["whole", "asgi"])
async def test_a_service_that_is_full_says_so_and_goes_on(few: None, way: str, demo_dsn: str) -> None:
    async with full(demo_dsn, allowed_origins=("https://shop.example",)) as (app, settings), served(app, way) as client:
        staff, origin = credentials("staff", settings), {"Origin": "https://shop.example"}
        async with locked(demo_dsn, "shipments") as holder:
            asked = [
                asyncio.create_task(client.post("/graphql", json=SHIPMENTS, headers=staff, timeout=None))
                for _ in range(4)
            ]
            await until_blocked(holder)
            await until(lambda: shedder_of(app).waiting >= 2)
            shedder_of(app).limit.seconds = 10.0
            refused = await client.post("/graphql", json=CARRIERS, headers=staff | origin | {"X-Request-Id": "of-mine"})
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.json()["errors"][0]["extensions"]["code"] == "OVERLOADED"
            assert refused.headers["x-request-id"] == "of-mine"
            assert refused.headers["access-control-allow-origin"] == "https://shop.example"
            assert refused.headers["cache-control"] == "no-store"
            rest = await client.get("/export/orders.ndjson", headers=staff)
            assert (rest.status_code, rest.headers["retry-after"]) == (503, "1")
            for path in ("/healthz", "/readyz", "/metrics"):
                assert (await client.get(path)).status_code == 200
            text = (await client.get("/metrics")).text
            assert 'waybill_requests_shed_total{kind="portal"} 1.0' in text
            assert 'waybill_requests_shed_total{kind="export"} 1.0' in text
            shedder_of(app).limit.seconds = 0.0
        answers = await asyncio.gather(*asked)
        # Those who waited for the lock for longer than they had patience were told so.
        assert {answer.status_code for answer in answers} <= {200, 503}
        assert [answer.status_code for answer in answers].count(200) >= 2
        assert (await client.post("/graphql", json=CARRIERS, headers=staff)).status_code == 200
        assert (shedder_of(app).under_way, shedder_of(app).waiting) == (0, 0)


def shedder_of(app: Starlette) -> LoadShedder:
    shedder = app.waybill.shedder  # type: ignore[attr-defined]  # a Service
    assert isinstance(shedder, LoadShedder)
    return shedder


async def test_who_does_not_want_to_wait_is_told_sooner(demo_dsn: str) -> None:
    async with running(settings_for(demo_dsn)) as app, calling(app) as client, locked(demo_dsn, "shipments") as holder:
        headers = credentials("staff", settings_for(demo_dsn))
        late = await client.post("/graphql", json=SHIPMENTS, headers=headers | {"Prefer": "respond-async, wait=1"})
        assert (late.status_code, late.headers["preference-applied"]) == (503, "wait=1")
        assert late.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"
        await until_waiting(holder, 0)
        for words in ("wait=0", "wait=15", "wait=99999", "wait=x", "wait"):
            answer = await client.post("/graphql", json=CARRIERS, headers=headers | {"Prefer": words})
            assert (answer.status_code, "preference-applied" in answer.headers) == (200, False)
        answer = await client.post("/graphql", json=CARRIERS, headers=headers | {"Prefer": 'Wait="5"'})
        assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=5")


async def test_how_long_a_caller_waits_reaches_the_database(demo_copy_dsn: str) -> None:
    """As statement_timeout of the transaction; what is read is canceled."""
    mutation = 'mutation { carrierCreate(input: {name: "%s", type: PICKUP, descriptions: []}) { id } }'
    async with running(settings_for(demo_copy_dsn)) as app, calling(app) as client:
        told = []
        begin = app.state.db.begin

        async def listen(text: str, first: Any, **values: Any) -> Any:
            connection, row = await begin(text, first, **values)
            told.append(await connection.fetchval("SHOW statement_timeout"))
            return connection, row

        app.state.db.begin = listen
        headers = credentials("editor", settings_for(demo_copy_dsn))
        for name, prefer in [("Quick", {}), ("Quicker", {"Prefer": "wait=3"})]:
            answer = await client.post("/graphql", json={"query": mutation % name}, headers=headers | prefer)
            assert "errors" not in answer.json(), answer.text
    assert told == ["15s", "3s"]
