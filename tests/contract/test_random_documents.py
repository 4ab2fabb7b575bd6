"""Random valid documents from the SDL: whatever a caller may ask, no answer is a defect of this service."""

import asyncio

import httpx
import hypothesis_graphql
import pytest
from hypothesis import HealthCheck, given, settings

from app.asgi import SCHEMA
from tests.conftest import credentials, running, settings_for

SDL = SCHEMA.read_text("utf-8")


# Where a field fails before anything was awaited, graphql-core drops the coroutines of its siblings.
@pytest.mark.filterwarnings(
    "ignore:coroutine 'resolve_.*' was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("viewer", ["staff", "contact", "john", None])
def test_random_document_meets_no_defect(demo_dsn: str, viewer: str | None) -> None:
    configuration = settings_for(demo_dsn)
    headers = credentials(viewer, configuration)

    with asyncio.Runner() as runner:
        lifespan = running(configuration)
        app = runner.run(lifespan.__aenter__())
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://waybill.test", headers=headers)

        @given(hypothesis_graphql.queries(SDL))
        @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        def ask(document: str) -> None:
            answer = runner.run(client.post("/graphql", json={"query": document})).json()
            codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
            assert "INTERNAL_SERVER_ERROR" not in codes, answer

        try:
            ask()
        finally:
            runner.run(client.aclose())
            runner.run(lifespan.__aexit__(None, None, None))
