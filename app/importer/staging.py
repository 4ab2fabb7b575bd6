"""A batch of checked records on its way into the store: rows for `COPY`, then the statements of sql/ingest.sql.

A batch is one transaction. When some of its records break a rule against the store, the batch is taken back and written
again without them; when the store refuses the batch for a reason that names no record, its records go one by one. A
batch that met another writer's locks the wrong way round is simply written again.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

import asyncpg
from msgspec import UNSET

import sql
from app.importer import price
from app.importer.price import Discount, LinePrice, OrderPrice
from app.importer.records import (
    Account,
    Carrier,
    Channel,
    Event,
    Known,
    Line,
    News,
    Order,
    Outdated,
    Record,
    Refund,
    Refused,
)
from app.importer.scalars import decimal
from app.money import LIMIT, refund_of, rounded, without_discount
from app.postgres.direct import fetch
from app.rules import by_offset, normalized_code, words_of
from sql.advisory_lock import AdvisoryLock

_ATTEMPTS = 4

_TABLES = {
    "import_orders": (
        "n channel external_id status source_status type currency company company_name company_parent customer_key "
        "email first_name last_name phone has_customer created_at source_modified_at requested_at shipping_method "
        "reference left_out has_addresses has_shipments sub_total discount_type discount_value discount_amount "
        "lines_tax postage postage_percentage own_gross own_net own_tax coupon currency_ratio payment_method "
        "payment_status source_payment_status has_refunds"
    ),
    "import_addresses": (
        "n position type company first_name last_name street number postal_code city region country phone"
    ),
    "import_lines": (
        "n line line_id sku name quantity product_id tax_percentage exact_tax_percentage tax_code additional tax "
        "original_price discount price price_net price_total price_total_net has_product_id has_additional "
        "class has_class parent_line has_parent quantity_canceled quantity_unit has_unit"
    ),
    "import_shipments": (
        "n position external_id status source_status sub_status has_sub_status created_at expected_delivery_at "
        "has_promise has_items has_codes"
    ),
    "import_shipment_items": "n shipment line quantity",
    "import_codes": "n shipment position path carrier code key expected_delivery_at expected_local has_promise",
    "import_sources": "n shipment id name",
    "import_refunds": "n position external_id amount is_computed reason created_at",
    "import_refund_items": "n refund line quantity amount is_computed",
    "import_parcel_items": "n shipment code_position path line quantity",
    "import_packed_codes": "n shipment code_position",
    "import_events": (
        "n position path shipment code_position of_order of_shipment channel carrier code shipment_id external_id "
        "status sub_status occurred_at occurred_local expected_delivery_at expected_local location description"
    ),
}

# Rows are locked, then the rules are checked, then rows are written: a shipment lets go of a line before the line goes,
# and of a code before another shipment takes the code. A code has moved before its former shipment goes.
#
# PostgreSQL plans a step for a millisecond or two, whether there is anything to do or not. Each says what it is about,
# in words of `_facts`: where one of them is missing (of `a/b` both) it would do nothing, and is left out.
STEPS = {
    "measure_staging": "",
    "find_channels": "",
    "create_companies": "company",
    "find_companies": "company",
    "find_orders": "",
    "leave_out_outdated": "stored",
    "find_customers": "customer",
    "give_keys_to_customers": "customer_key",
    "part_customers": "customer_key",
    "create_customers_with_keys": "customer_key",
    "find_customers_with_keys": "customer_key",
    "create_customers_with_emails": "customer",
    "find_customers_with_emails": "customer",
    "number_other_customers": "customer",
    "create_other_customers": "customer",
    "number_orders": "",
    "measure_orders": "",
    "lock_shipments": "stored",
    "lock_lines": "stored",
    "find_lines": "stored",
    "take_numbers_away": "stored",
    "give_numbers": "stored",
    "keep_line_parts": "stored",
    "complete_line_parts": "",
    "refuse_other_bundles": "stored parent",
    "refuse_other_goods": "stored",
    "refuse_other_classes": "stored",
    "find_carriers": "code",
    "find_shipments": "stored shipment",
    "match_shipments": "stored shipment",
    "adopt_shipments": "stored shipment",
    "leave_known_items": "stored shipment",
    "leave_known_codes": "stored shipment",
    "leave_known_shipments": "stored shipment",
    "warn_repeated": "stored",
    "warn_statuses": "stored shipment",
    "keep_statuses": "stored",
    "keep_sub_statuses": "stored shipment",
    "keep_payment_statuses": "stored",
    "keep_delivered_shipments": "stored",
    "keep_delivered_items": "stored",
    "keep_delivered_quantities": "stored item",
    "number_shipments": "shipment",
    "measure_shipments": "stored/shipment",
    "find_codes": "stored code",
    "find_other_codes": "stored code",
    "find_moved_codes": "stored code",
    "date_codes": "code",
    "keep_delivered_codes": "stored",
    "refuse_codes": "code",
    "refuse_shipment_statuses": "stored shipment",
    "refuse_items_of_closed_shipments": "stored item",
    "refuse_shipments_of_orders": "shipment",
    "refuse_lines_of_shipments": "item",
    "refuse_missing_lines": "stored/item",
    "count_shipped": "stored/item",
    "refuse_overshipped_lines": "stored/item",
    "finish_orders": "",
    "hold_finishing": "",
    "refuse_promises": "stored/shipment",
    "update_companies": "company",
    "update_customers": "customer",
    "refuse_company_circles": "company",
    "keep_order_values": "stored",
    "refuse_ratios": "ratio",
    "find_ratios": "",
    "add_up": "",
    "warn_totals": "totals",
    "take_totals": "totals",
    "find_refunds": "stored refunds",
    "number_refunds": "refunds",
    "refuse_currencies": "stored",
    "limit_refund_items": "stored refunds",
    "add_up_refunds": "stored refunds",
    "warn_refund_items": "stored refunds",
    "count_refunds": "stored/refunds",
    "warn_refunds": "refunds",
    "compare_refunds": "stored refunds",
    "keep_line_values": "stored",
    "create_orders": "",
    "create_lines": "",
    "raise_lines": "stored",
    "set_parents": "stored/parent",
    "delete_addresses": "stored",
    "create_addresses": "address",
    "create_shipments": "shipment",
    "compare_shipments": "stored",
    "update_shipments": "stored",
    "move_codes": "stored code",
    "delete_shipments": "stored",
    "delete_shipment_items": "stored",
    "update_shipment_items": "stored item",
    "create_shipment_items": "item",
    "delete_lines": "stored",
    "lower_lines": "stored",
    "delete_codes": "stored",
    "refuse_taken_codes": "code",
    "update_codes": "stored code",
    "create_codes": "code",
    "create_sources": "stored/source",
    "find_packed_codes": "parcel",
    "refuse_parcel_items": "parcel",
    "delete_parcel_items": "stored parcel",
    "create_parcel_items": "parcel",
    "update_orders": "stored",
    "write_refunds": "refunds",
    "delete_refund_items": "stored refunds",
    "update_refund_items": "stored refunds",
    "create_refund_items": "refunds",
    "release_finishing": "",
}
# Of the news, which comes once the codes of its batch are there.
EVENT_STEPS = {
    "find_codes_of_orders": "order",
    "find_codes_of_events": "event",
    "refuse_ambiguous_events": "event",
    "choose_codes_of_events": "event",
    "refuse_codes_of_other_shipments": "event",
    "date_events": "",
    "refuse_future_events": "",
    "record_events": "",
    "keep_events_waiting": "",
    "warn_carriers": "event",
}

_statements = sql.load("ingest")


@dataclass
class Outcome:
    """How many records were created, updated, and left as they were; `warnings` are what to tell of them, by place."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    warnings: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.warnings += other.warnings


