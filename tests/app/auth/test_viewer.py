"""Who a credential makes of its bearer, on a real database."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app.auth import api_key
from app.auth.token import Tokens
from app.auth.viewer import CONTACTS, PARTNERS, PERMISSIONS, Kind, Viewer
from app.errors import NotAuthenticated
from app.postgres import events
from app.postgres.database import Database
from app.settings import Settings
from sql import Visibility
from tests.app.auth.conftest import Brought, authenticated
from tests.conftest import until
from tests.through_pool import execute, execute_many

READING = {"orders:read", "shipments:read"}
FULL_KEY, READ_KEY, LIMITED_KEY = "pk_partner_test_full", "pk_partner_test_read", "pk_partner_test_limited"

# Companies of channel 1: 10 is the mother of 11 and 12, 11 of 13; 20 and 21 are each other's mother; 30 stands alone.
# Channel 2 has companies 11 and 13 of its own.
ROWS = """
INSERT INTO channels (id, code, name, currency) VALUES (1, 'one', 'One', 'EUR'), (2, 'two', 'Two', 'USD');
INSERT INTO companies (id, channel_id, name, parent_id) VALUES
  (10, 1, 'Mother', NULL), (11, 1, 'Daughter', 10), (12, 1, 'Daughter', 10), (13, 1, 'Granddaughter', 11),
  (20, 1, 'Circle', NULL), (21, 1, 'Circle', 20), (30, 1, 'Alone', NULL),
  (11, 2, 'Namesake', NULL), (13, 2, 'Daughter of the namesake', 11);
UPDATE companies SET parent_id = 21 WHERE id = 20;
INSERT INTO contacts (id, channel_id, email, is_active) VALUES
  (1, 1, 'mother@example.com', true), (2, 1, 'daughter@example.com', true), (3, 1, 'circle@example.com', true),
  (4, 1, 'gone@example.com', false), (5, 1, 'alone@example.com', true), (6, 1, 'nobody@example.com', true),
  (7, 1, 'twice@example.com', true), (7, 2, 'twice@example.com', true),
  (8, 1, 'moved@example.com', true), (8, 2, 'moved@example.com', false);
INSERT INTO contact_companies (contact_id, channel_id, company_id) VALUES
  (1, 1, 10), (1, 1, 13), (2, 1, 11), (3, 1, 20), (4, 1, 10), (5, 1, 30), (7, 1, 10), (7, 2, 11),
  (8, 1, 30), (8, 2, 11);
