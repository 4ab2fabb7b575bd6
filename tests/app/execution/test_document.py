import gc
import itertools
import weakref

import pytest
from graphql import GraphQLSchema, OperationType, get_introspection_query

from app.cache import Cache
from app.execution import document as module
from app.execution.document import Documents, RequestErrors
from app.settings import Limits


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture
def documents(schema: GraphQLSchema, cache: Cache) -> Documents:
    return Documents(schema, Limits(returns=2), cache)


def refusal(documents: Documents, text: str) -> tuple[str, str]:
    """Code and message of the first error."""
    with pytest.raises(RequestErrors) as caught:
        documents.read(text)
    error = caught.value.errors[0]
    return (error.extensions or {})["code"], error.message


def test_a_document_is_held_from_the_second_time_on(documents: Documents) -> None:
    first, *others = [documents.read("{ tree { name } }") for _ in range(4)]
    assert first is not others[0]
    assert others == [others[0]] * 3
    assert (documents.hits, documents.misses) == (2, 2)


def test_documents_that_come_once_take_no_memory_and_drive_nothing_out(schema: GraphQLSchema, cache: Cache) -> None:
    documents = Documents(schema, Limits(), cache)
    often = "{ tree { name } }"
    held = [documents.read(often) for _ in range(2)][1]
    before = cache.bytes
    for number in range(1500):
        documents.read(f"{{ a{number}: tree {{ name }} }}")
    assert (cache.bytes, cache.count) == (before, 1)
    assert documents.read(often) is held


def test_what_is_known_of_documents_that_came_once_is_bounded(
    schema: GraphQLSchema, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_SEEN", 3)
    documents = Documents(schema, Limits(), Cache())
    texts = [f"{{ a{number}: tree {{ name }} }}" for number in range(5)]
    for text in (*texts, texts[0], texts[4]):
        documents.read(text)
        assert len(documents._seen) <= 3
    for text in texts[0], texts[4]:
        documents.read(text)
    assert documents.hits == 1


def test_a_refused_document_is_refused_again(documents: Documents) -> None:
    assert [refusal(documents, "{ tre }") for _ in range(3)] == [refusal(documents, "{ tre }")] * 3
    assert documents.hits == 0


def test_documents_stay_within_the_bytes_of_the_cache(schema: GraphQLSchema) -> None:
    cache = Cache(1_000_000)
    documents = Documents(schema, Limits(), cache)
    texts = [f"{{ a{number}: tree {{ name left {{ name }} right {{ name }} }} }}" for number in range(500)]
    for text in (text for text in texts for _ in range(3)):
        documents.read(text).choose(None).planner.plan({})
        assert cache.bytes <= cache.limit
    assert 10 < cache.count < 100
    evicted, hits = texts[0], documents.hits
    keys = [documents.read(evicted).choose(None).planner.plan({})[0].root.fields[0].key for _ in range(2)]
    assert keys == ["a0", "a0"]
    assert documents.hits == hits + 1  # it was forgotten, but not that it came before


def test_a_document_weighs_by_its_plans(schema: GraphQLSchema, cache: Cache) -> None:
    """Each choice of its conditions has one."""
    documents = Documents(schema, Limits(), cache)
    text = "query($a: Boolean!, $b: Boolean!) { row @skip(if: $a) { extra3 } b: row @skip(if: $b) { extra3 } }"
    weights = []
    for choice in range(4):
        documents.read(text).choose(None).planner.plan({"a": choice > 1, "b": choice % 2 > 0})
        documents.read(text)
        weights.append(cache.bytes)
    grown = [after - before for before, after in itertools.pairwise(weights)]
    assert grown == [module._BYTES_PER_PLAN + fields * module._BYTES_PER_FIELD for fields in (2, 2, 0)]


def test_an_operation_weighs_by_its_own_fields(documents: Documents) -> None:
    document = documents.read("query A { tree { name } } query B { tree { name left { name right { name } } } }")
    before = document.weight
    document.choose("A").planner.plan({})
    assert document.weight == before + module._BYTES_PER_PLAN + 2 * module._BYTES_PER_FIELD
    document.choose("B").planner.plan({})
    assert document.weight == before + 2 * module._BYTES_PER_PLAN + 8 * module._BYTES_PER_FIELD


def test_a_document_that_is_forgotten_is_gone_at_once(schema: GraphQLSchema) -> None:
    """Without the collector, which would find circles of that age only after hundreds of others."""
    documents = Documents(schema, Limits(), Cache(0))
    text = "query($a: Boolean!) { tree { ...F row: name @skip(if: $a) left { name } } } fragment F on Tree { name }"
    documents.read(text).choose(None).planner.plan({"a": True})
    gc.collect()
    gc.disable()
    try:
        document = documents.read(text)
        operation = document.choose(None)
        planned = operation.planner.plan({"a": False})
        assert planned is not None
        plan = planned[0]
        assert [field.synchronous for field in plan.root.fields]
        ends = [weakref.ref(each) for each in (document, operation, plan, plan.root.fields[0])]
        del document, operation, planned, plan
        assert [end() for end in ends] == [None] * 4
    finally:
        gc.enable()


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
    assert "Did you mean 'tree'" in refusal(Documents(schema, Limits(), Cache(), suggest=True), "{ tre { name } }")[1]


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
