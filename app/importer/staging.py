"""A batch of checked records on its way into the store: rows for `COPY`, then the statements of sql/ingest.sql.

A batch is one transaction. When some of its records break a rule against the store, the batch is taken back and written
again without them; when the store refuses the batch for a reason that names no record, its records go one by one. A
batch that met another writer's locks the wrong way round is simply written again.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import asyncpg
from msgspec import UNSET

import sql
from app.importer import price
from app.importer.records import Account, Carrier, Channel, Event, Known, News, Order, Outdated, Record, Refused
from sql.advisory_lock import AdvisoryLock

_LIMIT = 10**12  # numeric(14, 2)
_ATTEMPTS = 4

_TABLES = {
    "import_orders": (
        "n channel external_id status type currency company company_name company_parent customer_key email first_name "
        "last_name phone has_customer created_at source_modified_at requested_at shipping_method left_out "
        "has_addresses has_shipments sub_total postage total_gross total_net total_tax"
    ),
    "import_addresses": (
        "n position type company first_name last_name street number postal_code city region country phone"
    ),
    "import_lines": (
        "n line line_id sku name quantity product_id tax_percentage tax_code additional "
        "original_price discount price price_net price_total price_total_net tax has_product_id has_additional "
        "class has_class parent_line has_parent quantity_canceled quantity_unit has_unit"
    ),
    "import_shipments": "n position external_id status created_at expected_delivery_at has_promise has_items has_codes",
    "import_shipment_items": "n shipment line quantity",
    "import_codes": "n shipment position path carrier code",
    "import_parcel_items": "n shipment code_position path line quantity",
    "import_packed_codes": "n shipment code_position",
    "import_events": (
        "n position path shipment code_position channel carrier code external_id status sub_status occurred_at "
        "occurred_local expected_delivery_at expected_local location description"
    ),
}

# Rows are locked, then the rules are checked, then rows are written: a shipment lets go of a line before the line goes,
# and of a code before another shipment takes the code.
STEPS = (
    "measure_staging",
    "find_channels",
    "create_companies",
    "find_companies",
    "find_orders",
    "leave_out_outdated",
    "find_customers",
    "give_keys_to_customers",
    "part_customers",
    "create_customers_with_keys",
    "find_customers_with_keys",
    "create_customers_with_emails",
    "find_customers_with_emails",
    "number_other_customers",
    "create_other_customers",
    "number_orders",
    "measure_orders",
    "lock_shipments",
    "lock_lines",
    "find_lines",
    "take_numbers_away",
    "give_numbers",
    "keep_line_parts",
    "complete_line_parts",
    "refuse_other_goods",
    "refuse_other_classes",
    "find_shipments",
    "keep_statuses",
    "keep_delivered_shipments",
    "keep_delivered_items",
    "number_shipments",
    "measure_shipments",
    "find_carriers",
    "keep_carriers",
    "keep_delivered_codes",
    "refuse_unknown_carriers",
    "refuse_shipment_statuses",
    "refuse_items_of_closed_shipments",
    "refuse_shipments_of_orders",
    "refuse_lines_of_shipments",
    "refuse_missing_lines",
    "count_shipped",
    "refuse_overshipped_lines",
    "finish_orders",
    "hold_finishing",
    "update_companies",
    "update_customers",
    "refuse_company_circles",
    "keep_order_values",
    "keep_line_values",
    "create_orders",
    "create_lines",
    "raise_lines",
    "set_parents",
    "delete_addresses",
    "create_addresses",
    "delete_shipments",
    "create_shipments",
    "compare_shipments",
    "update_shipments",
    "delete_shipment_items",
    "update_shipment_items",
    "create_shipment_items",
    "delete_lines",
    "lower_lines",
    "delete_codes",
    "refuse_taken_codes",
    "create_codes",
    "find_packed_codes",
    "refuse_parcel_items",
    "delete_parcel_items",
    "create_parcel_items",
    "update_orders",
    "release_finishing",
)
# Of the news, which comes once the codes of its batch are there.
EVENT_STEPS = (
    "find_codes_of_orders",
    "find_codes_of_events",
    "refuse_ambiguous_events",
    "choose_codes_of_events",
    "date_events",
    "refuse_future_events",
    "record_events",
    "keep_events_waiting",
)

_statements = sql.load("ingest")


@dataclass
class Outcome:
    """How many records were created, updated, and left as they were."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def add(self, other: "Outcome") -> None:
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged


