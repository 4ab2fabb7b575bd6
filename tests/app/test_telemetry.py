import json
import logging

import asyncpg
import pytest

from app.telemetry import JsonFormatter, describe, exposition


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


@pytest.mark.parametrize(("values", "line"), [({"": 1}, "n 1"), ({'a="b"': 2.5}, 'n{a="b"} 2.5')])
def test_metrics_are_in_the_text_format(values: dict[str, float], line: str) -> None:
    assert exposition([("n", "counter", "Help.", values)]) == f"# HELP n Help.\n# TYPE n counter\n{line}\n"
