"""What a step of a migration keeps from readers and writers, told from its statements.

The statements are read, not tried: a step that is tried and rolled back takes the very locks that are in question, and
holds them while it rewrites the table. So each kind of statement that is known here has its lock, and whether it may
take long; the tests hold what is said here to what PostgreSQL does, lock by lock. What is not known here blocks, until
somebody has looked.

A step blocks where it holds a lock that readers or writers wait for, and does something in the same transaction that
takes the longer the more rows there are; or where it changes rows without end, since who wants one of them waits for
all. A lock alone is held for a moment, and given up by `lock_timeout` where it does not come at once.
"""

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import IntEnum

from app.postgres.steps import Step, StepKind


class Mode(IntEnum):
    """The locks of tables, from the weakest. Writers wait from `SHARE` on, readers for the last."""

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    def __str__(self) -> str:
        return self.name.replace("_", " ")


@dataclass(frozen=True)
class Effect:
    """What one statement takes and does. `length` says what it does that may take long, `unknown` that nobody knows.

    `is_of_rows`: it locks as many rows as it finds, until its transaction ends.
    """

    locks: Mapping[str, Mode] = field(default_factory=dict)
    length: str = ""
    is_of_rows: bool = False
    creates: str = ""
    unknown: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a step does to those who work with the store. `blocks` says whether they wait longer than a moment."""

    locks: Mapping[str, Mode]
    blocks: bool
    words: str
    creates: frozenset[str] = frozenset()


_NAME = r"(?:public \. )?(\w+)"
_CONSTANT = r"(?:-? ?[\d.]+|''|true|false|null|now \( \)|current_timestamp)(?: :: \w+(?: \[ \])?)?"
_TYPE = (
    r"(?:smallint|int|integer|bigint|numeric|text|boolean|date|timestamptz|uuid|jsonb|bytea|cidr)"
    r"(?: \( [\d ,]+ \))?(?: \[ \])?"
)
# A column that is added without a look at the rows: what they hold of it stands in the catalog.
_PLAIN_COLUMN = re.compile(
    rf"(?:if not exists )?\w+ {_TYPE}(?: null)?(?:(?: not null)? default {_CONSTANT}(?: not null)?)?"
)

Rule = Callable[[re.Match[str]], Effect]


def _takes(mode: Mode, length: str = "", *, is_of_rows: bool = False) -> Rule:
    """A lock of `mode` on the table that the pattern names; `length` says of it what takes long."""
    return lambda match: Effect({match[1]: mode}, length.format(match[1]), is_of_rows)


def _create_table(match: re.Match[str]) -> Effect:
    referenced = re.findall(rf"\breferences {_NAME}", match[2])
    return Effect(dict.fromkeys(referenced, Mode.SHARE_ROW_EXCLUSIVE), creates=match[1])


def _lock_table(match: re.Match[str]) -> Effect:
    mode = Mode[match[2].replace(" ", "_").upper()]
    return Effect({table.strip().removeprefix("public . "): mode for table in match[1].split(",")})


def _alter_table(match: re.Match[str]) -> Effect:
    table = match[1]
    effects = [_action(table, action) for action in _parts(match[2])]
    locks: dict[str, Mode] = {}
    for effect in effects:
        _take(locks, effect.locks)
    length = next((effect.length for effect in effects if effect.length), "")
    return Effect(locks, length, unknown=any(effect.unknown for effect in effects))


def _action(table: str, action: str) -> Effect:
    for pattern, mode, length in _ACTIONS:
        match = pattern.fullmatch(action)
        if match is None:
            continue
        locks = {table: mode} | {referenced: mode for referenced in match.groups() if referenced}
        if action.startswith("drop constraint"):
            locks[f"what {match[1]} refers to"] = locks.pop(match[1])
        return Effect(locks, length.format(table))
    if action.startswith("add column ") and " constraint " not in action:
        is_plain = _PLAIN_COLUMN.fullmatch(action.removeprefix("add column ")) is not None
        return Effect({table: Mode.ACCESS_EXCLUSIVE}, "" if is_plain else f"rewrites or scans {table}")
    return Effect({table: Mode.ACCESS_EXCLUSIVE}, unknown=True)


def _actions() -> list[tuple[re.Pattern[str], Mode, str]]:
    """Of ALTER TABLE, each with its lock, and what it does that takes long. A group names another table it locks."""
    lock = Mode.ACCESS_EXCLUSIVE
    unchecked = [
        (rf"add constraint \w+ foreign key \(.*\) references {_NAME}\b.* not valid", Mode.SHARE_ROW_EXCLUSIVE, ""),
        (r"add constraint \w+ check \(.*\) not valid", lock, ""),
        (r"add constraint \w+ unique using index \w+", lock, ""),
        (r"validate constraint \w+", Mode.SHARE_UPDATE_EXCLUSIVE, "scans {}"),
        # Of a numeric column it takes the bound off; the tests see that no migration does it to another one.
        (r"alter (?:column )?\w+ (?:set data )?type numeric", lock, ""),
    ]
    checked = [
        (rf"add constraint \w+ foreign key \(.*\) references {_NAME}\b.*", Mode.SHARE_ROW_EXCLUSIVE, "scans {}"),
        (r"add constraint \w+ check \(.*", lock, "scans {}"),
        (r"add constraint \w+ (?:unique|primary key|exclude)\b.*", lock, "builds an index of {}"),
        (r"alter (?:column )?\w+ set not null", lock, "scans {}"),
        (r"alter (?:column )?\w+ (?:set data )?type .*", lock, "rewrites {}"),
    ]
    brief = [
        (r"drop constraint (?:if exists )?(\w+)(?: cascade| restrict)?", lock, ""),
        (r"drop column (?:if exists )?\w+(?: cascade| restrict)?", lock, ""),
        (r"alter (?:column )?\w+ (?:drop not null|drop default|set default .*)", lock, ""),
        (r"alter (?:column )?\w+ set statistics -? ?\d+", Mode.SHARE_UPDATE_EXCLUSIVE, ""),
        (r"(?:re)?set \( ?(?:autovacuum_\w+|fillfactor)\b.*\)", Mode.SHARE_UPDATE_EXCLUSIVE, ""),
        (r"rename (?:column \w+ |constraint \w+ )?to \w+", lock, ""),
        (r"(?:enable|disable) trigger \w+", Mode.SHARE_ROW_EXCLUSIVE, ""),
    ]
    return [(re.compile(pattern), mode, length) for pattern, mode, length in [*unchecked, *checked, *brief]]


_ACTIONS = _actions()

# The first that fits is taken. What is written here as one group is the table.
_RULES: list[tuple[re.Pattern[str], Rule]] = [
    (re.compile(pattern), rule)
    for pattern, rule in [
        (rf"create (?:unlogged )?table (?:if not exists )?{_NAME} (\((?!.*\b(?:inherits|like)\b).*)", _create_table),
        (
            rf"create (?:unique )?index concurrently (?:if not exists )?\w+ on {_NAME} .*",
            _takes(Mode.SHARE_UPDATE_EXCLUSIVE),
        ),
        (rf"create (?:unique )?index .*?\bon {_NAME} .*", _takes(Mode.SHARE, "builds an index of {}")),
        (r"drop index concurrently .*", lambda _: Effect()),
        (rf"alter table (?:if exists )?{_NAME} (.*)", _alter_table),
        (rf"drop table (?:if exists )?{_NAME}(?: cascade)?", _takes(Mode.ACCESS_EXCLUSIVE)),
        (
            rf"create (?:or replace )?(?:constraint )?trigger \w+ (?:before|after) [^(]*? on {_NAME} .*",
            _takes(Mode.SHARE_ROW_EXCLUSIVE),
        ),
        (rf"drop trigger (?:if exists )?\w+ on {_NAME}", _takes(Mode.ACCESS_EXCLUSIVE)),
        (rf"comment on table {_NAME} is .*", _takes(Mode.SHARE_UPDATE_EXCLUSIVE)),
        (rf"comment on column {_NAME} \. \w+ is .*", _takes(Mode.SHARE_UPDATE_EXCLUSIVE)),
        (r"comment on (?:function|sequence|view|type) .*", lambda _: Effect()),
        (r"(?:create (?:or replace )?|drop |alter )(?:function|procedure|sequence|type) .*", lambda _: Effect()),
        (r"set local .*", lambda _: Effect()),
        (r"lock table (.*) in ([a-z ]+) mode", _lock_table),
        (rf"insert into {_NAME} .*", _takes(Mode.ROW_EXCLUSIVE, "reads what it inserts into {}")),
        (rf"(?:update|delete from) {_NAME} .*", _takes(Mode.ROW_EXCLUSIVE, "changes rows of {}", is_of_rows=True)),
        (
            rf"with .*\b(?:update|delete from|insert into) {_NAME} .*",
            _takes(Mode.ROW_EXCLUSIVE, "changes rows of {}", is_of_rows=True),
        ),
        (rf"analyze {_NAME}", _takes(Mode.SHARE_UPDATE_EXCLUSIVE, "reads a sample of {}")),
    ]
]


def effect(statement: str) -> Effect:
    """What a statement, in the form of `app.postgres.steps.statements`, takes and does."""
    for pattern, rule in _RULES:
        if match := pattern.fullmatch(statement):
            return rule(match)
    return Effect(unknown=True)


def judge(step: Step, tables: Set[str]) -> Verdict:
    """What `step` does to those who work with `tables`, the ones there are before it."""
    effects = [effect(statement) for statement in step.statements]
    creates = frozenset(found.creates for found in effects if found.creates)
    tables = tables - creates  # nobody works with what the step makes
    locks: dict[str, Mode] = {}
    for found in effects:
        _take(locks, {table: mode for table, mode in found.locks.items() if table in tables or " " in table})
    reason = _reason(step, effects, {table: mode for table, mode in locks.items() if mode >= Mode.SHARE}, tables)
    if reason:
        return Verdict(locks, blocks=True, words=reason, creates=creates)
    return Verdict(locks, blocks=False, words=_comfort(step, locks), creates=creates)


def _reason(step: Step, effects: Sequence[Effect], held: Mapping[str, Mode], tables: Set[str]) -> str:
    """Why it blocks; empty where it does not. `held` are the locks that somebody waits for."""
    unknown = [said for said, found in zip(step.statements, effects, strict=True) if found.unknown]
    if unknown:
        return f"nobody knows what waits for “{_short(unknown[0])}”"
    who = _who(held)
    lengths = [found.length for found in effects if found.length and tables & found.locks.keys()]
    if step.kind is StepKind.WHOLE and held:
        lengths.append("does all that is in the file")
    if held and lengths:
        return f"{who} wait while it {lengths[0]}"
    rows = [found.length for found in effects if found.is_of_rows and tables & found.locks.keys()]
    if rows and step.kind is not StepKind.BATCHES:
        return f"who writes the same rows waits while it {rows[0]}"
    return ""


def _comfort(step: Step, locks: Mapping[str, Mode]) -> str:
    held = {table: mode for table, mode in locks.items() if mode >= Mode.SHARE}
    if held:
        return f"{_who(held)} wait for a moment"
    return "who writes the same rows waits for a batch" if step.kind is StepKind.BATCHES else "nobody waits"


def _who(held: Mapping[str, Mode]) -> str:
    readers = sorted(table for table, mode in held.items() if mode is Mode.ACCESS_EXCLUSIVE)
    return f"readers and writers of {', '.join(readers)}" if readers else f"writers of {', '.join(sorted(held))}"


def _take(locks: dict[str, Mode], more: Mapping[str, Mode]) -> None:
    for table, mode in more.items():
        locks[table] = max(mode, locks.get(table, mode))


def _parts(text: str) -> list[str]:
    """What stands between the commas that are in no brackets."""
    parts, depth = [""], 0
    for token in text.split(" "):
        depth += (token in "([") - (token in ")]") if len(token) == 1 else 0
        if token == "," and not depth:
            parts.append("")
        else:
            parts[-1] += f" {token}"
    return [part.strip() for part in parts]


def _short(statement: str) -> str:
    return statement if len(statement) <= 60 else f"{statement[:57]}…"
