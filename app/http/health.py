"""For those who run the service: is it alive, can it answer, what has it done."""

import asyncio
from collections.abc import Collection
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.execution.execute import Engine
from app.http.reply import reply
from app.postgres.database import Database
from app.telemetry import Telemetry, exposition
from sql import Scope, load

SQL = load("server")

# No matter of the pages of other origins.
PATHS = ("/healthz", "/readyz", "/metrics")

# Whoever asks wants to know within two seconds.
_READY_SECONDS = 1.5


async def live(_request: Request) -> Response:
    return reply({"status": "alive"})


async def readiness(db: Database, migrations: Collection[str]) -> dict[str, Any] | None:
    """What it can do beside answering; None where the database does not answer in time, or lacks a migration.

    A server that takes no writes answers what is read, so that is no reason not to send it requests.
    """
    try:
        async with asyncio.timeout(_READY_SECONDS):
            [row] = await db.fetch(SQL.readiness, Scope.everything())
    except Exception:  # whatever the reason, the answer is no
        return None
    if not set(row["migrations"]) >= set(migrations):
        return None
    notifications = "listening" if db.events.is_listening else "polling"
    return {"status": "ready", "writable": row["is_writable"], "notifications": notifications}


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
                "Operations by what ran them: a tier of their plan, graphql-core after an error of it, or it alone.",
                {f'by="{by}"': count for by, count in engine.executions.items()},
            ),
            ("waybill_connections_in_use", "gauge", "Connections to the database that are lent.", {"": db.pool.lent}),
            ("waybill_connections_awaited", "gauge", "Who waits for a connection.", {"": db.pool.waiting}),
            (
                "waybill_repeated_total",
                "counter",
                "Statements that were tried anew because a connection was lost.",
                {"": db.pool.repeated},
            ),
            ("waybill_start_time_seconds", "gauge", "When this process started.", {"": telemetry.started}),
        ]
    )
