import asyncio
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from app.telemetry import OUTCOMES, FactsFormatter, LogHandler, Telemetry, _for_people, describe, log_facts
from tests.conftest import FAR_TOO_LONG, until


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_a_line_is_one_json_object() -> None:
    record = logging.LogRecord("waybill.http", logging.INFO, "", 0, "request", None, None)
    record.facts = {"requestId": "r\n1"}
    record.created = 1_764_000_000.25
    text = FactsFormatter().format(record)
    line = json.loads(text)
    assert "\n" not in text
    assert (line["event"], line["level"], line["requestId"]) == ("request", "info", "r\n1")
    assert line["time"] == "2025-11-24T16:00:00.250+00:00"


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
    handler = LogHandler(stream)
    logger.addHandler(handler)
    yield logger
    handler.close()


def test_facts_are_the_same_line_whoever_listens(monkeypatch: pytest.MonkeyPatch, stream: Stream) -> None:
    service = logging.getLogger("waybill")
    handler = LogHandler(stream)
    handler.setFormatter(FactsFormatter())
    monkeypatch.setattr(service, "handlers", [handler])
    monkeypatch.setattr(service, "level", logging.INFO)
    logger = logging.getLogger("waybill.test")
    for listening in ([], [logging.NullHandler()]):
        monkeypatch.setattr(logging.root, "handlers", listening)
        log_facts(logger, "request", {"path": "/\u202e", "status": 200})
    texts = stream.getvalue().splitlines()
    assert all(map(str.isascii, texts))
    alone, beside_others = map(json.loads, texts)
    assert alone.pop("time")[:13] <= beside_others.pop("time")[:13]
    assert alone == beside_others
    assert alone == {
        "level": "info",
        "logger": "waybill.test",
        "event": "request",
        "path": "/\u202e",
        "status": 200,
    }


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


def samples(text: bytes) -> dict[str, float]:
    """By name and labels, as the text has them."""
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_requests_are_counted_by_surface_and_outcome() -> None:
    telemetry = Telemetry()
    assert list(telemetry.requests) == ["graphql", "rest", "export", "pages"]
    rest = telemetry.requests["rest"]
    rest.record("ok", 0.5)
    rest.record("ok", 0.25)
    rest.record("failed", 2)
    text, media_type = telemetry.exposition("")
    assert media_type.startswith("text/plain")
    told = samples(text)
    for surface in telemetry.requests:
        for outcome in OUTCOMES:
            expected = {"ok": 2, "failed": 1}.get(outcome, 0) if surface == "rest" else 0
            assert told[f'waybill_requests_total{{outcome="{outcome}",surface="{surface}"}}'] == expected
    assert told['waybill_request_seconds_sum{surface="rest"}'] == 2.75
    assert told['waybill_request_seconds_count{surface="rest"}'] == 3
    assert [
        told[f'waybill_request_seconds_bucket{{le="{seconds}",surface="rest"}}'] for seconds in ("0.1", "0.25", "1.0")
    ] == [0, 1, 2]
    assert told['waybill_request_seconds_count{surface="export"}'] == 0


def test_what_is_counted_elsewhere_is_told_as_it_is_when_asked() -> None:
    telemetry, counted = Telemetry(), {"seen": 2, "hit": 3, "free": 4}
    telemetry.follow_count("seen", "Seen.", lambda: counted["seen"])
    telemetry.follow_counts("found", "Found.", "result", {"hit": lambda: counted["hit"]})
    telemetry.follow_gauge("free", "Free.", lambda: counted["free"])
    for change in (0, 5, -1):
        counted["free"] += change
        counted["seen"] += abs(change)
        told = samples(telemetry.exposition("")[0])
        assert told["seen_total"] == counted["seen"]
        assert told['found_total{result="hit"}'] == 3
        assert told["free"] == counted["free"]


def test_the_process_is_told_of_too() -> None:
    told = samples(Telemetry().exposition("")[0])
    if sys.platform == "linux":
        assert told["process_resident_memory_bytes"] > 0
        assert {"process_cpu_seconds_total", "process_open_fds", "process_start_time_seconds"} <= told.keys()
    assert not [name for name in told if "_created" in name]


def test_openmetrics_is_for_whom_asks_for_it() -> None:
    text, media_type = Telemetry().exposition("application/openmetrics-text; version=1.0.0")
    assert media_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


SHARING = """
import asyncio, sys
from pathlib import Path
from app.telemetry import Telemetry

async def count():
    telemetry = Telemetry(Path(sys.argv[1]))
    telemetry.requests["rest"].record("ok", 0.5)
    telemetry.follow_count("seen", "Seen.", lambda: 4)
    telemetry.follow_gauge("free", "Free.", lambda: 3)
    if sys.argv[2] == "tell":
        print(telemetry.exposition("")[0].decode())
        return
    async with telemetry.shared():
        await asyncio.sleep(0)

asyncio.run(count())
"""


def test_processes_that_share_a_directory_tell_of_each_other(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for end in ("", "tell"):
        text = subprocess.check_output(
            [sys.executable, "-c", SHARING, str(tmp_path), end], env=environment, timeout=FAR_TOO_LONG
        )
    told = samples(text.strip())
    assert told['waybill_requests_total{outcome="ok",surface="rest"}'] == 2
    assert told['waybill_request_seconds_count{surface="rest"}'] == 2
    assert told["seen_total"] == 8
    assert told["free"] == 3  # the first has ended


def test_lines_for_people_are_read_as_they_stand() -> None:
    stream = io.StringIO()
    handler = LogHandler(stream, _for_people)
    handler.setFormatter(FactsFormatter(handler.render))
    record = logging.LogRecord("waybill.http", logging.INFO, "", 0, "request", (), None)
    record.created = 0.125
    record.facts = {"path": "/a b\x1b[2J", "status": 200, "operation": "Mine"}
    handler.emit(record)
    try:
        raise ValueError("why")
    except ValueError:
        failure = logging.LogRecord("waybill.x", logging.ERROR, "", 0, "defect", (), sys.exc_info())
    handler.emit(failure)
    first, second, *rest = stream.getvalue().splitlines()
    assert first == r'00:00:00.125 info    http         request path="/a b\u001b[2J" status=200 operation=Mine'
    assert second.endswith("error   x            defect")
    assert rest[-1] == "builtins.ValueError: why"
