"""Writing endpoints of webhooks, and having what they were told told again."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
from ariadne import MutationType

import sql
from app.auth.viewer import Kind
from app.context import Context, Info
from app.errors import InvalidCursor, ValidationError, WebhookDeliveryNotFound
from app.resolvers.b2b.argument import as_instant, as_text, as_uuid, refuse_nulls, refuse_repeated, require_version
from app.resolvers.b2b.webhook import PERMISSION, READING, find_endpoint, owned_by, owner_viewer
from app.resolvers.feed import end_of, mark_of, refuse_gone
from app.webhooks.signature import V1, new_secret, secret_of
from loaders.rows import Row
from sql.advisory_lock import AdvisoryLock

SQL = sql.load("webhook_endpoint")
DELIVERY = sql.load("webhook_delivery")

MOST_ENDPOINTS = 100
MOST_HEADERS = 20
MOST_CONCURRENCY, MOST_RATE = 100, 1_000
_CONCURRENCY = 10
# Transactions get their places by their ends, and are known by their beginnings.
_LONGEST_TRANSACTION = timedelta(hours=1)
_EARLIEST = datetime.min.replace(tzinfo=UTC)

# Field of the input -> column.
_FILTERS = {
    "channelIds": "channel_ids",
    "companyIds": "company_ids",
    "shipmentStatuses": "shipment_statuses",
    "orderStatuses": "order_statuses",
}
_COLUMNS = (
    *("url", "description", "types", *_FILTERS.values(), "header_names", "header_values", "document", "envelope"),
    *("concurrency", "rate", "enabled", "position", "number", "held"),
)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]+( +[\x21-\x7e]+)*")
# What a message has anyway, and what belongs to the connection.
_OURS = re.compile(
    r"host|content-.*|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|proxy-.*|webhook-.*|user-agent"
    r"|accept-encoding|date|http2-settings"
)

mutation = MutationType()


@mutation.field("webhookEndpointCreate")
async def resolve_webhook_endpoint_create(_root: None, info: Info, input: dict[str, Any]) -> Row:
    """Raises `Forbidden`, `ValidationError`, `InvalidCursor` or `CursorExpired`."""
    context = info.context
    await _write(context)
    viewer = context.viewer
    given = {field: value for field, value in input.items() if value is not None}
    signature = given.get("signature", V1)
    blank = dict.fromkeys(_COLUMNS) | {"header_names": [], "header_values": [], "envelope": "STANDARD"}
    start = {"concurrency": _CONCURRENCY, "enabled": True, **await _now(context)}
    columns = {**blank, **start, **await _columns(context, given)}
    [owned] = await context.fetch(SQL.count_of_owner, owner=viewer.subject, lock=AdvisoryLock.WEBHOOK_OWNER)
    if owned["n"] >= MOST_ENDPOINTS:
        raise ValidationError("input", f"must be one of {MOST_ENDPOINTS} endpoints at most")
    [row] = await context.fetch(
        SQL.create,
        owner=viewer.subject,
        api_key_id=int(viewer.subject.partition(":")[2]) if viewer.kind is Kind.PARTNER else None,
        signature=signature,
        secret=_secret(given.get("secret"), signature, "input.secret"),
        **columns,
    )
    return row


@mutation.field("webhookEndpointUpdate")
async def resolve_webhook_endpoint_update(
    _root: None, info: Info, id: str, input: dict[str, Any], ifVersion: int | None = None
) -> Row:
    """Raises `WebhookEndpointNotFound`, `ValidationError`, `VersionConflict`, `InvalidCursor` or `CursorExpired`."""
    context = info.context
    await _write(context)
    present = await find_endpoint(context, id, "id", lock=True)
    require_version(present, ifVersion)
    refuse_nulls(input, "url", "types", "headers", "envelope", "concurrency", "enabled", "after")
    columns = {**{column: present[column] for column in _COLUMNS}, **await _columns(context, input)}
    key = UUID(present["id"])
    owner = owned_by(context.viewer)
    if columns["enabled"] and not present["enabled"]:
        await context.fetch(SQL.make_due, id=key, owner=owner, now=datetime.now(UTC))
    is_moved = "after" in input
    if is_moved:
        where = {name: columns[name] for name in ("position", "number", "held")}
        await context.fetch(SQL.take_back, id=key, owner=owner, now=datetime.now(UTC), **where)
    [row] = await context.fetch(SQL.update, id=key, owner=owner, is_moved=is_moved, **columns)
    return row


@mutation.field("webhookEndpointDelete")
async def resolve_webhook_endpoint_delete(_root: None, info: Info, id: str, ifVersion: int | None = None) -> bool:
    """Raises `WebhookEndpointNotFound` or `VersionConflict`."""
    context = info.context
    await context.write(PERMISSION)
    present = await find_endpoint(context, id, "id", lock=True)
    require_version(present, ifVersion)
    await context.fetch(SQL.delete, id=UUID(present["id"]), owner=owned_by(context.viewer))
    return True


@mutation.field("webhookEndpointRotateSecret")
async def resolve_webhook_endpoint_rotate_secret(_root: None, info: Info, id: str, secret: str | None = None) -> Row:
    """Raises `WebhookEndpointNotFound` or `ValidationError`."""
    context = info.context
    await context.write(PERMISSION)
    present = await find_endpoint(context, id, "id", lock=True)
    [row] = await context.fetch(
        SQL.rotate,
        id=UUID(present["id"]),
        owner=owned_by(context.viewer),
        secret=_secret(secret, present["signature"], "secret"),
    )
    return row


@mutation.field("webhookRedeliver")
async def resolve_webhook_redeliver(_root: None, info: Info, id: str) -> Row:
    """Raises `WebhookDeliveryNotFound`."""
    context = info.context
    await _write(context)
    key, now = as_uuid(id), datetime.now(UTC)
    owner = owned_by(context.viewer)
    rows = [] if key is None else await context.fetch(DELIVERY.redeliver, id=key, owner=owner, now=now)
    if not rows:
        raise WebhookDeliveryNotFound(id, "id")
    return rows[0]


@mutation.field("webhookReplay")
async def resolve_webhook_replay(
    _root: None, info: Info, endpointId: str, onlyFailed: bool = False, until: str | None = None, **moments: str
) -> Row:
    """Raises `WebhookEndpointNotFound` or `ValidationError`. `from` is a word of Python's own."""
    context = info.context
    await _write(context)
    present = await find_endpoint(context, endpointId, "endpointId", lock=True)
    now = datetime.now(UTC)
    begin = as_instant(moments["from"], "from")
    end = now if until is None else as_instant(until, "until")
    if until is None and begin > now:
        raise ValidationError("from", "must not be in the future")
    if end < begin:
        raise ValidationError("until", "must not be before from")
    span = {"from_moment": begin, "until_moment": end}
    key, owner = UUID(present["id"]), owned_by(context.viewer)
    if onlyFailed:
        await context.fetch(DELIVERY.redeliver_failed, endpoint_id=key, owner=owner, now=now, **span)
        return await find_endpoint(context, endpointId, "endpointId", lock=True)
    last = await context.db.feed.go_on()
    # Nothing is so old that it matters where the calendar ends.
    earliest = max(begin, _EARLIEST + _LONGEST_TRANSACTION) - _LONGEST_TRANSACTION
    position = await _position_before(context, earliest, last)
    [row] = await context.fetch(SQL.begin_replay, id=key, owner=owner, position=position, end=last, **span)
    return row


