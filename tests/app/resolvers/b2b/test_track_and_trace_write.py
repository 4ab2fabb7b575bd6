"""Adding, changing, moving and removing codes: rows B-54, B-57 and B-58 of the contract."""

import asyncio
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from tests.app.resolvers.b2b.conftest import Refused
from tests.conftest import GraphQL

SHIPMENT, CODE_ID, CODE = (
    *("65ad4404-88a6-4f97-9325-34a3a35f1dfc", "2d1860e6-e58c-41b8-b9d7-689b355b0c52", "3STEST1234567890"),
)
# Two shipments of another order, and a code of each; both are codes of carrier 3.
FIRST, SECOND = "5c6e4337-15ba-4bdd-9772-19d30e7a269f", "cf1822ff-bc68-4778-ab49-1044d5e34124"
FIRST_CODE, SECOND_CODE = "e06f291b-2a83-4af8-95c4-4a4eb3172062", "4da4daeb-4f3f-4777-bad1-f45ae9500ec9"
OF_A_THIRD = "4067c358-4ee2-47f8-9a94-e3e8ab73738f"
MISSING = "00000000-0000-4000-8000-000000000000"

FIELDS = "id shipmentId carrierId code createdAt lastModifiedAt version trackingUrl carrier { id name }"
CREATE = f"mutation($input: TrackAndTraceCreateInput!) {{ trackAndTraceCreate(input: $input) {{ {FIELDS} }} }}"
UPDATE = f"""mutation($id: String!, $input: TrackAndTraceUpdateInput!, $ifVersion: Int) {{
  trackAndTraceUpdate(id: $id, input: $input, ifVersion: $ifVersion) {{ {FIELDS} }}
}}"""
DELETE = "mutation($id: String!, $ifVersion: Int) { trackAndTraceDelete(id: $id, ifVersion: $ifVersion) }"
READ = f"query($id: String!) {{ trackAndTrace(id: $id) {{ {FIELDS} }} }}"


async def read(write: GraphQL, id: str) -> Any:
    return (await write(READ, {"id": id}))["data"]["trackAndTrace"]


async def shipment(write: GraphQL, id: str) -> Any:
    document = "query($id: String!) { shipment(id: $id) { version lastModifiedAt } }"
    return (await write(document, {"id": id}))["data"]["shipment"]


async def test_track_and_trace_create_answers_as_a_query_would(written: GraphQL, write: GraphQL) -> None:
    code = await written(CREATE, input={"shipmentId": SHIPMENT, "carrierId": 1, "code": "A 1"})
    assert code == await read(write, code["id"])
    assert (code["shipmentId"], code["code"], code["carrier"]["name"]) == (SHIPMENT, "A 1", "PostNL")
    assert code["trackingUrl"] == "https://postnl.nl/tracktrace/?B=A%201"


@pytest.mark.parametrize("input", [{}, {"carrierId": None}], ids=["left out", "null"])
async def test_track_and_trace_create_needs_no_carrier(written: GraphQL, input: dict[str, Any]) -> None:
    """The code is in use with carrier 1, and only there."""
    code = await written(CREATE, input={"shipmentId": SHIPMENT, "code": CODE, **input})
    assert (code["carrierId"], code["carrier"], code["trackingUrl"]) == (None, None, None)


