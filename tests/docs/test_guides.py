"""What the guides show is true of the schema and of the import, and can be done."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest
from graphql import parse, validate

from app.asgi import executable_schema
from app.importer.reader import read
from app.importer.records import Known
from app.pages.docs import guide
from app.settings import Settings
from tests.conftest import TOKEN_SECRET, connecting, credentials, settings_for
from tests.service import serving

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDES = ("customers.md", "parcels.md")
KNOWN = Known({"CONFIRMED"}, {"shop"}, {(None, "Swift"): None})


def blocks(language: str) -> list[tuple[str, str]]:
    found = [
        (name, text)
        for name in GUIDES
        for text in re.findall(rf"```{language}\n(.*?)```", (DOCS / name).read_text("utf-8"), re.DOTALL)
    ]
    assert {name for name, _ in found} == set(GUIDES)
    return found


@pytest.mark.parametrize(("name", "document"), blocks("graphql"))
def test_document_is_valid(name: str, document: str) -> None:
    assert validate(executable_schema(), parse(document)) == [], name


@pytest.mark.parametrize(("name", "lines"), blocks("ndjson"))
def test_records_are_accepted(name: str, lines: str) -> None:
    assert name in GUIDES
    for line in lines.splitlines():
        read(line.encode()).check(KNOWN)


# ------------------------------------------------------------------------------------------------ guides that are run

RUN = ("getting-started.md", "viewers.md", "feed.md", "from-propeller.md", "from-bagisto.md")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
AS = re.compile(r"# as (\w+)\n")


def headers_of(viewer: str, settings: Settings) -> dict[str, str]:
    """Those of whom a block's first line names."""
    names = {"nobody": None, "partner": "apikey", "customer": "john"}
    return credentials(names.get(viewer, viewer), settings)


@pytest.mark.parametrize("name", RUN)
async def test_what_a_guide_says_can_be_done_and_is_answered_as_it_says(
    name: str, demo_copy_dsn: str, tmp_path: Path
) -> None:
    """Block by block, in one store: queries with the answer below them, and commands by a shell."""
    settings = settings_for(demo_copy_dsn)
    blocks = FENCE.findall((DOCS / name).read_text("utf-8"))
    async with serving(demo_copy_dsn, tmp_path / "log") as service, connecting(base_url=service.site) as client:
        for place, (language, text) in enumerate(blocks):
            if language == "graphql":
                viewer = AS.match(text)
                assert viewer, text
                headers = headers_of(viewer[1], settings)
                answer = (await client.post("/graphql", json={"query": text}, headers=headers)).json()
                following, shown = blocks[place + 1]
                assert (following, answer) == ("json", json.loads(shown)), text
            elif language == "sh":
                done = await run(text.replace("localhost:8000", service.site), demo_copy_dsn, tmp_path)
                assert done == 0, text


async def run(text: str, dsn: str, folder: Path) -> int | None:
    """What a shell says of the commands of a block."""
    given = {"DATABASE_URL": dsn, "TOKEN_SECRET": TOKEN_SECRET, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable}
    script = f'python() {{ "$PYTHON" "$@"; }}\n{text}'
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script), cwd=folder, env={**os.environ, **given}
    )
    return await process.wait()


def test_every_guide_is_on_the_site() -> None:
    files = {str(path.relative_to(ROOT).with_suffix("")) for path in DOCS.rglob("*.md")}
    assert files <= set(guide.FILES)