@mutation.field("webhookTest")
async def resolve_webhook_test(_root: None, info: Info, endpointId: str, type: str) -> Row:
    """Raises `WebhookEndpointNotFound`, `Forbidden` or `ValidationError`."""
    context = info.context
    await _write(context)
    present = await find_endpoint(context, endpointId, "endpointId", lock=True)
    if not present["enabled"]:
        raise ValidationError("endpointId", "must be an endpoint that is enabled")
    owner = await owner_viewer(context, present)
    examples = await context.db.fetch(DELIVERY.example, owner.visibility)
    if not examples:
        raise ValidationError("endpointId", "must be an endpoint whose owner sees an order")
    event = _test_event(type, examples[0])
    shipment_id = event["shipment_id"]
    [row] = await context.fetch(
        DELIVERY.add_test,
        id=UUID(event["id"]),
        endpoint_id=UUID(present["id"]),
        owner=owned_by(context.viewer),
        type=type,
        event=orjson.dumps(event).decode(),
        order_id=event["order_id"],
        shipment_id=None if shipment_id is None else UUID(shipment_id),
        now=datetime.now(UTC),
    )
    return row


def _test_event(type_: str, example: Row) -> dict[str, Any]:
    """About an order, or about its shipment, whatever kind of object such events are about."""
    is_of_order = type_.startswith(("ORDER_", "LINE_")) or example["shipment_id"] is None
    word = type_.rpartition("_")[2]
    return {
        "id": str(uuid4()),
        "type": type_,
        "timestamp": datetime.now(UTC).isoformat(),
        "cursor": None,
        "action": word if word in ("CREATED", "DELETED", "ENTERED", "LEFT") else "UPDATED",
        "change_type": "ORDER" if is_of_order else "SHIPMENT",
        "object_id": str(example["order_id"]) if is_of_order else example["shipment_id"],
        "order_id": example["order_id"],
        "shipment_id": None if is_of_order else example["shipment_id"],
        "channel_id": example["channel_id"],
        "version": None,
        "old": None,
        "number": None,
        "test": True,
    }


