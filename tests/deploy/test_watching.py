"""The dashboard and the alert rules of deploy/ ask for what the service tells, and for nothing else."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from tests.conftest import FAR_TOO_LONG, calling, credentials, running, settings_for

DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = re.compile(r"\b(?:waybill|http|db|process)_[a-z_]+[a-z]\b")
LABELS = re.compile(r"(\b[a-z_]+)\{([^}]*)\}|by \(([^)]*)\)")
# What Prometheus itself gives every series, and the buckets of histograms.
GIVEN = {"job", "instance", "le"}


def queries() -> list[str]:
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    rules = (DEPLOY / "prometheus-rules.yml").read_text()
    return asked + re.findall(r"^\s+expr: (.+)$", rules, re.MULTILINE)


@pytest.fixture
async def told(demo_copy_dsn: str) -> dict[str, set[str]]:
    """The labels of each series of a service that delivers, by its name, after some requests."""
    settings = replace(settings_for(demo_copy_dsn), deliver=True)
    headers = credentials("staff", settings)
    async with running(settings) as app, calling(app) as client:
        await client.post("/graphql", json={"query": "{ carriers { itemsFound } }"}, headers=headers)
        await client.get("/export/orders.ndjson", headers=headers)
        text = (await client.get("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found: dict[str, set[str]] = {}
    for sample in samples:
        found.setdefault(sample.name, set()).update(sample.labels)
    # Of several workers alone.
    return {**found, "waybill_workers": set(), "waybill_worker_starts_total": set()}


async def test_all_that_is_asked_for_is_told(told: dict[str, set[str]]) -> None:
    asked = queries()
    assert len(asked) > 20
    for query in asked:
        names = set(NAME.findall(re.sub(r"\{[^}]*\}|by \([^)]*\)", "", query)))
        assert names, query
        assert names <= told.keys(), query
        known = GIVEN.union(*(told[name] for name in names))
        for _, selected, grouped in LABELS.findall(query):
            labels = re.findall(r"([a-z_]+)\s*(?:=|!=|=~|!~)", selected) + re.findall(r"[a-z_]+", grouped)
            assert set(labels) <= known, query


async def test_the_names_are_those_of_opentelemetry(told: dict[str, set[str]]) -> None:
    assert told["http_server_request_duration_seconds_count"] == {
        "http_request_method",
        "http_route",
        "http_response_status_code",
    }
    assert told["db_client_operation_duration_seconds_count"] == {"db_system_name", "db_collection_name"}
    assert told["db_client_connection_count"] == {"db_client_connection_state"}


async def test_what_callers_choose_makes_no_series(app: Starlette) -> None:
    async with calling(app) as client:
        for number in range(20):
            await client.request(f"X{number}", f"/nowhere/{number}")
            await client.get(f"/api/shop/customer-orders/{number}")
        text = (await client.get("/metrics")).text
    series = {line.partition(" ")[0] for line in text.splitlines() if "duration_seconds_count" in line}
    assert len([each for each in series if "customer-orders" in each]) == 1
    assert len([each for each in series if "_OTHER" in each]) == 1
    assert "nowhere" not in text


def test_prometheus_takes_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    subprocess.run([promtool, "check", "rules", str(DEPLOY / "prometheus-rules.yml")], check=True, timeout=FAR_TOO_LONG)


def test_every_alert_says_what_to_do() -> None:
    text = (DEPLOY / "prometheus-rules.yml").read_text()
    alerts: list[Any] = re.split(r"^\s+- alert: ", text, flags=re.MULTILINE)[1:]
    assert len(alerts) > 8
    for alert in alerts:
        for word in ("expr:", "for:", "severity:", "summary:", "description:"):
            assert word in alert, alert
