"""`make where` finds the whole way of every kind of field."""

import pytest

from tests.where import where


@pytest.mark.parametrize(
    ("field", "way"),
    [
        (
            "TrackAndTrace.code",
            ["schema    schema.graphql:", "column    code", "sql/track_and_trace.sql:", "by_shipment_ids"],
        ),
        (
            "trackingUrl",
            ["computed  app/resolvers/tracking.py:", "column    code", "carrier_by_id", "sql/carrier.sql:"],
        ),
        ("Shipment.items", ["key       id", "loaders/shipment_item.py:", "sql/shipment_item.sql:"]),
        (
            "Query.carriers",
            ["resolver  app/resolvers/b2b/carrier.py:", "test      tests/app/resolvers/b2b/test_carrier"],
        ),
        ("Query.order", ["order_by_id", "sql/order.sql:", "by_uuid"]),
        ("Query.orders", ["resolver  app/resolvers/b2b/order.py:", "page", "count"]),
        ("Query.customerOrder", ["resolver  app/resolvers/customer/order.py:", "sql/customer_order.sql:", "by_id"]),
        ("Mutation.shipmentCreate", ["lock_for_shipment", "sql/shipment.sql:", "create"]),
        ("Order.shipments", ["declared  app/resolvers/b2b/order.py:", "shipments_by_order"]),
        (
            "Order.fulfillmentStatus",
            [
                "declared  app/resolvers/b2b/order.py:",
                "computed  app/resolvers/fulfillment.py:",
                "fulfillment_by_order",
            ],
        ),
    ],
)
def test_the_way_of_a_field_is_told(field: str, way: list[str]) -> None:
    told = "\n".join(where(field))
    assert [step for step in way if step not in told] == []


def test_a_name_stands_for_the_fields_of_all_types() -> None:
    assert {"Shipment.id: String!", "Carrier.id: Int!"} <= set(where("id"))


def test_an_unknown_field_has_no_way() -> None:
    assert list(where("nothing")) == list(where("Shipment.nothing")) == list(where("Nothing.id")) == []
