"""Standbys that lag, go, are promoted or went another way, under load: nobody is shown less than they have seen.

Each writer has a shipment of its own, whose `externalId` counts what it has written; so a reader knows by it what it is
shown. Two applications are two machines: they share nothing but the servers.
"""

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import asyncpg
import httpx
import orjson
import pytest
from starlette.applications import Starlette

from app.auth.token import Tokens
from app.demo import fixtures, generate
from app.demo.embedded import Server
from app.postgres.migrate import migrate
from app.postgres.replicas import Replicas
from app.settings import Settings
from tests import server
from tests.app.http.serving import served
from tests.app.live.conftest import connected
from tests.conftest import READER_SCOPES, WRITER_SCOPES, Aging, calling, running, settings_for, until
from tests.fuzz import MINUTES
from tests.standby import standby_of

DELAY = 0.5
WRITERS, OTHERS = 5, 12
PAIRS = int(os.environ.get("PAIRS") or (10_000 if MINUTES else 100))
WRITE = """
mutation ($id: String!, $text: String!) { shipmentUpdate(id: $id, input: {externalId: $text}) { externalId } }
"""
READ = "query ($id: String!) { shipment(id: $id) { externalId trackAndTraces { carrier { name } } } }"
RENAME = """
mutation ($id: Int!, $name: String!) { carrierUpdate(id: $id, input: {name: $name}) { name } }
"""
CHANGES = """
query ($after: String) { changes(after: $after, first: 20) {
  nextCursor hasMore changes { type id version shipment { id version } }
} }
"""
HEADER = "Waybill-Consistency"
# Nothing else has a primary keep what a standby has not yet.
KEPT = {"wal_keep_size": "1GB"}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def primary() -> Iterator[Server]:
    with server.temporary(**KEPT) as primary:
        fill(primary)
        yield primary


@pytest.fixture(scope="module")
def delayed(primary: Server) -> Iterator[Server]:
    """A standby that is half a second behind."""
    with standby_of(primary, recovery_min_apply_delay=f"{round(DELAY * 1000)}ms") as standby:
        yield standby


@pytest.fixture
def own() -> Iterator[Server]:
    """A primary that one test may kill."""
    with server.temporary(**KEPT) as primary:
        fill(primary)
        yield primary


def fill(primary: Server) -> None:
    asyncio.run(migrate(primary.dsn))
    asyncio.run(fixtures.load(primary.dsn))
    asyncio.run(generate.generate(primary.dsn, orders=40, seed=1))


