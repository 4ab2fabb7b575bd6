"""The README says what is true: its query has its answer, its commands exist, its settings are those of the code."""

import json
import re
from pathlib import Path

import httpx

from app.demo import fixtures
from app.settings import KEYS, SECRETS
from tests.conftest import GraphQL, calling, running, settings_for

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found
    return found[1]


async def test_readme_query_is_answered_as_shown(graphql: GraphQL) -> None:
    assert await graphql(_block("graphql")) == json.loads(_block("json"))


async def test_readme_mutation_is_done_and_leaves_the_answer_above_it_true(demo_copy_dsn: str) -> None:
    found = re.search(r"-d '(\{\n.*?\})'", README, re.DOTALL)
    assert found
    headers = {"apikey": fixtures.PARTNER_KEY}
    async with running(settings_for(demo_copy_dsn)) as app, calling(app) as client:
        written = await client.post("/graphql", json=json.loads(found[1]), headers=headers)
        assert written.json()["data"]["shipmentCreate"]["items"] == [{"quantity": 1}]
        read = await client.post("/graphql", json={"query": _block("graphql")}, headers=headers)
        assert read.json() == json.loads(_block("json"))


async def test_readme_export_is_not_empty(client: httpx.AsyncClient) -> None:
    found = re.search(r"localhost:8000(/export/[^']+)'", README)
    assert found
    lines = (await client.get(found[1], headers={"apikey": fixtures.PARTNER_KEY})).text.splitlines()
    assert lines
    assert {json.loads(line)["status"] for line in lines} <= {"IN_TRANSIT", "EXCEPTION"}


def test_readme_commands_are_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {"run", "test", "check"} <= targets
    assert set(re.findall(r"`?make (?:-s )?([a-z]+)\b", README)) - {"alone"} <= targets


def test_readme_describes_every_setting() -> None:
    assert [key for key in KEYS if f"`{key}`" not in README] == []
    assert [key for key in SECRETS if f"`{key}_FILE`" not in README] == []


def test_documents_link_to_files_that_exist() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        links = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / name).read_text("utf-8"))
        assert [link for link in links if not (ROOT / link).exists()] == []
