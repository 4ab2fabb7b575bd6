"""Who is asking, and what they may see and do.

A request brings an access token (`Authorization: Bearer …`) or an API key (`apikey: …`); the B2B SDK sends the first in
its proxy mode and the second in its direct mode (B-3). A portal in between may add its key to the token of its visitor:
then both must be good, the token says who is asking, and no more may be done than the key may do too. A bad token is
never replaced by a good key, or a visitor would see what the portal sees.

A token's `sub` is `staff:<id>`, `partner:<id of an API key>`, `contact:<id>` or `customer:<id>`. A customer's comes as
`<id of its session>|<JWT>` (decision 11), and is good for as long as that session is; so is that of a contact who has
logged in here, which names its session. That of a link to the page of an order is a credential too, for that order and
nothing else (`app.auth.order_link`).
"""

import math
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache, partial
from typing import NamedTuple
from uuid import UUID

import asyncpg

from app.auth import api_key
from app.auth.linked_order import LinkedOrder
from app.auth.network import Network, is_within
from app.auth.token import Claims, Tokens
from app.errors import AccountSuspended, NotAuthenticated
from app.postgres.database import Database
from app.postgres.events import Tables
from loaders.batch import many
from sql import Visibility, load

PERMISSIONS = {
    "orders:read": "read orders, their lines and addresses",
    "shipments:read": "read shipments, their items and codes",
    "orders:write": "set the status of orders, cancel lines; includes orders:read",
    "shipments:write": "create, change and delete shipments, their items and codes; includes shipments:read",
    "shipments:override": "cancel a shipment that is under way, delete a closed one; of no use without shipments:write",
    "outbox:read": "read and acknowledge what is to be delivered: links by which customers set their passwords",
    "webhooks:write": "make, change and delete endpoints of webhooks, and read their log",
    "documents:write": "register and retire an application's trusted documents, and read which it has",
    "carriers:update": "change carriers",
    "carriers:write": "create, change and delete carriers; includes carriers:update",
}
# Whoever writes gets what was written in the answer.
_INCLUDED = {
    "orders:write": "orders:read",
    "shipments:write": "shipments:read",
    "carriers:write": "carriers:update",
}
_READING = frozenset({"orders:read", "shipments:read"})
_ORDER_EDITING = _READING | {"orders:write", "shipments:write"}

# The vendor's roles (B-7), which a token may carry as `roles`.
ROLES: Mapping[str, frozenset[str]] = {
    "order.OWNER": _ORDER_EDITING,
    "order.EDITOR": _ORDER_EDITING,
    "order.VIEWER": _READING,
    "logistics.OWNER": frozenset({"carriers:write"}),
    "logistics.EDITOR": frozenset({"carriers:update"}),
}

_SUBJECT = re.compile(r"([a-z]+):([1-9][0-9]{0,9})")
_SESSION = re.compile(r"[1-9][0-9]{0,17}")
LARGEST_ID = 2**31 - 1
_STAFF_CACHED = 1_000

KEY_HEADER, TOKEN_HEADER = b"apikey", b"authorization"

_SQL = load("viewer")
# Many ask at the same time, each as another.
_CONTACTS = many(_SQL.contacts_by_ids, parameter="contact_ids", column="id")
_SESSIONS = many(load("customer_session").by_ids, parameter="session_ids", column="id")
_CONTACT_SESSIONS = many(load("contact_session").by_ids, parameter="session_ids", column="id")


class Kind(Enum):
    """Decision 8."""

    STAFF = "staff"
    PARTNER = "partner"
    CONTACT = "contact"
    CUSTOMER = "customer"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Viewer:
    """`visibility` says which rows exist for the viewer, `permissions` what may be done with them.

    These are names of `PERMISSIONS`; tokens and callers know them as scopes. `session_id` is that of a customer's
    token, `contact_session` that of a contact who has logged in here. `key_ids` are those of API keys: a partner's own,
    and that of the portal which it comes through.
    """

    kind: Kind
    subject: str
    visibility: Visibility
    permissions: frozenset[str]
    session_id: int | None = None
    contact_session: UUID | None = None
    key_ids: tuple[int, ...] = field(default=(), compare=False)


class ContactSession(NamedTuple):
    """Of a contact who has logged in here. It was good when it was read, and is until `expires_at`, in seconds since
    1970."""

    contact_id: int
    channel_id: int
    expires_at: float


