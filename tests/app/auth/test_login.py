"""Sessions and the counting of attempts, on a real database."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from app.auth.login import Logins, Session, Suspended, WrongPassword
from app.auth.password import Passwords
from app.auth.token import Tokens
from app.auth.viewer import Kind, Viewer, authenticate
from app.data import fixtures
from app.database import Database
from app.errors import AccountSuspended, NotAuthenticated, TooManyAttempts
from app.settings import Settings
from sql import Scope
from tests.conftest import settings_for

JOHN = (fixtures.CUSTOMER_EMAIL, fixtures.CUSTOMER_PASSWORD)
JANE = (fixtures.OTHER_CUSTOMER_EMAIL, fixtures.OTHER_CUSTOMER_PASSWORD)
ADDRESS = "192.0.2.1"


class CountingPasswords(Passwords):
    """Compares in plain, and tells how often it was asked and for which hash."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    async def matches(self, password_hash: str | None, password: str) -> bool:
        self.asked.append(password_hash)
        return password_hash is not None and password.startswith("waybill-demo")


@pytest.fixture
def settings(demo_copy_dsn: str) -> Settings:
    return settings_for(demo_copy_dsn, pool_size=4)


@pytest.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    db = await Database.connect(settings)
    yield db
    await db.close()


@pytest.fixture
def tokens(settings: Settings) -> Tokens:
    return Tokens(settings)


@pytest.fixture
def passwords() -> CountingPasswords:
    return CountingPasswords()


@pytest.fixture
def logins(db: Database, tokens: Tokens, passwords: CountingPasswords, settings: Settings) -> Logins:
    return Logins(db, tokens, passwords, settings)


async def viewer_of(session: Session, db: Database, tokens: Tokens) -> Viewer:
    viewer = await authenticate({"Authorization": f"Bearer {session.token}"}, db, tokens)
    assert viewer is not None
    return viewer


async def refused(token: str, db: Database, tokens: Tokens) -> None:
    with pytest.raises(NotAuthenticated) as refusal:
        await authenticate({"Authorization": f"Bearer {token}"}, db, tokens)
    assert refusal.value.message == NotAuthenticated().message


# --------------------------------------------------------------------------------------------------------- sessions


async def test_login_makes_a_customer_of_one_channel_for_seven_days(
    logins: Logins, db: Database, tokens: Tokens
) -> None:
    session = await logins.open(1, *JOHN, ADDRESS)
    viewer = await viewer_of(session, db, tokens)
    session_id, _, jwt = session.token.partition("|")
    reading = frozenset({"orders:read", "shipments:read"})
    assert viewer == Viewer(Kind.CUSTOMER, "customer:1", Scope.of_customer(1, 1), reading, int(session_id))
    assert tokens.verify(jwt).jti == session_id
    row = await db.pool.fetchrow("SELECT * FROM customer_sessions WHERE id = $1", int(session_id))
    assert row["expires_at"] - row["created_at"] == timedelta(days=7)


async def test_email_is_found_in_any_case(logins: Logins) -> None:
    assert (await logins.open(1, JOHN[0].upper(), JOHN[1], ADDRESS)).customer_id == 1


async def test_api_token_is_kept_as_a_digest_and_opens_nothing(logins: Logins, db: Database, tokens: Tokens) -> None:
    session = await logins.open(1, *JOHN, ADDRESS)
    digest = hashlib.sha256(session.api_token.encode()).digest()
    assert await db.pool.fetchval("SELECT api_token_hash FROM customers WHERE id = 1 AND channel_id = 1") == digest
    await refused(session.api_token, db, tokens)
    with pytest.raises(NotAuthenticated):
        await authenticate({"apikey": session.api_token}, db, tokens)


