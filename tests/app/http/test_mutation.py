"""Mutations over HTTP: done whole or not at all, and once for each idempotency key, on the real application."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest
from graphql import GraphQLBoolean, GraphQLInt, GraphQLObjectType, get_named_type
from starlette.applications import Starlette
from starlette.types import Message

from app.asgi import executable_schema
from app.auth.token import Tokens
from app.http import graphql, mutation
from app.http.reply import dump
from tests.conftest import calling, credentials, running, settings_for, until_blocked
from tests.consistency import breaches

SHIPMENT = "65ad4404-88a6-4f97-9325-34a3a35f1dfc"
CREATE = """
mutation Ship($line: Int!, $quantity: Int) {
  shipmentCreate(input: {orderId: 2075, items: [{orderItemId: $line, quantity: $quantity}]}) {
    id version items { id quantity orderItem { quantityShipped } }
  }
}"""
UPDATE = "mutation($status: ShipmentStatus) { shipmentUpdate(id: %r, input: {status: $status}) { status version } }"
UPDATE = UPDATE.replace("%r", f'"{SHIPMENT}"')
ONE_OF_20155 = {"line": 20155, "quantity": 1}
KEY = "order-2075/box-1"


class Caller:
    """Sends mutations to one process of the service."""

    def __init__(self, app: Starlette, dsn: str) -> None:
        self.app = app
        self._settings = settings_for(dsn)

    async def post(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        viewer: str = "editor",
        headers: dict[str, str] | None = None,
        **body: Any,
    ) -> httpx.Response:
        given = credentials(viewer, self._settings) | (headers or {}) | ({"Idempotency-Key": key} if key else {})
        async with calling(self.app) as client:
            return await client.post("/graphql", json={"query": query, "variables": variables, **body}, headers=given)


@pytest.fixture
async def caller(demo_copy_dsn: str) -> AsyncIterator[Caller]:
    async with processes(demo_copy_dsn) as (caller,):
        yield caller


@pytest.fixture
def store(copy_connection: asyncpg.Connection) -> asyncpg.Connection:
    return copy_connection


@asynccontextmanager
async def processes(dsn: str, count: int = 1, **settings: Any) -> AsyncIterator[list[Caller]]:
    async with AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(running(settings_for(dsn, **settings))) for _ in range(count)]
        yield [Caller(app, dsn) for app in apps]


def code(response: httpx.Response) -> str:
    [error] = response.json()["errors"]
    assert response.json()["data"] is None
    found: str = error["extensions"]["code"]
    return found


async def shipments(store: asyncpg.Connection) -> int:
    count: int = await store.fetchval("SELECT count(*) FROM shipments WHERE order_id = 2075")
    return count


# ------------------------------------------------------------------------------------------------ idempotency keys


async def test_request_with_a_key_is_applied_once_whichever_process_it_comes_to(
    demo_copy_dsn: str, store: asyncpg.Connection
) -> None:
    before = await shipments(store)
    async with processes(demo_copy_dsn, 2) as (caller, other):
        first = await caller.post(CREATE, ONE_OF_20155, key=KEY)
        again = await other.post(CREATE, dict(reversed(ONE_OF_20155.items())), key=KEY)
        by_extension = await other.post(CREATE, ONE_OF_20155, extensions={"idempotencyKey": KEY})
    async with processes(demo_copy_dsn) as (restarted,):
        later = await restarted.post(CREATE, ONE_OF_20155, key=KEY)
    assert first.json()["data"]["shipmentCreate"]["items"][0]["orderItem"] == {"quantityShipped": 1}
    assert "idempotent-replayed" not in first.headers
    for replay in (again, by_extension, later):
        assert replay.content == first.content
        assert replay.headers["idempotent-replayed"] == "true"
        assert (replay.status_code, replay.headers["content-type"]) == (200, first.headers["content-type"])
    assert await shipments(store) == before + 1


async def test_answer_is_rendered_once(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[Any] = []

    def dump_once(body: Any) -> bytes:
        rendered.append(body)
        return dump(body)

    monkeypatch.setattr(mutation, "dump", dump_once)
    monkeypatch.setattr(graphql, "reply", None)  # what renders all other answers
    answer = await caller.post(CREATE, ONE_OF_20155, key=KEY)
    again = await caller.post(CREATE, ONE_OF_20155, key=KEY)
    assert answer.content == again.content
    assert rendered == [answer.json()]


async def test_answer_that_was_lost_on_its_way_is_replayed(demo_copy_dsn: str, store: asyncpg.Connection) -> None:
    before = await shipments(store)
    async with processes(demo_copy_dsn, 2) as (caller, other):

        async def dying(scope: Any, receive: Any, send: Any) -> None:
            async def lose(_message: Message) -> None:
                raise ConnectionResetError

            await app(scope, receive, lose if scope["type"] == "http" else send)

        app, caller.app = caller.app, dying
        with pytest.raises(ConnectionResetError):
            await caller.post(CREATE, ONE_OF_20155, key=KEY)
        assert await shipments(store) == before + 1
        replay = await other.post(CREATE, ONE_OF_20155, key=KEY)
    assert replay.json()["data"]["shipmentCreate"]["version"] == 1
    assert replay.headers["idempotent-replayed"] == "true"
    assert await shipments(store) == before + 1


@pytest.mark.parametrize(
    ("query", "variables", "operation"),
    [
        (CREATE, ONE_OF_20155 | {"quantity": 2}, None),
        (CREATE + " ", ONE_OF_20155, None),
        (CREATE + "mutation Other { carrierDelete(id: 8) }", ONE_OF_20155, "Other"),
    ],
)
async def test_key_stands_for_one_request(
    caller: Caller, store: asyncpg.Connection, query: str, variables: dict[str, Any], operation: str | None
) -> None:
    await caller.post(CREATE, ONE_OF_20155, key=KEY)
    before = await shipments(store)
    response = await caller.post(query, variables, key=KEY, operationName=operation)
    assert code(response) == "IDEMPOTENCY_KEY_REUSED"
    assert response.json()["errors"][0]["extensions"]["path"] == "Idempotency-Key"
    assert await shipments(store) == before


async def test_keys_of_two_callers_never_meet(caller: Caller, store: asyncpg.Connection) -> None:
    before = await shipments(store)
    mine = await caller.post(CREATE, ONE_OF_20155, key=KEY)
    theirs = await caller.post(CREATE, ONE_OF_20155, key=KEY, viewer="apikey")
    assert "errors" not in theirs.json()
    assert theirs.content != mine.content
    assert await shipments(store) == before + 2


async def test_key_of_a_refused_request_is_free_again(caller: Caller, store: asyncpg.Connection) -> None:
    assert code(await caller.post(CREATE, ONE_OF_20155 | {"quantity": 5}, key=KEY)) == "VALIDATION_ERROR"
    assert "errors" not in (await caller.post(CREATE, ONE_OF_20155, key=KEY)).json()


async def test_replay_needs_the_scope_of_the_request(caller: Caller) -> None:
    await caller.post(CREATE, ONE_OF_20155, key=KEY, viewer="apikey")
    assert code(await caller.post(CREATE, ONE_OF_20155, key=KEY, viewer="read-only")) == "FORBIDDEN"


ADD_CODE = """
mutation { trackAndTraceCreate(input: {shipmentId: "65ad4404-88a6-4f97-9325-34a3a35f1dfc", carrierId: 1, code: "NEW"}) {
  code carrier { name }
} }"""
ADD_CODE_AND_SEE_OTHERS = ADD_CODE.replace("name", "trackAndTraces { code }")
DELETE = 'mutation { shipmentDelete(id: "65ad4404-88a6-4f97-9325-34a3a35f1dfc") }'
ADD_CARRIER = 'mutation { carrierCreate(input: {channelId: 1, name: "Fast", type: DELIVERY, descriptions: []}) { id } }'
OF_COMPANY_2 = "INSERT INTO api_key_companies (api_key_id, channel_id, company_id) VALUES (1, 1, 2)"


@dataclass(frozen=True)
class Change:
    """What is done to a partner's key, or around it, between a request and its repetition."""

    statement: str
    query: str = CREATE
    before: str = "SELECT"


