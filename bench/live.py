"""What those who listen cost: sockets on which nothing comes, and how late events are where something does.

`s1` opens sockets that subscribe and are told nothing, and sees what the process takes for each. `s2` has contacts
listen, several sockets each, while shipments of their orders are written one after the other, and sees how long each
event takes from the commit of its transaction to its frame. Beside the service stand subscriptions as they are usually
made, by Ariadne and Mercurius: told by notifications, resuming nothing (`listening/`).
"""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import asyncpg
from websockets.asyncio.client import ClientConnection, connect

from bench import dataset, servers
from bench.cluster import Cluster
from bench.dataset import Contact
from bench.load import settled
from bench.process import cpu_seconds, resident_mebibytes
from bench.run import started
from bench.servers import Server

NAMES = ("s1", "s2")
IDLE_SOCKETS = 10_000
# Of others, which need minutes to open them.
FEWER_SOCKETS = 2_000
CONTACTS, SOCKETS_EACH = 100, 10
CHANGES_PER_SECOND = 100
_OPENING_AT_ONCE = 50
_SUBSCRIPTION = (
    "subscription { shipmentChanges { cursor action shipmentId shipment { id status items { quantity } } } }"
)
_WRITE = (
    "INSERT INTO shipments (order_id, channel_id) SELECT id, channel_id FROM orders WHERE id = $1 RETURNING id::text"
)


@dataclass(frozen=True)
class Lateness:
    """In milliseconds from the commit to the frame; CPU is that of an event to all who hear of it."""

    events: int
    frames: int
    p50: float
    p99: float
    gateway: float
    database: float


def measure(
    folder: Path,
    postgres: Cluster,
    loads: Sequence[str],
    orders: int,
    seconds: int,
    trees: Sequence[tuple[str, Path]],
    home: Path | None,
    wanted: Sequence[str] = (),
) -> None:
    """Prints a line for each load and server, on a copy of the data set. `home` is where Mercurius is, if anywhere.

    `wanted` are the names of the servers that are measured; all there are where none is named.
    """
    peers = ("plain-ariadne", *(["mercurius"] if home else []))
    for name, tree in trees:
        if wanted and name not in wanted:
            continue
        with _copy(postgres, tree, orders) as (database, contacts):
            _measure(_server(name, tree, postgres, database), folder, postgres, database, contacts, loads, seconds)
    with _copy(postgres, trees[0][1], orders) as (database, contacts):
        if "s2" in loads:
            _print_nobody(postgres, database, contacts, seconds)
        postgres.psql(database, "-f", str(servers.HERE / "listening" / "notify.sql"))
        for name in peers:
            if wanted and name not in wanted:
                continue
            server = servers.listening(name, home or Path(), postgres.url(database))
            _measure(server, folder, postgres, database, contacts, loads, seconds)


@contextmanager
def _copy(postgres: Cluster, tree: Path, orders: int) -> Iterator[tuple[str, Sequence[Contact]]]:
    """A copy of the data set of a checkout, for the time of the block, and who listens."""
    original = dataset.ours(postgres, tree, orders)
    contacts = dataset.visitors(postgres, original).contacts
    copy = f"{original}_live"
    postgres.psql("postgres", "-c", f"DROP DATABASE IF EXISTS {copy}")
    postgres.psql("postgres", "-c", f"CREATE DATABASE {copy} TEMPLATE {original}")
    # Goods of all orders may be shipped.
    update = "UPDATE orders SET status = 'CONFIRMED' WHERE status <> 'CONFIRMED'"
    postgres.psql(copy, "-c", "SET session_replication_role = replica", "-c", update)
    try:
        yield copy, contacts
    finally:
        postgres.psql("postgres", "-c", f"DROP DATABASE {copy} WITH (FORCE)")


def _measure(
    server: Server,
    folder: Path,
    postgres: Cluster,
    database: str,
    contacts: Sequence[Contact],
    loads: Sequence[str],
    seconds: int,
) -> None:
    if "s1" in loads:
        number = IDLE_SOCKETS if server.is_service else FEWER_SOCKETS
        kib = asyncio.run(_idle(server, folder, contacts, number))
        print(f"s1 {server.name}: {number:,} sockets that wait, {kib:.1f} KiB each", flush=True)
    if "s2" in loads:
        late = asyncio.run(_told(server, folder, postgres, postgres.url(database), contacts, seconds))
        frames = f"{late.events / seconds:.0f} changes/s, {late.frames / late.events:.1f} frames each"
        delay = f"from commit to frame p50 {late.p50:.1f} ms, p99 {late.p99:.1f} ms"
        cpu = f"CPU of a change {late.gateway:.2f} + {late.database:.2f} ms"
        who = f"{CONTACTS * SOCKETS_EACH:,} sockets of {CONTACTS} contacts"
        print(f"s2 {server.name}: {who}, {frames}; {delay}; {cpu}", flush=True)


