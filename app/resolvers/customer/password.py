"""Customers get a password: they ask for a link, which the shop sends them, and set one by it (C-52)."""

from typing import Any

from ariadne import MutationType, ObjectType

from app.auth.credentials import faults_of_email, faults_of_password
from app.context import Info
from app.errors import MalformedInput

REQUESTED = "If there is an account with this e-mail address, a link is on its way to it."
SET = "Your password has been set"

mutation = MutationType()


@mutation.field("customerPasswordRequest")
async def resolve_customer_password_request(_root: None, info: Info, input: dict[str, Any]) -> dict[str, Any]:
    """Raises `MalformedInput`, `TooManyAttempts`, `StorefrontKeyRequired` or `StorefrontKeyInvalid`."""
    context = info.context
    channel_id, email = context.storefront.require()["channel_id"], input["email"].strip()
    if faults := faults_of_email(email):
        raise MalformedInput(*faults)
    await context.password_links.request(channel_id, email, context.address)
    return _payload(input, REQUESTED)


@mutation.field("customerPasswordSet")
async def resolve_customer_password_set(_root: None, info: Info, input: dict[str, Any]) -> dict[str, Any]:
    """Raises `MalformedInput`, `PasswordLinkInvalid`, `StorefrontKeyRequired` or `StorefrontKeyInvalid`."""
    context = info.context
    channel_id = context.storefront.require()["channel_id"]
    if faults := faults_of_password(input["password"]):
        raise MalformedInput(*faults)
    await context.password_links.use(channel_id, input["token"], input["password"])
    return _payload(input, SET)


def _payload(input: dict[str, Any], message: str) -> dict[str, Any]:
    return {"success": True, "message": message, "clientMutationId": input.get("clientMutationId")}


def _payload_type(name: str) -> ObjectType:
    type_ = ObjectType(name)
    for member in ("success", "message", "clientMutationId"):
        type_.set_field(member, lambda payload, info: payload[info.field_name])
    return type_


bindables = [mutation, _payload_type("customerPasswordRequestPayload"), _payload_type("customerPasswordSetPayload")]
