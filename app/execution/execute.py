"""Runs one operation and renders its answer."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from graphql import (
    ExecutionResult,
    Executor,
    GraphQLError,
    GraphQLResolveInfoHelpers,
    GraphQLSchema,
    OperationType,
    execute,
    located_error,
)
from graphql.execution.collect_fields import collect_fields
from graphql.execution.values import get_argument_values
from graphql.pyutils import AwaitableOrValue, Path, gather_with_cancel, is_awaitable

from app.cache import Cache
from app.errors import ServiceUnavailable
from app.execution.document import Documents, Operation, RequestErrors
from app.execution.errors import render
from app.execution.limits import LimitExceeded, Limits, check_variables
from app.execution.plan import BailOut
from app.execution.planner import Planner
from app.execution.replay import replay
from app.execution.run import Run

# What may run an operation: see `Run.tier`; then `replay` for a plan that met an error, and graphql-core alone.
TIERS = ("generated", "synchronous", "layered", "replay", "graphql-core")


@dataclass(slots=True)  # frozen would cost more than all else there is to an answer
class Answer:
    """`body` is the response as JSON values. `ran` is false for a request error: the body has no `data` then.

    `defects` counts the errors that are this service's own. `fault` is why an operation failed whole that would have
    succeeded with the database, or with more time.
    """

    body: dict[str, Any]
    ran: bool
    defects: int = 0
    fault: ServiceUnavailable | None = None


class Engine:
    """One schema with its limits.

    Documents are held in `cache`, one of its own where there is none. `suggest` lets errors name similar fields, which
    tells strangers the schema. Without `planned` graphql-core runs everything. `executions` counts by what ran them:
    one of `TIERS`.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: Limits,
        cache: Cache | None = None,
        *,
        suggest: bool = False,
        planned: bool = True,
    ) -> None:
        self.schema = schema
        self.documents = Documents(schema, limits, Cache() if cache is None else cache, suggest=suggest)
        self.executions: Counter[str] = Counter(dict.fromkeys(TIERS, 0))
        self._limits = limits
        self._suggest = suggest
        self._planned = planned

    def prepare(self, text: str, operation_name: str | None = None) -> Operation:
        """Raises `RequestErrors`."""
        return self.documents.read(text).choose(operation_name)

    async def run(self, operation: Operation, variables: dict[str, Any], context: Any, request_id: str) -> Answer:
        """Never raises for what the request or a resolver does; `refuse` renders what `prepare` raises."""
        try:
            check_variables(variables, self._limits, writes=operation.kind is OperationType.MUTATION)
        except LimitExceeded as error:
            return refuse(RequestErrors(error), request_id)
        if operation.kind is OperationType.SUBSCRIPTION:
            message = "A subscription needs a WebSocket, or an answer that goes on: text/event-stream."
            return refuse(RequestErrors(GraphQLError(message)), request_id)
        return await self._run(operation, variables, context, request_id)

    async def source(self, operation: Operation, variables: dict[str, Any], context: Any, request_id: str) -> Any:
        """What the field of a subscription gives as the source of its events, or the `Answer` that says why not."""
        try:
            check_variables(variables, self._limits)
        except LimitExceeded as error:
            return refuse(RequestErrors(error), request_id)
        if operation.lengths.are_exceeded(variables):  # for which the field is refused before it is asked
            return await self._run(operation, variables, context, request_id)
        executor = Executor.build(
            self.schema,
            operation.document,
            context_value=context,
            raw_variable_values=variables,
            operation_name=operation.name,
            hide_suggestions=not self._suggest,
        )
        if not isinstance(executor, Executor):
            return refuse(RequestErrors(*executor), request_id)
        try:
            return await _source(executor)
        except GraphQLError as error:
            errors, defects = render([error], request_id)
            return Answer({"errors": errors, "data": None}, ran=True, defects=defects, fault=_fault([error], None))

    async def run_event(
        self, operation: Operation, variables: dict[str, Any], context: Any, request_id: str, event: Any
    ) -> Answer:
        """The answer to one event of a subscription, which its field's resolver gets as its parent."""
        return await self._run(operation, variables, context, request_id, event)

    async def _run(
        self, operation: Operation, variables: dict[str, Any], context: Any, request_id: str, root_value: Any = None
    ) -> Answer:
        result = self._execute(operation, variables, context, root_value)
        if not isinstance(result, ExecutionResult):
            result = await result
        if not result.errors:
            return Answer({"data": result.data}, ran=True)
        if result.data is None and all(error.path is None for error in result.errors):
            return refuse(RequestErrors(*result.errors), request_id)
        errors, defects = render(result.errors, request_id)
        return Answer(
            {"errors": errors, "data": result.data}, ran=True, defects=defects, fault=_fault(result.errors, result.data)
        )

    def _execute(
        self, operation: Operation, variables: dict[str, Any], context: Any, root_value: Any
    ) -> AwaitableOrValue[ExecutionResult]:
        plain = partial(
            execute,
            self.schema,
            operation.document,
            root_value,
            context_value=context,
            variable_values=variables,
            operation_name=operation.name,
            hide_suggestions=not self._suggest,
        )
        if operation.lengths.are_exceeded(variables):
            self.executions["graphql-core"] += 1
            return plain(middleware=[self.documents.lengths])
        if not self._planned:
            self.executions["graphql-core"] += 1
            return plain()
        return execute_by_plan(operation.planner, plain, root_value, context, variables, self.executions)


