"""`docs/clients.md` with the real clients: each section's files, its commands, and what they print.

Run by `make clients`: the clients come from package registries, so the tests are not among those of `make test`. A
client that cannot be installed here is skipped, and says why.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from app.demo import fixtures
from tests.conftest import TOKEN_SECRET, Databases, reserved_port

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SECTION = re.compile(r"^## (.+)\n", re.MULTILINE)
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What a section's first file is written in, and what is therefore needed to run it.
NEEDS = {"js": "node_modules", "ts": "node_modules", "python": "environment", "graphql": "environment", "java": "java"}


@dataclass(frozen=True)
class Section:
    """The files of a client by name, the commands that run it, and what these print."""

    name: str
    language: str
    files: dict[str, str]
    commands: str
    printed: str

    @classmethod
    def of(cls, name: str, text: str) -> "Section":
        blocks = BLOCK.findall(text)
        files = [(language, file, body) for language, file, body in blocks if file]
        plain = {language: body for language, file, body in blocks if not file}
        return cls(name, files[0][0], {file: body for _, file, body in files}, plain["sh"], plain["text"])


def _sections() -> list[Section]:
    _, *parts = SECTION.split((ROOT / "docs" / "clients.md").read_text("utf-8"))
    return [Section.of(name, text) for name, text in zip(parts[::2], parts[1::2], strict=True)]


BUILD_KEY = "pk_of_what_builds_the_webshop"
# An application whose build registers with a key of its own.
WEBSHOP = """
WITH build AS (
  INSERT INTO api_keys (name, key_hash, scopes)
  VALUES ('build', sha256(convert_to($1, 'UTF8')), '{documents:write}') RETURNING id
), webshop AS (
  INSERT INTO applications (name) VALUES ('webshop') RETURNING id
)
INSERT INTO application_callers (application_id, caller)
SELECT w.id, c.caller FROM webshop w, build b, unnest(ARRAY['api_key:1', 'api_key:' || b.id]) AS c (caller)
"""


@pytest.fixture(scope="module")
def webshop_dsn(databases: Databases, demo_template: str) -> Iterator[str]:
    """A demo database with the application of the page."""

    async def add(dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(WEBSHOP, BUILD_KEY)
        await connection.close()

    dsn = databases.create(demo_template)
    asyncio.run(add(dsn))
    yield dsn
    databases.drop(dsn)


@pytest.fixture(scope="module")
def site(webshop_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service on the demo data."""
    log = tmp_path_factory.mktemp("service") / "log"
    with reserved_port() as port, log.open("wb") as output:
        address = {"HOST": "127.0.0.1", "PORT": str(port)}
        environment = {**os.environ, "DATABASE_URL": webshop_dsn, "TOKEN_SECRET": TOKEN_SECRET, **address}
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
        try:
            yield _ready(process, f"http://127.0.0.1:{port}", log)
        finally:
            process.terminate()
            process.wait()


def _ready(process: "subprocess.Popen[bytes]", site: str, log: Path) -> str:
    while process.poll() is None:
        try:
            urllib.request.urlopen(f"{site}/readyz").close()
            return site
        except OSError:
            time.sleep(0.05)
    pytest.fail(log.read_text())


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("javascript")
    shutil.copy(HERE / "package.json", folder)
    _install(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"], folder)
    return folder / "node_modules"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    _install([str(folder / "bin" / "pip"), "install", "--quiet", "-r", str(HERE / "requirements.txt")], folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def java() -> Path:
    found = shutil.which("java")
    if found is None or shutil.which("javac") is None:
        pytest.skip("no JDK is installed")
    return Path(found)


def _install(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot install: {(done.stderr or done.stdout).strip().splitlines()[-1]}")


@pytest.mark.parametrize("section", _sections(), ids=lambda section: section.name)
def test_section_prints_what_it_says(
    section: Section, site: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    tools: Path = request.getfixturevalue(NEEDS[section.language])
    path = os.environ["PATH"]
    if tools.name == "node_modules":
        (tmp_path / "node_modules").symlink_to(tools)
        (tmp_path / "package.json").write_text('{"type": "module"}')
    else:
        path = f"{tools if tools.is_dir() else tools.parent}{os.pathsep}{path}"
    (tmp_path / "schema.graphql").symlink_to(ROOT / "schema.graphql")
    for name, text in section.files.items():
        (tmp_path / name).write_text(text, "utf-8")
    keys = {"WAYBILL_KEY": fixtures.PARTNER_KEY, "WAYBILL_BUILD": BUILD_KEY}
    ours = {"WAYBILL_URL": f"{site}/graphql", **keys, "PATH": path}
    done = subprocess.run(
        ["bash", "-euc", section.commands], cwd=tmp_path, env={**os.environ, **ours}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(section.printed), done.stdout


def test_every_client_has_a_section() -> None:
    assert {section.language for section in _sections()} == {"js", "ts", "python", "graphql", "java"}
