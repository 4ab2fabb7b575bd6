"""docs/limits.md names every bound that can be set, with the default that it has."""

import re
from pathlib import Path

from app.settings import Limits, Settings

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text("utf-8")
ROW = re.compile(r"^\| `([A-Z_]+)` \| (\d+) \|", re.MULTILINE)
# Settings that are numbers and bound nothing that a caller chooses.
NO_BOUNDS = {"PORT", "DRAIN_SECONDS"}


def test_every_bound_is_named_with_its_default() -> None:
    fields = Settings.__dataclass_fields__.values()
    numbers = {
        field.name.upper(): field.default
        for field in fields
        if isinstance(field.default, int | float) and not isinstance(field.default, bool)
    }
    limits = {f"LIMIT_{field.name.upper()}": field.default for field in Limits.__dataclass_fields__.values()}
    expected = {name: value for name, value in {**numbers, **limits}.items() if name not in NO_BOUNDS}
    assert {name: float(value) for name, value in ROW.findall(PAGE)} == {
        name: float(value) for name, value in expected.items() if isinstance(value, int | float)
    }