class Gateway:
    """An application, and whoever asks it."""

    def __init__(self, app: Starlette, settings: Settings) -> None:
        self.app = app
        self._settings = settings

    @property
    def replicas(self) -> Replicas:
        replicas: Replicas = self.app.waybill.replicas  # type: ignore[attr-defined]
        return replicas

    @property
    def share(self) -> float:
        """Of the reads that replicas answered."""
        reads = sum(replica.reads for replica in self.replicas.all)
        return reads / (reads + self.replicas.primary_reads)

    async def ask(
        self, viewer: int, query: str, headers: dict[str, str] | None = None, **variables: Any
    ) -> httpx.Response:
        token = Tokens(self._settings).issue(f"staff:{viewer}", scope=f"{READER_SCOPES} {WRITER_SCOPES}")
        body = {"query": query, "variables": variables}
        async with calling(self.app) as client:
            return await client.post(
                "/graphql", json=body, headers={"Authorization": f"Bearer {token}", **(headers or {})}
            )

    async def data(self, viewer: int, query: str, headers: dict[str, str] | None = None, **variables: Any) -> Any:
        answer = (await self.ask(viewer, query, headers, **variables)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def read(self, viewer: int, id_: str, headers: dict[str, str] | None = None) -> int:
        text = (await self.data(viewer, READ, headers, id=id_))["shipment"]["externalId"]
        return int(text or 0)

    async def write(self, viewer: int, id_: str, number: int) -> str:
        """What the answer says of the state that it has left."""
        response = await self.ask(viewer, WRITE, id=id_, text=str(number))
        answer = response.json()
        assert answer["data"] == {"shipmentUpdate": {"externalId": str(number)}}, answer
        assert answer["extensions"]["consistency"] == response.headers[HEADER]
        return response.headers[HEADER]


@asynccontextmanager
async def gateway(primary: str, *standbys: Server, **changes: Any) -> AsyncIterator[Gateway]:
    """One that has begun to read from all standbys."""
    urls = ",".join(standby.dsn for standby in standbys)
    settings = settings_for(primary, read_database_url=urls, **changes)
    async with running(settings) as app:
        gateway = Gateway(app, settings)
        await until(lambda: all(replica.is_near for replica in gateway.replicas.all))
        yield gateway


async def shipments_of(dsn: str, number: int) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT id::text FROM shipments ORDER BY number LIMIT $1", number)
        return [row["id"] for row in rows]
    finally:
        await connection.close()


async def test_whoever_wrote_reads_it_and_all_others_read_from_the_replica(primary: Server, delayed: Server) -> None:
    stale: list[str] = []
    ids = await shipments_of(primary.dsn, WRITERS)
    async with gateway(primary.dsn, delayed) as here, gateway(primary.dsn, delayed) as there:

        async def others(viewer: int, id_: str) -> None:
            """Who has written nothing reads what is some time ago, and never goes back."""
            seen = known.get((viewer, id_), 0)
            number = await here.read(viewer, id_)
            if number < seen:
                stale.append(f"{viewer} went back from {seen} to {number}")
            known[viewer, id_] = number

        async def pairs(place: int, id_: str) -> None:
            for pair in range(PAIRS // WRITERS):
                number = next(_numbers)
                state = await here.write(place + 1, id_, number)
                if pair % 2:
                    shown = await here.read(place + 1, id_)
                else:
                    shown = await there.read(place + 101, id_, {HEADER: state})
                if shown != number:
                    stale.append(f"{shown} after {number} was written, pair {pair}")
                for other in range(OTHERS):
                    await others(1000 + place * OTHERS + other, id_)

        known: dict[tuple[int, str], int] = {}
        await asyncio.gather(*(pairs(place, id_) for place, id_ in enumerate(ids)))
        replicas = [one for each in (here, there) for one in each.replicas.all]
        reads = sum(one.reads for one in replicas)
        share = reads / (reads + here.replicas.primary_reads + there.replicas.primary_reads)
    print(f"{PAIRS:,} pairs, {len(stale)} stale, {share:.1%} of all reads on the replica")
    assert stale == []
    assert share >= 0.8


async def test_a_replica_that_is_a_moment_behind_is_waited_for(primary: Server) -> None:
    [id_] = await shipments_of(primary.dsn, 1)
    with standby_of(primary) as standby:
        async with gateway(primary.dsn, standby) as each:
            for _ in range(20):
                number = next(_numbers)
                await each.write(1, id_, number)
                assert await each.read(1, id_) == number
            assert each.share > 0.5


async def test_what_is_kept_of_rows_follows_the_replica(primary: Server, delayed: Server) -> None:
    connection = await asyncpg.connect(primary.dsn)
    id_, carrier_id = await connection.fetchrow(
        "SELECT t.shipment_id::text, t.carrier_id FROM track_and_traces t WHERE t.carrier_id IS NOT NULL LIMIT 1"
    )

    async def name(viewer: int, headers: dict[str, str] | None = None) -> str:
        shown = await each.data(viewer, READ, headers, id=id_)
        return str(shown["shipment"]["trackAndTraces"][0]["carrier"]["name"])

    async with gateway(primary.dsn, delayed) as each:
        for _ in range(3):
            await until(lambda: each.replicas.all[0].caches.is_caching)
            before = await name(2)
            after = f"Carrier {next(_numbers)}"
            renamed = await each.ask(1, RENAME, id=carrier_id, name=after)
            assert await name(1) == after
            assert await name(3, {HEADER: renamed.headers[HEADER]}) == after
            assert await name(2) in (before, after)
            # The beat that drops all in any case is far away.
            async with asyncio.timeout(DELAY + 3):
                while await name(2) != after:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
    await connection.close()


async def test_the_feed_goes_on_from_page_to_page_wherever_it_is_read(primary: Server, delayed: Server) -> None:
    """A copy that is made by an export, and kept by pages that two machines answer."""
    ids = await shipments_of(primary.dsn, 3)
    with standby_of(primary) as near:
        async with gateway(primary.dsn, delayed, near) as here, gateway(primary.dsn, near, delayed) as there:
            over = asyncio.Event()

            async def write() -> None:
                while not over.is_set():
                    for id_ in ids:
                        await here.write(1, id_, next(_numbers))

            async with asyncio.TaskGroup() as group:
                group.create_task(write())
                await asyncio.sleep(0.2)
                token = Tokens(here._settings).issue("staff:9", scope=READER_SCOPES)
                async with calling(here.app) as client:
                    export = await client.get("/export/shipments.ndjson", headers={"Authorization": f"Bearer {token}"})
                versions = {one["id"]: one["version"] for one in map(orjson.loads, export.text.splitlines())}
                cursor, told = export.headers["x-changes-cursor"], 0
                machines = itertools.cycle((here, there))
                while told < 200:
                    page = (await next(machines).data(9, CHANGES, after=cursor))["changes"]
                    cursor = page["nextCursor"]
                    for change in page["changes"]:
                        if change["type"] == "SHIPMENT" and change["id"] in ids:
                            told += 1
                            assert change["version"] == versions[change["id"]] + 1  # each once, and none left out
                            assert change["shipment"]["version"] >= change["version"]
                            versions[change["id"]] = change["version"]
                over.set()


FILL_A_PAGE = """
DO $$ BEGIN
  WHILE (pg_current_wal_insert_lsn() - '0/0')::bigint % current_setting('wal_block_size')::int <> 24 LOOP
    PERFORM pg_logical_emit_message(false, '', '');
  END LOOP;
END $$
"""


@pytest.mark.parametrize("rest", ["SELECT pg_switch_wal()", FILL_A_PAGE], ids=["a file", "a page"])
async def test_a_replica_that_has_all_of_a_quiet_primary_is_read_from_at_once(primary: Server, rest: str) -> None:
    """Where the primary's log rests at the end of a file or a page: the byte that it writes next is behind a header."""
    with standby_of(primary) as standby:
        async with gateway(primary.dsn, standby):
            pass  # which notes the timeline
        await server.administer(primary.dsn, "SELECT pg_logical_emit_message(false, '', '')", rest)
        async with asyncio.timeout(5), gateway(primary.dsn, standby) as each:
            state = (await each.data(1, CHANGES))["changes"]["nextCursor"]
            await each.data(1, CHANGES, after=state)
            assert each.share > 0


async def test_a_replica_that_lags_too_far_behind_or_is_gone_is_left_out_and_taken_back(primary: Server) -> None:
    [id_] = await shipments_of(primary.dsn, 1)
    with standby_of(primary) as standby:
        async with gateway(primary.dsn, standby, read_lag_seconds=0.3) as each:
            [replica] = each.replicas.all
            connection = await asyncpg.connect(standby.dsn)
            await connection.execute("SELECT pg_wal_replay_pause()")
            await each.write(1, id_, next(_numbers))
            await until(lambda: not replica.is_near)
            async with calling(each.app) as client:
                told = (await client.get("/readyz")).json()["replicas"]
            assert told[0]["used"] is False
            assert told[0]["lagSeconds"] is None or told[0]["lagSeconds"] > 0.3
            before = replica.reads
            await each.read(2, id_)
            assert replica.reads == before
            await connection.execute("SELECT pg_wal_replay_resume()")
            await until(lambda: replica.is_near)
            await each.read(2, id_)
            assert replica.reads > before
            await connection.close()
            standby.stop()
            for _ in range(20):
                await each.read(2, id_)
            await until(lambda: not replica.is_near)
            assert await each.read(2, id_)


async def test_a_promotion_under_load_shows_nobody_less_and_loses_nothing(own: Server) -> None:
    """The primary is killed while it is written to; what it has acknowledged, the standby has, for it waits for it."""
    primary = own
    with ExitStack() as stack:
        standby, other = (stack.enter_context(standby_of(primary)) for _ in range(2))
        await server.administer(
            primary.dsn, "ALTER SYSTEM SET synchronous_standby_names = 'ANY 2 (*)'", "SELECT pg_reload_conf()"
        )
        ids = await shipments_of(primary.dsn, WRITERS)
        both = f"{primary.dsn.rpartition('/')[0]},{standby.dsn.rpartition('@')[2]}?target_session_attrs=primary"
        async with gateway(both, standby, other) as each:
            written = dict.fromkeys(ids, 0)
            wrong: list[str] = []
            good_at: list[float] = []
            over = asyncio.Event()

            async def write(place: int, id_: str) -> None:
                while not over.is_set():
                    number = next(_numbers)
                    answer = (await each.ask(place + 1, WRITE, id=id_, text=str(number))).json()
                    if "errors" in answer:
                        await asyncio.sleep(0.01)
                        continue
                    written[id_] = number
                    shown = await read(place + 1, id_)
                    if shown is not None and shown != number:
                        wrong.append(f"{shown} after {number} was written")
                    good_at.append(time.monotonic())

            async def read(viewer: int, id_: str) -> int | None:
                answer = (await each.ask(viewer, READ, id=id_)).json()
                return None if "errors" in answer else int(answer["data"]["shipment"]["externalId"] or 0)

            async def watch(viewer: int, id_: str) -> None:
                seen = 0
                while not over.is_set():
                    shown = await read(viewer, id_)
                    if shown is not None:
                        if shown < seen:
                            wrong.append(f"{shown} was shown after {seen}")
                        seen = shown
                    await asyncio.sleep(0.005)

            async with asyncio.TaskGroup() as group:
                for place, id_ in enumerate(ids):
                    group.create_task(write(place, id_))
                    group.create_task(watch(1000 + place, id_))
                await asyncio.sleep(1)
                primary._process.kill()
                await asyncio.sleep(0.3)
                connection = await asyncpg.connect(standby.dsn)
                await connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
                assert await connection.fetchval("SELECT pg_promote()")
                promoted_at = time.monotonic()
                async with asyncio.timeout(30):
                    while not any(at > promoted_at for at in good_at):  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                await asyncio.sleep(1)
                over.set()
            first = min(at for at in good_at if at > promoted_at) - promoted_at
            lost = []
            for id_, number in written.items():
                text = await connection.fetchval("SELECT external_id FROM shipments WHERE id::text = $1", id_)
                lost += [f"{number} was written, {text} is there"] if int(text) < number else []
            await connection.close()
            # The promoted one takes writes; the other follows the former primary, which is no more.
            assert not any(replica.is_near for replica in each.replicas.all)
    print(f"the first write and its read {first * 1000:.0f} ms after the promotion")
    assert (wrong, lost) == ([], [])
    assert first < 1 if os.environ.get("PAIRS") else first < 10


async def test_a_standby_that_went_another_way_than_the_primary_is_not_read_from(own: Server) -> None:
    """It has rows that its former primary wrote after another standby was promoted, and a place far ahead."""
    [id_] = await shipments_of(own.dsn, 1)
    async with AsyncExitStack() as stack:
        promoted, strayed = (stack.enter_context(standby_of(own)) for _ in range(2))
        connection = await asyncpg.connect(promoted.dsn)
        stack.push_async_callback(connection.close)
        async with gateway(own.dsn, strayed):
            pass  # which notes the first timeline, as any gateway does
        assert await connection.fetchval("SELECT pg_promote()")
        await server.administer(
            own.dsn,
            f"UPDATE shipments SET external_id = '999999' WHERE id = '{id_}'",
            "SELECT pg_switch_wal()",
        )
        settings = settings_for(promoted.dsn, read_database_url=strayed.dsn)
        async with running(settings) as app:
            each = Gateway(app, settings)
            await until(lambda: each.replicas.all[0]._told != "")
            for _ in range(5):
                state = await each.write(1, id_, number := next(_numbers))
                assert state.startswith("2:")
                assert await each.read(2, id_) == number
                assert not each.replicas.all[0].is_near
                await asyncio.sleep(0.1)


async def test_a_key_that_is_revoked_is_refused_though_the_replica_knows_it(primary: Server, delayed: Server) -> None:
    async with gateway(primary.dsn, delayed) as each, calling(each.app) as client:
        body = {"query": "{ shipments(input: {offset: 1}) { itemsFound } }"}
        headers = {"apikey": fixtures.PARTNER_KEY}
        assert "errors" not in (await client.post("/graphql", json=body, headers=headers)).json()
        try:
            await server.administer(primary.dsn, "UPDATE api_keys SET revoked_at = now()")
            async with asyncio.timeout(DELAY / 2):
                while "errors" not in (await client.post("/graphql", json=body, headers=headers)).json():  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
        finally:
            await server.administer(primary.dsn, "UPDATE api_keys SET revoked_at = NULL")


async def test_an_answer_that_is_replayed_tells_of_a_state_as_well(primary: Server, delayed: Server) -> None:
    [id_] = await shipments_of(primary.dsn, 1)
    async with gateway(primary.dsn, delayed) as each:
        text, headers = str(next(_numbers)), {"Idempotency-Key": f"key {next(_numbers)}".replace(" ", "-")}
        first, again = [await each.ask(1, WRITE, headers, id=id_, text=text) for _ in range(2)]
        assert again.headers["idempotent-replayed"] == "true"
        assert again.json()["data"] == first.json()["data"]
        assert again.json()["extensions"] == {"consistency": again.headers[HEADER]}


@pytest.mark.parametrize("text", ["", "1", "0:0/1", "1:0/g", "1:0/100000000", "1:0/1 ", "9999999999:0/1"])
async def test_a_state_that_is_none_is_refused(primary: Server, delayed: Server, text: str) -> None:
    async with gateway(primary.dsn, delayed) as each:
        refused = await each.ask(1, "{ carriers { itemsFound } }", {HEADER: text})
        assert refused.status_code == 400
        [error] = refused.json()["errors"]
        assert error["extensions"]["path"] == HEADER


async def test_a_state_that_nobody_has_written_yet_is_read_from_the_primary(primary: Server, delayed: Server) -> None:
    async with gateway(primary.dsn, delayed) as each:
        for text in ("1:FFFFFFFF/FFFFFFFF", "7:0/1"):
            assert (await each.ask(1, "{ carriers { itemsFound } }", {HEADER: text})).status_code == 200
        assert each.share == 0


async def test_metrics_tell_who_answered(primary: Server, delayed: Server) -> None:
    async with gateway(primary.dsn, delayed) as each, calling(each.app) as client:
        await each.data(1, "{ carriers { itemsFound } }")
        text = (await client.get("/metrics")).text
        assert 'waybill_reads_total{server="1"} 1.0' in text
        assert 'waybill_reads_total{server="primary"} 0.0' in text
        assert 'waybill_replica_lag_seconds{server="1"}' in text
        assert 'waybill_replica_used{server="1"} 1.0' in text


async def test_whoever_is_told_of_a_change_reads_it(primary: Server, delayed: Server) -> None:
    [id_] = await shipments_of(primary.dsn, 1)
    query = (
        f'subscription {{ shipmentChanges(input: {{shipmentIds: ["{id_}"]}}) {{ action shipment {{ externalId }} }} }}'
    )
    async with (
        gateway(primary.dsn, delayed) as here,
        gateway(primary.dsn, delayed) as there,
        served(here.app, "whole") as client,
        connected(str(client.base_url)) as socket,
    ):
        token = Tokens(here._settings).issue("staff:30", scope=READER_SCOPES)
        await socket.begin({"Authorization": f"Bearer {token}"})
        await socket.following(query)
        for _ in range(3):
            number = next(_numbers)
            await here.write(1, id_, number)
            payload = (await socket.receive())["payload"]
            assert payload["data"]["shipmentChanges"]["shipment"] == {"externalId": str(number)}
            assert await here.read(30, id_) == number
            assert await there.read(31, id_, {HEADER: payload["extensions"]["consistency"]}) == number


async def test_what_was_written_is_told_though_nobody_knows_its_state_in_time(
    primary: Server, delayed: Server, deadlines: Aging, monkeypatch: pytest.MonkeyPatch
) -> None:
    [id_] = await shipments_of(primary.dsn, 1)
    async with gateway(primary.dsn, delayed) as each:
        asked, present = asyncio.Event(), each.replicas.present

        async def never() -> None:
            asked.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(each.replicas, "present", never)
        writing = asyncio.create_task(each.ask(1, WRITE, id=id_, text=str(number := next(_numbers))))
        await asked.wait()
        deadlines.expire()
        response = await writing
        assert response.json() == {"data": {"shipmentUpdate": {"externalId": str(number)}}}
        assert HEADER not in response.headers
        monkeypatch.setattr(each.replicas, "present", present)
        assert await each.read(1, id_) == number
