"""Adding, changing and deleting carriers: row B-55 of the contract."""

import asyncio
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from app.postgres import events
from tests.app.resolvers.b2b.conftest import Refused, posting
from tests.conftest import GraphQL, running, settings_for

FIELDS = """
  id channelId name type descriptions { language value } trackAndTraceURL logo timeZone createdAt lastModifiedAt
  createdBy lastModifiedBy version trackAndTraces { id } warehouses { id }
"""
CREATE = f"mutation($input: CarrierCreateInput!) {{ carrierCreate(input: $input) {{ {FIELDS} }} }}"
UPDATE = f"""mutation($id: Int!, $input: CarrierUpdateInput!, $ifVersion: Int) {{
  carrierUpdate(id: $id, input: $input, ifVersion: $ifVersion) {{ {FIELDS} }}
}}"""
DELETE = "mutation($id: Int!, $ifVersion: Int) { carrierDelete(id: $id, ifVersion: $ifVersion) }"
READ = f"query($id: Int!) {{ carrier(id: $id) {{ {FIELDS} }} }}"
# What a carrier needs.
BARE = {"name": "Swift", "type": "PICKUP", "descriptions": []}
POSTNL = 1


async def read(write: GraphQL, id: int, viewer: str = "editor") -> Any:
    return (await write(READ, {"id": id}, viewer=viewer))["data"]["carrier"]


async def cost(connection: asyncpg.Connection, id: int) -> Decimal | None:
    amount: Decimal | None = await connection.fetchval("SELECT shipping_cost FROM carriers WHERE id = $1", id)
    return amount


