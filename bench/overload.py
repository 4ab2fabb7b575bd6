"""What becomes of the service when three times as much is asked of it as it can do.

`o1` finds out how much that is, by callers who wait for each answer, and then has requests come at their own pace,
whoever waits: customers who look at their orders, and partners who read shipments, as many of each. What counts is what
is answered (goodput), how long customers wait, how soon others are told to come back later, and the memory.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import uvloop

from bench import dataset, servers
from bench.cluster import Cluster
from bench.load import settled
from bench.process import cpu_seconds, resident_mebibytes
from bench.run import started
from bench.servers import Server
from bench.workload import workload

NAMES = ("o1",)
FACTOR = 3
_PEAK_CALLERS = 16
_ROUNDS = 3
_LINGER_SECONDS = 1.0
_YIELD = 20  # so many requests that are late are sent before answers are looked at
# So many requests are outstanding at most: a caller that has none left is one that the system would not have.
_CONNECTIONS = 600
_LOADS = {"customer": "q5", "partner": "q1"}


@dataclass
class Told:
    """What the requests of one kind came to, and after how many milliseconds."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    others: Counter[int] = field(default_factory=Counter)

    def add(self, status: int, milliseconds: float) -> None:
        if status == 200:
            self.answered.append(milliseconds)
        elif status == 503:
            self.refused.append(milliseconds)
        else:
            self.others[status] += 1


@dataclass(frozen=True)
class _Phase:
    """What was told in some seconds, and the milliseconds of the gateway's and the database's processor."""

    told: dict[str, Told]
    seconds: float
    cpu: float

    @property
    def rates(self) -> dict[str, float]:
        return {kind: len(told.answered) / self.seconds for kind, told in self.told.items()}


def measure(folder: Path, postgres: Cluster, orders: int, seconds: int) -> None:
    """Prints what was found."""
    database = dataset.ours(postgres, servers.HERE.parent, orders)
    server = servers.waybill("waybill", servers.HERE.parent, postgres.url(database), {})
    visitors = dataset.visitors(postgres, database)
    requests = {kind: _requests(server, load, visitors, orders) for kind, load in _LOADS.items()}
    with started(server, folder) as process:
        run = _Run(server, requests)

        def phase(work: Coroutine[Any, Any, dict[str, Told]], lasts: float) -> _Phase:
            before = cpu_seconds(process.pid) + postgres.cpu_seconds()
            told = uvloop.run(work)
            after = settled(lambda: cpu_seconds(process.pid) + postgres.cpu_seconds())
            return _Phase(told, lasts, 1000 * (after - before))

        def round_() -> tuple[dict[str, _Phase], _Phase]:
            calm = {kind: phase(run.closed(kind, seconds), seconds) for kind in requests}
            # Of each kind three times half of what can be done of it alone.
            rates = {kind: FACTOR / len(calm) * each.rates[kind] for kind, each in calm.items()}
            return calm, phase(run.open(rates, 2 * seconds), 2 * seconds)

        round_()  # so that memory is what it will be
        memory = resident_mebibytes(process.pid)
        rounds = [round_() for _ in range(_ROUNDS)]
        grown = resident_mebibytes(process.pid) - memory
    _tell(rounds)
    print(f"o1: memory {grown:+.0f} MiB of {memory:.0f}; requests that were never sent: {run.unsent}")


def _tell(rounds: Sequence[tuple[dict[str, _Phase], _Phase]]) -> None:
    goodput, useful = [], []
    everything = {kind: Told() for kind in _LOADS}
    for calm, rush in rounds:
        # What was answered, by what could have been of this kind alone; and by what it costs then.
        goodput.append(sum(rush.rates[kind] / each.rates[kind] for kind, each in calm.items()))
        costs = {kind: each.cpu / len(each.told[kind].answered) for kind, each in calm.items()}
        useful.append(sum(len(rush.told[kind].answered) * cost for kind, cost in costs.items()) / rush.cpu)
        for kind, told in rush.told.items():
            everything[kind].answered += told.answered
            everything[kind].refused += told.refused
            everything[kind].others += told.others
        alone = ", ".join(f"{kind} {each.rates[kind]:.0f}/s for {costs[kind]:.2f} ms" for kind, each in calm.items())
        print(
            f"o1: {alone} of CPU; asked {FACTOR} times as much, {goodput[-1]:.0%} of that is answered, and"
            f" {useful[-1]:.0%} of the CPU goes to it",
            flush=True,
        )
    print(f"o1: in the middle {median(goodput):.0%} and {median(useful):.0%}")
    for kind, each in everything.items():
        print(f"o1: {kind:8} answered {_shown(each.answered)}; refused {_shown(each.refused)}; {dict(each.others)}")


