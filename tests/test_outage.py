"""The database is lost under load, in each way it can be: what was answered is right, what was read did not fail.

Callers compare every answer with the one they had before. What is counted is `wrong`, an answer that differs; `failed`,
one that is no answer; and by code those that were told to come again.
"""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from app.demo import fixtures
from app.demo.embedded import Server
from app.postgres.connect import Connector, Persistence
from app.postgres.migrate import migrate
from tests import server
from tests.conftest import (
    FAR_TOO_LONG,
    Aging,
    calling,
    credentials,
    locked,
    running,
    settings_for,
    until,
    until_blocked,
)
from tests.pooler import needs_pgbouncer, pooler
from tests.proxy import proxied
from tests.standby import standby_of

CALLERS = 8
ORDER = "query ($id: Int!) { order(orderId: $id) { id status items { sku } shipments { id items { name } } } }"
ASKED: list[dict[str, Any]] = [
    {"query": "{ shipments(input: {offset: 12}) { itemsFound items { id status items { sku quantity } } } }"},
    {"query": "{ orders(input: {offset: 5}) { items { id shipments { id trackAndTraces { code } } } } }"},
    {"query": "{ shipments(input: {offset: 5}) { items { trackAndTraces { code carrier { name } } } } }"},
    *({"query": ORDER, "variables": {"id": number}} for number in (2075, 2076, 1, 2)),
]
CREATE = """
mutation ($name: String!) { carrierCreate(input: {name: $name, type: DELIVERY, descriptions: []}) { id name } }
"""


LOGIN = "mutation ($input: createCustomerLoginInput!) { createCustomerLogin(input: $input) { clientMutationId } }"


class Load:
    """Callers that ask `ASKED` again and again, of an application in this process."""

    def __init__(self, app: Starlette, dsn: str) -> None:
        self.app = app
        self.over = asyncio.Event()
        self.right = 0
        self.wrong: list[str] = []
        self.told: Counter[str] = Counter()
        self._headers = credentials("staff", settings_for(dsn))
        self._writer = credentials("logistics", settings_for(dsn))
        self._expected: list[Any] = []

    async def post(self, body: dict[str, Any], headers: dict[str, str] | None = None) -> httpx.Response:
        async with calling(self.app) as client:
            return await client.post("/graphql", json=body, headers=headers or self._headers)

    async def learn(self) -> None:
        for body in ASKED:
            answer = (await self.post(body)).json()
            assert "errors" not in answer
            self._expected.append(answer)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[list[asyncio.Task[None]]]:
        """Goes on during the block, or until it is `over`, and has ended after it."""
        over = self.over = asyncio.Event()
        callers = [asyncio.create_task(self._call(number, over)) for number in range(CALLERS)]
        try:
            yield callers
        finally:
            over.set()
            async with asyncio.timeout(FAR_TOO_LONG):
                await asyncio.gather(*callers)

    async def _call(self, number: int, over: asyncio.Event) -> None:
        while not over.is_set():
            number = (number + 1) % len(ASKED)
            response = await self.post(ASKED[number])
            answer = response.json()
            if response.status_code == 503:
                assert "data" not in answer
                self.told[answer["errors"][0]["extensions"]["code"]] += 1
            elif answer == self._expected[number]:
                self.right += 1
            else:
                self.wrong.append(json.dumps(answer)[:500])

    async def answers(self, number: int) -> None:
        """Returns when so many more have been answered rightly."""
        goal = self.right + number
        await until(lambda: self.right >= goal or bool(self.wrong))

    async def write(self, name: str) -> httpx.Response:
        return await self.post({"query": CREATE, "variables": {"name": name}}, self._writer)


@asynccontextmanager
async def loaded(dsn: str, **settings: Any) -> AsyncIterator[Load]:
    async with running(settings_for(dsn, deadline=FAR_TOO_LONG, pool_size=4, **settings)) as app:
        load = Load(app, dsn)
        await load.learn()
        yield load
        await until(lambda: app.state.db.pool.lent == 0)
        assert app.state.db.pool._open <= 4


