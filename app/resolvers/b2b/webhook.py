"""Endpoints of webhooks and their log: a partner's own, for staff all."""

from typing import Any
from uuid import UUID

import orjson

import sql
from app.auth.viewer import Kind, Viewer, owner_of
from app.context import Context, Info
from app.errors import Forbidden, InvalidCursor, NotAuthenticated, WebhookDeliveryNotFound, WebhookEndpointNotFound
from app.resolvers.b2b.argument import as_uuid
from app.resolvers.b2b.change import size_of
from app.resolvers.feed import Change, cursor_at, mark_of
from app.resolvers.field_plan import WITH_PARENT, PlannedType, relation
from app.resolvers.place import END, Place, cursor_of, place_of
from app.resolvers.query import GuardedQuery, holding
from app.resolvers.webhook import Wanted, add_recorded, delivery_id, event_of, message_id, seen_then, told
from app.webhooks.signature import verification_key, written
from loaders.rows import Row
from loaders.webhook_delivery import attempts_by_delivery, waiting_by_endpoint

SQL = sql.load("webhook_endpoint")
DELIVERY = sql.load("webhook_delivery")
FEED = sql.load("feed")

PERMISSION = "webhooks:write"
# Beside it, for whatever shows orders, or decides where they are sent.
READING = ("orders:read", "shipments:read")
_LOG = "webhookDeliveries"

query = GuardedQuery()
endpoint_type = PlannedType("WebhookEndpoint")
secret_type = PlannedType("WebhookEndpointSecret")
delivery_type = PlannedType("WebhookDelivery")
attempt_type = PlannedType("WebhookAttempt")
message_type = PlannedType("WebhookMessage")


def owned_by(viewer: Viewer) -> str | None:
    """Whose endpoints the viewer has: None is everybody's."""
    return None if viewer.kind is Kind.STAFF else viewer.subject


async def find_endpoint(context: Context, id: str, path: str, *, lock: bool = False) -> Row:
    """Raises `WebhookEndpointNotFound`, about the argument `path`."""
    key, statement = as_uuid(id), SQL.lock if lock else SQL.by_id
    rows = [] if key is None else await context.fetch(statement, id=key, owner=owned_by(context.viewer))
    if not rows:
        raise WebhookEndpointNotFound(id, path)
    return rows[0]


async def owner_viewer(context: Context, endpoint: Row) -> Viewer:
    """Whose sight decides what the endpoint is told. Raises `Forbidden` where there is nobody any more."""
    try:
        return await owner_of(endpoint["owner"], context.db)
    except NotAuthenticated:
        raise Forbidden("The key of the endpoint's owner is not good any more.") from None


@query.field("webhookEndpoints", holding(PERMISSION))
async def resolve_webhook_endpoints(
    _root: None, info: Info, first: int | None = None, after: str | None = None
) -> list[Row]:
    """Raises `ValidationError` and `WebhookEndpointNotFound`."""
    context = info.context
    size = size_of(context, first)
    last = None if after is None else UUID((await find_endpoint(context, after, "after"))["id"])
    return await context.fetch(SQL.page, owner=owned_by(context.viewer), after=last, limit=size)


@query.field("webhookEndpoint", holding(PERMISSION))
async def resolve_webhook_endpoint(_root: None, info: Info, id: str) -> Row:
    """Raises `WebhookEndpointNotFound`."""
    return await find_endpoint(info.context, id, "id")


@query.field("webhookDeliveries", holding(PERMISSION, *READING))
async def resolve_webhook_deliveries(
    _root: None,
    info: Info,
    endpointId: str,
    states: list[str] | None = None,
    types: list[str] | None = None,
    orderId: int | None = None,
    first: int | None = None,
    after: str | None = None,
) -> list[Row]:
    """Raises `WebhookEndpointNotFound`, `ValidationError` and `InvalidCursor`."""
    context = info.context
    size = size_of(context, first)
    endpoint = await find_endpoint(context, endpointId, "endpointId")
    before = END if after is None else place_of(after, _LOG, endpoint["id"])
    return await context.fetch(
        DELIVERY.page,
        endpoint_id=UUID(endpoint["id"]),
        owner=owned_by(context.viewer),
        before=before.position,
        states=states,
        types=types,
        order_id=orderId,
        limit=size,
    )


@query.field("webhookDelivery", holding(PERMISSION, *READING))
async def resolve_webhook_delivery(_root: None, info: Info, id: str) -> Row:
    """Raises `WebhookDeliveryNotFound`."""
    context, key = info.context, as_uuid(id)
    rows = [] if key is None else await context.fetch(DELIVERY.by_id, id=key, owner=owned_by(context.viewer))
    if not rows:
        raise WebhookDeliveryNotFound(id, "id")
    return rows[0]


