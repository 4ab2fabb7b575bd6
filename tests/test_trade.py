"""Imports, mutations and carriers' reports in any order and repeated, held against a small model of the rules.

The model is one order of two lines. A record of its source lists its parcels, the warehouse adds others by mutation,
carriers report, people set statuses and delete: whatever came before, what the service then says of quantities,
statuses and fulfilment is what the decisions say (15, 16, 18, 20, 22 and B-50 to B-52).
"""

import asyncio
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
from hypothesis import given
from hypothesis import strategies as st

from app.importer.ingest import ingest
from tests.conftest import Databases, GraphQL, calling, credentials, running, settings_for
from tests.consistency import breaches
from tests.fuzz import fuzz

LINES = (1, 2)
SOURCE_PARCELS = ("S-1", "S-2")
STEPS = 12
CLOSED = ("DELIVERED", "CANCELED")

Items = Mapping[int, int]


# ------------------------------------------------------------------------------------------------ what is done


@dataclass(frozen=True)
class Record:
    """The source's order as it was at a `moment`: quantities by line, and the items of its parcels."""

    moment: int
    ordered: Items
    parcels: Mapping[str, Items]


@dataclass(frozen=True)
class Ship:
    """The warehouse packs a parcel."""

    items: Items


@dataclass(frozen=True)
class Report:
    """A carrier tells where a parcel was at a moment; `parcel` chooses among those there are."""

    parcel: int
    status: str
    moment: int


@dataclass(frozen=True)
class SetStatus:
    """Somebody says how far a parcel is."""

    parcel: int
    status: str


@dataclass(frozen=True)
class Delete:
    """Somebody deletes a parcel."""

    parcel: int


Step = Record | Ship | Report | SetStatus | Delete