async def _write(context: Context) -> None:
    """Begins to write what leads to orders being sent or shown. Raises as `Context.write` does."""
    for permission in READING:
        context.require(permission)
    await context.write(PERMISSION)


async def _now(context: Context) -> dict[str, Any]:
    """The place behind all that has been committed."""
    place = end_of(await context.db.feed.go_on())
    return {"position": place.position, "number": place.number, "held": []}


async def _position_before(context: Context, moment: datetime, last: int) -> int:
    """That of a transaction before all that began at a moment or after it, of those up to `last`."""
    low, high = 0, last
    while low < high:
        middle = (low + high) // 2
        rows = await context.fetch(SQL.transaction_after, position=middle)
        if not rows or rows[0]["occurred_at"] >= moment:
            high = middle
        else:
            low = rows[0]["position"]
    return low


async def _columns(context: Context, given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of the fields that are given. Raises `ValidationError`, `InvalidCursor` or `CursorExpired`."""
    columns: dict[str, Any] = {}
    if "url" in given:
        columns["url"] = given["url"]
        _refuse("input.url", context.messages.targets.fault(given["url"]))
    if "description" in given:
        text = given["description"]
        columns["description"] = None if text is None else as_text(text, "input.description")
    if "types" in given:
        columns["types"] = list(dict.fromkeys(given["types"]))
        if not given["types"]:
            raise ValidationError("input.types", "must not be empty")
    for field, column in _FILTERS.items():
        if field in given:
            columns[column] = given[field]
            if given[field] == []:
                raise ValidationError(f"input.{field}", "must not be empty; null or left out, there is no such filter")
    _refuse_channels(context, columns.get("channel_ids"))
    if "headers" in given:
        columns |= _headers(given["headers"])
    if "document" in given:
        columns["document"] = given["document"]
        if given["document"] is not None:
            _refuse("input.document", context.messages.document_fault(given["document"]))
    if "rate" in given:
        columns["rate"] = None if given["rate"] is None else _number(given["rate"], "input.rate", MOST_RATE)
    if "concurrency" in given:
        columns["concurrency"] = _number(given["concurrency"], "input.concurrency", MOST_CONCURRENCY)
    for field in ("envelope", "enabled"):
        if field in given:
            columns[field] = given[field]
    if "after" in given:
        columns |= await _place(context, given["after"])
    return columns


def _refuse(path: str, fault: str | None) -> None:
    if fault is not None:
        raise ValidationError(path, fault)


def _refuse_channels(context: Context, channel_ids: Sequence[int] | None) -> None:
    """Raises `ValidationError` where a partner names a channel that is not its own, or is none."""
    if channel_ids is None or context.viewer.kind is Kind.STAFF:
        return
    for place, channel_id in enumerate(channel_ids):
        if channel_id not in context.viewer.visibility.channel_ids:
            raise ValidationError(f"input.channelIds.{place}", "must be the id of a channel")


def _number(value: int, path: str, most: int) -> int:
    if not 1 <= value <= most:
        raise ValidationError(path, f"must be between 1 and {most}")
    return value


def _headers(headers: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    if len(headers) > MOST_HEADERS:
        raise ValidationError("input.headers", f"must be {MOST_HEADERS} at most")
    for place, header in enumerate(headers):
        path = f"input.headers.{place}"
        if not _HEADER.fullmatch(header["name"]) or _OURS.fullmatch(header["name"].lower()):
            raise ValidationError(f"{path}.name", "must be the name of a header that messages do not have anyway")
        if not _HEADER_VALUE.fullmatch(header["value"]):
            raise ValidationError(f"{path}.value", "must be of visible ASCII, with blanks between")
    refuse_repeated([header["name"].lower() for header in headers], "input.headers.{}.name")
    names, values = [header["name"] for header in headers], [header["value"] for header in headers]
    return {"header_names": names, "header_values": values}


def _secret(text: str | None, signature: str, path: str) -> bytes:
    if text is None:
        return new_secret()
    try:
        return secret_of(text, signature)
    except ValueError as error:
        raise ValidationError(path, str(error)) from None


async def _place(context: Context, after: str) -> dict[str, Any]:
    try:
        mark = mark_of(after)
        await refuse_gone(context, mark.place)
    except InvalidCursor:
        raise InvalidCursor("input.after") from None
    return {"position": mark.place.position, "number": mark.place.number, "held": list(mark.held)}


bindables = [mutation]
