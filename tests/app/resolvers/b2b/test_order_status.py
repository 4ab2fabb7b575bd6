from typing import Any

import asyncpg
import pytest

from app.postgres.database import Database
from tests.conftest import GraphQL

LIST = """
query Statuses($input: OrderStatusesSearchInput) {
  orderStatuses(input: $input) { items { code } itemsFound page pages offset start end }
}
"""
NEIGHBOURS = """
query Neighbours($all: OrderStatusesSearchInput, $input: OrderStatusesSearchInput) {
  orderStatuses(input: $all) {
    items {
      code
      nextStatuses(input: $input) { ...Codes }
      previousStatuses(input: $input) { ...Codes }
    }
  }
}
fragment Codes on OrderStatusesResponse { items { code } itemsFound page pages offset start end }
"""
OLDEST_FIRST = [{"field": "ID"}]


async def search(graphql: GraphQL, viewer: str = "staff", **input: Any) -> dict[str, Any]:
    answer = await graphql(LIST, {"input": input}, viewer=viewer)
    assert "errors" not in answer, answer["errors"]
    statuses: dict[str, Any] = answer["data"]["orderStatuses"]
    return {**statuses, "items": [status["code"] for status in statuses["items"]]}


async def neighbours(graphql: GraphQL, code: str, **input: Any) -> dict[str, Any]:
    answer = await graphql(NEIGHBOURS, {"all": {"codes": [code]}, "input": input})
    assert "errors" not in answer, answer["errors"]
    [status] = answer["data"]["orderStatuses"]["items"]
    return {
        name: {**status[name], "items": [neighbour["code"] for neighbour in status[name]["items"]]}
        for name in ("nextStatuses", "previousStatuses")
    }


async def refusal(graphql: GraphQL, document: str, **variables: Any) -> dict[str, Any]:
    answer = await graphql(document, variables)
    [error] = answer["errors"]
    extensions: dict[str, Any] = error["extensions"]
    return extensions


async def test_order_status_is_found_by_its_id_and_by_its_code(graphql: GraphQL) -> None:
    fields = (
        "id code name type orderType description priority isDefault isPublic isEditable isDeletable statusSet { id }"
    )
    by_code = (await graphql(f'{{ orderStatus(input: {{code: "NEW"}}) {{ {fields} }} }}'))["data"]["orderStatus"]
    document = f"query($id: Int!) {{ orderStatus(input: {{id: $id}}) {{ {fields} }} }}"
    by_id = (await graphql(document, {"id": by_code["id"]}))["data"]["orderStatus"]
    assert by_id == by_code
    assert by_code | {"id": 0} == {
        "id": 0,
        "code": "NEW",
        "name": "New",
        "type": "SYSTEM",
        "orderType": "ORDER",
        "description": None,
        "priority": 20,
        "isDefault": True,
        "isPublic": True,
        "isEditable": False,
        "isDeletable": False,
        "statusSet": None,
    }


@pytest.mark.parametrize("input", ["{}", "{id: null, code: null}", '{id: 1, code: "NEW"}'])
async def test_order_status_takes_exactly_one_key(graphql: GraphQL, input: str) -> None:
    extensions = await refusal(graphql, f"{{ orderStatus(input: {input}) {{ id }} }}")
    assert (extensions["code"], extensions["path"]) == ("VALIDATION_ERROR", "input")


@pytest.mark.parametrize("input", ["{id: -1}", '{code: "new"}', '{code: ""}'])
async def test_order_status_of_unknown_key_is_not_found(graphql: GraphQL, input: str) -> None:
    extensions = await refusal(graphql, f"{{ orderStatus(input: {input}) {{ id }} }}")
    assert extensions == {"code": "ORDER_STATUS_NOT_FOUND_ERROR"}


