"""How an operation would be run: its plan, the tier of each field and why, the generated code, and the SQL.

Nothing is run, and no database is asked. Each root field is resolved up to its first statement, which is noted in place
of being sent. What a statement's columns are is read off its text, so that generated code looks closer at a few of them
than it would with PostgreSQL's word for them.
"""

import linecache
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any, NoReturn

from graphql.execution.values import VariableValues
from graphql.pyutils import is_awaitable

from app.asgi import executable_schema
from app.auth.storefront_key import Storefront
from app.auth.viewer import PERMISSIONS, Kind, Viewer
from app.cache import Cache
from app.context import Context
from app.execution.cost import Cost
from app.execution.document import Documents, RequestErrors
from app.execution.field_plan import ColumnPlan, ComputedPlan, Related, RelationPlan, SameRowPlan, everybody
from app.execution.plan import Field, Generated, Plan
from app.execution.run import Run
from app.postgres.database import within
from app.postgres.lookups import Lookups
from app.resolvers.field_plan import PagePlan, path_of
from app.settings import Limits
from loaders.result import CombinedQuery
from loaders.selection import CombinedQueries, RowSelection
from sql import Prepared, Statement, Visibility
from sql.combine import CombinedStatement
from sql.describe import columns
from sql.visibility import Reach

_WIDTH = 40

_VISIBILITIES: Mapping[Reach, Visibility] = {
    Reach.EVERYTHING: Visibility.everything(),
    Reach.CHANNELS: Visibility.of_channels([1]),
    Reach.COMPANIES: Visibility.of_companies([1], [1]),
    Reach.CONTACT: Visibility.of_contact(1, [1]),
    Reach.CUSTOMER: Visibility.of_customer(1, 1),
    Reach.ORDER: Visibility.of_order(1, 1, 1),
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
    reason: str = ""
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
    cost = operation.cost.estimate(variables).requested
    roots = [await _resolved(plan, root, values, reach) for root in plan.root.fields]
    return "\n".join(_told(title, cost, roots))


# ------------------------------------------------------------------------------------------------ what is asked for


class _Recorder:
    """In place of the database and of its cache of combined statements: notes the first, and raises `_Noted`."""

    def __init__(self) -> None:
        self.statement: _Statement | None = None
        self.queries = CombinedQueries(_columns_of, self)
        self.look_up = Lookups(self.fetch_combined).get
        self._selection: RowSelection | None = None
        self._query: CombinedQuery | None = None

    async def fetch(
        self,
        statement: Statement,
        visibility: Visibility,
        *,
        filters: frozenset[str] = frozenset(),
        order: tuple[str, ...] = (),
        **values: Any,
    ) -> NoReturn:
        self._note(within(visibility, statement, filters, order, values)[0])

    async def fetch_combined(self, combined: CombinedStatement, _values: object) -> NoReturn:
        self._note(combined.text)

    def table_cache(self, *_: object) -> None:
        return None

    def get(self, key: tuple[Any, ...]) -> None:
        self._selection = key[0]
        self._selection.mark_used()  # so that the statement is the one by which the document runs from now on

    def put(self, _key: object, query: CombinedQuery, _weight: int) -> None:
        self._query = query

    def _note(self, text: str) -> NoReturn:
        self.statement = _Statement(text, self._query, self._selection)
        raise _Noted


class _Sketch(Context):
    """The context of somebody who may do everything, but writes nothing."""

    def __init__(self, recorder: Any, reach: Reach) -> None:
        kind = Kind.CUSTOMER if reach is Reach.CUSTOMER else Kind.STAFF
        unused: Any = None
        key: Any = {"channel_id": 1}
        super().__init__(
            db=recorder,
            request_id="explain",
            largest_page=Limits().page,
            viewer=Viewer(kind, "explain:1", _VISIBILITIES[reach], frozenset(PERMISSIONS)),
            logins=unused,
            contact_logins=unused,
            password_links=unused,
            order_links=unused,
            messages=unused,
            storefront=Storefront(key),
        )

    def customer(self) -> Viewer:
        return self.viewer

    async def write(self, permission: str, tables: frozenset[str] = frozenset()) -> None:  # noqa: ARG002
        raise _Noted


async def _columns_of(_statement: Statement, prepared: Prepared) -> Mapping[str, type]:
    return columns(prepared.text)


async def _resolved(plan: Plan, root: Field, variables: VariableValues, reach: Reach) -> _Root:
    """Resolves the field up to its first statement."""
    recorder, told = _Recorder(), _Root(root)
    run = Run(plan, None, _Sketch(recorder, reach), variables, None)
    try:
        value = root.resolver(None, run.info(root), **root.arguments(variables))
        if is_awaitable(value):
            await value
        told.reason = "it asks the database nothing before a field below it does"
    except _Noted:
        told.reason = "it writes" if recorder.statement is None else ""
    except Exception as error:
        told.reason = f"it refuses its arguments: {error}"
    told.statement = recorder.statement
    if told.statement is not None and told.statement.query is not None:
        for target in told.targets:
            if target.generate is not None:
                told.generated[id(target)] = target.generate(told.statement.query.shape)
    return told


# ------------------------------------------------------------------------------------------------ what is told


def _told(title: str, cost: Cost, roots: Sequence[_Root]) -> Iterator[str]:
    yield f"{title}: run by a plan"
    yield f"it may cost {cost.points} points: {cost.field} of fields, {cost.type} of objects\n"
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
        yield f"\n-- {root.root.key}: no statement, {root.reason}"
        return
    parts = 1 if statement.query is None else len(statement.query.combined.parts)
    yield f"\n-- {root.root.key}: {'a statement' if parts == 1 else f'{parts} statements in one'}\n"
    yield statement.text


def _fields(each: Field, root: _Root, depth: int, above: str) -> Iterator[str]:
    """A line for the field and for each below it. `above` is the tier that made what it is a field of."""
    tier, how = _tier(each, above)
    own = _tier_below(each, root, tier)
    if each.selections and (own != tier or own == "layered"):
        how += f"; objects {own}{_because(each, root, own)}"
    yield f"{'  ' * depth + each.key:{_WIDTH}} {tier:12} {how}".rstrip()
    several = len(each.selections) > 1
    for type_name, selection in each.selections.items():
        if several:
            yield f"{'  ' * (depth + 1)}... on {type_name}"
        for below in selection.fields:
            yield from _fields(below, root, depth + 1 + several, own)


def _tier(each: Field, above: str) -> tuple[str, str]:
    """By which tier the field is resolved, and how or why."""
    if above == "root":
        kind = "a coroutine" if iscoroutinefunction(each.resolver) else "a function"
        return "resolver", f"its resolver is called, {kind}"
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
    return "layered" if each.synchronous is None or "synchronous" in each.reasons else "synchronous"


def _because(each: Field, root: _Root, tier: str) -> str:
    """Why not by a faster tier."""
    if tier == "generated":
        return ""
    generated = root.generated.get(id(each))
    reasons = [
        generated.reason if generated else each.reasons.get("generated", "its rows do not come joined"),
        each.reasons.get("synchronous", "") if tier == "layered" else "",
    ]
    return f" ({'; '.join(filter(None, dict.fromkeys(reasons)))})"


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
