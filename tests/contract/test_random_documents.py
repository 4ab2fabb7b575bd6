"""Random valid documents from the SDL: no answer is a defect of this service, and both executors give the same."""

import asyncio
import re
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import httpx
import hypothesis_graphql
import pytest
from graphql import (
    FieldNode,
    InlineFragmentNode,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    parse,
    print_ast,
)
from hypothesis import given
from hypothesis import strategies as st

from app.asgi import SCHEMA
from app.errors import Forbidden, NotAuthenticated
from tests.conftest import calling, credentials, running, settings_for
from tests.fuzz import fuzz

SDL = SCHEMA.read_text("utf-8")
QUERY = build_schema(SDL).query_type
assert QUERY is not None
OF_CUSTOMERS = [name for name in QUERY.fields if name.startswith("customer")]
OF_BUSINESS = [name for name in QUERY.fields if name not in OF_CUSTOMERS]
# What a caller is told who may see nothing of what was asked for.
DENIALS = {NotAuthenticated.code, Forbidden.code}

VIEWERS = ["staff", "contact", "john", None]

Ask = Callable[[str, str | None], Awaitable[httpx.Response]]


async def executor(stack: AsyncExitStack, dsn: str, name: str) -> Ask:
    """Asks a service with this executor, as one of `VIEWERS`."""
    configuration = settings_for(dsn, executor=name)
    app = await stack.enter_async_context(running(configuration))
    client = await stack.enter_async_context(calling(app))
    headers = {
        viewer: {**credentials(viewer, configuration), "x-request-id": "the same for both"} for viewer in VIEWERS
    }

    async def ask(document: str, viewer: str | None) -> httpx.Response:
        while True:
            answer = await client.post("/graphql", json={"query": document}, headers=headers[viewer])
            if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                return answer
            await asyncio.sleep(float(answer.headers["retry-after"]))

    return ask


async def known_ids(ask: Ask) -> dict[str, Sequence[str]]:
    """Arguments that name something, as they stand in a document."""
    answer = await ask("{ orders { items { id } } shipments { items { id } } carriers { items { id } } }", "staff")
    orders, shipments, carriers = ([row["id"] for row in page["items"]] for page in answer.json()["data"].values())
    return {
        "number": [str(number) for number in [*orders, *carriers]],
        "text": [f'"{name}"' for name in [*shipments, *orders]],
    }


def aimed(document: str, ids: dict[str, Sequence[str]]) -> str:
    """The document with ids of what there is in place of most of its made-up ones."""

    def choose(match: re.Match[str]) -> str:
        chance = zlib.crc32(match[0].encode() + str(match.start()).encode())
        kind = ids["text" if match[2].startswith('"') else "number"]
        return match[0] if chance % 8 == 0 else f"{match[1]}: {kind[chance % len(kind)]}"

    return re.sub(r'\b(id|orderId|shipmentId): (-?\d+|"[^"\\\n]*")', choose, document)


def agree(one: dict[str, Any], other: dict[str, Any], is_possible: Callable[[dict[str, Any]], bool]) -> bool:
    """Errors of siblings that wait for the database side by side come in the order in which it answers.

    Where several have failed and a null takes the place of all, only the first to fail is told: any one `is_possible`.
    """
    if _unordered(one) == _unordered(other):
        return True
    errors = [error for answer in (one, other) for error in answer.get("errors", ())]
    is_raced = all("data" in answer and answer["data"] is None for answer in (one, other))
    return is_raced and all("path" in error and is_possible(error) for error in errors)


