"""`make where FIELD=trackingUrl`: where a field is declared, what answers it, and what tests it.

FIELD is a field's name, or `Type.field` where several types have one of that name.
"""

import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from graphql import GraphQLField, GraphQLObjectType

import loaders
import sql
from app.asgi import executable_schema
from app.execution.field_plan import ColumnPlan, ComputedPlan, FieldPlan, RelationPlan, SameRowPlan, plan_of
from loaders.batch import Batch

ROOT = Path(__file__).parents[1]
_MOST_TESTS = 8


def where(name: str) -> Iterator[str]:
    """The lines to print, none where the schema has no such field."""
    type_name, _, field_name = name.rpartition(".")
    for named in executable_schema().type_map.values():
        if isinstance(named, GraphQLObjectType) and type_name in ("", named.name) and field_name in named.fields:
            yield from _field(named, field_name)


def _field(parent: GraphQLObjectType, name: str) -> Iterator[str]:
    field = parent.fields[name]
    node = field.ast_node
    yield f"{parent.name}.{name}: {field.type}"
    if node is not None and node.loc is not None:
        yield f"  schema    schema.graphql:{node.loc.start_token.line}"
    for line in _answer(parent, field):
        yield f"  {line}"
    for path in _tests(parent.name, name):
        yield f"  test      {path}"


def _answer(parent: GraphQLObjectType, field: GraphQLField) -> Iterator[str]:
    plan = plan_of(field)
    if isinstance(plan, ColumnPlan):
        yield from _columns(parent, plan.column)
    elif isinstance(plan, SameRowPlan):
        yield f"row       that of its {parent.name}"
    elif isinstance(plan, ComputedPlan):
        yield f"computed  {_place(plan.function)}"
        for column in plan.columns:
            yield from _columns(parent, column)
        if plan.related is not None:
            yield from _batch(plan.related.relation.batch)
    elif isinstance(plan, RelationPlan):
        yield f"key       {plan.related.key}"
        yield from _batch(plan.related.relation.batch)
    else:
        resolver = plan.resolve if isinstance(plan, FieldPlan) else field.resolve
        yield f"resolver  {_place(resolver)}"


def _columns(parent: GraphQLObjectType, column: str) -> Iterator[str]:
    """The statements whose rows become the type, and that name the column."""
    yield f"column    {column}"
    for noun in sorted(path.stem for path in (ROOT / "sql").glob("*.sql") if path.stem != "schema"):
        for statement in sql.load(noun).statements.values():
            if parent.name in statement.feeds:
                yield f"statement {_statement(statement)}"


def _batch(batch: Batch) -> Iterator[str]:
    yield f"loader    {_loaders().get(batch, 'made where it is used')}"
    yield f"statement {_statement(batch.statement)}"


@cache
def _loaders() -> dict[Batch, str]:
    """Where each batch is declared, and by what name."""
    places: dict[Batch, str] = {}
    for module_info in pkgutil.iter_modules(loaders.__path__, "loaders."):
        module = import_module(module_info.name)
        path = Path(inspect.getfile(module)).relative_to(ROOT)
        for name, value in vars(module).items():
            if isinstance(value, Batch):
                line = _line(ROOT / path, rf"^{name}\b")
                places.setdefault(value, f"{path}:{line} {name}")
    return places


def _statement(statement: sql.Statement) -> str:
    path = Path("sql") / f"{statement.noun}.sql"
    line = _line(ROOT / path, rf"^-- name: {statement.name}\b")
    return f"{path}:{line} {statement.name}"


def _place(function: Callable[..., Any] | None) -> str:
    code = inspect.unwrap(function).__code__ if inspect.isfunction(function) else None
    if code is None:
        return repr(function)
    return f"{Path(code.co_filename).relative_to(ROOT)}:{code.co_firstlineno} {code.co_qualname}"


def _line(path: Path, pattern: str) -> int:
    """The first line of a file that matches; 1 where none does."""
    match = re.search(pattern, path.read_text("utf-8"), re.MULTILINE)
    return 1 if match is None else match.string.count("\n", 0, match.start()) + 1


def _tests(parent: str, name: str) -> list[str]:
    """The files of tests that are named after the field first, then those that select it most."""
    named = re.compile(rf"def test_\w*{_snake(name)}(?:_|\()")
    own = re.compile(rf"def test_{_snake(parent)}_{_snake(name)}(?:_|\()")
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text("utf-8")
        if count := len(re.findall(rf"\b{name}\b", text)):
            found.append((-len(own.findall(text)), -len(named.findall(text)), -count, path.relative_to(ROOT)))
    return [f"{path} ({-count})" for _own, _named, count, path in sorted(found)[:_MOST_TESTS]]


def _snake(name: str) -> str:
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


if __name__ == "__main__":
    lines = list(where(sys.argv[1]))
    if not lines:
        sys.exit(f"schema.graphql has no field {sys.argv[1]}.")
    print("\n".join(lines))
