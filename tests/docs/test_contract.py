"""Every rule that code, tests or documents cite is in the contract, once."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTRACT = ROOT / "docs" / "contract"
FOLDERS = ("app", "bench", "docs", "loaders", "sql", "tests")
FILES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "schema.graphql", "pyproject.toml")
ENDINGS = {".py", ".sql", ".graphql", ".md", ".json"}

RULE = re.compile(r"\b([BC])-(\d{1,2})\b")
DECISIONS = re.compile(r"\bdecisions? (\d{1,2})(?:(?:,| and| to) (\d{1,2}))*")
ROW = re.compile(r"^\| (?:([BC]-\d+)|(\d+)) \|", re.MULTILINE)
# The names of documents that are not in the repository.
ELSEWHERE = re.compile(r"\b(behaviour|customer-rest|fixtures|import-format)\.md\b")


def _texts() -> Iterator[tuple[str, str]]:
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.suffix in ENDINGS]
    for path in [*paths, *(ROOT / name for name in FILES)]:
        if path != Path(__file__):
            yield str(path.relative_to(ROOT)), path.read_text("utf-8")


def _rules() -> Counter[str]:
    """How often each rule is stated; a decision by its number alone."""
    return Counter(
        rule or number
        for path in sorted(CONTRACT.glob("*.md"))
        for rule, number in ROW.findall(path.read_text("utf-8"))
    )


def test_every_rule_is_stated_once() -> None:
    rules = _rules()
    assert {"B-1", "B-58", "C-1", "C-49", "1", "14"} <= rules.keys()
    assert [rule for rule, times in rules.items() if times > 1] == []


def test_every_cited_rule_is_stated() -> None:
    rules = _rules()
    cited = {(path, match[0]) for path, text in _texts() for match in RULE.finditer(text)}
    assert len(cited) > 50
    assert sorted((path, rule) for path, rule in cited if rule not in rules) == []


def test_every_cited_decision_is_stated() -> None:
    rules = _rules()
    cited = {
        (path, number) for path, text in _texts() for match in DECISIONS.finditer(text) for number in match.groups()
    }
    assert sorted((path, number) for path, number in cited if number is not None and number not in rules) == []


def test_nothing_cites_a_paper_that_is_not_here() -> None:
    assert sorted(path for path, text in _texts() if ELSEWHERE.search(text)) == []
