"""What the operator sees: lines in the log, one JSON object each or for people, and metrics.

Neither ever holds a token, a variable or a parameter of a statement.
"""

import asyncio
import json
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, TextIO

import orjson
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    values,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.values import MultiProcessValue

_QUOTED_BY_DRIVER = "asyncpg."
# What needs no quotes to be seen as one word.
_PLAIN = re.compile(r"[!-~]*")

LINES_SECONDS = 0.1
_SHARE_SECONDS = 1.0

_SERVICE = logging.getLogger("waybill")  # above all loggers of the service


Render = Callable[[dict[str, object]], str]


class FactsFormatter(logging.Formatter):
    """`time`, `level`, `logger` and `event`, beside the `facts` that a record was given through `extra`."""

    def __init__(self, render: Render | None = None) -> None:
        super().__init__()
        self._render = render or _one_line

    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", {})
        line = _line(record.created, record.levelname.lower(), record.name, record.getMessage(), facts)
        if record.exc_info and record.exc_info[1]:
            line["error"] = describe(record.exc_info[1])
        return self._render(line)


def _line(created: float, level: str, logger: str, event: str, facts: dict[str, Any]) -> dict[str, object]:
    return {"time": _instant(created), "level": level, "logger": logger, "event": event, **facts}


def _instant(seconds: float) -> str:
    """To the millisecond, in UTC."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{_second(whole)}.{milliseconds:03}+00:00"


@lru_cache(1)  # a busy second has thousands of lines
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _one_line(facts: dict[str, object]) -> str:
    """JSON in ASCII: a path may hold characters that move a terminal's cursor."""
    line = orjson.dumps(facts, default=str)
    return line.decode() if line.isascii() else json.dumps(facts, default=str)


def _for_people(facts: dict[str, object]) -> str:
    """What happened when and to whom on a line, and below it the traceback of a defect."""
    rest = dict(facts)
    moment, level, logger, event, error = (
        str(rest.pop(name, "")) for name in ("time", "level", "logger", "event", "error")
    )
    words = [f"{name}={_word(value)}" for name, value in rest.items()]
    line = f"{moment[11:23]} {level:7} {logger.removeprefix('waybill.'):12} {' '.join([event, *words])}"
    return f"{line}\n{error}" if error else line


def _word(value: object) -> str:
    text = json.dumps(value, default=str)
    return text[1:-1] if isinstance(value, str) and _PLAIN.fullmatch(value) else text


def describe(error: BaseException) -> str:
    """The traceback. The database driver quotes parameters in its messages, so only their SQLSTATE is told."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        kind = type(current)
        name = f"{kind.__module__}.{kind.__qualname__}"
        told = getattr(current, "sqlstate", "") if name.startswith(_QUOTED_BY_DRIVER) else str(current)
        parts.append("".join(traceback.format_tb(current.__traceback__)) + f"{name}: {told}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\ncaused by\n".join(parts)


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes lines of information together, all of `LINES_SECONDS`, and everything else at once.

    A line of its own for every request is a system call of its own. Within an event loop alone somebody comes back to
    write what is left; at the end of the process logging does.
    """

    def __init__(self, stream: TextIO, render: "Render" = _one_line) -> None:
        super().__init__(stream)
        self.render = render
        self._waiting: list[str] = []
        self._writer: asyncio.AbstractEventLoop | None = None  # that will write what is waiting

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.add(self.format(record), waits=record.levelno <= logging.INFO)
        except Exception:
            self.handleError(record)

    def add(self, line: str, *, waits: bool = True) -> None:
        self._waiting.append(f"{line}\n")
        loop = _running_loop()
        if loop is None or not waits:
            self.flush()
        elif loop is not self._writer:
            self._writer = loop
            loop.call_later(LINES_SECONDS, self.flush)

    def flush(self) -> None:
        with self.lock or nullcontext():
            lines, self._waiting, self._writer = self._waiting, [], None
            if lines:
                self.stream.write("".join(lines))
                self.stream.flush()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def log_to_stderr(form: str = "json") -> None:
    """Sends the log of the service and of its server to standard error, once however often it is called.

    `form` is `json`, or `text` for people who read it.
    """
    if not any(isinstance(handler, LogHandler) for handler in _SERVICE.handlers):
        handler = LogHandler(sys.stderr, _one_line if form == "json" else _for_people)
        handler.setFormatter(FactsFormatter(handler.render))
        for logger in (_SERVICE, logging.getLogger("uvicorn")):
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)


