"""Recording what was paid back of orders (decision 23)."""

from typing import Any

import asyncpg
import pytest

from tests.app.resolvers.b2b.conftest import Refused
from tests.conftest import GraphQL

# Order 2075 is of 999.28 EUR; line 20151 is 4 of 28.21, 112.82 in all, and 20155 is 4, 624.36 in all.
ORDER, LINE, OTHER = 2075, 20151, 20155
FIELDS = """
  id orderId externalId amount amountExact currency reason createdAt
  items { orderItemId quantity amount amountExact currency }
"""
CREATE = f"""mutation($input: RefundCreateInput!, $ifVersion: Int) {{
  refundCreate(input: $input, ifVersion: $ifVersion) {{ {FIELDS} }}
}}"""
DELETE = "mutation($id: String!) { refundDelete(id: $id) }"
READ = f"""{{ order(orderId: 2075) {{
  version refunds {{ {FIELDS} }} total {{ refundedExact refundedMoney {{ amount currency minorUnits }} }}
  items {{ id quantityRefunded refundedExact }}
}} }}"""


async def read(write: GraphQL) -> Any:
    return (await write(READ))["data"]["order"]


def of_lines(order: Any) -> dict[int, tuple[int, str]]:
    return {
        line["id"]: (line["quantityRefunded"], line["refundedExact"])
        for line in order["items"]
        if line["quantityRefunded"] or line["refundedExact"] != "0.00"
    }


async def test_refund_create_answers_as_a_query_would(written: GraphQL, write: GraphQL) -> None:
    before = await read(write)
    items = [{"orderItemId": LINE, "quantity": 3}, {"orderItemId": OTHER, "amount": "10.5"}]
    refund = await written(CREATE, input={"orderId": ORDER, "items": items, "reason": "Broken", "externalId": "R-1"})
    order = await read(write)
    assert order["refunds"] == [refund]
    assert (refund["orderId"], refund["externalId"], refund["reason"]) == (ORDER, "R-1", "Broken")
    assert (refund["amount"], refund["amountExact"], refund["currency"]) == (95.12, "95.12", "EUR")
    assert refund["items"] == [
        {"orderItemId": LINE, "quantity": 3, "amount": 84.62, "amountExact": "84.62", "currency": "EUR"},
        {"orderItemId": OTHER, "quantity": 0, "amount": 10.5, "amountExact": "10.50", "currency": "EUR"},
    ]
    assert of_lines(order) == {LINE: (3, "84.62"), OTHER: (0, "10.50")}
    assert order["total"] == {
        "refundedExact": "95.12",
        "refundedMoney": {"amount": "95.12", "currency": "EUR", "minorUnits": 2},
    }
    assert order["version"] == before["version"] + 1


async def test_refund_of_an_amount_may_be_more_than_its_items_and_all_of_the_order(
    written: GraphQL, write: GraphQL
) -> None:
    items = [{"orderItemId": LINE, "quantity": 1}]
    await written(CREATE, input={"orderId": ORDER, "amount": "990", "items": items})
    await written(CREATE, input={"orderId": ORDER, "amount": "9.28"})
    order = await read(write)
    assert [refund["amountExact"] for refund in order["refunds"]] == ["990.00", "9.28"]
    assert order["total"]["refundedExact"] == "999.28"
    answer = await write(CREATE, {"input": {"orderId": ORDER, "amount": "0.01"}})
    assert answer["errors"][0]["extensions"]["path"] == "input.amount"


