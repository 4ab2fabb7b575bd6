"""Writers and imports of the same order at the same time: none ships too much, and none stands in the way for ever."""

import asyncio
import io
import itertools
import json
from pathlib import Path

import asyncpg
import httpx

from app.importer.ingest import ingest
from tests import write_load
from tests.conftest import FAR_TOO_LONG, running, settings_for
from tests.write_load import LINE_IDS, ORDER_ID, ORDERED, Load

ANSWERS = 60
OUTCOMES = (" 1 updated, ", " shipped in the store, but 1 ordered")


async def test_mutations_and_imports_of_the_same_lines_never_overship_them(demo_copy_dsn: str, tmp_path: Path) -> None:
    await write_load.prepare(demo_copy_dsn)
    await give_keys_of_another_system(demo_copy_dsn)
    reports = []
    async with running(settings_for(demo_copy_dsn)) as app:
        load = Load("http://waybill.test/graphql", httpx.ASGITransport(app))
        async with asyncio.timeout(2 * FAR_TOO_LONG), load.running():
            for quantity in itertools.cycle((ORDERED, ORDERED // 2, ORDERED + 1, 1)):
                report = io.StringIO()
                await ingest(demo_copy_dsn, [record(tmp_path, quantity)], report=report)
                reports.append(report.getvalue())
                if len(load.answers) >= ANSWERS and all(any(what in said for said in reports) for what in OUTCOMES):
                    break
    assert not load.unanswered
    await load.check(demo_copy_dsn)


async def give_keys_of_another_system(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("UPDATE orders SET external_id = 'X' WHERE id = $1", ORDER_ID)
        await connection.execute("UPDATE order_items SET line = id WHERE order_id = $1", ORDER_ID)
        await connection.execute("UPDATE order_items SET sku = 'S' WHERE id = ANY ($1)", LINE_IDS)
    finally:
        await connection.close()


def record(folder: Path, quantity: int) -> str:
    """A file with the order: so much of each line that the writers ship, and of the others what is in it."""
    lines = [(20151, "157957", 4), (20152, "VFS-200", 2), *((line, "S", quantity) for line in LINE_IDS)]
    items = [
        {"line": line, "sku": sku, "name": "N", "quantity": ordered, "price": "1.00"} for line, sku, ordered in lines
    ]
    order = {"kind": "order", "externalId": "X", "channel": "default", "status": "CONFIRMED", "currency": "EUR"}
    file = folder / "order.ndjson"
    file.write_text(json.dumps({**order, "createdAt": "2025-11-03T13:05:11Z", "items": items}))
    return str(file)
