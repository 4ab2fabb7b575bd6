"""The text of a migration, divided into its steps and statements.

A line `-- step: <words>` begins a step; the words are its name, told while it runs and noted when it is done. A step is
one short transaction, unless the line says otherwise:

    -- step: add the column                              its statements in one transaction
    -- step (in batches): give each row its channel      one statement with a LIMIT, with a commit each time, until it
                                                         changes no row
    -- step (outside a transaction): index the channel   one CREATE or DROP INDEX CONCURRENTLY

Before the first of them are comments alone. A text without steps is one, `WHOLE`, as all were before there were steps.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

_STEP = re.compile(r"^-- step(?: \(([^)]*)\))?: *(.*?) *$", re.MULTILINE)
_LOOKS_LIKE_STEP = re.compile(r"^\s*--\s*step\b", re.MULTILINE | re.IGNORECASE)
_TOKEN = re.compile(
    r"""
      (?P<blank> \s+ | --[^\n]* | /\*.*?\*/ )
    | (?P<text> [eE]'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' )
    | (?P<quoted> "[^"]*" )
    | (?P<body> \$(?P<tag>\w*)\$ .*? \$(?P=tag)\$ )
    | (?P<word> \w+ )
    | (?P<mark> :: | . )
    """,
    re.DOTALL | re.VERBOSE,
)
_INDEX = re.compile(r"(create (?:unique )?|drop )index concurrently (?:if (?:not )?exists )?(?!on )(\w+)( on .*)?")
_BATCH = re.compile(r"(?:update|delete from|insert into|with) .*\blimit \d+.*")


class StepError(ValueError):
    """A migration's text is not divided as the head of this module says."""


class StepKind(Enum):
    WHOLE = "the whole file"
    TRANSACTION = "a transaction"
    BATCHES = "in batches"
    OUTSIDE = "outside a transaction"


@dataclass(frozen=True)
class Step:
    """A part of a migration. `statements` are in the form of `statements`, for reading; `text` is what is sent.

    `index` is what a step `OUTSIDE` builds, and empty where it drops one.
    """

    name: str
    kind: StepKind
    text: str
    statements: tuple[str, ...]
    index: str = ""


def steps(text: str) -> list[Step]:
    """The steps of a migration's text, in order; their names differ. Raises `StepError`."""
    heads = list(_STEP.finditer(text))
    if len(heads) != len(_LOOKS_LIKE_STEP.findall(text)):
        raise StepError("a line that begins a step is `-- step: <words>`, or `-- step (<how>): <words>`")
    if not heads:
        return [Step("", StepKind.WHOLE, text, tuple(statements(text)))]
    if any(statements(text[: heads[0].start()])):
        raise StepError("what stands before the first step is comments alone")
    names = [head[2] for head in heads]
    if len(set(names)) < len(names) or not all(names):
        raise StepError("each step has a name of its own")
    ends = [*(head.start() for head in heads[1:]), len(text)]
    return [_step(head[2], head[1], text[head.end() : end].strip()) for head, end in zip(heads, ends, strict=True)]


def _step(name: str, how: str | None, text: str) -> Step:
    said = tuple(statements(text))
    if not said:
        raise StepError(f"the step “{name}” has no statement")
    if how is None:
        return Step(name, StepKind.TRANSACTION, text, said)
    if how not in (StepKind.BATCHES.value, StepKind.OUTSIDE.value):
        raise StepError(f"the step “{name}” is neither “in batches” nor “outside a transaction”")
    if len(said) > 1:
        raise StepError(f"the step “{name}” is one statement, since it is {how}")
    if how == StepKind.OUTSIDE.value:
        index = _INDEX.fullmatch(said[0])
        if index is None:
            raise StepError(f"the step “{name}” is no CREATE or DROP INDEX CONCURRENTLY, with the name of the index")
        return Step(name, StepKind.OUTSIDE, text, said, index[2] if index[1].startswith("create") else "")
    # A row that is skipped because somebody holds it would be left as it was, and the step taken for done.
    if not _BATCH.fullmatch(said[0]) or "skip locked" in said[0]:
        raise StepError(f"the step “{name}” changes rows, as many as its LIMIT says, and skips none")
    return Step(name, StepKind.BATCHES, text, said)


def statements(text: str) -> Iterator[str]:
    """Each statement in lower case, one blank between its tokens and none of its comments; texts are `''` or `$$`."""
    tokens: list[str] = []
    depth = 0  # of what ends with END in the body of a function: BEGIN ATOMIC, CASE
    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup, match[0].lower()
        if kind == "blank":
            continue
        if token == ";" and not depth:
            if tokens:
                yield " ".join(tokens)
            tokens = []
            continue
        if (token == "atomic" and tokens[-1:] == ["begin"]) or (depth and token == "case"):
            depth += 1
        elif depth and token == "end":
            depth -= 1
        if kind == "text":
            token = "''"
        elif kind in ("body", "tag"):
            token = "$$"
        elif kind == "quoted":
            token = match[0].strip('"')
        tokens.append(token)
    if tokens:
        yield " ".join(tokens)
