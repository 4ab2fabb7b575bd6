"""Customers get a password by a link that goes to the shop's outbox, and to nobody else."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from app.auth import password_link
from app.resolvers.customer.password import REQUESTED
from tests.conftest import calling, credentials, settings_for

JOHN = "customer@example.com"
REQUEST = """
mutation($email: String!) {
  customerPasswordRequest(input: {email: $email, clientMutationId: "x"}) { success message clientMutationId }
}
"""
SET = """
mutation($token: String!, $password: String!) {
  customerPasswordSet(input: {token: $token, password: $password}) { success message }
}
"""
LOGIN = """
mutation($email: String!, $password: String!) {
  createCustomerLogin(input: {email: $email, password: $password}) { customerLogin { success token } }
}
"""
OUTBOX = """
{ outboxEvents { id type channelId customerPasswordLink { customerId email firstName token url expiresAt } } }
"""
ACKNOWLEDGE = "mutation($ids: [String!]!) { outboxEventsAcknowledge(ids: $ids) }"
ASKED = {"customerPasswordRequest": {"success": True, "message": REQUESTED, "clientMutationId": "x"}}

Ask = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def ask(copy: Starlette, demo_copy_dsn: str, copy_connection: asyncpg.Connection) -> AsyncIterator[Ask]:
    await copy_connection.execute("UPDATE api_keys SET scopes = scopes || '{outbox:read}' WHERE scopes <> '{}'")
    async with calling(copy) as client:

        async def post(query: str, viewer: str | None = None, **variables: Any) -> dict[str, Any]:
            headers = credentials(viewer or "stranger", settings_for(demo_copy_dsn))
            answer = await client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
            body: dict[str, Any] = answer.json()
            return body

        yield post


async def link(ask: Ask) -> dict[str, Any]:
    """John asks, and the partner reads."""
    assert (await ask(REQUEST, email=JOHN))["data"] == ASKED
    events = (await ask(OUTBOX, viewer="apikey"))["data"]["outboxEvents"]
    newest: dict[str, Any] = events[-1]["customerPasswordLink"]
    return newest


def code(answer: dict[str, Any]) -> str:
    [error] = answer["errors"]
    told: str = error["extensions"]["code"]
    return told


async def logged_in(ask: Ask, password: str) -> str:
    answer = await ask(LOGIN, email=JOHN, password=password)
    token: str = answer["data"]["createCustomerLogin"]["customerLogin"]["token"]
    return token


async def test_link_sets_a_password_once_and_ends_all_tokens(ask: Ask, copy_connection: asyncpg.Connection) -> None:
    sessions = "SELECT count(*) FROM customer_sessions WHERE revoked_at IS NULL AND customer_id = 1"
    first, second = await link(ask), await link(ask)
    assert await copy_connection.fetchval(sessions) > 0
    answer = await ask(SET, token=second["token"], password="correct horse")
    assert answer["data"]["customerPasswordSet"]["success"] is True
    assert await copy_connection.fetchval(sessions) == 0
    assert await logged_in(ask, "correct horse")
    for used in (second, first):
        assert code(await ask(SET, token=used["token"], password="other horse")) == "PASSWORD_LINK_INVALID"
    assert (await ask(OUTBOX, viewer="apikey"))["data"]["outboxEvents"] == []


async def test_answer_is_the_same_for_every_email(ask: Ask) -> None:
    for email in ("nobody@example.com", "suspended@example.com", f" {JOHN} "):
        assert (await ask(REQUEST, email=email))["data"] == ASKED
    events = (await ask(OUTBOX, viewer="apikey"))["data"]["outboxEvents"]
    assert [event["customerPasswordLink"]["email"] for event in events] == [JOHN]
    assert code(await ask(REQUEST, email="no address")) == "VALIDATION_ERROR"


async def test_an_email_gets_so_many_links_and_the_answer_stays(ask: Ask) -> None:
    for _time in range(password_link.PER_EMAIL + 2):
        assert (await ask(REQUEST, email=JOHN))["data"] == ASKED
    events = (await ask(OUTBOX, viewer="apikey"))["data"]["outboxEvents"]
    assert len(events) == password_link.PER_EMAIL


async def test_a_client_address_asks_so_often(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password_link, "PER_ADDRESS", 2)
    for n in range(2):
        assert (await ask(REQUEST, email=f"nobody{n}@example.com"))["data"] == ASKED
    for email in ("nobody3@example.com", JOHN):
        assert code(await ask(REQUEST, email=email)) == "TOO_MANY_ATTEMPTS"


async def test_expired_link_is_none(ask: Ask, copy_connection: asyncpg.Connection) -> None:
    told = await link(ask)
    await copy_connection.execute(
        "UPDATE password_links SET created_at = now() - interval '2 days', expires_at = now() - interval '1 second'"
    )
    assert code(await ask(SET, token=told["token"], password="correct horse")) == "PASSWORD_LINK_INVALID"
    assert (await ask(OUTBOX, viewer="apikey"))["data"]["outboxEvents"] == []


async def test_what_is_no_link_sets_no_password(ask: Ask, demo_copy_dsn: str) -> None:
    told = await link(ask)
    forged = told["token"][:-2] + ("AA" if told["token"][-2:] != "AA" else "BB")
    john = credentials("john", settings_for(demo_copy_dsn))["Authorization"].removeprefix("Bearer ")
    for token in (forged, john, john.rpartition("|")[2], "", "x" * 300):
        assert code(await ask(SET, token=token, password="correct horse")) == "PASSWORD_LINK_INVALID"
    for faulty in ("short", " " * 12):
        assert code(await ask(SET, token=told["token"], password=faulty)) == "VALIDATION_ERROR"
    assert (await ask(SET, token=told["token"], password="correct horse"))["data"]["customerPasswordSet"]["success"]


async def test_link_opens_nothing_else(copy: Starlette, ask: Ask) -> None:
    told = await link(ask)
    async with calling(copy) as client:
        for authorization in (f"Bearer {told['token']}", f"Bearer 1|{told['token']}"):
            answer = await client.post(
                "/graphql", json={"query": "{ orders { itemsFound } }"}, headers={"Authorization": authorization}
            )
            assert code(answer.json()) == "UNAUTHENTICATED"


async def test_merged_customer_gets_no_link(ask: Ask, copy_connection: asyncpg.Connection) -> None:
    await copy_connection.execute(
        "INSERT INTO customers (channel_id, email, merged_into_id) VALUES (1, 'old@example.com', 1)"
    )
    await ask(REQUEST, email="old@example.com")
    assert (await ask(OUTBOX, viewer="apikey"))["data"]["outboxEvents"] == []


async def test_outbox_is_for_the_channels_partner_with_the_scope(ask: Ask, copy_connection: asyncpg.Connection) -> None:
    await link(ask)
    assert (await ask(OUTBOX, viewer="northwind-writer"))["data"]["outboxEvents"] == []
    assert code(await ask(OUTBOX, viewer="hofstra-writer")) == "FORBIDDEN"
    assert code(await ask(OUTBOX, viewer="editor")) == "FORBIDDEN"
    assert code(await ask(OUTBOX, viewer="john")) == "FORBIDDEN"
    await copy_connection.execute("UPDATE api_keys SET scopes = array_remove(scopes, 'outbox:read')")


async def test_acknowledged_events_are_gone_for_those_who_see_them(ask: Ask) -> None:
    await link(ask)
    [event] = (await ask(OUTBOX, viewer="apikey"))["data"]["outboxEvents"]
    ids = [event["id"], "0", "x", "99999999999999999999"]
    assert (await ask(ACKNOWLEDGE, viewer="northwind-writer", ids=ids))["data"]["outboxEventsAcknowledge"] == 0
    assert (await ask(ACKNOWLEDGE, viewer="apikey", ids=ids))["data"]["outboxEventsAcknowledge"] == 1
    assert (await ask(OUTBOX, viewer="apikey"))["data"]["outboxEvents"] == []
    told = event["customerPasswordLink"]["token"]
    assert (await ask(SET, token=told, password="correct horse"))["data"]["customerPasswordSet"]["success"]
