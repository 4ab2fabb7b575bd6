"""What the tests of mutations share: an application on a database of their own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from tests.conftest import Databases, GraphQL, calling, credentials, is_shared, running, settings_for

Refused = Callable[..., Awaitable[dict[str, Any]]]
WRITTEN = (
    *("orders", "order_items", "shipments", "shipment_sources", "shipment_items", "track_and_traces"),
    *("carriers", "carrier_descriptions", "tracking_events", "transactions", "changes"),
    *("refunds", "refund_items"),
    *("webhook_endpoints", "webhook_deliveries"),
)
DIGEST = " UNION ALL ".join(
    f"SELECT {place} AS place, coalesce(sum(hashtextextended(t::text, 0)), 0) AS digest FROM {table} t"
    for place, table in enumerate(WRITTEN)
)
DIGEST += " ORDER BY place"


@pytest.fixture
async def copy(copy: Starlette) -> Starlette:
    """It keeps no row: each request costs alike."""
    await copy.state.db.events.close()
    return copy


@pytest.fixture
async def write(copy: Starlette, demo_copy_dsn: str) -> AsyncIterator[GraphQL]:
    """Posts a document, as the partner who may do everything unless another viewer is named."""
    async with posting(copy, demo_copy_dsn) as post:
        yield post


@pytest.fixture
def written(write: GraphQL) -> GraphQL:
    """Posts a mutation that is not refused, and returns what its field answers."""

    async def post(document: str, *, viewer: str | None = "apikey", **variables: Any) -> Any:
        answer = await write(document, variables, viewer=viewer)
        assert "errors" not in answer, answer["errors"]
        [value] = answer["data"].values()
        return value

    return post


@pytest.fixture
def refused_after(write: GraphQL, copy_connection: asyncpg.Connection) -> Refused:
    """Like `refused`, in the database of `write`."""
    return refusing(write, copy_connection)


@pytest.fixture(scope="session")
def untouched_dsn(databases: Databases, demo_template: str) -> str:
    """A demo database that the tests of a worker share, in which every mutation is refused."""
    return databases.create(demo_template)


@pytest.fixture
def refused(request: pytest.FixtureRequest, untouched_dsn: str) -> Refused:
    """Posts a mutation that is refused, sees that it changes nothing, and returns its one error's extensions."""
    refused: Refused = request.getfixturevalue("shared_refused" if is_shared(request.node) else "own_refused")
    return refused


@pytest.fixture
async def own_refused(untouched_dsn: str) -> AsyncIterator[Refused]:
    async with refusals(untouched_dsn) as refuse:
        yield refuse


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_refused(untouched_dsn: str) -> AsyncIterator[Refused]:
    async with refusals(untouched_dsn) as refuse:
        yield refuse


@asynccontextmanager
async def refusals(dsn: str) -> AsyncIterator[Refused]:
    connection = await asyncpg.connect(dsn)
    try:
        async with running(settings_for(dsn)) as app, posting(app, dsn) as post:
            yield refusing(post, connection)
    finally:
        await connection.close()


@asynccontextmanager
async def posting(app: Starlette, dsn: str) -> AsyncIterator[GraphQL]:
    settings = settings_for(dsn)

    async with calling(app) as client:

        async def post(
            query: str, variables: dict[str, Any] | None = None, *, viewer: str | None = "apikey"
        ) -> dict[str, Any]:
            response = await client.post(
                "/graphql", json={"query": query, "variables": variables}, headers=credentials(viewer, settings)
            )
            assert response.status_code == 200, response.text
            answer: dict[str, Any] = response.json()
            return answer

        yield post


def refusing(post: GraphQL, connection: asyncpg.Connection) -> Refused:
    async def refuse(document: str, *, viewer: str | None = "apikey", **variables: Any) -> dict[str, Any]:
        before = await content(connection)
        answer = await post(document, variables, viewer=viewer)
        assert answer["data"] is None
        [error] = answer["errors"]
        assert await content(connection) == before
        extensions: dict[str, Any] = error["extensions"]
        return extensions

    return refuse


async def content(connection: asyncpg.Connection) -> list[int]:
    """A digest of each table that mutations write, when all that was written before has its position."""
    await connection.execute("SELECT give_positions(1000)")
    rows: list[asyncpg.Record] = await connection.fetch(DIGEST)
    return [row["digest"] for row in rows]