NARROWED = {
    "the scope that the mutation needs": Change("UPDATE api_keys SET scopes = '{orders:read,shipments:read}'"),
    "a scope that a field below needs": Change("UPDATE api_keys SET scopes = '{shipments:write}'"),
    "a scope without which a field is empty": Change(
        "UPDATE api_keys SET scopes = '{carriers:write}'",
        'mutation { carrierUpdate(id: 8, input: {name: "Other"}) { trackAndTraces { id } } }',
        before="UPDATE carriers SET channel_id = 1 WHERE id = 8",
    ),
    "the channel": Change("DELETE FROM api_key_channels WHERE api_key_id = 1 AND channel_id = 1"),
    "companies": Change("INSERT INTO api_key_companies (api_key_id, channel_id, company_id) VALUES (1, 1, 3)"),
    "the order has gone over to another company": Change(
        "UPDATE orders SET company_id = 3 WHERE id = 2075", before=OF_COMPANY_2
    ),
    "the shipment's order has gone over": Change(
        "UPDATE orders SET company_id = 3 WHERE id = 2075", ADD_CODE, before=OF_COMPANY_2
    ),
    "the order of another code has gone over": Change(
        "UPDATE orders SET company_id = 3 WHERE id = 2077",
        ADD_CODE_AND_SEE_OTHERS,
        before=OF_COMPANY_2 + "; UPDATE orders SET company_id = 2 WHERE id = 2077; INSERT INTO track_and_traces"
        " (shipment_id, order_id, channel_id, carrier_id, code) SELECT id, order_id, channel_id, 1, 'OTHERS'"
        " FROM shipments WHERE order_id = 2077",
    ),
    "the order is gone": Change(
        "DELETE FROM changes; DELETE FROM shipments WHERE order_id = 2075; DELETE FROM orders WHERE id = 2075"
    ),
    "a channel of the partner who made a carrier": Change(
        "DELETE FROM api_key_channels WHERE api_key_id = 1 AND channel_id = 1", ADD_CARRIER
    ),
    "all companies, without which no carriers are written": Change(OF_COMPANY_2, ADD_CARRIER),
    "an answer of before it was noted": Change("UPDATE idempotency_keys SET scopes = DEFAULT, order_ids = DEFAULT"),
}