def _shown(milliseconds: Sequence[float]) -> str:
    if len(milliseconds) < 2:
        return f"{len(milliseconds)}"
    centiles = quantiles(milliseconds, n=100)
    return f"{len(milliseconds)} in p50 {median(milliseconds):.1f} ms, p99 {centiles[98]:.1f} ms"


def _requests(server: Server, load: str, visitors: dataset.Visitors, orders: int) -> list[bytes]:
    asked = workload(load, visitors, orders)
    made = []
    for body, visit in zip(asked.bodies(server.queries), asked.visits, strict=True):
        headers = {"host": "bench", "content-type": "application/json", **server.credentials(visit.subject)}
        lines = [f"{name}: {value}" for name, value in {**headers, "content-length": str(len(body))}.items()]
        made.append("\r\n".join([f"POST {server.path} HTTP/1.1", *lines, "", body]).encode())
    return made


class _Connection(asyncio.Protocol):
    """One request at a time: `ask` sends it, and `told` is called with the status when the answer is there."""

    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._data = b""
        self._wanted = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def ask(self, kind: str, request: bytes, due: float) -> None:
        self.kind, self.due = kind, due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._data = self._data + data if self._data else data
        if self._wanted < 0:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            start = self._data.lower().index(b"content-length: ", 0, end) + len(b"content-length: ")
            self._wanted = end + 4 + int(self._data[start : self._data.index(b"\r\n", start)])
        if len(self._data) >= self._wanted:
            status, self._data, self._wanted = int(self._data[9:12]), b"", -1
            self._run.hear(self, status)


class _Run:
    """`unsent` is how many requests found no connection: all were waiting for an answer."""

    def __init__(self, server: Server, requests: dict[str, list[bytes]]) -> None:
        self.unsent = 0
        self._port = server.port
        self._next = {kind: cycle(made) for kind, made in requests.items()}
        self._told: dict[str, Told] = {}
        self._free: deque[_Connection] = deque()
        self._closed_until = 0.0

    async def closed(self, kind: str, seconds: float) -> dict[str, Told]:
        """What callers are told who wait for each answer."""
        await self._connect(_PEAK_CALLERS)
        self._closed_until = time.perf_counter() + seconds
        for connection in list(self._free):
            connection.ask(kind, next(self._next[kind]), time.perf_counter())
        await asyncio.sleep(seconds + _LINGER_SECONDS)
        self._closed_until = 0.0
        self._hang_up()
        told = self._told[kind]
        if told.refused or told.others:
            raise RuntimeError(f"Callers who wait were refused: {len(told.refused)}, {dict(told.others)}")
        return self._told

    async def open(self, rates: dict[str, float], seconds: float) -> dict[str, Told]:
        """What becomes of requests that come at rates of their own."""
        await self._connect(_CONNECTIONS)
        begun = time.perf_counter()
        due = sorted((number / rate, kind) for kind, rate in rates.items() for number in range(int(rate * seconds)))
        for number, (moment, kind) in enumerate(due):
            early = begun + moment - time.perf_counter()
            if early > 0 or not number % _YIELD:
                await asyncio.sleep(max(0.0, early))
            if self._free:
                self._free.popleft().ask(kind, next(self._next[kind]), time.perf_counter())
            else:
                self.unsent += 1
        await asyncio.sleep(_LINGER_SECONDS)
        self._hang_up()
        return self._told

    async def _connect(self, number: int) -> None:
        self._told = {kind: Told() for kind in self._next}
        loop = asyncio.get_running_loop()
        for _ in range(number):
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
            self._free.append(connection)

    def _hang_up(self) -> None:
        for connection in self._free:
            connection.transport.close()
        self._free.clear()

    def hear(self, connection: _Connection, status: int) -> None:
        now = time.perf_counter()
        self._told[connection.kind].add(status, 1000 * (now - connection.due))
        if self._closed_until:
            if now < self._closed_until:
                connection.ask(connection.kind, next(self._next[connection.kind]), now)
        else:
            self._free.append(connection)
