"""What webhooks cost: how many deliveries a process makes in a second, and what writers pay for endpoints.

`h1` writes changes first, and has one process deliver them to receivers that take everything: with the default message
of a shipment, signed, logged and in order. Then one writer commits by turns with and without fifty endpoints, with the
process that serves them stopped meanwhile and running: what a commit costs is the processor's time of its backend.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import asyncpg

from bench import dataset, servers
from bench.cluster import Cluster
from bench.load import CLIENT_CPU, SERVER_CPU, settled
from bench.process import Process, cpu_seconds, spawn

NAMES = ("h1",)
_ORDERS = 2_000
_ENDPOINTS = 5
_WRITERS_ENDPOINTS = 50
_COMMITS = 1_500  # of a turn: the processor's time is told in hundredths of a second
_TURNS = 5
_LONGEST_SECONDS = 600

# Answers everything with 204, and counts.
_RECEIVER = """
import asyncio, sys
count = 0
class Protocol(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.data = transport, b""
    def data_received(self, data):
        global count
        self.data += data
        while (end := self.data.find(b"\\r\\n\\r\\n")) >= 0:
            head = self.data[:end].lower()
            if head.startswith(b"get "):
                text = b"%d" % count
                self.transport.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (len(text), text))
                self.data = self.data[end + 4:]
                continue
            length = int(head.partition(b"content-length: ")[2].partition(b"\\r\\n")[0])
            if len(self.data) < end + 4 + length:
                return
            self.data = self.data[end + 4 + length:]
            count += 1
            self.transport.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
async def main():
    server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""
_ENDPOINT = """
INSERT INTO webhook_endpoints (owner, url, types, secret, concurrency, position, number)
SELECT 'staff:1', $1, $2, sha256('secret'), 20, e.position, 9223372036854775806
FROM (SELECT position FROM feed_ends ORDER BY position DESC LIMIT 1) e, generate_series(1, $3)
"""
_CHANGE = "UPDATE shipments SET expected_delivery_at = '2030-01-01'::date + $1::int WHERE order_id = ANY ($2)"
_COMMIT = "UPDATE orders SET reference = 'n' || $1 WHERE id = $2"


@dataclass(frozen=True)
class Delivered:
    """Milliseconds of the processor are of one delivery: of the process, and of PostgreSQL."""

    number: int
    per_second: float
    process: float
    database: float


def measure(folder: Path, postgres: Cluster, orders: int) -> None:
    """Prints a line for each figure, on a copy of the data set."""
    database = dataset.ours(postgres, servers.HERE.parent, orders)
    copy = f"{database}_webhooks"
    postgres.psql("postgres", "-c", f"DROP DATABASE IF EXISTS {copy}")
    postgres.psql("postgres", "-c", f"CREATE DATABASE {copy} TEMPLATE {database}")
    try:
        found = asyncio.run(_delivered(folder, postgres, postgres.url(copy)))
        print(
            f"h1: {found.number:,} deliveries by one process, {found.per_second:.0f}/s;"
            f" CPU of a delivery {found.process:.2f} + {found.database:.2f} ms",
            flush=True,
        )
        for words, none, some in asyncio.run(_committed(folder, postgres.url(copy))):
            ratio = 100 * (some / none - 1)
            print(
                f"h1: a commit takes its backend {1000 * none:.3f} ms of the processor without endpoints,"
                f" {1000 * some:.3f} ms with {_WRITERS_ENDPOINTS}, {words}: {ratio:+.1f} %",
                flush=True,
            )
    finally:
        postgres.psql("postgres", "-c", f"DROP DATABASE {copy} WITH (FORCE)")


def _environment(url: str) -> Mapping[str, str]:
    given = {"DATABASE_URL": url, "TOKEN_SECRET": "x" * 32, "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    return {**os.environ, **given}


def _deliverer(folder: Path, url: str) -> Process:
    with (folder / "deliver.log").open("wb") as log:
        command = [sys.executable, "-m", "app", "deliver"]
        return spawn(command, cwd=servers.HERE.parent, env=_environment(url), log=log, cpu=SERVER_CPU)


async def _delivered(folder: Path, postgres: Cluster, url: str) -> Delivered:
    connection = await asyncpg.connect(url)
    port = servers._free_port()
    with spawn([sys.executable, "-c", _RECEIVER, str(port)], cpu=CLIENT_CPU):
        await _end(connection)
        site = f"http://127.0.0.1:{port}/"
        await connection.execute(_ENDPOINT, site, ["SHIPMENT_UPDATED"], _ENDPOINTS)
        for start in range(1, _ORDERS, 100):
            await connection.execute(_CHANGE, start % 300, list(range(start, start + 100)))
        await _end(connection)
        wanted = _ENDPOINTS * await connection.fetchval(
            "SELECT count(*) FROM shipments WHERE order_id BETWEEN 1 AND $1", _ORDERS
        )
        with _deliverer(folder, url) as process:
            async with asyncio.timeout(_LONGEST_SECONDS):
                first = await _count(port, 1)
                begun, cpu = time.perf_counter(), (cpu_seconds(process.pid), postgres.cpu_seconds())
                await _count(port, wanted)
                seconds = time.perf_counter() - begun
            number = wanted - first
            used = settled(lambda: cpu_seconds(process.pid)) - cpu[0], settled(postgres.cpu_seconds) - cpu[1]
        await connection.execute("DELETE FROM webhook_endpoints")
    await connection.close()
    return Delivered(number, number / seconds, 1000 * used[0] / number, 1000 * used[1] / number)


async def _end(connection: asyncpg.Connection) -> None:
    while (await connection.fetchrow("SELECT given FROM give_positions(1000)"))["given"]:
        pass


async def _count(port: int, least: int) -> int:
    """How many deliveries the receiver has, as soon as there are so many."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.rpartition(b": ")[2])
            count = int(await reader.readexactly(length))
            writer.close()
            if count >= least:
                return count
        await asyncio.sleep(0.02)


async def _committed(folder: Path, url: str) -> Sequence[tuple[str, float, float]]:
    """What a commit takes, without endpoints and with them, while nobody serves them and while somebody does."""
    found = []
    connection, writer = await asyncpg.connect(url), await asyncpg.connect(url)
    port = servers._free_port()
    with spawn([sys.executable, "-c", _RECEIVER, str(port)], cpu=CLIENT_CPU):
        await _turn(writer)  # plans are made
        for words in ("with nobody who serves them", "while a process serves them"):
            none: list[float] = []
            some: list[float] = []
            for turn in range(2 * _TURNS):
                await connection.execute("DELETE FROM webhook_endpoints")
                is_with = turn % 2 == 1
                if is_with:
                    await _end(connection)
                    types = ["ORDER_UPDATED"]
                    await connection.execute(_ENDPOINT, f"http://127.0.0.1:{port}/", types, _WRITERS_ENDPOINTS)
                with contextlib.ExitStack() as stack:
                    if "while" in words:
                        # Both turns have the process: only the endpoints differ.
                        stack.enter_context(_deliverer(folder, url))
                        await asyncio.sleep(4)
                    (some if is_with else none).append(await _turn(writer))
            found.append((words, median(none), median(some)))
    await connection.close()
    await writer.close()
    return found


async def _turn(writer: asyncpg.Connection) -> float:
    """Seconds of the processor that a commit takes the writer's backend."""
    pid = writer.get_server_pid()
    before = cpu_seconds(pid)
    for number in range(_COMMITS):
        await writer.execute(_COMMIT, str(number), 1 + number)
        await asyncio.sleep(0.0005)
    return (settled(lambda: cpu_seconds(pid)) - before) / _COMMITS
