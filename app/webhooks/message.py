"""Messages: what an endpoint is sent of events, made by a document of GraphQL that runs as the endpoint's owner."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from graphql import OperationDefinitionNode, OperationType

import sql
from app.auth.viewer import Viewer
from app.context import Context
from app.errors import NotAuthenticated
from app.execution.document import RequestErrors, root_fields
from app.execution.execute import Answer, Engine
from app.http.reply import dump
from app.resolvers.scalar import serialize_date_time
from app.resolvers.webhook import Event, delivery_id, dotted, is_of_gone, message_id, root_of
from app.webhooks.target import Targets
from loaders.rows import Row

SQL = sql.load("webhook_delivery")

FIELD = "webhookEvent"
NEEDED = frozenset({"orders:read", "shipments:read"})
LARGEST_BYTES = 256_000
_LONGEST_FAULT = 500

_JSON, _CLOUD_EVENT = "application/json", "application/cloudevents+json"

_HEAD = "cursor action orderId shipmentId channelId objectId version test changed { name old new }"
_ORDER = """order {
  id channelId externalId reference status type companyId currency fulfillmentStatus createdAt lastModifiedAt version
}"""
_NAMES = "order { id externalId reference status }"
_SHIPMENT = """shipment {
  id orderId externalId status subStatus expectedDeliveryAt expectedDeliveryDate late createdAt lastModifiedAt version
  items { id orderItemId externalId sku name quantity }
  trackAndTraces { id code externalId status trackingUrl carrierId carrier { key name } }
}"""
_LINE = """orderItem {
  id lineId sku name quantity quantityCanceled quantityShipped quantityDelivered quantityRemaining version
}"""
_ITEM = "shipmentItem { id shipmentId orderItemId externalId sku name quantity createdAt lastModifiedAt version }"
_CODE = """trackAndTrace {
  id shipmentId code externalId status subStatus expectedDeliveryAt trackingUrl carrierId carrier { key name } version
}"""
_TRACKING = """trackingEvent {
  id trackAndTraceId externalId status subStatus occurredAt recordedAt expectedDeliveryAt location description
}"""
# By the first word of a type: what `data` is where an endpoint has no document of its own.
DOCUMENTS: Mapping[str, str] = {
    noun: f"subscription {{ {FIELD} {{ {' '.join((_HEAD, *parts))} }} }}"
    for noun, parts in {
        "ORDER": (_ORDER,),
        "LINE": (_LINE, _NAMES),
        "SHIPMENT": (_SHIPMENT, _NAMES),
        "ITEM": (_ITEM, _NAMES),
        "CODE": (_CODE, _NAMES),
        "TRACKING": (_TRACKING, "shipment { id externalId status subStatus }", _NAMES),
    }.items()
}


@dataclass(frozen=True, slots=True)
class Message:
    """One that `is_thin` was over 256,000 bytes, and has ids alone."""

    body: bytes
    media_type: str
    is_thin: bool


class Messages:
    """Makes those of one process. `context_of` opens the context of a viewer who is not asking."""

    def __init__(self, engine: Engine, targets: Targets, context_of: Callable[[Viewer], Context]) -> None:
        self.targets = targets
        self._engine = engine
        self._context_of = context_of

    def document_fault(self, text: str) -> str | None:
        """The rule that an endpoint's own document breaks; None if it breaks none."""
        try:
            operation = self._engine.prepare(text)
        except RequestErrors as refusal:
            faults = " ".join(error.message for error in refusal.errors)
            return f"must be a document that is valid here: {faults[:_LONGEST_FAULT]}"
        [node] = [each for each in operation.document.definitions if isinstance(each, OperationDefinitionNode)]
        if operation.kind is not OperationType.SUBSCRIPTION or [*root_fields(operation.document, node)] != [FIELD]:
            return f"must be a subscription of the one field {FIELD}"
        if node.variable_definitions:
            return "must have no variables: what happened is in the event"
        return None

    async def of(self, endpoint: Row, viewer: Viewer, events: Sequence[Event]) -> Sequence[Message | None]:
        """The messages of events; None in the place of one whose object the owner does not see any more.

        Raises `NotAuthenticated` where the owner may not read what events tell, and `ServiceUnavailable`.
        """
        if not viewer.permissions >= NEEDED:
            raise NotAuthenticated
        context = self._context_of(viewer)
        seen = await seen_orders(context, events)
        answers = await asyncio.gather(*(self._run(endpoint, context, event) for event in events))
        messages: list[Message | None] = []
        for event, answer in zip(events, answers, strict=True):
            if answer.fault is not None:
                raise answer.fault
            is_told = is_seen(event, seen) or is_of_gone(event["type"])
            messages.append(_message(endpoint, event, answer) if is_told else None)
        return messages

    async def _run(self, endpoint: Row, context: Context, event: Event) -> Answer:
        text = endpoint["document"] or DOCUMENTS[event["type"].partition("_")[0]]
        operation = self._engine.prepare(text)
        return await self._engine.run_event(operation, {}, context, context.request_id, root_of(event))


async def seen_orders(context: Context, events: Sequence[Event]) -> set[tuple[int, int]]:
    """The orders of events that the viewer sees, each with its channel."""
    ids = {event["order_id"] for event in events}
    if not ids:
        return set()
    return {(row["id"], row["channel_id"]) for row in await context.fetch(SQL.seen_orders, ids=list(ids))}


def is_seen(event: Event, seen: set[tuple[int, int]]) -> bool:
    """Whether its order is one of these. If not, an event of what is gone may be told all the same, by ids alone."""
    return (event["order_id"], event["channel_id"]) in seen


def _message(endpoint: Row, event: Event, answer: Answer) -> Message:
    data = answer.body.get("data")
    told = None if data is None else next(iter(data.values()))
    message = _enveloped(endpoint, event, told, answer.body.get("errors"))
    body = dump(message)
    is_thin = len(body) > LARGEST_BYTES
    if is_thin:
        ids = {"cursor": event["cursor"], "action": event["action"], "objectId": event["object_id"]}
        keys = {"orderId": event["order_id"], "shipmentId": event["shipment_id"], "channelId": event["channel_id"]}
        body = dump(_enveloped(endpoint, event, {**ids, **keys, "thin": True}))
    return Message(body, _CLOUD_EVENT if endpoint["envelope"] == "CLOUD_EVENTS" else _JSON, is_thin)


def _enveloped(endpoint: Row, event: Event, data: Any, errors: Any = None) -> dict[str, Any]:
    """`errors` are those of fields of a document that could not be answered, as GraphQL has them."""
    timestamp = serialize_date_time(datetime.fromisoformat(event["timestamp"]))
    type_ = dotted(event["type"])
    more = {"errors": errors} if errors else {}
    if endpoint["envelope"] != "CLOUD_EVENTS":
        return {"type": type_, "timestamp": timestamp, "data": data, **more}
    return {
        "specversion": "1.0",
        "id": message_id(id_of(endpoint, event)),
        "source": f"/webhooks/{endpoint['id']}",
        "type": type_,
        "subject": event["object_id"],
        "time": timestamp,
        "datacontenttype": _JSON,
        "data": data,
        **more,
    }


def id_of(endpoint: Row, event: Event) -> UUID:
    """The id of the event's delivery, which a test brings along."""
    return UUID(event["id"]) if event["test"] else delivery_id(UUID(endpoint["id"]), event)
