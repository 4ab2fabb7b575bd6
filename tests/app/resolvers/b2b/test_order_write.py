"""Setting the status of orders: row B-56 of the contract."""

from typing import Any

import pytest

from tests.app.resolvers.b2b.conftest import Refused
from tests.conftest import GraphQL

# Order 2075 is CONFIRMED: COMPLETED, ARCHIVED, CANCELED and FRAUD may follow. Its payment is OPEN.
ORDER = 2075
FIELDS = """
  id status statusDate lastModifiedAt version paymentData { status statusDate } orderStatus { code }
  items { id quantityShipped } shipments { id items { id } } total { gross } fulfillmentStatus
"""
SET = f"""mutation($input: OrderSetStatusInput!, $ifVersion: Int) {{
  orderSetStatus(input: $input, ifVersion: $ifVersion) {{ {FIELDS} }}
}}"""
READ = f"query($id: Int!) {{ order(orderId: $id) {{ {FIELDS} }} }}"


async def read(write: GraphQL) -> Any:
    return (await write(READ, {"id": ORDER}))["data"]["order"]


async def test_order_set_status_answers_as_a_query_would(written: GraphQL, write: GraphQL) -> None:
    before = await read(write)
    after = await written(SET, input={"orderId": ORDER, "status": "COMPLETED"})
    assert after == await read(write)
    assert {field for field in before if before[field] != after[field]} == {
        *("status", "statusDate", "orderStatus", "lastModifiedAt", "version")
    }
    assert (after["status"], after["orderStatus"], after["version"]) == (
        *("COMPLETED", {"code": "COMPLETED"}, before["version"] + 1),
    )
    assert after["statusDate"] == after["lastModifiedAt"] > before["lastModifiedAt"]


async def test_order_set_status_sets_the_status_of_the_payment(written: GraphQL, write: GraphQL) -> None:
    before = await read(write)
    after = await written(SET, input={"orderId": ORDER, "payStatus": "PAID"})
    assert after["paymentData"] == {"status": "PAID", "statusDate": after["lastModifiedAt"]}
    assert (after["status"], after["statusDate"]) == (before["status"], before["statusDate"])


async def test_order_set_status_sets_both_at_once(written: GraphQL) -> None:
    order = await written(SET, input={"orderId": ORDER, "status": "CANCELED", "payStatus": "REFUNDED"})
    assert (order["status"], order["paymentData"]["status"]) == ("CANCELED", "REFUNDED")
    assert order["fulfillmentStatus"] == "CANCELED"


@pytest.mark.parametrize(
    "input",
    [
        {},
        {"status": None, "payStatus": None},
        {"status": "CONFIRMED", "payStatus": "OPEN"},
        dict.fromkeys(
            ["sendOrderConfirmationEmail", "addPDFAttachment", "triggerOrderSendConfirmEvent", "deleteCart"], True
        ),
    ],
    ids=str,
)
async def test_order_set_status_with_what_is_there_already_writes_nothing(
    written: GraphQL, write: GraphQL, input: dict[str, Any]
) -> None:
    before = await read(write)
    assert await written(SET, input={"orderId": ORDER, **input}) == before


@pytest.mark.parametrize(
    ("input", "path", "code"),
    [
        ({"orderId": 999}, "orderId", "ORDER_NOT_FOUND"),
        ({"status": "SHIPPED"}, "status", "VALIDATION_ERROR"),
        ({"status": ""}, "status", "VALIDATION_ERROR"),
        ({"status": "NEW"}, "status", "ORDER_STATUS_TRANSITION_NOT_ALLOWED"),
        ({"status": "NEW", "payStatus": "PAID"}, "status", "ORDER_STATUS_TRANSITION_NOT_ALLOWED"),
        ({"payStatus": ""}, "payStatus", "VALIDATION_ERROR"),
        ({"payStatus": "x" * 256, "status": "COMPLETED"}, "payStatus", "VALIDATION_ERROR"),
    ],
    ids=str,
)
async def test_order_set_status_refuses_what_breaks_a_rule(
    refused: Refused, input: dict[str, Any], path: str, code: str
) -> None:
    extensions = await refused(SET, input={"orderId": ORDER, **input})
    assert (extensions["path"], extensions["code"]) == (f"input.{path}", code)
    assert extensions["rule"]


async def test_order_set_status_follows_the_next_statuses_that_a_query_shows(
    written: GraphQL, write: GraphQL, refused_after: Refused
) -> None:
    document = "{ orderStatuses(input: {offset: 100}) { items { code nextStatuses { items { code } } } } }"
    statuses = (await write(document))["data"]["orderStatuses"]["items"]
    next_codes = {row["code"]: {item["code"] for item in row["nextStatuses"]["items"]} for row in statuses}
    for status in ("CONFIRMED", "CANCELED"):
        for code in next_codes.keys() - next_codes[status] - {status}:
            extensions = await refused_after(SET, input={"orderId": ORDER, "status": code})
            assert extensions["code"] == "ORDER_STATUS_TRANSITION_NOT_ALLOWED"
        if status == "CONFIRMED":
            await written(SET, input={"orderId": ORDER, "status": "CANCELED"})
    assert (await written(SET, input={"orderId": ORDER, "status": "ARCHIVED"}))["status"] == "ARCHIVED"


async def test_order_of_another_version_is_a_conflict(written: GraphQL, refused_after: Refused) -> None:
    given = {"orderId": ORDER, "payStatus": "PAID"}
    extensions = await refused_after(SET, input=given, ifVersion=7)
    assert (extensions["code"], extensions["path"], extensions["version"]) == ("CONFLICT", "ifVersion", 1)
    assert (await written(SET, input=given, ifVersion=1))["version"] == 2
