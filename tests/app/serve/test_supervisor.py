"""Several workers, started, killed and replaced while they answer: nobody's request is lost."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.demo.fixtures import STOREFRONT_KEY
from app.serve.channel import BEAT_SECONDS
from tests.app.serve.callers import QUERY, Callers
from tests.conftest import FAR_TOO_LONG, KEY_HEADER, TOKEN_SECRET, connecting, credentials, reserved_port, settings_for
from tests.service import ROOT, Service, serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the workers are found in /proc")

WORKERS = 2


def workers(service: Service) -> set[int]:
    """The processes that the supervisor has started."""
    main = service.process.pid
    return {int(pid) for pid in Path(f"/proc/{main}/task/{main}/children").read_text().split()}


def folder_of(worker: int) -> Path:
    """Where it meets the others."""
    words = Path(f"/proc/{worker}/cmdline").read_text().split("\0")
    return Path(next(word.removeprefix("--folder=") for word in words if word.startswith("--folder=")))


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(FAR_TOO_LONG):
        while not condition():  # noqa: ASYNC110  processes set no event
            await asyncio.sleep(0.02)


def logged(service: Service) -> list[Any]:
    # The last line may be on its way.
    lines = [line for line in service.log.read_text().split("\n")[:-1] if line.startswith("{")]
    return [line for line in map(json.loads, lines) if line["logger"] == "waybill.serve"]


def events(service: Service) -> list[str]:
    return [line["event"] for line in logged(service)]


@asynccontextmanager
async def supervised(
    dsn: str, log: Path, options: dict[str, Any] | None = None, **settings: str
) -> AsyncIterator[Service]:
    """A service of several workers, all of which answer."""
    async with serving(dsn, log, options, WORKERS=f"{WORKERS}", **settings) as service:
        await until(lambda: any("workers answer" in event for event in events(service)))
        yield service


def changed(constant: str) -> dict[str, Any]:
    """Options of a service whose supervisor has another constant."""
    program = (
        f"import sys; from app.serve import supervisor; supervisor.{constant}; "
        "from app.__main__ import main; sys.exit(main(['serve']))"
    )
    return {"command": ("-c", program)}


async def ask(service: Service, path: str = "/graphql", **named: Any) -> httpx.Response:
    """On a connection of its own."""
    async with connecting() as client:
        return await client.request("POST" if "json" in named else "GET", f"{service.site}{path}", **named)


async def test_workers_are_killed_and_replaced_without_a_failed_answer(demo_dsn: str, tmp_path: Path) -> None:
    async with supervised(demo_dsn, tmp_path / "log") as service:
        first = workers(service)
        assert len(first) == WORKERS
        callers = Callers(service.site, 8, rest=0.02)
        await callers.until(100)
        for round_ in range(2):
            before = workers(service)
            service.process.send_signal(signal.SIGHUP)
            await until(lambda n=round_: events(service).count("all workers are replaced") == n + 1)
            assert len(workers(service)) == WORKERS
            assert not before & workers(service)
            await callers.until(100)
        # An operator ends one: another takes its place.
        [one, *_] = before = workers(service)
        os.kill(one, signal.SIGTERM)
        await until(lambda: len(workers(service)) == WORKERS and workers(service) != before)
        await callers.until(100)
        assert dict(callers.seen) == {200: callers.seen[200]}
        # One that dies takes what it was answering with it, and nothing else: whoever asks again is answered.
        [one, *_] = before = workers(service)
        os.kill(one, signal.SIGKILL)
        await until(lambda: len(workers(service)) == WORKERS and workers(service) != before)
        await callers.until(100)
        assert set(callers.seen) <= {200, "broken"}
        assert callers.seen["broken"] <= 8
        broken = callers.seen["broken"]
        service.process.send_signal(signal.SIGTERM)
        assert await service.end() == 0
        await callers.end()
        assert set(callers.seen) <= {200, "broken", "not there"}
        assert callers.seen["broken"] == broken
    ended = {(each["level"], how) for each in logged(service) if (how := each["event"].partition(" ended ")[2])}
    assert ("info", "with status 0") in ended
    assert {how.partition(" before ")[0] for level, how in ended if level == "error"} == {"by SIGKILL"}


async def test_readiness_metrics_and_limits_are_those_of_all(
    demo_copy_dsn: str, copy_connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await copy_connection.execute("UPDATE storefront_keys SET requests_per_minute = 50 WHERE id = 1")
    async with supervised(demo_copy_dsn, tmp_path / "log") as service:
        answers = await asyncio.gather(
            *(ask(service, "/api/graphql", json=QUERY, headers={KEY_HEADER: STOREFRONT_KEY}) for _ in range(60))
        )
        assert sorted(answer.status_code for answer in answers) == [200] * 50 + [429] * 10
        left = {answer.headers["x-ratelimit-remaining"] for answer in answers}
        assert left == {str(number) for number in range(50)}
        assert len({answer.headers["x-ratelimit-reset"] for answer in answers}) == 1
        assert {(await ask(service, "/readyz")).status_code for _ in range(8)} == {200}
        service.process.send_signal(signal.SIGHUP)
        await until(lambda: "all workers are replaced" in events(service))
        refused = await ask(service, "/api/graphql", json=QUERY, headers={KEY_HEADER: STOREFRONT_KEY})
        assert refused.status_code == 429
        await until_told(service, 'waybill_requests_total{"graphql","ok"}', 50)
        told = await metrics(service)
        assert told['waybill_requests_total{"graphql","refused"}'] == 11
        assert told["waybill_workers{}"] == WORKERS
        assert told["waybill_worker_starts_total{}"] == 2 * WORKERS
        assert told["process_resident_memory_bytes{}"] > WORKERS * 10_000_000


async def metrics(service: Service) -> dict[str, float]:
    text = (await ask(service, "/metrics")).text
    return {
        f"{sample.name}{{{','.join(json.dumps(sample.labels[name]) for name in sorted(sample.labels, reverse=True))}}}":
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }  # fmt: skip


async def until_told(service: Service, name: str, value: float) -> None:
    async with asyncio.timeout(FAR_TOO_LONG):
        while (await metrics(service)).get(name) != value:  # noqa: ASYNC110  another process counts
            await asyncio.sleep(0.1)


async def test_what_is_reserved_with_one_worker_is_found_by_all(demo_dsn: str, tmp_path: Path) -> None:
    settings = settings_for(demo_dsn)
    events_only = {"Accept": "text/event-stream"}
    query = "subscription { orderChanges { action } }"
    async with supervised(demo_dsn, tmp_path / "log") as service:
        numbers = set()
        for _ in range(12):
            async with connecting() as client:
                reserved = await client.put(f"{service.site}/graphql", headers=credentials("apikey", settings))
            assert reserved.status_code == 201
            token = reserved.text
            numbers.add(token.partition(".")[0])
            parameters = {"token": token, "query": query}
            async with (
                connecting() as client,
                client.stream("GET", f"{service.site}/graphql", params=parameters, headers=events_only) as response,
            ):
                assert response.headers["content-type"].startswith("text/event-stream")
                assert "UP_TO_DATE" in await data(response.aiter_lines())
        assert numbers == {"0", "1"}
        # One stream of many operations, each begun on a connection of its own.
        named = {"X-GraphQL-Event-Stream-Token": token}
        async with (
            connecting() as client,
            client.stream("GET", f"{service.site}/graphql", headers=named | events_only) as response,
        ):
            assert response.status_code == 200
            told = response.aiter_lines()
            for number in range(6):
                body = {"query": "{ shipments { page } }", "extensions": {"operationId": f"{number}"}}
                assert (await ask(service, json=body, headers=named)).status_code == 202
                payload = {"data": {"shipments": {"page": 1}}}
                assert json.loads(await data(told)) == {"id": f"{number}", "payload": payload}
        for unknown in ("0.unknown", "1.unknown", "7.unknown", f"{'9' * 50}.x", "unknown"):
            answer = await ask(service, params=parameters | {"token": unknown}, headers=events_only)
            assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (404, "NOT_FOUND")


async def data(lines: AsyncIterator[str]) -> str:
    """Of the next event that has any."""
    async with asyncio.timeout(FAR_TOO_LONG):
        async for line in lines:
            if line.startswith("data: {") and ("payload" in line or '"data"' in line):
                return line[6:]
    raise AssertionError("the stream has ended")


async def test_workers_end_with_their_supervisor(demo_dsn: str, tmp_path: Path) -> None:
    async with supervised(demo_dsn, tmp_path / "log", DRAIN_SECONDS="0") as service:
        left = workers(service)
        folder = folder_of(min(left))
        assert folder.is_dir()
        # It dies with words of theirs that it has not heard: two of each at least.
        service.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(2.5 * BEAT_SECONDS)
        await service.kill()
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))
        assert not folder.exists()


async def test_one_that_says_nothing_any_more_is_replaced(demo_dsn: str, tmp_path: Path) -> None:
    async with supervised(demo_dsn, tmp_path / "log", changed("SILENT_SECONDS = 3")) as service:
        [one, *_] = before = workers(service)
        os.kill(one, signal.SIGSTOP)
        await until(lambda: len(workers(service)) == WORKERS and workers(service) != before)
        assert f"worker {one} is silent, and is killed" in events(service)


def serve(dsn: str, log: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A service that does not last."""
    with reserved_port() as port, log.open("w") as output:
        environ = {"DATABASE_URL": dsn, "TOKEN_SECRET": TOKEN_SECRET, "PORT": str(port), "WORKERS": "2", **settings}
        return subprocess.run(
            [sys.executable, "-m", "app", "serve"],
            cwd=ROOT,
            env={**os.environ, **environ},
            stdout=output,
            stderr=output,
            timeout=FAR_TOO_LONG,
            text=True,
        )