class Partner(NamedTuple):
    """A key that was good when it was read, and is until `expires_at`, in seconds since 1970, from its `networks`."""

    viewer: Viewer
    expires_at: float
    networks: Sequence[Network] | None


# What sql/viewer.sql reads. Partners are kept by the digest of their key and by their id.
PARTNERS = Tables[bytes | int, Partner]("api_keys", "api_key_channels", "api_key_companies", "companies")
CONTACTS = Tables[int, Viewer]("contacts", "contact_companies", "companies")
CONTACT_SESSIONS = Tables[UUID, ContactSession]("contact_sessions")


async def authenticate(
    headers: Sequence[tuple[bytes, bytes]],
    fields: Mapping[bytes, bytes],
    db: Database,
    tokens: Tokens,
    address: str = "",
) -> Viewer | None:
    """The viewer of a request, None where it brings no credential.

    `headers` are those of the request, their names in lower case; `fields` are the same by name. A credential that
    comes twice is refused: whoever stands before us may have checked the other one. `address` is the client's, which a
    key may be bound to; without one such a key is not good.

    Keys, contacts and companies are read anew as soon as they change (see `app.postgres.events`), sessions each
    time, so a revocation holds as soon as the database has told of it, and a logout at once. What
    expires is compared with the clock. Raises `NotAuthenticated` for a credential that is not good, always in the
    same words.
    """
    if len(headers) != len(fields):  # some header came twice
        names = [name for name, _ in headers]
        if names.count(KEY_HEADER) > 1 or names.count(TOKEN_HEADER) > 1:
            raise NotAuthenticated
    key, authorization = fields.get(KEY_HEADER), fields.get(TOKEN_HEADER)
    application = None if key is None else await _partner(api_key.digest(key.decode("latin-1")), db, address)
    if authorization is None:
        return application
    viewer = await _of_token(claims_of(authorization, tokens), db, address)
    if application is None:
        return viewer
    permissions, key_ids = viewer.permissions & application.permissions, viewer.key_ids + application.key_ids
    return replace(viewer, permissions=permissions, key_ids=key_ids)


def claims_of(authorization: bytes, tokens: Tokens) -> Claims:
    """What the token of a header says. Raises `NotAuthenticated` for one that is not good, whoever it is of."""
    session, bar, token = _bearer(authorization.decode("latin-1")).rpartition("|")
    claims = tokens.verify(token)
    is_customer = claims.subject.startswith("customer:")
    if bool(bar) != is_customer or (is_customer and claims.jti != session):
        raise NotAuthenticated
    return claims


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise NotAuthenticated
    return token.strip(" ")


def _known(names: Iterable[str]) -> frozenset[str]:
    known = PERMISSIONS.keys() & names
    return frozenset(known | {_INCLUDED[name] for name in known if name in _INCLUDED})


async def _of_token(claims: Claims, db: Database, address: str) -> Viewer:
    if linked := LinkedOrder.of(claims):
        return Viewer(Kind.LINK, claims.subject, linked.visibility, frozenset())
    subject = _SUBJECT.fullmatch(claims.subject)
    if not subject or subject[1] not in _BY_KIND or int(subject[2]) > LARGEST_ID:
        raise NotAuthenticated
    return await _BY_KIND[subject[1]](int(subject[2]), claims, db, address)


async def _staff(_id: int, claims: Claims, _db: Database, _address: str) -> Viewer:
    return _staff_of(claims)


# Made of the token alone, and verified tokens are kept: the same claims come with every request.
@lru_cache(_STAFF_CACHED)
def _staff_of(claims: Claims) -> Viewer:
    """Staff are whoever our keys say, and may do what the token says: nothing where it says nothing."""
    granted = (claims.scope or frozenset()).union(*(ROLES.get(role, ()) for role in claims.roles))
    return Viewer(Kind.STAFF, claims.subject, Visibility.everything(), _known(granted))


async def _partner_of_token(partner_id: int, claims: Claims, db: Database, address: str) -> Viewer:
    return _narrowed(await _partner(partner_id, db, address), claims)


async def _contact(contact_id: int, claims: Claims, db: Database, _address: str) -> Viewer:
    async def look_up() -> Viewer:
        """A contact reads; no role makes it write."""
        row = _only(await db.gather(_CONTACTS, contact_id))
        visibility = Visibility.of_contact(row["channel_id"], tuple(row["company_ids"]))
        return Viewer(Kind.CONTACT, f"contact:{contact_id}", visibility, _READING)

    viewer = _narrowed(await db.table_cache(CONTACTS).get(contact_id, look_up), claims)
    if claims.session is None:  # a portal's own token
        return viewer
    session = await _contact_session(claims.session, db)
    owner = session.contact_id, (session.channel_id,)
    if session.expires_at <= time.time() or owner != (contact_id, viewer.visibility.channel_ids):
        raise NotAuthenticated
    return replace(viewer, contact_session=claims.session)


