"""No statement reads a tenant-owned table without the viewer's predicate."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

import sql
from sql import Reach, Statement
from sql.visibility import POLICIES, predicate
from tests.statements import nouns

# Tables that belong to nobody, or that are read to find out who is asking and what the store knows.
OPEN_TABLES = {
    *("carrier_descriptions", "shipment_status_successors"),
    *("order_statuses", "order_status_sets", "order_status_successors"),
}
# How many commits there were is nobody's secret; what they wrote is in `changes`.
OPEN_TABLES |= {"transactions"}
# What is read before there is a viewer, by the viewer's own name, or by what runs for the operator.
WITHOUT_VIEWER = {"viewer", "storefront_key", "customer_session", "login_attempt", "write", "ingest", "migration"}
# What waits for its code is for nobody to read.
WITHOUT_VIEWER |= {"waiting_report", "password_link", "customer_account"}
TABLE = re.compile(r"(?:\b(?:FROM|JOIN)|^\s*UPDATE)\s+([a-z_]+)\s+(?:AS\s+)?([a-z]+)\b", re.IGNORECASE | re.MULTILINE)
# What a statement names itself, from tables that are judged where it reads them.
NAMED_HERE = re.compile(r"\b([a-z_]+) AS \(")
VISIBLE = re.compile(r"\{visible (\w+) (\w+)\}")

NOUNS = [noun for noun in nouns() if noun not in WITHOUT_VIEWER]
# Every text that is written by hand: a statement's own, its variants', and what is put into them.
TEXTS = [
    pytest.param(text, id=f"{noun}.{name}")
    for noun in NOUNS
    for file in [sql.load(noun)]
    for name, text in [
        *((name, statement.template) for name, statement in file.statements.items()),
        *(
            (f"{name}.variant{place}", variant.template)
            for name, statement in file.statements.items()
            for place, variant in enumerate(statement.variants)
        ),
        *file.parts.fragments.items(),
    ]
]


def _read(text: str) -> list[tuple[str, str]]:
    """The tables that a text reads, each with its alias."""
    return [(table, alias) for table, alias in TABLE.findall(text) if table not in ("unnest", "lateral")]


@pytest.mark.parametrize("statement", [s for noun in NOUNS for s in sql.load(noun).statements.values()], ids=str)
def test_statement_on_tenant_rows_says_who_may_see_them(statement: Statement) -> None:
    for template in (statement.template, *(variant.template for variant in statement.variants)):
        text = template + "".join(
            statement.parts.fragments.get(word, "") for word in re.findall(r"\{(\w+)\}", template)
        )
        if "{branches}" in text:
            text += statement.parts.fragments["branch"]
        tenant_tables = {table for table, _ in _read(text)} - set(NAMED_HERE.findall(text)) - OPEN_TABLES
        if tenant_tables:
            assert {table for table, _ in VISIBLE.findall(text)} & tenant_tables


@pytest.mark.parametrize("text", TEXTS)
def test_policy_is_that_of_the_table_which_bears_the_alias(text: str) -> None:
    named_here = set(NAMED_HERE.findall(text))
    read = _read(text)
    tables = {table for table, _ in read}
    for table, alias in VISIBLE.findall(text):
        bearers = {bearer for bearer, called in read if called == alias}
        # What a statement names itself is made of the table's rows.
        assert table in bearers or (bearers and bearers <= named_here and table in tables)


def test_every_policy_is_of_a_table_that_is_read() -> None:
    used = {table for noun in NOUNS for table, _ in VISIBLE.findall(_whole(noun))}
    assert used == set(POLICIES)


def _whole(noun: str) -> str:
    return files("sql").joinpath(f"{noun}.sql").read_text("utf-8")


@pytest.mark.parametrize("place", ["{visible p}", "{visible secrets s}", "{visible}", "{visible shipments}"])
def test_file_that_names_no_policy_is_refused(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unlucky.sql").write_text(f"-- name: all\nSELECT p.id FROM secrets p WHERE {place};\n")
    monkeypatch.setattr("sql.file.files", lambda _package: tmp_path)
    with pytest.raises(ValueError, match=re.escape(f"sql/unlucky.sql: {place}")):
        sql.load.__wrapped__("unlucky")


@pytest.mark.parametrize("reach", [reach for reach in Reach if reach is not Reach.EVERYTHING])
@pytest.mark.parametrize("table", sorted(POLICIES))
def test_predicate_compares_with_the_keys_of_the_viewer(reach: Reach, table: str) -> None:
    text = predicate(reach, table, "z")
    assert ":visible_channel_ids" in text
    if table == "outbox_events" and reach is not Reach.CHANNELS:
        assert text.endswith(" AND false")
    elif table not in ("products", "carriers"):
        assert (":visible_company_ids" in text) == (reach in (Reach.COMPANIES, Reach.CONTACT))
        assert (":visible_customer_id" in text) == (reach is Reach.CUSTOMER)
        assert ("is_public" in text) == (reach in (Reach.CONTACT, Reach.CUSTOMER))


def test_parameters_are_numbered_by_name_and_casts_are_no_parameters() -> None:
    prepared = sql.load("track_and_trace").by_shipment_ids.prepare(Reach.CHANNELS)
    assert prepared.parameters == ("shipment_ids", "visible_channel_ids")
    assert "ANY($1::uuid[])" in prepared.text
    assert "t.channel_id = ANY($2)" in prepared.text
    assert prepared.arguments({"visible_channel_ids": [1], "shipment_ids": ["x"], "other": 0}) == [["x"], [1]]
