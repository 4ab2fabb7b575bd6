"""What a document costs the first time it comes, and what is kept of documents that never come again."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor

from bench.cluster import Cluster
from bench.document import documents
from bench.process import cpu_seconds, own_mebibytes, peak_mebibytes, resident_mebibytes
from bench.run import Running
from bench.servers import Server
from bench.workload import STATUSES

HEADINGS = ("", "documents", "server CPU ms", "PostgreSQL CPU ms", "RSS MiB", "peak", "backends MiB", "largest")
_AT_ONCE = 16


def measure(contender: Running, postgres: Cluster, count: int) -> str:
    """So many documents one after the other, and as many others sixteen at a time, so that all connections know some.

    `contender` runs alone, and has answered ordinary documents before.
    """
    rows = [HEADINGS, ("before", "", "", "", *_memory(contender, postgres))]
    for name, at_once, seed in (("one by one", 1, 1), (f"{_AT_ONCE} at a time", _AT_ONCE, 2)):
        bodies = [
            json.dumps({"query": text, "variables": {"input": {"statuses": STATUSES, "page": 1, "offset": 12}}})
            for text in documents(count, seed)
        ]
        server, database = cpu_seconds(contender.process.pid), postgres.cpu_seconds()
        with ThreadPoolExecutor(at_once) as threads:
            list(threads.map(_ask, [contender.server] * at_once, [bodies[place::at_once] for place in range(at_once)]))
        server, database = cpu_seconds(contender.process.pid) - server, postgres.cpu_seconds() - database
        costs = (f"{seconds / count * 1000:.2f}" for seconds in (server, database))
        rows.append((name, f"{count:,}", *costs, *_memory(contender, postgres)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join([f"{contender.name}: documents that come once", *lines, ""])


def _ask(server: Server, bodies: list[str]) -> None:
    """Raises `RuntimeError` for an answer that is none."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"content-type": "application/json", **server.credentials(None)}
    for body in bodies:
        connection.request("POST", server.path, body, headers)
        answer = connection.getresponse().read()
        if not answer.startswith(b'{"data":{'):
            raise RuntimeError(f"{server.name}: {answer[:500]!r}")
    connection.close()


def _memory(contender: Running, postgres: Cluster) -> tuple[str, ...]:
    """Of the process now and at most, and of its backends together and the largest of them."""
    backends = [own_mebibytes(pid) for pid in postgres.backends("waybill")]
    pid = contender.process.pid
    figures = (resident_mebibytes(pid), peak_mebibytes(pid), sum(backends), max(backends))
    return tuple(f"{figure:.0f}" for figure in figures)
