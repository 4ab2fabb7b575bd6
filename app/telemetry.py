"""What the operator sees: one JSON object per line in the log, and counters.

Neither ever holds a token, a variable or a parameter of a statement.
"""

import asyncio
import json
import logging
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import orjson

_QUOTED_BY_DRIVER = "asyncpg."

LINES_SECONDS = 0.1

_SERVICE = logging.getLogger("waybill")  # above all loggers of the service

# What every record of `log_facts` has in common.
_RECORD = vars(logging.LogRecord("", logging.INFO, "", 0, "", None, None))


class JsonFormatter(logging.Formatter):
    """`time`, `level`, `logger` and `event`, beside the `facts` that a record was given through `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", {})
        line = _line(record.created, record.levelname.lower(), record.name, record.getMessage(), facts)
        if record.exc_info and record.exc_info[1]:
            line["error"] = describe(record.exc_info[1])
        return _one_line(line)


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


class Lines(logging.StreamHandler[TextIO]):
    """Writes lines of information together, all of `LINES_SECONDS`, and everything else at once.

    A line of its own for every request is a system call of its own. Within an event loop alone somebody comes back to
    write what is left; at the end of the process logging does.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
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


def log_to_stderr() -> None:
    """Sends the log of the service and of its server to standard error, once however often it is called."""
    if not any(isinstance(handler, Lines) for handler in _SERVICE.handlers):
        handler = Lines(sys.stderr)
        handler.setFormatter(JsonFormatter())
        for logger in (_SERVICE, logging.getLogger("uvicorn")):
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)


def log_facts(logger: logging.Logger, event: str, facts: dict[str, Any]) -> None:
    """Does what `logger.info(event, extra={"facts": facts})` does, for a logger of the service, at a fifth of the cost.

    There is one such line for every request: nobody needs to know its place in the source and the name of its thread,
    and where nobody but the service itself listens, there is nobody to make a record for.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    created = time.time()
    handlers = _SERVICE.handlers
    if len(handlers) == 1 and isinstance(handlers[0], Lines) and not (logger.handlers or logging.root.handlers):
        handlers[0].add(_one_line(_line(created, "info", logger.name, event, facts)))
        return
    record = logging.LogRecord.__new__(logging.LogRecord)
    vars(record).update(_RECORD, name=logger.name, msg=event, created=created, msecs=created % 1 * 1000, facts=facts)
    logger.handle(record)


OUTCOMES = ("ok", "errors", "refused", "unavailable", "aborted", "failed")


class Requests:
    """The requests of one surface since the start, by outcome, and the seconds spent on them."""

    def __init__(self) -> None:
        self.outcomes = Counter(dict.fromkeys(OUTCOMES, 0))
        self.seconds = 0.0

    def record(self, outcome: str, seconds: float) -> None:
        self.outcomes[outcome] += 1
        self.seconds += seconds


class Telemetry:
    """Counts requests since the start, by surface: `graphql` at all of its paths, `rest` and `export`.

    An outcome is `ok`, `errors` (errors of the caller beside or instead of data), `refused` (nothing ran),
    `unavailable` (for lack of the database, or of time), `aborted` (the caller hung up before the end) or `failed` (a
    defect of this service).
    """

    def __init__(self) -> None:
        self.requests = {surface: Requests() for surface in ("graphql", "rest", "export")}
        self.started = time.time()


def exposition(metrics: Iterable[tuple[str, str, str, dict[str, float]]]) -> str:
    """The text format of Prometheus. A metric is name, type, help and values by label set: `a="b"` or nothing."""
    lines: list[str] = []
    for name, kind, explanation, values in metrics:
        lines += [f"# HELP {name} {explanation}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in values.items()]
    return "\n".join(lines) + "\n"