async def test_carrier_create_answers_as_a_query_would(
    written: GraphQL, write: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    carrier = await written(
        CREATE,
        viewer="editor",
        input={
            "name": "Swift",
            "type": "DELIVERY",
            "descriptions": [{"language": "NL", "value": "Snel"}, {"language": "EN"}],
            "shippingCost": 12.345,
            "trackAndTraceURL": "https://swift.example/?c={code}",
            "logo": "http://swift.example/logo.png",
            "warehouseIds": [],
        },
    )
    assert carrier == await read(write, carrier["id"])
    assert (carrier["name"], carrier["type"], carrier["version"]) == ("Swift", "DELIVERY", 1)
    assert carrier["descriptions"] == [{"language": "EN", "value": None}, {"language": "NL", "value": "Snel"}]
    assert carrier["trackAndTraceURL"] == "https://swift.example/?c={code}"
    assert carrier["logo"] == "http://swift.example/logo.png"
    assert (carrier["createdBy"], carrier["lastModifiedBy"]) == (2, 2)
    assert (carrier["trackAndTraces"], carrier["warehouses"]) == ([], [])
    assert await cost(copy_connection, carrier["id"]) == Decimal("12.35")


@pytest.mark.parametrize("more", [{}, {"shippingCost": None, "trackAndTraceURL": None, "logo": None}], ids=str)
async def test_carrier_create_needs_no_more_than_the_contract_says(written: GraphQL, more: dict[str, Any]) -> None:
    """A partner's key is no user."""
    carrier = await written(CREATE, viewer="northwind-writer", input={**BARE, "name": "x" * 64, **more})
    assert (carrier["trackAndTraceURL"], carrier["logo"], carrier["createdBy"]) == (None, None, None)


async def test_carrier_is_written_by_who_may_read_no_shipments(written: GraphQL) -> None:
    """The SDK's documents ask for the carrier's codes as well."""
    carrier = await written(UPDATE, viewer="logistics", id=POSTNL, input={"name": "Post"})
    assert (carrier["name"], carrier["trackAndTraces"]) == ("Post", [])


REFUSALS = [
    ({"name": "Sw\u202eift"}, "name", "VALIDATION_ERROR"),
    ({"name": ""}, "name", "VALIDATION_ERROR"),
    ({"name": "x" * 65}, "name", "VALIDATION_ERROR"),
    ({"name": "FedEx"}, "name", "CARRIER_ALREADY_EXISTS_ERROR"),
    ({"trackAndTraceURL": "http://swift.example/{code}"}, "trackAndTraceURL", "VALIDATION_ERROR"),
    ({"trackAndTraceURL": "https://{code}.example/"}, "trackAndTraceURL", "VALIDATION_ERROR"),
    ({"trackAndTraceURL": "https:///{code}"}, "trackAndTraceURL", "VALIDATION_ERROR"),
    ({"trackAndTraceURL": "https://[swift/{code}"}, "trackAndTraceURL", "VALIDATION_ERROR"),
    ({"trackAndTraceURL": "https://swift.example/" + "x" * 234}, "trackAndTraceURL", "VALIDATION_ERROR"),
    ({"trackAndTraceURL": ""}, "trackAndTraceURL", "VALIDATION_ERROR"),
    ({"name": "Swi\tft"}, "name", "VALIDATION_ERROR"),
    ({"trackAndTraceURL": "https://swift.example/"}, "trackAndTraceURL", "VALIDATION_ERROR"),
    ({"trackAndTraceURL": "https://swift.example/?c=%s"}, "trackAndTraceURL", "VALIDATION_ERROR"),
    ({"trackAndTraceURL": "https://swift.example/{{code}}"}, "trackAndTraceURL", "VALIDATION_ERROR"),
    ({"logo": "javascript:alert(1)"}, "logo", "VALIDATION_ERROR"),
    ({"logo": "https://swift.example/a b"}, "logo", "VALIDATION_ERROR"),
    ({"logo": "https://swift.example/" + "x" * 234}, "logo", "VALIDATION_ERROR"),
    ({"descriptions": [{"language": "nl"}]}, "descriptions.0.language", "VALIDATION_ERROR"),
    ({"descriptions": [{"language": "NLD"}]}, "descriptions.0.language", "VALIDATION_ERROR"),
    ({"descriptions": [{"language": "NL"}, {"language": "NL"}]}, "descriptions.1.language", "VALIDATION_ERROR"),
    ({"descriptions": [{"language": "NL", "value": "x" * 256}]}, "descriptions.0.value", "VALIDATION_ERROR"),
    ({"shippingCost": -0.01}, "shippingCost", "VALIDATION_ERROR"),
    ({"shippingCost": 1e10}, "shippingCost", "VALIDATION_ERROR"),
    ({"warehouseIds": [1]}, "warehouseIds", "VALIDATION_ERROR"),
]


@pytest.mark.parametrize(("input", "path", "code"), REFUSALS, ids=lambda value: str(value)[:60])
async def test_carrier_create_refuses_what_breaks_a_rule(
    refused: Refused, input: dict[str, Any], path: str, code: str
) -> None:
    extensions = await refused(CREATE, viewer="editor", input={**BARE, **input})
    assert (extensions["path"], extensions["code"]) == (f"input.{path}", code)
    assert extensions["rule"]


@pytest.mark.parametrize(
    ("input", "path", "code"),
    [
        *REFUSALS,
        ({"name": None}, "name", "VALIDATION_ERROR"),
        ({"type": None}, "type", "VALIDATION_ERROR"),
        ({"descriptions": None}, "descriptions", "VALIDATION_ERROR"),
        ({"warehouseIds": None}, "warehouseIds", "VALIDATION_ERROR"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_carrier_update_refuses_what_breaks_a_rule(
    refused: Refused, input: dict[str, Any], path: str, code: str
) -> None:
    extensions = await refused(UPDATE, viewer="editor", id=POSTNL, input=input)
    assert (extensions["path"], extensions["code"]) == (f"input.{path}", code)
    assert extensions["rule"]


async def test_carrier_create_of_one_name_by_many_succeeds_once(write: GraphQL) -> None:
    answers = await asyncio.gather(*(write(CREATE, {"input": BARE}, viewer="editor") for _ in range(6)))
    refusals = [answer["errors"][0]["extensions"] for answer in answers if "errors" in answer]
    assert [refusal["code"] for refusal in refusals] == ["CARRIER_ALREADY_EXISTS_ERROR"] * 5


async def test_carrier_update_changes_only_what_is_given(written: GraphQL, write: GraphQL) -> None:
    before = await read(write, POSTNL, "editor")
    after = await written(UPDATE, viewer="editor", id=POSTNL, input={"name": "Post"})
    assert after == await read(write, POSTNL, "editor")
    changed = {field for field in before if before[field] != after[field]}
    assert changed == {"name", "lastModifiedAt", "lastModifiedBy", "version"}
    assert (after["name"], after["lastModifiedBy"], after["version"]) == ("Post", 2, before["version"] + 1)
    assert after["lastModifiedAt"] > before["lastModifiedAt"]


async def test_carrier_update_replaces_the_descriptions(written: GraphQL) -> None:
    for languages in (["DE", "NL"], ["EN", "NL"], []):
        descriptions = [{"language": language, "value": f"{language} of {languages}"} for language in languages]
        carrier = await written(UPDATE, viewer="editor", id=POSTNL, input={"descriptions": descriptions})
        assert carrier["descriptions"] == descriptions


async def test_carrier_update_empties_what_is_null(written: GraphQL, copy_connection: asyncpg.Connection) -> None:
    given = {"shippingCost": 5, "trackAndTraceURL": "https://a.example/{code}", "logo": "https://a.example/"}
    await written(UPDATE, viewer="editor", id=POSTNL, input=given)
    assert await cost(copy_connection, POSTNL) == 5
    carrier = await written(UPDATE, viewer="editor", id=POSTNL, input=dict.fromkeys(given))
    assert (carrier["trackAndTraceURL"], carrier["logo"]) == (None, None)
    assert await cost(copy_connection, POSTNL) is None


async def test_carrier_update_keeps_a_template_that_was_allowed_once(
    written: GraphQL, copy_connection: asyncpg.Connection
) -> None:
    await copy_connection.execute("ALTER TABLE carriers DISABLE TRIGGER carriers_url_other")
    await copy_connection.execute("UPDATE carriers SET track_and_trace_url = 'https://a.example/%s' WHERE id = 1")
    same = {"name": "Post", "trackAndTraceURL": "https://a.example/%s"}
    carrier = await written(UPDATE, viewer="editor", id=POSTNL, input=same)
    assert (carrier["name"], carrier["trackAndTraceURL"]) == ("Post", "https://a.example/%s")


async def test_carrier_update_with_what_is_there_already_writes_nothing(written: GraphQL, write: GraphQL) -> None:
    before = await read(write, POSTNL)
    assert await written(UPDATE, viewer="editor", id=POSTNL, input={}) == before
    assert await written(UPDATE, viewer="editor", id=POSTNL, input={"name": "PostNL", "logo": None}) == before


@pytest.mark.parametrize(("document", "more"), [(UPDATE, {"input": {}}), (DELETE, {})], ids=["update", "delete"])
async def test_carrier_of_unknown_id_is_not_found(refused: Refused, document: str, more: dict[str, Any]) -> None:
    extensions = await refused(document, viewer="editor", id=4711, **more)
    assert (extensions["path"], extensions["code"]) == ("id", "CARRIER_NOT_FOUND_ERROR")


async def test_carrier_delete_is_refused_while_codes_refer_to_it(refused: Refused) -> None:
    extensions = await refused(DELETE, viewer="editor", id=POSTNL)
    assert (extensions["path"], extensions["code"]) == ("id", "CARRIER_DELETE_ERROR")
    assert extensions["rule"]


async def test_carrier_delete_removes_it_with_its_descriptions(
    written: GraphQL, refused_after: Refused, copy_connection: asyncpg.Connection
) -> None:
    created = await written(
        CREATE, viewer="editor", input={**BARE, "descriptions": [{"language": "NL", "value": "Snel"}]}
    )
    assert await written(DELETE, viewer="editor", id=created["id"]) is True
    assert (await refused_after(DELETE, viewer="editor", id=created["id"]))["code"] == "CARRIER_NOT_FOUND_ERROR"
    left = "SELECT count(*) FROM carrier_descriptions WHERE carrier_id = $1"
    assert await copy_connection.fetchval(left, created["id"]) == 0


async def test_carrier_is_never_deleted_under_a_new_code(write: GraphQL, copy_connection: asyncpg.Connection) -> None:
    """Whoever is first decides: the code has its carrier, or the carrier is gone and the code is refused."""
    code = "mutation($input: TrackAndTraceCreateInput!) { trackAndTraceCreate(input: $input) { id } }"
    for name in ("A", "B", "C"):
        carrier_id = (await write(CREATE, {"input": {**BARE, "name": name}}, viewer="editor"))["data"]["carrierCreate"][
            "id"
        ]
        given = {"shipmentId": "65ad4404-88a6-4f97-9325-34a3a35f1dfc", "carrierId": carrier_id, "code": "A"}
        answers = await asyncio.gather(
            write(code, {"input": given}), write(DELETE, {"id": carrier_id}, viewer="editor")
        )
        [refusal] = [answer["errors"][0]["extensions"] for answer in answers if "errors" in answer]
        assert (refusal["path"], refusal["code"]) in (
            *(("input.carrierId", "VALIDATION_ERROR"), ("id", "CARRIER_DELETE_ERROR")),
        )


@pytest.mark.parametrize(("document", "input"), [(UPDATE, {"name": "Post"}), (DELETE, None)], ids=["update", "delete"])
async def test_carrier_of_another_version_is_a_conflict(
    written: GraphQL, refused_after: Refused, document: str, input: dict[str, Any] | None
) -> None:
    carrier_id = (await written(CREATE, viewer="editor", input=BARE))["id"]
    given = {} if input is None else {"input": input}
    extensions = await refused_after(document, viewer="editor", id=carrier_id, ifVersion=7, **given)
    assert (extensions["code"], extensions["path"], extensions["version"]) == ("CONFLICT", "ifVersion", 1)
    assert await written(document, viewer="editor", id=carrier_id, ifVersion=1, **given)


async def test_a_writer_reads_at_once_what_it_wrote(
    demo_copy_dsn: str, monkeypatch: pytest.MonkeyPatch, copy_connection: asyncpg.Connection
) -> None:
    """However late the database tells of it: here it never does."""
    monkeypatch.setattr(events, "BEAT_SECONDS", 3600)
    await copy_connection.execute("DROP TRIGGER carriers_tell ON carriers")
    await copy_connection.execute("DROP TRIGGER carrier_descriptions_tell ON carrier_descriptions")
    async with running(settings_for(demo_copy_dsn)) as app, posting(app, demo_copy_dsn) as post:
        before = await read(post, POSTNL)
        changes = {"name": "PostNL B.V.", "descriptions": [{"language": "NL", "value": "Post"}]}
        changed = (await post(UPDATE, {"id": POSTNL, "input": changes}, viewer="editor"))["data"]["carrierUpdate"]
        assert await read(post, POSTNL) == changed != before


async def test_carrier_has_a_time_zone(written: GraphQL, refused_after: Refused) -> None:
    carrier = await written(CREATE, input={**BARE, "timeZone": "Asia/Tokyo"})
    assert carrier["timeZone"] == "Asia/Tokyo"
    for text in ("Mars/Olympus", "", "EST5EDT,M3", "posix/UTC"):
        assert (await refused_after(CREATE, input={**BARE, "name": "B", "timeZone": text}))["path"] == "input.timeZone"
        extensions = await refused_after(UPDATE, id=carrier["id"], input={"timeZone": text})
        assert extensions["path"] == "input.timeZone"
    assert (await written(UPDATE, id=carrier["id"], input={"timeZone": None}))["timeZone"] is None


KEYED = "mutation($input: CarrierCreateInput!) { carrierCreate(input: $input) { id key name } }"
REKEYED = "mutation($id: Int!, $input: CarrierUpdateInput!) { carrierUpdate(id: $id, input: $input) { key name } }"
PLAIN = {"type": "DELIVERY", "descriptions": []}


@pytest.mark.parametrize(
    ("name", "key"),
    [("Swift Post", "swift-post"), ("Österreichische Post AG", "osterreichische-post-ag"), ("日本郵便", "carrier")],
)
async def test_carrier_key_is_made_of_the_name_and_stays(written: GraphQL, name: str, key: str) -> None:
    carrier = await written(KEYED, viewer="editor", input={**PLAIN, "name": name})
    assert (carrier["key"], carrier["name"]) == (key, name)
    assert await written(REKEYED, viewer="editor", id=carrier["id"], input={"name": "Other"}) == {
        "key": key,
        "name": "Other",
    }
    assert (await written(KEYED, viewer="editor", input={**PLAIN, "name": name}))["key"] == f"{key}-2"


async def test_carrier_keys_are_the_same_whatever_their_case(written: GraphQL, refused_after: Refused) -> None:
    carrier = await written(KEYED, viewer="editor", input={**PLAIN, "name": "Swift", "key": "SWIFT.Eu_1"})
    assert carrier["key"] == "swift.eu_1"
    found = "query($keys: [String!]) { carriers(input: {keys: $keys}) { items { id } } }"
    assert (await written(found, keys=["Swift.EU_1"]))["items"] == [{"id": carrier["id"]}]
    for document, given in ((KEYED, {**PLAIN, "name": "B"}), (REKEYED, {})):
        arguments = {"id": 1} if document == REKEYED else {}
        refusal = await refused_after(document, viewer="editor", **arguments, input={**given, "key": "swift.EU_1"})
        assert (refusal["code"], refusal["path"]) == ("CARRIER_ALREADY_EXISTS_ERROR", "input.key")


@pytest.mark.parametrize("key", ["", " ", "a b", "-a", "a--b", "é", "a/b", "x" * 65, None])
async def test_carrier_update_refuses_what_is_no_key(refused: Refused, key: str | None) -> None:
    refusal = await refused(REKEYED, viewer="editor", id=1, input={"key": key})
    assert (refusal["code"], refusal["path"]) == ("VALIDATION_ERROR", "input.key")