@dataclass(frozen=True)
class Staged:
    """A record, the place it was read from (`file:line`), and its rows by temporary table, each but for its number."""

    place: str
    record: Record
    rows: list[tuple[str, tuple[object, ...]]]


class _RefusedByStore(Exception):
    def __init__(self, refusals: dict[int, Refused]) -> None:
        self.refusals = refusals


async def prepare(connection: asyncpg.Connection) -> Known:
    """Makes the temporary tables on a connection that is to write batches, and reads what records may refer to."""
    await connection.execute(_text("staging"))
    (row,) = await connection.fetch(_text("known"))
    carriers = zip(row["carrier_channels"] or (), row["carrier_names"] or (), strict=True)
    return Known(set(row["statuses"] or ()), set(row["channels"] or ()), set(carriers), frozenset(row["time_zones"]))


def stage(place: str, record: Record) -> Staged:
    """Computes the prices. Raises Refused when they are beyond what the store can hold."""
    if isinstance(record, Order):
        return Staged(place, record, list(_rows(record)))
    return Staged(place, record, [_event_row(record, "$")] if isinstance(record, Event) else [])


async def measure(connection: asyncpg.Connection) -> None:
    """For once after many rows were written: has statements planned anew."""
    await connection.execute(_text("measure_store"))


async def write(connection: asyncpg.Connection, batch: list[Staged]) -> tuple[Outcome, list[tuple[str, Refused]]]:
    """Writes records, no two of which have the same key; returns the outcome and the others with their places.

    The others are refused, or `Outdated`.

    Each record is applied whole or not at all. Raises what asyncpg raises when the server is lost.
    """
    refused: list[tuple[str, Refused]] = []
    remaining = dict(enumerate(batch))
    while remaining:
        try:
            return await _transact(connection, remaining), refused
        except _RefusedByStore as verdict:
            refused += [(remaining.pop(n).place, refusal) for n, refusal in sorted(verdict.refusals.items())]
        except (
            asyncpg.IntegrityConstraintViolationError,
            asyncpg.DataError,
            asyncpg.ProgramLimitExceededError,
            asyncpg.TransactionRollbackError,
        ) as error:
            if len(remaining) > 1:
                outcome, refused_alone = await _write_each(connection, list(remaining.values()))
                return outcome, refused + refused_alone
            (staged,) = remaining.values()
            return Outcome(), [*refused, (staged.place, Refused("$", _reason(error)))]
    return Outcome(), refused


async def _write_each(connection: asyncpg.Connection, batch: list[Staged]) -> tuple[Outcome, list[tuple[str, Refused]]]:
    outcome = Outcome()
    refused: list[tuple[str, Refused]] = []
    for staged in batch:
        one, refused_one = await write(connection, [staged])
        outcome.add(one)
        refused += refused_one
    return outcome, refused


async def _transact(connection: asyncpg.Connection, batch: dict[int, Staged]) -> Outcome:
    """One transaction; where it met other writers so that one of them had to give way, it begins again."""
    attempts = 0
    while True:
        attempts += 1
        try:
            async with connection.transaction(isolation="read_committed"):
                await connection.execute(_text("begin"))
                return await _apply(connection, batch)
        except asyncpg.TransactionRollbackError:
            if attempts == _ATTEMPTS:
                raise


async def _apply(connection: asyncpg.Connection, batch: dict[int, Staged]) -> Outcome:
    await connection.execute(_text("take_turn"), AdvisoryLock.IMPORT)
    outcome = Outcome()
    for n, staged in batch.items():
        if isinstance(staged.record, Channel | Carrier):
            outcome.add(await _write_reference(connection, staged.record))
        elif isinstance(staged.record, Account):
            outcome.add(await _write_customer(connection, staged.record, n))
    copied = {n: staged for n, staged in batch.items() if staged.rows}
    if not copied:
        return outcome
    await _copy(connection, copied)
    orders = sum(isinstance(staged.record, Order) for staged in copied.values())
    if orders:
        await _run(connection, STEPS)
    if any(table == "import_events" for staged in copied.values() for table, _ in staged.rows):
        await _run(connection, EVENT_STEPS)
    (row,) = await connection.fetch(_text("outcome"))
    outcome.add(Outcome(row["created"], row["updated"], orders - row["created"] - row["updated"]))
    (row,) = await connection.fetch(_text("outcome_of_events"))
    outcome.add(Outcome(created=row["created"], unchanged=row["unchanged"]))
    return outcome