@dataclass(frozen=True)
class Staged:
    """A record, the place it was read from (`file:line`), and its rows by temporary table, each but for its number."""

    place: str
    record: Record
    rows: list[tuple[str, tuple[object, ...]]]
    warnings: list[str] = field(default_factory=list)
    is_outdated: bool = False

    @property
    def news(self) -> "Staged | None":
        """What an outdated order's record still tells: events are facts, however old the record is. None of none."""
        assert isinstance(self.record, Order)  # noqa: S101  nothing else is outdated
        rows = list(_news_rows(self.record))
        return Staged(self.place, self.record, rows, is_outdated=True) if rows else None


class _RefusedByStore(Exception):
    def __init__(self, refusals: dict[int, Refused]) -> None:
        self.refusals = refusals


async def known(connection: asyncpg.Connection) -> Known:
    """What records may refer to, but for time zones, which few imports name."""
    (row,) = await connection.fetch(_text("known"))
    carriers = zip(row["carrier_channels"] or (), row["carrier_names"] or (), strict=True)
    templates = dict(zip(carriers, row["carrier_templates"] or (), strict=True))
    ways = frozenset(zip(row["way_statuses"], row["way_next_statuses"], strict=True))
    return Known(set(row["statuses"] or ()), set(row["channels"] or ()), templates, ways=ways)


