import pytest
from graphql import GraphQLSchema, execute_sync, parse

from app.execution.schema import SchemaError, build
from app.resolvers.names import snake_case


def test_a_field_without_resolver_reads_the_column_of_its_name(schema: GraphQLSchema) -> None:
    result = execute_sync(schema, parse("{ row { trackAndTraceURL orderUUID extra3 } }"))
    assert result.data == {"row": {"trackAndTraceURL": "https://t/{code}", "orderUUID": "u", "extra3": "e"}}


def test_a_missing_column_is_a_defect_and_never_null(schema: GraphQLSchema) -> None:
    result = execute_sync(schema, parse("{ row { hasNone } }"))
    assert result.errors
    assert isinstance(result.errors[0].original_error, KeyError)


def test_a_root_field_without_resolver_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"Query\.orphan"):
        build("type Query { orphan: Int }", [], snake_case)
