"""`make where FIELD=trackingUrl`: where a field is declared, what answers it, and what tests it.

FIELD is a field's name, or `Type.field` where several types have one of that name.
"""

import ast
import inspect
import pkgutil
import re
import sys
import textwrap
from collections.abc import Callable, Container, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from graphql import GraphQLField, GraphQLObjectType

import loaders
import sql
from app import resolvers
from app.asgi import executable_schema
from app.execution.field_plan import ColumnPlan, ComputedPlan, FieldPlan, RelationPlan, SameRowPlan, plan_of
from app.resolvers.field_plan import PlannedType
from loaders.batch import Batch

ROOT = Path(__file__).parents[1]
_MOST_TESTS = 8
# How far calls are followed from a resolver.
_DEEP = 3


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
    for line in (*_declared(parent.name, name), *_answer(parent, field)):
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
        if inspect.isfunction(resolver):
            yield from dict.fromkeys(_read_by(inspect.unwrap(resolver), ()))


def _declared(parent: str, name: str) -> Iterator[str]:
    """Where a field says what it is, unless that is its resolver's decorator."""
    for module_info in pkgutil.walk_packages(resolvers.__path__, "app.resolvers."):
        module = import_module(module_info.name)
        for variable, value in vars(module).items():
            if isinstance(value, PlannedType) and value.name == parent:
                path = Path(inspect.getfile(module))
                if line := _line(path, rf'^{variable}\.set_plan\(\s*"{name}"', 0):
                    yield f"declared  {path.relative_to(ROOT)}:{line}"


def _read_by(function: Callable[..., Any], files: tuple[sql.File, ...], depth: int = 0) -> Iterator[str]:
    """The loaders and statements that a function names, and those whom it calls; `files` are what it is given."""
    known = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    parameters = inspect.signature(function).parameters
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(batch := known.get(node.id), Batch):
            yield from _batch(batch)
        elif isinstance(node, ast.Attribute):
            for file in _files_of(node.value, known, files if _is_given(node.value, parameters) else ()):
                if node.attr in file.statements:
                    yield f"statement {_statement(file.statements[node.attr])}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and depth < _DEEP:
            passed = tuple(file for argument in node.args for file in _files_of(argument, known, ()))
            for called in _functions(known.get(node.func.id)):
                yield from _read_by(called, passed or files, depth + 1)


def _files_of(node: ast.expr, known: Mapping[str, Any], given: tuple[sql.File, ...]) -> tuple[sql.File, ...]:
    file = known.get(node.id) if isinstance(node, ast.Name) else None
    return (file,) if isinstance(file, sql.File) else given


def _is_given(node: ast.expr, parameters: Container[str]) -> bool:
    """Whether it is a parameter, or what an object was made with."""
    node = node.value if isinstance(node, ast.Attribute) else node
    return isinstance(node, ast.Name) and node.id in parameters


def _functions(called: Any) -> list[Callable[..., Any]]:
    """The function, or those of the class, if it is one of the resolvers' own."""
    if not getattr(called, "__module__", "").startswith("app.resolvers"):
        return []
    if inspect.isclass(called):
        return [
            value
            for value in vars(called).values()
            if inspect.isfunction(value) and not value.__name__.startswith("__")
        ]
    return [called] if inspect.isfunction(called) else []


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
    function = function.__func__ if inspect.ismethod(function) else function
    code = inspect.unwrap(function).__code__ if inspect.isfunction(function) else None
    if code is None:
        return repr(function)
    return f"{Path(code.co_filename).relative_to(ROOT)}:{code.co_firstlineno} {code.co_qualname}"


def _line(path: Path, pattern: str, default: int = 1) -> int:
    """The first line of a file that matches; `default` where none does."""
    match = re.search(pattern, path.read_text("utf-8"), re.MULTILINE)
    return default if match is None else match.string.count("\n", 0, match.start()) + 1


def _tests(parent: str, name: str) -> list[str]:
    """The files with tests that are named after the field, or, where there is none, those that select it most."""
    named = re.compile(rf"def test_\w*{_snake(name)}(?:_|\()")
    own = re.compile(rf"def test_{_snake(parent)}_{_snake(name)}(?:_|\()")
    found = []
    word = re.compile(rf"\b{name}\b")
    for path, text in _texts().items():
        # What is no part of the text is no word of it, and is found sooner.
        if name in text and (count := len(word.findall(text))):
            found.append((-len(own.findall(text)), -len(named.findall(text)), -count, path.relative_to(ROOT)))
    found = [each for each in found if each[0]] or [each for each in found if each[1]] or found
    return [f"{path} ({-count})" for _own, _named, count, path in sorted(found)[:_MOST_TESTS]]


@cache
def _texts() -> Mapping[Path, str]:
    """Of the tests, by their files in order."""
    return {path: path.read_text("utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py"))}


def _snake(name: str) -> str:
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


if __name__ == "__main__":
    lines = list(where(sys.argv[1]))
    if not lines:
        sys.exit(f"schema.graphql has no field {sys.argv[1]}.")
    print("\n".join(lines))
