"""The command line, each command as a process of its own, as people run it."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.demo import embedded
from tests import server
from tests.conftest import FAR_TOO_LONG, TOKEN_SECRET, Databases, reserved_port

ROOT = Path(embedded.__file__).parents[2]


@dataclass
class CommandLine:
    """`python -m app` with one data directory and one port."""

    data_dir: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "TOKEN_SECRET", "HOST")}
        return {**kept, "DATA_DIR": str(self.data_dir), "PORT": str(self.port)}

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            cwd=ROOT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=FAR_TOO_LONG,
            check=False,
        )

    def dev(self) -> subprocess.Popen[str]:
        """A `dev` that answers."""
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "dev"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        deadline = time.monotonic() + FAR_TOO_LONG
        while process.poll() is None and time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=FAR_TOO_LONG).close()
                return process
            except OSError:
                time.sleep(0.02)
        process.kill()
        pytest.fail(f"no answer: {process.communicate()[0]}")

    def count(self, token: str, noun: str) -> int:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": f"{{ {noun} {{ itemsFound }} }}"}).encode(),
            {"content-type": "application/json", "authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request) as response:
            found: int = json.load(response)["data"][noun]["itemsFound"]
            return found


@pytest.fixture(scope="module")
def command_line() -> Iterator[CommandLine]:
    with server.temporary() as database, reserved_port() as port:
        database.stop()
        yield CommandLine(database.data_dir, port)


def test_dev_serves_the_demo_to_every_viewer(command_line: CommandLine) -> None:
    process = command_line.dev()
    token = command_line.run("token", "staff").stdout.strip()
    orders = command_line.count(token, "orders")
    assert orders > 2_000
    assert command_line.count(command_line.run("token", "partner").stdout.strip(), "orders") > 0
    for viewer in ("contact", "customer"):
        assert 0 < command_line.count(command_line.run("token", viewer).stdout.strip(), "orders") < 10

    migrate = command_line.run("migrate")
    assert (migrate.returncode, migrate.stdout) == (0, "nothing to apply\n")
    second = command_line.run("dev")
    assert second.returncode == 1
    assert "Set HOST or PORT" in second.stderr
    generate = command_line.run("generate", "--orders", "5", "--seed", "77")
    assert (generate.returncode, generate.stderr) == (0, "5 of 5 orders\n")
    assert command_line.count(token, "orders") == orders + 5

    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=FAR_TOO_LONG)
    assert process.returncode == 0
    assert f"GraphQL     http://127.0.0.1:{command_line.port}/graphql\n" in printed
    assert re.search(r"^curl --silent http\S+ \\$", printed, re.MULTILINE)


def test_dev_loads_the_demo_once_and_heals_after_a_kill(command_line: CommandLine) -> None:
    process = command_line.dev()
    token = command_line.run("token", "staff").stdout.strip()
    orders = command_line.count(token, "orders")
    process.kill()
    process.communicate()
    process = command_line.dev()
    assert command_line.count(token, "orders") == orders
    process.terminate()
    printed, _ = process.communicate(timeout=FAR_TOO_LONG)
    assert process.returncode == 0
    assert "loaded the fixtures" not in printed


def test_serve_names_all_that_is_missing(command_line: CommandLine) -> None:
    serve = command_line.run("serve")
    assert serve.returncode == 1
    assert serve.stderr.splitlines() == ["DATABASE_URL is required", "TOKEN_SECRET is required"]


@pytest.mark.parametrize(
    "command", [("migrate",), ("import", "-"), ("generate", "--orders", "1"), ("token", "customer"), ("dev",)]
)
def test_every_command_says_that_the_database_cannot_be_reached(
    command_line: CommandLine, command: tuple[str, ...]
) -> None:
    at = f"127.0.0.1:{command_line.port}"
    done = command_line.run(*command, DATABASE_URL=f"postgresql://nobody:s3cr3t@{at}/none", PORT=str(command_line.port))
    assert (done.returncode, done.stderr) == (
        1,
        f"No PostgreSQL answers at {at}: start it, or correct DATABASE_URL.\n",
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("{server}/no_such_database", "has no database no_such_database: create it, or correct DATABASE_URL."),
        ("{server}/{name}", "lacks the migrations 0001_"),
        ("{server}/{name}?sslmode=require", "does not speak TLS"),
        ("postgresql://nobody:s3cr3t@no-such-host.invalid/waybill", "The host in DATABASE_URL is unknown"),
        ("postgresql://nobody:s3cr3t/@127.0.0.1/waybill", "percent-encoded: @ is %40, / is %2F"),
    ],
)
def test_serve_says_in_one_line_what_is_wrong_with_the_database(
    command_line: CommandLine, server_dsn: str, databases: Databases, url: str, words: str
) -> None:
    server, _, _ = server_dsn.rpartition("/")
    name = databases.create().rpartition("/")[2] if "{name}" in url else ""
    done = command_line.run(
        "serve",
        DATABASE_URL=url.format(server=server, name=name),
        TOKEN_SECRET=TOKEN_SECRET,
        PORT=str(command_line.port),
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert words in line
    assert "s3cr3t" not in line


def test_migrate_checks_what_would_block(command_line: CommandLine, fresh_dsn: str) -> None:
    checked = command_line.run("migrate", "--check", DATABASE_URL=fresh_dsn)
    assert (checked.returncode, checked.stdout) == (0, "nothing to apply\n")
    asyncio.run(server.administer(fresh_dsn, "DELETE FROM schema_migrations WHERE name > '0008'"))
    checked = command_line.run("migrate", "--check", DATABASE_URL=fresh_dsn)
    assert checked.returncode == 0
    assert checked.stdout.splitlines()[0] == (
        "0008_idempotency_rights.sql: shown: readers and writers of idempotency_keys wait for a moment"
        " (ACCESS EXCLUSIVE on idempotency_keys)"
    )
    told = json.loads(command_line.run("migrate", "--check", "--json", DATABASE_URL=fresh_dsn).stdout)
    assert (told[0]["migration"], told[0]["blocks"]) == ("0008_idempotency_rights.sql", False)
    assert told[0]["locks"] == {"idempotency_keys": "ACCESS EXCLUSIVE"}
    asyncio.run(server.administer(fresh_dsn, "DELETE FROM schema_migrations WHERE name > '0003'"))
    checked = command_line.run("migrate", "--check", DATABASE_URL=fresh_dsn)
    assert checked.returncode == 1
    assert checked.stdout.startswith("0003_flat_reads.sql: BLOCKS, ")


@pytest.mark.parametrize(
    "arguments",
    [(), ("token",), ("token", "king"), ("generate", "--orders", "0"), ("generate", "--seed", "x"), ("import",)],
)
def test_wrong_usage_ends_with_2(command_line: CommandLine, arguments: tuple[str, ...]) -> None:
    assert command_line.run(*arguments).returncode == 2


def test_explain_needs_no_database_and_says_what_is_wrong(command_line: CommandLine, tmp_path: Path) -> None:
    document = tmp_path / "order.graphql"
    document.write_text("query($id: Int!) { order(orderId: $id) { id } }")
    explained = command_line.run("explain", str(document), "--variables", '{"id": 1}', DATABASE_URL="nowhere")
    assert (explained.returncode, explained.stderr) == (0, "")
    assert "FROM orders o" in explained.stdout
    refused = command_line.run("explain", str(document))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "--variables" in refused.stderr
    told = command_line.run("explain", str(document), "--variables", '{"id": 1}', "--json", DATABASE_URL="nowhere")
    assert json.loads(told.stdout) == {"explanation": explained.stdout}
    assert command_line.run("explain", str(document), "--variables", "[1]").returncode == 2
    assert command_line.run("explain", str(tmp_path / "missing.graphql")).returncode == 1


def test_import_tells_its_numbers_to_programs(command_line: CommandLine, fresh_dsn: str, tmp_path: Path) -> None:
    records = tmp_path / "records.ndjson"
    channel = '{"kind": "channel", "code": "shop", "name": "Shop", "currency": "EUR"}'
    records.write_text(f'{channel}\n{{"kind": "nothing"}}\n')
    done = command_line.run("import", str(records), "--json", DATABASE_URL=fresh_dsn)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "read": 2,
        "created": 1,
        "updated": 0,
        "unchanged": 0,
        "refused": 1,
        "outdated": 0,
        "warned": 0,
        "applied": True,
    }
    assert "2 read, 1 created" in done.stderr
