"""What a write costs: `shipmentCreate` of one item and one code, by 1 to 32 writers, with two kinds of flush.

Beside it stand the bare INSERTs of the same rows in one transaction, by pgbench, in tables with the same indexes and
without triggers. What is committed has to be seen in the feed, so one reader asks for it all the time.
"""

import asyncio
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import asyncpg
import httpx

from bench import cluster, dataset, servers
from bench.cluster import Cluster
from bench.load import CLIENT_CPU, settled, wrk_latency
from bench.process import Process, cpu_seconds, run
from bench.run import started
from bench.servers import HERE, Server

NAMES = ("w1",)
WRITERS = (1, 4, 16, 32)
_SLOW_MILLISECONDS = 5
# Each connection has to prepare and plan all that it will run.
_WARM_SECONDS = 8
# How long the reader rests between two questions.
_READER_SECONDS = 0.01
# Writes of each writer that the reader waits for.
_SEEN = 30

# Commits last, and the log is flushed by what `slow_flush.c` makes slower.
_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_sync_method": "fdatasync",
    "track_commit_timestamp": "on",
    "autovacuum": "on",
}

_MUTATION = "mutation ($box: ShipmentCreateInput!) { shipmentCreate(input: $box) { id version items { quantity } } }"
_FEED = """query ($after: String) {
  changes(after: $after, first: 100, types: [SHIPMENT]) { changes { id } nextCursor hasMore }
}"""

# Every order has a line with enough left for all rounds, and may be shipped. Nothing counts it: it is before the load.
_PREPARE = """
SET session_replication_role = replica;
UPDATE api_keys SET scopes = '{orders:read,shipments:read,shipments:write}';
UPDATE orders SET status = 'CONFIRMED' WHERE status <> 'CONFIRMED';
UPDATE order_items SET quantity = quantity + 100000 WHERE line = 1;
CREATE TABLE bare_shipments (LIKE shipments INCLUDING ALL);
CREATE TABLE bare_items (LIKE shipment_items INCLUDING ALL);
CREATE TABLE bare_codes (LIKE track_and_traces INCLUDING ALL);
VACUUM (ANALYZE) orders;
VACUUM (ANALYZE) order_items;
"""
_BARE = r"""\set order random(1, {orders})
BEGIN;
INSERT INTO bare_shipments (order_id, channel_id, status, is_made_here) VALUES (:order, 1, 'CREATED', true)
  RETURNING id AS shipment \gset
INSERT INTO bare_items (shipment_id, order_item_id, order_id, channel_id, name, sku, quantity)
  VALUES (:'shipment', :order, :order, 1, 'Ventilatie Filterset Fresh Air', 'SKU-00042', 1);
INSERT INTO bare_codes (shipment_id, order_id, channel_id, carrier_id, code)
  VALUES (:'shipment', :order, 1, 1, :'shipment');
COMMIT;
"""
_LINES = "SELECT DISTINCT ON (order_id) order_id, id FROM order_items WHERE line = 1 ORDER BY order_id"
_COMMITTED = """
SELECT s.id::text, extract(epoch FROM pg_xact_commit_timestamp(s.xmin))::float8 FROM shipments s WHERE s.is_made_here
"""


@dataclass(frozen=True)
class Cost:
    """Of one number of writers: milliseconds of the processor a write, and how late the feed shows it."""

    writes_per_second: float
    p99: float
    gateway: float
    database: float
    visible_p95: float