async def test_pieces_that_come_back_one_by_one_get_what_their_line_cost(
    written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute(
        "UPDATE order_items SET price_total = 1.01, price_total_net = 1.01, tax = 0 WHERE id = $1", LINE
    )
    one = {"orderId": ORDER, "items": [{"orderItemId": LINE, "quantity": 1}]}
    refunds = [await written(CREATE, input=one) for _piece in range(4)]
    assert [refund["amountExact"] for refund in refunds] == ["0.25", "0.26", "0.25", "0.25"]


async def test_refund_of_a_line_is_without_its_share_of_the_discount_of_the_order(
    written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("UPDATE orders SET sub_total = 200, discount_amount = 20 WHERE id = $1", ORDER)
    await copy_connection.execute(
        "UPDATE order_items SET price_total = 100, price_total_net = 110, tax = 9 WHERE id = $1", LINE
    )
    items = [{"orderItemId": LINE, "quantity": 2}]
    assert (await written(CREATE, input={"orderId": ORDER, "items": items}))["amountExact"] == "49.50"


async def test_refund_that_is_computed_is_no_more_than_is_left(written: GraphQL) -> None:
    await written(CREATE, input={"orderId": ORDER, "amount": "990"})
    items = [{"orderItemId": line, "quantity": 1} for line in (LINE, OTHER)]
    refund = await written(CREATE, input={"orderId": ORDER, "items": items})
    assert [item["amountExact"] for item in refund["items"]] == ["9.28", "0.00"]
    assert refund["amountExact"] == "9.28"


async def test_items_of_a_refund_are_no_more_than_its_amount(written: GraphQL) -> None:
    """What is computed shares what the given amounts leave, whichever comes first."""
    items = [{"orderItemId": LINE, "quantity": 1}, {"orderItemId": OTHER, "amount": "15"}]
    refund = await written(CREATE, input={"orderId": ORDER, "amount": "20", "items": items})
    assert (refund["amountExact"], [item["amountExact"] for item in refund["items"]]) == ("20.00", ["5.00", "15.00"])


async def test_items_of_refunds_are_no_more_than_what_is_left_of_their_line(
    written: GraphQL, refused_after: Refused
) -> None:
    await written(CREATE, input={"orderId": ORDER, "items": [{"orderItemId": LINE, "amount": "100"}]})
    more = await refused_after(CREATE, input={"orderId": ORDER, "items": [{"orderItemId": LINE, "amount": "12.83"}]})
    assert (more["code"], more["path"]) == ("VALIDATION_ERROR", "input.items.0.amount")
    rest = await written(CREATE, input={"orderId": ORDER, "items": [{"orderItemId": LINE, "quantity": 4}]})
    assert rest["amountExact"] == "12.82"


async def test_refund_of_given_items_is_no_more_than_is_left_of_the_order(
    written: GraphQL, refused_after: Refused
) -> None:
    await written(CREATE, input={"orderId": ORDER, "amount": "990"})
    more = await refused_after(CREATE, input={"orderId": ORDER, "items": [{"orderItemId": LINE, "amount": "9.29"}]})
    assert (more["code"], more["path"]) == ("VALIDATION_ERROR", "input.items")


async def test_refund_delete_takes_it_back(written: GraphQL, write: GraphQL) -> None:
    before = await read(write)
    refund = await written(CREATE, input={"orderId": ORDER, "items": [{"orderItemId": LINE, "quantity": 4}]})
    assert await written(DELETE, id=refund["id"]) is True
    assert await read(write) == {**before, "version": before["version"] + 2}


async def test_change_feed_tells_of_the_order(written: GraphQL, copy_connection: asyncpg.Connection) -> None:
    await written(CREATE, input={"orderId": ORDER, "amount": "1"})
    [told] = await copy_connection.fetch("SELECT type, new FROM changes ORDER BY id DESC LIMIT 1")
    assert (told["type"], "refundedTotal" in told["new"]) == ("ORDER", True)


async def test_change_feed_tells_of_the_order_once_for_each_refund(
    written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    """Of one without an amount too, which leaves the sum as it is."""
    versions = "SELECT version FROM changes WHERE type = 'ORDER' AND entity_id = '2075' ORDER BY id"
    first = await copy_connection.fetchval("SELECT version FROM orders WHERE id = 2075")
    before = len(await copy_connection.fetch(versions))
    items = [{"orderItemId": LINE, "quantity": 1, "amount": "0"}]
    refund = await written(CREATE, input={"orderId": ORDER, "amount": "0", "items": items})
    await written(CREATE, input={"orderId": ORDER, "amount": "1"})
    await written(DELETE, id=refund["id"])
    told = [row["version"] for row in await copy_connection.fetch(versions)]
    assert told[before:] == [first + 1, first + 2, first + 3]


@pytest.mark.parametrize(
    ("input", "code", "path"),
    [
        ({"orderId": 999, "amount": "1"}, "ORDER_NOT_FOUND", "input.orderId"),
        ({}, "VALIDATION_ERROR", "input.amount"),
        ({"items": []}, "VALIDATION_ERROR", "input.amount"),
        ({"amount": "0.001"}, "VALIDATION_ERROR", "input.amount"),
        ({"amount": "-1"}, "VALIDATION_ERROR", "input.amount"),
        ({"amount": "1e2"}, "VALIDATION_ERROR", "input.amount"),
        ({"amount": "NaN"}, "VALIDATION_ERROR", "input.amount"),
        ({"amount": "999.29"}, "VALIDATION_ERROR", "input.amount"),
        ({"amount": "1", "externalId": " "}, "VALIDATION_ERROR", "input.externalId"),
        ({"amount": "1", "externalId": "A\tB"}, "VALIDATION_ERROR", "input.externalId"),
        ({"amount": "1", "reason": "x" * 256}, "VALIDATION_ERROR", "input.reason"),
        ({"items": [{"orderItemId": 1, "quantity": 1}]}, "ORDER_ITEM_NOT_FOUND", "input.items.0.orderItemId"),
        ({"items": [{"orderItemId": LINE, "quantity": 5}]}, "VALIDATION_ERROR", "input.items.0.quantity"),
        ({"items": [{"orderItemId": LINE, "quantity": -1}]}, "VALIDATION_ERROR", "input.items.0.quantity"),
        ({"items": [{"orderItemId": LINE, "amount": "0.001"}]}, "VALIDATION_ERROR", "input.items.0.amount"),
        ({"items": [{"orderItemId": LINE, "amount": "112.83"}]}, "VALIDATION_ERROR", "input.items.0.amount"),
        (
            {"amount": "9", "items": [{"orderItemId": LINE, "amount": "9.01"}]},
            "VALIDATION_ERROR",
            "input.items.0.amount",
        ),
        (
            {"amount": "9", "items": [{"orderItemId": n, "amount": "5"} for n in (LINE, OTHER)]},
            "VALIDATION_ERROR",
            "input.items.1.amount",
        ),
        ({"items": [{"orderItemId": LINE}, {"orderItemId": LINE}]}, "VALIDATION_ERROR", "input.items.1.orderItemId"),
    ],
)
async def test_refund_create_refuses(refused: Refused, input: dict[str, Any], code: str, path: str) -> None:
    extensions = await refused(CREATE, input={"orderId": ORDER, **input})
    assert (extensions["code"], extensions["path"]) == (code, path)


async def test_refund_create_refuses_another_version(refused: Refused) -> None:
    extensions = await refused(CREATE, input={"orderId": ORDER, "amount": "1"}, ifVersion=99)
    assert extensions["code"] == "CONFLICT"


@pytest.mark.parametrize(
    ("viewer", "code"), [("outsider", "FORBIDDEN"), ("contact", "FORBIDDEN"), (None, "UNAUTHENTICATED")]
)
async def test_refund_create_needs_the_permission(refused: Refused, viewer: str | None, code: str) -> None:
    extensions = await refused(CREATE, viewer=viewer, input={"orderId": ORDER, "amount": "1"})
    assert extensions["code"] == code


async def test_refunds_of_others_do_not_exist(written: GraphQL, write: GraphQL, refused_after: Refused) -> None:
    refund = await written(CREATE, input={"orderId": ORDER, "amount": "1", "externalId": "R-1"})
    again = await refused_after(CREATE, input={"orderId": ORDER, "amount": "1", "externalId": "R-1"})
    assert (again["code"], again["path"]) == ("VALIDATION_ERROR", "input.externalId")
    foreign = await refused_after(CREATE, viewer="hofstra-writer", input={"orderId": ORDER, "amount": "1"})
    assert (foreign["code"], foreign["path"]) == ("ORDER_NOT_FOUND", "input.orderId")
    for key, viewer in (
        (refund["id"], "hofstra-writer"),
        ("00000000-0000-4000-8000-000000000000", "apikey"),
        ("x", "apikey"),
    ):
        assert (await refused_after(DELETE, viewer=viewer, id=key))["code"] == "REFUND_NOT_FOUND_ERROR"
    assert len((await read(write))["refunds"]) == 1
