"""Reads a Containerfile, as far as ours uses what there is."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

_STEPS = ("WORKDIR", "COPY", "RUN")


@dataclass
class Stage:
    """`steps` are those that make files, with their words, in order. `user` is who runs `entrypoint` and `command`."""

    image: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    user: str = ""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def stages(path: Path) -> list[Stage]:
    """Raises ValueError for an instruction that is not known here."""
    found: list[Stage] = []
    arguments: dict[str, str] = {}
    for line in re.sub(r"\\\n", " ", path.read_text()).splitlines():
        instruction, _, words = line.partition(" ")
        words = words.strip()
        if not line.strip() or line.startswith("#"):
            continue
        if instruction == "ARG" and not found:
            name, _, value = words.partition("=")
            arguments[name] = value
        elif instruction == "FROM":
            image, _, name = words.partition(" AS ")
            found.append(Stage(re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], image), name))
        elif instruction in _STEPS:
            found[-1].steps.append((instruction, words))
        elif instruction == "ENV":
            found[-1].environment |= dict(pair.split("=", 1) for pair in words.split())  # type: ignore[arg-type]
        elif instruction == "USER":
            found[-1].user = words
        elif instruction == "ENTRYPOINT":
            found[-1].entrypoint = json.loads(words)
        elif instruction == "CMD":
            found[-1].command = json.loads(words)
        elif instruction not in ("EXPOSE", "STOPSIGNAL"):
            raise ValueError(f"{path.name}: {instruction} is not known")
    return found
