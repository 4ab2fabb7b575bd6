"""Random valid documents from the SDL: no answer is a defect of this service, and both executors give the same."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import hypothesis_graphql
import pytest
from hypothesis import HealthCheck, given, settings

from app.asgi import SCHEMA
from tests.conftest import calling, credentials, running, settings_for

SDL = SCHEMA.read_text("utf-8")

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
    return lambda document, viewer: client.post("/graphql", json={"query": document}, headers=headers[viewer])


def agree(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Where several siblings have failed and a null takes the place of all, the first to fail is told: a race."""
    if one == other:
        return True
    raced = [answer["data"] is None and len(answer["errors"]) > 0 for answer in (one, other)]
    return all(raced)


# Where a field fails before anything was awaited, graphql-core drops the coroutines of its siblings.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_random_document_meets_no_defect_and_both_executors_agree(demo_dsn: str) -> None:
    """Each is asked as every viewer: to find a document takes longer than to answer it."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        compiled = runner.run(executor(stack, demo_dsn, "compiled"))
        reference = runner.run(executor(stack, demo_dsn, "reference"))

        @given(hypothesis_graphql.queries(SDL))
        @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        def ask(document: str) -> None:
            for viewer in VIEWERS:
                answer = runner.run(compiled(document, viewer))
                codes = {error["extensions"]["code"] for error in answer.json().get("errors", [])}
                assert "INTERNAL_SERVER_ERROR" not in codes, answer.text
                assert agree(answer.json(), runner.run(reference(document, viewer)).json()), viewer

        try:
            ask()
        finally:
            runner.run(stack.aclose())
