"""No statement reads a tenant-owned table without the viewer's predicate."""

import re

import pytest

import sql
from sql import Reach, Statement
from sql.visibility import predicate

# Tables that belong to nobody, or that are read to find out who is asking and what the store knows.
OPEN_TABLES = {
    *("carriers", "carrier_descriptions", "shipment_status_successors"),
    *("order_statuses", "order_status_sets", "order_status_successors"),
}
# How many commits there were is nobody's secret; what they wrote is in `changes`.
OPEN_TABLES |= {"transactions"}
# What is read before there is a viewer, by the viewer's own name, or by the import, which runs for the operator.
WITHOUT_VIEWER = {"viewer", "storefront_key", "customer_session", "login_attempt", "write", "ingest"}
TABLE = re.compile(r"(?:\b(?:FROM|JOIN)|^UPDATE)\s+([a-z_]+)\s+(?:AS\s+)?[a-z]+\b", re.IGNORECASE | re.MULTILINE)
# What a statement names itself, from tables that are judged where it reads them.
NAMED_HERE = re.compile(r"\b([a-z_]+) AS \(")

STATEMENTS = [
    statement for noun in sql.nouns() if noun not in WITHOUT_VIEWER for statement in sql.load(noun).statements.values()
]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: f"{statement.noun}.{statement.name}")
def test_statement_on_tenant_rows_says_who_may_see_them(statement: Statement) -> None:
    read = set(TABLE.findall(statement.template)) - set(NAMED_HERE.findall(statement.template))
    tenant_tables = read - OPEN_TABLES - {"unnest", "lateral"}
    if tenant_tables:
        assert "{visible " in statement.template


@pytest.mark.parametrize("reach", [reach for reach in Reach if reach is not Reach.EVERYTHING])
@pytest.mark.parametrize("alias", ["o", "s", "i", "p", "h"])
def test_predicate_compares_with_the_keys_of_the_viewer(reach: Reach, alias: str) -> None:
    assert ":scope_channel_ids" in predicate(reach, alias)
    if alias != "p":
        assert (":scope_company_ids" in predicate(reach, alias)) == (reach in (Reach.COMPANIES, Reach.CONTACT))
        assert (":scope_customer_id" in predicate(reach, alias)) == (reach is Reach.CUSTOMER)
        assert ("is_public" in predicate(reach, alias)) == (reach in (Reach.CONTACT, Reach.CUSTOMER))


def test_parameters_are_numbered_by_name_and_casts_are_no_parameters() -> None:
    prepared = sql.load("track_and_trace").by_shipment_ids.prepare(Reach.CHANNELS)
    assert prepared.parameters == ("shipment_ids", "scope_channel_ids")
    assert "ANY($1::uuid[])" in prepared.text
    assert "t.channel_id = ANY($2)" in prepared.text
    assert prepared.arguments({"scope_channel_ids": [1], "shipment_ids": ["x"], "other": 0}) == [["x"], [1]]
