"""What a search costs, and each filter of orders, at the size of the data set: the statements without the service."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

import sql
from sql import Prepared, Visibility

_NEWEST = ("CREATED_AT DESC", "ID ASC")
_PAGE = {"limit": 12, "skip": 0}
# Once to have the pages in memory, then the faster of two.
_TIMES = 3
# What takes no longer than so many milliseconds at the first time is not asked for again.
_SHORT = 20
# What takes longer is given up, and shown as this many seconds and no rows.
LONGEST = 10
# A plan for any values, as PostgreSQL keeps it after some calls, and one for those of each call.
PLANNERS = ("force_generic_plan", "force_custom_plan")

VIEWERS = {
    "staff": Visibility.everything(),
    "channels": Visibility.of_channels([1, 2]),
    "companies": Visibility.of_companies([1, 2], [1, 2, 3]),
    "contact": Visibility.of_contact(2, [1]),
    "customer": Visibility.of_customer(1, 5),
}

# An order in the middle, by what people know of it.
_KNOWN = """
SELECT o.id::text, o.email, a.phone, a.postal_code, t.code, o.external_id, o.reference
FROM orders o
JOIN order_addresses a ON a.order_id = o.id AND a.type = 'delivery'
JOIN track_and_traces t ON t.order_id = o.id
WHERE o.id = (SELECT max(id) / 2 FROM orders)
LIMIT 1
"""


@dataclass(frozen=True)
class Cost:
    """Of one statement whose pages are in memory: the processor's milliseconds to plan and to execute it, and rows it
    read."""

    milliseconds: float
    rows: int


def table(url: str) -> str:
    """Milliseconds of the first page, of the total, and rows read for both, by question and viewer.

    The worse of both plans counts. `found` is what staff finds.
    """
    return asyncio.run(_table(url))


async def _table(url: str) -> str:
    settings = {"jit": "off", "timezone": "UTC", "statement_timeout": f"{LONGEST}s"}
    connections = [
        await asyncpg.connect(url, server_settings={**settings, "plan_cache_mode": mode}) for mode in PLANNERS
    ]
    try:
        lines: list[Sequence[str]] = [("asked for", "found", *VIEWERS), ("---", *["---:"] * (1 + len(VIEWERS)))]
        for name, filters in _questions(await connections[0].fetchrow(_KNOWN)):
            cells = [await _cell(connections, viewer, filters) for viewer in VIEWERS.values()]
            lines.append((name, f"{await _found(connections[0], filters):,}", *cells))
    finally:
        for connection in connections:
            await connection.close()
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _questions(known: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Filters with their values, by a name for people."""
    yield "term: a code", {"term": known["code"]}
    yield "term: the number of an order", {"term": known["id"]}
    yield "term: a sku", {"term": "SKU-00042"}
    yield "term: a telephone number", {"term": known["phone"]}
    yield "term: two words, one in all", {"term": f"customer {known['postal_code']}"}
    yield "term: two common words", {"term": "zwart premium"}
    yield "term: a word in a quarter of all", {"term": "zwart"}
    yield "term: a word in all", {"term": "customer"}
    yield "term: a word of no order", {"term": "nowhere"}
    yield "term: a common word, in names of lines", {"term": "zwart", "term_fields": ["ITEM_NAME"]}
    for status in ("UNFULFILLED", "PARTIALLY_SHIPPED", "DELIVERED", "PARTIALLY_DELIVERED"):
        yield f"fulfillmentStatuses: {status}", {"fulfillment_statuses": [status]}
    yield (
        "fulfillmentStatuses: UNFULFILLED, PARTIALLY_SHIPPED",
        {"fulfillment_statuses": ["UNFULFILLED", "PARTIALLY_SHIPPED"]},
    )
    yield "overdue: true", {"overdue": True}
    yield "overdue: false", {"not_overdue": True}
    yield "customerEmails", {"customer_emails": [known["email"]]}
    yield "phones", {"phones": [known["phone"]]}
    yield "postalCodes", {"postal_codes": [known["postal_code"]]}
    yield "codes", {"codes": [known["code"]]}
    yield "externalIds", {"external_ids": [known["external_id"]]}
    yield "references", {"references": [known["reference"]]}


async def _found(connection: asyncpg.Connection, filters: Mapping[str, Any]) -> int:
    staff = VIEWERS["staff"]
    prepared = sql.load("order").count.prepare(staff.reach, frozenset(filters) - {"term_fields"})
    found: int = await connection.fetchval(
        prepared.text, *prepared.arguments({"term_fields": None, **staff.keys, **filters})
    )
    return found


async def _cell(connections: Sequence[asyncpg.Connection], viewer: Visibility, filters: Mapping[str, Any]) -> str:
    file, values = sql.load("order"), {"term_fields": None, **viewer.keys, **filters, **_PAGE}
    names = frozenset(filters) - {"term_fields"}
    page = file.page.prepare(viewer.reach, names, _NEWEST, values)
    count = file.count.prepare(viewer.reach, names)
    costs = [[await cost(connection, prepared, values) for connection in connections] for prepared in (page, count)]
    listed, counted = (max(cost.milliseconds for cost in each) for each in costs)
    rows = [max(cost.rows for cost in each) for each in costs]
    return f"{listed:.1f} + {counted:.1f} ms ({rows[0]:,} + {rows[1]:,})"


async def cost(connection: asyncpg.Connection, prepared: Prepared, values: Mapping[str, Any]) -> Cost:
    await connection.execute(f"PREPARE asked AS {prepared.text}")
    given = ", ".join(map(_literal, prepared.arguments(values)))
    call = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE asked{f'({given})' if given else ''}"
    try:
        costs = [await _once(connection, call)]
        if costs[0].milliseconds > _SHORT:
            costs += [await _once(connection, call) for _ in range(_TIMES - 1)]
    except asyncpg.QueryCanceledError:
        return Cost(LONGEST * 1000, 0)
    finally:
        await connection.execute("DEALLOCATE asked")
    return min(costs, key=lambda cost: cost.milliseconds)


async def _once(connection: asyncpg.Connection, call: str) -> Cost:
    before = _milliseconds_of(connection.get_server_pid())
    told = json.loads(await connection.fetchval(call))[0]
    return Cost(_milliseconds_of(connection.get_server_pid()) - before, _rows_read(told["Plan"]))


def _milliseconds_of(process: int) -> float:
    """On the processor, which others may want too, as Linux tells of the server's process."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e6


def _literal(value: Any) -> str:
    if isinstance(value, list | tuple):
        quoted = (entry if isinstance(entry, int) else json.dumps(entry) for entry in value)
        value = "{" + ",".join(map(str, quoted)) + "}"
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def _rows_read(plan: Mapping[str, Any]) -> int:
    kinds = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    own = sum(plan.get(kind, 0) for kind in kinds) * plan["Actual Loops"] if "Scan" in plan["Node Type"] else 0
    return round(own) + sum(map(_rows_read, plan.get("Plans", ())))
