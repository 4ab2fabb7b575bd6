"""Nobody locks by a number that the register does not have."""

import re
from pathlib import Path

import asyncpg
import pytest

from sql.advisory_lock import AdvisoryLock

ROOT = Path(__file__).parents[2]
LOCKS = re.compile(r"advisory\w*lock\w*\(([^;\n]*)\)")


def test_numbers_of_locks_are_those_of_the_register() -> None:
    sources = [path for folder in ("app", "loaders", "sql") for path in (ROOT / folder).rglob("*") if path.is_file()]
    texts = [path.read_text("utf-8") for path in sources if path.suffix in (".py", ".sql")]
    numbers = {int(number) for text in texts for call in LOCKS.findall(text) for number in re.findall(r"\d{5,}", call)}
    assert numbers == {AdvisoryLock.FEED_POSITION, AdvisoryLock.CODES_AND_NEWS, AdvisoryLock.FEED_BEGINNING}


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("give_positions", f"pg_advisory_xact_lock({AdvisoryLock.FEED_POSITION:d})"),
        ("prune_feed", f"pg_try_advisory_xact_lock({AdvisoryLock.FEED_BEGINNING:d})"),
        ("look_for_waiting_reports", f"pg_advisory_xact_lock_shared({AdvisoryLock.CODES_AND_NEWS:d})"),
        ("look_for_reported_code", f"pg_advisory_xact_lock({AdvisoryLock.CODES_AND_NEWS:d})"),
        ("look_for_news_of_carrier", f"pg_advisory_xact_lock({AdvisoryLock.CODES_AND_NEWS:d})"),
    ],
)
async def test_store_locks_by_the_numbers_of_the_register(
    connection: asyncpg.Connection, function: str, call: str
) -> None:
    text = await connection.fetchval("SELECT pg_get_functiondef($1::regproc)", function)
    assert re.findall(r"pg_\w*advisory\w*\(\d+\)", text) == [call]
