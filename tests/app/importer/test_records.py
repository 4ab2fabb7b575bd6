"""Every rule of the import format refuses its line by the path and the reason, and nothing but `Refused` comes out."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.importer.reader import read
from app.importer.records import Channel, Known, Order, Refused

KNOWN = Known({"NEW", "CONFIRMED"}, {"shop"}, {(None, "Swift"): None})


def order() -> dict[str, Any]:
    return {
        "kind": "order",
        "externalId": "O-1",
        "channel": "shop",
        "status": "CONFIRMED",
        "currency": "EUR",
        "createdAt": "2024-03-01T09:00:00.000Z",
        "company": {"externalId": "ACME", "name": "Acme"},
        "customer": {"email": "ann@acme.example", "firstName": "Ann", "lastName": "Lee"},
        "addresses": [
            {"type": "delivery", "street": "Main St 1", "postalCode": "1011", "city": "Amsterdam", "country": "NL"}
        ],
        "items": [{"line": 1, "sku": "A-1", "name": "Anvil", "quantity": 3, "price": "10.00"}],
        "shipments": [
            {
                "externalId": "S-1",
                "items": [{"line": 1, "quantity": 2}],
                "trackAndTraces": [{"carrier": "Swift", "code": "T-1"}],
            }
        ],
    }


def check(text: bytes) -> None:
    read(text).check(KNOWN)


def refusal(text: bytes) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        check(text)
    return caught.value.path, caught.value.reason


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    record = order()
    change(record)
    return json.dumps(record).encode()


def test_order_of_the_right_shape_passes() -> None:
    record = read(json.dumps(order()).encode())
    record.check(KNOWN)
    assert isinstance(record, Order)
    assert record.key == ("order", "shop", "O-1")


def test_channel_is_known_to_the_records_after_it() -> None:
    known = Known({"CONFIRMED"}, set(), {(None, "Swift"): None})
    record = read(b'{"kind": "channel", "code": "shop", "name": "Shop", "currency": "EUR"}')
    assert isinstance(record, Channel)
    record.check(known)
    read(json.dumps(order()).encode()).check(known)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda r: r.update(kind="invoice"), "$.kind"),
        (lambda r: r.pop("items"), "$"),
        (lambda r: r.update(items=[]), "$.items"),
        (lambda r: r.update(colour="red"), "$"),
        (lambda r: r["items"][0].update(colour="red"), "$.items[0]"),
        (lambda r: r.update(externalId=""), "$.externalId"),
        (lambda r: r.update(externalId="x" * 256), "$.externalId"),
        (lambda r: r.update(channel="nowhere"), "$.channel"),
        (lambda r: r.update(status="LOST"), "$.status"),
        (lambda r: r.update(type="gift"), "$.type"),
        (lambda r: r.update(currency="eur"), "$.currency"),
        (lambda r: r.update(createdAt="2024-02-30T00:00:00Z"), "$.createdAt"),
        (lambda r: r.update(createdAt="2024-03-01T00:00:00"), "$.createdAt"),
        (lambda r: r.update(createdAt="0001-01-01T00:00:00Z"), "$.createdAt"),
        (lambda r: r.update(lastModifiedAt="9999-12-31T23:59:59-14:00"), "$.lastModifiedAt"),
        (lambda r: r["company"].update(parentExternalId="ACME"), "$.company.parentExternalId"),
        (lambda r: r["customer"].update(email="ann at acme"), "$.customer.email"),
        (lambda r: r["customer"].update(email="ann@acme.example\n"), "$.customer.email"),
        (lambda r: r["customer"].update(email="a" * 250 + "@acme.example"), "$.customer.email"),
        (lambda r: r["addresses"][0].update(country="XX"), "$.addresses[0].country"),
        (lambda r: r["addresses"][0].update(type="home"), "$.addresses[0].type"),
        (lambda r: r.update(shippingAmount="-1"), "$.shippingAmount"),
        (lambda r: r.update(shippingAmount=-1), "$.shippingAmount"),
        (lambda r: r["items"][0].update(price="-1e0"), "$.items[0].price"),
        (lambda r: r["items"][0].update(price="1" * 40), "$.items[0].price"),
        (lambda r: r["items"][0].update(price="1_000"), "$.items[0].price"),
        (lambda r: r["items"][0].update(price="٣"), "$.items[0].price"),
        (lambda r: r["items"][0].update(price="NaN"), "$.items[0].price"),
        (lambda r: r["items"][0].update(price=10.5), "$.items[0].price"),
        (lambda r: r["items"][0].update(discount="1.01"), "$.items[0].discount"),
        (lambda r: r["items"][0].update(discount=1.01), "$.items[0].discount"),
        (lambda r: r["items"][0].update(quantity=-1), "$.items[0].quantity"),
        (lambda r: r["items"][0].update(quantity=int("9" * 40)), "$.items[0].quantity"),
        (lambda r: r["items"][0].update(quantity=True), "$.items[0].quantity"),
        (lambda r: r["items"][0].update(line=0), "$.items[0].line"),
        (lambda r: r["items"][0].update(taxPercentage=101), "$.items[0].taxPercentage"),
        (lambda r: r["items"][0].update(name="x" * 256), "$.items[0].name"),
        (lambda r: r["items"][0].update(name="An\tvil"), "$.items[0].name"),
        (lambda r: r["items"][0].update(name="\u200b"), "$.items[0].name"),
        (lambda r: r["items"][0].update(sku=" "), "$.items[0].sku"),
        (lambda r: r.update(externalId="O-1\n"), "$.externalId"),
        (lambda r: r["company"].update(name="  "), "$.company.name"),
        (lambda r: r["addresses"][0].update(street="\n"), "$.addresses[0].street"),
        (lambda r: r["addresses"][0].update(firstName="An\tn"), "$.addresses[0].firstName"),
        (lambda r: r["addresses"][0].update(phone="1\n2"), "$.addresses[0].phone"),
        (lambda r: r["addresses"][0].update(postalCode="1234\u2028AB"), "$.addresses[0].postalCode"),
        (lambda r: r["customer"].update(firstName="Ann\n"), "$.customer.firstName"),
        (lambda r: r.update(reference="\t"), "$.reference"),
        (lambda r: r.update(shippingMethod="By\rair"), "$.shippingMethod"),
        (lambda r: r["shipments"][0]["trackAndTraces"][0].update(code=" "), "$.shipments[0].trackAndTraces[0].code"),
        (
            lambda r: r["shipments"][0].update(expectedDeliveryAt="2024-02-29T23:00:00Z"),
            "$.shipments[0].expectedDeliveryAt",
        ),
        (
            lambda r: r["shipments"][0].update(
                createdAt="2024-03-05T09:00:00Z", expectedDeliveryAt="2024-03-03T00:00:00Z"
            ),
            "$.shipments[0].expectedDeliveryAt",
        ),
        (lambda r: r["items"][0].update(name="An\0vil"), "$.items[0].name"),
        (lambda r: r["items"][0].update(name="An\ud800vil"), "$.items[0].name"),
        (lambda r: r["items"][0].update(additional={"deep": ["An\ud800vil"]}), "$.items[0].additional.deep[0]"),
        (lambda r: r["items"].append(r["items"][0]), "$.items[1].line"),
        (
            lambda r: r.update(items=[{**r["items"][0], "line": n, "lineId": "L"} for n in (1, 2)]),
            "$.items[1].lineId",
        ),
        (lambda r: r["shipments"].append(r["shipments"][0]), "$.shipments[1].externalId"),
        (lambda r: r["shipments"][0].update(status="SENT"), "$.shipments[0].status"),
        (lambda r: r["shipments"][0]["items"][0].update(line=9), "$.shipments[0].items[0].line"),
        (lambda r: r["shipments"][0]["items"][0].update(quantity=4), "$.shipments[0].items[0].quantity"),
        (lambda r: r["shipments"][0]["items"].append({"line": 1, "quantity": 3}), "$.shipments[0].items[1].quantity"),
        (
            lambda r: r["shipments"][0]["trackAndTraces"][0].update(carrier="Slow"),
            "$.shipments[0].trackAndTraces[0].carrier",
        ),
        (
            lambda r: r["shipments"][0]["trackAndTraces"][0].update(code="x" * 256),
            "$.shipments[0].trackAndTraces[0].code",
        ),
        (
            lambda r: r["shipments"][0]["trackAndTraces"].append({"carrier": "Swift", "code": "T-1"}),
            "$.shipments[0].trackAndTraces[1].code",
        ),
    ],
)
def test_order_is_refused_by_the_path_of_its_fault(change: Callable[[dict[str, Any]], object], path: str) -> None:
    assert refusal(changed(change))[0] == path


@pytest.mark.parametrize("text", ["Main St\n1", "Main\tSt", "Main St\r", "Main \u202eSt", "\u2067Main", "\x07", " "])
@pytest.mark.parametrize("field", ["street", "city"])
def test_address_is_of_one_line_that_reads_as_it_stands(field: str, text: str) -> None:
    path, reason = refusal(changed(lambda r: r["addresses"][0].update({field: text})))
    assert path == f"$.addresses[0].{field}"
    assert reason.startswith("expected a text that is not blank, without TAB")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda r, text: r["items"][0].update(name=text), "$.items[0].name"),
        (lambda r, text: r["items"][0].update(sku=text), "$.items[0].sku"),
        (lambda r, text: r["customer"].update(lastName=text), "$.customer.lastName"),
        (lambda r, text: r["customer"].update(email=f"{text}@a.example"), "$.customer.email"),
        (lambda r, text: r["company"].update(name=text), "$.company.name"),
        (lambda r, text: r["addresses"][0].update(company=text), "$.addresses[0].company"),
        (lambda r, text: r["addresses"][0].update(phone=text), "$.addresses[0].phone"),
        (lambda r, text: r.update(reference=text), "$.reference"),
        (
            lambda r, text: r["shipments"][0]["trackAndTraces"][0].update(code=text),
            "$.shipments[0].trackAndTraces[0].code",
        ),
    ],
)
def test_text_of_one_line_that_turns_is_refused(change: Callable[[Any, str], Any], path: str) -> None:
    assert refusal(changed(lambda r: change(r, "a\u202eb")))[0] == path


def test_phone_may_come_as_telephones_copy_it() -> None:
    phone = "\u202a+31 20 123 45 67\u202c"
    check(changed(lambda r: (r["customer"].update(phone=phone), r["addresses"][0].update(phone=phone))))


@pytest.mark.parametrize("code", ["---", "...", "#", "_"])
def test_code_of_punctuation_alone_is_refused(code: str) -> None:
    told = changed(lambda r: r["shipments"][0]["trackAndTraces"][0].update(code=code))
    reason = "must hold a letter or a digit"
    assert refusal(told) == ("$.shipments[0].trackAndTraces[0].code", reason)
    event = {"kind": "event", "code": code, "status": "IN_TRANSIT", "occurredAt": "2024-03-04T10:00:00Z"}
    assert refusal(json.dumps(event).encode()) == ("$.code", reason)


def test_promise_may_be_of_the_same_day() -> None:
    check(changed(lambda r: r["shipments"][0].update(expectedDeliveryAt="2024-03-01T00:00:00Z")))


def test_day_that_the_order_asked_for_may_have_passed_when_it_is_shipped() -> None:
    late = {"createdAt": "2024-03-09T09:00:00Z", "expectedDeliveryAt": "2024-03-05T00:00:00Z"}
    check(changed(lambda r: (r.update(requestedDeliveryAt="2024-03-05T00:00:00Z"), r["shipments"][0].update(late))))


@pytest.mark.parametrize("moment", ["2024-01-02T10:00Z", "2024-01-02 10:00:00+01:00", "2024-01-02t10:00:00z"])
def test_moment_may_be_written_as_iso_8601_has_it(moment: str) -> None:
    check(changed(lambda r: r.update(createdAt=moment, sourceModifiedAt=moment)))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda r, moment: r.update(createdAt=moment), "$.createdAt"),
        (lambda r, moment: r.update(sourceModifiedAt=moment), "$.sourceModifiedAt"),
        (lambda r, moment: r.update(lastModifiedAt=moment), "$.lastModifiedAt"),
        (lambda r, moment: r["shipments"][0].update(createdAt=moment), "$.shipments[0].createdAt"),
        (
            lambda r, moment: r.update(refunds=[{"externalId": "R-1", "amount": "1.00", "createdAt": moment}]),
            "$.refunds[0].createdAt",
        ),
    ],
)
def test_what_has_happened_lies_not_in_the_future(change: Callable[[Any, str], Any], path: str) -> None:
    """But a day, for those whose clock or zone is another."""
    now = datetime.now(UTC)
    soon, later = ((now + timedelta(hours=hours)).isoformat() for hours in (23, 25))
    check(changed(lambda r: change(r, soon)))
    assert refusal(changed(lambda r: change(r, later))) == (path, "must not lie more than a day in the future")


def test_promise_without_an_offset_is_in_utc_as_a_mutation_has_it() -> None:
    record = read(changed(lambda r: r["shipments"][0].update(expectedDeliveryAt="2099-01-02T10:00")))
    assert isinstance(record, Order)
    assert record.shipments
    assert record.shipments[0].expected_delivery_at == datetime(2099, 1, 2, 10, tzinfo=UTC)


def test_canceled_shipment_does_not_count() -> None:
    again = {"externalId": "S-2", "items": [{"line": 1, "quantity": 3}]}
    assert refusal(changed(lambda r: r["shipments"].append(again)))[0] == "$.shipments[1].items[0].quantity"
    check(changed(lambda r: r["shipments"].append({**again, "status": "CANCELED"})))


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": "x" * 65}, "$.name"),
        ({"name": ""}, "$.name"),
        ({"name": "  "}, "$.name"),
        ({"name": "Swi\tft"}, "$.name"),
        ({"trackAndTraceURL": "https://swift.example/a b/{code}"}, "$.trackAndTraceURL"),
        ({"trackAndTraceURL": "https://{code}.example/"}, "$.trackAndTraceURL"),
        ({"trackAndTraceURL": "https://swift.example/%s"}, "$.trackAndTraceURL"),
        ({"trackAndTraceURL": "https://swift.example/"}, "$.trackAndTraceURL"),
        ({"trackAndTraceURL": ""}, "$.trackAndTraceURL"),
        ({"logo": "https://swift.example/a b.svg"}, "$.logo"),
        ({"type": "DRONE"}, "$.type"),
        ({"trackAndTraceURL": "http://swift.example/{code}"}, "$.trackAndTraceURL"),
        ({"trackAndTraceURL": "https://swift.example/" + "x" * 255}, "$.trackAndTraceURL"),
        ({"logo": "javascript:alert(1)"}, "$.logo"),
        ({"descriptions": [{"language": "english"}]}, "$.descriptions[0].language"),
        ({"descriptions": [{"language": "EN"}, {"language": "EN"}]}, "$.descriptions[1].language"),
    ],
)
def test_carrier_is_refused_by_the_path_of_its_fault(fields: dict[str, Any], path: str) -> None:
    assert refusal(json.dumps({"kind": "carrier", "name": "Swift", **fields}).encode())[0] == path


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"kind": "carrier", "name": "Swift"} x', "not JSON"),
        (b"[]", "expected `object`"),
        (b"[" * 100_000, "expected `object`"),
        (b"\xff", "not UTF-8 (byte 0)"),
        (b'{"kind": "channel", "code": "\xff"}', "not UTF-8 (byte 29)"),
        (b'{"kind": "channel", "code": "a\0b"}', "NUL character (byte 30)"),
        (b'{"kind": "channel", "co\\u0000de": "a"}', "NUL character"),
        (b'{"kind": "carrier", "name": "\\udc00\\ud800"}', "surrogate"),
    ],
)
def test_line_that_is_no_record_is_refused(text: bytes, reason: str) -> None:
    assert reason in refusal(text)[1]


def test_line_that_is_too_deep_is_refused() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    text = changed(lambda r: r["items"][0].update(additional="DEEP")).replace(b'"DEEP"', deep)
    assert "deep" in refusal(text)[1]


def test_escaped_backslash_before_u0000_is_no_nul_character() -> None:
    check(changed(lambda r: r["items"][0].update(name="\\u0000")))


def test_words_of_a_record_cannot_reach_into_the_report() -> None:
    with pytest.raises(Refused) as caught:
        check(changed(lambda r: r.update({"\x1b[2J\n" + "x" * 500: 1})))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250
