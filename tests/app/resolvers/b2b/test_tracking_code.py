"""Asking what a code may be, and being warned of one with a wrong check digit."""

from typing import Any

import pytest

from tests.conftest import GraphQL

CHECK = """query($code: String!, $carrierId: Int) {
  trackingCodeCheck(code: $code, carrierId: $carrierId) {
    carrier carrierCode product service isCheckDigitRight trackingUrl
  }
}"""
SHIPMENT = "65ad4404-88a6-4f97-9325-34a3a35f1dfc"
FEDEX = 2
ADD = "mutation($input: TrackAndTraceCreateInput!) { trackAndTraceCreate(input: $input) { code } }"
SHIP = "mutation($input: ShipmentCreateInput!) { shipmentCreate(input: $input) { id } }"


async def test_tracking_code_check_tells_carrier_product_check_digit_and_link(graphql: GraphQL) -> None:
    answer = await graphql(CHECK, {"code": "rb 123-456 785 gb"})
    assert answer["data"]["trackingCodeCheck"] == [
        {
            "carrier": "Royal Mail Group plc",
            "carrierCode": "s10",
            "product": "S10",
            "service": "Letter Post Registered",
            "isCheckDigitRight": True,
            "trackingUrl": None,
        }
    ]


async def test_tracking_code_check_of_a_carrier_tells_its_products_alone(graphql: GraphQL) -> None:
    anybodys = (await graphql(CHECK, {"code": "040000000000"}))["data"]["trackingCodeCheck"]
    own = (await graphql(CHECK, {"code": "040000000000", "carrierId": FEDEX}))["data"]["trackingCodeCheck"]
    assert {made["carrierCode"] for made in own} == {"fedex"} < {made["carrierCode"] for made in anybodys}
    assert own[0]["trackingUrl"] == "https://www.fedex.com/fedextrack/?trknbr=040000000000"


@pytest.mark.parametrize(
    ("variables", "path", "code"),
    [
        ({"code": " "}, "code", "VALIDATION_ERROR"),
        ({"code": "1", "carrierId": 4711}, "carrierId", "CARRIER_NOT_FOUND_ERROR"),
        ({"code": "1" * 256}, "code", "VALIDATION_ERROR"),
    ],
)
async def test_tracking_code_check_refuses_what_is_no_code(
    graphql: GraphQL, variables: dict[str, Any], path: str, code: str
) -> None:
    [error] = (await graphql(CHECK, variables))["errors"]
    assert (error["extensions"]["path"], error["extensions"]["code"]) == (path, code)


async def test_tracking_code_check_needs_a_viewer(graphql: GraphQL) -> None:
    [error] = (await graphql(CHECK, {"code": "1"}, viewer=None))["errors"]
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("code", "carrier_id", "is_warned"),
    [
        ("RB123456786GB", None, True),
        ("RB123456785GB", None, False),
        ("794698949841", FEDEX, True),
        ("794698949841", None, False),
        ("ANYTHING", FEDEX, False),
    ],
)
async def test_codes_with_a_wrong_check_digit_are_taken_with_a_warning(
    write: GraphQL, code: str, carrier_id: int | None, is_warned: bool
) -> None:
    given = {"code": code, "carrierId": carrier_id}
    answer = await write(ADD, {"input": {"shipmentId": SHIPMENT, **given}})
    assert answer["data"]["trackAndTraceCreate"]["code"] == code
    paths = [warning["path"] for warning in answer.get("extensions", {}).get("warnings", ())]
    assert paths == ["input.code"] * is_warned
    shipped = await write(SHIP, {"input": {"orderId": 2076, "items": [], "trackAndTraces": [{"code": "A"}, given]}})
    warnings = shipped.get("extensions", {}).get("warnings", ())
    assert [(warning["path"], warning["code"]) for warning in warnings] == [
        ("input.trackAndTraces.1.code", "CHECK_DIGIT")
    ] * ("errors" not in shipped and is_warned)