@pytest.mark.parametrize(
    "forge",
    [
        lambda session, jwt: jwt,
        lambda session, jwt: f"|{jwt}",
        lambda session, jwt: f"{int(session) + 1}|{jwt}",
        lambda session, jwt: f"0{session}|{jwt}",
        lambda session, jwt: f"{session}|{session}|{jwt}",
        lambda session, jwt: f"{session}||{jwt}",
        lambda session, jwt: f"{session}|{jwt}x",
        lambda session, jwt: f"{session}|",
        lambda session, jwt: f"{jwt}|{session}",
        lambda session, jwt: "9" * 5_000 + "|" + jwt,
    ],
)
async def test_token_of_another_form_is_refused(forge: Any, logins: Logins, db: Database, tokens: Tokens) -> None:
    session, _, jwt = (await logins.open(1, *JOHN, ADDRESS)).token.partition("|")
    await refused(forge(session, jwt), db, tokens)


async def test_token_must_belong_to_its_session_and_its_customer(logins: Logins, db: Database, tokens: Tokens) -> None:
    session_id = (await logins.open(1, *JOHN, ADDRESS)).token.partition("|")[0]
    await refused(f"{session_id}|{tokens.issue('customer:2', jti=session_id)}", db, tokens)
    await refused(f"{session_id}|{tokens.issue('staff:1', jti=session_id)}", db, tokens)
    for jti in ("0", "x", "9" * 18, "9" * 19):
        await refused(f"{jti}|{tokens.issue('customer:1', jti=jti)}", db, tokens)


async def test_logout_ends_one_session_at_once_on_every_worker(
    logins: Logins, db: Database, tokens: Tokens, settings: Settings
) -> None:
    one, other = await logins.open(1, *JOHN, ADDRESS), await logins.open(1, *JOHN, ADDRESS)
    neighbour = Tokens(settings)  # another worker, which has just verified this very token
    viewer = await viewer_of(one, db, neighbour)

    assert await logins.close(viewer) is True

    await refused(one.token, db, tokens)
    await refused(one.token, db, neighbour)
    assert (await viewer_of(other, db, neighbour)).session_id != viewer.session_id
    assert await logins.close(viewer) is False


async def test_expired_session_is_refused(logins: Logins, db: Database, tokens: Tokens) -> None:
    session = await logins.open(1, *JOHN, ADDRESS)
    await db.pool.execute("UPDATE customer_sessions SET created_at = now() - interval '8 days', expires_at = now()")
    await refused(session.token, db, tokens)


async def test_expired_token_is_refused(logins: Logins, db: Database, tokens: Tokens) -> None:
    session_id = (await logins.open(1, *JOHN, ADDRESS)).token.partition("|")[0]
    token = tokens.issue("customer:1", timedelta(seconds=-1), jti=session_id)
    await refused(f"{session_id}|{token}", db, tokens)


async def test_suspended_customer_loses_access_at_once(logins: Logins, db: Database, tokens: Tokens) -> None:
    session = await logins.open(1, *JOHN, ADDRESS)
    await db.pool.execute("UPDATE customers SET is_suspended = true WHERE id = 1")
    with pytest.raises(AccountSuspended) as refusal:
        await authenticate({"Authorization": f"Bearer {session.token}"}, db, tokens)
    assert (refusal.value.channel_id, refusal.value.message) == (1, NotAuthenticated().message)