@pytest.fixture
def own() -> Iterator[Server]:
    """A server with the demo's fixtures that is one test's alone."""
    with server.temporary() as own:
        asyncio.run(migrate(own.dsn))
        asyncio.run(fixtures.load(own.dsn))
        yield own


async def test_backends_that_are_terminated_again_and_again_fail_no_read(demo_copy_dsn: str) -> None:
    terminate = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    killer = await asyncpg.connect(demo_copy_dsn)
    killed = 0
    async with loaded(demo_copy_dsn) as load, load.running():
        for _ in range(15):
            await load.answers(5)
            killed += await killer.fetchval(terminate)
    await killer.close()
    assert (load.wrong, load.told) == ([], {})
    assert killed > 15
    assert load.app.state.db.pool.repeated > 0


async def test_connections_that_are_reset_again_and_again_fail_no_read(demo_copy_dsn: str) -> None:
    async with proxied(demo_copy_dsn) as proxy, loaded(proxy.dsn) as load:
        reset = 0
        async with load.running():
            for _ in range(15):
                await load.answers(5)
                reset += proxy.reset()
        assert reset > 15
    assert (load.wrong, load.told) == ([], {})


async def test_idle_connections_that_are_all_reset_fail_nobody(demo_copy_dsn: str) -> None:
    async with proxied(demo_copy_dsn) as proxy, loaded(proxy.dsn) as load:
        for number in range(5):
            await asyncio.gather(*(load.post(body) for body in ASKED))
            assert proxy.reset(idle=True)
            responses = await asyncio.gather(*(load.post(body) for body in ASKED), load.write(f"carrier {number}"))
            assert [response.status_code for response in responses] == [200] * (len(ASKED) + 1)
            assert not any("errors" in response.json() for response in responses)


@pytest.mark.parametrize("statement", ["DISCARD ALL", "DEALLOCATE ALL"])
async def test_sessions_that_are_discarded_again_and_again_fail_nobody(demo_copy_dsn: str, statement: str) -> None:
    async with proxied(demo_copy_dsn) as proxy, loaded(proxy.dsn) as load:
        injected = 0
        async with load.running():
            for number in range(15):
                await load.answers(5)
                injected += proxy.inject(statement)
                assert "errors" not in (await load.write(f"carrier {number}")).json()
        assert injected
    assert (load.wrong, load.told) == ([], {})