def log_facts(logger: logging.Logger, event: str, facts: dict[str, Any]) -> None:
    """Does what `logger.info(event, extra={"facts": facts})` does, for a logger of the service.

    There is one such line for every request: where nobody but the service itself listens, there is nobody to make a
    record for, and it costs a third of what one with a record does (2.3 in place of 6.9 us).
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    handlers = _SERVICE.handlers
    if len(handlers) == 1 and isinstance(handlers[0], LogHandler) and not (logger.handlers or logging.root.handlers):
        handlers[0].add(handlers[0].render(_line(time.time(), "info", logger.name, event, facts)))
    else:
        logger.info(event, extra={"facts": facts})


SURFACES = ("graphql", "rest", "export", "pages")
OUTCOMES = ("ok", "errors", "refused", "unavailable", "aborted", "failed")
# To the deadline of a request, and beyond it for exports, which take as long as their callers need.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300)

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_statement_logger = logging.getLogger("waybill.database")

# Or every series comes twice, once with the time of its start.
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client has few types


# Of what prometheus-client tells of a process; of several it would say nothing.
_NO_SUMS = ("process_start_time_seconds", "process_max_fds")


class Requests:
    """The requests of one surface. What records them is bound once: finding it by its labels costs more."""

    def __init__(self, surface: str, requests: Counter, seconds: Histogram) -> None:
        self._count = {outcome: requests.labels(surface, outcome).inc for outcome in OUTCOMES}
        self._observe = seconds.labels(surface).observe

    def record(self, outcome: str, seconds: float) -> None:
        self._count[outcome]()
        self._observe(seconds)


class Telemetry:
    """The metrics of this process; with `shared`, a directory, those of all processes that share it.

    Requests are counted by surface: `graphql` at all of its paths, `rest`, `export` and `pages`. An outcome is `ok`,
    `errors` (errors of the caller beside or instead of data), `refused` (nothing ran, or a credential ended),
    `unavailable` (for lack of the database, or of time), `aborted` (the caller hung up before the end) or `failed` (a
    defect of this service).

    The directory is that of PROMETHEUS_MULTIPROC_DIR, which prometheus-client itself reads when it is imported. It has
    files for each process, by its id, or by its `number`: who has that later goes on with their counts.
    """

    def __init__(self, shared: Path | None = None, number: int | None = None) -> None:
        self.registry = self._told = CollectorRegistry()
        self._is_shared = shared is not None
        self._number = os.getpid() if number is None else number
        if shared is not None:
            values.ValueClass = MultiProcessValue(lambda: self._number)  # type: ignore[no-untyped-call]
        if shared is None:
            ProcessCollector(registry=self.registry)
        else:
            self._told = CollectorRegistry()
            MultiProcessCollector(self._told, str(shared))  # type: ignore[no-untyped-call]
        self._followed: list[Callable[[], None]] = []
        requests = Counter(
            "waybill_requests", "Requests by surface and outcome.", ["surface", "outcome"], registry=self.registry
        )
        seconds = Histogram(
            "waybill_request_seconds",
            "What they took, in seconds.",
            ["surface"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.requests = {surface: Requests(surface, requests, seconds) for surface in SURFACES}

        self._exchanges = Histogram(
            "http_server_request_duration_seconds",
            "What requests took, by OpenTelemetry's names.",
            ["http_request_method", "http_route", "http_response_status_code"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._exchange: dict[tuple[str, str, int], Callable[[float], None]] = {}
        self._statements = Histogram(
            "db_client_operation_duration_seconds",
            "What statements took, with the wait for a connection, by the file of sql/ that they stand in.",
            ["db_system_name", "db_collection_name"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._statement: dict[str, Callable[[float], None]] = {}
        self.slow_seconds = float("inf")

    def observe_exchange(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is the path as it is written in the code, so that there are few."""
        key = method, route, status
        observe = self._exchange.get(key)
        if observe is None:
            labels = method if method in _METHODS else "_OTHER", route, str(status)
            observe = self._exchanges.labels(*labels).observe
            if method in _METHODS:
                self._exchange[key] = observe
        observe(seconds)

    def observe_statement(self, name: str, seconds: float) -> None:
        """`name` is that of its file and its own: `order.by_ids`. One that is slow is named in the log."""
        observe = self._statement.get(name)
        if observe is None:
            noun = name.partition(".")[0]
            observe = self._statement[name] = self._statements.labels("postgresql", noun).observe
        observe(seconds)
        if seconds >= self.slow_seconds:
            facts = {"statement": name, "ms": round(seconds * 1000, 1)}
            _statement_logger.warning("slow statement", extra={"facts": facts})

    def follow_count(self, name: str, explanation: str, read: Callable[[], float]) -> None:
        """A counter of what is counted where it happens, as cheaply as can be: `read` gives its number."""
        counter = Counter(name, explanation, registry=self.registry)
        self._followed.append(_Followed(counter, read).advance)

    def follow_counts(self, name: str, explanation: str, label: str, reads: Mapping[str, Callable[[], float]]) -> None:
        """The same by the values of a label."""
        counter = Counter(name, explanation, [label], registry=self.registry)
        for value, read in reads.items():
            self._followed.append(_Followed(counter.labels(value), read).advance)

    def follow_gauge(self, name: str, explanation: str, read: Callable[[], float]) -> None:
        """A gauge of what `read` gives; of several processes, the sum of those that live."""
        gauge = Gauge(name, explanation, registry=self.registry, multiprocess_mode="livesum")
        self._followed.append(lambda: gauge.set(read()))

    def follow_gauges(
        self,
        name: str,
        explanation: str,
        label: str,
        reads: Mapping[str, Callable[[], float]],
        *,
        mode: Literal["livesum", "livemax"] = "livesum",
    ) -> None:
        """The same by the values of a label; `mode` is what is told of several processes."""
        gauge = Gauge(name, explanation, [label], registry=self.registry, multiprocess_mode=mode)
        for value, read in reads.items():
            self._followed.append(partial(_set, gauge.labels(value), read))

    def watch_process(self) -> None:
        """Has the metrics of several processes tell what they take together, and how many there are."""
        if not self._is_shared:
            return  # prometheus-client tells it of one
        self.follow_gauge("waybill_workers", "Processes that answer.", lambda: 1)
        starts = Counter("waybill_worker_starts", "Processes that began to answer.", registry=self.registry)
        starts.inc()
        process = ProcessCollector(registry=None)
        for family in process.collect():
            read = partial(_value_of, process, family.name)
            if family.type == "counter":
                self.follow_count(family.name, family.documentation, read)
            elif family.name not in _NO_SUMS:
                self.follow_gauge(family.name, family.documentation, read)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The metrics, and their media type: the text format of Prometheus, or OpenMetrics for whom `accept`s it."""
        self._refresh()
        encode, media_type = choose_encoder(accept)
        return encode(self._told), media_type

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Has the other processes know what this one has counted, until the block ends; nothing where it is alone."""
        if not self._is_shared:
            yield
            return
        sharing = asyncio.create_task(self._share())
        try:
            yield
        finally:
            sharing.cancel()
            self._refresh()
            mark_process_dead(self._number)  # type: ignore[no-untyped-call]

    async def _share(self) -> None:
        while True:
            self._refresh()
            await asyncio.sleep(_SHARE_SECONDS)

    def _refresh(self) -> None:
        for advance in self._followed:
            advance()


def forget_worker(shared: Path, number: int) -> None:
    """Takes what one process tells of the moment out of what all tell: it has ended, perhaps without a word."""
    mark_process_dead(number, str(shared))  # type: ignore[no-untyped-call]


def _value_of(process: ProcessCollector, name: str) -> float:
    return next(family.samples[0].value for family in process.collect() if family.name == name)


def _set(gauge: Gauge, read: Callable[[], float]) -> None:
    gauge.set(read())


class _Followed:
    """A counter that is brought up to what `read` gives."""

    def __init__(self, counter: Counter, read: Callable[[], float]) -> None:
        self._counter = counter
        self._read = read
        self._told = 0.0

    def advance(self) -> None:
        now = self._read()
        self._counter.inc(now - self._told)
        self._told = now
