"""The README says what is true: its query has its answer, its commands exist, its settings are those of the code."""

import json
import re
from pathlib import Path

from app.settings import Limits, Settings
from tests.conftest import GraphQL

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found
    return found[1]


async def test_readme_query_is_answered_as_shown(graphql: GraphQL) -> None:
    assert await graphql(_block("graphql")) == json.loads(_block("json"))


def test_readme_commands_are_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {"run", "test", "check"} <= targets
    assert set(re.findall(r"`?make (?:-s )?([a-z]+)\b", README)) - {"alone"} <= targets


def test_readme_describes_every_setting() -> None:
    keys = [name.upper() for name in Settings.__dataclass_fields__ if name != "limits"]
    keys += [f"LIMIT_{name.upper()}" for name in Limits.__dataclass_fields__]
    assert [key for key in keys if f"`{key}`" not in README] == []


def test_documents_link_to_files_that_exist() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        links = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / name).read_text("utf-8"))
        assert [link for link in links if not (ROOT / link).exists()] == []