async def time_zones(connection: asyncpg.Connection) -> set[str]:
    """The names of all that there are: some 50 ms of the server's processor."""
    return {row["name"] for row in await connection.fetch(_text("time_zones"))}


def stage(place: str, record: Record) -> Staged:
    """Computes the prices. Raises Refused when they are beyond what the store can hold."""
    if isinstance(record, Order):
        prices = _Prices.of(record)
        return Staged(place, record, list(_rows(record, prices)), prices.warnings)
    return Staged(place, record, [_event_row(record, "$")] if isinstance(record, Event) else [])


async def measure(connection: asyncpg.Connection) -> None:
    """For once after many rows were written: has statements planned anew."""
    await connection.execute(_text("measure_store"))


async def write(connection: asyncpg.Connection, batch: list[Staged]) -> tuple[Outcome, list[tuple[str, Refused]]]:
    """Writes records, no two of which have the same key; returns the outcome and the others with their places.

    The others are refused, or `Outdated`.

    Each record is applied whole or not at all. Raises what asyncpg raises when the server is lost.
    """
    # Here, where no savepoint takes them back: the tables stay for the batches to come.
    if any(staged.rows for staged in batch) and not await connection.fetchval(_text("has_staging")):
        await connection.execute(_text("staging"))
    refused: list[tuple[str, Refused]] = []
    remaining = dict(enumerate(batch))
    while remaining:
        try:
            return await _transact(connection, remaining), refused
        except _RefusedByStore as verdict:
            for n, refusal in sorted(verdict.refusals.items()):
                staged = remaining.pop(n)
                refused.append((staged.place, refusal))
                if isinstance(refusal, Outdated) and (news := staged.news):
                    remaining[n] = news
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
        if isinstance(staged.record, Channel):
            await _refuse_channel_currency(connection, n, staged.record)
        elif isinstance(staged.record, Carrier):
            await _refuse_carrier_name(connection, n, staged.record)
        if isinstance(staged.record, Channel | Carrier):
            outcome.add(await _write_reference(connection, staged.record))
        elif isinstance(staged.record, Account):
            outcome.add(await _write_customer(connection, staged.record, n))
    copied = {n: staged for n, staged in batch.items() if staged.rows}
    if not copied:
        return outcome
    await _copy(connection, copied)
    orders = [
        staged.record for staged in copied.values() if isinstance(staged.record, Order) and not staged.is_outdated
    ]
    tables = {table for staged in copied.values() for table, _ in staged.rows}
    facts = _facts(orders, tables) | ({"event"} if len(orders) < len(copied) else set())
    if orders:
        outcome.warnings += await _run(connection, STEPS, facts, copied)
        (row,) = await connection.fetch(_text("outcome"))
        outcome.add(Outcome(row["created"], row["updated"], len(orders) - row["created"] - row["updated"]))
    if "import_events" in tables:
        outcome.warnings += await _run(connection, EVENT_STEPS, facts, copied)
        (row,) = await connection.fetch(_text("outcome_of_events"))
        outcome.add(Outcome(created=row["created"], unchanged=row["unchanged"]))
    outcome.warnings += [(staged.place, warning) for staged in copied.values() for warning in staged.warnings]
    return outcome


def _facts(orders: Sequence[Order], tables: set[str]) -> set[str]:
    """What there is in a batch, in the words of `STEPS`. Its orders may be `stored` until somebody has looked."""
    companies = [order.company for order in orders if order.company]
    customers = [order.customer for order in orders if order.customer]
    is_there = {
        "order": bool(orders),
        "stored": bool(orders),
        "company": bool(companies),
        "customer": bool(customers),
        "customer_key": any(customer.external_id is not None for customer in customers),
        "address": "import_addresses" in tables,
        "parent": any(line.parent_line for order in orders for line in order.items),
        "ratio": any(order.currency_ratio for order in orders),
        "totals": any(order.totals is not None for order in orders),
        "refunds": any(order.refunds is not None for order in orders),
        "shipment": "import_shipments" in tables,
        "item": "import_shipment_items" in tables,
        "source": "import_sources" in tables,
        "code": "import_codes" in tables,
        "parcel": "import_packed_codes" in tables,
    }
    return {fact for fact, there in is_there.items() if there}


