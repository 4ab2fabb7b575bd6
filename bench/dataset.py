"""The databases of the benchmark: made once for each size and schema, kept as long as the cluster."""

import hashlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cluster import Cluster
from bench.process import run

APIKEY = "waybill-benchmark-partner-key"
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Contact:
    """Of a company of his own, with its newest order that has a shipment, and one of its shipments."""

    id: int
    company_id: int
    order_id: int
    shipment_id: str

    @property
    def subject(self) -> str:
        return f"contact:{self.id}"


@dataclass(frozen=True)
class Customer:
    """With a session, and the newest of its orders."""

    id: int
    session_id: int
    order_id: int

    @property
    def subject(self) -> str:
        return f"customer:{self.id}:{self.session_id}"


@dataclass(frozen=True)
class Visitors:
    """Who may ask, and for how much: orders and shipments have the numbers from 1 on."""

    orders: int
    shipments: int
    contacts: Sequence[Contact]
    customers: Sequence[Customer]


def visitors(cluster: Cluster, database: str) -> Visitors:
    def rows(statement: str) -> list[list[str]]:
        return [line.split("|") for line in cluster.psql(database, "-At", "-c", statement).split()]

    [[orders, shipments]] = rows("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM shipments)")
    contacts = rows(
        "SELECT c.contact_id, c.company_id, o.id, o.shipment_id FROM contact_companies c CROSS JOIN LATERAL ("
        " SELECT o.id, s.id AS shipment_id FROM orders o JOIN shipments s ON s.order_id = o.id"
        " WHERE o.company_id = c.company_id ORDER BY o.id DESC, s.id LIMIT 1) o ORDER BY 1"
    )
    customers = rows(
        "SELECT c.customer_id, c.id, max(o.id) FROM customer_sessions c JOIN orders o USING (customer_id, channel_id)"
        " GROUP BY c.customer_id, c.id ORDER BY 1"
    )
    return Visitors(
        int(orders),
        int(shipments),
        [Contact(int(contact), int(company), int(order), shipment) for contact, company, order, shipment in contacts],
        [Customer(int(customer), int(session), int(order)) for customer, session, order in customers],
    )


def ours(cluster: Cluster, tree: Path, orders: int) -> str:
    """The name of the database with that many orders in the schema of the checkout `tree`."""
    seed = _HERE / "dataset.sql"
    sources = [*sorted((tree / "sql" / "migrations").glob("*.sql")), seed]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:8]
    database = f"waybill_{orders}_{digest}"
    if not cluster.has(database):
        with _new(cluster, database) as unfinished:
            environment = {**os.environ, "DATABASE_URL": cluster.url(unfinished)}
            run([sys.executable, "-m", "app", "migrate"], cwd=tree, env=environment)
            cluster.psql(
                unfinished, "-o", os.devnull, "-v", f"orders={orders}", "-v", f"apikey={APIKEY}", "-f", str(seed)
            )
    return database


def of_peers(cluster: Cluster, peers: Path, orders: int) -> str:
    """The same orders in the tables of the peers, made by their own files."""
    files = [peers / f"{name}.sql" for name in ("schema", "seed", "indexes")]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]
    database = f"peers_{orders}_{digest}"
    if not cluster.has(database):
        with _new(cluster, database) as unfinished:
            for file in files:
                cluster.psql(unfinished, "-o", os.devnull, "-v", f"n={orders}", "-f", str(file))
    return database


@contextmanager
def _new(cluster: Cluster, database: str) -> Iterator[str]:
    """A database under another name until the block has filled it, so that half a data set is never measured."""
    unfinished, started = f"{database}_new", time.monotonic()
    cluster.psql(
        "postgres",
        "-c",
        f"DROP DATABASE IF EXISTS {unfinished}",
        "-c",
        f"CREATE DATABASE {unfinished} TEMPLATE template0",
    )
    yield unfinished
    cluster.psql("postgres", "-c", f"ALTER DATABASE {unfinished} RENAME TO {database}", "-c", "CHECKPOINT")
    print(f"{database} made in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
