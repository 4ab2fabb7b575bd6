"""The bound that the database sets: one statement a request, whose JSON is passed on. No GraphQL, no viewer.

Raw ASGI for exactly the benchmark's queries; `DSN` names the database, of the schema of sql/migrations.
"""

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import asyncpg
import orjson

_CONNECTIONS = 10
_TEXTS = {name: Path(__file__).with_name(f"{name}.sql").read_text() for name in ("q1", "q2", "q3", "q4", "q5", "q6")}
_BY_VARIABLE = {"orderId": "q2", "id": "q3", "order": "q4", "customer": "q5", "company": "q6"}

Message = MutableMapping[str, Any]
Statements = dict[str, asyncpg.prepared_stmt.PreparedStatement]


class Pool:
    """Connections with all statements prepared; one runs on each at a time, in the order of the requests."""

    def __init__(self) -> None:
        self._free: deque[Statements] = deque()
        self._waiting: deque[asyncio.Future[Statements]] = deque()

    async def open(self) -> None:
        for _ in range(_CONNECTIONS):
            connection = await asyncpg.connect(os.environ["DSN"])
            self._free.append({name: await connection.prepare(text) for name, text in _TEXTS.items()})

    async def value(self, name: str, *arguments: Any) -> bytes:
        if self._free:
            statements = self._free.popleft()
        else:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            statements = await turn
        try:
            body: bytes = await statements[name].fetchval(*arguments)
            return body
        finally:
            if self._waiting:
                self._waiting.popleft().set_result(statements)
            else:
                self._free.append(statements)


_pool = Pool()


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await _pool.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    request = orjson.loads(body)
    variables = request["variables"]
    if "input" in variables:
        page = variables["input"]
        answer = await _pool.value("q1", page["statuses"], page["page"], page["offset"])
    else:
        [(variable, value)] = variables.items()
        answer = await _pool.value(_BY_VARIABLE[variable], value)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
