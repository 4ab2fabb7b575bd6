"""`python -m bench`: see README.md."""

import argparse
import fcntl
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from app.demo.embedded import EmbeddedError, remove
from bench import (
    cluster,
    cold,
    dataset,
    lists,
    live,
    load,
    overload,
    report,
    sampling,
    search,
    servers,
    webhook,
    workload,
    write,
)
from bench.answer import Different
from bench.cluster import Cluster
from bench.publish import publish
from bench.report import Results
from bench.run import Group, Pace, measure, standing
from bench.servers import Server

_SIZES = (10_000, 100_000, 1_000_000)
_LARGEST = 10_000_000


def main() -> int:
    """The exit status: 0 measured, 1 could not, 130 interrupted."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        load.check_tools()
        if options.profile:
            sampling.check_tools()
        with _folder(options.dir) as folder, _alone(folder):
            if set(options.loads or ()) & set(write.NAMES):
                _write(options, folder)
            else:
                with cluster.running(folder) as postgres:
                    _work(options, folder, postgres)
    except KeyboardInterrupt:
        return 130
    except (RuntimeError, OSError, EmbeddedError, Different) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures the service; see bench/README.md.")
    add = parser.add_argument
    add("--servers", type=_names, default=(), metavar="A,B", help="who is loaded; everybody there is where left out")
    add(
        "--loads",
        type=_names,
        default=None,
        metavar="A,B",
        help=f"of {','.join(workload.NAMES)}; or {','.join(live.NAMES)}; or one of"
        f" {','.join(overload.NAMES + webhook.NAMES + write.NAMES)} alone",
    )
    add("--rounds", type=int, default=3)
    add("--secs", type=int, default=4, help="of one server's turn in a round (default 4)")
    add("--warm", type=int, default=3, help="seconds of load before the first round (default 3)")
    add("--orders", type=int, default=100_000, help="size of the data set (default 100000)")
    add(
        "--scale",
        choices=("1", "10M"),
        help=f"the service and all lists at {', '.join(f'{size:,}' for size in _SIZES)} orders, or {_LARGEST:,} too",
    )
    add("--profile", action="store_true", help="where the time of the servers goes (py-spy)")
    add("--cold", type=int, metavar="N", help="what N documents cost that come once, and what is kept of them")
    add("--search", action="store_true", help="what searches and all lists cost, without the service")
    add("--publish", action="store_true", help="keep the figures in bench/results and show them in the README")
    add(
        "--tree", action="append", type=_tree, default=[], metavar="[NAME=]PATH", help="another checkout of the service"
    )
    add("--peers", type=Path, help="folder of the peers' servers")
    add("--peers-dir", type=Path, default=_path("PEERS_DIR") or Path(tempfile.gettempdir(), "peerbench"))
    add("--dir", type=Path, default=_path("BENCH_DIR"), help="where the cluster stays for the next run")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _tree(text: str) -> tuple[str, Path]:
    name, _, path = text.rpartition("=")
    return name or "waybill", Path(path).absolute()


def _path(key: str) -> Path | None:
    return Path(os.environ[key]).absolute() if os.environ.get(key) else None


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """Where cluster and logs lie: gone afterwards unless it is to be kept."""
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.absolute()
        return
    # Not the usual /tmp, which often is memory: a million orders take several gigabytes.
    folder = Path(tempfile.mkdtemp(prefix="waybill-bench-", dir=os.environ.get("TMPDIR") or "/var/tmp"))
    try:
        yield folder
    finally:
        remove(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Waits for another run on the same cluster: two at once would measure each other."""
    with (folder / "lock.bench").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for the run that is going on", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _work(options: argparse.Namespace, folder: Path, postgres: Cluster) -> None:
    if others := postgres.others():
        print(f"{others} sessions of others: what they do counts as PostgreSQL's CPU", file=sys.stderr, flush=True)
    if options.search:
        tree = options.tree[0][1] if options.tree else servers.HERE.parent
        url = postgres.url(dataset.ours(postgres, tree, options.orders))
        print(search.table(url), lists.table(url), sep="\n\n", flush=True)
        return
    if loads := [name for name in options.loads or () if name in live.NAMES]:
        if len(loads) != len(options.loads):
            raise RuntimeError(f"{', '.join(live.NAMES)} are a run of their own.")
        trees = options.tree or [("waybill", servers.HERE.parent)]
        home = options.peers_dir.absolute() if options.peers else None
        if home:
            servers.set_up_peers(options.peers.absolute(), home, ("node24/node_modules", "node-mercurius/node_modules"))
        live.measure(folder, postgres, loads, options.orders, options.secs, trees, home, options.servers)
        return
    if set(options.loads or ()) & set(overload.NAMES):
        overload.measure(folder, postgres, options.orders, options.secs)
        return
    if options.loads and set(options.loads) & set(webhook.NAMES):
        webhook.measure(folder, postgres, options.orders)
        return
    groups = list(_groups(options, postgres))
    if options.profile:
        for group in groups:
            with standing(group, postgres, folder) as contenders:
                for each in contenders:
                    for name in each.bodies:
                        print(sampling.profile(each, name, folder, max(options.secs, 5)), flush=True)
        return
    if options.cold:
        for alone in chain.from_iterable(map(_each_alone, groups)):
            with standing(alone, postgres, folder) as contenders:
                for each in contenders:
                    print(cold.measure(each, postgres, options.cold), flush=True)
        return
    results = Results(
        _machine(postgres), datetime.now(UTC).date().isoformat(), 0 if options.scale else options.orders, options.rounds
    )
    measure(groups, postgres, folder, Pace(options.rounds, options.secs, options.warm), results)
    print(report.text(results))
    for size in _sizes(options) if options.scale else ():
        url = postgres.url(dataset.ours(postgres, servers.HERE.parent, size))
        print(
            f"\nAll lists at {size:,} orders, by each of their filters alone:\n\n{lists.table(url, most=1)}", flush=True
        )
    (folder / "results.json").write_text(json.dumps(results.as_json(), indent=1))
    if options.publish:
        publish(results, "growth" if options.scale else "comparison")


