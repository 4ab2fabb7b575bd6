"""Fields that are rows of a loader, and what a root field can learn of them before it reads."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from app.context import Context, Info
from loaders.batch import Batch, Row
from loaders.rows import column_of
from loaders.tree import Relation, Tree

Resolver = Callable[..., Any]


def relation(batch: Batch, key: str, *, needs: str | None = None, or_empty: bool = False) -> Resolver:
    """A resolver that gives the value of `batch` (see `Batch`) for the parent's column `key`; null for a null key.

    Where the viewer lacks the permission `needs` it raises `Forbidden`, or gives an empty list if `or_empty`.
    """

    def is_withheld(context: Context) -> bool:
        if needs is None or context.may(needs):
            return False
        if not or_empty:
            context.require(needs)
        return True

    def resolve(row: Row, info: Info) -> Awaitable[Any] | list[Any] | None:
        if is_withheld(info.context):
            return []
        value = row[key]
        return None if value is None else info.context.load(batch, value)

    def resolve_all(rows: Sequence[Row], info: Info) -> Any:
        if is_withheld(info.context):
            return [[] for _ in rows]
        return info.context.load_all(batch, column_of(rows, key), _tree_below(info.ahead).wanted)  # type: ignore[attr-defined]

    def at_hand(rows: Sequence[Row], context: Context, field: Any) -> Any:
        if needs is not None and not context.may(needs):
            return None
        return context.at_hand(batch, column_of(rows, key), _tree_below(field).wanted)

    resolve.bulk = resolve_all  # type: ignore[attr-defined]  # see app/execution/plan.py
    resolve.at_hand = at_hand  # type: ignore[attr-defined]
    resolve.relation = Relation(batch, key)  # type: ignore[attr-defined]
    if batch.tables:
        resolve.held = (key, lambda context: context.held(batch))  # type: ignore[attr-defined]
    resolve.is_open = None if needs is None else lambda context: context.may(needs)  # type: ignore[attr-defined]
    return resolve


def column(name: str) -> Resolver:
    """A resolver that gives a column of the parent, under a name that is not the field's."""

    def resolve(row: Row, _info: Info) -> Any:
        return row[name]

    resolve.column = name  # type: ignore[attr-defined]
    return resolve


def picking(resolver: Resolver, at_hand: Callable[..., Any]) -> Resolver:
    """A resolver for which `at_hand` gives the values of many parents where nothing has to be read for them."""
    resolver.at_hand = at_hand  # type: ignore[attr-defined]  # see app/execution/plan.py
    return resolver


def same_row(row: Any, *_: Any) -> Any:
    """Resolves an object that is made of its parent's own row, or many of many."""
    return row


same_row.bulk = same_row  # type: ignore[attr-defined]
same_row.at_hand = same_row  # type: ignore[attr-defined]
same_row.is_same = True  # type: ignore[attr-defined]


def reads(*columns: str) -> Callable[[Resolver], Resolver]:
    """Says which columns of its parent a resolver reads, so that the others need not be fetched."""

    def mark(resolver: Resolver) -> Resolver:
        resolver.reads = columns  # type: ignore[attr-defined]
        return resolver

    return mark


def ahead(info: Info, *path: str) -> Tree | None:
    """The rows that are selected below this field, or below the fields of this path under it.

    None where graphql-core executes the operation: it does not look ahead.
    """
    field = getattr(info, "ahead", None)
    return None if field is None else _tree_below(field, *path)


def _tree_below(field: Any, *path: str) -> Tree:
    tree: Tree | None = field.memory.get(path)
    if tree is None:
        fields = field.below
        for name in path:
            fields = [below for each in fields if each.name == name for below in each.below]
        tree = field.memory[path] = _tree(fields)
    return tree


def selects(info: Info, *names: str) -> bool:
    """Whether one of these fields is selected below this one."""
    return any(field.name in names for field in info.ahead.below)  # type: ignore[attr-defined]


def _tree(fields: Iterable[Any]) -> Tree:
    columns: set[str] = set()
    is_known = True
    below: dict[Relation, list[Any]] = {}
    waiting = deque(fields)
    while waiting:
        field = waiting.popleft()
        related = getattr(field.resolver, "relation", None)
        if field.constant is not None:
            continue
        if field.resolver is same_row:
            waiting.extend(field.below)
        elif field.column is not None:
            columns.add(field.column)
        elif related is not None and related.batch.tables:
            columns.add(related.key)
        elif related is not None:
            below.setdefault(related, []).extend(field.below)
        elif hasattr(field.resolver, "reads"):
            columns.update(field.resolver.reads)
        else:
            is_known = False
    branches = tuple((related, _tree(selected)) for related, selected in below.items())
    return Tree(frozenset(columns) if is_known else None, branches)
