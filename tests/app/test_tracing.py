"""Traces, as a collector of OpenTelemetry gets them."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import SettingsError
from app.tracing import TRAIL, Tracing, step
from tests.conftest import connecting, credentials, running, settings_for
from tests.service import serving

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

QUERY = {"query": "query Mine { shipments(input: {offset: 2}) { items { id trackAndTraces { code } } } }"}
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Takes traces by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                request = ExportTraceServiceRequest.FromString(body)
                for resource in request.resource_spans:
                    for scope in resource.scope_spans:
                        collector.spans += scope.spans
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


async def ask(site: str, dsn: str, parent: str = "") -> httpx.Response:
    headers = credentials("staff", settings_for(dsn)) | ({"traceparent": parent} if parent else {})
    async with connecting() as client:
        return await client.post(f"{site}/graphql", json=QUERY, headers=headers)


async def test_a_trace_goes_from_the_request_to_its_statements(
    demo_dsn: str, tmp_path: Path, collector: Collector
) -> None:
    settings = {"TRACES": "0", "DRAIN_SECONDS": "0"} | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    async with serving(demo_dsn, tmp_path / "log", **settings | {"TRACES": "0.000001"}) as service:
        traced = await ask(service.site, demo_dsn, f"00-{TRACE}-{SPAN}-01")
        for parent in (f"00-{TRACE}-{SPAN}-00", f"00-{'0' * 32}-{SPAN}-01", "nonsense", ""):
            assert "traceresponse" not in (await ask(service.site, demo_dsn, parent)).headers
        service.process.terminate()
        assert await service.end() == 0
    assert traced.status_code == 200
    version, trace, span_id, flags = traced.headers["traceresponse"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    [server] = collector.named("POST /graphql")
    assert (server.trace_id.hex(), server.parent_span_id.hex(), server.span_id.hex()) == (TRACE, SPAN, span_id)
    assert attributes(server) == {
        "http.request.method": "POST",
        "http.route": "/graphql",
        "http.response.status_code": 200,
    }
    [execute] = collector.named("graphql.execute")
    assert execute.parent_span_id == server.span_id
    statements = [span for span in collector.spans if attributes(span).get("db.system.name") == "postgresql"]
    assert any(span.parent_span_id == execute.span_id for span in statements)
    assert all(span.name == attributes(span)["db.query.summary"] for span in statements)
    assert any(span.name.startswith("shipment.") for span in statements)
    for span in collector.spans:
        assert span.trace_id == server.trace_id
        assert server.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= server.end_time_unix_nano
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    [line] = [line for line in lines if "traceId" in line]
    assert line["traceId"] == TRACE
    assert line["statements"] == len(statements) > 0
    assert line["dbMs"] > 0


async def test_nobody_can_have_everything_traced(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setattr("app.tracing.time.monotonic", lambda: 1000.5)
    tracing = Tracing(0.0)
    fields = {b"traceparent": f"00-{TRACE}-{SPAN}-01".encode()}
    assert sum(tracing.begin(fields, 0.0) is not None for _ in range(150)) == 100
    tracing.close()


def test_without_the_extra_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"TRACES needs the extra otel: pip install 'waybill\[otel\]'"):
        Tracing(1.0)


async def test_what_is_not_traced_makes_no_steps(demo_dsn: str) -> None:
    assert TRAIL.get() is None
    assert step("a") is step("b")
    async with running(settings_for(demo_dsn)) as app:
        assert app.waybill.tracing is None  # type: ignore[attr-defined]  # a Service
