import logging
from typing import Any

import pytest
from graphql import GraphQLSchema

from app.execution.document import RequestErrors
from app.execution.execute import Answer, Engine, refuse
from app.settings import Limits


@pytest.fixture
def engine(schema: GraphQLSchema) -> Engine:
    return Engine(schema, Limits())


async def run(engine: Engine, text: str, variables: dict[str, Any] | None = None) -> Answer:
    return await engine.run(engine.prepare(text), variables or {}, None, "request-1")


async def test_a_query_is_answered(engine: Engine) -> None:
    answer = await run(engine, "query($v: Int!) { number(value: $v) }", {"v": 3})
    assert answer == Answer({"data": {"number": 3}}, ran=True)


async def test_an_error_of_ours_keeps_message_code_path_and_place(engine: Engine) -> None:
    answer = await run(engine, "{ number(value: 1) missing }")
    assert answer.body == {
        "errors": [
            {
                "message": 'Order "7" not found.',
                "locations": [{"line": 1, "column": 20}],
                "path": ["missing"],
                "extensions": {"code": "ORDER_NOT_FOUND"},
            }
        ],
        "data": {"number": 1, "missing": None},
    }


@pytest.mark.parametrize("document", ["{ defect }", "{ required }", "{ row { hasNone } }", "{ row { number } }"])
async def test_a_defect_tells_its_request_id_alone(
    engine: Engine, document: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await run(engine, document)
    error = answer.body["errors"][0]
    assert (error["message"], answer.ran, answer.defects) == ("Internal server error", True, 1)
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "requestId": "request-1"}
    assert "hunter2" not in str(answer.body)
    assert "data" in answer.body
    assert caplog.records[0].exc_info
    assert caplog.records[0].facts["requestId"] == "request-1"


async def test_a_wrong_variable_is_a_request_error(engine: Engine) -> None:
    answer = await run(engine, "query($v: Int!) { number(value: $v) }", {"v": 2**70})
    assert not answer.ran
    assert "data" not in answer.body
    assert answer.body["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_a_wrong_variable_suggests_nothing(engine: Engine) -> None:
    answer = await run(engine, "query($i: TreeInput) { tree(input: $i) { name } }", {"i": {"name": ["x"]}})
    assert "Did you mean" not in str(answer.body)
    assert answer.body["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_a_null_for_a_default_is_the_callers_error_and_no_defect(engine: Engine) -> None:
    answer = await run(engine, "query($v: Int = 1) { number(value: $v) }", {"v": None})
    assert answer.body["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    assert answer.body["errors"][0]["path"] == ["number"]
    assert answer.defects == 0


async def test_a_list_in_the_variables_is_limited(engine: Engine) -> None:
    answer = await run(engine, "query($i: [Int!]) { tree(ids: $i) { name } }", {"i": [1] * 101})
    assert not answer.ran
    assert answer.body["errors"][0]["extensions"] == {"code": "LIMIT_EXCEEDED"}


def test_a_refused_document_has_no_data(engine: Engine) -> None:
    with pytest.raises(RequestErrors) as caught:
        engine.prepare("{ nothing }")
    answer = refuse(caught.value, "request-1")
    assert answer.body == {
        "errors": [
            {
                "message": "Cannot query field 'nothing' on type 'Query'.",
                "locations": [{"line": 1, "column": 3}],
                "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"},
            }
        ]
    }
