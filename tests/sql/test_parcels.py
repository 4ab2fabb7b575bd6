"""What codes and shipments make of events (0010_parcels.sql), held to a small model of decisions 15 to 17."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from random import Random
from typing import NamedTuple
from uuid import UUID, uuid4

import asyncpg
import pytest

from app.postgres.migrate import migrate
from tests.app.postgres.test_locks import FILLED
from tests.conftest import ConnectionTo, Databases
from tests.consistency import breaches
from tests.sql.before import migrate_before

MIGRATION = "0010_parcels.sql"
STATUSES = [
    *("CREATED", "PROCESSING", "IN_TRANSIT", "OUT_FOR_DELIVERY", "FAILED_DELIVERY", "EXCEPTION"),
    *("PARTIALLY_DELIVERED", "CANCELED", "DELIVERED"),
]
ENDS = ("DELIVERED", "CANCELED")
UNDER_WAY = {"IN_TRANSIT", "OUT_FOR_DELIVERY", "FAILED_DELIVERY", "EXCEPTION", "PARTIALLY_DELIVERED"}
ROUTE = [
    "PROCESSING",
    "IN_TRANSIT",
    "OUT_FOR_DELIVERY",
    "FAILED_DELIVERY",
    "EXCEPTION",
    "OUT_FOR_DELIVERY",
    "DELIVERED",
]


def leads(status: str, following: str) -> bool:
    """Whether the lifecycle leads from one to the other; the parcels that are under way go to and fro."""
    if status in ENDS or status == following:
        return False
    if status in UNDER_WAY:
        return following in UNDER_WAY or following in ENDS
    return STATUSES.index(following) > STATUSES.index(status)


class Event(NamedTuple):
    """They have one order, that of their columns."""

    occurred_at: datetime
    rank: int
    status: str
    sub_status: str | None


def event(occurred_at: datetime, status: str, sub_status: str | None = None) -> Event:
    return Event(occurred_at, STATUSES.index(status), status, sub_status)


# Status and sub-status of the shipment, and of each of its codes.
Words = tuple[str | None, str | None]
Statuses = tuple[Words, list[Words]]


@dataclass
class Model:
    """A shipment of parcels. Events are known by parcel; `set_at` is when somebody set the status."""

    events: list[list[Event]]
    status: str = "CREATED"
    sub_status: str | None = None
    set_at: datetime | None = None

    def tell(self, parcel: int, event: Event) -> None:
        self.events[parcel].append(event)
        self.follow()

    def set(self, status: str, moment: datetime) -> None:
        self.status, self.sub_status, self.set_at = status, None, moment

    def statuses(self) -> Statuses:
        newest = [max(events, default=None) for events in self.events]
        parcels = [(event.status, event.sub_status) if event else (None, None) for event in newest]
        return (self.status, self.sub_status), parcels

    def follow(self) -> None:
        status = self.told([progress([event.status for event in sorted(events)]) for events in self.events])
        if status is None or (status != self.status and not self.takes(status)):
            return
        if status != self.status:
            self.status, self.set_at = status, None
        newest = [max(events) for events in self.events if events]
        of_status = [event for event in newest if event.status == status or status in ENDS]
        self.sub_status = max(of_status).sub_status if of_status else None

    def takes(self, status: str) -> bool:
        is_newer = self.set_at is None or any(event.occurred_at > self.set_at for told in self.events for event in told)
        return leads(self.status, status) and (is_newer or not leads(status, self.status))

    @staticmethod
    def told(parcels: Sequence[str | None]) -> str | None:
        some = {status for status in parcels if status is not None}
        waited_for = [status for status in parcels if status != "CANCELED"]
        if not waited_for:
            return "CANCELED" if parcels else None
        if set(waited_for) == {"DELIVERED"}:
            return "DELIVERED"
        for open_trouble in ("EXCEPTION", "FAILED_DELIVERY"):
            if open_trouble in some:
                return open_trouble
        if some & {"DELIVERED", "PARTIALLY_DELIVERED"}:
            return "PARTIALLY_DELIVERED"
        return max(some - {"CANCELED"}, key=STATUSES.index, default=None)


def finer(moment: datetime, status: str) -> str | None:
    """The same for the same news, in whatever order that comes."""
    return Random(f"{moment} {status}").choice([None, "DAMAGED", "RETURNED", "NOT_HOME"])


def progress(told: Sequence[str]) -> str | None:
    reached = None
    for status in told:
        if reached is None or leads(reached, status):
            reached = status
    return reached


class Shipment:
    """One of order 2075, which is `CREATED`, with codes of carrier 1."""

    def __init__(self, store: asyncpg.Connection, id: UUID, codes: list[UUID]) -> None:
        self.store, self.id, self.codes = store, id, codes

    @classmethod
    async def with_codes(cls, store: asyncpg.Connection, count: int) -> "Shipment":
        shipment, codes = uuid4(), [uuid4() for _ in range(count)]
        await store.execute(
            "INSERT INTO shipments (id, order_id, channel_id, status) VALUES ($1, 2075, 1, 'CREATED')", shipment
        )
        await store.execute(
            "INSERT INTO track_and_traces (id, shipment_id, order_id, channel_id, carrier_id, code)"
            " SELECT c, $1, 2075, 1, 1, c::text FROM unnest($2::uuid[]) AS c",
            *(shipment, codes),
        )
        return cls(store, shipment, codes)

    async def tell(self, parcel: int, event: Event) -> None:
        await self.store.execute(
            "INSERT INTO tracking_events (track_and_trace_id, channel_id, status, sub_status, occurred_at)"
            " VALUES ($1, 1, $2, $3, $4)",
            *(self.codes[parcel], event.status, event.sub_status, event.occurred_at),
        )

    async def set(self, status: str) -> datetime:
        moment: datetime = await self.store.fetchval(
            "UPDATE shipments SET status = $2 WHERE id = $1 RETURNING status_set_at", self.id, status
        )
        return moment

    async def statuses(self) -> Statuses:
        rows = await self.store.fetch(
            "SELECT id, status, sub_status FROM track_and_traces WHERE shipment_id = $1", self.id
        )
        parcels = {row["id"]: (row["status"], row["sub_status"]) for row in rows}
        own = await self.store.fetchrow("SELECT status, sub_status FROM shipments WHERE id = $1", self.id)
        return tuple(own), [parcels[code] for code in self.codes if code in parcels]

    async def words(self) -> tuple[str | None, list[str | None]]:
        """The nine alone."""
        (status, _), parcels = await self.statuses()
        return status, [status for status, _ in parcels]


@pytest.fixture
def store(copy_connection: asyncpg.Connection) -> asyncpg.Connection:
    return copy_connection


@pytest.mark.parametrize("seeds", [range(n, n + 10) for n in range(0, 40, 10)], ids=str)
async def test_any_news_about_any_parcels_leads_to_what_the_model_says(
    store: asyncpg.Connection, seeds: range, demo_copy_dsn: str
) -> None:
    steps = {
        status: [
            row[0]
            for row in await store.fetch(
                "SELECT next_status FROM shipment_status_successors WHERE status = $1 AND NOT needs_override", status
            )
        ]
        for status in STATUSES
    }
    for seed, count in product(seeds, (1, 2, 3, 4)):
        dice = Random(f"{seed} {count}")
        shipment, model = await Shipment.with_codes(store, count), Model([[] for _ in range(count)])
        weights = [1, 1, 4, 3, 2, 2, 1, 1, dice.choice((0, 2, 4))]
        for _ in range(dice.randint(1, 16)):
            if dice.random() < 0.15 and steps[model.status]:
                status = dice.choice(steps[model.status])
                model.set(status, await shipment.set(status))
            else:
                # Some of it at the same moment, and some after what is set by hand.
                moment = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=dice.randint(-6, 3))
                status, parcel = dice.choices(STATUSES, weights)[0], dice.randrange(count)
                news = event(moment, status, finer(moment, status))
                await shipment.tell(parcel, news)
                model.tell(parcel, news)
            assert await shipment.statuses() == model.statuses(), (seed, model)
    assert await breaches(demo_copy_dsn) == {}


@pytest.mark.parametrize("seeds", [range(n, n + 5) for n in (0, 5)], ids=str)
async def test_news_leads_to_the_same_statuses_in_whatever_order_it_comes(
    store: asyncpg.Connection, seeds: range
) -> None:
    """Parcels go any way of the lifecycle, and more is told after its end."""
    for seed in seeds:
        await check_any_order(store, seed)


async def check_any_order(store: asyncpg.Connection, seed: int) -> None:
    dice, count = Random(seed), seed % 4 + 1
    begun = datetime(2025, 11, 4, tzinfo=UTC)
    news: list[tuple[int, Event]] = []
    for parcel in range(count):
        end = dice.choice(["DELIVERED", "DELIVERED", "CANCELED", "IN_TRANSIT"])
        for status in [*dice.choices(ROUTE[:-1], k=dice.randint(0, 6)), end, *dice.choices(ROUTE[:-1], k=2)]:
            begun += timedelta(minutes=dice.randint(0, 2))
            news.append((parcel, event(begun, status, finer(begun, status))))
    ends = []
    for _ in range(6):
        dice.shuffle(news)
        shipment = await Shipment.with_codes(store, count)
        for parcel, told in news:
            await shipment.tell(parcel, told)
        ends.append(await shipment.statuses())
    assert ends == [ends[0]] * len(ends), sorted(news)


async def test_many_events_in_one_statement_are_followed_once(store: asyncpg.Connection) -> None:
    shipments = [await Shipment.with_codes(store, 2) for _ in range(3)]
    await store.execute(
        "INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at)"
        " SELECT c, 1, s, now() - interval '1 day' + n * interval '1 minute'"
        " FROM unnest($1::uuid[]) AS c, unnest($2::text[]) WITH ORDINALITY AS e (s, n)",
        *([code for shipment in shipments for code in shipment.codes], ROUTE),
    )
    for shipment in shipments:
        assert await shipment.words() == ("DELIVERED", ["DELIVERED"] * 2)
        assert await store.fetchval("SELECT version FROM shipments WHERE id = $1", shipment.id) == 2


async def test_shipment_follows_the_codes_that_stay_when_one_is_deleted(store: asyncpg.Connection) -> None:
    shipment = await Shipment.with_codes(store, 2)
    await shipment.tell(0, event(datetime.now(UTC), "DELIVERED"))
    await store.execute("DELETE FROM track_and_traces WHERE id = $1", shipment.codes[1])
    assert await shipment.words() == ("DELIVERED", ["DELIVERED"])
    await store.execute("SELECT set_config('waybill.overridden_steps', 'allowed', false)")
    await store.execute("DELETE FROM shipments WHERE id = $1", shipment.id)


@pytest.mark.parametrize("other", [None, "PROCESSING", "EXCEPTION"])
async def test_what_somebody_had_set_is_there_again_when_the_code_goes_that_told_more(
    store: asyncpg.Connection, other: str | None
) -> None:
    """Unless another code has told more, too."""
    shipment, set_at = await Shipment.with_codes(store, 2), datetime(2025, 11, 4, 12, tzinfo=UTC)
    await store.execute("SELECT set_config('waybill.skipped_steps', 'allowed', false)")
    of_shipment = "UPDATE shipments SET status = 'IN_TRANSIT', status_set_at = $2 WHERE id = $1"
    await store.execute(of_shipment, shipment.id, set_at)
    if other is not None:
        await shipment.tell(1, event(set_at + timedelta(hours=1), other))
    await shipment.tell(0, event(set_at + timedelta(hours=2), "OUT_FOR_DELIVERY"))
    await store.execute("DELETE FROM track_and_traces WHERE id = $1", shipment.codes[0])
    held = await store.fetchrow("SELECT status, status_set_at FROM shipments WHERE id = $1", shipment.id)
    assert tuple(held) == (("EXCEPTION", None) if other == "EXCEPTION" else ("IN_TRANSIT", set_at))


async def test_shipments_follow_the_code_that_is_moved(store: asyncpg.Connection) -> None:
    left, joined = await Shipment.with_codes(store, 2), await Shipment.with_codes(store, 0)
    now = datetime.now(UTC)
    await left.tell(0, event(now, "IN_TRANSIT"))
    await left.tell(1, event(now, "EXCEPTION"))
    await store.execute("UPDATE track_and_traces SET shipment_id = $2 WHERE id = $1", left.codes[1], joined.id)
    assert (await left.words())[0] == "IN_TRANSIT"
    assert (await joined.words())[0] == "EXCEPTION"


async def test_status_that_an_import_sets_holds_as_of_the_moment_that_it_names(store: asyncpg.Connection) -> None:
    shipment, moment = await Shipment.with_codes(store, 1), datetime(2025, 11, 4, 12, tzinfo=UTC)
    await store.execute("SELECT set_config('waybill.skipped_steps', 'allowed', false)")
    await store.execute(
        "UPDATE shipments SET status = 'EXCEPTION', status_set_at = $2 WHERE id = $1", shipment.id, moment
    )
    await shipment.tell(0, event(moment - timedelta(hours=1), "IN_TRANSIT"))
    assert await shipment.words() == ("EXCEPTION", ["IN_TRANSIT"])
    await shipment.tell(0, event(moment + timedelta(hours=1), "OUT_FOR_DELIVERY"))
    assert await shipment.words() == ("OUT_FOR_DELIVERY", ["OUT_FOR_DELIVERY"])
    assert await store.fetchval("SELECT current_setting('waybill.skipped_steps')") == "allowed"


async def test_words_that_nobody_knows_are_refused(store: asyncpg.Connection) -> None:
    shipment, now = await Shipment.with_codes(store, 1), datetime.now(UTC)
    for news, column in (
        (Event(now, 0, "ARRIVED", None), "status_rank"),
        (Event(now, 0, "DELIVERED", "EATEN_BY_A_BEAR"), "sub_status"),
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=column):
            await shipment.tell(0, news)


async def test_migration_gives_codes_the_status_of_their_newest_event(
    databases: Databases, connection_to: ConnectionTo
) -> None:
    dsn = await asyncio.to_thread(databases.create)
    store = await connection_to(dsn)
    await migrate_before(dsn, MIGRATION)
    await store.execute(FILLED)
    told = "INSERT INTO tracking_events (track_and_trace_id, channel_id, status, occurred_at)"
    await store.execute(
        f"{told} SELECT id, channel_id, s, timestamptz '2025-11-04' FROM track_and_traces,"
        " unnest('{DELIVERED,IN_TRANSIT}'::text[]) AS s WHERE code LIKE '%-3'"
    )
    tables = ("orders", "shipments", "track_and_traces", "tracking_events")
    count = " UNION ALL ".join(f"SELECT count(*) FROM {table}" for table in tables)
    before, statuses = await store.fetch(count), await store.fetch("SELECT id, status FROM shipments ORDER BY id")
    await migrate(dsn)
    assert await store.fetch(count) == before
    assert await store.fetch("SELECT id, status FROM shipments ORDER BY id") == statuses
    found = await store.fetch("SELECT DISTINCT code LIKE '%-3', status, version FROM track_and_traces ORDER BY 1")
    assert [tuple(row) for row in found] == [(False, None, 1), (True, "DELIVERED", 2)]