@pytest.mark.parametrize("change", NARROWED.values(), ids=NARROWED)
async def test_answer_is_not_replayed_to_who_may_not_do_or_see_it_any_more(
    change: Change, demo_copy_dsn: str, store: asyncpg.Connection
) -> None:
    await store.execute(change.before)
    async with processes(demo_copy_dsn) as (caller,):
        first = await caller.post(change.query, ONE_OF_20155, key=KEY, viewer="apikey")
        assert "errors" not in first.json(), first.text
        assert (await caller.post(change.query, ONE_OF_20155, key=KEY, viewer="apikey")).content == first.content
    await store.execute(change.statement)
    before = await store.fetchval("SELECT count(*) FROM transactions")
    async with processes(demo_copy_dsn) as (caller,):
        again = await caller.post(change.query, ONE_OF_20155, key=KEY, viewer="apikey")
    assert code(again) == "FORBIDDEN"
    assert "idempotent-replayed" not in again.headers
    assert await store.fetchval("SELECT count(*) FROM transactions") == before


STILL_SEEN = {
    "more": Change("DELETE FROM api_key_companies", before=OF_COMPANY_2),
    "less, but nothing that the answer shows": Change(
        "UPDATE api_keys SET scopes = '{shipments:write}';"
        "DELETE FROM api_key_channels WHERE api_key_id = 1 AND channel_id = 2;" + OF_COMPANY_2,
        ADD_CODE,
    ),
    "the same, of what was deleted meanwhile": Change("DELETE FROM shipments WHERE order_id = 2075", ADD_CODE),
    "the same, of what was deleted by the request itself": Change("SELECT", DELETE, before=OF_COMPANY_2),
    "a carrier": Change("UPDATE api_keys SET scopes = '{carriers:write}'", ADD_CARRIER),
}


