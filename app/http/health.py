"""For those who run the service: is it alive, can it answer, what has it done."""

import asyncio
from collections.abc import Collection

from starlette.requests import Request
from starlette.responses import Response

from app.database import Database
from app.execution.execute import Engine
from app.http.reply import reply
from app.telemetry import Telemetry, exposition

# No matter of the pages of other origins.
PATHS = ("/healthz", "/readyz", "/metrics")

_READY_SECONDS = 2


async def live(_request: Request) -> Response:
    return reply({"status": "alive"})


async def is_ready(db: Database, migrations: Collection[str]) -> bool:
    """Whether the database answers in time and holds every migration of this version."""
    try:
        async with asyncio.timeout(_READY_SECONDS):
            rows = await db.pool.fetch("SELECT name FROM schema_migrations")
    except Exception:  # whatever the reason, the answer is no
        return False
    return {row["name"] for row in rows} >= set(migrations)


def metrics(telemetry: Telemetry, db: Database, engine: Engine) -> str:
    """The text format of Prometheus."""
    return exposition(
        [
            (
                "waybill_requests_total",
                "counter",
                "Requests by surface and outcome.",
                {
                    f'surface="{surface}",outcome="{outcome}"': count
                    for surface, requests in telemetry.requests.items()
                    for outcome, count in requests.outcomes.items()
                },
            ),
            (
                "waybill_request_seconds_total",
                "counter",
                "Time spent on them.",
                {f'surface="{surface}"': requests.seconds for surface, requests in telemetry.requests.items()},
            ),
            ("waybill_statements_total", "counter", "Statements sent to the database.", {"": db.statements}),
            (
                "waybill_documents_total",
                "counter",
                "Documents looked up in the cache.",
                {'result="hit"': engine.documents.hits, 'result="miss"': engine.documents.misses},
            ),
            (
                "waybill_executions_total",
                "counter",
                "Operations by what ran them: a plan, graphql-core after a plan met an error, or graphql-core alone.",
                {f'by="{by}"': count for by, count in engine.executions.items()},
            ),
            ("waybill_start_time_seconds", "gauge", "When this process started.", {"": telemetry.started}),
        ]
    )
