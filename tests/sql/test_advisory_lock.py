"""Nobody locks by a number that the register does not have."""

import re
from pathlib import Path

import asyncpg

from sql.advisory_lock import AdvisoryLock

ROOT = Path(__file__).parents[2]
LOCKS = re.compile(r"advisory\w*lock\w*\(([^;\n]*)\)")


def test_numbers_of_locks_are_those_of_the_register() -> None:
    sources = [path for folder in ("app", "loaders", "sql") for path in (ROOT / folder).rglob("*") if path.is_file()]
    texts = [path.read_text("utf-8") for path in sources if path.suffix in (".py", ".sql")]
    numbers = {int(number) for text in texts for call in LOCKS.findall(text) for number in re.findall(r"\d{5,}", call)}
    assert numbers == {AdvisoryLock.FEED_POSITION}


async def test_feed_is_locked_by_the_number_of_the_register(connection: asyncpg.Connection) -> None:
    text = await connection.fetchval("SELECT pg_get_functiondef('take_position'::regproc)")
    assert f"pg_advisory_xact_lock({AdvisoryLock.FEED_POSITION:d})" in text
