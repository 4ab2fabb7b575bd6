"""What a request leaves behind: how many statements, for how long they ran, and of some requests a trace.

Traces are for a collector of OpenTelemetry, and need the extra `otel`. Which requests are traced is decided before
anything is done for them: the others cost what counting costs. A caller that traces says so by `traceparent`
(https://www.w3.org/TR/trace-context/), and finds the trace in the log by its id.
"""

import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from app.settings import SettingsError

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_PARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16
_SAMPLED = 1
# Callers may ask for traces, and strangers are callers.
_MOST_A_SECOND = 100

_NOTHING: AbstractContextManager[None] = nullcontext()


class Trail:
    """Of one request; those of its tasks share it. `seconds` is what its statements took."""

    __slots__ = ("seconds", "statements", "trace")

    def __init__(self) -> None:
        self.statements = 0
        self.seconds = 0.0
        self.trace: Trace | None = None


TRAIL: ContextVar[Trail | None] = ContextVar("trail", default=None)


def step(name: str) -> AbstractContextManager[None]:
    """A block that is a span of its own, where the request is traced."""
    trail = TRAIL.get()
    return _NOTHING if trail is None or trail.trace is None else trail.trace.step(name)


class Trace:
    """The spans of one request. Times are those of `time.perf_counter`."""

    def __init__(self, tracer: Any, span: "Span") -> None:
        self._tracer = tracer
        self._span = self._within = span
        self._zero = time.time_ns() - int(time.perf_counter() * 1e9)
        context = span.get_span_context()
        self.id = f"{context.trace_id:032x}"
        self.header = f"00-{self.id}-{context.span_id:016x}-01".encode()

    def statement(self, name: str, began: float, ended: float, error: BaseException | None) -> None:
        from opentelemetry.trace import SpanKind

        attributes = {"db.system.name": "postgresql", "db.query.summary": name}
        if error is not None:
            attributes["error.type"] = getattr(error, "sqlstate", None) or type(error).__qualname__
        span = self._start(name, SpanKind.CLIENT, began, attributes)
        span.end(self._at(ended))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        from opentelemetry.trace import SpanKind

        before = self._within
        self._within = self._start(name, SpanKind.INTERNAL, time.perf_counter(), {})
        try:
            yield
        finally:
            self._within.end(self._at(time.perf_counter()))
            self._within = before

    def end(self, attributes: Mapping[str, str | int]) -> None:
        """`attributes` are what is known of the request by now."""
        self._span.update_name(f"{attributes['http.request.method']} {attributes['http.route']}".rstrip())
        self._span.set_attributes(dict(attributes))
        self._span.end(self._at(time.perf_counter()))

    def _start(self, name: str, kind: Any, began: float, attributes: Mapping[str, str]) -> "Span":
        from opentelemetry.trace import set_span_in_context

        span: Span = self._tracer.start_span(
            name, set_span_in_context(self._within), kind=kind, start_time=self._at(began), attributes=attributes
        )
        return span

    def _at(self, moment: float) -> int:
        return self._zero + int(moment * 1e9)


class Tracing:
    """Traces a `share` of the requests, and those whose callers do. Where to send them is OTEL_EXPORTER_OTLP_ENDPOINT.

    Raises `SettingsError` where the extra is not installed.
    """

    def __init__(self, share: float) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ALWAYS_ON
        except ImportError as error:
            raise SettingsError("TRACES needs the extra otel: pip install 'waybill[otel]'") from error
        self._share = share
        self._provider = TracerProvider(ALWAYS_ON, Resource.create({"service.name": "waybill"}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("waybill")
        self._second, self._traced = 0, 0

    def begin(self, fields: Mapping[bytes, bytes], began: float) -> Trace | None:
        """The trace of a request with these headers, None where it has none."""
        parent = _PARENT.fullmatch(fields.get(b"traceparent", b""))
        if parent and parent[1] != _NO_TRACE and parent[2] != _NO_SPAN:
            if not int(parent[3], 16) & _SAMPLED:
                return None
        elif random.random() >= self._share:  # noqa: S311  nobody gains by guessing it
            return None
        else:
            parent = None
        if not self._has_room():
            return None
        from opentelemetry.context import Context
        from opentelemetry.trace import (
            NonRecordingSpan,
            SpanContext,
            SpanKind,
            TraceFlags,
            set_span_in_context,
        )

        context = Context()
        if parent is not None:
            remote = SpanContext(int(parent[1], 16), int(parent[2], 16), is_remote=True, trace_flags=TraceFlags(1))
            context = set_span_in_context(NonRecordingSpan(remote), context)
        began_at = time.time_ns() - int((time.perf_counter() - began) * 1e9)
        span = self._tracer.start_span("request", context, kind=SpanKind.SERVER, start_time=began_at)
        return Trace(self._tracer, span)

    def close(self) -> None:
        """Sends what has not been sent."""
        self._provider.shutdown()

    def _has_room(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._traced = second, 0
        self._traced += 1
        return self._traced <= _MOST_A_SECOND
