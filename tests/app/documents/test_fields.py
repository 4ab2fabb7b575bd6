"""Which fields a document uses."""

import pytest
from graphql import build_schema, parse

from app.documents.fields import coordinates_of, fields_of

SCHEMA = build_schema(
    """
    type Query { order: Order, node: Node, any: Any }
    interface Node { id: ID }
    type Order implements Node { id: ID, total: Total, items: [Item!]! }
    type Item implements Node { id: ID, name: String }
    type Total { gross: Float }
    union Any = Order | Item
    input Search { term: String }
    """
)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("{ order { a: id total { gross } } }", {"Query.order", "Order.id", "Order.total", "Total.gross"}),
        ("{ __typename __schema { types { name } } }", set()),
        ("{ node { id } }", {"Query.node", "Node.id", "Order.id", "Item.id"}),
        ("{ any { __typename ... on Item { name } } }", {"Query.any", "Item.name"}),
        ("{ node { ...F } } fragment F on Node { ... on Order { id } }", {"Query.node", "Order.id"}),
        (
            "query A { order { id } } query B { node { id } }",
            {"Query.order", "Query.node", "Order.id", "Node.id", "Item.id"},
        ),
    ],
)
def test_fields_are_those_that_are_selected_anywhere(text: str, fields: set[str]) -> None:
    found = fields_of(SCHEMA, parse(text))
    assert found == sorted(found)
    assert {each for each in found if not each.startswith("__")} == fields


def test_field_is_asked_for_by_its_coordinate_and_a_type_by_all_of_them() -> None:
    assert coordinates_of(SCHEMA, "Order.total") == ["Order.total"]
    assert coordinates_of(SCHEMA, "Node") == ["Node.id"]
    for asked in ("Order.totals", "Orders", "Any", "Order.", "", "ID", "Search.terms"):
        with pytest.raises(LookupError):
            coordinates_of(SCHEMA, asked)