def table(folder: Path, trees: Sequence[tuple[str, Path]], orders: int, seconds: int) -> str:
    """A line for each flush, checkout of the service and number of writers."""
    lines = [
        "| flush | | writers | writes/s | p99 ms | gateway ms | PostgreSQL ms | visible p95 ms |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for flush, extra in (("as it is", 0), (f"{_SLOW_MILLISECONDS} ms more", _SLOW_MILLISECONDS)):
        with _running(folder / "writes", extra) as postgres:
            for name, tree in trees:
                with _prepared(postgres, tree, orders) as database:
                    for writers, cost in _costs(name, tree, postgres, database, folder, seconds):
                        lines.append(
                            f"| {flush} | {name} | {writers} | {cost.writes_per_second:.0f} | {cost.p99:.1f} "
                            f"| {cost.gateway:.2f} | {cost.database:.2f} | {cost.visible_p95:.1f} |"
                        )
                        print(lines[-1], flush=True)
                    if tree is trees[-1][1]:
                        for writers in WRITERS:
                            rate, database_ms = _bare(postgres, database, orders, folder, writers, seconds)
                            lines.append(
                                f"| {flush} | bare INSERTs | {writers} | {rate:.0f} | | | {database_ms:.2f} | |"
                            )
                            print(lines[-1], flush=True)
    return "\n".join(lines)


@contextmanager
def _running(folder: Path, extra_milliseconds: int) -> Iterator[Cluster]:
    """A cluster whose commits last. Raises `RuntimeError` where a slower flush is asked for and nothing compiles it."""
    environment = {}
    with tempfile.TemporaryDirectory() as built:
        if extra_milliseconds:
            compiler = shutil.which("cc")
            if compiler is None:
                raise RuntimeError("The benchmark of writes needs a C compiler (cc) to make the flush slower.")
            Path(built).chmod(0o755)
            library = Path(built, "slow_flush.so")
            run([compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(HERE / "slow_flush.c"), "-ldl"])
            environment = {"LD_PRELOAD": str(library), "FLUSH_MILLISECONDS": str(extra_milliseconds)}
        with cluster.running(folder, _SETTINGS, environment) as postgres:
            yield postgres


@contextmanager
def _prepared(postgres: Cluster, tree: Path, orders: int) -> Iterator[str]:
    """A copy of the data set of a checkout, for the time of the block."""
    original = dataset.ours(postgres, tree, orders)
    database = f"{original}_writes"
    postgres.psql("postgres", "-c", f"DROP DATABASE IF EXISTS {database}")
    postgres.psql("postgres", "-c", f"CREATE DATABASE {database} TEMPLATE {original}")
    for statement in filter(str.strip, _PREPARE.split(";\n")):
        # VACUUM is a statement alone, so the role is given to each.
        replica = [] if statement.startswith("VACUUM") else ["-c", "SET session_replication_role = replica"]
        postgres.psql(database, *replica, "-c", statement)
    postgres.psql("postgres", "-c", "CHECKPOINT")
    try:
        yield database
    finally:
        postgres.psql("postgres", "-c", f"DROP DATABASE {database} WITH (FORCE)")


def _costs(
    name: str, tree: Path, postgres: Cluster, database: str, folder: Path, seconds: int
) -> Iterator[tuple[int, Cost]]:
    server = servers.waybill(name, tree, postgres.url(database), {"POOL_SIZE": str(max(WRITERS))})
    lines = [line.split("|") for line in postgres.psql(database, "-c", _LINES).split()]
    with started(server, folder) as process:
        _load(server, process, postgres, _requests(folder, lines, "warm"), max(WRITERS), _WARM_SECONDS)
        for writers in WRITERS:
            requests = _requests(folder, lines, f"{writers}")
            rate, p99, gateway, database_ms = _load(server, process, postgres, requests, writers, seconds)
            more = _requests(folder, lines, f"{writers}s").read_text().splitlines()[: _SEEN * writers]
            bodies = [line.rpartition("\t")[2] for line in more]
            seen = asyncio.run(_delays(server, postgres.url(database), bodies, writers))
            yield writers, Cost(rate, p99, gateway, database_ms, seen)


def _requests(folder: Path, lines: Sequence[Sequence[str]], serial: str) -> Path:
    """Each writes another order; no code comes twice."""
    path = folder / "w1.requests"
    with path.open("w") as file:
        for order_id, line_id in lines:
            box = {
                "orderId": int(order_id),
                "items": [{"orderItemId": int(line_id), "quantity": 1}],
                "trackAndTraces": [{"carrierId": 6, "code": f"W{serial}X{order_id}N{time.monotonic_ns() % 10**9}"}],
            }
            body = json.dumps({"query": _MUTATION, "variables": {"box": box}})
            file.write(f"apikey: {dataset.APIKEY}\t{body}\n")
    return path


def _load(
    server: Server, process: Process, postgres: Cluster, requests: Path, writers: int, seconds: int
) -> tuple[float, float, float, float]:
    """Writes a second, p99, and milliseconds of the processor a write: of the gateway and of PostgreSQL."""
    command = ["wrk", "-t1", f"-c{writers}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    command += ["-s", str(HERE / "load.lua"), f"http://127.0.0.1:{server.port}{server.path}", "--", str(requests)]
    before = cpu_seconds(process.pid), postgres.cpu_seconds()
    written = _written(postgres, server)
    text = run(command, cpu=CLIENT_CPU)
    after = settled(lambda: cpu_seconds(process.pid)), settled(postgres.cpu_seconds)
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"{server.name} under load:\n{text}")
    count = _written(postgres, server) - written
    asked = re.search(r"(\d+) requests in", text)
    if asked is None or not int(asked[1]) <= count <= int(asked[1]) + writers:
        raise RuntimeError(f"{server.name} wrote {count} shipments of:\n{text}")
    gateway, database = (1000 * (there - then) / count for then, there in zip(before, after, strict=True))
    return count / seconds, wrk_latency(99, text), gateway, database


def _written(postgres: Cluster, server: Server) -> int:
    database = server.environment["DATABASE_URL"].rpartition("/")[2]
    return int(postgres.psql(database, "-c", "SELECT count(*) FROM shipments WHERE is_made_here"))


async def _delays(server: Server, url: str, bodies: Sequence[str], writers: int) -> float:
    """The 95th centile, in milliseconds, of the time from the commit to a reader of the feed that has it."""
    headers = {"apikey": dataset.APIKEY, "content-type": "application/json"}
    seen: dict[str, float] = {}
    wanted: set[str] = set()
    waiting = iter(bodies)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=60) as client:

        async def write() -> None:
            for body in waiting:
                answer = (await client.post(server.path, content=body)).json()
                wanted.add(answer["data"]["shipmentCreate"]["id"])

        reading = asyncio.create_task(_read(client, await _end(client), seen))
        async with asyncio.TaskGroup() as group:
            for _ in range(writers):
                group.create_task(write())
        async with asyncio.timeout(60):
            while not wanted <= seen.keys():
                await asyncio.wait([reading], timeout=_READER_SECONDS)
        reading.cancel()
    connection = await asyncpg.connect(url)
    try:
        committed: Mapping[str, float] = dict(await connection.fetch(_COMMITTED))
    finally:
        await connection.close()
    return 1000 * quantiles([seen[each] - committed[each] for each in wanted], n=100)[94]