def _print_nobody(postgres: Cluster, database: str, contacts: Sequence[Contact], seconds: int) -> None:
    """What the writes cost by themselves."""

    async def write() -> float:
        writer = await asyncpg.connect(postgres.url(database))
        await _write(writer, contacts[:CONTACTS], 2)
        before = settled(postgres.cpu_seconds)
        committed = await _write(writer, contacts[:CONTACTS], seconds)
        spent: float = settled(postgres.cpu_seconds) - before
        await writer.close()
        return 1000 * spent / len(committed)

    print(f"s2 nobody: CPU of a change {asyncio.run(write()):.2f} ms of PostgreSQL", flush=True)


def _server(name: str, tree: Path, postgres: Cluster, database: str) -> Server:
    return servers.waybill(name, tree, postgres.url(database), {"LIMIT_CONNECTIONS": "20000"})


async def _subscribed(server: Server, contact: Contact) -> ClientConnection:
    """A socket on which all of the past was told."""
    socket = await connect(
        f"ws://127.0.0.1:{server.port}/graphql",
        subprotocols=["graphql-transport-ws"],  # type: ignore[list-item]
        compression=None,
        open_timeout=120,
        ping_interval=None,
        proxy=None,
    )
    payload = dict(server.credentials(contact.subject))
    await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
    await socket.recv()
    await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": _SUBSCRIPTION}}))
    if "UP_TO_DATE" not in str(first := await socket.recv()):
        raise RuntimeError(f"{server.name} answered a subscription with {first!r}")
    return socket


async def _open(server: Server, contacts: Sequence[Contact], stack: AsyncExitStack) -> list[ClientConnection]:
    """A socket for each of the contacts, some at a time."""
    sockets: list[ClientConnection] = []
    for start in range(0, len(contacts), _OPENING_AT_ONCE):
        some = contacts[start : start + _OPENING_AT_ONCE]
        sockets += await asyncio.gather(*(_subscribed(server, contact) for contact in some))
    for socket in sockets:
        stack.push_async_callback(socket.close)
    return sockets


async def _idle(server: Server, folder: Path, contacts: Sequence[Contact], number: int) -> float:
    """KiB of the process for each of many sockets."""
    with started(server, folder) as process:
        async with AsyncExitStack() as stack:
            await _open(server, [contacts[place % len(contacts)] for place in range(len(contacts))], stack)
            before = resident_mebibytes(process.pid)
            await _open(server, [contacts[place % len(contacts)] for place in range(number)], stack)
            grown: float = resident_mebibytes(process.pid) - before
            return grown * 1024 / number


async def _told(
    server: Server, folder: Path, postgres: Cluster, url: str, contacts: Sequence[Contact], seconds: int
) -> Lateness:
    listeners = contacts[:CONTACTS]
    with started(server, folder) as process:
        async with AsyncExitStack() as stack:
            sockets = await _open(server, [each for each in listeners for _ in range(SOCKETS_EACH)], stack)
            arrivals: dict[str, list[float]] = {}
            listening = [asyncio.create_task(_listen(socket, arrivals)) for socket in sockets]
            writer = await asyncpg.connect(url)
            stack.push_async_callback(writer.close)
            await _write(writer, listeners, 2)  # plans are made, and what is asked first is found out
            cpu = settled(lambda: cpu_seconds(process.pid)), settled(postgres.cpu_seconds)
            committed = await _write(writer, listeners, seconds)
            await _until_told(committed, arrivals)
            used = settled(lambda: cpu_seconds(process.pid)) - cpu[0], settled(postgres.cpu_seconds) - cpu[1]
            for task in listening:
                task.cancel()
    late = [1000 * (at - moment) for id_, moment in committed.items() for at in arrivals[id_]]
    gateway, database = (1000 * each / len(committed) for each in used)
    return Lateness(len(committed), len(late), median(late), quantiles(late, n=100)[98], gateway, database)


async def _write(writer: asyncpg.Connection, listeners: Sequence[Contact], seconds: int) -> dict[str, float]:
    """One shipment after another, at an even pace: when each was committed."""
    committed: dict[str, float] = {}
    begun = time.perf_counter()
    for number in range(seconds * CHANGES_PER_SECOND):
        await asyncio.sleep(max(0.0, begun + number / CHANGES_PER_SECOND - time.perf_counter()))
        id_ = await writer.fetchval(_WRITE, listeners[number % len(listeners)].order_id)
        committed[id_] = time.perf_counter()
    return committed


async def _listen(socket: ClientConnection, arrivals: dict[str, list[float]]) -> None:
    async for message in socket:
        now = time.perf_counter()
        event = json.loads(message)["payload"]["data"]["shipmentChanges"]
        arrivals.setdefault(event["shipmentId"], []).append(now)


async def _until_told(committed: dict[str, float], arrivals: dict[str, list[float]]) -> None:
    """Raises TimeoutError where an event does not come."""
    async with asyncio.timeout(60):
        # A look now and then costs less than a count with each frame.
        while any(len(arrivals.get(id_, ())) < SOCKETS_EACH for id_ in committed):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