async def _contact_session(session_id: UUID, db: Database) -> ContactSession:
    async def look_up() -> ContactSession:
        row = _only(await db.gather(_CONTACT_SESSIONS, session_id))
        return ContactSession(row["contact_id"], row["channel_id"], row["expires_at"])

    return await db.table_cache(CONTACT_SESSIONS).get(session_id, look_up)


async def _customer(customer_id: int, claims: Claims, db: Database, _address: str) -> Viewer:
    """A customer reads its own orders on both surfaces, and no scope or role makes it do more.

    A `scope` narrows what it may do on the B2B surface, as everybody's does. The shop's surface asks for no scope: it
    shows a customer's own orders and nothing else, to whoever has the customer's session. Raises `AccountSuspended`.
    """
    if not claims.jti or not _SESSION.fullmatch(claims.jti):
        raise NotAuthenticated
    row = _only(await db.gather(_SESSIONS, int(claims.jti)))
    if row["customer_id"] != customer_id:
        raise NotAuthenticated
    if row["is_suspended"]:
        raise AccountSuspended(row["channel_id"])
    visibility = Visibility.of_customer(row["channel_id"], customer_id)
    return _narrowed(Viewer(Kind.CUSTOMER, claims.subject, visibility, _READING, row["id"]), claims)


_BY_KIND: Mapping[str, Callable[[int, Claims, Database, str], Awaitable[Viewer]]] = {
    Kind.STAFF.value: _staff,
    Kind.PARTNER.value: _partner_of_token,
    Kind.CONTACT.value: _contact,
    Kind.CUSTOMER.value: _customer,
}


async def _partner(key: bytes | int, db: Database, address: str) -> Viewer:
    """The partner of the digest of a key, or of an id, who asks from `address`."""
    partners = db.table_cache(PARTNERS)
    partner = partners.cached(key) or await partners.get(key, partial(_look_up_partner, key, db))
    if partner.expires_at <= time.time() or not is_within(address, partner.networks):
        raise NotAuthenticated
    return partner.viewer


async def _look_up_partner(key: bytes | int, db: Database) -> Partner:
    if isinstance(key, bytes):
        rows = await db.fetch(_SQL.partner_by_key_hash, Visibility.everything(), key_hash=key)
    else:
        rows = await db.fetch(_SQL.partner_by_id, Visibility.everything(), partner_id=key)
    row = _only(rows)
    channel_ids, company_ids = tuple(row["channel_ids"]), tuple(row["company_ids"])
    visibility = (
        Visibility.of_companies(channel_ids, company_ids) if row["is_limited"] else Visibility.of_channels(channel_ids)
    )
    viewer = Viewer(Kind.PARTNER, f"partner:{row['id']}", visibility, _known(row["scopes"]), key_ids=(row["id"],))
    expires_at = row["expires_at"] or math.inf
    if isinstance(key, bytes) and row["key_hash"] != key:  # which another one has replaced
        expires_at = min(expires_at, row["former_expires_at"])
    return Partner(viewer, expires_at, row["networks"])


def _narrowed(viewer: Viewer, claims: Claims) -> Viewer:
    """A token's `scope` may ask for less than its subject may do, never for more."""
    return viewer if claims.scope is None else replace(viewer, permissions=viewer.permissions & _known(claims.scope))


def _only(rows: Sequence[asyncpg.Record]) -> asyncpg.Record:
    """Ids are unique within a channel; one that two channels share names nobody."""
    if len(rows) != 1:
        raise NotAuthenticated
    return rows[0]


async def owner_of(subject: str, db: Database) -> Viewer:
    """Who stands behind what is done for an owner who is not asking: a partner as its key is now, or staff who read.

    `subject` is that of a viewer. Raises `NotAuthenticated` where the key is not good any more.
    """
    kind, _, number = subject.partition(":")
    if kind == Kind.STAFF.value:
        return Viewer(Kind.STAFF, subject, Visibility.everything(), _READING)
    partners = db.table_cache(PARTNERS)
    partner = await partners.get(int(number), partial(_look_up_partner, int(number), db))
    if partner.expires_at <= time.time():
        raise NotAuthenticated
    return partner.viewer
