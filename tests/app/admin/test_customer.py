"""Merging accounts and setting passwords by command."""

import asyncpg
import pytest

from app.admin.command import Refused
from app.auth.password import Passwords
from tests.app.admin.conftest import Operate

# Of channel 1: John, who has a password and orders, and Jane.
JOHN, JANE = "customer@example.com", "jane.second@example.com"


@pytest.fixture
async def jane(copy_connection: asyncpg.Connection) -> int:
    """Her id. She has one order, a key, and was given a link and a token."""
    key: int = await copy_connection.fetchval(
        "INSERT INTO customers (channel_id, email, external_id, password_hash) VALUES (1, $1, 'C-1', 'x') RETURNING id",
        JANE,
    )
    await copy_connection.execute(
        """
        INSERT INTO orders (
          channel_id, customer_id, status, email, currency, total_gross, total_net, total_tax, sub_total)
        VALUES (1, $1, 'NEW', 'jane.second@example.com', 'EUR', 0, 0, 0, 0)
        """,
        key,
    )
    await copy_connection.execute(
        "INSERT INTO password_links (channel_id, customer_id, expires_at) VALUES (1, $1, now() + interval '1 day')", key
    )
    await copy_connection.execute(
        "INSERT INTO customer_sessions (channel_id, customer_id, expires_at) VALUES (1, $1, now() + interval '1 day')",
        key,
    )
    return key


async def row(connection: asyncpg.Connection, customer: int) -> asyncpg.Record:
    return await connection.fetchrow(
        """
        SELECT c.email, c.external_id, c.password_hash, c.merged_into_id,
          (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) AS orders,
          (SELECT count(*) FROM password_links l WHERE l.customer_id = c.id) AS links,
          (SELECT count(*) FROM customer_sessions s WHERE s.customer_id = c.id AND s.revoked_at IS NULL) AS sessions
        FROM customers c WHERE c.id = $1
        """,
        customer,
    )


async def test_merged_customer_is_the_other_one(
    operate: Operate, copy_connection: asyncpg.Connection, jane: int
) -> None:
    john = await copy_connection.fetchval("SELECT id FROM customers WHERE email = $1", JOHN)
    before = await row(copy_connection, john)
    channel = await copy_connection.fetchval("SELECT code FROM channels WHERE id = 1")
    told = await operate("customers", "merge", JANE.upper(), john, "--channel", channel)
    assert told == {"id": jane, "merged_into_id": john, "orders": 1}
    assert dict(await row(copy_connection, jane)) == {
        "email": JANE,
        "external_id": None,
        "password_hash": None,
        "merged_into_id": john,
        "orders": 0,
        "links": 0,
        "sessions": 0,
    }
    after = await row(copy_connection, john)
    assert (after["email"], after["external_id"], after["orders"]) == (JOHN, "C-1", before["orders"] + 1)
    assert (after["password_hash"], after["sessions"]) == (before["password_hash"], before["sessions"])
    changed = await copy_connection.fetchval("SELECT new ->> 'customerId' FROM changes ORDER BY id DESC LIMIT 1")
    assert changed == str(john)
    actor = await copy_connection.fetchval("SELECT actor FROM transactions ORDER BY id DESC LIMIT 1")
    assert actor.startswith("operator:")
    for who in (JANE, str(jane)):
        with pytest.raises(Refused, match="was merged into"):
            await operate("customer", "merge", who, JOHN, "--channel", channel)


async def test_target_without_an_email_takes_it_over(
    operate: Operate, copy_connection: asyncpg.Connection, jane: int
) -> None:
    other = await copy_connection.fetchval("INSERT INTO customers (channel_id, phone) VALUES (1, '1') RETURNING id")
    await operate("customers", "merge", jane, other)
    merged = await row(copy_connection, other)
    assert (merged["email"], merged["external_id"], merged["password_hash"], merged["orders"]) == (JANE, "C-1", "x", 1)
    assert (await row(copy_connection, jane))["email"] is None
    last = await copy_connection.fetchval("INSERT INTO customers (channel_id, phone) VALUES (1, '2') RETURNING id")
    await operate("customers", "merge", other, last)
    assert (await row(copy_connection, jane))["merged_into_id"] == last


async def test_customers_of_two_channels_are_not_merged(
    operate: Operate, copy_connection: asyncpg.Connection, jane: int
) -> None:
    other = await copy_connection.fetchval("INSERT INTO customers (channel_id, phone) VALUES (2, '1') RETURNING id")
    for source, target, words in (
        (str(jane), str(other), "different channels"),
        (str(jane), str(jane), "one customer"),
        (str(jane), "999999", "no customer '999999'"),
        (JANE, str(jane), "needs --channel"),
        (str(jane), "2147483648", "no customer 2147483648: an id is 1 to 2147483647"),
        ("9" * 30, str(jane), "neither an e-mail nor an id, which is 1 to 2147483647"),
        ("0", str(jane), "'0' is neither"),
        ("-1", str(jane), "'-1' is neither"),
        ("jane", str(jane), "'jane' is neither"),
        ("\u0661", str(jane), "is neither"),
    ):
        with pytest.raises(Refused, match=words):
            await operate("customers", "merge", "--", source, target)
    assert (await row(copy_connection, jane))["orders"] == 1


async def test_password_is_set_and_ends_tokens_and_links(
    operate: Operate, copy_connection: asyncpg.Connection, jane: int
) -> None:
    await operate("customers", "password", jane, stdin="correct horse\n")
    after = await row(copy_connection, jane)
    passwords = Passwords()
    assert await passwords.matches(after["password_hash"], "correct horse")
    passwords.close()
    assert (after["links"], after["sessions"]) == (0, 0)


async def test_password_that_nobody_could_log_in_with_is_refused(
    operate: Operate, copy_connection: asyncpg.Connection, jane: int
) -> None:
    other = await copy_connection.fetchval("INSERT INTO customers (channel_id, phone) VALUES (1, '1') RETURNING id")
    unusable = [
        (jane, text) for text in ("x" * 4_097, "x" * 5_000, "\u00e9" * 2_049, "correct\0horse", "correct \udcff")
    ]
    for who, password in ((jane, "short"), (jane, ""), (jane, " " * 8), (other, "correct horse"), *unusable):
        with pytest.raises(Refused):
            await operate("customers", "password", who, stdin=password)
    assert (await row(copy_connection, jane))["password_hash"] == "x"
    await operate("customers", "password", jane, stdin="x" * 4_096 + "\r\n")


async def test_customer_is_made_with_a_password_and_disabled(
    operate: Operate, copy_connection: asyncpg.Connection
) -> None:
    new = ("customers", "create", "new@example.com", "--channel", "default")
    made = await operate(*new, "--password", stdin="correct horse")
    assert (made["email"], made["has_password"]) == ("new@example.com", True)
    await copy_connection.execute(
        "INSERT INTO customer_sessions (channel_id, customer_id, expires_at) VALUES (1, $1, now() + interval '1 day')",
        made["id"],
    )
    with pytest.raises(Refused, match="already"):
        await operate("customers", "create", "NEW@example.com", "--channel", "default")
    assert await operate("customers", "disable", made["id"]) == {"id": made["id"], "is_suspended": True}
    assert (await row(copy_connection, made["id"]))["sessions"] == 0
    await operate("customers", "enable", "new@example.com", "--channel", "default")
    shown = await operate("customers", "show", made["id"])
    assert (shown["is_suspended"], shown["channel"]) == (False, "default")
    assert "password_hash" not in shown
