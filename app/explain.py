"""How an operation would be run: its plan, the tier of each field and why, the generated code, and the SQL.

Nothing is run, and no database is asked. Each root field is resolved up to its first statement, which is noted in place
of being sent. What a statement's columns are is read off its text, so that generated code looks closer at a few of them
than it would with PostgreSQL's word for them.
"""

import linecache
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any

from graphql.execution.values import VariableValues
from graphql.pyutils import is_awaitable

from app.asgi import executable_schema
from app.auth.storefront_key import Storefront
from app.auth.viewer import PERMISSIONS, Kind, Viewer
from app.cache import Cache
from app.context import Context
from app.execution.document import Documents, RequestErrors
from app.execution.field_plan import ColumnPlan, ComputedPlan, Related, RelationPlan, SameRowPlan, everybody
from app.execution.plan import Field, Generated, Plan
from app.execution.run import Run
from app.resolvers.field_plan import PagePlan, path_of
from app.settings import Limits
from loaders.batch import Batch
from loaders.result import CombinedQuery
from loaders.selection import CombinedQueries, RowSelection
from sql import Prepared, Statement, Visibility
from sql.describe import columns
from sql.visibility import Reach

_WIDTH = 40

_VISIBILITIES: Mapping[Reach, Visibility] = {
    Reach.EVERYTHING: Visibility.everything(),
    Reach.CHANNELS: Visibility.of_channels([1]),
    Reach.COMPANIES: Visibility.of_companies([1], [1]),
    Reach.CONTACT: Visibility.of_contact([1], [1]),
    Reach.CUSTOMER: Visibility.of_customer(1, 1),
}


class Unexplained(Exception):
    """The document cannot run, or not with these variables."""


class _Noted(Exception):
    """The first statement of a field is known."""


@dataclass
class _Statement:
    """`query` is None where nothing is fetched along. `selection` is what the field selects of the rows."""

    text: str
    query: CombinedQuery | None = None
    selection: RowSelection | None = None


@dataclass
class _Root:
    """A root field, what it asks the database first, and why nothing is known of that."""

    root: Field
    statement: _Statement | None = None
    silence: str = ""
    generated: dict[int, Generated] = field(default_factory=dict)  # by the id of the field whose objects it makes

    @property
    def targets(self) -> Sequence[Field]:
        """The fields whose objects are made of the statement's rows: this one, or some below it."""
        selection = None if self.statement is None else self.statement.selection
        path = None if selection is None else path_of(self.root, selection)
        if path is None:
            return ()
        found: Sequence[Field] = [self.root]
        for name in path:
            found = [below for each in found for below in each.below if each.name and below.name == name]
        return found


async def explain(document: str, variables: Mapping[str, Any], reach: Reach = Reach.EVERYTHING) -> str:
    """The explanation, as text, for the only operation of the document. Raises `Unexplained`.

    It tells how a document runs that came before: a new one takes the statement with all columns of its relations.
    """
    try:
        operation = Documents(executable_schema(), Limits(), Cache()).read(document).choose(None)
    except RequestErrors as refusal:
        raise Unexplained("\n".join(error.message for error in refusal.errors)) from None
    title = f"{operation.kind.value} {operation.name or ''}".rstrip()
    if operation.planner.reason is not None:
        return f"{title}: run by graphql-core alone: {operation.planner.reason}\n"
    planned = operation.planner.plan(variables)
    if planned is None:
        raise Unexplained("The variables do not fit, or some are missing: --variables '{\"name\": value}'")
    plan, values = planned
    roots = [await _resolved(plan, root, values, reach) for root in plan.root.fields]
    return "\n".join(_told(title, plan, roots))


# ------------------------------------------------------------------------------------------------ what is asked for


