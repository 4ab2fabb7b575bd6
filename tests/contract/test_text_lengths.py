"""Every argument of the schema that takes text has a bound, and refuses a longer one by its path."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLScalarType,
    get_named_type,
)

from app.asgi import executable_schema
from app.errors import ValidationError
from app.execution.text_lengths import TextLengths
from tests.conftest import GraphQL

DEFAULT = 200
LENGTHS = TextLengths(executable_schema(), DEFAULT)
COLUMNS = (Path(__file__).parents[2] / "sql" / "schema.sql").read_text("utf-8")

ORDERS = "query($t: String) { orders(input: {term: $t}) { itemsFound } }"
SHIPMENTS = "query($input: ShipmentSearchInput) { shipments(input: $input) { itemsFound } }"


def arguments() -> Iterator[tuple[str, GraphQLArgument | GraphQLInputField]]:
    """All arguments and input fields of the schema that take text."""
    for named in executable_schema().type_map.values():
        if named.name.startswith("__"):
            continue
        if isinstance(named, GraphQLInputObjectType):
            for name, field in named.fields.items():
                yield f"{named.name}.{name}", field
        elif isinstance(named, GraphQLObjectType):
            for name, output in named.fields.items():
                for argument_name, argument in output.args.items():
                    yield f"{named.name}.{name}({argument_name}:)", argument


TEXTS = {
    place: definition
    for place, definition in arguments()
    if isinstance(named := get_named_type(definition.type), GraphQLScalarType)
    and named.name not in ("Int", "Float", "Boolean")
}


def test_the_schema_takes_text_in_many_places() -> None:
    assert {"Query.customerOrders(status:)", "OrderSearchArguments.term", "SourceInput.name"} <= TEXTS.keys()
    assert len(TEXTS) > 100


@pytest.mark.parametrize("place", TEXTS)
def test_a_text_has_a_bound(place: str) -> None:
    measure, longest = LENGTHS.measure(TEXTS[place]), LENGTHS.longest(TEXTS[place])
    assert measure is not None
    assert longest >= DEFAULT or place.endswith(("Input.name", "Input.key", "Input.keys"))
    measure("x" * longest, "path")
    measure(None, "path")
    with pytest.raises(ValidationError) as refused:
        measure("x" * (longest + 1), "path")
    assert refused.value.extensions["path"] == "path"


@pytest.mark.parametrize(
    ("place", "table", "column"),
    [
        ("CarrierCreateInput.name", "carriers", "name"),
        ("CarrierUpdateInput.name", "carriers", "name"),
        ("CarrierCreateInput.trackAndTraceURL", "carriers", "track_and_trace_url"),
        ("CarrierCreateInput.logo", "carriers", "logo"),
        ("LocalizedStringInput.value", "carrier_descriptions", "value"),
        ("TrackAndTraceCreateInput.code", "track_and_traces", "code"),
        ("TrackAndTraceUpdateInput.code", "track_and_traces", "code"),
        ("TrackAndTraceSearchInput.codes", "track_and_traces", "code"),
        ("ShipmentCreateTrackAndTraceInput.code", "track_and_traces", "code"),
        ("ShipmentStatusReportInput.code", "track_and_traces", "code"),
        ("ShipmentStatusReportInput.location", "tracking_events", "location"),
        ("ShipmentStatusReportInput.description", "tracking_events", "description"),
        ("ShipmentStatusReportInput.externalId", "tracking_events", "external_id"),
    ],
)
def test_a_text_that_is_written_is_as_long_as_its_column(place: str, table: str, column: str) -> None:
    [definition] = re.findall(rf"^CREATE TABLE public\.{table} \((.*?)^\);", COLUMNS, re.MULTILINE | re.DOTALL)
    [longest] = re.findall(rf"length\({column}\) <= (\d+)", definition)
    assert LENGTHS.longest(TEXTS[place]) == int(longest)


LONG = "x" * (DEFAULT + 1)
CODE = "x" * 256


@pytest.mark.parametrize(
    ("document", "variables", "path"),
    [
        (ORDERS, {"t": LONG}, "input.term"),
        (f'{{ orders(input: {{term: "{LONG}"}}) {{ itemsFound }} }}', {}, "input.term"),
        (f'query($t: String = "{LONG}") {{ orders(input: {{term: $t}}) {{ itemsFound }} }}', {}, "input.term"),
        (
            f'{{ ...a }} fragment a on Query {{ orders(input: {{term: "{LONG}"}}) {{ itemsFound }} }}',
            {},
            "input.term",
        ),
        (SHIPMENTS, {"input": {"codes": ["a", CODE]}}, "input.codes.1"),
        (SHIPMENTS, {"input": {"codes": CODE}}, "input.codes.0"),
        (SHIPMENTS, {"input": {"createdAt": {"lessThan": LONG}}}, "input.createdAt.lessThan"),
        (
            "query($code: String!) { shipments(input: {codes: [$code]}) { itemsFound } }",
            {"code": CODE},
            "input.codes.0",
        ),
        ("query($id: String!) { shipment(id: $id) { id } }", {"id": LONG}, "id"),
        ("query($id: String!) { order(orderUUID: $id) { id } }", {"id": LONG}, "orderUUID"),
        (ORDERS, {"t": "a\0b"}, "input.term"),
        ('{ orders(input: {term: "\\u0000"}) { itemsFound } }', {}, "input.term"),
        (SHIPMENTS, {"input": {"codes": ["a", "\0"]}}, "input.codes.1"),
    ],
)
async def test_a_text_that_may_not_be_is_refused_by_its_path(
    document: str, variables: dict[str, Any], path: str, graphql: GraphQL
) -> None:
    answer = await graphql(document, variables, viewer="staff")
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "VALIDATION_ERROR"
    assert (error["extensions"]["path"], error["path"]) == (path, [error["path"][0]])
    assert error["message"].startswith((f"{path} must have at most ", f"{path} must not hold the character U+0000"))


async def test_a_text_that_just_fits_is_searched_for(graphql: GraphQL) -> None:
    answer = await graphql(SHIPMENTS, {"input": {"codes": ["x" * 255]}}, viewer="staff")
    assert answer == {"data": {"shipments": {"itemsFound": 0}}}
    answer = await graphql(ORDERS, {"t": "ü" * 200}, viewer="staff")
    assert answer == {"data": {"orders": {"itemsFound": 0}}}


async def test_what_stands_beside_a_text_that_is_too_long_is_answered(graphql: GraphQL) -> None:
    document = "query($t: String) { orders(input: {term: $t}) { itemsFound } carriers { itemsFound } }"
    answer = await graphql(document, {"t": LONG}, viewer="staff")
    assert answer["errors"][0]["path"] == ["orders"]