async def test_workers_that_cannot_start_end_it_with_one_line(
    demo_copy_dsn: str, copy_connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await copy_connection.execute("DELETE FROM schema_migrations WHERE name LIKE '0020%'")
    ended = await asyncio.to_thread(serve, demo_copy_dsn, tmp_path / "log")
    assert ended.returncode == 1
    [line] = (tmp_path / "log").read_text().splitlines()
    assert line.startswith("The database lacks the migrations 0020_")


async def test_workers_that_cannot_start_any_more_end_it(
    demo_copy_dsn: str, copy_connection: asyncpg.Connection, tmp_path: Path
) -> None:
    async with supervised(demo_copy_dsn, tmp_path / "log", changed("_FIRST_PAUSE_SECONDS = 0.05")) as service:
        await copy_connection.execute("DELETE FROM schema_migrations WHERE name LIKE '0020%'")
        # What does not start stays away: the old ones go on.
        before = workers(service)
        service.process.send_signal(signal.SIGHUP)
        await until(lambda: any("and those after it stay" in event for event in events(service)))
        assert workers(service) == before
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        assert await service.end() == 1
    assert service.log.read_text().splitlines()[-1].startswith("The database lacks the migrations 0020_")


@contextmanager
def listening(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.setblocking(False)
        yield listener


async def told(listener: socket.socket, *wanted: str) -> None:
    """Waits until systemd was told this, in this order."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(FAR_TOO_LONG):
        for each in wanted:
            while each not in (await loop.sock_recv(listener, 4096)).decode().splitlines():
                pass


@pytest.mark.parametrize("number", ["0", "2"])
async def test_systemd_is_told_how_it_is(number: str, demo_dsn: str, tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with listening(address) as listener:
        watchdog = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"}
        async with serving(demo_dsn, tmp_path / "log", WORKERS=number, DRAIN_SECONDS="0", **watchdog) as service:
            await told(listener, "READY=1", "WATCHDOG=1")
            service.process.send_signal(signal.SIGHUP)
            await told(listener, "RELOADING=1", "READY=1", "WATCHDOG=1")
            service.process.send_signal(signal.SIGTERM)
            await told(listener, "STOPPING=1")
            assert await service.end() == 0


# As systemd does: the socket is descriptor 3, and the id of the process is that of the service.
ACTIVATION = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, "-m", "app", "serve"])
"""


@pytest.mark.parametrize("number", ["0", "2"])
async def test_a_socket_that_systemd_opened_outlasts_the_service(number: str, demo_dsn: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        site = f"http://127.0.0.1:{listener.getsockname()[1]}"
        streams = {"command": ("-c", ACTIVATION, f"{listener.fileno()}")}
        asking = asyncio.create_task(ask_at(site))  # before anybody answers
        async with serving(
            demo_dsn, tmp_path / "log", {**streams, "pass_fds": (listener.fileno(),), "site": site}, WORKERS=number
        ) as service:
            assert await asking == 200
            service.process.send_signal(signal.SIGTERM)
            assert await service.end() == 0
            asking = asyncio.create_task(ask_at(site))
            await service.start()
            assert await asking == 200


async def ask_at(site: str) -> int:
    async with connecting() as client:
        return (await client.post(f"{site}/graphql", json=QUERY)).status_code
