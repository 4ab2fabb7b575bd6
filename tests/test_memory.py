"""What the service keeps of the documents that it answers: within its bound, and as much as it reckons."""

import gc
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from app.cache import Cache
from tests.conftest import GraphQL, calling, credentials, running, settings_for

ROOT = Path(__file__).parents[1]
Documents = Callable[[int], Iterator[str]]

FIELDS = {
    "shipment": "id status orderId expectedDeliveryAt createdAt lastModifiedAt version",
    "item": "id name sku quantity orderItemId shipmentId version createdAt lastModifiedAt",
    "order_item": "id name sku quantity price priceNet productId supplier manufacturer eanCode tax discount",
    "code": "id code carrierId shipmentId createdAt lastModifiedAt trackingUrl",
    "carrier": "id name type trackAndTraceURL logo createdAt",
}


def portal(count: int, seed: int = 1) -> Iterator[str]:
    """Different documents of the size that portals send, always the same for a seed."""
    chance = random.Random(seed)
    for number in range(count):
        some = {
            kind: " ".join(
                f"{name}_{number}: {name}" if chance.random() < 0.2 else name
                for name in chance.sample(names.split(), k=len(names.split()) * 4 // 5)
            )
            for kind, names in FIELDS.items()
        }
        yield (
            f"query Portal{number} {{ shipments(input: {{ offset: 3 }}) {{ itemsFound items {{ {some['shipment']}"
            f" items {{ {some['item']} orderItem {{ {some['order_item']} }} }}"
            f" trackAndTraces {{ {some['code']} carrier {{ {some['carrier']} }} }} }} }} }}"
        )


def small(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"query Small{number} {{ order(orderId: 1) {{ id status_{number}: status }} }}"


def conditional(count: int) -> Iterator[str]:
    for number, text in enumerate(portal(count, seed=2)):
        yield text.replace(
            "itemsFound", f"itemsFound @include(if: true) start_{number}: start @skip(if: false) ...F"
        ) + (" fragment F on ShipmentResponse { page pages offset end }")


@pytest.fixture
def cache(app: Starlette) -> Cache:
    found: Cache = app.state.db.queries.cache
    return found


@pytest.mark.parametrize(("documents", "count"), [(portal, 40), (small, 100), (conditional, 40)])
def test_documents_take_what_they_weigh(demo_dsn: str, documents: Documents, count: int) -> None:
    """With plans, generated code and statements. What others have a part of is weighed, and not taken anew.

    It is weighed in a process of its own: what other tests have left in this one would be taken, too.
    """
    program = (
        "import asyncio; from tests.test_memory import *;"
        f" asyncio.run(weigh({demo_dsn!r}, {documents.__name__}, {count}))"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT)
    taken, weight = map(int, said.stdout.split()[-2:])
    assert taken / 1.3 <= weight <= taken * 2


async def weigh(dsn: str, documents: Documents, count: int) -> None:
    """Prints how many bytes the process has grown by so many documents, and what the cache says that they weigh."""
    settings = settings_for(dsn)
    async with running(settings) as app, calling(app) as client:
        cache: Cache = app.state.db.queries.cache

        async def ask(text: str) -> None:
            answer = await client.post("/graphql", json={"query": text}, headers=credentials("staff", settings))
            assert "errors" not in answer.json()

        first, *others = documents(count)
        for _ in range(4):
            await ask(first)
        gc.collect()
        before = cache.bytes
        tracemalloc.start()
        for text in others:
            for _ in range(4):
                await ask(text)
        gc.collect()
        print(tracemalloc.get_traced_memory()[0], cache.bytes - before)


async def test_documents_that_come_once_leave_nothing_behind(app: Starlette, graphql: GraphQL, cache: Cache) -> None:
    await graphql(next(portal(1, seed=3)))
    before = cache.bytes, cache.count
    prepared = await statements(app)
    for text in portal(300, seed=4):
        assert "errors" not in await graphql(text)
    assert (cache.bytes, cache.count) == before
    assert await statements(app) <= prepared + 1


async def statements(app: Starlette) -> int:
    """How many the only connection that was needed has prepared."""
    [[count]] = await app.state.db.pool.fetch("SELECT count(*) FROM pg_prepared_statements")
    return count


async def test_a_document_that_was_forgotten_is_answered_as_before(demo_dsn: str) -> None:
    settings = settings_for(demo_dsn, cache_bytes=1_000_000)
    headers = credentials("staff", settings)
    texts = list(portal(60))
    async with running(settings) as app, calling(app) as client:
        cache: Cache = app.state.db.queries.cache

        async def answers() -> list[bytes]:
            """The last of those that a document has in a row."""
            last = []
            for text in texts:
                for _ in range(4):
                    answer = (await client.post("/graphql", json={"query": text}, headers=headers)).content
                    assert cache.bytes <= cache.limit
                last.append(answer)
            return last

        before = await answers()
        assert cache.get(texts[0]) is None
        assert cache.get(texts[-1]) is not None
        assert await answers() == before