"""


@pytest.fixture
async def db(fresh_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """What is kept changes with the rows, and by no beat."""
    monkeypatch.setattr(events, "BEAT_SECONDS", 3600)
    db = await Database.connect(Settings(database_url=fresh_dsn, token_secret="", pool_size=1))
    await execute(db.pool, ROWS)
    await execute_many(
        db.pool,
        "INSERT INTO api_keys (id, name, key_hash, scopes) VALUES ($1, $2, $3, $4)",
        [
            (1, "full", api_key.digest(FULL_KEY), list(PERMISSIONS)),
            (2, "read", api_key.digest(READ_KEY), ["orders:read", "shipments:read", "unknown:scope"]),
            (3, "limited", api_key.digest(LIMITED_KEY), ["orders:read"]),
        ],
    )
    await execute(db.pool, "INSERT INTO api_key_channels VALUES (1, 1), (1, 2), (2, 1), (3, 1)")
    await execute(db.pool, "INSERT INTO api_key_companies VALUES (3, 1, 10), (3, 1, 11)")
    yield db
    await db.close()


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(Settings(database_url="", token_secret="a-secret-for-tests-of-at-least-32-bytes"))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def viewer_of(headers: Brought, db: Database, tokens: Tokens) -> Viewer:
    viewer = await authenticated(headers, db, tokens)
    assert viewer is not None
    return viewer


async def refused(headers: Brought, db: Database, tokens: Tokens) -> None:
    with pytest.raises(NotAuthenticated) as refusal:
        await authenticated(headers, db, tokens)
    assert refusal.value.message == NotAuthenticated().message


# --------------------------------------------------------------------------------------------------------- headers


async def test_no_credential_is_nobody(db: Database, tokens: Tokens) -> None:
    assert await authenticated({"X-Client-ID": "portal"}, db, tokens) is None
    assert db.statements == 0


@pytest.mark.parametrize("name", ["authorization", "Authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_header_and_scheme_in_any_case(db: Database, tokens: Tokens, name: str, scheme: str) -> None:
    viewer = await viewer_of({name: f"{scheme} {tokens.issue('staff:1')}"}, db, tokens)
    assert viewer.subject == "staff:1"


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer undefined", "Basic dXNlcjpwYXNz", "{}", "Token {}", "Bearer: {}",
                      "Bearer\t{}", "Bearer {}, Bearer {}", "Bearer {} x", "Bearer 1|{}", "Bearer \x85{}"]
)  # fmt: skip
async def test_authorization_of_another_form_is_refused(db: Database, tokens: Tokens, authorization: str) -> None:
    await refused({"Authorization": authorization.replace("{}", tokens.issue("staff:1"))}, db, tokens)


@pytest.mark.parametrize("name", [b"authorization", b"apikey"])
async def test_header_twice_is_refused(db: Database, tokens: Tokens, name: bytes) -> None:
    value = {b"authorization": f"Bearer {tokens.issue('staff:1')}", b"apikey": FULL_KEY}[name].encode()
    assert await viewer_of([(name, value)], db, tokens)
    await refused([(name, value), (name, value)], db, tokens)


async def test_key_and_token_make_the_token_viewer_who_may_what_both_may(db: Database, tokens: Tokens) -> None:
    token = tokens.issue("staff:1", scope="orders:read orders:write")
    viewer = await viewer_of(bearer(token) | {"apiKey": READ_KEY}, db, tokens)
    assert viewer == Viewer(Kind.STAFF, "staff:1", Visibility.everything(), frozenset({"orders:read"}))
    contact = await viewer_of(bearer(tokens.issue("contact:5")) | {"apikey": FULL_KEY}, db, tokens)
    assert contact.visibility == Visibility.of_contact(1, (30,))


async def test_key_and_token_must_both_be_good(db: Database, tokens: Tokens) -> None:
    token = tokens.issue("staff:1")
    await refused(bearer(token) | {"apikey": "pk_partner_test_wrong"}, db, tokens)
    await refused(bearer(token) | {"apikey": ""}, db, tokens)
    await refused(bearer(token + "x") | {"apikey": FULL_KEY}, db, tokens)
    await refused({"Authorization": "", "apikey": FULL_KEY}, db, tokens)


# ------------------------------------------------------------------------------------------------------------ staff


async def test_staff_sees_everything_and_may_what_its_token_says(db: Database, tokens: Tokens) -> None:
    viewer = await viewer_of(bearer(tokens.issue("staff:1", scope="orders:read openid carriers:write")), db, tokens)
    assert viewer.kind is Kind.STAFF
    assert viewer.visibility == Visibility.everything()
    assert viewer.permissions == {"orders:read", "carriers:write", "carriers:update"}
    assert db.statements == 0


@pytest.mark.parametrize(
    ("roles", "permissions"),
    [
        ([], set()),
        (["order.VIEWER"], READING),
        (["order.EDITOR"], READING | {"orders:write", "shipments:write"}),
        (["order.OWNER"], READING | {"orders:write", "shipments:write"}),
        (["logistics.EDITOR"], {"carriers:update"}),
        (["logistics.OWNER"], {"carriers:update", "carriers:write"}),
        (["order.VIEWER", "logistics.EDITOR", "order.owner", "admin"], READING | {"carriers:update"}),
    ],
)
async def test_staff_roles_of_the_vendor(db: Database, tokens: Tokens, roles: list[str], permissions: set[str]) -> None:
    assert (await viewer_of(bearer(tokens.issue("staff:1", roles=roles)), db, tokens)).permissions == permissions


@pytest.mark.parametrize(
    "subject",
    ["staff", "staff:", "staff:0", "staff:01", "staff:-1", "staff:1.0", "staff:1:2", "staff:x", "STAFF:1", "root:1",
     "1", "staff:2147483648", "contact:2147483648", "contact:99999999999999999999", "partner:'1'", "customer:1"],
)  # fmt: skip
async def test_subject_of_another_form_is_refused(db: Database, tokens: Tokens, subject: str) -> None:
    await refused(bearer(tokens.issue(subject, scope="orders:read")), db, tokens)


# --------------------------------------------------------------------------------------------------------- partners


@pytest.mark.parametrize(
    ("key", "subject", "visibility", "permissions"),
    [
        (FULL_KEY, "partner:1", Visibility.of_channels((1, 2)), set(PERMISSIONS)),
        (READ_KEY, "partner:2", Visibility.of_channels((1,)), READING),
        (LIMITED_KEY, "partner:3", Visibility.of_companies((1,), (10, 11)), {"orders:read"}),
    ],
)
async def test_partner_by_key_and_by_token(
    db: Database, tokens: Tokens, key: str, subject: str, visibility: Visibility, permissions: set[str]
) -> None:
    expected = Viewer(Kind.PARTNER, subject, visibility, frozenset(permissions))
    assert await authenticated({"apikey": key}, db, tokens) == expected
    assert await authenticated(bearer(tokens.issue(subject)), db, tokens) == expected
    assert db.statements == 2


async def test_partner_token_narrows_and_never_widens(db: Database, tokens: Tokens) -> None:
    token = tokens.issue("partner:2", scope="orders:read orders:write", roles=["order.OWNER"])
    assert (await viewer_of(bearer(token), db, tokens)).permissions == {"orders:read"}
    assert (await viewer_of(bearer(tokens.issue("partner:2", scope="")), db, tokens)).permissions == set()


@pytest.mark.parametrize("change", ["revoked_at = now()", "expires_at = now() - interval '1 second'"])
async def test_partner_loses_access_at_once(db: Database, tokens: Tokens, change: str) -> None:
    token = tokens.issue("partner:1")
    await viewer_of({"apikey": FULL_KEY}, db, tokens)
    await viewer_of(bearer(token), db, tokens)
    await execute(db.pool, "UPDATE api_keys SET " + change)
    await refused({"apikey": FULL_KEY}, db, tokens)
    await refused(bearer(token), db, tokens)


@pytest.mark.parametrize(
    ("change", "viewer"),
    [
        ("UPDATE api_keys SET revoked_at = now()", None),
        ("UPDATE api_keys SET expires_at = now()", None),
        ("UPDATE api_keys SET scopes = '{orders:read}'", ((1,), {"orders:read"})),
        ("DELETE FROM api_key_channels", ((), set(PERMISSIONS))),
    ],
)
async def test_partner_that_is_kept_changes_with_its_rows(
    db: Database, tokens: Tokens, change: str, viewer: tuple[tuple[int, ...], set[str]] | None
) -> None:
    await execute(db.pool, "DELETE FROM api_key_companies; DELETE FROM api_key_channels WHERE channel_id = 2")
    await db.events.start()
    for headers in ({"apikey": FULL_KEY}, bearer(tokens.issue("partner:1"))):
        kept = await viewer_of(headers, db, tokens)
        before = db.statements
        assert await viewer_of(headers, db, tokens) is kept
        assert db.statements == before
    await execute(db.pool, change)
    await until(lambda: not db.table_cache(PARTNERS).cached(1))
    for headers in ({"apikey": FULL_KEY}, bearer(tokens.issue("partner:1"))):
        if viewer is None:
            await refused(headers, db, tokens)
        else:
            found = await viewer_of(headers, db, tokens)
            assert (found.visibility.channel_ids, found.permissions) == viewer


async def test_partner_that_is_kept_expires_all_the_same(
    db: Database, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    await execute(db.pool, "UPDATE api_keys SET expires_at = now() + interval '1 hour'")
    await db.events.start()
    await viewer_of({"apikey": FULL_KEY}, db, tokens)
    later = time.time() + 3601
    monkeypatch.setattr(time, "time", lambda: later)
    before = db.statements
    await refused({"apikey": FULL_KEY}, db, tokens)
    assert db.statements == before


async def test_partner_key_holds_until_it_expires(db: Database, tokens: Tokens) -> None:
    await execute(db.pool, "UPDATE api_keys SET expires_at = now() + interval '1 hour'")
    assert await viewer_of({"apikey": FULL_KEY}, db, tokens)


@pytest.mark.parametrize(
    "key",
    [
        "pk_partner_test_fulL",
        "",
        "\0" * 20,
        "ключ".encode().decode("latin-1") * 5,
        "' OR true --' OR true",
        "x" * 10**7,
    ],
)
async def test_partner_key_that_is_none_is_refused(db: Database, tokens: Tokens, key: str) -> None:
    await refused({"apikey": key}, db, tokens)


async def test_partner_key_hash_is_no_key(db: Database, tokens: Tokens) -> None:
    await refused({"apikey": api_key.digest(FULL_KEY).hex()}, db, tokens)


async def test_partner_without_channels_sees_nothing(db: Database, tokens: Tokens) -> None:
    await execute(db.pool, "DELETE FROM api_key_channels WHERE api_key_id = 1")
    assert (await viewer_of({"apikey": FULL_KEY}, db, tokens)).visibility == Visibility.of_channels(())


async def test_partner_limited_to_a_company_does_not_see_its_namesake(db: Database, tokens: Tokens) -> None:
    await execute(db.pool, "INSERT INTO api_key_channels VALUES (3, 2)")
    assert (await viewer_of({"apikey": LIMITED_KEY}, db, tokens)).visibility == Visibility.of_companies((1, 2), (10,))
    await execute(db.pool, "DELETE FROM api_key_companies WHERE company_id = 10")
    assert (await viewer_of({"apikey": LIMITED_KEY}, db, tokens)).visibility == Visibility.of_companies((1, 2), ())
    await execute(db.pool, "INSERT INTO api_key_companies VALUES (3, 1, 10), (3, 2, 11)")
    assert (await viewer_of({"apikey": LIMITED_KEY}, db, tokens)).visibility == Visibility.of_companies(
        (1, 2), (10, 11)
    )


# --------------------------------------------------------------------------------------------------------- contacts


@pytest.mark.parametrize(
    ("contact", "companies"),
    [(1, (10, 11, 12, 13)), (2, (11, 13)), (3, (20, 21)), (5, (30,)), (6, ()), (8, (30,))],
    ids=["mother", "daughter", "circle", "alone", "no company", "inactive in another channel"],
)
async def test_contact_sees_its_companies_and_all_their_daughters(
    db: Database, tokens: Tokens, contact: int, companies: tuple[int, ...]
) -> None:
    viewer = await viewer_of(bearer(tokens.issue(f"contact:{contact}")), db, tokens)
    assert viewer == Viewer(Kind.CONTACT, f"contact:{contact}", Visibility.of_contact(1, companies), frozenset(READING))
    assert db.statements == 1


async def test_contacts_that_ask_at_the_same_time_are_read_by_one_statement(db: Database, tokens: Tokens) -> None:
    asking = [viewer_of(bearer(tokens.issue(f"contact:{contact}")), db, tokens) for contact in (1, 2, 404, 1, 6)]
    found = await asyncio.gather(*asking, return_exceptions=True)
    companies = [one.visibility.company_ids if isinstance(one, Viewer) else type(one) for one in found]
    assert companies == [(10, 11, 12, 13), (11, 13), NotAuthenticated, (10, 11, 12, 13), ()]
    assert db.statements == 1


async def test_contact_only_reads(db: Database, tokens: Tokens) -> None:
    every = tokens.issue("contact:1", scope=" ".join(PERMISSIONS), roles=["order.OWNER", "logistics.OWNER"])
    assert (await viewer_of(bearer(every), db, tokens)).permissions == READING
    less = tokens.issue("contact:1", scope="orders:read")
    assert (await viewer_of(bearer(less), db, tokens)).permissions == {"orders:read"}


@pytest.mark.parametrize("contact", [4, 7, 99], ids=["inactive", "of two channels", "unknown"])
async def test_contact_that_is_nobody_is_refused(db: Database, tokens: Tokens, contact: int) -> None:
    await refused(bearer(tokens.issue(f"contact:{contact}")), db, tokens)


async def test_contact_loses_access_at_once(db: Database, tokens: Tokens) -> None:
    headers = bearer(tokens.issue("contact:1", timedelta(days=1)))
    await viewer_of(headers, db, tokens)
    await execute(db.pool, "DELETE FROM contact_companies WHERE contact_id = 1 AND company_id = 10")
    assert (await viewer_of(headers, db, tokens)).visibility == Visibility.of_contact(1, (13,))
    await execute(db.pool, "UPDATE contacts SET is_active = false WHERE id = 1")
    await refused(headers, db, tokens)


async def test_contact_that_is_kept_changes_with_its_rows(db: Database, tokens: Tokens) -> None:
    await db.events.start()
    whole, less = bearer(tokens.issue("contact:2")), bearer(tokens.issue("contact:2", scope="orders:read"))
    kept = await viewer_of(whole, db, tokens)
    assert await viewer_of(whole, db, tokens) is kept
    assert (await viewer_of(less, db, tokens)).permissions == {"orders:read"}
    await execute(db.pool, "UPDATE companies SET parent_id = NULL")
    await until(lambda: not db.table_cache(CONTACTS).cached(2))
    assert (await viewer_of(whole, db, tokens)).visibility == Visibility.of_contact(1, (11,))
