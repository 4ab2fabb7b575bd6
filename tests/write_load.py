"""Writers of one partner who ship from the same order lines through the mutations, each request with a key of its own.

The key is the request id too: so the store tells which keys were applied, how often, and what was answered.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx

from app.demo import fixtures
from tests import consistency
from tests.conftest import FAR_TOO_LONG

WRITERS = 6
ACTOR = "partner:1"

# Three lines for all writers, and soon too few of each.
ORDER_ID, LINE_IDS, ORDERED = 2075, (20153, 20154, 20155), 20

CREATE = """mutation ($input: ShipmentCreateInput!) {
  shipmentCreate(input: $input) { id version items { id quantity orderItem { quantityRemaining } } }
}"""
MOVE = """mutation ($id: String!, $input: ShipmentUpdateInput!) {
  shipmentUpdate(id: $id, input: $input) { status version trackAndTraces { code } }
}"""
RESIZE = """mutation ($id: String!, $input: ShipmentItemUpdateInput!) {
  shipmentItemUpdate(id: $id, input: $input) { quantity version orderItem { quantityRemaining } }
}"""
LABEL = "mutation ($input: TrackAndTraceCreateInput!) { trackAndTraceCreate(input: $input) { code version } }"
DELETE = "mutation ($id: String!) { shipmentDelete(id: $id) }"

_NEXT_YEAR = datetime.now(UTC) + timedelta(days=365)

# A mutation that is answered so has changed nothing. Any other error does not tell whether it has.
# A shipment that is under way is canceled by nobody but who may override the lifecycle (decision 16).
REFUSALS = {"VALIDATION_ERROR", "CONFLICT", "FORBIDDEN"}


@dataclass(frozen=True)
class Mutation:
    key: str
    document: str
    variables: dict[str, Any]

    @property
    def request(self) -> dict[str, Any]:
        headers = {"apikey": fixtures.PARTNER_KEY, "idempotency-key": self.key, "x-request-id": self.key}
        return {"json": {"query": self.document, "variables": self.variables}, "headers": headers}


@dataclass
class Load:
    """`answers` tell of changes, `unanswered` of requests whose end nobody knows; `refused` counts the others."""

    url: str
    transport: httpx.AsyncBaseTransport | None = None
    answers: dict[str, bytes] = field(default_factory=dict)
    answered: list[Mutation] = field(default_factory=list)
    unanswered: list[Mutation] = field(default_factory=list)
    refused: int = 0
    _keys: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everybody writes until the block ends, or until one is left without an answer."""
        stopped = asyncio.Event()
        async with self._client() as client, asyncio.TaskGroup() as writers:
            for number in range(WRITERS):
                writers.create_task(self._write(client, random.Random(f"{number} {self._keys}"), stopped))
            yield
            stopped.set()

    async def reach(self, answers: int) -> None:
        """Waits for so many answers in all."""
        async with asyncio.timeout(FAR_TOO_LONG):
            while len(self.answers) < answers:
                assert not self.unanswered
                await asyncio.sleep(0.005)

    async def repeat(self) -> None:
        """Sends all again: what had no answer gets one, and what had is answered as before, byte for byte."""
        async with asyncio.timeout(FAR_TOO_LONG), self._client() as client:
            for mutation in self.answered.copy():
                response = await client.post(self.url, **mutation.request)
                assert response.content == self.answers[mutation.key]
                assert response.headers["idempotent-replayed"] == "true"
            while self.unanswered:
                # In flight, a key is a conflict: the server still ends what the killed one began.
                mutation = self.unanswered.pop()
                answer = await self._send(client, mutation)
                if _codes(answer) == {"CONFLICT"}:
                    self.unanswered.append(mutation)
                    await asyncio.sleep(0.02)

    async def check(self, dsn: str) -> None:
        """Each key that was answered is applied once and kept with its answer, no other is, and all rules hold."""
        assert await consistency.breaches(dsn) == {}
        connection = await asyncpg.connect(dsn)
        try:
            applied = await connection.fetch(
                "SELECT request_id, count(*) FROM transactions WHERE actor = $1 GROUP BY request_id", ACTOR
            )
            kept = await connection.fetch("SELECT key, response FROM idempotency_keys WHERE actor = $1", ACTOR)
        finally:
            await connection.close()
        assert dict(applied) == dict.fromkeys(self.answers, 1)
        assert dict(kept) == self.answers

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.transport, timeout=FAR_TOO_LONG)

    async def _write(self, client: httpx.AsyncClient, dice: random.Random, stopped: asyncio.Event) -> None:
        item_ids: dict[str, str] = {}  # by shipment
        while not (stopped.is_set() or self.unanswered):
            self._keys += 1
            mutation = _draw(dice, self._keys, item_ids)
            answer = await self._send(client, mutation)
            data = answer and answer["data"]
            if mutation.document == CREATE and data:
                shipment = data["shipmentCreate"]
                item_ids[shipment["id"]] = shipment["items"][0]["id"]
            if mutation.document == DELETE and data:
                del item_ids[mutation.variables["id"]]

    async def _send(self, client: httpx.AsyncClient, mutation: Mutation) -> dict[str, Any] | None:
        """The answer, None where there is none."""
        try:
            response = await client.post(self.url, **mutation.request)
            answer: dict[str, Any] = response.json() if response.status_code == 200 else {"data": None}
        except httpx.TransportError:
            answer = {"data": None}
        if answer["data"]:
            self.answers[mutation.key] = response.content
            self.answered.append(mutation)
        elif _codes(answer) and _codes(answer) <= REFUSALS:
            self.refused += 1
        else:
            self.unanswered.append(mutation)
            return None
        return answer


def _codes(answer: dict[str, Any] | None) -> set[str]:
    return {error["extensions"]["code"] for error in (answer or {}).get("errors", [])}


def _draw(dice: random.Random, serial: int, item_ids: dict[str, str]) -> Mutation:
    """A mutation that changes something, if it is not refused: no two of them write the same."""
    key = f"load-{serial}"
    roll = dice.random()
    if not item_ids or roll < 0.4:
        items = [{"orderItemId": dice.choice(LINE_IDS), "quantity": dice.randint(1, 3)}]
        shipment = {"orderId": ORDER_ID, "items": items, "trackAndTraces": [{"carrierId": 1, "code": key}]}
        return Mutation(key, CREATE, {"input": shipment})
    shipment_id = dice.choice(list(item_ids))
    if roll < 0.6:
        status = dice.choice(("PROCESSING", "IN_TRANSIT", "CANCELED"))
        moment = (_NEXT_YEAR + timedelta(seconds=serial)).isoformat()
        return Mutation(key, MOVE, {"id": shipment_id, "input": {"status": status, "expectedDeliveryAt": moment}})
    if roll < 0.75:
        item = {"quantity": dice.randint(1, 4), "name": key}
        return Mutation(key, RESIZE, {"id": item_ids[shipment_id], "input": item})
    if roll < 0.85:
        return Mutation(key, LABEL, {"input": {"shipmentId": shipment_id, "carrierId": 2, "code": key}})
    return Mutation(key, DELETE, {"id": shipment_id})


async def prepare(dsn: str) -> None:
    """Orders so much of the lines, in a database with the fixtures, that there is something to ship."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("UPDATE order_items SET quantity = $1 WHERE id = ANY ($2)", ORDERED, list(LINE_IDS))
    finally:
        await connection.close()