def has_work(about: str, facts: set[str]) -> bool:
    """Whether a step that is about this may have anything to do."""
    return all(not facts.isdisjoint(words.split("/")) for words in about.split())


async def _run(
    connection: asyncpg.Connection, steps: Mapping[str, str], facts: set[str], batch: dict[int, Staged]
) -> list[tuple[str, str]]:
    """The warnings, each with its record's place. Raises `_RefusedByStore`."""
    warnings: list[tuple[str, str]] = []
    for step, about in steps.items():
        if not has_work(about, facts):
            continue
        if not step.startswith(("refuse_", "leave_out_", "warn_")):
            done = await connection.execute(_text(step))
            if step == "find_orders" and done == "UPDATE 0":
                facts.discard("stored")
        elif rows := await connection.fetch(_text(step)):
            if step.startswith("warn_"):
                warnings += [(batch[row["n"]].place, f"{row['path']}: {row['reason']}") for row in rows]
                continue
            kind = Refused if step.startswith("refuse_") else Outdated
            raise _RefusedByStore({row["n"]: kind(row["path"], row["reason"]) for row in rows})
    return warnings


async def _write_reference(connection: asyncpg.Connection, record: Channel | Carrier) -> Outcome:
    values: dict[str, object]
    if isinstance(record, Channel):
        statement = _statements.channel
        values = {
            "code": record.code,
            "name": record.name,
            "currency": record.currency,
            "language": record.language,
            "time_zone": record.time_zone,
        }
    else:
        statement = _statements.carrier
        given = record.descriptions
        values = {
            "channel": record.channel,
            "key": record.carrier_key,
            "name": record.name,
            "type": record.type,
            "template": record.template,
            "logo": record.logo,
            "time_zone": record.time_zone,
            "languages": None if given is None else [description.language for description in given],
            "texts": None if given is None else [description.value for description in given],
        }
    (row,) = await fetch(connection, statement, **values)
    is_changed = row["is_changed"]
    if isinstance(record, Channel):
        is_changed = await _set_statuses(connection, record) or is_changed
        if record.rates is not None:
            is_changed = await _write_rates(connection, record) or is_changed
    created = int(row["is_new"])
    updated = int(is_changed and not created)
    return Outcome(created, updated, 1 - created - updated)


async def _refuse_channel_currency(connection: asyncpg.Connection, n: int, channel: Channel) -> None:
    values = {"code": channel.code, "currency": channel.currency}
    for row in await fetch(connection, _statements.refuse_channel_currency, **values):
        raise _RefusedByStore({n: Refused(row["path"], row["reason"])})


async def _refuse_carrier_name(connection: asyncpg.Connection, n: int, carrier: Carrier) -> None:
    if carrier.carrier_key is None:
        return
    values = {"channel": carrier.channel, "key": carrier.carrier_key, "name": carrier.name}
    for row in await fetch(connection, _statements.refuse_carrier_name, **values):
        raise _RefusedByStore({n: Refused(row["path"], row["reason"])})


async def _set_statuses(connection: asyncpg.Connection, channel: Channel) -> bool:
    """Those that its orders take when they are shipped and delivered. Whether they were others before."""
    (row,) = await fetch(
        connection,
        _statements.channel_statuses,
        code=channel.code,
        has_shipped=channel.shipped_status is not UNSET,
        shipped_status=channel.shipped_status or None,
        has_delivered=channel.delivered_status is not UNSET,
        delivered_status=channel.delivered_status or None,
    )
    return bool(row["is_changed"])


async def _write_rates(connection: asyncpg.Connection, channel: Channel) -> bool:
    """Whether that changed any."""
    rates = channel.rates or {}
    values = {"code": channel.code, "currencies": list(rates), "rates": [decimal(rate) for rate in rates.values()]}
    (row,) = await fetch(connection, _statements.channel_rates, **values)
    return bool(row["is_changed"])