def _write(options: argparse.Namespace, folder: Path) -> None:
    if set(options.loads) != set(write.NAMES):
        raise RuntimeError(f"{', '.join(write.NAMES)} is a run of its own: it flushes what it commits.")
    trees = options.tree or [("waybill", servers.HERE.parent)]
    print(write.table(folder, trees, options.orders, options.secs), flush=True)


def _each_alone(group: Group) -> Iterator[Group]:
    """One server of the service at a time beside the limit, so that all connections of the service are its own."""
    limit, *others = group.servers
    for server in others:
        yield replace(group, servers=[limit, server], measured=[server.name])


def _groups(options: argparse.Namespace, postgres: Cluster) -> Iterator[Group]:
    """One group of servers, or with --scale one for each size, in which the service is measured alone."""
    if not options.scale:
        yield _group(options, postgres, options.orders, options.loads or workload.NAMES, options.servers)
        return
    for size in _sizes(options):
        group = _group(options, postgres, size, options.loads or ("q1", "q2"), options.servers or ("waybill",))
        named = {server.name: f"{server.name} {size // 1000:,}k" for server in group.servers}
        yield replace(
            group,
            servers=[replace(server, name=named[server.name]) for server in group.servers],
            measured=[named.get(name, name) for name in group.measured],
        )


def _sizes(options: argparse.Namespace) -> Sequence[int]:
    return (*_SIZES, _LARGEST) if options.scale == "10M" else _SIZES


def _group(
    options: argparse.Namespace, postgres: Cluster, orders: int, loads: Sequence[str], wanted: Sequence[str]
) -> Group:
    trees = options.tree or [("waybill", servers.HERE.parent)]
    database = dataset.ours(postgres, trees[0][1], orders)
    found = [
        servers.limit(postgres.url(database)),
        *_services(trees, postgres, orders),
        *_peers(options, postgres, orders),
    ]
    names = [*(server.name for server in found), servers.PGBENCH]
    if unknown := set(wanted) - set(names):
        raise RuntimeError(f"No such server: {', '.join(sorted(unknown))}. There are {', '.join(names)}.")
    measured = [name for name in names if not wanted or name in wanted]
    visitors = dataset.visitors(postgres, database)
    # The pages that every size has, so that all sizes return the same number of rows.
    pages = min(_SIZES) if options.scale else orders
    return Group(
        servers=[server for server in found if server.name in ("limit", *measured)],
        workloads=[workload.workload(name, visitors, pages) for name in loads],
        database=database,
        measured=measured,
    )


def _services(trees: Sequence[tuple[str, Path]], postgres: Cluster, orders: int) -> Iterator[Server]:
    for name, tree in trees:
        url = postgres.url(dataset.ours(postgres, tree, orders))
        yield servers.waybill(name, tree, url, {})
        if name == "waybill":
            yield servers.waybill("plain", tree, url, {"EXECUTOR": "reference"})


def _peers(options: argparse.Namespace, postgres: Cluster, orders: int) -> Iterator[Server]:
    if not options.peers:
        return
    peers, home = options.peers.absolute(), options.peers_dir.absolute()
    servers.set_up_peers(peers, home)
    url = postgres.url(dataset.of_peers(postgres, peers, orders))
    for name in servers.PEERS:
        yield servers.of_peers(name, peers, home, url)


def _machine(postgres: Cluster) -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} × {model}, {memory:.0f} GiB, {python}, PostgreSQL {postgres.version}"


if __name__ == "__main__":
    sys.exit(main())
