"""Explanations are of what runs: the same SQL and the same generated code as with a database, which they do without."""

import re
from pathlib import Path
from typing import Any

import pytest

from app.explain import Unexplained, explain
from app.postgres.database import Database
from app.postgres.pool import Pool
from sql import Reach
from tests.conftest import GraphQL

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "executor.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
QUERIES = {path.stem: path.read_text("utf-8") for path in (ROOT / "bench" / "queries").glob("*.graphql")}
VARIABLES: dict[str, dict[str, Any]] = {
    "q1": {"input": {"statuses": ["IN_TRANSIT"], "page": 1, "offset": 12}},
    "q2": {"orderId": 2075},
    "q3": {"id": "00000000-0000-0000-0000-000000000001"},
    "q4": {"order": 2075},
    "q5": {},
    "q6": {},
}
# Those that are not asked by staff: by whom, and how far that one sees.
ASKED_BY = {"q5": ("john", Reach.CUSTOMER), "q6": ("outsider", Reach.CONTACT)}


def tiers(text: str) -> dict[str, str]:
    """The tier of each field by its key; keys are told apart by the test."""
    return dict(re.findall(r"^ *(\w+) +(resolver|generated|synchronous|layered) ", text, re.MULTILINE))


def statement_of(text: str, root: str) -> str:
    [found] = re.findall(rf"^-- {root}: .*statement.*\n\n((?:.*\n)*?)(?=\n-- |\Z)", text, re.MULTILINE)
    return str(found).strip()


async def test_the_query_of_the_readme_is_generated_but_for_its_root() -> None:
    document = re.search(r"```graphql\n(.*?)```", README, re.DOTALL)
    assert document is not None
    text = await explain(document[1], {})
    assert tiers(text) == {key: "resolver" if key == "order" else "generated" for key in tiers(text)}
    assert len(tiers(text)) == 14  # some keys stand in several places
    assert "6 statements in one" in text
    assert "def make(row, run):" in text
    assert "order.fulfillment_by_order_ids" in text


@pytest.mark.parametrize("name", QUERIES)
async def test_what_is_explained_is_what_is_sent(
    name: str, graphql: GraphQL, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, variables = QUERIES[name], VARIABLES[name]
    viewer, reach = ASKED_BY.get(name, ("staff", Reach.EVERYTHING))
    sent: list[str] = []
    fetch = Pool.fetch

    async def noted(self: Pool, text: str, *arguments: object) -> object:
        sent.append(text)
        return await fetch(self, text, *arguments)

    monkeypatch.setattr(Pool, "fetch", noted)
    for _ in range(3):  # by then a document has a statement of its own
        await graphql(document, variables, viewer=viewer)
    text = await explain(document, variables, reach)
    [root] = re.findall(r"^(\w+) +resolver", text, re.MULTILINE)
    assert statement_of(text, root) in sent


async def test_what_is_not_generated_says_why() -> None:
    text = await explain("{ order(orderId: 1) { id addresses { city } } orders { items { id } page } }", {})
    assert "objects layered (addresses has arguments)" in text
    assert "objects synchronous (items is not read off a row)" in text


async def test_pages_of_what_hangs_on_a_page_are_in_its_statement() -> None:
    document = """query($size: Int, $after: String) {
      customerOrders { edges { node { items(first: $size, after: $after) { totalCount edges { node { sku } } } } } }
    }"""
    text = await explain(document, {"size": 5}, Reach.CUSTOMER)
    assert "items                              synchronous  a page of rows joined by key" in text
    assert "-- customerOrders: 3 statements in one" in text
    # A cursor belongs to one parent: such a page is left to loaders.
    assert "-- customerOrders: a statement" in await explain(document, {"after": "x"}, Reach.CUSTOMER)


async def test_each_reach_has_its_own_text() -> None:
    texts = {await explain("{ orders { items { id } } }", {}, reach) for reach in Reach}
    assert len(texts) == len(Reach)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{ __schema { description } }", "query: run by graphql-core alone: introspection"),
        ("subscription S { nothing }", None),
        ("{ carrier(id: 1) { name } }", "-- carrier: a statement"),
        ("{ orders { page } }", "-- orders: no statement, it asks the database nothing before a field below it does"),
        ('{ order(orderId: 1, orderUUID: "x") { id } }', "-- order: no statement, it refuses its arguments: orderId"),
        ("mutation { orderSetStatus(input: {orderId: 1}) { id } }", "-- orderSetStatus: no statement, it writes"),
        ('{ customerOrder(id: "1") { id } }', "-- customerOrder: a statement"),
        ("{ order(orderId: 1) { ", None),
        ("query($id: Int!) { order(orderId: $id) { id } }", None),
    ],
)
async def test_every_document_is_explained_or_refused(document: str, told: str | None) -> None:
    if told is None:
        with pytest.raises(Unexplained):
            await explain(document, {})
    else:
        assert told in await explain(document, {})


async def test_the_page_shows_what_is_printed() -> None:
    document = re.search(r"echo '(.*)' > order.graphql", PAGE)
    shown = re.search(r"```\n(query: run by a plan\n.*?)```", PAGE, re.DOTALL)
    assert document is not None
    assert shown is not None
    assert (await explain(document[1], {})).startswith(shown[1])