async def _source(executor: Executor[Any]) -> Any:
    """What the one field of a subscription gives by its `subscribe`. Raises `GraphQLError`, with the field's path."""
    schema, root_type = executor.schema, executor.schema.subscription_type
    assert root_type is not None  # noqa: S101  the operation is valid
    collected = collect_fields(
        schema, executor.fragments, executor.variable_values, root_type, executor.operation, executor.hide_suggestions
    )
    [(key, details)] = collected.grouped_field_set.items()
    nodes = [each.node for each in details]
    field = schema.get_field(root_type, nodes[0].name.value)
    assert field is not None  # noqa: S101  the operation is valid
    assert field.subscribe is not None  # noqa: S101  the schema has a source for each
    path = Path(None, key, root_type.name)
    try:
        arguments = get_argument_values(field, nodes[0], executor.variable_values, None, executor.hide_suggestions)
        info = executor.build_resolve_info(field, nodes, root_type, path)
        return await field.subscribe(None, info, **arguments)
    except Exception as error:
        raise located_error(error, nodes, path.as_list()) from error


def _fault(errors: Sequence[GraphQLError], data: dict[str, Any] | None) -> ServiceUnavailable | None:
    """Why there is nothing to show, where nothing but the lack of the database or of time is why."""
    if data is not None and any(value is not None for value in data.values()):
        return None
    causes = [error.original_error for error in errors]
    faults = [cause for cause in causes if isinstance(cause, ServiceUnavailable)]
    return faults[0] if len(faults) == len(causes) else None


def refuse(refusal: RequestErrors, request_id: str) -> Answer:
    """The answer to a request that did not run."""
    errors, _ = render(list(refusal.errors), request_id)
    return Answer({"errors": errors}, ran=False)


def execute_by_plan(
    planner: Planner,
    plain: Callable[..., AwaitableOrValue[ExecutionResult]],
    root_value: Any,
    context: Any,
    variables: dict[str, Any],
    executions: Counter[str],
) -> AwaitableOrValue[ExecutionResult]:
    """What `plain`, graphql-core with the same arguments, would give. It runs where no plan does; see `Engine`."""
    planned = planner.plan(variables)
    if planned is None:
        executions["graphql-core"] += 1
        return plain()
    plan = planned[0]
    run = Run(plan, root_value, context, planned[1], _HELPERS)
    if plan.alone is not None:
        return _finish(run, run.alone(plan.alone), plain, executions)
    try:
        run.start()
    except BailOut:
        executions["replay"] += 1
        return replay(run, plain)
    if run.is_waiting:
        return _finish(run, _rest(run), plain, executions)
    executions[run.tier] += 1
    return ExecutionResult(run.answer(), None)


async def _finish(
    run: Run,
    answer: Awaitable[dict[str, Any]],
    plain: Callable[..., AwaitableOrValue[ExecutionResult]],
    executions: Counter[str],
) -> ExecutionResult:
    try:
        data = await answer
    except BailOut:
        executions["replay"] += 1
        result = replay(run, plain)
        return result if isinstance(result, ExecutionResult) else await result
    executions[run.tier] += 1
    return ExecutionResult(data, None)


async def _rest(run: Run) -> dict[str, Any]:
    await run.finish()
    return run.answer()


def _gather(values: Sequence[Any]) -> Any:
    return gather_with_cancel(*values)


def _track(values: Sequence[Any]) -> None:
    """Keeps work going that a resolver started and does not wait for."""
    for value in values:
        if is_awaitable(value):
            task = asyncio.ensure_future(value)
            _BACKGROUND.add(task)
            task.add_done_callback(_BACKGROUND.discard)


_BACKGROUND: set[asyncio.Future[Any]] = set()
_HELPERS = GraphQLResolveInfoHelpers(gather=_gather, track=_track)
