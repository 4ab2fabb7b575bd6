"""What the guides show is true of the schema and of the import."""

import re
from pathlib import Path

import pytest
from graphql import parse, validate

from app.asgi import executable_schema
from app.importer.reader import read
from app.importer.records import Known

DOCS = Path(__file__).parents[2] / "docs"
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