some_items = st.dictionaries(st.sampled_from(LINES), st.integers(1, 3), min_size=1)
some_parcel = st.integers(0, 5)
records = st.builds(
    Record,
    moment=st.integers(1, 6),
    ordered=st.fixed_dictionaries({line: st.integers(2, 6) for line in LINES}),
    parcels=st.dictionaries(st.sampled_from(SOURCE_PARCELS), some_items),
)
REPORTED = ("IN_TRANSIT", "OUT_FOR_DELIVERY", "FAILED_DELIVERY", "EXCEPTION", "DELIVERED")
steps = st.one_of(
    records,
    records,
    st.builds(Ship, some_items),
    st.builds(Report, some_parcel, st.sampled_from(REPORTED), st.integers(0, 9)),
    st.builds(Report, some_parcel, st.sampled_from(REPORTED), st.integers(0, 9)),
    st.builds(SetStatus, some_parcel, st.sampled_from(["PROCESSING", "IN_TRANSIT", "DELIVERED", "CANCELED"])),
    st.builds(Delete, some_parcel),
)
# Whatever was done may be done again: a file is sent twice, and a report repeated.
days = st.lists(steps, min_size=3, max_size=STEPS).flatmap(
    lambda made: st.lists(st.sampled_from(made), max_size=STEPS // 3).map(lambda again: [*made, *again])
)


# ------------------------------------------------------------------------------------------------ what should follow


@dataclass
class Parcel:
    items: dict[int, int]
    of_source: bool
    status: str
    is_set: bool = False
    news: set[tuple[int, str]] = field(default_factory=set)

    @property
    def was_delivered(self) -> bool:
        return self.status == "DELIVERED" or any(status == "DELIVERED" for _, status in self.news)


@dataclass
class Model:
    """`steps` and `ways` are the lifecycle: what people may do next, and what may follow at all."""

    steps: frozenset[tuple[str, str]]
    ways: frozenset[tuple[str, str]]
    moment: int = 0
    ordered: dict[int, int] = field(default_factory=dict)
    parcels: dict[str, Parcel] = field(default_factory=dict)

    def chosen(self, place: int) -> str | None:
        return list(self.parcels)[place % len(self.parcels)] if self.parcels else None

    def take(self, record: Record) -> bool:
        """Whether it is not refused; an older one changes nothing, but is read whole."""
        if _exceeds(_sums(record.parcels.values()), record.ordered):
            return False
        if record.moment < self.moment:
            return True
        after = {name: parcel for name, parcel in self.parcels.items() if not parcel.of_source or parcel.was_delivered}
        for name, items in record.parcels.items():
            parcel = self.parcels.get(name)
            if parcel is None:
                after[name] = Parcel(dict(items), True, "CREATED")
            else:
                kept = parcel.items if parcel.was_delivered else {}
                takes_more = any(quantity > parcel.items.get(line, 0) for line, quantity in items.items())
                if takes_more and parcel.status in CLOSED:
                    return False
                least = {line: max(quantity, kept.get(line, 0)) for line, quantity in items.items()}
                after[name] = Parcel({**kept, **least}, True, parcel.status, parcel.is_set, parcel.news)
        if _exceeds(_sums(parcel.items for parcel in after.values() if parcel.status != "CANCELED"), record.ordered):
            return False
        self.moment, self.ordered, self.parcels = record.moment, dict(record.ordered), after
        return True

    def ship(self, name: str, items: Items) -> bool:
        if _exceeds(_sums([self.shipped, items]), self.ordered):
            return False
        self.parcels[name] = Parcel(dict(items), False, "CREATED")
        return True

    def report(self, name: str, moment: int, status: str) -> None:
        parcel = self.parcels[name]
        parcel.news.add((moment, status))
        reached: str | None = None
        for _, told in sorted(parcel.news):
            if reached is None or (reached, told) in self.ways:
                reached = told
        assert reached is not None
        leads = (parcel.status, reached) in self.ways
        # All news is older than what was set in this test: it counts where there is no way back.
        stays = parcel.is_set and (reached, parcel.status) in self.ways
        if reached != parcel.status and leads and not stays:
            parcel.status, parcel.is_set = reached, False

    def set_status(self, name: str, status: str) -> bool:
        parcel = self.parcels[name]
        if parcel.status != status:
            if (parcel.status, status) not in self.steps:
                return False
            parcel.status, parcel.is_set = status, True
        return True

    @property
    def shipped(self) -> dict[int, int]:
        return _sums(parcel.items for parcel in self.parcels.values() if parcel.status != "CANCELED")

    @property
    def delivered(self) -> dict[int, int]:
        return _sums(parcel.items for parcel in self.parcels.values() if parcel.status == "DELIVERED")

    @property
    def fulfillment(self) -> str:
        ordered, shipped, delivered = (sum(each.values()) for each in (self.ordered, self.shipped, self.delivered))
        if delivered == ordered:
            return "DELIVERED"
        if delivered:
            return "PARTIALLY_DELIVERED"
        if shipped == ordered:
            return "SHIPPED"
        return "PARTIALLY_SHIPPED" if shipped else "UNFULFILLED"

    def told(self) -> dict[str, Any]:
        shipped, delivered = self.shipped, self.delivered
        lines = {
            line: (ordered, shipped.get(line, 0), delivered.get(line, 0), ordered - shipped.get(line, 0))
            for line, ordered in self.ordered.items()
        }
        parcels = {name: (parcel.status, parcel.items) for name, parcel in self.parcels.items()}
        return {"fulfillment": self.fulfillment, "lines": lines, "parcels": parcels}


def _sums(of: Iterable[Items]) -> dict[int, int]:
    sums: Counter[int] = Counter()
    for items in of:
        sums.update(items)
    return sums


def _exceeds(shipped: Items, ordered: Items) -> bool:
    return any(quantity > ordered[line] for line, quantity in shipped.items())


# ------------------------------------------------------------------------------------------------ what the service does

ORDER = """
query Order($id: Int!) {
  order(orderId: $id) {
    fulfillmentStatus
    items { id quantity quantityShipped quantityDelivered quantityRemaining }
    shipments { id status items { orderItemId quantity } trackAndTraces { code } }
  }
}
"""
SHIP = "mutation Ship($input: ShipmentCreateInput!) { shipmentCreate(input: $input) { id } }"
SET = "mutation Set($id: String!, $input: ShipmentUpdateInput!) { shipmentUpdate(id: $id, input: $input) { id } }"
DELETE = "mutation Delete($id: String!) { shipmentDelete(id: $id) }"
REPORT = """
mutation Report($input: ShipmentStatusReportInput!) { shipmentStatusReport(input: $input) { shipment { status } } }
"""
CHANNEL = {"kind": "channel", "code": "trade", "name": "Trade", "currency": "EUR"}
CARRIER = {"kind": "carrier", "name": "Trade Parcels", "trackAndTraceURL": "https://parcels.example/{code}"}


class Shop:
    """One order of a running service, under a number of its own. Codes of its parcels are named after them."""

    def __init__(self, post: GraphQL, connection: asyncpg.Connection, dsn: str, folder: Path, number: int) -> None:
        self.post = post
        self.connection = connection
        self.dsn = dsn
        self.file = folder / "record.ndjson"
        self.number = number
        self.names = (f"W-{n}" for n in count(1))
        self.moments = iter(range(1000))

    async def ids(self) -> tuple[int, dict[int, int]]:
        """Of the order, and of its lines by their numbers."""
        rows = await self.connection.fetch(
            "SELECT o.id AS order_id, i.id, i.line FROM orders o JOIN order_items i ON i.order_id = o.id"
            " WHERE o.external_id = $1",
            f"T-{self.number}",
        )
        return rows[0]["order_id"], {row["line"]: row["id"] for row in rows}

    async def take(self, record: Record) -> bool:
        return await self.take_records(_as_json(self.number, record))

    async def take_records(self, *records: object) -> bool:
        """Whether none is refused."""
        self.file.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
        return await ingest(self.dsn, [str(self.file)], strict=False, report=io.StringIO()) == 0

    async def ship(self, name: str, items: Items) -> bool:
        order, lines = await self.ids()
        given = [{"orderItemId": lines[line], "quantity": quantity} for line, quantity in items.items()]
        codes = [{"code": self.code(name), "carrierId": await self.carrier()}]
        return await self.done(SHIP, input={"orderId": order, "items": given, "trackAndTraces": codes})

    async def report(self, name: str, moment: int, status: str) -> bool:
        told = {"code": self.code(name), "carrierId": await self.carrier(), "status": status}
        return await self.done(REPORT, input={**told, "occurredAt": f"2025-03-01T10:{moment:02}:00Z"})

    async def set_status(self, name: str, status: str) -> bool:
        return await self.done(SET, id=await self.shipment(name), input={"status": status})

    async def delete(self, name: str) -> bool:
        return await self.done(DELETE, id=await self.shipment(name))

    async def done(self, document: str, **variables: Any) -> bool:
        answer = await self.post(document, variables, viewer="overrider")
        codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
        assert codes <= {"VALIDATION_ERROR", "CONFLICT"}, answer
        return not codes

    def code(self, name: str) -> str:
        return f"{name}-{self.number}"

    async def carrier(self) -> int:
        number: int = await self.connection.fetchval("SELECT id FROM carriers WHERE name = $1", CARRIER["name"])
        return number

    async def shipment(self, name: str) -> str:
        key: str = await self.connection.fetchval(
            "SELECT shipment_id::text FROM track_and_traces WHERE code = $1", self.code(name)
        )
        return key

    async def told(self) -> dict[str, Any]:
        """As `Model.told`."""
        order, lines = await self.ids()
        answer = (await self.post(ORDER, {"id": order}, viewer="staff"))["data"]["order"]
        numbers = {key: line for line, key in lines.items()}
        figures = ("quantity", "quantityShipped", "quantityDelivered", "quantityRemaining")
        parcels = {}
        for shipment in answer["shipments"]:
            [code] = shipment["trackAndTraces"]
            items = {numbers[item["orderItemId"]]: item["quantity"] for item in shipment["items"]}
            parcels[code["code"].removesuffix(f"-{self.number}")] = (shipment["status"], items)
        return {
            "fulfillment": answer["fulfillmentStatus"],
            "lines": {numbers[item["id"]]: tuple(item[figure] for figure in figures) for item in answer["items"]},
            "parcels": parcels,
        }


def _as_json(number: int, record: Record) -> dict[str, Any]:
    return {
        "kind": "order",
        "externalId": f"T-{number}",
        "channel": CHANNEL["code"],
        "status": "CONFIRMED",
        "currency": "EUR",
        "createdAt": "2025-01-01T09:00:00Z",
        "sourceModifiedAt": f"2025-02-01T09:{record.moment:02}:00Z",
        "addresses": [
            {"type": "delivery", "street": "Main St", "postalCode": "1011", "city": "Amsterdam", "country": "NL"}
        ],
        "items": [
            {"line": line, "sku": f"A-{line}", "name": "Anvil", "quantity": quantity, "price": "10.00"}
            for line, quantity in record.ordered.items()
        ],
        "shipments": [
            {
                "externalId": name,
                "items": [{"line": line, "quantity": quantity} for line, quantity in items.items()],
                "trackAndTraces": [{"carrier": CARRIER["name"], "code": f"{name}-{number}"}],
            }
            for name, items in record.parcels.items()
        ],
    }


async def live(day: list[Step], shop: Shop, model: Model) -> None:
    """Does everything in both, and compares after each step what was refused, and what is there."""
    for step in day:
        if isinstance(step, Record):
            assert await shop.take(step) == model.take(step), step
        elif not model.ordered:
            continue
        elif isinstance(step, Ship):
            name = next(shop.names)
            assert await shop.ship(name, step.items) == model.ship(name, step.items), step
        elif (name := model.chosen(step.parcel)) is not None:
            await _do(step, name, shop, model)
        if model.ordered:
            assert await shop.told() == model.told(), step


async def _do(step: Report | SetStatus | Delete, name: str, shop: Shop, model: Model) -> None:
    if isinstance(step, Report):
        # No two statuses of one moment: what then counts is no matter of these rules.
        moment = step.moment * len(REPORTED) + REPORTED.index(step.status)
        assert await shop.report(name, moment, step.status)
        model.report(name, moment, step.status)
    elif isinstance(step, SetStatus):
        assert await shop.set_status(name, step.status) == model.set_status(name, step.status), step
    else:
        assert await shop.delete(name)
        del model.parcels[name]


# ------------------------------------------------------------------------------------------------ the test


def test_whatever_comes_in_whatever_order_is_what_the_rules_say(
    databases: Databases, empty_template: str, tmp_path: Path
) -> None:
    dsn = databases.create(empty_template)
    numbers = count(1)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        connection, post = runner.run(_open(stack, dsn))
        shop = Shop(post, connection, dsn, tmp_path, 0)
        assert runner.run(shop.take_records(CHANNEL, CARRIER))
        steps, ways = runner.run(_lifecycle(connection))

        def test() -> Callable[[], None]:
            @given(days)
            def day(day: list[Step]) -> None:
                shop = Shop(post, connection, dsn, tmp_path, next(numbers))
                runner.run(live(day, shop, Model(steps, ways)))

            return day

        try:
            fuzz(test, examples=25, share=1 / 4, title="days of trade")
            assert runner.run(breaches(dsn)) == {}
        finally:
            runner.run(stack.aclose())


async def _open(stack: AsyncExitStack, dsn: str) -> tuple[asyncpg.Connection, GraphQL]:
    settings = settings_for(dsn)
    client = await stack.enter_async_context(calling(await stack.enter_async_context(running(settings))))
    connection = await asyncpg.connect(dsn)
    stack.push_async_callback(connection.close)

    async def post(document: str, variables: dict[str, Any] | None = None, *, viewer: str | None = "staff") -> Any:
        body = {"query": document, "variables": variables}
        return (await client.post("/graphql", json=body, headers=credentials(viewer, settings))).json()

    return connection, post


async def _lifecycle(connection: asyncpg.Connection) -> tuple[frozenset[Any], frozenset[Any]]:
    followed = await connection.fetch("SELECT status, next_status FROM shipment_status_followers")
    # Staff may override.
    taken = await connection.fetch("SELECT status, next_status FROM shipment_status_successors")
    return frozenset(map(tuple, taken)), frozenset(map(tuple, followed))
