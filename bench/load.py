"""Puts load on one server at a time and reads what it costs."""

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from bench.cluster import Cluster
from bench.process import Process, cpu_seconds, run
from bench.servers import HERE, Server
from bench.workload import STATUSES, Workload

SERVER_CPU, CLIENT_CPU = 0, 1
CONNECTIONS = 16
_POOL = 10
_LEAST_REQUESTS, _LONGEST_SECONDS = 200, 15
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Sample:
    """One round of one server: latencies and processor time in milliseconds, the latter per request."""

    requests_per_second: float
    p50: float
    p99: float
    server_cpu: float
    database_cpu: float

    @property
    def cpu(self) -> float:
        return self.server_cpu + self.database_cpu


def check_tools() -> None:
    """Raises `RuntimeError` where the load generator is not installed."""
    if not shutil.which("wrk"):
        raise RuntimeError(
            "The benchmark needs wrk 4 to put load on the servers: install it (Debian: apt install wrk)."
        )


def wrk(
    server: Server, process: Process, cluster: Cluster, bodies: Path, seconds: int, rate: float | None = None
) -> Sample:
    """A closed loop of 16 connections. `rate`, where known, makes the turn of a slow server longer."""
    if rate:
        seconds = max(seconds, min(_LONGEST_SECONDS, round(_LEAST_REQUESTS / rate)))
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "--latency",
        "--timeout",
        "10s",
        "-s",
        str(HERE / "load.lua"),
    ]
    server_before, database_before = cpu_seconds(process.pid), cluster.cpu_seconds()
    text = run([*command, f"http://127.0.0.1:{server.port}{server.path}", "--", str(bodies)], cpu=CLIENT_CPU)
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"{server.name} under load:\n{text}")
    # wrk stops with a request outstanding on every connection: they are answered, and counted, like the others.
    server_after = settled(lambda: cpu_seconds(process.pid))
    database_after = settled(cluster.cpu_seconds)
    count = int(_found(r"(\d+) requests in", text)) + CONNECTIONS
    return Sample(
        requests_per_second=float(_found(r"Requests/sec:\s+([\d.]+)", text)),
        p50=wrk_latency(50, text),
        p99=wrk_latency(99, text),
        server_cpu=(server_after - server_before) / count * 1000,
        database_cpu=(database_after - database_before) / count * 1000,
    )


def pgbench(cluster: Cluster, database: str, workload: Workload, folder: Path, seconds: int) -> Sample:
    """The limit's statement without any server; variables by chance from the same range."""
    script = folder / f"pgbench.{workload.name}.sql"
    script.write_text(_script(cluster, database, workload))
    logs = folder / "pgbench.log"
    options = [
        "-n",
        "-M",
        "prepared",
        "-f",
        str(script),
        f"-c{_POOL}",
        "-j1",
        f"-T{seconds}",
        "-l",
        f"--log-prefix={logs}",
    ]
    before = cluster.cpu_seconds()
    text = run([str(cluster.binaries / "pgbench"), *options, cluster.url(database)])
    # Its sessions end with it, and one that ends while it is looked at would not be counted.
    after = settled(cluster.cpu_seconds)
    # client, transaction, latency in microseconds, ...
    latencies = []
    for log in folder.glob(f"{logs.name}.*"):
        latencies += [int(line.split()[2]) / 1000 for line in log.read_text().splitlines()]
        log.unlink()
    centiles = quantiles(latencies, n=100)
    return Sample(
        requests_per_second=float(_found(r"tps = ([\d.]+)", text)),
        p50=centiles[49],
        p99=centiles[98],
        server_cpu=0.0,
        database_cpu=(after - before) / len(latencies) * 1000,
    )


def _script(cluster: Cluster, database: str, workload: Workload) -> str:
    statement = (HERE / "limit" / f"{workload.query}.sql").read_text()
    if workload.query == "q1":
        rows = workload.visits[0].variables["input"]["offset"]
        prelude = f"\\set page random(1, {len(workload.visits)})"
        statement = (
            statement.replace("$1", "'{" + ",".join(STATUSES) + "}'").replace("$2", ":page").replace("$3", str(rows))
        )
    else:
        table = {"q3": "shipments", "q5": "customers", "q6": "companies"}.get(workload.query, "orders")
        prelude = f"\\set id random(1, {cluster.psql(database, '-c', f'SELECT count(*) FROM {table}').strip()})"
        statement = statement.replace("$1::text::uuid", "md5('shipment:' || :id::int)::uuid").replace("$1", ":id")
    # pgbench would take :MI and :SS for variables of its own.
    statement = statement.replace("HH24:MI:SS", "HH24'||chr(58)||'MI'||chr(58)||'SS")
    return f"{prelude}\n{statement.strip()};\n"


def settled(read: Callable[[], float]) -> float:
    """The value once it has stopped growing."""
    value = read()
    for _ in range(100):
        time.sleep(0.15)
        previous, value = value, read()
        if value - previous < 0.02:
            break
    return value


def wrk_latency(percent: int, text: str) -> float:
    """Milliseconds, of what wrk said."""
    match = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", text)
    if not match:
        raise RuntimeError(f"expected a latency at {percent} % in:\n{text}")
    return float(match[1]) * _MILLISECONDS[match[2]]


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if not match:
        raise RuntimeError(f"expected {pattern} in:\n{text}")
    return match[1]
