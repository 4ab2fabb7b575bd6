"""For those who run the service: is it alive, can it answer, what has it done."""

import asyncio
from collections.abc import Collection
from functools import partial
from math import inf, nan
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.execution.execute import Engine
from app.http.reply import reply
from app.postgres.database import Database, Server
from app.postgres.replica import Replica
from app.postgres.replicas import Replicas
from app.telemetry import Telemetry
from sql import Visibility, load

SQL = load("server")

# No matter of the pages of other origins.
PATHS = ("/healthz", "/readyz", "/metrics")

# Whoever asks wants to know within two seconds.
_READY_SECONDS = 1.5


async def live(_request: Request) -> Response:
    return reply({"status": "alive"})


async def readiness(
    db: Database, migrations: Collection[str], replicas: Replicas | None = None
) -> dict[str, Any] | None:
    """What it can do beside answering; None where the database does not answer in time, or lacks a migration.

    A server that takes no writes answers what is read, so that is no reason not to send it requests.
    """
    try:
        async with asyncio.timeout(_READY_SECONDS):
            [row] = await db.fetch(SQL.readiness, Visibility.everything())
    except Exception:  # whatever the reason, the answer is no
        return None
    if not set(row["migrations"]) >= set(migrations):
        return None
    notifications = "listening" if db.events.is_listening else "polling"
    told = {"status": "ready", "writable": row["is_writable"], "notifications": notifications}
    if replicas is not None:
        told["replicas"] = [{"used": each.is_near, "lagSeconds": _rounded(each.lag)} for each in replicas.all]
    return told


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None or seconds == inf else round(seconds, 3)


def watch(telemetry: Telemetry, db: Database, engine: Engine, replicas: Replicas | None = None) -> None:
    """Has the metrics tell what database and engine count."""
    documents, pool = engine.documents, db.pool
    servers: list[Server] = [db, *(replicas.all if replicas else ())]
    telemetry.follow_count(
        "waybill_statements", "Statements sent to the database.", lambda: sum(each.statements for each in servers)
    )
    if replicas is not None:
        _watch_replicas(telemetry, replicas)
    telemetry.follow_counts(
        "waybill_documents",
        "Documents looked up in the cache.",
        "result",
        {"hit": lambda: documents.hits, "miss": lambda: documents.misses},
    )
    telemetry.follow_counts(
        "waybill_executions",
        "Operations by what ran them: a tier of their plan, graphql-core after an error of it, or it alone.",
        "by",
        {by: partial(engine.executions.__getitem__, by) for by in engine.executions},
    )
    telemetry.follow_gauges(
        "db_client_connection_count",
        "Connections to the database.",
        "db_client_connection_state",
        {"used": lambda: pool.lent, "idle": lambda: pool.idle},
    )
    telemetry.follow_gauge("db_client_connection_max", "Connections that there may be.", lambda: pool.size)
    telemetry.follow_gauge("db_client_connection_pending_requests", "Who waits for a connection.", lambda: pool.waiting)
    telemetry.follow_count(
        "db_client_connection_timeouts", "Who has waited for one for too long.", lambda: pool.timeouts
    )
    telemetry.follow_count(
        "waybill_repeated", "Statements that were tried anew because a connection was lost.", lambda: pool.repeated
    )


def _watch_replicas(telemetry: Telemetry, replicas: Replicas) -> None:
    """Those of this process; the lag of several is that of who sees the longest."""
    by_place = {str(each.place): each for each in replicas.all}
    telemetry.follow_counts(
        "waybill_reads",
        "Statements of what is only read, by who answered: the primary, or a replica by its place.",
        "server",
        {"primary": lambda: replicas.primary_reads, **{key: partial(_reads, each) for key, each in by_place.items()}},
    )
    telemetry.follow_gauges(
        "waybill_replica_lag_seconds",
        "By how long a replica is behind the primary; not a number where that is not known.",
        "server",
        {key: partial(_lag, each) for key, each in by_place.items()},
        mode="livemax",
    )
    telemetry.follow_gauges(
        "waybill_replica_used",
        "Processes that read from a replica.",
        "server",
        {key: partial(_is_used, each) for key, each in by_place.items()},
    )


def _reads(replica: Replica) -> float:
    return replica.reads


def _lag(replica: Replica) -> float:
    return nan if replica.lag is None else replica.lag


def _is_used(replica: Replica) -> float:
    return replica.is_near
