"""Every change reaches a receiver that fails one time in five, in its order, whoever delivers is killed."""

import asyncio
import hashlib
import random
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import asyncpg

from tests.app.webhooks.conftest import Answer, Request, listening
from tests.app.webhooks.test_command import environment
from tests.conftest import ConnectionTo
from tests.fuzz import MINUTES, SEED

ROOT = Path(__file__).parents[1]
CHANGES = 100_000 if MINUTES else 400
ORDERS = 100 if MINUTES else 20
DELIVERERS = 2
KILL_SECONDS = 5.0
KILLS = 3  # without a clock: after so much progress each
LONGEST_SECONDS = 3_600 if MINUTES else 600
VERSIONS = "SELECT id, version FROM orders WHERE channel_id = 1 ORDER BY id LIMIT $1"
WRITE = """
UPDATE orders SET reference = 'n' || $2 WHERE channel_id = 1 AND id = ANY ($1) RETURNING id, version
"""
ENDPOINT = """
INSERT INTO webhook_endpoints (owner, url, types, secret, concurrency, document, position, number)
SELECT 'staff:1', $1, '{ORDER_UPDATED}', sha256('secret'), 50,
  'subscription { webhookEvent { orderId version order { version } } }', e.position, 9223372036854775806
FROM feed_ends e ORDER BY e.position DESC LIMIT 1
RETURNING id
"""


class Notes:
    """What has come, and whether it was right."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.came = 0
        self.versions: dict[int, int] = defaultdict(int)  # the last that came of each order
        self.told: dict[int, set[int]] = defaultdict(set)  # what was accepted
        self.bodies: dict[str, bytes] = {}
        self.faults: list[str] = []

    def receive(self, request: Request) -> Answer:
        self.came += 1
        digest = hashlib.sha256(request.body).digest()
        if self.bodies.setdefault(request.id, digest) != digest:
            self.faults.append(f"{request.id} came with another body")
        order_id, version = request.data["orderId"], request.data["version"]
        if version < self.versions[order_id]:
            self.faults.append(f"order {order_id}: {version} came after {self.versions[order_id]}")
        self.versions[order_id] = version
        luck = self.dice.random()
        if luck < 0.1:
            return 500, {}, b"not now"
        if luck < 0.15:
            return None  # and nobody knows whether it was taken
        self.told[order_id].add(version)
        return None if luck < 0.2 else (200, {}, b"")


class Crew:
    """Processes that deliver, each started anew when it was killed."""

    def __init__(self, dsn: str, log: Path) -> None:
        self._environment = environment(dsn, WEBHOOK_RETRY_SECONDS="1")
        self._log = log
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        with self._log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "app", "deliver"),
                cwd=ROOT,
                env=self._environment,
                stdout=output,
                stderr=output,
            )
        self._processes.append(process)

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        assert process.returncode is None, self._log.read_text()[-2_000:]
        process.send_signal(signal.SIGKILL)
        await process.wait()
        self._processes.remove(process)

    async def replace_one(self, dice: random.Random) -> None:
        await self.kill(dice.choice(self._processes))
        await self.start()

    async def close(self) -> None:
        for process in list(self._processes):
            await self.kill(process)


async def write(connection: asyncpg.Connection, notes: Notes, written: dict[int, int]) -> None:
    """Changes one to twenty orders at a time; `written` has the last version of each."""
    orders = [row["id"] for row in await connection.fetch(VERSIONS, ORDERS)]
    left, serial = CHANGES, 0
    while left > 0:
        serial += 1
        some = notes.dice.sample(orders, min(left, notes.dice.choice((1, 2, 20))))
        for row in await connection.fetch(WRITE, some, str(serial)):
            written[row["id"]] = row["version"]
        left -= len(some)
        if notes.dice.random() < 0.2:
            await asyncio.sleep(0.01)


async def test_every_change_arrives_in_order_whoever_is_killed(
    demo_copy_dsn: str, connection_to: ConnectionTo, tmp_path: Path
) -> None:
    seed = SEED if MINUTES else 1
    dice = random.Random(seed)
    notes = Notes(dice)
    connection = await connection_to(demo_copy_dsn)
    await connection.execute("SELECT give_positions(1000000)")
    first = dict(await connection.fetch(VERSIONS, ORDERS))
    crew = Crew(demo_copy_dsn, tmp_path / "log")
    written: dict[int, int] = {}
    async with listening(behave=notes.receive) as receiver, asyncio.timeout(LONGEST_SECONDS):
        receiver.requests = Nothing()
        await connection.execute(ENDPOINT, receiver.site)
        begun = time.monotonic()
        writing = asyncio.create_task(write(connection, notes, written))
        try:
            for _ in range(DELIVERERS):
                await crew.start()
            kills = 0
            while not (writing.done() and _is_complete(notes, first, written)):
                before = notes.came
                if MINUTES:
                    await asyncio.sleep(KILL_SECONDS)
                elif kills < KILLS:
                    await _until_came(notes, before + CHANGES // (2 * KILLS), first, written)
                else:
                    await asyncio.sleep(0.05)
                    continue
                await crew.replace_one(dice)
                kills += 1
                assert notes.faults == []
            await writing
        finally:
            writing.cancel()
            await crew.close()
    assert notes.faults == []
    assert kills >= KILLS
    assert sum(written.values()) - sum(first[order_id] for order_id in written) == CHANGES
    states = dict(await connection.fetch("SELECT state, count(*) FROM webhook_deliveries GROUP BY 1"))
    assert sum(states.values()) == CHANGES
    if MINUTES:
        seconds = time.monotonic() - begun
        print(f"webhooks: seed {seed}, {kills} kills, {notes.came:,} requests in {seconds:.0f} s", flush=True)


class Nothing(list[Any]):
    """Keeps nothing of what is added."""

    def append(self, _value: Any) -> None:
        pass


async def _until_came(notes: Notes, number: int, first: dict[int, int], written: dict[int, int]) -> None:
    while notes.came < number and not _is_complete(notes, first, written):  # noqa: ASYNC110  nothing sets an event
        await asyncio.sleep(0.01)


def _is_complete(notes: Notes, first: dict[int, int], written: dict[int, int]) -> bool:
    return all(len(notes.told[order_id]) == version - first[order_id] for order_id, version in written.items())
