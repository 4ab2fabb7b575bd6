"""Fills a database with orders that look real: `python -m app generate --orders N --seed S`.

The order book draws, this module writes: a batch of orders is one transaction of one COPY per table, and while
PostgreSQL takes in two batches a thread draws the next. Same seed and same database before, same rows after.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg

from app.demo.catalogue import CARRIERS, GOODS, MARKETS, Good, Market
from app.demo.dice import Dice, Tables
from app.demo.orderbook import OrderBook
from app.demo.parties import Parties

# The demo's present: the fixtures live just before it. A constant, so that a seed means the same rows tomorrow.
UNTIL = datetime(2025, 12, 1, tzinfo=UTC)

_YEAR = timedelta(days=365)
_BATCH = 5_000
_COPIES_AT_ONCE = 2
_SEQUENCES = {
    "companies": "companies_id_seq",
    "user_ids": "user_ids",
    "orders": "orders_id_seq",
    "order_items": "order_items_id_seq",
    "order_addresses": "order_addresses_id_seq",
    "shipments": "shipments_number_seq",
    "shipment_items": "shipment_items_number_seq",
}


async def generate(
    dsn: str,
    *,
    orders: int,
    seed: int,
    until: datetime = UNTIL,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Adds `orders` orders of the year before `until`, with new companies and customers to place them.

    What is there stays as it is: ids come from the sequences, so that others may write meanwhile, and nobody who is
    there already gets an order. `progress` is called with the orders written and the orders wanted. An interruption
    leaves whole batches behind. Raises asyncpg.PostgresError, as from a database that is not migrated.
    """
    async with asyncpg.create_pool(dsn, min_size=1, max_size=_COPIES_AT_ONCE + 1, statement_cache_size=0) as pool:
        ids = {name: _Ids(pool, sequence) for name, sequence in _SEQUENCES.items()}
        since = until - _YEAR
        channel_ids = await _channels(pool, since)
        shelves = {channel_id: await _shelf(pool, channel_id) for channel_id in channel_ids.values()}
        carrier_ids = await _carriers(pool, since)
        # A second run with the same seed must not draw the UUIDs of the first.
        position = await pool.fetchval("SELECT last_value FROM orders_id_seq")
        dice = Dice(f"{seed} {position}")
        parties = await asyncio.to_thread(Parties, dice, channel_ids, ids, orders, since)
        await _copy(pool, parties.tables)
        book = OrderBook(dice, parties.buyers, shelves, carrier_ids, ids, until)
        await _write(pool, book, orders, until, progress)
        await pool.execute("ANALYZE")


async def _write(
    pool: asyncpg.Pool, book: OrderBook, orders: int, until: datetime, progress: Callable[[int, int], None] | None
) -> None:
    copying: deque[tuple[int, asyncio.Task[None]]] = deque()

    async def finish_oldest() -> None:
        written, task = copying[0]
        await task
        copying.popleft()
        if progress:
            progress(written, orders)

    try:
        for first in range(0, orders, _BATCH):
            batch = range(first, min(first + _BATCH, orders))
            tables = await asyncio.to_thread(_draw, book, batch, orders, until)
            if len(copying) == _COPIES_AT_ONCE:
                await finish_oldest()
            copying.append((batch.stop, asyncio.create_task(_copy(pool, tables))))
        while copying:
            await finish_oldest()
    finally:
        for _, task in copying:
            task.cancel()
        await asyncio.gather(*(task for _, task in copying), return_exceptions=True)


def _draw(book: OrderBook, numbers: range, orders: int, until: datetime) -> Tables:
    """Some of the year's orders, oldest first and denser towards its end: business grows."""
    for number in numbers:
        share = ((number + book.dice.random()) / orders) ** 0.6
        book.write(until - timedelta(milliseconds=int((1 - share) * _YEAR.total_seconds() * 1000)))
    return book.take()


class _Ids(Iterator[int]):
    """Fresh numbers of a sequence, fetched by the thousand; to be used in a thread beside the event loop."""

    def __init__(self, pool: asyncpg.Pool, sequence: str) -> None:
        self._pool, self._sequence = pool, sequence
        self._loop = asyncio.get_running_loop()
        self._ready: deque[int] = deque()

    def __next__(self) -> int:
        if not self._ready:
            self._ready.extend(asyncio.run_coroutine_threadsafe(self._fetch(), self._loop).result())
        return self._ready.popleft()

    async def _fetch(self) -> list[int]:
        fetched: list[int] = await self._pool.fetchval(
            "SELECT array_agg(nextval($1::text::regclass)::int) FROM generate_series(1, 1000)", self._sequence
        )
        return fetched


@asynccontextmanager
async def _writing(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    """A connection in a transaction whose changes are told under our name."""
    async with pool.acquire() as connection, connection.transaction():
        # For the transaction alone: poolers refuse it as a parameter of the connection.
        # Orders are written with what is paid back of them, so refunds need not change them.
        await connection.execute(
            "SET LOCAL waybill.actor = 'generate'; SET LOCAL waybill.skipped_steps = 'allowed';"
            " SET LOCAL waybill.finishing = 'held'"
        )
        yield connection


async def _copy(pool: asyncpg.Pool, tables: Tables) -> None:
    """All rows in one transaction. The rows of a table have the same columns in the same order."""
    async with _writing(pool) as connection:
        for table, rows in tables.items():
            if rows:
                records = (tuple(row.values()) for row in rows)
                await connection.copy_records_to_table(table, columns=list(rows[0]), records=records)


async def _channels(pool: asyncpg.Pool, since: datetime) -> dict[Market, int]:
    for market in MARKETS:
        await pool.execute(
            """
            INSERT INTO channels (code, name, currency, language, created_at)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
            """,
            *(market.code, market.name, market.currency, market.language, since),
        )
    found = {row["code"]: row["id"] for row in await pool.fetch("SELECT code, id FROM channels")}
    return {market: found[market.code] for market in MARKETS}


async def _carriers(pool: asyncpg.Pool, since: datetime) -> dict[str, int]:
    async with _writing(pool) as connection:
        for carrier in CARRIERS:
            await connection.execute(
                """
                INSERT INTO carriers (name, track_and_trace_url, created_at, last_modified_at)
                VALUES ($1, $2, $3, $3) ON CONFLICT DO NOTHING
                """,
                *(carrier.name, carrier.url, since),
            )
    of_all = "SELECT name, id FROM carriers WHERE channel_id IS NULL"
    return {row["name"]: row["id"] for row in await pool.fetch(of_all)}


async def _shelf(pool: asyncpg.Pool, channel_id: int) -> list[tuple[int, Good]]:
    """The channel's goods with their product ids."""
    for good in GOODS:
        slugs = {language: f"{good.sku.lower()}-{language.lower()}" for language in good.names}
        url = f"https://media.example.com/products/{good.sku}.jpg"
        image = {"language": "EN", "url": url, "mimeType": "image/jpeg", "alt": good.names["EN"]}
        await pool.execute(
            """
            INSERT INTO products (channel_id, sku, names, slugs, images, inventory_quantity)
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
            """,
            *(channel_id, good.sku, json.dumps(good.names), json.dumps(slugs)),
            *(json.dumps([image]), good.cents % 400),
        )
    found = await pool.fetch("SELECT sku, id FROM products WHERE channel_id = $1", channel_id)
    product_ids = {row["sku"]: row["id"] for row in found}
    return [(product_ids[good.sku], good) for good in GOODS]
