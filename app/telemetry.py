"""What the operator sees: one JSON object per line in the log, and counters.

Neither ever holds a token, a variable or a parameter of a statement.
"""

import json
import logging
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

_QUOTED_BY_DRIVER = "asyncpg."


class JsonFormatter(logging.Formatter):
    """`time`, `level`, `logger` and `event`, beside the `facts` that a record was given through `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[1]:
            line["error"] = describe(record.exc_info[1])
        return json.dumps(line, default=str)


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


def log_to_stderr() -> None:
    """Sends the service's log to standard error, once however often it is called."""
    logger = logging.getLogger("waybill")
    if not any(isinstance(handler.formatter, JsonFormatter) for handler in logger.handlers):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


class Telemetry:
    """Counts GraphQL requests since the start.

    An outcome is `ok`, `errors` (errors of the caller beside or instead of data), `refused` (nothing ran) or `failed`
    (a defect of this service).
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter({"ok": 0, "errors": 0, "refused": 0, "failed": 0})
        self.seconds = 0.0
        self.started = time.time()

    def record(self, outcome: str, seconds: float) -> None:
        self.requests[outcome] += 1
        self.seconds += seconds


def exposition(metrics: Iterable[tuple[str, str, str, dict[str, float]]]) -> str:
    """The text format of Prometheus. A metric is name, type, help and values by label set: `a="b"` or nothing."""
    lines: list[str] = []
    for name, kind, explanation, values in metrics:
        lines += [f"# HELP {name} {explanation}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in values.items()]
    return "\n".join(lines) + "\n"