async def _run(connection: asyncpg.Connection, steps: Sequence[str]) -> None:
    """Raises `_RefusedByStore`."""
    for step in steps:
        if not step.startswith(("refuse_", "leave_out_")):
            await connection.execute(_text(step))
        elif rows := await connection.fetch(_text(step)):
            kind = Refused if step.startswith("refuse_") else Outdated
            raise _RefusedByStore({row["n"]: kind(row["path"], row["reason"]) for row in rows})


async def _write_reference(connection: asyncpg.Connection, record: Channel | Carrier) -> Outcome:
    values: dict[str, object]
    if isinstance(record, Channel):
        statement = _statements.channel.prepare(sql.Reach.EVERYTHING)
        values = {
            "code": record.code,
            "name": record.name,
            "currency": record.currency,
            "language": record.language,
            "time_zone": record.time_zone,
        }
    else:
        statement = _statements.carrier.prepare(sql.Reach.EVERYTHING)
        given = record.descriptions
        values = {
            "channel": record.channel,
            "name": record.name,
            "type": record.type,
            "template": record.template,
            "logo": record.logo,
            "languages": None if given is None else [description.language for description in given],
            "texts": None if given is None else [description.value for description in given],
        }
    (row,) = await connection.fetch(statement.text, *statement.arguments(values))
    is_changed = row["is_changed"]
    if isinstance(record, Channel):
        is_changed = await _set_statuses(connection, record) or is_changed
    created = int(row["is_new"])
    updated = int(is_changed and not created)
    return Outcome(created, updated, 1 - created - updated)


async def _set_statuses(connection: asyncpg.Connection, channel: Channel) -> bool:
    """Those that its orders take when they are shipped and delivered. Whether they were others before."""
    statement = _statements.channel_statuses.prepare(sql.Reach.EVERYTHING)
    values = {
        "code": channel.code,
        "has_shipped": channel.shipped_status is not UNSET,
        "shipped_status": channel.shipped_status or None,
        "has_delivered": channel.delivered_status is not UNSET,
        "delivered_status": channel.delivered_status or None,
    }
    (row,) = await connection.fetch(statement.text, *statement.arguments(values))
    return bool(row["is_changed"])


async def _write_customer(connection: asyncpg.Connection, record: Account, n: int) -> Outcome:
    """Raises `_RefusedByStore`."""
    statement = _statements.customer.prepare(sql.Reach.EVERYTHING)
    values = {
        "channel": record.channel,
        "email": record.email,
        "external_id": record.external_id,
        "phone": record.phone,
        "first_name": record.first_name,
        "last_name": record.last_name,
    }
    (row,) = await connection.fetch(statement.text, *statement.arguments(values))
    if row["is_of_another"]:
        raise _RefusedByStore({n: Refused("$.email", "is the e-mail of another customer: merge the two")})
    created, updated = int(row["is_new"]), int(row["is_changed"])
    return Outcome(created, updated, 1 - created - updated)


async def _copy(connection: asyncpg.Connection, records: dict[int, Staged]) -> None:
    tables: dict[str, list[tuple[object, ...]]] = {table: [] for table in _TABLES}
    for n, staged in records.items():
        for table, values in staged.rows:
            tables[table].append((n, *values))
    await connection.execute(_text("empty_staging"))
    for table, rows in tables.items():
        if rows:
            await connection.copy_records_to_table(table, records=rows, columns=_TABLES[table].split())