async def test_password_changed_while_it_is_verified_opens_nothing(
    logins: Logins, db: Database, passwords: CountingPasswords, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def change(password_hash: str | None, password: str) -> bool:
        await db.pool.execute("UPDATE customers SET password_hash = 'other' WHERE id = 1")
        return True

    monkeypatch.setattr(passwords, "matches", change)
    with pytest.raises(WrongPassword):
        await logins.open(1, *JOHN, ADDRESS)
    assert await db.pool.fetchval("SELECT count(*) FROM customer_sessions WHERE id < 1000000") == 0


async def test_login_sweeps_up_old_sessions_and_attempts(logins: Logins, db: Database) -> None:
    await logins.open(1, *JOHN, ADDRESS)
    await db.pool.execute(
        "UPDATE customer_sessions SET created_at = now() - interval '9 days', expires_at = now() - interval '2 days'"
    )
    await db.pool.execute("UPDATE login_attempts SET latest_at = now() - interval '2 hours'")
    await logins.open(1, *JANE, "192.0.2.2")
    assert await db.pool.fetchval("SELECT count(*) FROM customer_sessions") == 1
    assert await db.pool.fetchval("SELECT count(*) FROM login_attempts") == 2


# --------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("email", "password", "refusal"),
    [
        (JOHN[0], "not the password", WrongPassword),
        ("nobody@example.com", "waybill-demo-john", WrongPassword),
        ("unset@example.com", "waybill-demo-john", WrongPassword),
        (fixtures.SUSPENDED_EMAIL, "not the password", WrongPassword),
        (fixtures.SUSPENDED_EMAIL, fixtures.SUSPENDED_PASSWORD, Suspended),
    ],
    ids=["wrong password", "unknown e-mail", "no password", "suspended and wrong", "suspended"],
)
async def test_every_way_to_fail_verifies_exactly_one_password_and_sends_the_same_statements(
    email: str, password: str, refusal: type[Exception], logins: Logins, passwords: CountingPasswords, db: Database
) -> None:
    await db.pool.execute("INSERT INTO customers (channel_id, email) VALUES (1, 'unset@example.com')")
    before = db.statements
    with pytest.raises(refusal):
        await logins.open(1, email, password, ADDRESS)
    assert len(passwords.asked) == 1
    if refusal is WrongPassword:
        assert db.statements - before == 4


async def test_customer_of_another_channel_is_unknown(logins: Logins, passwords: CountingPasswords) -> None:
    with pytest.raises(WrongPassword):
        await logins.open(2, *JOHN, ADDRESS)
    assert passwords.asked == [None]


# --------------------------------------------------------------------------------------------------------- attempts


async def attempt(logins: Logins, email: str, address: str = ADDRESS, password: str = "wrong!") -> str:
    try:
        await logins.open(1, email, password, address)
    except (WrongPassword, TooManyAttempts) as refusal:
        return type(refusal).__name__
    return "in"


async def test_sixth_attempt_of_a_minute_is_refused_whatever_the_password_and_address(
    logins: Logins, passwords: CountingPasswords
) -> None:
    made = [await attempt(logins, JOHN[0], f"192.0.2.{i}") for i in range(5)]
    assert made == ["WrongPassword"] * 5
    assert await attempt(logins, JOHN[0].upper(), "192.0.2.9", JOHN[1]) == "TooManyAttempts"
    assert len(passwords.asked) == 5
    assert await attempt(logins, JANE[0], "192.0.2.9", JANE[1]) == "in"


async def test_successful_attempts_count_for_the_email(logins: Logins) -> None:
    made = [await attempt(logins, *args) for args in [(JOHN[0], f"192.0.2.{i}", JOHN[1]) for i in range(6)]]
    assert made == ["in"] * 5 + ["TooManyAttempts"]


async def test_sixth_failure_of_one_address_is_refused_for_every_email(logins: Logins) -> None:
    made = [await attempt(logins, f"nobody{i}@example.com") for i in range(6)]
    assert made == ["WrongPassword"] * 5 + ["TooManyAttempts"]
    assert await attempt(logins, JOHN[0], ADDRESS, JOHN[1]) == "TooManyAttempts"
    assert await attempt(logins, JOHN[0], "192.0.2.2", JOHN[1]) == "in"


async def test_attempts_of_a_blocked_address_do_not_use_up_those_of_an_email(logins: Logins) -> None:
    for i in range(5):
        await attempt(logins, f"nobody{i}@example.com")
    for _ in range(10):
        assert await attempt(logins, JOHN[0]) == "TooManyAttempts"
    assert await attempt(logins, JOHN[0], "192.0.2.2", JOHN[1]) == "in"