async def test_a_network_that_freezes_is_told_in_time_and_forgotten(
    demo_copy_dsn: str, deadlines: Aging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.postgres.pool._SETTLE_SECONDS", 0.3)
    async with proxied(demo_copy_dsn) as proxy, running(settings_for(proxy.dsn, pool_size=4)) as app:
        load = Load(app, proxy.dsn)
        await load.learn()
        proxy.freeze()
        async with load.running():
            assert (await client_get(app, "/readyz")).status_code == 503
            await deadlines.expire_until(lambda: load.told.total() > 2 * CALLERS)
            assert load.right == 0
            assert app.state.db.pool._open <= 4
            proxy.thaw()
            await load.answers(20)
            # What was begun meanwhile, to connect and to cancel, has not piled up: four, and the one that listens.
            await until(lambda: proxy.open <= 5)
            assert (await client_get(app, "/readyz")).status_code == 200
        assert load.wrong == []
        assert set(load.told) <= {"TIMEOUT", "OVERLOADED", "UNAVAILABLE"}


async def client_get(app: Starlette, path: str) -> httpx.Response:
    async with calling(app) as client:
        return await client.get(path)


async def test_a_server_that_is_stopped_in_its_tracks_is_told_in_time_and_forgotten(
    own: Server, deadlines: Aging
) -> None:
    async with running(settings_for(own.dsn, pool_size=4)) as app:
        load = Load(app, own.dsn)
        await load.learn()
        with stopped(own.data_dir):
            async with load.running() as callers:
                assert (await client_get(app, "/readyz")).status_code == 503
                await deadlines.expire_until(lambda: load.told.total() > 2 * CALLERS)
                load.over.set()
                await deadlines.expire_until(lambda: all(caller.done() for caller in callers))
            assert load.right == 0
        async with load.running():
            await load.answers(20)
        assert load.wrong == []
        assert (await client_get(app, "/readyz")).status_code == 200


@contextmanager
def stopped(data_dir: Path) -> Iterator[None]:
    """All processes of the server, as if the machine had no more time for them."""
    postmaster = int((data_dir / "postgres" / "postmaster.pid").read_text().split("\n")[0])
    pids = [
        postmaster,
        *(pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if parent(pid) == postmaster),
    ]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


# ------------------------------------------------------------------------------------------------ poolers


@needs_pgbouncer
@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_behind_a_pooler_everything_is_as_without(
    demo_copy_dsn: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where none can come, none is waited for; where one does, it is.
    monkeypatch.setattr("app.postgres.events._HEARD_SECONDS", 0.2 if mode == "transaction" else FAR_TOO_LONG)
    with pooler(demo_copy_dsn, mode, size=5 if mode == "transaction" else 20) as dsn:
        async with loaded(dsn) as first, loaded(dsn) as second:
            assert (first.app.state.db.pool._connect.statement_cache == 0) == (mode == "transaction")
            async with first.running(), second.running():
                for number in range(10):
                    await first.answers(10)
                    await second.answers(10)
                    for load in (first, second):
                        answer = (await load.write(f"carrier {number} {id(load)}")).json()
                        assert "errors" not in answer, answer
            ready = (await client_get(first.app, "/readyz")).json()
            assert ready["notifications"] == ("polling" if mode == "transaction" else "listening")
    for load in (first, second):
        assert (load.wrong, load.told) == ([], {})


@needs_pgbouncer
async def test_a_pooler_that_was_not_seen_at_the_start_is_found_out(
    demo_copy_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def persistence(_self: Connector) -> Persistence:
        return Persistence(sessions=True, statements=True)

    monkeypatch.setattr(Connector, "persistence", persistence)
    monkeypatch.setattr("app.postgres.events._HEARD_SECONDS", 0.5)
    with pooler(demo_copy_dsn, "transaction", size=3) as dsn:
        async with loaded(dsn) as load, load.running():
            connect = load.app.state.db.pool._connect
            await until(lambda: connect.statement_cache == 0)
            await load.answers(20)
    assert (load.wrong, load.told) == ([], {})


# ------------------------------------------------------------------------------------------------ read-only servers


async def check_read_only(app: Starlette, dsn: str) -> None:
    """Reads work, and whatever would write is told why it cannot."""
    load = Load(app, dsn)
    await load.learn()
    assert (await client_get(app, "/readyz")).json()["writable"] is False
    assert (await client_get(app, "/readyz")).status_code == 200
    login = {"email": fixtures.CUSTOMER_EMAIL, "password": fixtures.CUSTOMER_PASSWORD}
    shop = credentials("stranger", settings_for(dsn))
    async with calling(app) as client:
        by_rest = await client.post("/api/shop/customer/login", json=login, headers=shop)
        body = {"query": LOGIN, "variables": {"input": login}}
        by_graphql = await client.post("/api/graphql", json=body, headers=shop)
    refused = [await load.write("Comet"), by_graphql]
    for response in refused:
        assert response.status_code == 503
        assert "retry-after" not in response.headers  # waiting alone does not help
        [error] = response.json()["errors"]
        assert error["extensions"]["code"] == "READ_ONLY"
    assert by_rest.status_code == 503
    assert by_rest.json() == {"message": "The database can only be read at this moment.", "code": "READ_ONLY"}


async def test_a_server_that_takes_no_writes_is_read(
    demo_copy_dsn: str, caplog: pytest.LogCaptureFixture, copy_connection: asyncpg.Connection
) -> None:
    name = demo_copy_dsn.rpartition("/")[2]
    await copy_connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with running(settings_for(demo_copy_dsn)) as app:
        await check_read_only(app, demo_copy_dsn)
    assert not [record for record in caplog.records if record.exc_info]  # lines, no tracebacks
    assert [record.facts["code"] for record in caplog.records if record.message == "unavailable"] == ["READ_ONLY"] * 3


async def test_a_standby_is_read_and_writes_as_soon_as_it_is_promoted(
    own: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.postgres.events._LISTEN_AGAIN_SECONDS", 0.2)
    monkeypatch.setattr("app.postgres.events.POLL_SECONDS", 0.05)
    with standby_of(own) as standby:
        async with running(settings_for(standby.dsn)) as app:
            await check_read_only(app, standby.dsn)
            assert (await client_get(app, "/readyz")).json()["notifications"] == "polling"
            connection = await asyncpg.connect(standby.dsn)
            assert await connection.fetchval("SELECT pg_promote()")
            await connection.close()
            load = Load(app, standby.dsn)
            assert (await load.write("Comet")).json()["data"]["carrierCreate"]["name"] == "Comet"
            await until(lambda: app.state.db.events.is_listening)
            assert (await client_get(app, "/readyz")).json() == {
                "status": "ready",
                "writable": True,
                "notifications": "listening",
            }


# ------------------------------------------------------------------------------------------------ what callers are told

SHIPMENTS = {"query": "{ shipments(input: {offset: 1}) { items { id } } }"}


def with_parameters(dsn: str, **parameters: str) -> str:
    return f"{dsn}?{'&'.join(f'{name}={value}' for name, value in parameters.items())}"


def told_once(response: httpx.Response, code: str, caplog: pytest.LogCaptureFixture, reason: str) -> bool:
    """Whether it was 503 with the code, and one line of warning without a traceback in the log."""
    warnings = [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    facts = [(record.facts["code"], record.facts["reason"]) for record in warnings]
    assert facts == [(code, reason)]
    assert warnings[0].exc_info is None
    [error] = response.json()["errors"]
    return (response.status_code, error["extensions"]["code"]) == (503, code)


@pytest.mark.parametrize(
    ("parameters", "reason"), [({"lock_timeout": "50ms"}, "55P03"), ({"statement_timeout": "50ms"}, "57014")]
)
async def test_a_timeout_of_the_server_is_told(
    demo_copy_dsn: str, parameters: dict[str, str], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = with_parameters(demo_copy_dsn, **parameters)
    async with running(settings_for(url)) as app, locked(demo_copy_dsn, "shipments"):
        response = await Load(app, demo_copy_dsn).post(SHIPMENTS)
    assert told_once(response, "TIMEOUT", caplog, reason)
    assert response.headers["retry-after"] == "1"


async def test_a_statement_that_somebody_cancels_is_told(demo_copy_dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    async with running(settings_for(demo_copy_dsn)) as app, locked(demo_copy_dsn, "shipments") as holder:
        asking = asyncio.create_task(Load(app, demo_copy_dsn).post(SHIPMENTS))
        for pid in await until_blocked(holder):
            await holder.execute("SELECT pg_cancel_backend($1)", pid)
        assert told_once(await asking, "TIMEOUT", caplog, "57014")


@pytest.mark.parametrize(
    ("state", "code"), [("53100", "UNAVAILABLE"), ("53200", "OVERLOADED"), ("58030", "UNAVAILABLE")]
)
async def test_a_write_for_which_the_server_lacks_something_is_told_and_changes_nothing(
    demo_copy_dsn: str, state: str, code: str, caplog: pytest.LogCaptureFixture, copy_connection: asyncpg.Connection
) -> None:
    """A trigger says what a full disk would: the words and the code are the server's."""
    await copy_connection.execute(
        f"""
        CREATE FUNCTION lack() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'could not extend file "base/1/secret"' USING ERRCODE = '{state}'; END $$;
        CREATE TRIGGER lack BEFORE INSERT ON carriers FOR EACH ROW EXECUTE FUNCTION lack()
        """
    )
    async with running(settings_for(demo_copy_dsn)) as app:
        response = await Load(app, demo_copy_dsn).write("Comet")
        assert told_once(response, code, caplog, state)
        assert "secret" not in response.text
        assert response.json()["errors"][0]["message"].endswith("Nothing was changed.")
        await copy_connection.execute("DROP TRIGGER lack ON carriers")
        assert (await Load(app, demo_copy_dsn).write("Comet")).status_code == 200


async def test_a_server_without_a_connection_left_is_told(
    demo_copy_dsn: str, caplog: pytest.LogCaptureFixture, copy_connection: asyncpg.Connection
) -> None:
    role = f"waybill_few_{os.getpid()}"
    await copy_connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'few' CONNECTION LIMIT 2")
    await copy_connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    try:
        address = demo_copy_dsn.rpartition("@")[2]
        async with (
            running(settings_for(f"postgresql://{role}:few@{address}", pool_size=5)) as app,
            locked(demo_copy_dsn, "shipments"),
        ):
            load = Load(app, demo_copy_dsn)
            asking = asyncio.create_task(load.post(SHIPMENTS))
            await until(lambda: app.state.db.pool.lent == 1)
            response = await load.post({"query": "{ carriers { itemsFound } }"})
            asking.cancel()
            await asyncio.wait([asking])
        assert told_once(response, "OVERLOADED", caplog, "53300")
    finally:
        await copy_connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_server_that_is_gone_is_told_and_found_again(own: Server) -> None:
    async with running(settings_for(own.dsn)) as app:
        load = Load(app, own.dsn)
        await load.learn()
        own.stop()
        for response in (await load.post(SHIPMENTS), await load.write("Comet")):
            assert response.status_code == 503
            assert response.headers["retry-after"] == "5"
            assert response.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
        assert (await client_get(app, "/readyz")).status_code == 503
        assert (await client_get(app, "/healthz")).status_code == 200


async def test_what_was_read_is_shown_beside_what_was_not(demo_copy_dsn: str) -> None:
    query = "{ shipments(input: {offset: 12}) { items { id trackAndTraces { code carrier { name } } } } }"
    async with running(settings_for(with_parameters(demo_copy_dsn, lock_timeout="50ms"))) as app:
        await app.state.db.events.close()  # or the carriers are cached
        load = Load(app, demo_copy_dsn)
        whole = await load.post({"query": query})
        async with locked(demo_copy_dsn, "carriers"):
            partial = await load.post({"query": query})
    assert whole.status_code == 200
    assert "errors" not in whole.json()
    assert {error["extensions"]["code"] for error in partial.json()["errors"]} == {"TIMEOUT"}
    assert partial.status_code == 200
    ids = [[item["id"] for item in response.json()["data"]["shipments"]["items"]] for response in (whole, partial)]
    assert ids[0] == ids[1]


async def test_a_defect_is_still_a_defect(demo_copy_dsn: str, copy_connection: asyncpg.Connection) -> None:
    async with running(settings_for(demo_copy_dsn)) as app:
        await copy_connection.execute("ALTER TABLE shipments RENAME TO lost")
        response = await Load(app, demo_copy_dsn).post(SHIPMENTS)
    assert response.status_code == 200
    [error] = response.json()["errors"]
    assert (error["message"], error["extensions"]["code"]) == ("Internal server error", "INTERNAL_SERVER_ERROR")
    assert error["extensions"]["requestId"] == response.headers["x-request-id"]
