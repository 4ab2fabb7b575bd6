"""A selection that goes around in circles, in a small schema and in ours."""

import pytest
from graphql import build_schema, parse

from app.asgi import executable_schema
from app.execution.circles import Circles
from app.execution.limits import LimitExceeded
from app.settings import Limits

OURS = Circles(executable_schema())
ABSTRACT = Circles(
    build_schema("""
    type Query { things: [Thing!] thing: Thing one: One }
    interface Thing { id: ID }
    type One implements Thing { id: ID others: [Any!] }
    type Two implements Thing { id: ID }
    union Any = One | Two
    type Lonely { self: Lonely }
    """)
)


def test_circles_lead_around_by_lists() -> None:
    """What else comes to be among them is bounded by this rule; the table in docs/limits.md names them."""
    assert OURS.types == {
        *("Carrier", "TrackAndTrace", "OrderStatus", "Order", "Shipment", "PurchaseAuthorizationConfig")
    }
    assert ABSTRACT.types == {"Any"}


@pytest.mark.parametrize(
    "document",
    [
        "{ carriers { items { trackAndTraces { carrier { name } } } } }",
        "{ shipments { items { trackAndTraces { carrier { trackAndTraces { code } } } } } }",
        "{ orderStatuses { items { nextStatuses { items { code } } previousStatuses { items { code } } } } }",
        "{ order(orderId: 1) { orderStatus { nextStatuses { items { code } } } } }",
        "{ carriers { items { ...F } } } fragment F on Carrier { trackAndTraces { ... { carrier { name } } } }",
        "{ a: carrier(id: 1) { trackAndTraces { code } } b: carrier(id: 2) { trackAndTraces { code } } __typename }",
        "{ __schema { types { fields { type { name } } } } }",
    ],
)
def test_way_back_is_open_once(document: str) -> None:
    OURS.check(parse(document), Limits())


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (
            "{ carriers { items { trackAndTraces { carrier { trackAndTraces { code } } } } } }",
            "Carrier.trackAndTraces comes back to TrackAndTrace: the way has 2",
        ),
        (
            "{ shipments { items { trackAndTraces { carrier { trackAndTraces { carrier { name } } } } } } }",
            "TrackAndTrace.carrier comes back to Carrier: the way has 2",
        ),
        (
            "{ orderStatuses { items { nextStatuses { items { previousStatuses { items { code } } } } } } }",
            "OrderStatusesResponse.items comes back to OrderStatus: the way has 2",
        ),
        (
            """{ carriers { items { ...F } } } fragment F on Carrier { trackAndTraces { ...G } }
            fragment G on TrackAndTrace { ... { carrier { ... on Carrier { a: trackAndTraces { code } } } } }""",
            "Carrier.trackAndTraces comes back to TrackAndTrace: the way has 2",
        ),
        (
            """query A { __typename }
            query B { carriers { items { trackAndTraces { carrier { trackAndTraces { code } } } } } }""",
            "Carrier.trackAndTraces comes back to TrackAndTrace: the way has 2",
        ),
    ],
)
def test_way_back_is_refused_when_it_was_taken(document: str, field: str) -> None:
    with pytest.raises(LimitExceeded, match=field):
        OURS.check(parse(document), Limits())
    OURS.check(parse(document), Limits(returns=2))


def test_way_through_abstract_types_is_counted() -> None:
    again = "others { ... on One { others { ... on One { others { __typename } } } } }"
    with pytest.raises(LimitExceeded, match=r"One\.others comes back to Any: the way has 2"):
        ABSTRACT.check(parse(f"{{ things {{ ... on One {{ {again} }} }} }}"), Limits())
