"""What is said of a document's cost before it runs is never less than what it did cost, whatever it asks for."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any

import hypothesis_graphql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import calling, credentials, running, settings_for
from tests.contract.test_random_documents import OF_BUSINESS, OF_CUSTOMERS, SDL, aimed, known_ids
from tests.fuzz import fuzz

VIEWERS = ["staff", "contact", "john"]


def objects_in(value: Any) -> int:
    """How many objects there are in an answer: every scalar of the schema is a text, a number or a truth."""
    if isinstance(value, list):
        return sum(map(objects_in, value))
    return 1 + sum(map(objects_in, value.values())) if isinstance(value, dict) else 0


# Where a field fails before anything was awaited, graphql-core drops the coroutines of its siblings.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_random_document_costs_no_more_than_it_may(demo_dsn: str) -> None:
    documents = st.one_of(hypothesis_graphql.queries(SDL, fields=fields) for fields in (OF_BUSINESS, OF_CUSTOMERS))
    checked = paid = 0
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        configuration = settings_for(demo_dsn)
        app = runner.run(stack.enter_async_context(running(configuration)))
        client = runner.run(stack.enter_async_context(calling(app)))
        headers = {viewer: {**credentials(viewer, configuration), "GraphQL-Cost": "report"} for viewer in VIEWERS}

        async def ask(document: str, viewer: str | None) -> Any:
            while True:
                answer = await client.post("/graphql", json={"query": document}, headers=headers[viewer or "staff"])
                if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                    return answer
                await asyncio.sleep(float(answer.headers["retry-after"]))

        ids = runner.run(known_ids(ask))

        def test() -> Callable[[], None]:
            @given(documents)
            def check(document: str) -> None:
                nonlocal checked, paid
                document = aimed(document, ids)
                for viewer in VIEWERS:
                    answer = runner.run(ask(document, viewer)).json()
                    cost = answer.get("extensions", {}).get("cost")
                    if cost is None:  # it was refused before that
                        assert "data" not in answer, answer
                        continue
                    for kind in ("fieldCost", "typeCost"):
                        assert 0 <= cost[kind]["actual"] <= cost[kind]["requested"], (kind, cost)
                    assert cost["actual"] <= cost["requested"]
                    # One for the root, and more where several types of an abstract one are asked for the same.
                    assert cost["typeCost"]["actual"] >= objects_in(answer.get("data") or {}), answer
                    checked += 1
                    paid += cost["typeCost"]["actual"] > 1

            return check

        try:
            fuzz(test, examples=40, share=1 / 8, title="costs of random documents")
        finally:
            runner.run(stack.aclose())
    print(f"costs of random documents: {checked:,} checked, {paid:,} of answers with objects", flush=True)
    assert paid > checked / 10
