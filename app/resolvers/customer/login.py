"""Login, logout and the check of a token. What is no resolver serves REST too; the answers are its bodies."""

from typing import Any

from ariadne import MutationType, ObjectType

from app.auth.credentials import faults_of_email, faults_of_password
from app.auth.login import LoginRefused, Suspended
from app.context import Context, Info
from app.errors import AccountSuspended, CustomerNotLoggedIn, MalformedInput

_NOT_LOGGED_IN = "Unauthenticated. Please login to perform this action"

mutation = MutationType()


async def login(context: Context, email: str, password: str) -> dict[str, Any]:
    """Raises `MalformedInput`, `TooManyAttempts`, `StorefrontKeyRequired` or `StorefrontKeyInvalid`.

    A refused login is an answer, not an error (C-40).
    """
    channel_id = context.storefront.require()["channel_id"]
    email = email.strip()
    _check(email, password)
    try:
        session = await context.logins.open(channel_id, email, password, context.address)
    except LoginRefused as refusal:
        suspended = isinstance(refusal, Suspended)
        message = "Your account has been suspended" if suspended else "Invalid email or password"
        return {"id": 0, "_id": 0, "apiToken": "", "token": "", "success": False, "message": message}
    return {
        "id": session.customer_id,
        "_id": session.customer_id,
        "apiToken": session.api_token,
        "token": session.token,
        "success": True,
        "message": "You have logged in successfully",
    }


async def logout(context: Context) -> dict[str, Any]:
    """Ends the token of this request and no other. Raises `StorefrontKeyRequired` or `StorefrontKeyInvalid`."""
    try:
        ended = await context.logins.close(context.customer())
    except CustomerNotLoggedIn:
        ended = False
    return {"success": ended, "message": "Logged out successfully" if ended else _NOT_LOGGED_IN}


async def verify(context: Context) -> dict[str, Any]:
    """Whose token this request brings. Raises `StorefrontKeyRequired` or `StorefrontKeyInvalid`."""
    try:
        row = await context.logins.customer(context.customer())
    except CustomerNotLoggedIn:
        row = None
    if row is None:
        return _no_token("Customer account is suspended" if _is_suspended(context) else _NOT_LOGGED_IN)
    return {
        "id": row["id"],
        "_id": row["id"],
        "firstName": row["first_name"],
        "lastName": row["last_name"],
        "email": row["email"],
        "isValid": True,
        "message": "Token is valid",
    }


def _no_token(message: str) -> dict[str, Any]:
    return {"id": 0, "_id": 0, "firstName": "", "lastName": "", "email": "", "isValid": False, "message": message}


def _is_suspended(context: Context) -> bool:
    """The shop of another channel is not told."""
    refusal = context.refusal
    return isinstance(refusal, AccountSuspended) and refusal.channel_id == context.storefront.require()["channel_id"]


def _check(email: str, password: str) -> None:
    """Raises `MalformedInput` that names every fault, before any work is done for it (C-41)."""
    faults = [*faults_of_email(email), *faults_of_password(password)]
    if faults:
        raise MalformedInput(*faults)


@mutation.field("createCustomerLogin")
async def resolve_create_customer_login(_root: None, info: Info, input: dict[str, Any]) -> dict[str, Any]:
    return _payload(input, customerLogin=await login(info.context, input["email"], input["password"]))


@mutation.field("createLogout")
async def resolve_create_logout(_root: None, info: Info, input: dict[str, Any]) -> dict[str, Any]:
    return _payload(input, logout=await logout(info.context))


@mutation.field("createVerifyToken")
async def resolve_create_verify_token(_root: None, info: Info, input: dict[str, Any]) -> dict[str, Any]:
    """The Authorization header counts, never `input.token` (C-44)."""
    return _payload(input, verifyToken=await verify(info.context))


def _payload(input: dict[str, Any], **answer: Any) -> dict[str, Any]:
    return {**answer, "clientMutationId": input.get("clientMutationId")}


def _member_type(name: str, *members: str) -> ObjectType:
    """A type whose fields are the members of a payload, by their own names."""
    type_ = ObjectType(name)
    for member in members:
        type_.set_field(member, _read_member)
    return type_


def _read_member(payload: dict[str, Any], info: Info) -> Any:
    return payload[info.field_name]


bindables = [
    mutation,
    _member_type("createCustomerLoginPayload", "customerLogin", "clientMutationId"),
    _member_type("CustomerLogin", "id", "_id", "apiToken", "token", "success", "message"),
    _member_type("createLogoutPayload", "logout", "clientMutationId"),
    _member_type("Logout", "success", "message"),
    _member_type("createVerifyTokenPayload", "verifyToken", "clientMutationId"),
    _member_type("VerifyToken", "id", "_id", "firstName", "lastName", "email", "isValid", "message"),
]