@pytest.mark.parametrize(
    ("input", "path", "code"),
    [
        ({"shipmentId": "17"}, "shipmentId", "VALIDATION_ERROR"),
        ({"shipmentId": MISSING}, "shipmentId", "SHIPMENT_NOT_FOUND_ERROR"),
        ({"carrierId": 4711}, "carrierId", "VALIDATION_ERROR"),
        ({"code": ""}, "code", "VALIDATION_ERROR"),
        ({"code": "x" * 256}, "code", "VALIDATION_ERROR"),
        ({"code": CODE}, "code", "VALIDATION_ERROR"),
        ({"code": CODE, "shipmentId": SECOND}, "code", "VALIDATION_ERROR"),
        ({"code": "3s-test 1234567890", "shipmentId": SECOND}, "code", "VALIDATION_ERROR"),
        ({"code": "3s-test 1234567890"}, "code", "VALIDATION_ERROR"),
        ({"externalId": " "}, "externalId", "VALIDATION_ERROR"),
        ({"externalId": "x" * 256}, "externalId", "VALIDATION_ERROR"),
    ],
    ids=str,
)
async def test_track_and_trace_create_refuses_what_breaks_a_rule(
    refused: Refused, input: dict[str, Any], path: str, code: str
) -> None:
    extensions = await refused(CREATE, input={"shipmentId": SHIPMENT, "carrierId": 1, "code": "A", **input})
    assert (extensions["path"], extensions["code"]) == (f"input.{path}", code)
    assert extensions["rule"]


async def test_track_and_trace_create_of_one_code_by_two_succeeds_once(write: GraphQL) -> None:
    inputs = [{"shipmentId": key, "carrierId": 1, "code": "RACE"} for key in (SHIPMENT, SECOND, OF_A_THIRD) * 2]
    answers = await asyncio.gather(*(write(CREATE, {"input": given}) for given in inputs))
    refusals = [answer["errors"][0]["extensions"] for answer in answers if "errors" in answer]
    assert [(refusal["code"], refusal["path"]) for refusal in refusals] == [("VALIDATION_ERROR", "input.code")] * 5


async def test_track_and_trace_update_changes_only_what_is_given(written: GraphQL, write: GraphQL) -> None:
    before = await read(write, CODE_ID)
    after = await written(UPDATE, id=CODE_ID, input={"code": "B"})
    assert after == await read(write, CODE_ID)
    assert {field for field in before if before[field] != after[field]} == {
        *("code", "lastModifiedAt", "version", "trackingUrl")
    }


async def test_track_and_trace_update_takes_the_carrier_back_where_it_is_null(written: GraphQL) -> None:
    assert (await written(UPDATE, id=CODE_ID, input={"carrierId": None}))["carrier"] is None
    assert (await written(UPDATE, id=CODE_ID, input={"carrierId": 2}))["carrier"]["name"] == "FedEx"


@pytest.mark.parametrize("input", [{}, {"code": CODE, "carrierId": 1, "shipmentId": SHIPMENT}], ids=str)
async def test_track_and_trace_update_with_what_is_there_already_writes_nothing(
    written: GraphQL, write: GraphQL, input: dict[str, Any]
) -> None:
    before = await read(write, CODE_ID)
    assert await written(UPDATE, id=CODE_ID, input=input) == before


async def test_track_and_trace_update_moves_it_to_another_shipment_of_the_order(
    written: GraphQL, write: GraphQL
) -> None:
    former, target = await shipment(write, FIRST), await shipment(write, SECOND)
    code = await written(UPDATE, id=FIRST_CODE, input={"shipmentId": SECOND})
    assert code["shipmentId"] == SECOND
    for key, before in ((FIRST, former), (SECOND, target)):
        after = await shipment(write, key)
        assert after["lastModifiedAt"] > before["lastModifiedAt"]
        assert after["version"] > before["version"]


