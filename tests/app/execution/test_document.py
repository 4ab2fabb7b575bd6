from dataclasses import replace

import pytest
from graphql import GraphQLSchema, OperationType, get_introspection_query

from app.execution.document import Documents, RequestErrors
from app.settings import Limits


@pytest.fixture
def documents(schema: GraphQLSchema) -> Documents:
    return Documents(schema, Limits())


def refusal(documents: Documents, text: str) -> tuple[str, str]:
    """Code and message of the first error."""
    with pytest.raises(RequestErrors) as caught:
        documents.read(text)
    error = caught.value.errors[0]
    return (error.extensions or {})["code"], error.message


def test_a_document_is_read_once(documents: Documents) -> None:
    assert documents.read("{ tree { name } }") is documents.read("{ tree { name } }")
    assert (documents.hits, documents.misses) == (1, 1)


def test_the_cache_forgets_what_was_not_used_for_longest(schema: GraphQLSchema) -> None:
    documents = Documents(schema, replace(Limits(), documents=2))
    for text in ("{ a: row { extra3 } }", "{ b: row { extra3 } }", "{ a: row { extra3 } }", "{ c: row { extra3 } }"):
        documents.read(text)
    hits = documents.hits
    documents.read("{ a: row { extra3 } }")
    assert documents.hits == hits + 1
    documents.read("{ b: row { extra3 } }")
    assert documents.hits == hits + 1


def test_the_cache_is_bounded_by_size_too(schema: GraphQLSchema) -> None:
    documents = Documents(schema, replace(Limits(), documents=1))
    text = "{" + "row { extra3 } " * 20 + "}" + "# " + "padding " * 5000
    documents.read(text)
    documents.read(text)
    assert documents.hits == 0


def test_the_plans_of_a_document_count_for_the_cache(schema: GraphQLSchema) -> None:
    """Those of its conditions too: each choice of them has a plan of its own."""
    documents = Documents(schema, replace(Limits(), documents=1))
    names = [f"c{place}" for place in range(4)]
    plain = f"{{ {' '.join(f'{name}: row {{ extra3 }}' for name in names)} }}"
    conditions = " ".join(f"{name}: row @skip(if: ${name}) {{ extra3 }}" for name in names)
    conditional = f"query({' '.join(f'${name}: Boolean!' for name in names)}) {{ {conditions} }}"
    for text, hits in ((plain, 1), (conditional, 1)):
        documents.read(text)
        documents.read(text)
        assert documents.hits == hits


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("{", "GRAPHQL_PARSE_FAILED", "Syntax Error: Expected Name, found <EOF>."),
        ("", "GRAPHQL_PARSE_FAILED", "Syntax Error: Unexpected <EOF>."),
        ("{ tre }", "GRAPHQL_VALIDATION_FAILED", "Cannot query field 'tre' on type 'Query'."),
        ("{ tree { ...A } } fragment A on Tree { ...A }", "GRAPHQL_VALIDATION_FAILED", "Cannot spread"),
        ("{" + "x " * 2000 + "}", "GRAPHQL_PARSE_FAILED", "more than 2000 tokens"),
        ("{ tree" + "{left" * 300 + "}" * 301, "GRAPHQL_PARSE_FAILED", "deep"),
        ("type Query { a: Int }", "GRAPHQL_VALIDATION_FAILED", "not executable"),
        (
            "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
            "GRAPHQL_VALIDATION_FAILED",
            "introspection",
        ),
    ],
)
def test_a_refusal_has_code_and_reason_and_no_suggestion(
    documents: Documents, text: str, code: str, message: str
) -> None:
    found_code, found_message = refusal(documents, text)
    assert found_code == code
    assert message.lower() in found_message.lower()
    assert "Did you mean" not in found_message


def test_development_suggests_names(schema: GraphQLSchema) -> None:
    assert "Did you mean 'tree'" in refusal(Documents(schema, Limits(), suggest=True), "{ tre { name } }")[1]


def test_an_operation_is_chosen_by_name_or_because_it_is_the_only_one(documents: Documents) -> None:
    document = documents.read("query A { row { extra3 } } mutation B { plant { name } }")
    assert document.choose("B").kind is OperationType.MUTATION
    assert documents.read("query A { row { extra3 } }").choose(None).name == "A"
    with pytest.raises(RequestErrors, match="Must provide operation name"):
        document.choose(None)
    with pytest.raises(RequestErrors, match="Unknown operation named 'C'"):
        document.choose("C")


def test_a_document_without_operation_is_refused(schema: GraphQLSchema, documents: Documents) -> None:
    with pytest.raises(RequestErrors):
        documents.read("fragment F on Tree { name }").choose(None)


def test_the_standard_introspection_query_is_read(documents: Documents) -> None:
    documents.read(get_introspection_query())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ __typename }", True),
        ("{ a: __schema { queryType { name } } ...F } fragment F on Query { ... { __typename } }", True),
        ("{ tree { name } }", False),
        ("{ __schema { queryType { name } } tree { name } }", False),
        ("{ __schema: tree { name } }", False),
        (
            "{ __typename ... on Query { ...F } } fragment F on Query { ...G } fragment G on Query { tree { name } }",
            False,
        ),
        ("{ __typename ...F @skip(if: true) } fragment F on Query { tree { name } }", False),
    ],
)
def test_introspection_is_told_by_the_root_fields(documents: Documents, text: str, expected: bool) -> None:
    assert documents.read(text).choose(None).is_introspection is expected