@query.field("webhookDryRun", holding(PERMISSION, *READING))
async def resolve_webhook_dry_run(_root: None, info: Info, endpointId: str, cursor: str) -> list[Any]:
    """Raises `WebhookEndpointNotFound`, `InvalidCursor`, `Forbidden`."""
    context = info.context
    endpoint = await find_endpoint(context, endpointId, "endpointId")
    owner = await owner_viewer(context, endpoint)
    change = await _change_at(context, cursor)
    events = [event_of(change, each) for each in told(change, owner.visibility, Wanted.of(endpoint))]
    events = await seen_then(context.fetch, events, owner.visibility)
    await add_recorded(context.fetch, events)
    try:
        messages = await context.messages.of(endpoint, owner, events)
    except NotAuthenticated:
        raise Forbidden("The endpoint's owner may not read orders and shipments any more.") from None
    key = UUID(endpoint["id"])
    return [
        {"message_id": message_id(delivery_id(key, event)), "type": event["type"], "message": message}
        for event, message in zip(events, messages, strict=True)
        if message is not None
    ]


async def _change_at(context: Context, cursor: str) -> Change:
    """Raises `InvalidCursor` where no change has that cursor, or has it any more."""
    try:
        mark = mark_of(cursor)
    except InvalidCursor:
        raise InvalidCursor("cursor") from None
    await context.read_from(mark.state)
    place = Place(mark.place.position, mark.place.number + (mark.told > 0))
    rows = await context.fetch(FEED.after, position=place.position, number=place.number - 1, scan=1)
    if not rows or Place.of(rows[0]) != place:
        raise InvalidCursor("cursor")
    public = {row["code"] for row in await context.fetch(FEED.public_statuses)}
    return Change(rows[0], public)


@endpoint_type.field("cursor")
def resolve_webhook_endpoint_cursor(row: Row, _info: Info) -> str:
    return cursor_at(Place.of(row), row["held"])


@endpoint_type.field("verificationKey")
def resolve_webhook_endpoint_verification_key(row: Row, _info: Info) -> str | None:
    return verification_key(row["secret"], row["signature"])


@endpoint_type.field("waiting")
async def resolve_webhook_endpoint_waiting(row: Row, info: Info) -> int:
    found = await info.context.load(waiting_by_endpoint, row["id"])
    waiting: int = found["waiting"] if found else 0
    return waiting


@secret_type.field("endpoint")
def resolve_webhook_endpoint_secret_endpoint(row: Row, _info: Info) -> Row:
    return row


@secret_type.field("secret")
def resolve_webhook_endpoint_secret_secret(row: Row, _info: Info) -> str:
    return written(row["secret"], row["signature"])


@delivery_type.field("messageId")
def resolve_webhook_delivery_message_id(row: Row, _info: Info) -> str:
    return message_id(row["key"])


@delivery_type.field("body")
def resolve_webhook_delivery_body(row: Row, _info: Info) -> str | None:
    return _text(row["body"])


@delivery_type.field("cursor")
def resolve_webhook_delivery_cursor(row: Row, _info: Info) -> str:
    return cursor_of(Place(row["place"], 0), _LOG, row["endpoint_id"])


delivery_type.set_plan("attempts", relation(attempts_by_delivery, "id", WITH_PARENT))


@attempt_type.field("headers")
def resolve_webhook_attempt_headers(row: Row, _info: Info) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in orjson.loads(row["sent_headers"]).items()]


@attempt_type.field("answer")
def resolve_webhook_attempt_answer(row: Row, _info: Info) -> str | None:
    return _text(row["answer"])


def _text(value: bytes | None) -> str | None:
    """What is no UTF-8, or cut within a character, is replaced."""
    return None if value is None else value.decode("utf-8", "replace")


@message_type.field("mediaType")
def resolve_webhook_message_media_type(row: Any, _info: Info) -> str:
    media_type: str = row["message"].media_type
    return media_type


@message_type.field("body")
def resolve_webhook_message_body(row: Any, _info: Info) -> str:
    body: str = row["message"].body.decode()
    return body


@message_type.field("thin")
def resolve_webhook_message_thin(row: Any, _info: Info) -> bool:
    is_thin: bool = row["message"].is_thin
    return is_thin


bindables = [query, endpoint_type, secret_type, delivery_type, attempt_type, message_type]