async def _write_customer(connection: asyncpg.Connection, record: Account, n: int) -> Outcome:
    """Raises `_RefusedByStore`."""
    (row,) = await fetch(
        connection,
        _statements.customer,
        channel=record.channel,
        email=record.email,
        external_id=record.external_id,
        phone=record.phone,
        first_name=record.first_name,
        last_name=record.last_name,
    )
    if row["is_of_another"]:
        raise _RefusedByStore({n: Refused("$.email", "is the e-mail of another customer: merge the two")})
    created, updated = int(row["is_new"]), int(row["is_changed"])
    return Outcome(created, updated, 1 - created - updated)


async def _copy(connection: asyncpg.Connection, records: dict[int, Staged]) -> None:
    tables: dict[str, list[tuple[object, ...]]] = {table: [] for table in _TABLES}
    for n, staged in records.items():
        for table, values in staged.rows:
            tables[table].append((n, *values))
    if await connection.fetchval(_text("is_staged")):
        await connection.execute(_text("empty_staging"))
    for table, rows in tables.items():
        if rows:
            await connection.copy_records_to_table(table, records=rows, columns=_TABLES[table].split())


@dataclass(frozen=True)
class _Prices:
    """What an order costs by its record, and what is to be told of that."""

    lines: list[LinePrice]
    tax_percentages: list[Decimal]
    order: OrderPrice
    discount: Discount
    warnings: list[str]
    refunds: list["_RefundPrice"] = field(default_factory=list)

    @classmethod
    def of(cls, order: Order) -> "_Prices":
        """Raises Refused where an amount is beyond what the store can hold."""
        lines, warnings = [], []
        percentages = [_to_six(line.tax_percentage or 0) for line in order.items]
        for n, line in enumerate(order.items):
            discount = _discount(line)
            lines.append(price.of_line(Decimal(line.price), line.quantity, percentages[n], order.currency, discount))
            if abs(lines[n].price_total_net) >= LIMIT:
                raise Refused(f"$.items[{n}]", "the line's total has more than 12 digits")
            warnings += _difference(f"$.items[{n}]", line, Decimal(line.price) * line.quantity, order.currency)
            warnings += _part_of_unit(f"$.items[{n}]", line, lines[n], order.currency)
            warnings += _beyond(f"$.items[{n}]", line, Decimal(line.price) * line.quantity, order.currency)
        discount = _discount(order)
        prices = price.of_order(lines, percentages, order.currency, discount)
        if abs(prices.gross + prices.tax + order.postage) >= LIMIT or prices.discount >= LIMIT:
            raise Refused("$.items", "the order's total has more than 12 digits")
        warnings += _difference("$", order, prices.sub_total, order.currency)
        warnings += _beyond("$", order, prices.sub_total, order.currency)
        warnings += _rounding("$.shippingAmount", order.shipping_amount or None, order.currency)
        warnings += _rounding("$.discountAmount", order.discount_amount, order.currency)
        made = cls(lines, percentages, prices, discount, warnings)
        made.refunds.extend(_refunds(order, made, warnings))
        return made

    def paid(self, place: int) -> Decimal:
        """What all of a line costs with its tax, its share of the order's discount taken off."""
        line, order = self.lines[place], self.order
        return without_discount(line.price_total, order.sub_total, order.discount) + order.taxes[place]


def _discount(record: Order | Line) -> Discount:
    amount = None if record.discount_amount is None else _to_six(record.discount_amount)
    return Discount(decimal(record.discount or 0), amount)


def _difference(path: str, record: Order | Line, total: Decimal, currency: str) -> list[str]:
    """Of a discount that is given twice: the amount is what is taken off."""
    if record.discount is None or record.discount_amount is None:
        return []
    amount, computed = (
        rounded(off, currency) for off in (decimal(record.discount_amount), total * decimal(record.discount))
    )
    return [] if amount == computed else [f"{path}.discount: {computed} is not the discountAmount, which is taken off"]


def _beyond(path: str, record: Order | Line, total: Decimal, currency: str) -> list[str]:
    """Of a discount that takes off more than there is to pay."""
    amount, cost = rounded(_to_six(record.discount_amount or 0), currency), rounded(total, currency)
    if amount <= max(cost, Decimal(0)):
        return []
    return [f"{path}.discountAmount: {amount:f} is taken off, which is more than the {cost:f} that there is to pay"]


def _rounding(path: str, amount: str | float | None, currency: str) -> list[str]:
    """Of an amount that is not in whole smallest units of its currency."""
    exact = _to_six(amount or 0)
    counted = rounded(exact, currency)
    return [] if exact == counted else [f"{path}: {exact.normalize():f} is taken as {counted:f} {currency}"]


