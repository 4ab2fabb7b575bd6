import asyncio
import io
import json
import logging
import time
from collections.abc import Iterator

import asyncpg
import pytest

from app.telemetry import OUTCOMES, JsonFormatter, Lines, Telemetry, describe, exposition, log_facts
from tests.conftest import until


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_a_line_is_one_json_object() -> None:
    record = logging.LogRecord("waybill.http", logging.INFO, "", 0, "request", None, None)
    record.facts = {"requestId": "r\n1"}
    text = JsonFormatter().format(record)
    line = json.loads(text)
    assert "\n" not in text
    assert (line["event"], line["level"], line["requestId"]) == ("request", "info", "r\n1")


def test_an_error_is_told_with_its_traceback_and_cause() -> None:
    outer = ValueError("outer")
    outer.__cause__ = raised(KeyError("column"))
    text = describe(raised(outer))
    assert "in raised" in text
    assert "builtins.KeyError: 'column'" in text


def test_the_parameters_that_the_driver_quotes_are_not_told() -> None:
    error = asyncpg.UniqueViolationError("Key (email)=(jane@example.com) already exists.")
    assert describe(raised(error)).endswith("asyncpg.exceptions.UniqueViolationError: 23505")


class Stream(io.StringIO):
    """Counts how often it is written to."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def logger(stream: Stream) -> Iterator[logging.Logger]:
    logger = logging.Logger("lines")
    handler = Lines(stream)
    logger.addHandler(handler)
    yield logger
    handler.close()


def test_facts_are_the_same_line_whoever_listens(monkeypatch: pytest.MonkeyPatch, stream: Stream) -> None:
    service = logging.getLogger("waybill")
    handler = Lines(stream)
    handler.setFormatter(JsonFormatter())
    monkeypatch.setattr(service, "handlers", [handler])
    monkeypatch.setattr(service, "level", logging.INFO)
    monkeypatch.setattr(time, "time", lambda: 1_764_000_000.25)
    logger = logging.getLogger("waybill.test")
    for listening in ([], [logging.NullHandler()]):
        monkeypatch.setattr(logging.root, "handlers", listening)
        log_facts(logger, "request", {"path": "/\u202e", "status": 200})
    alone, beside_others = stream.getvalue().splitlines()
    assert alone == beside_others
    assert json.loads(alone) == {
        "time": "2025-11-24T16:00:00.250+00:00",
        "level": "info",
        "logger": "waybill.test",
        "event": "request",
        "path": "/\u202e",
        "status": 200,
    }
    assert alone.isascii()


async def test_lines_of_information_are_written_together_and_soon(logger: logging.Logger, stream: Stream) -> None:
    for line in ("a", "b", "c"):
        logger.info(line)
    assert not stream.getvalue()
    await until(lambda: stream.writes > 0)
    assert (stream.getvalue(), stream.writes) == ("a\nb\nc\n", 1)
    logger.info("d")
    await until(lambda: stream.writes > 1)
    assert stream.getvalue() == "a\nb\nc\nd\n"


async def test_a_warning_is_written_at_once_behind_what_came_before(logger: logging.Logger, stream: Stream) -> None:
    logger.info("a")
    logger.warning("b")
    assert stream.getvalue() == "a\nb\n"


def test_outside_of_an_event_loop_each_line_is_written_at_once(logger: logging.Logger, stream: Stream) -> None:
    logger.info("a")
    assert stream.getvalue() == "a\n"


def test_a_loop_that_ended_takes_no_line_with_it(logger: logging.Logger, stream: Stream) -> None:
    async def log(line: str) -> None:
        logger.info(line)

    asyncio.run(log("a"))
    asyncio.run(log("b"))
    assert not stream.getvalue()
    for handler in logger.handlers:
        handler.flush()  # as logging.shutdown does
    assert stream.getvalue() == "a\nb\n"


def test_requests_are_counted_by_surface_and_outcome() -> None:
    telemetry = Telemetry()
    assert list(telemetry.requests) == ["graphql", "rest", "export"]
    rest = telemetry.requests["rest"]
    rest.record("ok", 0.5)
    rest.record("ok", 0.25)
    rest.record("failed", 2)
    assert rest.outcomes == {**dict.fromkeys(OUTCOMES, 0), "ok": 2, "failed": 1}
    assert rest.seconds == 2.75
    for other in ("graphql", "export"):
        requests = telemetry.requests[other]
        assert (sum(requests.outcomes.values()), requests.seconds) == (0, 0)


@pytest.mark.parametrize(("values", "line"), [({"": 1}, "n 1"), ({'a="b"': 2.5}, 'n{a="b"} 2.5')])
def test_metrics_are_in_the_text_format(values: dict[str, float], line: str) -> None:
    assert exposition([("n", "counter", "Help.", values)]) == f"# HELP n Help.\n# TYPE n counter\n{line}\n"