@pytest.mark.parametrize(
    ("input", "where"),
    [
        ({"codes": ["NEW", "FRAUD", "nothing"]}, "code IN ('NEW', 'FRAUD')"),
        ({"codes": []}, "false"),
        ({"ids": [-1]}, "false"),
        ({"name": "Validated"}, "name = 'Validated'"),
        ({"name": "valid"}, "false"),
        ({"priority": 30}, "priority = 30"),
        ({"type": "CUSTOM"}, "type = 'CUSTOM'"),
        ({"type": "nothing"}, "false"),
        ({"orderType": "QUOTATION"}, "order_type = 'QUOTATION'"),
        ({"orderType": "order"}, "false"),
        ({"isDefault": True}, "is_default"),
        ({"isPublic": False}, "NOT is_public"),
        ({"isEditable": True}, "is_editable"),
        ({"isDeletable": False}, "NOT is_deletable"),
        ({"createdAt": {"greaterThan": "2000-01-01"}, "lastModifiedAt": {"greaterThan": "2000-01-01"}}, "true"),
        ({"createdAt": {"lessThan": "2000-01-01"}}, "false"),
        ({"lastModifiedAt": {"lessThan": "2000-01-01"}}, "false"),
        ({"type": "SYSTEM", "orderType": "ORDER", "isDefault": True}, "code = 'NEW'"),
    ],
    ids=str,
)
async def test_order_statuses_filter_finds_exactly_its_rows(
    graphql: GraphQL, connection: asyncpg.Connection, input: dict[str, Any], where: str
) -> None:
    expected = await connection.fetch(f"SELECT code FROM order_statuses WHERE {where} ORDER BY created_at DESC, id")
    found = await search(graphql, offset=100, **input)
    assert found["items"] == [row["code"] for row in expected]
    assert found["itemsFound"] == len(expected)


@pytest.mark.parametrize("field", ["ID", "NAME", "CODE", "PRIORITY", "LAST_MODIFIED_AT", "CREATED_AT"])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_order_statuses_are_sorted_as_asked(
    graphql: GraphQL, connection: asyncpg.Connection, field: str, direction: str
) -> None:
    expected = await connection.fetch(f"SELECT code FROM order_statuses ORDER BY {field} {direction}, id")
    found = await search(graphql, offset=100, sortInputs=[{"field": field, "order": direction}])
    assert found["items"] == [row["code"] for row in expected]


@pytest.mark.parametrize("viewer", ["apikey", "read-only", "contact"])
async def test_order_statuses_are_the_same_for_every_reader_of_orders(graphql: GraphQL, viewer: str) -> None:
    assert await search(graphql, viewer, offset=100) == await search(graphql, offset=100)


async def test_order_status_names_what_may_follow_it_and_what_it_may_follow(graphql: GraphQL) -> None:
    found = await neighbours(graphql, "VALIDATED", sortInputs=OLDEST_FIRST)
    assert found["nextStatuses"]["items"] == ["CONFIRMED", "CANCELED", "FRAUD"]
    assert found["previousStatuses"]["items"] == ["NEW"]


async def test_order_status_neighbours_are_paged_sorted_and_filtered(graphql: GraphQL) -> None:
    found = await neighbours(
        graphql,
        "NEW",
        codes=["VALIDATED", "CONFIRMED", "CANCELED", "UNFINISHED"],
        sortInputs=[{"field": "PRIORITY", "order": "DESC"}],
        page=2,
        offset=2,
    )
    place = {"page": 2, "offset": 2}
    assert found["nextStatuses"] == {"items": ["VALIDATED"], "itemsFound": 3, "pages": 2, "start": 3, "end": 3, **place}
    assert found["previousStatuses"] == {"items": [], "itemsFound": 1, "pages": 1, "start": 0, "end": 0, **place}


async def test_order_status_without_neighbours_has_an_empty_page(graphql: GraphQL) -> None:
    found = await neighbours(graphql, "ARCHIVED")
    nothing = {"items": [], "itemsFound": 0, "page": 1, "pages": 0, "offset": 12, "start": 0, "end": 0}
    assert found["nextStatuses"] == nothing


async def test_order_status_neighbours_refuse_a_page_out_of_bounds(graphql: GraphQL) -> None:
    extensions = await refusal(graphql, NEIGHBOURS, all={"codes": ["NEW"]}, input={"offset": 101})
    assert (extensions["code"], extensions["path"]) == ("VALIDATION_ERROR", "input.offset")


async def test_order_status_neighbours_cost_the_same_statements_whatever_the_page(
    graphql: GraphQL, db: Database
) -> None:
    costs = []
    for size in (2, 10):
        before = db.statements
        answer = await graphql(
            NEIGHBOURS, {"all": {"offset": size}, "input": {"codes": ["NEW", "CANCELED", "ARCHIVED"]}}
        )
        assert "errors" not in answer
        costs.append(db.statements - before)
    assert costs == [5, 5]


async def test_order_status_neighbours_cost_one_statement_for_each_distinct_search(
    graphql: GraphQL, db: Database
) -> None:
    before = db.statements
    await graphql(
        """{ orderStatuses { items {
          nextStatuses(input: {offset: 1}) { items { code } }
          same: nextStatuses(input: {offset: 1}) { start end }
          other: nextStatuses(input: {offset: 2}) { items { code } }
        } } }"""
    )
    assert db.statements - before == 3