class _Sketch(Context):
    """A context that notes the first statement, and raises `_Noted`. Whoever asks may do everything."""

    def __init__(self, reach: Reach) -> None:
        kind = Kind.CUSTOMER if reach is Reach.CUSTOMER else Kind.STAFF
        viewer = Viewer(kind, "explain:1", _VISIBILITIES[reach], frozenset(PERMISSIONS))
        unused: Any = None
        key: Any = {"channel_id": 1}
        super().__init__(
            db=unused,
            request_id="explain",
            largest_page=Limits().page,
            viewer=viewer,
            logins=unused,
            password_links=unused,
            lookups=unused,
            storefront=Storefront(key),
        )
        self.statement: _Statement | None = None

    def customer(self) -> Viewer:
        return self.viewer

    async def fetch(self, statement: Statement, **values: Any) -> Any:
        filters, order = values.pop("filters", frozenset()), values.pop("order", ())
        self._note(_Statement(self._prepared(statement, filters, order, values).text))

    async def fetch_joined(
        self,
        statement: Statement,
        selection: RowSelection | None,
        *,
        filters: frozenset[str] = frozenset(),
        order: tuple[str, ...] = (),
        count: Statement | None = None,
        counted: frozenset[str] | None = None,
        **values: Any,
    ) -> Any:
        await self._combine(statement, selection, filters, order, count, values, counted=counted)

    async def fetch_one(self, batch: Batch, selection: RowSelection | None, key: Any) -> Any:
        values = {batch.parameter: [key], **batch.values}
        await self._combine(batch.statement, selection, frozenset(), (), None, values, batch.column)

    async def write(self, permission: str, tables: frozenset[str] = frozenset()) -> None:
        raise _Noted

    def load(self, batch: Batch, key: Any) -> Any:
        self._note(_Statement(self._prepared(batch.statement, frozenset(), (), batch.values).text))

    async def _combine(
        self,
        statement: Statement,
        selection: RowSelection | None,
        filters: frozenset[str],
        order: tuple[str, ...],
        count: Statement | None,
        values: Mapping[str, Any],
        *further: str,
        counted: frozenset[str] | None = None,
    ) -> None:
        visibility = self.viewer.visibility
        known = {**values, **visibility.keys}
        query = None
        if selection is not None:
            selection.is_first_use()  # so that the statement is the one by which the document runs from now on
            queries = CombinedQueries(_columns_of, Cache())
            query = await selection.combine(
                statement, visibility.reach, queries, filters, order, count, known, *further, counted=counted
            )
        text = query.combined.text if query else self._prepared(statement, filters, order, values).text
        self._note(_Statement(text, query, selection))

    def _prepared(
        self, statement: Statement, filters: frozenset[str], order: tuple[str, ...], values: Mapping[str, Any]
    ) -> Prepared:
        visibility = self.viewer.visibility
        return statement.prepare(visibility.reach, filters, order, {**values, **visibility.keys})

    def _note(self, statement: _Statement) -> None:
        self.statement = statement
        raise _Noted


async def _columns_of(_statement: Statement, prepared: Prepared) -> Mapping[str, type]:
    return columns(prepared.text)


async def _resolved(plan: Plan, root: Field, variables: VariableValues, reach: Reach) -> _Root:
    """Resolves the field up to its first statement."""
    sketch, told = _Sketch(reach), _Root(root)
    run = Run(plan, None, sketch, variables, None)
    try:
        value = root.resolver(None, run.info(root), **root.arguments(variables))
        if is_awaitable(value):
            await value
        told.silence = "it asks the database nothing before a field below it does"
    except _Noted:
        told.silence = "it writes" if sketch.statement is None else ""
    except Exception as error:
        told.silence = f"it refuses its arguments: {error}"
    told.statement = sketch.statement
    if told.statement is not None and told.statement.query is not None:
        for target in told.targets:
            if target.generate is not None:
                told.generated[id(target)] = target.generate(told.statement.query.shape)
    return told


# ------------------------------------------------------------------------------------------------ what is told