async def _end(client: httpx.AsyncClient) -> str:
    """The cursor behind all there is."""
    after = None
    while True:
        page = await _page(client, after)
        after = page["nextCursor"]
        if not page["hasMore"]:
            return str(after)


async def _read(client: httpx.AsyncClient, after: str, seen: dict[str, float]) -> None:
    while True:
        page = await _page(client, after)
        now, after = time.time(), page["nextCursor"]
        for each in page["changes"]:
            seen.setdefault(each["id"], now)
        if not page["hasMore"]:
            await asyncio.sleep(_READER_SECONDS)


async def _page(client: httpx.AsyncClient, after: str | None) -> Any:
    answer = await client.post("/graphql", json={"query": _FEED, "variables": {"after": after}})
    return answer.json()["data"]["changes"]


def _bare(
    postgres: Cluster, database: str, orders: int, folder: Path, writers: int, seconds: int
) -> tuple[float, float]:
    """Transactions a second, and PostgreSQL's milliseconds of the processor each."""
    script = folder / "bare.sql"
    script.write_text(_BARE.format(orders=orders))
    before = postgres.cpu_seconds()
    text = run(
        [str(postgres.binaries / "pgbench"), "-n", "-Mprepared", "-f", str(script), f"-c{writers}", "-j1",
         f"-T{seconds}", postgres.url(database)]
    )  # fmt: skip
    spent = settled(postgres.cpu_seconds) - before
    rate, count = re.search(r"tps = ([\d.]+)", text), re.search(r"actually processed: (\d+)", text)
    if rate is None or count is None:
        raise RuntimeError(f"expected a rate in:\n{text}")
    return float(rate[1]), 1000 * spent / int(count[1])
