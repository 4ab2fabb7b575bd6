"""A subscription as Ariadne's documentation has it: a queue for each socket, filled by notifications of PostgreSQL.

Nothing is resumed, nothing bounded, and nothing is shared: each socket executes its own document. Who asks is believed.
"""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from ariadne import ObjectType, SubscriptionType, make_executable_schema
from ariadne.asgi import GraphQL
from ariadne.asgi.handlers import GraphQLTransportWSHandler
from graphql import GraphQLResolveInfo
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

_COMPANY = "SELECT company_id FROM contact_companies WHERE contact_id = $1"
_SHIPMENT = "SELECT id::text, status FROM shipments WHERE id = $1"
_ITEMS = "SELECT quantity FROM shipment_items WHERE shipment_id = $1 ORDER BY id"

queues: dict[int, set[asyncio.Queue[str]]] = {}
pool: asyncpg.Pool

subscription = SubscriptionType()
shipment = ObjectType("Shipment")


@subscription.source("shipmentChanges")
async def changes(_root: None, info: GraphQLResolveInfo[Any]) -> AsyncGenerator[dict[str, Any]]:
    company = await pool.fetchval(_COMPANY, info.context["contact"])
    queue: asyncio.Queue[str] = asyncio.Queue()
    queues.setdefault(company, set()).add(queue)
    try:
        yield {"action": "UP_TO_DATE"}
        while True:
            shipment_id = await queue.get()
            row = await pool.fetchrow(_SHIPMENT, shipment_id)
            yield {"action": "CREATED", "shipmentId": shipment_id, "shipment": row}
    finally:
        queues[company].discard(queue)


@subscription.field("shipmentChanges")
def event(told: dict[str, Any], _info: GraphQLResolveInfo[Any]) -> dict[str, Any]:
    return told


@shipment.field("items")
async def items(row: asyncpg.Record, _info: GraphQLResolveInfo[Any]) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await pool.fetch(_ITEMS, row["id"])
    return rows


def notified(_connection: object, _pid: int, _channel: str, payload: str) -> None:
    told = json.loads(payload)
    for queue in queues.get(told["company"], ()):
        queue.put_nowait(told["id"])


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    global pool
    dsn = os.environ["DSN"]
    listening = await asyncpg.connect(dsn)
    await listening.add_listener("bench_shipments", notified)
    async with asyncpg.create_pool(dsn, min_size=10, max_size=10) as pool:
        yield
    await listening.close()


def connected(websocket: Any, payload: Any) -> None:
    websocket.scope["contact"] = int(payload["contact"])


def context(websocket: Any, _data: Any = None) -> dict[str, Any]:
    return {"contact": websocket.scope.get("contact")}


schema = make_executable_schema(Path(__file__).with_name("schema.graphql").read_text(), subscription, shipment)
graphql = GraphQL(schema, context_value=context, websocket_handler=GraphQLTransportWSHandler(on_connect=connected))
app = Starlette(routes=[Route("/graphql", graphql), WebSocketRoute("/graphql", graphql)], lifespan=lifespan)
