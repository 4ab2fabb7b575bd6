"""Contacts log in and out, and whoever has an account is told who they are.

The types are those of the vendor's SDK, whose identity provider is another one: what no table holds is null or an empty
page, as in `app.resolvers.b2b.product`.
"""

from collections.abc import Sequence
from typing import Any

from ariadne import InterfaceType, MutationType, ObjectType

from app.auth.contact_login import Grant
from app.auth.credentials import faults_of_email, faults_of_password
from app.auth.viewer import Kind
from app.context import Context, Info
from app.errors import Forbidden, MalformedInput, NotAuthenticated, ValidationError
from app.resolvers.b2b.page import Page, cut, page_type
from app.resolvers.b2b.unrecorded import empty, null, read
from app.resolvers.query import GuardedQuery, holding
from app.resolvers.scalar import serialize_date_time
from loaders.account import account, companies_by_contact

query = GuardedQuery()
mutation = MutationType()
contact = ObjectType("Contact")
customer = ObjectType("Customer")
company = ObjectType("Company")

_BY_PASSWORD = "password"
_PROVIDERS = (None, "", _BY_PASSWORD, "email")
_NO_SESSION = "This token has no session that could be ended."


@mutation.field("login")
async def resolve_login(_root: None, info: Info, input: dict[str, Any]) -> Grant:
    context, email, password = info.context, input["email"].strip(), input["password"]
    if input.get("provider") not in _PROVIDERS:
        raise ValidationError("input.provider", f'must be "{_BY_PASSWORD}", or left out')
    if faults := [*faults_of_email(email), *faults_of_password(password)]:
        raise MalformedInput(*faults)
    return await context.contact_logins.open(email, password, context.address, _channels(context))


def _channels(context: Context) -> Sequence[int] | None:
    """Those of the request's key, if it has one: a portal's own. None for all."""
    try:
        return context.viewer.visibility.channel_ids or None
    except NotAuthenticated:
        return None


@mutation.field("exchangeRefreshToken")
async def resolve_exchange_refresh_token(_root: None, info: Info, input: dict[str, Any]) -> Grant:
    return await info.context.contact_logins.exchange(input["refreshToken"])


@mutation.field("logout")
async def resolve_logout(_root: None, info: Info) -> dict[str, Any]:
    ended = await info.context.contact_logins.close(info.context.viewer)
    return {"success": ended, "message": "Logged out successfully" if ended else _NO_SESSION}


@query.field("viewer", holding())
async def resolve_viewer(_root: None, info: Info) -> Any:
    """The row of the contact or the customer who asks."""
    viewer = info.context.viewer
    statement = {Kind.CONTACT: account.contact_by_id, Kind.CUSTOMER: account.customer_by_id}.get(viewer.kind)
    if statement is None:
        raise Forbidden("Only contacts and customers have an account: this credential is of neither.")
    [channel_id] = viewer.visibility.channel_ids
    rows = await info.context.fetch(statement, id=int(viewer.subject.partition(":")[2]), channel_id=channel_id)
    if not rows:
        raise NotAuthenticated
    return rows[0]


def _companies(row: Any, info: Info) -> Any:
    return info.context.load(companies_by_contact, row["contact_id"])


@contact.field("companies")
async def resolve_contact_companies(row: Any, info: Info, input: dict[str, Any] | None = None) -> Page:
    return cut(info.context, await _companies(row, info), input)


@contact.field("company")
async def resolve_contact_company(row: Any, info: Info) -> Any:
    return next(iter(await _companies(row, info)), None)


@contact.field("parentCompanyId")
async def resolve_contact_parent_company_id(row: Any, info: Info) -> int | None:
    return next((each["company_id"] for each in await _companies(row, info)), None)


def _nothing(_row: Any, info: Info, input: dict[str, Any] | None = None) -> Page:
    return cut(info.context, [], input)


def _name_of(grant: Grant) -> str | None:
    return f"{grant.contact['first_name']} {grant.contact['last_name']}".strip() or None


def _session_of(grant: Grant) -> dict[str, Any]:
    """The columns of a `GCIPUser`."""
    row, name = grant.contact, _name_of(grant)
    way = {"uid": row["email"], "raw_id": row["email"], "email": row["email"], "provider_id": _BY_PASSWORD}
    return {
        "uid": str(row["id"]),
        "email": row["email"],
        "display_name": name,
        "disabled": False,
        "is_anonymous": False,
        "metadata": {
            "last_sign_in_time": serialize_date_time(row["begun_at"]),
            "creation_time": serialize_date_time(row["created_at"]),
            "last_refresh_time": None,
        },
        "provider_data": [{**way, "display_name": name}],
        "last_login_at": row["begun_at"],
        "created_at": row["created_at"],
        "access_token": grant.access_token,
        "refresh_token": grant.refresh_token,
        "expiration_time": grant.expires_at,
    }


_UNRECORDED_OF_PERSON = (
    *("debtorId", "middleName", "mobile", "iban", "bankAccount", "bic", "notes", "primaryLanguage"),
    *("expires", "dateOfBirth", "mailingList"),
)

for _type, _fields in (
    (contact, ("attributes", "favoriteLists", "purchaseAuthorizationConfigs")),
    (customer, ("attributes", "favoriteLists")),
    (company, ("attributes", "orderlists")),
):
    for _field in _fields:
        _type.set_field(_field, _nothing)

for _type in (contact, customer):
    read(_type, isLoggedIn=lambda _row: True, **dict.fromkeys(_UNRECORDED_OF_PERSON, null))
read(contact, **dict.fromkeys(("gender", "phone", "externalId"), null))
read(customer, addresses=empty)
read(company, addresses=empty, **dict.fromkeys(("taxNumber", "cocNumber", "debtorId", "phone", "email"), null))

bindables = [
    query,
    mutation,
    contact,
    customer,
    company,
    InterfaceType("IBaseUser", lambda row, *_: row["type"]),
    InterfaceType("Attribute", lambda *_: "ContactAttribute"),
    InterfaceType("AttributeValue", lambda *_: "AttributeTextValue"),
    *map(page_type, ("CompaniesResponse", "AttributeResultResponse", "FavoriteListsResponse", "OrderlistsResponse")),
    page_type("PurchaseAuthorizationConfigResponse"),
    read(
        ObjectType("Login"),
        providerId=lambda _grant: _BY_PASSWORD,
        operationType=lambda _grant: "signIn",
        session=_session_of,
    ),
    read(
        ObjectType("GCIPUser"),
        **dict.fromkeys(
            ("emailVerified", "photoUrl", "phoneNumber", "tokensValidAfterTime", "tenantId", "authDomain"), null
        ),
        **dict.fromkeys(("passwordHash", "passwordSalt", "multiFactor"), null),
    ),
    read(
        ObjectType("GCIPProviderData"),
        **dict.fromkeys(("photoUrl", "federatedId", "screenName", "phoneNumber"), null),
    ),
    read(
        ObjectType("RefreshTokenResponse"),
        access_token=lambda grant: grant.access_token,
        refresh_token=lambda grant: grant.refresh_token,
        expires_in=lambda grant: grant.seconds,
        token_type=lambda _grant: "Bearer",
        user_id=lambda grant: str(grant.contact["id"]),
    ),
]