async def test_a_shops_server_is_not_locked_out_by_honest_visitors_nor_by_one_hammered_account(
    logins: Logins, db: Database
) -> None:
    await db.pool.execute(
        "INSERT INTO customers (channel_id, email, password_hash) SELECT 1, 'v' || i || '@example.com', 'hash'"
        " FROM generate_series(1, 12) AS i"
    )
    for i in range(1, 13):
        assert await attempt(logins, f"v{i}@example.com", ADDRESS, "waybill-demo") == "in"
    for _ in range(5):
        await attempt(logins, JANE[0], "192.0.2.200")
    for _ in range(20):
        assert await attempt(logins, JANE[0]) == "TooManyAttempts"
    assert await attempt(logins, JOHN[0], ADDRESS, JOHN[1]) == "in"


async def test_transport_without_an_address_counts_the_email_alone(logins: Logins) -> None:
    assert [await attempt(logins, f"nobody{i}@example.com", "") for i in range(7)] == ["WrongPassword"] * 7


async def test_no_more_attempts_than_allowed_pass_at_the_same_time_through_two_workers(
    logins: Logins, settings: Settings, tokens: Tokens, passwords: CountingPasswords
) -> None:
    neighbour = await Database.connect(settings)
    others = Logins(neighbour, tokens, passwords, settings)
    attempts = [attempt(chosen, JOHN[0], f"198.51.100.{i}") for i in range(15) for chosen in (logins, others)]
    made = await asyncio.gather(*attempts)
    await neighbour.close()
    assert sorted(made) == ["TooManyAttempts"] * 25 + ["WrongPassword"] * 5


async def test_lockout_survives_a_restart_and_ends_after_a_minute(
    logins: Logins, settings: Settings, tokens: Tokens, passwords: CountingPasswords, db: Database
) -> None:
    for _ in range(5):
        await attempt(logins, JOHN[0], "")
    restarted = Logins(db, tokens, passwords, settings)
    assert await attempt(restarted, JOHN[0], "", JOHN[1]) == "TooManyAttempts"

    await _let_pass(db, 50)
    assert await attempt(restarted, JOHN[0], "", JOHN[1]) == "TooManyAttempts"
    await _let_pass(db, 15)
    assert await attempt(restarted, JOHN[0], "", JOHN[1]) == "in"


async def test_minute_slides(logins: Logins, db: Database) -> None:
    """A fixed window would let ten attempts through around its end."""
    for _ in range(3):
        await attempt(logins, JOHN[0], "")
    await _let_pass(db, 40)
    for _ in range(2):
        await attempt(logins, JOHN[0], "")
    await _let_pass(db, 30)
    made = [await attempt(logins, JOHN[0], "") for _ in range(4)]
    assert made == ["WrongPassword"] * 3 + ["TooManyAttempts"]


async def _let_pass(db: Database, seconds: int) -> None:
    await db.pool.execute(
        "UPDATE login_attempts SET attempted_at = ARRAY(SELECT t - $1::interval FROM unnest(attempted_at) AS t)",
        timedelta(seconds=seconds),
    )


async def test_channels_are_counted_apart(logins: Logins) -> None:
    for i in range(5):
        await attempt(logins, JOHN[0], f"192.0.2.{i}")
    with pytest.raises(WrongPassword):
        await logins.open(2, JOHN[0], "wrong!", "192.0.2.9")


async def test_limits_are_those_of_the_settings(
    db: Database, tokens: Tokens, passwords: CountingPasswords, demo_copy_dsn: str
) -> None:
    settings = settings_for(demo_copy_dsn, login_attempts_per_email=2, login_attempts_per_address=3)
    logins = Logins(db, tokens, passwords, settings)
    assert [await attempt(logins, JOHN[0], "") for _ in range(3)] == ["WrongPassword"] * 2 + ["TooManyAttempts"]
    made = [await attempt(logins, f"nobody{i}@example.com") for i in range(4)]
    assert made == ["WrongPassword"] * 3 + ["TooManyAttempts"]


async def test_table_of_attempts_names_nobody(logins: Logins, db: Database) -> None:
    await attempt(logins, JOHN[0])
    rows = await db.pool.fetch("SELECT * FROM login_attempts")
    assert len(rows) == 2
    assert all(set(row.keys()) == {"key_hash", "attempted_at", "latest_at"} for row in rows)