@pytest.mark.parametrize(
    ("id", "input", "path", "code"),
    [
        ("17", {}, "id", "TRACK_AND_TRACE_NOT_FOUND_ERROR"),
        (MISSING, {}, "id", "TRACK_AND_TRACE_NOT_FOUND_ERROR"),
        (CODE_ID, {"code": None}, "input.code", "VALIDATION_ERROR"),
        (CODE_ID, {"code": " "}, "input.code", "VALIDATION_ERROR"),
        (CODE_ID, {"code": "---"}, "input.code", "VALIDATION_ERROR"),
        (CODE_ID, {"code": "3S\u202e1"}, "input.code", "VALIDATION_ERROR"),
        (CODE_ID, {"code": "x" * 256}, "input.code", "VALIDATION_ERROR"),
        (CODE_ID, {"carrierId": 4711}, "input.carrierId", "VALIDATION_ERROR"),
        (CODE_ID, {"shipmentId": None}, "input.shipmentId", "VALIDATION_ERROR"),
        (CODE_ID, {"shipmentId": "17"}, "input.shipmentId", "VALIDATION_ERROR"),
        (CODE_ID, {"shipmentId": MISSING}, "input.shipmentId", "SHIPMENT_NOT_FOUND_ERROR"),
        (CODE_ID, {"shipmentId": FIRST}, "input.shipmentId", "VALIDATION_ERROR"),
        (SECOND_CODE, {"carrierId": 1, "code": CODE}, "input.code", "VALIDATION_ERROR"),
    ],
    ids=str,
)
async def test_track_and_trace_update_refuses_what_breaks_a_rule(
    refused: Refused, id: str, input: dict[str, Any], path: str, code: str
) -> None:
    extensions = await refused(UPDATE, id=id, input=input)
    assert (extensions["path"], extensions["code"]) == (path, code)
    assert extensions["rule"]


async def test_track_and_trace_delete_frees_the_code(written: GraphQL, refused_after: Refused) -> None:
    assert await written(DELETE, id=CODE_ID) is True
    extensions = await refused_after(DELETE, id=CODE_ID)
    assert (extensions["path"], extensions["code"]) == ("id", "TRACK_AND_TRACE_NOT_FOUND_ERROR")
    assert await written(CREATE, input={"shipmentId": FIRST, "carrierId": 1, "code": CODE})


async def test_shipment_is_modified_with_its_codes(written: GraphQL, write: GraphQL) -> None:
    """B-57."""
    seen = [await shipment(write, SHIPMENT)]
    code = await written(CREATE, input={"shipmentId": SHIPMENT, "code": "A"})
    seen.append(await shipment(write, SHIPMENT))
    await written(UPDATE, id=code["id"], input={"code": "B"})
    seen.append(await shipment(write, SHIPMENT))
    await written(DELETE, id=code["id"])
    seen.append(await shipment(write, SHIPMENT))
    for before, after in pairwise(seen):
        assert after["version"] > before["version"]
        assert after["lastModifiedAt"] > before["lastModifiedAt"]


@pytest.mark.parametrize(("document", "input"), [(UPDATE, {"code": "B"}), (DELETE, None)], ids=["update", "delete"])
async def test_track_and_trace_of_another_version_is_a_conflict(
    written: GraphQL, refused_after: Refused, document: str, input: dict[str, Any] | None
) -> None:
    given = {} if input is None else {"input": input}
    extensions = await refused_after(document, id=CODE_ID, ifVersion=7, **given)
    assert (extensions["code"], extensions["path"], extensions["version"]) == ("CONFLICT", "ifVersion", 1)
    assert await written(document, id=CODE_ID, ifVersion=1, **given)


SHARED = "3S-SHARED 1"


@pytest.mark.parametrize("code", ["3SSHARED1", "3s shared 1"])
async def test_track_and_trace_create_lets_shipments_of_one_consignee_share_a_code(written: GraphQL, code: str) -> None:
    """FIRST and SECOND are of one order."""
    ids = [
        (await written(CREATE, input={"shipmentId": key, "carrierId": 1, "code": text}))["id"]
        for key, text in ((FIRST, SHARED), (SECOND, code))
    ]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("consignee", "is_shared"),
    [
        ("UPDATE orders o SET company_id = p.company_id FROM orders p WHERE p.id = 2077 AND o.id = 2076", True),
        ("UPDATE orders o SET contact_id = p.contact_id FROM orders p WHERE p.id = 2077 AND o.id = 2076", True),
        ("UPDATE orders o SET email = upper(p.email) FROM orders p WHERE p.id = 2077 AND o.id = 2076", True),
        (
            "UPDATE order_addresses SET street = 'Kade', number = '1', postal_code = '1234 AB', city = 'Oss',"
            " company = NULL, last_name = 'Vos' WHERE type = 'delivery' AND order_id IN (2076, 2077)",
            True,
        ),
        (
            "UPDATE order_addresses SET street = 'Kade', number = '1', postal_code = '1234 AB', city = 'Oss',"
            " company = NULL, last_name = order_id WHERE type = 'delivery' AND order_id IN (2076, 2077)",
            False,
        ),
        ("UPDATE orders SET email = '' WHERE id IN (2076, 2077)", False),
    ],
    ids=["company", "contact", "e-mail", "door", "neighbours", "nothing known"],
)
async def test_track_and_trace_create_knows_the_consignee(
    write: GraphQL, copy_connection: asyncpg.Connection, consignee: str, is_shared: bool
) -> None:
    await copy_connection.execute(consignee)
    inputs = [{"shipmentId": key, "carrierId": 1, "code": SHARED} for key in (SECOND, OF_A_THIRD)]
    answers = [await write(CREATE, {"input": given}) for given in inputs]
    assert ["errors" in answer for answer in answers] == [False, not is_shared]


