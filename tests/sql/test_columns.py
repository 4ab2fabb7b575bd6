"""SDL, resolvers and columns agree: every object field has a resolver or a column of each query that feeds its type."""

import asyncpg
import pytest
from ariadne import ObjectType
from graphql import GraphQLObjectType

import sql
from app.asgi import executable_schema
from app.resolvers import bindables
from app.resolvers.names import snake_case
from sql import Reach, Statement
from tests.statements import nouns

RESOLVED = {
    (bindable.name, field)
    for bindable in bindables
    if isinstance(bindable, ObjectType)
    for field in bindable._resolvers
}
# The import's statements work on temporary tables that it makes itself, and those of migrations make tables; their own
# tests run them all.
STATEMENTS = [
    statement
    for noun in nouns()
    if noun not in ("ingest", "migration")
    for statement in sql.load(noun).statements.values()
]
# Nothing becomes these: the contract has them, the store does not (decision 13).
NEVER = {
    "BusinessHours",
    "Cluster",
    "ImageVariant",
    "Inventory",
    "LocalizedAttachment",
    "LocalizedStringArray",
    "MediaAttachment",
    "Warehouse",
    "WarehouseAddress",
}
# What the resolvers of subscriptions make of a change; tests/app/live has each of their fields.
EVENTS = {"ShipmentEvent", "OrderEvent", "CustomerOrderEvent", "TrackedOrderEvent", "WebhookEvent"}
# What resolvers make of other values than rows; tests/app/resolvers/b2b/test_webhook.py has each of their fields.
EVENTS |= {"WebhookHeader", "WebhookMessage"}


def _variants(statement: Statement) -> list[tuple[frozenset[str], tuple[str, ...]]]:
    """No filter and each alone; no sort but the id's and each alone."""
    filters = statement.parts.filters if "{filters}" in statement.template else ()
    sorts = statement.parts.sorts if "{order}" in statement.template else ()
    return [
        (frozenset(), ("ID ASC",)),
        *((frozenset({name}), ("ID ASC",)) for name in filters),
        *((frozenset(), (f"{name} DESC",)) for name in sorts),
    ]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: f"{statement.noun}.{statement.name}")
async def test_statement_is_understood_in_every_form(statement: Statement, connection: asyncpg.Connection) -> None:
    for reach in Reach:
        for filters, order in _variants(statement):
            prepared = statement.prepare(reach, filters, order)
            understood = await connection.prepare(prepared.text)
            assert len(understood.get_parameters()) == len(prepared.parameters)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: f"{statement.noun}.{statement.name}")
async def test_statement_that_may_be_sent_twice_changes_nothing(
    statement: Statement, connection: asyncpg.Connection
) -> None:
    prepared = statement.prepare(Reach.EVERYTHING, order=("ID ASC",))
    nothing = ", ".join(["NULL"] * len(prepared.parameters))
    async with connection.transaction():
        await connection.execute(f"PREPARE planned AS {prepared.text}")
        plan = await connection.fetch(f"EXPLAIN EXECUTE planned{f'({nothing})' if nothing else ''}")
        await connection.execute("DEALLOCATE planned")
    writing = ("Insert on", "Update on", "Delete on", "Merge on")
    if any(word in line["QUERY PLAN"] for line in plan for word in writing):
        assert not statement.is_read


def test_statements_that_only_read_are_known_as_such() -> None:
    reads = {f"{statement.noun}.{statement.name}" for statement in STATEMENTS if statement.is_read}
    assert {"shipment.page", "order.by_ids", "viewer.partner_by_id", "customer_session.by_ids", "change.page"} <= reads
    assert not {"login_attempt.take", "customer_session.open", "write.begin", "order.lock"} & reads


@pytest.mark.parametrize(
    ("statement", "type_name"),
    [(statement, type_name) for statement in STATEMENTS for type_name in statement.feeds],
    ids=lambda value: value if isinstance(value, str) else f"{value.noun}.{value.name}",
)
async def test_statement_feeds_every_field_of_its_type(
    statement: Statement, type_name: str, connection: asyncpg.Connection
) -> None:
    type_ = executable_schema().type_map[type_name]
    assert isinstance(type_, GraphQLObjectType)
    needed = {snake_case(field) for field in type_.fields if (type_.name, field) not in RESOLVED}

    prepared = await connection.prepare(statement.prepare(Reach.EVERYTHING, order=("ID ASC",)).text)

    assert needed <= {attribute.name for attribute in prepared.get_attributes()}


def test_every_object_type_is_fed_or_resolved() -> None:
    fed = {type_name for statement in STATEMENTS for type_name in statement.feeds}
    for type_ in executable_schema().type_map.values():
        if (
            isinstance(type_, GraphQLObjectType)
            and not type_.name.startswith("__")
            and type_.name not in fed | NEVER | EVENTS
        ):
            unresolved = [field for field in type_.fields if (type_.name, field) not in RESOLVED]
            assert not unresolved, f"{type_.name} has neither columns nor resolvers for {unresolved}"
