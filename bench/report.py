"""What was measured: for a terminal, for the README, and as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any, Self

from bench.load import Sample
from bench.servers import GRAPHQL_PEERS
from bench.workload import TITLES

HEADINGS = (
    "server", "req/s", "(min-max)", "p50 ms", "p99 ms", "server CPU ms", "PostgreSQL CPU ms", "sum", "RSS MiB",
)  # fmt: skip


@dataclass
class Results:
    """`samples` by workload and server, in the order of measuring; `memory` is the peak of each server in MiB."""

    machine: str
    date: str
    orders: int
    rounds: int
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Self:
        samples = {
            workload: {server: [Sample(**sample) for sample in rounds] for server, rounds in servers.items()}
            for workload, servers in values["samples"].items()
        }
        return cls(**{**values, "samples": samples})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def add(self, workload: str, server: str, sample: Sample) -> None:
        self.samples.setdefault(workload, {}).setdefault(server, []).append(sample)

    @property
    def servers(self) -> list[str]:
        """Those of any workload, in the order of measuring."""
        return list(dict.fromkeys(server for servers in self.samples.values() for server in servers))

    def only(self, workloads: Iterable[str]) -> "Results":
        """The same of some workloads."""
        return replace(self, samples={name: self.samples[name] for name in self.samples if name in set(workloads)})

    def middle(self, workload: str, server: str) -> Sample:
        """The median of the rounds, each figure by itself."""
        rounds = [asdict(sample) for sample in self.samples[workload][server]]
        return Sample(**{name: median(sample[name] for sample in rounds) for name in rounds[0]})

    def best_peer(self, workload: str) -> str | None:
        """The GraphQL server of the peers that answered most requests."""
        peers = [server for server in self.samples[workload] if server in GRAPHQL_PEERS]
        return max(peers, key=lambda peer: self.middle(workload, peer).requests_per_second, default=None)


def text(results: Results) -> str:
    """Everything, for a terminal."""
    parts = [f"{results.machine}; {_orders(results)}; {results.date}; median of {results.rounds} rounds\n"]
    for workload in results.samples:
        servers = results.samples[workload]
        base = "limit" if "limit" in servers else next(iter(servers))
        parts += [TITLES[workload], _aligned(_rows(results, workload, base)), *_verdict(results, workload), ""]
    return "\n".join(parts)


def markdown(results: Results) -> str:
    """One table: a row for each server, a column for each workload."""
    lines = [
        f"| | {' | '.join(_short(workload) for workload in results.samples)} | MiB |",
        f"| --- | {' | '.join('---' for _ in results.samples)} | --- |",
    ]
    for server in results.servers:
        cells = [
            _cell(results.middle(workload, server)) if server in servers else "-"
            for workload, servers in results.samples.items()
        ]
        name = f"**{server}**" if server.startswith("waybill") else server
        lines.append(f"| {name} | {' | '.join(cells)} | {_memory(results, server)} |")
    return "\n".join(lines)


def caption(results: Results) -> str:
    rounds = f"median of {results.rounds} interleaved rounds"
    return f"Measured {results.date} on {results.machine}; {_orders(results)}, {rounds}."


def verdicts(results: Results) -> str:
    return "\n".join(f"- {line}" for workload in results.samples for line in _verdict(results, workload))


def _cell(sample: Sample) -> str:
    cpu = f"{sample.server_cpu:.2f} + {sample.database_cpu:.2f}"
    return f"{sample.requests_per_second:,.0f}/s<br>{sample.p99:.1f} ms<br>{cpu}"


def _verdict(results: Results, workload: str) -> Iterable[str]:
    """How the service stands to the limit's cost and to the best peer's throughput, or how its cost grows."""
    sizes = [server for server in results.samples[workload] if server.startswith("waybill ")]
    if len(sizes) > 1 and not results.orders:
        costs = [results.middle(workload, size).cpu for size in sizes]
        yield f"{_short(workload)}: {max(costs) / min(costs):.2f} times between the cheapest and the dearest size"
        return
    if "waybill" not in results.samples[workload]:
        return
    ours, peer = results.middle(workload, "waybill"), results.best_peer(workload)
    said = []
    if peer:
        theirs = results.middle(workload, peer)
        said.append(
            f"{ours.requests_per_second / theirs.requests_per_second:.2f} times the requests of {peer}, the best peer"
            f" (p99 {ours.p99:.1f} ms, its {theirs.p99:.1f} ms)"
        )
    if "limit" in results.samples[workload]:
        said.append(f"{ours.cpu / results.middle(workload, 'limit').cpu:.2f} times the limit's CPU")
    if "plain" in results.samples[workload]:
        said.append(f"{ours.cpu / results.middle(workload, 'plain').cpu:.0%} of plain graphql-core's CPU")
    if said:
        yield f"{_short(workload)}: {', '.join(said)}"


def _rows(results: Results, workload: str, base: str) -> list[Sequence[str]]:
    """The last two columns are ratios to `base`."""
    rows: list[Sequence[str]] = [(*HEADINGS, f"req/s vs {base}", f"CPU vs {base}")]
    reference = results.middle(workload, base)
    for server, rounds in results.samples[workload].items():
        its, rates = results.middle(workload, server), [sample.requests_per_second for sample in rounds]
        rows.append(
            (
                server,
                f"{its.requests_per_second:,.0f}",
                f"({min(rates):.0f}-{max(rates):.0f})",
                f"{its.p50:.1f}",
                f"{its.p99:.1f}",
                f"{its.server_cpu:.3f}",
                f"{its.database_cpu:.3f}",
                f"{its.cpu:.3f}",
                _memory(results, server),
                f"{its.requests_per_second / reference.requests_per_second:.2f}x",
                f"{its.cpu / reference.cpu:.2f}x",
            )
        )
    return rows


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _short(workload: str) -> str:
    return TITLES[workload].partition(":")[0]


def _memory(results: Results, server: str) -> str:
    return f"{results.memory[server]:.0f}" if server in results.memory else "-"


def _orders(results: Results) -> str:
    return f"{results.orders:,} orders" if results.orders else "several sizes"