@pytest.mark.parametrize(
    ("end", "is_free"),
    [
        ("UPDATE shipments SET status = 'CANCELED' WHERE id = $1", True),
        ("UPDATE track_and_traces SET status = 'CANCELED' WHERE shipment_id = $1", True),
        ("UPDATE shipments SET status = 'DELIVERED', status_set_at = now() - interval '91 days' WHERE id = $1", True),
        ("UPDATE shipments SET status = 'DELIVERED', status_set_at = now() - interval '89 days' WHERE id = $1", False),
        ("UPDATE shipments SET status = 'EXCEPTION', status_set_at = now() - interval '2 years' WHERE id = $1", False),
    ],
)
async def test_track_and_trace_create_takes_a_code_that_is_free_again(
    write: GraphQL, copy_connection: asyncpg.Connection, end: str, is_free: bool
) -> None:
    await copy_connection.execute("SELECT set_config('waybill.skipped_steps', 'allowed', false)")
    await copy_connection.execute("SELECT set_config('waybill.overridden_steps', 'allowed', false)")
    await write(CREATE, {"input": {"shipmentId": SHIPMENT, "carrierId": 1, "code": SHARED}})
    await copy_connection.execute(end, SHIPMENT)
    answer = await write(CREATE, {"input": {"shipmentId": SECOND, "carrierId": 1, "code": SHARED}})
    assert ("errors" not in answer) == is_free


async def test_track_and_trace_create_takes_the_code_out_of_a_pasted_address(written: GraphQL) -> None:
    address = "http://www.postnl.nl/tracktrace/?lang=nl&B=3S%20PASTED&utm=1"
    code = await written(CREATE, input={"shipmentId": SHIPMENT, "carrierId": 1, "code": address})
    assert (code["code"], code["trackingUrl"]) == ("3S PASTED", "https://postnl.nl/tracktrace/?B=3S%20PASTED")
    other = "https://other.example/tracktrace/?B=3SOTHER"
    code = await written(UPDATE, id=code["id"], input={"code": other})
    assert code["code"] == other


async def test_codes_have_keys_of_other_systems(written: GraphQL, refused_after: Refused) -> None:
    create = "mutation($input: TrackAndTraceCreateInput!) { trackAndTraceCreate(input: $input) { id externalId } }"
    update = """mutation($id: String!, $input: TrackAndTraceUpdateInput!) {
      trackAndTraceUpdate(id: $id, input: $input) { externalId code }
    }"""
    code = await written(create, input={"shipmentId": SHIPMENT, "code": "K-1", "externalId": "wms/1"})
    assert code["externalId"] == "wms/1"
    refusal = await refused_after(create, input={"shipmentId": SHIPMENT, "code": "K-2", "externalId": "wms/1"})
    assert (refusal["path"], refusal["code"]) == ("input.externalId", "VALIDATION_ERROR")
    assert await written(update, id=code["id"], input={"code": "K-3"}) == {"externalId": "wms/1", "code": "K-3"}
    assert (await written(update, id=code["id"], input={"externalId": None}))["externalId"] is None
