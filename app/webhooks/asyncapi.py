"""The AsyncAPI 3.0 document of all that endpoints and subscribers are told, made from the SDL and the documents that
make `data`.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_leaf_type,
    parse,
)

from app.resolvers.webhook import dotted
from app.rest.openapi import PublicDocument, service_version
from app.webhooks.message import DOCUMENTS, FIELD

PATH = "/webhooks/asyncapi.json"

_SCALARS: dict[str, dict[str, Any]] = {
    "ID": {"type": "string"},
    "String": {"type": "string"},
    "Int": {"type": "integer"},
    "Float": {"type": "number"},
    "Boolean": {"type": "boolean"},
    "DateTime": {"type": "string", "format": "date-time"},
}
_HEADERS = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "properties": {
        "webhook-id": {"type": "string", "description": "The same over retries, restarts and replays."},
        "webhook-timestamp": {"type": "string", "description": "Of the attempt, in seconds since 1970."},
        "webhook-signature": {"type": "string", "description": "Signatures of Standard Webhooks, with blanks between."},
    },
}


class AsyncAPI(PublicDocument):
    def __init__(self, schema: GraphQLSchema) -> None:
        super().__init__(partial(document, schema))


def document(schema: GraphQLSchema) -> dict[str, Any]:
    event_type = schema.type_map["WebhookEventType"]
    assert isinstance(event_type, GraphQLEnumType)  # noqa: S101  so says the SDL
    messages = {dotted(name): _message(name, value.description or "") for name, value in event_type.values.items()}
    followed = _followed(schema)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Waybill by webhooks and subscriptions",
            "version": service_version(),
            "description": "What endpoints are told, by the rules of Standard Webhooks 1.0.0, and whoever subscribes.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "endpoint": {
                "address": None,
                "description": "The URL of an endpoint, which is called by POST.",
                "messages": _references("components", messages),
            },
            "graphql": {
                "address": "/graphql",
                "description": "A WebSocket (`graphql-transport-ws`), `text/event-stream` or `multipart/mixed`.",
                "messages": _references("components", followed),
            },
        },
        "operations": {
            "tell": {
                "action": "send",
                "channel": {"$ref": "#/channels/endpoint"},
                "messages": list(_references("channels/endpoint", messages).values()),
            },
            "follow": {
                "action": "send",
                "channel": {"$ref": "#/channels/graphql"},
                "messages": list(_references("channels/graphql", followed).values()),
            },
        },
        "components": {
            "messages": {**messages, **followed},
            "schemas": {**{_data_name(noun): _data(schema, text) for noun, text in DOCUMENTS.items()}, "Thin": _THIN},
            "messageTraits": {"signed": {"headers": _HEADERS}},
        },
    }


def _references(place: str, messages: Iterable[str]) -> dict[str, dict[str, str]]:
    return {name: {"$ref": f"#/{place}/messages/{name}"} for name in messages}


def _followed(schema: GraphQLSchema) -> dict[str, Any]:
    """The answers of subscriptions, one to each event. Objects have what the subscriber's document selects."""
    assert schema.subscription_type is not None  # noqa: S101  so says the SDL
    fields = {name: field for name, field in schema.subscription_type.fields.items() if name != FIELD}
    return {
        name: {
            "name": name,
            "summary": " ".join((field.description or "").split()),
            "contentType": "application/json",
            "payload": {
                "type": "object",
                "properties": {"data": {"type": "object", "properties": {name: _event(get_named_type(field.type))}}},
            },
        }
        for name, field in fields.items()
    }


def _event(type_: Any) -> dict[str, Any]:
    properties = {
        name: {
            **(_schema_of(field.type, None) if is_leaf_type(get_named_type(field.type)) else {"type": "object"}),
            "description": " ".join((field.description or "").split()),
        }
        for name, field in type_.fields.items()
    }
    return {"type": "object", "properties": properties}


_THIN: dict[str, Any] = {
    "type": "object",
    "description": "Of a message over 256,000 bytes: the ids and the cursor alone.",
    "required": ["thin"],
    "properties": {
        "thin": {"const": True},
        **{name: {"type": ["string", "null"]} for name in ("cursor", "action", "objectId", "shipmentId")},
        **{name: {"type": ["integer", "null"]} for name in ("orderId", "channelId")},
    },
}


def _data_name(noun: str) -> str:
    return f"{noun.capitalize()}Data"


def _message(name: str, description: str) -> dict[str, Any]:
    noun = name.partition("_")[0]
    either = [{"$ref": f"#/components/schemas/{_data_name(noun)}"}, {"$ref": "#/components/schemas/Thin"}]
    return {
        "name": dotted(name),
        "summary": description,
        "contentType": "application/json",
        "traits": [{"$ref": "#/components/messageTraits/signed"}],
        "payload": {
            "type": "object",
            "required": ["type", "timestamp", "data"],
            "properties": {
                "type": {"const": dotted(name)},
                "timestamp": {"type": "string", "format": "date-time"},
                "data": {"anyOf": either, "description": "Or what the endpoint's own document asks for."},
            },
        },
    }


def _data(schema: GraphQLSchema, text: str) -> dict[str, Any]:
    """The JSON Schema of what the document of a noun answers."""
    [operation] = parse(text).definitions
    assert isinstance(operation, OperationDefinitionNode)  # noqa: S101  ours are
    [field] = operation.selection_set.selections
    assert isinstance(field, FieldNode)  # noqa: S101
    assert schema.subscription_type is not None  # noqa: S101
    assert field.selection_set is not None  # noqa: S101
    return _schema_of(schema.subscription_type.fields[FIELD].type, field.selection_set)


def _schema_of(type_: GraphQLOutputType, selection: SelectionSetNode | None) -> dict[str, Any]:
    if isinstance(type_, GraphQLNonNull):
        return _non_null(type_.of_type, selection)
    found = _non_null(type_, selection)
    if isinstance(found.get("type"), str):
        nullable = {**found, "type": [found["type"], "null"]}
        return {**nullable, "enum": [*found["enum"], None]} if "enum" in found else nullable
    return {"anyOf": [found, {"type": "null"}]}


def _non_null(type_: Any, selection: SelectionSetNode | None) -> dict[str, Any]:
    if isinstance(type_, GraphQLList):
        return {"type": "array", "items": _schema_of(type_.of_type, selection)}
    if isinstance(type_, GraphQLEnumType):
        return {"type": "string", "enum": list(type_.values)}
    if not isinstance(type_, GraphQLObjectType):
        return dict(_SCALARS[get_named_type(type_).name])
    assert selection is not None  # noqa: S101  objects have one
    properties = {}
    for node in selection.selections:
        assert isinstance(node, FieldNode)  # noqa: S101  ours have no fragments
        field = type_.fields[node.name.value]
        properties[node.name.value] = {
            **_schema_of(field.type, node.selection_set),
            "description": " ".join((field.description or "").split()),
        }
    return {"type": "object", "required": list(properties), "properties": properties}