def is_told(error: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Whether it is among the errors of the answer, at whatever places of lists."""
    return _anywhere(error) in [_anywhere(told) for told in answer.get("errors", ())]


def _anywhere(error: dict[str, Any]) -> tuple[Any, ...]:
    return error["message"], error["extensions"], [key for key in error.get("path", ()) if isinstance(key, str)]


def narrowed(document: str, path: Sequence[str | int]) -> str:
    """The document with the field at this path alone, and what is selected below it."""
    [operation] = parse(document).definitions
    assert isinstance(operation, OperationDefinitionNode)
    return print_ast(_narrowed(operation, [key for key in path if isinstance(key, str)]))


def _narrowed(node: Any, keys: Sequence[str]) -> Any:
    if not keys or node.selection_set is None:
        return node
    kept = []
    for selection in node.selection_set.selections:
        if isinstance(selection, InlineFragmentNode):
            kept.append(_narrowed(selection, keys))
        elif isinstance(selection, FieldNode) and (selection.alias or selection.name).value == keys[0]:
            kept.append(_narrowed(selection, keys[1:]))
    # What is left must be valid: an inline fragment without the field keeps its type's name.
    kept = kept or [FieldNode(name=NameNode(value="__typename"))]
    return replace(node, selection_set=SelectionSetNode(selections=tuple(kept)))


def _unordered(answer: dict[str, Any]) -> tuple[Any, list[str]]:
    return answer.get("data", "none at all"), sorted(map(repr, answer.get("errors", [])))


def says_something(answer: dict[str, Any]) -> bool:
    """Whether there is more to it than that the caller may see nothing."""
    codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
    data = answer.get("data") or {}
    return not codes & DENIALS or any(value is not None for value in data.values())


NOT_FOUND: dict[str, Any] = {"message": "none", "path": ["order"], "extensions": {"code": "ORDER_NOT_FOUND"}}
REFUSED: dict[str, Any] = {"message": "no", "path": ["shipments"], "extensions": {"code": "FORBIDDEN"}}


def test_nulls_agree_by_errors_that_are_possible() -> None:
    one, other = {"data": None, "errors": [NOT_FOUND]}, {"data": None, "errors": [REFUSED]}
    assert agree(one, other, lambda _error: True)
    assert not agree(one, other, lambda error: error is NOT_FOUND)
    assert not agree(one, {"data": {"order": None}, "errors": [NOT_FOUND]}, lambda _error: True)
    assert not agree(one, {"errors": [NOT_FOUND]}, lambda _error: True)
    assert not agree(one, {"data": None, "errors": [{"message": "no", "extensions": {}}]}, lambda _error: True)


def test_document_is_narrowed_to_a_path() -> None:
    document = "{ a: order { id shipments { id status } } b: order { id } ... on Query { a: order { status } } }"
    narrow = "{ a: order { shipments { status } } ... on Query { a: order { __typename } } }"
    assert narrowed(document, ["a", "shipments", 3, "status"]) == print_ast(parse(narrow))


# Where a field fails before anything was awaited, graphql-core drops the coroutines of its siblings.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_random_document_meets_no_defect_and_both_executors_agree(demo_dsn: str) -> None:
    """Each is asked as every viewer: to find a document takes longer than to answer it."""
    agreed: Counter[str | None] = Counter()
    documents = st.one_of(hypothesis_graphql.queries(SDL, fields=fields) for fields in (OF_BUSINESS, OF_CUSTOMERS))
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        compiled = runner.run(executor(stack, demo_dsn, "compiled"))
        reference = runner.run(executor(stack, demo_dsn, "reference"))
        ids = runner.run(known_ids(reference))

        def test() -> Callable[[], None]:
            @given(documents)
            def ask(document: str) -> None:
                document = aimed(document, ids)
                for viewer in VIEWERS:
                    answer = runner.run(compiled(document, viewer)).json()
                    codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
                    assert "INTERNAL_SERVER_ERROR" not in codes, answer
                    expected = runner.run(reference(document, viewer)).json()

                    def is_possible(error: dict[str, Any], viewer: str | None = viewer) -> bool:
                        return is_told(error, runner.run(reference(narrowed(document, error["path"]), viewer)).json())

                    assert agree(answer, expected, is_possible), viewer
                    agreed[viewer] += says_something(answer)

            return ask

        try:
            fuzz(test, examples=50, share=1 / 4, title="random documents")
        finally:
            runner.run(stack.aclose())
    print(f"random documents: answers that agree, and do not only deny: {dict(agreed)}", flush=True)
    assert all(agreed[viewer] > 10 for viewer in VIEWERS if viewer is not None), agreed
