"""The operator's day of docs/operating.md, block by block, on a demo database."""

import io
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from app.__main__ import main
from app.admin.commands import _NOUNS
from tests.app.admin.conftest import bin_folder
from tests.conftest import FAR_TOO_LONG, TOKEN_SECRET, Databases

__all__ = ["bin_folder"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operating.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
# A command of words, which may be quoted: a shell finds nothing in it to do.
PLAIN = re.compile(r"""python -m app (?:[\w .:/@-]|"[\w .-]*")+""", re.ASCII)


@pytest.fixture
def target(databases: Databases, demo_copy_dsn: str) -> Iterator[str]:
    """The DSN of a database that a block creates."""
    name = f"{urlsplit(demo_copy_dsn).path[1:]}_target"
    dsn = urlsplit(demo_copy_dsn)._replace(path=f"/{name}").geturl()
    yield dsn
    databases.drop(dsn)


def test_every_block_can_be_run_as_it_stands(
    demo_copy_dsn: str,
    target: str,
    bin_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a shell; a command that asks nothing of the shell is run in this process, as Python takes long to start."""
    way = urlsplit(demo_copy_dsn)
    given = {
        "DATABASE_URL": demo_copy_dsn,
        "PGHOST": way.hostname or parse_qs(way.query)["host"][0],
        "PGPORT": str(way.port or parse_qs(way.query).get("port", ["5432"])[0]),
        "PGUSER": unquote(way.username or ""),
        "PGPASSWORD": unquote(way.password or ""),
        "PGDATABASE": way.path[1:],
        "TOKEN_SECRET": TOKEN_SECRET,
        "TARGET": target,
        "TARGET_NAME": urlsplit(target).path[1:],
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHON": sys.executable,
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("WAYBILL_TEST_RUN", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    clean = 'psql -qc "DELETE FROM customer_sessions" "$DATABASE_URL"'  # whose ids no sequence has given
    lines = "".join([f"{clean}\n", *BLOCKS]).replace("\\\n", "").splitlines()
    run_here = 0
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        for line in lines:
            if PLAIN.fullmatch(line):
                assert main(shlex.split(line)[3:]) == 0, line
                run_here += 1
            else:
                run_by_shell(line)
    finally:
        signal.signal(signal.SIGTERM, terminate)
    assert 0 < run_here < len(lines)
    assert '"subject": "customer:1"' in (tmp_path / "held.json").read_text()


def run_by_shell(line: str) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f'python() {{ "$PYTHON" "$@"; }}\n{line}'],
        capture_output=True,
        text=True,
        timeout=FAR_TOO_LONG,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)


def test_every_command_is_on_the_page() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for noun in _NOUNS:
        noun.add_commands(commands)
    for name, command in commands.choices.items():
        if name == "customer":  # an older name
            continue
        assert f"python -m app {name}" in PAGE, name
        for action in command._actions:
            if isinstance(action, argparse._SubParsersAction):
                missing = [task for task in action.choices if task not in PAGE]
                assert missing == [], (name, missing)
