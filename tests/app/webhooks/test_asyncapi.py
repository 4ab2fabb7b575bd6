"""The AsyncAPI document tells of every event, and what is delivered is as it says."""

import json
from typing import Any

import httpx

from app.asgi import executable_schema
from app.resolvers.webhook import dotted
from app.webhooks.asyncapi import PATH, document
from tests.app.webhooks.conftest import Receiver, World

WRITE = """
mutation ($id: String!) { shipmentUpdate(id: $id, input: {status: DELIVERED}) { id } }
"""


async def test_document_is_served_to_anybody(client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH)
    assert answer.status_code == 200
    assert answer.json() == json.loads(json.dumps(document(executable_schema())))
    refused = await client.post(PATH)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET")


def test_document_has_every_type_of_the_sdl() -> None:
    made = document(executable_schema())
    types = {dotted(name) for name in executable_schema().type_map["WebhookEventType"].values}  # type: ignore[attr-defined]
    assert made["asyncapi"] == "3.0.0"
    followed = made["channels"]["graphql"]["messages"].keys()
    assert followed >= {"shipmentChanges", "orderChanges", "customerOrderChanges"}
    assert made["components"]["messages"].keys() == types | followed
    assert made["channels"]["endpoint"]["messages"].keys() == types
    assert all(message["summary"] for message in made["components"]["messages"].values())


def test_references_lead_somewhere() -> None:
    made = document(executable_schema())

    def resolve(reference: str) -> Any:
        target: Any = made
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        return target

    references = json.dumps(made).split('"$ref": "')[1:]
    assert len(references) > 60
    for text in references:
        assert resolve(text.partition('"')[0])


def matches(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    """As much of JSON Schema as the document uses."""
    if "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return matches(target, value, root)
    if "anyOf" in schema:
        return any(matches(each, value, root) for each in schema["anyOf"])
    if "const" in schema:
        return bool(value == schema["const"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    names = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}
    if value is None:
        return "null" in kinds
    if not any(isinstance(value, names[kind]) for kind in kinds if kind != "null"):  # type: ignore[arg-type]
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, list):
        return all(matches(schema["items"], each, root) for each in value)
    if isinstance(value, dict):
        properties = schema["properties"]
        return set(schema.get("required", ())) <= value.keys() <= properties.keys() and all(
            matches(properties[name], each, root) for name, each in value.items()
        )
    return True


async def test_messages_are_as_the_document_says(world: World, receiver: Receiver) -> None:
    root = document(executable_schema())
    types = [name for name in executable_schema().type_map["WebhookEventType"].values if name != "ORDER_LEFT"]  # type: ignore[attr-defined]
    endpoint = await world.endpoint(receiver, types=types)
    box = await world.box(items=None, trackAndTraces=[{"code": "A-1", "carrierId": 1}])
    await world.written(WRITE, id=box)
    await world.deliver()
    await receiver.until(1)
    await world.until_state(endpoint, waiting=0)
    requests = receiver.requests
    told = {request.message["type"] for request in requests}
    assert {"shipment.created", "shipment.status_changed", "shipment.delivered", "code.created"} <= told
    for request in requests:
        message = root["components"]["messages"][request.message["type"]]
        assert matches(message["payload"], request.message, root), request.message