def _part_of_unit(path: str, line: Line, costs: LinePrice, currency: str) -> list[str]:
    """Of a line's discount between two smallest units: it is the line that is rounded (decision 23)."""
    exact = _to_six(line.discount_amount or 0)
    if exact == rounded(exact, currency):
        return []
    return [f"{path}.discountAmount: {exact.normalize():f} is taken off, and the line rounded to {costs.price_total:f}"]


def _to_six(value: str | float) -> Decimal:
    """Numbers may have come through the floats of another system."""
    return decimal(value).quantize(Decimal("0.000001"), ROUND_HALF_UP)


def _rows(order: Order, prices: _Prices) -> Iterator[tuple[str, tuple[object, ...]]]:
    """The rows of an order, by table; the columns are those of `_TABLES` after `n`."""
    for n, line in enumerate(order.items):
        try:
            given = None if line.additional is UNSET else line.additional
            additional = None if given is None else json.dumps(given, ensure_ascii=False)
        except RecursionError:
            raise Refused(f"$.items[{n}].additional", "nested too deeply") from None
        costs, tax_percentage = prices.lines[n], prices.tax_percentages[n]
        whole = int(tax_percentage.quantize(Decimal(1), ROUND_HALF_UP))
        yield (
            "import_lines",
            (
                *(line.line, line.line_id, line.sku, line.name, line.quantity, line.product_id or None),
                *(whole, None if whole == tax_percentage else tax_percentage, price.tax_code(tax_percentage)),
                *(additional, prices.order.taxes[n], costs.original_price, costs.discount, costs.price),
                *(costs.price_net, costs.price_total, costs.price_total_net),
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
    company, customer = order.company, order.customer
    yield (
        "import_orders",
        (
            *(order.channel, order.external_id, order.status, order.status, order.type or "purchase", order.currency),
            *((company.external_id, company.name, company.parent_external_id) if company else (None,) * 3),
            *((customer.external_id, customer.email) if customer else (None,) * 2),
            *((customer.first_name, customer.last_name, customer.phone) if customer else (None,) * 3),
            bool(customer),
            *(order.created_at, order.modified_at, order.requested_delivery_at or None),
            *(None if order.shipping_method is UNSET else order.shipping_method, order.reference or None),
            order.left_out,
            *(order.addresses is not None, order.shipments is not None, *_costs(order, prices)),
        ),
    )
    yield from _refund_rows(prices)
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
                *(n, key, shipment.status, shipment.status),
                *(shipment.sub_status or None, shipment.sub_status is not UNSET),
                *(shipment.created_at, shipment.expected_delivery_at or None),
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
            yield (
                "import_codes",
                (
                    *(key, m, f"{path}.code", code.carrier, code.code, normalized_code(code.code)),
                    *by_offset(code.expected_delivery_at or None),
                    code.expected_delivery_at is not UNSET,
                ),
            )
            if code.items is not None:
                yield "import_packed_codes", (key, m)
            places = {int(item.line): f"{path}.items[{k}]" for k, item in enumerate(code.items or ())}
            for line_number, quantity in order.goods_of(code, path).items():
                place = places.get(line_number, f"{path}.items")
                yield "import_parcel_items", (key, m, place, line_number, quantity)
            for k, event in enumerate(code.events):
                yield _event_row(event, f"{path}.events[{k}]", k, (key, m))
        for source in shipment.sources or ():
            yield "import_sources", (key, source.id, source.name)


def _news_rows(order: Order) -> Iterator[tuple[str, tuple[object, ...]]]:
    """The rows of an order's events, each by itself."""
    for n, shipment in enumerate(order.shipments or ()):
        for m, code in enumerate(shipment.track_and_traces or ()):
            about = (order.external_id, shipment.external_id, order.channel, code.carrier, code.code, None)
            for k, event in enumerate(code.events):
                path = f"$.shipments[{n}].trackAndTraces[{m}].events[{k}]"
                yield _event_row(event, path, k, about=about)


def _event_row(
    event: News,
    path: str,
    position: int = 0,
    of_code: tuple[str | None, int | None] = (None, None),
    about: tuple[object, ...] = (None,) * 6,
) -> tuple[str, tuple[object, ...]]:
    """The row of an event, of an order's code, or of its own. A moment without an offset has another column.

    `of_code` are the key of its shipment and its place there; `about` are the columns from `of_order` to `shipment_id`.
    """
    if isinstance(event, Event):
        about = (None, None, event.channel, event.carrier, event.code, event.shipment_id)
    return "import_events", (
        *(position, path, *of_code, *about),
        *(event.external_id, event.status, event.sub_status),
        *by_offset(event.occurred_at),
        *by_offset(event.expected_delivery_at),
        *(words_of(event.location), words_of(event.description)),
    )


def _costs(order: Order, prices: _Prices) -> Iterator[object]:
    """The columns of an order from `sub_total` on."""
    fraction, amount = prices.discount
    yield prices.order.sub_total
    if amount is not None:
        yield from ("A" if amount else "N", amount)
    else:
        yield from ("P" if fraction else "N", fraction * 100)
    yield from (prices.order.discount, prices.order.tax, order.postage, _to_six(order.shipping_tax_percentage or 0))
    yield from (None, None, None) if order.totals is None else order.totals.known
    yield order.coupon or None
    yield decimal(order.currency_ratio) if order.currency_ratio else None
    payment = order.payment or None
    yield (payment and payment.method) or ""
    status = (payment and payment.status) or None
    yield from (status, None if "payment_status" in order.left_out else status or "")
    yield order.refunds is not None


class _RefundPrice(NamedTuple):
    """`amounts` are those of the refund's items, in their order."""

    refund: Refund
    amount: Decimal
    amounts: list[Decimal]


def _refunds(order: Order, prices: _Prices, warnings: list[str]) -> Iterator[_RefundPrice]:
    """What is given is believed, with a warning; what is computed is at most what the line and the refund leave."""
    places = {line.line: place for place, line in enumerate(order.items)}
    returned: Counter[int] = Counter()
    nothing = rounded(Decimal(0), order.currency)
    left_of = {line: max(nothing, rounded(prices.paid(place), order.currency)) for line, place in places.items()}
    for n, refund in enumerate(order.refunds or ()):
        whole = None if refund.amount is None else rounded(decimal(refund.amount), order.currency)
        given = {
            m: rounded(decimal(item.amount), order.currency)
            for m, item in enumerate(refund.items)
            if item.amount is not None
        }
        left = None if whole is None else max(nothing, whole - sum(given.values()))
        amounts = []
        for m, item in enumerate(refund.items):
            pieces = order.items[places[item.line]].quantity
            if returned[item.line] + item.quantity > pieces:
                told = (
                    f"{item.quantity} are paid back of what is left of the line, {max(0, pieces - returned[item.line])}"
                )
                warnings.append(f"$.refunds[{n}].items[{m}].quantity: {told}")
            if m in given:
                amount = given[m]
                if amount > left_of[item.line]:
                    told = f"{amount:f} is paid back of what is left of the line, {left_of[item.line]:f}"
                    warnings.append(f"$.refunds[{n}].items[{m}].amount: {told}")
            else:
                paid = prices.paid(places[item.line])
                amount = refund_of(paid, pieces, returned[item.line], item.quantity, order.currency)
                amount = min(amount, left_of[item.line], *([] if left is None else [left]))
                left = None if left is None else left - amount
            returned[item.line] += item.quantity
            left_of[item.line] = max(nothing, left_of[item.line] - amount)
            amounts.append(amount)
        total = sum(amounts, nothing)
        if whole is not None and total > whole:
            warnings.append(f"$.refunds[{n}].items: {total:f} is paid back of a refund of {whole:f}")
        yield _RefundPrice(refund, total if whole is None else whole, amounts)


def _refund_rows(prices: _Prices) -> Iterator[tuple[str, tuple[object, ...]]]:
    for n, (refund, amount, amounts) in enumerate(prices.refunds):
        for item, of_item in zip(refund.items, amounts, strict=True):
            is_computed = item.amount is None
            yield "import_refund_items", (refund.external_id, item.line, item.quantity, of_item, is_computed)
        is_computed = refund.amount is None
        yield "import_refunds", (n, refund.external_id, amount, is_computed, refund.reason, refund.created_at)


def _reason(error: asyncpg.PostgresError) -> str:
    """Words of our own: the server's would show statements and other people's rows."""
    constraint = getattr(error, "constraint_name", None)
    return f"the store refuses the record ({constraint})" if constraint else "the store refuses the record"


def _text(name: str) -> str:
    return getattr(_statements, name).prepare(sql.Reach.EVERYTHING).text  # type: ignore[no-any-return]