@pytest.mark.parametrize("change", STILL_SEEN.values(), ids=STILL_SEEN)
async def test_answer_is_replayed_to_who_may_still_do_and_see_it(
    change: Change, demo_copy_dsn: str, store: asyncpg.Connection
) -> None:
    await store.execute(change.before)
    async with processes(demo_copy_dsn) as (caller,):
        first = await caller.post(change.query, ONE_OF_20155, key=KEY, viewer="apikey")
        assert "errors" not in first.json(), first.text
    await store.execute(change.statement)
    async with processes(demo_copy_dsn) as (caller,):
        again = await caller.post(change.query, ONE_OF_20155, key=KEY, viewer="apikey")
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"


async def test_answer_is_replayed_by_the_scopes_of_the_token_that_asks_again(
    caller: Caller, store: asyncpg.Connection
) -> None:
    def token(scope: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {Tokens(settings_for('postgresql://')).issue('staff:2', scope=scope)}"}

    all_scopes = token("shipments:write orders:read carriers:write")
    first = await caller.post(CREATE, ONE_OF_20155, key=KEY, headers=all_scopes)
    assert "errors" not in first.json()
    enough = await caller.post(CREATE, ONE_OF_20155, key=KEY, headers=token("shipments:write orders:read"))
    assert enough.content == first.content
    too_few = await caller.post(CREATE, ONE_OF_20155, key=KEY, headers=token("shipments:write"))
    assert code(too_few) == "FORBIDDEN"
    extensions = too_few.json()["errors"][0]["extensions"]
    assert extensions["path"] == "Idempotency-Key"
    await store.execute("UPDATE idempotency_keys SET scopes = DEFAULT, order_ids = DEFAULT")
    assert (await caller.post(CREATE, ONE_OF_20155, key=KEY, headers=all_scopes)).content == first.content
    assert code(await caller.post(CREATE, ONE_OF_20155, key=KEY, headers=token("shipments:write"))) == "FORBIDDEN"


async def test_orders_of_one_id_in_two_channels_are_not_taken_for_each_other(
    demo_copy_dsn: str, store: asyncpg.Connection
) -> None:
    async with processes(demo_copy_dsn) as (caller,):
        assert "errors" not in (await caller.post(CREATE, ONE_OF_20155, key=KEY, viewer="apikey")).json()
    await store.execute(
        "DELETE FROM api_key_channels WHERE api_key_id = 1 AND channel_id = 1;"
        "INSERT INTO orders (id, channel_id, status, email, currency, total_gross, total_net, total_tax, sub_total)"
        "VALUES (2075, 2, 'CONFIRMED', 'a@b.test', 'EUR', 1, 1, 0, 1)"
    )
    async with processes(demo_copy_dsn) as (caller,):
        assert code(await caller.post(CREATE, ONE_OF_20155, key=KEY, viewer="apikey")) == "FORBIDDEN"


async def test_key_in_flight_is_a_conflict_until_it_is_answered(demo_copy_dsn: str, store: asyncpg.Connection) -> None:
    async with processes(demo_copy_dsn, 2) as (caller, other):
        holding = store.transaction()
        await holding.start()
        await store.execute("SELECT FROM order_items WHERE id = 20155 FOR UPDATE")
        first = asyncio.create_task(caller.post(CREATE, ONE_OF_20155, key=KEY))
        await until_blocked(store)
        assert code(await other.post(CREATE, ONE_OF_20155, key=KEY)) == "CONFLICT"
        await holding.rollback()
        answer = await first
        assert "errors" not in answer.json()
        assert (await other.post(CREATE, ONE_OF_20155, key=KEY)).content == answer.content


async def test_one_of_many_that_come_with_a_key_at_once_is_applied(
    demo_copy_dsn: str, store: asyncpg.Connection
) -> None:
    before = await shipments(store)
    async with processes(demo_copy_dsn, 2) as callers:
        answers = await asyncio.gather(*(callers[n % 2].post(CREATE, ONE_OF_20155, key=KEY) for n in range(8)))
    done = {answer.content for answer in answers if "errors" not in answer.json()}
    assert len(done) == 1
    assert {code(answer) for answer in answers if "errors" in answer.json()} <= {"CONFLICT"}
    assert await shipments(store) == before + 1


@pytest.mark.parametrize(
    ("headers", "extensions", "path"),
    [
        ({"Idempotency-Key": ""}, None, "Idempotency-Key"),
        ({"Idempotency-Key": "a b"}, None, "Idempotency-Key"),
        ({"Idempotency-Key": "x" * 256}, None, "Idempotency-Key"),
        ({}, {"idempotencyKey": 7}, "extensions.idempotencyKey"),
        ({}, {"idempotencyKey": "é"}, "extensions.idempotencyKey"),
        ({"Idempotency-Key": "a"}, {"idempotencyKey": "b"}, "extensions.idempotencyKey"),
    ],
)
async def test_key_that_is_none_is_refused(
    caller: Caller, store: asyncpg.Connection, headers: dict[str, str], extensions: Any, path: str
) -> None:
    before = await shipments(store)
    response = await caller.post(CREATE, ONE_OF_20155, headers=headers, extensions=extensions)
    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert (error["extensions"]["code"], error["extensions"]["path"]) == ("VALIDATION_ERROR", path)
    assert await shipments(store) == before


async def test_answers_are_kept_for_a_day_and_removed_in_passing_later(
    caller: Caller, store: asyncpg.Connection
) -> None:
    for key, age in (("young", "25 hours"), ("old", "49 hours")):
        await caller.post(CREATE, ONE_OF_20155, key=key)
        await store.execute(f"UPDATE idempotency_keys SET created_at = now() - interval '{age}' WHERE key = $1", key)
    await caller.post(CREATE, ONE_OF_20155, key="new")
    rows = await store.fetch("SELECT key FROM idempotency_keys ORDER BY key")
    assert [row["key"] for row in rows] == ["new", "young"]


# ------------------------------------------------------------------------------------------------ transactions


async def test_answer_shows_what_was_written_and_the_transaction_tells_who_wrote(
    caller: Caller, store: asyncpg.Connection
) -> None:
    response = await caller.post(UPDATE, {"status": "PROCESSING"}, headers={"X-Request-ID": "request-of-the-test"})
    assert response.json() == {"data": {"shipmentUpdate": {"status": "PROCESSING", "version": 2}}}
    row = await store.fetchrow(
        "SELECT t.actor, t.request_id FROM changes c JOIN transactions t ON t.id = c.transaction_id"
        " WHERE c.entity_id = $1 AND c.version = 2",
        SHIPMENT,
    )
    assert tuple(row) == ("staff:2", response.headers["x-request-id"])


async def test_step_that_the_lifecycle_lacks_is_refused_with_its_argument_and_rule(caller: Caller) -> None:
    response = await caller.post(UPDATE, {"status": "OUT_FOR_DELIVERY"})
    assert code(response) == "VALIDATION_ERROR"
    extensions = response.json()["errors"][0]["extensions"]
    assert extensions["path"] == "input.status"
    assert extensions["rule"].startswith("must be one of CANCELED, DELIVERED, IN_TRANSIT, PROCESSING")


FAIL_AT = {
    "the write": "CREATE TRIGGER failing BEFORE UPDATE ON shipments FOR EACH ROW EXECUTE FUNCTION fail()",
    "the commit": "CREATE CONSTRAINT TRIGGER failing AFTER UPDATE ON shipments DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION fail()",
}


async def fail_at(store: asyncpg.Connection, place: str, times: int, sqlstate: str) -> None:
    """Makes the store fail for the next `times`; a sequence counts them, for it is not rolled back."""
    await store.execute(
        f"""
        CREATE SEQUENCE failures;
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF nextval('failures') <= {times} THEN
            RAISE EXCEPTION 'failed' USING ERRCODE = '{sqlstate}', CONSTRAINT = 'shipments_status_follows';
          END IF;
          RETURN NEW;
        END $$;
        {FAIL_AT[place]};
        """
    )


@pytest.mark.parametrize("place", FAIL_AT)
@pytest.mark.parametrize("sqlstate", ["40P01", "40001"])
async def test_mutation_that_met_a_deadlock_runs_again(
    caller: Caller, store: asyncpg.Connection, place: str, sqlstate: str
) -> None:
    await fail_at(store, place, 2, sqlstate)
    response = await caller.post(UPDATE, {"status": "PROCESSING"}, key=KEY)
    assert response.json() == {"data": {"shipmentUpdate": {"status": "PROCESSING", "version": 2}}}


@pytest.mark.parametrize("place", FAIL_AT)
@pytest.mark.parametrize(
    ("sqlstate", "expected", "runs"),
    [
        ("40P01", "CONFLICT", 3),
        ("55P03", "CONFLICT", 1),
        ("23514", "VALIDATION_ERROR", 1),
        ("XX000", "INTERNAL_SERVER_ERROR", 1),
    ],
)
async def test_mutation_that_the_store_refuses_changes_nothing(
    caller: Caller, store: asyncpg.Connection, place: str, sqlstate: str, expected: str, runs: int
) -> None:
    await fail_at(store, place, 9, sqlstate)
    response = await caller.post(UPDATE, {"status": "PROCESSING"}, key=KEY)
    assert code(response) == expected
    assert response.json()["errors"][0]["path"] == ["shipmentUpdate"]
    assert "failed" not in response.text
    assert await store.fetchval("SELECT last_value FROM failures") == runs
    assert await store.fetchval("SELECT status FROM shipments WHERE id = $1", SHIPMENT) == "CREATED"
    assert await store.fetchval("SELECT count(*) FROM idempotency_keys") == 0


WITH_TYPENAME = [
    "mutation($status: ShipmentStatus) { __typename FIELD }",
    "mutation($status: ShipmentStatus) { type: __typename FIELD __typename }",
    "mutation($status: ShipmentStatus) { ...F } fragment F on Mutation { __typename FIELD }",
    "mutation($status: ShipmentStatus) { ... on Mutation { FIELD } ... @include(if: true) { __typename } }",
]
FIELD = UPDATE.partition("{")[2].rpartition("}")[0]


@pytest.mark.parametrize("query", WITH_TYPENAME)
async def test_mutation_with_typename_is_done_once_and_replayed(
    caller: Caller, store: asyncpg.Connection, query: str
) -> None:
    first = await caller.post(query.replace("FIELD", FIELD), {"status": "PROCESSING"}, key=KEY)
    again = await caller.post(query.replace("FIELD", FIELD), {"status": "PROCESSING"}, key=KEY)
    data = first.json()["data"]
    assert data.pop("shipmentUpdate") == {"status": "PROCESSING", "version": 2}
    assert set(data.values()) == {"Mutation"}
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert await store.fetchval("SELECT version FROM shipments WHERE id = $1", SHIPMENT) == 2


@pytest.mark.parametrize("place", FAIL_AT)
@pytest.mark.parametrize(("sqlstate", "expected"), [("40P01", "CONFLICT"), ("23514", "VALIDATION_ERROR")])
async def test_mutation_with_typename_that_the_store_refuses_changes_nothing(
    caller: Caller, store: asyncpg.Connection, place: str, sqlstate: str, expected: str
) -> None:
    await fail_at(store, place, 9, sqlstate)
    response = await caller.post(WITH_TYPENAME[1].replace("FIELD", FIELD), {"status": "PROCESSING"}, key=KEY)
    assert code(response) == expected
    assert response.json()["errors"][0]["path"] == ["shipmentUpdate"]
    assert await store.fetchval("SELECT status FROM shipments WHERE id = $1", SHIPMENT) == "CREATED"
    assert await store.fetchval("SELECT count(*) FROM idempotency_keys") == 0


async def test_mutation_with_typename_that_met_a_deadlock_runs_again(caller: Caller, store: asyncpg.Connection) -> None:
    await fail_at(store, "the write", 2, "40P01")
    response = await caller.post(WITH_TYPENAME[0].replace("FIELD", FIELD), {"status": "PROCESSING"}, key=KEY)
    shipment = {"status": "PROCESSING", "version": 2}
    assert response.json() == {"data": {"__typename": "Mutation", "shipmentUpdate": shipment}}


async def test_mutation_with_typename_alone_writes_nothing_and_keeps_no_key(
    caller: Caller, store: asyncpg.Connection
) -> None:
    response = await caller.post("mutation { __typename }", key=KEY)
    assert response.json() == {"data": {"__typename": "Mutation"}}
    assert await store.fetchval("SELECT count(*) FROM idempotency_keys") == 0


@pytest.mark.parametrize("second", ["other: shipmentUpdate(id: %r, input: {note: 1}) { id }", "carrierDelete(id: 8)"])
async def test_second_mutation_is_refused_beside_typename_too(
    caller: Caller, store: asyncpg.Connection, second: str
) -> None:
    query = WITH_TYPENAME[0].replace("FIELD", FIELD + second.replace("%r", f'"{SHIPMENT}"'))
    response = await caller.post(query, {"status": "PROCESSING"}, key=KEY)
    [error] = response.json()["errors"]
    assert (error["extensions"]["code"], "data" in response.json()) == ("LIMIT_EXCEEDED", False)
    assert "2 root fields" in error["message"]
    assert await store.fetchval("SELECT version FROM shipments WHERE id = $1", SHIPMENT) == 1
    assert await store.fetchval("SELECT count(*) FROM carriers WHERE id = 8") == 1


def test_no_mutation_answers_with_a_text() -> None:
    """So a text in an answer's data is `__typename`, and the path of what the commit refuses leads elsewhere."""
    schema = executable_schema()
    assert schema.mutation_type
    for name, field in schema.mutation_type.fields.items():
        answer = get_named_type(field.type)
        assert isinstance(answer, GraphQLObjectType) or answer in (GraphQLBoolean, GraphQLInt), name


async def test_mutation_whose_answer_cannot_be_read_is_taken_back(caller: Caller, store: asyncpg.Connection) -> None:
    """The field that fails is nullable, so that there would be data, and the transaction could not keep it."""
    await store.execute("ALTER TABLE carriers RENAME TO couriers")
    query = 'mutation { shipmentUpdate(id: "%s", input: {status: PROCESSING}) { trackAndTraces { carrier { id } } } }'
    response = await caller.post(query % SHIPMENT, key=KEY)
    assert code(response) == "INTERNAL_SERVER_ERROR"
    assert await store.fetchval("SELECT status FROM shipments WHERE id = $1", SHIPMENT) == "CREATED"
    assert await store.fetchval("SELECT count(*) FROM idempotency_keys") == 0


async def test_cancelled_request_changes_nothing_and_gives_its_connection_back(
    demo_copy_dsn: str, store: asyncpg.Connection
) -> None:
    async with processes(demo_copy_dsn, pool_size=1) as (caller,):
        async with store.transaction():
            await store.execute("SELECT FROM order_items WHERE id = 20155 FOR UPDATE")
            before = await shipments(store)
            request = asyncio.create_task(caller.post(CREATE, ONE_OF_20155, key=KEY))
            await until_blocked(store)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
        assert "errors" not in (await caller.post("{ orderStatuses { itemsFound } }")).json()
        assert await shipments(store) == before
        assert "errors" not in (await caller.post(CREATE, ONE_OF_20155, key=KEY)).json()


async def test_line_is_never_overshipped_by_many_requests(demo_copy_dsn: str, store: asyncpg.Connection) -> None:
    async with processes(demo_copy_dsn, 2) as callers:
        requests: list[Awaitable[httpx.Response]] = [callers[n % 2].post(CREATE, ONE_OF_20155) for n in range(12)]
        answers = await asyncio.gather(*requests)
    refusals = [answer for answer in answers if "errors" in answer.json()]
    assert len(answers) - len(refusals) == 4
    assert {code(answer) for answer in refusals} == {"VALIDATION_ERROR"}
    assert {answer.json()["errors"][0]["extensions"]["path"] for answer in refusals} == {"input.items.0.quantity"}
    assert await breaches(demo_copy_dsn) == {}
