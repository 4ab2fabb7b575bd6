"""An operator's commands, from their arguments to what is printed, on a database that the test writes to."""

import io
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from app.__main__ import _parser
from app.admin.command import Answer, perform
from tests.conftest import settings_for

Operate = Callable[..., Awaitable[Any]]


@pytest.fixture
def operate(demo_copy_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Operate:
    """Gives a command what it is asked for in standard input, and returns the value of its answer.

    Raises `Refused`; SystemExit where the usage is wrong.
    """

    async def run(*arguments: object, stdin: str = "", whole: bool = False) -> Any:
        given = [str(argument) for argument in arguments]
        options = _parser(given[0]).parse_args(given)
        options.settings = lambda: settings_for(demo_copy_dsn)
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        answer: Answer = await perform(demo_copy_dsn, options)
        return answer if whole else answer.value

    return run


@pytest.fixture
async def audited(copy_connection: asyncpg.Connection) -> Callable[[], Awaitable[list[tuple[str, str]]]]:
    """What the audit trail tells, the oldest first: actions with their subjects."""

    async def entries() -> list[tuple[str, str]]:
        rows = await copy_connection.fetch("SELECT action, subject FROM audit_entries ORDER BY id")
        return [(row["action"], row["subject"]) for row in rows]

    return entries