def _told(title: str, plan: Plan, roots: Sequence[_Root]) -> Iterator[str]:
    yield f"{title}: run by a plan\n"
    for root in roots:
        yield from _fields(root.root, root, 0, "root")
    for root in roots:
        yield from _statement_of(root)
        for generated in root.generated.values():
            if generated.make is not None:
                yield f"\n-- {root.root.key}: generated as {generated.file}\n"
                yield "".join(linecache.getlines(generated.file)).rstrip()
    yield ""


def _statement_of(root: _Root) -> Iterator[str]:
    statement = root.statement
    if statement is None:
        yield f"\n-- {root.root.key}: no statement, {root.silence}"
        return
    parts = 1 if statement.query is None else len(statement.query.combined.parts)
    yield f"\n-- {root.root.key}: {'a statement' if parts == 1 else f'{parts} statements in one'}\n"
    yield statement.text


def _fields(each: Field, root: _Root, depth: int, above: str) -> Iterator[str]:
    """A line for the field and for each below it. `above` is the tier that made what it is a field of."""
    tier, why = _tier(each, root, above)
    own = _tier_below(each, root, tier)
    if each.selections and (own != tier or own == "layered"):
        why += f"; objects {own}{_because(each, root, own)}"
    yield f"{'  ' * depth + each.key:{_WIDTH}} {tier:12} {why}".rstrip()
    several = len(each.selections) > 1
    for type_name, selection in each.selections.items():
        if several:
            yield f"{'  ' * (depth + 1)}... on {type_name}"
        for below in selection.fields:
            yield from _fields(below, root, depth + 1 + several, own)


def _tier(each: Field, root: _Root, above: str) -> tuple[str, str]:
    """By which tier the field is resolved, and how or why."""
    if above == "root":
        kind = "a coroutine" if iscoroutinefunction(each.resolver) else "a function"
        return "layered", f"its resolver is called, {kind}"
    if each.constant is not None:
        return above, "always the same"
    if above in ("generated", "synchronous"):
        return above, _how(each)
    if each.column is not None and each.check is not None and not each.definition.args:
        return "layered", f"column {each.column}, of all parents at once"
    if each.bulk is not None:
        return "layered", f"one call for all parents: {_how(each)}"
    return "layered", "its resolver is called for each parent"


def _tier_below(each: Field, root: _Root, tier: str) -> str:
    """The tier that makes the objects of the field, and so resolves what is below them."""
    generated = root.generated.get(id(each))
    if tier in ("generated", "synchronous") and not (generated and generated.make):
        return tier
    if generated is not None and generated.make is not None:
        return "generated"
    return "layered" if each.synchronous is None or "synchronous" in each.obstacles else "synchronous"


def _because(each: Field, root: _Root, tier: str) -> str:
    """Why not by a faster tier."""
    if tier == "generated":
        return ""
    generated = root.generated.get(id(each))
    why = [
        generated.reason if generated else each.obstacles.get("generated", "its rows do not come joined"),
        each.obstacles.get("synchronous", "") if tier == "layered" else "",
    ]
    return f" ({'; '.join(filter(None, dict.fromkeys(why)))})"


def _how(each: Field) -> str:
    plan = each.plan
    if isinstance(plan, ColumnPlan):
        return f"column {plan.column}"
    if isinstance(plan, SameRowPlan):
        return "of the same row"
    if isinstance(plan, ComputedPlan):
        read = ", ".join(plan.columns)
        beside = f"{', '.join(plan.related_columns)} of {_related(plan.related)}" if plan.related else ""
        return f"computed of {', and '.join(filter(None, (read, beside)))}"
    if isinstance(plan, RelationPlan):
        guard = "" if plan.is_open is everybody else ", where the viewer may have them"
        return f"{_related(plan.related)}{guard}"
    if isinstance(plan, PagePlan):
        return f"a page of rows joined by {plan.key}"
    return "read off the parent"


def _related(related: Related) -> str:
    statement = related.relation.batch.statement
    place = "cached rows" if related.cached is not None else "rows joined"
    return f"{place} by {related.key} ({statement.noun}.{statement.name})"
