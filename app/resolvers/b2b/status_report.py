"""What carriers report about codes, one report or many at once, also of codes that nobody has recorded yet."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from ariadne import MutationType, ObjectType

import sql
from app.context import Context, Info
from app.errors import Conflict, TrackAndTraceNotFound, ValidationError, WaybillError
from app.resolvers.b2b.argument import as_code_text, as_external_id, as_written_moment
from app.resolvers.b2b.shipment_lock import require_uuid, writing
from app.resolvers.b2b.tracking_code import pages_of
from app.resolvers.tracking import code_of, is_address
from app.rules import MOST_AHEAD, by_offset, normalized_code, words_of
from loaders.shipment import shipment_by_id
from sql import Reach

SQL = sql.load("tracking_event")
WAITING = sql.load("waiting_report")
SHIPMENT = sql.load("shipment")
CARRIER = sql.load("carrier")

# How far the clock of a carrier may be ahead of ours.
CLOCK_SKEW = timedelta(minutes=5)
# How many reports of one teller wait for their codes, and how many of these for a carrier that has the page which they
# name: whoever writes one reads them all again.
MOST_WAITING = 100_000
MOST_WAITING_PAGES = 1_000

mutation = MutationType()
report = ObjectType("ShipmentStatusReport")
result = ObjectType("ShipmentStatusReportResult")
refusal = ObjectType("ShipmentStatusReportError")


@dataclass(frozen=True)
class News:
    """A report as it was told. What comes without an offset is `…_local`, and read where its code is."""

    path: str
    code: str
    carrier_id: int | None
    shipment_id: UUID | None
    status: str
    sub_status: str | None
    occurred_at: datetime | None
    occurred_local: datetime | None
    expected_delivery_at: datetime | None
    expected_local: datetime | None
    external_id: str | None
    location: str | None
    description: str | None


@dataclass(frozen=True)
class Report:
    """What became of a report: the row of its event, and whose shipment it is about; neither while it waits."""

    is_new: bool
    event: Any = None
    shipment_id: str | None = None
    moved: bool = False


@dataclass(frozen=True)
class Refusal:
    """Why nothing became of a report."""

    error: WaybillError


Outcome = Report | Refusal


@mutation.field("shipmentStatusReport")
async def resolve_shipment_status_report(_root: None, info: Info, input: dict[str, Any]) -> Report:
    """Raises `TrackAndTraceNotFound`; `ValidationError` where the input breaks a rule or several shipments fit."""
    context = await writing(info)
    [outcome] = await _take(context, [input], "input")
    if isinstance(outcome, Refusal):
        raise outcome.error
    return outcome


@mutation.field("shipmentStatusReports")
async def resolve_shipment_status_reports(
    _root: None, info: Info, inputs: list[dict[str, Any] | ValidationError]
) -> list[Outcome]:
    """An input with a text that may not be comes as its refusal (`@itemwise`)."""
    return await _take(await writing(info), inputs, "inputs.{}")


async def _take(context: Context, inputs: Sequence[Mapping[str, Any] | ValidationError], path: str) -> list[Outcome]:
    """The outcomes of reports, in their order. The codes and their shipments follow as events are recorded: the
    database sees to that."""
    outcomes: dict[int, Outcome] = {}
    told: dict[int, News] = {}
    read = await _code_reader(context, [given for given in inputs if not isinstance(given, ValidationError)])
    for place, given in enumerate(inputs):
        if isinstance(given, ValidationError):
            outcomes[place] = Refusal(given)
            continue
        try:
            told[place] = _read(given, path.format(place), read)
        except ValidationError as error:
            outcomes[place] = Refusal(error)
    candidates = await _lock_codes(context, told)
    meant: dict[int, Any] = {}
    for place, news in told.items():
        try:
            code = _code_of(news, candidates.get(place, ()))
        except WaybillError as error:
            outcomes[place] = Refusal(error)
            continue
        if code is not None:
            meant[place] = code
    outcomes |= await _record(context, {place: told[place] for place in meant}, meant)
    unknown = {place: news for place, news in told.items() if place not in outcomes}
    outcomes |= await _wait(context, unknown)
    return [outcomes[place] for place in range(len(inputs))]


async def _code_reader(context: Context, inputs: Sequence[Mapping[str, Any]]) -> Callable[[Mapping[str, Any]], str]:
    """What makes a report's code of what it says, which may be an address of its carrier's page, or of any."""
    addressed = [given for given in inputs if is_address(given["code"])]
    pages = await pages_of(context, [given["code"] for given in addressed if given.get("carrierId") is None])
    wanted = list({given["carrierId"] for given in addressed if given.get("carrierId") is not None})
    rows = await context.fetch(CARRIER.by_ids, ids=wanted) if wanted else []
    templates = {row["id"]: row["track_and_trace_url"] for row in rows}

    def read(given: Mapping[str, Any]) -> str:
        carrier_id = given.get("carrierId")
        code: str = given["code"]
        return pages.code_of(code) if carrier_id is None else code_of(code, templates.get(carrier_id))

    return read


def _read(input: Mapping[str, Any], path: str, read_code: Callable[[Mapping[str, Any]], str]) -> News:
    """Raises `ValidationError`."""
    as_code_text(input["code"], f"{path}.code")
    occurred = as_written_moment(input["occurredAt"], f"{path}.occurredAt")
    _refuse_future(occurred, path)
    expected = input.get("expectedDeliveryAt")
    promise = None if expected is None else as_written_moment(expected, f"{path}.expectedDeliveryAt")
    shipment_id = input.get("shipmentId")
    occurred_at, occurred_local = by_offset(occurred)
    expected_delivery_at, expected_local = by_offset(promise)
    return News(
        path=path,
        code=read_code(input),
        carrier_id=input.get("carrierId"),
        shipment_id=None if shipment_id is None else require_uuid(shipment_id, f"{path}.shipmentId"),
        status=input["status"],
        sub_status=input.get("subStatus"),
        occurred_at=occurred_at,
        occurred_local=occurred_local,
        expected_delivery_at=expected_delivery_at,
        expected_local=expected_local,
        external_id=as_external_id(input, path),
        location=words_of(input.get("location")),
        description=words_of(input.get("description")),
    )


def _refuse_future(moment: datetime, path: str) -> None:
    """Raises `ValidationError`. One without an offset may be of any zone yet."""
    latest = datetime.now(UTC) + CLOCK_SKEW
    if moment > (latest if moment.tzinfo else (latest + MOST_AHEAD).replace(tzinfo=None)):
        raise ValidationError(f"{path}.occurredAt", "must not lie more than five minutes in the future")


async def _lock_codes(context: Context, told: Mapping[int, News]) -> dict[int, list[Any]]:
    """The codes that each report may mean, with the statuses of their shipments: all locked. Raises `Conflict`."""
    places, every = list(told), list(told.values())
    values = {
        "codes": [normalized_code(news.code) for news in every],
        "carrier_ids": [news.carrier_id for news in every],
        "shipment_ids": [news.shipment_id for news in every],
        "occurred_at": [news.occurred_at for news in every],
        "occurred_local": [news.occurred_local for news in every],
        "expected_local": [news.expected_local for news in every],
    }
    # A code that is moved while we wait for its lock is found once more where it is now.
    for _attempt in range(2):
        rows = await context.fetch(SQL.codes_of_reports, **values)
        if not rows:
            return {}
        await context.fetch(SQL.lock_orders, ids=list({row["order_id"] for row in rows}))
        shipments = await context.fetch(SHIPMENT.lock, ids=list({row["shipment_id"] for row in rows}))
        codes = await context.fetch(SQL.lock_track_and_traces, ids=list({row["id"] for row in rows}))
        there = {(row["id"], row["channel_id"], row["shipment_id"]) for row in codes}
        if all((row["id"], row["channel_id"], row["shipment_id"]) in there for row in rows):
            break
    else:
        raise Conflict("Somebody else is moving this to another shipment.")
    statuses = {(row["id"], row["channel_id"]): row["status"] for row in shipments}
    found: dict[int, list[Any]] = {}
    for row in rows:
        status = statuses[row["shipment_id"], row["channel_id"]]
        found.setdefault(places[row["place"]], []).append({**row, "status": status})
    return found


def _code_of(news: News, candidates: Sequence[Any]) -> Any | None:
    """The code that is meant, None where it is not recorded yet. Raises `TrackAndTraceNotFound`, `ValidationError`."""
    if not candidates:
        if news.shipment_id is not None:
            raise TrackAndTraceNotFound(news.code, f"{news.path}.code")
        return None
    if len({(row["shipment_id"], row["channel_id"]) for row in candidates}) > 1:
        rule = f"is a code of several shipments: name one of them in {news.path}.shipmentId"
        raise ValidationError(f"{news.path}.code", rule)
    code = candidates[0]
    if news.occurred_at is None:
        _refuse_future(code["occurred_at"], news.path)
    return code


async def _record(context: Context, told: Mapping[int, News], codes: Mapping[int, Any]) -> dict[int, Outcome]:
    if not told:
        return {}
    ids = {place: uuid4() for place in told}
    keys = {
        "track_and_trace_ids": [codes[place]["id"] for place in told],
        "channel_ids": [codes[place]["channel_id"] for place in told],
    }
    recorded = await context.fetch(
        SQL.record,
        **keys,
        **_columns([_placed(news, codes[place]) for place, news in told.items()]),
        ids=list(ids.values()),
    )
    events = {row["id"]: row for row in recorded}
    known = {}
    if len(events) < len(told):
        external_ids = [news.external_id for news in told.values()]
        rows = await context.fetch(SQL.by_external_ids, **keys, external_ids=external_ids)
        known = {(row["track_and_trace_id"], row["external_id"]): row for row in rows}
    shipments = await context.fetch(SHIPMENT.by_ids, ids=[codes[place]["shipment_id"] for place in told])
    statuses = {row["id"]: row["status"] for row in shipments}
    outcomes: dict[int, Outcome] = {}
    for place, news in told.items():
        event, shipment_id = events.get(str(ids[place])), str(codes[place]["shipment_id"])
        outcomes[place] = Report(
            is_new=event is not None,
            event=event or known[str(codes[place]["id"]), news.external_id],
            shipment_id=shipment_id,
            moved=event is not None and statuses[shipment_id] != codes[place]["status"],
        )
    return outcomes


def _placed(news: News, code: Any) -> News:
    """The news with the moments that they are at the code."""
    return replace(
        news,
        occurred_at=news.occurred_at or code["occurred_at"],
        expected_delivery_at=news.expected_delivery_at or code["expected_delivery_at"],
    )


def _columns(told: Sequence[News]) -> dict[str, Any]:
    return {
        "external_ids": [news.external_id for news in told],
        "statuses": [news.status for news in told],
        "sub_statuses": [news.sub_status for news in told],
        "occurred_at": [news.occurred_at for news in told],
        "expected_delivery_at": [news.expected_delivery_at for news in told],
        "locations": [news.location for news in told],
        "descriptions": [news.description for news in told],
    }


async def _wait(context: Context, told: Mapping[int, News]) -> dict[int, Outcome]:
    """Keeps news until their codes come. They are for the codes of those whom the teller sees, and of no others."""
    if not told:
        return {}
    outcomes = await _unknown_carriers(context, told)
    [left] = await context.fetch(
        WAITING.room, told_by=context.viewer.subject, most=MOST_WAITING, most_pages=MOST_WAITING_PAGES
    )
    room, page_room = left["room"], left["page_room"]
    ids: dict[int, UUID] = {}
    for place, news in told.items():
        if place in outcomes:
            continue
        is_page = is_address(news.code)
        if len(ids) >= room:
            rule = f"is not recorded, and {MOST_WAITING} reports of yours wait for their codes already"
        elif is_page and not page_room:
            rule = f"is of a page of no carrier, and {MOST_WAITING_PAGES} reports of yours wait for one already"
        else:
            ids[place] = uuid4()
            page_room -= is_page
            continue
        outcomes[place] = Refusal(ValidationError(f"{news.path}.code", rule))
    if not ids:
        return outcomes
    waiting = [told[place] for place in ids]
    seen = context.viewer.visibility
    kept = await context.fetch(
        WAITING.wait,
        **_columns(waiting),
        ids=list(ids.values()),
        codes=[news.code for news in waiting],
        carrier_ids=[news.carrier_id for news in waiting],
        occurred_local=[news.occurred_local for news in waiting],
        expected_local=[news.expected_local for news in waiting],
        channel_ids=None if seen.reach is Reach.EVERYTHING else seen.channel_ids,
        company_ids=seen.company_ids if seen.reach is Reach.COMPANIES else None,
    )
    new = {row["id"] for row in kept}
    return outcomes | {place: Report(is_new=key in new) for place, key in ids.items()}


async def _unknown_carriers(context: Context, told: Mapping[int, News]) -> dict[int, Outcome]:
    wanted = {news.carrier_id for news in told.values()} - {None}
    known = {row["id"] for row in await context.fetch(CARRIER.by_ids, ids=list(wanted))} if wanted else set()
    return {
        place: Refusal(ValidationError(f"{news.path}.carrierId", "must be the id of a carrier"))
        for place, news in told.items()
        if news.carrier_id is not None and news.carrier_id not in known
    }


@report.field("isNew")
def resolve_report_is_new(told: Report, _info: Info) -> bool:
    return told.is_new


@report.field("isWaiting")
def resolve_report_is_waiting(told: Report, _info: Info) -> bool:
    return told.shipment_id is None


@report.field("shipmentMoved")
def resolve_report_shipment_moved(told: Report, _info: Info) -> bool:
    return told.moved


@report.field("event")
def resolve_report_event(told: Report, _info: Info) -> Any:
    return told.event


@report.field("shipment")
def resolve_report_shipment(told: Report, info: Info) -> Awaitable[Any] | None:
    return None if told.shipment_id is None else info.context.load(shipment_by_id, told.shipment_id)


@result.field("report")
def resolve_result_report(outcome: Outcome, _info: Info) -> Report | None:
    return outcome if isinstance(outcome, Report) else None


@result.field("error")
def resolve_result_error(outcome: Outcome, _info: Info) -> Refusal | None:
    return outcome if isinstance(outcome, Refusal) else None


@refusal.field("code")
def resolve_error_code(refusal: Refusal, _info: Info) -> str:
    return refusal.error.code


@refusal.field("message")
def resolve_error_message(refusal: Refusal, _info: Info) -> str:
    return refusal.error.message


@refusal.field("path")
def resolve_error_path(refusal: Refusal, _info: Info) -> str | None:
    path: str | None = refusal.error.extensions.get("path")
    return path


bindables = [mutation, report, result, refusal]
