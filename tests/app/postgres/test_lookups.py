"""Requests that ask for rows by key at the same time: one statement, and to each its own answer."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from app.auth.token import Tokens
from app.postgres.database import Database
from app.postgres.gathering import _MOST_ASKED
from tests.conftest import (
    GraphQL,
    calling,
    credentials,
    locked,
    running,
    settings_for,
    until,
    until_blocked,
    until_waiting,
)

SHIPMENT = "query ($id: String!) { shipment(id: $id) { id orderId items { sku } trackAndTraces { code } } }"
ORDER = "query ($id: Int!) { order(orderId: $id) { id items { sku } shipments { id items { name } } } }"
# So often a document came before it has a statement of its own.
KNOWN = 3
MISSING = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def shipments(connection: asyncpg.Connection) -> list[str]:
    """The ids of more shipments than one statement takes."""
    rows = await connection.fetch("SELECT id::text FROM shipments ORDER BY id LIMIT $1", _MOST_ASKED + 10)
    ids = [row["id"] for row in rows]
    assert len(ids) == _MOST_ASKED + 10
    return ids


async def test_they_share_a_statement_and_have_the_answers_they_would_have_alone(
    graphql: GraphQL, db: Database, shipments: list[str]
) -> None:
    asked = [*shipments[:20], MISSING, shipments[0]]
    alone = [await graphql(SHIPMENT, {"id": key}) for key in asked]
    before = db.statements
    together = await asyncio.gather(*(graphql(SHIPMENT, {"id": key}) for key in asked))
    assert db.statements - before == 1
    assert together == alone
    codes = [answer["errors"][0]["extensions"]["code"] for answer in together if "errors" in answer]
    assert codes == ["SHIPMENT_NOT_FOUND_ERROR"]


async def test_a_statement_takes_so_many_keys(graphql: GraphQL, db: Database, shipments: list[str]) -> None:
    for _ in range(KNOWN):
        await graphql(SHIPMENT, {"id": shipments[0]})
    before = db.statements
    answers = await asyncio.gather(*(graphql(SHIPMENT, {"id": key}) for key in shipments))
    assert db.statements - before == 2
    assert [answer["data"]["shipment"]["id"] for answer in answers] == shipments


async def test_each_viewer_sees_what_it_may_see(graphql: GraphQL, shipments: list[str]) -> None:
    viewers = ("staff", "read-only", "northwind", "hofstra-writer", "contact", "daughter", "outsider")
    asked = [(viewer, key) for key in shipments[:10] for viewer in viewers] + [(viewer, MISSING) for viewer in viewers]
    alone = [await graphql(SHIPMENT, {"id": key}, viewer=viewer) for viewer, key in asked]
    together = await asyncio.gather(*(graphql(SHIPMENT, {"id": key}, viewer=viewer) for viewer, key in asked))
    assert together == alone
    seen = Counter(viewer for (viewer, _), answer in zip(asked, together, strict=True) if answer["data"])
    assert seen["staff"] == 10 > seen["northwind"]
    assert not seen["outsider"]


# Whoever asks is of another company, and may see some of these.
CONTACTS = ("contact", "daughter", "outsider")


@pytest.mark.parametrize(
    ("document", "statements"),
    [
        (ORDER, 1),
        ("query ($id: Int!) { order(orderId: $id) { id shipments { trackAndTraces { code carrier { name } } } } }", 1),
        # What hangs on others than the order.
        ("query ($id: Int!) { order(orderId: $id) { shipments { trackAndTraces { items { quantity } } } } }", 3),
        ("query ($id: Int!) { order(orderId: $id) { shipments { timeline { __typename } } } }", 3),
    ],
)
async def test_contacts_of_several_companies_share_what_is_of_one_order(
    document: str, statements: int, demo_dsn: str, connection: asyncpg.Connection
) -> None:
    rows = await connection.fetch(
        "SELECT o.id FROM contact_companies m JOIN orders o USING (company_id, channel_id)"
        " JOIN shipments s ON s.order_id = o.id WHERE m.contact_id IN (4, 5, 6) GROUP BY o.id ORDER BY o.id LIMIT 16"
    )
    asked = [(viewer, row["id"]) for row in rows for viewer in CONTACTS]
    settings = settings_for(demo_dsn)
    async with running(settings) as app, calling(app) as client:

        async def ask(viewer: str, order_id: int) -> Any:
            body = {"query": document, "variables": {"id": order_id}}
            return (await client.post("/graphql", json=body, headers=credentials(viewer, settings))).json()

        alone = [await ask(*each) for each in asked]
        before = app.state.db.statements
        together = await asyncio.gather(*(ask(*each) for each in asked))
        assert app.state.db.statements - before == statements
    for one, other in zip(together, alone, strict=True):
        assert one["data"] == other["data"]
        assert [error["message"] for error in one.get("errors", ())] == [e["message"] for e in other.get("errors", ())]
    seen = Counter(viewer for (viewer, _), answer in zip(asked, alone, strict=True) if answer["data"])
    assert 0 < sum(seen.values()) < len(asked)
    assert len(seen) > 1


async def test_carriers_list_the_codes_of_each_viewer_alone(graphql: GraphQL, connection: asyncpg.Connection) -> None:
    document = """query ($id: Int!) { order(orderId: $id) { shipments { trackAndTraces {
        carrier { trackAndTraces { code } } } } } }"""
    rows = await connection.fetch(
        "SELECT m.contact_id, max(o.id) AS id FROM contact_companies m JOIN orders o USING (company_id, channel_id)"
        " JOIN track_and_traces t ON t.order_id = o.id WHERE m.contact_id IN (4, 5) GROUP BY m.contact_id"
    )
    viewers = {4: "contact", 5: "daughter"}
    asked = [(viewers[row["contact_id"]], {"id": row["id"]}) for row in rows] * 3
    assert len(asked) == 6
    alone = [await graphql(document, values, viewer=viewer) for viewer, values in asked]
    assert all(answer["data"] for answer in alone)
    assert await asyncio.gather(*(graphql(document, values, viewer=viewer) for viewer, values in asked)) == alone


async def test_who_sees_the_same_rows_and_may_do_less_with_them_is_told_so(
    client: httpx.AsyncClient, demo_dsn: str, shipments: list[str]
) -> None:
    query = "query ($id: String!) { shipment(id: $id) { items { orderItem { sku } } } }"

    async def codes(scope: str, key: str) -> list[str]:
        headers = {"authorization": f"Bearer {Tokens(settings_for(demo_dsn)).issue('staff:1', scope=scope)}"}
        body = {"query": query, "variables": {"id": key}}
        answer = (await client.post("/graphql", json=body, headers=headers)).json()
        return [error["extensions"]["code"] for error in answer.get("errors", ())]

    scopes = ("orders:read shipments:read", "shipments:read")
    assert [await codes(scope, shipments[0]) for scope in scopes] == [[], ["FORBIDDEN"]]
    together = await asyncio.gather(*(codes(scope, key) for key in shipments[:5] for scope in scopes))
    assert not any(together[::2])
    assert all(set(found) == {"FORBIDDEN"} for found in together[1::2])


async def test_other_documents_and_other_roots_have_statements_of_their_own(
    graphql: GraphQL, db: Database, shipments: list[str]
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = [
        (SHIPMENT, {"id": shipments[0]}),
        ("query ($id: String!) { shipment(id: $id) { status } }", {"id": shipments[1]}),
        (ORDER, {"id": 2075}),
        (ORDER, {"id": 1}),
    ]
    alone = [await graphql(*each) for each in asked]
    before = db.statements
    assert await asyncio.gather(*(graphql(*each) for each in asked)) == alone
    assert db.statements - before == 3


async def test_who_leaves_takes_nobody_along(
    demo_copy_dsn: str, copy_connection: asyncpg.Connection, shipments: list[str]
) -> None:
    headers = credentials("staff", settings_for(demo_copy_dsn))
    async with running(settings_for(demo_copy_dsn)) as app, calling(app) as client:

        async def ask(key: str) -> Any:
            body = {"query": SHIPMENT, "variables": {"id": key}}
            return (await client.post("/graphql", json=body, headers=headers)).json()["data"]["shipment"]["id"]

        for _ in range(KNOWN):
            await ask(shipments[0])
        before = app.state.db.statements
        async with copy_connection.transaction():
            await copy_connection.execute("LOCK TABLE shipments")
            asking = [asyncio.ensure_future(ask(key)) for key in shipments[:5]]
            await until_blocked(copy_connection)
            asking[0].cancel()
            await asyncio.wait(asking[:1])
        assert await asyncio.gather(*asking[1:]) == shipments[1:5]
        assert asking[0].cancelled()
        assert app.state.db.statements - before == 1


async def test_a_statement_ends_with_the_last_who_waits_for_it(demo_copy_dsn: str, shipments: list[str]) -> None:
    async with running(settings_for(demo_copy_dsn)) as app:
        for _ in range(KNOWN):
            await Caller(demo_copy_dsn, shipments[0]).call(app)
        before = app.state.db.statements
        async with locked(demo_copy_dsn, "shipments") as holder:
            callers = [Caller(demo_copy_dsn, key) for key in shipments[:3]]
            tasks = [asyncio.create_task(caller.call(app)) for caller in callers]
            await until_waiting(holder, 1)
            for caller, task in zip(callers[:2], tasks, strict=False):
                caller.gone.set()
                await task
                await until_waiting(holder, 1)
            callers[2].gone.set()
            await tasks[2]
            await until_waiting(holder, 0)
        assert app.state.db.statements - before == 1
        await until(lambda: app.state.db.pool.lent == 0)


async def test_those_who_stay_are_answered_when_the_first_has_left(demo_copy_dsn: str, shipments: list[str]) -> None:
    async with running(settings_for(demo_copy_dsn)) as app:
        for _ in range(KNOWN):
            await Caller(demo_copy_dsn, shipments[0]).call(app)
        async with locked(demo_copy_dsn, "shipments") as holder:
            callers = [Caller(demo_copy_dsn, key) for key in shipments[:3]]
            tasks = [asyncio.create_task(caller.call(app)) for caller in callers]
            await until_waiting(holder, 1)
            callers[0].gone.set()
            await tasks[0]
        await asyncio.gather(*tasks)
    assert [caller.answer and caller.answer["data"]["shipment"]["id"] for caller in callers] == [None, *shipments[1:3]]


class Caller:
    """Asks for a shipment by ASGI, and leaves when `gone` is set."""

    def __init__(self, dsn: str, key: str) -> None:
        self.gone = asyncio.Event()
        self.answer: Any = None
        self._messages = [json.dumps({"query": SHIPMENT, "variables": {"id": key}}).encode()]
        headers = {**credentials("staff", settings_for(dsn)), "content-type": "application/json"}
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def call(self, app: Starlette) -> None:
        await app({**REQUEST, "headers": self._headers}, self._receive, self._send)

    async def _receive(self) -> Any:
        if self._messages:
            return {"type": "http.request", "body": self._messages.pop(), "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.body" and not self.gone.is_set():
            self.answer = json.loads(message["body"])


REQUEST = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "client": ("127.0.0.1", 1)}


@pytest.fixture
async def broken(demo_copy_dsn: str, copy_connection: asyncpg.Connection) -> AsyncIterator[Starlette]:
    """An application whose database has lost a table."""
    async with running(settings_for(demo_copy_dsn)) as app:
        await copy_connection.execute("ALTER TABLE shipments RENAME TO lost")
        yield app


async def test_each_is_told_that_the_statement_failed(broken: Starlette, demo_copy_dsn: str) -> None:
    async with calling(broken) as client:
        headers = credentials("staff", settings_for(demo_copy_dsn))
        bodies = [{"query": SHIPMENT, "variables": {"id": MISSING}}] * 3
        answers = await asyncio.gather(*(client.post("/graphql", json=body, headers=headers) for body in bodies))
    errors = [answer.json()["errors"][0] for answer in answers]
    assert {error["extensions"]["code"] for error in errors} == {"INTERNAL_SERVER_ERROR"}
    assert len({error["extensions"]["requestId"] for error in errors}) == 3
    assert "lost" not in str(errors)
