"""Sessions and the counting of attempts, on a real database."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.auth.login import Logins, Session, Suspended, WrongPassword
from app.auth.password import Passwords
from app.auth.token import Tokens
from app.auth.viewer import Kind, Viewer
from app.demo import fixtures
from app.errors import AccountSuspended, NotAuthenticated, TooManyAttempts
from app.postgres.database import Database
from app.settings import Settings
from sql import Visibility
from tests.app.auth.conftest import authenticated
from tests.conftest import (
    OTHER_CUSTOMER_EMAIL,
    OTHER_CUSTOMER_PASSWORD,
    SUSPENDED_EMAIL,
    SUSPENDED_PASSWORD,
    settings_for,
)
from tests.through_pool import execute, value

JOHN = (fixtures.CUSTOMER_EMAIL, fixtures.CUSTOMER_PASSWORD)
JANE = (OTHER_CUSTOMER_EMAIL, OTHER_CUSTOMER_PASSWORD)
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
    viewer = await authenticated({"Authorization": f"Bearer {session.token}"}, db, tokens)
    assert viewer is not None
    return viewer


async def refused(token: str, db: Database, tokens: Tokens) -> None:
    with pytest.raises(NotAuthenticated) as refusal:
        await authenticated({"Authorization": f"Bearer {token}"}, db, tokens)
    assert refusal.value.message == NotAuthenticated().message


# --------------------------------------------------------------------------------------------------------- sessions


async def test_login_makes_a_customer_of_one_channel_for_seven_days(
    logins: Logins, db: Database, tokens: Tokens
) -> None:
    session = await logins.open(1, *JOHN, ADDRESS)
    viewer = await viewer_of(session, db, tokens)
    session_id, _, jwt = session.token.partition("|")
    reading = frozenset({"orders:read", "shipments:read"})
    assert viewer == Viewer(Kind.CUSTOMER, "customer:1", Visibility.of_customer(1, 1), reading, int(session_id))
    assert tokens.verify(jwt).jti == session_id
    lasts = "SELECT expires_at - created_at FROM customer_sessions WHERE id = $1"
    assert await value(db.pool, lasts, int(session_id)) == timedelta(days=7)


async def test_email_is_found_in_any_case(logins: Logins) -> None:
    assert (await logins.open(1, JOHN[0].upper(), JOHN[1], ADDRESS)).customer_id == 1


async def test_api_token_is_kept_as_a_digest_and_opens_nothing(logins: Logins, db: Database, tokens: Tokens) -> None:
    session = await logins.open(1, *JOHN, ADDRESS)
    digest = hashlib.sha256(session.api_token.encode()).digest()
    assert await value(db.pool, "SELECT api_token_hash FROM customers WHERE id = 1 AND channel_id = 1") == digest
    await refused(session.api_token, db, tokens)
    with pytest.raises(NotAuthenticated):
        await authenticated({"apikey": session.api_token}, db, tokens)


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
    await execute(db.pool, "UPDATE customer_sessions SET created_at = now() - interval '8 days', expires_at = now()")
    await refused(session.token, db, tokens)


async def test_expired_token_is_refused(logins: Logins, db: Database, tokens: Tokens) -> None:
    session_id = (await logins.open(1, *JOHN, ADDRESS)).token.partition("|")[0]
    token = tokens.issue("customer:1", timedelta(seconds=-1), jti=session_id)
    await refused(f"{session_id}|{token}", db, tokens)


async def test_suspended_customer_loses_access_at_once(logins: Logins, db: Database, tokens: Tokens) -> None:
    session = await logins.open(1, *JOHN, ADDRESS)
    await execute(db.pool, "UPDATE customers SET is_suspended = true WHERE id = 1")
    with pytest.raises(AccountSuspended) as refusal:
        await authenticated({"Authorization": f"Bearer {session.token}"}, db, tokens)
    assert (refusal.value.channel_id, refusal.value.message) == (1, NotAuthenticated().message)


async def test_password_changed_while_it_is_verified_opens_nothing(
    logins: Logins, db: Database, passwords: CountingPasswords, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def change(password_hash: str | None, password: str) -> bool:
        await execute(db.pool, "UPDATE customers SET password_hash = 'other' WHERE id = 1")
        return True

    monkeypatch.setattr(passwords, "matches", change)
    with pytest.raises(WrongPassword):
        await logins.open(1, *JOHN, ADDRESS)
    assert await value(db.pool, "SELECT count(*) FROM customer_sessions WHERE id < 1000000") == 0


async def test_login_sweeps_up_old_sessions_and_attempts(logins: Logins, db: Database) -> None:
    await logins.open(1, *JOHN, ADDRESS)
    await execute(
        db.pool,
        "UPDATE customer_sessions SET created_at = now() - interval '9 days', expires_at = now() - interval '2 days'",
    )
    await attempt(logins, "nobody@example.com")
    await execute(db.pool, "UPDATE login_attempts SET latest_at = now() - interval '2 hours'")
    await execute(db.pool, "UPDATE login_addresses SET good_at = now() - interval '31 days'")
    await logins.open(1, *JANE, "192.0.2.2")
    assert await value(db.pool, "SELECT count(*) FROM customer_sessions") == 1
    assert await value(db.pool, "SELECT count(*) FROM login_addresses") == 1
    assert await value(db.pool, "SELECT count(*) FROM login_attempts") == 1


# --------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("email", "password", "refusal"),
    [
        (JOHN[0], "not the password", WrongPassword),
        ("nobody@example.com", "waybill-demo-john", WrongPassword),
        ("unset@example.com", "waybill-demo-john", WrongPassword),
        (SUSPENDED_EMAIL, "not the password", WrongPassword),
        (SUSPENDED_EMAIL, SUSPENDED_PASSWORD, Suspended),
    ],
    ids=["wrong password", "unknown e-mail", "no password", "suspended and wrong", "suspended"],
)
async def test_every_way_to_fail_verifies_exactly_one_password_and_sends_the_same_statements(
    email: str, password: str, refusal: type[Exception], logins: Logins, passwords: CountingPasswords, db: Database
) -> None:
    await execute(db.pool, "INSERT INTO customers (channel_id, email) VALUES (1, 'unset@example.com')")
    before = db.statements
    with pytest.raises(refusal):
        await logins.open(1, email, password, ADDRESS)
    assert len(passwords.asked) == 1
    if refusal is WrongPassword:
        assert db.statements - before == 8


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


async def test_sixth_attempt_of_a_minute_for_an_email_from_one_address_is_refused_whatever_the_password(
    logins: Logins, passwords: CountingPasswords, settings: Settings, db: Database, tokens: Tokens
) -> None:
    logins = Logins(db, tokens, passwords, replace(settings, login_attempts_per_address=100))
    assert [await attempt(logins, JOHN[0]) for _ in range(5)] == ["WrongPassword"] * 5
    assert await attempt(logins, JOHN[0].upper(), ADDRESS, JOHN[1]) == "TooManyAttempts"
    assert len(passwords.asked) == 5
    assert await attempt(logins, JANE[0], ADDRESS, JANE[1]) == "in"


async def test_nobody_locks_out_a_customer_at_another_address(logins: Logins) -> None:
    for i in range(10):
        await attempt(logins, JOHN[0], f"192.0.2.{10 + i % 2}")
    assert await attempt(logins, JOHN[0], ADDRESS, JOHN[1]) == "in"


async def test_successful_attempts_count_for_the_email(logins: Logins) -> None:
    made = [await attempt(logins, JOHN[0], ADDRESS, JOHN[1]) for _ in range(6)]
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
    db: Database, tokens: Tokens, passwords: CountingPasswords, settings: Settings
) -> None:
    logins = Logins(db, tokens, passwords, replace(settings, login_attempts_per_address=6))
    await execute(
        db.pool,
        "INSERT INTO customers (channel_id, email, password_hash) SELECT 1, 'v' || i || '@example.com', 'hash'"
        " FROM generate_series(1, 12) AS i",
    )
    for i in range(1, 13):
        assert await attempt(logins, f"v{i}@example.com", ADDRESS, "waybill-demo") == "in"
    made = [await attempt(logins, JANE[0]) for _ in range(25)]
    assert made == ["WrongPassword"] * 5 + ["TooManyAttempts"] * 20
    assert await attempt(logins, JOHN[0], ADDRESS, JOHN[1]) == "in"


@pytest.mark.parametrize("email", [JOHN[0], "nobody@example.com"])
async def test_guesses_from_many_addresses_are_refused_after_a_hundred_in_an_hour(
    email: str, logins: Logins, db: Database
) -> None:
    made = [await attempt(logins, email, f"192.0.2.{i % 50}") for i in range(102)]
    assert made == ["WrongPassword"] * 100 + ["TooManyAttempts"] * 2
    assert await attempt(logins, email, "192.0.2.99", JOHN[1]) == "TooManyAttempts"
    assert await attempt(logins, JANE[0], "192.0.2.99", JANE[1]) == "in"
    await _let_pass(db, 3_500)
    assert await attempt(logins, email, "192.0.2.99") == "TooManyAttempts"
    await _let_pass(db, 110)
    assert await attempt(logins, email, "192.0.2.99") == "WrongPassword"


async def test_one_address_uses_up_a_fifth_of_what_an_email_is_allowed_in_an_hour(logins: Logins, db: Database) -> None:
    made = []
    for _ in range(6):
        made += [await attempt(logins, JOHN[0]) for _ in range(5)]
        await _let_pass(db, 61)
    assert made == ["WrongPassword"] * 20 + ["TooManyAttempts"] * 10
    assert await attempt(logins, JOHN[0], "192.0.2.2", JOHN[1]) == "in"


async def test_customer_gets_in_where_they_logged_in_lately_however_many_guess(
    logins: Logins, db: Database, settings: Settings, tokens: Tokens, passwords: CountingPasswords
) -> None:
    home, abroad, shared = "192.0.2.200", "192.0.2.201", "192.0.2.202"
    assert await attempt(logins, JOHN[0], home, JOHN[1]) == "in"
    assert await attempt(logins, JANE[0], shared, JANE[1]) == "in"
    for i in range(100):
        await attempt(logins, JOHN[0], f"192.0.2.{i % 50}")
    restarted = Logins(db, tokens, passwords, settings)
    assert await attempt(restarted, JOHN[0].upper(), home, JOHN[1]) == "in"
    for address in (abroad, shared):
        assert await attempt(restarted, JOHN[0], address, JOHN[1]) == "TooManyAttempts"
    with pytest.raises(WrongPassword):
        await restarted.open(2, JOHN[0], JOHN[1], home)


async def test_customer_is_held_to_the_counts_of_a_minute_where_they_logged_in_lately(logins: Logins) -> None:
    assert await attempt(logins, JOHN[0], ADDRESS, JOHN[1]) == "in"
    assert [await attempt(logins, JOHN[0]) for _ in range(5)] == ["WrongPassword"] * 4 + ["TooManyAttempts"]
    await attempt(logins, JANE[0])
    assert await attempt(logins, "v@example.com") == "TooManyAttempts"


async def test_failures_where_the_customer_logged_in_lately_do_not_count_for_the_hour(
    logins: Logins, db: Database
) -> None:
    assert await attempt(logins, JOHN[0], ADDRESS, JOHN[1]) == "in"
    for _ in range(25):
        await _let_pass(db, 61)
        made = [await attempt(logins, JOHN[0]) for _ in range(5)]
        assert made == ["WrongPassword"] * 5
    assert await attempt(logins, JOHN[0], "192.0.2.2", JOHN[1]) == "in"


async def test_address_is_forgotten_after_thirty_days_without_a_login(logins: Logins, db: Database) -> None:
    assert await attempt(logins, JOHN[0], ADDRESS, JOHN[1]) == "in"
    for i in range(100):
        await attempt(logins, JOHN[0], f"192.0.2.{100 + i % 50}")
    await _let_pass(db, 61)
    await execute(db.pool, "UPDATE login_addresses SET good_at = now() - interval '30 days' + interval '1 minute'")
    assert await attempt(logins, JOHN[0], ADDRESS, JOHN[1]) == "in"
    await execute(db.pool, "UPDATE login_addresses SET good_at = now() - interval '30 days' - interval '1 minute'")
    assert await attempt(logins, JOHN[0], ADDRESS, JOHN[1]) == "TooManyAttempts"


async def test_no_more_addresses_are_remembered_than_the_latest_twenty_of_each_customer(
    logins: Logins, db: Database
) -> None:
    await attempt(logins, JANE[0], "198.51.100.1", JANE[1])
    for i in range(25):
        assert await attempt(logins, JOHN[0], f"192.0.2.{i}", JOHN[1]) == "in"
    sizes = await db.pool.fetch("SELECT count(*) FROM login_addresses GROUP BY account_hash ORDER BY 1")
    assert [row[0] for row in sizes] == [1, 20]
    for i in range(100):
        await attempt(logins, JOHN[0], f"203.0.113.{i % 50}")
    made = [await attempt(logins, JOHN[0], f"192.0.2.{i}", JOHN[1]) for i in range(25)]
    assert made == ["TooManyAttempts"] * 5 + ["in"] * 20


async def test_customer_who_logs_in_from_many_addresses_at_once_is_remembered_at_twenty(
    logins: Logins, db: Database
) -> None:
    made = await asyncio.gather(*(attempt(logins, JOHN[0], f"192.0.2.{i}", JOHN[1]) for i in range(40)))
    assert made == ["in"] * 40
    await attempt(logins, JOHN[0], "192.0.2.99", JOHN[1])
    assert await value(db.pool, "SELECT count(*) FROM login_addresses") == 20


async def test_password_that_is_right_for_a_suspended_customer_makes_no_address_known(
    logins: Logins, db: Database
) -> None:
    with pytest.raises(Suspended):
        await logins.open(1, SUSPENDED_EMAIL, SUSPENDED_PASSWORD, ADDRESS)
    assert await value(db.pool, "SELECT count(*) FROM login_addresses") == 0


async def test_refused_attempts_leave_no_rows(logins: Logins, db: Database) -> None:
    for i in range(100):
        await attempt(logins, JOHN[0], f"192.0.2.{i % 50}")
    before = await db.pool.fetch("SELECT key_hash, attempted_at FROM login_attempts ORDER BY key_hash")
    for i in range(20):
        assert await attempt(logins, JOHN[0], f"198.51.100.{i}") == "TooManyAttempts"
    assert await db.pool.fetch("SELECT key_hash, attempted_at FROM login_attempts ORDER BY key_hash") == before


async def test_spellings_of_an_email_that_the_store_takes_for_one_are_counted_as_one(
    db: Database, tokens: Tokens, passwords: CountingPasswords, settings: Settings
) -> None:
    """Or there would be as many attempts as spellings, and some letters have three."""
    logins = Logins(db, tokens, passwords, replace(settings, login_attempts_per_address=100))
    rows = await db.pool.fetch(
        "SELECT chr(n) AS letter FROM generate_series(1, 1114111) AS n"
        " WHERE n NOT BETWEEN 55296 AND 57343 AND lower(chr(n)) = 'i'"
    )
    spellings = [f"{one['letter']}{other['letter']}@example.com" for one in rows for other in rows]
    assert len(spellings) >= 4
    made = [await attempt(logins, spelling) for spelling in 2 * spellings]
    assert made == ["WrongPassword"] * 5 + ["TooManyAttempts"] * (len(made) - 5)


async def test_transport_without_an_address_counts_the_email_alone(logins: Logins) -> None:
    assert [await attempt(logins, f"nobody{i}@example.com", "") for i in range(7)] == ["WrongPassword"] * 7


async def test_no_more_attempts_than_allowed_pass_at_the_same_time_through_two_workers(
    db: Database, settings: Settings, tokens: Tokens, passwords: CountingPasswords
) -> None:
    neighbour = await Database.connect(settings)
    many = replace(settings, login_attempts_per_address=100, login_attempts_per_hour=25)
    workers = [Logins(each, tokens, passwords, many) for each in (db, neighbour)]
    from_one = [attempt(worker, JOHN[0], ADDRESS) for worker in workers for _ in range(15)]
    from_all = [attempt(worker, JANE[0], f"192.0.2.{i}") for worker in workers for i in range(30)]
    made = await asyncio.gather(*from_one, *from_all)
    await neighbour.close()
    assert sorted(made[:30]) == ["TooManyAttempts"] * 25 + ["WrongPassword"] * 5
    assert sorted(made[30:]) == ["TooManyAttempts"] * 35 + ["WrongPassword"] * 25


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
    await execute(
        db.pool,
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
    assert len(rows) == 4
    assert all(set(row.keys()) == {"key_hash", "attempted_at", "latest_at"} for row in rows)
    await attempt(logins, JOHN[0], ADDRESS, JOHN[1])
    [row] = await db.pool.fetch("SELECT * FROM login_addresses")
    assert set(row.keys()) == {"key_hash", "account_hash", "good_at"}