def _rows(order: Order) -> Iterator[tuple[str, tuple[object, ...]]]:
    """The rows of an order, by table; the columns are those of `_TABLES` after `n`."""
    line_prices = []
    for n, line in enumerate(order.items):
        tax_percentage = line.tax_percentage or 0
        prices = price.of_line(Decimal(line.price), Decimal(str(line.discount or 0)), tax_percentage, line.quantity)
        if prices.price_total_net >= _LIMIT:
            raise Refused(f"$.items[{n}]", "the line's total has more than 12 digits")
        try:
            given = None if line.additional is UNSET else line.additional
            additional = None if given is None else json.dumps(given, ensure_ascii=False)
        except RecursionError:
            raise Refused(f"$.items[{n}].additional", "nested too deeply") from None
        line_prices.append(prices)
        yield (
            "import_lines",
            (
                *(line.line, line.line_id, line.sku, line.name, line.quantity, line.product_id or None),
                *(tax_percentage, price.tax_code(tax_percentage), additional, *prices),
                *(line.product_id is not UNSET, line.additional is not UNSET),
                *(
                    line.class_ or None,
                    line.class_ is not UNSET,
                    line.parent_line or None,
                    line.parent_line is not UNSET,
                ),
                *(order.canceled_of(line), line.unit or None, line.unit is not UNSET),
            ),
        )
    prices_of_order = price.of_order(line_prices, order.postage)
    if prices_of_order.total_net >= _LIMIT:
        raise Refused("$.items", "the order's total has more than 12 digits")
    company, customer = order.company, order.customer
    yield (
        "import_orders",
        (
            *(order.channel, order.external_id, order.status, order.type or "purchase", order.currency),
            *((company.external_id, company.name, company.parent_external_id) if company else (None,) * 3),
            *((customer.external_id, customer.email) if customer else (None,) * 2),
            *((customer.first_name, customer.last_name, customer.phone) if customer else (None,) * 3),
            bool(customer),
            *(order.created_at, order.modified_at, order.requested_delivery_at or None),
            *(None if order.shipping_method is UNSET else order.shipping_method, order.left_out),
            *(order.addresses is not None, order.shipments is not None, *prices_of_order),
        ),
    )
    for n, address in enumerate(order.addresses or ()):
        yield (
            "import_addresses",
            (
                *(n, address.type, address.company, address.first_name, address.last_name, address.street),
                *(address.number, address.postal_code, address.city, address.region, address.country, address.phone),
            ),
        )
    for n, shipment in enumerate(order.shipments or ()):
        key = shipment.external_id
        yield (
            "import_shipments",
            (
                *(n, key, shipment.status, shipment.created_at, shipment.expected_delivery_at or None),
                *(
                    shipment.expected_delivery_at is not UNSET,
                    shipment.items is not None,
                    shipment.track_and_traces is not None,
                ),
            ),
        )
        for line_number, quantity in order.goods_of(shipment, f"$.shipments[{n}]").items():
            yield "import_shipment_items", (key, line_number, quantity)
        for m, code in enumerate(shipment.track_and_traces or ()):
            path = f"$.shipments[{n}].trackAndTraces[{m}]"
            yield "import_codes", (key, m, f"{path}.code", code.carrier, code.code)
            if code.items is not None:
                yield "import_packed_codes", (key, m)
            places = {int(item.line): f"{path}.items[{k}]" for k, item in enumerate(code.items or ())}
            for line_number, quantity in order.goods_of(code, path).items():
                place = places.get(line_number, f"{path}.items")
                yield "import_parcel_items", (key, m, place, line_number, quantity)
            for k, event in enumerate(code.events):
                yield _event_row(event, f"{path}.events[{k}]", k, key, m)


def _event_row(
    event: News, path: str, position: int = 0, shipment: str | None = None, code_position: int | None = None
) -> tuple[str, tuple[object, ...]]:
    """The row of an event, of an order's code or of its own. A moment without an offset has another column."""
    own = event if isinstance(event, Event) else None
    return "import_events", (
        *(position, path, shipment, code_position),
        *((own.channel, own.carrier, own.code) if own else (None,) * 3),
        *(event.external_id, event.status, event.sub_status),
        *_placed(event.occurred_at),
        *_placed(event.expected_delivery_at),
        *(_words(event.location), _words(event.description)),
    )


def _placed(moment: datetime | None) -> tuple[datetime | None, datetime | None]:
    return (moment, None) if moment is None or moment.tzinfo else (None, moment)


def _words(text: str | None) -> str | None:
    """Blanks are what many a carrier sends in place of nothing."""
    return text if text and text.strip() else None


def _reason(error: asyncpg.PostgresError) -> str:
    """Words of our own: the server's would show statements and other people's rows."""
    constraint = getattr(error, "constraint_name", None)
    return f"the store refuses the record ({constraint})" if constraint else "the store refuses the record"


def _text(name: str) -> str:
    return getattr(_statements, name).prepare(sql.Reach.EVERYTHING).text  # type: ignore[no-any-return]
