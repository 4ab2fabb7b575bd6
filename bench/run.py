"""Starts the servers, compares their answers, and loads them in turns, so that what the machine does hits all alike."""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Protocol

from bench import answer
from bench.cluster import Cluster
from bench.load import SERVER_CPU, Sample, pgbench, wrk
from bench.process import Process, peak_mebibytes, spawn
from bench.report import Results
from bench.servers import HERE, PGBENCH, Server
from bench.workload import Workload

_START_SECONDS = 30


@dataclass(frozen=True)
class Pace:
    """Rounds, the seconds of one server's turn in a round, and the seconds of load before the first round."""

    rounds: int
    seconds: int
    warm_up: int


@dataclass(frozen=True)
class Group:
    """Servers of one data set. The first is the limit, whose answers the others' must equal.

    `measured` are the names of those that are loaded; PGBENCH among them stands for the database without a server.
    """

    servers: Sequence[Server]
    workloads: Sequence[Workload]
    database: str
    measured: Sequence[str]


class Contender(Protocol):
    """Something that load can be put on."""

    @property
    def name(self) -> str: ...

    def speaks(self, workload: str) -> bool:
        """Whether it can be asked this."""

    def turn(self, workload: str, seconds: int) -> Sample:
        """Some seconds of load, or more where that would be too few requests."""


@dataclass(frozen=True)
class Running:
    """A server that runs. `bodies` are the files of what it is asked, `rates` what it answered so far, by workload.

    `once` are the workloads whose files are written anew for each of its `turns`.
    """

    server: Server
    process: Process
    postgres: Cluster
    bodies: Mapping[str, Path]
    once: Mapping[str, Workload] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    turns: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def name(self) -> str:
        return self.server.name

    def speaks(self, workload: str) -> bool:
        return workload in self.bodies

    def turn(self, workload: str, seconds: int) -> Sample:
        if workload in self.once:
            _write(self.server, self.once[workload].anew(next(self.turns)), self.bodies[workload])
        sample = wrk(self.server, self.process, self.postgres, self.bodies[workload], seconds, self.rates.get(workload))
        self.rates[workload] = sample.requests_per_second
        return sample


@dataclass(frozen=True)
class Bare:
    """The limit's statements, sent by pgbench: the database without a server."""

    group: Group
    postgres: Cluster
    folder: Path
    name: str = PGBENCH

    def speaks(self, workload: str) -> bool:
        return (HERE / "limit" / f"{workload[:2]}.sql").exists()

    def turn(self, workload: str, seconds: int) -> Sample:
        asked = next(each for each in self.group.workloads if each.name == workload)
        return pgbench(self.postgres, self.group.database, asked, self.folder, seconds)


def measure(groups: Sequence[Group], postgres: Cluster, folder: Path, pace: Pace, results: Results) -> None:
    """Fills `results`. Raises `answer.Different` before anything is measured where a server has other data."""
    names = [workload.name for workload in groups[0].workloads]
    with ExitStack() as stack:
        contenders: list[Contender] = []
        for group in groups:
            contenders += stack.enter_context(standing(group, postgres, folder))
            contenders += [Bare(group, postgres, folder)] if PGBENCH in group.measured else []
        for each in contenders:
            for name in filter(each.speaks, names):
                each.turn(name, pace.warm_up)
        for turn in range(1, pace.rounds + 1):
            for name in names:
                for each in (contender for contender in contenders if contender.speaks(name)):
                    results.add(name, each.name, each.turn(name, pace.seconds))
            _say(f"round {turn} of {pace.rounds}, load average {os.getloadavg()[0]:.1f}")
        results.memory = {
            each.name: peak_mebibytes(each.process.pid) for each in contenders if isinstance(each, Running)
        }


@contextmanager
def standing(group: Group, postgres: Cluster, folder: Path) -> Iterator[list[Running]]:
    """The measured servers of the group, all running, their answers compared."""
    with ExitStack() as stack:
        contenders = []
        limit, *others = group.servers
        process = stack.enter_context(started(limit, folder))
        reference = {load.name: list(answer.answers(limit, load)) for load in group.workloads if limit.speaks(load)}
        if limit.name in group.measured:
            contenders.append(_running(limit, process, postgres, group.workloads, folder))
        for server in others:
            process = stack.enter_context(started(server, folder))
            compared = 0
            for load in filter(server.speaks, group.workloads):
                # What the limit cannot be asked is compared with the first server that can. Documents that come once
                # ask for moments, too, of which each database has its own.
                if load.name not in reference or load.comes_once:
                    reference[load.name] = list(answer.answers(server, load))
                else:
                    answer.compare(server, load, reference[load.name])
                    compared += len(load.visits)
            _say(f"{server.name}: {compared} answers equal the limit's")
            contenders.append(_running(server, process, postgres, group.workloads, folder))
        yield contenders


def _running(
    server: Server, process: Process, postgres: Cluster, workloads: Sequence[Workload], folder: Path
) -> Running:
    spoken = list(filter(server.speaks, workloads))
    once = {load.name: load for load in spoken if load.comes_once}
    return Running(server, process, postgres, _written(server, spoken, folder), once)


@contextmanager
def started(server: Server, folder: Path) -> Iterator[Process]:
    """The server, once it answers. Raises `RuntimeError` with its last words where it does not."""
    environment = {**os.environ, **server.environment}
    command = [part.format(port=server.port) for part in server.command]
    path = folder / f"{server.name}.log"
    with (
        path.open("wb") as log,
        spawn(command, cwd=server.cwd, env=environment, log=log, cpu=SERVER_CPU) as process,
    ):
        deadline = time.monotonic() + _START_SECONDS
        while not answer.is_ready(server):
            if process.popen.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{server.name} does not start:\n{path.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield process


def _written(server: Server, workloads: Sequence[Workload], folder: Path) -> dict[str, Path]:
    """The requests of each workload, a line each: the headers of its own, each with a tab after it, and the body."""
    files = {load.name: folder / f"{server.name}.{load.name}.requests" for load in workloads}
    for load in workloads:
        _write(server, load, files[load.name])
    return files


def _write(server: Server, load: Workload, path: Path) -> None:
    with path.open("w") as file:
        for visit, body in zip(load.visits, load.bodies(server.queries, server.dialect), strict=True):
            headers = {**server.credentials(visit.subject), **({"GET": visit.path} if visit.path else {})}
            file.write("".join(f"{name}: {value}\t" for name, value in headers.items()) + body + "\n")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
